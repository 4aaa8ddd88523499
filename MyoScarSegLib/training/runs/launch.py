"""Starting a run in a process of its own that outlives whoever started it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import EngineError, OutputError, StudyError
from MyoScarSegLib.training.runs.control import clear_wish
from MyoScarSegLib.training.runs.run import OUTPUT, STARTED, Run
from MyoScarSegLib.training.runs.status import STARTING, RunState, RunStatus, read_status, write_status
from MyoScarSegLib.utils.background_task import environment_with_us

_DETACHED = ("DETACHED_PROCESS", "CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW")


def start(
    run: Run,
    *,
    python: str | None = None,
    environment: Mapping[str, str] | None = None,
    processes: int = 1,
    library: Path | str | None = None,
) -> None:
    """Start a planned run, or go on with a paused, stopped, failed or interrupted one. Returns at once.

    Args:
        run: the run.
        python: interpreter with torch; this process's own if None.
        environment: of the process; this process's own if None.
        processes: that train together, by ``torch.distributed.run``; only the segmenter's training makes use of them.
        library: the data, where it is neither in the run nor around it.

    Raises:
        StudyError: it is running, or there is nothing to go on with.
        EngineError: the interpreter cannot be started.
        OutputError: the run's folder cannot be written.
    """
    if reason := why_not(run):
        raise StudyError(reason)
    data = run.data(library)
    clear_wish(run.folder)
    before = read_status(run.folder) or RunStatus()
    write_status(
        run.folder,
        replace(
            before, state=RunState.RUNNING, stage=STARTING, message="Starting", done=0, total=0, error="", seconds_left=None,
            memory_bytes=None, pid=0, host=socket.gethostname(), updated=time.time(),
        ),
    )  # fmt: skip
    interpreter = python or sys.executable
    command = [interpreter, "-m", "MyoScarSegLib.training.runs", str(run.folder), "--launched"]
    if processes > 1:
        many = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        command = [interpreter, *many, *command[1:]]
    if library is not None:
        command += ["--data", str(data)]
    environment = {**environment_with_us(environment), "PYTHONUNBUFFERED": "1"}
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        detached = {"creationflags": sum(getattr(subprocess, name, 0) for name in _DETACHED), "close_fds": True}
    try:
        with (run.folder / OUTPUT).open("ab") as output:
            child = subprocess.Popen(  # noqa: S603 - our own module
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, **detached
            )
    except OSError as error:
        write_status(run.folder, before)
        if isinstance(error, FileNotFoundError) and not run.folder.is_dir():
            raise OutputError(f"The folder {run.folder} of the run is gone.") from error
        raise EngineError(f"Python cannot be started for the training ({interpreter}): {error.strerror}.") from error
    for folder in [folder for folder, one in STARTED.items() if one.poll() is not None]:
        del STARTED[folder]
    STARTED[run.folder] = child


def why_not(run: Run) -> str:
    """Why a run cannot be started now; empty if it can."""
    status = run.status()
    if status.state is RunState.RUNNING:
        where = f" (on {status.host})" if status.host and status.host != socket.gethostname() else ""
        return f"The run {run.name} is running already{where}."
    if status.state is RunState.FINISHED:
        return f"The run {run.name} is finished. Repeat it as a new run to train again."
    if status.state is RunState.CANCELLED:
        return f"The run {run.name} was cancelled, and its models are removed. Repeat it as a new run."
    return ""
