"""What coils, sequence, motion, noise and the display window do to the grey values of an LGE slice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.training.augmentation.library import transforms
from MyoScarSegLib.training.augmentation.presets import Preset, Range

if TYPE_CHECKING:
    import torch

_TISSUE_BLUR_PX = 2.5
_TISSUE_LEVEL = 0.15
"""Smoothed magnitude from which on a place is taken to be tissue altogether, and not air or lung."""


def vary_intensity(generator: np.random.Generator, preset: Preset, image: torch.Tensor) -> torch.Tensor:
    """Change the grey values, in the order in which a scanner and a reader do.

    Args:
        generator: the source of randomness.
        preset: probabilities and ranges.
        image: float32 ``[1, rows, columns]`` in 0..1.

    Returns:
        A new tensor of the same shape, in 0..1.
    """
    library = transforms()
    draw = _Draws(generator)
    image = image.clone()
    # All is drawn always and in one order, so that changing one probability leaves the other changes as they were.
    psir, psir_shift = draw.chance(preset.psir), draw.within(preset.psir_shift)
    wrong_null, null_shift = draw.chance(preset.wrong_null), draw.within(preset.wrong_null_shift)
    polarity = draw.chance(preset.polarity)
    bias, coefficient, bias_seed = draw.chance(preset.bias), draw.within((0.0, preset.bias_coefficient)), draw.seed()
    ghosts, shift = draw.chance(preset.ghosts), draw.within(preset.ghost_shift_px)
    cycles, phase, axis = draw.within(preset.ghost_cycles), draw.within((0.0, 2 * math.pi)), draw.chance(0.5)
    blur, blur_px = draw.chance(preset.blur), draw.within(preset.blur_px)
    coarse, zoom = draw.chance(preset.low_resolution), draw.within(preset.low_resolution_zoom)
    ringing, radius = draw.chance(preset.ringing), draw.within(preset.ringing_radius)
    noise, deviation, noise_seed = draw.chance(preset.noise), draw.within(preset.noise_deviation), draw.seed()
    window, low, high = draw.chance(preset.window), draw.within(preset.window_low), draw.within(preset.window_high)
    gamma, exponent = draw.chance(preset.gamma), math.exp(draw.within(_logarithms(preset.gamma_exponent)))

    signed = psir or wrong_null or polarity
    if psir:
        image = signed_inversion(image, psir_shift)
    elif wrong_null:
        image = signed_inversion(image, null_shift, magnitude=True)
    if polarity:
        image = 1 - image
    if bias and coefficient > 0:
        field = library.RandBiasField(degree=3, coeff_range=(-coefficient, coefficient), prob=1.0)
        field.set_random_state(bias_seed)
        image = field(image)
    if ghosts:
        image = motion_ghosts(_plain(image), shift, cycles, phase, axis=1 if axis else 2)
    if blur and blur_px > 0:
        image = library.GaussianSmooth(blur_px)(image)
    if coarse and zoom < 1:
        image = library.RandSimulateLowResolution(
            prob=1.0, downsample_mode="area", upsample_mode="bicubic", zoom_range=(zoom, zoom)
        )(image)
    if ringing:
        image = library.GibbsNoise(1 - radius)(image)
    if noise and deviation > 0:
        kind = library.RandGaussianNoise if signed else library.RandRicianNoise
        noisy = kind(prob=1.0, mean=0.0, std=deviation, sample_std=False)
        noisy.set_random_state(noise_seed)
        image = noisy(image)
    if window:
        image = library.ScaleIntensityRange(low, high, 0.0, 1.0, clip=True)(image)
    image = image.clamp(0, 1)
    if gamma:
        image = library.AdjustContrast(exponent)(image)
    return _plain(image).float().clamp(0, 1)


def signed_inversion(image: torch.Tensor, shift: float, *, magnitude: bool = False) -> torch.Tensor:
    """How a slice would look had the inversion time been too short, with the sign of the signal kept, or lost.

    After an inversion pulse, tissue of density p and relaxation time T1 has the signal s = p (1 - 2 exp(-TI / T1)). With a
    shorter TI it is s' = s - d (p - s) to first order: nulled muscle falls below zero, bright scar and fat hardly change,
    and air, with p = 0, stays at zero. A phase-sensitive reconstruction (PSIR) keeps the sign: its range is shifted so that
    muscle is darkest and air mid-grey. A magnitude reconstruction folds it: muscle appears inverted, brighter than its
    dark rim. Where air already is grey the map is linear, so a PSIR slice remains one.

    The density is not known. It is taken to be 1 wherever there is signal in the neighbourhood, and to fall to 0 in air.

    Args:
        image: float32 ``[1, rows, columns]`` in 0..1, air near 0.
        shift: d, in 0..1.
        magnitude: lose the sign.

    Returns:
        float32 of the same shape, in 0..1.
    """
    smooth = _plain(transforms().GaussianSmooth(_TISSUE_BLUR_PX)(image))
    density = (smooth / _TISSUE_LEVEL).clamp(0, 1)
    signal = image - shift * (density - image).clamp(min=0)
    return signal.abs() if magnitude else (signal + shift) / (1 + shift)


def motion_ghosts(image: torch.Tensor, shift_px: float, cycles: float, phase: float, *, axis: int) -> torch.Tensor:
    """Breathing during the acquisition: the body moves along the phase-encoding axis while k-space is filled line by line.

    A motion of amplitude A gives the line of frequency f, measured at time t in 0..1, the phase -2 pi f A sin(2 pi c t + o):
    a blurred image with faint copies at multiples of c pixels.

    Args:
        image: float32 ``[1, rows, columns]``.
        shift_px: A, in pixels.
        cycles: c, breaths during the acquisition.
        phase: o, of the breathing, in radians.
        axis: 1 if rows are phase-encoded (ghosts lie above and below), 2 if columns are.

    Returns:
        float32 magnitude, of the same shape.
    """
    import torch

    length = image.shape[axis]
    frequency = torch.fft.fftshift(torch.fft.fftfreq(length))
    time = torch.arange(length) / length
    angle = -2 * math.pi * frequency * shift_px * torch.sin(2 * math.pi * cycles * time + phase)
    error = torch.polar(torch.ones(length), angle)
    lines = torch.fft.fftshift(torch.fft.fft(image, dim=axis), dim=axis)
    lines = lines * (error[:, None] if axis == 1 else error)
    return torch.fft.ifft(torch.fft.ifftshift(lines, dim=axis), dim=axis).abs()


class _Draws:
    """Short names for what is drawn from a generator."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def chance(self, probability: float) -> bool:
        return bool(self._generator.random() < probability)

    def within(self, limits: Range) -> float:
        return float(self._generator.uniform(*limits))

    def seed(self) -> int:
        return int(self._generator.integers(2**31))


def _logarithms(limits: Range) -> Range:
    return math.log(limits[0]), math.log(limits[1])


def _plain(image: torch.Tensor) -> torch.Tensor:
    """Without MONAI's metadata, which slow every later operation."""
    as_tensor = getattr(image, "as_tensor", None)
    return image if as_tensor is None else as_tensor()
