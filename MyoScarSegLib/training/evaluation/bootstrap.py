"""Confidence intervals by drawing patients anew: patients are independent of each other, their slices are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

DRAWS = 2000
"""How often as many patients are drawn, each time with replacement; always the same draws."""
LEVEL = 0.95
"""Share of the draws between the two limits."""

Statistic = Callable[..., Any]
"""Called as ``statistic(values, axis=axis)``, like :func:`numpy.mean`; must reduce that axis and leave all before it."""


def interval(values: Sequence[Any] | np.ndarray, statistic: Statistic = np.mean) -> tuple[float, float] | None:
    """95% percentile interval of a statistic over patients (Efron, Annals of Statistics 1979, 7, 1).

    Args:
        values: ``[patients]``, or ``[patients, columns]`` for a statistic of several numbers of each, such as :func:`ratio`.
        statistic: what is computed from each draw; see :data:`Statistic`.

    Returns:
        ``(low, high)``; None for fewer than two patients, whose scatter says nothing. Draws of which the statistic is not
        finite (a ratio to nothing) are left out.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return None
    chosen = np.random.default_rng(0).integers(0, len(values), (DRAWS, len(values)))
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = np.asarray(statistic(values[chosen], axis=1), dtype=np.float64)
    drawn = drawn[np.isfinite(drawn)]
    if drawn.size == 0:
        return None
    low, high = np.percentile(drawn, (50 * (1 - LEVEL), 50 * (1 + LEVEL)))
    return float(low), float(high)


def ratio(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Sum of the first column over the sum of the second: a ratio in which patients weigh by their size.

    Args:
        values: ``[..., patients, 2]``.
        axis: of the patients.
    """
    sums = values.sum(axis=axis)
    return np.asarray(sums[..., 0] / sums[..., 1])
