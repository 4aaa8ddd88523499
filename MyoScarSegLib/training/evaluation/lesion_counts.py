"""Lesions of two masks that meet: counted slice by slice (``2d``) or through the whole stack (``3d``)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.lesions import lesions, lesions_of_stack

LEAST_OVERLAP = 0.1
"""A lesion counts as found (or a predicted one as right) if at least this share of its pixels lies in the other mask."""


@dataclass(frozen=True)
class LesionCounts:
    """Lesions of two masks that meet.

    Attributes:
        true: lesions of the reference.
        found: of these, with at least :data:`LEAST_OVERLAP` of their pixels in the predicted mask.
        predicted: lesions of the predicted mask.
        right: of these, with at least :data:`LEAST_OVERLAP` of their pixels in the reference.
    """

    true: int
    found: int
    predicted: int
    right: int

    def __add__(self, other: LesionCounts) -> LesionCounts:
        return LesionCounts(
            self.true + other.true, self.found + other.found, self.predicted + other.predicted, self.right + other.right
        )


def lesions_2d(predicted: np.ndarray, truth: np.ndarray, pixel_spacing_mm: tuple[float, float] | None) -> LesionCounts:
    """Lesions slice by slice, as :func:`~MyoScarSegLib.lesions.lesions` numbers them for the detector.

    Args:
        predicted, truth: bool ``[slices, rows, columns]``.
        pixel_spacing_mm: ``(row, column)`` spacing, None if unknown.
    """
    total = LesionCounts(0, 0, 0, 0)
    for of_predicted, of_truth in zip(predicted, truth, strict=True):
        numbered = lesions(of_predicted, pixel_spacing_mm), lesions(of_truth, pixel_spacing_mm)
        total += _counts(*numbered, of_predicted, of_truth)
    return total


def lesions_3d(predicted: np.ndarray, truth: np.ndarray, pixel_spacing_mm: tuple[float, float] | None) -> LesionCounts:
    """Lesions through the stack, as :func:`~MyoScarSegLib.lesions.lesions_of_stack` numbers them.

    Args:
        predicted, truth: bool ``[slices, rows, columns]``.
        pixel_spacing_mm: ``(row, column)`` spacing, None if unknown.
    """
    numbered = lesions_of_stack(predicted, pixel_spacing_mm), lesions_of_stack(truth, pixel_spacing_mm)
    return _counts(*numbered, predicted, truth)


def _counts(predicted_numbers: np.ndarray, true_numbers: np.ndarray, predicted: np.ndarray, truth: np.ndarray) -> LesionCounts:
    return LesionCounts(*_met(true_numbers, predicted), *_met(predicted_numbers, truth))


def _met(numbers: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """How many lesions there are, and how many the other mask meets."""
    sizes = np.bincount(numbers.ravel())[1:]
    shared = np.bincount(numbers[other], minlength=len(sizes) + 1)[1:]
    return len(sizes), int(np.count_nonzero(shared >= LEAST_OVERLAP * sizes))
