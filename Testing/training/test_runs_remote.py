"""A run that is done on another computer: its folder with its data goes there, is trained by two processes, and comes back."""

from __future__ import annotations

import shutil
import sys

import pytest

from MyoScarSegLib.segmentation import load_segmenter
from MyoScarSegLib.training.runs import run_start
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.run_status import RunState
from MyoScarSegLib.training.runs.transfer import import_run
from Testing.support.run_factory import SPLIT, environment, settings, write_library
from Testing.support.tiny_training import tensors_of, write_start
from Testing.support.until import until
from Testing.training.test_runs_process import entries

pytestmark = pytest.mark.slow


def test_two_processes_elsewhere_train_what_one_here_would_and_it_comes_back(tmp_path):
    library = write_library(tmp_path / "library")
    write_start(tmp_path / "start.safetensors")
    run = Run.create(library.folder, settings(tmp_path / "start.safetensors"), SPLIT, name="run", with_data=True)
    alone = Run.create(library.folder, settings(tmp_path / "start.safetensors"), SPLIT, name="alone")
    (tmp_path / "there").mkdir()
    there = Run.open(shutil.copytree(run.folder, tmp_path / "there" / "run"))
    hidden = tmp_path / "not-there"
    library.folder.rename(hidden)  # the other computer has neither library nor start model
    (tmp_path / "start.safetensors").rename(tmp_path / "kept.safetensors")

    run_start.start(there, python=sys.executable, environment=environment(tmp_path), processes=2)
    until(lambda: there.status().state is not RunState.RUNNING, timeout_s=280)
    status = there.status()
    output = (there.folder / "output.txt").read_text()
    assert status.state is RunState.FINISHED, (status, output)
    assert "Traceback" not in output
    assert there.comparison.is_file() and status.notes == ()
    until(lambda: not there.alive())

    hidden.rename(library.folder)
    (tmp_path / "kept.safetensors").rename(tmp_path / "start.safetensors")
    back = import_run(there.folder, library.folder)
    assert (back.name, back.status().state) == ("run", RunState.FINISHED)
    assert load_segmenter(back.models()["segmenter"], device="cpu")
    run_start.start(alone, python=sys.executable, environment=environment(tmp_path))
    until(lambda: alone.status().state is not RunState.RUNNING, timeout_s=280)
    ours, theirs = (tensors_of(one.models()["segmenter"]) for one in (back, alone))
    assert all(bool(((ours[name] - theirs[name]).float().abs() < 2e-3).all()) for name in ours)
    assert [e["step"] for e in entries(back)] == [e["step"] for e in entries(alone)]
