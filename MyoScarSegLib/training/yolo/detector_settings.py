"""How a detector is trained: what a job can set by name, and what the classes are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.train_job import Augmentation
from MyoScarSegLib.utils.json_fields import Count, Index, Limits, check

SCAR, LEFT_VENTRICLE, TISSUE = range(3)
"""The maps of what the detector learns from, the first two in the order of its classes."""
PHANTOM_SHARE = 0.2
"""Share of an epoch's slices that are phantoms: they show shapes that few patients have, and none of their artifacts."""

_Side = Annotated[int, Limits(64, multiple_of=32)]


@dataclass(frozen=True)
class DetectorSettings:
    """How a detector is trained; all of it goes into the model card.

    Attributes:
        architecture: of ultralytics, such as ``"yolo11n"``.
        size: side of the input at use, pixels.
        window: side of the training windows, pixels: parts of the slice at the scale of ``size``, and the second look.
        epochs: passes over the real slices.
        batch: slices per step.
        phantoms: number of phantom slices to draw from; 0 for none.
        rate: peak learning rate of AdamW.
        warmup: epochs of linear warm-up; cosine to 1% follows.
        seed: of weights, batches and augmentation.
        augmentation: how far pictures are varied.
    """

    architecture: str = "yolo11n"
    size: _Side = 256
    window: _Side = 128
    epochs: Count = 120
    batch: Count = 16
    phantoms: Index = 200
    rate: Annotated[float, Limits(above=0)] = 2e-3
    warmup: Annotated[float, Limits(0)] = 3.0
    seed: Index = 0
    augmentation: Augmentation = "standard"

    def __post_init__(self) -> None:
        check(self, ModelError, "The detector's training")
