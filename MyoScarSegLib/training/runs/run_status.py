"""Where a run stands: a small file that its process writes and everybody may read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.utils import task
from MyoScarSegLib.utils.files import write_json
from MyoScarSegLib.utils.json_fields import load, to_json

STATUS = "status.json"
VERSION = 1
STARTING, READING, EMBEDDING, STEPS, VALIDATION, COMPARING = (
    "starting", "reading", "embedding", "steps", "validation", "comparing",
)  # fmt: skip
"""What a running run does, in order; steps and validation alternate, and each model that is trained has its own."""


class RunState(str, Enum):
    """What has become of a run, in a task's words where they mean the same.

    ``interrupted`` is never written: it is what a run is whose process has died.
    """

    PLANNED = "planned"
    RUNNING = task.RUNNING
    PAUSED = "paused"
    STOPPED = "stopped"
    CANCELLED = task.CANCELLED
    FINISHED = "finished"
    FAILED = task.FAILED
    INTERRUPTED = "interrupted"

    def __str__(self) -> str:
        return self.value

    @property
    def can_go_on(self) -> bool:
        """Whether the run can be started, or started again where it was."""
        return self in (RunState.PLANNED, RunState.PAUSED, RunState.STOPPED, RunState.FAILED, RunState.INTERRUPTED)


@dataclass(frozen=True)
class RunStatus:
    """A run at one moment.

    Attributes:
        state: what has become of it.
        stage: what it does, such as :data:`STEPS`; of a run that has ended, what it did last; empty before the start.
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

    def starting(self, **who: Any) -> RunStatus:
        """The status of a run with which a process begins; ``who`` says which process."""
        return replace(
            self, state=RunState.RUNNING, stage=STARTING, message="Starting", done=0, total=0, error="", seconds_left=None, **who
        )


def read_status(folder: Path) -> RunStatus | None:
    """What the status file of a run says; None if there is none.

    A file that a power cut damaged says that the run was running: whether it still is, its lock tells.
    """
    path = folder / STATUS
    if not path.exists():
        return None
    try:
        # What a later version added is left out.
        return load(RunStatus, path, StudyError, version=VERSION, ignore=True)
    except StudyError:
        return RunStatus(RunState.RUNNING, message="The status of the run cannot be read.")


def write_status(folder: Path, status: RunStatus) -> None:
    """Write the status file atomically; on a disk without a free block, into the blocks that it has."""
    path = folder / STATUS
    if not folder.is_dir():
        raise OutputError(f"The folder {folder} of the run is gone.")
    document = to_json(status, version=VERSION)
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
