"""What the application does and simple stand-ins would not: views in any order and hidden, double clicks, fields that want Enter,
stacks at a small angle, scenes closed under the brush."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from MyoScarSegLib.prompts import Box, BoxState
from MyoScarSegLib.result import Boxes
from MyoScarSegLib.scene.prompt_steps import apply_proposals
from MyoScarSegLib.utils.task import DONE, Task
from Testing.support.panel_kit import add_volume
from Testing.support.standins.pythonqt import slot_errors, unwrap


@pytest.fixture
def study(module, monkeypatch):
    """A study with a proposal on slice 1, in the red view; no worker is started."""
    for name in ("Red", "Yellow", "Green"):
        module.slice_node(name).SetMappedInLayout(1)
    monkeypatch.setattr(module.panel.segment.advanced, "_ask_states", lambda: None)
    module.begin(waits=True)
    apply_proposals(module.session, [Box(1, 10, 12, 30, 34, confidence=0.5, source="detector")], {})
    module.settle()
    module.show_slice(1)
    module.fit()
    yield module
    for name in ("Red", "Yellow", "Green"):
        module.slice_node(name).SetMappedInLayout(1)


def send(module, event: str, x: float, y: float, view: str = "Red") -> bool:
    """Send a mouse event at a pixel of the displayed slice. Returns whether it was stopped before the application saw it."""
    interactor = module.interactor(view)
    reached: list[str] = []
    tag = interactor.AddObserver(event, lambda _caller, name: reached.append(name), -10.0)
    interactor.SetEventInformation(*module.display(view, x, y), 0, 0, "\0", 0, None)
    interactor.InvokeEvent(event)
    interactor.RemoveObserver(tag)
    module.settle()
    return not reached


def test_the_red_view_comes_first_whatever_order_the_application_gives(study):
    assert [w.mrmlSliceNode().GetLayoutName() for w in study.panel.views.widgets] == ["Red", "Green", "Yellow"]


def test_a_hidden_view_is_neither_turned_nor_followed(study):
    study.slice_node("Red").SetMappedInLayout(0)
    assert [w.mrmlSliceNode().GetLayoutName() for w in study.panel.views.widgets] == ["Green", "Yellow"]
    assert not study.session.geometry.shows_slices(study.slice_node("Green"))
    study.panel.views.jump(2)
    study.settle()
    assert study.session.geometry.lies_in_slices(study.slice_node("Green"))
    assert study.workflow.displayed_slice == 2
    study.session.geometry.show_slice(study.slice_node("Red"), 0)
    study.settle()
    assert study.workflow.displayed_slice == 2, "a view that nobody sees was taken for the displayed one"


def test_a_view_at_a_small_angle_is_turned_into_the_slices(study):
    node, tilt = study.slice_node("Red"), np.deg2rad(4)
    matrix = node.GetSliceToRAS()
    import slicer

    turn = np.eye(4)
    turn[:3, :3] = [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    tilted = slicer.util.arrayFromVTKMatrix(matrix) @ turn
    matrix.DeepCopy(slicer.util.vtkMatrixFromArray(tilted))
    node.UpdateMatrices()
    geometry = study.session.geometry
    assert geometry.shows_slices(node) and not geometry.lies_in_slices(node)
    study.panel.views.jump(1)
    assert geometry.lies_in_slices(node)


def test_two_quick_clicks_with_a_tool_are_two_points_and_maximize_nothing(study):
    study.panel.segment.mouse.use("positive")
    for event in ("LeftButtonPressEvent", "LeftButtonReleaseEvent", "LeftButtonDoubleClickEvent"):
        stopped = send(study, event, 20 if "Press" in event else 26, 22)
    assert stopped
    send(study, "LeftButtonReleaseEvent", 26, 22)
    assert [(p.slice, round(p.x)) for p in study.session.state.points] == [(1, 20), (1, 26)]


def test_a_press_and_a_double_click_for_the_same_click_are_one_point(study):
    study.panel.segment.mouse.use("positive")
    send(study, "LeftButtonPressEvent", 20, 22)
    assert send(study, "LeftButtonDoubleClickEvent", 20, 22)
    send(study, "LeftButtonReleaseEvent", 20, 22)
    assert len(study.session.state.points) == 1


def test_a_double_click_without_a_tool_is_the_applications(study):
    assert not send(study, "LeftButtonDoubleClickEvent", 50, 50)


def test_enter_in_a_field_is_the_fields(study):
    study.key("N")
    box_id = study.panel.segment.boxes.selected
    assert box_id is not None
    field = unwrap(study.ui.threadsSpinBox)
    study.ui.advancedSection.collapsed = False
    study.application.window.activateWindow()
    study.settle()
    field.setFocus()
    study.settle()
    assert study.application.app.focusWidget() is field
    QTest.keyClick(field, Qt.Key.Key_Return)
    study.settle()
    assert study.session.state.box(box_id).state is BoxState.PROPOSED
    unwrap(study.ui.boxTable).setFocus()
    study.settle()
    study.key("Return")
    assert study.session.state.box(box_id).state is BoxState.ACCEPTED
    study.ui.advancedSection.collapsed = True


def test_an_error_at_every_turn_is_told_once_and_again_when_it_comes_back(study, monkeypatch):
    backend = study.panel.backend
    monkeypatch.setattr("MyoScarSegLib.widgets.backend._TURN_S", 60)  # each turn comes to the callback, on a loaded machine too
    broken = [True]

    def callback() -> None:
        if broken[0]:
            raise RuntimeError("the same each time")

    remove = backend.after_tick(callback)
    try:
        with pytest.raises(RuntimeError, match="the same"):
            backend._tick()
        backend._tick()
        backend._tick()
        broken[0] = False
        backend._tick()
        broken[0] = True
        with pytest.raises(RuntimeError, match="the same"):
            backend._tick()
    finally:
        remove()
        backend._tick()
    slot_errors[:] = [error for error in slot_errors if "the same each time" not in str(error)]  # of the timer, meanwhile


def test_what_took_long_ends_the_turn_and_the_rest_has_the_next_one(study, monkeypatch):
    backend, called = study.panel.backend, []
    backend._timer.stop()
    backend._due.clear()
    monkeypatch.setattr("MyoScarSegLib.widgets.backend._TURN_S", 60)
    monkeypatch.setattr(backend, "_after", [lambda: called.append(1), lambda: called.append(2), lambda: called.append(3)])
    try:
        backend._tick()
        assert called == [1, 2, 3], "what is quick is done in one turn"
        monkeypatch.setattr("MyoScarSegLib.widgets.backend._TURN_S", -1)  # all takes too long now
        turns = []
        for _ in range(2 * (2 + 3)):  # two pumps, and the three
            called.clear()
            backend._tick()
            turns.append(list(called))
        assert turns == 2 * [[], [], [1], [2], [3]], "each in a turn of its own, and nothing is left out"
    finally:
        backend._due.clear()
        backend._timer.start()


def test_the_brush_works_on_the_second_study_too_and_rests_when_the_scene_is_closed(study):
    study.ui.editorGroup.checked = True
    study.settle()
    editor = study.panel.segment.scar.editor
    assert unwrap(editor.widget).segmentationNode() is not None
    study.scene.Clear(0)
    study.settle()
    assert unwrap(editor.widget).segmentationNode() is None
    add_volume(study.scene, seed=2)
    study.panel.segment.study.choose_likely()
    study.settle()
    assert unwrap(editor.widget).segmentationNode() is study.session.segmentation.node
    assert study.session.segmentation.node is not None
    study.ui.editorGroup.checked = False
    study.settle()


def test_a_chosen_box_is_not_chosen_in_another_study_that_has_a_box_of_its_number(study):
    (row,) = study.session.state.boxes
    study.panel.segment.boxes.select(row.id)
    study.settle()
    assert study.ui.acceptBoxButton.enabled
    study.workflow.select(add_volume(study.scene, seed=2))
    apply_proposals(study.session, [Box(1, 10, 12, 30, 34, confidence=0.5, source="detector")], {})
    study.settle()
    assert [other.id for other in study.session.state.boxes] == [row.id]
    assert study.panel.segment.boxes.selected is None and study.workflow.views.selected is None
    assert not study.ui.boxTable.selectedItems() and not study.ui.acceptBoxButton.enabled


def test_escape_lays_the_brush_down_before_it_cancels(study):
    study.ui.editorGroup.checked = True
    study.settle()
    editor = study.panel.segment.scar.editor
    unwrap(editor.widget).setActiveEffect("Paint")
    assert editor.painting
    study.key("Esc")
    assert not editor.painting
    study.ui.editorGroup.checked = False
    study.settle()


def test_why_boxes_were_proposed_as_rejected_stands_in_the_panel(study, monkeypatch):
    answered = Task("propose", DONE)
    answered.result, answered.repeated = Boxes(), False
    answered.result.provenance = {"remark_on_proposals": "Little and faint."}
    monkeypatch.setattr(study.engine, "propose", lambda _study: answered)
    assert study.session.requests.propose().result == 0
    study.settle()
    assert study.ui.noteLabel.text == "Little and faint."
