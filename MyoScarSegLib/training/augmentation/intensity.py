"""What coils, sequence, motion, noise and the display window do to the grey values of an LGE slice.

In plain torch: MONAI's transforms do the same with several times the work around it, which for small windows is most of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from MyoScarSegLib.training.augmentation.variations import Variation

_PSIR_SHIFT = (0.15, 0.5)
"""Error of the inversion time, in units of the full signal: from barely seen to muscle plainly darker than air."""
_MAGNITUDE_NULL = (0.08, 0.25)
"""Share of the slice's pixels that are darker than its null: muscle and lung, about."""
_SOFT = 0.5
"""Probability of blur, and of noise: half of the slices stay as sharp and as clean as they are."""
_GHOST_SHIFT_PX = (0.3, 1.0)
"""Amplitude of breathing that a breath-hold leaves, in pixels of about 1.4 mm."""
_GHOST_CYCLES = (3.0, 12.0)
"""Its cycles during the acquisition, which set the ghosts' distance."""
_LOW_RESOLUTION_ZOOM = (0.6, 1.0)
"""Down to the coarsest matrix that LGE is acquired with."""
_RINGING_RADIUS = (0.45, 0.65)
"""Of the disc to which k-space is truncated, as a share of its square's half diagonal."""
_MOST_WHITE = 0.15
"""A reader may let the brightest go white, but not the heart: share of the slice's pixels that may lie above white."""
_MARGIN_PX = 8
_BLACK = 0.02
_BLACK_RIM_PX = 2
_TISSUE_BLUR_PX = 2.5
_TISSUE_LEVEL = 0.1
"""Smoothed magnitude from which on a place is taken to be tissue altogether, and not air or lung."""


def vary_intensity(
    generator: np.random.Generator, variation: Variation, image: torch.Tensor, inside: torch.Tensor | None = None
) -> torch.Tensor:
    """Change the grey values, in the order in which a scanner and a reader do; see :meth:`.augmenter.Augmenter.intensity`."""
    if inside is None:
        inside = torch.ones(1, *image.shape[1:], dtype=torch.bool)
    whole = bool(inside.all())
    inside = inside.expand_as(image)
    signed = generator.random() < variation.psir
    if signed:
        image = signed_look(image, generator.uniform(*_PSIR_SHIFT))
    elif generator.random() < variation.magnitude:
        image = magnitude_look(image, _quantile(image[inside & (image > _BLACK)], generator.uniform(*_MAGNITUDE_NULL)))
    if variation.bias > 0:
        image = image * coil_shading(generator, variation.bias, image.shape[1:])
    if variation.blur_px[1] > 0 and generator.random() < _SOFT:
        image = smooth(image, [generator.uniform(*variation.blur_px)] * 2)
    image = _k_space(generator, variation, image)
    if variation.noise > 0 and generator.random() < _SOFT:
        image = noisy(generator, image, generator.uniform(0, variation.noise), signed=signed)
    low, high = generator.uniform(*variation.window_low), generator.uniform(*variation.window_high)
    if (low, high) != (0, 1):
        high = max(high, _quantile(image if whole else image[inside], 1 - _MOST_WHITE))
        image = (image - low) / (high - low)
    image = image.clamp(0, 1) ** log_uniform(generator, variation.gamma)
    return image if whole else torch.where(inside, image, 0.0)


def log_uniform(generator: np.random.Generator, limits: tuple[float, float]) -> float:
    """A number between the limits, its logarithm drawn evenly."""
    return math.exp(generator.uniform(math.log(limits[0]), math.log(limits[1])))


def coil_shading(generator: np.random.Generator, amplitude: float, shape: Sequence[int]) -> torch.Tensor:
    """A smooth positive factor ``[1, rows, columns]``: its logarithm is quadratic through 3 x 3 points within ``amplitude``."""
    points = generator.uniform(0, amplitude) * generator.uniform(-1, 1, (3, 3))
    down, across = (
        np.stack([(x * x - x) / 2, 1 - x * x, (x * x + x) / 2], axis=1) for x in (np.linspace(-1, 1, length) for length in shape)
    )
    return torch.from_numpy(np.exp((down @ points @ across.T)[None].astype(np.float32)))


def smooth(image: torch.Tensor, deviations_px: Sequence[float]) -> torch.Tensor:
    """Gaussian smoothing of ``[channels, rows, columns]``, with the image going on beyond its edges rather than black.

    ``deviations_px`` are the standard deviations along rows and columns; 0 leaves an axis as it is.
    """
    for axis, deviation in enumerate(deviations_px, start=1):
        if deviation > 0:
            reach = math.ceil(3 * deviation)
            weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
            weights /= weights.sum()
            pad, length = ((0, 0, reach, reach), (reach, reach, 0, 0))[axis - 1], image.shape[axis]
            padded = functional.pad(image, pad, mode="replicate")
            # Few shifted sums are several times quicker than a convolution of one channel.
            image = float(weights[0]) * padded.narrow(axis, 0, length)
            for n, weight in enumerate(weights[1:], start=1):
                image.add_(padded.narrow(axis, n, length), alpha=float(weight))
    return image


