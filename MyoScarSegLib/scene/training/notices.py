"""What has changed in the training tab, told to whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class TrainChange(str, Enum):
    """What callbacks are told has changed."""

    LIBRARY = "library"  # the folder or its cases
    SPLIT = "split"
    RUN = "run"  # the run that is shown, or where it stands
    CURVES = "curves"  # also the examples
    RUNS = "runs"  # the list of runs
    MODELS = "models"  # the models there are, and the one in use
    STATE = "state"  # busy, progress, error, note, advice, estimate, preview


class TrainNotices:
    """The callbacks, and the sentences of the step in hand.

    Attributes:
        error: what went wrong, empty if nothing did.
        note: what the user should know of the last step.
    """

    def __init__(self) -> None:
        self.error = ""
        self.note = ""
        self._callbacks: list[Callable[[TrainChange], None]] = []

    def on_changed(self, callback: Callable[[TrainChange], None]) -> Callable[[], None]:
        """Call ``callback(what)`` after every change; it must be quick. Returns the function that ends this."""
        self._callbacks.append(callback)

        def remove() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return remove

    def tell(self, *changes: TrainChange) -> None:
        """Tell every callback of each change."""
        for change in changes:
            for callback in list(self._callbacks):
                callback(change)

    def say(self, *, error: str = "", note: str = "") -> None:
        """Say what came of the step in hand; what was said of the one before is done with."""
        self.error, self.note = error, note
        self.tell(TrainChange.STATE)

    def close(self) -> None:
        """Tell nobody any more."""
        self._callbacks.clear()
