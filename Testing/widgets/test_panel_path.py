"""The click path on the real form, with the real scene layer and the real worker: propose, review, segment, correct, measure."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import slicer
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from MyoScarSegLib.engine.client import Engine
from MyoScarSegLib.prompts import BESIDE, FAINT, Box, BoxState
from MyoScarSegLib.quantification.mass_interval import MassError
from MyoScarSegLib.result import MASS_ERROR, Boxes, SliceMasks
from MyoScarSegLib.scene.mask_steps import apply_masks, set_threshold
from MyoScarSegLib.scene.prompt_steps import apply_proposals, nudge_box, update_box
from MyoScarSegLib.scene.tissue_segment import TissueSegment
from Testing.support.standins.pythonqt import unwrap

BOXES = [Box(k, 20, 22, 40, 44, confidence=0.5 + k / 10, source="yolo") for k in range(4)]


@pytest.fixture
def study(module):
    """The module with a fresh study chosen and shown."""
    module.begin(live=True)
    module.show_slice(1)
    module.fit()
    return module


@pytest.fixture
def proposed(study):
    """With a box on each slice, as a detector proposes them."""
    apply_proposals(study.session, BOXES, {"detector": "yolo"})
    study.settle()
    return study


@pytest.fixture
def segmented(proposed):
    """With masks in them, as a segmenter gives them."""
    probability = np.zeros((64, 64), dtype=np.float32)
    probability[26:34, 24:36] = 0.9
    apply_masks(proposed.session, SliceMasks(dict.fromkeys(range(4), probability), dict.fromkeys(range(4), 0.9)))
    proposed.settle()
    return proposed


@pytest.fixture
def encoded(segmented):
    """With all slices encoded: a mask comes at once."""
    segmented.until(lambda: segmented.workflow.session.requests.encoded == (4, 4), what="encoding")
    return segmented


def row_of(module, box_id: int) -> int:
    table = module.ui.boxTable
    return next(n for n in range(table.rowCount) if table.item(n, 0).data(0x0100) == box_id)


def choose(module, box_id: int) -> None:
    """Click a row of the box table."""
    table = unwrap(module.ui.boxTable)
    place = table.visualItemRect(table.item(row_of(module, box_id), 0)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    module.settle()


def test_an_edit_and_its_mask_are_one_request_one_drawing_and_one_row_of_the_table(encoded, monkeypatch):
    from MyoScarSegLib.widgets import backend

    rows, asked = [], []
    engine = encoded.panel.engine
    segment = engine.segment
    monkeypatch.setattr(engine, "segment", lambda *given, slices: (asked.append(list(slices)), segment(*given, slices=slices))[1])
    fill_row = type(encoded.panel.segment.boxes)._fill_row
    monkeypatch.setattr(
        type(encoded.panel.segment.boxes), "_fill_row", lambda part, *row: (rows.append(row), fill_row(part, *row))
    )
    draws = encoded.application.app.draws
    box = encoded.session.state.boxes[-1]
    assert len(encoded.session.state.boxes) > 1
    monkeypatch.setattr(backend, "MOST_HELD_S", 60.0)
    for number in range(1, 4):
        draws.clear()
        nudge_box(encoded.workflow.session, box.id, (-1) ** number, 0)
        assert draws == [False]  # the views wait for the mask
        encoded.until(lambda: not encoded.workflow.session.pending.slices, what="mask")
        assert draws == [False, True]
        assert len(rows) == number
        assert asked == number * [[box.box.slice]]


def test_the_views_wait_for_a_mask_that_comes_late_no_longer_than_half_a_second(encoded, monkeypatch):
    from MyoScarSegLib.widgets import backend

    draws = encoded.application.app.draws
    draws.clear()
    monkeypatch.setattr(backend, "MOST_HELD_S", 0.0)
    nudge_box(encoded.workflow.session, encoded.session.state.boxes[-1].id, 1, 0)
    encoded.panel.backend._drawing.turn()
    assert draws == [False, True]
    assert encoded.workflow.session.pending.slices
    nudge_box(encoded.workflow.session, encoded.session.state.boxes[-1].id, -1, 0)
    assert draws == [False, True]  # once late, the views are live until the masks are there
    encoded.until(lambda: not encoded.workflow.session.pending.slices, what="mask")


def crossed(end: object) -> list[str]:
    """The classes of ours whose methods are being called, the outermost first, and ``end``'s; without timer and signals."""
    names, frame = [type(end).__name__], sys._getframe(2)
    while frame is not None:
        owner = frame.f_locals.get("self")
        if type(owner).__module__.startswith("MyoScarSegLib.") and type(owner).__name__ not in ("Backend", "Signal", *names):
            names.append(type(owner).__name__)
        frame = frame.f_back
    return names[::-1]


