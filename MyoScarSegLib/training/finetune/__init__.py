"""Fine-tuning of segmenters on labeled slices."""
