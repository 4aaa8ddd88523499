"""Slices and studies with their reference labels, and a data set of them: what every labeled folder is read into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.phantom import phantom_slices
from MyoScarSegLib.study.stack import FileStack, study_from
from MyoScarSegLib.study.study import Geometry, Study
from MyoScarSegLib.study.tissue import BACKGROUND, CAVITY, INFARCT, MYOCARDIUM

if TYPE_CHECKING:
    from MyoScarSegLib.training.splits import Split

#: Slice numbers that leave more than this factor between them are no numbers of slices.
_SPARSE = 2


@dataclass(frozen=True)
class LabeledSlice:
    """One LGE slice with its reference labels.

    Attributes:
        patient: code of the patient in the data set; all slices of one patient carry the same.
        index: number of the slice in its stack.
        image: ``[rows, columns]`` raw values.
        labels: ``[rows, columns]`` uint8: 0 background, 1 cavity, 2 normal myocardium, 3 infarct, 4 no-reflow.
        pixel_spacing_mm: ``(row, column)`` spacing; None if the data has lost it.
        slice_spacing_mm: distance from slice to slice; None if unknown.
        wall_known: whether cavity and myocardium are labeled too; where only scar was drawn, everything else is 0.
        case: name of the stack, where a patient may have several (follow-up exams); empty means the patient's only one.
    """

    patient: str
    index: int
    image: np.ndarray
    labels: np.ndarray
    pixel_spacing_mm: tuple[float, float] | None = None
    slice_spacing_mm: float | None = None
    wall_known: bool = True
    case: str = ""

    @property
    def stack(self) -> str:
        """What all slices of one stack share, and no others: the case, or the patient with a single one."""
        return self.case or self.patient

    @property
    def scar(self) -> np.ndarray:
        """``[rows, columns]`` bool: infarct, no-reflow included."""
        return self.labels >= INFARCT

    @property
    def left_ventricle(self) -> np.ndarray:
        """``[rows, columns]`` bool: all within the epicardium, as far as it is labeled."""
        return self.labels > BACKGROUND


@dataclass(frozen=True)
class LabeledStudy:
    """One slice stack with its reference labels.

    Attributes:
        case: name of the stack in its data set; a patient may have several.
        patient: code of the patient.
        study: the stack.
        labels: uint8 ``[k, j, i]``, shaped like ``study.voxels``, in the classes of
            :class:`LabeledSlice`.
        wall_known: whether cavity and myocardium are labeled too.
        reviewed: numbers of the slices that a reader has looked at; None for all. The others are neither trained on nor
            validated on.
    """

    case: str
    patient: str
    study: Study
    labels: np.ndarray
    wall_known: bool
    reviewed: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.labels.shape != self.study.voxels.shape:
            raise ValueError(f"{self.case}: labels {self.labels.shape} do not fit the study {self.study.voxels.shape}")

    @property
    def slices_with_scar(self) -> int:
        """How many slices have scar."""
        return int((self.labels >= INFARCT).any(axis=(1, 2)).sum())

    def slices(self) -> list[LabeledSlice]:
        """Its slices in order, without those whose pixels could not be read and those that nobody has reviewed."""
        geometry = self.study.geometry
        extents = geometry.slice_extents_mm(self.study.slices)
        return [
            LabeledSlice(
                patient=self.patient,
                index=index,
                image=self.study.voxels[index],
                labels=self.labels[index],
                pixel_spacing_mm=geometry.pixel_spacing_mm,
                slice_spacing_mm=None if extents is None else float(extents[index]),
                wall_known=self.wall_known,
                case=self.case,
            )
            for index in range(self.study.slices)
            if index not in self.study.bad_slices and (self.reviewed is None or index in self.reviewed)
        ]


@dataclass(frozen=True)
class DataSet:
    """What a folder of labeled images holds.

    Attributes:
        kind: ``"emidec"`` (volumes in its layout), ``"library"``, ``"yolosam"`` or ``"volumes"``.
        slices: sorted by patient, case and slice; those free of scar too.
        skipped: name of a case (or ``"<case> slice <n>"``) to the reason why it could not be read.
        given_split: the split that came with the data (YoloSAM's folders, a library's manifest); None if there is none.
        stacks: the studies that the slices were cut from; empty where the data is single pictures.
    """

    kind: str
    slices: list[LabeledSlice]
    skipped: dict[str, str] = field(default_factory=dict)
    given_split: Split | None = None
    stacks: tuple[LabeledStudy, ...] = ()

    @classmethod
    def of_studies(
        cls, kind: str, studies: Iterable[LabeledStudy], skipped: Mapping[str, str], given_split: Split | None = None
    ) -> DataSet:
        """The slices of studies; those that cannot be read are ``skipped``, too."""
        stacks = tuple(sorted(studies, key=lambda one: (one.patient, one.case)))
        bad = {f"{one.case} slice {index}": reason for one in stacks for index, reason in one.study.bad_slices.items()}
        return cls(kind, slices_of(stacks), {**skipped, **bad}, given_split, stacks)

    @property
    def strata(self) -> dict[str, str]:
        """Patient to what a split spreads evenly: ``"scar"`` or ``"normal"``."""
        return strata_by_content(self.slices)

    @property
    def patients(self) -> tuple[str, ...]:
        """Codes of the patients, sorted."""
        return tuple(sorted({s.patient for s in self.slices}))

    def studies(self) -> tuple[list[LabeledStudy], dict[str, str]]:
        """The stacks, put together from single pictures where need be; and why others cannot be, by name."""
        if self.stacks:
            return list(self.stacks), {}
        studies: list[LabeledStudy] = []
        failed: dict[str, str] = {}
        for (_, name), slices in by_stack(self.slices).items():
            with noted_in(failed, name):
                studies.append(stacked(slices))
        return studies, failed


@contextmanager
def noted_in(failures: dict[str, str], name: str) -> Iterator[None]:
    """Go on after a StudyError of the block, whose sentence is then in ``failures`` under ``name``."""
    try:
        yield
    except StudyError as error:
        failures[name] = str(error)


def none_of(failures: Mapping[str, str], what: str) -> StudyError:
    """The error that none of the cases of a folder can be read or written, with the first reason."""
    name, reason = next(iter(failures.items()))
    none = f"None of the {len(failures)} {what}" if len(failures) > 1 else f"None of the {what}"
    return StudyError(f"{none}; {name}: {reason}")


def labeled_phantoms(seed: int, count: int) -> list[LabeledSlice]:
    """Slices of numerical phantoms, of one made patient, each a stack of its own."""
    name, made = f"phantom-{seed}", enumerate(phantom_slices(seed, count))
    return [LabeledSlice(name, n, image, labels, case=f"{name}-{n}") for n, (image, labels) in made]


def slices_of(studies: Iterable[LabeledStudy]) -> list[LabeledSlice]:
    """The slices of all studies."""
    return [labeled for one in studies for labeled in one.slices()]


def by_stack(slices: Iterable[LabeledSlice]) -> dict[tuple[str, str], list[LabeledSlice]]:
    """Patient and stack to its slices."""
    found: dict[tuple[str, str], list[LabeledSlice]] = {}
    for labeled in slices:
        found.setdefault((labeled.patient, labeled.stack), []).append(labeled)
    return found


def in_order(slices: Iterable[LabeledSlice]) -> list[LabeledSlice]:
    """The slices of one stack by their numbers; StudyError if two have the same, or if they differ in size or pixel spacing."""
    ordered = sorted(slices, key=lambda one: one.index)
    name = ordered[0].stack
    for one, other in pairwise(ordered):
        if one.index == other.index:
            raise StudyError(f"Two slices of {name} have the same number, {one.index}. Give each stack a case of its own.")
        if (one.image.shape, one.pixel_spacing_mm) != (other.image.shape, other.pixel_spacing_mm):
            told = (f"{s.image.shape[0]} x {s.image.shape[1]}, {s.pixel_spacing_mm or 'no'} mm" for s in (one, other))
            raise StudyError(f"The slices of {name} differ in size or pixel spacing ({'; '.join(told)}), so they are no stack.")
    return ordered


def stacked(slices: Sequence[LabeledSlice]) -> LabeledStudy:
    """The study that single slices of one stack make up. Those missing in between are blank and count as unreadable."""
    ordered = in_order(slices)
    first, name = ordered[0], ordered[0].stack
    numbers = [s.index for s in ordered]
    if numbers[-1] - numbers[0] >= _SPARSE * len(numbers):  # numbers of files or instances, not of slices
        numbers = list(range(len(numbers)))
    places = [number - numbers[0] for number in numbers]
    voxels = np.zeros((places[-1] + 1, *first.image.shape), dtype=np.float32)
    labels = np.zeros(voxels.shape, dtype=np.uint8)
    for place, labeled in zip(places, ordered, strict=True):
        voxels[place], labels[place] = labeled.image, labeled.labels
    missing = dict.fromkeys(sorted(set(range(len(voxels))) - set(places)), "it is missing in the data set")
    stack = FileStack(
        voxels, _geometry(first, ordered), "pictures", slice_axis_is_k=True, one_slice_is_enough=True, bad_slices=missing
    )
    study = study_from(name, stack)
    labels, wall_known = scar_only_unless_wall(labels, all(s.wall_known for s in ordered))
    return LabeledStudy(name, first.patient, study, labels, wall_known)


def _geometry(first: LabeledSlice, slices: list[LabeledSlice]) -> Geometry:
    """Spacing if the slices know it; between them the usual distance, the slices being an even stack as far as anyone knows."""
    if first.pixel_spacing_mm is None or first.slice_spacing_mm is None:
        return Geometry(None)
    row, column = first.pixel_spacing_mm
    return Geometry((column, row, float(np.median([s.slice_spacing_mm or first.slice_spacing_mm for s in slices]))))


def strata_by_content(slices: Sequence[LabeledSlice]) -> dict[str, str]:
    """Patient to ``"scar"`` if any of the patient's slices has some, else ``"normal"``."""
    strata: dict[str, str] = {}
    for labeled in slices:
        strata.setdefault(labeled.patient, "normal")
        if labeled.scar.any():
            strata[labeled.patient] = "scar"
    return dict(sorted(strata.items()))


def scar_only_unless_wall(labels: np.ndarray, wall_known: bool) -> tuple[np.ndarray, bool]:
    """Labels of one case in which the wall counts only where cavity and myocardium are both drawn, which the data set's labels
    must be able to tell (``wall_known``): otherwise everything but scar is background. And whether the wall is known.
    """
    known = wall_known and bool((labels == CAVITY).any()) and bool((labels == MYOCARDIUM).any())
    return (labels if known else np.where(labels >= INFARCT, labels, 0).astype(np.uint8)), known
