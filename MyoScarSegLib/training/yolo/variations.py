"""Named sets of how far pictures vary in a detector's training, by the names of the segmenter's presets."""

from __future__ import annotations

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.yolo.settings import Variation

VARIATIONS = {
    "none": Variation(
        rotation_degrees=0.0,
        scale=(1.0, 1.0),
        stretch=1.0,
        off_centre=0.0,
        anywhere=0.0,
        heart_share=(0.625, 0.625),
        heart_shift=0.0,
        window_low=(0.0, 0.0),
        window_high=(1.0, 1.0),
        gamma=(1.0, 1.0),
        bias=0.0,
        noise=0.0,
        blur_px=0.0,
        turned=False,
    ),
    "light": Variation(
        rotation_degrees=15.0,
        scale=(0.87, 1.15),
        stretch=1.15,
        off_centre=0.4,
        heart_share=(0.55, 0.7),
        heart_shift=0.06,
        window_low=(-0.05, 0.05),
        window_high=(0.9, 1.05),
        gamma=(0.87, 1.15),
        bias=0.1,
        noise=0.015,
        blur_px=0.5,
    ),
    "standard": Variation(),
    # Stronger changes of contrast than these, and a fresh network learnt the ventricle but no scar.
    "heavy": Variation(
        rotation_degrees=45.0,
        scale=(0.65, 1.5),
        off_centre=0.7,
        heart_share=(0.42, 0.85),
        heart_shift=0.13,
        window_low=(-0.15, 0.15),
        window_high=(0.7, 1.2),
        gamma=(0.65, 1.55),
        bias=0.3,
        noise=0.045,
        blur_px=1.0,
    ),
}


def variation(name: str) -> Variation:
    """The variation of this name.

    Raises:
        ModelError: there is none.
    """
    if name not in VARIATIONS:
        raise ModelError(f"There is no augmentation preset {name!r}; choose from {', '.join(VARIATIONS)}.")
    return VARIATIONS[name]
