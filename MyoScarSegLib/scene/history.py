"""Undo and redo over whole user actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.scene.translation import _

State = TypeVar("State")


@dataclass(frozen=True)
class Entry(Generic[State]):
    """One user action: what it is called, and the study before and after it."""

    label: str
    before: State
    after: State


class History(Generic[State]):
    """The user's actions on one study, the latest last; bounded in number and in bytes.

    A state is immutable and says all about boxes, points, masks and settings, so that an action is undone as a whole whatever
    parts it touched. Parts that an action did not change are shared between its two states, so they cost nothing.
    """

    def __init__(
        self,
        most: int = 100,
        most_bytes: int = 256 << 20,
        size: Callable[[State, State], int] = lambda before, after: 0,
    ) -> None:
        """
        Args:
            most: entries to keep.
            most_bytes: that all entries together may hold.
            size: bytes that an entry with these states holds beyond what its neighbors hold.
        """
        self._key = ""  # the latest entry may be joined by one with this key
        self._most = most
        self._most_bytes = most_bytes
        self._size = size
        self._done: list[Entry[State]] = []
        self._undone: list[Entry[State]] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is an action to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone action to do again."""
        return bool(self._undone)

    @property
    def labels(self) -> list[str]:
        """The actions that can be undone, the latest last."""
        return [entry.label for entry in self._done]

    @property
    def undo_label(self) -> str:
        """What undo would take back, empty if nothing."""
        return self._done[-1].label if self._done else ""

    @property
    def redo_label(self) -> str:
        """What redo would do again, empty if nothing."""
        return self._undone[-1].label if self._undone else ""

    def push(self, label: str, before: State, after: State, key: str = "", *, join: bool = False) -> None:
        """Record an action. What was undone before it can no longer be done again.

        With ``join`` it belongs to the latest action, if that has the same ``key``: the next value of a slider that is dragged.
        """
        if not (join and key and key == self._key and self.extend(after)):
            self._undone.clear()
            self._done.append(Entry(label, before, after))
            self._bound()
        self._key = key

    def extend(self, after: State) -> bool:
        """Let the latest action end in another state: what it led to belongs to it. Returns whether there is such an action."""
        if not self._done:
            return False
        self._undone.clear()
        self._done[-1] = replace(self._done[-1], after=after)
        self._bound()
        return True

    def undo(self, restore: Callable[[State], None]) -> str:
        """Undo the latest action through ``restore(state before it)``. Returns its label.

        Raises:
            SceneError: there is nothing to undo. An error of ``restore`` leaves the history as it was.
        """
        if not self._done:
            raise SceneError(
                _("There is nothing to undo. What was done before the scene was opened, or the study's volume changed, stays.")
            )
        entry = self._done[-1]
        restore(entry.before)
        self._undone.append(self._done.pop())
        self._key = ""
        return entry.label

    def redo(self, restore: Callable[[State], None]) -> str:
        """Do the latest undone action again through ``restore(state after it)``. Returns its label.

        Raises:
            SceneError: there is nothing to do again. An error of ``restore`` leaves the history as it was.
        """
        if not self._undone:
            raise SceneError(_("There is nothing to redo."))
        entry = self._undone[-1]
        restore(entry.after)
        self._done.append(self._undone.pop())
        self._key = ""
        return entry.label

    def clear(self) -> None:
        """Forget everything."""
        self._done.clear()
        self._undone.clear()
        self._key = ""

    def _bound(self) -> None:
        held = 0
        for kept, entry in enumerate(reversed(self._done)):
            held += self._size(entry.before, entry.after)
            if kept and (kept >= self._most or held > self._most_bytes):  # the latest action can always be undone
                del self._done[: len(self._done) - kept]
                return
