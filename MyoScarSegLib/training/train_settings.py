"""What a user chooses for a training, in a few words, and the jobs that it means.

Cheap to import: the application's own process reads and writes these settings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.start_models import knows_scar, start_names
from MyoScarSegLib.training.train_job import (
    DECODER,
    DETECTOR,
    FRESH,
    FULL,
    KINDS,
    SEGMENTER,
    Augmentation,
    Mode,
    ModelName,
    Option,
    TrainJob,
    with_options,
)
from MyoScarSegLib.utils.device import DeviceName
from MyoScarSegLib.utils.json_fields import Count, Index, Limits, Text, check, read, to_json
from MyoScarSegLib.utils.words import counted

VERSION = 2
BOTH = "both"
FAST, BALANCED, BEST = "quick", "balanced", "best"
What = Literal["segmenter", "detector", "both"]
Preset = Literal["quick", "balanced", "best"]
Weight = Annotated[float, Limits(0)]
DETECTOR_OPTION = "detector."
"""Before the name of an option that is for the detector."""
LOSSES = ("dice", "cross_entropy", "divergence", "blur_px")
_SLICES_PER_PATIENT = 7
"""Of an epoch: those with scar and as many without, of short-axis stacks of ten or so."""
_SLICES_PER_STEP = 6


@dataclass(frozen=True)
class Choice:
    """One of the things that can be chosen, for a list in a panel.

    Attributes:
        name: as :class:`TrainSettings` has it.
        title: a word or two.
        line: one plain line of what it means.
    """

    name: str
    title: str
    line: str


CHOICES: Mapping[str, tuple[Choice, ...]] = {
    "what": (
        Choice(SEGMENTER, "Scar segmenter", "Draws the scar within a box. Train this if masks are wrong."),
        Choice(DETECTOR, "Box detector", "Proposes the boxes. Train this if boxes are missing or in the wrong place."),
        Choice(BOTH, "Both", "One after the other, on the same patients."),
    ),
    "mode": (
        Choice(DECODER, "Quick", "Only the parts behind the image encoder learn, on embeddings made once. Right for a laptop."),
        Choice(FULL, "Thorough", "The whole network learns. For many patients and a GPU."),
    ),
    "preset": (
        Choice(FAST, "Quick look", "A short training, to see whether it works. Minutes for a handful of patients."),
        Choice(BALANCED, "Balanced", "Learns what the patients teach, and ends when nothing gets better. Right for most."),
        Choice(BEST, "Best", "More variations and more passes, two to four times as long. For the night, or a GPU."),
    ),
    "augmentation": (
        Choice("none", "None", "Pictures are learned as they are."),
        Choice("light", "Light", "Mirrored and turned, and small changes of size and brightness."),
        Choice("standard", "Standard", "As scanners and patients differ. Right for most."),
        Choice("heavy", "Heavy", "More than that: for few patients, and other scanners later."),
    ),
}
"""What can be chosen for a setting, in the user's words."""


def choice(setting: str, name: str) -> Choice:
    """The words for one choice of a setting."""
    return next(one for one in CHOICES[setting] if one.name == name)


@dataclass(frozen=True)
class _Effort:
    """How much is done: epochs are so many that the network makes about ``steps`` steps, within bounds."""

    steps: int
    epochs: tuple[int, int]
    patience: int
    detector_epochs: int
    options: Mapping[str, Option]


_EFFORTS = {
    FAST: _Effort(60, (3, 10), 3, 10, {"copies": 2, "prompts": 2, "corrections": 1, "phantoms": 0, "phantom_share": 0.0}),
    BALANCED: _Effort(150, (6, 20), 5, 40, {"copies": 4}),
    BEST: _Effort(400, (14, 40), 8, 80, {"copies": 8}),
}
_NEW_FACTOR = 2
"""A model that knows no scar yet has more to learn."""
_FROM_GENERAL: Mapping[str, Option] = {"scar_free_share": 0.1, "prompting.empty": 0.0, "prompting.ventricle": 0.0}
"""A model that knows no scar learns from a handful of patients to draw nothing, unless nearly every box holds scar: Dice with
tight boxes 0.50 instead of 0.21 after five patients, mean of two draws, on twelve training patients (research/learning-curve)."""
_GENTLE_ENCODER = 3e-5
"""Rate of an encoder that has learned scar; the usual one suits a start from general weights."""


