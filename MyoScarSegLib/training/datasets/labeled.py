"""One slice with its reference labels: what every data set is read into."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.study.tissue import BACKGROUND, CAVITY, INFARCT, MYOCARDIUM, NO_REFLOW

__all__ = ["BACKGROUND", "CAVITY", "INFARCT", "MYOCARDIUM", "NO_REFLOW", "LabeledSlice"]


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
