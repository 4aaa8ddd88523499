"""Painting soft-edged structures on a stack of slices."""

from __future__ import annotations

import numpy as np

from MyoScarSegLib.phantom.grid import Grid

_SPARE_PX = 64
"""Pixels by which a noise field is larger than the slices, so that one field serves many tissues at different offsets."""


class Painter:
    """Paints all slices at once on ``canvas`` ``[k, j, i]``, float32; air is 0.

    Attributes:
        canvas: what is painted.
        x, y: float32 ``[k, j, i]``, millimeters right and down from the ventricle's axis.
        pixel_mm: mean pixel size, the width of a structure's edge.
        rng: draws shapes and textures.
        window: what part of the canvas of :meth:`on` this is, for arrays of that shape.
    """

    def __init__(
        self, canvas: np.ndarray, x: np.ndarray, y: np.ndarray, pixel_mm: float, rng: np.random.Generator, grid: Grid
    ) -> None:
        self.canvas, self.x, self.y = canvas, x, y
        self.pixel_mm, self.rng, self._grid = pixel_mm, rng, grid
        self.window: tuple[slice, slice, slice] = (slice(None), slice(None), slice(None))
        self._noise: dict[float, np.ndarray] = {}

    @classmethod
    def on(cls, grid: Grid, rng: np.random.Generator) -> Painter:
        """A painter with an empty canvas over the whole of every slice."""
        settings = grid.settings
        right, down = grid.anatomy_coordinates(
            np.arange(settings.rows, dtype=np.float64)[:, None], np.arange(settings.columns, dtype=np.float64)[None, :]
        )
        drift = grid.drift_mm()
        x = (right[None] - drift[:, 0, None, None]).astype(np.float32)
        y = (down[None] - drift[:, 1, None, None]).astype(np.float32)
        return cls(np.zeros(x.shape, dtype=np.float32), x, y, float(np.mean(settings.pixel_spacing_mm)), rng, grid)

    def near(self, center: tuple[float, float], reach_mm: float) -> Painter:
        """A painter on the part of the canvas within ``reach_mm`` of a position; what it paints appears here.

        Only of a painter on the whole canvas.
        """
        drift = self._grid.drift_mm()
        places = np.array([self._grid.pixel_of(center[0] + right, center[1] + down) for right, down in drift])
        row_mm, column_mm = self._grid.settings.pixel_spacing_mm
        reach = np.array([reach_mm / row_mm + 1.0, reach_mm / column_mm + 1.0])
        low = np.clip(np.floor(places.min(axis=0) - reach), 0, None).astype(int)
        high = np.clip(np.ceil(places.max(axis=0) + reach) + 1, low, None).astype(int)
        window = (slice(None), slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])))
        part = Painter(self.canvas[window], self.x[window], self.y[window], self.pixel_mm, self.rng, self._grid)
        part.window, part._noise = window, self._noise
        return part

    def edge(self, distance: np.ndarray, softness: float = 1.0) -> np.ndarray:
        """Part of each pixel inside a border, from its signed distance in mm (negative inside)."""
        return np.clip(np.float32(0.5) - distance / np.float32(self.pixel_mm * softness), 0.0, 1.0)

    def paint(self, part: np.ndarray, value: float | np.ndarray) -> None:
        """Cover ``part`` of each pixel with ``value``."""
        self.canvas += part * (value - self.canvas)

    def texture(self, grain_mm: float) -> np.ndarray:
        """Smooth noise of unit deviation, float32 like the canvas, with structures of ``grain_mm``."""
        settings = self._grid.settings
        if grain_mm not in self._noise:
            shape = (settings.slices, settings.rows + _SPARE_PX, settings.columns + _SPARE_PX)
            self._noise[grain_mm] = _smooth_noise(shape, max(1.0, grain_mm / self.pixel_mm), self.rng)
        field = self._noise[grain_mm]
        row, column = self.rng.integers(_SPARE_PX, size=2)
        return field[:, row : row + self.canvas.shape[1], column : column + self.canvas.shape[2]]

    def wave(self, angle: np.ndarray, size: float, orders: tuple[int, ...] = (2, 3, 5)) -> np.ndarray:
        """A random periodic function of an angle, about ``size`` large, that varies slowly from slice to slice."""
        turns = 720
        table_angle = np.linspace(-np.pi, np.pi, turns + 1, dtype=np.float32)
        slices = angle.shape[0]
        along = np.linspace(0.0, 1.0, slices)[:, None]
        table = np.zeros((slices, turns + 1), dtype=np.float32)
        for order in orders:
            phase = self.rng.uniform(0.0, 2 * np.pi) + self.rng.normal(0.0, 0.8) * along
            table += (self.rng.normal(0.0, size) / len(orders) ** 0.5 * np.cos(order * table_angle + phase)).astype(np.float32)
        index = ((angle + np.float32(np.pi)) * np.float32(turns / (2 * np.pi))).astype(np.int32)
        np.clip(index, 0, turns, out=index)
        index += (np.arange(slices, dtype=np.int32) * (turns + 1))[:, None, None]
        return np.asarray(table.ravel().take(index))

    def blob(
        self, center: tuple[float | np.ndarray, float], radii: tuple[float, float], turn_deg: float, waviness: float = 0.06
    ) -> tuple[np.ndarray, np.ndarray]:
        """Signed distance (approximate, mm) to a wavy ellipse in each slice, and the angle about its center.

        The center is right and down; the former may differ from slice to slice, ``[k, 1, 1]``.
        """
        cosine, sine = np.float32(np.cos(np.deg2rad(turn_deg))), np.float32(np.sin(np.deg2rad(turn_deg)))
        x, y = self.x - np.asarray(center[0], dtype=np.float32), self.y - np.float32(center[1])
        along, across = (x * cosine + y * sine) / np.float32(radii[0]), (y * cosine - x * sine) / np.float32(radii[1])
        angle = np.arctan2(across, along)
        radius = np.hypot(along, across)
        return (radius - 1.0 - self.wave(angle, waviness)) * np.float32(min(radii)), angle


def _smooth_noise(shape: tuple[int, int, int], step: float, rng: np.random.Generator) -> np.ndarray:
    """Noise on a coarse grid of ``step`` pixels, interpolated linearly, of unit deviation."""
    from scipy import ndimage

    count, rows, columns = shape
    coarse = rng.standard_normal((count, int(rows / step) + 3, int(columns / step) + 3), dtype=np.float32)
    coarse = ndimage.gaussian_filter(coarse, (0.0, 0.6, 0.6))
    at_row, at_column = (np.arange(rows) / step).astype(np.float32), (np.arange(columns) / step).astype(np.float32)
    row, column = at_row.astype(np.int32), at_column.astype(np.int32)
    between = coarse[:, row] * (1 - (at_row - row))[:, None] + coarse[:, row + 1] * (at_row - row)[:, None]
    fine = between[:, :, column] * (1 - (at_column - column)) + between[:, :, column + 1] * (at_column - column)
    return np.asarray(fine / np.float32(fine.std() + 1e-6))
