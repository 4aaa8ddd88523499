"""Calls to a folder that may not answer: in their order, with what they return or raise, and never waited for too long."""

from __future__ import annotations

import threading

import pytest

from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.utils import folder_calls
from MyoScarSegLib.utils.folder_calls import FolderCalls


def refuse() -> None:
    raise OutputError("The folder is full.")


def test_steps_are_done_one_after_the_other_with_what_calls_return_or_raise(monkeypatch):
    monkeypatch.setattr(folder_calls, "AT_ONCE_S", 30.0)
    calls, done = FolderCalls(), []

    def steps(name: str):
        done.append((name, (yield lambda: name.upper())))
        with pytest.raises(OutputError, match="full"):
            yield refuse
        done.append((name, "end"))

    for name in ("a", "b"):
        calls.begin(steps(name))
    assert done == [], "not before the next turn"
    assert not calls.poll()
    assert done == [("a", "A"), ("a", "end"), ("b", "B"), ("b", "end")]


def test_a_folder_that_does_not_answer_is_late_and_given_up_at_the_end(monkeypatch):
    answers, calls, done = threading.Event(), FolderCalls(), []

    def steps():
        yield answers.wait
        done.append("too late")

    calls.begin(steps())
    assert calls.poll() and not calls.late
    monkeypatch.setattr(folder_calls, "ANSWERS_S", 0.0)
    assert not calls.poll() and calls.late
    calls.finish(0.0)
    answers.set()
    assert not calls.poll() and not calls.late and done == []
