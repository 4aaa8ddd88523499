"""One thing that goes on and ends: its state, how far it is, what it gave or why it failed, and a way to cancel it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from MyoScarSegLib.errors import Cancelled, MyoScarSegError
from MyoScarSegLib.utils.signal import Signal

_log = logging.getLogger(__name__)

PENDING, RUNNING, DONE, FAILED, CANCELLED = "pending", "running", "done", "failed", "cancelled"


class TaskProgress(NamedTuple):
    """How far a task is: ``done`` of ``total`` steps; ``seconds_left`` is None where nothing can be said yet."""

    done: int = 0
    total: int = 0
    message: str = ""
    seconds_left: float | None = None


class Task:
    """What every kind of work has in common, whatever carries it.

    Attributes:
        what: is done, in a word: ``segment``, ``propose``, ...
        state: ``pending``, ``running``, ``done``, ``failed`` or ``cancelled``.
        progress: as of the last report.
        result: once it is done; what it is depends on the task.
        error: sentence, once it has failed; of a cancelled one why, if something else than the user ended it.
        cause: the error of that sentence, once it has failed.
        log: once it has failed, what there is to copy into a report.
    """

    def __init__(self, what: str = "", state: str = PENDING) -> None:
        self.what = what
        self.state = state
        self.progress = TaskProgress()
        self.result: Any = None
        self.error = ""
        self.cause: MyoScarSegError | None = None
        self.log = ""
        self._ended = Signal()
        self._moved = Signal()
        self._phase = ("", 0, 0.0)

    @property
    def finished(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self.state in (DONE, FAILED, CANCELLED)

    def cancel(self) -> None:
        """Ask for its end, which comes within a second. Harmless if it has finished."""
        self.finish(CANCELLED)

    def on_done(self, callback: Callable[[Any], None]) -> None:
        """Call ``callback(task)`` once it is done, failed or cancelled; also if it is already. An error in it is logged."""
        if self.finished:
            self._deliver(lambda: self._call(callback))
        else:
            self._ended.connect(lambda: self._call(callback))

    def on_progress(self, callback: Callable[[Any], None]) -> None:
        """Call ``callback(task)`` whenever :attr:`progress` has changed. An error in it is logged."""
        self._moved.connect(lambda: self._call(callback))

    def value(self) -> Any:
        """The result of a finished task.

        Raises:
            Cancelled: it was cancelled.
            MyoScarSegError: it failed, of the class that the work raised (``ModelError``, ``PromptError``, ...).
        """
        if self.state == CANCELLED:
            raise Cancelled(*([self.error] if self.error else []))
        if self.cause is not None:
            raise self.cause
        return self.result

    def advance(self, done: int, total: int, message: str, now: float) -> None:
        """Take a report of progress, at the time ``now`` in seconds."""
        phase = message.split(":")[0]
        if phase != self._phase[0] or done < self._phase[1]:
            self._phase = (phase, done, now)
        _, first, began = self._phase
        left = (now - began) / (done - first) * (total - done) if done > first else None
        self.report(TaskProgress(done, total, message, left))

    def report(self, progress: TaskProgress) -> None:
        """Take a progress whose time left is known already."""
        self.progress = progress
        self._moved.emit()

    def finish(self, state: str, *, result: Any = None, error: str | MyoScarSegError = "", log: str = "") -> None:
        """Bring it to its end. Ignored if it has ended, because a late answer may follow a cancel."""
        if self.finished:
            return
        self.state, self.result, self.error, self.log = state, result, str(error), log
        if state == FAILED:
            self.cause = error if isinstance(error, MyoScarSegError) else MyoScarSegError(error)
        self._moved.clear()
        self._deliver(self._ended.emit)

    def _deliver(self, call: Callable[[], None]) -> None:
        """When the callbacks of the end are called: at once, unless a kind of task has another time for it."""
        call()

    def _call(self, callback: Callable[[Any], None]) -> None:
        try:
            callback(self)
        except Exception:  # a caller's fault must not cost the others
            _log.exception("What was to follow %s failed", self.what)
