"""Starting a run in a process of its own that outlives whoever started it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import EngineError, OutputError, StudyError
from MyoScarSegLib.training.runs.run import OUTPUT, STARTED, Run
from MyoScarSegLib.training.runs.run_commands import clear_command
from MyoScarSegLib.training.runs.run_status import RunStatus, read_status, write_status
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
        python, environment: of the process: interpreter with torch, and variables; this process's own if None.
        processes: that train together, by ``torch.distributed.run``; only the segmenter's training makes use of them.
        library: the data, where it is neither in the run nor around it.

    Raises:
        StudyError: it is running, or there is nothing to go on with.
        EngineError: the interpreter cannot be started.
        OutputError: the run's folder cannot be written.
    """
    if reason := run.why_not("start"):
        raise StudyError(reason)
    data = run.data(library)
    clear_command(run.folder)
    before = read_status(run.folder) or RunStatus()
    write_status(run.folder, before.starting(pid=0, host=socket.gethostname(), memory_bytes=None, updated=time.time()))
    interpreter = python or sys.executable
    command = ["-m", "MyoScarSegLib.training.runs", str(run.folder), "--launched"]
    if processes > 1:
        command = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", *command]
    if library is not None:
        command += ["--data", str(data)]
    environment = {**environment_with_us(environment), "PYTHONUNBUFFERED": "1"}
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        detached = {"creationflags": sum(getattr(subprocess, name, 0) for name in _DETACHED), "close_fds": True}
    try:
        with (run.folder / OUTPUT).open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - our own module
                [interpreter, *command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, **detached,
            )  # fmt: skip
    except OSError as error:
        write_status(run.folder, before)
        if isinstance(error, FileNotFoundError) and not run.folder.is_dir():
            raise OutputError(f"The folder {run.folder} of the run is gone.") from error
        raise EngineError(f"Python cannot be started for the training ({interpreter}): {error.strerror}.") from error
    for folder in [folder for folder, one in STARTED.items() if one.poll() is not None]:
        del STARTED[folder]
    STARTED[run.folder] = process
