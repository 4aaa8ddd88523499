"""Training a detector from labeled slices: what is trained on, the files that it leaves, its threshold and its figures."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib import __version__
from MyoScarSegLib.detection.architecture import build_network
from MyoScarSegLib.detection.detector_checkpoint import (
    PREPROCESSING,
    DetectorRecord,
    SecondLook,
    load_checkpoint,
    save_checkpoint,
)
from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.models import DEFAULT_DETECTOR
from MyoScarSegLib.training.card import write_card
from MyoScarSegLib.training.datasets.labeled import LabeledSlice, labeled_phantoms
from MyoScarSegLib.training.job_data import JobData, provenance
from MyoScarSegLib.training.step_log import StepLog
from MyoScarSegLib.training.train_job import NO_HOOKS, Hooks, TrainJob
from MyoScarSegLib.training.yolo.detector_samples import DetectorSample, detector_samples
from MyoScarSegLib.training.yolo.detector_scores import choose_confidence, evaluate, find_on, own_detector
from MyoScarSegLib.training.yolo.detector_settings import CLASSES, DetectorSettings
from MyoScarSegLib.training.yolo.detector_trainer import PAINTER, TrainingPlan, TrainingState, add_painter, train_network
from MyoScarSegLib.utils.device import is_out_of_memory, resolve_device
from MyoScarSegLib.utils.files import sha256_of
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

if TYPE_CHECKING:
    import torch

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
_PHASE = "boxes"
_log = logging.getLogger(__name__)


def train_detector(
    job: TrainJob,
    used: JobData,
    settings: DetectorSettings,
    start: Path | None,
    *,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
    hooks: Hooks = NO_HOOKS,
) -> dict[str, Any]:
    """Train a detector, choose its threshold, save and evaluate it: what is known of the model, JSON-ready.

    It starts from the checkpoint ``start``, None for fresh weights. Where the wall is not labeled, the start model says where the
    ventricle is, or else the program's own detector. After every epoch the model file is the best so far (the averaged weights,
    with a preliminary threshold) and the state is written, from which a job that resumes goes on to the same result as if it had
    not been stopped.
    """
    device = resolve_device(job.device)
    state_path = job.out / f"{_PHASE}.checkpoint"
    state = _state(state_path, resume=job.resume)
    learning = used.training
    if not learning:
        raise ModelError("None of the data's patients is a training patient of the split. Give the split of this data.")
    used.split.write(job.out / "split.json")
    hooks.stage("embedding")
    network, started_from = _network(settings, start)
    samples = _samples(job, settings, learning, start, progress, cancel)
    phantoms = detector_samples(labeled_phantoms(settings.seed + 1, settings.phantoms), settings.size)
    identity = _identity(settings, samples, started_from)
    if state is not None and (different := _differences(state.identity, identity)):
        raise ModelError(
            f"The training in {job.out} was another one ({'; '.join(different)}). Resume it with the same settings "
            "and data, or choose another folder."
        )
    log = StepLog(job.out / "log.jsonl", keep=state is not None, listener=hooks.log)
    if state is not None:
        log.continue_at(_PHASE, -(-len(samples) // state.batch) * state.epochs)
    files = _Files(job, used, settings, started_from, hooks, time.monotonic(), [] if state is None else state.history)

    def each_epoch(now: TrainingState, averaged: Any) -> None:
        files.history = now.history
        files.save(_without_painter(averaged), UNCALIBRATED, "")
        now.write(state_path)
        log.epoch(_PHASE, now.epochs, {key: value for key, value in now.history[-1].items() if key != "epoch"})

    def each_step(step: int, steps: int, epoch: int, losses: dict[str, float], rate: float, left: float) -> None:
        log.step(_PHASE, step, steps, epoch, losses, rate=rate, seconds_left=left, epochs=settings.epochs)

    plan = TrainingPlan(network, samples, phantoms, settings, identity, state, each_epoch, each_step, progress, cancel)
    try:
        if state is None or state.epochs < settings.epochs:
            hooks.stage("steps")
            averaged = _train(plan, device, state_path, hooks)
        else:
            network.load_state_dict(state.average)
            averaged = network.eval()
        hooks.stage("validation")
        known = _finish(files, _without_painter(averaged), learning, progress, cancel)
        # Only now: until all files are written there is something to go on from.
        if not hooks.of_run:
            state_path.unlink(missing_ok=True)
        return known
    except Cancelled as stop:
        raise Cancelled(_what_is_kept(files.model, len(files.history))) from stop


@dataclass
class _Files:
    """Writes model and card, which belong together: of a training that ``began`` then and has the losses ``history`` so far."""

    job: TrainJob
    used: JobData
    settings: DetectorSettings
    started_from: Mapping[str, Any] | None
    hooks: Hooks
    began: float
    history: Sequence[Mapping[str, float]]

    @property
    def model(self) -> Path:
        """The detector, as ``--detector`` takes it; its card lies beside it."""
        return self.job.out / f"{self.job.name}.safetensors"

    def save(self, network: Any, confidence: float, chosen_on: str) -> None:
        """Write the model so far, and its card where someone wants one with each model."""
        record = self.record(confidence)
        with self.hooks.files:
            save_checkpoint(self.model, network, record)
            if self.hooks.of_run:
                card = self.card(record, chosen_on)
                write_card(self.model, {**card, "limits": [_STOPPED, *card["limits"]]})

    def record(self, confidence: float) -> DetectorRecord:
        """What the checkpoint says of itself."""
        settings = self.settings
        look = SecondLook(settings.window, SECOND_LOOK_MARGIN, SECOND_LOOK_CONFIDENCE)
        made = {"patients": len(self.used.split.training), "settings": to_json(settings)}
        return DetectorRecord(settings.architecture, CLASSES, settings.size, confidence, IOU, look, training=made)

    def card(self, record: DetectorRecord, chosen_on: str, metrics: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the card says of the detector whose file has just been written.

        The threshold may not be chosen yet (``chosen_on`` is empty then), nor the detector measured (no ``metrics``).
        """
        return {
            "name": self.job.name,
            "task": "detect",
            "program": __version__,
            "architecture": record.architecture,
            "preprocessing": PREPROCESSING,
            "classes": list(CLASSES),
            "confidence": record.confidence,
            "confidence_chosen_on": chosen_on,
            "iou": IOU,
            "second_look": None if record.second_look is None else asdict(record.second_look),
            "started_from": None if self.started_from is None else dict(self.started_from),
            "seconds": round(time.monotonic() - self.began),
            "cores": os.cpu_count(),
            "seed": self.settings.seed,
            "settings": to_json(self.settings),
            "split": self.used.split.to_json(),
            "metrics": dict(metrics or {}),
            "losses": [dict(row) for row in self.history],
            **provenance(self.job, self.used, _LIMITS),
            "licence_note": _LICENCE_NOTE,
        }


