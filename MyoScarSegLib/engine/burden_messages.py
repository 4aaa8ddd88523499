"""What travels for pictures and reports of scar burden: masks and geometry, and of a report how the masks were made.

The worker has the voxels of the study. Of the patient only what a report is to print goes along, where the reader asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from MyoScarSegLib.engine.protocol import ProtocolError
from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.quantification.aha import InsertionPoints, Level
from MyoScarSegLib.quantification.ventricle import Source, Ventricle
from MyoScarSegLib.result import Result
from MyoScarSegLib.study.study import Geometry, Study
from MyoScarSegLib.utils.json_fields import read, to_json

_MASKS = ("myocardium", "cavity", "no_reflow", "remote")
_Place = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class BurdenJob:
    """What is to be measured and shown.

    Attributes:
        result: study, and the scar as it is.
        ventricle: None without a wall.
        no_reflow: bool ``[k, j, i]``; None if none is drawn.
        insertions: None without landmarks.
        levels: slice index to level, as the reader set them; None for the rules.
        patient: what the report is to print of the patient; empty for the case's name alone.
        reader_s: seconds that the reader spent.
        images: paths of the DICOM images that the study was loaded from, for a report with DICOM files; an empty one stands for
            images that are lost. None for a report without.
        pseudonym: of the report, and in its DICOM files instead of the source's patient; True for the case's name, False for the
            case's name on the report and the source's patient in DICOM.
        remote: bool ``[k, j, i]``, remote myocardium as the reader drew it; None for the proposed one.
    """

    result: Result
    ventricle: Ventricle | None = None
    no_reflow: np.ndarray | None = None
    insertions: InsertionPoints | None = None
    levels: Mapping[int, Any] | None = None
    patient: Mapping[str, str] = field(default_factory=dict)
    reader_s: float | None = None
    images: tuple[str, ...] | None = None
    pseudonym: str | bool = False
    remote: np.ndarray | None = None


@dataclass(frozen=True)
class _Sent:
    """What travels of a job beside its arrays, each as study, geometry, result, ventricle or job have it."""

    case: str
    file_axes: tuple[int, int, int]
    notes: tuple[str, ...]
    spacing_mm: _Place | None
    origin_mm: _Place
    direction: tuple[_Place, _Place, _Place]
    threshold: float
    boxes: tuple[Box, ...]
    points: tuple[Point, ...]
    scores: Mapping[int, float]
    failed_slices: Mapping[int, str]
    provenance: Mapping[str, str]
    painted: tuple[int, ...]
    source: Source | None
    insertions: InsertionPoints | None
    levels: Mapping[int, Level] | None
    patient: Mapping[str, str]
    reader_s: float | None
    images: tuple[str, ...] | None
    pseudonym: str | bool


def burden_message(job: BurdenJob) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Fields and arrays of a job."""
    result, study, geometry, ventricle = job.result, job.result.study, job.result.study.geometry, job.ventricle
    sent = _Sent(
        study.case, study.file_axes, study.notes, geometry.spacing_mm, geometry.origin_mm, geometry.direction.tolist(),
        result.threshold, result.boxes, result.points, result.scores, result.failed_slices, result.provenance, result.painted,
        None if ventricle is None else ventricle.source,
        job.insertions, job.levels, job.patient, job.reader_s, job.images, job.pseudonym,
    )  # fmt: skip
    arrays = {"drawn": result.mask, **{f"p{k}": np.asarray(result.probability[k]) for k in result.scores}}
    masks = (*((None, None) if ventricle is None else (ventricle.myocardium, ventricle.cavity)), job.no_reflow, job.remote)
    arrays |= {name: mask for name, mask in zip(_MASKS, masks, strict=True) if mask is not None}
    for name in ("slice_positions_mm", "slice_origins_mm"):
        if (array := getattr(geometry, name)) is not None:
            arrays[name] = np.asarray(array, dtype=float)
    return to_json(sent), arrays


def burden_job_of(fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray], study: Study) -> BurdenJob:
    """The inverse of :func:`burden_message`, on the worker's study.

    Raises:
        ProtocolError: it is none.
    """
    sent = read(_Sent, fields, ProtocolError, "A job of scar burden", ignore=True)
    try:
        positions, origins = arrays.get("slice_positions_mm"), arrays.get("slice_origins_mm")
        geometry = Geometry(sent.spacing_mm, sent.origin_mm, np.array(sent.direction), positions, origins)
        probability = np.zeros(study.voxels.shape, dtype=np.float32)
        for k in sent.scores:
            probability[k] = arrays[f"p{k}"]
        result = Result(
            replace(study, case=sent.case, notes=sent.notes, geometry=geometry, file_axes=sent.file_axes),
            probability,
            sent.threshold,
            sent.boxes,
            sent.points,
            sent.scores,
            sent.failed_slices,
            provenance=sent.provenance,
            drawn=np.array(arrays["drawn"], dtype=bool),
            painted=sent.painted,
        )
        wall, cavity, no_reflow, remote = (np.array(arrays[m], dtype=bool) if m in arrays else None for m in _MASKS)
        ventricle = None if wall is None or cavity is None or sent.source is None else Ventricle(wall, cavity, sent.source)
    except (KeyError, ValueError, IndexError, MyoScarSegError) as error:
        raise ProtocolError(f"A job of scar burden cannot be read: {error}.") from error
    return BurdenJob(
        result,
        ventricle,
        no_reflow,
        sent.insertions,
        sent.levels,
        sent.patient,
        sent.reader_s,
        sent.images,
        sent.pseudonym,
        remote,
    )
