"""How well two readings of one number agree in a cohort, such as the mass of each case.

``a`` is the reading that is compared with (a reader, the first session), ``b`` the other; differences are b less a.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.utils.words import counted

LEAST_CASES = 10
"""Fewer have no limits of agreement, which would be off by more than half a standard deviation."""
LEAST_FOR_ICC = 3
LEVEL = 0.95
LIMITS_SD = 1.96
"""How many standard deviations the limits of agreement lie from the bias."""
_REPEATABILITY_SD = 2.77
"""1.96 times the root of 2: two readings differ by less than this many within-subject SD in 95% of the cases."""
_CHANCE = 0.05

Interval = tuple[float, float]


@dataclass(frozen=True)
class BlandAltman:
    """Differences against means of two readings (Bland and Altman, Lancet 1986, 1, 307; Stat Methods Med Res 1999, 8, 135).

    Attributes:
        cases: how many.
        bias: mean difference; bias_interval: its 95% interval; None for fewer than two.
        sd: standard deviation of the differences; None for fewer than two.
        limits: bias -+ 1.96 SD; None for fewer than :data:`LEAST_CASES`.
        limits_error: standard error of each limit, the root of 3 / n times SD.
        slope, intercept: regression of the differences on the means; slope_p: two-sided chance of such a slope if there is none.
        proportional: whether the difference grows or shrinks with the size (``slope_p`` below 0.05).
        residual_sd: about that line, whose limits are line -+ 1.96 of it (:meth:`limits_at`).
        spread_slope, spread_p: regression of the residuals' sizes on the means: whether the scatter grows with the size.
        why: why there are no limits; empty if there are.
    """

    cases: int
    bias: float
    bias_interval: Interval | None
    sd: float | None
    limits: Interval | None
    limits_error: float | None
    slope: float | None
    intercept: float | None
    slope_p: float | None
    proportional: bool
    residual_sd: float | None
    spread_slope: float | None
    spread_p: float | None
    why: str

    def limits_at(self, mean: float) -> Interval | None:
        """The limits for readings of this mean: along the regression line if the bias is proportional; None without limits."""
        if not self.proportional or self.intercept is None or self.slope is None or self.residual_sd is None:
            return self.limits
        line = self.intercept + self.slope * mean
        return line - LIMITS_SD * self.residual_sd, line + LIMITS_SD * self.residual_sd


@dataclass(frozen=True)
class Icc:
    """Intraclass correlation, two-way, single reading (Shrout and Fleiss, Psychol Bull 1979, 86, 420).

    Attributes:
        cases, readers: how many.
        agreement: ICC(2,1), absolute agreement: a bias between readers lowers it.
        agreement_interval: 95%, by Satterthwaite's degrees of freedom (McGraw and Wong, Psychol Methods 1996, 1, 30).
        consistency: ICC(3,1): a bias does not count, so what it is above the other shows the bias.
        consistency_interval: 95%.
        words: what the interval of the agreement reaches over, from poor (below 0.5), moderate (below 0.75), good (below 0.9) to
            excellent (Koo and Li, J Chiropr Med 2016, 15, 155).
    """

    cases: int
    readers: int
    agreement: float
    agreement_interval: Interval
    consistency: float
    consistency_interval: Interval
    words: str


@dataclass(frozen=True)
class Agreement:
    """Two readings of one number in a cohort.

    Attributes:
        bland_altman: bias and limits.
        icc: None for fewer than :data:`LEAST_FOR_ICC` cases, or if all readings are the same.
        within_sd: within-subject standard deviation, the root of the mean of half the squared differences.
        cv_percent: that over the mean of all readings; None if that is 0.
        repeatability: 2.77 times ``within_sd``: below it two readings differ in 95% of the cases.
    """

    bland_altman: BlandAltman
    icc: Icc | None
    within_sd: float
    cv_percent: float | None
    repeatability: float


def agreement(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> Agreement:
    """All of the agreement of two readings of one number, such as mass; arguments and errors as of :func:`bland_altman`."""
    first, second = _pair(a, b)
    within = math.sqrt(float(np.mean((second - first) ** 2 / 2)))
    mean = float(np.mean([first, second]))
    return Agreement(
        bland_altman(first, second),
        icc(np.stack([first, second], axis=1)),
        within,
        100 * within / mean if mean else None,
        _REPEATABILITY_SD * within,
    )


def bland_altman(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> BlandAltman:
    """Bias and limits of agreement, and whether the difference hangs on the size.

    Args:
        a, b: ``[cases]``, of the same cases in the same order.

    Raises:
        StudyError: there is no case, the numbers of cases differ, or a number is not finite.
    """
    from scipy.special import stdtrit

    first, second = _pair(a, b)
    differences, means = second - first, (first + second) / 2
    n, bias = len(differences), float(differences.mean())
    sd = float(differences.std(ddof=1)) if n > 1 else None
    few = n < LEAST_CASES
    interval = limits = error = None
    if sd is not None:
        half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * sd / math.sqrt(n)
        interval = bias - half, bias + half
        if not few:
            limits, error = (bias - LIMITS_SD * sd, bias + LIMITS_SD * sd), math.sqrt(3 / n) * sd
    slope = intercept = slope_p = residual_sd = spread_slope = spread_p = None
    if not few and np.ptp(means) > 0:
        slope, intercept, slope_p, residuals = _regression(means, differences)
        residual_sd = math.sqrt(float(residuals @ residuals) / (n - 2))
        spread_slope, _, spread_p, _ = _regression(means, np.abs(residuals))
    why = f"{counted(n, 'case')}; limits of agreement need {LEAST_CASES}" if few else ""
    return BlandAltman(
        n, bias, interval, sd, limits, error, slope, intercept, slope_p, slope_p is not None and slope_p < _CHANCE,
        residual_sd, spread_slope, spread_p, why,
    )  # fmt: skip


def icc(readings: np.ndarray) -> Icc | None:
    """Intraclass correlation of readers.

    Args:
        readings: ``[cases, readers]``.

    Returns:
        None for fewer than :data:`LEAST_FOR_ICC` cases, or if all readings are the same.

    Raises:
        StudyError: there are fewer than two readers, or a number is not finite.
    """
    from scipy.special import fdtri

    x = np.asarray(readings, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] < 2 or not np.isfinite(x).all():
        raise StudyError(f"ICC needs finite numbers [cases, readers] of two readers or more; these have the shape {x.shape}.")
    n, k = x.shape
    if n < LEAST_FOR_ICC or np.ptp(x) == 0:
        return None
    rows, columns, free = x.mean(axis=1), x.mean(axis=0), (n - 1) * (k - 1)
    between = k * float(((rows - x.mean()) ** 2).sum()) / (n - 1)
    readers = n * float(((columns - x.mean()) ** 2).sum()) / (k - 1)
    rest = float(((x - rows[:, None] - columns + x.mean()) ** 2).sum()) / free
    # Readers who differ by a constant alone leave rounding errors.
    rest = rest if rest > 1e-12 * (between + readers) else 0.0
    absolute = (between - rest) / (between + (k - 1) * rest + k * (readers - rest) / n)
    consistent = (between - rest) / (between + (k - 1) * rest)
    tail = (1 - LEVEL) / 2
    limits = 1.0, 1.0
    if absolute < 1:
        # Degrees of freedom of readers and rest together.
        of_readers = k * absolute / (n * (1 - absolute)) * readers
        of_rest = (1 + k * absolute * (n - 1) / (n * (1 - absolute))) * rest
        together = (of_readers + of_rest) ** 2 / (of_readers**2 / (k - 1) + of_rest**2 / free)
        upper, lower = float(fdtri(n - 1, together, 1 - tail)), float(fdtri(together, n - 1, 1 - tail))
        mixed = k * readers + (k * n - k - n) * rest
        limits = (
            n * (between - upper * rest) / (upper * mixed + n * between),
            n * (lower * between - rest) / (mixed + n * lower * between),
        )
    consistency_limits = 1.0, 1.0
    if rest > 0:
        ratio = between / rest
        low, high = ratio / float(fdtri(n - 1, free, 1 - tail)), ratio * float(fdtri(free, n - 1, 1 - tail))
        consistency_limits = (low - 1) / (low + k - 1), (high - 1) / (high + k - 1)
    return Icc(n, k, absolute, limits, consistent, consistency_limits, _words(limits))


def _words(limits: Interval) -> str:
    low, high = (next(word for top, word in _WORDS if value < top) for value in limits)
    return low if low == high else f"{low} to {high}"


_WORDS = ((0.5, "poor"), (0.75, "moderate"), (0.9, "good"), (math.inf, "excellent"))


def _pair(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape or not first.size:
        raise StudyError(
            f"Two readings need the same cases, at least one; these have the shapes {first.shape} and {second.shape}."
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise StudyError("A reading is not a finite number; leave its case out.")
    return first, second


def _regression(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, np.ndarray]:
    """Slope, intercept, two-sided chance of the slope, and residuals of y on x; ``x`` is not constant."""
    from scipy.special import stdtr

    spread = float(((x - x.mean()) ** 2).sum())
    slope = float((x - x.mean()) @ y) / spread
    intercept = float(y.mean()) - slope * float(x.mean())
    residuals = y - intercept - slope * x
    error = math.sqrt(float(residuals @ residuals) / (len(x) - 2) / spread)
    # Differences that are all the same leave rounding errors, of which nothing follows.
    if error <= 1e-12 * max(1.0, float(np.abs(y).max())) / math.sqrt(spread):
        return (
            slope,
            intercept,
            1.0 if abs(slope) * math.sqrt(spread) <= 1e-9 * max(1.0, float(np.abs(y).max())) else 0.0,
            residuals,
        )
    return slope, intercept, 2 * float(stdtr(len(x) - 2, -abs(slope / error))), residuals
