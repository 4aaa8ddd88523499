"""The training loop, on accelerate: any device, mixed precision, several processes; it can be stopped and goes on the same.

Everything random in a step follows from the seed, the epoch and the number of the window in the epoch, and from nothing that
happened before. So a run that was stopped continues to the very result of one that was not, and several processes, each
with its share of every step's windows, compute what one process computes.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.training.averaging import average_into
from MyoScarSegLib.training.finetune.learning import parameter_groups, rate_factor
from MyoScarSegLib.training.finetune.objective import StepLoss
from MyoScarSegLib.training.finetune.phase_state import damaged, read_state, write_state
from MyoScarSegLib.training.finetune.step import Stepper, too_little_memory
from MyoScarSegLib.training.finetune.training_processes import Processes
from MyoScarSegLib.training.step_log import StepLog
from MyoScarSegLib.training.train_job import NO_HOOKS, Hooks
from MyoScarSegLib.utils.device import is_out_of_memory
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

if TYPE_CHECKING:
    from torch import nn

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Phase:
    """One phase of a training.

    Attributes:
        name: for the log and the checkpoint's name.
        epochs: passes over the slices.
        batch: windows per step, over all processes.
        accumulate: parts that each process's windows of a step are worked through in.
        rates: peak learning rate of each part of the network that learns, by the part's name.
        order: numbers of the windows of an epoch, in order; as many in every epoch.
        item: the window of (epoch, place in the epoch, number), the same in every process.
        loss: of the network on some windows and their seeds.
        validate: called with (epochs done, averaged network), in the main process alone; returns figures, with ``score`` the
            one to be high. Epochs that are not looked at return None.
        choose: whether the score decides which network is kept; otherwise the last one is.
        patience: looks without a better score that end the phase; 0 for never.
    """

    name: str
    epochs: int
    batch: int
    accumulate: int
    rates: dict[str, float]
    order: Callable[[int], list[int]]
    item: Callable[[int, int, int], Any]
    loss: Callable[[nn.ModuleDict, Sequence[Any], Sequence[Sequence[int]]], StepLoss]
    validate: Callable[[int, nn.ModuleDict], dict[str, float] | None] | None = None
    choose: bool = True
    patience: int = 0

    def checkpoint(self, folder: Path) -> Path:
        """Where its state is kept."""
        return checkpoint_path(folder, self.name)


@dataclass(frozen=True)
class Schedule:
    """How the optimiser's steps are made; see :class:`~MyoScarSegLib.training.finetune.sam_settings.SamSettings`."""

    decay: float
    warmup: float
    clip: float
    averaging: float
    seed: int


@dataclass(frozen=True)
class Trained:
    """What a phase gave.

    Attributes:
        network: the averaged one after the last step.
        best_epoch: whose network had the best score; 0 if there was no score.
    """

    network: nn.ModuleDict
    best_epoch: int


