"""A piece of work in a process of its own, for a caller that must not wait. The child's side: :mod:`MyoScarSegLib.utils.child`.

The job goes in by the child's standard input and its answer comes back by its standard output: nothing of a patient lies in a
file on the way. The input also says whether the child is still wanted: when it is closed, by a cancel or because the parent is
gone, the child ends at its next step.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from MyoScarSegLib.engine.endings import how_it_ended
from MyoScarSegLib.engine.link import TransportFactory
from MyoScarSegLib.engine.transport import SubprocessTransport, Transport, ignore_bytes, ignore_exit
from MyoScarSegLib.errors import EngineError
from MyoScarSegLib.utils.child import environment_with_us


@dataclass(frozen=True)
class ChildProgress:
    """How far a child is: ``done`` of ``total`` steps of what ``message`` names."""

    done: int = 0
    total: int = 0
    message: str = ""


class ChildTask:
    """A running child process; one that ends without an answer is started again, once. Ask :meth:`poll` now and then.

    Attributes:
        progress: as of the last poll.
        result: what the child gave, after its end; None if it gave nothing.
        error: sentence, if it failed.
        cancelled: :meth:`cancel` or :meth:`kill` was called.
    """

    def __init__(
        self,
        module: str,
        job: Mapping[str, Any],
        *,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        transport: TransportFactory = SubprocessTransport,
    ) -> None:
        """Start ``python -m MODULE`` and give it its job.

        Args:
            module: ends with ``serve(work)``, see :func:`MyoScarSegLib.utils.child.serve`.
            job: JSON-ready; what ``work`` is given.
            python: interpreter; this process's own if None.
            environment: of the child; this process's own if None.
            transport: what the process hangs on.

        Raises:
            EngineError: the interpreter cannot be started.
        """
        self.progress = ChildProgress()
        self.result: Any = None
        self.error = ""
        self.cancelled = False
        self._ended = self._answered = self._repeated = False
        self._unread = b""
        self._job = json.dumps(job).encode() + b"\n"
        self._command = [python or sys.executable, "-m", module]
        self._environment = environment_with_us(environment)
        self._factory = transport
        self._transport = self._started()

    @property
    def pid(self) -> int | None:
        """Number of the process; None if it does not run."""
        return self._transport.pid

    def poll(self) -> bool:
        """Take in what the child said since. Returns whether it has ended."""
        if not self._ended:
            self._transport.pump()
        return self._ended

    def cancel(self) -> None:
        """Ask the child to stop at its next step; what it finished stays written."""
        self.cancelled = True
        self._transport.close()

    def kill(self) -> None:
        """End the child at once."""
        if not self._ended:
            self.cancelled = self._ended = True
            self._transport.on_bytes, self._transport.on_exit = ignore_bytes, ignore_exit
            self._transport.close()
            self._transport.kill()

    def _started(self) -> Transport:
        transport = self._factory(self._command, self._environment)
        transport.on_bytes, transport.on_exit = self._take_in, self._exited
        transport.start()
        transport.write(self._job)
        return transport

    def _take_in(self, data: bytes) -> None:
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            try:
                told = json.loads(line)
            except ValueError:  # something else than :func:`serve` wrote it
                continue
            if "progress" in told:
                self.progress = ChildProgress(*told["progress"])
                continue
            self._answered = True
            self.result, self.error = told.get("result"), told.get("error", "")

    def _exited(self, code: int, tail: str) -> None:
        if not self._answered and not self.cancelled:
            self.error = f"The process that did it ended unexpectedly. {how_it_ended(code, tail)}"
            if not self._repeated:
                self._repeated, self._unread = True, b""
                self.progress = ChildProgress(message="The process ended unexpectedly and was started again")
                try:
                    self._transport = self._started()
                except EngineError:
                    pass
                else:
                    self.error = ""
                    return
        self._ended = True
