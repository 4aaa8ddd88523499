"""How far each property of a slice varies in training: two lists of numbers, one for each of the networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

Range = tuple[float, float]


@dataclass(frozen=True)
class Variation:
    """All numbers of one augmentation. The defaults change nothing: a plain, centered window.

    Ranges are uniform unless said otherwise. A probability is that of the change being made at all to one slice.
    Lengths are shares of the window's side or pixels of the window, angles degrees, intensities shares of the range 0..1.

    Attributes:
        rotation_degrees: largest rotation either way...
        turned: ...on top of one of all eight flips and quarter turns.
        scale: zoom range, log-uniform; above 1 the heart appears larger.
        stretch: largest ratio of the zooms along the slice's own rows and columns, log-uniform, either way: that is where
            files and scanners stretch, whatever the rotation that follows.
        off_center: the heart's center lies anywhere in the middle this share of the window...
        anywhere: ...but for this share of the slices, whose window lies wherever it falls on the slice.
        heart_share: in a window of the detector's second look, the share of its side that the ventricle takes.
        heart_shift: largest shift of the ventricle there.
        elastic: probability of a smooth deformation, on top.
        psir: probability of the look of a signed reconstruction.
        magnitude: probability, where that is not so, of the look of a magnitude reconstruction.
        bias: largest amplitude of the smooth coil shading's logarithm.
        blur_px: range of the standard deviation of a Gaussian blur, which half of the slices get.
        ghosts: probability of ghosts of breathing along one axis of the window.
        low_resolution: probability of sampling down and up again.
        ringing: probability of truncating k-space to a disc (Gibbs ringing).
        noise: largest standard deviation of the noise that half of the slices get.
        window_low, window_high: where black and white come to lie.
        gamma: range of the exponent of a change of contrast, log-uniform.
    """

    rotation_degrees: float = 0.0
    turned: bool = False
    scale: Range = (1.0, 1.0)
    stretch: float = 1.0
    off_center: float = 0.0
    anywhere: float = 0.0
    heart_share: Range = (0.625, 0.625)
    heart_shift: float = 0.0
    elastic: float = 0.0
    psir: float = 0.0
    magnitude: float = 0.0
    bias: float = 0.0
    blur_px: Range = (0.0, 0.0)
    ghosts: float = 0.0
    low_resolution: float = 0.0
    ringing: float = 0.0
    noise: float = 0.0
    window_low: Range = (0.0, 0.0)
    window_high: Range = (1.0, 1.0)
    gamma: Range = (1.0, 1.0)


_NONE = Variation()
# What is the same for both: what scanners, readers and file formats vary, and nothing else.
_LIGHT = replace(
    _NONE, rotation_degrees=15, turned=True, bias=0.1, blur_px=(0.1, 0.4), noise=0.015,
    window_low=(-0.05, 0.05), window_high=(0.9, 1.05), gamma=(0.87, 1.15),
)  # fmt: skip
_STANDARD = replace(
    _NONE, rotation_degrees=30, turned=True, stretch=1.6, bias=0.2, blur_px=(0.2, 0.7), noise=0.03,
    window_low=(-0.1, 0.1), window_high=(0.8, 1.1), gamma=(0.75, 1.35),
)  # fmt: skip
_HEAVY = replace(
    _NONE, rotation_degrees=45, turned=True, scale=(0.65, 1.5), stretch=1.6, bias=0.3, blur_px=(0.3, 1.2),
    noise=0.045, window_low=(-0.15, 0.15), window_high=(0.7, 1.2), gamma=(0.65, 1.55),
)  # fmt: skip

VARIATIONS: Mapping[str, Variation] = {
    "none": _NONE,
    "light": replace(_LIGHT, scale=(0.85, 1.2), stretch=1.1, off_center=0.1),
    # Stretched more, or farther off center, a network learned in as many steps half as much.
    "standard": replace(
        _STANDARD, stretch=1.2, scale=(0.8, 1.25), off_center=0.15, elastic=0.2, psir=0.05, magnitude=0.1, ghosts=0.08,
        low_resolution=0.1, ringing=0.05,
    ),
    "heavy": replace(
        _HEAVY, off_center=0.4, elastic=0.5, psir=0.15, magnitude=0.25, ghosts=0.2, low_resolution=0.25, ringing=0.15
    ),
}  # fmt: skip
"""The segmenter's, by name; ``standard`` is what our own models are trained with."""

DETECTOR_VARIATIONS: Mapping[str, Variation] = {
    "none": _NONE,
    "light": replace(_LIGHT, scale=(0.87, 1.15), stretch=1.15, off_center=0.4, anywhere=0.08, heart_share=(0.55, 0.7),
                     heart_shift=0.06),
    "standard": replace(_STANDARD, scale=(0.75, 1.4), off_center=0.6, anywhere=0.08, heart_share=(0.48, 0.78), heart_shift=0.1),
    # With stronger changes of contrast than these a fresh network learned the ventricle but no scar.
    "heavy": replace(_HEAVY, off_center=0.7, anywhere=0.08, heart_share=(0.42, 0.85), heart_shift=0.13),
}  # fmt: skip
"""The detector's, by the same names. The heart may be anywhere in a slice, and only what the detector meets varies."""
