"""The training loop, on accelerate: any device, mixed precision, several processes; it can be stopped and goes on the same.

Everything random in a step follows from the seed, the epoch and the number of the window in the epoch, and from nothing that
happened before. So a run that was stopped continues to the very result of one that was not, and several processes, each
with its share of every step's windows, compute what one process computes.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.training.loop.gradients import StepLoss, Stepper, too_little_memory
from MyoScarSegLib.training.loop.phase_state import damaged, read_state, write_state
from MyoScarSegLib.training.loop.step_log import StepLog
from MyoScarSegLib.training.loop.training_processes import Processes
from MyoScarSegLib.training.train_job import NO_HOOKS, Hooks
from MyoScarSegLib.utils.device import is_out_of_memory

_log = logging.getLogger(__name__)
_WEIGHT_DECAY = 0.02
"""Of AdamW, for weights alone: biases and normalization do not decay. The shipped models were trained with it."""
_LARGEST_GRADIENT_NORM = 1.0
"""A step of a few windows may hold one label that is far off; it must not undo the others."""
_WARMUP = 0.04
"""Share of all steps in which the rates rise: the first gradients of new layers are wild."""
_LAST_RATE = 0.02
"""Share of their peaks that the rates end at: enough to go on learning to the last step."""
AVERAGING = 0.995
"""Share of the averaged weights that stays at each step. They do better on new patients than those of the last step. Early on
less stays, or the average would be the start model's for hundreds of steps."""


@dataclass(frozen=True)
class Phase:
    """One phase of a training.

    Attributes:
        name: for the log and the checkpoint's name.
        epochs: passes over the slices.
        batch: windows per step, over all processes.
        seed: of what is drawn in a step.
        rates: peak learning rate of each part of the network that learns, by the part's name.
        order: numbers of the windows of an epoch, in order; as many in every epoch.
        item: the window of (epoch, place in the epoch, number), the same in every process.
        loss: of the network on some windows and their seeds.
        validate: called with (epochs done, averaged network), in the main process alone; returns figures, with ``score`` the
            one to be high. Epochs that are not looked at return None.
        choose: whether the score decides which network is kept; otherwise the last one is.
        patience: looks without a better score that end the phase; 0 for never.
        frozen: in the names of parameters that do not learn, whatever part they are of.
        rate: share of the peak learning rates in a step, by the steps done, those of an epoch, and all.
        averaging: share of the averaged weights that stays at the n-th step.
        largest_gradient_norm: to which gradients are cut.
        second_moment: of AdamW, the share of it that stays.
    """

    name: str
    epochs: int
    batch: int
    seed: int
    rates: Mapping[str, float]
    order: Callable[[int], list[int]]
    item: Callable[[int, int, int], Any]
    loss: Callable[[nn.ModuleDict, Sequence[Any], Sequence[Sequence[int]]], StepLoss]
    validate: Callable[[int, nn.ModuleDict], dict[str, float] | None] | None = None
    choose: bool = True
    patience: int = 0
    frozen: tuple[str, ...] = ()
    rate: Callable[[int, int, int], float] = lambda done, an_epoch, steps: rate_factor(done / steps)
    averaging: Callable[[int], float] = lambda step: min(AVERAGING, step / (step + 10))
    largest_gradient_norm: float = _LARGEST_GRADIENT_NORM
    second_moment: float = 0.999


@dataclass
class _Course:
    """Where a phase stands; saved in its checkpoint.

    Attributes:
        step: steps done.
        closed: epochs whose end was dealt with: looked at, logged and kept.
        best, best_epoch, waited: the best score, its epoch, and the looks since.
        finished: the score did not get better for too long.
        sums: of the figures of the epoch's steps so far.
        summed: how many steps these are.
    """

    step: int = 0
    closed: int = 0
    best: float = -math.inf
    best_epoch: int = 0
    waited: int = 0
    finished: bool = False
    sums: dict[str, float] = field(default_factory=dict)
    summed: int = 0


def checkpoint_path(folder: Path, phase: str) -> Path:
    """The file that a phase's state is kept in."""
    return folder / f"{phase}.checkpoint"


@dataclass
class Session:
    """A training under way: what all its phases share.

    Attributes:
        processes: that train together.
        folder: for ``PHASE.checkpoint``, replaced after every epoch and when the training is stopped.
        log: of every step and epoch; the main process has one.
        hooks: for whoever watches; ``progress`` says which phase it is.
    """

    processes: Processes
    folder: Path
    log: StepLog | None = None
    hooks: Hooks = NO_HOOKS


