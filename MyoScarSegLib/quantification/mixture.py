"""Two Gaussian curves that together describe intensities: normal wall and scar.

Fitted by expectation maximization (Dempster, Laird and Rubin, J R Stat Soc B 1977, 39, 1), in one dimension.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.errors import StudyError

LEAST_WEIGHT = 0.01
"""Share of the values that each curve stands for at least; below it there is one class and some stray values."""
LEAST_DISTANCE_SD = 2.0
"""Standard deviations of the lower curve by which the means lie apart at least."""
LEAST_VALUES = 20
_STEPS = 1000
_CONVERGED = 1e-6


@dataclass(frozen=True)
class Mixture:
    """Two weighted Gaussian curves, the lower mean first.

    Attributes:
        weights: sum up to 1; means, deviations: of the intensities.
        converged: whether the fit came to rest.
    """

    weights: tuple[float, float]
    means: tuple[float, float]
    deviations: tuple[float, float]
    converged: bool

    @property
    def crossing(self) -> float | None:
        """Where the weighted densities are equal between the means: the threshold with the fewest errors; None if nowhere."""
        (w1, w2), (m1, m2), (s1, s2) = self.weights, self.means, self.deviations
        a = 1 / (2 * s2**2) - 1 / (2 * s1**2)
        b = m1 / s1**2 - m2 / s2**2
        c = m2**2 / (2 * s2**2) - m1**2 / (2 * s1**2) + math.log(w1 * s2 / (w2 * s1))
        roots = np.roots([a, b, c]) if abs(a) > 1e-12 * (1 / s1**2 + 1 / s2**2) else np.array([-c / b])
        between = [float(root.real) for root in roots if abs(root.imag) < 1e-9 * (m2 - m1) and m1 <= root.real <= m2]
        return between[0] if between else None

    @property
    def refusal(self) -> str:
        """Why the curves do not part normal wall from scar; empty if they do."""
        (_, (m1, m2)) = self.weights, self.means
        if not self.converged:
            return f"the fit did not come to rest in {_STEPS} steps"
        if min(self.weights) < LEAST_WEIGHT:
            return f"one of the two curves holds {min(self.weights):.1%} of the wall, less than {LEAST_WEIGHT:.0%}"
        if m2 - m1 < LEAST_DISTANCE_SD * self.deviations[0]:
            apart = (m2 - m1) / self.deviations[0]
            return f"the two curves lie {apart:.1f} SD of the lower one apart, less than {LEAST_DISTANCE_SD:g}"
        return "" if self.crossing is not None else "the two curves do not cross between their means"


def fit_mixture(values: np.ndarray, split: float) -> Mixture:
    """Fit two Gaussian curves.

    Args:
        values: intensities, of any shape.
        split: where the fit begins: below and from here on (Otsu's threshold is a good choice).

    Raises:
        StudyError: there are fewer than :data:`LEAST_VALUES` values, or one side of ``split`` is empty.
    """
    # Of pictures of 8 or 12 bits each value once, with how often it is there: some hundred numbers instead of thousands.
    x, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    size, above = int(counts.sum()), x >= split
    if size < LEAST_VALUES or above.all() or not above.any():
        raise StudyError(f"A mixture needs {LEAST_VALUES} values of two kinds; here are {size}.")
    # A curve must not shrink onto one value.
    floor = 1e-6 * float(np.average((x - np.average(x, weights=counts)) ** 2, weights=counts))
    belongs = np.stack([~above, above]) * counts.astype(np.float64)
    last, converged = -math.inf, False
    for _ in range(_STEPS):
        total = belongs.sum(axis=1)
        means = belongs @ x / total
        variances = np.maximum((belongs * (x - means[:, None]) ** 2).sum(axis=1) / total, floor)
        scaled = (x - means[:, None]) ** 2 / (2 * variances[:, None])
        logs = np.log(total / size / np.sqrt(2 * np.pi * variances))[:, None] - scaled
        likelihood = np.logaddexp(logs[0], logs[1])
        belongs = np.exp(logs - likelihood) * counts
        now = float(likelihood @ counts) / size
        if abs(now - last) < _CONVERGED:
            converged = True
            break
        last = now
        if (belongs.sum(axis=1) < 1e-9 * size).any():
            break
    order = np.argsort(means)
    weights, middles, spreads = ([float(v) for v in of[order]] for of in (total / size, means, np.sqrt(variances)))
    return Mixture((weights[0], weights[1]), (middles[0], middles[1]), (spreads[0], spreads[1]), converged)
