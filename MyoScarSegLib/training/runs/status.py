"""Where a run stands: a small file that its process writes and everybody may read."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.utils.files import write_json

STATUS = "status.json"
VERSION = 1
STARTING, READING, EMBEDDING, STEPS, VALIDATION, COMPARING = (
    "starting", "reading", "embedding", "steps", "validation", "comparing",
)  # fmt: skip
STAGES = (STARTING, READING, EMBEDDING, STEPS, VALIDATION, COMPARING)
"""What a running run does, in order; steps and validation alternate, and each model that is trained has its own."""
_EVERY_S = 0.5


class RunState(str, Enum):
    """What has become of a run.

    ``interrupted`` is never written: it is what a run is whose process has died.
    """

    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    def __str__(self) -> str:
        return self.value

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of itself and there is nothing to go on with."""
        return self in (RunState.STOPPED, RunState.CANCELLED, RunState.FINISHED)

    @property
    def can_go_on(self) -> bool:
        """Whether the run can be started, or started again where it was."""
        return self in (RunState.PLANNED, RunState.PAUSED, RunState.STOPPED, RunState.FAILED, RunState.INTERRUPTED)


@dataclass(frozen=True)
class RunStatus:
    """A run at one moment.

    Attributes:
        state: what has become of it.
        stage: what it does, one of :data:`STAGES`; of a run that has ended, what it did last; empty before the start.
        part: the model that is trained: ``segmenter`` or ``detector``; empty outside of a training.
        done, total, message: steps of the stage, and what is next, in words.
        epoch, epochs: of the part; 0 before its first step.
        seconds_left: until the part is trained, measured and compared, as far as can be told; None if not.
        seconds: that the run has worked, all its sessions together.
        device: that it works on, such as ``cpu`` or ``cuda:0 (NVIDIA T4)``.
        memory_bytes: of the process, or of the GPU if it works on one.
        pid, host: of the process that works or worked on it.
        updated: when this was written, seconds since 1970.
        error: sentence, if it failed.
        notes: sentences on what is worth knowing: cases left out, memory that ran short.
        best: of each part the figures of its best model so far, such as
            ``{"segmenter": {"epoch": 3, "end_to_end_dice": 0.61, "oracle_dice": 0.82, "score": 0.6}}``.
    """

    state: RunState = RunState.PLANNED
    stage: str = ""
    part: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    epoch: int = 0
    epochs: int = 0
    seconds_left: float | None = None
    seconds: float = 0.0
    device: str = ""
    memory_bytes: int | None = None
    pid: int = 0
    host: str = ""
    updated: float = 0.0
    error: str = ""
    notes: tuple[str, ...] = ()
    best: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The status as a JSON object."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            "version": VERSION,
            **values,
            "state": self.state.value,
            "notes": list(self.notes),
            "best": {part: dict(figures) for part, figures in self.best.items()},
        }

    @classmethod
    def from_json(cls, document: Any) -> RunStatus:
        """The status of a JSON object; what a later version added is left out.

        Raises:
            ValueError: it is none.
        """
        if not isinstance(document, dict):
            raise ValueError("a status is a JSON object")
        try:
            usual = cls()
            values: dict[str, Any] = {}
            for f in fields(cls):
                value, like = document.get(f.name, getattr(usual, f.name)), getattr(usual, f.name)
                if isinstance(like, float):
                    value = float(value)
                elif isinstance(like, (int, str)) and not isinstance(like, Enum):
                    value = type(like)(value)
                values[f.name] = value
            values["state"] = RunState(values["state"])
            values["notes"] = tuple(str(note) for note in values["notes"])
            values["best"] = {str(part): dict(figures) for part, figures in dict(values["best"]).items()}
            return cls(**values)
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"not the status of a run: {error}") from error


def read_status(folder: Path) -> RunStatus | None:
    """What the status file of a run says; None if there is none.

    A file that a power cut damaged says that the run was running: whether it still is, its lock tells.
    """
    try:
        return RunStatus.from_json(json.loads((folder / STATUS).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return RunStatus(RunState.RUNNING, message="The status of the run cannot be read.")


def write_status(folder: Path, status: RunStatus) -> None:
    """Write the status file atomically; on a disk without a free block, into the blocks that it has.

    Raises:
        OutputError: it cannot be written, or the run's folder is gone (which is not made anew).
    """
    path = folder / STATUS
    if not folder.is_dir():
        raise OutputError(f"The folder {folder} of the run is gone.")
    document = _finite(status.to_json())
    try:
        write_json(path, document)
    except OutputError:
        try:
            data = json.dumps(document).encode()
            with path.open("r+b") as file:
                # Blanks in place of what was longer: the file must not become shorter before it is written.
                file.write(data.ljust(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            pass
        else:
            return
        raise


class StatusWriter:
    """Keeps the status file of a run up to date, without holding up the training.

    That the file cannot be written for a while ends no training: the next time may go well, and the models are written with
    errors of their own.

    Attributes:
        status: as it stands, written or not.
    """

    def __init__(self, folder: Path, status: RunStatus) -> None:
        self.status = status
        self._folder = folder
        self._lock = threading.RLock()
        self._written = -math.inf
        self._before, self._began = status.seconds, time.monotonic()
        self._closed = False

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
        """The last word: nothing is written after it.

        Raises:
            OutputError: it cannot be written.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                self._change(changes)
                write_status(self._folder, self.status)

    def _change(self, changes: Mapping[str, Any]) -> None:
        seconds = self._before + time.monotonic() - self._began
        self.status = replace(self.status, **changes, seconds=round(seconds, 1), updated=round(time.time(), 3))


def _finite(document: dict[str, Any]) -> dict[str, Any]:
    """Without numbers that JSON does not know."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: plain(of) for key, of in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {key: plain(value) for key, value in document.items()}
