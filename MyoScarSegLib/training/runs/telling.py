"""What a run's process tells of itself on the way: stage, steps, time left, memory, the best figures."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from MyoScarSegLib.training.runs.control import CANCEL, PAUSE, STOP
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.status import (
    COMPARING,
    EMBEDDING,
    READING,
    STARTING,
    STEPS,
    VALIDATION,
    RunState,
    RunStatus,
    StatusWriter,
    read_status,
)
from MyoScarSegLib.utils.memory import resident_bytes
from MyoScarSegLib.utils.progress import Progress

_FIGURES_IN_LOOKS, _COMPARISON_IN_LOOKS = 5.5, 2.0
"""How often what follows the training draws what a look on the way draws: two models, with hurried boxes and clicks as well."""
_BEGUN = {
    READING: "Reading the cases",
    EMBEDDING: "Preparing the slices",
    VALIDATION: "Looking at the validation patients",
    COMPARING: "Comparing with the model in use",
}
_WISHED = {
    PAUSE: "Pausing: the step in hand ends first, and its checkpoint is written",
    STOP: "Stopping: the step in hand ends first, and the best model is kept",
    CANCEL: "Cancelling",
}
_KEPT_FIGURES = ("end_to_end_dice", "oracle_dice", "dice", "false_g", "score")


class Telling:
    """Keeps the status of a run in step with its trainings.

    Attributes:
        writer: of the status file.
    """

    def __init__(self, run: Run, progress: Progress) -> None:
        before = read_status(run.folder) or RunStatus()
        self.writer = StatusWriter(
            run.folder,
            replace(
                before, state=RunState.RUNNING, stage=STARTING, message="Starting", done=0, total=0, error="",
                seconds_left=None, pid=os.getpid(), host=socket.gethostname(), memory_bytes=resident_bytes(),
            ),
        )  # fmt: skip
        self._expected, self._progress = run.record.expected_seconds, progress
        self._device = ""
        self._step: Mapping[str, Any] = {}
        self._since = time.monotonic()
        self._look_s: float | None = None
        self._wish = ""

    @property
    def status(self) -> RunStatus:
        """As it stands."""
        return self.writer.status

    def beat(self) -> None:
        """That the process lives."""
        self.writer.update(now=True, memory_bytes=_memory(self._device))

    def wished(self, wish: str) -> None:
        """What is wished of the run: its message from now on, for the safe place to do it may be some minutes away."""
        self._wish = _WISHED.get(wish, "")
        self.writer.update(message=self._wish, now=True)

    def part(self, part: str) -> None:
        """That the training of a part begins; empty: that none goes on any more."""
        self._step = {}
        self.writer.update(now=True, part=part, epoch=0, epochs=0, message="") if part else self.writer.update(part="")

    def device(self, device: str) -> None:
        """What is computed on."""
        self._device = device
        self.writer.update(device=device)

    def report(self, done: int, total: int, message: str) -> None:
        """See :class:`~MyoScarSegLib.utils.progress.Progress`."""
        self.writer.update(done=done, total=total, message=self._wish or message, memory_bytes=_memory(self._device))
        if self.status.stage != STEPS:
            self._tell_time(None)
        self._progress(done, total, message)

    def stage(self, stage: str) -> None:
        """What begins."""
        before, now = self.status.stage, time.monotonic()
        if stage == before:
            return
        if before == VALIDATION and stage == STEPS:
            self._look_s = now - self._since
        self._since = now
        done, total = (self._step["step"], self._step["steps"]) if stage == STEPS and self._step else (0, 0)
        self.writer.update(stage=stage, done=done, total=total, message=self._wish or _BEGUN.get(stage, ""), now=True)
        self._tell_time(None)

    def note(self, note: str) -> None:
        """What is worth knowing; the same is said once."""
        if note not in self.status.notes:
            self.writer.update(notes=(*self.status.notes, note), now=True)

    def logged(self, part: str, entry: Mapping[str, Any]) -> None:
        """A line of a part's log."""
        if entry.get("event") == "step":
            self._step = entry
            self.writer.update(epoch=entry["epoch"], epochs=entry.get("epochs", 0))
            self._tell_time(entry["seconds_left"])
        elif entry.get("event") == "epoch":
            self.writer.update(best=best_after(self.status.best, part, entry), now=True)

    def _tell_time(self, steps_left: float | None) -> None:
        """How long it will take until the part is finished and compared: by the last look, or else by the estimate.

        Args:
            steps_left: seconds that the steps take yet, with the looks between them; None outside of the steps.
        """
        stage, in_stage = self.status.stage, time.monotonic() - self._since
        if self._look_s is not None:
            after = {VALIDATION: _FIGURES_IN_LOOKS * self._look_s, COMPARING: _COMPARISON_IN_LOOKS * self._look_s}
        else:
            after = {name: self._expected.get(name, 0.0) for name in (VALIDATION, COMPARING)}
        left: float | None = None
        if steps_left is not None:
            left = steps_left + sum(after.values())
        elif stage == VALIDATION:
            if self._step.get("step") != self._step.get("steps") or not sum(after.values()):
                return  # a look between steps: what the last step said still holds
            left = max(0.0, after[VALIDATION] - in_stage) + after[COMPARING]
        elif stage == COMPARING and after[COMPARING]:
            left = max(0.0, after[COMPARING] - in_stage)
        self.writer.update(seconds_left=None if left is None else round(left, 1))


def best_after(before: Mapping[str, Mapping[str, float]], part: str, entry: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """The best figures of each part after an epoch: by the score where there is one, else those of the last epoch."""
    epoch, score = entry["epoch"], entry.get("validation_score")
    old = before.get(part, {})
    if score is None:
        new: Mapping[str, float] = old if "score" in old else {"epoch": epoch, "loss": entry.get("loss") or 0.0}
    elif "score" in old and old["epoch"] < epoch and old["score"] >= score:
        new = old
    else:
        figures = {name: entry.get(f"validation_{name}") for name in _KEPT_FIGURES}
        new = {"epoch": epoch, **{name: value for name, value in figures.items() if value is not None}}
    return {**before, part: new}


def device_name(name: str) -> str:
    """What a device is called, with the name of a GPU.

    Raises:
        ModelError: it is not there.
    """
    import torch

    from MyoScarSegLib.utils.device import resolve_device

    device = resolve_device(name)
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _memory(device: str) -> int | None:
    """Memory in use: of the GPU if it computes there, else of this process."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_reserved())
    return resident_bytes()
