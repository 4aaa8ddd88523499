"""Background tasks one after the other, asked after by :meth:`TaskQueue.pump`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.utils.background_task import BackgroundTask
from MyoScarSegLib.utils.task import CANCELLED, DONE, FAILED
from MyoScarSegLib.utils.transport import TransportFactory


class QueuedTask(BackgroundTask):
    """One of them.

    Attributes:
        name: as :data:`MyoScarSegLib.training.background_work.TASKS` has it.
        what: what the user calls it, for ``busy``.
        done: called with the result when it is there; by :meth:`TaskQueue.pump`.
        ended: called in any case, after ``done``.
        silent: not shown as busy; its failure is no matter of the user's.
    """

    def __init__(
        self,
        name: str,
        arguments: Mapping[str, Any],
        what: str,
        done: Callable[[Any], None] = lambda _result: None,
        ended: Callable[[], None] = lambda: None,
        silent: bool = False,
    ) -> None:
        super().__init__("MyoScarSegLib.training.background_work", {"task": name, "arguments": dict(arguments)}, what)
        self.name = name
        self.done = done
        self.ended = ended
        self.silent = silent


class TaskQueue:
    """A silent task waits until nobody else wants anything."""

    def __init__(
        self,
        python: str | None,
        environment: Mapping[str, str] | None,
        failed: Callable[[QueuedTask], None],
        changed: Callable[[], None],
        transport: TransportFactory,
    ) -> None:
        """``failed(task)`` is called with one that failed or was cancelled, unless it is silent.

        ``changed()`` is called when ``current`` or ``progress`` may have changed.
        """
        self._python, self._environment, self._transport = python, environment, transport
        self._failed, self._changed = failed, changed
        self._waiting: list[QueuedTask] = []
        self._running: QueuedTask | None = None

    def add(self, task: QueuedTask) -> QueuedTask:
        """Have a task done, after those that wait."""
        self._waiting.append(task)
        self._waiting.sort(key=lambda one: one.silent)
        running = self._running
        if not task.silent and running is not None and running.silent and not running.finished:
            running.put_back()  # it begins again when nobody waits for anything
            self._waiting.append(running)
            self._running = None
        self._changed()
        return task

    @property
    def busy(self) -> bool:
        """Whether anything is being done, or waits for that."""
        return self._running is not None or bool(self._waiting)

    @property
    def current(self) -> QueuedTask | None:
        """The task in hand that the user knows of, or the next one."""
        return next((task for task in [self._running, *self._waiting] if task is not None and not task.silent), None)

    @property
    def progress(self) -> tuple[int, int, str, float | None]:
        """``(done, total, message, seconds left or None)`` of the current task."""
        running = self._running
        return (0, 0, "", None) if running is None or running.silent else running.progress

    def pump(self) -> None:
        """Look after the task in hand, and begin the next one."""
        running = self._running
        if running is not None:
            before = running.progress
            if not running.poll():
                if running.progress != before and not running.silent:
                    self._changed()
                return
            self._running = None
            self._end(running)
        if self._running is None and self._waiting:
            self._begin(self._waiting.pop(0))

    def cancel(self) -> None:
        """Cancel the task in hand and all that wait, but for silent ones."""
        for task in [task for task in self._waiting if not task.silent]:
            self._waiting.remove(task)
            task.cancel()
            self._end(task)
        if self._running is not None and not self._running.silent:
            self._running.cancel()

    def close(self) -> None:
        """End all at once, without a word."""
        self._waiting.clear()
        if self._running is not None:
            self._running.kill()
        self._running = None

    def _begin(self, task: QueuedTask) -> None:
        try:
            task.start(python=self._python, environment=self._environment, transport=self._transport)
        except MyoScarSegError as error:
            task.finish(FAILED, error=error)
            self._end(task)
            return
        self._running = task
        if not task.silent:
            self._changed()

    def _end(self, task: QueuedTask) -> None:
        try:
            if task.state == DONE:
                task.done(task.result)
        finally:
            task.ended()
            if task.state in (FAILED, CANCELLED) and not task.silent:
                self._failed(task)
            self._changed()
