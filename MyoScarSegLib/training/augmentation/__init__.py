"""Augmentation of LGE slices, one for both trainings: seeded, in one resampling, by named lists of numbers."""

from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.augmentation.variations import DETECTOR_VARIATIONS, VARIATIONS, Variation

__all__ = ["DETECTOR_VARIATIONS", "VARIATIONS", "Augmenter", "Variation"]
