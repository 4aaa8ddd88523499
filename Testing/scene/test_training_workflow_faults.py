"""The training tab without the panel, when something is in its way: processes that die, files that go, scenes that close."""

from __future__ import annotations

import json
import os
import shutil
import signal

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")

from MyoScarSegLib.scene.training import run_actions
from MyoScarSegLib.scene.training.workflow import TrainingWorkflow
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.run_status import RunState
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_settings import TrainSettings
from Testing.support.run_factory import SPLIT, add_case, environment, write_library
from Testing.support.training_workflow_factory import Pumped, add_ring_study, idle_workflow


@pytest.fixture
def training(scene, tmp_path):
    workflow = idle_workflow(scene)
    made = TrainingWorkflow(scene, workflow, environment=environment(tmp_path))
    yield made
    made.close()
    workflow.close()


@pytest.fixture
def pumped(training):
    return Pumped(training)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    return write_library(tmp_path_factory.mktemp("filled") / "library").folder


@pytest.fixture
def library(filled, tmp_path):
    return Library.open(shutil.copytree(filled, tmp_path / "library"))


@pytest.fixture
def started(monkeypatch):
    """Runs whose process would have been started."""
    runs: list[Run] = []
    monkeypatch.setattr(run_actions, "start", lambda run, **_how: runs.append(run))
    return runs


def names(training) -> list[str]:
    return [row.name for row in training.cases.rows]


# ---- processes


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
    pumped.until(lambda: not training.busy, "end")
    assert "Python cannot be started" in training.error
    assert training.trainings.train(TrainSettings()) is None
    assert "Python cannot be started" in training.error
    assert training.trainings.run.status().state is RunState.PLANNED, "what was planned can be started later"
    assert not training.why_not("resume")
    assert len(library.cases()) == 5
    training.close()
    workflow.close()


def test_killed_task_is_done_again_by_itself(training, pumped, library, scene):
    training.open_library(library.folder)
    volume, _labels = add_ring_study(scene, 7)
    training.workflow.select(volume)
    assert training.cases.add_current("P006")
    pumped.until(lambda: training.busy == "add" and training._state.tasks._running is not None, "begin")
    os.kill(training._state.tasks._running.pid, signal.SIGKILL)
    pumped.until(lambda: "started again" in training.progress[2], "a sentence on it")
    pumped.done()
    assert names(training) == ["N004", "P001", "P002", "P003", "P005", "P006"]
    assert training.error == ""


def test_nobody_waits_for_what_nobody_asked_for(training, pumped, library):
    training.open_library(library.folder)
    pumped.until(lambda: training._state.tasks._running is not None, "the comparison of checksums")
    assert training.busy == ""
    first = training._state.tasks._running.pid
    assert training.cases.draw_split()
    assert training.busy == "split"
    training.pump()
    assert training._state.tasks._running.pid != first, "it gives way"
    pumped.done()
    pumped.until(lambda: training._state.library._watching is None, "the comparison of checksums, begun again")


def test_only_one_thing_is_cancelled_and_what_waits_with_it(training, pumped, library):
    training.open_library(library.folder)
    assert training.cases.accept("P001")
    assert training.cases.remove(["P002"])
    training.cancel()
    pumped.until(lambda: not training.busy, "end")
    assert training.note == "Cancelled."
    assert len(library.cases()) == 5


# ---- cases


def test_codes_that_could_be_names_are_refused(training, library, scene):
    training.open_library(library.folder)
    volume, _labels = add_ring_study(scene, 7)
    training.workflow.select(volume)
    for patient in ("Jane Doe", "", "Müller", "../P001"):
        assert not training.cases.add_current(patient)
        assert "Never use the patient's name" in training.error
    assert not training.busy


def test_who_is_added_trains_and_who_came_otherwise_is_asked_about(training, pumped, library, scene):
    training.open_library(library.folder)
    library.write_split(SPLIT)
    training.refresh()
    volume, _labels = add_ring_study(scene, 7)
    training.workflow.select(volume)
    pumped.done(training.cases.add_current("P006"))
    assert "P006" in training.cases.split.training
    assert library.split_manifest() == training.cases.split
    add_case(library, "P007", 8)  # by another program
    pumped.until(lambda: "P007" in names(training), "the other program's case")
    assert "A patient is on neither side" in training.advice


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
    assert "P002, P003" in training.note
    assert training.cases.move("P002", "")
    pumped.done()
    assert library.split_manifest().training == ("P001", "P003")


def test_a_side_that_has_lost_everybody_is_said(training, library, started):
    training.open_library(library.folder)
    library.write_split(SPLIT)
    for patient in SPLIT.validation:
        library.remove(patient)
    training.refresh()
    assert training.trainings.train(TrainSettings()) is None
    assert "validate" in training.error
    assert "Draw the split anew" in training.error
    assert started == []
    assert training.trainings.runs == []


