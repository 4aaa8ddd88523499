"""What the pictures of scar burden show, as arrays: drawn by matplotlib for panel and report, put into plots by the scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.quantification.measurements import Measurements
from MyoScarSegLib.quantification.reference import ReferenceMask
from MyoScarSegLib.quantification.ventricle import Ventricle

_LEVELS = {"base": "B", "mid": "M", "apex": "A", "tip": "T"}
_WALLS = ((0.0, "sept."), (0.25, "inferior"), (0.5, "lateral"), (0.75, "anterior"), (1.0, "sept."))
_TURN = ((0.0, "0°"), (0.25, "90°"), (0.5, "180°"), (0.75, "270°"), (1.0, "360°"))
_DRAWN_METHODS = ("2 SD", "5 SD", "FWHM", "FWHM from remote", "Otsu", "Mixture")


@dataclass(frozen=True)
class SliceBars:
    """Scar of each slice, in slice order.

    Attributes:
        amounts: scar and no-reflow, wherever they lie.
        percents: those in the wall over the slice's wall; None where there is no wall to compare with.
        unit: of the amounts: ``g``, without spacing ``pixels``.
        levels: a letter per slice (base, mid, apex, tip); empty where it has none.
    """

    amounts: tuple[float, ...]
    percents: tuple[float | None, ...]
    unit: str = "g"
    levels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class WallProfile:
    """Transmurality along the wall.

    Attributes:
        transmurality: float ``[slices, chords]``, 0 to 1, NaN where there is no wall; chords run evenly round the wall.
        walls: position of a wall along the chords, 0 to 1, and its name.
        levels: as of :class:`SliceBars`.
    """

    transmurality: np.ndarray
    walls: tuple[tuple[float, str], ...] = _WALLS
    levels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class WallHistogram:
    """How bright the wall is. Of an empty wall there are no bins.

    Attributes:
        edges: ``[n + 1]`` intensities between which bins lie.
        wall, scar: ``[n]`` pixels of wall without scar, and of scar.
        thresholds: intensity by the name of a method; several slices' thresholds as their median.
    """

    edges: np.ndarray
    wall: np.ndarray
    scar: np.ndarray
    thresholds: Mapping[str, float]


def slice_bars(measured: Measurements) -> SliceBars:
    """Scar of each slice of a study, as amount and as share of its wall."""
    in_grams = measured.scar.mass_g is not None
    amounts = (float((one.scar.mass_g or 0.0) if in_grams else one.scar.pixels) for one in measured.slices)
    percents = (one.percent_of_myocardium for one in measured.slices)
    return SliceBars(tuple(amounts), tuple(percents), "g" if in_grams else "pixels", _letters(measured))


def wall_profile(measured: Measurements) -> WallProfile | None:
    """The profile of a study; None without a slice whose wall is whole."""
    chords = measured.chords
    if chords is None or not chords.slices:
        return None
    rows = np.full((len(measured.slices), chords.transmurality.shape[1]), np.nan)
    rows[list(chords.slices)] = chords.transmurality
    return WallProfile(rows, _TURN if measured.insertions is None else _WALLS, _letters(measured))


def study_histogram(
    voxels: np.ndarray, ventricle: Ventricle | None, scar: np.ndarray, thresholds: Mapping[str, float]
) -> WallHistogram | None:
    """The histogram of a study, its arrays ``[k, j, i]``, ``scar`` with the no-reflow; None without a wall."""
    if ventricle is None or not ventricle.myocardium.any():
        return None
    wall = ventricle.myocardium
    return wall_histogram(voxels[wall & ~scar], voxels[wall & scar], thresholds)


def wall_histogram(wall: np.ndarray, scar: np.ndarray, thresholds: Mapping[str, float] | None = None) -> WallHistogram:
    """The histogram of intensities, those of the wall without scar and those of scar."""
    values = np.concatenate([np.ravel(wall), np.ravel(scar)]).astype(float)
    if values.size == 0:
        return WallHistogram(np.zeros(0), np.zeros(0), np.zeros(0), {})
    low, high = (float(value) for value in np.percentile(values, [0.2, 99.8]))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    edges = _edges(values, low, high)
    of_wall, of_scar = (np.histogram(np.ravel(part), edges)[0] for part in (wall, scar))
    return WallHistogram(edges, of_wall, of_scar, dict(sorted((thresholds or {}).items(), key=lambda item: item[1])))


def drawn_thresholds(references: Mapping[str, ReferenceMask]) -> dict[str, float]:
    """The thresholds that the histogram shows: of each of some methods that has an answer the median over slices."""
    return {
        name: float(np.nanmedian(found.thresholds))
        for name, found in references.items()
        if name in _DRAWN_METHODS and found.mask is not None
    }


def _letters(measured: Measurements) -> tuple[str, ...]:
    return tuple(_LEVELS.get(one.level or "", "") for one in measured.slices)


def _edges(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Some 60 bins; those of whole numbers hold as many of them each, or the histogram would have teeth."""
    if not np.array_equal(values, np.round(values)):
        return np.linspace(low, high, 61)
    width = max(1, round((high - low) / 60))
    return np.arange(np.floor(low) - 0.5, high + width, width)
