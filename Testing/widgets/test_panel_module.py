"""The module as a whole: its own self-tests, reload, and the dialog that installs what the networks need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

import pytest

from MyoScarSegLib.installation.choices import Memory, Remembered
from MyoScarSegLib.installation.installer import Installer
from MyoScarSegLib.installation.requirements import wanted

REPOSITORY = Path(__file__).resolve().parents[2]


SELF_TESTS = [
    "test_panelWithoutVolume", "test_wrongVolumeIsASentence", "test_consoleCalls", "test_buttons", "test_sceneClosedInMidWork",
    "test_folderOfStudies", "test_training",
]  # fmt: skip
SLOW = ("test_buttons", "test_consoleCalls", "test_folderOfStudies", "test_training")
IN_THE_APPLICATION = {"test_sampleData"}
"""The module Sample Data is no stand-in's; see test_sample_data.py for what is asked of it."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in SELF_TESTS])
def test_self_test(opened, name):
    from Testing.self_test import SelfTest

    result = unittest.TestResult()
    SelfTest(name).run(result)
    assert [text for _test, text in result.failures + result.errors] == []
    assert result.skipped == []


def test_all_self_tests_are_run_here(opened):
    found = opened.code.load_tests(unittest.defaultTestLoader, None, None)
    assert {test.id().rpartition(".")[2] for test in found} == {*SELF_TESTS, *IN_THE_APPLICATION}


class StandinTransport:
    """A child process that says what it is told to."""

    def __init__(self, command):
        self.command = command
        self.on_bytes = self.on_exit = lambda *_: None
        self.closed = False
        self.written = b""

    def start(self):
        pass

    def write(self, data):
        self.written += data

    def pump(self):
        pass

    def close(self):
        self.closed = True

    def kill(self):
        self.closed = True


def report(missing: bool) -> bytes:
    """What the process beside Slicer finds in a Slicer with, or without, the packages."""
    names = [] if missing else [requirement.name for requirement in wanted()]
    found = {
        "packages": {name: {"name": name, "version": "99.0", "whole": True} for name in ["numpy", "simpleitk", *names]},
        "modules": [], "index": "", "folder": "/here", "writable": True, "free_bytes": 10**12,
        "computer": {"system": "Linux", "machine": "x86_64"},
    }  # fmt: skip
    return said(result=found)


def said(**line: Any) -> bytes:
    return json.dumps(line).encode() + b"\n"


@pytest.fixture
def dialog(opened, tmp_path, monkeypatch):
    """The installation dialog on a child process that the test plays."""
    from MyoScarSegLib.widgets.packages import InstallDialog

    monkeypatch.setenv("MYOSCARSEG_CACHE", str(tmp_path))
    started: list[StandinTransport] = []
    done: list[str] = []

    def factory(command, environment):
        started.append(StandinTransport(command))
        return started[-1]

    def answer(missing: bool) -> None:
        started[-1].on_bytes(report(missing))
        started[-1].on_exit(0, "")

    stopped = []
    installer = Installer("python", factory, loaded=tuple)
    shown = InstallDialog(opened.panel.form, before=lambda: stopped.append(True), after=done.append, installer=installer)
    shown.started, shown.done, shown.answer, shown.stopped = started, done, answer, stopped
    yield shown
    shown.close()


def test_dialog_says_what_how_large_and_from_where_before_anything_is_done(dialog):
    dialog.show("propose")
    dialog.answer(missing=True)
    text = dialog.ui.installText.text
    assert "torch" in text
    assert "Download about" in text
    assert "From:" in text
    assert "processor" in text
    assert dialog.ui.installStartButton.enabled
    assert [json.loads(t.written) for t in dialog.started] == [{}], "it was looked, and no more"


def test_installing_goes_on_with_what_was_asked_for(dialog):
    dialog.show("propose")
    dialog.answer(missing=True)
    dialog.ui.installStartButton.click()
    assert dialog.stopped == [True], "the worker must not hold files that are replaced"
    assert dialog.ui.installCancelButton.text == "Cancel"
    while json.loads(dialog.started[-1].written):
        dialog.started[-1].on_bytes(said(progress=[0, 0, "Successfully installed something"]) + said(result=0))
        dialog.started[-1].on_exit(0, "")
    dialog.answer(missing=False)
    assert dialog.done == [True]
    assert "installed" in dialog.ui.installText.text


def test_cancelled_installation_is_said_and_can_be_begun_again(dialog):
    dialog.show("propose")
    dialog.answer(missing=True)
    dialog.ui.installStartButton.click()
    running = dialog.started[-1]
    dialog.ui.installCancelButton.click()
    assert running.closed
    assert "cancelled" in dialog.ui.installText.text
    assert dialog.ui.installStartButton.enabled
    assert dialog.done == []


def test_failure_shows_the_log(dialog):
    dialog.show("propose")
    dialog.answer(missing=True)
    dialog.ui.installStartButton.click()
    dialog.started[-1].on_bytes(said(progress=[0, 0, "ERROR: No space left on device"]) + said(result=1))
    dialog.started[-1].on_exit(0, "")
    assert "No space left on device" in dialog.ui.installLog.plainText
    assert dialog.ui.copyInstallLogButton.visible
    assert dialog.ui.installText.text


def test_installation_that_was_broken_off_is_told_and_gone_on_with(opened, tmp_path, monkeypatch):
    from MyoScarSegLib.widgets import packages

    monkeypatch.setenv("MYOSCARSEG_CACHE", str(tmp_path))
    monkeypatch.setattr(packages, "missing_now", lambda training: ["torch"])
    panel, asked = opened.panel, []
    own = panel.segment.packages

    class Dialog:
        def show(self, action):
            asked.append(action)

        def close(self):
            pass

    monkeypatch.setattr(own, "missing", True)
    monkeypatch.setattr(own, "_dialog", Dialog())
    try:
        panel.exit()
        panel.enter()
        opened.settle()
        assert "not finished" not in opened.ui.errorLabel.text, "nothing was begun"
        Memory().write(Remembered(unfinished=True, action="segment"))
        panel.exit()
        panel.enter()
        opened.settle()
        assert "not finished" in opened.ui.errorLabel.text
        opened.click("installButton")
        assert asked == ["segment"]
    finally:
        own.go_on_with(None, "")
        panel.segment.status.say_error("")
        opened.settle()


@pytest.mark.slow
def test_panel_needs_nothing_that_slicer_lacks(tmp_path):
    """Neither torch, matplotlib nor Pillow is in Slicer's own process; torchvision would even bring it down."""
    environment = {**os.environ, "MYOSCARSEG_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "Testing.support.panel_without_networks", tmp_path]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
