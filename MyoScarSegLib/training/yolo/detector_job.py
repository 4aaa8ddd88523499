"""The training of a detector as a job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.job_data import read_job_data
from MyoScarSegLib.training.train_job import FRESH, Hooks, with_options
from MyoScarSegLib.training.yolo.detector_settings import DetectorSettings
from MyoScarSegLib.training.yolo.detector_training import train_detector
from MyoScarSegLib.utils.progress import CancelToken, Progress

if TYPE_CHECKING:
    from MyoScarSegLib.training.train_job import TrainJob

_FURTHER = {"epochs": 40, "rate": 7e-4, "warmup": 1.0}
"""Settings of a training that starts from a detector, which has less to learn."""


def run_yolo(job: TrainJob, progress: Progress, cancel: CancelToken | None, hooks: Hooks) -> tuple[Path, dict[str, Any]]:
    """Carry out the training of a detector; :func:`MyoScarSegLib.training.train_job.run` says the rest. Model and figures."""
    start = start_detector(job.start)
    settings = detector_settings(job, start)
    hooks.stage("reading")
    used = read_job_data(job, job.out / "split.json", progress, cancel, hooks.data)
    known = train_detector(job, used, settings, start, progress=progress, cancel=cancel, hooks=hooks)
    return job.out / known["file"], known["metrics"]


def start_detector(start: str | None) -> Path | None:
    """The checkpoint to start from; None for fresh weights. ModelError if there is no such detector of ours."""
    from MyoScarSegLib.models import DEFAULT_DETECTOR, registry

    if start == FRESH:
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


def detector_settings(job: TrainJob, start: Path | None) -> DetectorSettings:
    """The settings that a job means, with the architecture and input of the model that it starts from."""
    from MyoScarSegLib.detection.detector_checkpoint import read_record

    settings = DetectorSettings(seed=job.seed, augmentation=job.augmentation)
    if start is not None:
        record = read_record(start)
        settings = replace(settings, architecture=record.architecture, size=record.image_size)
        if record.second_look is not None:
            settings = replace(settings, window=record.second_look.size)
    return with_options(settings, {**(_FURTHER if start is not None else {}), **job.said})
