"""Fine-tuning a segmenter on labeled slices: the phases put together."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.segmentation import Segmenter
from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.augmentation.late_enhancement import enhanced
from MyoScarSegLib.training.datasets.labeled import LabeledSlice, labeled_phantoms
from MyoScarSegLib.training.finetune.cached_windows import CachedWindows
from MyoScarSegLib.training.finetune.context_phase import context_figures, context_loss
from MyoScarSegLib.training.finetune.network import (
    StartModel,
    as_checkpoint,
    drawn_back,
    learn_from_context,
    save_model,
    start_model,
)
from MyoScarSegLib.training.finetune.prompts_phase import prompts_loss
from MyoScarSegLib.training.finetune.training_slices import (
    TISSUE,
    HeartOf,
    TrainingSlice,
    context_window,
    epoch_order,
    sam_window,
    training_slices,
)
from MyoScarSegLib.training.loop.gradients import Item, StepLoss
from MyoScarSegLib.training.loop.phase_state import read_state
from MyoScarSegLib.training.loop.phase_training import Phase, PhaseTraining, Session, checkpoint_path, what_is_kept
from MyoScarSegLib.training.loop.step_log import StepLog
from MyoScarSegLib.training.loop.training_processes import Processes, open_accelerator
from MyoScarSegLib.training.model_settings import SegmenterSettings
from MyoScarSegLib.training.train_job import NO_HOOKS, Hooks
from MyoScarSegLib.utils.files import TRAINING_EMBEDDINGS, cache_folder, remove_unfinished
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.progress import no_progress

Look = Callable[[int, "Segmenter"], dict[str, float]]
"""Figures of the segmenter after an epoch on the validation patients; ``score`` is to be high."""
ANATOMY, CONTEXT, ASKED, PROMPTS = "anatomy", "context", "asked", "prompts"
CONTEXT_SLICES_PER_STEP = 8
"""Slices per step of the context phase, with which the shipped models were trained."""
_VALIDATION_EVERY_CONTEXT = 5
CONTEXT_SCAR_FREE = 0.7
"""Slices without scar in an epoch of the context phase, at most, as a share of those with scar: it is where the network learns
what is no scar."""
ASKED_SCAR_FREE = 0.12
"""Likewise of the asked phase, where each of them has a box round healthy wall."""
_ASKED_EPOCHS, _ASKED_RATE = 3 / 4, 0.75
"""Epochs and learning rate of the asked phase, as shares of the context phase's."""
_PHANTOMS_PER_SLICE = 0.4
"""Enough to draw from; each costs an embedding per copy, which a handful of real slices is not worth."""
_ENHANCED_COPIES = 2
"""Of each stack of the anatomy phase, beside itself, with late enhancement and scar drawn over it."""
_CONTEXT_SETTINGS = (
    "anatomy_epochs", "context_epochs", "context_rate", "augmentation", "phantoms", "phantom_share", "seed", "loss",
)  # fmt: skip


@dataclass
class Patients:
    """The labeled slices of a training.

    Attributes:
        training, validation: slices of whole patients, no patient in both.
        anatomy: slices of cine whose ventricles are labeled, for the anatomy phase; none for no such phase.
        heart_of: finds the heart in a patient's slices, for those whose wall is not labeled.
    """

    training: Sequence[LabeledSlice]
    validation: Sequence[LabeledSlice] = ()
    anatomy: Sequence[LabeledSlice] = ()
    heart_of: HeartOf | None = None