def test_a_damaged_split_is_told_once_and_hides_no_case(training, pumped, library):
    (library.folder / "split.json").write_text("{}")
    assert training.open_library(library.folder)
    assert "not a split manifest" in training.error
    assert len(training.cases.rows) == 5
    assert training.cases.split is None
    pumped.done(training.cases.draw_split())
    assert training.cases.split is not None
    assert training.error == ""


def test_a_case_is_not_put_into_a_scene_that_is_closed(training, pumped, library, scene):
    training.open_library(library.folder)
    assert training.cases.open_case("P001")
    assert training.why_not("open_case")
    pumped.until(lambda: bool(training._state.steps), "reading")
    training.pump()
    scene.Clear(0)
    pumped.until(lambda: not training.busy, "end")
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    assert training.error == ""
    assert training.cases.open_case("P001")
    pumped.until(lambda: scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1, "the volume")
    scene.RemoveNode(scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"))
    pumped.until(lambda: not training.busy, "end")
    assert training.workflow.volume_node is None


def test_a_damaged_case_that_is_opened_is_a_sentence(training, pumped, library):
    training.open_library(library.folder)
    (library.folder / "cases" / "P001" / "volume.nrrd").write_bytes(b"NRRD0004\n")
    assert training.cases.open_case("P001")
    pumped.until(lambda: not training.busy, "end")
    assert "volume.nrrd" in training.error
    assert not training.cases.open_case("P999")
    assert "no readable case P999" in training.error


# ---- runs


def test_runs_of_others_are_noticed(training, pumped, library):
    training.open_library(library.folder)
    assert training.trainings.run is None
    run = Run.create(library.folder, TrainSettings(), SPLIT, name="one")
    (library.folder / "runs" / "damaged").mkdir()
    pumped.until(lambda: len(training.trainings.runs) == 1, "a run that was planned elsewhere")
    assert training.trainings.run.name == "one"
    first = training.trainings.runs[0]
    Run.create(library.folder, TrainSettings(), SPLIT, name="two")
    pumped.until(lambda: len(training.trainings.runs) == 2, "another one")
    assert first in training.trainings.runs, "whoever holds a run holds the one in the list"
    run.send("cancel")
    pumped.until(lambda: training.trainings.status.state is RunState.CANCELLED, "its end")
    pumped.done(training.trainings.discard(run))
    assert [one.name for one in training.trainings.runs] == ["two"]
    assert training.trainings.run.name == "two"
    shutil.rmtree(library.folder / "runs" / "two")
    pumped.until(lambda: training.trainings.runs == [], "its removal")
    assert training.trainings.run is None
    assert training.trainings.curve_values == {}


def test_a_run_that_does_not_run_is_cancelled_by_a_process(training, pumped, library):
    run = Run.create(library.folder, TrainSettings(), SPLIT)
    training.open_library(library.folder)
    assert "does not run" in training.why_not("pause")
    assert "no model" in training.why_not("stop")
    pumped.done(training.trainings.cancel_run())
    assert training.trainings.status.state is RunState.CANCELLED
    assert "cancelled" in training.why_not("resume")
    assert run.settings == TrainSettings()


def test_a_comparison_that_cannot_be_read_is_said_and_shows_nothing(training, pumped, library):
    run = Run.create(library.folder, TrainSettings(), SPLIT)
    training.open_library(library.folder)
    assert not training.trainings.show_worst("P001", 0)
    assert "Nothing was compared" in training.error
    run.comparison.write_text(json.dumps({"version": 99, "figures": [], "cases": [], "verdict": {}, "new": {}, "used": {}}))
    pumped.until(lambda: "version 99" in training.error, "the damaged file")
    assert training.trainings.comparison is None


# ---- models


def test_models_that_are_none_are_a_sentence_and_the_one_in_use_stays(training, pumped, library, tmp_path):
    training.open_library(library.folder)
    before = training.workflow.settings
    assert not training.models.use("no-such-model")
    assert "no model called" in training.error
    run = Run.create(library.folder, TrainSettings(), SPLIT)
    assert not training.models.use(run)
    assert not training.models.keep(run, "mine")
    assert "no model" in training.error
    for action in ("use", "keep", "export_model", "compare"):
        pumped.until(lambda: training.trainings.run is not None, "the run")
        assert "no model" in training.why_not(action)
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    assert training.models.import_model(tmp_path / "x.safetensors")
    pumped.until(lambda: not training.busy, "end")
    assert "x.safetensors" in training.error
    assert training.workflow.settings == before


def test_what_was_said_of_another_library_is_forgotten(training, pumped, library, tmp_path):
    training.open_library(library.folder)
    pumped.done(training.cases.draw_split())
    assert training.cases.draw_split()
    assert not training.open_library(tmp_path / "other", create=True)
    assert "Wait" in training.error
    pumped.done()
    assert training.open_library(tmp_path / "other", create=True)
    assert training.cases.rows == []
    assert training.cases.split is None
    assert training.cases.next_patient == "P001"
    assert not (tmp_path / "other" / "split.json").exists()
    assert Split.read(library.folder / "split.json").validation
