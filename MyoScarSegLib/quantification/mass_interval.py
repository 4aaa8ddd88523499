"""How far a scar mass may be off: an interval that holds the expert's mass in nine of ten studies.

The pixels of which a model is unsure say how much mass hangs on its borders. How far masses were off beside that, on patients
whom the model never saw, gives two numbers per model; they stand in its file. Vovk et al., Algorithmic Learning in a Random
World (2005): conformal prediction with a normalized error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.quantification.burden import Extent
from MyoScarSegLib.utils.json_fields import Limits

COVERAGE = 0.9
"""Share of studies whose interval holds the expert's mass."""
_NotNegative = Annotated[float, Limits(0)]


@dataclass(frozen=True)
class MassError:
    """What is known of the errors of a model's masses.

    Attributes:
        offset_g, share: in :data:`COVERAGE` of the studies the mass is off by at most ``offset_g`` plus this share of the
            uncertain mass.
        doubtful: share of the mass that is uncertain from which on the outlines are likely to be wrong; 0 if it is not known.
    """

    offset_g: _NotNegative = 0.0
    share: _NotNegative = 0.0
    doubtful: _NotNegative = 0.0

    @property
    def known(self) -> bool:
        """Whether anything is known of the errors."""
        return self.offset_g + self.share > 0

    def text(self) -> str:
        """The three numbers as text, for a provenance record; :meth:`of_text` reads it."""
        return f"{self.offset_g:g} {self.share:g} {self.doubtful:g}"

    @classmethod
    def of_text(cls, text: str) -> MassError:
        """From :meth:`text`; of an empty text nothing is known. MyoScarSegError if it is something else."""
        try:
            numbers = [float(number) for number in text.split()]
        except ValueError:
            numbers = [math.nan]
        if len(numbers) not in (0, 3) or not all(0 <= number < math.inf for number in numbers):
            raise MyoScarSegError(f"{text!r} does not say how far masses may be off.")
        return cls(*numbers)

    @classmethod
    def widest(cls, errors: Iterable[MassError]) -> MassError:
        """One that is large enough for each of some; nothing is known if nothing is known of one of them."""
        each = list(errors)
        if not each or not all(error.known for error in each):
            return cls()
        doubtful = min((error.doubtful for error in each if error.doubtful > 0), default=0.0)
        return cls(max(error.offset_g for error in each), max(error.share for error in each), doubtful)


@dataclass(frozen=True)
class MassInterval:
    """The interval of a mass.

    Attributes:
        low_g, high_g: its ends.
        doubtful: whether the outlines are likely to be wrong.
    """

    low_g: float
    high_g: float
    doubtful: bool

    @property
    def ends(self) -> tuple[str, str]:
        """Both ends in whole grams, of a small mass with one digit more: as exact as an interval is."""
        digits = 0 if self.high_g >= 10 else 1
        return f"{self.low_g:.{digits}f}", f"{self.high_g:.{digits}f}"

    @property
    def text(self) -> str:
        """For a sentence: ``90% interval 5 to 37 g``."""
        low, high = self.ends
        return f"{COVERAGE:.0%} interval {low} to {high} g"


def mass_in_words(mass_g: float, volume_ml: float, within: MassInterval | None) -> str:
    """For a line: ``20.8 g, 19.8 mL (90% interval 5 to 37 g)``; without the brackets where no interval is known."""
    interval = "" if within is None else f" ({within.text})"
    return f"{mass_g:.1f} g, {volume_ml:.1f} mL{interval}"


def uncertain_pixels(probability: np.ndarray) -> float:
    """Pixels weighted by how unsure the model is of each: 1 at probability 0.5, 0 at 0 and 1.

    Args:
        probability: float ``[row, column]`` of one slice.
    """
    return float((4 * probability.astype(np.float32, copy=False) * (1 - probability)).sum(dtype=np.float64))


def mass_interval(mass_g: float | None, uncertain_g: float | None, error: MassError) -> MassInterval | None:
    """The interval of a mass; None where nothing is known of its error, or without spacing.

    Args:
        uncertain_g: mass of the :func:`uncertain_pixels` of all slices; None without spacing.
    """
    if mass_g is None or uncertain_g is None or not error.known:
        return None
    half = error.offset_g + error.share * uncertain_g
    doubtful = error.doubtful > 0 and uncertain_g > error.doubtful * max(mass_g, 1.0)
    return MassInterval(max(0.0, mass_g - half), mass_g + half, doubtful)


def percent_interval(
    interval: MassInterval | None, outside: Extent | None, myocardium: Extent | None
) -> tuple[float | None, float | None]:
    """The interval of scar as a percentage of the myocardium, from that of its mass; the wall's own error is not in it.

    Args:
        outside: the scar outside the wall, which is in no percentage.
        myocardium: the wall.

    Returns:
        Both ends within 0 and 100; None twice where the interval or the wall is unknown.
    """
    if interval is None or outside is None or outside.mass_g is None or myocardium is None or not myocardium.mass_g:
        return None, None
    low, high = ((end - outside.mass_g) / myocardium.mass_g * 100 for end in (interval.low_g, interval.high_g))
    return min(max(low, 0.0), 100.0), min(max(high, 0.0), 100.0)
