"""Training a detector from labeled slices: what is trained on, the files that it leaves, its threshold and its figures."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from MyoScarSegLib.detection.architecture import build_network
from MyoScarSegLib.detection.detector import CLASSES
from MyoScarSegLib.detection.detector_checkpoint import (
    PREPROCESSING,
    DetectorRecord,
    SecondLook,
    load_checkpoint,
    read_record,
    save_checkpoint,
)
from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.models import DEFAULT_DETECTOR, registry
from MyoScarSegLib.training.datasets.labeled import LabeledSlice, labeled_phantoms
from MyoScarSegLib.training.job_data import JobCard, JobData, read_job_data
from MyoScarSegLib.training.loop.phase_training import PhaseTraining, Session, checkpoint_path, what_is_kept
from MyoScarSegLib.training.loop.step_log import StepLog
from MyoScarSegLib.training.loop.training_processes import Processes, open_accelerator
from MyoScarSegLib.training.model_settings import DetectorSettings
from MyoScarSegLib.training.start_models import start_model_of
from MyoScarSegLib.training.train_job import FRESH, Hooks, TrainJob, with_options
from MyoScarSegLib.training.yolo.boxes_phase import BOXES, PAINTER, add_painter, boxes_phase
from MyoScarSegLib.training.yolo.detector_samples import DetectorSample, detector_samples
from MyoScarSegLib.training.yolo.detector_scores import choose_confidence, evaluate, find_on, own_detector
from MyoScarSegLib.utils.files import sha256_of
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics

IOU = 0.2
"""Two boxes of one class that overlap more are one: lesions that lie so close were boxed as one."""
SECOND_LOOK_MARGIN = 1.6
"""The ventricle then takes 0.625 of the second look's side, the middle of what the augmentation trains."""
SECOND_LOOK_CONFIDENCE = 0.05
"""A faint ventricle is looked at again: where there is none, the second look finds no scar either."""
UNCALIBRATED = 0.1
"""Threshold of a detector that was stopped before one could be chosen."""
_STOPPED = "The training was stopped: this is the model until then, its threshold may not be chosen, and nobody has measured it."
_LIMITS = (
    "Research use only; not a medical device. A reader must look at every box.",
    "Confidences rank boxes; they are no probabilities.",
    "Where no ventricle is found, no scar is looked for.",
    "Nothing is known of scanners, sequences and diseases that the data does not hold.",
)
_LICENCE_NOTE = (
    "ultralytics, which trained it and defines the network, is AGPL-3.0, and its makers hold that models trained with it fall "
    "under that, too; who distributes it must settle that"
)
_FURTHER = {"epochs": 40, "rate": 7e-4, "warmup": 1.0}
"""Settings of a training that starts from a detector, which has less to learn."""


def train_detector(job: TrainJob, hooks: Hooks) -> tuple[Path, dict[str, Any]]:
    """Train a detector, choose its threshold, save and evaluate it; :func:`MyoScarSegLib.training.train_job.run` says the rest.
    Model and figures.

    Where the wall is not labeled, the start model says where the ventricle is, or else the program's own detector. After every
    epoch the model file has the averaged weights so far, with a preliminary threshold, and the state is written, from which a
    job that resumes goes on to the same result as if it had not been stopped.
    """
    if os.environ.get("RANK", "-1") != "-1":
        raise ModelError("The detector is trained in one process: start it without `accelerate launch` or `torchrun`.")
    start = start_detector(job.start)
    settings = detector_settings(job, start)
    checkpoint = checkpoint_path(job.out, BOXES)
    _check_free(checkpoint, resume=job.resume)
    used = read_job_data(job, hooks)
    hooks.stage("embedding")
    processes = Processes(open_accelerator(job.device, "no"))
    network, started_from = _network(settings, start)
    network.to(processes.accelerator.device)
    samples = _samples(job, settings, used.training, start, hooks)
    phantoms = detector_samples(labeled_phantoms(settings.seed + 1, settings.phantoms), settings.size)
    log = StepLog(job.out / "log.jsonl", keep=job.resume, listener=hooks.log)
    model = _Model(job, used, settings, started_from, hooks, log)
    session = Session(processes, job.out, log, hooks)
    phase, recipe = boxes_phase(network, samples, phantoms, settings), _recipe(settings, samples, started_from)
    training = PhaseTraining(network, phase, session, recipe, lambda averaged: model.save(_used(averaged)))
    try:
        with _deterministic(processes.accelerator.device):
            training.run(resume=job.resume)
        hooks.stage("validation")
        metrics = _finish(model, _used(training.averaged), hooks)
    except Cancelled as stop:
        begun = checkpoint.is_file()
        raise Cancelled(what_is_kept(model.path if model.path.is_file() else None, job.out if begun else None)) from stop
    # Only now: until all files are written there is something to go on from.
    if not hooks.of_run:
        checkpoint.unlink(missing_ok=True)
    return model.path, metrics


