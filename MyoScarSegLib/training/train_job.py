"""One training as a job: what the panel's worker, the console and the command line all run."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.options import Option
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

if TYPE_CHECKING:
    import numpy as np

    from MyoScarSegLib.training.datasets.labeled import DataSet, LabeledSlice

KINDS = ("sam", "yolo")
DECODER, FULL = MODES = ("decoder", "full")
FRESH = "fresh"
"""As ``start``: no model, but new weights."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_COMMAND_OPTIONS = (
    "start", "mode", "preset", "epochs", "batch", "seed", "folds", "held_out", "name", "data_kind", "labels", "patients",
)  # fmt: skip
_DEFAULT_NAMES = {"sam": "segmenter", "yolo": "detector"}


@dataclass(frozen=True)
class TrainJob:
    """What to train on what, and where the result goes.

    Attributes:
        kind: ``sam`` (a segmenter) or ``yolo`` (a detector).
        data: folder of a labeled data set, as :func:`~MyoScarSegLib.training.datasets.dataset_reader.read_dataset` reads it.
        out: folder for model, card, split and log.
        start: model to start from, by name or path; None for the default one, :data:`FRESH` for new weights (``yolo`` only).
        mode: what learns: ``decoder`` or ``full``; ``sam`` only.
        preset: how far pictures are varied: ``none``, ``light``, ``standard`` or ``heavy``.
        epochs: passes over the data; None for the usual number.
        seed: of everything that is drawn, the split included.
        split: manifest that says which patients train and which validate; None for the one that came with the data, or else
            a new one of ``folds`` parts, of which number ``held_out`` validates.
        folds, held_out: see ``split``.
        resume: go on with what was stopped in ``out``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        batch: slices per step; None for the usual number.
        name: of the model that is made, and of its files; by default ``segmenter`` or ``detector``.
        options: further settings by name.
        data_kind: of the data set, where its content does not tell.
        labels: what the values in its label files mean, where the data set does not say.
        patients: regular expression that finds the patient in names of files, where needed.
        licence, citation: of the data, for the model card; None for what is known of the data.
    """

    kind: str
    data: Path
    out: Path
    start: str | None = None
    mode: str = "decoder"
    preset: str = "standard"
    epochs: int | None = None
    seed: int = 0
    split: Path | None = None
    folds: int = 5
    held_out: int = 0
    resume: bool = False
    device: str = "auto"
    batch: int | None = None
    name: str = ""
    options: Mapping[str, Option] = field(default_factory=lambda: MappingProxyType({}))
    data_kind: str | None = None
    labels: str | None = None
    patients: str | None = None
    licence: str | None = None
    citation: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ModelError(f"A training's kind is {' or '.join(KINDS)}, not {self.kind!r}.")
        object.__setattr__(self, "data", Path(self.data))
        object.__setattr__(self, "out", Path(self.out))
        object.__setattr__(self, "split", None if self.split is None else Path(self.split))
        object.__setattr__(self, "name", self.name or _DEFAULT_NAMES[self.kind])
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))
        if self.mode not in MODES:
            raise ModelError(f"A training's mode is one of {', '.join(MODES)}, not {self.mode!r}.")
        if not _NAME.fullmatch(self.name):
            raise ModelError(f"A model's name has lower-case letters, digits, '.', '_' and '-' only; {self.name!r} has others.")
        if not _DEVICE.fullmatch(self.device):
            raise ModelError(f"{self.device!r} is no device: give auto, cpu, cuda, cuda:1 or mps.")
        if self.start == FRESH and self.kind == "sam":
            raise ModelError("A segmenter is fine-tuned from another one; it cannot start with fresh weights.")
        for name, least in (("epochs", 1), ("batch", 1), ("seed", 0), ("folds", 2), ("held_out", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ModelError(f"A training's {name} is at least {least}, not {value}.")
        if self.held_out >= self.folds:
            raise ModelError(f"Of {self.folds} folds number {self.held_out} cannot be held out: they count from 0.")

    def to_json(self) -> dict[str, Any]:
        """The job as a JSON object."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
        return {"version": 1, **plain, "options": dict(self.options)}

    def command(self) -> str:
        """The command that does the same, with DATA, OUT and SPLIT for the paths of this computer."""
        words = ["myoscarseg", "train", self.kind, "--data", "DATA", "-o", "OUT"]
        words += [] if self.split is None else ["--split", "SPLIT"]
        usual = {f.name: f.default for f in fields(self)} | {"name": _DEFAULT_NAMES[self.kind]}
        for name in _COMMAND_OPTIONS:
            if (value := getattr(self, name)) != usual[name]:
                # A model's path says more of this computer than of the model.
                shown = Path(value).name if name == "start" else str(value)
                words += [f"--{name.replace('_', '-')}", shlex.quote(shown)]
        words += [word for name, value in self.options.items() for word in ("--set", shlex.quote(f"{name}={value}"))]
        return " ".join(words)

    @classmethod
    def from_json(cls, document: Any) -> TrainJob:
        """The job of a JSON object; what is left out has its default.

        Raises:
            ModelError: a field is missing, unknown, of another type, or makes no sense; the message names it.
        """
        if not isinstance(document, dict):
            raise ModelError(f"A training job is a JSON object, not {type(document).__name__}.")
        if document.get("version", 1) != 1:
            raise ModelError(f"The training job is of version {document['version']!r}; this program reads version 1.")
        given = {name: value for name, value in document.items() if name != "version"}
        known = {f.name for f in fields(cls)}
        if unknown := sorted(given.keys() - known):
            raise ModelError(f"A training job has no {', '.join(unknown)}. It has: {', '.join(sorted(known))}.")
        if missing := [name for name in ("kind", "data", "out") if name not in given]:
            raise ModelError(f"The training job lacks {', '.join(missing)}.")
        for name, value in given.items():
            _check_type(name, value)
        return cls(**given)


def _nothing(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Hooks:
    """What else a training does for whoever watches it; none of it changes the model.

    Attributes:
        data: gives the labeled data in place of reading the job's folder.
        stage: told what is begun: ``reading``, ``embedding`` (and what else is prepared), ``steps`` or ``validation``.
        log: given each line of the log as it is written.
        note: given sentences on what is worth knowing, such as memory that ran short.
        looked: called in a segmenter's training after each look at the validation patients, with the number of the epoch, the
            slices, and the masks ``[rows, columns]`` drawn on them end to end.
        oracle: look with the reference's tight boxes, too.
        cards: write a card with each model that is kept on the way, so that whenever the training ends the last one has its.
        keep_state: leave what an interrupted training goes on from where it is when the training is complete.
        files: held while a model and its card are replaced.
    """

    data: Callable[[Progress, CancelToken | None], DataSet] | None = None
    stage: Callable[[str], None] = _nothing
    log: Callable[[Mapping[str, Any]], None] | None = None
    note: Callable[[str], None] = _nothing
    looked: Callable[[int, Sequence[LabeledSlice], Sequence[np.ndarray]], None] | None = None
    oracle: bool = False
    cards: bool = False
    keep_state: bool = False
    files: AbstractContextManager[Any] = field(default_factory=nullcontext)


NO_HOOKS = Hooks()


def run(
    job: TrainJob, progress: Progress = no_progress, cancel: CancelToken | None = None, hooks: Hooks = NO_HOOKS
) -> dict[str, Any]:
    """Carry out a training.

    Args:
        job: what.
        progress: called after every step.
        cancel: honoured within one step.
        hooks: for whoever watches.

    Returns:
        ``model``, ``card``, ``log`` and ``split`` (paths), ``name``, ``kind``, ``sha256`` and ``metrics``; JSON-ready.

    Raises:
        StudyError: the data or the split cannot be used.
        ModelError: the start model cannot be used, a setting is wrong, a package is missing, or the training broke down.
        OutputError: a file cannot be written.
        Cancelled: the token was set; the message says what was kept.
    """
    if job.kind == "yolo":
        from MyoScarSegLib.training.yolo.job import run_yolo

        return run_yolo(job, progress, cancel, hooks)
    # Said before the data is read, which may take minutes.
    if missing := [name for name in _EXTRA if importlib.util.find_spec(name) is None]:
        raise ModelError(f"Training a segmenter needs {' and '.join(missing)}: pip install 'myoscarseg[train]'.")
    from MyoScarSegLib.training.finetune import run_sam

    result: dict[str, Any] = run_sam(job, progress, cancel, hooks)
    return result


_EXTRA = ("accelerate", "monai")
"""Of the optional extra ``train``."""
_TEXTS = ("kind", "data", "out", "mode", "preset", "device", "name")
_OPTIONAL_TEXTS = ("start", "split", "data_kind", "labels", "patients", "licence", "citation")
_NUMBERS = ("seed", "folds", "held_out")
_OPTIONAL_NUMBERS = ("epochs", "batch")


def _check_type(name: str, value: Any) -> None:
    if name in _TEXTS:
        good, kind = isinstance(value, str), "a text"
    elif name in _OPTIONAL_TEXTS:
        good, kind = value is None or isinstance(value, str), "a text or null"
    elif name in _NUMBERS:
        good, kind = _whole(value), "a whole number"
    elif name in _OPTIONAL_NUMBERS:
        good, kind = value is None or _whole(value), "a whole number or null"
    elif name == "resume":
        good, kind = isinstance(value, bool), "true or false"
    else:
        scalars = isinstance(value, dict) and all(isinstance(v, (int, float, str, bool)) for v in value.values())
        good, kind = scalars, "an object of numbers, texts, true and false"
    if not good:
        raise ModelError(f"The training job's {name!r} must be {kind}, not {value!r}.")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
