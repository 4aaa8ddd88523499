"""Masks as segments that are no part of a study: of a reference method, of a comparison, of an opened case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer

from MyoScarSegLib.scene.volume_geometry import VolumeGeometry

Color = tuple[float, float, float]


def add_segment(node: Any, geometry: VolumeGeometry, mask: np.ndarray, title: str, color: Color, segment_id: str = "") -> str:
    """Draw a mask ``[k, row, column]`` of a study as a new segment of a segmentation node. Returns the segment's id."""
    segment_id = str(node.GetSegmentation().AddEmptySegment(segment_id, title, color))
    array = np.ascontiguousarray(geometry.to_volume(mask.astype(np.uint8)))
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, segment_id, geometry.volume_node)
    return segment_id


def add_outlines(geometry: VolumeGeometry, name: str, masks: Mapping[str, tuple[str, Color, np.ndarray]]) -> Any:
    """Show the borders of masks over a study's volume: segment id to title, color and mask ``[k, row, column]``.

    Returns the segmentation node that they are in, which is not saved with the scene.
    """
    volume_node = geometry.volume_node
    node = volume_node.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetSaveWithScene(False)
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetVisibility2DFill(False)
    display.SetVisibility2DOutline(True)
    for segment_id, (title, color, mask) in masks.items():
        add_segment(node, geometry, mask, title, color, segment_id)
    return node
