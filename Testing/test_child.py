"""Work in a process of its own: answers, errors, cancels, deaths of either side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from MyoScarSegLib import child
from MyoScarSegLib.child import ChildProgress, ChildTask
from MyoScarSegLib.errors import MyoScarSegError, OutputError
from Testing.conftest import REPOSITORY
from Testing.run_factory import wait_for

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def start(what: str, **more) -> ChildTask:
    return ChildTask("Testing.odd_child", {"what": what, **more}, environment=ENVIRONMENT)


def ended(what: str, **more) -> ChildTask:
    task = start(what, **more)
    wait_for(task.poll)
    return task


def test_answer_comes_whole_whatever_else_is_printed():
    task = ended("answer", text="Späte Aufnahme " * 5000)
    assert task.result == {"got": "Späte Aufnahme " * 5000}
    assert (task.error, task.cancelled, task.progress) == ("", False, ChildProgress(1, 3, "begun"))
    assert task.poll(), "it may be asked again"


def test_nothing_is_an_answer_too():
    task = ended("nothing")
    assert task.result is None and not task.error


@pytest.mark.parametrize(
    ("what", "sentence"),
    [("refuse", "The study is no study."), ("break", "ValueError: half of it was missing"), ("die", "ended unexpectedly")],
)
def test_failure_is_told_as_a_sentence(what, sentence):
    task = ended(what)
    assert sentence in task.error and task.result is None and not task.cancelled


def test_cancel_ends_it_without_an_error():
    task = start("wait")
    wait_for(lambda: task.poll() or task.progress.done)
    assert not task.poll()
    task.cancel()
    wait_for(task.poll)
    assert task.cancelled and not task.error and task.result is None


def test_kill_ends_at_once_what_does_not_listen():
    task = start("deaf")
    wait_for(lambda: task.poll() or task.progress.done)
    begun = time.monotonic()
    task.kill()
    assert task.poll() and time.monotonic() - begun < 2 and task.cancelled and not task.error


def test_killed_by_somebody_else_it_has_an_error():
    task = start("deaf")
    wait_for(lambda: task.poll() or task.progress.done)
    os.kill(task.pid, signal.SIGKILL)
    wait_for(task.poll)
    assert "ended unexpectedly" in task.error


def test_it_leaves_no_files(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended("answer", text="a")
    task = start("deaf")
    assert list(tmp_path.iterdir())
    task.kill()
    assert not list(tmp_path.iterdir())


def test_line_torn_by_a_full_disk_is_passed_over(monkeypatch):
    task = start("answer", text="a")
    whole = json.loads
    monkeypatch.setattr(child.json, "loads", lambda line: whole(line[:-3] if b"begun" in line else line))
    wait_for(task.poll)
    assert task.result == {"got": "a"} and task.progress == ChildProgress()


def test_what_cannot_be_started_says_so(monkeypatch):
    with pytest.raises(MyoScarSegError, match="cannot be started"):
        ChildTask("Testing.odd_child", {}, python="/no/such/python")

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "TemporaryDirectory", full)
        with pytest.raises(OutputError, match="No space left"):
            start("answer")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(OutputError, match="No space left"):
            start("answer")


PARENT = """
    import os, signal
    from MyoScarSegLib.child import ChildTask
    task = ChildTask("Testing.odd_child", {"what": "wait"})
    while not task.progress.done:
        task.poll()
    print(task.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_child_ends_when_its_parent_is_killed(tmp_path):
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PARENT)],
        cwd=REPOSITORY, env={**ENVIRONMENT, "TMPDIR": str(tmp_path)}, capture_output=True, timeout=60,
    )  # fmt: skip
    assert told.returncode == -signal.SIGKILL
    pid = int(told.stdout)

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
        except OSError:
            return True

    wait_for(gone)
