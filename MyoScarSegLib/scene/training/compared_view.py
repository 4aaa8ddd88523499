"""A slice of a case in the slice views, with the outlines of reader, new model and model in use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import vtk

from MyoScarSegLib.scene.attributes import ROLE, claim, nodes_by_class, nodes_of
from MyoScarSegLib.scene.lge_volumes import study_of
from MyoScarSegLib.scene.plain_segments import add_outlines
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry
from MyoScarSegLib.training.runs.comparison_files import NEW, TRUTH, USED

ROLE_COMPARED = "compared"
_COLORS = {TRUTH: (0.34, 0.71, 0.91), NEW: (0.90, 0.62, 0.0), USED: (0.0, 0.62, 0.45)}
"""Of Okabe and Ito, as the examples of a training have them: reader blue, new model orange."""


class ComparedView:
    """What the slice views show of a comparison, and what they showed before it.

    Outlines, boxes and points of other studies would lie over the picture, for hearts lie in the same place: they are hidden as
    long as it is shown.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._hidden: list[str] = []
        self._views: dict[str, vtk.vtkMatrix4x4] = {}
        self._backgrounds: dict[str, str] = {}
        self._volume = ""

    def show(self, volume: Any, masks: Mapping[str, np.ndarray], k: int) -> Any:
        """Show slice ``k`` of a case, with ``truth``, ``new`` and ``used`` of ``masks``, uint8 ``[k, j, i]`` of the study.

        Returns the segmentation node with the three; it is not a study's, and not saved with the scene.

        Raises:
            StudyError: the volume is no stack of slices.
        """
        geometry = VolumeGeometry(volume, study_of(volume).file_axes)
        for old in nodes_of(volume, ROLE_COMPARED):
            self._scene.RemoveNode(old)
        titles = {TRUTH: _("Reader"), NEW: _("New model"), USED: _("Model in use")}
        shown = {key: (title, _COLORS[key], masks[key]) for key, title in titles.items() if key in masks}
        node = add_outlines(geometry, _("{name} compared").format(name=volume.GetName()), shown)
        claim(node, volume, ROLE_COMPARED)
        self._hide_others(node)
        self._turn_views(volume, geometry, k)
        return node

    def hide(self) -> None:
        """Show again what was shown before; what the user has chosen meanwhile stays."""
        if not self._volume:
            return
        for node in nodes_by_class(self._scene, "vtkMRMLSegmentationNode"):
            if node.GetAttribute(ROLE) == ROLE_COMPARED:
                node.SetDisplayVisibility(False)
        for node_id in self._hidden:
            node = self._scene.GetNodeByID(node_id)
            if node is not None:
                node.SetDisplayVisibility(True)
        for composite in nodes_by_class(self._scene, "vtkMRMLSliceCompositeNode"):
            before = self._backgrounds.get(composite.GetID(), "")
            if before and composite.GetBackgroundVolumeID() == self._volume and self._scene.GetNodeByID(before) is not None:
                composite.SetBackgroundVolumeID(before)
        for view in nodes_by_class(self._scene, "vtkMRMLSliceNode"):
            if view.GetID() in self._views:
                view.GetSliceToRAS().DeepCopy(self._views[view.GetID()])
                view.UpdateMatrices()
        self.forget()

    def forget(self) -> None:
        """The scene was closed, or another study was chosen: there is nothing to go back to."""
        self._hidden, self._volume = [], ""
        self._views, self._backgrounds = {}, {}

    def _hide_others(self, shown: Any) -> None:
        for kind in ("vtkMRMLSegmentationNode", "vtkMRMLMarkupsNode"):
            for node in nodes_by_class(self._scene, kind):
                if node is shown or node.GetAttribute(ROLE) is None or not node.GetDisplayVisibility():
                    continue
                if node.GetAttribute(ROLE) != ROLE_COMPARED:
                    self._hidden.append(node.GetID())
                node.SetDisplayVisibility(False)

    def _turn_views(self, volume: Any, geometry: VolumeGeometry, k: int) -> None:
        first = not self._volume
        self._volume = volume.GetID()
        for composite in nodes_by_class(self._scene, "vtkMRMLSliceCompositeNode"):
            if first:
                self._backgrounds[composite.GetID()] = composite.GetBackgroundVolumeID() or ""
            composite.SetBackgroundVolumeID(volume.GetID())
        views = nodes_by_class(self._scene, "vtkMRMLSliceNode")
        for view in [view for view in views if geometry.shows_slices(view)] or views[:1]:
            if first:
                self._views[view.GetID()] = vtk.vtkMatrix4x4()
                self._views[view.GetID()].DeepCopy(view.GetSliceToRAS())
            geometry.align_view(view)
            geometry.center_view(view, k)
