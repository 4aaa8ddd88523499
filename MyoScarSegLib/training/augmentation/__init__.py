"""Augmentation of LGE slices, one for both trainings: seeded, in one resampling, by named lists of numbers."""
