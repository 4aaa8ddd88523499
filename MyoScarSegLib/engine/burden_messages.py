"""What travels for pictures and reports of scar burden: masks and geometry, and of a report how the masks were made.

The worker has the voxels of the study. Of the patient only what a report is to print goes along, where the reader asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from MyoScarSegLib.engine.messages import masks_of, read_message, with_masks
from MyoScarSegLib.engine.protocol import ProtocolError
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.result import Result, SliceMasks
from MyoScarSegLib.study.patient import Patient
from MyoScarSegLib.study.study import Geometry, Study
from MyoScarSegLib.utils.json_fields import field_types, read, to_json


@dataclass(frozen=True, eq=False)
class BurdenJob:
    """What is to be measured and shown.

    Attributes:
        result: study, and the scar as it is.
        anatomy: the ventricle around it.
        patient: what the report is to print of the patient; None for the case's name alone.
        reader_s: seconds that the reader spent.
        images: paths of the DICOM images that the study was loaded from, for a report with DICOM files; an empty one stands for
            images that are lost. None for a report without.
        pseudonym: of the report, and in its DICOM files instead of the source's patient; True for the case's name, False for the
            case's name on the report and the source's patient in DICOM.
        name: of the case, where it is called otherwise than its study was when that was opened.
    """

    result: Result
    anatomy: Anatomy = field(default_factory=Anatomy)
    patient: Patient | None = None
    reader_s: float | None = None
    images: tuple[str, ...] | None = None
    pseudonym: str | bool = False
    name: str = ""


_OF_JOB = {name: kind for name, kind in field_types(BurdenJob).items() if name != "result"}


@dataclass(frozen=True, eq=False)
class _Sent:
    """What travels of a job's study and result, each as these have it; the job's own fields come beside."""

    case: str
    file_axes: tuple[int, int, int]
    notes: tuple[str, ...]
    geometry: Geometry
    masks: SliceMasks
    drawn: np.ndarray
    threshold: float
    boxes: tuple[Box, ...]
    points: tuple[Point, ...]
    painted: tuple[int, ...]


def burden_message(job: BurdenJob) -> dict[str, Any]:
    """The message of a job."""
    result, study = job.result, job.result.study
    sent = _Sent(
        job.name or study.case, study.file_axes, study.notes, study.geometry, masks_of(result), result.mask, result.threshold,
        result.boxes, result.points, result.painted,
    )  # fmt: skip
    return {**to_json(sent), **{name: to_json(getattr(job, name)) for name in _OF_JOB}}


def burden_job_of(message: Mapping[str, Any], study: Study) -> BurdenJob:
    """The inverse of :func:`burden_message`, on the worker's study; ProtocolError if it is none."""
    sent = read_message(_Sent, message)
    study = replace(study, case=sent.case, notes=sent.notes, geometry=sent.geometry, file_axes=sent.file_axes)
    shown = {"drawn": sent.drawn, "painted": sent.painted}
    result = with_masks(sent.masks, study, sent.boxes, sent.points, sent.threshold, **shown)
    own = {
        name: read(kind, message.get(name), ProtocolError, "A message", name=name, ignore=True) for name, kind in _OF_JOB.items()
    }
    return BurdenJob(result, **own)
