"""From what a file holds to a study: slice axis, spacing, and the checks that every format shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.checks import check_intensities, implausible_size, recognize_reconstruction
from MyoScarSegLib.study.padding import fill_padding
from MyoScarSegLib.study.study import Geometry, Reconstruction, SliceFile, Study
from MyoScarSegLib.study.uneven import regular_grid

#: File axis letters in the order of an array ``[k, j, i]``.
_AXES = "kji"

#: The through-plane axis must be this much coarser than the others to be told from them by its spacing alone.
_CLEARLY_COARSER = 1.1


@dataclass(frozen=True)
class FileStack:
    """One 3D image as its file orders it, before any decision.

    Attributes:
        array: ``[k, j, i]`` as in the file, real-valued, after DICOM rescale.
        geometry: of ``array``; ``spacing_mm`` is None where the file has none.
        format: ``"DICOM"``, ``"NIfTI"``, ...
        slice_axis_is_k: the format itself says that ``k`` runs through the slices (DICOM, folders of pictures).
        one_slice_is_enough: a single slice makes a study (pictures).
        spacing_problem: a sentence on the spacing that the format ought to carry and does not.
        spacing_note: the same for formats that never carry spacing.
        reconstruction, reconstruction_reason: PSIR or magnitude if the headers say so.
        source: facts for the provenance record.
        notes: sentences for the reader of the result.
        problems: sentences on what makes the stack incomplete.
        bad_slices: index along ``k`` to reason, for slices that could not be decoded.
        padding: bool like ``array``, pixels with the value that the headers declare as padding; None if they declare none.
        files: the DICOM image of each slice along ``k``; empty for other formats.
    """

    array: np.ndarray
    geometry: Geometry
    format: str
    slice_axis_is_k: bool = False
    one_slice_is_enough: bool = False
    spacing_problem: str = ""
    spacing_note: str = ""
    reconstruction: Reconstruction | None = None
    reconstruction_reason: str = ""
    source: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    bad_slices: dict[int, str] = field(default_factory=dict)
    padding: np.ndarray | None = None
    files: tuple[SliceFile, ...] = ()


def study_from(case: str, stack: FileStack, *, axis: str = "auto", spacing_mm: Sequence[float] | None = None) -> Study:
    """The study that ``stack`` holds.

    Args:
        case: its name.
        stack: voxels and geometry in the file's order.
        axis: the file's axis that runs through the slices, ``"i"``, ``"j"`` or ``"k"``; ``"auto"`` takes the coarsest.
        spacing_mm: ``(i, j, k)`` of the resulting stack, instead of the file's.

    Raises:
        StudyError: the stack is no LGE study; the message says why.
    """
    axes, notes = slice_axis(stack, axis)
    notes = [*stack.notes, *notes]
    problems = [*stack.problems]
    array = np.transpose(stack.array, axes)
    geometry = stack.geometry.transposed(axes)
    if array.shape[0] < 2 and not stack.one_slice_is_enough:
        raise StudyError(
            f"{case}: the study has only one slice ({array.shape[1]} rows, {array.shape[2]} columns); scar is measured on a "
            "stack. Give the whole stack, or name its slice axis with --axis."
        )
    if min(array.shape[1:]) < 2:
        raise StudyError(
            f"{case}: its slices are {array.shape[1]} x {array.shape[2]} pixels, which is no image. Try another --axis."
        )
    if spacing_mm is not None:
        geometry = geometry.even(checked_spacing(spacing_mm))
        if stack.geometry.spacing_mm is not None:
            notes.append(f"The spacing {numbers(spacing_mm)} mm was given by the user instead of the file's.")
    elif stack.spacing_problem:
        problems.append(stack.spacing_problem + " Areas are in pixels, without mL or g; --spacing supplies it.")
    elif stack.spacing_note:
        notes.append(stack.spacing_note)
    if geometry.spacing_mm is not None and geometry.pixel_spacing_mm is not None:
        odd = implausible_size(array.shape, geometry.pixel_spacing_mm, geometry.slice_distance_mm or 0.0)
        if odd and spacing_mm is None:
            # No number is better than one that is wrong a thousandfold.
            geometry = geometry.even(None)
            problems.append(
                f"The spacing cannot be a heart's: {odd}, so its unit is probably not mm. "
                "Areas are in pixels, without mL or g; --spacing supplies the right one."
            )
        elif odd:
            problems.append(f"The spacing that was given cannot be a heart's: {odd}.")
    voxels, bad, found = check_intensities(case, array, stack.bad_slices if axes[0] == 0 else {})
    usable = [index for index in range(len(array)) if index not in bad]
    declared = None if stack.padding is None else np.transpose(stack.padding, axes)
    padding = fill_padding(voxels, declared, usable)
    if padding is not None:
        notes.append(f"{100 * padding.mean():.0f}% of the pixels are padding outside the measured field; they are shown dark.")
    reconstruction, reason = stack.reconstruction, stack.reconstruction_reason
    if reconstruction is None:
        reconstruction, reason = recognize_reconstruction(voxels if padding is None else voxels[~padding])
    return Study(
        case=case,
        voxels=voxels,
        geometry=geometry,
        reconstruction=reconstruction,
        reconstruction_reason=reason,
        file_axes=axes,
        source={"format": stack.format, **stack.source},
        notes=(*notes, *geometry_notes(geometry, array.shape[0]), *found),
        problems=tuple(problems),
        bad_slices=bad,
        files=stack.files if axes == (0, 1, 2) else (),
    )


def checked_spacing(spacing_mm: Sequence[float]) -> tuple[float, float, float]:
    """``(i, j, k)`` as floats; StudyError if they are not three positive, finite numbers."""
    values = tuple(float(value) for value in spacing_mm)
    if len(values) != 3 or not usable_spacing(values):
        raise StudyError(f"The spacing must be three positive numbers in mm (i, j, k), not {numbers(values)}.")
    return values[0], values[1], values[2]


def usable_spacing(values: Sequence[float]) -> bool:
    """Whether every spacing is finite and greater than zero."""
    return all(math.isfinite(value) and value > 0 for value in values)


def numbers(values: Sequence[float]) -> str:
    """Numbers for a sentence: ``1.4 x 1.4 x 10``."""
    return " x ".join(f"{value:.5g}" for value in values)


def geometry_notes(geometry: Geometry, slices: int) -> list[str]:
    """Sentences on gaps, uneven spacing and shear."""
    notes = []
    positions = geometry.slice_positions_mm
    if positions is not None and geometry.spacing_mm is not None:
        gaps = np.abs(np.diff(positions))
        usual = geometry.slice_distance_mm or geometry.spacing_mm[2]
        odd = [index for index, gap in enumerate(gaps) if abs(gap - usual) > 0.01 * usual]
        if 0 < len(odd) <= 3:
            pairs = "; ".join(f"slices {index} and {index + 1} are {gaps[index]:.4g} mm apart" for index in odd)
            notes.append(f"Uneven slice spacing: {pairs}, the others {usual:.4g} mm (slices counted from 0).")
        elif odd:
            notes.append(f"Uneven slice spacing: neighboring slices are {gaps.min():.4g} to {gaps.max():.4g} mm apart.")
    grid = regular_grid(geometry, (slices, 1, 1))
    if grid is not None and grid.geometry.spacing_mm is not None:
        notes.append(
            f"Written masks lie on an even grid with {grid.geometry.spacing_mm[2]:.3g} mm between slices, each acquired slice "
            "repeated over the length it stands for, at its true place; image.nrrd beside them is the image on that grid "
            "(3D Slicer shows an uneven DICOM series evenly, unless its acquisition geometry is regularized)."
        )
    if geometry.spacing_mm is not None and slices > 1:
        distance = geometry.slice_distance_mm
        if distance is not None and distance < 0.999 * geometry.spacing_mm[2]:
            notes.append(
                f"The slices are shifted against each other in plane: their planes are {distance:.4g} mm apart, "
                f"their centers {geometry.spacing_mm[2]:.4g} mm."
            )
    return notes


def slice_axis(stack: FileStack, axis: str = "auto") -> tuple[tuple[int, int, int], list[str]]:
    """Which file axis becomes each axis of the study, as ``Study.file_axes``, and what to say about the choice.

    Raises:
        StudyError: there is no such axis.
    """
    if axis not in ("auto", "i", "j", "k"):
        raise StudyError(f"The slice axis must be auto, i, j or k, not {axis!r}.")
    if axis != "auto":
        return _with_first(_AXES.index(axis)), []
    spacing = stack.geometry.spacing_mm
    if stack.slice_axis_is_k or spacing is None:
        return (0, 1, 2), []
    by_axis = {0: spacing[2], 1: spacing[1], 2: spacing[0]}
    coarsest = max(by_axis, key=lambda file_axis: (by_axis[file_axis], -file_axis))
    others = max(value for file_axis, value in by_axis.items() if file_axis != coarsest)
    if by_axis[coarsest] >= _CLEARLY_COARSER * others:
        notes = []
        if coarsest != 0:
            notes.append(
                f"The slices run along the file's {_AXES[coarsest]} axis, whose spacing is the largest "
                f"({numbers(spacing)} mm along i, j, k); --axis overrides this."
            )
        return _with_first(coarsest), notes
    return (0, 1, 2), [
        f"The spacing ({numbers(spacing)} mm) does not tell the slice axis, so the slices are taken along the file's k axis; "
        "--axis overrides this."
    ]


def _with_first(file_axis: int) -> tuple[int, int, int]:
    rest = [other for other in (0, 1, 2) if other != file_axis]
    return file_axis, rest[0], rest[1]
