"""The study: every kind of label noise at every strength, with both losses, several seeds; one training after the other."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import Cancelled, ModelError, OutputError, StudyError
from MyoScarSegLib.files import read_json, write_json
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.training.datasets.labelled import LabelledSlice
from MyoScarSegLib.training.finetune.settings import SamSettings
from MyoScarSegLib.training.noise.corruptions import SMOOTH_MM, Corruption, all_corruptions
from MyoScarSegLib.training.noise.picture import draw, draw_masks
from MyoScarSegLib.training.noise.summary import figures_of, summarise
from MyoScarSegLib.training.noise.trial import LOSSES, SETTINGS, Judge, Trial, run_trial
from MyoScarSegLib.training.options import plain
from MyoScarSegLib.training.splits import Split, check_split

RESULTS, PICTURE, MASKS = "noise.json", "noise.png", "masks.png"
_RUNNING = "running"
_PATIENTS_SEED = 0
_LATEST = 5


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        start: model that every training starts from, by name or path.
        patients: training patients with scar that are used, drawn once; 0 for all.
        seeds: number of seeds.
        corruptions: of the training masks, beside none.
        settings: of the trainings, but for loss and seed.

    Raises:
        ModelError: there is no seed, or a negative number of patients.
    """

    start: str | Path = "litemedsam"
    patients: int = 24
    seeds: int = 2
    corruptions: Sequence[Corruption] = field(default_factory=all_corruptions)
    settings: SamSettings = SETTINGS

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.patients < 0:
            raise ModelError(
                f"The study needs at least one seed and no negative number of patients, not {self.seeds} and {self.patients}."
            )

    def trials(self) -> list[Trial]:
        """All trainings: both losses of a condition in a row, one seed after the other, so that half a study is one, too."""
        return [
            Trial(corruption, loss, seed)
            for seed in range(self.seeds)
            for corruption in (None, *self.corruptions)
            for loss in LOSSES
        ]


