"""The training loop, on accelerate: any device, mixed precision, several processes; it can be stopped and goes on the same.

Everything random in a step follows from the seed, the epoch and the number of the window in the epoch, and from nothing that
happened before. So a run that was stopped continues to the very result of one that was not, and several processes, each
with its share of every step's windows, compute what one process computes.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.training.averaging import average_into
from MyoScarSegLib.training.finetune.checkpoints import read_state, write_state
from MyoScarSegLib.training.finetune.objective import StepLoss
from MyoScarSegLib.training.finetune.steplog import StepLog

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
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
        order: numbers of the windows of an epoch, in order.
        item: the window of (epoch, place in the epoch, number), the same in every process.
        loss: of the network on some windows and their seeds.
        validate: called with (epochs done, averaged network); returns figures, with ``score`` the one to be high. Epochs
            that are not looked at return None.
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
    patience: int = 0


@dataclass(frozen=True)
class Schedule:
    """How the optimiser's steps are made; see :class:`~MyoScarSegLib.training.finetune.settings.SamSettings`."""

    decay: float
    warmup: float
    clip: float
    averaging: float
    seed: int


@dataclass
class _Course:
    """Where a phase stands; saved in its checkpoint."""

    step: int = 0
    best: float = -math.inf
    best_epoch: int = 0
    waited: int = 0
    finished: bool = False


