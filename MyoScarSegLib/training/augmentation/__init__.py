"""Augmentation of LGE slices, one for both trainings: seeded, in one resampling, by named lists of numbers."""

from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.augmentation.presets import DETECTOR_PRESETS, PRESETS, Preset, preset_of

__all__ = ["DETECTOR_PRESETS", "PRESETS", "Augmenter", "Preset", "preset_of"]
