"""Fine-tuning of segmenters on labeled slices."""

from MyoScarSegLib.training.finetune.finetune_job import run_sam

__all__ = ["run_sam"]
