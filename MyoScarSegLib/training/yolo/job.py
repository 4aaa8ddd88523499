"""The training of a detector as a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.training.card import EMIDEC_CITATION, EMIDEC_LICENCE, write_card
from MyoScarSegLib.training.options import with_options
from MyoScarSegLib.training.splits import Split, check_leakage, check_split, split_patients
from MyoScarSegLib.training.yolo.settings import DetectorSettings
from MyoScarSegLib.training.yolo.train import DetectorFiles, DetectorTraining, train_detector
from MyoScarSegLib.training.yolo.variations import variation

if TYPE_CHECKING:
    from MyoScarSegLib.training.datasets.dataset import DataSet
    from MyoScarSegLib.training.jobs import TrainJob

_FRESH = "fresh"
_FURTHER = {"epochs": 40, "rate": 7e-4, "warmup": 1.0}
"""Settings of a training that starts from a detector, which has less to learn."""
_LIMITS = (
    "Research use only; not a medical device. A reader must look at every box.",
    "Confidences rank boxes; they are no probabilities.",
    "Where no ventricle is found, no scar is looked for.",
    "Nothing is known of scanners, sequences and diseases that the data does not hold.",
)


def run_yolo(job: TrainJob, progress: Progress = no_progress, cancel: CancelToken | None = None) -> dict[str, Any]:
    """See :func:`MyoScarSegLib.training.jobs.run`."""
    from MyoScarSegLib.training.datasets.labelmaps import parse_label_map
    from MyoScarSegLib.training.datasets.reading import read_dataset

    start = _start(job.start)
    settings = _settings(job, start)
    data = read_dataset(
        job.data,
        kind=job.data_kind,
        label_map=None if job.labels is None else parse_label_map(job.labels),
        patient_pattern=job.patients,
        progress=progress,
        cancel=cancel,
    )
    files = DetectorFiles(job.out, job.name)
    split = _split(job, data, files)
    # A split without validation patients is one for the last training of a recipe, on all that there are.
    notes = check_split(split, data.slices) if split.validation else []
    check_leakage(split, data.slices)
    training = DetectorTraining(data.slices, split, settings, files, start, _ventricles(start), job.device)
    record = train_detector(training, resume=job.resume, progress=progress, cancel=cancel)
    card = write_card(files.model, {**record, **_provenance(job, data, notes)})
    return {
        "kind": "yolo",
        "name": job.name,
        "model": str(files.model),
        "card": str(card),
        "log": str(files.log),
        "split": str(files.split),
        "sha256": record["sha256"],
        "metrics": record["metrics"],
    }


def _start(start: str | None) -> Path | None:
    """The checkpoint to start from; None for fresh weights.

    Raises:
        ModelError: there is no such detector, or it is not MyoScarSeg's own.
    """
    from MyoScarSegLib.models import DEFAULT_DETECTOR, registry

    if start == _FRESH:
        return None
    name = start or DEFAULT_DETECTOR
    path = Path(name)
    if path.suffix != ".safetensors" and not path.is_file():
        entry = registry().entry(name)
        if entry.task != "detect":
            raise ModelError(f"{name} is a segmenter; a detector's training starts from a detector.")
        path = registry().path(name)
    if path.suffix != ".safetensors":
        raise ModelError(f"{path} is not a detector of MyoScarSeg (.safetensors); a training can start from such a one only.")
    if not path.is_file():
        raise ModelError(f"There is no detector checkpoint {path}.")
    return path


def _settings(job: TrainJob, start: Path | None) -> DetectorSettings:
    from MyoScarSegLib.detection.checkpoint import read_record

    settings = DetectorSettings(seed=job.seed, variation=variation(job.preset))
    if start is not None:
        record = read_record(start)
        settings = replace(settings, architecture=record.architecture, size=record.image_size)
        if record.second_look is not None:
            settings = replace(settings, window=record.second_look.size)
        settings = with_options(settings, _FURTHER)
    given: Mapping[str, Any] = {"epochs": job.epochs, "batch": job.batch}
    settings = with_options(settings, {name: value for name, value in given.items() if value is not None})
    return with_options(settings, job.options)


def _split(job: TrainJob, data: DataSet, files: DetectorFiles) -> Split:
    if job.split is not None:
        return Split.read(job.split)
    if job.resume and files.split.is_file():
        return Split.read(files.split)
    if data.given_split is not None:
        return data.given_split
    return split_patients(data.strata, seed=job.seed, folds=job.folds, held_out=job.held_out)


def _ventricles(start: Path | None) -> str | Path:
    from MyoScarSegLib.models import DEFAULT_DETECTOR

    return start or DEFAULT_DETECTOR


def _provenance(job: TrainJob, data: DataSet, notes: Sequence[str]) -> dict[str, Any]:
    known = data.kind == "emidec"
    return {
        "data": {
            "kind": data.kind,
            "patients": len(data.patients),
            "slices": len(data.slices),
            "slices_with_scar": sum(bool(s.scar.any()) for s in data.slices),
            "skipped": dict(data.skipped),
            "notes": list(notes),
        },
        "job": {key: value for key, value in job.to_json().items() if key not in ("data", "out", "split", "resume")},
        "licence": job.licence or (EMIDEC_LICENCE if known else "not stated; that of the data holds"),
        "licence_note": "ultralytics, which trained it and defines the network, is AGPL-3.0, and its makers hold that models "
        "trained with it fall under that, too; who distributes it must settle that",
        "citation": job.citation or (EMIDEC_CITATION if known else "not stated; that of the data holds"),
        "limits": list(_LIMITS),
    }
