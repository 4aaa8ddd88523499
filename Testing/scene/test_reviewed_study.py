"""A case of a cohort in the scene: as its folder has it, edited, and taken out again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.batch.review_list import ReviewList
from MyoScarSegLib.engine import review_case
from MyoScarSegLib.engine.review_case import (
    CASE_NO_REFLOW,
    CASE_SCAR,
    NO_REFLOW,
    WALL,
    ReviewCase,
    case_of,
    entries_of,
    list_task,
    read_task,
)
from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.outputs.edited import Marks
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.quantification.aha import NO_LEVEL, InsertionPoints
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.scene.reviewed_study import ReviewedStudy
from MyoScarSegLib.scene.ventricle_steps import set_level
from MyoScarSegLib.study import read_study, write_segmentation
from MyoScarSegLib.utils.progress import CancelToken, no_progress
from MyoScarSegLib.utils.task import DONE
from Testing.support.cohort_factory import run_cohort
from Testing.support.scene_ventricle_factory import set_landmarks
from Testing.support.until import until


@pytest.fixture
def cohort(tmp_path, monkeypatch):
    return run_cohort(tmp_path, monkeypatch)


def done(task):
    task.start()
    until(task.poll, lambda: task.state)
    return task


def read(cohort, tmp_path, case="P1", reader="ann") -> ReviewCase:
    """A case as the task's process reads it; here without one, which takes a second each time."""
    task = read_task(cohort.out, reader, "shared", case, tmp_path / "case.npz")
    task.finish(DONE, result=review_case._work(task.job, no_progress, CancelToken()))
    return case_of(task)


def paint(study, k: int, rows: slice, columns: slice) -> None:
    drawn = study.session.mask()[k]
    drawn[rows, columns] = True
    study.session.segmentation.write_slices({k: drawn})
    study.session.refresh()


def test_the_list_is_read_by_a_process(cohort):
    entries = entries_of(done(list_task(cohort.out, "ann", "shared")))
    assert entries == ReviewList(cohort, "ann").entries() and len(entries) == 3


def test_a_folder_without_studies_is_named(tmp_path):
    with pytest.raises(MyoScarSegError, match="holds no studies"):
        entries_of(done(list_task(tmp_path, "ann", "shared")))


def test_a_case_in_the_scene_is_as_its_folder_has_it(scene, cohort, tmp_path):
    case = read(cohort, tmp_path)
    study = ReviewedStudy(scene, case)
    state = study.session.state
    assert [row.box.xyxy for row in state.boxes] == [(2, 3, 6, 8)] * 2
    assert np.array_equal(study.session.mask(), case.has(CASE_SCAR)) and case.has(CASE_SCAR).any()
    assert state.edited == [] and state.stale == set() and not study.session.history.can_undo
    assert not study.edited and study.left_by_reader() is None


def test_what_is_painted_is_the_readers_and_lies_where_the_file_has_it(scene, cohort, tmp_path):
    study = ReviewedStudy(scene, read(cohort, tmp_path))
    paint(study, 1, slice(9, 11), slice(8, 10))
    assert study.edited
    ann = ReviewList(cohort, "ann")
    ann.give("P1", "edit", edited=study.left_by_reader())
    on_file = ann.left_of("P1", read_study(tmp_path / "in" / "P1.nrrd")).infarct
    assert on_file[1, 9:11, 8:10].all() and not on_file[0, 9:11, 8:10].any()
    again = ReviewedStudy(scene, read(cohort, tmp_path))
    assert np.array_equal(again.session.mask(), on_file) and again.session.state.edited == [1]
    assert not again.edited and again.left_by_reader() is not None, "it is still not as the program left it"


def test_a_wall_that_was_edited_is_the_readers_too_and_comes_again(scene, cohort, tmp_path):
    study = ReviewedStudy(scene, read(cohort, tmp_path))
    assert study.left_by_reader() is None
    wall = np.zeros(study.session.study.voxels.shape, bool)
    wall[1, 3:12, 3:12] = True
    cavity = np.zeros_like(wall)
    cavity[1, 6:9, 6:9] = True
    drawn = Ventricle(wall & ~cavity, cavity, "edited")
    study.session.change("Draw", lambda state: replace(state, ventricle=state.ventricle.taken(drawn)))
    left = study.left_by_reader()
    assert np.array_equal(left.ventricle.myocardium, drawn.myocardium)
    ann = ReviewList(cohort, "ann")
    ann.give("P1", "edit", edited=left)
    again = ReviewedStudy(scene, read(cohort, tmp_path))
    found = again.session.state.ventricle.ventricle(wall.shape)
    assert np.array_equal(found.myocardium, drawn.myocardium) and np.array_equal(found.cavity, cavity)
    assert not again.edited and again.left_by_reader().ventricle is not None
    again.session.change("Delete", lambda state: replace(state, ventricle=type(state.ventricle)()))
    assert not again.left_by_reader().ventricle.myocardium.any(), "a wall that was deleted is an edit, too"
    ann.give("P1", "accept")
    assert ann.left_of("P1", left.study) is None
    assert [file.name for file in (cohort.out / "P1").glob("review-*")] == ["review-ann.json"]


