"""How far a scar mass may be off: an interval that holds the expert's mass in nine of ten studies.

The pixels of which a model is unsure say how much mass hangs on its borders. How far masses were off beside that, on patients
whom the model never saw, gives two numbers per model; they stand in its file. Vovk et al., Algorithmic Learning in a Random
World (2005): conformal prediction with a normalized error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.quantification.burden import MM3_PER_ML, MYOCARDIAL_DENSITY_G_PER_ML
from MyoScarSegLib.study.study import Geometry
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
        doubtful: share of the mass that is uncertain from which on a mass is likely to be wrong.
    """

    offset_g: _NotNegative = 0.0
    share: _NotNegative = 0.0
    doubtful: _NotNegative = 0.0

    @property
    def known(self) -> bool:
        """Whether anything is known."""
        return self.offset_g + self.share > 0

    def text(self) -> str:
        """For a provenance record."""
        return f"{self.offset_g:g} {self.share:g} {self.doubtful:g}"

    @classmethod
    def of_text(cls, text: str) -> MassError:
        """From :meth:`text`.

        Raises:
            MyoScarSegError: it is something else.
        """
        try:
            return cls(*(float(number) for number in text.split()))
        except (TypeError, ValueError) as error:
            raise MyoScarSegError(f"{text!r} does not say how far masses may be off.") from error


@dataclass(frozen=True)
class MassInterval:
    """The interval of a mass.

    Attributes:
        low_g, high_g: its ends.
        doubtful: whether the mass is likely to be wrong.
    """

    low_g: float
    high_g: float
    doubtful: bool


def uncertain_mass_g(probability: np.ndarray, geometry: Geometry) -> float | None:
    """Mass of the pixels weighted by how unsure the model is of each: 1 at probability 0.5, 0 at 0 and 1.

    Args:
        probability: float ``[k, j, i]``.
        geometry: of the study.

    Returns:
        None without spacing.
    """
    extents_mm, area_mm2 = geometry.slice_extents_mm(len(probability)), geometry.pixel_area_mm2
    if extents_mm is None or area_mm2 is None:
        return None
    unsure = (4 * probability.astype(np.float32) * (1 - probability)).sum(axis=(1, 2), dtype=np.float64)
    return float(unsure @ extents_mm) * area_mm2 / MM3_PER_ML * MYOCARDIAL_DENSITY_G_PER_ML


def mass_interval(mass_g: float, uncertain_g: float, error: MassError) -> MassInterval:
    """The interval of a mass.

    Args:
        mass_g: the mass.
        uncertain_g: of :func:`uncertain_mass_g`.
        error: of the model.
    """
    half = error.offset_g + error.share * uncertain_g
    doubtful = error.doubtful > 0 and uncertain_g > error.doubtful * max(mass_g, 1.0)
    return MassInterval(max(0.0, mass_g - half), mass_g + half, doubtful)
