"""From anatomy to an acquired image: the ventricle's signal, blur, ghost, coil shading, noise, reconstruction."""

from __future__ import annotations

import numpy as np

from MyoScarSegLib.phantom.grid import Grid
from MyoScarSegLib.phantom.occupancy import Occupancy
from MyoScarSegLib.phantom.torso import Tissue
from MyoScarSegLib.study.study import Reconstruction

BLOOD_VALUE = 400.0
"""Stored value of blood's signal, of the order that scanners store."""


def paint_heart(canvas: np.ndarray, occupancy: Occupancy, tissue: Tissue, pixel_mm: float, rng: np.random.Generator) -> None:
    """Put the left ventricle into the slices, each pixel by the parts that fill it.

    Args:
        canvas: float32 ``[k, j, i]`` of the surroundings; changed in place.
        occupancy: of the ventricle's parts.
        tissue: their signals.
        pixel_mm: pixel size, for the width of the infarct's border zone.
        rng: draws texture.
    """
    from scipy import ndimage

    window = canvas[:, occupancy.rows, occupancy.columns]
    shape = window.shape
    grain = max(0.5, 1.6 / pixel_mm)

    def texture(scale: float = 1.0) -> np.ndarray:
        field = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), (0.0, grain * scale, grain * scale))
        return np.asarray(field / np.float32(field.std() + 1e-6))

    # The heart moves while a slice is read, and its walls cross the slab at an angle: borders are wider than the pixel's.
    motion = rng.uniform(0.5, 1.3) / pixel_mm
    cavity, wall_part, infarct, core_part, papillary_part = (
        ndimage.gaussian_filter(part, (0.0, motion, motion))
        for part in (occupancy.cavity, occupancy.wall, occupancy.infarct, occupancy.core, occupancy.papillary)
    )
    # Viable and dead fibers interlace at the infarct's border, so its signal falls off over a millimeter or two.
    border = 1.1 / pixel_mm
    # Within the wall: what share of its tissue is dead, so that the border to the blood does not dim it.
    dead = infarct / np.maximum(wall_part, 0.05)
    share = ndimage.gaussian_filter(infarct, (0.0, border, border)) / np.maximum(
        ndimage.gaussian_filter(wall_part, (0.0, border, border)), 0.05
    )
    zone = np.clip(0.55 * dead + 0.45 * share, 0.0, 1.0)
    core = np.clip(core_part / np.maximum(wall_part, 0.05), 0.0, 1.0)
    patchy = np.clip(1.0 + 0.13 * texture(1.5), 0.5, 1.3)
    muscle = tissue.myocardium + 0.06 * texture(1.3)
    wall = muscle + (tissue.scar * patchy - muscle) * zone
    wall += (tissue.no_reflow + 0.05 * texture() - wall) * core
    blood = tissue.blood + 0.045 * texture(1.3)
    papillary = tissue.myocardium + 0.2 * (tissue.blood - tissue.myocardium)
    window *= 1.0 - cavity - wall_part
    window += (cavity - papillary_part) * blood + papillary_part * papillary + wall_part * wall


def acquire(canvas: np.ndarray, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Acquire the slices.

    Args:
        canvas: float32 ``[k, j, i]``, signal over that of blood.
        grid: with the settings of noise, shading and reconstruction.
        rng: draws them.

    Returns:
        int16 ``[k, j, i]``: signed for PSIR (Gaussian noise), not negative for magnitude (Rician noise).
    """
    from scipy import ndimage

    settings = grid.settings
    signal = ndimage.gaussian_filter(canvas, (0.0, settings.blur_px, settings.blur_px)) if settings.blur_px > 0 else canvas
    # What breathes between two lines of k-space comes back shifted along the phase-encoding direction.
    ghost = rng.uniform(0.0, 0.025, size=(settings.slices, 1, 1)).astype(np.float32)
    signal = signal + ghost * np.roll(signal, settings.rows // int(rng.integers(2, 5)), axis=1)
    signal = signal * _shading(settings.rows, settings.columns, settings.bias, rng)
    # Scanners interpolate: noise of neighboring pixels is alike.
    noise = ndimage.gaussian_filter(rng.standard_normal((2, *signal.shape), dtype=np.float32), (0.0, 0.0, 0.5, 0.5))
    noise *= settings.noise / float(noise.std())
    signed = settings.reconstruction is Reconstruction.PSIR
    image = signal + noise[0] if signed else np.hypot(signal + noise[0], noise[1])
    return np.clip(np.rint(image * BLOOD_VALUE), -32768, 32767).astype(np.int16)


def _shading(rows: int, columns: int, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth positive field ``[j, i]`` of mean 1 that departs from it by about ``strength``."""
    y, x = np.meshgrid(np.linspace(-1.0, 1.0, rows), np.linspace(-1.0, 1.0, columns), indexing="ij")
    terms = np.stack([x, y, x * y, x * x - 1 / 3, y * y - 1 / 3])
    weights = rng.normal(0.0, 1.0, size=5) * np.array([1.0, 1.0, 0.4, 0.4, 0.4])
    field = np.tensordot(weights, terms, axes=1)
    field = np.exp(strength * field / max(float(np.abs(field).max()), 1e-6))
    return (field / field.mean()).astype(np.float32)
