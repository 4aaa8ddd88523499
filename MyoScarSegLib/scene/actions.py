"""One thing the user asked for that takes a while: how far it is, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError

RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"


class Action:
    """What :meth:`Workflow.propose` and its like return at once; it ends later, when the workflow is pumped.

    Attributes:
        name: ``"propose"``, ``"segment"`` or ``"process"``.
        state: ``"running"``, ``"done"``, ``"failed"`` or ``"cancelled"``.
        result: what the method promises, once done.
        error: a sentence for the user, if failed; also for a cancelled one that something else ended (the volume was deleted).
        cause: the error with this sentence, if failed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = RUNNING
        self.result: Any = None
        self.error = ""
        self.cause: MyoScarSegError | None = None
        self._callbacks: list[Callable[[Action], None]] = []

    @property
    def finished(self) -> bool:
        """Whether it has ended, one way or another."""
        return self.state != RUNNING

    def on_done(self, callback: Callable[[Action], None]) -> None:
        """Call ``callback(action)`` when it ends; at once if it has."""
        if self.finished:
            callback(self)
        else:
            self._callbacks.append(callback)

    def end(self, state: str, *, result: Any = None, error: str = "", cause: MyoScarSegError | None = None) -> None:
        """End it; a second end is ignored, because a late answer may follow a cancel."""
        if self.finished:
            return
        self.state, self.result, self.error, self.cause = state, result, error, cause
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)
