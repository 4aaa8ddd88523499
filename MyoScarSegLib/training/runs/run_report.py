"""What a run's process reports of itself on the way: stage, steps, time left, memory, the best figures."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.training.runs.run_commands import CANCEL, PAUSE, STOP
from MyoScarSegLib.training.runs.run_status import (
    COMPARING,
    EMBEDDING,
    READING,
    STEPS,
    VALIDATION,
    RunStatus,
    read_status,
    write_status,
)
from MyoScarSegLib.utils.device import resolve_device
from MyoScarSegLib.utils.memory import resident_bytes
from MyoScarSegLib.utils.progress import Progress, no_progress

FIGURES_IN_LOOKS, COMPARISON_IN_LOOKS = 4.0, 2.0
"""How often what follows the training draws what a look on the way draws: two models, with jittered boxes and clicks as well.
Measured with the models that come with the program: 3.6."""
_BEGUN = {
    READING: "Reading the cases",
    EMBEDDING: "Preparing the slices",
    VALIDATION: "Looking at the validation patients",
    COMPARING: "Comparing with the model in use",
}
_RECEIVED = {
    PAUSE: "Pausing: the step in hand ends first, and its checkpoint is written",
    STOP: "Stopping: the step in hand ends first, and the best model is kept",
    CANCEL: "Cancelling",
}
_EARLIER_PHASES = ("anatomy", "context", "asked")
"""Of a segmenter's training, before SAM learns from prompts."""
_KEPT_FIGURES = ("end_to_end_dice", "oracle_dice", "dice", "false_g", "score")
_EVERY_S = 0.5


