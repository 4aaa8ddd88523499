"""What travels for pictures and reports of scar burden: masks and geometry, and of a report how the masks were made.

The worker has the voxels of the study. Of the patient only what a report is to print goes along, where the reader asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from MyoScarSegLib.engine.messages import boxes_json, boxes_of, by_slice, points_json, points_of, texts
from MyoScarSegLib.engine.protocol import Message, ProtocolError
from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.quantification.aha import InsertionPoints
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.result import Result
from MyoScarSegLib.study.study import Geometry, Study

_MASKS = ("myocardium", "cavity", "no_reflow", "remote")


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


def burden_message(job: BurdenJob) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Fields and arrays of a job."""
    result, geometry = job.result, job.result.study.geometry
    fields: dict[str, Any] = {
        "case": result.study.case,
        "file_axes": list(result.study.file_axes),
        "notes": list(result.study.notes),
        "spacing_mm": None if geometry.spacing_mm is None else [float(v) for v in geometry.spacing_mm],
        "origin_mm": [float(v) for v in geometry.origin_mm],
        "direction": np.asarray(geometry.direction, dtype=float).tolist(),
        "threshold": result.threshold,
        "boxes": boxes_json(result.boxes),
        "points": points_json(result.points),
        "scores": {str(k): float(score) for k, score in result.scores.items()},
        "failed": {str(k): why for k, why in result.failed_slices.items()},
        "provenance": dict(result.provenance),
        "painted": [int(k) for k in result.painted],
        "source": None if job.ventricle is None else job.ventricle.source,
        "insertions": None if job.insertions is None else asdict(job.insertions),
        "levels": None if job.levels is None else {str(k): level for k, level in job.levels.items()},
        "patient": dict(job.patient),
        "reader_s": job.reader_s,
        "images": None if job.images is None else list(job.images),
        "pseudonym": job.pseudonym,
    }
    arrays = {"drawn": result.mask, **{f"p{k}": np.asarray(result.probability[k]) for k in result.scores}}
    if job.ventricle is not None:
        arrays |= {"myocardium": job.ventricle.myocardium, "cavity": job.ventricle.cavity}
    if job.no_reflow is not None:
        arrays["no_reflow"] = job.no_reflow
    if job.remote is not None:
        arrays["remote"] = job.remote
    for name in ("slice_positions_mm", "slice_origins_mm"):
        if (array := getattr(geometry, name)) is not None:
            arrays[name] = np.asarray(array, dtype=float)
    return fields, arrays


def burden_job_of(fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray], study: Study) -> BurdenJob:
    """The inverse of :func:`burden_message`, on the worker's study.

    Raises:
        ProtocolError: it is none.
    """
    try:
        spacing, origin = fields["spacing_mm"], fields["origin_mm"]
        geometry = Geometry(
            None if spacing is None else (float(spacing[0]), float(spacing[1]), float(spacing[2])),
            (float(origin[0]), float(origin[1]), float(origin[2])),
            np.array(fields["direction"], dtype=float).reshape(3, 3),
            arrays.get("slice_positions_mm"),
            arrays.get("slice_origins_mm"),
        )
        probability = np.zeros(study.voxels.shape, dtype=np.float32)
        scores = {int(k): float(score) for k, score in fields["scores"].items()}
        for k in scores:
            probability[k] = arrays[f"p{k}"]
        i, j, k = (int(axis) for axis in fields["file_axes"])
        result = Result(
            replace(study, case=str(fields["case"]), notes=tuple(fields["notes"]), geometry=geometry, file_axes=(i, j, k)),
            probability,
            float(fields["threshold"]),
            tuple(boxes_of(fields["boxes"])),
            tuple(points_of(fields["points"])),
            scores,
            by_slice(fields["failed"]),
            provenance=texts(fields["provenance"]),
            drawn=np.array(arrays["drawn"], dtype=bool),
            painted=tuple(int(k) for k in fields["painted"]),
        )
        masks = {name: np.array(arrays[name], dtype=bool) for name in _MASKS if name in arrays}
        ventricle = Ventricle(masks["myocardium"], masks["cavity"], fields["source"]) if "myocardium" in masks else None
        points, levels, images = fields["insertions"], fields["levels"], fields["images"]
        return BurdenJob(
            result,
            ventricle,
            masks.get("no_reflow"),
            None if points is None else _insertions(points),
            None if levels is None else {int(k): level for k, level in levels.items()},
            texts(fields["patient"]),
            fields["reader_s"],
            None if images is None else tuple(str(path) for path in images),
            fields["pseudonym"],
            masks.get("remote"),
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, MyoScarSegError) as error:
        raise ProtocolError(f"A job of scar burden cannot be read: {error}.") from error


def picture_of(message: Message) -> bytes:
    """The PNG file of a picture's answer."""
    return message.arrays["png"].tobytes()


def _insertions(points: Mapping[str, Any]) -> InsertionPoints:
    anterior, inferior = (tuple(float(v) for v in points[name]) for name in ("anterior_mm", "inferior_mm"))
    return InsertionPoints(anterior, inferior, points["source"])  # type: ignore[arg-type]  # three numbers each