def run_study(
    slices: Sequence[LabelledSlice],
    split: Split,
    out: Path,
    plan: Plan | None = None,
    *,
    runs_limit: int | None = None,
    device: str = "cpu",
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Do what is not done yet, and write ``noise.json``, ``noise.png`` and ``masks.png`` (examples of spoilt masks).

    The results are written after every training, so a stopped study goes on where it was; more seeds may be asked for later.

    Args:
        slices: all labelled slices of the data.
        split: who trains and who validates.
        out: the folder.
        plan: what is compared; None for the whole study.
        runs_limit: trainings to do in this call, at most.
        device: what to compute on.
        progress: called as ``progress(trainings done, all, message)``, with the time left in the message.
        cancel: asked at every step.

    Returns:
        The content of ``noise.json``.

    Raises:
        StudyError: the split does not fit the data, or no training or validation patient has scar.
        ModelError: the start model cannot be trained, a training broke down, or the folder holds another study.
        OutputError: the folder cannot be written.
        Cancelled: the token was set; what is done is written.
    """
    plan, out = plan or Plan(), Path(out)
    notes = check_split(split, slices)
    training = _training(slices, split, plan.patients)
    judge = Judge(
        [s for s in slices if s.patient in split.validation],
        plan.start, plan.settings, device=device, progress=progress, cancel=cancel,
    )  # fmt: skip
    document = _opened(out / RESULTS, _how(plan, training, judge))
    document["notes"] = list(notes)
    if document["start"] is None:
        document["start"] = _with_figures(judge.of_start())
    trials = plan.trials()
    left = [trial for trial in trials if trial.key not in document["trials"]]
    due = left[:runs_limit]
    clock = _Clock([entry["seconds"] for entry in document["trials"].values()])
    if not (out / MASKS).is_file():
        draw_masks(out / MASKS, training, plan.corruptions)
    try:
        for number, trial in enumerate(due):
            done = len(trials) - len(left) + number
            clock.start(len(due) - number)
            found = run_trial(
                trial, training, judge, plan.start, out / _RUNNING / trial.key, plan.settings,
                device=device, progress=clock.reporting(progress, trial, done, len(trials)), cancel=cancel,
            )  # fmt: skip
            document["trials"][trial.key] = _entry(trial, found)
            _write(out, document)
            _remove(out / _RUNNING / trial.key)
            clock.stop()
    except Cancelled:
        _finish(out, document)
        raise
    _finish(out, document)
    finished = len(trials) - len(left) + len(due)
    progress(finished, len(trials), "done" if len(due) == len(left) else "as many as asked for are done")
    return document


def _training(slices: Sequence[LabelledSlice], split: Split, count: int) -> list[LabelledSlice]:
    """All slices of some training patients with scar, the same ones in every trial."""
    own = [s for s in slices if s.patient in split.training]
    scarred = sorted({s.patient for s in own if s.scar.any()})
    if not scarred:
        raise StudyError("No training patient has scar, so there is nothing to spoil. Choose another split.")
    if 0 < count < len(scarred):
        scarred = np.random.default_rng(_PATIENTS_SEED).permutation(scarred)[:count].tolist()
    return [s for s in own if s.patient in scarred]


def _how(plan: Plan, training: Sequence[LabelledSlice], judge: Judge) -> dict[str, Any]:
    """What must be the same for two trainings to be compared."""
    settings = plan.settings.to_json()
    digest = hashlib.sha256()
    for one in training:
        digest.update(f"{one.stack} {one.index} {one.image.shape} {one.pixel_spacing_mm}".encode())
        digest.update(np.ascontiguousarray(one.image).tobytes())
        digest.update(np.ascontiguousarray(one.labels).tobytes())
    return {
        "start": Path(plan.start).name,
        "start_sha256": judge.sha256,
        "settings": plain({name: value for name, value in settings.items() if name not in ("loss", "seed")}),
        "losses": {name: weights.__dict__ for name, weights in LOSSES.items()},
        "smooth_mm": SMOOTH_MM,
        "training_patients": sorted({s.patient for s in training}),
        "training_slices": len(training),
        "training_slices_with_scar": sum(bool(s.scar.any()) for s in training),
        "training_sha256": digest.hexdigest(),
        "validation_patients": judge.patients,
        "validation_sha256": judge.data_sha256,
    }


def _opened(path: Path, how: dict[str, Any]) -> dict[str, Any]:
    """The results so far, if they are of the same study."""
    if not path.is_file():
        return {"version": 1, "program": __version__, "how": how, "start": None, "trials": {}, "summary": {}}
    document = read_json(path, ModelError)
    try:
        other = [name for name, value in how.items() if document["how"].get(name) != value]
        known = document["version"] == 1 and isinstance(document["trials"], dict) and "start" in document
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is no result of this study. Choose another folder.") from error
    if not known or other:
        raise ModelError(
            f"{path} is of another study: it differs in {', '.join(other) or 'its version'}. Give the same data, split, model "
            "and settings again to go on with it, or choose another folder."
        )
    return dict(document)


def _entry(trial: Trial, found: dict[str, Any]) -> dict[str, Any]:
    corruption = trial.corruption
    identity = {
        "kind": None if corruption is None else corruption.kind,
        "strength": 0.0 if corruption is None else corruption.strength,
        "loss": trial.loss,
        "seed": trial.seed,
    }
    return identity | {"training_loss": found.pop("loss")} | _with_figures(found)


def _with_figures(found: dict[str, Any]) -> dict[str, Any]:
    return {"figures": figures_of(found)} | found


def _finish(out: Path, document: dict[str, Any]) -> None:
    _write(out, document)
    if document["trials"]:
        draw(out / PICTURE, document)


def _write(out: Path, document: dict[str, Any]) -> None:
    document["summary"] = summarise(list(document["trials"].values()))
    write_json(out / RESULTS, document)


def _remove(folder: Path) -> None:
    """The files of a training whose figures are kept; checkpoints are large."""
    try:
        shutil.rmtree(folder)
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()
    except OSError as error:
        raise OutputError(f"Cannot remove {folder}: {error.strerror}. Remove it, and start the study again.") from error


class _Clock:
    """How long the trainings that are left will take."""

    def __init__(self, known: Sequence[float]) -> None:
        self._seconds = list(known)[-_LATEST:]
        self._count = self._steps = self._first = 0
        self._began = self._phase_began = 0.0

    def start(self, count: int) -> None:
        """A training begins; with it ``count`` are left."""
        self._count, self._steps = count, 0
        self._began = time.monotonic()

    def stop(self) -> None:
        """It has ended."""
        # The first of a seed also makes the embeddings; of the latest few the middle one is usual.
        self._seconds = [*self._seconds, time.monotonic() - self._began][-_LATEST:]

    def reporting(self, progress: Progress, trial: Trial, trials_done: int, trials: int) -> Progress:
        """Progress of a training, as progress of the study."""

        def report(done: int, total: int, message: str) -> None:
            progress(trials_done, trials, f"{trial}: {message} ({done}/{total}){self.left(done, total)}")

        return report

    def left(self, step: int, steps: int) -> str:
        """For a message at a step of a part of the training; empty before anything is known."""
        now = time.monotonic()
        if steps != self._steps or step < self._first:
            self._steps, self._first, self._phase_began = steps, step, now
        spent, made = now - self._began, step - self._first
        of_part = (now - self._phase_began) / made * (steps - step) if made else None
        if self._seconds:
            usual = float(np.median(self._seconds))
            seconds = max(of_part or 0.0, usual - spent) + usual * (self._count - 1)
        elif of_part is not None:
            seconds = of_part + (spent + of_part) * (self._count - 1)
        else:
            return ""
        return f", {seconds / 60:.0f} min left" if seconds >= 90 else f", {seconds:.0f} s left"