class RunReport:
    """Keeps the status file of a run up to date, without holding up the training.

    That the file cannot be written for a while ends no training: the next time may go well, and the models are written with
    errors of their own.

    Attributes:
        status: as it stands, written or not.
    """

    def __init__(
        self, folder: Path, expected_seconds: Mapping[str, float] | None = None, progress: Progress = no_progress
    ) -> None:
        """Of the run in ``folder``; ``expected_seconds`` are of its stages, and ``progress`` is called as the status is."""
        before = read_status(folder) or RunStatus()
        self.status = before.starting(pid=os.getpid(), host=socket.gethostname(), memory_bytes=resident_bytes())
        self._folder, self._expected, self._progress = folder, expected_seconds or {}, progress
        self._lock = threading.RLock()
        self._written = -math.inf
        self._before, self._began = before.seconds, time.monotonic()
        self._closed = False
        self._device = self._command = ""
        self._step: Mapping[str, Any] = {}
        self._stage_began = time.monotonic()
        self._look_s: float | None = None

    def update(self, *, now: bool = False, **changes: Any) -> None:
        """Change some fields, and write the file if that was not just done, or ``now``."""
        with self._lock:
            if self._closed:
                return
            self._change(changes)
            if now or time.monotonic() - self._written >= _EVERY_S:
                self._written = time.monotonic()
                try:
                    write_status(self._folder, self.status)
                except OutputError:
                    return

    def close(self, **changes: Any) -> None:
        """The last word: nothing is written after it. OutputError if it cannot be written."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._change({**changes, "seconds_left": None, "memory_bytes": None})
                write_status(self._folder, self.status)

    def _change(self, changes: Mapping[str, Any]) -> None:
        seconds = self._before + time.monotonic() - self._began
        self.status = replace(self.status, **changes, seconds=round(seconds, 1), updated=round(time.time(), 3))

    # ---- what there is to tell

    def heartbeat(self) -> None:
        """Write the status now, so that readers see that the process lives."""
        self.update(now=True, memory_bytes=_memory(self._device))

    def received(self, command: str) -> None:
        """Write that a command has come; its message stays, for the safe place to carry it out may be some minutes away."""
        self._command = _RECEIVED.get(command, "")
        self.update(message=self._command, now=True)

    def part(self, part: str) -> None:
        """Write that the training of a part begins; empty if none goes on any more."""
        self._step = {}
        self.update(now=True, part=part, epoch=0, epochs=0, message="") if part else self.update(part="")

    def device(self, device: str) -> None:
        """Write which device is computed on."""
        self._device = device
        self.update(device=device)

    def progress(self, done: int, total: int, message: str) -> None:
        """See :class:`~MyoScarSegLib.utils.progress.Progress`."""
        self.update(done=done, total=total, message=self._command or message, memory_bytes=_memory(self._device))
        if self.status.stage != STEPS:
            self._tell_time(None)
        self._progress(done, total, message)

    def stage(self, stage: str) -> None:
        """Write that a stage begins, such as ``reading`` or ``steps``."""
        before, now = self.status.stage, time.monotonic()
        if stage == before:
            return
        if before == VALIDATION and stage == STEPS:
            self._look_s = now - self._stage_began
        self._stage_began = now
        done, total = (self._step["step"], self._step["steps"]) if stage == STEPS and self._step else (0, 0)
        self.update(stage=stage, done=done, total=total, message=self._command or _BEGUN.get(stage, ""), now=True)
        self._tell_time(None)

    def note(self, note: str) -> None:
        """Add a sentence on what is worth knowing; the same is added once."""
        if note not in self.status.notes:
            self.update(notes=(*self.status.notes, note), now=True)

    def logged(self, part: str, entry: Mapping[str, Any]) -> None:
        """Take over what a line of a part's log says: epoch, best figures, time left."""
        if entry.get("event") == "step":
            self._step = entry
            self.update(epoch=entry["epoch"], epochs=entry.get("epochs", 0))
            self._tell_time(self._steps_left(entry))
        elif entry.get("event") == "epoch":
            self.update(best=best_after(self.status.best, part, entry), now=True)

    def _steps_left(self, step: Mapping[str, Any]) -> float | None:
        """Seconds that the steps take yet; before the last phase as long as they were expected to, None if they were not."""
        left: float = step["seconds_left"]
        if step["phase"] not in _EARLIER_PHASES:
            return left
        expected = self._expected.get(STEPS, 0.0) + self._expected.get(EMBEDDING, 0.0)
        return max(left, expected - (time.monotonic() - self._stage_began)) if expected else None

    def _tell_time(self, steps_left: float | None) -> None:
        """How long it will take until the part is finished and compared: by the last look, or else by the estimate;
        ``steps_left`` seconds of it are steps with the looks between them, None outside of the steps.
        """
        stage, in_stage = self.status.stage, time.monotonic() - self._stage_began
        if self._look_s is not None:
            figures, comparing = FIGURES_IN_LOOKS * self._look_s, COMPARISON_IN_LOOKS * self._look_s
        else:
            figures, comparing = (self._expected.get(name, 0.0) for name in (VALIDATION, COMPARING))
        left: float | None = None
        if steps_left is not None:
            left = steps_left + figures + comparing
        elif stage == VALIDATION:
            if self._step.get("step") != self._step.get("steps") or not figures + comparing:
                return  # a look between steps: what the last step said still holds
            left = max(0.0, figures - in_stage) + comparing
        elif stage == COMPARING and comparing:
            left = max(0.0, comparing - in_stage)
        self.update(seconds_left=None if left is None else round(left, 1))


def best_after(before: Mapping[str, Mapping[str, float]], part: str, entry: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """The best figures of each part after an epoch: by the score where there is one, else those of the last epoch.

    Phases before the last look at other figures, and their epochs are counted from 1, too: they are left out.
    """
    if entry["phase"] in _EARLIER_PHASES:
        return dict(before)
    epoch, score = entry["epoch"], entry.get("validation_score")
    old = before.get(part, {})
    if score is None:
        new: Mapping[str, float] = old if "score" in old else {"epoch": epoch, "loss": entry.get("loss") or 0.0}
    elif "score" in old and old["epoch"] < epoch and old["score"] >= score:
        new = old
    else:
        figures = {name: entry.get(f"validation_{name}") for name in _KEPT_FIGURES}
        new = {"epoch": epoch, **{name: value for name, value in figures.items() if value is not None}}
    return {**before, part: {name: value for name, value in new.items() if math.isfinite(value)}}


def device_name(name: str) -> str:
    """What a device is called, with the name of a GPU."""
    import torch

    device = resolve_device(name)
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _memory(device: str) -> int | None:
    """Memory in use: of the GPU if it computes there, else of this process."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_reserved())
    return resident_bytes()
