"""Slow work one after the other, each in a process of its own, asked after by :meth:`Chores.pump`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from MyoScarSegLib.engine.link import TransportFactory
from MyoScarSegLib.engine.task import ChildTask
from MyoScarSegLib.errors import MyoScarSegError

_MODULE = "MyoScarSegLib.training.chores"
_CANCEL_S = 1.0
"""After a cancel, how long a process may take to end by itself."""


@dataclass
class Chore:
    """One of them.

    Attributes:
        name: as :data:`MyoScarSegLib.training.chores.CHORES` has it.
        arguments: of the chore.
        what: what the user calls it, for ``busy``.
        done: called with the result when it is there.
        ended: called in any case, after ``done``.
        silent: not shown as busy; its failure is no matter of the user's.
    """

    name: str
    arguments: Mapping[str, Any]
    what: str
    done: Callable[[Any], None] = lambda _result: None
    ended: Callable[[], None] = lambda: None
    silent: bool = False
    state: str = "waiting"
    error: str = ""
    result: Any = None
    started: float = field(default=0.0)

    @property
    def finished(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self.state in ("done", "failed", "cancelled")


class Chores:
    """A queue of chores. A silent one waits until nobody else wants anything."""

    def __init__(
        self,
        python: str | None,
        environment: Mapping[str, str] | None,
        failed: Callable[[Chore], None],
        changed: Callable[[], None],
        transport: TransportFactory,
    ) -> None:
        """
        Args:
            python, environment: of the processes; this process's own if None.
            transport: what they hang on.
            failed: called with a chore that failed or was cancelled, unless it is silent.
            changed: called when ``current`` or ``progress`` may have changed.
        """
        self._python, self._environment, self._transport = python, environment, transport
        self._failed, self._changed = failed, changed
        self._queue: list[Chore] = []
        self._chore: Chore | None = None
        self._task: ChildTask | None = None
        self._cancelled_at: float | None = None

    def add(self, chore: Chore) -> Chore:
        """Have a chore done, after those that wait."""
        self._queue.append(chore)
        self._queue.sort(key=lambda one: one.silent)
        if not chore.silent and self._chore is not None and self._chore.silent and self._task is not None:
            self._task.kill()  # it begins again when nobody waits for anything
            self._chore.state = "waiting"
            self._queue.append(self._chore)
            self._task = self._chore = None
        self._changed()
        return chore

    @property
    def busy(self) -> bool:
        """Whether anything is being done, or waits for that."""
        return self._task is not None or bool(self._queue)

    @property
    def current(self) -> Chore | None:
        """The chore in hand that the user knows of, or the next one."""
        shown = [self._chore, *self._queue]
        return next((chore for chore in shown if chore is not None and not chore.silent), None)

    @property
    def progress(self) -> tuple[int, int, str, float | None]:
        """``(done, total, message, seconds left or None)`` of the current chore."""
        chore, task = self._chore, self._task
        if chore is None or task is None or chore.silent:
            return 0, 0, "", None
        done, total = task.progress.done, task.progress.total
        left = None
        if done and total > done:
            left = (time.monotonic() - chore.started) / done * (total - done)
        return done, total, task.progress.message, left

    def pump(self) -> None:
        """Look after the process in hand, and begin the next one."""
        if self._task is not None and self._chore is not None:
            before = self._task.progress
            if not self._task.poll():
                if self._cancelled_at is not None and time.monotonic() - self._cancelled_at > _CANCEL_S:
                    self._task.kill()
                elif self._task.progress != before and not self._chore.silent:
                    self._changed()
                return
            self._end(self._chore, self._task)
        if self._task is None and self._queue:
            self._begin(self._queue.pop(0))

    def cancel(self) -> None:
        """Cancel the chore in hand and all that wait, but for silent ones."""
        for chore in [chore for chore in self._queue if not chore.silent]:
            self._queue.remove(chore)
            self._over(chore, "cancelled")
        if self._task is not None and self._chore is not None and not self._chore.silent and self._cancelled_at is None:
            self._task.cancel()
            self._cancelled_at = time.monotonic()

    def close(self) -> None:
        """End all at once, without a word."""
        self._queue.clear()
        if self._task is not None:
            self._task.kill()
        self._task = self._chore = None

    def _begin(self, chore: Chore) -> None:
        job = {"chore": chore.name, "arguments": dict(chore.arguments)}
        try:
            self._task = ChildTask(_MODULE, job, python=self._python, environment=self._environment, transport=self._transport)
        except MyoScarSegError as error:
            chore.error = str(error)
            self._over(chore, "failed")
            return
        self._chore, self._cancelled_at = chore, None
        chore.state, chore.started = "running", time.monotonic()
        if not chore.silent:
            self._changed()

    def _end(self, chore: Chore, task: ChildTask) -> None:
        self._task = self._chore = None
        if task.result is not None:
            chore.result, chore.state = task.result, "done"
            try:
                chore.done(task.result)
            finally:
                chore.ended()
                self._changed()
        else:
            chore.error = task.error
            self._over(chore, "cancelled" if task.cancelled else "failed")

    def _over(self, chore: Chore, state: str) -> None:
        chore.state = state
        chore.ended()
        if not chore.silent:
            self._failed(chore)
        self._changed()