def test_a_wall_that_was_edited_in_the_case_folder_is_not_this_readers(scene, cohort, tmp_path):
    case = read(cohort, tmp_path)
    labels = case.labels.copy()
    labels[:, 2:9, 2:9] |= WALL
    study = ReviewedStudy(scene, replace(case, labels=labels, facts=replace(case.facts, wall_source="edited")))
    assert study.session.state.ventricle.has_wall and study.left_by_reader() is None


def test_a_left_handed_stack_keeps_its_slices(scene, cohort, tmp_path):
    case = read(cohort, tmp_path)
    geometry = replace(case.study.geometry, direction=np.diag([1.0, 1.0, -1.0]))
    facts = replace(case.facts, boxes=(Box(0, 2, 3, 6, 8),), points=(Point(0, 4, 5),))
    labels, probability = case.labels.copy(), case.probability.copy()
    labels[1], probability[1] = 0, 0
    study = ReviewedStudy(
        scene, replace(case, study=replace(case.study, geometry=geometry), labels=labels, probability=probability, facts=facts)
    )
    assert study.session.mask().any(axis=(1, 2)).tolist() == [False, True]
    assert study.session.state.boxes[0].box.slice == 1 and study.session.state.points[0].slice == 1
    paint(study, 0, slice(9, 11), slice(8, 10))
    set_level(study.session, 0, "apex")
    left = study.left_by_reader()
    assert left.scar[1, 9:11, 8:10].all() and not left.scar[0, 9:11, 8:10].any()
    assert left.marks.levels == {1: "apex"}


def test_marks_that_are_set_back_to_the_cases_are_no_edit(scene, cohort, tmp_path):
    case = read(cohort, tmp_path)
    points = InsertionPoints((3.0, 2.0, 1.0), (3.0, 9.0, 1.0), "image")
    study = ReviewedStudy(scene, replace(case, facts=replace(case.facts, insertions=points)))
    assert study.left_by_reader() is None and study.session.state.ventricle.landmarks.source == "image"
    before = study.session.state.ventricle.landmarks
    set_landmarks(study.session, replace(before, inferior=(4.0, 4.0, 1.0), source="reader"))
    set_level(study.session, 0, NO_LEVEL)
    marks = study.left_by_reader().marks
    assert marks.insertion_points.anterior_mm == pytest.approx(points.anterior_mm) and marks.levels == {0: NO_LEVEL}
    assert marks.insertion_points.inferior_mm != pytest.approx(points.inferior_mm)
    study.session.undo()
    study.session.undo()
    assert study.left_by_reader() is None and not study.edited
    study.session.change("Delete", lambda state: replace(state, ventricle=replace(state.ventricle, landmarks=None)))
    assert study.left_by_reader().marks == Marks(), "taken away"


def test_no_reflow_of_the_case_that_is_taken_away_stays_away(scene, cohort, tmp_path):
    case = read(cohort, tmp_path)
    case.labels[1, 4:6, 3:5] |= NO_REFLOW | CASE_NO_REFLOW
    study = ReviewedStudy(scene, case)
    assert study.session.state.ventricle.no_reflow(case.labels.shape)[1, 4:6, 3:5].all() and study.left_by_reader() is None
    study.session.change("Delete", lambda state: replace(state, ventricle=type(state.ventricle)()))
    left = study.left_by_reader()
    assert not left.no_reflow.any()
    ann = ReviewList(cohort, "ann")
    ann.give("P1", "edit", edited=left)
    assert not ann.left_of("P1", left.study).no_reflow.any(), "which is not the same as none on file"


def test_a_scar_that_was_edited_in_the_case_folder_is_no_edit_of_the_readers(scene, cohort, tmp_path):
    source = read_study(tmp_path / "in" / "P1.nrrd")
    mask = np.zeros(source.voxels.shape, bool)
    mask[1, 2:5, 2:5] = True
    write_segmentation(cohort.out / "P1" / "scar.seg.nrrd", mask, source)
    study = ReviewedStudy(scene, read(cohort, tmp_path))
    assert np.array_equal(study.session.mask(), mask) and study.left_by_reader() is None
    assert ReviewList(cohort, "ann").left_of("P1", source) is None


def test_removing_it_leaves_nothing_behind(scene, cohort, tmp_path):
    case = read(cohort, tmp_path)
    ReviewedStudy(scene, case).remove()
    before = sorted(node.GetClassName() for node in scene.GetNodes())
    ReviewedStudy(scene, case).remove()
    assert sorted(node.GetClassName() for node in scene.GetNodes()) == before
    assert not [node for node in scene.GetNodes() if node.IsA("vtkMRMLVolumeNode") or node.IsA("vtkMRMLSegmentationNode")]


def test_images_that_are_gone_or_changed_are_said(cohort, tmp_path):
    source = tmp_path / "in" / "P1.nrrd"
    (tmp_path / "in" / "P2.nrrd").replace(source)
    with pytest.raises(MyoScarSegError, match="changed since it was segmented"):
        read(cohort, tmp_path)
    source.unlink()
    with pytest.raises(MyoScarSegError, match="images of P1 cannot be read"):
        read(cohort, tmp_path)
