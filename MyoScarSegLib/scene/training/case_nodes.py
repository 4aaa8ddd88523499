"""A case of the library and the nodes of its study in the scene: one is made from the other, in both directions.

Which segments are what, and which slices were reviewed, is read from the scene. A case that is opened was read by a process of
its own; the nodes are made in steps between which the application may go on, for each takes some hundredths of a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import slicer

from MyoScarSegLib.errors import SceneError, StudyError
from MyoScarSegLib.prompts import BoxState
from MyoScarSegLib.quantification.ventricle import ventricle_of_labels
from MyoScarSegLib.scene.attributes import nodes_by_class
from MyoScarSegLib.scene.lge_volumes import add_study
from MyoScarSegLib.scene.plain_segments import add_segment
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.study.tissue import CAVITY, INFARCT, MVO, MYOCARDIUM, NO_REFLOW, class_of_segment
from MyoScarSegLib.training.datasets.case_record import Case

CASE, CONTENT = "MyoScarSeg.Case", "MyoScarSeg.CaseContent"
"""Attributes of a volume that was opened from a library: the case's name, and the checksum of its image."""
SCAR_ROLE, MYOCARDIUM_ROLE, BLOOD_POOL_ROLE, NO_REFLOW_ROLE = "scar", "myocardium", "blood_pool", "no_reflow"
_CLASSES = {MYOCARDIUM_ROLE: MYOCARDIUM, BLOOD_POOL_ROLE: CAVITY, SCAR_ROLE: INFARCT, NO_REFLOW_ROLE: NO_REFLOW}
"""In the order in which they are drawn over each other."""


@dataclass(frozen=True)
class SegmentChoice:
    """A segment to choose from; ``role`` is what it seems to be: ``scar``, ``myocardium``, ``blood_pool`` or ``no_reflow``, empty
    if its name says nothing."""

    id: str
    name: str
    role: str


def segments(segmentation_node: Any) -> list[SegmentChoice]:
    """The segments of a segmentation node, each role given to the first that is coded or called so."""
    free = {number: role for role, number in _CLASSES.items()}
    found = []
    segmentation = segmentation_node.GetSegmentation()
    for segment_id in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segment_id)
        name = str(segment.GetName())
        try:
            number = class_of_segment(name, str(segment.GetTerminology() or ""))
        except StudyError:  # name and code contradict each other: the user chooses
            number = None
        found.append(SegmentChoice(str(segment_id), name, "" if number is None else free.pop(number, "")))
    return found


def classes_of(session: StudySession, segmentation_node: Any, segment_ids: Mapping[str, str] | None) -> tuple[np.ndarray, bool]:
    """The labels of a study.

    Args:
        session: of the study.
        segmentation_node: that holds the labels; the study's own one if None.
        segment_ids: role to segment; what the segments' names say if None.

    Returns:
        uint8 ``[k, j, i]`` in the classes of a labeled slice, and whether cavity and myocardium were drawn.

    Raises:
        SceneError: there is no segmentation, no scar in it, or a segment is gone.
    """
    own = session.segmentation.node
    node = own if segmentation_node is None else segmentation_node
    if node is None:
        raise SceneError(_("Nothing is segmented yet. Segment the study, and correct it, before it is added."))
    chosen = dict(segment_ids) if segment_ids is not None else likely_segments(session, node)
    if unknown := sorted(set(chosen) - set(_CLASSES)):
        raise SceneError(_("There is no role {role}; there are {roles}.").format(role=unknown[0], roles=", ".join(_CLASSES)))
    if not chosen.get(SCAR_ROLE):
        raise SceneError(_("None of the segments is called scar. Choose the one that is; in a patient without scar it is empty."))
    if len(set(chosen.values())) < len(chosen):
        raise SceneError(_("One segment was chosen for two roles. Choose another one, or none."))
    classes = np.zeros(session.study.voxels.shape, dtype=np.uint8)
    for role, number in _CLASSES.items():
        if segment_id := chosen.get(role, ""):
            classes[_mask(session, node, segment_id, node is own)] = number
    # A wall that has no voxel yet is not known, whatever segments there are for it.
    known = bool(chosen.get(MYOCARDIUM_ROLE)) and bool(chosen.get(BLOOD_POOL_ROLE)) and bool((classes == CAVITY).any())
    return classes, known


