"""What every training job does with its data: read it, split it by patient, and say in the card what it was."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.card import EMIDEC_CITATION, EMIDEC_LICENCE, NOT_STATED, write_card
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.datasets.labeled import DataSet, LabeledSlice
from MyoScarSegLib.training.splits import SPLIT, Split, check_split, split_patients
from MyoScarSegLib.training.start_models import start_license
from MyoScarSegLib.training.train_job import FRESH, Hooks, TrainJob
from MyoScarSegLib.utils.json_fields import to_json

_PLACES = ("data", "out", "split", "anatomy", "resume")


@dataclass(frozen=True)
class JobData:
    """A job's whole data set, its split, and what is to be said of the split."""

    data: DataSet
    split: Split
    notes: tuple[str, ...]

    @property
    def training(self) -> list[LabeledSlice]:
        """Slices of the training patients."""
        return [s for s in self.data.slices if s.patient in self.split.training]

    @property
    def validation(self) -> list[LabeledSlice]:
        """Slices of the validation patients."""
        return [s for s in self.data.slices if s.patient in self.split.validation]


def read_job_data(job: TrainJob, hooks: Hooks) -> JobData:
    """Read a job's data, and decide the split, which is left as ``split.json`` in its folder: the job's own, that of the training
    gone on with, the data's, or a new one.
    """
    hooks.stage("reading")
    if hooks.data is None:
        told = {"kind": job.data_kind, "label_map": job.labels, "patient_pattern": job.patients}
        data = read_dataset(job.data, **told, progress=hooks.progress, cancel=hooks.cancel)
    else:
        data = hooks.data(hooks.progress, hooks.cancel)
    notes: list[str] = []
    manifest = job.out / SPLIT
    if job.split is not None:
        split = Split.read(job.split)
    elif job.resume and manifest.is_file():
        split = Split.read(manifest)
    elif data.given_split is not None:
        split = data.given_split
    else:
        split, notes = _new_split(job, data.strata)
    if split.validation:  # without, it is one for the last training of a recipe, on all that there are
        notes += check_split(split, data.slices)
    used = JobData(data, split, tuple(notes))
    if not used.training:
        raise ModelError("None of the data's patients is a training patient of the split. Give the split of this data.")
    split.write(manifest)
    return used


def _new_split(job: TrainJob, strata: Mapping[str, str]) -> tuple[Split, list[str]]:
    """A split by the job's seed; with fewer patients than folds one of them validates, and a single one only trains."""
    patients = len(strata)
    if patients == 1:
        note = "There is one patient only: it trains, nobody validates, and how good the model is stays unknown."
        return Split(tuple(strata), (), job.seed, None, None), [note]
    if patients >= job.folds:
        return split_patients(strata, seed=job.seed, folds=job.folds, held_out=job.held_out), []
    split = split_patients(strata, seed=job.seed, folds=patients, held_out=job.held_out % patients)
    return split, [f"There are fewer patients than {job.folds} folds: one of {patients} validates."]


class JobCard:
    """The card of the model that a job makes. Whatever ends the training, each model that is kept has its own."""

    def __init__(self, job: TrainJob, used: JobData, settings: Any, hooks: Hooks, limits: Sequence[str], stopped: str) -> None:
        """``limits`` are sentences, before which ``stopped`` is said as long as the training is not complete."""
        self._job, self._used, self._settings, self._hooks = job, used, settings, hooks
        self._limits, self._stopped = limits, stopped

    @property
    def license(self) -> str:
        """Of the data, and where it is another that of the start model, of which the new one is derived."""
        job = self._job
        own = job.licence or (EMIDEC_LICENCE if self._used.data.kind == "emidec" else NOT_STATED)
        start = "" if job.start == FRESH else start_license(job.kind, job.start)
        return own if start in own else f"{own}; {start}, that of the start model"

    def write(self, model: Path, facts: Mapping[str, Any], *, complete: bool) -> None:
        """Write the card beside the model as it now is, with the ``facts`` that are its own."""
        job, data = self._job, self._used.data
        # Without what says more of this computer than of the model.
        told = {name: value for name, value in to_json(job).items() if name not in _PLACES}
        record = {
            "name": job.name,
            **facts,
            "program": __version__,
            "cores": os.cpu_count(),
            "seed": self._settings.seed,
            "settings": to_json(self._settings),
            "split": self._used.split.to_json(),
            "data": {
                "kind": data.kind,
                "patients": len(data.patients),
                "slices": len(data.slices),
                "slices_with_scar": sum(bool(s.scar.any()) for s in data.slices),
                "skipped": dict(data.skipped),
                "notes": list(self._used.notes),
            },
            "command": job.command(),
            "job": {"version": 1, **told, "start": None if job.start is None else Path(job.start).name},
            "licence": self.license,
            "citation": job.citation or (EMIDEC_CITATION if data.kind == "emidec" else NOT_STATED),
            "limits": list(self._limits if complete else (self._stopped, *self._limits)),
        }
        with self._hooks.files:
            write_card(model, record)
