"""Work in a process of its own, asked for by a caller that must not wait: both sides of it.

The child's standard input says whether it is still wanted: when it is closed, by a cancel or because the parent is gone, the
child ends at its next step. Progress comes as lines of JSON in a file, which needs no thread and cannot block either side.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from MyoScarSegLib.errors import Cancelled, MyoScarSegError, OutputError
from MyoScarSegLib.progress import CancelToken, Progress

Work = Callable[[dict[str, Any], Progress, CancelToken], Any]
"""``work(job, progress, cancel)``: what a child does; returns what is JSON-ready."""


@dataclass(frozen=True)
class ChildProgress:
    """How far a child is: ``done`` of ``total`` steps of what ``message`` names."""

    done: int = 0
    total: int = 0
    message: str = ""


class ChildTask:
    """A running child process. Ask :meth:`poll` now and then.

    Attributes:
        progress: as of the last poll.
        result: what the child gave, after its end; None if it gave nothing.
        error: sentence, if it failed.
        cancelled: :meth:`cancel` or :meth:`kill` was called.
    """

    def __init__(
        self, module: str, job: Mapping[str, Any], *, python: str | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start ``python -m MODULE JOB.json``.

        Args:
            module: ends with ``serve(work)``, see :func:`serve`.
            job: JSON-ready; what ``work`` is given.
            python: interpreter; this process's own if None.
            environment: of the child; this process's own if None.

        Raises:
            OutputError: the job cannot be written.
            MyoScarSegError: the interpreter cannot be started.
        """
        self.progress = ChildProgress()
        self.result: Any = None
        self.error = ""
        self.cancelled = False
        self._ended = self._answered = False
        self._unread = b""
        self._files: list[BinaryIO] = []
        self._process: subprocess.Popen[bytes] | None = None
        text = json.dumps(job)
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="myoscarseg-")
        except OSError as error:
            raise OutputError(f"No temporary folder can be made: {error.strerror}. Free some space.") from error
        folder = Path(self._folder.name)
        try:
            (folder / "job.json").write_text(text, encoding="utf-8")
            self._errors = self._opened(folder / "errors.txt", "w+b")
            self._lines = self._opened(folder / "lines.json", "w+b")
            self._reader = self._opened(folder / "lines.json", "rb")
        except OSError as error:
            self._close()
            raise OutputError(f"Cannot write {folder}: {error.strerror}. Free some space.") from error
        try:
            self._process = subprocess.Popen(  # noqa: S603 (our own module)
                [python or sys.executable, "-m", module, str(folder / "job.json")],
                stdin=subprocess.PIPE,
                stdout=self._lines,
                stderr=self._errors,
                env=environment_with_us(environment),
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            self._close()
            raise MyoScarSegError(f"Python cannot be started ({python or sys.executable}): {error.strerror}.") from error

    @property
    def pid(self) -> int:
        """Number of the process."""
        assert self._process is not None  # noqa: S101 - an object without one was never made
        return self._process.pid

    def poll(self) -> bool:
        """Read what the child wrote since. Returns whether it has ended."""
        if self._ended or self._process is None:
            return True
        status = self._process.poll()
        self._unread += self._reader.read()
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            self._take(line)
        if status is None:
            return False
        self._ended = True
        if not self._answered and not self.cancelled:
            self._errors.seek(0)
            tail = self._errors.read().decode(errors="replace").strip().splitlines()
            self.error = f"The process that did it ended unexpectedly (status {status}). {tail[-1] if tail else ''}".strip()
        self._close()
        return True

    def cancel(self) -> None:
        """Ask the child to stop at its next step; what it finished stays written."""
        self.cancelled = True
        self._close_input()

    def kill(self) -> None:
        """End the child at once."""
        if not self._ended and self._process is not None:
            self.cancelled = True
            self._process.kill()
            self._process.wait()
            self.poll()

    def _take(self, line: bytes) -> None:
        try:
            told = json.loads(line)
        except ValueError:  # torn by a full disk; a child that could not say its result ends with an error
            return
        if "progress" in told:
            self.progress = ChildProgress(*told["progress"])
            return
        self._answered = True
        if "result" in told:
            self.result = told["result"]
        else:
            self.error = told["error"]

    def _opened(self, path: Path, mode: str) -> BinaryIO:
        file = cast(BinaryIO, path.open(mode))
        self._files.append(file)
        return file

    def _close_input(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def _close(self) -> None:
        for file in self._files:
            file.close()
        self._close_input()
        # What a virus scanner holds open on Windows is left to the system.
        shutil.rmtree(self._folder.name, ignore_errors=True)
        with suppress(OSError):
            self._folder.cleanup()


def environment_with_us(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment (this process's own if None) in which a child's Python finds this package."""
    environment = dict(os.environ if environment is None else environment)
    package = str(Path(__file__).resolve().parents[1])
    environment["PYTHONPATH"] = os.pathsep.join(part for part in (package, environment.get("PYTHONPATH", "")) if part)
    return environment


def serve(work: Work) -> None:
    """The child's side: do what the job file in ``sys.argv[1]`` says, and end the process.

    A :class:`MyoScarSegError` is told as its sentence; a cancel gives no result and status 0.
    """
    status = 1
    try:
        status = _served(work, Path(sys.argv[1]))
    except BaseException:  # whatever it is, the parent is told its last line
        traceback.print_exc()
    with suppress(OSError):
        sys.stderr.flush()
    # A daemon thread that waits for standard input must not hold up the end of the process.
    os._exit(status)


def _served(work: Work, job_file: Path) -> int:
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # so that a library's print cannot end up among the lines

    def say(line: dict[str, Any]) -> None:
        lines.write(json.dumps(line) + "\n")
        lines.flush()

    def tell_progress(done: int, total: int, message: str) -> None:
        with suppress(OSError):  # a full disk must not stop the work for a line about it
            say({"progress": [done, total, message]})

    cancel = CancelToken()

    def watch() -> None:
        sys.stdin.buffer.read()  # returns when the parent closes it, or is gone
        cancel.cancel()

    threading.Thread(target=watch, daemon=True).start()
    job = json.loads(job_file.read_text(encoding="utf-8"))
    try:
        result = work(job, tell_progress, cancel)
    except Cancelled:
        return 0
    except MyoScarSegError as error:
        say({"error": str(error)})
        return 1
    say({"result": result})
    return 0
