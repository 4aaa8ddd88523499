"""The log of a training as JSON lines, one per step and epoch: written, and read for live curves while it is written."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.utils.files import os_errors_as, write_bytes

_PIECE_BYTES = 1 << 20


class StepLog:
    """Appends to ``path``. Lines are whole: each is written at once, and a torn last line is cut when a training goes on.

    Attributes:
        path: of the log.
    """

    def __init__(self, path: Path, *, keep: bool, listener: Callable[[Mapping[str, Any]], None] | None = None) -> None:
        """Open a log, in which with ``keep`` the old lines stay. The ``listener`` is given each line after it was written."""
        self.path = Path(path)
        # What a crash left of its last line would spoil the next one.
        self._rewrite(self._entries() if keep else [])
        self._listener = listener
        self._begin(0)

    def continue_at(self, phase: str, step: int, epochs: int | None = None) -> None:
        """Drop what this phase will do again: after this step, and after as many epochs (None: that ended by it)."""

        def holds(entry: Mapping[str, Any]) -> bool:
            if entry.get("phase") != phase:
                return True
            if entry.get("event") == "epoch" and epochs is not None:
                return bool(entry.get("epoch", 0) <= epochs)
            return bool(entry.get("step", 0) <= step)

        self._rewrite([entry for entry in self._entries() if holds(entry)])
        self._begin(step)

    def _begin(self, step: int) -> None:
        self._step = self._first = step
        self._began = time.monotonic()

    def event(self, **entry: Any) -> None:
        """Write a line that is of no step and no epoch."""
        self._append(entry)

    def step(
        self, phase: str, step: int, steps: int, epoch: int, epochs: int, figures: Mapping[str, float], *, rate: float
    ) -> float:
        """One step: its losses, and the share of the peak learning rates. Returns the seconds left in the phase, by the steps
        since it was begun or gone on with.
        """
        self._step = step
        left = (time.monotonic() - self._began) / max(1, step - self._first) * (steps - step)
        self._append(
            {"event": "step", "phase": phase, "step": step, "steps": steps, "epoch": epoch, "epochs": epochs}
            | {name: _short(value) for name, value in figures.items()}
            | {"rate": _short(rate), "seconds_left": round(left, 1)}
        )
        return left

    def epoch(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """One epoch: mean losses, and the figures of the validation patients where they were looked at."""
        shown = {name: _short(value) for name, value in figures.items()}
        self._append({"event": "epoch", "phase": phase, "epoch": epoch, "step": self._step} | shown)

    def epochs(self) -> list[dict[str, Any]]:
        """What was logged of the epochs, without times."""
        left_out = ("event", "time", "step")
        return [{k: v for k, v in e.items() if k not in left_out} for e in self._entries() if e.get("event") == "epoch"]

    def _entries(self) -> list[dict[str, Any]]:
        """What is in the file and whole."""
        with os_errors_as(OutputError, f"Cannot read {self.path}", "Choose another folder."):
            return _entries(self.path.read_bytes().splitlines()) if self.path.exists() else []

    def _rewrite(self, entries: Sequence[Mapping[str, Any]]) -> None:
        write_bytes(self.path, "".join(json.dumps(entry) + "\n" for entry in entries).encode())

    def _append(self, entry: Mapping[str, Any]) -> None:
        entry = {"time": round(time.time(), 3), **entry}
        line = json.dumps(entry, allow_nan=False) + "\n"
        do = "Free some space, or choose another folder."
        with os_errors_as(OutputError, f"Cannot write {self.path}", do), self.path.open("a", encoding="utf-8") as file:
            file.write(line)
        if self._listener is not None:
            self._listener(entry)


def _short(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None


class LogReader:
    """Gives the lines of a log that were added since the last call.

    A training that goes on may write its log anew, without what it will do again: then all of it is given again.

    Attributes:
        path: of the log, which need not be there yet.
        restarted: whether what :meth:`new` gave last begins the log again, so that what was given before no longer holds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.restarted = False
        self._seen = b""

    def new(self) -> list[dict[str, Any]]:
        """The entries since the last call, at most some thousands at a time; none if there is no log.

        A last line that is not whole yet is given when it is."""
        try:
            data = self.path.read_bytes()
        except OSError:
            data = b""
        self.restarted = not data.startswith(self._seen)
        if self.restarted:
            self._seen = b""
        added = data[len(self._seen) :][:_PIECE_BYTES]
        whole = added[: added.rfind(b"\n") + 1]
        self._seen += whole
        return _entries(whole.splitlines())


def _entries(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """The entries of the lines that are whole: a crash may have torn one."""
    found = []
    for line in lines:
        with suppress(ValueError):
            found.append(json.loads(line))
    return [entry for entry in found if isinstance(entry, dict)]
