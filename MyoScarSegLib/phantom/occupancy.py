"""How much of each pixel every part of the ventricle fills, by sampling each pixel many times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.phantom.grid import Grid
from MyoScarSegLib.phantom.heart import ANGLES, Heart, radius_at
from MyoScarSegLib.study.tissue import BACKGROUND, CAVITY, INFARCT, MYOCARDIUM, NO_REFLOW

_SUPERSAMPLING = 4
"""Samples per pixel and direction: masses of labels and truth then agree within 1%."""
_MARGIN_PX = 5
"""Pixels kept around the ventricle, so that what blurs it blurs it into its surroundings."""


@dataclass(frozen=True)
class Occupancy:
    """Parts of pixels, 0..1, in a window of the image that holds the whole ventricle.

    Attributes:
        rows, columns: the window.
        cavity, wall, infarct, core: float32 ``[k, rows, columns]``. The cavity includes the papillary muscles, the wall
            the infarct, the infarct its core.
        papillary: float32, the part of the cavity that muscle fills.
    """

    rows: slice
    columns: slice
    cavity: np.ndarray
    wall: np.ndarray
    infarct: np.ndarray
    core: np.ndarray
    papillary: np.ndarray

    def labels(self, shape: tuple[int, int, int]) -> np.ndarray:
        """uint8 ``[k, j, i]``, the classes of :mod:`~MyoScarSegLib.study.tissue`.

        Infarct and core are the pixels that they fill most, as many in each slice as they fill in all: half full or more,
        but for the one pixel or two that keep a slice's area from drifting with the chance of where borders fall.
        """
        window = np.full(self.wall.shape, BACKGROUND, dtype=np.uint8)
        ventricle = self.cavity + self.wall >= 0.5
        window[ventricle] = np.where(self.cavity > self.wall, CAVITY, MYOCARDIUM)[ventricle]
        infarct = _fullest(self.infarct, np.ones_like(self.infarct, dtype=bool))
        window[infarct] = INFARCT
        window[_fullest(self.core, infarct)] = NO_REFLOW
        labels = np.zeros(shape, dtype=np.uint8)
        labels[:, self.rows, self.columns] = window
        return labels


def sample_heart(grid: Grid, heart: Heart) -> Occupancy:
    """Sample the ventricle several times per pixel and direction; MyoScarSegError if the ventricle reaches beyond the image."""
    settings = grid.settings
    rows, columns = _window(grid, heart)
    fine = _SUPERSAMPLING
    row = _fine(rows, fine)
    column = _fine(columns, fine)
    right, down = grid.anatomy_coordinates(row[:, None], column[None, :])
    slices = settings.slices
    shape = (slices, rows.stop - rows.start, columns.stop - columns.start)
    parts = np.zeros((5, *shape), dtype=np.float32)
    for k in range(slices):
        if heart.epicardium[k].max() <= 0:
            continue
        x = (right - heart.axis_mm[k, 0]).astype(np.float32)
        y = (down - heart.axis_mm[k, 1]).astype(np.float32)
        radius = np.hypot(x, y)
        near = np.flatnonzero(radius.ravel() <= heart.epicardium[k].max())
        x, y, radius = x.ravel()[near], y.ravel()[near], radius.ravel()[near]
        turn = np.mod(np.arctan2(-y, x) * np.float32(ANGLES / (2 * np.pi)), ANGLES)
        here = np.full(len(near), k, dtype=np.int32)
        epicardium, endocardium = radius_at(heart.epicardium, here, turn), radius_at(heart.endocardium, here, turn)
        opened = heart.outflow[k][np.minimum(turn.astype(np.int32), ANGLES - 1)]
        within = radius < epicardium
        cavity = (radius < endocardium) | (opened & within)
        infarct = (radius < radius_at(heart.scar, here, turn)) & ~cavity & within
        core = infarct & (radius >= radius_at(heart.core_inner, here, turn)) & (radius < radius_at(heart.core_outer, here, turn))
        papillary = np.zeros_like(cavity)
        for muscle_right, muscle_down, size in heart.papillary[k]:
            if size > 0:
                papillary |= cavity & (np.hypot(x - muscle_right, y - muscle_down) < size)
        for part, member in zip(parts, (cavity, within & ~cavity, infarct, core, papillary), strict=True):
            full = np.zeros(right.size, dtype=np.float32)
            full[near] = member
            part[k] = full.reshape(shape[1], fine, shape[2], fine).mean(axis=(1, 3))
    return Occupancy(rows, columns, *parts)


def _fullest(part: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """In each slice the pixels that ``part`` fills most, as many as it fills in all; bool like ``part``."""
    chosen = np.zeros(part.shape, dtype=bool)
    for occupied, free, mask in zip(part, allowed, chosen, strict=True):
        filled = np.where(free, occupied, 0.0).ravel()
        count = min(round(float(occupied.sum(dtype=np.float64))), int(np.count_nonzero(filled)))
        mask.ravel()[np.argsort(-filled, kind="stable")[:count]] = True
    return chosen


def _window(grid: Grid, heart: Heart) -> tuple[slice, slice]:
    """The pixels that the ventricle reaches in any slice, with a few to spare."""
    settings = grid.settings
    corners = []
    for (right, down), reach in zip(heart.axis_mm, heart.epicardium.max(axis=1), strict=True):
        if reach > 0:
            row, column = grid.pixel_of(right, down)
            reach_rows, reach_columns = reach / settings.pixel_spacing_mm[0] + 1, reach / settings.pixel_spacing_mm[1] + 1
            corners.append((row - reach_rows, row + reach_rows, column - reach_columns, column + reach_columns))
    if not corners:
        return slice(0, 1), slice(0, 1)
    reach_of = np.array(corners)
    first_row, first_column = int(np.floor(reach_of[:, 0].min())), int(np.floor(reach_of[:, 2].min()))
    last_row, last_column = int(np.ceil(reach_of[:, 1].max())) + 1, int(np.ceil(reach_of[:, 3].max())) + 1
    if min(first_row, first_column) < 0 or last_row > settings.rows or last_column > settings.columns:
        raise MyoScarSegError(
            f"The phantom's heart reaches beyond its {settings.rows} x {settings.columns} pixels of "
            f"{settings.pixel_spacing_mm} mm. Ask for more pixels, or larger ones."
        )
    return (
        slice(max(first_row - _MARGIN_PX, 0), min(last_row + _MARGIN_PX, settings.rows)),
        slice(max(first_column - _MARGIN_PX, 0), min(last_column + _MARGIN_PX, settings.columns)),
    )


def _fine(window: slice, fine: int) -> np.ndarray:
    """Positions of the samples along one direction: ``fine`` per pixel, evenly within it."""
    count = (window.stop - window.start) * fine
    return window.start - 0.5 + (np.arange(count) + 0.5) / fine
