"""How far each property of a slice varies in training: named sets of ranges that a model card can record."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from MyoScarSegLib.errors import ModelError

Range = tuple[float, float]


@dataclass(frozen=True)
class Preset:
    """All ranges and probabilities of one augmentation. The defaults change nothing: a plain, centred window.

    Ranges are uniform unless said otherwise. A probability is that of the change being made at all to one slice.
    Lengths are shares of the window's side or pixels of the window, angles degrees, intensities shares of the range 0..1.

    Attributes:
        name: what the preset is called.
        rotation_degrees: largest rotation either way.
        quarter_turns: whether one of four quarter turns comes on top.
        flip: probability of mirroring (with quarter turns at 0.5, all eight orientations are equally likely).
        scale: zoom range, log-uniform; above 1 the heart appears larger.
        stretch: largest ratio of the zooms along the slice's own rows and columns, log-uniform, either way: that is where
            files and scanners stretch, whatever the rotation that follows.
        off_centre: the heart's centre lies anywhere in the middle this share of the window...
        anywhere: ...but for this share of the slices, whose window lies wherever it falls on the slice.
        elastic: probability of a smooth deformation, on top.
        elastic_shift: largest standard deviation of its control points' shifts.
        elastic_points: its control points along each side.
        psir: probability of the look of a signed reconstruction, by
            :func:`~MyoScarSegLib.training.augmentation.intensity.signed_look`.
        psir_shift: range of its error of the inversion time, in units of the full signal.
        magnitude: probability, where that is not so, of the look of a magnitude reconstruction, by
            :func:`~MyoScarSegLib.training.augmentation.intensity.magnitude_look`.
        magnitude_null: range of the share of the slice's pixels that are darker than its null.
        polarity: probability of the whole PSIR range being stored upside down.
        bias: probability of smooth coil shading.
        bias_coefficient: largest magnitude of the coefficients of its logarithm, a cubic in Legendre polynomials.
        ghosts: probability of ghosts of breathing along one axis of the window.
        ghost_shift_px: range of that motion's amplitude.
        ghost_cycles: range of its cycles during the acquisition, which sets the ghosts' distance.
        blur: probability of a Gaussian blur.
        blur_px: range of its standard deviation.
        low_resolution: probability of sampling down and up again.
        low_resolution_zoom: range of that zoom, at most 1.
        ringing: probability of truncating k-space to a disc (Gibbs ringing).
        ringing_radius: range of that disc's radius, as a share of the k-space square's half diagonal.
        noise: probability of noise: Rician, or Gaussian where the intensities are signed.
        noise_deviation: range of its standard deviation.
        window: probability of drawing anew where black and white lie.
        window_low, window_high: where 0 and 1 then lie.
        window_white: share of the slice's brightest pixels that may be left above 1; 1 moves up where it would be more.
        gamma: probability of a change of contrast...
        gamma_exponent: ...by an exponent of this range, log-uniform.
    """

    name: str
    rotation_degrees: float = 0.0
    quarter_turns: bool = False
    flip: float = 0.0
    scale: Range = (1.0, 1.0)
    stretch: float = 1.0
    off_centre: float = 0.0
    anywhere: float = 0.0
    elastic: float = 0.0
    elastic_shift: float = 0.01
    elastic_points: int = 6
    psir: float = 0.0
    psir_shift: Range = (0.15, 0.5)
    magnitude: float = 0.0
    magnitude_null: Range = (0.08, 0.25)
    polarity: float = 0.0
    bias: float = 0.0
    bias_coefficient: float = 0.15
    ghosts: float = 0.0
    ghost_shift_px: Range = (0.3, 1.0)
    ghost_cycles: Range = (3.0, 12.0)
    blur: float = 0.0
    blur_px: Range = (0.2, 0.7)
    low_resolution: float = 0.0
    low_resolution_zoom: Range = (0.6, 1.0)
    ringing: float = 0.0
    ringing_radius: Range = (0.45, 0.65)
    noise: float = 0.0
    noise_deviation: Range = (0.0, 0.03)
    window: float = 0.0
    window_low: Range = (-0.1, 0.1)
    window_high: Range = (0.8, 1.1)
    window_white: float = 0.15
    gamma: float = 0.0
    gamma_exponent: Range = (0.75, 1.35)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ModelError: a probability is not in 0..1, a range is reversed, or a value makes no sense.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                _require(len(value) == 2 and all(math.isfinite(v) for v in value), self, field.name, "two finite numbers")
                _require(value[0] <= value[1], self, field.name, "a range from low to high")
        for name in _SHARES:
            _require(0 <= getattr(self, name) <= 1, self, name, "in 0..1")
        for name in _NOT_NEGATIVE:
            _require(0 <= getattr(self, name) < math.inf, self, name, "finite and not negative")
        for name in ("ghost_shift_px", "ghost_cycles", "blur_px", "noise_deviation", "psir_shift", "magnitude_null"):
            _require(getattr(self, name)[0] >= 0, self, name, "not negative")
        for name in ("scale", "gamma_exponent", "low_resolution_zoom", "ringing_radius"):
            _require(getattr(self, name)[0] > 0, self, name, "above 0")
        for name in ("low_resolution_zoom", "ringing_radius"):
            _require(getattr(self, name)[1] <= 1, self, name, "at most 1")
        _require(self.psir_shift[1] < 1 and self.magnitude_null[1] < 1, self, "psir_shift and magnitude_null", "below 1")
        _require(1 <= self.stretch < math.inf, self, "stretch", "a ratio of at least 1")
        _require(self.elastic_points >= 2, self, "elastic_points", "at least 2")
        _require(self.window_high[0] - self.window_low[1] >= 0.1, self, "window_low and window_high", "at least 0.1 apart")

    def to_json(self) -> dict[str, Any]:
        """All settings, for the model card."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