def _finish(
    files: _Files, network: Any, learning: Sequence[LabeledSlice], progress: Progress, cancel: CancelToken | None
) -> dict[str, Any]:
    """Choose the threshold, save, and evaluate the saved file: half precision is part of the model."""
    model, device = files.model, files.job.device
    files.save(network, UNCALIBRATED, "")
    findings = find_on(own_detector(model, device), learning, progress=progress, cancel=cancel)
    confidence = choose_confidence(findings)
    chosen_on = f"{len({s.patient for s in learning})} training patients that also trained"
    files.save(network, confidence, chosen_on)
    slices, split = files.used.data.slices, files.used.split
    metrics = evaluate(model, slices, split, device=device, progress=progress, cancel=cancel)
    card = files.card(files.record(confidence), chosen_on, metrics)
    with files.hooks.files:
        return write_card(model, card)


def _train(plan: TrainingPlan, device: torch.device, state_path: Path, hooks: Hooks) -> Any:
    """Train; when the memory does not suffice, go on from the last whole epoch with half the batch."""
    batch = plan.settings.batch if plan.state is None else plan.state.batch
    fresh = copy.deepcopy(plan.network.state_dict())
    while True:
        try:
            return train_network(plan, device=device, batch=batch)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or batch == 1:
                raise
        batch = max(1, batch // 2)
        said = f"The memory does not suffice; going on with {batch} slices per step."
        _log.warning("%s", said)
        hooks.note(said)
        plan.network.load_state_dict(fresh)
        plan = replace(plan, state=TrainingState.read(state_path) if state_path.is_file() else None)


def _without_painter(network: Any) -> Any:
    """A copy of a training network as it is used."""
    bare = copy.deepcopy(network)
    delattr(bare, PAINTER)
    return bare


def _state(path: Path, *, resume: bool) -> TrainingState | None:
    if resume:
        if not path.is_file():
            raise ModelError(f"There is no stopped training in {path.parent}. Start one without resuming.")
        return TrainingState.read(path)
    if path.is_file():
        raise ModelError(
            f"A training was stopped in {path.parent}. Resume it, choose another folder, or start anew "
            f"by deleting {path.name} there."
        )
    return None


def _network(settings: DetectorSettings, start: Path | None) -> tuple[Any, dict[str, Any] | None]:
    """A network with painter, and where its weights are from."""
    import torch

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
    if start is None:
        return network, None
    return network, {"name": start.stem, "sha256": sha256_of(start)}


def _samples(
    job: TrainJob,
    settings: DetectorSettings,
    slices: Sequence[LabeledSlice],
    start: Path | None,
    progress: Progress,
    cancel: CancelToken | None,
) -> list[DetectorSample]:
    labeled = all(s.wall_known for s in slices)
    detector = None if labeled else own_detector(start or DEFAULT_DETECTOR, job.device)
    samples = detector_samples(slices, settings.size, detector, progress=progress, cancel=cancel)
    if not any(s.has_scar for s in samples):
        raise ModelError("None of the training slices has scar to learn from.")
    return samples


def _identity(
    settings: DetectorSettings, samples: Sequence[DetectorSample], started_from: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What must be the same for a stopped training to go on."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(sample.raw.tobytes())
        digest.update(sample.targets.tobytes())
    start = None if started_from is None else started_from["sha256"]
    return {**to_json(settings), "samples": digest.hexdigest(), "start": start}


def _differences(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Which parts of two identities differ, in words."""
    return [
        f"{name}: {saved.get(name)!r} then, {wanted.get(name)!r} now"
        for name in sorted(saved.keys() | wanted.keys())
        if json.dumps(saved.get(name)) != json.dumps(wanted.get(name))
    ]


def _what_is_kept(model: Path, epochs: int) -> str:
    if epochs == 0:
        return "Cancelled before the first epoch was done; no model was kept."
    return (
        f"Cancelled. {model} is the detector after {epochs} epoch{'s' if epochs > 1 else ''}, its threshold not yet "
        f"chosen; the training can be resumed in {model.parent}."
    )
