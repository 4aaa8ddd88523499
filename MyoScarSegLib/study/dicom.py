"""Reading LGE studies from DICOM."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import NoStackError, StudyError
from MyoScarSegLib.study.dicom_choice import choose, describe_stacks
from MyoScarSegLib.study.dicom_files import dicom_files
from MyoScarSegLib.study.dicom_groups import stacks_of
from MyoScarSegLib.study.dicom_headers import DicomImage, Unreadable, read_images
from MyoScarSegLib.study.dicom_pixels import CannotDecode, forget_frames, pixels_of
from MyoScarSegLib.study.dicom_stacks import DicomStack, geometry_of, heights_mm
from MyoScarSegLib.study.series import Series
from MyoScarSegLib.study.stack import FileStack
from MyoScarSegLib.study.study import Reconstruction, SliceFile
from MyoScarSegLib.utils.words import counted, listed

#: Normals with this cosine are parallel; so few parallel images of another kind are slices gone astray, not a stack.
_PARALLEL, _FEWEST_SLICES = 0.999, 3
_RECONSTRUCTIONS = {"PSIR": Reconstruction.PSIR, "magnitude": Reconstruction.MAGNITUDE}


def list_dicom_series(path: Path) -> list[Series]:
    """Every stack in a DICOM folder or file, the one that :func:`read_dicom` takes by itself marked as chosen.

    Raises:
        StudyError: there is no DICOM image.
    """
    _, entries, _ = _offered(path)
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
    stacks, entries, damaged = _offered(path)
    if series is None:
        patients = {stack.first.patient for stack in stacks}
        if len(patients) > 1:
            raise StudyError(
                f"{path} holds the examinations of {len(patients)} patients. Give each patient's folder by itself, "
                f"or choose a series:\n{_listing(path, entries)}"
            )
        index, why = choose(entries)
        if index is None:
            raise NoStackError(
                f"{path} has no LGE series that can be taken without asking: {why}. "
                f"If one is, choose it:\n{_listing(path, entries)}"
            )
    else:
        index, why = _asked_for(path, series, stacks, entries)
    stack, entry = stacks[index], entries[index]
    if entry.unreadable:
        hint = "" if path.is_dir() else " Give the folder that holds the whole series."
        raise StudyError(f"{path}: series {entry.key} cannot be read as a study: {entry.unreadable}.{hint}")
    notes = _choice_notes(entries, index, series is not None)
    problems, elsewhere = _missing_files(stack, stacks, damaged)
    return replace(_read(path, stack, entry, why, [*notes, *elsewhere]), problems=problems)


def _offered(path: Path) -> tuple[list[DicomStack], list[Series], dict[Path, Unreadable]]:
    """The stacks below ``path``, their descriptions, and the files that ought to be DICOM images and cannot be read."""
    files, others = dicom_files(path) if path.is_dir() else ([path], {})
    damaged = {file: Unreadable(reason) for file, reason in others.items()}
    images: list[DicomImage] = []
    for file in files:
        try:
            images += read_images(file)
        except Unreadable as error:
            damaged[file] = error
    if not images:
        without = len(files) + len(others) - len(damaged)
        raise StudyError(
            f"{path} holds no DICOM image that can be read"
            + (f"; {_named(damaged)}" if damaged else "")
            + (f"; {without} DICOM files have no pixels (give the folder of the images)." if without else ".")
        )
    stacks = stacks_of(images)
    return stacks, describe_stacks(stacks), damaged


def _named(damaged: dict[Path, Unreadable]) -> str:
    """Number, names and reasons of damaged files, for a sentence."""
    shown = listed((f"{file.name} ({error})" for file, error in sorted(damaged.items())), 5)
    return f"{counted(len(damaged), 'file')} cannot be read: {shown}"


def _missing_files(
    stack: DicomStack, stacks: list[DicomStack], damaged: dict[Path, Unreadable]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Problems and notes on damaged files: one that may be a slice of ``stack`` leaves it incomplete."""
    uids = {image.series_uid for image in stack.images}
    folders = {image.file.parent for image in stack.images}
    others = [image for other in stacks if other is not stack for image in other.images]
    known, of_others = {image.series_uid for image in others} - uids, {image.file.parent for image in others} - folders
    ours: dict[Path, Unreadable] = {}
    elsewhere: dict[Path, Unreadable] = {}
    for file, error in damaged.items():
        apart = error.series_uid in known or (error.series_uid not in uids and file.parent in of_others)
        (elsewhere if apart else ours)[file] = error
    problems = [f"{_named(ours)}. It may be a slice of this stack, which then is incomplete."] if ours else []
    if odd := _odd_slices(stack, others):
        files = ", ".join(sorted(image.file.name for image in odd))
        problems.append(
            f"{files} of the same series lies between or beside the slices, but has another matrix, spacing, "
            "kind, orientation or sequence; the stack may be incomplete."
        )
    return tuple(problems), ((f"Of other series, {_named(elsewhere)}.",) if elsewhere else ())


