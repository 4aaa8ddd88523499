"""The files of one case and the tables over all of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.batch.overlay import write_boxes_picture, write_overlay
from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.files import write_bytes, write_json
from MyoScarSegLib.prompts import Box, write_boxes, write_points
from MyoScarSegLib.result import Result
from MyoScarSegLib.study import write_segmentation, write_volume
from MyoScarSegLib.study.study import Study

FORMATS = ("seg.nrrd", "nii.gz", "both")

RESULT_COLUMNS = (
    "case",
    "status",
    "message",
    "slices",
    "slices_with_scar",
    "boxes",
    "scar_pixels",
    "scar_area_mm2",
    "scar_volume_ml",
    "scar_mass_g",
    "pixel_spacing_row_mm",
    "pixel_spacing_column_mm",
    "slice_distance_mm",
    "reconstruction",
    "threshold",
    "detector",
    "detector_sha256",
    "detector_confidence",
    "segmenter",
    "segmenter_sha256",
    "preprocessing",
    "precision",
    "program",
    "seconds",
    "notes",
)
SLICE_COLUMNS = (
    "case",
    "slice",
    "boxes",
    "scar_pixels",
    "scar_area_mm2",
    "slice_extent_mm",
    "scar_volume_ml",
    "scar_mass_g",
    "score",
    "message",
)
_PROVENANCE = (
    "threshold",
    "detector",
    "detector_sha256",
    "detector_confidence",
    "segmenter",
    "segmenter_sha256",
    "preprocessing",
    "precision",
    "program",
)


def write_case(
    folder: Path, result: Result, formats: str = "both", truth: np.ndarray | None = None, *, picture: bool = True
) -> None:
    """Write all files of a segmented case into ``folder``, each atomically.

    ``boxes.json`` (and ``points.json`` if there are points) come first, so that even a disk that fills up leaves the prompts.

    Args:
        folder: made if it is not there.
        result: what to write.
        formats: of the mask: ``seg.nrrd``, ``nii.gz`` or ``both``.
        truth: bool ``[k, j, i]``, drawn into the overlay for comparison.
        picture: draw the overlay, which needs matplotlib; else an earlier one is taken away.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    study = result.study
    write_boxes(folder / "boxes.json", study.case, result.boxes)
    if result.points:
        # Without points a file that is there stays: it may be the user's, for a later run.
        write_points(folder / "points.json", study.case, result.points)
    segmentation, nifti = folder / "scar.seg.nrrd", folder / "scar.nii.gz"
    if formats in ("seg.nrrd", "both"):
        write_segmentation(segmentation, result.mask, study, dict(result.provenance))
    else:
        _remove(segmentation)
    if formats in ("nii.gz", "both"):
        write_volume(nifti, result.mask.astype(np.uint8), study)
    else:
        _remove(nifti)
    write_volume(folder / "probability.nii.gz", result.probability, study)
    if picture:
        write_overlay(folder / "overlay.png", result, truth)
    else:
        _remove(folder / "overlay.png")
    write_json(folder / "result.json", result.summary())


def write_proposal(folder: Path, study: Study, boxes: Iterable[Box]) -> None:
    """Write ``boxes.json`` and a picture of them, ``boxes.png``.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    boxes = list(boxes)
    write_boxes(folder / "boxes.json", study.case, boxes)
    write_boxes_picture(folder / "boxes.png", study, boxes)


def result_row(result: Result, status: str, message: str, seconds: float) -> dict[str, Any]:
    """The row of a case in ``results.csv``."""
    burden, geometry = result.burden, result.study.geometry
    row_mm, column_mm = geometry.pixel_spacing_mm or (None, None)
    area = geometry.pixel_area_mm2
    return {
        "case": result.study.case,
        "status": status,
        "message": message,
        "slices": result.study.slices,
        "slices_with_scar": sum(s.pixels > 0 for s in burden.slices),
        "boxes": len(result.boxes),
        "scar_pixels": burden.pixels,
        "scar_area_mm2": None if area is None else burden.pixels * area,
        "scar_volume_ml": burden.volume_ml,
        "scar_mass_g": burden.mass_g,
        "pixel_spacing_row_mm": row_mm,
        "pixel_spacing_column_mm": column_mm,
        "slice_distance_mm": geometry.slice_distance_mm,
        "reconstruction": result.study.reconstruction.value,
        **{key: result.provenance.get(key) for key in _PROVENANCE},
        "seconds": round(seconds, 2),
        "notes": " ".join(result.study.notes),
    }


def slice_rows(result: Result) -> list[dict[str, Any]]:
    """The rows of a case in ``slices.csv``: every slice, also those without scar."""
    failures = result.all_failures()
    return [
        {
            "case": result.study.case,
            "slice": s.slice,
            "boxes": sum(b.slice == s.slice for b in result.boxes),
            "scar_pixels": s.pixels,
            "scar_area_mm2": s.area_mm2,
            "slice_extent_mm": s.extent_mm,
            "scar_volume_ml": s.volume_ml,
            "scar_mass_g": s.mass_g,
            "score": result.scores.get(s.slice),
            "message": failures.get(s.slice, ""),
        }
        for s in result.burden.slices
    ]


def write_table(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV table atomically; None is an empty field, and numbers keep six significant digits.

    Raises:
        OutputError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})
    write_bytes(path, text.getvalue().encode())


def _remove(stale: Path) -> None:
    """Take away an earlier run's file that would contradict this run's."""
    try:
        stale.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot replace {stale}: {error.strerror}.") from error
