"""A data set in memory: labelled studies and slices, and what could not be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from MyoScarSegLib.study.study import Study
from MyoScarSegLib.training.datasets.labelled import CAVITY, INFARCT, MYOCARDIUM, LabelledSlice
from MyoScarSegLib.training.splits import Split


@dataclass(frozen=True)
class LabelledStudy:
    """One slice stack with its reference labels.

    Attributes:
        case: name of the stack in its data set; a patient may have several.
        patient: code of the patient.
        study: the stack.
        labels: uint8 ``[k, j, i]``, shaped like ``study.voxels``, in the classes of
            :class:`~MyoScarSegLib.training.datasets.labelled.LabelledSlice`.
        wall_known: whether cavity and myocardium are labelled too.
    """

    case: str
    patient: str
    study: Study
    labels: np.ndarray
    wall_known: bool

    def __post_init__(self) -> None:
        if self.labels.shape != self.study.voxels.shape:
            raise ValueError(f"{self.case}: labels {self.labels.shape} do not fit the study {self.study.voxels.shape}")

    def slices(self) -> list[LabelledSlice]:
        """Its slices in order, without those whose pixels could not be read."""
        geometry = self.study.geometry
        extents = geometry.slice_extents_mm(self.study.slices)
        return [
            LabelledSlice(
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
            if index not in self.study.bad_slices
        ]


@dataclass(frozen=True)
class DataSet:
    """What a folder of labelled images holds.

    Attributes:
        kind: ``"emidec"`` (PNG slices), ``"library"``, ``"yolosam"`` or ``"volumes"``.
        slices: sorted by patient, case and slice; those free of scar too.
        skipped: name of a case (or ``"<case> slice <n>"``) to the reason why it could not be read.
        strata: patient to what a split spreads evenly, such as ``"scar"`` and ``"normal"``.
        given_split: the split that came with the data (YoloSAM's folders, a library's manifest); None if there is none.
        notes: sentences on how the data was read.
    """

    kind: str
    slices: list[LabelledSlice]
    skipped: dict[str, str] = field(default_factory=dict)
    strata: Mapping[str, str] = field(default_factory=dict)
    given_split: Split | None = None
    notes: tuple[str, ...] = ()

    @property
    def patients(self) -> tuple[str, ...]:
        """Codes of the patients, sorted."""
        return tuple(sorted({s.patient for s in self.slices}))


def strata_by_content(slices: Sequence[LabelledSlice]) -> dict[str, str]:
    """Patient to ``"scar"`` if any of the patient's slices has some, else ``"normal"``."""
    strata: dict[str, str] = {}
    for labelled in slices:
        strata.setdefault(labelled.patient, "normal")
        if labelled.scar.any():
            strata[labelled.patient] = "scar"
    return dict(sorted(strata.items()))


def scar_only_unless_wall(labels: np.ndarray, wall_known: bool) -> tuple[np.ndarray, bool]:
    """Labels of one case in which the wall counts only where cavity and myocardium are both drawn.

    Args:
        labels: uint8 classes of any shape.
        wall_known: whether the data set's labels can tell them.

    Returns:
        The labels, with everything but scar set to background if the wall is not known; and whether it is.
    """
    known = wall_known and bool((labels == CAVITY).any()) and bool((labels == MYOCARDIUM).any())
    return (labels if known else np.where(labels >= INFARCT, labels, 0).astype(np.uint8)), known
