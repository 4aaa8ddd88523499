"""What a user chooses for a training, in a few words, and the jobs that it means.

Cheap to import: the application's own process reads and writes these settings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.options import Option
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.start_models import knows_scar, start_names
from MyoScarSegLib.training.train_job import DECODER, FRESH, FULL, MODES, TrainJob

VERSION = 2
SEGMENTER, DETECTOR, BOTH = "segmenter", "detector", "both"
FAST, BALANCED, BEST = "quick", "balanced", "best"
AUGMENTATIONS = ("none", "light", "standard", "heavy")
DETECTOR_OPTION = "detector."
"""Before the name of an option that is for the detector."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
LOSSES = ("dice", "cross_entropy", "divergence", "blur_px")
_SLICES_PER_PATIENT = 7
"""Of an epoch: those with scar and as many without, of short-axis stacks of ten or so."""
_BATCH = 6


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
tight boxes 0.50 instead of 0.21 after five patients, mean of two draws, on twelve training patients (docs/learning-curve.md)."""
_GENTLE_ENCODER = 3e-5
"""Rate of an encoder that has learnt scar; the usual one suits a start from general weights."""


@dataclass(frozen=True)
class TrainSettings:
    """All that is chosen for a training, beside its data; nothing need be.

    Attributes:
        what: ``segmenter``, ``detector`` or ``both``.
        start_segmenter, start_detector: model to start from, by name or path; None for the default one, and for a detector
            also ``fresh``.
        mode: what of the segmenter learns: ``decoder`` the parts behind the image encoder, whose embeddings are made once;
            ``full`` everything.
        preset: how long: ``quick``, ``balanced`` or ``best``.
        seed: of everything that is drawn.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        epochs: passes over the data; None for as many as the preset says.
        patience: looks at the validation patients without a better figure after which the segmenter's training ends; 0 for
            never, None for the preset's.
        dice, cross_entropy, divergence: weights of the segmenter's losses; None for the usual ones.
        blur_px: standard deviation of the blur that softens the labels for ``divergence``; None for the usual one.
        augmentation: how far pictures are varied: ``none``, ``light``, ``standard`` or ``heavy``.
        name: of the model that is made; empty for ``segmenter`` or ``detector``.
        options: further settings by name, such as ``copies`` or ``prompts``; ``detector.`` goes before those of the
            detector.

    Raises:
        ModelError: a value makes no sense; it is named.
    """

    what: str = SEGMENTER
    start_segmenter: str | None = None
    start_detector: str | None = None
    mode: str = DECODER
    preset: str = BALANCED
    seed: int = 0
    device: str = "auto"
    epochs: int | None = None
    patience: int | None = None
    dice: float | None = None
    cross_entropy: float | None = None
    divergence: float | None = None
    blur_px: float | None = None
    augmentation: str = "standard"
    name: str = ""
    options: Mapping[str, Option] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ModelError(f"The training's {name} is {getattr(self, name)!r}; choose one of {', '.join(known)}.")
        for name in ("start_segmenter", "start_detector"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and value.strip()):
                raise ModelError(f"The training's {name} is a model's name or path, not {value!r}.")
        if self.start_segmenter == FRESH:
            raise ModelError("A segmenter is fine-tuned from another one; it cannot start with fresh weights.")
        if not (isinstance(self.device, str) and _DEVICE.fullmatch(self.device)):
            raise ModelError(f"{self.device!r} is no device: give auto, cpu, cuda, cuda:1 or mps.")
        if not isinstance(self.name, str) or (self.name and not _NAME.fullmatch(self.name)):
            raise ModelError(
                f"A model's name has lower-case letters, digits, '.', '_' and '-' only, 64 at most, and starts with a letter "
                f"or digit; {self.name!r} is none."
            )
        for name, least in (("seed", 0), ("epochs", 1), ("patience", 0)):
            value = getattr(self, name)
            if value is None and name != "seed":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ModelError(f"The training's {name} is a whole number from {least} up, not {value!r}.")
        for name in LOSSES:
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
                raise ModelError(f"The training's {name} is a number from 0 up, not {value!r}.")
        object.__setattr__(self, "options", _checked_options(self.options))

    # ---- as a file

    def to_json(self) -> dict[str, Any]:
        """The settings as a JSON object, complete."""
        return {"version": VERSION, **{f.name: getattr(self, f.name) for f in fields(self)}, "options": dict(self.options)}

    @classmethod
    def from_json(cls, document: Any) -> TrainSettings:
        """The settings of a JSON object; what is left out has its default.

        Raises:
            ModelError: it is none, of another version, or has a field that is unknown or makes no sense; it is named.
        """
        if not isinstance(document, Mapping):
            raise ModelError(f"The settings of a training are a JSON object, not {type(document).__name__}.")
        if document.get("version", VERSION) != VERSION:
            raise ModelError(
                f"The settings of this training are of version {document.get('version')!r}; this program reads {VERSION}. "
                + ("Choose them anew." if document["version"] == 1 else "Update MyoScarSeg.")
            )
        known = {f.name for f in fields(cls)}
        if unknown := sorted(str(key) for key in document if key not in known | {"version"}):
            raise ModelError(f"A training has no {', '.join(unknown)}. It has: {', '.join(sorted(known))}.")
        return cls(**{str(key): value for key, value in document.items() if key != "version"})

    # ---- what it means

    @property
    def trains_segmenter(self) -> bool:
        """Whether a segmenter is trained."""
        return self.what in (SEGMENTER, BOTH)

    @property
    def trains_detector(self) -> bool:
        """Whether a detector is trained."""
        return self.what in (DETECTOR, BOTH)

    def model_name(self, kind: str) -> str:
        """What the model of ``kind`` (``segmenter`` or ``detector``) is called, and its file but for the ending."""
        if not self.name:
            return kind
        return f"{self.name}-detector" if self.what == BOTH and kind == DETECTOR else self.name

    def planned_epochs(self, kind: str, training_patients: int) -> int:
        """Passes over the data of as many patients: fewer of much data, for what counts is the number of steps."""
        if self.epochs is not None:
            return self.epochs
        effort = _EFFORTS[self.preset]
        if kind == DETECTOR:
            return effort.detector_epochs * (_NEW_FACTOR if self.start_detector == FRESH else 1)
        an_epoch = max(1, math.ceil(training_patients * _SLICES_PER_PATIENT / _BATCH))
        least, most = effort.epochs
        epochs = min(max(math.ceil(effort.steps / an_epoch), least), most)
        return epochs if knows_scar(self.start_segmenter) else epochs * _NEW_FACTOR

    def jobs(self, data: Path, out: Path, split: Path) -> list[TrainJob]:
        """The trainings that these settings mean, in the order in which they are done.

        Args:
            data: the training library.
            out: folder of the run; each training gets a folder ``segmenter`` or ``detector`` in it.
            split: manifest of who trains and who validates.

        Raises:
            StudyError: the split cannot be read.
            ModelError: a start model does not exist, or an option is none.
        """
        patients = len(Split.read(split).training)
        return [self.job(kind, Path(data), Path(out), Path(split), patients) for kind in self.kinds()]

    def kinds(self) -> tuple[str, ...]:
        """What is trained: ``segmenter``, ``detector``, or both in this order."""
        return tuple(kind for kind, wanted in ((SEGMENTER, self.trains_segmenter), (DETECTOR, self.trains_detector)) if wanted)

    def job(self, kind: str, data: Path, out: Path, split: Path, patients: int) -> TrainJob:
        """The training of the ``segmenter`` or the ``detector``; see :meth:`jobs`.

        Args:
            kind: which of them.
            data, out, split: see there.
            patients: how many train.
        """
        segments = kind == SEGMENTER
        return TrainJob(
            kind="sam" if segments else "yolo",
            data=data,
            out=out / kind,
            start=self.start_segmenter if segments else self.start_detector,
            mode=self.mode if segments else "decoder",
            preset=self.augmentation,
            epochs=self.planned_epochs(kind, patients),
            seed=self.seed,
            split=split,
            device=self.device,
            name=self.model_name(kind),
            options=self._segmenter_options() if segments else self._detector_options(),
        )

    def _segmenter_options(self) -> dict[str, Option]:
        from MyoScarSegLib.training.finetune.sam_settings import SamSettings
        from MyoScarSegLib.training.options import with_options

        effort = _EFFORTS[self.preset]
        learnt = knows_scar(self.start_segmenter)
        options: dict[str, Option] = {
            **effort.options,
            "evaluate_every": 1,
            "patience": effort.patience if self.patience is None else self.patience,
        }
        if self.mode == DECODER:
            # A new branch needs a phase of its own, which is anything but quick. One that is there learns on.
            options["detail"] = False
            if not learnt:
                options |= _FROM_GENERAL
        elif learnt:
            options["encoder_rate"] = _GENTLE_ENCODER
        options |= {f"loss.{name}": float(getattr(self, name)) for name in LOSSES if getattr(self, name) is not None}
        given = {k: v for k, v in self.options.items() if not k.startswith(DETECTOR_OPTION)} if self.what != DETECTOR else {}
        options |= given
        with_options(SamSettings(), options)  # a wrong one is to be known now, not when the run has begun
        return options

    def _detector_options(self) -> dict[str, Option]:
        from MyoScarSegLib.training.options import with_options
        from MyoScarSegLib.training.yolo.settings import DetectorSettings

        options = {k.removeprefix(DETECTOR_OPTION): v for k, v in self.options.items() if k.startswith(DETECTOR_OPTION)}
        if self.what == DETECTOR:
            options |= {k: v for k, v in self.options.items() if not k.startswith(DETECTOR_OPTION)}
        with_options(DetectorSettings(), options)
        return options

    # ---- in words

    def explain(self, training_patients: int | None = None) -> str:
        """One line that says what will be done; of a number of patients also how many epochs."""
        parts = []
        for kind in self.kinds():
            start = self.start_segmenter if kind == SEGMENTER else self.start_detector
            begun = "from fresh weights" if start == FRESH else f"from {start_names(kind, start)}"
            how = f", {title_of(modes(), self.mode).lower()}" if kind == SEGMENTER else ""
            many = "" if training_patients is None else f", at most {self.planned_epochs(kind, training_patients)} epochs"
            parts.append(f"the {kind} {begun}{how}{many}")
        where = "on the best device here" if self.device == "auto" else f"on {self.device}"
        end = [f"preset {self.preset}", f"augmentation {self.augmentation}", where, f"seed {self.seed}"]
        return f"Trains {' and '.join(parts)}; {', '.join(end)}."


def whats() -> tuple[Choice, ...]:
    """What can be trained."""
    return (
        Choice(SEGMENTER, "Scar segmenter", "Draws the scar within a box. Train this if masks are wrong."),
        Choice(DETECTOR, "Box detector", "Proposes the boxes. Train this if boxes are missing or in the wrong place."),
        Choice(BOTH, "Both", "One after the other, on the same patients."),
    )


def modes() -> tuple[Choice, ...]:
    """What of the segmenter can learn."""
    return (
        Choice(DECODER, "Quick", "Only the parts behind the image encoder learn, on embeddings made once. Right for a laptop."),
        Choice(FULL, "Thorough", "The whole network learns. For many patients and a GPU."),
    )


def presets() -> tuple[Choice, ...]:
    """How much can be done."""
    return (
        Choice(FAST, "Quick look", "A short training, to see whether it works. Minutes for a handful of patients."),
        Choice(
            BALANCED,
            "Balanced",
            "Learns what the patients teach, and ends when nothing gets better. Right for most.",
        ),
        Choice(BEST, "Best", "More variations and more passes, two to four times as long. For the night, or a GPU."),
    )


def augmentations() -> tuple[Choice, ...]:
    """How far pictures can be varied."""
    return (
        Choice("none", "None", "Pictures are learnt as they are."),
        Choice("light", "Light", "Mirrored and turned, and small changes of size and brightness."),
        Choice("standard", "Standard", "As scanners and patients differ. Right for most."),
        Choice("heavy", "Heavy", "More than that: for few patients, and other scanners later."),
    )


def title_of(choices: tuple[Choice, ...], name: str) -> str:
    """The title of one of some choices."""
    return next(c.title for c in choices if c.name == name)


_CHOICES = {
    "what": (SEGMENTER, DETECTOR, BOTH),
    "mode": MODES,
    "preset": tuple(_EFFORTS),
    "augmentation": AUGMENTATIONS,
}


def _checked_options(options: Any) -> Mapping[str, Option]:
    if not isinstance(options, Mapping):
        raise ModelError(f"The training's options are names with values, not {options!r:.80}.")
    for name, value in options.items():
        if not isinstance(name, str) or not isinstance(value, (int, float, str, bool)):
            raise ModelError(f"The training's option {name!r} must be a number, a text, true or false, not {value!r:.80}.")
        if isinstance(value, float) and not math.isfinite(value):
            raise ModelError(f"The training's option {name!r} must be a finite number.")
    return MappingProxyType(dict(options))
