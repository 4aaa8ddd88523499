"""Chords across the wall: how deep scar reaches, and how thick the wall is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CHORDS = 120
"""Per slice: one every 3 degrees, 20 in a segment of 60 degrees and 30 in one of 90."""


@dataclass(frozen=True, eq=False)
class Chords:
    """The wall of some slices along chords from endo- to epicardium.

    Chord ``c`` stands at ``angles_deg[c]``: from the middle of the septum (the border of segments 2 and 3), rising as the
    segments' numbers do: to the inferior, lateral and anterior wall. On a bullseye it is at 180 degrees more. Without insertion
    points the angles start at the patient's right and front, and turn the same way.

    Attributes:
        slices: ``k`` of each of n slices.
        angles_deg: ``[120]``.
        transmurality: ``[n, 120]``, 0..1: length of scar and no-reflow over the wall's length; NaN where there is no wall.
        endocardial: bool ``[n, 120]``, scar within the inner tenth of the wall.
        thickness_mm: ``[n, 120]`` length of wall; NaN where there is none.
        segments: uint8 ``[n, 120]``, segment in which the chord lies; 0 where it lies in none or insertion points are missing.
        ends: ``[n, 120, 2, 2]`` inner and outer end, each ``(x, y)`` in pixel edges of the slice; NaN where there is no wall.
    """

    slices: tuple[int, ...]
    angles_deg: np.ndarray
    transmurality: np.ndarray
    endocardial: np.ndarray
    thickness_mm: np.ndarray
    segments: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class Transmurality:
    """How deep scar reaches, of all chords of the slices whose wall is whole. Shares are of their chords, each slice weighted by
    its length along the normal. All in percent.

    Attributes:
        mean_all_percent: mean over all chords: how much of the wall, on the average.
        mean_scar_percent: mean over chords with scar: how deep it is where it is; None without scar.
        maximum_percent: deepest chord.
        above_25_percent, above_50_percent, above_75_percent: share of chords with a transmurality above that.
        endocardial_extent_percent: share of the endocardium's length under which the inner tenth of the wall is scar.
        wall_thickness_mm: mean length of the chords.
    """

    mean_all_percent: float
    mean_scar_percent: float | None
    maximum_percent: float
    above_25_percent: float
    above_50_percent: float
    above_75_percent: float
    endocardial_extent_percent: float
    wall_thickness_mm: float