def reviewed(session: StudySession) -> list[int]:
    """Slices that the reader has settled: painted in, or with a decision on each of its boxes, other slices without boxes
    included. None if nothing was decided or painted anywhere: then only the reader knows."""
    edited = set(session.state.edited)
    boxes = [row.box for row in session.state.boxes]
    decided = [box for box in boxes if box.state is not BoxState.PROPOSED and not box.faint]
    if not edited and not decided:
        return []
    undecided = {box.slice for box in boxes if box.state is BoxState.PROPOSED}
    return [k for k in range(session.study.slices) if k in edited or k not in undecided]


def likely_segments(session: StudySession, node: Any) -> dict[str, str]:
    """Role to segment, as far as names, codes and the study say: no wall that a model proposed and no reader has touched, since
    a model would learn from itself."""
    chosen = {choice.role: choice.id for choice in segments(node) if choice.role}
    if node is session.segmentation.node:
        if own := session.segmentation.segment_id:
            chosen[SCAR_ROLE] = own  # whatever the user called it
        if session.state.ventricle.unread:
            chosen = {role: segment for role, segment in chosen.items() if role not in (MYOCARDIUM_ROLE, BLOOD_POOL_ROLE)}
    return chosen


def _mask(session: StudySession, node: Any, segment_id: str, own: bool) -> np.ndarray:
    """bool ``[k, j, i]`` of the study."""
    if own and segment_id == session.segmentation.segment_id:
        return session.mask()
    if node.GetSegmentation().GetSegment(segment_id) is None:
        raise SceneError(_("The segment that was chosen is gone. Choose another one."))
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, session.volume_node)
    if array is None:
        raise SceneError(_("A segment cannot be put onto the volume's voxels. Make binary labelmap its representation."))
    return np.ascontiguousarray(session.geometry.to_study(array)) > 0


@dataclass(frozen=True)
class ReadCase:
    """A case as a process has read it.

    Attributes:
        case: its record.
        study, labels: the stack, and its classes ``[k, j, i]``.
        wall_known: whether cavity and myocardium are labeled.
        window: gray values that are black and white in its pictures.
    """

    case: Case
    study: Study
    labels: np.ndarray
    wall_known: bool
    window: tuple[float, float]


def opened_volume(scene: Any, case: Case) -> Any:
    """The volume node of a case that was opened before and is unchanged since; None if there is none."""
    wanted, volumes = (case.case, case.image_sha256), nodes_by_class(scene, "vtkMRMLScalarVolumeNode")
    return next((node for node in volumes if (node.GetAttribute(CASE), node.GetAttribute(CONTENT)) == wanted), None)


def add_volume(scene: Any, read: ReadCase) -> Any:
    """Put the image of a case into the scene. Returns the volume node."""
    volume = add_study(scene, read.study, read.case.case, read.window)
    volume.SetAttribute(CASE, read.case.case)
    volume.SetAttribute(CONTENT, read.case.image_sha256)
    return volume


def add_labels(volume: Any, read: ReadCase) -> Iterator[None]:
    """Draw the labels of a case over its volume, as if they had been segmented there by hand, in steps.

    Raises:
        StudyError: the volume is no stack of slices, for it was changed meanwhile.
    """
    session = StudySession.open(volume)
    yield
    no_reflow = read.labels == NO_REFLOW
    if read.wall_known:
        wall = ventricle_of_labels(read.labels)
        session.change(_("Open the case"), lambda state: replace(state, ventricle=state.ventricle.taken(wall, no_reflow)))
    yield
    # Last, since a session without scar has no segment of it, and a case without scar has an empty one.
    scar = read.labels >= INFARCT
    session.segmentation.write_slices({k: scar[k] for k in range(read.study.slices)})
    if no_reflow.any() and not read.wall_known:
        node = session.segmentation.ensure_node()
        segment_id = add_segment(node, session.geometry, no_reflow, MVO.meaning, MVO.color)
        node.GetSegmentation().GetSegment(segment_id).SetTerminology(MVO.terminology)
    yield
    session.refresh()
    yield
