"""The section *Burden* on the real form: numbers that follow edits, methods, levels, pictures, the report."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest

from MyoScarSegLib.quantification.grey_zone import GreyZone
from MyoScarSegLib.quantification.mass_interval import MassError
from MyoScarSegLib.result import MASS_ERROR, SliceMasks
from MyoScarSegLib.scene.attributes import nodes_by_class
from MyoScarSegLib.scene.mask_steps import apply_masks, set_growth_mm, set_threshold
from MyoScarSegLib.scene.ventricle_steps import apply_ventricle, turn_septum
from Testing.support.dicom_factory import write_series
from Testing.support.panel_kit import add_volume
from Testing.support.scene_ventricle_factory import ring_wall
from Testing.support.standins.pythonqt import unwrap

SHAPE = (4, 64, 64)


@pytest.fixture
def study(module):
    """A study with scar and wall, without a network."""
    module.begin()
    probability = np.zeros(SHAPE[1:], dtype=np.float32)
    probability[28:36, 44:46] = 0.9
    error = {MASS_ERROR: MassError(1.0, 0.5, doubtful=1000.0).text()}
    apply_masks(module.session, SliceMasks({1: probability, 2: probability}, {1: 0.9, 2: 0.9}, provenance=error))
    apply_ventricle(module.session, ring_wall(SHAPE, (0, 1, 2, 3)))
    module.show_slice(1)
    module.settle()
    return module


def node_of_class(study, class_name: str):
    (node,) = nodes_by_class(study.scene, class_name)
    return node


def cells(table, column: int) -> list[str]:
    return [table.item(row, column).text() for row in range(table.rowCount)]


def test_numbers_and_segments_follow_scar_wall_and_undo(study):
    ui = study.ui
    names, before = cells(ui.burdenTable, 0), cells(ui.burdenTable, 1)
    assert names[:3] == ["Scar", "Share of LV", "LV myocardium"]
    low, high = study.session.mass_interval.ends
    assert f"({low} to {high} g)" in before[0] and re.fullmatch(r"[\d.]+% \(\d+ to \d+%\)", before[1])
    assert cells(ui.segmentTable, 0) == [str(n) for n in range(1, 18)]
    assert "proposed by the model" in ui.wallLabel.text
    set_growth_mm(study.session, 2.0)
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


def test_core_and_grey_zone_have_a_row_where_they_are_known(study):
    from MyoScarSegLib.widgets.burden_words import burden_rows, grams

    m = study.session.measurements
    assert m.grey_zone is None and "Core, grey" not in dict(burden_rows(m, None)), "PSIR has none"
    known = replace(m, grey_zone=GreyZone("half", m.scar, m.myocardium, 40.0, 60.0, 1.0, 2.0))
    assert dict(burden_rows(known, None))["Core, grey"] == f"{grams(m.scar)} and {grams(m.myocardium)}"


def test_no_word_of_the_numbers_is_cut_off_in_a_narrow_panel_nor_when_the_panel_is_shown_again(study):
    table = unwrap(study.ui.burdenTable)

    def heights() -> list[int]:
        study.settle()
        return [table.rowHeight(row) for row in range(table.rowCount())]

    table.setFixedWidth(600)
    wide = heights()
    table.setFixedWidth(230)
    narrow = heights()
    assert max(narrow) > max(wide) and table.height() == sum(narrow) + 4
    study.panel.segment.show(True)
    assert heights() == narrow
    table.setFixedWidth(600)
    assert heights() == wide and table.height() == sum(wide) + 4


def test_scar_outside_the_wall_is_said_where_its_mass_stands(study):
    ui, session = study.ui, study.session
    assert not ui.outsideLabel.visible
    probability = np.zeros(SHAPE[1:], dtype=np.float32)
    probability[2:6, 2:6] = 0.9
    apply_masks(session, SliceMasks({0: probability}, {0: 0.9}))
    study.settle()
    outside = session.measurements.scar_outside_wall.mass_g
    assert outside > 0 and ui.outsideLabel.visible
    assert ui.outsideLabel.text.startswith(f"{outside:.1f} g of it outside the wall")
    session.undo()
    study.settle()
    assert not ui.outsideLabel.visible
    probability[2:6, 2:6] = 0
    probability[2, 2] = 0.9
    apply_masks(session, SliceMasks({0: probability}, {0: 0.9}))
    study.settle()
    assert 0 < session.measurements.scar_outside_wall.mass_g < 0.05 and not ui.outsideLabel.visible, "0.0 g are none"


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
    assert methods.chosen == "Otsu" and methods._outline is not None
    before = study.session.mask()
    row = names.index("Otsu")
    assert "g against the scar that is drawn" in ui.methodTable.item(row, 0).toolTip()
    study.click("useMethodButton")
    assert study.session.history.undo_label == "Use Otsu"
    study.settle()
    assert "g against the model's scar" in ui.methodTable.item(row, 0).toolTip()
    assert np.array_equal(study.session.mask(), methods._found["Otsu"].mask)
    study.click("undoButton")
    assert np.array_equal(study.session.mask(), before)
    ui.methodsGroup.setChecked(False)
    study.settle()
    assert methods._outline is None


def test_a_picture_is_drawn_by_the_worker_and_anew_after_an_edit_and_goes_with_its_study(study):
    """Without its study it would be taken for one of the next patient."""
    picture, label = study.panel.segment.picture, unwrap(study.ui.pictureLabel)
    study.until(lambda: picture._shown is not None and picture._shown[1] is study.session.state.ventricle, what="picture")
    shown = picture._shown
    set_growth_mm(study.session, 2.0)
    study.until(lambda: picture._shown is not None and picture._shown is not shown, what="another picture")
    assert not label.pixmap().isNull()
    study.workflow.select(None)
    study.until(lambda: label.pixmap().isNull(), what="no picture")


def plots(study) -> list[str]:
    """Titles of the charts in the scene."""
    return [node.GetTitle() for node in nodes_by_class(study.scene, "vtkMRMLPlotChartNode")]


def test_a_slicer_plot_is_there_while_it_is_shown_follows_the_edits_and_gives_the_layout_back(study, monkeypatch):
    ui, manager, picture = study.ui, study.application.app.layoutManager(), study.panel.segment.picture
    before = manager.layout
    assert not ui.plotButton.enabled and "no plot for this picture" in ui.plotButton.toolTip, "the bullseye"
    ui.pictureCombo.setCurrentIndex(2)
    study.click("plotButton")
    assert manager.layout != before and ui.plotButton.checked and plots(study) == ["Scar of each slice"]
    bars = node_of_class(study, "vtkMRMLPlotSeriesNode").GetTableNode()
    grams = [float(bars.GetTable().GetValue(n, 1).ToString()) for n in range(4)]
    assert grams == pytest.approx([one.scar.mass_g for one in study.session.measurements.slices])
    fitted = manager.plotWidget(0).plotView()._fitted
    set_growth_mm(study.session, 2.0)
    study.until(lambda: float(bars.GetTable().GetValue(1, 1).ToString()) > grams[1], what="another plot")
    assert manager.plotWidget(0).plotView()._fitted > fitted, "axes do not follow by themselves"
    ui.pictureCombo.setCurrentIndex(3)
    study.until(lambda: plots(study) == ["Transmurality along the wall, by level"], what="the plot of the chosen picture")
    ui.pictureCombo.setCurrentIndex(0)
    study.settle(0.4)
    assert plots(study) == ["Transmurality along the wall, by level"] and ui.plotButton.enabled, "or it could not be left"
    study.click("plotButton")
    assert manager.layout == before and not ui.plotButton.checked and plots(study) == []
    monkeypatch.setattr(picture._chart, "show", lambda *_: pytest.fail("drawn for nobody"))
    study.session.undo()
    study.settle(0.4)


def test_a_plot_ends_with_another_layout_another_plot_and_with_its_study(study):
    import slicer

    ui, manager, views = study.ui, study.application.app.layoutManager(), study.panel.views
    before = manager.layout
    ui.pictureCombo.setCurrentIndex(4)
    study.click("plotButton")
    assert plots(study) == ["Intensity in the wall"]
    manager.setLayout(before + 1)
    assert plots(study) == [] and not ui.plotButton.checked and manager.layout == before + 1
    manager.setLayout(before)
    study.click("plotButton")
    views.show_plot("curves", lambda: None)
    assert plots(study) == [] and not ui.plotButton.checked
    study.click("plotButton")
    other = add_volume(study.scene, name="LGE other")
    study.workflow.select(other)
    study.settle()
    assert plots(study) == [] and manager.layout == before, "nothing is segmented there"
    study.workflow.select(next(node for node in nodes_by_class(study.scene, "vtkMRMLScalarVolumeNode") if node is not other))
    study.settle()
    study.click("plotButton")
    shown = manager.layout
    for layout in (slicer.vtkMRMLLayoutNode.SlicerLayoutNone, shown):  # as the application does while a scene is closed
        manager.setLayout(layout)
    study.scene.Clear(0)
    study.settle()
    assert manager.layout == before and not ui.plotButton.enabled


def test_the_septum_is_turned_in_its_box_which_follows_a_dragged_point_and_undo(study):
    ui, box = study.ui, study.ui.rotationSpinBox
    ui.wallGroup.setChecked(True)
    proposed = study.session.state.ventricle.landmarks
    shown = box.value
    assert shown == round(study.session.numbers.rotation(study.session.state))
    segments = cells(ui.segmentTable, 3)
    for degrees in (shown + 30, shown + 31):  # as an arrow that is held
        box.value = degrees
    study.settle()
    assert study.session.history.undo_label == "Turn the insertion points" and box.value == shown + 31
    assert cells(ui.segmentTable, 3) != segments and "set by an angle" in ui.wallLabel.text
    turn_septum(study.session, -170.0)
    study.settle()
    assert box.value == -170
    study.session.undo()
    study.session.undo()
    study.settle()
    assert study.session.state.ventricle.landmarks == proposed and box.value == shown
    study.session.change("Delete", lambda state: replace(state, ventricle=replace(state.ventricle, landmarks=None)))
    study.settle()
    assert box.text == "–", "no points are not points at 0"
    box.stepUp()
    study.settle()
    assert box.text == "0°" and study.session.numbers.rotation(study.session.state) == pytest.approx(0, abs=0.5)


def test_the_report_asks_for_a_folder_and_writes_it(study, tmp_path, monkeypatch):
    burden = study.panel.segment.burden
    monkeypatch.setattr(burden, "ask_for_folder", lambda _title, _kept: tmp_path)
    assert not study.ui.patientNameCheckBox.checked, "off at first"
    study.click("reportButton")
    study.until(lambda: not study.workflow.busy, what="report")
    assert study.workflow.error == ""
    assert {"report.html", "report.pdf", "measurements.json", "burden.csv"} <= {file.name for file in tmp_path.rglob("*.*")}
    (page,) = tmp_path.rglob("report.pdf")
    said = study.ui.reportLabel
    assert said.visible and said.openExternalLinks
    assert all(f'href="{path.as_uri()}"' in said.text for path in (page, page.parent))
    set_threshold(study.session, 0.7)
    study.settle()
    assert not study.ui.reportLabel.visible, "it would lead to numbers of before"
    study.click("reportButton")
    study.until(lambda: study.ui.reportLabel.visible, what="report")
    study.begin()
    study.settle()
    assert not study.ui.reportLabel.visible, "another study has no report yet"


@pytest.mark.slow
def test_dicom_files_are_a_choice_for_a_volume_from_slicers_dicom_database(study, tmp_path, monkeypatch):
    import slicer

    burden, ui, titles = study.panel.segment.burden, study.ui, []
    assert not ui.dicomCheckBox.checked and not ui.dicomCheckBox.enabled and not ui.pseudonymCheckBox.enabled
    assert "DICOM database" in ui.dicomCheckBox.toolTip and "name and ID of the patient" in ui.dicomCheckBox.toolTip
    geometry = study.session.study.geometry
    series = write_series(tmp_path / "series", np.ones(SHAPE, np.int16), spacing=geometry.spacing_mm,
                          origin=geometry.origin_mm, direction=geometry.direction, FrameOfReferenceUID="1.2.3.4.5")  # fmt: skip
    files = {str(pydicom.dcmread(path).SOPInstanceUID): str(path) for path in series.iterdir()}
    database = SimpleNamespace(fileForInstance=lambda uid: files.get(uid, ""), instanceValue=lambda _uid, _tag: "")
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    study.session.volume_node.SetAttribute("DICOM.instanceUIDs", " ".join(files))
    burden.refresh(frozenset())
    assert ui.dicomCheckBox.enabled and not ui.pseudonymCheckBox.enabled

    def report_into(folder):
        monkeypatch.setattr(burden, "ask_for_folder", lambda title, _kept: titles.append(title) or folder)
        study.click("reportButton")
        study.until(lambda: not study.workflow.busy, what="report")
        return {file.name: file for file in folder.rglob("*.dcm")}

    assert report_into(tmp_path / "without") == {}
    ui.dicomCheckBox.setChecked(True)
    assert ui.pseudonymCheckBox.enabled and not ui.pseudonymCheckBox.checked
    written = report_into(tmp_path / "with")
    assert study.workflow.error == "" and "name and ID of the patient" in titles[-1]
    assert set(written) == {"segmentation.dcm", "report.dcm"}
    assert pydicom.dcmread(written["report.dcm"]).PatientID == "SECRET4711"
    ui.patientNameCheckBox.setChecked(True)
    assert not ui.pseudonymCheckBox.enabled
    ui.patientNameCheckBox.setChecked(False)
    ui.pseudonymCheckBox.setChecked(True)
    written = report_into(tmp_path / "pseudonym")
    assert "case name instead of the patient" in titles[-1]
    assert pydicom.dcmread(written["segmentation.dcm"]).PatientID == written["segmentation.dcm"].parent.name
    files.clear()
    assert report_into(tmp_path / "lost") == {}
    assert str(tmp_path / "lost") in study.workflow.error and "DICOM database" in study.workflow.error
    assert list((tmp_path / "lost").rglob("report.html"))
    study.workflow.forget_error()
    ui.pseudonymCheckBox.setChecked(False)
    ui.dicomCheckBox.setChecked(False)


def test_a_disk_that_is_full_is_said(study, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(study.panel.segment.burden, "ask_for_folder", lambda _title, _kept: tmp_path / "file")
    study.click("reportButton")
    study.until(lambda: not study.workflow.busy, what="report")
    assert str(tmp_path / "file") in study.workflow.error
    study.workflow.forget_error()
