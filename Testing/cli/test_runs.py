"""``myoscarseg runs`` and ``train --resume``."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from MyoScarSegLib.cli import runs as cli
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.run_status import RunState, RunStatus, write_status
from Testing.support.run_factory import SPLIT, settings, write_library
from Testing.support.tiny_training import write_start


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    library = write_library(folder / "library")
    SPLIT.write(library.folder / "split.json")
    write_start(folder / "start.safetensors")
    return folder


@pytest.fixture
def library(made, tmp_path) -> Path:
    return Library.open(shutil.copytree(made / "library", tmp_path / "library")).folder


def test_a_run_is_planned_listed_shown_cancelled_and_removed(made, library, command):
    options = [
        "--mode",
        "decoder",
        "--preset",
        "quick",
        "--start-segmenter",
        str(made / "start.safetensors"),
        "--set",
        "copies=1",
    ]
    ran = command("runs", "new", str(library), *options, "--name", "mine")
    assert ran.status == 0 and "train --resume" in ran.out
    assert Run.open(library / "runs" / "mine").settings.options["copies"] in (1, "1")
    ran = command("runs", "list", str(library))
    assert (ran.status, ran.out) == (0, "mine: planned\n")
    ran = command("runs", "show", str(library), "mine")
    assert ran.status == 0 and "3 patients train, 2 validate" in ran.out
    document = json.loads(command("runs", "show", str(library), "mine", "--json").out)
    assert document["status"]["state"] == "planned" and document["settings"]["preset"] == "quick"
    assert command("runs", "pause", str(library), "mine").status == 1
    ran = command("runs", "cancel", str(library), "mine")
    assert (ran.status, ran.out) == (0, "mine: cancelled\n")
    ran = command("runs", "start", str(library), "mine")
    assert ran.status == 1 and "Repeat it as a new run" in ran.err
    ran = command("train", "--resume", str(library / "runs" / "mine"))
    assert ran.status == 1 and "Repeat it as a new run" in ran.err
    assert command("runs", "remove", str(library), "mine").status == 0
    assert "no run yet" in command("runs", "list", str(library)).out


def test_commands_that_are_said_can_be_pasted_where_a_folder_has_a_space(made, library, command):
    spaced = library.rename(library.with_name("Meine Bücherei"))
    ran = command("runs", "new", str(spaced), "--start-segmenter", str(made / "start.safetensors"), "--name", "mine")
    said = [shlex.split(line.partition("myoscarseg ")[2]) for line in ran.out.splitlines() if "myoscarseg " in line]
    assert said == [["runs", "start", str(spaced), "mine"], ["train", "--resume", str(spaced / "runs" / "mine")]]


def test_what_is_not_there_is_said(library, command, tmp_path):
    for words, said in {
        ("runs", "show", str(library), "none"): "it has: none",
        ("runs", "show", str(library), "../up"): "no run",
        ("runs", "list", str(tmp_path)): "no training library",
        ("train", "--resume", str(tmp_path)): "no training run",
        ("runs", "new", str(library), "--start-segmenter", str(tmp_path / "x.safetensors")): "no model",
        ("runs", "import", str(tmp_path), str(library)): "no training run",
    }.items():
        ran = command(*words)
        assert ran.status == 1 and said in ran.err, words
    assert command("train").status == 2
    (library / "split.json").unlink()
    assert "library split" in command("runs", "new", str(library)).err


def test_a_run_that_was_done_elsewhere_is_imported(made, library, command, tmp_path):
    run = Run.create(library, settings(made / "start.safetensors"), SPLIT, name="mine", with_data=True)
    shutil.copytree(run.folder, tmp_path / "away")
    write_status(tmp_path / "away", RunStatus(RunState.PAUSED, seconds=5.0))
    ran = command("runs", "import", str(tmp_path / "away"), str(library))
    assert ran.status == 0 and "paused" in ran.out
    assert run.status().state is RunState.PAUSED


def test_one_line_says_where_a_run_stands():
    best = {"segmenter": {"epoch": 3, "end_to_end_dice": 0.612}}
    running = RunStatus(
        RunState.RUNNING, "steps", "segmenter", 5, 20, epoch=1, epochs=4, seconds=30.0, seconds_left=300.0, best=best
    )
    assert cli.line_of(running) == (
        "running, segmenter steps, epoch 1 of 4, 5/20, about 5 min left, worked 30 s, best segmenter Dice 0.612 (epoch 3)"
    )
    assert cli.line_of(RunStatus(RunState.FAILED, error="No space.")) == "failed, No space."
