"""A task in a process of its own, for a caller that must not wait, and both of its sides.

The job goes in as a line of JSON by the standard input of the process, lines on progress and the result come back by its standard
output: nothing of a patient lies in a file on the way. The input also says whether the process is still wanted: when it is
closed, by a cancel or because the application is gone, the process ends at its next step.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import Cancelled, EngineError, MyoScarSegError
from MyoScarSegLib.utils.exit_status import how_it_ended
from MyoScarSegLib.utils.progress import CancelToken, Progress
from MyoScarSegLib.utils.task import CANCELLED, DONE, FAILED, RUNNING, Task, TaskProgress
from MyoScarSegLib.utils.transport import SubprocessTransport, Transport, TransportFactory, ignore_bytes, ignore_exit

Work = Callable[[dict[str, Any], Progress, CancelToken], Any]
"""``work(job, progress, cancel)``: what the process does; returns what is JSON-ready."""

CANCEL_S = 1.0
"""After a cancel, how long the process may take to end by itself; a user waits no longer for a button."""


class BackgroundTask(Task):
    """The caller's side: a task that a process does; one that ends without an answer is started again, once.

    Where the transport's events do not come by themselves, and for a cancel to be enforced, ask :meth:`poll` now and then.

    Attributes:
        job: that the process gets; JSON-ready.
        cancelling: whether :meth:`cancel` was called. What was finished before is the result then, if the work gives it.
    """

    def __init__(
        self, module: str, job: Mapping[str, Any], what: str = "", *, repeat: bool = True, cancel_s: float = CANCEL_S
    ) -> None:
        """Nothing is started before :meth:`start`.

        Args:
            module: ends with ``serve(work)``, see :func:`serve`.
            job: JSON-ready; what ``work`` is given.
            what: is done, in a word.
            repeat: start it again, once, if it ends without an answer.
            cancel_s: after a cancel, how long the process may take to end by itself.
        """
        super().__init__(what or module)
        self.job = job
        self.cancelling = False
        self._module = module
        self._may_repeat = repeat
        self._cancel_s = cancel_s
        self._answer: dict[str, Any] | None = None
        self._unread = b""
        self._cancelled_at = 0.0
        self._transport: Transport | None = None
        self._start: Callable[[], Transport] = self._none

    @property
    def pid(self) -> int | None:
        """Number of the process; None if it does not run."""
        return None if self._transport is None else self._transport.pid

    def start(
        self,
        *,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        transport: TransportFactory = SubprocessTransport,
    ) -> BackgroundTask:
        """Start the process and give it its job. Returns this task, which has failed if the interpreter cannot be started.

        Args:
            python: interpreter; this process's own if None.
            environment: of the process; this process's own if None.
            transport: what the process hangs on.
        """
        command = [python or sys.executable, "-u", "-X", "utf8", "-m", self._module]
        variables = environment_with_us(environment)
        job = json.dumps(self.job).encode() + b"\n"

        def start() -> Transport:
            carrier = transport(command, variables)
            carrier.on_bytes, carrier.on_exit = self._received, self._exited
            carrier.start()
            carrier.write(job)
            return carrier

        self._start = start
        self.state = RUNNING
        try:
            self._transport = start()
        except EngineError as error:
            self.finish(FAILED, error=error)
        return self

    def poll(self) -> bool:
        """Take what the process said since, and end one that does not heed a cancel. Returns whether the task has finished."""
        if self._transport is not None and not self.finished:
            self._transport.pump()
            if self.cancelling and time.monotonic() - self._cancelled_at > self._cancel_s:
                self.kill()
        return self.finished

    def cancel(self) -> None:
        """Ask the process to stop at its next step; what it finished stays written."""
        if self.finished or self.cancelling:
            return
        self.cancelling, self._cancelled_at = True, time.monotonic()
        if self._transport is None:
            self.finish(CANCELLED)
        else:
            self._transport.close()

    def kill(self) -> None:
        """End the process, and the task with it, at once."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.on_bytes, transport.on_exit = ignore_bytes, ignore_exit
            transport.close()
            transport.kill()
        self.finish(CANCELLED)

    def _received(self, data: bytes) -> None:
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            try:
                told = json.loads(line)
            except ValueError:  # something else than :func:`serve` wrote it
                continue
            if "progress" in told:
                done, total, message = told["progress"]
                self.advance(done, total, message, time.monotonic())
            else:
                self._answer = told

    def _exited(self, code: int, tail: str) -> None:
        if self._answer is not None and "error" not in self._answer:
            self.finish(DONE, result=self._answer["result"])
        elif self.cancelling:
            self.finish(CANCELLED)
        elif self._answer is not None:
            self.finish(FAILED, error=str(self._answer["error"]), log=tail)
        else:
            error = EngineError(f"The process that did it ended unexpectedly. {how_it_ended(code, tail)}")
            if self._may_repeat:
                self._may_repeat, self._unread = False, b""
                self.progress = TaskProgress(message="The process ended unexpectedly and was started again")
                with suppress(EngineError):
                    self._transport = self._start()
                    return
            self.finish(FAILED, error=error, log=tail)

    @staticmethod
    def _none() -> Transport:
        raise EngineError("It was not started yet.")


def environment_with_us(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment (this process's own if None) in which another Python finds this package."""
    environment = dict(os.environ if environment is None else environment)
    package = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(part for part in (package, environment.get("PYTHONPATH", "")) if part)
    environment["PYTHONSAFEPATH"] = "1"  # or a folder that happens to be the current one could hide a library
    return environment


def serve(work: Work) -> None:
    """The side of the process: do the job that standard input's first line is, and end the process.

    When standard input ends, the work's token is set. A :class:`MyoScarSegError` is told as its sentence, another error with its
    class; a cancel gives no result and status 0.
    """
    status = 1
    try:
        status = _serve(work)
    except BaseException:
        traceback.print_exc()
    with suppress(OSError):
        sys.stderr.flush()
    # A daemon thread that waits for standard input must not hold up the end of the process.
    os._exit(status)


def _serve(work: Work) -> int:
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # so that a library's print cannot end up among the lines
    alone = threading.Lock()

    def say(line: dict[str, Any]) -> None:
        with alone:
            lines.write(json.dumps(line) + "\n")
            lines.flush()

    def tell_progress(done: int, total: int, message: str) -> None:
        with suppress(OSError):  # nobody listens: then the input has ended, too
            say({"progress": [done, total, message]})

    job = json.loads(sys.stdin.buffer.readline())
    cancel = CancelToken()

    def watch() -> None:
        sys.stdin.buffer.read()  # returns when the caller closes it, or is gone
        cancel.cancel()

    threading.Thread(target=watch, daemon=True).start()
    try:
        result = work(job, tell_progress, cancel)
    except Cancelled:
        return 0
    except MyoScarSegError as error:
        say({"error": str(error)})
        return 1
    except Exception as error:  # a defect would be met again: that is an answer, and no death to be asked again after
        traceback.print_exc()
        say({"error": f"It ended with a defect: {type(error).__name__}: {error}".rstrip(": ")})
        return 1
    say({"result": result})
    return 0
