"""Where a window's pixels lie on the slice: all geometric changes in one grid, and the one sampling along it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.training.augmentation.library import plain, smooth, transforms
from MyoScarSegLib.training.augmentation.presets import Preset

if TYPE_CHECKING:
    import torch


def window_matrix(
    generator: np.random.Generator,
    preset: Preset,
    shape: tuple[int, int],
    centre: tuple[float, float],
    side: int,
    window_px: tuple[float, float],
) -> np.ndarray:
    """A random affine map from the window's pixels to the slice's, both in pixel edges, x first.

    Args:
        generator: the source of randomness.
        preset: the ranges.
        shape: ``(rows, columns)`` of the slice.
        centre: ``(x, y)`` of the heart in the slice.
        side: rows and columns of the window.
        window_px: native ``(rows, columns)`` that the window covers at zoom 1.

    Returns:
        float64 ``[2, 3]``: slice point = matrix[:, :2] @ window point + matrix[:, 2].
    """
    # All is drawn always and in one order, so that changing one range leaves the other draws as they were.
    angle = math.radians(preset.rotation_degrees) * generator.uniform(-1, 1)
    turns = int(generator.integers(4))
    mirrored = generator.random() < preset.flip
    zoom = math.exp(generator.uniform(*np.log(preset.scale)))
    stretch = math.exp(generator.uniform(-1, 1) * math.log(preset.stretch) / 2)
    place = 0.5 + preset.off_centre * (generator.random(2) - 0.5)
    anywhere = generator.random() < preset.anywhere
    target = generator.random(2) * (shape[1], shape[0])
    if preset.quarter_turns:
        angle += math.pi / 2 * turns
    if anywhere:
        place = np.array([0.5, 0.5])
    else:
        target = np.asarray(centre, dtype=np.float64)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    mirror = np.diag([-1.0 if mirrored else 1.0, 1.0])
    # Turned while millimetres are equal in x and y; then stretched, and brought to native pixels, along the slice's own axes.
    native = np.diag([window_px[1] * stretch, window_px[0] / stretch]) / side
    linear = native @ rotation @ mirror / zoom
    return np.column_stack([linear, target - linear @ (place * side)])


def sampling_grid(
    generator: np.random.Generator, preset: Preset, matrix: np.ndarray, shape: tuple[int, int], side: int
) -> torch.Tensor:
    """MONAI's sampling grid of a window: the affine map, on a smoothly deformed window where the preset has it so.

    MONAI counts rows first, in pixels from the middle of the window and of the slice, with pixel edges at its borders.

    Args:
        generator: the source of randomness.
        preset: probability and size of the elastic deformation.
        matrix: float64 ``[2, 3]`` from :func:`window_matrix`.
        shape: ``(rows, columns)`` of the slice.
        side: rows and columns of the window.

    Returns:
        float32 ``[3, side, side]``: row and column from the slice's middle, and 1.
    """
    import torch
    from torch.nn import functional

    library = transforms()
    linear = matrix[:, :2]
    middle = linear @ np.full(2, side / 2) + matrix[:, 2] - np.array([shape[1], shape[0]]) / 2
    affine = np.eye(3)
    affine[:2, :2] = linear[::-1, ::-1]
    affine[:2, 2] = middle[::-1]
    grid = library.create_grid((side, side), backend="torch")
    elastic, seed = generator.random() < preset.elastic, int(generator.integers(2**31))
    if elastic:
        deform = library.RandDeformGrid(spacing=side / preset.elastic_points, magnitude_range=(0.0, preset.elastic_shift * side))
        deform.set_random_state(seed)
        # The shifts alone: MONAI's control grid does not end with the window.
        deform.randomize((preset.elastic_points + 1,) * 2)
        shifts = torch.from_numpy(deform.rand_mag * deform.random_offset).float()[None]
        grid[:2] += functional.interpolate(shifts, (side, side), mode="bicubic", align_corners=True)[0]
    grid, _ = library.AffineGrid(affine=affine)(grid=grid)
    return plain(grid)


def sample(
    image: torch.Tensor, targets: torch.Tensor, grid: torch.Tensor, matrix: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Look at a slice along a grid: bilinear for the image, the nearest pixel for the targets, 0 outside the slice.

    Where the window's pixels are much larger than the slice's, the image is smoothed first, or it would be undersampled.

    Args:
        image: float32 ``[1, rows, columns]``.
        targets: float32 ``[n, rows, columns]``, whole numbers below 2**24.
        grid: float32 ``[3, side, side]`` from :func:`sampling_grid`.
        matrix: float64 ``[2, 3]`` that the grid was made of.

    Returns:
        float32 ``[1, side, side]``, int64 ``[n, side, side]``, and bool ``[1, side, side]``: what lies on the slice.
    """
    import torch

    library = transforms()
    rows, columns = image.shape[1:]
    # Native rows, then columns, from one pixel of the window to the next.
    steps = [math.hypot(*matrix[axis, :2]) for axis in (1, 0)]
    if max(steps) > _SMOOTH_ABOVE:
        image = smooth(image, [0.5 * math.sqrt(max(0.0, step**2 - 1)) for step in steps])
    # Padded with its border, so that no dark rim is mixed in that later changes of intensity would show up.
    bilinear = library.Resample(mode="bilinear", padding_mode="border", dtype=np.float32)
    seen = plain(bilinear(image, grid))
    nearest = library.Resample(mode="nearest", padding_mode="zeros", dtype=np.float32)
    side = grid.shape[1]
    classes = torch.zeros(0, side, side) if len(targets) == 0 else plain(nearest(targets, grid))
    inside = (grid[0].abs() <= rows / 2) & (grid[1].abs() <= columns / 2)
    return torch.where(inside, seen, 0.0), classes.round().long(), inside[None]


_SMOOTH_ABOVE = 1.25
"""Native pixels per pixel of the window above which sampling would alias."""
