"""What has changed, and the sentences on what went wrong: told to whoever shows them."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class Change(str, Enum):
    """What callbacks are told has changed."""

    VOLUME = "volume"  # another study, or none: show everything anew
    BOXES = "boxes"
    POINTS = "points"
    MASK = "mask"  # also the numbers
    SETTINGS = "settings"  # threshold, growth
    HISTORY = "history"  # what undo and redo would do
    SLICE = "slice"  # the displayed slice
    ENCODED = "encoded"  # background encoding went on
    PROGRESS = "progress"
    STATUS = "status"  # status, error, note, busy
    ENGINE = "engine"


class Notices:
    """The callbacks, and the two sentences of the step in hand.

    Attributes:
        error: what went wrong, empty if nothing did.
        note: what the step left out, or what the user should know of it.
    """

    def __init__(self) -> None:
        self.error = ""
        self.note = ""
        self._callbacks: list[Callable[[Change], None]] = []

    def on_changed(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``callback(what)`` after every change; it must be quick. Returns the function that ends this."""
        self._callbacks.append(callback)

        def remove() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return remove

    def tell(self, *changes: Change) -> None:
        """Tell every callback of each change."""
        for change in changes:
            for callback in list(self._callbacks):
                callback(change)

    def begin_step(self) -> None:
        """The user does something new: what was said of the step before is done with."""
        self.error = self.note = ""

    def say(self, *, error: str | None = None, note: str | None = None) -> None:
        """Say a sentence; None leaves the one that is there."""
        if error is not None:
            self.error = error
        if note is not None:
            self.note = note
        self.tell(Change.STATUS)

    def close(self) -> None:
        """Tell nobody any more."""
        self._callbacks.clear()