def _k_space(generator: np.random.Generator, variation: Variation, image: torch.Tensor) -> torch.Tensor:
    """Ghosts of motion, a coarser matrix and ringing, each with the variation's probability."""
    ghosts, coarse, ringing = generator.random(3) < (variation.ghosts, variation.low_resolution, variation.ringing)
    if not (ghosts or coarse or ringing):
        return image
    # A Fourier transform sees the opposite edge beyond an edge.
    margin = min(_MARGIN_PX, *(length - 1 for length in image.shape[1:]))
    image = functional.pad(image[None], (margin,) * 4, mode="reflect")[0]
    if ghosts:
        shift, cycles, phase = (generator.uniform(*limits) for limits in (_GHOST_SHIFT_PX, _GHOST_CYCLES, (0, 2 * math.pi)))
        image = motion_ghosts(image, shift, cycles, phase, axis=1 + int(generator.integers(2)))
    if coarse:
        image = low_resolution(image, generator.uniform(*_LOW_RESOLUTION_ZOOM))
    if ringing:
        image = gibbs_ringing(image, generator.uniform(*_RINGING_RADIUS))
    return image[:, margin : image.shape[1] - margin, margin : image.shape[2] - margin]


def low_resolution(image: torch.Tensor, zoom: float) -> torch.Tensor:
    """The slice acquired with ``zoom`` times as many pixels a side, and interpolated as scanners do; the same shape."""
    few = [max(1, round(length * zoom)) for length in image.shape[1:]]
    sampled = functional.interpolate(image[None], few, mode="area")
    return functional.interpolate(sampled, image.shape[1:], mode="bicubic", align_corners=False)[0]


def gibbs_ringing(image: torch.Tensor, radius: float) -> torch.Tensor:
    """K-space truncated to a disc whose radius is this share of the square's half diagonal: edges overshoot; the same shape."""
    across, down = (torch.fft.fftfreq(length) for length in image.shape[:0:-1])
    kept = torch.hypot(down[:, None], across) <= radius * math.sqrt(0.5)
    return torch.fft.ifft2(torch.fft.fft2(image) * kept).real


def noisy(generator: np.random.Generator, image: torch.Tensor, deviation: float, *, signed: bool) -> torch.Tensor:
    """Noise of the real part where intensities are signed, else of the magnitude (Rician), which raises what is near 0."""
    real, imaginary = deviation * torch.from_numpy(generator.standard_normal((2, *image.shape), dtype=np.float32))
    return image + real if signed else torch.hypot(image + real, imaginary)


def signed_look(image: torch.Tensor, shift: float) -> torch.Tensor:
    """How a magnitude slice ``[1, rows, columns]`` would look as a phase-sensitive one (PSIR) of a shorter inversion time;
    both in 0..1.

    After an inversion pulse, tissue of density p and relaxation time T1 has the signal s = p (1 - 2 exp(-TI / T1)). With
    a shorter TI it is about s' = s - d (p - s), d being ``shift``: nulled muscle falls below zero, bright scar and fat
    hardly change, and air, with p = 0, stays at zero. PSIR keeps the sign and stores the range shifted: muscle is darkest
    and air is grey. Where air is grey already the map is the identity: a PSIR slice remains as it is.
    """
    # 1 where there is signal in the neighborhood, falling to 0 in black air: the density of tissue is not known.
    density = (smooth(image, (_TISSUE_BLUR_PX, _TISSUE_BLUR_PX)) / _TISSUE_LEVEL).clamp(0, 1)
    signal = image - shift * (density - image).clamp(min=0)
    return (signal + shift) / (1 + shift)


def magnitude_look(image: torch.Tensor, null: float) -> torch.Tensor:
    """How a PSIR slice ``[1, rows, columns]`` would look as a magnitude image, what lies below the grey value ``null`` being
    folded up.

    With the null at the muscle that is the usual LGE image, dark muscle and dark air. With the null above it, muscle
    appears inverted, brighter than the rim where the signal vanishes: the inversion time was too short. Black areas, of
    masked air or beyond the picture, are no negative signal: they stay black, their blurred rims too. Both are in 0..1,
    the result with its brightest 2% at 1.
    """
    black = functional.max_pool2d((image <= _BLACK).float(), _BLACK_RIM_PX * 2 + 1, stride=1, padding=_BLACK_RIM_PX) > 0
    signal = image - null
    magnitude = torch.where(black, signal.clamp(min=0), signal.abs())
    return (magnitude / max(_quantile(magnitude, 0.98), 1e-3)).clamp(0, 1)


def motion_ghosts(image: torch.Tensor, shift_px: float, cycles: float, phase: float, *, axis: int) -> torch.Tensor:
    """Breathing during the acquisition: the body moves along the phase-encoding axis while k-space is filled line by line.

    A motion of amplitude A (``shift_px``) gives the line of frequency f, measured at time t in 0..1, the phase -2 pi f A
    sin(2 pi c t + o): a blurred image with faint copies at multiples of c pixels, c being the ``cycles`` of breath.

    Args:
        phase: o, of the breathing, in radians.
        axis: of ``[1, rows, columns]``: 1 if rows are phase-encoded (ghosts lie above and below), 2 if columns are.
    """
    length = image.shape[axis]
    frequency = torch.fft.fftshift(torch.fft.fftfreq(length))
    time = torch.arange(length) / length
    angle = -2 * math.pi * frequency * shift_px * torch.sin(2 * math.pi * cycles * time + phase)
    error = torch.polar(torch.ones(length), angle)
    lines = torch.fft.fftshift(torch.fft.fft(image, dim=axis), dim=axis)
    lines = lines * (error[:, None] if axis == 1 else error)
    return torch.fft.ifft(torch.fft.ifftshift(lines, dim=axis), dim=axis).abs()


def _quantile(values: torch.Tensor, share: float) -> float:
    """The value below which about this share of the values lies, of every fourth one, which are many enough."""
    some = values.flatten()[::4].numpy()
    if some.size == 0:
        return 0.0
    place = int(share * (some.size - 1))
    return float(np.partition(some, place)[place])
