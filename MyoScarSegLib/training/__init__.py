"""Data, splits, augmentation, training loops and evaluation."""