_SHARES = (
    "flip", "off_centre", "anywhere", "elastic", "psir", "magnitude", "polarity", "bias", "ghosts", "blur",
    "low_resolution", "ringing", "noise", "window", "window_white", "gamma",
)  # fmt: skip
_NOT_NEGATIVE = ("rotation_degrees", "elastic_shift", "bias_coefficient")


def _require(condition: bool, preset: Preset, name: str, what: str) -> None:
    if not condition:
        raise ModelError(f"Augmentation {preset.name!r}: {name} must be {what}.")


PRESETS: dict[str, Preset] = {
    p.name: p
    for p in (
        Preset("none"),
        Preset(
            "light",
            rotation_degrees=15,
            quarter_turns=True,
            flip=0.5,
            scale=(0.82, 1.22),
            stretch=1.3,
            off_centre=0.15,
            bias=0.3,
            bias_coefficient=0.08,
            noise=0.3,
            noise_deviation=(0.0, 0.015),
            window=0.5,
            window_low=(-0.05, 0.05),
            window_high=(0.9, 1.05),
            gamma=0.5,
            gamma_exponent=(0.87, 1.15),
        ),
        Preset(
            "standard",
            rotation_degrees=30,
            quarter_turns=True,
            flip=0.5,
            scale=(0.75, 1.35),
            stretch=1.6,
            off_centre=0.3,
            elastic=0.25,
            elastic_shift=0.01,
            psir=0.05,
            magnitude=0.1,
            bias=1.0,
            bias_coefficient=0.1,
            ghosts=0.08,
            blur=0.5,
            low_resolution=0.1,
            ringing=0.05,
            noise=0.5,
            window=1.0,
            gamma=1.0,
        ),
        Preset(
            "heavy",
            rotation_degrees=45,
            quarter_turns=True,
            flip=0.5,
            scale=(0.65, 1.5),
            stretch=1.6,
            off_centre=0.4,
            elastic=0.5,
            elastic_shift=0.016,
            psir=0.15,
            psir_shift=(0.15, 0.7),
            magnitude=0.25,
            magnitude_null=(0.05, 0.35),
            polarity=0.03,
            bias=1.0,
            bias_coefficient=0.2,
            ghosts=0.2,
            ghost_shift_px=(0.5, 1.6),
            blur=0.5,
            blur_px=(0.3, 1.2),
            low_resolution=0.25,
            low_resolution_zoom=(0.45, 1.0),
            ringing=0.15,
            noise=0.7,
            noise_deviation=(0.0, 0.045),
            window=1.0,
            window_low=(-0.15, 0.15),
            window_high=(0.7, 1.2),
            gamma=1.0,
            gamma_exponent=(0.6, 1.7),
        ),
    )
}
"""The presets by name; ``standard`` is what our own models are trained with."""


def preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        ModelError: there is none.
    """
    if name not in PRESETS:
        raise ModelError(f"There is no augmentation preset {name!r}; choose from {', '.join(PRESETS)}.")
    return PRESETS[name]
