"""Walls that the user has already: segments, label maps, and closed curves of the scene, on the voxels of a study."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.scene.attributes import nodes_by_class
from MyoScarSegLib.scene.translation import _, slice_list
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry
from MyoScarSegLib.study.tissue import CAVITY, INFARCT, MYOCARDIUM, NO_REFLOW, class_named, class_of_segment

CURVE = "vtkMRMLMarkupsClosedCurveNode"
_DRAWN_OVER = (CAVITY, MYOCARDIUM, INFARCT, NO_REFLOW)
"""In the order in which they are drawn over each other: segments of a wall may have scar in them."""
_ON_SLICE = 0.5
_LEAST_POINTS = 3


def labels_of_node(node: Any, volume_node: Any, geometry: VolumeGeometry) -> np.ndarray:
    """What a segmentation or a label map shows, as the numbers of :mod:`~MyoScarSegLib.study.tissue`.

    Segments and colors are known by code or name.

    Returns:
        uint8 ``[k, row, column]`` of the study.

    Raises:
        SceneError: there is no left-ventricular myocardium in it, or it lies on other voxels.
        StudyError: name and code of a segment contradict each other.
    """
    parts = _segments(node, volume_node) if node.IsA("vtkMRMLSegmentationNode") else _labels(node, volume_node)
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    for number in _DRAWN_OVER:
        for mask in parts.get(number, ()):
            labels[np.ascontiguousarray(geometry.to_study(mask))] = number
    if not (labels == CAVITY).any():
        # A wall that holds all of the blood pool is an epicardium drawn as a whole.
        for mask in parts.get(CAVITY, ()):
            labels[geometry.to_study(mask) & (labels == MYOCARDIUM)] = CAVITY
    if not (labels == MYOCARDIUM).any():
        raise SceneError(
            _(
                'Nothing in {name} is called left ventricular myocardium. Name the wall\'s segment or color "LV myocardium" and '
                'the blood pool\'s "LV blood pool", and take it again.'
            ).format(name=node.GetName())
        )
    return labels


def curves_of_scene(scene: Any, geometry: VolumeGeometry) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """The closed curves that lie in slices of a study, as endo- and epicardial contours.

    On a slice a curve is what its name says (endo, epi); of two whose names say nothing the larger one is epicardial.

    Returns:
        Slice index to float ``[n, 2]``, x and y in pixel edges, of either border.

    Raises:
        SceneError: there are none, or on a slice it is not clear which curve is which.
    """
    on_slice: dict[int, list[tuple[str, np.ndarray]]] = {}
    for node in nodes_by_class(scene, CURVE):
        if node.GetNumberOfControlPoints() < _LEAST_POINTS:
            continue
        places = geometry.from_world(slicer.util.arrayFromMarkupsCurvePoints(node, world=True))
        k = int(np.floor(places[:, 2].mean() + 0.5))
        if 0 <= k < geometry.shape[0] and np.abs(places[:, 2] - k).max() < _ON_SLICE:
            on_slice.setdefault(k, []).append((str(node.GetName()).lower(), places[:, :2]))
    if not on_slice:
        raise SceneError(
            _("There are no closed curves in the slices of this volume. Draw the endo- and epicardium with the module Markups.")
        )
    endo: dict[int, np.ndarray] = {}
    epi: dict[int, np.ndarray] = {}
    for k, curves in sorted(on_slice.items()):
        named = {word: [places for name, places in curves if word in name] for word in ("endo", "epi")}
        if [len(found) for found in named.values()] == [0, 0] and len(curves) == 2:
            inner, outer = sorted((places for _name, places in curves), key=_area)
            named = {"endo": [inner], "epi": [outer]}
        if sum(map(len, named.values())) != len(curves) or max(map(len, named.values())) > 1:
            raise SceneError(
                _(
                    "On slice {slice} it is not clear which closed curve is the endocardium and which the epicardium. Have two "
                    'there, or write "endo" and "epi" into their names.'
                ).format(slice=k)
            )
        for word, borders in (("endo", endo), ("epi", epi)):
            if named[word]:
                borders[k] = named[word][0]
    alone = sorted(set(endo) - set(epi))
    if alone:
        raise SceneError(_("There is an endocardium and no epicardium on {slices}. Draw it.").format(slices=slice_list(alone)))
    return endo, epi


def _segments(node: Any, volume_node: Any) -> dict[int, list[np.ndarray]]:
    found: dict[int, list[np.ndarray]] = {}
    segmentation = node.GetSegmentation()
    for segment_id in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segment_id)
        number = class_of_segment(str(segment.GetName()), str(segment.GetTerminology() or ""))
        if number in _DRAWN_OVER:
            array = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume_node)
            if array is not None:
                found.setdefault(int(number), []).append(array > 0)
    return found


def _labels(node: Any, volume_node: Any) -> dict[int, list[np.ndarray]]:
    array, own = slicer.util.arrayFromVolume(node), slicer.util.arrayFromVolume(volume_node)
    here, there = (VolumeGeometry(one).to_world(np.eye(4, 3) * 10.0) for one in (node, volume_node))
    if array.shape != own.shape or not np.allclose(here, there, atol=1e-2):
        raise SceneError(
            _(
                "The label map {name} lies on other voxels than the volume {volume}. Import it into a segmentation with the "
                "module Segmentations, and take that."
            ).format(name=node.GetName(), volume=volume_node.GetName())
        )
    display = node.GetDisplayNode()
    colors = None if display is None else display.GetColorNode()
    found: dict[int, list[np.ndarray]] = {}
    for value in np.unique(array[array != 0]):
        name = "" if colors is None else str(colors.GetColorName(int(value)) or "")
        number = class_named(name)
        number = int(value) if number is None and value in _DRAWN_OVER else number  # EMIDEC's numbers, where no name says more
        if number in _DRAWN_OVER:
            found.setdefault(int(number), []).append(array == value)
    return found


def _area(places: np.ndarray) -> float:
    x, y = places.T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)
