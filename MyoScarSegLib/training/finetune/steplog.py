"""The log of a training as JSON lines, one per step and epoch: what live curves are drawn from."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import ModelError, OutputError
from MyoScarSegLib.files import write_bytes


class StepLog:
    """Appends to ``path``. Lines are whole: each is written at once, and a torn last line is cut when a training goes on.

    Attributes:
        path: of the log.
    """

    def __init__(self, path: Path, *, keep: bool, tensorboard: Path | None = None) -> None:
        """Open a log.

        Args:
            path: of the JSON lines.
            keep: go on with the lines that are there; otherwise they go.
            tensorboard: folder for TensorBoard's event files too.

        Raises:
            ModelError: TensorBoard is wanted and not installed.
            OutputError: the log cannot be written.
        """
        self.path = Path(path)
        if not keep or not self.path.is_file():
            write_bytes(self.path, b"")
        self._board: Any = None
        if tensorboard is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ModelError("TensorBoard is not installed: pip install tensorboard.") from error
            self._board = SummaryWriter(str(tensorboard))

    def continue_at(self, phase: str, step: int) -> None:
        """Drop what this phase logged beyond ``step`` before it was stopped, for it will be done again."""
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry.get("phase") != phase or entry.get("step", 0) <= step:
                kept.append(line)
        write_bytes(self.path, "".join(line + "\n" for line in kept).encode())

    def event(self, **entry: Any) -> None:
        """Any other line."""
        self._append(entry)

    def step(
        self, phase: str, step: int, steps: int, epoch: int, figures: Mapping[str, float], *, rate: float, seconds_left: float
    ) -> None:
        """One step: its losses, the share of the peak learning rates, and the time left in the phase."""
        self._step = step
        self._append(
            {"event": "step", "phase": phase, "step": step, "steps": steps, "epoch": epoch}
            | {name: _short(value) for name, value in figures.items()}
            | {"rate": _short(rate), "seconds_left": round(seconds_left, 1)}
        )
        self._draw(phase, figures, step)

    def epoch(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """One epoch: mean losses, and the figures of the validation patients where they were looked at."""
        shown = {name: _short(value) for name, value in figures.items()}
        self._append({"event": "epoch", "phase": phase, "epoch": epoch, "step": getattr(self, "_step", 0)} | shown)
        self._draw(f"{phase}_epoch", figures, epoch)

    def epochs(self) -> list[dict[str, Any]]:
        """What was logged of the epochs, without times."""
        entries = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
        left_out = ("event", "time", "step")
        return [{k: v for k, v in e.items() if k not in left_out} for e in entries if e.get("event") == "epoch"]

    def close(self) -> None:
        """Flush TensorBoard's files."""
        if self._board is not None:
            self._board.close()

    def _append(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps({"time": round(time.time(), 3), **entry}, allow_nan=False) + "\n"
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise OutputError(
                f"Cannot write {self.path}: {error.strerror}. Free some space, or choose another folder."
            ) from error

    def _draw(self, prefix: str, figures: Mapping[str, float], at: int) -> None:
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(f"{prefix}/{name}", value, at)


def _short(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
