"""Undo over whole states, bounded in number and bytes."""

from __future__ import annotations

import pytest

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.scene.history import History


def test_oldest_entries_are_forgotten_first():
    history: History[int] = History(most=3)
    for state in range(5):
        history.push(str(state), state, state + 1)
    assert history.labels == ["2", "3", "4"]
    heavy: History[int] = History(most_bytes=100, size=lambda before, after: 40)
    for state in range(5):
        heavy.push(str(state), state, state + 1)
    assert heavy.labels == ["3", "4"]


def test_latest_action_can_be_undone_however_large_it_is():
    history: History[int] = History(most_bytes=10, size=lambda before, after: 1000)
    history.push("a", 0, 1)
    history.push("b", 1, 2)
    assert history.labels == ["b"]


def test_extending_keeps_one_entry():
    history: History[int] = History()
    assert not history.extend(5)
    history.push("edit", 0, 1)
    assert history.extend(2)
    at: list[int] = []
    history.undo(at.append)
    history.redo(at.append)
    assert at == [0, 2]
    history.undo(at.append)
    assert not history.extend(9)
    assert history.can_redo, "what could not be extended must not cost the redo"


def test_restoring_that_fails_leaves_the_history():
    def fail(_state: int) -> None:
        raise SceneError("locked")

    history: History[int] = History()
    history.push("a", 0, 1)
    with pytest.raises(SceneError, match="locked"):
        history.undo(fail)
    assert history.can_undo and not history.can_redo
    history.undo(lambda _: None)
    with pytest.raises(SceneError, match="locked"):
        history.redo(fail)
    assert history.can_redo and not history.can_undo
