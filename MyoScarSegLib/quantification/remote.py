"""Remote myocardium: the normal wall that thresholds are measured from, proposed or drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

WINDOW_DEG, STEP_DEG = 60.0, 30.0
"""Width of the part of a slice's wall that is proposed, and how far apart the candidates lie."""

ENOUGH_PX, ENOUGH_SHARE = 50, 0.1
"""A slice's own region is used if it has this many pixels, or this share of the slice's wall."""
LEAST_PX = 8
"""Fewer pixels are no region at all."""


@dataclass(frozen=True, eq=False)
class Remote:
    """Remote myocardium and what it measures.

    Attributes:
        region: bool ``[k, j, i]``, all of it in the wall.
        mean, sd: ``[k]`` of intensities: of the slice's own region, or of the study's where that is too small.
        pixels: int ``[k]``, of each slice's own region.
        of_study: bool ``[k]``, slices with wall that take the study's.
        study_mean, study_sd: of the whole region; NaN if it has fewer than :data:`LEAST_PX` pixels.
    """

    region: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    pixels: np.ndarray
    of_study: np.ndarray
    study_mean: float
    study_sd: float

    @property
    def missing(self) -> str:
        """Why nothing can be measured from it; empty if something can."""
        count = int(self.pixels.sum())
        if count < LEAST_PX:
            return f"remote myocardium has {count} pixels, and {LEAST_PX} are needed"
        return "remote myocardium has one value throughout, so no standard deviation" if self.study_sd == 0 else ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader ought to know of it."""
        slices = [str(k) for k in np.flatnonzero(self.of_study)]
        if not slices or self.missing:
            return ()
        which = f"Slice {slices[0]} has" if len(slices) == 1 else f"Slices {', '.join(slices)} have"
        return (
            f"{which} less remote myocardium than {ENOUGH_PX} pixels and {ENOUGH_SHARE:.0%} of the slice's wall: the whole "
            "study's is used there.",
        )


def measure_remote(voxels: np.ndarray, wall: np.ndarray, region: np.ndarray) -> Remote:
    """Mean and standard deviation of remote myocardium, of each slice its own where it has enough.

    Args:
        voxels: ``[k, j, i]``, raw.
        wall: bool ``[k, j, i]``.
        region: bool ``[k, j, i]``; what lies outside the wall is left out.
    """
    region = region & wall
    counts = np.count_nonzero(region, axis=(1, 2))
    walls = np.count_nonzero(wall, axis=(1, 2))
    every = voxels[region].astype(np.float64)
    study = (float(every.mean()), float(every.std(ddof=1))) if every.size >= LEAST_PX else (math.nan, math.nan)
    mean, sd = np.full(len(voxels), study[0]), np.full(len(voxels), study[1])
    own = (walls > 0) & (counts >= np.array([enough(int(pixels)) for pixels in walls]))
    for k in np.flatnonzero(own):
        values = voxels[k][region[k]].astype(np.float64)
        spread = float(values.std(ddof=1))
        if spread > 0:
            mean[k], sd[k] = float(values.mean()), spread
        else:
            own[k] = False
    return Remote(region, mean, sd, counts, (walls > 0) & ~own, *study)


def enough(wall_px: int) -> int:
    """Pixels from which on a slice's own region is used, of a slice with so much wall."""
    return max(LEAST_PX, math.ceil(min(ENOUGH_PX, ENOUGH_SHARE * wall_px)))


def remote_myocardium(voxels: np.ndarray, wall: np.ndarray, cavity: np.ndarray | None = None) -> np.ndarray:
    """The wall far from scar, found without a reader: in each slice the part that is dark and even.

    Of the windows of :data:`WINDOW_DEG` around the cavity's center, one each :data:`STEP_DEG`, that with the least mean + 2 SD.
    A window with no-reflow is dark, but not even. The wall's border pixels, which hold blood or fat in part, are left out where
    enough remains. Being the darkest, the region's mean lies a little low in a slice without scar.

    Args:
        voxels: ``[k, j, i]``, raw.
        wall: bool ``[k, j, i]``.
        cavity: bool ``[k, j, i]``; None takes the wall's own center.

    Returns:
        bool ``[k, j, i]``; empty in slices whose windows all have fewer than :data:`LEAST_PX` pixels.
    """
    from scipy import ndimage

    remote = np.zeros(wall.shape, dtype=bool)
    for k in np.flatnonzero(wall.any(axis=(1, 2))):
        middle = np.argwhere(wall[k] if cavity is None or not cavity[k].any() else cavity[k]).mean(axis=0)
        rows, columns = np.nonzero(wall[k])
        inner = ndimage.binary_erosion(wall[k])[rows, columns]
        values = voxels[k][rows, columns].astype(np.float64)
        angle = np.degrees(np.arctan2(rows - middle[0], columns - middle[1]))
        best = math.inf
        for center in np.arange(0, 360, STEP_DEG):
            window = np.abs((angle - center + 180) % 360 - 180) <= WINDOW_DEG / 2
            if np.count_nonzero(window & inner) >= enough(len(rows)):
                window &= inner
            if np.count_nonzero(window) < LEAST_PX:
                continue
            score = values[window].mean() + 2 * values[window].std()
            if score < best:
                best = score
                remote[k] = False
                remote[k][rows[window], columns[window]] = True
    return remote
