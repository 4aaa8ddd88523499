"""The log of a training as JSON lines, one per step and epoch: what live curves are drawn from."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import ModelError, OutputError
from MyoScarSegLib.utils.files import write_bytes


class StepLog:
    """Appends to ``path``. Lines are whole: each is written at once, and a torn last line is cut when a training goes on.

    Attributes:
        path: of the log.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep: bool,
        tensorboard: Path | None = None,
        listener: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        """Open a log.

        Args:
            path: of the JSON lines.
            keep: go on with the lines that are there; otherwise they go.
            tensorboard: folder for TensorBoard's event files too.
            listener: given each line after it was written.

        Raises:
            ModelError: TensorBoard is wanted and not installed.
            OutputError: the log cannot be written.
        """
        self.path = Path(path)
        # What a crash left of its last line would spoil the next one.
        self._rewrite(self._entries() if keep else [])
        self._step = 0
        self._listener = listener
        self._board: Any = None
        if tensorboard is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ModelError("TensorBoard is not installed: pip install tensorboard.") from error
            self._board = SummaryWriter(str(tensorboard))

    def continue_at(self, phase: str, step: int, epochs: int | None = None) -> None:
        """Drop what this phase logged before it was stopped and will do again.

        Args:
            phase: its name.
            step: the last one to be kept.
            epochs: how many are to be kept; if None, all that ended by that step.
        """

        def holds(entry: Mapping[str, Any]) -> bool:
            if entry.get("phase") != phase:
                return True
            if entry.get("event") == "epoch" and epochs is not None:
                return bool(entry.get("epoch", 0) <= epochs)
            return bool(entry.get("step", 0) <= step)

        self._rewrite([entry for entry in self._entries() if holds(entry)])
        self._step = step

    def event(self, **entry: Any) -> None:
        """Any other line."""
        self._append(entry)

    def step(
        self,
        phase: str,
        step: int,
        steps: int,
        epoch: int,
        figures: Mapping[str, float],
        *,
        rate: float,
        seconds_left: float,
        epochs: int = 0,
    ) -> None:
        """One step: its losses, the share of the peak learning rates, and the time left in the phase, which has ``epochs``."""
        self._step = step
        self._append(
            {"event": "step", "phase": phase, "step": step, "steps": steps, "epoch": epoch}
            | ({"epochs": epochs} if epochs else {})
            | {name: _short(value) for name, value in figures.items()}
            | {"rate": _short(rate), "seconds_left": round(seconds_left, 1)}
        )
        self._draw(phase, figures, step)

    def epoch(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """One epoch: mean losses, and the figures of the validation patients where they were looked at."""
        shown = {name: _short(value) for name, value in figures.items()}
        self._append({"event": "epoch", "phase": phase, "epoch": epoch, "step": self._step} | shown)
        self._draw(f"{phase}_epoch", figures, epoch)

    def epochs(self) -> list[dict[str, Any]]:
        """What was logged of the epochs, without times."""
        left_out = ("event", "time", "step")
        return [{k: v for k, v in e.items() if k not in left_out} for e in self._entries() if e.get("event") == "epoch"]

    def close(self) -> None:
        """Flush TensorBoard's files."""
        if self._board is not None:
            self._board.close()

    def _entries(self) -> list[dict[str, Any]]:
        """What is in the file and whole."""
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OutputError(f"Cannot read {self.path}: {error.strerror}. Choose another folder.") from error
        found = []
        for line in text.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:  # torn
                continue
            if isinstance(entry, dict):
                found.append(entry)
        return found

    def _rewrite(self, entries: Sequence[Mapping[str, Any]]) -> None:
        write_bytes(self.path, "".join(json.dumps(entry) + "\n" for entry in entries).encode())

    def _append(self, entry: Mapping[str, Any]) -> None:
        entry = {"time": round(time.time(), 3), **entry}
        line = json.dumps(entry, allow_nan=False) + "\n"
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise OutputError(
                f"Cannot write {self.path}: {error.strerror}. Free some space, or choose another folder."
            ) from error
        if self._listener is not None:
            self._listener(entry)

    def _draw(self, prefix: str, figures: Mapping[str, float], at: int) -> None:
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(f"{prefix}/{name}", value, at)


def _short(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
