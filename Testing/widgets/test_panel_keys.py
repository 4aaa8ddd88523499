"""The keys work while the module is shown, wherever the focus is, and never while another module is."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.scene.prompt_steps import apply_proposals
from Testing.support.standins.pythonqt import unwrap


@pytest.fixture
def study(module, monkeypatch):
    """A study with three proposals on slices 0, 1 and 2; nothing is segmented, so no worker is started."""
    monkeypatch.setattr(module.panel.segment.advanced, "_ask_states", lambda: None)
    module.begin(waits=True)
    boxes = [Box(k, 10, 12, 30, 34, confidence=0.5 + k / 10, source="detector") for k in range(3)]
    apply_proposals(module.session, boxes, {})
    module.settle()
    module.show_slice(0)
    module.fit()
    return module


def test_n_goes_through_the_boxes_and_enter_accepts(study):
    study.key("N")
    first = study.panel.segment.boxes.selected
    assert study.session.state.box(first).slice == 0
    study.key("Return")
    assert study.session.state.box(first).state is BoxState.ACCEPTED
    assert study.workflow.displayed_slice == 1
    study.key("Shift+N")
    assert study.workflow.displayed_slice == 2, "backwards from the first that waits is the last"


def test_arrows_with_shift_move_the_selected_box_by_a_pixel_as_the_view_shows_it(study):
    study.key("N")
    box_id = study.panel.segment.boxes.selected
    before = study.session.state.box(box_id)
    left = study.display("Red", before.x0, before.y0)
    study.key("Shift+Right")
    after = study.session.state.box(box_id)
    moved = study.display("Red", after.x0, after.y0)
    assert moved[0] > left[0]
    assert abs(moved[1] - left[1]) <= 1
    assert abs(after.x0 - before.x0) + abs(after.y0 - before.y0) == pytest.approx(1.0)


def test_delete_takes_the_point_under_the_mouse_by_the_verb_of_the_button(study, monkeypatch):
    for x in (20, 30):
        study.panel.segment.scar.add_point(Point(0, x, 22, positive=True))
    monkeypatch.setattr(study.panel.segment.mouse, "point_under", lambda: (True, 0))
    study.key("Del")
    assert [round(point.x) for point in study.session.state.points] == [30], "the one under the mouse, not the last"
    study.key("Ctrl+Z")
    assert [round(point.x) for point in study.session.state.points] == [20, 30]
    study.session.nodes.points.node(True).SetNthControlPointPosition(0, 1000.0, 1000.0, 1000.0)
    study.settle()
    study.key("Del")
    assert 30 in [round(point.x) for point in study.session.state.points], "a point beside the image is not another one"


def test_delete_removes_and_ctrl_z_brings_back(study):
    study.key("N")
    box_id = study.panel.segment.boxes.selected
    study.key("Del")
    assert box_id not in [row.id for row in study.session.state.boxes]
    study.key("Ctrl+Z")
    assert box_id in [row.id for row in study.session.state.boxes]
    study.key("Ctrl+Y")
    assert box_id not in [row.id for row in study.session.state.boxes]


@pytest.mark.parametrize("key", ["Return", "Shift+R", "Del", "C", "Shift+Left"])
def test_a_box_that_was_scrolled_away_from_is_shown_before_it_is_changed(study, key):
    study.key("N")
    study.show_slice(2)
    before = study.session.state.boxes
    study.key(key)
    assert study.session.state.boxes == before
    assert study.workflow.displayed_slice == 0
    study.key(key)
    assert study.session.state.boxes != before


def test_tools_are_taken_up_and_laid_down(study):
    for key, tool, button in (("D", "box", "drawBoxButton"), ("A", "positive", "addPositiveButton"), ("X", "negative", None)):
        study.key(key)
        assert study.panel.segment.mouse.tool == tool
        assert button is None or getattr(study.ui, button).checked
    study.key("Esc")
    assert study.panel.segment.mouse.tool is None
    assert not study.ui.addNegativeButton.checked


def test_copy_goes_to_the_next_slice(study):
    study.key("N")
    study.key("C")
    assert study.workflow.displayed_slice == 1
    assert study.session.state.box(study.panel.segment.boxes.selected).slice == 1


def test_threshold_and_growth_have_keys(study):
    study.key("K")
    assert study.session.state.threshold == pytest.approx(0.55)
    study.key("J")
    study.key("Shift+K")
    assert study.session.state.growth_mm == pytest.approx(0.5)
    study.key("Shift+J")
    assert study.session.state.growth_mm == pytest.approx(0.0)


def test_holding_h_hides_boxes_until_it_is_released(study):
    study.key("N")
    display = study.workflow.views.node(study.panel.segment.boxes.selected).GetDisplayNode()
    QTest.keyPress(study.application.window, Qt.Key.Key_H)
    study.settle()
    assert not display.GetVisibility()
    QTest.keyRelease(study.application.window, Qt.Key.Key_H)
    study.settle()
    assert display.GetVisibility()


def test_keys_are_given_back_when_another_module_is_shown(study):
    study.widget.exit()
    study.settle()
    study.key("D")
    study.key("N")
    assert study.panel.segment.mouse.tool is None
    assert study.panel.segment.boxes.selected is None
    assert not study.drag((20, 22), (40, 40))
    study.widget.enter()
    study.settle()
    study.key("N")
    assert study.panel.segment.boxes.selected is not None


def test_typing_a_number_is_no_key_of_the_module(study):
    study.ui.advancedSection.collapsed = False
    spin = unwrap(study.ui.threadsSpinBox)
    spin.setFocus()
    study.settle()
    QTest.keyClicks(spin, "3")
    study.settle()
    assert study.panel.segment.mouse.tool is None
    study.ui.advancedSection.collapsed = True
    spin.setValue(1)


def test_a_number_field_leaves_letters_and_undo_to_the_module_and_is_left_by_enter(study):
    study.ui.advancedSection.collapsed = False
    spin, window = unwrap(study.ui.threadsSpinBox), study.application.window
    window.activateWindow()
    spin.setFocus()
    study.settle()
    before = spin.value()
    QTest.keyClick(spin, Qt.Key.Key_D)
    study.settle()
    assert study.panel.segment.mouse.tool == "box" and spin.value() == before
    study.key("Esc")
    assert study.panel.segment.mouse.tool is None
    boxes = study.session.state.boxes
    spin.setFocus()
    study.settle()
    QTest.keyClick(spin, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    study.settle()
    assert study.session.state.boxes != boxes, "the field's own undo knows only what was typed"
    spin.setFocus()
    study.settle()
    QTest.keyClick(spin, Qt.Key.Key_Return)
    study.settle()
    assert not spin.hasFocus()
    study.ui.advancedSection.collapsed = True


def test_help_lists_every_key(study):
    study.click("helpButton")
    shortcuts = study.panel.segment.shortcuts
    names = {"Return": "Enter", "Del": "Delete", "Left": "arrows", "Right": "arrows", "Up": "arrows", "Down": "arrows"}
    for line in shortcuts.table():
        for sequence in line.actions:
            last = sequence.split(" ")[0].split("+")[-1]
            assert last in line.shown or names.get(last, last) in line.shown, sequence
        assert line.what in shortcuts.help_text()
    assert "Propose boxes" in shortcuts.help_text()
