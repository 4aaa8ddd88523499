"""What every training job does with its data: read it, split it by patient, and say in the card what it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.training.card import EMIDEC_CITATION, EMIDEC_LICENCE, NOT_STATED
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.splits import Split, check_split, split_patients
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.progress import CancelToken, Progress

if TYPE_CHECKING:
    from MyoScarSegLib.training.datasets.labeled import DataSet, LabeledSlice
    from MyoScarSegLib.training.train_job import TrainJob

    Source = Callable[[Progress, CancelToken | None], DataSet]


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


def read_job_data(
    job: TrainJob, manifest: Path, progress: Progress, cancel: CancelToken | None, source: Source | None = None
) -> JobData:
    """Read a job's data, from its folder if there is no ``source``, and decide the split: the job's own, that in ``manifest`` of
    the training gone on with, the data's, or a new one.
    """
    if source is None:
        told = {"kind": job.data_kind, "label_map": job.labels, "patient_pattern": job.patients}
        data = read_dataset(job.data, **told, progress=progress, cancel=cancel)
    else:
        data = source(progress, cancel)
    notes: list[str] = []
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
    return JobData(data, split, tuple(notes))


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


def provenance(job: TrainJob, used: JobData, limits: Sequence[str]) -> dict[str, Any]:
    """What a model card says of the data, the job, the license and the limits."""
    data = used.data
    known = data.kind == "emidec"
    return {
        "data": {
            "kind": data.kind,
            "patients": len(data.patients),
            "slices": len(data.slices),
            "slices_with_scar": sum(bool(s.scar.any()) for s in data.slices),
            "skipped": dict(data.skipped),
            "notes": list(used.notes),
        },
        "command": job.command(),
        "job": {"version": 1, **_without_places(job)},
        "licence": job.licence or (EMIDEC_LICENCE if known else NOT_STATED),
        "citation": job.citation or (EMIDEC_CITATION if known else NOT_STATED),
        "limits": list(limits),
    }


def _without_places(job: TrainJob) -> dict[str, Any]:
    """The job without what says more of this computer than of the model."""
    told = {name: value for name, value in to_json(job).items() if name not in ("data", "out", "split", "anatomy", "resume")}
    return {**told, "start": None if job.start is None else Path(job.start).name}
