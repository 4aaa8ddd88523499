"""Progress and cancelling: the two things that every long job takes."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import Protocol, TypeVar

from MyoScarSegLib.errors import Cancelled

_T = TypeVar("_T")


class Progress(Protocol):
    """Called as ``progress(done, total, message)``."""

    def __call__(self, done: int, total: int, message: str) -> None:
        """``done`` of ``total`` steps are finished; ``message`` says which is next."""


def no_progress(done: int, total: int, message: str) -> None:
    """Report nothing."""


def of_part(progress: Progress, part: str) -> Progress:
    """The progress of a part of the work, whose messages begin with its name."""
    return lambda done, total, message: progress(done, total, f"{part}: {message}")


class CancelToken:
    """Asks a running job to stop. Safe to set from another thread or a signal handler; a token is not reused."""

    def __init__(self, timeout_s: float | None = None) -> None:
        """
        Args:
            timeout_s: seconds after which it is set by itself; None for never.
        """
        self._event = threading.Event()
        self._until = math.inf if timeout_s is None else time.monotonic() + timeout_s

    def cancel(self) -> None:
        """Ask the job to stop before its next step."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called, or the time is over."""
        return self._event.is_set() or time.monotonic() >= self._until

    def wait(self) -> None:
        """Wait until :meth:`cancel` is called."""
        self._event.wait()

    def raise_if_cancelled(self) -> None:
        """Raise :class:`~MyoScarSegLib.errors.Cancelled` if it is set."""
        if self.cancelled:
            raise Cancelled()


def check_cancel(cancel: CancelToken | None) -> None:
    """Raise :class:`~MyoScarSegLib.errors.Cancelled` if there is a token and it is set."""
    if cancel is not None:
        cancel.raise_if_cancelled()


def steps(
    items: Collection[_T], message: Callable[[_T], str], progress: Progress, cancel: CancelToken | None = None
) -> Iterator[_T]:
    """The items, one after the other; before each ``cancel`` is honored and ``progress`` called with ``message(item)``.

    Raises:
        Cancelled: the token was set.
    """
    for done, item in enumerate(items):
        check_cancel(cancel)
        progress(done, len(items), message(item))
        yield item
    progress(len(items), len(items), "done")


def duration(seconds: float) -> str:
    """A time as people say it: ``40 s``, ``12 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds, -1) if seconds > 20 else round(seconds)):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
