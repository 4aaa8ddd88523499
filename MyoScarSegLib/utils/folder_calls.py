"""Calls to a folder that may not answer: a network share that is gone does so after minutes, or never.

They are made in a thread, so that the application stays live, and waited for a little at each of its turns.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from typing import Any, TypeVar

T = TypeVar("T")
AT_ONCE_S = 0.002
"""For how long one turn waits for an answer; threads get little time in the application else."""
ANSWERS_S = 3.0
"""A folder that takes longer does not answer."""
Steps = Generator[Callable[[], Any], Any, T]
"""What is done with a folder: it yields calls, is sent what each returns, or thrown what it raises, and returns a ``T``."""


def in_thread(call: Callable[[], T]) -> Future[T]:
    """Make a call in a thread of its own, for which the end of the application does not wait."""
    made: Future[T] = Future()

    def make() -> None:
        try:
            made.set_result(call())
        except Exception as error:
            made.set_exception(error)

    threading.Thread(target=make, daemon=True, name="folder").start()  # not a pool's, for which the end would wait
    return made


class FolderCalls:
    """What is done with one folder, one after the other."""

    def __init__(self) -> None:
        self._steps: deque[Steps[Any]] = deque()
        self._call: Future[Any] | None = None
        self._called_s = 0.0

    @property
    def late(self) -> bool:
        """Whether the folder does not answer."""
        return self._call is not None and time.monotonic() - self._called_s > ANSWERS_S

    def begin(self, steps: Steps[Any]) -> None:
        """Do this after all that was begun before."""
        self._steps.append(steps)

    def poll(self) -> bool:
        """Go on as far as there are answers. Returns whether to call it again soon."""
        while self._steps:
            if self._call is not None:
                wait([self._call], AT_ONCE_S)
                if not self._call.done():
                    return not self.late
            self._go_on()
        return False

    def finish(self, seconds: float) -> None:
        """Go on to the end, for so long at most; what has no answer then is given up."""
        end = time.monotonic() + seconds
        while self._steps and time.monotonic() < end:
            self.poll()
        self._steps.clear()
        self._call = None

    def _go_on(self) -> None:
        steps, answered, self._call = self._steps.popleft(), self._call, None
        try:
            if answered is None:
                call = next(steps)
            elif (error := answered.exception()) is not None:
                call = steps.throw(error)
            else:
                call = steps.send(answered.result())
        except StopIteration:
            return
        self._steps.appendleft(steps)
        self._call, self._called_s = in_thread(call), time.monotonic()