@pytest.fixture
def ways(encoded, monkeypatch):
    """The classes crossed by each request on its way to the pipe, and by each answer on its way to the segment."""
    asked, answered = [], []
    transport = type(encoded.engine._process._transport)
    send, write = transport.write, TissueSegment.write_slices
    monkeypatch.setattr(transport, "write", lambda pipe, data: (asked.append(crossed(pipe)), send(pipe, data))[1])
    monkeypatch.setattr(
        TissueSegment,
        "write_slices",
        lambda segment, masks: (answered.append(crossed(segment)) if masks else 0, write(segment, masks))[1],
    )
    return asked, answered


TO_THE_PIPE = ["EngineRequests", "Engine", "WorkerProcess", "QProcessTransport"]
TO_THE_SEGMENT = ["Workflow", "Engine", "Request", "EngineRequests", "StudySession", "StudyNodes", "TissueSegment"]


def test_a_press_of_segment_all_crosses_the_classes_that_the_page_on_the_architecture_names(encoded, ways):
    asked, answered = ways
    encoded.click("segmentAllButton")
    encoded.until(lambda: not encoded.workflow.busy, what="masks")
    assert asked[0] == ["ScarSection", "Workflow", *TO_THE_PIPE]
    assert answered == [TO_THE_SEGMENT]


def test_a_dragged_box_crosses_the_classes_that_the_page_on_the_architecture_names(encoded, ways):
    asked, answered = ways
    node, markups = encoded.workflow.views.node(encoded.session.state.boxes[1].id), slicer.vtkMRMLMarkupsNode
    node.InvokeEvent(markups.PointStartInteractionEvent)
    node.SetSize(*(0.8 * np.array(node.GetSize())))
    node.InvokeEvent(markups.PointEndInteractionEvent)
    encoded.until(lambda: not encoded.session.pending.slices, what="mask")
    assert asked[0] == ["BoxViews", "Workflow", "StudySession", *TO_THE_PIPE]
    assert answered == [TO_THE_SEGMENT]


def test_the_heart_is_shown_after_propose_unless_the_reader_does_not_want_that(study):
    field = study.slice_node().GetFieldOfView()[0]
    study.ui.fitCheckBox.setChecked(False)
    assert not study.panel.settings.flag("fit", True)
    study.click("proposeButton")
    study.until(lambda: not study.workflow.busy, what="proposals")
    assert study.slice_node().GetFieldOfView()[0] == field
    study.click("undoButton")
    study.ui.fitCheckBox.setChecked(True)
    study.click("proposeButton")
    study.until(lambda: not study.workflow.busy, what="proposals")
    assert study.slice_node().GetFieldOfView()[0] != field
    study.click("undoButton")
    assert study.slice_node().GetFieldOfView()[0] == field


def test_two_clicks_segment_a_study(study):
    ui = study.ui
    assert "4 slices" in ui.factsLabel.text and "PSIR" in ui.factsLabel.text
    study.until(lambda: not ui.encodedBar.visible, what="encoding")
    for button in ("proposeButton", "segmentAllButton"):
        study.click(button)
        study.until(lambda: not study.workflow.busy, what=button)
    assert ui.boxTable.rowCount == len(study.session.state.boxes) > 0
    assert study.session.mask().any()
    burden = study.workflow.session.burden
    assert ui.volumeMlLabel.text == f"{burden.volume_ml:.1f}"
    assert ui.massLabel.text == f"{burden.mass_g:.1f}"
    assert ui.sliceTable.rowCount == len(study.session.state.segmented)
    assert "Scar:" in ui.statusLabel.text


def texts(module, box_id: int) -> list[str]:
    """The cells of a box's row."""
    row = row_of(module, box_id)
    return [str(module.ui.boxTable.item(row, column).data(0)) for column in range(module.ui.boxTable.columnCount)]


