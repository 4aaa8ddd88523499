"""One training as a job: what the panel's runs, the console and the command line all carry out."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.datasets.labeled import DataSet, LabeledSlice
from MyoScarSegLib.training.splits import SPLIT
from MyoScarSegLib.utils.device import DeviceName
from MyoScarSegLib.utils.files import sha256_of
from MyoScarSegLib.utils.json_fields import Count, Index, Limits, check, field_types, from_text
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

_T = TypeVar("_T")
Kind = Literal["segmenter", "detector"]
SEGMENTER, DETECTOR = KINDS = ("segmenter", "detector")
"""What a training makes, which is also the usual name of the model and the folder in a run."""
Mode = Literal["decoder", "full"]
"""What of a segmenter learns: the parts behind the image encoder, whose embeddings are made once, or everything."""
DECODER, FULL = MODES = ("decoder", "full")
Augmentation = Literal["none", "light", "standard", "heavy"]
"""How far pictures are varied."""
Option = int | float | str | bool
ModelName = Annotated[
    str,
    Limits(
        pattern=r"([a-z0-9][a-z0-9._-]{0,63})?",
        words="a model's name: lower-case letters, digits, '.', '_' and '-', 64 at most, with a letter or digit first",
    ),
]
FRESH = "fresh"
"""As ``start``: no model, but new weights."""
FORMER_KINDS: Mapping[str, Kind] = {"sam": "segmenter", "yolo": "detector"}
"""As cards and commands of former versions call them."""
_COMMAND_OPTIONS = (
    "start", "mode", "augmentation", "epochs", "batch", "seed", "folds", "held_out", "name", "data_kind", "labels", "patients",
)  # fmt: skip


@dataclass(frozen=True)
class TrainJob:
    """What to train on what, and where the result goes.

    Attributes:
        kind: what it makes: ``segmenter`` or ``detector``.
        data: folder of a labeled data set, as :func:`~MyoScarSegLib.training.datasets.dataset_reader.read_dataset` reads it.
        out: folder for model, card, split and log.
        start: model to start from, by name or path; None for the default one, :data:`FRESH` for new weights (detector only).
        mode: what of a segmenter learns.
        augmentation: how far pictures are varied.
        epochs: passes over the data; None for the usual number.
        seed: of everything that is drawn, the split included.
        split: manifest that says which patients train and which validate; None for the one that came with the data, or else
            a new one of ``folds`` parts, of which number ``held_out`` validates.
        folds, held_out: see ``split``.
        resume: go on with what was stopped in ``out``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        batch: slices per step; None for the usual number.
        name: of the model that is made, and of its files; empty for ``segmenter`` or ``detector``.
        options: further settings by name.
        data_kind: of the data set, where its content does not tell.
        anatomy: folder of studies, such as cine, with labeled ventricles, which a segmenter's context network learns first.
        labels: what the values in its label files mean, where the data set does not say.
        patients: regular expression that finds the patient in names of files, where needed.
        license, citation: of the data, for the model card; None for what is known of the data.

    Raises:
        ModelError: a value makes no sense; it is named.
    """

    kind: Kind
    data: Path
    out: Path
    start: str | None = None
    mode: Mode = "decoder"
    augmentation: Augmentation = "standard"
    epochs: Count | None = None
    seed: Index = 0
    split: Path | None = None
    folds: Annotated[int, Limits(2)] = 5
    held_out: Index = 0
    resume: bool = False
    device: DeviceName = "auto"
    batch: Count | None = None
    name: ModelName = ""
    options: Mapping[str, Option] = field(default_factory=dict)
    data_kind: str | None = None
    anatomy: Path | None = None
    labels: str | None = None
    patients: str | None = None
    licence: str | None = None
    citation: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", FORMER_KINDS.get(self.kind, self.kind))
        check(self, ModelError, "The training")
        object.__setattr__(self, "name", self.name or self.kind)
        if self.start == FRESH and self.kind == SEGMENTER:
            raise ModelError("A segmenter is fine-tuned from another one; it cannot start with fresh weights.")
        if self.held_out >= self.folds:
            raise ModelError(f"Of {self.folds} folds number {self.held_out} cannot be held out: they count from 0.")

    @property
    def said(self) -> dict[str, Option]:
        """What it says of the training's settings, by their names."""
        given: dict[str, Option | None] = {"epochs": self.epochs, "batch": self.batch, **self.options}
        return {name: value for name, value in given.items() if value is not None}

    def command(self) -> str:
        """The command that does the same, with DATA, OUT and SPLIT for the paths of this computer."""
        words = ["myoscarseg", "train", self.kind, "--data", "DATA", "-o", "OUT"]
        words += [] if self.split is None else ["--split", "SPLIT"]
        words += [] if self.anatomy is None else ["--anatomy", "ANATOMY"]
        usual = {f.name: f.default for f in fields(self)} | {"name": self.kind}
        for name in _COMMAND_OPTIONS:
            if (value := getattr(self, name)) != usual[name]:
                # A model's path says more of this computer than of the model.
                shown = Path(value).name if name == "start" else str(value)
                words += [f"--{name.replace('_', '-')}", shlex.quote(shown)]
        words += [word for name, value in self.options.items() for word in ("--set", shlex.quote(f"{name}={value}"))]
        return " ".join(words)