def start_detector(start: str | None) -> Path | None:
    """The checkpoint to start from; None for fresh weights. ModelError if there is no such detector of ours."""
    if start == FRESH:
        return None
    found = start_model_of("detector", start)
    path = found if isinstance(found, Path) else registry().path(found.name)
    if path.suffix != ".safetensors":
        raise ModelError(f"{path} is not a detector of MyoScarSeg (.safetensors); a training can start from such a one only.")
    return path


def detector_settings(job: TrainJob, start: Path | None) -> DetectorSettings:
    """The settings that a job means, with the architecture and input of the model that it starts from."""
    settings = DetectorSettings(seed=job.seed, augmentation=job.augmentation)
    if start is not None:
        record = read_record(start)
        settings = replace(settings, architecture=record.architecture, size=record.image_size)
        if record.second_look is not None:
            settings = replace(settings, window=record.second_look.size)
    return with_options(settings, {**(_FURTHER if start is not None else {}), **job.said})


class _Model:
    """The detector that is made: its file and its card, which belong together.

    Attributes:
        path: of the file, as ``--detector`` takes it; the card lies beside it.
    """

    def __init__(
        self, job: TrainJob, used: JobData, settings: DetectorSettings, started_from: Mapping[str, Any] | None, hooks: Hooks,
        log: StepLog,
    ) -> None:  # fmt: skip
        """Nothing is written yet."""
        self.job, self.used = job, used
        self.path = job.out / f"{job.name}.safetensors"
        self._settings, self._started_from, self._hooks, self._log = settings, started_from, hooks, log
        self._card, self._began = JobCard(job, used, settings, hooks, _LIMITS, _STOPPED), time.monotonic()

    def save(self, network: Any, confidence: float = UNCALIBRATED, chosen_on: str = "") -> None:
        """Write the model so far; its threshold may not be chosen yet (``chosen_on`` is empty then)."""
        settings = self._settings
        made = {"patients": len(self.used.split.training), "settings": to_json(settings)}
        record = DetectorRecord(settings.architecture, CLASSES, settings.size, confidence, IOU, self._look, training=made)
        with self._hooks.files:
            save_checkpoint(self.path, network, record)
            self.describe(confidence, chosen_on)

    def describe(self, confidence: float, chosen_on: str, metrics: Mapping[str, Any] | None = None) -> None:
        """Write the card of the model as it was just saved; without ``metrics`` nobody has measured it yet."""
        facts = {
            "task": "detect",
            "architecture": self._settings.architecture,
            "preprocessing": PREPROCESSING,
            "classes": list(CLASSES),
            "confidence": confidence,
            "confidence_chosen_on": chosen_on,
            "iou": IOU,
            "second_look": asdict(self._look),
            "started_from": self._started_from,
            "seconds": round(time.monotonic() - self._began),
            "metrics": metrics or {},
            "losses": self._log.epochs(),
            "licence_note": _LICENCE_NOTE,
        }
        self._card.write(self.path, facts, complete=metrics is not None)

    @property
    def _look(self) -> SecondLook:
        return SecondLook(self._settings.window, SECOND_LOOK_MARGIN, SECOND_LOOK_CONFIDENCE)