@dataclass(frozen=True)
class TrainSettings:
    """All that is chosen for a training, beside its data; nothing need be. :data:`CHOICES` says what the words mean.

    Attributes:
        what: is trained.
        start_segmenter, start_detector: model to start from, by name or path; None for the default one, and for a detector
            also ``fresh``.
        mode: what of the segmenter learns.
        preset: how long.
        seed: of everything that is drawn.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        epochs: passes over the data; None for as many as the preset says.
        patience: looks at the validation patients without a better figure after which the segmenter's training ends; 0 for
            never, None for the preset's.
        dice, cross_entropy, divergence: weights of the segmenter's losses; None for the usual ones.
        blur_px: standard deviation of the blur that softens the labels for ``divergence``; None for the usual one.
        augmentation: how far pictures are varied.
        name: of the model that is made; empty for ``segmenter`` or ``detector``.
        options: further settings by name, such as ``copies`` or ``prompts``; ``detector.`` goes before those of the
            detector.

    Raises:
        ModelError: a value makes no sense; it is named.
    """

    what: What = "segmenter"
    start_segmenter: Text | None = None
    start_detector: Text | None = None
    mode: Mode = "decoder"
    preset: Preset = "balanced"
    seed: Index = 0
    device: DeviceName = "auto"
    epochs: Count | None = None
    patience: Index | None = None
    dice: Weight | None = None
    cross_entropy: Weight | None = None
    divergence: Weight | None = None
    blur_px: Weight | None = None
    augmentation: Augmentation = "standard"
    name: ModelName = ""
    options: Mapping[str, Option] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self, ModelError, "The training")
        if self.start_segmenter == FRESH:
            raise ModelError("A segmenter is fine-tuned from another one; it cannot start with fresh weights.")

    def to_json(self) -> dict[str, Any]:
        """The settings as a JSON object, complete."""
        written: dict[str, Any] = to_json(self, version=VERSION)
        return written

    @classmethod
    def from_json(cls, document: Any) -> TrainSettings:
        """The settings of a JSON object, left-out ones with their default; ModelError names a field that makes no sense."""
        return read(cls, document, ModelError, "The training", version=VERSION)

    # ---- what it means

    @property
    def parts(self) -> tuple[str, ...]:
        """What is trained: ``segmenter``, ``detector``, or both in this order."""
        return KINDS if self.what == BOTH else (self.what,)

    def start(self, part: str) -> str | None:
        """The model that the training of a part starts from; None for the default one."""
        return self.start_segmenter if part == SEGMENTER else self.start_detector

    def model_name(self, part: str) -> str:
        """What the model of a part is called, and its file but for the ending."""
        if not self.name:
            return part
        return f"{self.name}-detector" if self.what == BOTH and part == DETECTOR else self.name

    def planned_epochs(self, part: str, training_patients: int) -> int:
        """Passes over the data of as many patients: fewer of much data, for what counts is the number of steps."""
        if self.epochs is not None:
            return self.epochs
        effort = _EFFORTS[self.preset]
        if part == DETECTOR:
            return effort.detector_epochs * (_NEW_FACTOR if self.start_detector == FRESH else 1)
        an_epoch = max(1, math.ceil(training_patients * _SLICES_PER_PATIENT / _SLICES_PER_STEP))
        least, most = effort.epochs
        epochs = min(max(math.ceil(effort.steps / an_epoch), least), most)
        return epochs if knows_scar(self.start_segmenter) else epochs * _NEW_FACTOR

    def job(self, part: str, data: Path, out: Path, split: Path, training_patients: int) -> TrainJob:
        """The training of the ``segmenter`` or the ``detector``, as ``part`` says, on the training library ``data``, into the
        folder ``out``, with the manifest ``split`` of who trains (so many) and who validates.

        Raises:
            ModelError: the start model does not exist, or an option is none.
        """
        segments = part == SEGMENTER
        return TrainJob(
            kind=part,  # type: ignore[arg-type]  # the job checks it
            data=data,
            out=out,
            start=self.start(part),
            mode=self.mode if segments else "decoder",
            augmentation=self.augmentation,
            epochs=self.planned_epochs(part, training_patients),
            seed=self.seed,
            split=split,
            device=self.device,
            name=self.model_name(part),
            options=self._segmenter_options() if segments else self._detector_options(),
        )

    def _segmenter_options(self) -> dict[str, Option]:
        from MyoScarSegLib.training.model_settings import SegmenterSettings

        effort = _EFFORTS[self.preset]
        learned = knows_scar(self.start_segmenter)
        options: dict[str, Option] = {
            **effort.options,
            "evaluate_every": 1,
            "patience": effort.patience if self.patience is None else self.patience,
        }
        if self.mode == DECODER:
            if not learned:
                # A new context network needs many more patients and hours than a reader's first library has.
                options |= {"context_epochs": 0, **_FROM_GENERAL}
        elif learned:
            options["encoder_rate"] = _GENTLE_ENCODER
        options |= {f"loss.{name}": value for name in LOSSES if (value := getattr(self, name)) is not None}
        options |= {name: value for name, value in self.options.items() if not name.startswith(DETECTOR_OPTION)}
        with_options(SegmenterSettings(), options)  # a wrong one is to be known now, not when the run has begun
        return options

    def _detector_options(self) -> dict[str, Option]:
        from MyoScarSegLib.training.model_settings import DetectorSettings

        said = self.options.items()
        options = {name.removeprefix(DETECTOR_OPTION): value for name, value in said if name.startswith(DETECTOR_OPTION)}
        if self.what == DETECTOR:
            options |= {name: value for name, value in said if not name.startswith(DETECTOR_OPTION)}
        with_options(DetectorSettings(), options)
        return options

    def explain(self, training_patients: int | None = None) -> str:
        """One line that says what will be done; of a number of patients also how many epochs."""
        trainings = []
        for part in self.parts:
            begun = "from fresh weights" if self.start(part) == FRESH else f"from {start_names(part, self.start(part))}"
            how = f", {choice('mode', self.mode).title.lower()}" if part == SEGMENTER else ""
            many = (
                "" if training_patients is None else f", at most {counted(self.planned_epochs(part, training_patients), 'epoch')}"
            )
            trainings.append(f"the {part} {begun}{how}{many}")
        where = "on the best device here" if self.device == "auto" else f"on {self.device}"
        end = [f"preset {self.preset}", f"augmentation {self.augmentation}", where, f"seed {self.seed}"]
        return f"Trains {' and '.join(trainings)}; {', '.join(end)}."
