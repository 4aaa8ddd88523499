"""One thing asked of the worker, from asking to its end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from MyoScarSegLib import errors
from MyoScarSegLib.errors import Cancelled, EngineError, MyoScarSegError

if TYPE_CHECKING:
    from MyoScarSegLib.engine.client import Engine
    from MyoScarSegLib.engine.protocol import Message
    from MyoScarSegLib.study.study import Study

_log = logging.getLogger(__name__)

WAITING = "waiting"
RUNNING = "running"
DONE = "done"
FAILED = "failed"
CANCELLED = "cancelled"


class RequestProgress(NamedTuple):
    """How far a request is: ``done`` of ``total`` steps; ``seconds_left`` is None where nothing can be said yet."""

    done: int = 0
    total: int = 0
    message: str = ""
    seconds_left: float | None = None


class Request:
    """What :class:`~MyoScarSegLib.engine.client.Engine` gives for everything asked. Callbacks come from its ``pump`` alone.

    Attributes:
        id: number.
        what: ``encode``, ``propose``, ``segment``, ``models`` or ``device_test``.
        study: that it is about; None where there is none.
        background: nobody waits for it: it gives way to others.
        state: ``waiting``, ``running``, ``done``, ``failed`` or ``cancelled``.
        progress: ``(done, total, message, seconds_left)``.
        result: after ``done``; what it is depends on ``what``.
        error: after ``failed``: a sentence.
        log: after ``failed``: what there is to copy into a report.
    """

    def __init__(
        self,
        engine: Engine,
        number: int,
        fields: dict[str, Any],
        read: Callable[[Message], Any],
        *,
        study: Study | None = None,
        background: bool = False,
    ) -> None:
        """
        Args:
            engine: that made it.
            number: its own.
            fields: of the frame that asks for it.
            read: makes the result of the worker's answer.
            study: that it is about.
            background: nobody waits for it.
        """
        self.id = number
        self.what = str(fields["what"])
        self.study = study
        self.read = read
        self.background = background
        self.state = WAITING
        self.progress = RequestProgress()
        self.result: Any = None
        self.error = ""
        self.log = ""
        self.fields = {"type": "request", "id": number, **fields}
        #: Workers that ended while they were at it.
        self.crashes = 0
        #: Whether a worker that had it ended without an answer, whatever it was at.
        self.repeated = False
        #: Seconds that the worker has taken so far to answer a cancel; None if it was not asked to.
        self.cancelling_s: float | None = None
        self._engine = engine
        self._kind = ""
        self._done: list[Callable[[Request], None]] = []
        self._progress: list[Callable[[Request], None]] = []
        self._phase = ("", 0, 0.0)

    @property
    def finished(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self.state in (DONE, FAILED, CANCELLED)

    def cancel(self) -> None:
        """Ask for its end, which comes within a second. Harmless if it has finished."""
        self._engine.cancel(self)

    def on_done(self, callback: Callable[[Request], None]) -> None:
        """Call ``callback(request)`` once it is done, failed or cancelled; at the next ``pump`` if it is already."""
        if self.finished:
            self._engine.later(lambda: _call(callback, self))
        else:
            self._done.append(callback)

    def on_progress(self, callback: Callable[[Request], None]) -> None:
        """Call ``callback(request)`` whenever :attr:`progress` has changed."""
        self._progress.append(callback)

    def value(self) -> Any:
        """The result of a finished request.

        Raises:
            Cancelled: it was cancelled.
            MyoScarSegError: it failed; of the class that the worker raised (``ModelError``, ``PromptError``, ...).
        """
        if self.state == CANCELLED:
            raise Cancelled()
        if self.state == FAILED:
            kind = getattr(errors, self._kind, EngineError)
            raise kind(self.error) if isinstance(kind, type) and issubclass(kind, MyoScarSegError) else EngineError(self.error)
        return self.result

    def advance(self, done: int, total: int, message: str, now: float) -> None:
        """Take in a progress report of the worker, at the time ``now`` in seconds."""
        phase = message.split(":")[0]
        if phase != self._phase[0] or done < self._phase[1]:
            self._phase = (phase, done, now)
        _, first, began = self._phase
        left = (now - began) / (done - first) * (total - done) if done > first else None
        self.progress = RequestProgress(done, total, message, left)
        for callback in list(self._progress):
            _call(callback, self)

    def finish(self, state: str, *, result: Any = None, error: str = "", log: str = "", kind: str = "") -> None:
        """Bring it to its end; the callbacks follow at the next turn of ``pump``. Ignored if it has ended."""
        if self.finished:
            return
        self.state, self.result, self.error, self.log, self._kind = state, result, error, log, kind
        callbacks, self._done = self._done, []
        self._progress.clear()
        for callback in callbacks:
            self._engine.later(lambda callback=callback: _call(callback, self))  # type: ignore[misc]


def _call(callback: Callable[[Request], None], request: Request) -> None:
    try:
        callback(request)
    except Exception:  # a caller's fault must not cost the other requests
        _log.exception("What was to follow %s failed", request.what)
