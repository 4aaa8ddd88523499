"""The grey zone around an infarct's core: pixels of scar, or beside it, that are less bright than the core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.burden import Extent


@dataclass(frozen=True)
class GreyZone:
    """Scar parted into its core and the grey zone around it.

    Partial volume makes the same grey as live fibers among dead ones (Ibanez et al., J Am Coll Cardiol 2019, 74, 238): grey is
    not to be read as dead.

    Attributes:
        definition: in words.
        core, grey: amounts; no-reflow is core.
        core_percent, grey_percent: of the myocardium.
        lower, upper: intensities between which a pixel is grey; ``lower`` is None where the scar's own border is it.
    """

    definition: str
    core: Extent
    grey: Extent
    core_percent: float | None
    grey_percent: float | None
    lower: float | None
    upper: float


def grey_zone(
    voxels: np.ndarray, scar: np.ndarray, no_reflow: np.ndarray, myocardium: np.ndarray, voxel_ml: np.ndarray | None
) -> GreyZone:
    """Core from half of the scar's maximum on, grey zone from the scar's own border up to that.

    The outer border is the mask's, by whatever method it was made; at half of the maximum also Schmidt et al. (Circulation 2007)
    part core and grey zone. The maximum is the 99.5th percentile of the scar's pixels, so that one noisy pixel does not set it.
    Half of a maximum means something where zero means no signal, and not in a picture that was rescaled: there it may lie below
    normal myocardium, and all scar would be core.

    Args:
        voxels: ``[k, j, i]``, raw.
        scar: bool ``[k, j, i]``, scar within the wall, with or without no-reflow.
        no_reflow: bool ``[k, j, i]``, dark and dead: it is core, and not in the maximum.
        myocardium: bool ``[k, j, i]``, with the scar in it.
        voxel_ml: ``[k]``, of :func:`~MyoScarSegLib.quantification.burden.voxel_volumes_ml`.

    Raises:
        StudyError: there is no scar, its maximum is not above zero, or half of it is no more than the rest of the myocardium.
    """
    bright = scar & ~no_reflow
    if not bright.any():
        raise StudyError("There is no scar, so there is no grey zone.")
    values = voxels[bright]
    half = float(np.percentile(values, 99.5)) / 2
    if half <= 0:
        raise StudyError("The scar's maximum is not above zero, so half of it is no threshold.")
    rest = myocardium & ~scar & ~no_reflow
    if rest.any() and half <= float(np.median(voxels[rest])):
        raise StudyError(
            "Half of the scar's maximum is no more than normal myocardium, so it parts no core from grey: the scar is hardly "
            "brighter, or this picture's zero is not where there is no signal."
        )
    core = bright & (voxels >= half)
    first, second = (Extent.of_mask(mask, voxel_ml) for mask in (core | (no_reflow & scar), bright & ~core))
    wall = Extent.of_mask(myocardium, voxel_ml)
    return GreyZone(
        "core from half of the scar's maximum on; grey zone from the scar's border up to that",
        first,
        second,
        first.percent_of(wall),
        second.percent_of(wall),
        None,
        half,
    )
