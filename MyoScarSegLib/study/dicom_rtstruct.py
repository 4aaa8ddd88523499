"""Reading contours of DICOM structure sets (RTSTRUCT), as commercial programs write them, onto a study's slices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.dicom_sources import check_frame_of_reference, located
from MyoScarSegLib.study.polygons import filled_curve
from MyoScarSegLib.study.pydicom_guard import parsing_errors
from MyoScarSegLib.study.segments import Segment
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.study.tissue import CAVITY, MYOCARDIUM, WALL, border_named, class_named

_CLOSED, _POINT = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR"), "POINT"
#: Words of contours' names that say nothing of the tissue.
_EMPTY_WORDS = re.compile(r"\b(?:sa|sax|contours?|area|roi|kontur|region|\d+)\b", re.IGNORECASE)


def read_structure_set(path: Path, dataset: Any, study: Study) -> list[Segment]:
    """The regions of a structure set.

    A pixel belongs to a contour that its center lies in; a contour within another one of its region is a hole. Regions of one
    name are one. The endocardium encloses the blood pool; the wall lies between epicardium and endocardium, and is the whole
    epicardium in a slice that has no endocardium (the tip). Regions that say nothing to us, and points, are not checked.

    Args:
        path: of the file.
        dataset: it, as pydicom reads it.
        study: that it was drawn on.

    Raises:
        StudyError: a contour is open or lies in no slice, the endocardium is missing, or the file is damaged.
    """
    try:
        contours = {
            int(item.ReferencedROINumber): item.get("ContourSequence") or () for item in dataset.get("ROIContourSequence") or ()
        }
        found: dict[str, tuple[int | str | None, np.ndarray]] = {}
        if not dataset.get("StructureSetROISequence"):
            raise StudyError(f"{path} is a structure set without any contour.")
        for roi in dataset.StructureSetROISequence:
            name = str(roi.get("ROIName") or f"ROI {roi.ROINumber}").strip()
            means = border_named(name) or _class_named(name)
            check_frame_of_reference(study, str(roi.get("ReferencedFrameOfReferenceUID") or ""), str(path))
            mask = _filled(path, name, contours.get(int(roi.ROINumber), ()), study, needed=means is not None)
            found[name] = means, mask | found[name][1] if name in found else mask
    except parsing_errors() as error:
        raise StudyError(f"{path} is a damaged DICOM structure set ({error}).") from error
    return _with_walls(path, found)


def _with_walls(path: Path, found: dict[str, tuple[int | str | None, np.ndarray]]) -> list[Segment]:
    """The regions, with cavity and wall in the place of the borders."""
    endo, epi = ([name for name, (means, _) in found.items() if means == border] for border in ("endocardium", "epicardium"))
    for names in (endo, epi):
        if len(names) > 1:
            raise StudyError(f"{path} has several contours of one border: {', '.join(names)}. Leave the one that is meant.")
    if epi and not endo:
        raise StudyError(f"{path} has an epicardial contour ({epi[0]}) and no endocardial one, so there is no wall. Draw both.")
    regions = [(name, means, mask) for name, (means, mask) in found.items() if not isinstance(means, str)]
    drawn = {means for _, means, _ in regions}
    if endo and CAVITY not in drawn:
        regions.append((endo[0], CAVITY, found[endo[0]][1]))
    if epi and MYOCARDIUM not in drawn:
        regions.append((WALL.name, MYOCARDIUM, found[epi[0]][1] & ~found[endo[0]][1]))
    return [Segment(name, means, place, mask) for place, (name, means, mask) in enumerate(regions, start=1)]


def _class_named(name: str) -> int | None:
    found = class_named(name)
    if found is None:
        found = class_named(_EMPTY_WORDS.sub(" ", re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name)))
    return found


def _filled(path: Path, name: str, contours: Any, study: Study, needed: bool) -> np.ndarray:
    """bool ``[k, j, i]`` of a region. One that is not ``needed`` is left out of where it cannot be filled."""
    curves: dict[int, list[np.ndarray]] = {}
    for contour in contours:
        kind = str(contour.get("ContourGeometricType") or "").upper()
        points = np.array([float(v) for v in contour.get("ContourData") or ()]).reshape(-1, 3)
        if kind == _POINT or not len(points):
            continue
        at = located(study, points)
        if kind not in _CLOSED:
            if needed:
                where = "" if at is None else f" in slice {at[0]}"
                raise StudyError(
                    f"{path}: the contour {name!r} is open{where}. Close it in the program that drew it, and export again."
                )
            continue
        if at is None:
            if needed:
                raise StudyError(
                    f"{path}: a contour of {name!r} lies in none of the slices of {study.case}: it was drawn on other images."
                )
            continue
        curves.setdefault(at[0], []).append(at[1])
    mask = np.zeros(study.voxels.shape, dtype=bool)
    for k, drawn in curves.items():
        mask[k] = _joined([filled_curve(points, study.slice_shape) for points in drawn])
    return mask


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """What the contours of a region enclose in one slice, those within others being holes (or islands in holes)."""
    once = {part.tobytes(): part for part in parts}  # a contour may be there twice
    larger: list[np.ndarray] = []
    whole = np.zeros_like(parts[0])
    for part in sorted(once.values(), key=np.count_nonzero, reverse=True):
        inside = sum(not (part & ~other).any() for other in larger)
        whole = whole & ~part if inside % 2 else whole | part
        larger.append(part)
    return whole