def test_faint_places_are_listed_with_place_and_size_and_accepted_by_a_click(study):
    places = [Box(k, 20, 20, 30, 24, confidence=0.4, source="net" + FAINT, state=BoxState.REJECTED) for k in (0, 3)]
    apply_proposals(study.session, places)
    study.settle()
    first, second = (row.id for row in study.session.state.boxes)
    assert texts(study, second) == ["3", "0.40", "faint", "model"]
    tip = study.ui.boxTable.item(row_of(study, second), 0).toolTip()
    assert "not clearly brighter than healthy wall" in tip and tip.endswith("Proposed by net. The box has 90 mm²")
    assert "2 faint boxes, look here" in study.ui.reviewLabel.text
    assert "2 faint places are not counted: slices 0, 3" in study.ui.statusLabel.text
    study.click("nextReviewButton")
    choose(study, second)
    assert study.workflow.displayed_slice == 3
    study.click("acceptBoxButton")
    study.until(lambda: study.session.mask()[3].any(), what="mask")
    assert texts(study, second)[2] == "accepted"
    assert study.panel.segment.boxes.selected == first, "the next one to look at"
    study.until(lambda: not study.workflow.session.pending.slices, what="mask")


def test_boxes_are_suggested_beside_confirmed_scar_by_a_click_and_by_a_key(segmented, monkeypatch):
    engine, session, button = segmented.engine, segmented.session, segmented.ui.suggestButton
    status = Engine.status

    def answer(study, confirmed):
        return engine._ask("models", lambda _: Boxes([Box(k + 1, 2, 2, 12, 10, source="net" + BESIDE) for k in confirmed]))

    monkeypatch.setattr(engine, "suggest", answer)
    box = next(row for row in session.state.boxes if row.box.slice == 1)
    assert not button.enabled and "Accept or correct the scar of this slice first" in button.toolTip
    update_box(session, box.id, state=BoxState.ACCEPTED)
    segmented.settle()
    assert not button.enabled and "does not look at neighboring slices" in button.toolTip, "the tiny model has no map"
    monkeypatch.setattr(Engine, "status", lambda engine: replace(status(engine), knows_tissue=True))
    nudge_box(session, box.id, 1, 0)
    segmented.until(lambda: not session.pending.slices, what="mask")
    mask = session.mask()
    segmented.click("suggestButton")
    segmented.until(lambda: not segmented.workflow.busy, what="suggestions")
    offer = session.state.boxes[-1]
    assert texts(segmented, offer.id)[2:] == ["suggested", "model"] and offer.box.slice == 2
    assert "1 box suggested, on slice 2" in segmented.ui.noteLabel.text
    selected = segmented.ui.boxTable.selectedItems()
    assert [item.text() for item in selected] == texts(segmented, offer.id), "its row shows where it is"
    assert segmented.workflow.views.selected == offer.id
    assert segmented.workflow.displayed_slice == 1, "the reader's slice stays in view"
    assert np.array_equal(session.mask(), mask)
    segmented.key("Shift+C")
    segmented.until(lambda: not segmented.workflow.busy, what="suggestions")
    assert "Nothing continues beside slice 1" in segmented.ui.noteLabel.text
    segmented.click("undoButton")
    assert offer not in session.state.boxes


def test_row_click_jumps_to_the_slice_and_selects_the_box(proposed):
    box = max(proposed.session.state.boxes, key=lambda row: row.box.slice)
    proposed.show_slice(0)
    choose(proposed, box.id)
    assert proposed.workflow.displayed_slice == box.box.slice
    assert proposed.workflow.views.selected == box.id
    assert proposed.ui.acceptBoxButton.enabled


def test_buttons_accept_reject_restore_and_delete_the_box_of_the_chosen_row(proposed):
    first, second, third = proposed.session.state.review_order()[:3]
    choose(proposed, first)
    proposed.click("acceptBoxButton")
    assert proposed.session.state.box(first).state is BoxState.ACCEPTED
    assert proposed.panel.segment.boxes.selected == second, "the next one that waits"
    assert "to review" in proposed.ui.reviewLabel.text
    proposed.click("rejectBoxButton")
    choose(proposed, second)
    assert proposed.ui.rejectBoxButton.text == "Restore"
    proposed.click("rejectBoxButton")
    assert proposed.session.state.box(second).state is BoxState.PROPOSED
    before = proposed.session.state.box(third)
    choose(proposed, third)
    proposed.click("deleteBoxButton")
    assert third not in [row.id for row in proposed.session.state.boxes]
    proposed.click("undoButton")
    assert proposed.session.state.box(third) == before


def test_box_is_drawn_by_dragging_in_a_view(study):
    assert not study.drag((20, 22), (44, 40)) and study.session.state.boxes == (), "without the tool the drag is the view's"
    study.click("drawBoxButton")
    assert study.ui.drawBoxButton.checked
    assert study.drag((20, 22), (44, 40)), "the view must not see the drag, or it would change window and level"
    (row,) = study.session.state.boxes
    assert row.box.slice == 1
    assert row.box.source == "user"
    assert np.allclose(row.box.xyxy, (20, 22, 44, 40), atol=0.5)
    assert study.panel.segment.boxes.selected == row.id
    assert not study.ui.drawBoxButton.checked, "one box per press of the button: then its handles are for the mouse"


