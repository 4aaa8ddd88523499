"""What coils, sequence, motion, noise and the display window do to the grey values of an LGE slice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.training.augmentation.library import plain, smooth, transforms
from MyoScarSegLib.training.augmentation.presets import Preset, Range

if TYPE_CHECKING:
    import torch

_MARGIN_PX = 8
_FIELD_POINTS = 33
_BLACK = 0.02
_BLACK_RIM_PX = 2
_TISSUE_BLUR_PX = 2.5
_TISSUE_LEVEL = 0.1
"""Smoothed magnitude from which on a place is taken to be tissue altogether, and not air or lung."""


def vary_intensity(
    generator: np.random.Generator, preset: Preset, image: torch.Tensor, inside: torch.Tensor | None = None
) -> torch.Tensor:
    """Change the grey values, in the order in which a scanner and a reader do.

    Args:
        generator: the source of randomness.
        preset: probabilities and ranges.
        image: float32 ``[1, rows, columns]`` in 0..1.
        inside: bool of the same shape, what lies on the slice; all of it if None.

    Returns:
        A new tensor of the same shape, in 0..1; what does not lie on the slice is 0.
    """
    import torch

    drawn = _Drawn(generator, preset)
    image = image.clone()
    if inside is None:
        inside = torch.ones_like(image, dtype=torch.bool)
    if drawn.psir:
        image = signed_look(image, drawn.psir_shift)
    elif drawn.magnitude:
        image = magnitude_look(image, _quantile(image[inside & (image > _BLACK)], drawn.magnitude_null))
    if drawn.polarity:
        image = 1 - image
    image = _acquire(image, drawn)
    if drawn.noise and drawn.noise_deviation > 0:
        image = _noisy(image, drawn)
    if drawn.window:
        # A reader may let the brightest go white, but not the heart.
        high = max(drawn.window_high, _quantile(image[inside], 1 - preset.window_white))
        image = (image - drawn.window_low) / (high - drawn.window_low)
    image = image.clamp(0, 1)
    if drawn.gamma:
        image = plain(transforms().AdjustContrast(drawn.gamma_exponent)(image)).clamp(0, 1)
    return torch.where(inside, image.float(), 0.0)


def _acquire(image: torch.Tensor, drawn: _Drawn) -> torch.Tensor:
    """Coil shading, motion and limited resolution."""
    import torch
    from torch.nn import functional

    library = transforms()
    if drawn.bias and drawn.bias_coefficient > 0:
        shading = library.RandBiasField(degree=3, coeff_range=(-drawn.bias_coefficient, drawn.bias_coefficient), prob=1.0)
        shading.set_random_state(drawn.bias_seed)
        # A cubic is known well enough from fewer points, and MONAI is slow at many.
        field = plain(shading(torch.ones(1, _FIELD_POINTS, _FIELD_POINTS)))
        image = image * functional.interpolate(field[None], image.shape[1:], mode="bilinear", align_corners=True)[0]
    if drawn.blur and drawn.blur_px > 0:
        image = smooth(image, (drawn.blur_px, drawn.blur_px))
    if not (drawn.ghosts or drawn.low_resolution or drawn.ringing):
        return image
    # A Fourier transform sees the opposite edge beyond an edge.
    margin = min(_MARGIN_PX, *(length - 1 for length in image.shape[1:]))
    image = functional.pad(image[None], (margin,) * 4, mode="reflect")[0]
    if drawn.ghosts:
        image = motion_ghosts(image, drawn.ghost_shift_px, drawn.ghost_cycles, drawn.ghost_phase, axis=drawn.ghost_axis)
    if drawn.low_resolution:
        zoom = (drawn.low_resolution_zoom, drawn.low_resolution_zoom)
        coarse = library.RandSimulateLowResolution(prob=1.0, downsample_mode="area", upsample_mode="bicubic", zoom_range=zoom)
        image = plain(coarse(image))
    if drawn.ringing:
        image = plain(library.GibbsNoise(1 - drawn.ringing_radius)(image))
    return image[:, margin : image.shape[1] - margin, margin : image.shape[2] - margin]


def _noisy(image: torch.Tensor, drawn: _Drawn) -> torch.Tensor:
    """Noise of the real part where intensities are signed, else of the magnitude, which raises what is near 0."""
    library = transforms()
    signed = drawn.psir or drawn.polarity
    kind = library.RandGaussianNoise if signed else library.RandRicianNoise
    noise = kind(prob=1.0, mean=0.0, std=drawn.noise_deviation, sample_std=False)
    noise.set_random_state(drawn.noise_seed)
    return plain(noise(image))


def signed_look(image: torch.Tensor, shift: float) -> torch.Tensor:
    """How a magnitude slice would look as a phase-sensitive one (PSIR) of a shorter inversion time.

    After an inversion pulse, tissue of density p and relaxation time T1 has the signal s = p (1 - 2 exp(-TI / T1)). With a
    shorter TI it is about s' = s - d (p - s): nulled muscle falls below zero, bright scar and fat hardly change, and air,
    with p = 0, stays at zero. PSIR keeps the sign and stores the range shifted: muscle is darkest and air is grey.
    Where air is grey already the map is the identity: a PSIR slice remains as it is.

    Args:
        image: float32 ``[1, rows, columns]`` in 0..1.
        shift: d, in 0..1.

    Returns:
        float32 of the same shape, in 0..1.
    """
    signal = image - shift * (_density(image) - image).clamp(min=0)
    return (signal + shift) / (1 + shift)


def magnitude_look(image: torch.Tensor, null: float) -> torch.Tensor:
    """How a PSIR slice would look as a magnitude image: what lies below the null is folded up.

    With the null at the muscle that is the usual LGE image, dark muscle and dark air. With the null above it, muscle
    appears inverted, brighter than the rim where the signal vanishes: the inversion time was too short. Black areas, of
    masked air or beyond the picture, are no negative signal: they stay black, their blurred rims too.

    Args:
        image: float32 ``[1, rows, columns]`` in 0..1.
        null: the grey value that stands for no signal, in 0..1.

    Returns:
        float32 of the same shape, in 0..1, with the brightest 2% at 1.
    """
    import torch
    from torch.nn import functional

    black = functional.max_pool2d((image <= _BLACK).float(), _BLACK_RIM_PX * 2 + 1, stride=1, padding=_BLACK_RIM_PX) > 0
    signal = image - null
    magnitude = torch.where(black, signal.clamp(min=0), signal.abs())
    return (magnitude / max(_quantile(magnitude, 0.98), 1e-3)).clamp(0, 1)


def _density(image: torch.Tensor) -> torch.Tensor:
    """1 where there is signal in the neighbourhood, falling to 0 in black air: the density of tissue is not known."""
    neighbourhood = smooth(image, (_TISSUE_BLUR_PX, _TISSUE_BLUR_PX))
    return (neighbourhood / _TISSUE_LEVEL).clamp(0, 1)


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


class _Drawn:
    """What happens to one slice. All is drawn always and in one order: changing one range leaves the other draws as they were."""

    def __init__(self, generator: np.random.Generator, preset: Preset) -> None:
        def chance(probability: float) -> bool:
            return bool(generator.random() < probability)

        def within(limits: Range) -> float:
            return float(generator.uniform(*limits))

        def seed() -> int:
            return int(generator.integers(2**31))

        self.psir, self.psir_shift = chance(preset.psir), within(preset.psir_shift)
        self.magnitude, self.magnitude_null = chance(preset.magnitude), within(preset.magnitude_null)
        self.polarity = chance(preset.polarity)
        self.bias, self.bias_coefficient = chance(preset.bias), within((0.0, preset.bias_coefficient))
        self.bias_seed = seed()
        self.ghosts, self.ghost_shift_px = chance(preset.ghosts), within(preset.ghost_shift_px)
        self.ghost_cycles, self.ghost_phase = within(preset.ghost_cycles), within((0.0, 2 * math.pi))
        self.ghost_axis = 1 + int(generator.integers(2))
        self.blur, self.blur_px = chance(preset.blur), within(preset.blur_px)
        self.low_resolution, self.low_resolution_zoom = chance(preset.low_resolution), within(preset.low_resolution_zoom)
        self.ringing, self.ringing_radius = chance(preset.ringing), within(preset.ringing_radius)
        self.noise, self.noise_deviation = chance(preset.noise), within(preset.noise_deviation)
        self.noise_seed = seed()
        self.window, self.window_low = chance(preset.window), within(preset.window_low)
        self.window_high = within(preset.window_high)
        self.gamma = chance(preset.gamma)
        self.gamma_exponent = math.exp(within(_logarithms(preset.gamma_exponent)))


def _quantile(values: torch.Tensor, share: float) -> float:
    return float(np.quantile(values.numpy(), share)) if values.numel() else 0.0


def _logarithms(limits: Range) -> Range:
    return math.log(limits[0]), math.log(limits[1])
