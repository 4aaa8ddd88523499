"""Reading LGE studies from DICOM."""

from __future__ import annotations

import shlex
import tempfile
import warnings
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.dicom_choice import choose, describe_stacks
from MyoScarSegLib.study.dicom_files import dicom_files
from MyoScarSegLib.study.dicom_headers import DicomImage, read_images
from MyoScarSegLib.study.dicom_stacks import DicomStack, geometry_of, stacks_of
from MyoScarSegLib.study.itk import itk_reason, quiet_itk
from MyoScarSegLib.study.quiet_pydicom import import_pydicom
from MyoScarSegLib.study.series import Series
from MyoScarSegLib.study.stack import FileStack
from MyoScarSegLib.study.study import Reconstruction

_RECONSTRUCTIONS = {"PSIR": Reconstruction.PSIR, "magnitude": Reconstruction.MAGNITUDE}


def list_dicom_series(path: Path) -> list[Series]:
    """Every stack in a DICOM folder or file, the one that :func:`read_dicom` takes by itself marked as chosen.

    Raises:
        StudyError: there is no DICOM image.
    """
    _, entries = _offered(path)
    index, _ = choose(entries)
    return [replace(entry, chosen=number == index) for number, entry in enumerate(entries)]


def read_dicom(path: Path, series: str | None = None) -> FileStack:
    """One stack of a DICOM folder or file.

    Args:
        path: a folder (searched with its subfolders), or one multi-frame file.
        series: key, exact description or instance UID of the series; None picks the short-axis LGE stack.

    Raises:
        StudyError: there is no DICOM image, no LGE series, no such series, or none of its images can be decoded.
    """
    stacks, entries = _offered(path)
    if series is None:
        patients = {stack.first.patient for stack in stacks}
        if len(patients) > 1:
            raise StudyError(
                f"{path} holds the examinations of {len(patients)} patients. Give each patient's folder by itself, "
                f"or choose a series:\n{_listing(path, entries)}"
            )
        index, why = choose(entries)
        if index is None:
            raise StudyError(
                f"{path} has no LGE series that can be taken without asking: {why}. "
                f"If one is, choose it:\n{_listing(path, entries)}"
            )
    else:
        index, why = _asked_for(path, series, stacks, entries)
    stack, entry = stacks[index], entries[index]
    if entry.unreadable:
        hint = "" if path.is_dir() else " Give the folder that holds the whole series."
        raise StudyError(f"{path}: series {entry.key} cannot be read as a study: {entry.unreadable}.{hint}")
    return _read(path, stack, entry, why, _choice_notes(entries, index, series is not None))


def _offered(path: Path) -> tuple[list[DicomStack], list[Series]]:
    files = sorted(dicom_files(path)) if path.is_dir() else [path]
    images = [image for file in files for image in read_images(file)]
    if not images:
        raise StudyError(f"{path} holds no DICOM image that can be read ({len(files)} DICOM files without pixels, or damaged).")
    stacks = stacks_of(images)
    return stacks, describe_stacks(stacks)


def _asked_for(path: Path, series: str, stacks: list[DicomStack], entries: list[Series]) -> tuple[int, str]:
    """The stack that the caller named, by key, number of a series with several stacks, UID or description."""
    wanted = series.strip().lower()
    for matches, what in (
        ([n for n, entry in enumerate(entries) if entry.key.lower() == wanted], "key"),
        ([n for n, stack in enumerate(stacks) if stack.first.series_uid == series.strip()], "UID"),
        ([n for n, entry in enumerate(entries) if entry.key.split(".")[0].lower() == wanted], "number"),
        ([n for n, entry in enumerate(entries) if entry.description.lower() == wanted], "description"),
    ):
        if len(matches) == 1 or (matches and what in ("UID", "number")):
            best = max(matches, key=lambda n: (not entries[n].unreadable, not entries[n].rejected, entries[n].score))
            return best, "chosen by the user"
        if matches:
            keys = ", ".join(entries[n].key for n in matches)
            raise StudyError(f"{path}: several series have the description {series!r}; choose by key: {keys}.")
    raise StudyError(f"{path} has no series {series!r}. It has:\n{_listing(path, entries)}")


def _listing(path: Path, entries: list[Series]) -> str:
    """Every series, what speaks against it, and the command that chooses it."""
    lines = []
    for entry in entries:
        against = entry.unreadable or entry.rejected or ("" if entry.evidence else entry.reasons[-1])
        lines.append(f"  {entry}" + (f": {against}" if against else ""))
        if not entry.unreadable:
            lines.append(f"    myoscarseg segment {shlex.quote(str(path))} --series {shlex.quote(entry.key)} -o OUT")
    return "\n".join(lines)