def test_drag_in_a_view_across_the_slices_says_why_nothing_is_drawn(study):
    study.panel.segment.mouse.use("box")
    slice_node = study.slice_node("Green")
    x, y = (n // 2 for n in slice_node.GetDimensions()[:2])
    interactor = study.interactor("Green")
    for event, dx in (("LeftButtonPressEvent", 0), ("LeftButtonReleaseEvent", 30)):
        interactor.SetEventInformation(x + dx, y + dx, 0, 0, "\0", 0, None)
        interactor.InvokeEvent(event)
    study.settle()
    assert study.session.state.boxes == ()
    assert "across the slices" in study.ui.errorLabel.text
    study.panel.segment.status.say_error("")


def test_points_are_clicked_in_a_view(segmented):
    k = segmented.session.state.boxes[0].box.slice
    segmented.show_slice(k)
    segmented.click("addNegativeButton")
    segmented.drag((30, 30), (30, 30))
    (point,) = segmented.session.state.points
    assert (point.slice, point.positive) == (k, False)
    assert np.allclose((point.x, point.y), (30, 30), atol=0.5)
    segmented.until(lambda: not segmented.workflow.session.stale_slices, what="live mask")
    segmented.click("removePointButton")
    assert segmented.session.state.points == ()


def test_opacity_outline_and_the_editor_are_those_of_the_studys_segment(segmented):
    segment = segmented.session.segmentation.segment_id
    segmented.ui.opacitySlider.value = 0.2
    segmented.ui.outlineCheckBox.checked = False
    display = segmented.session.segmentation.node.GetDisplayNode()
    assert display.GetSegmentOpacity2DFill(segment) == pytest.approx(0.2)
    assert not display.GetSegmentVisibility2DOutline(segment)
    segmented.ui.opacitySlider.value = 0.5
    segmented.ui.outlineCheckBox.checked = True
    segmented.ui.editorGroup.checked = True
    segmented.settle()
    assert segmented.panel.segment.scar.editor.widget.segmentationNode() is segmented.session.segmentation.node
    segmented.ui.editorGroup.checked = False


def test_results_are_exported(segmented, tmp_path):
    segmented.panel.segment.numbers.export(tmp_path / "out")
    assert (tmp_path / "out" / "results.csv").is_file()
    assert segmented.ui.errorLabel.text == ""
    said = segmented.ui.exportLabel
    assert said.visible and said.openExternalLinks
    assert said.text.startswith("1 study written to") and f'href="{(tmp_path / "out").as_uri()}"' in said.text
    set_threshold(segmented.session, 0.7)
    segmented.settle()
    assert not segmented.ui.exportLabel.visible, "it would lead to numbers of before"


def test_mass_has_its_interval_where_it_is_known_and_a_sentence_where_it_is_likely_to_be_wrong(segmented):
    ui, session = segmented.ui, segmented.session
    assert ui.massCaption.text == "g scar" and "nine of ten" not in ui.massLabel.toolTip
    assert not ui.doubtLabel.visible

    def apply(error: MassError) -> None:
        given = {k: model.probability for k, model in session.state.models.items()}
        apply_masks(session, SliceMasks(given, provenance={MASS_ERROR: error.text()}))
        segmented.settle()

    apply(MassError(2.0, 0.5, doubtful=1000.0))
    within = session.mass_interval
    assert ui.massLabel.text == f"{session.burden.mass_g:.1f}"
    assert ui.massCaption.text == "g ({} to {})".format(*within.ends)
    assert "In nine of ten studies" in ui.massLabel.toolTip == ui.massCaption.toolTip
    assert "({} to {})".format(*within.ends) in ui.statusLabel.text
    assert not ui.doubtLabel.visible
    segmented.click("copyNumbersButton")
    lines = [line.split("\t") for line in segmented.application.app.clipboard().text().splitlines()]
    assert lines[0][:2] == ["slice", "pixels"] and len(lines) == 1 + 4 + 1
    assert lines[0][-3:] == ["mass_low_g", "mass_high_g", "likely_wrong"]
    assert lines[-1][-3:] == [f"{within.low_g:.4f}", f"{within.high_g:.4f}", "False"]
    apply(MassError(2.0, 0.5, doubtful=0.001))
    assert ui.doubtLabel.visible
    assert ui.doubtLabel.text.startswith("Outlines likely to be wrong")
    segmented.click("undoButton")
    assert not ui.doubtLabel.visible
