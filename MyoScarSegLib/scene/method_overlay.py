"""The outline of a mask that is looked at and belongs to no study: a segmentation that is not saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

_COLOR = (0.35, 0.95, 0.55)
_SEGMENT = "method"


class MethodOverlay:
    """Shows one mask at a time over the volume of a study."""

    def __init__(self) -> None:
        self._node: Any = None

    def show(self, session: Any, mask: np.ndarray | None) -> None:
        """Outline ``mask``, bool ``[k, row, column]`` of the session's study; None takes the outline away."""
        if mask is None or session is None:
            node, self._node = self._node, None
            if node is not None and node.GetScene() is not None:
                node.GetScene().RemoveNode(node)
            return
        volume = session.volume_node
        if self._node is None or self._node.GetScene() is not volume.GetScene():
            self._node = volume.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", "Reference method")
            self._node.SetSaveWithScene(False)
            self._node.SetHideFromEditors(True)
            self._node.CreateDefaultDisplayNodes()
            self._node.GetSegmentation().AddEmptySegment(_SEGMENT, _SEGMENT, _COLOR)
            display = self._node.GetDisplayNode()
            display.SetSaveWithScene(False)
            display.SetSegmentOpacity2DFill(_SEGMENT, 0.0)
        node = self._node
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        array = np.ascontiguousarray(session.geometry.to_volume(mask.astype(np.uint8)))
        slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, _SEGMENT, volume)
