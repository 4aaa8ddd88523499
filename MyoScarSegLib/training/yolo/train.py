"""Training a detector from labeled slices: what is trained on, the files that it leaves, its threshold and its figures."""

from __future__ import annotations

import copy
import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.detection.architecture import build_network
from MyoScarSegLib.detection.checkpoint import load_checkpoint, save_checkpoint
from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.training.card import write_card
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.step_log import StepLog
from MyoScarSegLib.training.train_job import NO_HOOKS, Hooks
from MyoScarSegLib.training.yolo.finishing import (
    DetectorFiles,
    DetectorTraining,
    described,
    divide,
    finish,
    own_detector,
    record_of,
)
from MyoScarSegLib.training.yolo.samples import DetectorSample, phantom_slices_of, samples_of
from MyoScarSegLib.training.yolo.settings import CLASSES
from MyoScarSegLib.training.yolo.state import TrainingState, differences, read_state, write_state
from MyoScarSegLib.training.yolo.tissue import PAINTER, add_painter
from MyoScarSegLib.training.yolo.trainer import TrainingPlan, train_network
from MyoScarSegLib.training.yolo.ventricles import prepare
from MyoScarSegLib.utils.device import is_out_of_memory, resolve_device
from MyoScarSegLib.utils.files import sha256_of
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

if TYPE_CHECKING:
    import torch


_PHASE = "boxes"
_log = logging.getLogger(__name__)


def train_detector(
    training: DetectorTraining,
    *,
    resume: bool = False,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
    hooks: Hooks = NO_HOOKS,
) -> dict[str, Any]:
    """Train a detector, choose its threshold, save and evaluate it.

    After every epoch the model file is the best so far (the averaged weights, with a preliminary threshold) and the
    state is written, from which ``resume`` goes on to the same result as if it had not been stopped.

    Args:
        training: what, and how.
        resume: go on with what was stopped in the same folder.
        progress: called after every step of training, and while it evaluates.
        cancel: honoured within one step.
        hooks: for whoever watches.

    Returns:
        What is known of the model: settings, split, losses, figures; JSON-ready.

    Raises:
        StudyError: the split cannot be used with the data.
        ModelError: training broke down, ``start`` does not fit, or there is nothing to resume.
        OutputError: the files cannot be written.
        Cancelled: the token was set; the message says what is kept.
    """
    settings, files, split = training.settings, training.files, training.split
    device = resolve_device(training.device)
    state = _state(training, resume)
    learning, calibrating = divide(split, training.slices, settings)
    split.write(files.split)
    hooks.stage("embedding")
    network, started_from = _network(training)
    samples = _samples(training, learning, progress, cancel)
    phantoms = samples_of(phantom_slices_of(settings.seed + 1, settings.phantoms), settings.size) if settings.phantoms else []
    identity = _identity(training, samples, started_from)
    if state is not None and (different := differences(state.identity, identity)):
        raise ModelError(
            f"The training in {files.folder} was another one ({'; '.join(different)}). Resume it with the same settings "
            "and data, or choose another folder."
        )
    log = StepLog(files.log, keep=state is not None, listener=hooks.log)
    if state is not None:
        log.continue_at(_PHASE, _steps(samples, state.batch) * state.epochs)
    began = time.monotonic()
    record = record_of(settings, len(split.training))
    kept = 0 if state is None else state.epochs

    def each_epoch(now: TrainingState, averaged: Any) -> None:
        nonlocal kept
        history[:] = now.history
        with hooks.files:
            save_checkpoint(files.model, without_painter(averaged), record)
            if hooks.cards:
                write_card(files.model, described(training, record, record.confidence, **making(), stopped=True))
        write_state(files.state, now)
        log.epoch(_PHASE, now.epochs, {key: value for key, value in now.history[-1].items() if key != "epoch"})
        kept = now.epochs

    history: list[Mapping[str, float]] = [] if state is None else list(state.history)

    def making() -> dict[str, Any]:
        return {"started_from": started_from, "history": history, "seconds": time.monotonic() - began}

    plan = TrainingPlan(
        network, samples, phantoms, settings, identity, state, each_epoch,
        lambda step, steps, epoch, losses, rate, left: log.step(
            _PHASE, step, steps, epoch, losses, rate=rate, seconds_left=left, epochs=settings.epochs
        ),
        progress, cancel,
    )  # fmt: skip
    try:
        if state is None or state.epochs < settings.epochs:
            hooks.stage("steps")
            averaged = _train(plan, device, files.state, hooks)
        else:
            averaged = _averaged_of(state, network)
        hooks.stage("validation")
        known = finish(
            training, without_painter(averaged), record, calibrating, making, progress=progress, cancel=cancel, hooks=hooks
        )
        with hooks.files:
            write_card(files.model, known)
        # Only now: until all files are written there is something to go on from.
        if not hooks.keep_state:
            files.state.unlink(missing_ok=True)
        return known
    except Cancelled as stop:
        raise Cancelled(_what_is_kept(files, kept)) from stop
    finally:
        log.close()


