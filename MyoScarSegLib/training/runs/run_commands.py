"""Commands to a running run: a small file that anybody writes and the run's process looks at.

A file and no signal: it reaches the process on every system, from another Slicer, and from the command line.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.utils.files import os_errors_as, read_json, write_json
from MyoScarSegLib.utils.progress import CancelToken

CONTROL = "control.json"
COMMANDS = PAUSE, STOP, CANCEL = "pause", "stop", "cancel"
"""A later one goes before an earlier one."""
_LOOK_S = 0.2
HEARTBEAT_S = 5.0
"""How often the process shows that it lives."""
SAFE_PLACE_S = 180.0
"""How long a training that is paused or stopped may take to its next safe place, which is after the step in hand, when its
checkpoint is written; after that its process is ended, and what it has learned since the last checkpoint is lost."""
AT_ONCE_S = 1.0
"""How long a training may take to end where there is nothing to keep."""


def write_command(folder: Path, command: str) -> None:
    """Leave a command for the process of the run in ``folder``."""
    write_json(folder / CONTROL, {"command": command, "time": round(time.time(), 3)})


def read_command(folder: Path) -> str | None:
    """The command that was left; None for none that this program knows."""
    try:
        document = read_json(folder / CONTROL, StudyError)
    except StudyError:
        return None
    command = document.get("command") if isinstance(document, dict) else None
    return command if command in COMMANDS else None


def clear_command(folder: Path) -> None:
    """Delete the command, so that no later process takes it for its own."""
    with os_errors_as(OutputError, f"Cannot remove {folder / CONTROL}"):
        (folder / CONTROL).unlink(missing_ok=True)


class CommandWatch:
    """Looks for commands in a thread of its own, and sees to it that they are carried out in time.

    Attributes:
        cancel: set as soon as there is a command; the training ends at its next step.
        command: the one that holds; None until there is one.
    """

    def __init__(
        self,
        folder: Path,
        hard_end: Callable[[str], None],
        *,
        timeout_s: Callable[[str], float] = lambda _command: SAFE_PLACE_S,
        received: Callable[[str], None] = lambda _command: None,
        heartbeat: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; :meth:`start` begins to look. All that is given is called in the thread.

        ``hard_end`` is called with a command when the training has not ended ``timeout_s(command)`` seconds after it; it ends the
        process, or else is called again a little later. ``received`` is called with each new command, and ``heartbeat`` every few
        seconds, to show that the process lives.
        """
        self.cancel = CancelToken()
        self.command: str | None = None
        self._folder, self._hard_end, self._timeout_s = folder, hard_end, timeout_s
        self._received, self._heartbeat = received, heartbeat
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True, name="commands to the run")
        self._began = 0.0

    def start(self) -> None:
        """Begin to look for commands, in a thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking: the training has ended by itself."""
        self._over.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def receive(self, command: str) -> None:
        """A command that came another way, such as a signal. Safe in a signal handler."""
        self._began = self._began or time.monotonic()
        if self.command is None or COMMANDS.index(command) > COMMANDS.index(self.command):
            self.command = command
        self.cancel.cancel()

    def _look(self) -> None:
        told, shown = None, time.monotonic()
        while not self._over.wait(_LOOK_S):
            if (command := read_command(self._folder)) is not None:
                self.receive(command)
            if self.command is not None and self.command != told:
                told = self.command
                self._received(told)
            if told is not None and time.monotonic() - self._began >= self._timeout_s(told):
                self._hard_end(told)
            if time.monotonic() - shown >= HEARTBEAT_S:
                shown = time.monotonic()
                self._heartbeat()
