"""Fine-tuning of segmenters on labelled slices."""

from MyoScarSegLib.training.finetune.job import run_sam

__all__ = ["run_sam"]
