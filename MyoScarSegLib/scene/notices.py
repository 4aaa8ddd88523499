"""What has changed, and the sentences on what went wrong: told to whoever shows them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from MyoScarSegLib.scene.translation import _, slice_list
from MyoScarSegLib.utils.signal import Signal


class Change(str, Enum):
    """What callbacks are told has changed."""

    VOLUME = "volume"  # another study, or none: show everything anew
    BOXES = "boxes"
    POINTS = "points"
    MASK = "mask"  # also the numbers
    VENTRICLE = "ventricle"  # wall, blood pool, no-reflow, landmarks
    SETTINGS = "settings"  # threshold, growth
    HISTORY = "history"  # what undo and redo would do
    SLICE = "slice"  # the displayed slice
    ENCODED = "encoded"  # background encoding went on
    PROGRESS = "progress"
    STATUS = "status"  # status, error, note, busy
    ENGINE = "engine"


MEASURED = frozenset({Change.VOLUME, Change.MASK, Change.SETTINGS, Change.VENTRICLE})
"""After these, what is measured may be another."""


class Notices:
    """The callbacks, and the two sentences of the step in hand.

    Attributes:
        error: what went wrong, empty if nothing did.
        note: what the step left out, or what the user should know of it.
        changed: emits what has changed.
    """

    def __init__(self) -> None:
        self.error = ""
        self.note = ""
        self.changed = Signal()

    def tell(self, *changes: Change) -> None:
        """Emit each change."""
        for change in changes:
            self.changed.emit(change)

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
        self.changed.clear()


def kept_as_painted(slices: Sequence[int]) -> str:
    """That these slices were left alone because the user painted in them; empty if there are none."""
    if not slices:
        return ""
    return _("Kept as you painted: {slices}.").format(slices=slice_list(slices))
