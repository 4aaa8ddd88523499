"""How a detector is trained: every number in one place, each of which a job can set by name."""

from __future__ import annotations

from dataclasses import dataclass, field

from MyoScarSegLib.errors import ModelError

CLASSES = ("scar", "lv")
SCAR, LEFT_VENTRICLE, TISSUE = range(3)
TISSUES = ("background", "cavity", "myocardium", "scar")


@dataclass(frozen=True)
class Variation:
    """How far each property of a slice varies in training. Ranges are uniform unless said otherwise.

    What scanners, readers and file formats vary, and nothing else: no mosaic, no colour.

    Attributes:
        turned: whether a random one of the eight flips and quarter turns comes first.
        rotation_degrees: either way, on top of that.
        scale: zoom range, log-uniform.
        stretch: largest ratio of the zooms along rows and columns, log-uniform: stretched images and oblong pixels.
        off_centre: the heart's centre lies anywhere in the middle this share of the window...
        anywhere: ...but for this share of the slices, whose window is wherever it falls.
        heart_share: of the second look's side that the ventricle takes.
        heart_shift: of the ventricle in the second look, as a share of its side.
        window_low, window_high: where 0 and 1 move to when the intensity range is drawn anew.
        gamma: exponent range, log-uniform.
        bias: largest relative amplitude of the smooth coil shading.
        noise: largest standard deviation of added noise.
        blur_px: largest standard deviation of the blur.
    """

    turned: bool = True
    rotation_degrees: float = 30.0
    scale: tuple[float, float] = (0.75, 1.4)
    stretch: float = 1.6
    off_centre: float = 0.6
    heart_share: tuple[float, float] = (0.48, 0.78)
    heart_shift: float = 0.1
    anywhere: float = 0.08
    window_low: tuple[float, float] = (-0.1, 0.1)
    window_high: tuple[float, float] = (0.8, 1.1)
    gamma: tuple[float, float] = (0.75, 1.35)
    bias: float = 0.2
    noise: float = 0.03
    blur_px: float = 0.7


@dataclass(frozen=True)
class DetectorSettings:
    """How a detector is trained; all of it goes into the model card.

    Attributes:
        architecture: of ultralytics, such as ``"yolo11n"``.
        size: side of the input at use, pixels.
        window: side of the training windows, pixels: parts of the slice at the scale of ``size``, and the second look.
        second_look_share: share of the windows that train the second look, which sees the heart alone.
        epochs: passes over the real slices.
        batch: slices per step; halved when the memory does not suffice.
        phantoms: number of phantom slices; each epoch draws ``phantom_share`` of its slices from them.
        phantom_share: share of phantom slices in an epoch, 0 to 1.
        rate: peak learning rate of AdamW.
        warmup: epochs of linear warm-up; cosine to 1% follows.
        calibration: share of the training patients that do not train but set the threshold; at 0 all train and all set it.
        confidence: the threshold; at 0 it is chosen on the calibration patients.
        workers: processes that make batches; 0 makes them in the training process.
        seed: of weights, batches and variation.
        variation: what is varied, and how far.
    """

    architecture: str = "yolo11n"
    size: int = 256
    window: int = 128
    second_look_share: float = 0.6
    epochs: int = 120
    batch: int = 16
    phantoms: int = 200
    phantom_share: float = 0.2
    rate: float = 2e-3
    warmup: float = 3.0
    calibration: float = 0.0
    confidence: float = 0.0
    workers: int = 0
    seed: int = 0
    variation: Variation = field(default_factory=Variation)

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ModelError(f"The setting {name} is {getattr(self, name)}; it must be at least {least}.")
        for name in ("size", "window"):
            if getattr(self, name) % 32:
                raise ModelError(f"The setting {name} is {getattr(self, name)}; it must be a multiple of 32.")
        for name in ("second_look_share", "phantom_share", "calibration", "confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise ModelError(f"The setting {name} is {getattr(self, name)}; it must be from 0 to 1.")
        if self.calibration > 0.5:
            raise ModelError(f"The setting calibration is {self.calibration}; at most half of the patients can be kept for it.")
        if self.rate <= 0:
            raise ModelError(f"The setting rate is {self.rate}; it must be greater than 0.")


_LEAST = {
    "size": 64, "window": 64, "epochs": 1, "batch": 1, "phantoms": 0, "warmup": 0, "workers": 0, "seed": 0,
}  # fmt: skip
