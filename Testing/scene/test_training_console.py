"""The calls of a script on training library, trainings and models: each returns when its work is done."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from MyoScarSegLib.engine.client import EngineSettings
from MyoScarSegLib.errors import Cancelled, MyoScarSegError
from MyoScarSegLib.scene.training import trainings
from MyoScarSegLib.scene.training.training_console import TrainingConsole
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.run_status import RunState
from Testing.support.run_factory import settings
from Testing.support.tiny_training import write_start
from Testing.support.training_workflow_factory import add_ring_study


@pytest.fixture
def console(training, tiny_detector, tiny_segmenter):
    training.workflow.configure(EngineSettings(segmenter=tiny_segmenter, detector=tiny_detector))
    turns: list[int] = []
    made = TrainingConsole(training, lambda: turns.append(1))
    made.turns = turns
    return made


def test_studies_are_added_and_found_by_the_command_line(console, scene, command, tmp_path):
    volume, labels = add_ring_study(scene, 1)
    library = tmp_path / "library"
    with pytest.raises(MyoScarSegError, match="folder of the training library"):
        console.addToLibrary(volume, patient="P001")
    assert console.addToLibrary(volume, patient="P001", library=library, reviewer="AB", tags=["mine"], reviewed=[0, 1]) == "P001"
    assert console.turns, "the application's events were not processed meanwhile"
    with pytest.raises(MyoScarSegError, match="already as case P001"):
        console.addToLibrary(volume)
    other, _labels = add_ring_study(scene, 2)
    assert console.addToLibrary(other) == "P002", "the next free code"
    assert console.training.workflow.volume_node is None, "the study in hand stays what it was"
    case = Library.open(library).cases()[0]
    assert (case.reviewer, case.tags, case.reviewed) == ("AB", ("mine",), (0, 1))
    assert np.array_equal(Library.open(library).load(case).labels, labels)
    run = command("library", "list", library)
    assert run.status == 0
    assert "P001" in run.out
    assert "P002" in run.out
    with pytest.raises(MyoScarSegError, match="none"):
        console.addToLibrary(None)


@pytest.mark.slow
def test_a_folder_is_imported_and_each_case_accounted_for(console, filled, tmp_path):
    found = console.importToLibrary([filled], library=tmp_path / "library")
    assert {case["status"] for case in found} == {"added"}
    assert len(found) == 5
    assert {case["status"] for case in console.importToLibrary(str(filled))} == {"same"}, "one folder need not be in a list"
    (nothing,) = console.importToLibrary([tmp_path / "nothing"])
    assert (nothing["status"], nothing["case"]) == ("problem", "")
    assert nothing["message"]


def test_what_makes_no_sense_is_raised(console, filled, tmp_path):
    with pytest.raises(MyoScarSegError, match="no training library"):
        console.runs(tmp_path / "none")
    assert console.runs(filled) == []
    with pytest.raises(MyoScarSegError, match="no model called"):
        console.useModel("no-such-model")
    with pytest.raises(MyoScarSegError, match="has 'wrong', which"):
        console.train({"wrong": 1})
    with pytest.raises(MyoScarSegError, match="two patients"):
        console.training.open_library(tmp_path / "empty", create=True)
        volume, _labels = add_ring_study(console.training.scene, 1)
        console.addToLibrary(volume)
        console.train()


def test_training_draws_the_split_that_is_not_there(console, filled, tmp_path, monkeypatch):
    library = shutil.copytree(filled, tmp_path / "library")
    started: list[Run] = []
    monkeypatch.setattr(trainings.Run, "start", lambda run, **_how: started.append(run))
    run = console.train({"preset": "quick"}, library=library)
    assert started == [run]
    assert run.settings.preset == "quick"
    assert Library.open(library).split_manifest() == run.split
    assert console.runs() == [run]
    again = console.train()
    assert again is not run
    assert len(console.runs()) == 2


@pytest.mark.slow
def test_a_script_trains_compares_and_uses_the_model(console, filled, tmp_path):
    pytest.importorskip("accelerate")
    library = shutil.copytree(filled, tmp_path / "library")
    start = write_start(tmp_path / "start.safetensors")
    told = []
    run = console.train(settings(start), wait=True, progress=lambda *step: told.append(step), library=library)
    assert told
    assert run.status().state is RunState.FINISHED
    assert console.compareRun(run)["verdict"]["sentence"]
    assert console.useModel(run) == run.name == console.useModel(run.name)
    with pytest.raises(Cancelled):
        console.train(settings(start, epochs=60), wait=True, progress=lambda *_step: console.training.trainings.cancel_run())
