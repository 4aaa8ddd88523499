"""The training tab's library without the panel, on real MRML with real processes: cases, split, and what may be in their way."""

from __future__ import annotations

import json
import os
import shutil
import signal

import numpy as np
import pytest
import slicer

from MyoScarSegLib.scene.training.case_nodes import segments
from MyoScarSegLib.training.splits import Split
from Testing.support.run_factory import SPLIT, add_case
from Testing.support.training_workflow_factory import add_ring_study
from Testing.training.datasets.test_label_maps import acdc
from Testing.training.datasets.test_library_import import write_mrb


def names(training) -> list[str]:
    return [row.name for row in training.state.rows]


def test_a_case_is_opened_corrected_and_put_back(training, pumped, scene, library):
    training.open_library(library.folder)
    pumped.done(training.cases.open_case("P002"))
    volume = training.workflow.volume_node
    assert (volume.GetName(), training.cases.opened_case, training.cases.next_patient) == ("P002", "P002", "P002")
    before = library.load(training.state.rows[2].case)
    session = training.workflow.session
    assert np.array_equal(session.mask(), before.labels >= 3)
    assert session.state.edited == [0, 1]  # hand-made: no model may write over it
    assert training.cases.open_case("P002") and not training.state.busy and training.workflow.volume_node is volume
    assert "open already" in training.state.note
    node = session.segmentation.node
    choices = {choice.role: choice.id for choice in segments(node)}
    assert set(choices) == {"scar", "myocardium", "blood_pool", "no_reflow"}
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
    after = library.load(case.case)
    assert np.array_equal(after.labels >= 3, mask) and [s.index for s in after.slices()] == [0]


def test_a_case_changed_on_disk_is_noticed_and_can_be_accepted(training, pumped, library):
    training.open_library(library.folder)
    path = library.folder / "cases" / "P001" / "segmentation.seg.nrrd"
    path.write_bytes((library.folder / "cases" / "P003" / "segmentation.seg.nrrd").read_bytes())
    pumped.until(lambda: training.state.rows[1].state == "problem", "noticing")
    assert "changed since it was added" in training.state.rows[1].problem
    pumped.done(training.cases.accept("P001"))
    pumped.until(lambda: training.state.rows[1].state == "complete", "accepting")
    assert library.load(training.state.rows[1].case) is not None


def test_import_says_who_got_which_code(training, pumped, tmp_path):
    training.open_library(tmp_path / "library", create=True)
    scenes = [write_mrb(tmp_path / "Meier_1961.mrb", 0), tmp_path / "gone.mrb"]
    assert training.cases.import_cases(scenes)
    pumped.until(lambda: not training.state.busy and bool(training.state.note), "import")
    assert training.state.note == "1 added, 0 were there already, 1 not added. Codes given: Meier_1961.mrb: P001."
    assert "gone.mrb" in training.state.error and [row.name for row in training.state.rows] == ["P001"]


def test_labels_of_unknown_meaning_are_a_question_and_no_error(training, pumped, tmp_path):
    training.open_library(tmp_path / "library", create=True)
    assert training.cases.import_cases([acdc(tmp_path / "a"), tmp_path / "gone.mrb"])
    pumped.until(lambda: not training.state.busy and bool(training.state.note), "import")
    assert training.state.question.values == (1, 2, 3)
    assert "gone.mrb" in training.state.error and "--labels" not in training.state.error


@pytest.mark.slow
def test_deleted_library_is_said_and_comes_back(training, pumped, library):
    training.open_library(library.folder)
    library.folder.rename(library.folder.with_name("away"))
    pumped.until(lambda: bool(training.state.error), "deletion")
    assert (
        "is gone" in training.state.error and not training.state.rows and training.why_not("train") and "gone" in training.advice
    )
    library.folder.with_name("away").rename(library.folder)
    pumped.until(lambda: len(training.state.rows) == 5, "return")
    assert not training.state.error


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


def test_codes_that_could_be_names_are_refused(training, library, scene):
    training.open_library(library.folder)
    volume, _labels = add_ring_study(scene, 7)
    training.workflow.select(volume)
    for patient in ("Jane Doe", "", "Müller", "../P001"):
        assert not training.cases.add_current(patient)
        assert "Never use the patient's name" in training.state.error
    assert not training.state.busy


@pytest.mark.slow
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
    library.remove("N004")
    pumped.until(lambda: "N004" not in names(training), "a removal by another program")


def test_split_refuses_empty_sides_and_takes_back_what_leaks(training, pumped, library):
    training.open_library(library.folder)
    pumped.done(training.cases.draw_split(seed=0))
    (patient,) = training.state.split.validation
    assert not training.cases.move([patient], "training")
    assert "validate" in training.state.error
    assert not training.cases.move(["P999"], "training")
    # The same pictures under another patient's code, put there past the library's own check.
    document = json.loads((library.folder / "cases" / "P001" / "case.json").read_text())
    shutil.copytree(library.folder / "cases" / "P001", library.folder / "cases" / "P009")
    document.update(case="P009", patient="P009")
    (library.folder / "cases" / "P009" / "case.json").write_text(json.dumps(document))
    pumped.until(lambda: len(training.state.rows) == 6, "the copy")
    before = training.state.split
    sides = ("validation", "training") if "P001" in before.training else ("training", "validation")
    assert training.cases.move(["P009"], sides[0])
    pumped.until(lambda: not training.state.busy, "check")
    assert "same picture" in training.state.error and training.state.split == before


def test_a_damaged_split_is_told_once_and_hides_no_case(training, pumped, library):
    (library.folder / "split.json").write_text("{}")
    assert training.open_library(library.folder)
    assert "The split manifest" in training.state.error and "lacks" in training.state.error
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
    assert training.library._checking.state == "running" and training.state.busy == "", "checksums are compared"
    assert training.cases.draw_split()
    assert training.state.busy == "split"
    training.pump()
    assert training.tasks._running is not None, "it does not wait for that"
    pumped.done()
    pumped.until(lambda: training.library._checking is None, "the end of the comparison")


def test_what_is_in_hand_is_cancelled_and_what_waits_with_it(training, pumped, library):
    training.open_library(library.folder)
    assert training.cases.accept("P001")
    assert training.cases.remove(["P002"])
    pumped.until(lambda: training.tasks.current is training.tasks._running, "begin")
    training.cancel()
    pumped.until(lambda: not training.state.busy, "end")
    assert training.state.note == "Cancelled."
    assert len(library.cases()) == 5
