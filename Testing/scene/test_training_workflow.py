"""The training tab without the panel, on real MRML, with real processes and tiny models: from an empty library to a new model."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("accelerate")
pytest.importorskip("monai")

from MyoScarSegLib.engine.client import EngineSettings
from MyoScarSegLib.scene.training.case_nodes import segments
from MyoScarSegLib.scene.training.training_workflow import TrainingWorkflow
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.run_status import RunState
from MyoScarSegLib.training.train_settings import TrainSettings
from MyoScarSegLib.utils.files import sha256_of
from Testing.support.run_factory import QUICK, environment, write_library
from Testing.support.tiny_training import write_start
from Testing.support.training_workflow_factory import Pumped, add_ring_study, idle_workflow
from Testing.training.datasets.test_library_import import write_mrb


@pytest.fixture
def training(scene, start, tiny_detector, tmp_path, monkeypatch):
    monkeypatch.setenv("MYOSCARSEG_MODELS", str(tmp_path / "models"))
    workflow = idle_workflow(scene)
    workflow.configure(EngineSettings(segmenter=start, detector=tiny_detector))
    made = TrainingWorkflow(scene, workflow, environment=environment(tmp_path, MYOSCARSEG_MODELS=str(tmp_path / "models")))
    yield made
    run = made.state.run
    if run is not None and run.status().state is RunState.RUNNING:
        os.kill(run.status().pid, signal.SIGKILL)
    made.close()
    workflow.close()


@pytest.fixture
def pumped(training):
    return Pumped(training)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return write_start(tmp_path_factory.mktemp("start") / "start.safetensors")


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filled") / "library"
    write_library(folder)
    return folder


@pytest.fixture
def library(filled, tmp_path):
    return Path(shutil.copytree(filled, tmp_path / "library"))


def tiny(start, **changes) -> TrainSettings:
    usual = {"start_segmenter": str(start), "device": "cpu", "epochs": 2, "augmentation": "none"}
    return TrainSettings(**{**usual, **changes}, options=QUICK)


@pytest.mark.slow
def test_from_an_empty_library_to_a_new_model_in_use(training, pumped, scene, start, tmp_path):
    changes = []
    training.changed.connect(changes.append)
    assert training.why_not("add_current")
    assert not training.open_library(tmp_path / "none")
    assert "no training library" in training.state.error
    assert training.open_library(tmp_path / "library", create=True) and not training.state.error
    for number in range(4):
        volume, labels = add_ring_study(scene, number, scar=number != 2)
        training.workflow.select(volume)
        code = training.cases.next_patient
        assert code == f"P{number + 1:03d}"
        pumped.done(training.cases.add_current(code, reviewer="AB", tags=("rings",)))
    assert [row.name for row in training.state.rows] == ["P001", "P002", "P003", "P004"]
    case = training.state.rows[0].case
    assert (case.reviewer, case.tags, case.reviewed, case.facts.wall_known) == ("AB", ("rings",), None, True)
    assert case.mass_g > 1 and training.state.rows[0].thumbnail.is_file()
    stored = Library.open(tmp_path / "library").load(training.state.rows[-1].case)
    assert np.array_equal(np.sort(stored.labels.sum(axis=(1, 2))), np.sort(labels.sum(axis=(1, 2))))
    assert "rows" in changes

    pumped.done(training.cases.draw_split(seed=1))
    assert len(training.state.split.validation) == 1
    train = training.state.split.training[0]
    assert training.cases.move([train], "validation")
    pumped.done()
    assert (
        train in training.state.split.validation and Library.open(tmp_path / "library").split_manifest() == training.state.split
    )

    run = training.trainings.train(tiny(start))
    assert run is not None, training.state.error
    assert training.state.run is run
    pumped.until(lambda: training.state.status.state is not RunState.RUNNING, "training")
    assert training.state.status.state is RunState.FINISHED, training.state.status
    assert len(training.state.curves["loss"]) >= 2 and len(training.state.curves["end_to_end"]) == 2
    assert {point[0] for point in training.state.curves["reference_boxes"]} == {1.0, 2.0}
    assert training.state.examples and all(path.suffix == ".png" for path in training.state.examples)
    comparison = training.state.comparison
    used = {part: sha256_of(Path(getattr(training.workflow.settings, part))) for part in ("segmenter", "detector")}
    assert {part: comparison["used"][part]["sha256"] for part in used} == used, "it is compared with what is in use"
    assert {row["patient"] for row in comparison["cases"]} == set(training.state.split.validation)

    row = comparison["cases"][0]
    pumped.done(training.trainings.show_worst(row["patient"], row["worst"]["slice"]))
    shown = scene.GetFirstNodeByName(f"{row['case']} compared")
    names = [shown.GetSegmentation().GetNthSegment(n).GetName() for n in range(3)]
    assert names == ["Reader", "New model", "Model in use"] and not shown.GetSaveWithScene()

    training.trainings.show_curves()
    chart = scene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    table = scene.GetFirstNodeByName("Dice end to end").GetTableNode().GetTable()
    assert chart.GetNumberOfPlotSeriesNodes() == 3 and table.GetNumberOfRows() == 2

    pumped.done(training.models.export_model(run, tmp_path / "out"))
    exported = tmp_path / "out" / f"{run.name}-segmenter.safetensors"
    assert exported.read_bytes() == run.models()["segmenter"].read_bytes() and exported.with_suffix(".json").is_file()
    assert training.models.export_model(run, tmp_path / "out")
    pumped.until(lambda: not training.state.busy, "refusal")
    assert "exists already" in training.state.error
    pumped.done(training.models.use(run))
    assert training.models.in_use[0] == training.workflow.settings.segmenter == run.name
    assert run.name in {entry.name for entry in training.state.models}
    pumped.done(training.trainings.discard(run))
    assert not training.state.runs and training.state.run is None
    assert run.name in {entry.name for entry in training.state.models}, "what is kept outlives its training"
    assert pumped.longest_ms < 100


def test_a_case_is_opened_corrected_and_put_back(training, pumped, scene, library):
    import slicer

    training.open_library(library)
    pumped.done(training.cases.open_case("P002"))
    volume = training.workflow.volume_node
    assert (volume.GetName(), training.cases.opened_case, training.cases.next_patient) == ("P002", "P002", "P002")
    before = Library.open(library).load(training.state.rows[2].case)
    session = training.workflow.session
    assert np.array_equal(session.mask(), before.labels >= 3)
    assert session.edited_slices == [0, 1]  # hand-made: no model may write over it
    assert training.cases.open_case("P002") and not training.state.busy and training.workflow.volume_node is volume
    assert "open already" in training.state.note
    node = session.segmentation.node
    choices = {choice.role: choice.id for choice in segments(node)}
    assert set(choices) == {"scar", "myocardium", "blood_pool"}
    mask = session.mask()
    mask[0, 10:14, 10:14] = True
    array = np.ascontiguousarray(session.geometry.to_volume(mask.astype(np.uint8)))
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, choices["scar"], volume)
    assert training.cases.add_current("P002", reviewed=[0])
    pumped.until(lambda: not training.state.busy, "refusal")
    assert "already" in training.state.error
    pumped.done(training.cases.add_current("P002", reviewed=[0], replace=True))
    case = next(row for row in training.state.rows if row.name == "P002")
    assert case.state == "unreviewed" and "Slice 1 not reviewed" in case.problem
    after = Library.open(library).load(case.case)
    assert np.array_equal(after.labels >= 3, mask) and [s.index for s in after.slices()] == [0]


def test_a_case_changed_on_disk_is_noticed_and_can_be_accepted(training, pumped, library):
    training.open_library(library)
    path = library / "cases" / "P001" / "segmentation.seg.nrrd"
    path.write_bytes((library / "cases" / "P003" / "segmentation.seg.nrrd").read_bytes())
    pumped.until(lambda: training.state.rows[1].state == "problem", "noticing")
    assert "changed since it was added" in training.state.rows[1].problem
    pumped.done(training.cases.accept("P001"))
    pumped.until(lambda: training.state.rows[1].state == "complete", "accepting")
    assert Library.open(library).load(training.state.rows[1].case) is not None


def test_import_says_who_got_which_code(training, pumped, tmp_path):
    training.open_library(tmp_path / "library", create=True)
    scenes = [write_mrb(tmp_path / "Meier_1961.mrb", 0), tmp_path / "gone.mrb"]
    assert training.cases.import_cases(scenes)
    pumped.until(lambda: not training.state.busy and bool(training.state.note), "import")
    assert training.state.note == "1 added, 0 were there already, 1 not added. Codes given: Meier_1961.mrb: P001."
    assert "gone.mrb" in training.state.error and [row.name for row in training.state.rows] == ["P001"]


def test_labels_of_unknown_meaning_are_a_question_and_no_error(training, pumped, tmp_path):
    from Testing.training.test_labels_named import acdc

    training.open_library(tmp_path / "library", create=True)
    assert training.cases.import_cases([acdc(tmp_path / "a"), tmp_path / "gone.mrb"])
    pumped.until(lambda: not training.state.busy and bool(training.state.note), "import")
    assert training.state.question.values == (1, 2, 3)
    assert "gone.mrb" in training.state.error and "--labels" not in training.state.error


def test_another_slicer_adds_and_removes(training, pumped, library):
    training.open_library(library)
    other = Library.open(library)
    other.remove("N004")
    pumped.until(lambda: len(training.state.rows) == 4, "removal")


def test_deleted_library_is_said_and_comes_back(training, pumped, library):
    training.open_library(library)
    library.rename(library.with_name("away"))
    pumped.until(lambda: bool(training.state.error), "deletion")
    assert (
        "is gone" in training.state.error and not training.state.rows and training.why_not("train") and "gone" in training.advice
    )
    library.with_name("away").rename(library)
    pumped.until(lambda: len(training.state.rows) == 5, "return")
    assert not training.state.error


def test_split_refuses_empty_sides_and_takes_back_what_leaks(training, pumped, library):
    training.open_library(library)
    pumped.done(training.cases.draw_split(seed=0))
    (patient,) = training.state.split.validation
    assert not training.cases.move([patient], "training")
    assert "validate" in training.state.error
    assert not training.cases.move(["P999"], "training")
    # The same pictures under another patient's code, put there past the library's own check.
    document = json.loads((library / "cases" / "P001" / "case.json").read_text())
    shutil.copytree(library / "cases" / "P001", library / "cases" / "P009")
    document.update(case="P009", patient="P009")
    (library / "cases" / "P009" / "case.json").write_text(json.dumps(document))
    pumped.until(lambda: len(training.state.rows) == 6, "the copy")
    before = training.state.split
    sides = ("validation", "training") if "P001" in before.training else ("training", "validation")
    assert training.cases.move(["P009"], sides[0])
    pumped.until(lambda: not training.state.busy, "check")
    assert "same picture" in training.state.error and training.state.split == before


def test_life_of_a_training_that_is_disturbed(training, pumped, library, start, scene, tmp_path):
    """The scene and Slicer are closed, it is paused, killed, resumed and stopped: nothing is lost but the epoch in hand."""
    training.open_library(library)
    pumped.done(training.cases.draw_split())
    run = training.trainings.train(tiny(start, epochs=60))
    pumped.until(lambda: training.state.status.epoch >= 2, "second epoch")
    training.trainings.show_curves()
    scene.Clear(0)
    points = len(training.state.curves["loss"])
    pumped.until(lambda: len(training.state.curves["loss"]) > points, "more of the curves")
    training.trainings.show_curves()
    assert scene.GetFirstNodeByClass("vtkMRMLPlotChartNode") is not None
    again = TrainingWorkflow(scene, training.workflow, environment=environment(tmp_path))
    again.open_library(library)
    assert again.state.run.name == run.name and again.state.status.state is RunState.RUNNING
    again.close()
    # Another, earlier one is looked at meanwhile.
    Run.create(library, tiny(start), training.state.split, name="earlier")
    pumped.until(lambda: len(training.state.runs) == 2, "a run that was planned elsewhere")
    assert (
        training.trainings.show_run("earlier")
        and "is running" in training.why_not("train")
        and run.name in training.why_not("resume")
    )
    assert training.trainings.show_run(run.name)
    assert "is running" in training.why_not("train")
    began = time.monotonic()
    assert training.trainings.pause()
    pumped.until(lambda: training.state.status.state is RunState.PAUSED, "pause")
    assert time.monotonic() - began < 20, "the step in hand ends, and its checkpoint is written"
    epoch = training.state.status.epoch
    assert training.trainings.resume()
    pumped.until(lambda: training.state.status.epoch > epoch, "resumed")
    killed = training.state.status.pid
    os.kill(killed, signal.SIGKILL)
    pumped.until(lambda: "goes on from its last checkpoint" in training.state.note, "resumed by itself")
    pumped.until(lambda: training.state.status.pid not in (0, killed), "another process")
    os.kill(training.state.status.pid, signal.SIGKILL)
    pumped.until(lambda: training.state.status.state is RunState.INTERRUPTED, "interruption, for it is resumed once only")
    assert "Resume" in training.advice and run.models()
    epoch = training.state.status.epoch
    assert training.trainings.resume()
    pumped.until(lambda: training.state.status.epoch >= epoch + 1, "resumed")
    began = time.monotonic()
    assert training.trainings.stop()
    pumped.until(lambda: training.state.status.state is RunState.STOPPED, "stop")
    assert time.monotonic() - began < 20
    assert run.models() and training.why_not("pause") and not training.why_not("resume")
    assert run.settings == tiny(start, epochs=60)
    assert training.trainings.cancel_run()
    pumped.until(lambda: training.state.status.state is RunState.CANCELLED, "cancel")
    assert not run.models() and len(training.state.rows) == 5


@pytest.mark.slow
def test_estimate_and_preview(training, pumped, library, start):
    training.open_library(library)
    pumped.done(training.cases.draw_split())
    pumped.done(training.trainings.estimate(tiny(start)))
    assert (
        training.state.measured.estimate.seconds > 0
        and training.state.measured.estimate.low <= training.state.measured.estimate.high
    )
    pumped.done(training.trainings.preview("heavy"))
    assert training.state.preview.stat().st_size > 1000


def test_task_is_cancelled_within_a_second(training, pumped, library):
    training.open_library(library)
    assert training.cases.draw_split()
    pumped.until(lambda: training.state.busy == "split", "begin")
    training.cancel()
    began = time.monotonic()
    pumped.until(lambda: not training.state.busy, "cancel")
    assert time.monotonic() - began < 2 and training.state.note == "Cancelled."
    assert Library.open(library).split_manifest() is None
