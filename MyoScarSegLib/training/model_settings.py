"""What can be set for the training of a segmenter and of a detector, by name; it goes into the model's card."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.segmentation.answers import Answers
from MyoScarSegLib.training.prompting import Prompting
from MyoScarSegLib.training.train_job import Augmentation, Mode
from MyoScarSegLib.utils.json_fields import Count, Index, Limits, Share, check

Rate = Annotated[float, Limits(above=0)]
NotNegative = Annotated[float, Limits(0)]
Side = Annotated[int, Limits(64, multiple_of=32)]


@dataclass(frozen=True)
class LossWeights:
    """What each term of :func:`~MyoScarSegLib.training.losses.scar_losses` counts, and how each is set.

    Attributes:
        dice, cross_entropy, divergence: weights of the terms; the paper's by default.
        blur_px: standard deviation of the blur that softens the labels, in pixels of the mask.

    Raises:
        ModelError: a value is negative or not finite, or all weights are 0.
    """

    dice: NotNegative = 0.6
    cross_entropy: NotNegative = 0.2
    divergence: NotNegative = 0.2
    blur_px: NotNegative = 1.0

    def __post_init__(self) -> None:
        check(self, ModelError, "The loss")
        if self.dice + self.cross_entropy + self.divergence == 0:
            raise ModelError("All weights of the loss are 0; give at least one term a weight.")


@dataclass(frozen=True)
class SegmenterSettings:
    """What can be set for a segmenter's training, beside the data.

    A training has up to four phases. In the *context* one the context network learns to name every pixel's tissue, without
    prompts and with them; in the *anatomy* one before it does so on cine, where there is some, and on late enhancement and scar
    that are drawn over it. In the *asked* one its twin, which answers the reader, learns from prompts alone. In the *prompts*
    one SAM learns to answer prompts.

    Attributes:
        mode: what learns in the prompts phase: ``decoder`` SAM but its image encoder, whose embeddings of ``copies``
            augmented copies of each slice are kept on disk; ``full`` all of it.
        context_epochs: passes over all slices in the context phase, in which a start model without context network gets one;
            0 for neither. The asked phase is three quarters as long.
        anatomy_epochs: passes over the slices of the anatomy phase.
        epochs: passes over all slices in the prompts phase.
        augmentation: how far pictures are varied, by name.
        copies: augmented copies of each slice whose embeddings are cached in ``decoder`` mode.
        scar_free_share: scar-free slices in an epoch of the prompts phase, at most, as a share of those with scar.
        phantoms: number of phantom slices to draw from, at most four for ten real ones.
        phantom_share: phantom slices in an epoch, as a share of the real ones.
        batch: slices per step of the prompts phase.
        prompts: prompts per slice; the encoder's work is shared by them.
        corrections: clicks that correct an answer to a prompt, one after the other, at most.
        context_rate: peak learning rate of AdamW in the context phase.
        encoder_rate, decoder_rate: likewise for SAM's parts in the prompts phase.
        evaluate_every: epochs between looks at the validation patients end to end; 0 for none.
        patience: looks without a better figure after which the training stops; 0 for never.
        seed: of everything that is drawn.
        start_share: of the start model's weights in those of the new one, the rest being what was learned: it keeps what the
            start model knows of patients that the data does not have.
        answers: how the model puts its networks' answers together; where it is left as it is, as the start model
            does, but for how far masses are off, which nobody has measured of the new one.
        loss: weights of the terms of the loss.
        prompting: shares of the kinds of prompts.

    Raises:
        ModelError: a value is outside its range; it is named.
    """

    mode: Mode = "decoder"
    context_epochs: Index = 54
    anatomy_epochs: Index = 3
    epochs: Index = 12
    augmentation: Augmentation = "standard"
    copies: Count = 4
    scar_free_share: NotNegative = 1.0
    phantoms: Index = 150
    phantom_share: NotNegative = 0.15
    batch: Count = 6
    prompts: Count = 3
    corrections: Index = 3
    context_rate: Rate = 2e-3
    encoder_rate: Rate = 1e-4
    decoder_rate: Rate = 2e-4
    evaluate_every: Index = 3
    patience: Index = 0
    seed: Index = 0
    start_share: Share = 0.0
    answers: Answers = field(default_factory=Answers)
    loss: LossWeights = field(default_factory=LossWeights)
    prompting: Prompting = field(default_factory=Prompting)

    def __post_init__(self) -> None:
        check(self, ModelError, "The training")


@dataclass(frozen=True)
class DetectorSettings:
    """What can be set for a detector's training, beside the data.

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
    size: Side = 256
    window: Side = 128
    epochs: Count = 120
    batch: Count = 16
    phantoms: Index = 200
    rate: Rate = 2e-3
    warmup: NotNegative = 3.0
    seed: Index = 0
    augmentation: Augmentation = "standard"

    def __post_init__(self) -> None:
        check(self, ModelError, "The detector's training")