def _finish(model: _Model, network: Any, hooks: Hooks) -> dict[str, Any]:
    """Choose the threshold, save, and evaluate the saved file: half precision is part of the model."""
    used, device = model.used, model.job.device
    watched: dict[str, Any] = {"progress": hooks.progress, "cancel": hooks.cancel}
    model.save(network)
    findings = find_on(own_detector(model.path, device), used.training, **watched)
    confidence = choose_confidence(findings)
    chosen_on = f"{len({s.patient for s in used.training})} training patients that also trained"
    model.save(network, confidence, chosen_on)
    metrics = evaluate(model.path, used.data.slices, used.split, device=device, **watched)
    model.describe(confidence, chosen_on, metrics)
    return metrics


def _used(network: Any) -> Any:
    """A copy of a training network's detector as it is used: without painter."""
    bare = copy.deepcopy(network["detector"])
    delattr(bare, PAINTER)
    return bare


def _check_free(checkpoint: Path, *, resume: bool) -> None:
    if resume and not checkpoint.is_file():
        raise ModelError(f"There is no stopped training in {checkpoint.parent}. Start one without resuming.")
    if checkpoint.is_file() and not resume:
        raise ModelError(
            f"A training was stopped in {checkpoint.parent}. Resume it, choose another folder, or start anew "
            f"by deleting {checkpoint.name} there."
        )


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """Make torch compute the same on a GPU each time, while the block runs."""
    if device.type != "cuda":
        yield
        return
    import_ultralytics()
    from ultralytics.utils.torch_utils import init_seeds, unset_deterministic

    init_seeds(deterministic=True)
    try:
        yield
    finally:
        unset_deterministic()


def _network(settings: DetectorSettings, start: Path | None) -> tuple[nn.ModuleDict, dict[str, Any] | None]:
    """The ``detector``, a network with painter, and where its weights are from."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network: Any = build_network(settings.architecture, channels=1, classes=len(CLASSES))
        if start is not None:
            loaded, record = load_checkpoint(start)
            if record.architecture != settings.architecture or record.classes != CLASSES:
                raise ModelError(
                    f"{start} is a {record.architecture} for {', '.join(record.classes)}; it cannot start a "
                    f"{settings.architecture} for {', '.join(CLASSES)}."
                )
            network.load_state_dict(loaded.state_dict())
        add_painter(network)
    parts = torch.nn.ModuleDict({"detector": network})
    if start is None:
        return parts, None
    return parts, {"name": start.stem, "sha256": sha256_of(start)}


def _samples(
    job: TrainJob, settings: DetectorSettings, slices: Sequence[LabeledSlice], start: Path | None, hooks: Hooks
) -> list[DetectorSample]:
    labeled = all(s.wall_known for s in slices)
    detector = None if labeled else own_detector(start or DEFAULT_DETECTOR, job.device)
    samples = detector_samples(slices, settings.size, detector, progress=hooks.progress, cancel=hooks.cancel)
    if not any(s.has_scar for s in samples):
        raise ModelError("None of the training slices has scar to learn from.")
    return samples


def _recipe(settings: DetectorSettings, samples: Sequence[DetectorSample], started_from: Mapping[str, Any] | None) -> str:
    """Checksum of what must be the same for a stopped training to go on."""
    start = None if started_from is None else started_from["sha256"]
    digest = hashlib.sha256(json.dumps({**to_json(settings), "start": start}, sort_keys=True).encode())
    for sample in samples:
        digest.update(sample.raw.tobytes())
        digest.update(sample.targets.tobytes())
    return digest.hexdigest()
