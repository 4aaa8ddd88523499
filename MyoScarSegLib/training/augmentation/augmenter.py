"""From a slice to an augmented window: all geometry in one resampling, then the grey values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.augmentation.intensity import log_uniform, smooth, vary_intensity
from MyoScarSegLib.training.augmentation.variations import VARIATIONS, Variation

_GEOMETRY, _INTENSITY = 0, 1
_ELASTIC_POINTS = 7
"""Control points of a deformation along each side of the window: smooth at the scale of a ventricle's wall segment."""
_ELASTIC_SHIFT = 0.01
"""Largest standard deviation of their shifts, as a share of the side: about 1.5 mm, beyond which walls look torn."""
_SMOOTH_ABOVE = 1.25
"""Native pixels per pixel of the window above which sampling would alias."""


class Augmenter:
    """Draws augmented windows around the heart. It keeps no random state: the seed of a call decides it altogether.

    So it may be shared by threads and pickled to processes, and a resumed training draws what the stopped one would have.
    """

    def __init__(self, variation: Variation | str, side: int) -> None:
        """Windows of ``side`` rows and columns by a variation, or by the name of one of the segmenter's; else ModelError."""
        if isinstance(variation, str) and variation not in VARIATIONS:
            raise ModelError(f"There is no augmentation {variation!r}; choose from {', '.join(VARIATIONS)}.")
        self.variation = VARIATIONS[variation] if isinstance(variation, str) else variation
        self.side = side

    def geometry(
        self,
        image: np.ndarray | torch.Tensor,
        targets: np.ndarray | torch.Tensor,
        center: tuple[float, float],
        *,
        seed: Sequence[int] | int,
        window_px: tuple[float, float],
        heart_px: tuple[float, float] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """A window before its grey values change. Image and targets go through the same geometry.

        Args:
            image: ``[rows, columns]``, or of several channels ``[channels, rows, columns]``, of any range.
            targets: integers ``[n, rows, columns]``, below 2**24: numbered lesions, ventricle, tissue, ...; n may be 0.
            center: ``(x, y)`` of the heart in the slice, in pixel edges.
            seed: one or more numbers, not negative, that decide all that is drawn.
            window_px: native (rows, columns) that the window covers at zoom 1: its millimeters over the pixel spacing.
            heart_px: native (columns, rows) of the left ventricle around ``center``, which then fills the window as in the
                detector's second look, by the variation's ``heart_share`` and ``heart_shift``.

        Returns:
            float32 ``[channels, side, side]``, and int64 ``[n, side, side]``; both 0 outside the slice; and bool ``[1, side,
            side]``: where the window lies within it.
        """
        pixels, classes = np.asarray(image), np.asarray(targets)
        pixels = pixels[None] if pixels.ndim == 2 else pixels
        shape = (pixels.shape[1], pixels.shape[2])
        generator = _generator(seed, _GEOMETRY)
        matrix = window_matrix(generator, self.variation, shape, center, self.side, window_px, heart_px)
        grid = _sampling_grid(generator, self.variation, matrix, shape, self.side)
        return _sample(_floats(pixels), _floats(classes), grid, matrix)

    def intensity(self, image: torch.Tensor, *, seed: Sequence[int] | int, inside: torch.Tensor | None = None) -> torch.Tensor:
        """A window ``[channels, rows, columns]`` in 0..1 with its grey values changed, as this seed decides.

        ``inside`` is bool ``[1, rows, columns]``: where it lies within the slice. What lies beyond is 0 in use too.
        """
        return vary_intensity(_generator(seed, _INTENSITY), self.variation, image, inside)


def window_matrix(
    generator: np.random.Generator,
    variation: Variation,
    shape: tuple[int, int],
    center: tuple[float, float],
    side: int,
    window_px: tuple[float, float],
    heart_px: tuple[float, float] | None = None,
) -> np.ndarray:
    """A random affine map from the window's pixels to the slice's, both in pixel edges, x first; float64 ``[2, 3]``.

    Slice point = matrix[:, :2] @ window point + matrix[:, 2]. ``shape`` is the slice's ``(rows, columns)``, ``center`` the
    heart's ``(x, y)``; the others are as in :meth:`Augmenter.geometry`.
    """
    # All is drawn always and in one order, so that changing one range leaves the other draws as they were.
    angle = math.radians(variation.rotation_degrees) * generator.uniform(-1, 1)
    turns, mirrored = int(generator.integers(4)), generator.random() < 0.5
    zoom = log_uniform(generator, variation.scale)
    stretch = math.exp(generator.uniform(-1, 1) * math.log(variation.stretch) / 2)
    where = generator.random(2) - 0.5
    anywhere, target = generator.random() < variation.anywhere, generator.random(2) * (shape[1], shape[0])
    share = generator.uniform(*variation.heart_share)
    angle += math.pi / 2 * turns * variation.turned
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    mirror = np.diag([-1.0 if mirrored and variation.turned else 1.0, 1.0])
    # Turned while millimeters are equal in x and y; then stretched, and brought to native pixels, along the slice's own axes.
    linear = np.diag([window_px[1] * stretch, window_px[0] / stretch]) / side @ rotation @ mirror
    if heart_px is not None:
        # Extent of the ventricle, taken for an ellipse, along the window's axes.
        extent = np.linalg.norm(np.linalg.inv(linear) @ np.diag(heart_px), axis=1).max()
        linear *= extent / (share * side)
        place, target = 0.5 + 2 * variation.heart_shift * where, np.asarray(center, dtype=np.float64)
    else:
        linear /= zoom
        place = np.full(2, 0.5) if anywhere else 0.5 + variation.off_center * where
        target = target if anywhere else np.asarray(center, dtype=np.float64)
    return np.column_stack([linear, target - linear @ (place * side)])


def _sampling_grid(
    generator: np.random.Generator, variation: Variation, matrix: np.ndarray, shape: tuple[int, int], side: int
) -> torch.Tensor:
    """Where torch's sampling looks for each pixel of the window: float32 ``[1, side, side, 2]``, x first, -1..1 in the slice."""
    edges = torch.arange(side, dtype=torch.float32) + 0.5
    x, y = edges[None], edges[:, None]
    if generator.random() < variation.elastic:
        size = generator.uniform(0, _ELASTIC_SHIFT * side)
        points = size * generator.standard_normal((1, 2, _ELASTIC_POINTS, _ELASTIC_POINTS), dtype=np.float32)
        shifts = functional.interpolate(torch.from_numpy(points), (side, side), mode="bicubic", align_corners=True)[0]
        x, y = x + shifts[0], y + shifts[1]
    to_unit = matrix * 2 / np.array([[shape[1]], [shape[0]]])
    return torch.stack([x * float(a) + y * float(b) + float(c - 1) for a, b, c in to_unit], dim=-1)[None]


def _sample(
    image: torch.Tensor, targets: torch.Tensor, grid: torch.Tensor, matrix: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Look at a slice along a grid: bilinear for the image, the nearest pixel for the targets, 0 outside the slice; and bool
    ``[1, side, side]``: what lies on the slice.
    """
    # Native rows, then columns, from one pixel of the window to the next.
    steps = [math.hypot(*matrix[axis, :2]) for axis in (1, 0)]
    if max(steps) > _SMOOTH_ABOVE:
        image = smooth(image, [0.5 * math.sqrt(max(0.0, step**2 - 1)) for step in steps])
    # Padded with its border, so that no dark rim is mixed in that later changes of intensity would show up.
    seen = functional.grid_sample(image[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
    classes = torch.zeros(0, *grid.shape[1:3])
    if len(targets):
        classes = functional.grid_sample(targets[None], grid, mode="nearest", padding_mode="zeros", align_corners=False)[0]
    inside = grid.abs().amax(dim=-1) <= 1
    return seen * inside, classes.long(), inside


def _generator(seed: Sequence[int] | int, part: int) -> np.random.Generator:
    """Geometry and intensity draw from generators of their own: more of the one does not change the other."""
    numbers = [seed] if isinstance(seed, int) else seed
    return np.random.default_rng([part, *numbers])


def _floats(values: np.ndarray) -> torch.Tensor:
    """A copy, since torch takes neither read-only nor mirrored arrays."""
    return torch.from_numpy(np.array(values, dtype=np.float32, order="C"))
