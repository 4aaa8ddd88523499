"""From labeled slices back to studies: what the pipeline takes, with the reference beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.study import Geometry, Study
from MyoScarSegLib.training.datasets.labeled import CAVITY, LabeledSlice
from MyoScarSegLib.training.evaluation.scores import Grid

ASSUMED_PIXEL_MM, ASSUMED_SLICE_MM = 1.4, 10.0
"""Where the data has lost its spacing and a number is needed: EMIDEC's usual one."""


@dataclass(frozen=True)
class Stack:
    """All labeled slices of one stack.

    Attributes:
        case: its name; patient: whose it is.
        study: the images.
        scar: bool ``[k, j, i]``, the reference.
        wall: bool ``[k, j, i]``, the reference's myocardium with its scar; None if it was not drawn.
        cavity: bool ``[k, j, i]``; likewise.
        numbers: what the data set calls the slices.
        grid: sizes, of the data or assumed.
    """

    case: str
    patient: str
    study: Study
    scar: np.ndarray
    wall: np.ndarray | None
    cavity: np.ndarray | None
    numbers: tuple[int, ...]
    grid: Grid


def stacks_of(slices: Iterable[LabeledSlice]) -> list[Stack]:
    """The stacks that slices belong to, sorted by patient and case, their slices by number.

    Raises:
        StudyError: there are no slices, a stack's slices differ in size or spacing, or one of them is there twice.
    """
    by_stack: dict[tuple[str, str], list[LabeledSlice]] = {}
    for one in slices:
        by_stack.setdefault((one.patient, one.stack), []).append(one)
    if not by_stack:
        raise StudyError("There are no labeled slices to evaluate on.")
    return [_stack(patient, case, of) for (patient, case), of in sorted(by_stack.items())]


def _stack(patient: str, case: str, slices: list[LabeledSlice]) -> Stack:
    from MyoScarSegLib.study.checks import recognise_reconstruction

    slices = sorted(slices, key=lambda one: one.index)
    numbers = tuple(one.index for one in slices)
    if len(set(numbers)) < len(numbers):
        twice = sorted({n for n in numbers if numbers.count(n) > 1})
        raise StudyError(f"{case}: slice {twice[0]} is there {numbers.count(twice[0])} times. Give each stack a case of its own.")
    shapes, spacings = {one.image.shape for one in slices}, {one.pixel_spacing_mm for one in slices}
    if len(shapes) > 1 or len(spacings) > 1:
        raise StudyError(f"{case}: its slices differ in size or pixel spacing ({_some(shapes)}; {_some(spacings)} mm).")
    in_plane, between = spacings.pop(), [one.slice_spacing_mm for one in slices]
    assumed = in_plane is None or any(distance is None for distance in between)
    row_mm, column_mm = in_plane or (ASSUMED_PIXEL_MM, ASSUMED_PIXEL_MM)
    extents = np.array([ASSUMED_SLICE_MM if distance is None else distance for distance in between], dtype=np.float64)
    voxels = np.stack([np.asarray(one.image, dtype=np.float32) for one in slices])
    reconstruction, reason = recognise_reconstruction(voxels)
    study = Study(
        case=case,
        voxels=voxels,
        geometry=Geometry((column_mm, row_mm, float(np.median(extents)))),
        reconstruction=reconstruction,
        reconstruction_reason=reason,
    )
    labels = np.stack([one.labels for one in slices])
    known = all(one.wall_known for one in slices)
    wall, cavity = (labels > CAVITY, labels == CAVITY) if known else (None, None)
    grid = Grid((row_mm, column_mm), row_mm * column_mm, extents, assumed)
    return Stack(case, patient, study, np.stack([one.scar for one in slices]), wall, cavity, numbers, grid)


def _some(values: set) -> str:
    return " and ".join(sorted(map(str, values))[:2])
