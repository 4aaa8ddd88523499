"""Reading DICOM segmentations (SEG), binary, fractional or as a label map, onto a study's grid."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.dicom_sources import check_frame_of_reference, located
from MyoScarSegLib.study.pydicom_guard import import_pydicom, parsing_errors
from MyoScarSegLib.study.segments import Segment
from MyoScarSegLib.study.study import Geometry, Study
from MyoScarSegLib.study.tissue import class_of_segment

#: Designators that scheme SRT (SNOMED's codes of before) had.
_OLD_SCHEMES = ("SNM3", "99SDM")
#: Rounding of coordinates, as a share of a pixel over the whole frame.
_SAME_PLACE_SHARE = 0.1
#: Rounding of what all frames of a stack share: size, spacing in mm, and axes.
_SAME_GRID = 1e-4
#: What says where a frame lies.
_WHERE = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")


def read_dicom_segmentation(path: Path, dataset: Any, study: Study) -> list[Segment]:
    """The segments of a DICOM segmentation.

    A frame may be cropped, mirrored or turned against the image, as long as its pixels are the image's. Of a fractional one what
    is at least half counts. Frames without a pixel are not looked at.

    Args:
        path: of the file.
        dataset: it, as pydicom reads it.
        study: that it was drawn on.

    Raises:
        StudyError: it cannot be decoded, is damaged, or was not drawn on this study's slices.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_frame_of_reference(study, str(dataset.get("FrameOfReferenceUID") or ""), str(path))
            described = {int(item.SegmentNumber): item for item in dataset.SegmentSequence if int(item.SegmentNumber) > 0}
            masks = {number: np.zeros(study.voxels.shape, dtype=bool) for number in described}
            for number, group, frame in _frames(path, dataset, sorted(described)):
                if number not in masks:
                    raise StudyError(f"{path} is damaged: a frame is of segment {number}, which is not described.")
                _put(path, dataset, group, frame, masks[number], study)
            return [
                Segment(_name(item), _class(path, item), place, masks[number])
                for place, (number, item) in enumerate(sorted(described.items()), start=1)
            ]
    except parsing_errors() as error:
        raise StudyError(f"{path} is a damaged DICOM segmentation ({error}).") from error


def grid_of_frames(paths: Sequence[Path]) -> tuple[tuple[int, int, int], Geometry] | None:
    """Shape ``[k, j, i]`` and geometry of the stack whose slices the frames of segmentations lie on, from the first to the last.

    None if the files do not say it: one is no segmentation, or does not say the distance between slices, or that is nowhere the
    distance between frames, or the frames are no equal pieces of one upright stack.
    """
    frames: list[np.ndarray] = []
    worlds: set[str] = set()
    try:
        for path in paths:
            dataset = import_pydicom().dcmread(path, force=True, stop_before_pixels=True)
            if str(dataset.get("Modality") or "").upper() != "SEG":
                return None
            size = int(dataset.Rows), int(dataset.Columns)
            worlds.add(str(dataset.FrameOfReferenceUID))
            for group in dataset.PerFrameFunctionalGroupsSequence:
                place, plane, measures = (_found(dataset, group, name) for name in _WHERE)
                numbers = [
                    *size,
                    *measures.PixelSpacing,
                    measures.SpacingBetweenSlices,
                    *plane.ImageOrientationPatient,
                    *place.ImagePositionPatient,
                ]
                frames.append(np.array([float(number) for number in numbers]))
    except parsing_errors():
        return None
    if len(worlds) != 1 or not frames or np.ptp([frame[:-3] for frame in frames], axis=0).max() > _SAME_GRID:
        return None
    rows, columns, between_rows, between_columns, between_slices, *plane_axes = frames[0][:-3]
    row, column = np.array(plane_axes).reshape(2, 3)
    normal = np.cross(row, column)
    places = np.array([frame[-3:] for frame in frames])
    heights = (places - places[0]) @ normal / between_slices
    if not np.isfinite(heights).all():
        return None
    steps = np.round(heights).astype(int)
    if np.ptp(steps) and np.diff(np.unique(steps)).min() != 1:
        return None
    exact = places[0] + np.outer(steps, normal * between_slices)
    if np.abs(places - exact).max() > _SAME_PLACE_SHARE * min(between_rows, between_columns):
        return None
    x, y, z = (float(value) for value in exact[steps.argmin()])
    direction = np.column_stack([row, column, normal])
    shape = int(np.ptp(steps)) + 1, int(rows), int(columns)
    return shape, Geometry((float(between_columns), float(between_rows), float(between_slices)), (x, y, z), direction)