@dataclass
class _Course:
    """Where a phase stands; saved in its checkpoint.

    Attributes:
        step: steps done.
        closed: epochs whose end was dealt with: looked at, logged and kept.
        best, best_epoch, waited: the best score, its epoch, and the looks since.
        finished: the score did not get better for too long.
        sums: of the figures of the epoch's steps so far.
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


def train_phase(
    network: nn.ModuleDict,
    phase: Phase,
    schedule: Schedule,
    processes: Processes,
    folder: Path,
    *,
    resume: bool = False,
    recipe: str = "",
    log: StepLog | None = None,
    keep: Callable[[nn.ModuleDict], None] | None = None,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
    hooks: Hooks = NO_HOOKS,
) -> Trained:
    """Train the parts of a network that a phase names.

    Args:
        network: on the accelerator's device; changed in place.
        phase: what is learnt.
        schedule: how.
        processes: that train together.
        folder: for ``PHASE.checkpoint``, replaced after every epoch and when the training is stopped.
        resume: go on from that checkpoint, if there is one.
        recipe: what the checkpoint must have been made with to be gone on from (settings, data, start model).
        log: of every step and epoch; the main process has one.
        keep: called in the main process with the averaged network that is the best so far: the one with the best score, or
            as long as there is no score, the one of the last epoch, or the one at which the training was stopped.
        progress: called after every step.
        cancel: asked at every step.
        hooks: for whoever watches.

    Raises:
        ModelError: the loss is not finite, memory does not even suffice for one window, or the checkpoint is damaged or of
            another recipe.
        Cancelled: the token was set; the checkpoint is written and the best so far kept.
        OutputError: the folder cannot be written.
    """
    training = _Training(network, phase, schedule, processes, folder, recipe, log, keep, progress, cancel, hooks)
    if resume:
        training.restore()
    return training.run()


class _Training:
    """One phase at work."""

    def __init__(
        self,
        network: nn.ModuleDict,
        phase: Phase,
        schedule: Schedule,
        processes: Processes,
        folder: Path,
        recipe: str,
        log: StepLog | None,
        keep: Callable[[nn.ModuleDict], None] | None,
        progress: Progress,
        cancel: CancelToken | None,
        hooks: Hooks,
    ) -> None:
        import copy

        import torch

        self._network, self._phase, self._schedule, self._processes = network, phase, schedule, processes
        self._path, self._recipe = phase.checkpoint(folder), recipe
        self._log, self._keep, self._progress, self._cancel = log, keep, progress, cancel
        self._accelerator = processes.accelerator
        groups = parameter_groups(network, phase.rates, schedule.decay)
        self._parameters = [p for group in groups for p in group["params"]]
        self._rates = [group["lr"] for group in groups]
        self._optimiser = self._accelerator.prepare(torch.optim.AdamW(groups, lr=1e-3))
        self._averaged = copy.deepcopy(network).eval().requires_grad_(False)
        self._stepper = Stepper(network, phase.loss, processes, phase.accumulate, hooks.note)
        self._stage = hooks.stage
        self._course = _Course()
        self._epoch_steps = math.ceil(len(phase.order(0)) / phase.batch)
        self._steps = self._epoch_steps * phase.epochs
        self._started, self._first_step = time.monotonic(), 0

    def restore(self) -> None:
        """Take up the state of the checkpoint, if there is one: the main process reads it for all."""
        state = self._processes.in_main(lambda: read_state(self._path, self._recipe) if self._path.is_file() else None)
        if state is None:
            return
        try:
            self._network.load_state_dict(state["network"])
            self._averaged.load_state_dict(state["averaged"])
            self._optimiser.load_state_dict(state["optimiser"])
            course = _Course(**state["course"])
            if self._accelerator.scaler is not None:
                self._accelerator.scaler.load_state_dict(state["scaler"])
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(self._path) from error
        if "closed" not in state["course"]:  # of an earlier version, which kept no epoch before it had looked at it
            course.closed = course.step // self._epoch_steps
        self._course = course
        self._first_step = course.step
        _log.info("Going on with %s at step %d of %d", self._phase.name, course.step, self._steps)

    def run(self) -> Trained:
        """All steps that are left."""
        course = self._course
        if self._log is not None:
            self._log.continue_at(self._phase.name, course.step, course.closed)
        self._stage("steps")
        try:
            while not course.finished and course.closed < self._phase.epochs:
                self._epoch(course.closed)
        except Cancelled:
            self._save()
            if not self._phase.choose or course.best_epoch == 0:
                self._keep_this()
            raise
        return Trained(_refreshed(self._averaged), course.best_epoch)

    def _epoch(self, epoch: int) -> None:
        course = self._course
        order = self._phase.order(epoch)
        for number in range(course.step - epoch * self._epoch_steps, self._epoch_steps):
            self._processes.check(self._cancel)
            self._step(epoch, order, range(number * self._phase.batch, min((number + 1) * self._phase.batch, len(order))))
        self._processes.check(self._cancel)
        self._close(epoch + 1)
        self._save()

    def _step(self, epoch: int, order: Sequence[int], places: range) -> None:
        course, phase, schedule = self._course, self._phase, self._schedule
        factor = rate_factor(course.step / self._steps, schedule.warmup)
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        figures = self._stepper.gradients(
            places, lambda place: phase.item(epoch, place, order[place]), lambda place: (schedule.seed, epoch, place, 7)
        )
        if not math.isfinite(figures["loss"]):
            raise ModelError(
                f"Training broke down in epoch {epoch + 1} of the phase {phase.name}: the loss is not finite. "
                "Lower the learning rates."
            )
        self._processes.sum_gradients(self._parameters)
        self._accelerator.clip_grad_norm_(self._parameters, schedule.clip)
        try:
            self._optimiser.step()
        except (RuntimeError, MemoryError) as error:  # the first step makes the optimiser's own state
            if is_out_of_memory(error):
                raise too_little_memory(self._accelerator.device) from error
            raise
        self._optimiser.zero_grad(set_to_none=True)
        course.step += 1
        average_into(self._averaged, self._network, min(schedule.averaging, course.step / (course.step + 10)))
        for name, value in figures.items():
            course.sums[name] = course.sums.get(name, 0.0) + value
        course.summed += 1
        if self._log is not None:
            left = (time.monotonic() - self._started) / (course.step - self._first_step) * (self._steps - course.step)
            self._log.step(
                phase.name, course.step, self._steps, epoch + 1, figures, rate=factor, seconds_left=left, epochs=phase.epochs
            )
        self._progress(course.step, self._steps, f"{phase.name}: epoch {epoch + 1} of {phase.epochs}, loss {figures['loss']:.3f}")

    def _close(self, done: int) -> None:
        """The end of an epoch: look, keep, log."""
        course, phase = self._course, self._phase
        figures = {name: value / course.summed for name, value in course.sums.items()}
        looked = self._processes.in_main(lambda: self._look(done))
        better = not phase.choose or (looked is None and course.best_epoch == 0)
        if looked is not None:
            figures |= {f"validation_{name}": value for name, value in looked.items()}
            if looked["score"] > course.best:
                course.best, course.best_epoch, course.waited, better = looked["score"], done, 0, True
            else:
                course.waited += 1
                course.finished = 0 < phase.patience <= course.waited
        if self._log is not None:  # before the network is kept, whose card tells of this epoch, too
            self._log.epoch(phase.name, done, figures)
        if better:
            self._keep_this()
        course.closed, course.sums, course.summed = done, {}, 0

    def _look(self, done: int) -> dict[str, float] | None:
        return None if self._phase.validate is None else self._phase.validate(done, _refreshed(self._averaged))

    def _keep_this(self) -> None:
        if self._keep is not None:
            keep = self._keep
            self._processes.in_main(lambda: keep(_refreshed(self._averaged)))

    def _save(self) -> None:
        state = {
            "network": self._network.state_dict(),
            "averaged": self._averaged.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._accelerator.scaler.state_dict() if self._accelerator.scaler is not None else {},
            "course": vars(self._course),
        }
        self._processes.in_main(lambda: write_state(self._path, self._recipe, state))


def _refreshed(averaged: nn.ModuleDict) -> nn.ModuleDict:
    """TinyViT derives its attention biases when it is put into evaluation mode; the averaged ones have changed."""
    averaged["image_encoder"].train()
    averaged.eval()
    return averaged
