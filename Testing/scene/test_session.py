"""A study in the scene: the user's edits win, settings are reversible, every step is one undo entry, failures change nothing."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import slicer

from MyoScarSegLib.engine.client import Engine
from MyoScarSegLib.errors import MyoScarSegError, PromptError, SceneError, StudyError
from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.result import SliceMasks, mask_of
from MyoScarSegLib.scene import study_numbers
from MyoScarSegLib.scene.engine_requests import Automatic
from MyoScarSegLib.scene.guidance import why_not
from MyoScarSegLib.scene.mask_steps import apply_masks, clear_study, set_growth_mm, set_threshold
from MyoScarSegLib.scene.prompt_steps import (
    add_box,
    add_point,
    apply_proposals,
    copy_box_to_next,
    remove_box,
    remove_point,
    update_box,
)
from MyoScarSegLib.scene.study_session import StudySession, sessions
from MyoScarSegLib.scene.study_state import BoxRow
from Testing.support.session_factory import blob, everything, masks, paint, replace_segment
from Testing.support.volume_factory import add_transform, add_volume, random_matrix

SHAPE = (6, 40, 48)


@pytest.fixture
def volume(scene):
    return add_volume(scene, SHAPE, random_matrix(2, (1.4, 1.4, 10.0)))


BOX = Box(2, 10, 8, 30, 30, confidence=0.7, source="yolo")


def test_masks_go_where_the_model_was_sure_and_nowhere_else(session):
    assert apply_masks(session, masks(1, 2)) == []
    mask = session.mask()
    assert np.array_equal(mask[2], blob(SHAPE[1:], 24, 20, 6) >= 0.5)
    assert not mask[[0, 3, 4, 5]].any()
    assert session.state.segmented == [1, 2]


def test_second_run_replaces_only_the_slices_that_it_ran_on(session):
    apply_masks(session, masks(1, 2, 3))
    apply_masks(session, masks(2, radius=3.0))
    mask = session.mask()
    assert mask[2].sum() < mask[1].sum() == mask[3].sum()


@pytest.mark.parametrize("value", [True, False], ids=["painted", "erased"])
def test_slice_edited_by_hand_is_kept_and_named(session, value):
    apply_masks(session, masks(1, 2, 3))
    paint(session, 2, value, slice(10, 20))
    edited = session.mask()[2]
    if not value:
        paint(session, 2, value, slice(2, 6))  # nothing there: no edit of its own
        array = session.mask()
        array[2, 18:22] = False
        edited = array[2]
        replace_segment(session, array)
    assert session.state.edited == [2]
    assert apply_masks(session, masks(1, 2, 3, radius=9.0)) == [2]
    assert np.array_equal(session.mask()[2], edited)
    assert session.mask()[1].sum() > 200


def test_painting_where_no_model_was_is_kept_too(session):
    apply_masks(session, masks(1))
    paint(session, 4)
    assert apply_masks(session, masks(4)) == [4]
    assert session.mask()[4].sum() == 4 * 7


def test_user_may_say_that_edited_slices_are_written_over(session):
    apply_masks(session, masks(1, 2))
    paint(session, 2)
    assert apply_masks(session, masks(1, 2), overwrite_edited=True) == []
    assert np.array_equal(session.mask()[2], session.mask()[1])
    assert session.state.edited == []


def test_painting_undone_by_hand_is_no_edit(session):
    apply_masks(session, masks(2))
    paint(session, 2)
    assert session.state.edited == [2]
    paint(session, 2, False)
    assert session.state.edited == []


def test_threshold_and_growth_are_reversible_and_spare_edited_slices(session):
    apply_masks(session, masks(1, 2, 3))
    paint(session, 3)
    before = session.mask()
    assert set_threshold(session, 0.2) == [3]
    assert set_growth_mm(session, 4.0) == [3]
    grown = session.mask()
    assert grown[1].sum() > before[1].sum() + 50
    assert np.array_equal(grown[3], before[3])
    set_growth_mm(session, -2.0)
    assert session.mask()[1].sum() < before[1].sum() + 20
    set_growth_mm(session, 0.0)
    set_threshold(session, 0.5)
    assert np.array_equal(session.mask(), before)


def test_later_masks_have_the_threshold_and_growth_in_force(session):
    set_threshold(session, 0.9)
    set_growth_mm(session, 1.4)
    apply_masks(session, masks(1))
    expected = mask_of(session.state.models[1].probability, 0.9, 1.4, session.study.geometry.pixel_spacing_mm)
    assert np.array_equal(session.mask()[1], expected) and expected.any()


def test_senseless_settings_are_refused(session):
    with pytest.raises(MyoScarSegError):
        set_threshold(session, 1.0)
    for growth_mm in (21, float("nan")):
        with pytest.raises(SceneError, match="between -20 and 20 mm"):
            set_growth_mm(session, growth_mm)
    assert (session.state.threshold, session.state.growth_mm) == (0.5, 0.0)
    assert not session.history.can_undo


def test_clear_keeps_what_the_user_painted(session):
    apply_proposals(session, [BOX])
    add_point(session, Point(1, 5, 5))
    apply_masks(session, masks(1, 2))
    paint(session, 2)
    painted = session.mask()[2]
    clear_study(session)
    assert session.state.boxes_and_points() == ([], [])
    assert session.state.segmented == []
    assert np.array_equal(session.mask()[2], painted)
    assert not session.mask()[1].any()


def test_every_action_is_one_entry_and_undo_goes_back_through_all(session):
    number = add_box(session, replace(BOX, source="user"))
    steps = [
        lambda: apply_proposals(session, [replace(BOX, slice=k) for k in (0, 1, 3)], {"detector": "d"}),
        lambda: update_box(session, number, state=BoxState.REJECTED),
        lambda: update_box(session, number, x1=35.0),
        lambda: add_box(session, replace(BOX, slice=5, source="user")),
        lambda: apply_masks(session, masks(0, 1, 2, 3)),
        lambda: add_point(session, Point(2, 20.5, 20.5, positive=False)),
        lambda: set_threshold(session, 0.3),
        lambda: set_growth_mm(session, 2.8),
        lambda: paint(session, 1),
        lambda: apply_masks(session, masks(0, 1, 2, radius=4.0)),
        lambda: copy_box_to_next(session, number),
        lambda: remove_box(session, number),
        lambda: remove_point(session),
        lambda: clear_study(session),
    ]
    states = [everything(session)]
    for step in steps:
        step()
        states.append(everything(session))
    assert len(set(states)) == len(states)
    assert len(session.history.labels) == len(steps) + 1
    for state in reversed(states[:-1]):
        session.undo()
        assert everything(session) == state
    for state in states[1:]:
        session.redo()
        assert everything(session) == state
    with pytest.raises(SceneError, match="nothing to redo"):
        session.redo()


def test_mask_of_an_edit_is_undone_together_with_it(session):
    number = add_box(session, BOX)
    apply_masks(session, masks(2), with_latest=True)
    before = everything(session)
    update_box(session, number, x0=12.0)
    apply_masks(session, masks(2, radius=8.0), with_latest=True)
    assert len(session.history.labels) == 2
    session.undo()
    assert everything(session) == before


def test_dragged_slider_is_one_entry(session):
    apply_masks(session, masks(1))
    before = everything(session)
    set_threshold(session, 0.4)
    for threshold in (0.35, 0.3, 0.25):
        set_threshold(session, threshold, dragging=True)
    session.undo()
    assert everything(session) == before


def test_values_that_a_script_sets_one_after_the_other_are_entries_of_their_own(session):
    apply_masks(session, masks(1))
    count = len(session.history.labels)
    set_threshold(session, 0.4)
    set_threshold(session, 0.3)
    set_growth_mm(session, 2.0, dragging=True)  # another slider than the one before
    assert len(session.history.labels) == count + 3
    session.undo()
    session.undo()
    assert session.state.threshold == 0.4
    set_threshold(session, 0.35, dragging=True)
    assert session.undo() and session.state.threshold == 0.4, "what follows an undo joins nothing"


def test_what_was_changed_elsewhere_is_an_entry_of_its_own(session):
    apply_masks(session, masks(2))
    session.nodes.boxes.write([BoxRow(1, BOX)])
    session.nodes.boxes.changed.emit()  # a row typed into the table
    session.nodes.points.write([Point(2, 4.5, 4.5)])
    session.nodes.points.changed.emit()  # a point placed with the mouse
    paint(session, 3)
    set_threshold(session, 0.3)
    assert len(session.history.labels) == 5
    session.undo()
    session.undo()
    assert not session.mask()[3].any()
    assert len(session.state.points) == 1
    session.undo()
    session.undo()
    assert session.state.boxes_and_points() == ([], [])
    assert session.mask()[2].any()


def test_new_action_ends_redo(session):
    add_box(session, BOX)
    session.undo()
    add_box(session, replace(BOX, slice=1))
    assert not session.history.can_redo


def test_step_that_changes_nothing_is_no_entry(session):
    number = add_box(session, BOX)
    update_box(session, number, x1=BOX.x1)
    set_threshold(session, 0.5)
    apply_masks(session, SliceMasks())
    assert len(session.history.labels) == 1


def test_last_point_is_the_one_that_was_placed_last(session):
    add_point(session, Point(1, 5.5, 5.5, positive=False))
    add_point(session, Point(1, 6.5, 6.5, positive=True))
    add_point(session, Point(2, 7.5, 7.5, positive=False))
    assert remove_point(session).slice == 2
    assert remove_point(session).positive
    assert not remove_point(session).positive
    with pytest.raises(SceneError):
        remove_point(session)


@pytest.mark.parametrize(
    "fail",
    [
        lambda s: add_box(s, replace(BOX, slice=99)),
        lambda s: apply_proposals(s, [BOX, replace(BOX, x1=BOX.x0)]),
        lambda s: add_point(s, Point(0, -5, 3)),
        lambda s: update_box(s, 77, x0=3.0),
        lambda s: apply_masks(s, SliceMasks(probability={0: blob(SHAPE[1:], 9, 9, 5), 1: np.zeros((3, 3), np.float32)})),
        lambda s: apply_masks(s, SliceMasks(probability={0: np.full(SHAPE[1:], np.nan, np.float32)})),
        lambda s: apply_masks(s, SliceMasks(probability={0: np.full(SHAPE[1:], 1.5, np.float32), 1: blob(SHAPE[1:], 9, 9, 5)})),
        lambda s: apply_masks(s, SliceMasks(probability={17: blob(SHAPE[1:], 9, 9, 5)})),
        lambda s: s.use_segmentation(s.volume_node),
        lambda s: s.use_segmentation(None),
    ],
)
def test_step_that_fails_changes_nothing(session, fail):
    add_box(session, BOX)
    apply_masks(session, masks(2, 3))
    before, labels = everything(session), session.history.labels
    with pytest.raises((PromptError, SceneError)):
        fail(session)
    assert everything(session) == before
    assert session.history.labels == labels


def test_locked_segmentation_refuses_masks_and_settings_and_keeps_all(session):
    apply_masks(session, masks(2, 3))
    session.segmentation.node.SetHideFromEditors(True)
    before = everything(session)
    for step in (
        lambda: apply_masks(session, masks(1, 2)),
        lambda: set_threshold(session, 0.2),
        session.undo,
        lambda: clear_study(session),
    ):
        with pytest.raises(SceneError, match="locked"):
            step()
        assert everything(session) == before
    session.segmentation.node.SetHideFromEditors(False)
    set_threshold(session, 0.2)


@pytest.mark.parametrize(
    ("part", "step"),
    [
        (part, step)
        for part in ("probability", "results", "record")
        for step in ("masks", "undo", "box", "threshold")
        if (part, step) != ("probability", "box")  # a box needs no probabilities
    ],
)
def test_step_that_breaks_half_way_is_taken_back(session, monkeypatch, part, step):
    add_box(session, BOX)
    apply_masks(session, masks(2, 3))
    before, labels = everything(session), session.history.labels
    target, name = {
        "probability": (session.nodes.probability, "write"),
        "results": (session.nodes.results, "show"),
        "record": (session.nodes.record, "save"),
    }[part]
    whole, calls = getattr(target, name), []

    def break_once(*arguments):
        if not calls:
            calls.append(1)
            raise SceneError("no memory")
        whole(*arguments)

    monkeypatch.setattr(target, name, break_once)
    steps = {
        "masks": lambda: apply_masks(session, masks(1, 2, radius=9)),
        "undo": session.undo,
        "box": lambda: add_box(session, replace(BOX, slice=4)),
        "threshold": lambda: set_threshold(session, 0.2),
    }
    with pytest.raises(SceneError, match="no memory"):
        steps[step]()
    assert everything(session) == before
    assert session.history.labels == labels
    steps[step]()  # and it works the next time
    assert everything(session) != before


def test_painting_in_a_segmentation_that_was_locked_afterwards_is_noticed_without_writing(session):
    apply_masks(session, masks(2))
    paint(session, 3)
    session.segmentation.node.SetHideFromEditors(True)
    assert session.state.edited == [3]
    assert session.burden.slices[3].pixels == 28


def test_segment_that_the_user_deleted_stays_deleted(session):
    apply_masks(session, masks(1, 2))
    node = session.segmentation.node
    node.GetSegmentation().RemoveSegment(session.segmentation.segment_id)
    session.refresh()
    assert node.GetSegmentation().GetNumberOfSegments() == 0
    assert session.state.segmented == []
    session.undo()
    assert session.mask()[1].any() and session.state.segmented == [1, 2]
    assert session.segmentation.node is node


def test_volume_that_was_deleted_is_said(scene, volume):
    session = StudySession.open(volume)
    apply_masks(session, masks(2))
    scene.RemoveNode(volume)
    for step in (lambda: add_box(session, BOX), lambda: apply_masks(session, masks(1))):
        with pytest.raises(SceneError, match="volume was deleted"):
            step()
    assert not session.is_current()
    session.refresh()
    session.close()


def test_volume_that_is_no_study_is_refused(scene):
    with pytest.raises(StudyError, match="Load an LGE study"):
        StudySession.open(None)
    with pytest.raises(StudyError):
        StudySession.open(add_volume(scene, (1, 30, 30)))
    assert sessions(scene) == []


def test_segmentation_that_was_deleted_comes_back_by_undo_or_by_a_new_run(scene, session):
    apply_masks(session, masks(1, 2))
    before = everything(session)
    scene.RemoveNode(session.segmentation.node)
    session.refresh()
    assert not session.mask().any()
    assert apply_masks(session, masks(1)) == []  # no edit that a run should spare
    assert session.mask()[1].any()
    session.undo()
    session.undo()
    assert everything(session) == before


@pytest.mark.parametrize("part", ["probability", "results", "study", "boxes"])
def test_other_nodes_that_were_deleted_lose_nothing(scene, session, part):
    add_box(session, BOX)
    apply_masks(session, masks(1, 2))
    before = everything(session)
    node = {
        "probability": session.nodes.probability.node,
        "results": session.nodes.results.node,
        "study": session.nodes.record.node,
        "boxes": session.nodes.boxes.node,
    }[part]
    assert session.nodes.owns(node)
    scene.RemoveNode(node)
    assert session.nodes.owns(node)
    session.refresh()
    if part == "boxes":
        assert session.state.boxes_and_points() == ([], [])
        session.undo()
    set_threshold(session, 0.3)
    session.undo()
    assert everything(session) == before
    assert session.nodes.results.node.GetScene() is scene and session.nodes.probability.node.GetScene() is scene
    assert [s.volume_node for s in sessions(scene)] == [session.volume_node]


def test_chosen_segmentation_takes_the_scar_and_keeps_its_segments(scene, session, volume):
    apply_masks(session, masks(1, 2))
    scar, own = session.mask(), session.segmentation.node
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Manual")
    node.GetSegmentation().AddEmptySegment("lv", "LV")
    lv = np.ones(SHAPE, dtype=np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(lv, node, "lv", volume)
    session.use_segmentation(node)
    assert session.segmentation.node is node
    assert np.array_equal(session.mask(), scar)
    assert own.GetScene() is None, "the study's own node, left empty, is still there"
    apply_masks(session, masks(1, 2, radius=9.0))
    assert slicer.util.arrayFromSegmentBinaryLabelmap(node, "lv", volume).all()
    session.undo()
    assert np.array_equal(session.mask(), scar)
    assert session.state.edited == []


def test_two_studies_do_not_touch_each_other(scene, session):
    other_volume = add_volume(scene, (5, 30, 36), random_matrix(9, (1.2, 1.2, 8.0)), name="LGE 2")
    other = StudySession.open(other_volume)
    add_box(session, BOX)
    apply_masks(session, masks(1, 2))
    before = everything(session)
    add_box(other, Box(1, 3, 3, 9, 9))
    apply_masks(other, SliceMasks(probability={1: blob((30, 36), 10, 10, 4)}))
    set_threshold(other, 0.2)
    assert everything(session) == before
    assert {s.volume_node.GetName() for s in sessions(scene)} == {"LGE", "LGE 2"}
    other.undo()
    other.undo()
    assert everything(session) == before
    assert len(session.history.labels) == 2


def test_study_is_opened_once(session, volume, scene):
    assert StudySession.open(volume) is session
    add_box(session, BOX)
    assert sessions(scene) == [session]


def test_asking_for_the_studies_of_a_scene_changes_no_node(session, scene):
    add_box(session, BOX)
    apply_masks(session, masks(1))
    before = everything(session)
    session.close()
    nodes = scene.GetNumberOfNodes()
    (found,) = sessions(scene)
    assert found.state.has_masks and found.to_result().burden.pixels > 0
    assert scene.GetNumberOfNodes() == nodes
    assert everything(StudySession.open(session.volume_node)) == before


def test_voxels_of_the_volume_are_never_changed(session, volume):
    before = slicer.util.arrayFromVolume(volume).copy()
    add_box(session, BOX)
    apply_masks(session, masks(1, 2))
    set_growth_mm(session, 3)
    assert np.array_equal(slicer.util.arrayFromVolume(volume), before)
    assert session.is_current()


def test_changed_volume_is_noticed(session, volume, scene):
    slicer.util.arrayFromVolume(volume)[0, 0, 0] += 1
    assert not session.is_current()
    assert StudySession.open(volume) is not session
    again = StudySession.open(volume)
    volume.SetAndObserveTransformNodeID(add_transform(scene, 1).GetID())
    assert not again.is_current()


@pytest.mark.parametrize("hardened", [False, True])
def test_scar_goes_with_a_volume_that_is_moved(session, volume, scene, hardened):
    apply_masks(session, masks(1, 2))
    set_threshold(session, 0.3)
    before = everything(session)
    transform = add_transform(scene, 4)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    if hardened:
        session.segmentation.node.SetAndObserveTransformNodeID(transform.GetID())
        volume.HardenTransform()
    moved = StudySession.open(volume)
    assert moved is not session
    assert everything(moved) == before
    assert moved.state.edited == []
    assert apply_masks(moved, masks(1, 2, 3)) == []
    seen = slicer.util.arrayFromSegmentBinaryLabelmap(moved.segmentation.node, moved.segmentation.segment_id, volume)
    assert np.array_equal(seen > 0, moved.mask())


def test_a_study_whose_volume_was_moved_while_it_was_closed_is_exported_as_it_was(session, volume, scene):
    apply_masks(session, masks(1, 2))
    before, burden = session.mask(), session.burden
    session.close()
    volume.SetAndObserveTransformNodeID(add_transform(scene, 4).GetID())
    (found,) = sessions(scene)
    assert np.array_equal(found.to_result().mask, before) and found.burden.mass_g == pytest.approx(burden.mass_g)
    assert found.state.edited == []


def test_sessions_that_are_dropped_are_held_by_no_node(session, scene):
    add_box(session, BOX)
    session.close()
    tables = [weakref.ref(found.nodes.boxes) for _time in range(3) for found in sessions(scene)]
    gc.collect()
    assert [table() for table in tables] == [None] * 3


def test_result_holds_the_mask_as_it_is(session):
    apply_proposals(session, [BOX], {"detector": "d", "detector_sha256": "1" * 64})
    apply_masks(session, masks(1, 2))
    paint(session, 2)
    result = session.to_result()
    assert np.array_equal(result.mask, session.mask())
    assert result.burden == session.burden
    assert result.boxes == (replace(BOX),)
    assert result.scores == {1: 0.8, 2: 0.8}
    provenance = result.provenance
    assert provenance["segmenter"] == "tiny" and provenance["detector"] == "d"
    assert provenance["threshold"] == "0.5" and provenance["edited_slices"] == "2"
    assert provenance["program"].startswith("MyoScarSeg ")


def test_slices_of_different_models_name_them_all(session):
    apply_masks(session, masks(1, 2))
    apply_masks(session, replace(masks(2), provenance={"segmenter": "other"}))
    assert session.provenance["segmenter"] == "tiny; other"
    apply_masks(session, replace(masks(1), provenance={"segmenter": "other"}))
    assert session.provenance["segmenter"] == "other"


def test_review_goes_slice_by_slice_doubtful_boxes_first(session):
    apply_proposals(session, [replace(BOX, slice=k, confidence=c, x0=x) for k, c, x in [(3, 0.9, 1), (1, 0.8, 1), (1, 0.2, 25)]])
    add_box(session, Box(0, 1, 1, 9, 9))
    boxes = [session.state.box(number) for number in session.state.review_order()]
    assert [(b.slice, b.confidence) for b in boxes] == [(1, 0.2), (1, 0.8), (3, 0.9)]
    update_box(session, session.state.review_order()[0], state=BoxState.ACCEPTED)
    assert len(session.state.review_order()) == 2


def test_edit_and_its_mask_are_measured_once_and_write_one_slice(session, monkeypatch):
    number = add_box(session, BOX)
    apply_masks(session, masks(1, 2, 3))
    measured, written = [], []
    measure, write = study_numbers.scar_burden, type(session.segmentation).write_slices
    monkeypatch.setattr(study_numbers, "scar_burden", lambda *given: measured.append(1) or measure(*given))
    monkeypatch.setattr(
        type(session.segmentation), "write_slices", lambda self, given: written.append(sorted(given)) or write(self, given)
    )
    update_box(session, number, x1=31.0)
    apply_masks(session, masks(2, radius=7.0), with_latest=True)
    assert session.burden.pixels == session.mask().sum()
    assert len(measured) == 1
    assert [slices for slices in written if slices] == [[2]]


def test_asking_changes_nothing(session, scene):
    """Painting that nobody was told of yet included: every public property and query, before it is taken up."""
    number = add_box(session, BOX)
    add_point(session, Point(1, 5.5, 5.5))
    apply_masks(session, masks(1, 2))
    array = session.mask()
    array[4, 3:9, 3:9] = True
    node = session.segmentation.node
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        session.geometry.to_volume(array.astype(np.uint8)), node, session.segmentation.segment_id, session.volume_node
    )
    nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]

    def now() -> tuple:
        return [(one.GetID(), one.GetMTime()) for one in nodes], scene.GetNumberOfNodes(), session.history.labels, session.state

    session.attach(Engine(), Automatic(waits=True))
    before = now()
    for asked in (session, session.requests):
        for name in dir(type(asked)):
            if isinstance(getattr(type(asked), name), property):
                getattr(asked, name)
    state = session.state
    state.box(number), state.boxes_and_points(), state.review_order()
    session.mask(), session.to_result()
    assert session.is_current()
    for verb in ("propose", "segment", "segment_slice", "process", "undo", "redo", "export", "cancel", "add_box"):
        why_not(verb, session)
    assert now() == before
    assert session.state.edited == []
    session.pump()
    assert session.state.edited == [4]


def test_asking_for_a_list_of_points_does_not_lay_it_where_its_volume_was_moved_to(session, scene):
    add_point(session, Point(1, 5.5, 5.5))
    points, volume = session.nodes.points, session.volume_node
    node = points.node(True)
    volume.SetAndObserveTransformNodeID(add_transform(scene, 1).GetID())
    before = node.GetMTime()
    assert points.node(True) is node and points.node(False) is None
    assert node.GetMTime() == before
    session.refresh()
    assert node.GetParentTransformNode() is volume.GetParentTransformNode()
    assert session.state.points == (Point(1, 5.5, 5.5),)


def test_several_changes_may_be_one_step(session):
    before = everything(session)
    with session.step("Two boxes"):
        add_box(session, BOX)
        add_box(session, replace(BOX, slice=3))
    assert session.history.labels == ["Two boxes"]
    with pytest.raises(PromptError), session.step("Half a step"):
        add_box(session, replace(BOX, slice=4))
        add_box(session, replace(BOX, slice=99))
    assert len(session.state.boxes) == 2 and session.history.labels == ["Two boxes"]
    session.undo()
    assert everything(session) == before
