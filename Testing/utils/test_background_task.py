"""Work in a process of its own: answers, errors, cancels, deaths of either side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from MyoScarSegLib.utils.background_task import BackgroundTask
from MyoScarSegLib.utils.task import FAILED
from Testing.conftest import REPOSITORY
from Testing.support.until import until

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def start(what: str, **more) -> BackgroundTask:
    return BackgroundTask("Testing.support.odd_task", {"what": what, **more}).start(environment=ENVIRONMENT)


def ended(what: str, **more) -> BackgroundTask:
    task = start(what, **more)
    until(task.poll)
    return task


def test_answer_comes_whole_whatever_else_is_printed():
    task = ended("answer", text="Späte Aufnahme " * 5000)
    assert task.result == {"got": "Späte Aufnahme " * 5000}
    assert (task.error, task.state, task.progress) == ("", "done", (1, 3, "begun", None))
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
    assert sentence in task.error and task.result is None and task.state == "failed"


def test_cancel_ends_it_without_an_error():
    task = start("wait")
    until(lambda: task.poll() or task.progress.done)
    assert not task.poll()
    task.cancel()
    until(task.poll)
    assert task.state == "cancelled" and not task.error and task.result is None


@pytest.mark.parametrize("way", ["cancel", "kill"])
def test_what_does_not_listen_is_ended_at_once_or_soon_after_a_cancel(way):
    task = start("deaf")
    until(lambda: task.poll() or task.progress.done)
    getattr(task, way)()
    assert task.finished == (way == "kill")
    until(task.poll)
    assert task.state == "cancelled" and not task.error


def test_killed_by_somebody_else_it_is_started_again_once_and_then_has_an_error():
    task = start("deaf")
    pids = []
    for _ in range(2):
        until(lambda: task.poll() or (task.progress.done and task.pid))
        pids.append(task.pid)
        os.kill(task.pid, signal.SIGKILL)
        until(lambda: task.poll() or not task.progress.done)
    until(task.poll)
    assert "ended unexpectedly" in task.error and len(set(pids)) == 2


def test_process_that_dies_once_gives_its_answer_the_second_time(tmp_path):
    task = ended("die once", mark=str(tmp_path / "mark"))
    assert task.result == "alive" and not task.error


def test_defect_is_not_tried_again(tmp_path):
    ended("break", mark=str(tmp_path / "mark"))
    assert (tmp_path / "mark").read_text() == "once"


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_nothing_of_a_patient_lies_in_a_file_or_an_argument_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environment = {**ENVIRONMENT, "TMPDIR": str(tmp_path)}
    task = BackgroundTask("Testing.support.odd_task", {"what": "deaf", "text": "Mueller^Hans"}).start(environment=environment)
    until(lambda: task.poll() or task.progress.done)
    assert not list(tmp_path.rglob("*"))
    assert b"Mueller" not in Path(f"/proc/{task.pid}/cmdline").read_bytes()
    task.kill()


def test_what_cannot_be_started_says_so():
    task = BackgroundTask("Testing.support.odd_task", {}).start(python="/no/such/python")
    assert task.state == FAILED and "cannot be started" in task.error


PARENT = """
    import os, signal
    from MyoScarSegLib.utils.background_task import BackgroundTask
    task = BackgroundTask("Testing.support.odd_task", {"what": "wait"}).start()
    while not task.progress.done:
        task.poll()
    print(task.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_process_ends_when_its_parent_is_killed(tmp_path):
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

    until(gone)