@dataclass
class Outcome:
    """What a training gave.

    Attributes:
        model: path of the best model, which started from ``start``.
        epochs: figures of each epoch of all phases.
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
    settings: SegmenterSettings,
    out: Path,
    *,
    look: Look | None = None,
    resume: bool = False,
    device: str = "auto",
    license: str = "",
    name: str = "segmenter",
    kept: Callable[[Outcome], None] | None = None,
    hooks: Hooks = NO_HOOKS,
) -> Outcome:
    """Fine-tune a segmenter, by name or path, and write ``NAME.safetensors``, ``log.jsonl`` and the checkpoints into the folder
    ``out``.

    Args:
        look: called in the main process every few epochs; None looks at nothing.
        resume: go on with a training that was stopped in this folder; otherwise its checkpoints and its log go.
        device: ``auto``, ``cpu``, ``cuda``...; under ``accelerate launch``, accelerate's choice.
        license: written into the file.
        kept: called in the main process each time that a model was kept, with what there is by then.
        hooks: see :class:`~.train_job.Hooks`; ``progress`` says which phase it is.

    Raises:
        ModelError: the start model cannot be trained, or the training broke down.
        OutputError: the folder cannot be written.
        Cancelled: the token was set; ``NAME.safetensors`` is the best so far, and ``resume`` goes on.
    """
    started = time.monotonic()
    processes = Processes(open_accelerator(device, "auto"))
    session = Session(processes, out, None, hooks)
    hooks.stage("embedding")
    training = processes.together(lambda: Training(start, patients, settings, session), hooks.cancel)
    network, settings = training.network.to(processes.accelerator.device), training.settings
    looks = look is not None
    recipes = {phase: training.recipe(phase, looks=looks and phase == PROMPTS) for phase in (ANATOMY, CONTEXT, ASKED, PROMPTS)}
    outcome = Outcome(out / f"{name}.safetensors", training.start, main_process=processes.main)
    outcome.best_epoch = processes.in_main(lambda: _clear_the_way(out, recipes, outcome.model, resume))
    if processes.main:
        session.log = StepLog(out / "log.jsonl", keep=resume, listener=hooks.log)
    else:
        session.hooks = replace(hooks, progress=no_progress)
    going_on = resume and any(checkpoint_path(out, phase).is_file() for phase in recipes)
    of_this_training = outcome.model.is_file() and going_on

    def keep(averaged: nn.ModuleDict) -> None:
        nonlocal of_this_training
        with hooks.files:
            save_model(outcome.model, training.made(averaged), training.start, license)
            of_this_training = True
            outcome.best_epoch = training.looked
            tell()
            if kept is not None:
                kept(outcome)

    def tell() -> None:
        if session.log is not None:
            outcome.epochs = session.log.epochs()
        outcome.seconds = time.monotonic() - started

    def train(phase: Phase) -> PhaseTraining:
        done = PhaseTraining(network, phase, session, recipes[phase.name], keep)
        done.run(resume=resume)
        return done

    try:
        if patients.anatomy and settings.anatomy_epochs and "context" in network:
            network.load_state_dict(train(training.anatomy()).averaged.state_dict())
        if settings.context_epochs and "context" in network and not patients.training and training.twins:
            network.pop("asked")  # it would begin the next training as the twin of a network that has seen no patient's scar
        elif settings.context_epochs and "context" in network:
            network.load_state_dict(train(training.context()).averaged.state_dict())
            if training.twins:
                learn_from_context(network)
            network.load_state_dict(train(training.asked()).averaged.state_dict())
        if settings.epochs:
            trained = train(training.prompts(look))
            network, outcome.best_epoch = trained.averaged, trained.best_epoch
        if outcome.best_epoch == 0:
            processes.in_main(lambda: keep(network))
    except Cancelled as stop:
        begun = any(checkpoint_path(out, phase).is_file() for phase in recipes)
        raise Cancelled(what_is_kept(outcome.model if of_this_training else None, out if begun else None)) from stop
    tell()
    return outcome


class Training:
    """What a training works with, and its phases.

    Attributes:
        network, start: the network to be trained, and what it starts from.
        twins: whether the start model has one context network for everything, of which this training makes two.
        looked: epoch of the prompts phase that was looked at last; 0 before the first.
    """

    def __init__(self, start: str | Path, patients: Patients, settings: SegmenterSettings, session: Session) -> None:
        """Load the start model and prepare the slices; see :func:`fine_tune`."""
        self.network, self.start = start_model(start, settings)
        known = self.start.checkpoint.state
        self._begun = {k: v.clone() for k, v in self.network.state_dict().items() if k in known} if settings.start_share else {}
        self.twins = not any(key.startswith("asked.") for key in self.start.checkpoint.state)
        self._samples = training_slices(patients.training, patients.heart_of, session.hooks.cancel)
        if settings.epochs and not any(s.has_scar for s in self._samples):
            raise ModelError("None of the training slices has scar. Add cases with scar to the training patients.")
        self._validation = training_slices(patients.validation, patients.heart_of, session.hooks.cancel)
        drawn = enhanced(patients.anatomy, _ENHANCED_COPIES, settings.seed)
        self._anatomy = training_slices([*patients.anatomy, *drawn])
        self._phantoms = training_slices(labeled_phantoms(settings.seed + 1, phantoms_of(settings, len(self._samples))))
        self._all = [*self._samples, *self._phantoms]
        self.settings, self._session, self.looked = settings, session, 0

    def made(self, averaged: nn.ModuleDict) -> nn.ModuleDict:
        """The model's network: what was learned, and the start model's share of it."""
        share = self.settings.start_share
        return drawn_back(averaged, self._begun, share) if share else averaged

    def _order(self, epoch: int, scar_free_share: float) -> list[int]:
        settings = self.settings
        return epoch_order(
            self._samples,
            len(self._phantoms),
            scar_free_share=scar_free_share,
            phantom_share=settings.phantom_share,
            seed=(settings.seed, epoch, 3),
        )

    def anatomy(self) -> Phase:
        """The context network, on cine, and on late enhancement drawn over it."""
        seed, samples = self.settings.seed, self._anatomy

        def order(epoch: int) -> list[int]:
            return [int(n) for n in np.random.default_rng((seed, epoch, 4)).permutation(len(samples))]

        return self._context_phase(ANATOMY, self.settings.anatomy_epochs, order, samples, 4)

    def context(self) -> Phase:
        """The context network, on windows augmented anew every time."""
        epochs, start = self.settings.context_epochs, self.start
        plain = Augmenter("none", start.side)

        def validate(epoch: int, averaged: nn.ModuleDict) -> dict[str, float] | None:
            if not self._validation or (epoch % _VALIDATION_EVERY_CONTEXT and epoch != epochs):
                return None
            return context_figures(averaged, self._validation, plain, start.window_mm, self._session.hooks.cancel)

        order = partial(self._order, scar_free_share=CONTEXT_SCAR_FREE)
        return self._context_phase(CONTEXT, epochs, order, self._all, 1, validate)

    def asked(self) -> Phase:
        """The context network's twin, which answers a reader, on prompts and corrections alone."""
        settings = self.settings

        def order(epoch: int) -> list[int]:
            seed = (settings.seed, epoch, 3)
            return epoch_order(self._samples, 0, scar_free_share=ASKED_SCAR_FREE, phantom_share=0.0, seed=seed)

        return self._context_phase(ASKED, asked_epochs(settings), order, self._samples, 1, part="asked", rate=_ASKED_RATE)

    def _context_phase(
        self, name: str, epochs: int, order: Callable[[int], list[int]], samples: Sequence[TrainingSlice], stream: int,
        validate: Callable[[int, nn.ModuleDict], dict[str, float] | None] | None = None, part: str = "context", rate: float = 1.0,
    ) -> Phase:  # fmt: skip
        """A phase of the context network or of its twin, at this share of its learning rate; ``stream`` tells the seeds of its
        windows from those of other phases.
        """
        settings, start = self.settings, self.start
        augmenter = Augmenter(settings.augmentation, start.side)

        def item(epoch: int, place: int, number: int) -> Item:
            return context_window(samples[number], augmenter, start.window_mm, (settings.seed, epoch, place, stream))

        def loss(network: nn.ModuleDict, items: Sequence[Item], seeds: Sequence[Sequence[int]]) -> StepLoss:
            return context_loss(network, items, settings, seeds, part)

        rates = {part: rate * settings.context_rate}
        return Phase(name, epochs, CONTEXT_SLICES_PER_STEP, settings.seed, rates, order, item, loss, validate, choose=False)

    def prompts(self, look: Look | None = None) -> Phase:
        """Everything that the mode lets learn, on prompts. The embeddings of a frozen encoder are made here."""
        settings, start, hooks = self.settings, self.start, self._session.hooks
        augmenter = Augmenter(settings.augmentation, start.side)
        cached = self._cached_windows(augmenter) if settings.mode == "decoder" else None

        def item(epoch: int, place: int, number: int) -> Item:
            if cached is not None:
                return cached.item(number, (epoch + number) % settings.copies)
            return sam_window(self._all[number], augmenter, start.window_mm, (settings.seed, epoch, place, 2))

        def loss(network: nn.ModuleDict, items: Sequence[Item], seeds: Sequence[Sequence[int]]) -> StepLoss:
            if cached is None:
                _learning_mode(network["image_encoder"])
            return prompts_loss(network, items, settings, seeds, start.preprocessing)

        def validate(epoch: int, averaged: nn.ModuleDict) -> dict[str, float] | None:
            every = settings.evaluate_every
            if look is None or not every or (epoch % every and epoch != settings.epochs):
                return None
            hooks.stage("validation")
            figures = look(epoch, segmenter_of(self.made(averaged), start, str(self._session.processes.accelerator.device)))
            self.looked = epoch
            hooks.stage("steps")
            return figures

        return Phase(
            PROMPTS, settings.epochs, settings.batch, settings.seed, self._rates(),
            partial(self._order, scar_free_share=settings.scar_free_share), item, loss, validate, patience=settings.patience,
        )  # fmt: skip

    def _cached_windows(self, augmenter: Augmenter) -> CachedWindows:
        session = self._session
        windows = CachedWindows(
            self._all,
            self.network["image_encoder"],
            augmenter,
            copies=self.settings.copies,
            seed=self.settings.seed,
            window_mm=self.start.window_mm,
            preprocessing_id=self.start.preprocessing,
            folder=cache_folder() / TRAINING_EMBEDDINGS,
        )
        began = time.monotonic()
        session.hooks.stage("embedding")
        windows.fill(session.processes, session.hooks.progress, session.hooks.cancel)
        made = sum(session.processes.exchange(windows.cache.misses))
        if session.log is not None:
            session.log.event(event="embeddings", made=made, seconds=round(time.monotonic() - began, 1))
        return windows

    def _rates(self) -> dict[str, float]:
        settings = self.settings
        rates = {"prompt_encoder": settings.decoder_rate, "mask_decoder": settings.decoder_rate}
        if settings.mode == "full":
            rates["image_encoder"] = settings.encoder_rate
        return rates

    def recipe(self, phase: str, *, looks: bool = False) -> str:
        """Checksum of what decides a phase's course; ``looks`` if the validation slices do, too."""
        counted = to_json(self.settings)
        if phase != PROMPTS:
            counted = {name: counted[name] for name in _CONTEXT_SETTINGS}
        digest = hashlib.sha256(json.dumps(counted, sort_keys=True).encode())
        digest.update(self.start.checkpoint.sha256.encode())
        for sample in (*self._anatomy, *self._samples, *(self._validation if looks else ())):
            digest.update(f"{sample.patient} {sample.index} {sample.image.shape}".encode())
            digest.update(f"{sample.center} {sample.pixel_mm} {sample.wall_known}".encode())
            digest.update(sample.image.tobytes())
            digest.update(sample.targets[TISSUE].tobytes())
        return digest.hexdigest()


def asked_epochs(settings: SegmenterSettings) -> int:
    """Epochs of the asked phase."""
    return max(1, round(_ASKED_EPOCHS * settings.context_epochs)) if settings.context_epochs else 0


def phantoms_of(settings: SegmenterSettings, slices: int) -> int:
    """How many phantom slices are drawn from beside so many real ones."""
    return min(settings.phantoms, math.ceil(_PHANTOMS_PER_SLICE * slices)) if settings.phantom_share else 0


def segmenter_of(network: nn.ModuleDict, start: StartModel, device: str) -> Segmenter:
    """A segmenter of a network in training."""
    return Segmenter(as_checkpoint(network, start, "in training"), device=device, precision="float32")


def _learning_mode(encoder: nn.Module) -> None:
    """Training mode, but for batch normalization: batches of a few windows would spoil its statistics."""
    encoder.train()
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()


def _clear_the_way(out: Path, recipes: Mapping[str, str], model: Path, resume: bool) -> int:
    """Look at what a training that goes on will find: better now than when its first phase is done. A new one finds nothing.

    Returns the epoch that the best model so far is of; 0 if none was looked at.
    """
    if out.is_dir():
        remove_unfinished(out)
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