def train_phase(
    network: nn.ModuleDict,
    phase: Phase,
    schedule: Schedule,
    accelerator: Accelerator,
    folder: Path,
    *,
    resume: bool = False,
    recipe: str = "",
    log: StepLog | None = None,
    save_best: Callable[[nn.ModuleDict], None] | None = None,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> nn.ModuleDict:
    """Train the parts of a network that a phase names.

    Args:
        network: on the accelerator's device; changed in place.
        phase: what is learnt.
        schedule: how.
        accelerator: devices, precision and processes.
        folder: for ``PHASE.checkpoint``, replaced after every epoch and when the training is stopped.
        resume: go on from that checkpoint, if there is one.
        recipe: what the checkpoint must have been made with to be gone on from (settings, data, start model).
        log: of every step and epoch.
        save_best: called with the averaged network whenever it is the best so far, or after every epoch if nothing is looked
            at; by the main process alone.
        progress: called after every step.
        cancel: asked at every step.

    Returns:
        The averaged network after the last step.

    Raises:
        ModelError: the loss is not finite, memory does not even suffice for one window, or the checkpoint is of another recipe.
        Cancelled: the token was set; the checkpoint is written and the best so far saved.
        OutputError: the folder cannot be written.
    """
    import copy

    path = folder / f"{phase.name}.checkpoint"
    network.requires_grad_(False)
    groups = []
    for part, rate in phase.rates.items():
        learning = _learning(network, part)
        groups += _groups(learning, rate, schedule.decay)
    parameters = [p for g in groups for p in g["params"]]
    import torch

    optimiser = torch.optim.AdamW(groups, lr=1e-3)
    rates = [g["lr"] for g in groups]
    averaged = copy.deepcopy(network).eval().requires_grad_(False)
    course = _Course()
    steps_per_epoch = math.ceil(len(phase.order(0)) / phase.batch)
    total = steps_per_epoch * phase.epochs
    if resume and path.is_file():
        state = read_state(path, recipe)
        network.load_state_dict(state["network"])
        averaged.load_state_dict(state["averaged"])
        optimiser.load_state_dict(state["optimiser"])
        course = _Course(**state["course"])
        if accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(state["scaler"])
        _log.info("Going on with %s at step %d of %d", phase.name, course.step, total)
    optimiser = accelerator.prepare(optimiser)
    if log is not None:
        log.continue_at(phase.name, course.step)
    parts = _Parts(phase.accumulate)
    started, first_step = time.monotonic(), course.step

    def save() -> None:
        if accelerator.is_main_process:
            write_state(
                path,
                recipe,
                {
                    "network": network.state_dict(),
                    "averaged": averaged.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "scaler": accelerator.scaler.state_dict() if accelerator.scaler is not None else {},
                    "course": vars(course),
                },
            )

    while not course.finished and course.step < total:
        epoch, place = divmod(course.step, steps_per_epoch)
        order = phase.order(epoch)
        sums: dict[str, float] = {}
        for number in range(place, steps_per_epoch):
            if _stopped(accelerator, cancel):
                save()
                if accelerator.is_main_process and save_best is not None and course.best == -math.inf:
                    save_best(_refreshed(averaged))
                raise Cancelled()
            factor = _factor(course.step / total, schedule.warmup)
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            places = range(number * phase.batch, min((number + 1) * phase.batch, len(order)))
            figures = _step(network, phase, accelerator, parts, schedule.seed, epoch, order, places)
            if not math.isfinite(figures["loss"]):
                raise ModelError(
                    f"Training broke down in epoch {epoch + 1} of the phase {phase.name}: the loss is not finite. "
                    "Lower the learning rates."
                )
            _reduce(parameters, accelerator)
            accelerator.clip_grad_norm_(parameters, schedule.clip)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            course.step += 1
            average_into(averaged, network, min(schedule.averaging, course.step / (course.step + 10)))
            left = (time.monotonic() - started) / (course.step - first_step) * (total - course.step)
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value
            if log is not None and accelerator.is_main_process:
                log.step(phase.name, course.step, total, epoch + 1, figures, rate=factor, seconds_left=left)
            progress(course.step, total, f"{phase.name}: epoch {epoch + 1} of {phase.epochs}, loss {figures['loss']:.3f}")
        done = epoch + 1
        figures = {name: value / (steps_per_epoch - place) for name, value in sums.items()}
        looked = phase.validate(done, _refreshed(averaged)) if phase.validate is not None else None
        if looked is not None:
            figures |= {f"validation_{name}": value for name, value in looked.items()}
            if looked["score"] > course.best:
                course.best, course.best_epoch, course.waited = looked["score"], done, 0
                if accelerator.is_main_process and save_best is not None:
                    save_best(averaged)
            else:
                course.waited += 1
                course.finished = 0 < phase.patience <= course.waited
        elif accelerator.is_main_process and save_best is not None and course.best == -math.inf:
            save_best(_refreshed(averaged))
        if log is not None and accelerator.is_main_process:
            log.epoch(phase.name, done, figures)
        save()
    return _refreshed(averaged)


def _step(
    network: nn.ModuleDict,
    phase: Phase,
    accelerator: Accelerator,
    parts: _Parts,
    seed: int,
    epoch: int,
    order: Sequence[int],
    places: range,
) -> dict[str, float]:
    """Gradients of one step, over this process's share of its windows. Returns the loss and its parts, over all processes."""
    import torch

    mine = list(places)[accelerator.process_index :: accelerator.num_processes]
    while True:
        sums: dict[str, float] = {"loss": 0.0}
        try:
            for some in parts.of(mine):
                items = [_to_device(phase.item(epoch, place, order[place]), accelerator.device) for place in some]
                seeds = [(seed, epoch, place, 7) for place in some]
                with accelerator.autocast():
                    loss = phase.loss(network, items, seeds)
                if loss.total.requires_grad:
                    accelerator.backward(loss.total / len(places))
                sums["loss"] += float(loss.total.detach()) / len(places)
                for name, value in loss.parts.items():
                    sums[name] = sums.get(name, 0.0) + value / len(places)
            break
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            if accelerator.num_processes > 1 or not parts.halve(len(mine)):
                raise ModelError(
                    f"{accelerator.device} has too little memory to train with. Give fewer slices per step (batch), "
                    "or use another device."
                ) from error
        network.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    if accelerator.num_processes > 1:
        names = sorted(sums)
        together = accelerator.gather(torch.tensor([[sums[n] for n in names]], device=accelerator.device))
        sums = dict(zip(names, (float(v) for v in together.sum(dim=0)), strict=True))
    return sums


class _Parts:
    """The parts that a step is worked through in: as many as asked for, and twice as many whenever memory runs out."""

    def __init__(self, count: int) -> None:
        self.count = count

    def of(self, places: Sequence[int]) -> Iterator[Sequence[int]]:
        size = max(1, math.ceil(len(places) / self.count))
        for first in range(0, len(places), size):
            yield places[first : first + size]

    def halve(self, windows: int) -> bool:
        if self.count >= windows:
            return False
        self.count *= 2
        _log.warning("Memory ran out; a step is now worked through in %d parts.", self.count)
        return True


def _is_out_of_memory(error: Exception) -> bool:
    import torch

    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or "not enough memory" in str(error).lower()


def _to_device(item: Any, device: torch.device) -> Any:
    from dataclasses import replace

    if device.type == "cpu":
        return item
    features = None if item.features is None else item.features.to(device, non_blocking=True)
    return replace(item, image=item.image.to(device), targets=item.targets.to(device), features=features)


def _stopped(accelerator: Accelerator, cancel: CancelToken | None) -> bool:
    """Whether any process was asked to stop; all of them stop at the same step."""
    import torch

    mine = cancel is not None and cancel.cancelled
    if accelerator.num_processes == 1:
        return mine
    asked = torch.tensor([int(mine)], device=accelerator.device)
    return bool(accelerator.reduce(asked, reduction="sum").item())


def _reduce(parameters: Sequence[torch.Tensor], accelerator: Accelerator) -> None:
    """Sum the gradients over the processes, in one message.

    Done here and not by DistributedDataParallel: a process may have no window in a step's last part, and windows without a
    prompt use other weights than those with one.
    """
    import torch

    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    if accelerator.num_processes == 1:
        return
    grads = [p.grad for p in parameters if p.grad is not None]
    flat = accelerator.reduce(torch.cat([g.flatten() for g in grads]), reduction="sum")
    for grad, part in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
        grad.copy_(part.view_as(grad))


def _learning(network: nn.ModuleDict, part: str) -> list[tuple[str, nn.Parameter]]:
    """The parameters of a part, made to learn. ``adapter`` are the encoder's low-rank weights alone."""
    if part == "adapter":
        found = [(n, p) for n, p in network["image_encoder"].named_parameters() if ".low_rank." in n]
    else:
        found = list(network[part].named_parameters())
    for _, parameter in found:
        parameter.requires_grad_(True)
    return found


def _groups(named: Sequence[tuple[str, nn.Parameter]], rate: float, decay: float) -> list[dict[str, Any]]:
    """Biases and normalisation do not decay."""
    decaying = [p for _, p in named if p.ndim > 1]
    others = [p for _, p in named if p.ndim <= 1]
    groups = [{"params": decaying, "lr": rate, "weight_decay": decay}, {"params": others, "lr": rate, "weight_decay": 0.0}]
    return [g for g in groups if g["params"]]


def _factor(share: float, warmup: float) -> float:
    if share < warmup:
        return (share + 1e-3) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))


def _refreshed(averaged: nn.ModuleDict) -> nn.ModuleDict:
    """TinyViT derives its attention biases when it is put into evaluation mode; the averaged ones have changed."""
    averaged["image_encoder"].train()
    averaged.eval()
    return averaged
