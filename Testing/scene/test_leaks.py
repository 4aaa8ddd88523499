"""What a long session of work must not pile up: studies that live on, updates done many times over, scans of the scene."""

from __future__ import annotations

import gc

import pytest
import slicer

from MyoScarSegLib.engine.client import Engine
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.result import SliceMasks
from MyoScarSegLib.scene import attributes
from MyoScarSegLib.scene.mask_steps import apply_masks, set_threshold
from MyoScarSegLib.scene.prompt_steps import add_box, update_box
from MyoScarSegLib.scene.study_nodes import StudyNodes
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.tissue_segment import TissueSegment
from MyoScarSegLib.scene.workflow import Workflow
from Testing.support.session_factory import blob
from Testing.support.volume_factory import add_transform, add_volume, random_matrix

BOX = Box(2, 10, 8, 30, 30)
STEPS = 30


@pytest.fixture
def workflow(scene):
    workflow = Workflow(scene, Engine())
    workflow.set_automatic(waits=True)  # nothing is asked of a worker
    yield workflow
    workflow.close()


@pytest.fixture
def volume(scene):
    return add_volume(scene, (6, 40, 48), random_matrix(2, (1.4, 1.4, 10.0)))


@pytest.fixture
def scans(monkeypatch):
    """How often the whole scene was gone through."""
    done = []
    through = attributes.our_nodes

    def counted(scene):
        done.append(1)
        return through(scene)

    for module in ("attributes", "study_folder", "study_nodes"):
        monkeypatch.setattr(f"MyoScarSegLib.scene.{module}.our_nodes", counted)
    return done


def alive() -> int:
    gc.collect()
    return sum(isinstance(one, StudySession) for one in gc.get_objects())


def test_a_volume_that_is_moved_many_times_has_one_study_and_an_edit_is_one_update(workflow, scene, volume, monkeypatch):
    before = alive()
    transform = add_transform(scene, 1)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert workflow.select(volume)
    workflow.pump()
    for step in range(STEPS):
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(random_matrix(step, (1.0, 1.0, 1.0))))
        workflow.pump()
        assert workflow.session.is_current()
    updates = []
    monkeypatch.setattr(StudyNodes, "keep", lambda *_: updates.append(1))
    add_box(workflow.session, BOX)
    assert len(updates) == 1
    box_id = workflow.session.state.boxes[0].id
    updates.clear()
    slicer.util.arrayFromVolumeModified(volume)  # what is not moved stays as it is
    workflow.pump()
    table = workflow.session.nodes.boxes.node
    table.SetCellText(0, table.GetColumnIndex("x0"), "12.0")  # by others: noticed by whoever observes
    assert workflow.session.state.box(box_id).x0 == 12.0
    assert len(updates) == 1
    assert alive() - before == 1


def test_a_study_of_a_volume_that_was_moved_since_answers_no_edit_though_somebody_holds_it(scene, volume, monkeypatch):
    transform, held = add_transform(scene, 1), [StudySession.open(volume)]
    add_box(held[0], BOX)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    for step in range(3):
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(random_matrix(step, (1.0, 1.0, 1.0))))
        held.append(StudySession.open(volume))
    updates = []
    monkeypatch.setattr(StudyNodes, "keep", lambda *_: updates.append(1))
    table = held[-1].nodes.boxes.node
    table.SetCellText(0, table.GetColumnIndex("x0"), "12.0")
    assert [session.state.boxes[0].box.x0 for session in held] == [BOX.x0] * 3 + [12.0]
    assert len(updates) == 1


def test_a_study_that_nobody_holds_any_more_is_freed_without_a_word(volume):
    before = alive()
    session = StudySession.open(volume)
    add_box(session, BOX)
    del session
    assert alive() == before


def test_at_rest_nothing_is_to_be_pumped_and_a_pump_does_not_go_through_the_scene(workflow, volume, scans):
    woken = []
    workflow.engine.woken.connect(lambda: woken.append(1))
    assert workflow.select(volume)
    while workflow.pump():
        pass
    for has_masks in (False, True):
        if has_masks:
            probability = {2: blob((40, 48), 24.0, 20.0, 6.0)}
            apply_masks(workflow.session, SliceMasks(probability=probability, scores={}, provenance={}))
            while workflow.pump():
                pass
        scans.clear()
        woken.clear()
        for _ in range(100):
            assert not workflow.pump()
        assert not scans and not woken


