"""The training tab's trainings and models without the panel, on real MRML with real processes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from MyoScarSegLib.scene.training import trainings
from MyoScarSegLib.scene.training.training_workflow import TrainingWorkflow
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.run_status import RunState, RunStatus, write_status
from MyoScarSegLib.training.train_settings import TrainSettings
from Testing.support.run_factory import SPLIT
from Testing.support.training_workflow_factory import Pumped, add_ring_study, idle_workflow


@pytest.fixture
def started(monkeypatch):
    """Runs whose process would have been started."""
    runs: list[Run] = []
    monkeypatch.setattr(trainings.Run, "start", lambda run, **_how: runs.append(run))
    return runs


def test_python_that_cannot_be_started_is_a_sentence(scene, tmp_path, library):
    workflow = idle_workflow(scene)
    training = TrainingWorkflow(scene, workflow, python=str(tmp_path / "no-python"))
    pumped = Pumped(training)
    training.open_library(library.folder)
    library.write_split(SPLIT)
    training.refresh()
    volume, _labels = add_ring_study(scene, 7)
    workflow.select(volume)
    assert training.cases.add_current("P006")
    pumped.until(lambda: not training.state.busy, "end")
    assert "Python cannot be started" in training.state.error
    assert training.trainings.train(TrainSettings()) is None
    assert "Python cannot be started" in training.state.error
    assert training.state.run.status().state is RunState.PLANNED, "what was planned can be started later"
    assert not training.why_not("resume")
    assert len(library.cases()) == 5
    training.close()
    workflow.close()


def test_patients_who_are_gone_are_left_out_of_a_training(training, pumped, library, started):
    training.open_library(library.folder)
    library.write_split(SPLIT)
    library.remove("P002")
    (library.folder / "cases" / "P003" / "case.json").write_text("{")
    training.refresh()
    run = training.trainings.train(TrainSettings())
    assert started == [run]
    assert run.split.training == ("P001",)
    assert run.split.validation == SPLIT.validation
    assert "P002, P003" in training.state.note
    assert training.cases.move(["P002"], "")
    pumped.done()
    assert library.split_manifest().training == ("P001", "P003")


def test_a_side_that_has_lost_everybody_is_said(training, library, started):
    training.open_library(library.folder)
    library.write_split(SPLIT)
    for patient in SPLIT.validation:
        library.remove(patient)
    training.refresh()
    assert training.trainings.train(TrainSettings()) is None
    assert "validate" in training.state.error
    assert "Draw the split anew" in training.state.error
    assert started == []
    assert training.state.runs == ()


def test_a_training_whose_process_dies_goes_on_once(training, pumped, library, started):
    training.open_library(library.folder)
    library.write_split(SPLIT)
    training.refresh()
    run = training.trainings.train(TrainSettings())
    running = RunStatus(state=RunState.RUNNING, stage="steps", epoch=3, epochs=20)
    write_status(run.folder, running)  # but no process holds the run's lock
    pumped.until(lambda: len(started) == 2, "a second start")
    assert "goes on from its last checkpoint" in training.state.note
    write_status(run.folder, replace(running, epoch=4))
    pumped.until(lambda: training.state.status.epoch == 4, "its next death")
    assert training.state.status.state is RunState.INTERRUPTED and len(started) == 2
    assert "Resume" in training.advice
    assert training.trainings.resume() and len(started) == 3


@pytest.mark.slow
def test_runs_of_others_are_noticed(training, pumped, library):
    training.open_library(library.folder)
    assert training.state.run is None
    run = Run.create(library.folder, TrainSettings(), SPLIT, name="one")
    (library.folder / "runs" / "damaged").mkdir()
    pumped.until(lambda: len(training.state.runs) == 1, "a run that was planned elsewhere")
    assert training.state.run.name == "one"
    first = training.state.runs[0]
    Run.create(library.folder, TrainSettings(), SPLIT, name="two")
    pumped.until(lambda: len(training.state.runs) == 2, "another one")
    assert first in training.state.runs, "whoever holds a run holds the one in the list"
    run.send("cancel")
    pumped.until(lambda: training.state.status.state is RunState.CANCELLED, "its end")
    pumped.done(training.trainings.discard(run))
    assert [one.name for one in training.state.runs] == ["two"]
    assert training.state.run.name == "two"
    shutil.rmtree(library.folder / "runs" / "two")
    pumped.until(lambda: training.state.runs == (), "its removal")
    assert training.state.run is None
    assert training.state.curves == {}


def test_a_run_that_does_not_run_is_cancelled_by_a_process(training, pumped, library):
    run = Run.create(library.folder, TrainSettings(), SPLIT)
    training.open_library(library.folder)
    assert "does not run" in training.why_not("pause")
    assert "no model" in training.why_not("stop")
    pumped.done(training.trainings.cancel_run())
    assert training.state.status.state is RunState.CANCELLED
    assert "cancelled" in training.why_not("resume")
    assert run.settings == TrainSettings()


def test_a_comparison_that_cannot_be_read_is_said_and_shows_nothing(training, pumped, library):
    run = Run.create(library.folder, TrainSettings(), SPLIT)
    training.open_library(library.folder)
    assert not training.trainings.show_worst("P001", 0)
    assert "Nothing was compared" in training.state.error
    run.comparison.write_text(json.dumps({"version": 99, "figures": [], "cases": [], "verdict": {}, "new": {}, "used": {}}))
    pumped.until(lambda: "version 99" in training.state.error, "the damaged file")
    assert training.state.comparison is None


def test_models_that_are_none_are_a_sentence_and_the_one_in_use_stays(training, pumped, library, tmp_path):
    training.open_library(library.folder)
    before = training.workflow.settings
    assert not training.models.use("no-such-model")
    assert "no model called" in training.state.error
    run = Run.create(library.folder, TrainSettings(), SPLIT)
    assert not training.models.use(run)
    assert not training.models.keep(run, "mine")
    assert "no model" in training.state.error
    for action in ("use", "keep", "export_model", "compare"):
        pumped.until(lambda: training.state.run is not None, "the run")
        assert "no model" in training.why_not(action)
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    assert training.models.import_model(tmp_path / "x.safetensors")
    pumped.until(lambda: not training.state.busy, "end")
    assert "x.safetensors" in training.state.error
    assert training.workflow.settings == before