@dataclass
class PhaseTraining:
    """The training of the parts of a network, on the accelerator's device and in place, that a phase names.

    Attributes:
        recipe: what the checkpoint must have been made with to be gone on from (settings, data, start model).
        keep: called in the main process with the averaged network that is the best so far: the one with the best score, or
            as long as there is no score, the one of the last epoch, or the one at which the training was stopped.
    """

    network: nn.ModuleDict
    phase: Phase
    session: Session
    recipe: str = ""
    keep: Callable[[nn.ModuleDict], None] | None = None

    def __post_init__(self) -> None:
        groups = parameter_groups(self.network, self.phase.rates, self.phase.frozen)
        self._parameters = [p for group in groups for p in group["params"]]
        self._rates = [group["lr"] for group in groups]
        self._processes = self.session.processes
        self._accelerator = self._processes.accelerator
        self._optimizer = self._accelerator.prepare(torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, self.phase.second_moment)))
        self._averaged = copy.deepcopy(self.network).eval().requires_grad_(False)
        self._stepper = Stepper(self.network, self.phase.loss, self._processes, self.session.hooks.note)
        self._course = _Course()
        self._epoch_steps = math.ceil(len(self.phase.order(0)) / self.phase.batch)
        self._steps = self._epoch_steps * self.phase.epochs

    @property
    def averaged(self) -> nn.ModuleDict:
        """The averaged network, ready to be used."""
        # TinyViT derives its attention biases when it is put into evaluation mode; the averaged ones have changed.
        self._averaged.train().eval()
        return self._averaged

    @property
    def best_epoch(self) -> int:
        """The epoch whose network had the best score; 0 if there was no score."""
        return self._course.best_epoch

    def run(self, *, resume: bool = False) -> None:
        """All steps that are left; with ``resume`` from the checkpoint on, if there is one. Cancelled, it writes the checkpoint
        and keeps the best so far.

        Raises:
            ModelError: the loss is not finite, memory does not even suffice for one window, or the checkpoint is damaged or of
                another recipe.
        """
        if resume:
            self._restore()
        course = self._course
        if self.session.log is not None:
            self.session.log.continue_at(self.phase.name, course.step, course.closed)
        self.session.hooks.stage("steps")
        try:
            while not course.finished and course.closed < self.phase.epochs:
                self._epoch(course.closed)
        except Cancelled:
            self._save()
            if not self.phase.choose or course.best_epoch == 0:
                self._keep_this()
            raise

    def _restore(self) -> None:
        """Take up the state of the checkpoint, if there is one: the main process reads it for all."""
        path = checkpoint_path(self.session.folder, self.phase.name)
        state = self._processes.in_main(lambda: read_state(path, self.recipe) if path.is_file() else None)
        if state is None:
            return
        try:
            self.network.load_state_dict(state["network"])
            self._averaged.load_state_dict(state["averaged"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._course = _Course(**state["course"])
            if self._accelerator.scaler is not None:
                self._accelerator.scaler.load_state_dict(state["scaler"])
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(path) from error
        _log.info("Going on with %s at step %d of %d", self.phase.name, self._course.step, self._steps)

    def _epoch(self, epoch: int) -> None:
        course, batch = self._course, self.phase.batch
        order = self.phase.order(epoch)
        for number in range(course.step - epoch * self._epoch_steps, self._epoch_steps):
            self._processes.check(self.session.hooks.cancel)
            self._step(epoch, order, range(number * batch, min((number + 1) * batch, len(order))))
        self._processes.check(self.session.hooks.cancel)
        self._close(epoch + 1)
        self._save()

    def _step(self, epoch: int, order: Sequence[int], places: range) -> None:
        course, phase = self._course, self.phase
        factor = phase.rate(course.step, self._epoch_steps, self._steps)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        figures = self._stepper.gradients(
            places, lambda place: phase.item(epoch, place, order[place]), lambda place: (phase.seed, epoch, place, 7)
        )
        if not math.isfinite(figures["loss"]):
            raise ModelError(
                f"Training broke down in epoch {epoch + 1} of the phase {phase.name}: the loss is not finite. "
                "Lower the learning rates."
            )
        self._processes.sum_gradients(self._parameters)
        self._accelerator.clip_grad_norm_(self._parameters, phase.largest_gradient_norm)
        try:
            self._optimizer.step()
        except (RuntimeError, MemoryError) as error:  # the first step makes the optimizer's own state
            if is_out_of_memory(error):
                raise too_little_memory(self._accelerator.device) from error
            raise
        self._optimizer.zero_grad(set_to_none=True)
        course.step += 1
        average_into(self._averaged, self.network, phase.averaging(course.step))
        for name, value in figures.items():
            course.sums[name] = course.sums.get(name, 0.0) + value
        course.summed += 1
        if self.session.log is not None:
            self.session.log.step(phase.name, course.step, self._steps, epoch + 1, phase.epochs, figures, rate=factor)
        self.session.hooks.progress(
            course.step, self._steps, f"{phase.name}: epoch {epoch + 1} of {phase.epochs}, loss {figures['loss']:.3f}"
        )

    def _close(self, done: int) -> None:
        """The end of an epoch: look, keep, log."""
        course, phase = self._course, self.phase
        figures = {name: value / course.summed for name, value in course.sums.items()}
        looked = self._processes.in_main(lambda: None if phase.validate is None else phase.validate(done, self.averaged))
        better = not phase.choose or (looked is None and course.best_epoch == 0)
        if looked is not None:
            figures |= {f"validation_{name}": value for name, value in looked.items()}
            if looked["score"] > course.best:
                course.best, course.best_epoch, course.waited, better = looked["score"], done, 0, True
            else:
                course.waited += 1
                course.finished = 0 < phase.patience <= course.waited
        if self.session.log is not None:  # before the network is kept, whose card tells of this epoch, too
            self.session.log.epoch(phase.name, done, figures)
        if better:
            self._keep_this()
        course.closed, course.sums, course.summed = done, {}, 0

    def _keep_this(self) -> None:
        if self.keep is not None:
            keep = self.keep
            self._processes.in_main(lambda: keep(self.averaged))

    def _save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "averaged": self._averaged.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._accelerator.scaler.state_dict() if self._accelerator.scaler is not None else {},
            "course": vars(self._course),
        }
        path = checkpoint_path(self.session.folder, self.phase.name)
        self._processes.in_main(lambda: write_state(path, self.recipe, state))


def parameter_groups(network: nn.ModuleDict, rates: Mapping[str, float], frozen: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The optimizer's groups of the parts that learn, by each one's peak learning rate; all else in the network is frozen."""
    network.requires_grad_(False)
    groups = []
    for part, rate in rates.items():
        named = network[part].named_parameters()
        learning = [p.requires_grad_(True) for name, p in named if not any(one in name for one in frozen)]
        for decay, some in (
            (_WEIGHT_DECAY, [p for p in learning if p.ndim > 1]),
            (0.0, [p for p in learning if p.ndim <= 1]),
        ):
            if some:
                groups.append({"params": some, "lr": rate, "weight_decay": decay})
    return groups


def rate_factor(share: float) -> float:
    """The learning rates' share of their peaks when this share of all steps is done: a linear warm-up, then a cosine."""
    if share < _WARMUP:
        return (share + 1e-3) / _WARMUP
    return _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * (share - _WARMUP) / (1 - _WARMUP)))


def average_into(averaged: nn.Module, network: nn.Module, stays: float) -> None:
    """Move what learns in ``averaged`` towards ``network``, with its statistics; this share of the old average stays.

    torch's ``AveragedModel`` would begin with the first step's network, and go over a large frozen encoder, too.
    """
    pairs = [
        *((old, new) for old, new in zip(averaged.parameters(), network.parameters(), strict=True) if new.requires_grad),
        *((old, new) for old, new in zip(averaged.buffers(), network.buffers(), strict=True) if new.is_floating_point()),
    ]
    get_ema_multi_avg_fn(stays)([old for old, _ in pairs], [new for _, new in pairs], 0)


def what_is_kept(model: Path | None, folder: Path | None) -> str:
    """Of a training that was stopped: its best model so far and the folder with its checkpoints, None where there is none yet."""
    if folder is None:
        return "Cancelled before a checkpoint was written; nothing was kept."
    kept = "There is no model yet" if model is None else f"{model} is the best model so far"
    return f"Cancelled. {kept}; the training can be resumed in {folder}."
