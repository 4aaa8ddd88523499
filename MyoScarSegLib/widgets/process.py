"""Other programs on a ``QProcess``: in the application, threads that read pipes starve, and a full pipe would block the panel."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from typing import Any

import qt

from MyoScarSegLib.errors import EngineError
from MyoScarSegLib.utils.transport import TAIL_BYTES, ignore_bytes, ignore_exit
from MyoScarSegLib.widgets.text import _

_running: set[Any] = set()
"""Kept until they have ended: a QProcess that nothing refers to is deleted at once, and blocks until its program is gone."""


class QProcessTransport:
    """A :class:`~MyoScarSegLib.utils.transport.Transport` whose callbacks come from Qt's event loop, not from :meth:`pump`.

    Writing never blocks: what the worker does not read yet waits in the QProcess.
    """

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        """For a program with its arguments, and the whole environment of the process."""
        self.on_bytes: Callable[[bytes], None] = ignore_bytes
        self.on_exit: Callable[[int, str], None] = ignore_exit
        self._command = command
        self._tail = b""
        self._ended = False
        variables = qt.QProcessEnvironment()
        for name, value in environment.items():
            variables.insert(name, value)
        self._process = qt.QProcess()
        self._process.setProcessEnvironment(variables)
        self._process.connect("readyReadStandardOutput()", self._read_output)
        self._process.connect("readyReadStandardError()", self._read_errors)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._failed)

    @property
    def pid(self) -> int | None:
        """Number of the process; None if it does not run."""
        return int(self._process.processId()) or None

    def start(self) -> None:
        """Start the process; that it cannot be started is told by ``on_exit``."""
        _running.add(self)
        self._process.start(self._command[0], self._command[1:])

    def write(self, data: bytes) -> None:  # noqa: D102 (of the protocol)
        if not self._ended and self._process.state() != qt.QProcess.NotRunning:
            self._process.write(qt.QByteArray(data))

    def pump(self) -> None:
        """Do nothing: Qt's event loop brings everything."""

    def close(self) -> None:  # noqa: D102 (of the protocol)
        if self._process.state() != qt.QProcess.NotRunning:
            self._process.closeWriteChannel()

    def kill(self) -> None:  # noqa: D102 (of the protocol)
        if self._process.state() != qt.QProcess.NotRunning:
            self._process.kill()

    def wait_for_end(self, seconds: float) -> None:
        """Block until the process has ended; only for when nobody looks at the panel any more."""
        self._process.waitForFinished(int(seconds * 1000))

    def stderr_tail(self) -> str:  # noqa: D102 (of the protocol)
        return self._tail.decode(errors="replace")

    def _read_output(self) -> None:
        data = self._process.readAllStandardOutput().data()
        if data:
            self.on_bytes(data)

    def _read_errors(self) -> None:
        self._tail = (self._tail + self._process.readAllStandardError().data())[-TAIL_BYTES:]

    def _finished(self, code: int, status: int) -> None:
        self._read_output()
        self._read_errors()
        # Qt gives the signal's number as the code of a process that was killed; here that is negative, as in subprocess.
        self._end(-abs(code) if status == qt.QProcess.CrashExit else code)

    def _failed(self, error: int) -> None:
        if error == qt.QProcess.FailedToStart:
            sentence = _("Python cannot be started ({program}): {why}").format(
                program=self._command[0], why=self._process.errorString()
            )
            self._tail = (self._tail + sentence.encode())[-TAIL_BYTES:]
            self._end(127)

    def _end(self, code: int) -> None:
        if self._ended:
            return
        self._ended = True
        _running.discard(self)
        # A connected method keeps its object alive, and the process this one: without this neither would ever go.
        process = self._process
        process.disconnect("readyReadStandardOutput()", self._read_output)
        process.disconnect("readyReadStandardError()", self._read_errors)
        process.disconnect("finished(int,QProcess::ExitStatus)", self._finished)
        process.disconnect("errorOccurred(QProcess::ProcessError)", self._failed)
        # Qt is still at work in it when it says that it could not be started.
        qt.QTimer.singleShot(0, lambda process=process: None)
        self.on_exit(code, self.stderr_tail())


def wait_for_killed(seconds: float) -> None:
    """Wait until the processes that were killed have ended, before the application itself does."""
    for transport in list(_running):
        transport.wait_for_end(seconds)


def python_of_slicer() -> str:
    """The interpreter to run the worker with: PythonSlicer, which knows the application's own packages.

    Raises:
        EngineError: it is not found.
    """
    found = shutil.which("PythonSlicer") or sys.executable
    if not found:
        raise EngineError(_("Slicer's Python interpreter (PythonSlicer) is not found. Install Slicer again."))
    return found
