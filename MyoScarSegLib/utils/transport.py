"""How bytes get to another process and back.

Who talks with it knows only :class:`Transport`. :class:`SubprocessTransport` serves scripts, tests and the command line; in the
application, where threads starve, a process object of Qt's does (see ``MyoScarSegLib.widgets``).
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from typing import IO, Protocol

from MyoScarSegLib.errors import EngineError
from MyoScarSegLib.utils.files import os_errors_as

#: How much of what the worker wrote to its standard error is kept for the log, bytes.
TAIL_BYTES = 32 << 10
_PIECE_BYTES = 1 << 16


def ignore_bytes(data: bytes) -> None:
    """Do nothing with what came in."""


def ignore_exit(code: int, stderr_tail: str) -> None:
    """Do nothing about the end."""


class Transport(Protocol):
    """A worker process and the pipes to it. All methods are called in one thread, and so must be the callbacks.

    The callbacks may be called from :meth:`pump` or straight from an event of the application. Both are set before
    :meth:`start`.

    Attributes:
        on_bytes: called with what the worker wrote to its standard output, in pieces of any size.
        on_exit: called once, after the last bytes, with the exit status (negative: the signal's number) and the end of what the
            worker wrote to its standard error.
    """

    on_bytes: Callable[[bytes], None]
    on_exit: Callable[[int, str], None]

    @property
    def pid(self) -> int | None:
        """Number of the process that was started; None if it does not run."""

    def start(self) -> None:
        """Start the process; EngineError if it cannot be started. Where that is known only later, ``on_exit`` says it."""

    def write(self, data: bytes) -> None:
        """Send ``data``, now or later; never blocks, also if the worker does not read. Ignored after the end."""

    def pump(self) -> None:
        """Call the callbacks for what has happened. Does nothing where events come by themselves."""

    def close(self) -> None:
        """Close the worker's standard input, upon which it leaves; what was written before is sent first."""

    def kill(self) -> None:
        """End the process at once. Harmless if it has ended."""

    def stderr_tail(self) -> str:
        """The end of what the worker has written to its standard error so far."""


TransportFactory = Callable[[list[str], dict[str, str]], Transport]
"""Called as ``factory(command, environment)``; gives a process that is not started yet."""


class SubprocessTransport:
    """A worker on :mod:`subprocess`. Three threads move the bytes; the callbacks are called by :meth:`pump` alone."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.on_bytes: Callable[[bytes], None] = ignore_bytes
        self.on_exit: Callable[[int, str], None] = ignore_exit
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._out: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._in: deque[bytes | int] = deque()
        self._tail = b""
        self._arrived = threading.Event()

    @property
    def pid(self) -> int | None:
        """Number of the process; None if it does not run."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    def start(self) -> None:  # noqa: D102 (of the protocol)
        with os_errors_as(EngineError, f"Python cannot be started ({self._command[0]})"):
            process = subprocess.Popen(  # noqa: S603 (our own worker)
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=self._environment,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        self._process = process
        assert process.stdin and process.stdout and process.stderr  # noqa: S101 (pipes were asked for)
        errors = threading.Thread(target=self._read_errors, args=(process.stderr,), daemon=True, name="engine-stderr")
        errors.start()
        threading.Thread(target=self._write_all, args=(process.stdin,), daemon=True, name="engine-stdin").start()
        threading.Thread(target=self._read_all, args=(process, errors), daemon=True, name="engine-stdout").start()

    def write(self, data: bytes) -> None:  # noqa: D102 (of the protocol)
        self._out.put(data)

    def pump(self) -> None:  # noqa: D102 (of the protocol)
        self._arrived.clear()
        while self._in:
            item = self._in.popleft()
            if isinstance(item, int):
                self.on_exit(item, self.stderr_tail())
            else:
                self.on_bytes(item)

    def wait(self, seconds: float) -> None:
        """Sleep until something has arrived, at most ``seconds``."""
        self._arrived.wait(seconds)

    def close(self) -> None:  # noqa: D102 (of the protocol)
        self._out.put(None)

    def kill(self) -> None:  # noqa: D102 (of the protocol)
        self._out.put(None)
        if self._process is not None:
            self._process.kill()

    def stderr_tail(self) -> str:  # noqa: D102 (of the protocol)
        return self._tail.decode(errors="replace")

    def _write_all(self, pipe: IO[bytes]) -> None:
        # The worker may end at any time; that it did is told by the thread that reads.
        with contextlib.suppress(OSError):
            while (data := self._out.get()) is not None:
                rest = memoryview(data)
                while rest:
                    rest = rest[pipe.write(rest) :]
        with contextlib.suppress(OSError):
            pipe.close()

    def _read_all(self, process: subprocess.Popen[bytes], errors: threading.Thread) -> None:
        assert process.stdout is not None  # noqa: S101 (a pipe was asked for)
        with process.stdout as pipe:
            while data := os.read(pipe.fileno(), _PIECE_BYTES):
                self._in.append(data)
                self._arrived.set()
        code = process.wait()
        errors.join(1.0)  # a grandchild may hold the pipe open for longer
        self._out.put(None)
        self._in.append(code)
        self._arrived.set()

    def _read_errors(self, pipe: IO[bytes]) -> None:
        with pipe:
            while data := os.read(pipe.fileno(), _PIECE_BYTES):
                self._tail = (self._tail + data)[-TAIL_BYTES:]
