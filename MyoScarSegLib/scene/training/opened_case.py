"""From a case of the library to the scene, to be corrected there.

A process of its own has read the case. What is left takes an application's main thread some hundredths of a second for each
node, so it is done in steps between which the application may go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from MyoScarSegLib.scene import terminology
from MyoScarSegLib.scene.demo_scene import add_study
from MyoScarSegLib.scene.session import StudySession
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.training.datasets.case_record import Case
from MyoScarSegLib.training.datasets.labeled import CAVITY, INFARCT, MYOCARDIUM, NO_REFLOW

CASE, CONTENT = "MyoScarSeg.Case", "MyoScarSeg.CaseContent"
"""Attributes of a volume that was opened from a library: the case's name, and the checksum of its image."""
_SEGMENTS = ((MYOCARDIUM, terminology.MYOCARDIUM), (CAVITY, terminology.BLOOD_POOL), (NO_REFLOW, terminology.NO_REFLOW))


@dataclass(frozen=True)
class ReadCase:
    """A case as a process has read it.

    Attributes:
        case: its record.
        study, labels: the stack, and its classes ``[k, j, i]``.
        wall_known: whether cavity and myocardium are labeled.
        window: grey values that are black and white in its pictures.
    """

    case: Case
    study: Study
    labels: np.ndarray
    wall_known: bool
    window: tuple[float, float]


def opened_volume(scene: Any, case: Case) -> Any:
    """The volume node of a case that was opened before and is unchanged since; None if there is none."""
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        node = scene.GetNthNodeByClass(number, "vtkMRMLScalarVolumeNode")
        if node.GetAttribute(CASE) == case.case and node.GetAttribute(CONTENT) == case.image_sha256:
            return node
    return None


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
    scar = read.labels >= INFARCT
    session.segmentation.write_slices({k: scar[k] for k in range(read.study.slices)})
    node = session.segmentation.node
    for number, term in _SEGMENTS:
        yield
        mask = read.labels == number
        if number == MYOCARDIUM:
            mask = read.labels >= MYOCARDIUM  # scar is part of the wall
        if (mask.any() and number == NO_REFLOW) or (number != NO_REFLOW and read.wall_known):
            _add_segment(node, volume, session, mask, terminology.terms()[term])
    yield
    session.refresh()
    yield


def _add_segment(node: Any, volume: Any, session: StudySession, mask: np.ndarray, term: terminology.Term) -> None:
    segment_id = node.GetSegmentation().AddEmptySegment("", term.name, term.colour)
    node.GetSegmentation().GetSegment(segment_id).SetTerminology(term.text)
    array = np.ascontiguousarray(session.geometry.to_volume(mask.astype(np.uint8)))
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, segment_id, volume)
