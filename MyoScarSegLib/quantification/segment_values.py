"""Burden and transmurality of each of the 17 segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.quantification.aha import SEGMENTS
from MyoScarSegLib.quantification.burden import Extent
from MyoScarSegLib.quantification.wall import LEAST_SHARE, Chords

GRADES = ("0%", "1-25%", "26-50%", "51-75%", "76-100%")
"""Classes of transmurality, in order (Kim et al., N Engl J Med 2000, 343, 1445)."""


@dataclass(frozen=True)
class SegmentMeasurement:
    """One of the 17 segments. All but the first two are None if no slice shows it: not imaged, which is not 0.

    Attributes:
        number: 1 to 17; name, artery and place on the bullseye are ``aha.SEGMENTS[number - 1]``.
        imaged: whether any slice shows it.
        myocardium: its wall.
        scar: scar and no-reflow in it.
        burden_percent: scar over wall, by mass.
        transmurality_percent: mean over its chords, those without scar too; None for segment 17, which has no chords.
        transmurality_scar_percent: mean over its chords with scar; None without scar.
        maximum_percent: its deepest chord.
        grade: 0 to 4, place in :data:`GRADES` of ``transmurality_percent``, of segment 17 of ``burden_percent``.
    """

    number: int
    imaged: bool
    myocardium: Extent | None
    scar: Extent | None
    burden_percent: float | None
    transmurality_percent: float | None
    transmurality_scar_percent: float | None
    maximum_percent: float | None
    grade: int | None


def segment_values(
    numbers: np.ndarray, scar_in_wall: np.ndarray, found: Chords | None, voxel_ml: np.ndarray | None, extents_mm: np.ndarray
) -> tuple[SegmentMeasurement, ...]:
    """Measure the segments.

    Args:
        numbers: uint8 ``[k, j, i]``, segment of each pixel of the wall.
        scar_in_wall: bool ``[k, j, i]``.
        found: chords with their segments.
        voxel_ml: ``[k]``, of :func:`~MyoScarSegLib.quantification.burden.voxel_volumes_ml`.

    Returns:
        17, in order.
    """
    count = len(SEGMENTS) + 1
    walls = np.stack([np.bincount(one[one > 0], minlength=count) for one in numbers])
    scars = np.stack([np.bincount(one[scar], minlength=count) for one, scar in zip(numbers, scar_in_wall, strict=True)])
    measured = []
    for segment in SEGMENTS:
        number = segment.number
        if not walls[:, number].any():
            measured.append(SegmentMeasurement(number, False, None, None, None, None, None, None, None))
            continue
        wall, scar = (Extent.of_slices(counts[:, number], voxel_ml) for counts in (walls, scars))
        burden = scar.percent_of(wall)
        mean, scarred, deepest = _depth(found, number, extents_mm)
        graded = burden if mean is None else mean
        measured.append(
            SegmentMeasurement(
                number, True, wall, scar, burden, mean, scarred, deepest, None if graded is None else grade(graded)
            )
        )
    return tuple(measured)


def grade(percent: float) -> int:
    """Place of a transmurality in :data:`GRADES`; what rounds to 0 has none, and borders belong to the lower class."""
    rounded = round(percent)
    return 0 if rounded < 1 else min(-(-rounded // 25), 4)


def _depth(found: Chords | None, number: int, extents_mm: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """Mean over all chords, mean over those with scar, and maximum, in percent."""
    if found is None:
        return None, None, None
    slices, chords = np.nonzero(found.segments == number)
    if len(slices) == 0:
        return None, None, None
    share = found.transmurality[slices, chords]
    weight = extents_mm[np.array(found.slices)[slices]]
    scarred = share >= LEAST_SHARE
    of_scar = float(100 * np.average(share[scarred], weights=weight[scarred])) if scarred.any() else None
    return float(100 * np.average(share, weights=weight)), of_scar, float(100 * share.max())
