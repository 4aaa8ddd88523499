"""The section *Burden* on the real form: numbers that follow edits, methods, levels, pictures, the report."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.result import SliceMasks
from MyoScarSegLib.scene.ventricle_steps import apply_ventricle
from Testing.support.panel_kit import add_volume
from Testing.support.scene_ventricle_factory import ring_wall

SHAPE = (4, 64, 64)


@pytest.fixture
def study(module):
    """A study with scar and wall, without a network."""
    module.panel.segment.mouse.use(None)
    module.scene.Clear(0)
    module.settle()
    module.workflow.live = False
    add_volume(module.scene)
    module.panel.segment.study.choose_likely()
    probability = np.zeros(SHAPE[1:], dtype=np.float32)
    probability[28:36, 44:46] = 0.9
    module.session.apply_masks(SliceMasks({1: probability, 2: probability}, {1: 0.9, 2: 0.9}))
    apply_ventricle(module.session, ring_wall(SHAPE, (0, 1, 2, 3)))
    module.show_slice(1)
    module.settle()
    return module


def cells(table, column: int) -> list[str]:
    return [table.item(row, column).text() for row in range(table.rowCount)]


def test_numbers_and_segments_follow_scar_wall_and_undo(study):
    ui = study.ui
    names, before = cells(ui.burdenTable, 0), cells(ui.burdenTable, 1)
    assert names[:3] == ["Scar", "Share of LV", "LV myocardium"] and "%" in before[1]
    assert cells(ui.segmentTable, 0) == [str(n) for n in range(1, 18)]
    assert "proposed by the model" in ui.wallLabel.text
    study.session.set_growth_mm(2.0)
    study.settle()
    assert cells(ui.burdenTable, 1)[1] != before[1]
    study.session.undo()
    study.settle()
    assert cells(ui.burdenTable, 1) == before
    study.session.undo()  # the wall
    study.settle()
    assert cells(ui.burdenTable, 0)[:2] == ["Scar", "Lesions"] and not ui.segmentsGroup.visible
    assert "Segment all proposes one" in ui.wallLabel.text
    assert "not segmented" in ui.missingLabel.text


def test_levels_of_slices_are_the_readers(study):
    ui = study.ui
    assert ui.levelCombo.currentIndex == 0
    study.panel.segment.burden._level_chosen(1)
    study.settle()
    assert study.session.state.ventricle.levels == {1: "base"}
    assert study.session.measurements.levels[1] == "base"
    study.show_slice(2)
    assert ui.levelCombo.currentIndex == 0
    study.session.undo()
    study.settle()
    assert study.session.state.ventricle.levels == {}


def test_a_method_is_measured_when_its_box_is_open_shown_and_used(study):
    ui, methods = study.ui, study.panel.segment.methods
    assert ui.methodTable.rowCount == 0, "nothing is measured for a box that is closed"
    ui.methodsGroup.setChecked(True)
    study.settle()
    names = cells(ui.methodTable, 0)
    assert "5 SD" in names and "Otsu" in names
    ui.methodTable.selectRow(names.index("Otsu"))
    study.settle()
    assert methods.chosen == "Otsu" and methods._overlay._node is not None
    before = study.session.mask()
    study.click("useMethodButton")
    assert study.session.history.undo_label == "Use Otsu"
    assert np.array_equal(study.session.mask(), methods._found["Otsu"].mask)
    study.click("undoButton")
    assert np.array_equal(study.session.mask(), before)
    ui.methodsGroup.setChecked(False)
    study.settle()
    assert methods._overlay._node is None


def test_a_picture_is_drawn_by_the_worker_and_anew_after_an_edit(study):
    picture = study.panel.segment.picture
    study.until(lambda: picture._shown is not None and picture._shown[1] is study.session.state.ventricle, what="picture")
    shown = picture._shown
    study.session.set_growth_mm(2.0)
    study.until(lambda: picture._shown is not None and picture._shown is not shown, what="another picture")


def test_the_report_asks_for_a_folder_and_writes_it(study, tmp_path, monkeypatch):
    burden = study.panel.segment.burden
    monkeypatch.setattr(burden, "ask_for_folder", lambda _title, _kept: tmp_path)
    assert not study.ui.patientNameCheckBox.checked, "off at first"
    study.click("reportButton")
    study.until(lambda: not study.workflow.busy, what="report")
    assert study.workflow.error == ""
    assert {"report.html", "report.pdf", "measurements.json", "burden.csv"} <= {file.name for file in tmp_path.rglob("*.*")}


def test_a_disk_that_is_full_is_said(study, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(study.panel.segment.burden, "ask_for_folder", lambda _title, _kept: tmp_path / "file")
    study.click("reportButton")
    study.until(lambda: not study.workflow.busy, what="report")
    assert str(tmp_path / "file") in study.workflow.error
    study.workflow.forget_error()
