"""The gradients of one step, the same whatever the number of processes and the memory."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.loop.training_processes import Processes
from MyoScarSegLib.utils.device import is_out_of_memory

_log = logging.getLogger(__name__)


class Item(NamedTuple):
    """One augmented window, ready for a step.

    Attributes:
        image: float32 ``[channels, side, side]``: the slice alone, or for the context network with its neighbors and the heart's
            contrast.
        targets: int64 ``[n, side, side]``: lesions, ventricle, tissue, ...
        wall_known: whether ventricle and tissue are labeled.
        features: of the frozen image encoder, ``[channels, rows, columns]``, if they are cached.
    """

    image: torch.Tensor
    targets: torch.Tensor
    wall_known: bool
    features: torch.Tensor | None = None


@dataclass
class StepLoss:
    """The losses of some windows.

    Attributes:
        total: sum over the windows, to be divided by the step's number of windows.
        parts: what it is made of, for the log; sums likewise.
    """

    total: torch.Tensor
    parts: dict[str, float]


@dataclass
class _Report:
    """What a process tells the others of its share of a step."""

    figures: dict[str, float] = field(default_factory=dict)
    failed: bool = False
    no_memory: bool = False
    divisible: bool = False


@dataclass
class Stepper:
    """Computes the gradients of a network, whatever the number of processes and the memory, to the same result.

    Attributes:
        note: told when memory runs out.
        parts: that each process's share of a step is worked through in; doubled whenever memory runs out.
    """

    network: nn.ModuleDict
    loss: Callable[[nn.ModuleDict, Sequence[Item], Sequence[Sequence[int]]], StepLoss]
    processes: Processes
    note: Callable[[str], None] | None = None
    parts: int = 1

    def gradients(
        self, places: Sequence[int], item: Callable[[int], Item], seed: Callable[[int], Sequence[int]]
    ) -> dict[str, float]:
        """Leave this process's gradients in the network; they are still to be summed over the processes.

        Of the step's windows ``item`` and ``seed`` give what is at their ``places`` in the epoch. Returns the mean loss and its
        parts, over the windows of all processes.

        Raises:
            ModelError: memory does not suffice for a single window, or another process failed.
        """
        mine = list(places)[self.processes.index :: self.processes.count]
        while True:
            report, error = self._attempt(mine, len(places), item, seed)
            reports = self.processes.exchange(report)
            if error is not None and report.failed:
                raise error
            if any(r.failed for r in reports):
                raise ModelError("Another process of this training failed; its own message says why.")
            short = [r for r in reports if r.no_memory]
            if not short:
                return _total(reports)
            if not all(r.divisible for r in short):
                raise too_little_memory(self.processes.accelerator.device) from error
            self.parts *= 2
            said = f"Memory ran out; a step is now worked through in {self.parts} parts."
            _log.warning("%s", said)
            if self.note is not None:
                self.note(said)
            del error  # its traceback holds on to the tensors of the attempt
            self._forget()

    def _attempt(
        self, mine: Sequence[int], windows: int, item: Callable[[int], Item], seed: Callable[[int], Sequence[int]]
    ) -> tuple[_Report, Exception | None]:
        from accelerate.utils import send_to_device

        report, accelerator = _Report(divisible=self.parts < len(mine)), self.processes.accelerator
        try:
            size = max(1, math.ceil(len(mine) / self.parts))
            for some in (mine[first : first + size] for first in range(0, len(mine), size)):
                items = [send_to_device(item(place), accelerator.device) for place in some]
                with accelerator.autocast():
                    loss = self.loss(self.network, items, [seed(place) for place in some])
                if loss.total.requires_grad:
                    accelerator.backward(loss.total / windows)
                elif accelerator.scaler is not None:
                    # The scaler of fp16 makes its scale at the first loss that it sees; some windows have none to learn from.
                    accelerator.scaler.scale(loss.total.detach())
                for name, value in {"loss": float(loss.total.detach()), **loss.parts}.items():
                    report.figures[name] = report.figures.get(name, 0.0) + value / windows
        except Exception as error:  # of any kind: it is raised as soon as the other processes know
            report.no_memory = is_out_of_memory(error)
            report.failed = not report.no_memory
            return report, error
        return report, None

    def _forget(self) -> None:
        self.network.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def too_little_memory(device: torch.device) -> ModelError:
    """The error to show where nothing is left to divide."""
    return ModelError(
        f"{device} has too little memory to train with, even for one window at a time. Close other programs, ask for fewer "
        "prompts, train fewer parts of the network (mode decoder), or use another device."
    )


def _total(reports: Sequence[_Report]) -> dict[str, float]:
    """Sums over the processes, the loss first; one without a window has no figures."""
    names = dict.fromkeys(["loss", *(name for r in reports for name in r.figures)])
    return {name: sum(r.figures.get(name, 0.0) for r in reports) for name in names}