def test_painting_and_a_deleted_box_ask_for_a_turn_which_takes_them_in(workflow, scene, volume):
    woken = []
    assert workflow.select(volume)
    session = workflow.session
    add_box(workflow.session, BOX)
    session.segmentation.ensure_node()  # a new node, of which nobody was told
    segment_id = session.segmentation.segment_id
    while workflow.pump():
        pass
    workflow.engine.woken.connect(lambda: woken.append(1))
    array = session.mask()
    array[1, 2:6, 2:9] = True
    of_volume = session.geometry.to_volume(array.astype("uint8"))
    slicer.util.updateSegmentBinaryLabelmapFromArray(of_volume, session.segmentation.node, segment_id, volume)
    assert woken
    while workflow.pump():
        pass
    assert session.history.undo_label.startswith("Edit slice 1")
    woken.clear()
    scene.RemoveNode(workflow.views.node(session.state.boxes[0].id))
    assert woken
    while workflow.pump():
        pass
    assert not session.state.boxes


def test_painting_is_noticed_in_a_segmentation_that_was_chosen_later_too(workflow, scene, volume):
    assert workflow.select(volume)
    session = workflow.session
    session.segmentation.write_slices({1: blob((40, 48), 24.0, 20.0, 6.0) > 0.5})
    workflow.pump()
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    other.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    assert workflow.session.use_segmentation(other)
    while workflow.pump():
        pass
    woken = []
    workflow.engine.woken.connect(lambda: woken.append(1))
    session.segmentation.write_slices({3: blob((40, 48), 24.0, 20.0, 6.0) > 0.5})
    assert woken
    workflow.pump()
    assert 3 in session.state.edited


def test_an_edit_goes_through_a_scene_only_after_nodes_have_come_or_gone(workflow, scene, volume, scans):
    assert workflow.select(volume)
    add_box(workflow.session, BOX)
    box_id = workflow.session.state.boxes[0].id
    session = workflow.session
    session.segmentation.write_slices({1: blob((40, 48), 24.0, 20.0, 6.0) > 0.5})
    update_box(workflow.session, box_id, x0=11.0)
    while workflow.pump():
        pass
    scans.clear()
    update_box(workflow.session, box_id, x0=12.0)
    while workflow.pump():
        pass
    assert not scans


def test_a_slider_writes_only_slices_whose_pixels_change_and_the_surface_follows_when_it_rests(scene, volume, monkeypatch):
    now, written = [0.0], []
    workflow = Workflow(scene, Engine(), clock=lambda: now[0])
    workflow.set_automatic(waits=True)
    assert workflow.select(volume)
    sure = (blob((40, 48), 24.0, 20.0, 6.0) > 0.5).astype("float32")  # the same mask at each threshold
    probability = {1: sure, 2: blob((40, 48), 24.0, 20.0, 6.0), 4: sure}
    apply_masks(workflow.session, SliceMasks(probability=probability, scores={}, provenance={}))
    node, kind = workflow.session.segmentation.node, "Closed surface"
    node.CreateClosedSurfaceRepresentation()
    shown = node.GetSegmentation().ContainsRepresentation
    write = TissueSegment.write_slices
    monkeypatch.setattr(TissueSegment, "write_slices", lambda self, masks: written.append(sorted(masks)) or write(self, masks))
    set_threshold(workflow.session, 0.75)
    assert written == [[2]] and shown(kind), "one value alone is shown at once"
    for threshold in (0.9, 0.96, 0.985):
        set_threshold(workflow.session, threshold, dragging=True)
        now[0] += 0.1
        assert workflow.pump() and not shown(kind)
    assert written == [[2]] * 4
    now[0] += 0.3
    while workflow.pump():
        pass
    assert shown(kind)
    assert workflow.session.undo() and shown(kind), "later edits show their surface at once again"
    set_threshold(workflow.session, 0.3)
    workflow.select(None)
    assert shown(kind), "also when the study is left meanwhile"
    workflow.close()
