"""The training tab without the panel, when something is in its way: processes that die, files that go, scenes that close."""

from __future__ import annotations

import json
import os
import shutil
import signal

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")

from MyoScarSegLib.scene.training import trainings
from MyoScarSegLib.scene.training.training_workflow import TrainingWorkflow
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
    monkeypatch.setattr(trainings, "start", lambda run, **_how: runs.append(run))
    return runs


def names(training) -> list[str]:
    return [row.name for row in training.state.rows]


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
    pumped.until(lambda: not training.state.busy, "end")
    assert "Python cannot be started" in training.state.error
    assert training.trainings.train(TrainSettings()) is None
    assert "Python cannot be started" in training.state.error
    assert training.state.run.status().state is RunState.PLANNED, "what was planned can be started later"
    assert not training.why_not("resume")
    assert len(library.cases()) == 5
    training.close()
    workflow.close()


def test_killed_task_is_done_again_by_itself(training, pumped, library, scene):
    training.open_library(library.folder)
    volume, _labels = add_ring_study(scene, 7)
    training.workflow.select(volume)
    assert training.cases.add_current("P006")
    pumped.until(lambda: training.state.busy == "add" and training.tasks._running is not None, "begin")
    os.kill(training.tasks._running.pid, signal.SIGKILL)
    pumped.until(lambda: "started again" in training.state.progress[2], "a sentence on it")
    pumped.done()
    assert names(training) == ["N004", "P001", "P002", "P003", "P005", "P006"]
    assert training.state.error == ""


def test_nobody_waits_for_what_nobody_asked_for(training, pumped, library):
    training.open_library(library.folder)
    pumped.until(lambda: training.tasks._running is not None, "the comparison of checksums")
    assert training.state.busy == ""
    first = training.tasks._running.pid
    assert training.cases.draw_split()
    assert training.state.busy == "split"
    training.pump()
    assert training.tasks._running.pid != first, "it gives way"
    pumped.done()
    pumped.until(lambda: training.library._checking is None, "the comparison of checksums, begun again")


def test_only_one_thing_is_cancelled_and_what_waits_with_it(training, pumped, library):
    training.open_library(library.folder)
    assert training.cases.accept("P001")
    assert training.cases.remove(["P002"])
    training.cancel()
    pumped.until(lambda: not training.state.busy, "end")
    assert training.state.note == "Cancelled."
    assert len(library.cases()) == 5


# ---- cases


def test_codes_that_could_be_names_are_refused(training, library, scene):
    training.open_library(library.folder)
    volume, _labels = add_ring_study(scene, 7)
    training.workflow.select(volume)
    for patient in ("Jane Doe", "", "Müller", "../P001"):
        assert not training.cases.add_current(patient)
        assert "Never use the patient's name" in training.state.error
    assert not training.state.busy


def test_who_is_added_trains_and_who_came_otherwise_is_asked_about(training, pumped, library, scene):
    training.open_library(library.folder)
    library.write_split(SPLIT)
    training.refresh()
    volume, _labels = add_ring_study(scene, 7)
    training.workflow.select(volume)
    pumped.done(training.cases.add_current("P006"))
    assert "P006" in training.state.split.training
    assert library.split_manifest() == training.state.split
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


def test_a_damaged_split_is_told_once_and_hides_no_case(training, pumped, library):
    (library.folder / "split.json").write_text("{}")
    assert training.open_library(library.folder)
    assert "not a split manifest" in training.state.error
    assert len(training.state.rows) == 5
    assert training.state.split is None
    pumped.done(training.cases.draw_split())
    assert training.state.split is not None
    assert training.state.error == ""


def test_a_case_is_not_put_into_a_scene_that_is_closed(training, pumped, library, scene):
    training.open_library(library.folder)
    assert training.cases.open_case("P001")
    assert training.why_not("open_case")
    pumped.until(lambda: bool(training._steps), "reading")
    training.pump()
    scene.Clear(0)
    pumped.until(lambda: not training.state.busy, "end")
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    assert training.state.error == ""
    assert training.cases.open_case("P001")
    pumped.until(lambda: scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1, "the volume")
    scene.RemoveNode(scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"))
    pumped.until(lambda: not training.state.busy, "end")
    assert training.workflow.volume_node is None


def test_a_damaged_case_that_is_opened_is_a_sentence(training, pumped, library):
    training.open_library(library.folder)
    (library.folder / "cases" / "P001" / "volume.nrrd").write_bytes(b"NRRD0004\n")
    assert training.cases.open_case("P001")
    pumped.until(lambda: not training.state.busy, "end")
    assert "volume.nrrd" in training.state.error
    assert not training.cases.open_case("P999")
    assert "no readable case P999" in training.state.error


# ---- runs


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


# ---- models


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


def test_what_was_said_of_another_library_is_forgotten(training, pumped, library, tmp_path):
    training.open_library(library.folder)
    pumped.done(training.cases.draw_split())
    assert training.cases.draw_split()
    assert not training.open_library(tmp_path / "other", create=True)
    assert "Wait" in training.state.error
    pumped.done()
    assert training.open_library(tmp_path / "other", create=True)
    assert training.state.rows == ()
    assert training.state.split is None
    assert training.cases.next_patient == "P001"
    assert not (tmp_path / "other" / "split.json").exists()
    assert Split.read(library.folder / "split.json").validation
