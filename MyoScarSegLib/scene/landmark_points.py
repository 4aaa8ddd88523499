"""The two insertion points of a study as a point list of its volume."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import slicer
import vtk

from MyoScarSegLib.scene.attributes import make_node, node_of
from MyoScarSegLib.scene.observers import Observers, Writing
from MyoScarSegLib.scene.point_lists import placed_points, point_positions, prepare_point_display
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.scene.ventricle_state import BY_READER, Landmarks
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry
from MyoScarSegLib.utils.signal import Signal

ROLE_LANDMARKS = "landmarks"
_COLOR = (0.95, 0.85, 0.2)
_MOVED_PX = 0.01
"""A point that came back from the world nearer than this has not been moved."""


class LandmarkPoints:
    """The two insertion points of a study, the anterior one first: to be seen, and dragged. They follow the volume's transforms.

    Attributes:
        changed: emitted without arguments after a point was dragged to the end, or one was removed by others.
    """

    def __init__(self, volume_node: Any, geometry: VolumeGeometry) -> None:
        self.volume_node = volume_node
        self.changed = Signal()
        self._geometry = geometry
        self._observers = Observers()
        self._writing = Writing()
        self._node: Any = None
        self._written_for: tuple[bytes, str] | None = None
        self._use(node_of(volume_node, ROLE_LANDMARKS))

    @property
    def existing_node(self) -> Any:
        """The list if it is in the scene."""
        if self._node is not None and self._node.GetScene() is None:
            self._use(None)
        return self._node

    @property
    def lies_with_volume(self) -> bool:
        """Whether the list is below the transform that its volume is below."""
        node = self.existing_node
        return node is None or node.GetParentTransformNode() is self.volume_node.GetParentTransformNode()

    def read(self, known: Landmarks | None) -> Landmarks | None:
        """The points as they are in the scene; ``known`` itself where they have not been moved, None where one is missing.

        If the volume has got another place, they are put back on their pixels.
        """
        node = self.existing_node
        if node is None or len(placed_points(node)) < 2:
            return None
        if known is not None and self._written_for not in (None, self._place()):
            self.write(known)
            return known
        places = self._geometry.from_world(point_positions(node)[:2])
        if known is not None and np.abs(places - np.array([known.anterior, known.inferior])).max() < _MOVED_PX:
            return known
        anterior, inferior = ((float(x), float(y), float(k)) for x, y, k in places)
        return Landmarks(anterior, inferior, BY_READER)

    def write(self, landmarks: Landmarks | None) -> None:
        """Show these points, or none."""
        node = self.existing_node
        if node is None and landmarks is None:
            return
        if node is None:
            name = _("{name} RV insertion points").format(name=self.volume_node.GetName())
            node = make_node(self.volume_node, "vtkMRMLMarkupsFiducialNode", ROLE_LANDMARKS, name)
            display = prepare_point_display(node, _COLOR, "Diamond2D")
            display.SetTextScale(2.6)
            display.SetSliceProjection(True)  # they count for all slices, so they show in all
            display.SetSliceProjectionOpacity(0.6)
            self._use(node)
        with self._writing:
            node.SetAndObserveTransformNodeID(self.volume_node.GetTransformNodeID())
            places = [] if landmarks is None else [landmarks.anterior, landmarks.inferior]
            with slicer.util.NodeModify(node):
                if node.GetNumberOfControlPoints() != len(places):
                    node.RemoveAllControlPoints()
                for number, (place, label) in enumerate(zip(places, (_("RV anterior"), _("RV inferior")), strict=False)):
                    ras = self._geometry.to_world(np.array([place]))[0]
                    if number < node.GetNumberOfControlPoints():
                        node.SetNthControlPointPositionWorld(number, *ras)
                    else:
                        node.AddControlPointWorld(vtk.vtkVector3d(*ras), label)
            self._written_for = self._place()

    def set_visible(self, visible: bool) -> None:
        """Show or hide them."""
        if self.existing_node is not None:
            self._node.SetDisplayVisibility(visible)

    def close(self) -> None:
        """Observe nothing any more; the list stays."""
        self.changed.clear()
        self._observers.clear()

    def _place(self) -> tuple[bytes, str]:
        return self._geometry.ijk_to_ras().tobytes(), self.volume_node.GetTransformNodeID() or ""

    def _use(self, node: Any) -> None:
        self._observers.clear()
        self._node = node
        if node is not None:
            for event in (slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent, slicer.vtkMRMLMarkupsNode.PointRemovedEvent):
                self._observers.add(node, event, self._on_changed)

    def _on_changed(self, _node: Any) -> None:
        if not self._writing:
            self.changed.emit()


def reversed_landmarks(landmarks: Landmarks | None, axis: int, size: int) -> Landmarks | None:
    """The landmarks of a study whose axis (0: slices, 1: rows, 2: columns) of this size is counted from the other end."""
    if landmarks is None:
        return None
    at, last = (2, size - 1) if axis == 0 else (1, size) if axis == 1 else (0, size)

    def turned(place: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, k = (last - v if n == at else v for n, v in enumerate(place))
        return x, y, k

    return replace(landmarks, anterior=turned(landmarks.anterior), inferior=turned(landmarks.inferior))