def _nothing(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Hooks:
    """What a training does for whoever watches it; none of it changes the model.

    Attributes:
        progress: called after every step.
        cancel: ends the training at its next step when it is set.
        data: gives the labeled data in place of reading the job's folder.
        stage: told what is begun: ``reading``, ``embedding`` (and what else is prepared), ``steps`` or ``validation``.
        log: given each line of the log as it is written.
        note: given sentences on what is worth knowing, such as memory that ran short.
        looked: called in a segmenter's training after each look at the validation patients, with the number of the epoch, the
            slices, and the masks ``[rows, columns]`` drawn on them end to end.
        of_run: look with the reference's tight boxes, too, and leave what an interrupted training goes on from where it is at
            the end.
        files: held while a model and its card are replaced.
    """

    progress: Progress = no_progress
    cancel: CancelToken | None = None
    data: Callable[[Progress, CancelToken | None], DataSet] | None = None
    stage: Callable[[str], None] = _nothing
    log: Callable[[Mapping[str, Any]], None] | None = None
    note: Callable[[str], None] = _nothing
    looked: Callable[[int, Sequence[LabeledSlice], Sequence[np.ndarray]], None] | None = None
    of_run: bool = False
    files: AbstractContextManager[Any] = field(default_factory=nullcontext)


NO_HOOKS = Hooks()


def run(
    job: TrainJob, progress: Progress = no_progress, cancel: CancelToken | None = None, hooks: Hooks = NO_HOOKS
) -> dict[str, Any]:
    """Carry out a training.

    Returns:
        ``model``, ``card``, ``log`` and ``split`` (paths), ``name``, ``kind``, ``sha256`` and ``metrics``; JSON-ready.

    Raises:
        StudyError: the data or the split cannot be used.
        ModelError: the start model cannot be used, a setting is wrong, a package is missing, or the training broke down.
        OutputError: a file cannot be written.
        Cancelled: the token was set; the message says what was kept.
    """
    # Of the optional extra ``train``; said before the data is read, which may take minutes.
    if importlib.util.find_spec("accelerate") is None:
        raise ModelError("Training needs accelerate: pip install 'myoscarseg[train]'.")
    if job.kind == DETECTOR:
        from MyoScarSegLib.training.yolo.detector_job import train_detector as train
    else:
        from MyoScarSegLib.training.finetune.segmenter_job import train_segmenter as train
    model, metrics = train(job, replace(hooks, progress=progress, cancel=cancel))
    places = {"model": model, "card": model.with_suffix(".json"), "log": job.out / "log.jsonl", "split": job.out / SPLIT}
    told = {"kind": job.kind, "name": job.name, "sha256": sha256_of(model), "metrics": metrics}
    return told | {name: str(place) for name, place in places.items()}


def with_options(settings: _T, options: Mapping[str, Any]) -> _T:
    """Settings, a frozen dataclass whose fields may be further ones, with some values changed by their names.

    A value is given as itself or as text; ``prompting.empty`` reaches into the setting ``prompting``, and a pair is
    ``"0.5,1.4"``.

    Raises:
        ModelError: there is no such setting, or the value is not of its kind.
    """
    types = field_types(type(settings))
    changes: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    known = names_of(settings)
    for name, value in options.items():
        outer, _, inner = name.partition(".")
        if name not in known:
            of = [one for one in known if one.startswith(f"{outer}.")] or known
            raise ModelError(f"There is no setting {name!r}. There are: {', '.join(of)}.")
        if inner:
            nested.setdefault(outer, {})[inner] = value
        else:
            text = ",".join(str(part) for part in value) if isinstance(value, (list, tuple)) else str(value)
            changes[name] = from_text(types[name], text, ModelError, "The training", name)
    for outer, inner_options in nested.items():
        changes[outer] = with_options(getattr(settings, outer), inner_options)
    return replace(settings, **changes)  # type: ignore[type-var]  # a dataclass, as asked for


def names_of(settings: Any) -> list[str]:
    """The names that can be set; of a setting that is a dataclass those within, as ``outer.inner``."""
    names = []
    for name in field_types(type(settings)):
        value = getattr(settings, name)
        names += [f"{name}.{inner}" for inner in names_of(value)] if is_dataclass(value) else [name]
    return names
