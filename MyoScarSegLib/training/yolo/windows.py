"""Windows: where in a slice a training picture is taken, how it is resampled, and how its intensities vary."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.training.yolo.settings import Variation

if TYPE_CHECKING:
    import torch


def random_window(
    generator: np.random.Generator, shape: tuple[int, int], centre: tuple[float, float], size: int, how: Variation
) -> np.ndarray:
    """A random affine map from the window's pixels to the slice's, both in pixel edges, x first.

    Args:
        generator: the source of randomness.
        shape: ``(rows, columns)`` of the slice.
        centre: ``(x, y)`` of the heart in the slice.
        size: side of the window in pixels.
        how: the ranges.

    Returns:
        float64 ``[2, 3]``: slice point = matrix[:, :2] @ window point + matrix[:, 2].
    """
    angle = math.radians(generator.uniform(-how.rotation_degrees, how.rotation_degrees))
    quarters, flipped = generator.integers(4), generator.random() < 0.5
    angle += math.pi / 2 * quarters * how.turned
    zoom = math.exp(generator.uniform(*np.log(how.scale)))
    stretch = math.exp(generator.uniform(-1, 1) * math.log(how.stretch) / 2)
    mirror = -1.0 if flipped and how.turned else 1.0
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    # The stretch acts along the slice's own axes: that is where files and scanners stretch.
    linear = np.diag([stretch, 1 / stretch]) @ rotation @ np.diag([mirror, 1.0]) / zoom
    if generator.random() < how.anywhere:
        target = np.array([generator.uniform(0, shape[1]), generator.uniform(0, shape[0])])
        place = np.array([size / 2, size / 2])
    else:
        target = np.asarray(centre)
        place = size * (0.5 + how.off_centre * (generator.random(2) - 0.5))
    return np.column_stack([linear, target - linear @ place])


def heart_window(
    generator: np.random.Generator, ventricle: tuple[float, float, float, float], size: int, how: Variation
) -> np.ndarray:
    """As :func:`random_window`, for the detector's second look: the left ventricle fills most of the window.

    Args:
        generator: the source of randomness.
        ventricle: ``(x0, y0, x1, y1)`` of the left ventricle in the slice.
        size: side of the window in pixels.
        how: the ranges; those of zoom and place do not count here.
    """
    x0, y0, x1, y1 = ventricle
    turned = random_window(generator, (1, 1), (0.0, 0.0), 2, replace(how, scale=(1.0, 1.0), anywhere=0.0))[:, :2]
    share = generator.uniform(*how.heart_share)
    # Extent of the ventricle, taken for an ellipse, along the turned and stretched axes of the window.
    extent = np.linalg.norm(np.linalg.inv(turned) @ np.diag([x1 - x0, y1 - y0]), axis=1).max()
    linear = turned * (extent / (share * size))
    place = size * (0.5 + how.heart_shift * generator.uniform(-1, 1, 2))
    return np.column_stack([linear, np.array([(x0 + x1) / 2, (y0 + y1) / 2]) - linear @ place])


def warp(images: torch.Tensor, matrices: np.ndarray, size: int, *, mode: str) -> torch.Tensor:
    """Look at slices through their windows.

    Args:
        images: float ``[batch, channels, rows, columns]``.
        matrices: ``[batch, 2, 3]`` from :func:`random_window`.
        size: side of the window.
        mode: ``"bilinear"`` or ``"nearest"``.

    Returns:
        ``[batch, channels, size, size]``; 0 outside the slice.
    """
    import torch
    from torch.nn import functional

    rows, columns = images.shape[-2:]
    to_slice = torch.as_tensor(matrices, dtype=torch.float32)
    edges = torch.arange(size, dtype=torch.float32) + 0.5
    y, x = torch.meshgrid(edges, edges, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], dim=-1) @ to_slice.transpose(1, 2)[:, None]
    grid = points / torch.tensor([columns, rows]) * 2 - 1
    return functional.grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=False)


def vary_intensity(generator: np.random.Generator, images: torch.Tensor, how: Variation) -> torch.Tensor:
    """Draw anew each slice's window, gamma, coil shading, blur and noise.

    Args:
        generator: the source of randomness.
        images: float32 ``[batch, 1, rows, columns]`` in 0..1, as :func:`~MyoScarSegLib.study.normalise.normalise` returns.

    Returns:
        A new tensor, likewise in 0..1.
    """
    import torch
    from torch.nn import functional

    batch, _, rows, columns = images.shape

    def draw(low: float, high: float) -> torch.Tensor:
        return torch.from_numpy(generator.uniform(low, high, (batch, 1, 1, 1)).astype(np.float32))

    shading = torch.from_numpy(generator.uniform(-1, 1, (batch, 1, 3, 3)).astype(np.float32))
    shading = functional.interpolate(shading, (rows, columns), mode="bicubic", align_corners=True)
    images = images * (1 + draw(0, how.bias) * shading)
    low, high = draw(*how.window_low), draw(*how.window_high)
    images = ((images - low) / (high - low)).clamp(0, 1)
    images = images ** draw(*np.log(how.gamma)).exp()
    blurred = draw(-1, 1).clamp(min=0)
    if how.blur_px > 0:
        images = torch.lerp(images, _blur(images, how.blur_px), blurred)
    noise = torch.from_numpy(generator.standard_normal(images.shape, dtype=np.float32))
    return (images + draw(-how.noise, how.noise).clamp(min=0) * noise).clamp(0, 1)


def _blur(images: torch.Tensor, deviation_px: float) -> torch.Tensor:
    import torch
    from torch.nn import functional

    reach = max(1, math.ceil(3 * deviation_px))
    steps = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (steps / deviation_px) ** 2)
    kernel = kernel / kernel.sum()
    images = functional.pad(images, (reach, reach, reach, reach), mode="replicate")
    images = functional.conv2d(images, kernel.view(1, 1, 1, -1))
    return functional.conv2d(images, kernel.view(1, 1, -1, 1))
