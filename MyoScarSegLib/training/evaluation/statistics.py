"""Figures of few patients: intervals by drawing patients anew, and whether one model is better than another on the same ones.

Patients are independent of each other, their slices are not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from MyoScarSegLib.utils.words import counted

DRAWS = 2000
"""How often as many patients are drawn, each time with replacement; always the same draws."""
LEVEL = 0.95
"""Share of the draws between the two limits."""

Statistic = Callable[..., Any]
"""Called as ``statistic(values, axis=axis)``, like :func:`numpy.mean`; must reduce that axis and leave all before it."""
BETTER, WORSE, UNDECIDED, SAME, UNKNOWN = "better", "worse", "undecided", "same", "unknown"
CHANCE = 0.05
_EXACT_UP_TO = 13
_FLIPS = 20_000


def rounded(value: Any) -> Any:
    """Five significant digits, as a float that JSON can hold; of several numbers a list, and None for None."""
    if value is None:
        return None
    return [rounded(one) for one in value] if np.ndim(value) else float(f"{float(value):.5g}")


def mean_known(values: Iterable[float | None]) -> float | None:
    """The mean of those that are known; None if none is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def interval(values: Sequence[Any] | np.ndarray, statistic: Statistic = np.mean) -> tuple[float, float] | None:
    """95% percentile interval of a statistic over patients (Efron, Annals of Statistics 1979, 7, 1).

    ``values`` are ``[patients]``, or ``[patients, columns]`` for a statistic of several numbers of each, such as :func:`ratio`.
    None for fewer than two patients, whose scatter says nothing. Draws of which the statistic is not finite (a ratio to nothing)
    are left out.
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
    """Sum of the first column over that of the second, of ``[..., patients, 2]``: patients weigh by their size."""
    sums = values.sum(axis=axis)
    return np.asarray(sums[..., 0] / sums[..., 1])


@dataclass(frozen=True)
class Difference:
    """What the same patients say of two models.

    Attributes:
        patients: how many.
        new, used: means.
        new_interval_95, used_interval_95: their intervals, by drawing patients anew; None for fewer than two.
        difference: mean of new less used.
        interval_95: its interval; None for fewer than two.
        chance: how often a difference as large comes about if the models are alike and each patient's difference has its sign
            by chance (exact sign-flip test, two-sided); of n patients it cannot be less than 2 / 2**n.
    """

    patients: int
    new: float
    used: float
    new_interval_95: tuple[float, float] | None
    used_interval_95: tuple[float, float] | None
    difference: float
    interval_95: tuple[float, float] | None
    chance: float

    def to_json(self) -> dict[str, Any]:
        """Its numbers, rounded, for ``comparison.json``."""
        return {name: value if name == "patients" else rounded(value) for name, value in vars(self).items()}

    @property
    def shown(self) -> bool:
        """Whether the difference is more than chance explains: both the interval and the test must say so."""
        clear = self.interval_95 is not None and (self.interval_95[0] > 0 or self.interval_95[1] < 0)
        return clear and self.chance < CHANCE


def paired(new: Sequence[float], used: Sequence[float]) -> Difference | None:
    """Compare two figures of the same patients, in the same order; None without patients."""
    if not len(new):
        return None
    a, b = np.asarray(new, dtype=np.float64), np.asarray(used, dtype=np.float64)
    change = a - b
    return Difference(
        len(a), float(a.mean()), float(b.mean()), interval(a), interval(b), float(change.mean()),
        interval(change), chance_of(change),
    )  # fmt: skip


def chance_of(differences: np.ndarray) -> float:
    """Two-sided sign-flip test of the mean of ``[patients]`` differences (Fisher, The Design of Experiments, 1935); exact for up
    to 13 patients, else drawn.
    """
    n = len(differences)
    if n <= _EXACT_UP_TO:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=n)))
    else:
        signs = np.random.default_rng(0).choice((-1.0, 1.0), (_FLIPS, n))
        signs[0] = 1.0  # what was seen is one of the possibilities
    means = np.abs(signs @ differences)
    return float(np.mean(means >= abs(differences.sum()) * (1 - 1e-9) - 1e-15))


def verdict(dice: Difference | None, false_g: Difference | None, *, same_models: bool = False) -> dict[str, Any]:
    """What is to be concluded from the end-to-end Dice of the patients with scar and the false scar in grams of those without:
    ``word`` (``better``, ``worse``, ``undecided``, ``same`` or ``unknown``), ``sentence``, and ``patients``.
    """
    if same_models:
        return {"word": SAME, "sentence": "Both are the same model.", "patients": 0}
    if dice is not None:
        main, what, unit, form, kind = dice, "Dice", "", ".2f", "with"
    elif false_g is not None:
        main, what, unit, form, kind = false_g, "false scar", " g", ".1f", "without"
    else:
        sentence = "There are no validation patients: nothing is known of the new model."
        return {"word": UNKNOWN, "sentence": sentence, "patients": 0}
    of = f"{counted(main.patients, 'patient')} {kind} scar"
    told = f"{what} {main.new:{form}} instead of {main.used:{form}}{unit} in {of}"
    limits = main.interval_95
    if limits is not None:
        told += f"; difference {main.difference:+{form}} (95%: {limits[0]:+{form}} to {limits[1]:+{form}})"
    improved = (main.difference > 0) == (main is dice)
    if main.difference == 0 and (limits is None or limits == (0, 0)):
        word, lead = UNDECIDED, "Both do the same on these patients"
    elif main.shown:
        word, lead = (BETTER, "The new model is better") if improved else (WORSE, "The new model is worse")
    else:
        word, lead = UNDECIDED, "No difference that could be shown"
    sentence = f"{lead}: {told}."
    if word == UNDECIDED and 0 < main.patients < 6 and main.difference:
        few = counted(main.patients, "patient proves", "patients prove")
        side = "for" if improved else "against"
        sentence += f" It speaks {side} the new model. {few} nothing: look at the masks."
    if dice is not None and false_g is not None and abs(false_g.difference) >= 1.0:
        more = "more" if false_g.difference > 0 else "less"
        of, sure = counted(false_g.patients, "patient"), "" if false_g.shown else ", which may be chance"
        sentence += f" In {of} without scar it draws {abs(false_g.difference):.1f} g {more} false scar each{sure}."
    return {"word": word, "sentence": sentence, "patients": main.patients}
