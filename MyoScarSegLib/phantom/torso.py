"""What surrounds the left ventricle in an LGE short-axis slice: chest, lungs, abdomen, right ventricle.

Structures are painted one over another, each with an edge one pixel wide (its partial volume), in units of the signal of
blood. Positions are millimetres right and down from the ventricle's axis, as a short-axis slice is usually displayed:
right ventricle to the left, lung above and to the right, liver and stomach below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.phantom.grid import Grid
from MyoScarSegLib.phantom.heart import Heart


@dataclass(frozen=True)
class Tissue:
    """Signal of each tissue over that of blood, late after contrast agent, with healthy myocardium nulled.

    Signed as in PSIR; a magnitude image shows the absolute value.
    """

    lung: float = -0.02
    muscle: float = -0.12
    fat: float = 1.75
    marrow: float = 1.0
    liver: float = 0.62
    spleen: float = 0.55
    stomach: float = 0.2
    bowel: float = 0.45
    kidney: float = 1.9
    blood: float = 1.0
    myocardium: float = 0.13
    scar: float = 1.0
    no_reflow: float = 0.45


def paint_torso(grid: Grid, heart: Heart, tissue: Tissue, rng: np.random.Generator) -> np.ndarray:
    """The slices without the left ventricle.

    Returns:
        float32 ``[k, j, i]``, signal over that of blood; air is 0.
    """
    painter = _Painter(grid, rng)
    body = painter.draw_body(tissue)
    painter.draw_abdomen(heart, tissue, body)
    painter.draw_right_heart(heart, tissue)
    return painter.canvas


class _Painter:
    """Paints all slices at once on a canvas ``[k, j, i]``."""

    def __init__(self, grid: Grid, rng: np.random.Generator) -> None:
        settings = grid.settings
        self.rng = rng
        self.pixel = float(np.mean(settings.pixel_spacing_mm))
        right, down = grid.anatomy_coordinates(
            np.arange(settings.rows, dtype=np.float64)[:, None], np.arange(settings.columns, dtype=np.float64)[None, :]
        )
        # Breathing and a sheared stack move the anatomy from slice to slice.
        self.drift = drift = grid.drift_mm()
        self.x = (right[None] - drift[:, 0, None, None]).astype(np.float32)
        self.y = (down[None] - drift[:, 1, None, None]).astype(np.float32)
        self.canvas = np.zeros(self.x.shape, dtype=np.float32)
        self.slices = settings.slices

    def edge(self, distance: np.ndarray, softness: float = 1.0) -> np.ndarray:
        """Part of each pixel inside a border, from its signed distance in mm (negative inside)."""
        return np.clip(0.5 - distance / np.float32(self.pixel * softness), 0.0, 1.0)

    def paint(self, part: np.ndarray, value: float | np.ndarray) -> None:
        """Cover ``part`` of each pixel with ``value``."""
        self.canvas += part * (value - self.canvas)

    def texture(self, grain_mm: float, slices: int | None = None) -> np.ndarray:
        """Smooth noise of unit deviation, float32 ``[k, j, i]``, with structures of ``grain_mm``."""
        from scipy import ndimage

        count, rows, columns = self.canvas.shape
        step = max(1.0, grain_mm / self.pixel)
        coarse = self.rng.standard_normal((count, int(rows / step) + 3, int(columns / step) + 3), dtype=np.float32)
        fine = np.empty_like(self.canvas)
        across_rows = (np.arange(rows) / step).astype(np.float32)
        across_columns = (np.arange(columns) / step).astype(np.float32)
        low_rows, low_columns = across_rows.astype(np.int32), across_columns.astype(np.int32)
        part_rows, part_columns = across_rows - low_rows, across_columns - low_columns
        coarse = ndimage.gaussian_filter(coarse, (0.0, 0.6, 0.6))
        between = coarse[:, low_rows] * (1 - part_rows)[:, None] + coarse[:, low_rows + 1] * part_rows[:, None]
        fine = between[:, :, low_columns] * (1 - part_columns) + between[:, :, low_columns + 1] * part_columns
        return fine / np.float32(fine.std() + 1e-6)

    def wave(self, angle: np.ndarray, size: float, orders: tuple[int, ...] = (2, 3, 5)) -> np.ndarray:
        """A random periodic function of an angle, about ``size`` large, that varies slowly from slice to slice."""
        total = np.zeros(angle.shape, dtype=np.float32)
        along = np.linspace(0.0, 1.0, self.slices, dtype=np.float32)[:, None, None]
        for order in orders:
            phase = self.rng.uniform(0.0, 2 * np.pi) + self.rng.normal(0.0, 0.8) * along
            total += np.float32(self.rng.normal(0.0, size) / len(orders) ** 0.5) * np.cos(order * angle + phase)
        return total

    def blob(
        self, centre: tuple[float, float], radii: tuple[float, float], turn_deg: float, waviness: float = 0.06
    ) -> tuple[np.ndarray, np.ndarray]:
        """Signed distance (approximate, mm) to a wavy ellipse in each slice, and the angle about its centre."""
        cosine, sine = np.float32(np.cos(np.deg2rad(turn_deg))), np.float32(np.sin(np.deg2rad(turn_deg)))
        x, y = self.x - np.float32(centre[0]), self.y - np.float32(centre[1])
        along, across = (x * cosine + y * sine) / np.float32(radii[0]), (y * cosine - x * sine) / np.float32(radii[1])
        angle = np.arctan2(across, along)
        radius = np.hypot(along, across)
        return (radius - 1.0 - self.wave(angle, waviness)) * np.float32(min(radii)), angle

    def draw_body(self, tissue: Tissue) -> np.ndarray:
        """Skin, fat, muscle, ribs, lung with its vessels. Returns the distance to the inner chest wall (negative inside)."""
        rng = self.rng
        centre = (rng.normal(42.0, 6.0), rng.normal(8.0, 6.0))
        radii = (rng.normal(128.0, 7.0), rng.normal(118.0, 7.0))
        skin, angle = self.blob(centre, radii, rng.normal(-30.0, 6.0), 0.035)
        fat_mm = np.maximum(rng.uniform(9.0, 20.0) * (1.0 + self.wave(angle, 0.35, (1, 2, 3))), 4.0)
        muscle_mm = np.maximum(rng.uniform(9.0, 14.0) * (1.0 + self.wave(angle, 0.4, (1, 2, 4))), 3.0)
        body = self.edge(skin)
        self.paint(body, tissue.fat * (1.0 + 0.06 * self.texture(7.0)))
        self.paint(self.edge(skin + fat_mm), tissue.muscle + 0.1 * self.texture(4.0))
        # Fat between the muscle layers.
        middle = np.abs(skin + fat_mm + 0.45 * muscle_mm) - 1.2
        self.paint(self.edge(middle, 2.0) * (self.texture(16.0) > -0.2), 0.7 * tissue.fat)
        inner = skin + fat_mm + muscle_mm
        ribs = self.edge(np.abs(inner + 1.0) - 3.2, 1.5)
        spaced = np.cos(angle * np.float32(rng.uniform(15.0, 19.0)) + np.float32(rng.uniform(0.0, 6.0)))
        self.paint(ribs * (spaced > 0.1), tissue.marrow)
        lung = self.edge(inner + 3.0)
        self.paint(lung, tissue.lung + 0.03 * self.texture(5.0))
        self._draw_vessels(lung, tissue)
        return inner

    def _draw_vessels(self, lung: np.ndarray, tissue: Tissue) -> None:
        """Bright dots and short branches in the lung, more of them towards its root."""
        rng = self.rng
        for k in range(self.slices):
            inside = np.flatnonzero((lung[k] > 0.99).ravel())
            if len(inside) == 0:
                continue
            for spot in rng.choice(inside, size=min(45, len(inside)), replace=False):
                row, column = divmod(int(spot), self.canvas.shape[2])
                size = rng.exponential(0.7) + 0.6
                angle, length = rng.uniform(0.0, np.pi), rng.exponential(2.0)
                rows, columns = slice(max(row - 5, 0), row + 6), slice(max(column - 5, 0), column + 6)
                x, y = self.x[k, rows, columns] - self.x[k, row, column], self.y[k, rows, columns] - self.y[k, row, column]
                along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
                distance = np.hypot(np.maximum(np.abs(along) - length, 0.0), across) - size
                window = self.canvas[k, rows, columns]
                window += self.edge(distance, 1.5) * lung[k, rows, columns] * (rng.uniform(0.25, 0.9) * tissue.blood - window)

    def draw_abdomen(self, heart: Heart, tissue: Tissue, chest: np.ndarray) -> None:
        """Below the diaphragm: fat, liver, stomach, spleen, kidney, bowel; and the spine behind."""
        rng = self.rng
        inside = self.edge(chest)
        # Towards the apex slices lie lower in the body, and show more of the abdomen.
        lower = np.clip(heart.level, 0.0, 1.0).astype(np.float32)[:, None, None]
        dome = (
            rng.normal(38.0, 3.0)
            - 10.0 * lower
            + 0.0032 * (self.x - rng.normal(25.0, 8.0)) ** 2 * (1.0 - 0.5 * lower)
            - 0.18 * np.maximum(self.x - 20.0, 0.0)
        ).astype(np.float32)
        below = self.edge(dome - self.y) * inside
        self.paint(self.edge(dome - self.y - 0.0, 1.0) * self.edge(self.y - dome - 3.0) * inside, tissue.muscle)
        below = self.edge(dome + 3.0 - self.y) * inside
        self.paint(below, tissue.fat * 0.92 * (1.0 + 0.07 * self.texture(6.0)))
        bowel, _ = self.blob((rng.normal(20.0, 8.0), rng.normal(112.0, 6.0)), (55.0, 28.0), rng.normal(10.0, 10.0), 0.12)
        self.paint(self.edge(bowel) * below, tissue.bowel + 0.5 * self.texture(9.0))
        stomach, _ = self.blob((rng.normal(34.0, 5.0), rng.normal(66.0, 4.0)), (25.0, 13.0), rng.normal(-40.0, 12.0), 0.14)
        self.paint(self.edge(stomach) * below, tissue.liver + 0.06 * self.texture(5.0))
        self.paint(self.edge(stomach + 6.0) * below, tissue.stomach + 0.15 * self.texture(5.0))
        spleen, _ = self.blob((rng.normal(78.0, 5.0), rng.normal(34.0, 5.0)), (30.0, 15.0), rng.normal(35.0, 10.0), 0.1)
        self.paint(self.edge(spleen) * inside * self.edge(chest + 6.0), tissue.spleen + 0.05 * self.texture(6.0))
        kidney, _ = self.blob((rng.normal(82.0, 6.0), rng.normal(82.0, 6.0)), (28.0, 21.0), rng.normal(60.0, 15.0), 0.05)
        self.paint(self.edge(kidney - 2.0) * inside, tissue.muscle)
        self.paint(self.edge(kidney) * inside, tissue.kidney + 0.05 * self.texture(5.0))
        self.paint(self.edge(kidney + 13.0, 4.0) * inside, tissue.fat + 0.5 * self.texture(5.0))
        liver, _ = self.blob((rng.normal(-25.0, 6.0), rng.normal(82.0, 5.0)), (56.0, 27.0), rng.normal(-32.0, 8.0), 0.08)
        beneath = np.maximum(liver, dome + 3.0 - self.y)
        self.paint(self.edge(beneath) * inside, tissue.liver + 0.04 * self.texture(6.0) + 0.06 * (self.texture(11.0) > 1.6))

    def draw_right_heart(self, heart: Heart, tissue: Tissue) -> None:
        """Fat around the heart, the right ventricle's wall and blood."""
        rng = self.rng
        level = np.clip(heart.level, -0.1, 1.1).astype(np.float32)[:, None, None]
        # The canvas already moves with a sheared stack: only how the ventricle leans and sways is added.
        axis = (heart.axis_mm - self.drift).astype(np.float32)
        radius = heart.epicardium.max(axis=1).astype(np.float32)[:, None, None]
        x, y = self.x - axis[:, 0, None, None], self.y - axis[:, 1, None, None]
        angle = np.arctan2(-y, x)
        distance = np.hypot(x, y)
        present = np.clip((0.88 - level) / 0.12, 0.0, 1.0)

        turn = np.deg2rad(rng.normal(12.0, 6.0))
        cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        shrink = np.sqrt(np.clip(1.0 - (np.clip(level, 0.0, 1.0) / 0.9) ** 2.2, 0.0, 1.0))
        reach, height = np.float32(rng.uniform(30.0, 38.0)) * shrink, np.float32(rng.uniform(36.0, 42.0)) * shrink
        back = x + 0.72 * radius
        along, across = back * cosine + (y - 3.0) * sine, (y - 3.0) * cosine - back * sine
        bulge = np.arctan2(across, along)
        scale = np.maximum(np.minimum(reach, height), 1.0)
        oval = (np.hypot(along / np.maximum(reach, 1.0), across / np.maximum(height, 1.0)) - 1.0 - self.wave(bulge, 0.05)) * scale
        oval = np.maximum(oval, along - 0.55 * radius)
        oval = np.where(present > 0, oval, np.float32(99.0))

        heart_outline = np.minimum(distance - radius, oval - 3.0)
        heart_outline = np.where(radius > 0, heart_outline, np.float32(99.0))
        fat_mm = np.maximum(rng.uniform(2.0, 5.0) * (1.0 + self.wave(angle, 0.8, (1, 2, 3))) + 2.0 * (angle > 2.0), 0.8)
        self.paint(self.edge(heart_outline - fat_mm, 1.5), tissue.fat * 0.8 * (1.0 + 0.08 * self.texture(4.0)))
        self.paint(self.edge(heart_outline - 1.0), tissue.muscle)
        self.paint(self.edge(oval - 2.6), tissue.myocardium)
        rough = 1.3 * np.abs(self.texture(4.0)) * (1.0 - 0.5 * present)
        self.paint(self.edge(oval + rough), tissue.blood * 0.97 + 0.04 * self.texture(6.0))
