"""From a case of the library to the scene: to be corrected, or to be looked at with the masks of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.scene import terminology
from MyoScarSegLib.scene.attributes import ROLE, claim, nodes_of
from MyoScarSegLib.scene.demo_scene import add_study
from MyoScarSegLib.scene.session import StudySession
from MyoScarSegLib.scene.text import _
from MyoScarSegLib.training.datasets.dataset import LabelledStudy
from MyoScarSegLib.training.datasets.labelled import CAVITY, INFARCT, MYOCARDIUM, NO_REFLOW
from MyoScarSegLib.training.datasets.library import Library

CASE, CONTENT = "MyoScarSeg.Case", "MyoScarSeg.CaseContent"
"""Attributes of a volume that was opened from a library: the case's name, and the checksum of its image."""
ROLE_COMPARED = "compared"
TRUTH, NEW, USED = "truth", "new", "used"
_SEGMENTS = ((MYOCARDIUM, terminology.MYOCARDIUM), (CAVITY, terminology.BLOOD_POOL), (NO_REFLOW, terminology.NO_REFLOW))
_COLOURS = {TRUTH: (0.30, 0.85, 0.39), NEW: (1.0, 0.69, 0.0), USED: (0.36, 0.68, 1.0)}


def open_case(scene: Any, library: Library, name: str) -> tuple[Any, str]:
    """Put volume and labels of a case into the scene, as if they had been segmented there by hand.

    Returns:
        The volume node (the one that is in the scene already, if it was opened before), and what is to be said of it.

    Raises:
        StudyError: the case cannot be read.
    """
    labelled = _load(library, name)
    volume = opened_volume(scene, library, name)
    if volume is not None:
        return volume, _("{name} is open already.").format(name=name)
    volume = _add_volume(scene, library, labelled)
    session = StudySession.open(volume)
    scar = labelled.labels >= INFARCT
    session.segmentation.write_slices({k: scar[k] for k in range(labelled.study.slices)})
    node = session.segmentation.node
    for number, term in _SEGMENTS:
        mask = labelled.labels == number
        if number == MYOCARDIUM:
            mask = labelled.labels >= MYOCARDIUM  # scar is part of the wall
        if (mask.any() and number == NO_REFLOW) or (number != NO_REFLOW and labelled.wall_known):
            _add_segment(node, volume, session, mask, terminology.terms()[term])
    session.refresh()
    note = ""
    if labelled.study.geometry.slice_positions_mm is not None:
        note = _("The slices of {name} are unevenly spaced; here they are shown evenly, so its numbers differ.").format(name=name)
    return volume, note


def opened_volume(scene: Any, library: Library, name: str) -> Any:
    """The volume node of a case that was opened before and is unchanged since; None if there is none."""
    case = _case(library, name)
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        node = scene.GetNthNodeByClass(number, "vtkMRMLScalarVolumeNode")
        if node.GetAttribute(CASE) == name and node.GetAttribute(CONTENT) == case.image_sha256:
            return node
    return None


def show_compared(scene: Any, library: Library, name: str, masks: Mapping[str, np.ndarray], k: int) -> Any:
    """Show a slice of a case with the outlines of truth, new model and model in use.

    Args:
        scene: the MRML scene.
        library, name: of the case.
        masks: ``truth``, ``new`` and ``used`` to uint8 ``[k, j, i]`` of the study.
        k: the slice.

    Returns:
        The segmentation node with the three; it is not a study's, and not saved with the scene.

    Raises:
        StudyError: the case cannot be read.
    """
    volume = opened_volume(scene, library, name)
    if volume is None:
        volume = _add_volume(scene, library, _load(library, name))
    for old in nodes_of(volume, ROLE_COMPARED):
        scene.RemoveNode(old)
    session = StudySession(volume, watch=False)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", _("{name} compared").format(name=name))
    claim(node, volume, ROLE_COMPARED)
    node.SetSaveWithScene(False)
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.CreateDefaultDisplayNodes()
    titles = {TRUTH: _("Reader"), NEW: _("New model"), USED: _("Model in use")}
    for key, title in titles.items():
        if key in masks:
            segment_id = node.GetSegmentation().AddEmptySegment(key, title, _COLOURS[key])
            slicer.util.updateSegmentBinaryLabelmapFromArray(
                np.ascontiguousarray(session.geometry.to_volume(masks[key]).astype(np.uint8)), node, segment_id, volume
            )
    display = node.GetDisplayNode()
    display.SetVisibility2DFill(False)
    display.SetVisibility2DOutline(True)
    _hide_others(scene, node)
    _show(scene, volume, session, k)
    session.close()
    return node


def _hide_others(scene: Any, shown: Any) -> None:
    """Outlines of other studies would lie over this one: hide those of ours."""
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
        node = scene.GetNthNodeByClass(number, "vtkMRMLSegmentationNode")
        if node is not shown and node.GetAttribute(ROLE) is not None and node.GetDisplayNode() is not None:
            node.SetDisplayVisibility(False)


def _show(scene: Any, volume: Any, session: StudySession, k: int) -> None:
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        scene.GetNthNodeByClass(number, "vtkMRMLSliceCompositeNode").SetBackgroundVolumeID(volume.GetID())
    slices = [scene.GetNthNodeByClass(n, "vtkMRMLSliceNode") for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceNode"))]
    along = [node for node in slices if session.geometry.shows_slices(node)]
    for node in along or slices[:1]:
        session.geometry.align_view(node)
        session.geometry.show_slice(node, k)


def _add_volume(scene: Any, library: Library, labelled: LabelledStudy) -> Any:
    volume = add_study(scene, labelled.study, labelled.case)
    volume.SetAttribute(CASE, labelled.case)
    volume.SetAttribute(CONTENT, _case(library, labelled.case).image_sha256)
    return volume


def _add_segment(node: Any, volume: Any, session: StudySession, mask: np.ndarray, term: terminology.Term) -> None:
    segment_id = node.GetSegmentation().AddEmptySegment("", term.name, term.colour)
    node.GetSegmentation().GetSegment(segment_id).SetTerminology(term.text)
    array = np.ascontiguousarray(session.geometry.to_volume(mask.astype(np.uint8)))
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, segment_id, volume)


def _case(library: Library, name: str) -> Any:
    case = next((case for case in library.scan()[0] if case.case == name), None)
    if case is None:
        raise StudyError(f"The library has no readable case {name}.")
    return case


def _load(library: Library, name: str) -> LabelledStudy:
    return library.load(_case(library, name), edited=True)
