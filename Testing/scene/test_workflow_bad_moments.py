"""Bad moments: each gives a plain sentence, leaves the scene as it was, and the work goes on after it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk

from MyoScarSegLib.engine import protocol
from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.phantom import PhantomSettings, make_phantom
from MyoScarSegLib.prompts import FAINT, Box, BoxState, Point
from MyoScarSegLib.scene.attributes import nodes_of
from MyoScarSegLib.scene.export import export_scene
from MyoScarSegLib.scene.lge_volumes import add_study
from MyoScarSegLib.scene.mask_steps import set_threshold
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.prompt_steps import add_box, add_point, apply_proposals, update_box
from Testing.support.workflow_factory import catch_up, fingerprint, finish, pump_until, scar_in_scene

SMALL = PhantomSettings(slices=4, rows=80, columns=72, pixel_spacing_mm=(2.4, 2.4))
BOX = Box(1, 20, 20, 50, 50)


@pytest.fixture
def volume(scene):
    return add_study(scene, make_phantom(3, settings=SMALL).study, "LGE")


def sentence(workflow) -> str:
    """The error, which must be fit to show to a user."""
    assert workflow.error[:1].isupper(), workflow.error
    assert "Traceback" not in workflow.error
    return workflow.error


def fails(workflow, action) -> str:
    pump_until(workflow, lambda: action.finished, action.what)
    assert action.state == "failed"
    assert action.error == workflow.error
    return sentence(workflow)


def test_a_study_without_scar_is_segmented_to_a_result_of_zero_and_undone(workflow, volume):
    workflow.select(volume)
    session = workflow.session
    rejected = replace(BOX, state=BoxState.REJECTED, source="net" + FAINT)
    apply_proposals(session, [rejected], {"detector": "net"})
    assert workflow.why_not("segment") == ""
    assert "no box that counts and no + point on slice 2" in fails(workflow, session.requests.segment([2]))
    finish(workflow, session.requests.segment())
    assert session.state.segmented == [0, 1, 2, 3] and session.burden.mass_g == 0
    assert "No scar was found on the 4 slices" in workflow.status
    assert workflow.why_not("export") == "" and workflow.why_not("report") == ""
    session.undo()
    assert not session.state.has_masks


def test_segmenting_without_any_prompt_says_what_to_do(workflow, volume, scene):
    workflow.select(volume)
    before = fingerprint(scene)
    assert "propose boxes, or draw one" in fails(workflow, workflow.session.requests.segment())
    assert fingerprint(scene) == before


def test_slice_that_is_not_there_is_refused(workflow, volume):
    workflow.select(volume)
    workflow.set_automatic(live=False)
    add_box(workflow.session, BOX)
    assert "no slice 9" in fails(workflow, workflow.session.requests.segment([1, 9]))


def test_volume_that_is_too_large_is_refused_with_what_to_do_and_can_be_chosen_later(workflow, volume, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(protocol, "MOST_BODY_BYTES", 1000)
        assert not workflow.select(volume)
        assert "too large" in sentence(workflow) and "Crop" in sentence(workflow)
        workflow.pump()
    assert workflow.select(volume)


def test_volumes_that_are_no_stack_of_slices(workflow, scene):
    def made(class_name: str, shape: tuple[int, ...]):
        node = scene.AddNewNodeByClass(class_name, "Odd one")
        slicer.util.updateVolumeFromArray(node, np.random.default_rng(0).normal(size=shape).astype(np.float32))
        return node

    colors_in_a_scalar_volume = made("vtkMRMLScalarVolumeNode", (4, 30, 32))
    image = vtk.vtkImageData()
    image.SetDimensions(8, 8, 4)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    colors_in_a_scalar_volume.SetAndObserveImageData(image)
    four_dimensional = made("vtkMRMLVectorVolumeNode", (4, 30, 32, 5))
    color = made("vtkMRMLVectorVolumeNode", (4, 30, 32, 3))
    single = made("vtkMRMLScalarVolumeNode", (1, 30, 32))
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Odd one")
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Odd one")
    before = fingerprint(scene)
    for node, words in (
        (colors_in_a_scalar_volume, "3 numbers per voxel"),
        (four_dimensional, "5 numbers per voxel"),
        (color, "3 numbers per voxel"),
        (single, "one slice"),
        (empty, "no image"),
        (labels, "label map"),
    ):
        assert not workflow.select(node)
        assert words in sentence(workflow)
        assert "Odd one" in workflow.error
        assert workflow.attempt(lambda session: session.requests.process()) is None
        assert "Choose an LGE volume first" in sentence(workflow)
    assert fingerprint(scene) == before


def test_locked_segmentation_is_left_alone(workflow, volume, scene):
    workflow.select(volume)
    add_box(workflow.session, BOX)
    catch_up(workflow)
    node = workflow.session.segmentation.node
    workflow.set_automatic(live=False)
    assert update_box(workflow.session, workflow.session.state.boxes[0].id, x0=30.0)
    pump_until(workflow, lambda: not workflow.session.pump(), "tables of burden")
    node.SetSelectable(False)
    before = fingerprint(scene)
    assert "locked" in fails(workflow, workflow.session.requests.segment())
    assert fingerprint(scene) == before
    assert workflow.attempt(set_threshold, 0.2) is None
    assert "locked" in sentence(workflow)
    assert fingerprint(scene) == before
    assert workflow.session.state.threshold == 0.5
    node.SetSelectable(True)
    finish(workflow, workflow.session.requests.segment())
    set_threshold(workflow.session, 0.2)


ROLES = ["boxes", "points -", "points +", "segmentation", "probability", "results", "provenance", "study", "box view"]


def test_any_node_of_ours_may_be_deleted_and_work_goes_on(workflow, volume, scene):
    workflow.select(volume)
    add_point(workflow.session, Point(1, 30, 30))
    add_point(workflow.session, Point(1, 25, 25, positive=False))
    for number, role in enumerate(ROLES):
        add_box(workflow.session, BOX)
        catch_up(workflow)
        for node in nodes_of(volume, role):
            scene.RemoveNode(node)
        for _ in range(3):
            workflow.pump()
        if role in ("boxes", "box view"):
            assert workflow.session.state.boxes == ()
        assert add_box(workflow.session, replace(BOX, slice=2, x1=50.0 + number)), (role, workflow.error)
        catch_up(workflow)
        assert workflow.session.mask()[2].any(), role
    finish(workflow, workflow.session.requests.propose())
    finish(workflow, workflow.session.requests.segment())
    assert scar_in_scene(volume, workflow.session.segmentation.node)[2].any()
    assert workflow.session.undo()
    assert workflow.session.undo()


def test_cancel_ends_the_action_at_once_and_leaves_the_scene_as_it_was(workflow, volume, scene):
    workflow.select(volume)
    workflow.set_automatic(live=False)
    add_box(workflow.session, BOX)
    before = fingerprint(scene)
    for start in (workflow.session.requests.propose, workflow.session.requests.segment, workflow.session.requests.process):
        action = start()
        for _ in range(3):
            workflow.pump()
        workflow.session.requests.cancel()
        assert action.state == "cancelled"
        assert workflow.busy == ""
        for _ in range(20):
            workflow.pump()
            time.sleep(0.005)
    assert fingerprint(scene) == before


def test_cancel_by_whoever_is_told_of_the_boxes_leaves_no_request_for_masks(workflow, volume):
    workflow.select(volume)
    workflow.set_automatic(live=False)
    requests = workflow.session.requests
    workflow.changed.connect(lambda what: requests.cancel() if what is Change.BOXES else None)
    action = requests.process()
    pump_until(workflow, lambda: action.finished, "boxes")
    assert action.state == "cancelled" and requests.progress.total == 0
    pump_until(workflow, lambda: workflow.engine.state == "ready", "rest")
    assert workflow.session.state.boxes and not workflow.session.state.has_masks


def test_second_action_waits_for_the_first(workflow, volume):
    workflow.select(volume)
    first = workflow.session.requests.propose()
    assert "Wait until" in fails(workflow, workflow.session.requests.segment())
    finish(workflow, first)


def test_error_is_gone_after_the_next_step(workflow, volume):
    workflow.attempt(lambda session: session.requests.propose())
    assert workflow.error
    workflow.select(volume)
    assert workflow.error == ""
    with pytest.raises(MyoScarSegError):
        export_scene(workflow.scene, Path("nowhere"))
