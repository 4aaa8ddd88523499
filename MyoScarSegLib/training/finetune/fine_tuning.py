"""Fine-tuning a segmenter on labeled slices: the phases put together."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.finetune.cached_windows import CachedWindows
from MyoScarSegLib.training.finetune.loop import Phase, Schedule, Trained, checkpoint_path, train_phase
from MyoScarSegLib.training.finetune.network import StartModel, as_checkpoint, save_model, start_model
from MyoScarSegLib.training.finetune.objective import StepLoss, dense_loss, prompts_loss
from MyoScarSegLib.training.finetune.phase_state import read_state
from MyoScarSegLib.training.finetune.sam_settings import SamSettings
from MyoScarSegLib.training.finetune.training_processes import Processes, open_accelerator
from MyoScarSegLib.training.finetune.training_slices import (
    TISSUE,
    Item,
    TrainingSlice,
    epoch_order,
    phantom_slices_for_training,
    training_slices,
    windowed,
)
from MyoScarSegLib.training.finetune.validation import dense_figures
from MyoScarSegLib.training.step_log import StepLog
from MyoScarSegLib.training.train_job import NO_HOOKS, Hooks
from MyoScarSegLib.utils.files import TRAINING_EMBEDDINGS, cache_folder
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

if TYPE_CHECKING:
    from torch import nn

    from MyoScarSegLib.segmentation import Segmenter

HeartOf = Callable[[Sequence[LabeledSlice]], "tuple[float, float] | None"]
"""Finds the ``(x, y)`` of the heart in pixel edges in the images of a stack, or nothing."""
DENSE, PROMPTS = "dense", "prompts"
CALIBRATION = "calibration.json"
"""What threshold was chosen for which model: a training that is interrupted afterwards chooses no second one."""
_VALIDATION_EVERY_DENSE = 5
_PHANTOMS_PER_SLICE = 0.4
_NEW_BRANCH_EPOCHS = 60
_WEIGHT_DECAY = 0.02
"""Of AdamW, for the weights alone (see ``learning.py``). The shipped models were trained with it."""
_LARGEST_GRADIENT_NORM = 1.0
"""A step of a few windows may hold one label that is far off; it must not undo the others."""
_DENSE_SETTINGS = (
    "side", "window_mm", "detail_width", "refiner_width", "dense_epochs", "dense_preset", "dense_batch", "dense_rate",
    "scar_free_share", "phantoms", "phantom_share", "warmup", "averaging", "seed",
)  # fmt: skip


@dataclass
class Patients:
    """The labeled slices of a training.

    Attributes:
        training, validation: slices of whole patients, no patient in both.
        heart_of: finds the heart in a patient's slices, for those whose wall is not labeled.
    """

    training: Sequence[LabeledSlice]
    validation: Sequence[LabeledSlice] = ()
    heart_of: HeartOf | None = None


@dataclass
class Outcome:
    """What a training gave.

    Attributes:
        model: path of the best model.
        start: what it started from.
        epochs: figures of each epoch of the prompts phase, and of the dense one before it.
        best_epoch: of the prompts phase, whose network the model is; 0 if nothing was looked at and it is the last.
        seconds: that this call took.
        main_process: whether this process writes the files.
    """

    model: Path
    start: StartModel
    epochs: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    main_process: bool = True


def fine_tune(
    start: str | Path,
    patients: Patients,
    settings: SamSettings,
    out: Path,
    *,
    end_to_end: Callable[[Segmenter], dict[str, float]] | None = None,
    resume: bool = False,
    device: str = "auto",
    licence: str = "",
    name: str = "segmenter",
    stopped: Callable[[Outcome], None] | None = None,
    looked: Callable[[int], None] | None = None,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
    hooks: Hooks = NO_HOOKS,
) -> Outcome:
    """Fine-tune a segmenter and write ``NAME.safetensors``, ``log.jsonl`` and the checkpoints into a folder.

    Args:
        start: name or path of the model to start from.
        patients: what to learn from, and what to look at on the way.
        settings: how.
        out: the folder.
        end_to_end: figures of a segmenter on the validation patients, ``score`` to be high; None looks at nothing.
        resume: go on with a training that was stopped in this folder; otherwise its checkpoints and its log go.
        device: ``auto``, ``cpu``, ``cuda``...; under ``accelerate launch``, accelerate's choice.
        licence: written into the file.
        name: of the model.
        stopped: called in the main process when the training is cancelled, with what there is by then; not where there is
            no model of this training yet. With ``hooks.cards`` also each time that a model is kept.
        looked: called in the main process with the number of the epoch after each ``end_to_end``.
        progress: called after every step, with its message saying which phase it is.
        cancel: asked at every step.
        hooks: for whoever watches.

    Raises:
        ModelError: the start model cannot be trained, or the training broke down.
        OutputError: the folder cannot be written.
        Cancelled: the token was set; ``NAME.safetensors`` is the best so far, and ``resume`` goes on.
    """
    started = time.monotonic()
    processes = Processes(open_accelerator(device, "auto"))
    hooks.stage("embedding")
    prepared = processes.together(lambda: _prepare(start, patients, settings, cancel), cancel)
    network, begun = prepared.network.to(processes.accelerator.device), prepared.start
    if settings.dense_epochs < 0:
        settings = replace(settings, dense_epochs=_NEW_BRANCH_EPOCHS if begun.new_detail else 0)
    recipes = {
        DENSE: _recipe(settings, begun, prepared.samples, DENSE),
        PROMPTS: _recipe(settings, begun, prepared.samples, PROMPTS, prepared.validation if end_to_end else ()),
    }
    model_path = out / f"{name}.safetensors"
    best_epoch = processes.in_main(lambda: _clear_the_way(out, recipes, model_path, resume))
    log = None
    if processes.main:
        board = out / "tensorboard" if settings.tensorboard else None
        log = StepLog(out / "log.jsonl", keep=resume, tensorboard=board, listener=hooks.log)
    else:
        progress = no_progress
    schedule = Schedule(_WEIGHT_DECAY, settings.warmup, _LARGEST_GRADIENT_NORM, settings.averaging, settings.seed)
    course = _Course(prepared, settings, processes, hooks)
    outcome = Outcome(model_path, begun, best_epoch=best_epoch, main_process=processes.main)
    going_on = resume and any(checkpoint_path(out, phase).is_file() for phase in recipes)
    of_this_training = model_path.is_file() and going_on

    def keep(averaged: nn.ModuleDict) -> None:
        nonlocal of_this_training
        with hooks.files:
            save_model(model_path, averaged, begun, licence)
            of_this_training = True
            outcome.best_epoch = course.looked
            if hooks.cards and stopped is not None:
                tell()
                stopped(outcome)

    def tell() -> None:
        if log is not None:
            outcome.epochs = log.epochs()
        outcome.seconds = time.monotonic() - started

    def finish() -> None:
        tell()
        if log is not None:
            log.close()

    def train(phase: Phase) -> Trained:
        return train_phase(
            network, phase, schedule, processes, out,
            resume=resume, recipe=recipes[phase.name], log=log, keep=keep, progress=progress, cancel=cancel,
            hooks=hooks,
        )  # fmt: skip

    try:
        if settings.dense_epochs and "detail" in network:
            network.load_state_dict(train(course.dense(cancel)).network.state_dict())
        if settings.epochs:
            trained = train(course.prompts(end_to_end, looked, log, progress, cancel))
            network, outcome.best_epoch = trained.network, trained.best_epoch
    except Cancelled:
        finish()
        if stopped is not None and processes.main and of_this_training:
            stopped(outcome)
        raise
    if outcome.best_epoch == 0:
        processes.in_main(lambda: keep(network))
    finish()
    return outcome


@dataclass
class _Prepared:
    """What a training works with."""

    network: nn.ModuleDict
    start: StartModel
    samples: list[TrainingSlice]
    validation: list[TrainingSlice]
    phantoms: list[TrainingSlice]


def _prepare(start: str | Path, patients: Patients, settings: SamSettings, cancel: CancelToken | None) -> _Prepared:
    network, begun = start_model(start, settings)
    samples = training_slices(patients.training, _cancellable(patients.heart_of, cancel))
    if not any(s.has_scar for s in samples):
        raise ModelError("None of the training slices has scar. Add cases with scar to the training patients.")
    validation = training_slices(patients.validation, _cancellable(patients.heart_of, cancel))
    phantoms = phantom_slices_for_training(settings.seed + 1, _phantoms(settings, len(samples)))
    return _Prepared(network, begun, samples, validation, phantoms)


def _phantoms(settings: SamSettings, real: int) -> int:
    """Enough to draw from; each costs an embedding per copy, which a handful of real slices is not worth."""
    return min(settings.phantoms, math.ceil(_PHANTOMS_PER_SLICE * real)) if settings.phantom_share else 0


class _Course:
    """The phases of one training, with what they draw from.

    Attributes:
        looked: epoch of the prompts phase that was looked at last; 0 before the first.
    """

    def __init__(self, prepared: _Prepared, settings: SamSettings, processes: Processes, hooks: Hooks) -> None:
        from MyoScarSegLib.training.augmentation import Augmenter

        self._network, self._start, self._settings, self._processes = prepared.network, prepared.start, settings, processes
        self._samples, self._phantoms, self._validation = prepared.samples, prepared.phantoms, prepared.validation
        self._hooks, self.looked = hooks, 0
        self._all = [*self._samples, *self._phantoms]
        self._plain = Augmenter("none", self._start.side)

    def _order(self, epoch: int) -> list[int]:
        settings = self._settings
        return epoch_order(
            self._samples,
            len(self._phantoms),
            scar_free_share=settings.scar_free_share,
            phantom_share=settings.phantom_share,
            seed=(settings.seed, epoch, 3),
        )

    def dense(self, cancel: CancelToken | None) -> Phase:
        """The detail branch alone, on windows augmented anew every time."""
        from MyoScarSegLib.training.augmentation import Augmenter

        settings = self._settings
        augmenter = Augmenter(settings.dense_preset, self._start.side)

        def item(epoch: int, place: int, number: int) -> Item:
            return windowed(self._all[number], augmenter, self._start.window_mm, (settings.seed, epoch, place, 1))

        def loss(network: nn.ModuleDict, items: Sequence[Item], seeds: Sequence[Sequence[int]]) -> StepLoss:
            return dense_loss(network, items, settings)

        def validate(epoch: int, averaged: nn.ModuleDict) -> dict[str, float] | None:
            if not self._validation or (epoch % _VALIDATION_EVERY_DENSE and epoch != settings.dense_epochs):
                return None
            return dense_figures(averaged, self._validation, self._plain, self._start.window_mm, cancel)

        return Phase(
            DENSE, settings.dense_epochs, settings.dense_batch, settings.accumulate, {"detail": settings.dense_rate},
            self._order, item, loss, validate, choose=False,
        )  # fmt: skip

    def prompts(
        self,
        end_to_end: Callable[[Segmenter], dict[str, float]] | None,
        looked: Callable[[int], None] | None,
        log: StepLog | None,
        progress: Progress,
        cancel: CancelToken | None,
    ) -> Phase:
        """Everything that the mode lets learn, on prompts."""
        from MyoScarSegLib.training.augmentation import Augmenter

        settings, start, network = self._settings, self._start, self._network
        augmenter = Augmenter(settings.preset, start.side)
        bank: CachedWindows | None = None
        if settings.mode == "decoder":
            bank = CachedWindows(
                self._all,
                network["image_encoder"],
                augmenter,
                copies=settings.copies,
                seed=settings.seed,
                window_mm=start.window_mm,
                preprocessing_id=start.preprocessing,
                folder=cache_folder() / TRAINING_EMBEDDINGS,
            )
            before = time.monotonic()
            self._hooks.stage("embedding")
            bank.fill(self._processes, progress, cancel)
            made = sum(self._processes.exchange(bank.cache.misses))
            if log is not None:
                log.event(event="embeddings", made=made, seconds=round(time.monotonic() - before, 1))

        def item(epoch: int, place: int, number: int) -> Item:
            if bank is not None:
                return bank.item(number, (epoch + number) % settings.copies)
            return windowed(self._all[number], augmenter, start.window_mm, (settings.seed, epoch, place, 2))

        def loss(trained: nn.ModuleDict, items: Sequence[Item], seeds: Sequence[Sequence[int]]) -> StepLoss:
            if settings.mode != "decoder":
                _learning_mode(trained["image_encoder"])
            return prompts_loss(trained, items, settings, seeds, start.preprocessing)

        def validate(epoch: int, averaged: nn.ModuleDict) -> dict[str, float] | None:
            every = settings.evaluate_every
            if end_to_end is None or not every or (epoch % every and epoch != settings.epochs):
                return None
            self._hooks.stage("validation")
            figures = end_to_end(_segmenter(averaged, start, str(self._processes.accelerator.device)))
            self.looked = epoch
            if looked is not None:
                looked(epoch)
            self._hooks.stage("steps")
            return figures

        return Phase(
            PROMPTS, settings.epochs, settings.batch, settings.accumulate, self._rates(),
            self._order, item, loss, validate, patience=settings.patience,
        )  # fmt: skip

    def _rates(self) -> dict[str, float]:
        settings = self._settings
        refines = "refiner" in self._network
        rates: dict[str, float] = {}
        if "detail" in self._network:
            rates["detail"] = settings.detail_rate
        if refines:
            rates["refiner"] = settings.refiner_rate
        if not refines or settings.mode != "decoder":
            rates |= {"prompt_encoder": settings.decoder_rate, "mask_decoder": settings.decoder_rate}
        if settings.mode == "full":
            rates["image_encoder"] = settings.encoder_rate
        return rates


def _segmenter(averaged: nn.ModuleDict, start: StartModel, device: str) -> Segmenter:
    from MyoScarSegLib.segmentation.segmenter import Segmenter

    return Segmenter(as_checkpoint(averaged, start, "in training"), device=device, precision="float32")


def _learning_mode(encoder: nn.Module) -> None:
    """Training mode, but for batch normalisation: batches of a few windows would spoil its statistics."""
    import torch

    encoder.train()
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()


def _cancellable(heart_of: HeartOf | None, cancel: CancelToken | None) -> HeartOf | None:
    if heart_of is None or cancel is None:
        return heart_of

    def find(stack: Sequence[LabeledSlice]) -> tuple[float, float] | None:
        cancel.raise_if_cancelled()
        return heart_of(stack)

    return find


def _clear_the_way(out: Path, recipes: Mapping[str, str], model: Path, resume: bool) -> int:
    """Look at what a training that goes on will find: better now than when its first phase is done. A new one finds nothing.

    Returns:
        The epoch that the best model so far is of; 0 if none was looked at.

    Raises:
        ModelError: a checkpoint is damaged or of another training, or the best model so far is not there any more.
    """
    for torn in (*out.glob(".writing-*.checkpoint"), *out.glob(".writing-*.safetensors")):
        torn.unlink(missing_ok=True)  # what a killed process was writing
    if not resume:
        (out / CALIBRATION).unlink(missing_ok=True)
    best_epoch = 0
    for phase, recipe in recipes.items():
        path = checkpoint_path(out, phase)
        if not resume:
            path.unlink(missing_ok=True)  # else it would be gone on from when the new training is stopped and resumed
        elif path.is_file():
            course = read_state(path, recipe).get("course", {})
            best_epoch = course.get("best_epoch", 0) if phase == PROMPTS else best_epoch
            if best_epoch and not model.is_file():
                raise ModelError(f"{model}, the best of the training so far, is gone. Put it back, or train anew.")
    return best_epoch


def _recipe(
    settings: SamSettings,
    start: StartModel,
    samples: Sequence[TrainingSlice],
    phase: str,
    validation: Sequence[TrainingSlice] = (),
) -> str:
    """Checksum of what decides a phase's course; in how many parts a step is worked through does not."""
    counted = replace(settings, tensorboard=False, accumulate=1).to_json()
    if phase == DENSE:
        counted = {name: counted[name] for name in _DENSE_SETTINGS}
    digest = hashlib.sha256(json.dumps(counted, sort_keys=True).encode())
    digest.update(start.checkpoint.sha256.encode())
    for sample in (*samples, *validation):
        digest.update(f"{sample.patient} {sample.index} {sample.image.shape}".encode())
        if phase == PROMPTS:
            digest.update(f"{sample.centre} {sample.pixel_mm} {sample.wall_known}".encode())
        digest.update(sample.image.tobytes())
        digest.update(sample.targets[TISSUE].tobytes())
    return digest.hexdigest()
