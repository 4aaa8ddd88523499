"""Progress and cancelling: the two things that every long job takes."""

from __future__ import annotations

import threading
from typing import Protocol

from MyoScarSegLib.errors import Cancelled


class Progress(Protocol):
    """Called as ``progress(done, total, message)``."""

    def __call__(self, done: int, total: int, message: str) -> None:
        """``done`` of ``total`` steps are finished; ``message`` says which is next."""


def no_progress(done: int, total: int, message: str) -> None:
    """Report nothing."""


class CancelToken:
    """Asks a running job to stop. Safe to set from another thread or a signal handler; a token is not reused."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop before its next step."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise :class:`~MyoScarSegLib.errors.Cancelled` if :meth:`cancel` was called."""
        if self.cancelled:
            raise Cancelled()
