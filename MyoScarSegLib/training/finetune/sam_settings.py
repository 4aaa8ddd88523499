"""How a segmenter is fine-tuned."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.losses import LossWeights
from MyoScarSegLib.training.prompting import Prompting
from MyoScarSegLib.training.train_job import MODES

_FROM_ZERO = ("scar_free_share", "phantom_share", "corrected", "tissue")
_LEAST_SIDE, _MOST_SIDE = 32, 2048
_LEAST_MM, _MOST_MM = 20, 1000


@dataclass(frozen=True)
class SamSettings:
    """All that decides a training, beside the data; it goes into the model card.

    A training has up to two phases. In the *dense* one the detail branch alone learns to name every pixel's tissue; only a
    new branch needs it. In the *prompts* one everything that the mode allows learns to answer prompts.

    Attributes:
        mode: what learns in the prompts phase: ``decoder`` all but SAM's image encoder, whose embeddings of ``copies``
            augmented copies of each slice are kept on disk; ``full`` everything.
        side: of the window in pixels of the network; 0 takes the start model's.
        window_mm: of the window in millimetres; 0 takes the start model's. A slice without spacing counts 1.4 mm a pixel.
        detail: whether a start model without detail branch gets one.
        refiner: whether one without refiner gets one. Tried for our own model, it drew small scar too small: off.
        detail_width, refiner_width: channels of their finest levels, for new ones.
        dense_epochs: passes over all slices in the dense phase; -1 for 60 with a new detail branch and none with one that has
            learnt.
        epochs: passes over all slices in the prompts phase.
        dense_preset, preset: augmentation of the two phases, by name.
        copies: augmented copies of each slice whose embeddings are cached in ``decoder`` mode.
        scar_free_share: scar-free slices in an epoch, at most, as a share of those with scar.
        phantoms: number of phantom slices to draw from, at most four for ten real ones.
        phantom_share: phantom slices in an epoch, as a share of the real ones.
        dense_batch, batch: slices per step of the two phases.
        accumulate: parts that a step's slices are worked through in, where memory is short; the result is the same.
        prompts: prompts per slice; the encoder's work is shared by them.
        corrected: share of prompts that get correcting clicks...
        corrections: ...one after the other, up to this many.
        dense_rate, encoder_rate, decoder_rate, detail_rate, refiner_rate: peak learning rates of AdamW, for the dense phase,
            and for each part in the prompts phase.
        warmup: share of all steps with linear warm-up; cosine to 2% follows.
        averaging: decay of the averaged weights; 0 for none.
        tissue: weight of the tissue map's loss in the prompts phase.
        calibrate: where a refiner draws the mask, move its threshold to where it is best on the validation patients.
        evaluate_every: epochs between looks at the validation patients end to end.
        patience: looks without a better figure after which the training stops; 0 for never.
        tensorboard: also write TensorBoard's event files.
        seed: of everything that is drawn.
        loss, prompting: see there.

    Raises:
        ModelError: a value is outside its range; it is named.
    """

    mode: str = "decoder"
    side: int = 0
    window_mm: float = 0.0
    detail: bool = True
    refiner: bool = False
    detail_width: int = 24
    refiner_width: int = 16
    dense_epochs: int = -1
    epochs: int = 12
    dense_preset: str = "standard"
    preset: str = "standard"
    copies: int = 4
    scar_free_share: float = 1.0
    phantoms: int = 150
    phantom_share: float = 0.15
    dense_batch: int = 8
    batch: int = 6
    accumulate: int = 1
    prompts: int = 3
    corrected: float = 0.5
    corrections: int = 3
    dense_rate: float = 2e-3
    encoder_rate: float = 1e-4
    decoder_rate: float = 2e-4
    detail_rate: float = 3e-4
    refiner_rate: float = 1.5e-3
    warmup: float = 0.04
    averaging: float = 0.995
    tissue: float = 0.3
    calibrate: bool = True
    evaluate_every: int = 3
    patience: int = 0
    tensorboard: bool = False
    seed: int = 0
    loss: LossWeights = field(default_factory=LossWeights)
    prompting: Prompting = field(default_factory=Prompting)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ModelError(f"There is no training mode {self.mode!r}. Choose one of {', '.join(MODES)}.")
        for setting in fields(self):
            value = getattr(self, setting.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ModelError(f"{setting.name} is {value}, which is no number to compute with.")
        for name in ("batch", "dense_batch", "accumulate", "prompts", "copies", "detail_width", "refiner_width"):
            if getattr(self, name) < 1:
                raise ModelError(f"{name} is {getattr(self, name)}, which is less than 1.")
        for name in ("epochs", "corrections", "evaluate_every", "patience", "phantoms", "seed", *_FROM_ZERO):
            if getattr(self, name) < 0:
                raise ModelError(f"{name} is {getattr(self, name)}, which is less than 0.")
        if self.dense_epochs < -1:
            raise ModelError(f"dense_epochs is {self.dense_epochs}; it must be -1 for the usual number, or 0 or more.")
        if self.side % 16 or not (self.side == 0 or _LEAST_SIDE <= self.side <= _MOST_SIDE):
            raise ModelError(
                f"side is {self.side}; it must be a multiple of 16 from {_LEAST_SIDE} to {_MOST_SIDE}, "
                "or 0 for the start model's."
            )
        if not (self.window_mm == 0 or _LEAST_MM <= self.window_mm <= _MOST_MM):
            raise ModelError(
                f"window_mm is {self.window_mm:g}; it must be from {_LEAST_MM} to {_MOST_MM}, or 0 for the start model's."
            )
        if self.corrected > 1:
            raise ModelError(f"corrected is {self.corrected:g}; it is a share and must not be more than 1.")
        for name in ("warmup", "averaging"):
            if not 0 <= getattr(self, name) < 1:
                raise ModelError(f"{name} is {getattr(self, name):g}; it must be from 0 to below 1.")
        for name in ("dense_rate", "encoder_rate", "decoder_rate", "detail_rate", "refiner_rate"):
            if not getattr(self, name) > 0:
                raise ModelError(f"{name} is {getattr(self, name)}; it must be greater than 0.")

    def to_json(self) -> dict[str, Any]:
        """For the model card and the checkpoint."""
        return asdict(self)
