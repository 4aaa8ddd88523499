"""What an input holds, in words and numbers, for ``myoscarseg info``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.reader import list_series, read_study
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.json_fields import to_json


def describe(path: Path | str, series: str | None = None, axis: str = "auto") -> dict[str, Any]:
    """What ``path`` offers and which stack is read from it.

    Args:
        path, series, axis: as :func:`~MyoScarSegLib.study.reader.read_study` takes them.

    Returns:
        JSON types only: ``case``, ``format``, ``series`` (every one found), ``study`` (the one read, or None) and ``error``
        (why none is read, or None). Nothing of the patient.

    Raises:
        StudyError: the path is missing or holds nothing readable at all.
    """
    found = list_series(path)
    study, error = None, None
    try:
        study = read_study(path, series=series, axis=axis)
    except StudyError as reason:
        error = str(reason)
    chosen = None if study is None else study.source.get("series", "1")
    return {
        "input": str(path),
        "series": [{**to_json(entry), "chosen": entry.key == chosen} for entry in found],
        "study": None if study is None else describe_study(study),
        "error": error,
    }


def describe_study(study: Study) -> dict[str, Any]:
    """Geometry, kind, intensities, notes and problems of a study, as JSON types."""
    geometry = study.geometry
    spacing = geometry.spacing_mm
    positions = geometry.slice_positions_mm
    thickness = study.source.get("slice_thickness_mm")
    good = [index for index in range(study.slices) if index not in study.bad_slices]
    values = study.voxels[good]
    low, middle, high = (float(value) for value in np.percentile(values, (1, 50, 99)))
    distance = geometry.slice_distance_mm
    gap = None if thickness is None or distance is None else max(0.0, round(distance - float(thickness), 3))
    return {
        "case": study.case,
        "format": study.source.get("format", ""),
        "series": study.source.get("series"),
        "why_this_series": study.source.get("why_this_series"),
        "slices": study.slices,
        "rows": study.slice_shape[0],
        "columns": study.slice_shape[1],
        "spacing_mm": None if spacing is None else [float(value) for value in spacing],
        "slice_distance_mm": distance,
        "slice_thickness_mm": None if thickness is None else float(thickness),
        "gap_between_slices_mm": gap,
        "slice_positions_mm": None if positions is None else [round(float(value - positions[0]), 3) for value in positions],
        "slice_axis": "kji"[study.file_axes[0]],
        "origin_mm": [float(value) for value in geometry.origin_mm],
        "direction": [[float(value) for value in row] for row in geometry.direction],
        "orientation": orientation_words(geometry.direction),
        "reconstruction": study.reconstruction.value,
        "reconstruction_reason": study.reconstruction_reason,
        "intensity": {"min": float(values.min()), "p1": low, "median": middle, "p99": high, "max": float(values.max())},
        "bad_slices": {str(index): reason for index, reason in study.bad_slices.items()},
        "notes": list(study.notes),
        "problems": list(study.problems),
    }


def orientation_words(direction: np.ndarray) -> str:
    """Where i, j and k point in the patient: ``"i to left, j to posterior, k to superior, oblique by 31°"``."""
    names = (("right", "left"), ("anterior", "posterior"), ("inferior", "superior"))
    words = []
    for axis, column in zip("ijk", direction.T, strict=True):
        main = int(np.argmax(np.abs(column)))
        words.append(f"{axis} to {names[main][int(column[main] > 0)]}")
    oblique = float(np.degrees(np.arccos(min(1.0, np.abs(direction[:, 2]).max()))))
    return ", ".join(words) + (f", oblique by {oblique:.0f}°" if oblique >= 1 else "")