def _odd_slices(stack: DicomStack, others: list[DicomImage]) -> list[DicomImage]:
    """Images that say they are of the stack's series, may lie where it has no slice, and are too few for a stack."""
    first = stack.first
    if first.normal is None or not stack.has_positions:
        return []
    normal, series = first.normal, (first.series_uid, first.series_number, first.text)
    taken = heights_mm(stack.slices)
    odd = [
        image
        for image in others
        if (image.series_uid, image.series_number, image.text) == series
        and (image.normal is None or abs(image.normal @ normal) > _PARALLEL)
        and (image.position is None or np.abs(taken - image.position @ normal).min() > (first.thickness_mm or 1.0) / 2)
    ]
    return odd if len(odd) < _FEWEST_SLICES else []


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
    if not entry.reasons[0].startswith("the name "):
        notes.append(f"Series {entry.key} was taken for LGE by {entry.reasons[0]}; its name does not say so.")
    rivals = [
        other.key
        for other in entries
        if other is not entry and not other.rejected and not other.unreadable and other.evidence and entry.score - other.score < 1
    ]
    if rivals:
        notes.append(f"Series {entry.key} was taken; series {', '.join(rivals)} would do nearly as well (--series chooses).")
    return notes


def _filled_up(array: np.ndarray, whole: list[int]) -> dict[int, str]:
    """Slices of ``whole`` that end in many more rows of one value than most: a transfer that stopped and was filled up."""
    if len(whole) < _FEWEST_SLICES:
        return {}
    rows = array.shape[1]
    blank = {index: int(np.cumprod((array[index] == array[index, -1, -1]).all(axis=1)[::-1]).sum()) for index in whole}
    usual = float(np.median(list(blank.values())))
    return {
        index: f"its last {count} of {rows} rows hold one value, unlike those of the other slices"
        for index, count in blank.items()
        if count > usual + rows / 4
    }


def _read(path: Path, stack: DicomStack, entry: Series, why: str, notes: list[str]) -> FileStack:
    geometry, problem = geometry_of(stack)
    array = np.zeros((len(stack.slices), stack.first.rows, stack.first.columns), dtype=np.float32)
    padding = np.zeros(array.shape, dtype=bool)
    bad: dict[int, str] = {}
    for index, image in enumerate(stack.slices):
        try:
            array[index], pad = pixels_of(image)
        except CannotDecode as error:
            bad[index] = f"its pixels cannot be decoded ({error})"
        else:
            padding[index] = False if pad is None else pad
    forget_frames()
    bad |= _filled_up(array, [index for index in range(len(array)) if index not in bad])
    if len(bad) == len(array):
        raise StudyError(
            f"{path}: no image of series {entry.key} can be decoded: {bad[0]}. The files are damaged, cut short, or compressed "
            "in a way that cannot be read."
        )
    source = {"series": entry.key, "modality": entry.modality, "why_this_series": why, "images": str(len(array))}
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
        padding=padding if padding.any() else None,
        files=tuple(SliceFile(image.file, image.frame) for image in stack.slices),
    )