def _frames(path: Path, dataset: Any, numbers: list[int]) -> Iterator[tuple[int, Any, np.ndarray]]:
    """Segment number, functional groups, and bool ``[row, column]`` of each frame that is not empty."""
    kind = str(dataset.get("SegmentationType") or "BINARY").upper()
    try:
        stored = dataset.pixel_array
    except parsing_errors() as error:
        raise StudyError(f"The pixels of {path} cannot be decoded ({error}). Write it without compression.") from error
    stored = stored.reshape(-1, *stored.shape[-2:])
    least = 0.5 * float(dataset.get("MaximumFractionalValue") or 1) if kind == "FRACTIONAL" else 0.5
    for frame, group in zip(stored, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        if kind == "LABELMAP":
            for number in np.unique(frame[frame > 0]):
                yield int(number), group, frame == number
        elif (mask := frame >= least).any():
            item = _found(dataset, group, "SegmentIdentificationSequence")
            yield int(numbers[0] if item is None else item.ReferencedSegmentNumber), group, mask


def _found(dataset: Any, group: Any, sequence: str) -> Any:
    """The first item of a sequence, of the frame or of all frames; None if it is in neither."""
    for place in (group, *(dataset.get("SharedFunctionalGroupsSequence") or ())[:1]):
        if items := place.get(sequence):
            return items[0]
    return None


def _put(path: Path, dataset: Any, group: Any, frame: np.ndarray, mask: np.ndarray, study: Study) -> None:
    """Draw a frame into the mask of the whole study."""
    place, plane, measures = (_found(dataset, group, name) for name in _WHERE)
    if place is None or plane is None or measures is None:
        raise StudyError(f"{path} does not say where its frames lie in the patient, so it cannot be put on {study.case}.")
    origin = np.array([float(v) for v in place.ImagePositionPatient])
    row, column = np.array([float(v) for v in plane.ImageOrientationPatient]).reshape(2, 3)
    between_rows, between_columns = (float(v) for v in measures.PixelSpacing)
    last_row, last_column = frame.shape[0] - 1, frame.shape[1] - 1
    corners = origin + np.array([[0, 0], [last_column, 0], [0, last_row]]) @ np.stack(
        [row * between_columns, column * between_rows]
    )
    found = located(study, corners)
    if found is None:
        raise StudyError(f"{path} has a frame in none of the slices of {study.case}: it was drawn on other images, or resampled.")
    k, at = found[0], found[1] - 0.5
    along_row, along_column = (at[1] - at[0]) / max(last_column, 1), (at[2] - at[0]) / max(last_row, 1)
    turn = np.round(np.column_stack([along_row, along_column]))
    start = np.round(at[0])
    exact = start + np.array([[0, 0], [last_column, 0], [0, last_row]]) @ turn.T
    if np.abs(exact - at).max() > _SAME_PLACE_SHARE or abs(round(np.linalg.det(turn))) != 1:
        raise StudyError(
            f"{path} has other pixels than the images of {study.case}: another spacing or direction. Resample it to the images, "
            "or give the segmentation that was drawn on them."
        )
    j, i = np.nonzero(frame)
    x, y = (start[:, None] + turn @ np.stack([i, j])).astype(int)
    if min(x.min(), y.min()) < 0 or x.max() >= mask.shape[2] or y.max() >= mask.shape[1]:
        raise StudyError(f"{path} reaches beyond the images of {study.case}: it was drawn on others.")
    mask[k, y, x] = True


def _name(item: Any) -> str:
    return str(item.get("SegmentLabel") or item.get("SegmentDescription") or f"Segment {item.SegmentNumber}").strip()


def _class(path: Path, item: Any) -> int | None:
    parts = [
        _code(item.get(name))
        for name in ("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence", "AnatomicRegionSequence")
    ]
    try:
        return class_of_segment(_name(item), f"~{parts[0]}~{parts[1]}~^^~~{parts[2]}~^^")
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from error


def _code(sequence: Any) -> str:
    if not sequence:
        return "^^"
    scheme = str(sequence[0].get("CodingSchemeDesignator") or "")
    return f"{'SRT' if scheme in _OLD_SCHEMES else scheme}^{sequence[0].get('CodeValue') or ''}^"
