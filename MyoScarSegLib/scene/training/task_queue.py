"""Background tasks one after the other, asked after by :meth:`TaskQueue.pump`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from MyoScarSegLib.utils.background_task import BackgroundTask
from MyoScarSegLib.utils.task import CANCELLED, DONE, FAILED


class TrainingTask(BackgroundTask):
    """One of :data:`MyoScarSegLib.training.background_work.TASKS`, by its ``name``; ``what`` it does is the state's ``busy``.

    The queue calls ``done(result)`` when the result is there, and then, in any case, ``ended()``.
    """

    def __init__(
        self,
        name: str,
        arguments: Mapping[str, Any],
        what: str = "",
        done: Callable[[Any], None] = lambda _result: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__("MyoScarSegLib.training.background_work", {"task": name, "arguments": dict(arguments)}, what)
        self.name = name
        self.done = done
        self.ended = ended


class TaskQueue:
    """The tasks that the user waits for."""

    def __init__(self, processes: Mapping[str, Any], failed: Callable[[TrainingTask], None], changed: Callable[[], None]) -> None:
        """``processes`` is what a task is started with. ``failed(task)`` is called with one that failed or was cancelled,
        ``changed()`` when ``current`` or ``progress`` may have changed.
        """
        self._processes, self._failed, self._changed = processes, failed, changed
        self._waiting: list[TrainingTask] = []
        self._running: TrainingTask | None = None

    def add(self, task: TrainingTask) -> TrainingTask:
        """Have a task done, after those that wait."""
        self._waiting.append(task)
        self._changed()
        return task

    @property
    def current(self) -> TrainingTask | None:
        """The task in hand, or the next one."""
        return next((task for task in [self._running, *self._waiting] if task is not None), None)

    @property
    def progress(self) -> tuple[int, int, str, float | None]:
        """``(done, total, message, seconds left or None)`` of the task in hand."""
        return (0, 0, "", None) if self._running is None else self._running.progress

    def pump(self) -> None:
        """Look after the task in hand, and begin the next one."""
        running = self._running
        if running is not None:
            before = running.progress
            if not running.poll():
                if running.progress != before:
                    self._changed()
                return
            self._running = None
            self._end(running)
        if self._running is None and self._waiting:
            self._running = self._waiting.pop(0)
            self._running.start(**self._processes)
            self._changed()

    def cancel(self) -> None:
        """Cancel the task in hand and all that wait."""
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            task.cancel()
            self._end(task)
        if self._running is not None:
            self._running.cancel()

    def close(self) -> None:
        """End all at once, without a word."""
        self._waiting.clear()
        if self._running is not None:
            self._running.kill()
        self._running = None

    def _end(self, task: TrainingTask) -> None:
        try:
            if task.state == DONE:
                task.done(task.result)
        finally:
            task.ended()
            if task.state in (FAILED, CANCELLED):
                self._failed(task)
            self._changed()
