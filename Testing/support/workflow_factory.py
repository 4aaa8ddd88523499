"""A workflow on a real scene and a real worker with tiny models, and what tests ask about the scene it leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from Testing.support.until import until


def pump_until(workflow: Any, condition: Callable[[], bool], what: str) -> None:
    """Pump a workflow, as the application's timer does, until something is so."""
    until(condition, lambda: f"{what} (status {workflow.status!r}, error {workflow.error!r})", turn=workflow.pump)


def finish(workflow: Any, action: Any) -> Any:
    """Wait for an action that must go well. Returns its result."""
    pump_until(workflow, lambda: action.finished, action.what)
    assert action.state == "done", action.error
    return action.result


def catch_up(workflow: Any) -> None:
    """Wait until no slice waits for its mask."""
    pump_until(workflow, lambda: not workflow.session.pending.slices, "masks of the edited slices")


def encode_all(workflow: Any) -> None:
    """Wait until all slices are encoded."""
    requests = workflow.session.requests
    pump_until(workflow, lambda: requests.encoded[0] == requests.encoded[1] > 0, "encoding")


def scar_in_scene(volume_node: Any, segmentation_node: Any, segment: str = "Scar") -> np.ndarray:
    """bool ``[k, j, i]`` of the volume: the segment as any other module of Slicer reads it; empty if it is not there."""
    import slicer

    segmentation = None if segmentation_node is None else segmentation_node.GetSegmentation()
    segment_id = segmentation and segmentation.GetSegmentIdBySegmentName(segment)
    if not segment_id:
        return np.zeros(slicer.util.arrayFromVolume(volume_node).shape, dtype=bool)
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation_node, segment_id, volume_node) > 0


def paint_in_scene(volume_node: Any, segmentation_node: Any, mask: np.ndarray, segment: str = "Scar") -> None:
    """Write a segment as the Segment Editor would: through the segmentation node, past everything of ours."""
    import slicer

    segment_id = segmentation_node.GetSegmentation().GetSegmentIdBySegmentName(segment)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8, order="C"), segmentation_node, segment_id, volume_node)


def fingerprint(scene: Any) -> dict[str, Any]:
    """All nodes of a scene, with what they hold where that is ours to spoil: to compare before and after."""
    import slicer
    from vtk.util.numpy_support import vtk_to_numpy

    found: dict[str, Any] = {}
    for number in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(number)
        held: Any = node.GetName()
        if node.IsA("vtkMRMLTableNode"):
            table = node.GetTable()
            held = [
                [table.GetValue(row, column).ToString() for column in range(table.GetNumberOfColumns())]
                for row in range(table.GetNumberOfRows())
            ]
        elif node.IsA("vtkMRMLSegmentationNode"):
            held = {}
            segmentation = node.GetSegmentation()
            for segment_id in segmentation.GetSegmentIDs():
                labels = slicer.util.arrayFromSegmentInternalBinaryLabelmap(node, segment_id)
                value = segmentation.GetSegment(segment_id).GetLabelValue()
                held[segment_id] = 0 if labels is None else int((labels == value).sum())
        elif node.IsA("vtkMRMLScalarVolumeNode") and node.GetImageData() is not None:
            scalars = node.GetImageData().GetPointData().GetScalars()
            held = float(vtk_to_numpy(scalars).astype(np.float64).sum())
        elif node.IsA("vtkMRMLMarkupsNode"):
            held = slicer.util.arrayFromMarkupsControlPoints(node).round(4).tolist()
        found[node.GetID()] = held
    return found
