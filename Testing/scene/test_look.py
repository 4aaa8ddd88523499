"""The first proposals bring views and grey scale to the heart; undo takes that back, and what the reader chose later stays."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from MyoScarSegLib.prompts import Box
from MyoScarSegLib.scene.prompt_steps import apply_proposals
from MyoScarSegLib.scene.study_session import StudySession
from Testing.support.volume_factory import add_volume, random_matrix

SHAPE = (6, 160, 200)
HEART = (120.0, 70.0)
BOXES = [Box(k, 126, 60, 136, 78, confidence=0.6, source="yolo") for k in (1, 2, 3)]


def ring(shape=SHAPE) -> np.ndarray:
    """A dark heart with brighter blood and the brightest scar, under much brighter fat far from it."""
    rows, columns = np.mgrid[: shape[1], : shape[2]] + 0.5
    radius = np.hypot(rows - HEART[1], columns - HEART[0])
    image = np.where(radius < 20, 60.0, 20.0)
    image[(radius > 20) & (radius < 26)] = 10.0
    image[(radius > 20) & (radius < 26) & (columns > HEART[0] + 10)] = 100.0
    image[:, :60] = 900.0
    return np.repeat(image[None], shape[0], axis=0) + np.random.default_rng(0).uniform(0, 1, shape)


@pytest.fixture(params=["straight", "oblique"])
def session(scene, request) -> StudySession:
    matrix = None if request.param == "straight" else random_matrix(3, (1.4, 1.4, 10.0))
    volume = add_volume(scene, SHAPE, matrix)
    slicer.util.updateVolumeFromArray(volume, ring())
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevelMinMax(0, 900)
    for name in ("Red", "Yellow", "Green"):
        node = scene.GetNodeByID(f"vtkMRMLSliceNode{name}")
        node.SetDimensions(600, 400, 1)
        node.SetFieldOfView(600, 400, 1)
    session = StudySession.open(volume)
    red = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    session.geometry.align_view(red)
    session.geometry.show_slice(red, 2)
    return session


def red(session):
    return session.volume_node.GetScene().GetNodeByID("vtkMRMLSliceNodeRed")


def shown(session) -> tuple:
    """Zoom, and the pixel in the middle of the red view with its slice."""
    node = red(session)
    width, height, _depth = node.GetDimensions()
    k, x, y = session.geometry.position_in_view(node, width / 2, height / 2)
    return k, pytest.approx((x, y), abs=0.6), pytest.approx(node.GetFieldOfView()[:2], rel=1e-4)


def window(session) -> tuple[float, float]:
    display = session.volume_node.GetDisplayNode()
    return display.GetWindowLevelMin(), display.GetWindowLevelMax()


def test_the_first_proposals_fill_view_and_grey_scale_with_the_heart(session):
    apply_proposals(session, BOXES, {"detector": "d"}, heart=HEART, fit=True)
    k, middle, field = shown(session)
    assert k == 2  # the slice that the reader looked at
    assert middle == HEART
    assert field == (195.0, 130.0)
    low, high = window(session)
    assert 10 <= low <= 21 and 95 <= high <= 101  # fat is beyond white, and scar is white


def test_undo_takes_it_back_with_the_proposals_and_redo_does_it_again(session):
    before, grey = shown(session), window(session)
    apply_proposals(session, BOXES, {"detector": "d"}, heart=HEART, fit=True)
    fitted, fitted_grey = shown(session), window(session)
    assert session.history.labels == ["Propose boxes"]
    session.undo()
    assert session.state.boxes == ()
    assert (shown(session)[1:], window(session)) == (shown_values(before), grey)
    session.redo()
    assert (shown(session)[1:], window(session)) == (shown_values(fitted), fitted_grey)


def shown_values(of) -> tuple:
    return tuple(approximate.expected for approximate in of[1:])


def test_later_proposals_leave_what_the_reader_chose(session):
    apply_proposals(session, BOXES, {"detector": "d"}, heart=HEART, fit=True)
    red(session).SetFieldOfView(90, 60, 1)
    session.volume_node.GetDisplayNode().SetWindowLevelMinMax(5, 50)
    apply_proposals(session, BOXES[:1], {"detector": "d"}, heart=HEART, fit=True)
    assert red(session).GetFieldOfView()[0] == pytest.approx(90)
    assert window(session) == pytest.approx((5, 50))


def test_undo_leaves_the_zoom_or_window_that_the_reader_chose_since(session):
    grey = window(session)
    apply_proposals(session, BOXES, {"detector": "d"}, heart=HEART, fit=True)
    red(session).SetFieldOfView(90, 60, 1)
    session.undo()
    assert red(session).GetFieldOfView()[0] == pytest.approx(90)
    assert window(session) == grey
    session.redo()
    session.volume_node.GetDisplayNode().SetWindowLevelMinMax(5, 50)
    session.undo()
    assert window(session) == pytest.approx((5, 50))


def test_undo_after_scrolling_stays_on_the_slice_that_the_reader_came_to(session):
    apply_proposals(session, BOXES, {"detector": "d"}, heart=HEART, fit=True)
    session.geometry.show_slice(red(session), 4)
    session.undo()
    assert session.geometry.slice_of_view(red(session)) == 4
    assert red(session).GetFieldOfView()[0] == pytest.approx(600)


def test_nothing_is_fitted_by_choice(session):
    before, grey = shown_values(shown(session)), window(session)
    apply_proposals(session, BOXES, {"detector": "d"}, heart=HEART, fit=False)
    assert (shown(session)[1:], window(session)) == (before, grey)


def test_an_unknown_heart_is_where_the_boxes_are_and_without_either_nothing_changes(session):
    before = shown_values(shown(session))
    apply_proposals(session, [], {"detector": "d"}, fit=True)
    assert shown(session)[1:] == before
    session.undo()
    apply_proposals(session, BOXES, {"detector": "d"}, fit=True)
    assert shown(session)[1] == (131.0, 69.0)


def test_all_boxes_are_in_sight(session):
    far = Box(2, 2, 2, 30, 30, source="yolo", confidence=0.5)
    apply_proposals(session, [*BOXES, far], {"detector": "d"}, heart=HEART, fit=True)
    x, y = HEART
    half_mm = min(red(session).GetFieldOfView()[:2]) / 2
    assert half_mm >= 1.4 * max(x - far.x0, y - far.y0)


def test_a_view_of_another_volume_is_left_alone(session, scene):
    composite = slicer.vtkMRMLSliceCompositeNode()
    composite.SetLayoutName("Green")
    composite.SetSingletonTag("Green")
    scene.AddNode(composite).SetBackgroundVolumeID(add_volume(scene, (4, 10, 12), name="cine").GetID())
    apply_proposals(session, BOXES, {"detector": "d"}, heart=HEART, fit=True)
    assert scene.GetNodeByID("vtkMRMLSliceNodeGreen").GetFieldOfView()[0] == pytest.approx(600)
    assert red(session).GetFieldOfView()[0] == pytest.approx(195)
