"""The DICOM images behind a study: what exported objects refer to, and what masks from elsewhere were drawn on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.dicom_files import dicom_files
from MyoScarSegLib.study.dicom_headers import DicomImage, Unreadable, read_images
from MyoScarSegLib.study.pydicom_guard import import_pydicom, parsing_errors
from MyoScarSegLib.study.study import SliceFile, Study

#: Programs round: so far, as a share of a pixel or in mm, a slice may lie from its image, and so much its axes may turn.
_SAME_PLACE_SHARE, _SAME_PLACE_MM, _SAME_ORIENTATION = 0.1, 0.15, 0.01


def located(study: Study, points: np.ndarray) -> tuple[int, np.ndarray] | None:
    """The slice in whose plane points lie, and where in it.

    Args:
        study: with spacing.
        points: ``[points, 3]``, LPS mm.

    Returns:
        Slice index, and float ``[points, 2]``, ``(x, y)`` in pixel edges, also outside the image; None if they lie in the plane
        of no slice.

    Raises:
        StudyError: the study has no spacing.
    """
    geometry, places = study.geometry, study.geometry.origins_mm(study.slices)
    if geometry.spacing_mm is None:
        raise StudyError(f"{study.case} has no spacing, so nothing can be put on it by its place in the patient.")
    steps = geometry.direction[:, :2] * geometry.spacing_mm[:2]
    heights, slices = points @ geometry.normal, places @ geometry.normal
    k = int(np.abs(slices - heights.mean()).argmin())
    apart = np.abs(np.diff(slices)).min() if len(slices) > 1 else geometry.spacing_mm[2]
    if np.abs(heights - slices[k]).max() > max(_SAME_PLACE_SHARE * apart, _SAME_PLACE_MM):
        return None
    return k, (points - places[k]) @ np.linalg.pinv(steps).T + 0.5


def check_frame_of_reference(study: Study, uid: str, where: str) -> None:
    """Refuse what was drawn in another frame of reference than that of the study's images, if both are known.

    Raises:
        StudyError: they differ.
    """
    ours = frame_of_reference(study)
    if uid and ours and uid != ours:
        raise StudyError(
            f"{where} lies in another frame of reference than the images of {study.case}: it was drawn on another examination, "
            "or on a copy with other UIDs. Give the file that was drawn on these images."
        )


def source_images(study: Study) -> tuple[DicomImage, ...]:
    """What the headers say of the image of each slice, in slice order, read anew from ``study.files``.

    Raises:
        StudyError: the study did not come from DICOM, or its files are gone or changed.
    """
    if len(study.files) != study.slices:
        raise StudyError(
            f"{study.case} is not known to come from DICOM images. Give the folder of the images that it was read from."
        )
    found = []
    images = {path: _images(path, study.case) for path in dict.fromkeys(file.path for file in study.files)}
    for k, file in enumerate(study.files):
        image = next((image for image in images[file.path] if image.frame == file.frame), None)
        if image is None or (image.rows, image.columns) != study.slice_shape:
            raise StudyError(f"{study.case}: the DICOM file of slice {k} has changed since it was read. Read the study again.")
        found.append(image)
    return tuple(found)


def with_files(study: Study, paths: Path | Iterable[Path]) -> Study:
    """The study with the DICOM images that its slices show, found by their place: for one that was loaded from a copy.

    Args:
        study: with spacing.
        paths: files, or a folder of them, searched with its subfolders.

    Raises:
        StudyError: a slice has no image there, or several; or files are damaged.
    """
    if isinstance(paths, Path):
        paths = dicom_files(paths)[0] if paths.is_dir() else [paths]
    geometry, spacing = study.geometry, study.geometry.spacing_mm
    if spacing is None:
        raise StudyError(f"{study.case} has no spacing, so its slices cannot be found among DICOM images.")
    places, axes, near = (
        geometry.origins_mm(study.slices),
        geometry.direction[:, :2].T.ravel(),
        max(_SAME_PLACE_SHARE * min(spacing), _SAME_PLACE_MM),
    )
    found: dict[int, dict[str, SliceFile]] = {}
    for path in paths:
        for image in _images(Path(path), study.case):
            alike = (image.rows, image.columns) == study.slice_shape and image.position is not None
            if not alike or image.orientation is None or np.abs(image.orientation - axes).max() > _SAME_ORIENTATION:
                continue
            distances = np.linalg.norm(places - image.position, axis=1)
            if distances.min() <= near:
                here = found.setdefault(int(distances.argmin()), {})
                here[f"{image.instance_uid} {image.frame}"] = SliceFile(image.file, image.frame)
    for k in range(study.slices):
        if len(found.get(k, ())) != 1:
            what = f"{len(found[k])} images lie" if k in found else "no image lies"
            raise StudyError(
                f"{study.case}: {what} where slice {k} is. Give the folder of the series that it was read from, alone."
            )
    return replace(study, files=tuple(next(iter(found[k].values())) for k in range(study.slices)))


def frame_of_reference(study: Study) -> str:
    """UID of the frame of reference that the study's images have; empty if none is known."""
    if not study.files:
        return ""
    try:
        header = import_pydicom().dcmread(study.files[0].path, stop_before_pixels=True, specific_tags=["FrameOfReferenceUID"])
    except parsing_errors():
        return ""
    return str(header.get("FrameOfReferenceUID") or "")


def _images(path: Path, case: str) -> list[DicomImage]:
    try:
        return read_images(path)
    except (Unreadable, OSError) as error:
        raise StudyError(f"{case}: the DICOM file {path.name} cannot be read ({error}). Are its images still there?") from error