def without_painter(network: Any) -> Any:
    """A copy of a training network as it is used."""
    bare = copy.deepcopy(network)
    delattr(bare, PAINTER)
    return bare


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
        plan = replace(plan, state=read_state(state_path) if state_path.is_file() else None)


def _state(training: DetectorTraining, resume: bool) -> TrainingState | None:
    path = training.files.state
    if resume:
        if not path.is_file():
            raise ModelError(f"There is no stopped training in {training.files.folder}. Start one without resuming.")
        return read_state(path)
    if path.is_file():
        raise ModelError(
            f"A training was stopped in {training.files.folder}. Resume it, choose another folder, or start anew "
            f"by deleting {path.name} there."
        )
    return None


def _network(training: DetectorTraining) -> tuple[Any, dict[str, Any] | None]:
    """A network with painter, and where its weights are from."""
    import torch

    settings = training.settings
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network: Any = build_network(settings.architecture, channels=1, classes=len(CLASSES))
        if training.start is not None:
            loaded, record = load_checkpoint(training.start)
            if record.architecture != settings.architecture or record.classes != CLASSES:
                raise ModelError(
                    f"{training.start} is a {record.architecture} for {', '.join(record.classes)}; it cannot start a "
                    f"{settings.architecture} for {', '.join(CLASSES)}."
                )
            network.load_state_dict(loaded.state_dict())
        add_painter(network)
    if training.start is None:
        return network, None
    return network, {"name": training.start.stem, "sha256": sha256_of(training.start)}


def _samples(
    training: DetectorTraining, slices: Sequence[LabeledSlice], progress: Progress, cancel: CancelToken | None
) -> list[DetectorSample]:
    detector = None
    if not all(s.wall_known for s in slices):
        source = training.ventricles or training.start
        if source is None:
            raise ModelError(
                "Some slices have no labels of the left ventricle, and there is no detector to say where it is. Start from a "
                "detector instead of fresh weights."
            )
        detector = own_detector(source, training.device)
    samples = prepare(slices, training.settings.size, detector, progress=progress, cancel=cancel)
    if not any(s.has_scar for s in samples):
        raise ModelError("None of the training slices has scar to learn from.")
    return samples


def _identity(
    training: DetectorTraining, samples: Sequence[DetectorSample], started_from: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What must be the same for a stopped training to go on."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(sample.raw.tobytes())
        digest.update(sample.targets.tobytes())
    settings = asdict(replace(training.settings, workers=0))
    return {
        **{name: to_json(value) for name, value in settings.items()},
        "samples": digest.hexdigest(),
        "start": None if started_from is None else started_from["sha256"],
    }


def _averaged_of(state: TrainingState, network: Any) -> Any:
    network.load_state_dict(state.part("average"))
    return network.eval()


def _steps(samples: Sequence[DetectorSample], batch: int) -> int:
    return -(-len(samples) // batch)


def _what_is_kept(files: DetectorFiles, epochs: int) -> str:
    if epochs == 0:
        return "Cancelled before the first epoch was done; no model was kept."
    return (
        f"Cancelled. {files.model} is the detector after {epochs} epoch{'s' if epochs > 1 else ''}, its threshold not yet "
        f"chosen; the training can be resumed in {files.folder}."
    )
