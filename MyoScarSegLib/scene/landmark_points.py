"""The two insertion points of a study as a point list of its volume."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from MyoScarSegLib.scene.point_lists import VolumePoints, prepare_point_display
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.scene.ventricle_state import BY_READER, Landmarks
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry

ROLE_LANDMARKS = "landmarks"
_COLOR = (0.95, 0.85, 0.2)
_MOVED_PX = 0.01
"""A point that came back from the world nearer than this has not been moved."""


class LandmarkPoints(VolumePoints):
    """The two insertion points of a study, the anterior one first: to be seen, and dragged."""

    def __init__(self, volume_node: Any, geometry: VolumeGeometry) -> None:
        name = _("{name} RV insertion points").format(name=volume_node.GetName())
        super().__init__(volume_node, geometry, ROLE_LANDMARKS, name, _prepare)
        self._views: tuple[str, ...] = ()

    def landmarks(self, known: Landmarks | None) -> Landmarks | None:
        """The points as they are in the scene; ``known`` itself where they have not been moved, None where one is missing."""
        places = self.read()[:2]
        if len(places) < 2:
            return None
        if known is not None and np.abs(places - np.array([known.anterior, known.inferior])).max() < _MOVED_PX:
            return known
        anterior, inferior = ((float(x), float(y), float(k)) for x, y, k in places)
        return Landmarks(anterior, inferior, BY_READER)

    def show(self, landmarks: Landmarks | None) -> None:
        """Show these points, or none."""
        places = [] if landmarks is None else [landmarks.anterior, landmarks.inferior]
        self.write(places, [_("RV anterior"), _("RV inferior")][: len(places)])
        self._keep_to_views()

    def show_in(self, views: tuple[str, ...] | None) -> None:
        """Show them in these views alone, given by the ids of their nodes: those that lie along the slices. In all if there is
        none.

        In a view across the slices they would lie somewhere in the heart, with their names over each other.
        """
        self._views = views or ()
        self._keep_to_views()

    def _keep_to_views(self) -> None:
        display = None if self.node is None else self.node.GetDisplayNode()
        if display is not None and display.GetViewNodeIDs() != self._views:
            display.SetViewNodeIDs(self._views)


def _prepare(node: Any) -> None:
    display = prepare_point_display(node, _COLOR, "Diamond2D")
    display.SetTextScale(2.6)
    display.SetSliceProjection(True)  # they count for all slices, so they show in all
    display.SetSliceProjectionOpacity(0.6)


def reversed_landmarks(landmarks: Landmarks | None, axis: int, size: int) -> Landmarks | None:
    """The landmarks of a study whose axis (0: slices, 1: rows, 2: columns) of this size is counted from the other end."""
    if landmarks is None:
        return None
    at, last = (2, size - 1) if axis == 0 else (1, size) if axis == 1 else (0, size)

    def turned(place: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, k = (last - v if n == at else v for n, v in enumerate(place))
        return x, y, k

    return replace(landmarks, anterior=turned(landmarks.anterior), inferior=turned(landmarks.inferior))
