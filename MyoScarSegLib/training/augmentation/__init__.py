"""Augmentation of LGE slices for training, on MONAI: seeded, in one resampling, by named presets."""

from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.augmentation.presets import PRESETS, Preset, preset
from MyoScarSegLib.training.augmentation.preview import preview

__all__ = ["PRESETS", "Augmenter", "Preset", "preset", "preview"]
