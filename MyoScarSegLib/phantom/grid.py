"""Where a phantom's slices lie: positions along the normal, geometry in the world, anatomy's coordinates of each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.phantom.phantom_settings import PhantomSettings
from MyoScarSegLib.study.study import Geometry


@dataclass(frozen=True)
class Grid:
    """The sampled planes.

    Attributes:
        settings: what was asked for.
        positions_mm: ``[k]`` of the slice planes along the normal, rising, in the order of the array.
        boundaries_mm: ``[k + 1]`` between which each slice stands for the tissue: half way to each neighbor, and
            outwards at the ends as far as inwards.
        direction: 3 x 3, columns i, j and normal (orthonormal), LPS.
        origin_mm: of voxel (0, 0, 0), LPS.
        center_mm: ``(row, column)`` distance of the ventricle from the center of pixel (0, 0), in the plane at position 0.
    """

    settings: PhantomSettings
    positions_mm: np.ndarray
    boundaries_mm: np.ndarray
    direction: np.ndarray
    origin_mm: np.ndarray
    center_mm: tuple[float, float]

    @property
    def extents_mm(self) -> np.ndarray:
        """``[k]`` length of tissue along the normal for which each slice stands."""
        return np.diff(self.boundaries_mm)

    def geometry(self) -> Geometry:
        """The study's geometry, as a reader would report it."""
        settings = self.settings
        drift = self.direction @ np.array([settings.shear[0], settings.shear[1], 1.0])
        row_mm, column_mm = settings.pixel_spacing_mm
        gaps = np.diff(self.positions_mm)
        step = float(np.median(gaps)) if len(gaps) else settings.slice_spacing_mm
        direction = self.direction.copy()
        direction[:, 2] = drift / np.linalg.norm(drift)
        spacing = (column_mm, row_mm, step * float(np.linalg.norm(drift)))
        origin = (float(self.origin_mm[0]), float(self.origin_mm[1]), float(self.origin_mm[2]))
        if len(gaps) and np.ptp(gaps) > 1e-6:
            origins = self.origin_mm + np.outer(self.positions_mm - self.positions_mm[0], drift)
            return Geometry(spacing, origin, direction, self.positions_mm.copy(), origins)
        return Geometry(spacing, origin, direction)

    def anatomy_coordinates(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixel positions to the heart's frame: millimeters right and down from the ventricle's axis, before shear.

        Args:
            rows, columns: pixel indices (centers are whole numbers), broadcastable against each other.
        """
        settings = self.settings
        down = rows * settings.pixel_spacing_mm[0] - self.center_mm[0]
        right = columns * settings.pixel_spacing_mm[1] - self.center_mm[1]
        if settings.mirrored:
            down = -down
        angle = np.deg2rad(settings.in_plane_rotation_deg)
        cosine, sine = float(np.cos(angle)), float(np.sin(angle))
        return right * cosine + down * sine, down * cosine - right * sine

    def pixel_of(self, right: float, down: float) -> tuple[float, float]:
        """The inverse of :meth:`anatomy_coordinates`: fractional ``(row, column)``."""
        settings = self.settings
        angle = np.deg2rad(settings.in_plane_rotation_deg)
        cosine, sine = float(np.cos(angle)), float(np.sin(angle))
        x, y = right * cosine - down * sine, right * sine + down * cosine
        if settings.mirrored:
            y = -y
        return (y + self.center_mm[0]) / settings.pixel_spacing_mm[0], (x + self.center_mm[1]) / settings.pixel_spacing_mm[1]

    def drift_mm(self) -> np.ndarray:
        """``[k, 2]`` right and down displacement of the anatomy in each slice that a sheared stack shows."""
        settings = self.settings
        along = -np.outer(self.positions_mm, settings.shear)
        zero = self.anatomy_coordinates(np.zeros(1), np.zeros(1))
        rows, columns = along[:, 1] / settings.pixel_spacing_mm[0], along[:, 0] / settings.pixel_spacing_mm[1]
        right, down = self.anatomy_coordinates(rows, columns)
        return np.stack([right - zero[0], down - zero[1]], axis=1)


def make_grid(settings: PhantomSettings, rng: np.random.Generator) -> Grid:
    """Place the slices. Draws from ``rng`` what the settings leave open."""
    count = settings.slices
    if settings.slice_positions_mm is not None:
        positions = np.array(settings.slice_positions_mm, dtype=np.float64)
    else:
        stretch = 1.0 + settings.slice_jitter * rng.uniform(-1.0, 1.0, size=max(count - 1, 0))
        positions = np.concatenate([[0.0], np.cumsum(settings.slice_spacing_mm * stretch)])
    positions = positions - (positions[0] + positions[-1]) / 2
    if count == 1:
        half = settings.slice_spacing_mm / 2
        boundaries = np.array([positions[0] - half, positions[0] + half])
    else:
        middles = (positions[1:] + positions[:-1]) / 2
        boundaries = np.concatenate([[2 * positions[0] - middles[0]], middles, [2 * positions[-1] - middles[-1]]])

    direction = _direction(settings, rng)
    offset = rng.normal(0.0, 5.0, size=2).clip(-12.0, 12.0)
    row_mm, column_mm = settings.pixel_spacing_mm
    center = ((settings.rows - 1) / 2 * row_mm + float(offset[0]), (settings.columns - 1) / 2 * column_mm + float(offset[1]))
    # The heart's middle is put near the scanner's isocenter, where a technician puts it.
    isocenter = rng.normal(0.0, 10.0, size=3)
    start = np.array([-center[1], -center[0], positions[0]]) + np.array([*settings.shear, 0.0]) * positions[0]
    origin = isocenter + direction @ start
    return Grid(settings, positions, boundaries, direction, origin, center)


def _direction(settings: PhantomSettings, rng: np.random.Generator) -> np.ndarray:
    if settings.orientation == "random":
        matrix, upper = np.linalg.qr(rng.normal(size=(3, 3)))
        return matrix * np.sign(np.diag(upper))
    # The left ventricle's axis points to the patient's left, front and feet; the slices are perpendicular to it.
    azimuth, elevation = np.deg2rad(rng.normal(45.0, 6.0)), np.deg2rad(rng.normal(-30.0, 5.0))
    apex = np.array([np.cos(elevation) * np.cos(azimuth), -np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    # On the screen the right ventricle is at the left: rows run towards the feet, columns to the patient's left and back.
    columns = np.cross(apex, np.array([0.0, 0.0, 1.0]))
    columns = columns / np.linalg.norm(columns) * (1.0 if np.cross(apex, np.array([0.0, 0.0, 1.0]))[1] > 0 else -1.0)
    rows = np.cross(apex, columns)
    if rows[2] > 0:
        rows = -rows
    normal = -apex if settings.apex_first else apex
    return np.stack([columns, rows, normal], axis=1)