def _choice_notes(entries: list[Series], index: int, asked: bool) -> list[str]:
    entry = entries[index]
    if asked:
        against = entry.rejected or ("" if entry.evidence else entry.reasons[-1])
        return [f"Series {entry.key} was chosen by the user; it does not look like short-axis LGE: {against}."] if against else []
    notes = []
    rivals = [
        other.key
        for other in entries
        if other is not entry and not other.rejected and not other.unreadable and other.evidence and entry.score - other.score < 1
    ]
    if rivals:
        notes.append(f"Series {entry.key} was taken; series {', '.join(rivals)} would do nearly as well (--series chooses).")
    return notes


def _read(path: Path, stack: DicomStack, entry: Series, why: str, notes: list[str]) -> FileStack:
    geometry, problem = geometry_of(stack)
    slices: list[np.ndarray | None] = []
    bad: dict[int, str] = {}
    for index, image in enumerate(stack.slices):
        try:
            slices.append(_pixels(image))
        except _CannotDecode as error:
            slices.append(None)
            bad[index] = f"its pixels cannot be decoded ({error})"
    _frames_of.cache_clear()
    shape = (stack.first.rows, stack.first.columns)
    if len(bad) == len(slices):
        raise StudyError(
            f"{path}: no image of series {entry.key} can be decoded: {bad[0]}. The files are damaged, cut short, or compressed "
            "in a way that cannot be read."
        )
    array = np.stack([np.zeros(shape, dtype=np.float32) if pixels is None else pixels for pixels in slices])
    source = {"series": entry.key, "modality": entry.modality, "why_this_series": why, "images": str(len(slices))}
    thickness = [image.thickness_mm for image in stack.slices if image.thickness_mm]
    if thickness:
        source["slice_thickness_mm"] = f"{float(np.median(thickness)):g}"
    return FileStack(
        array=array,
        geometry=geometry,
        format="DICOM",
        slice_axis_is_k=True,
        spacing_problem=problem,
        reconstruction=_RECONSTRUCTIONS.get(stack.first.kind),
        reconstruction_reason=stack.first.kind_reason,
        source=source,
        notes=(*notes, *stack.notes),
        bad_slices=bad,
    )


class _CannotDecode(Exception):
    """The pixels of one image cannot be had; the text says why in a few words."""


def _pixels(image: DicomImage) -> np.ndarray:
    """float32 ``[rows, columns]`` after rescale, with bright scar whatever the photometric interpretation."""
    if image.frame is not None or image.photometric == "MONOCHROME1":
        frames = _frames_of(image.file)
        frame = image.frame or 0
        if frame >= len(frames):
            raise _CannotDecode("the file is cut short")
        stored = frames[frame].astype(np.float64)
        return (stored * image.slope + image.intercept).astype(np.float32)
    # SimpleITK applies slope and intercept.
    pixels = _decoded(image.file)[0]
    if pixels.shape != (image.rows, image.columns):
        raise _CannotDecode(f"it has {pixels.shape[0]} x {pixels.shape[1]} pixels, not {image.rows} x {image.columns}")
    return pixels.astype(np.float32)


@lru_cache(maxsize=1)
def _frames_of(file: Path) -> np.ndarray:
    """Stored values ``[frame, row, column]`` of a file, MONOCHROME1 inverted, before any rescale.

    Each frame of an enhanced file may have a rescale of its own, of which SimpleITK applies the first to all, and it
    fails to invert signed values of 12 bits; so the file is decoded from a copy that asks for neither.
    """
    pydicom = import_pydicom()
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(file, force=True)
            inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1"
            low = -(1 << (dataset.BitsStored - 1)) if dataset.PixelRepresentation == 1 else 0
            _forget_rescale(dataset)
            dataset.PhotometricInterpretation = "MONOCHROME2"
            copy = Path(folder, "frames.dcm")
            dataset.save_as(copy)
        except (OSError, ValueError, TypeError, AttributeError, KeyError, EOFError) as error:
            raise _CannotDecode(str(error).split("\n")[0][:100]) from error
        frames = _decoded(copy)
    return low + (low + (1 << dataset.BitsStored) - 1) - frames.astype(np.int64) if inverted else frames


def _forget_rescale(dataset: Any) -> None:
    for name in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
        if name in dataset:
            delattr(dataset, name)
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for item in dataset.get(groups) or []:
            for name in ("PixelValueTransformationSequence", "RealWorldValueMappingSequence"):
                if name in item:
                    delattr(item, name)


def _decoded(file: Path) -> np.ndarray:
    """``[frame, row, column]`` as SimpleITK gives it."""
    import SimpleITK as sitk

    with quiet_itk():
        try:
            image = sitk.ReadImage(str(file), imageIO="GDCMImageIO")
        except RuntimeError as error:
            raise _CannotDecode(itk_reason(error)) from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise _CannotDecode("it is in colour")
    array = sitk.GetArrayFromImage(image)
    return array[None] if array.ndim == 2 else array
