"""The training tab: what it shows in every state, what its buttons ask for, how it looks. The training itself is played."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage, QPalette
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from MyoScarSegLib.scene.training.training_state import LabelQuestion, Measured
from MyoScarSegLib.training.runs.estimate import Estimate
from MyoScarSegLib.training.runs.run_status import RunState, RunStatus
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_settings import TrainSettings
from Testing.support.panel_kit import add_volume, open_module
from Testing.support.played_training import RUNNING, PlayedTraining, played_case, played_run
from Testing.support.standins.pythonqt import unwrap
from Testing.widgets.test_panel_looks import contrast

NARROW_PX = 290
SECTIONS = ("librarySection", "splitSection", "trainSection", "progressSection", "runsSection")
COMPARISON = {
    "new": {"name": "segmenter"}, "used": {"name": "myoscarseg-sam-8"}, "notes": [],
    "verdict": {"word": "better", "sentence": "The new model is better on these 5 patients."},
    "figures": [
        {
            "name": "end_to_end_dice", "title": "Dice, end to end", "unit": "", "good": "higher", "patients": 5, "new": 0.66,
            "used": 0.61, "new_interval_95": [0.6, 0.7], "used_interval_95": None, "difference": 0.05,
            "interval_95": [0.01, 0.09], "chance": 0.03,
        },
    ],
    "cases": [
        {
            "patient": patient, "case": patient, "has_scar": True, "truth_mass_g": 10.0,
            "new": {"end_to_end_dice": 0.7, "mass_g": 9.0}, "used": {"end_to_end_dice": 0.6, "mass_g": None},
            "worst": {"slice": k, "new_dice": 0.3, "used_dice": 0.2},
        }
        for k, patient in enumerate(("P005", "P010"), start=4)
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def opened(application):
    """The module with a played training, at its second tab."""
    from MyoScarSegLib.widgets import backend

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "TrainingWorkflow", lambda *_args, **_named: PlayedTraining())
        with open_module(application) as module:
            module.show_train()
            yield module


@pytest.fixture
def tab(opened, tmp_path):
    """A library of eight cases, split, nothing trained."""
    rows = [played_case(f"P{n:03d}", mass_g=3.0 * n, tags=("anterior",) if n == 3 else ()) for n in range(1, 9)]
    opened.tab.ui.libraryFilterEdit.text = ""
    opened.training.set(
        folder=tmp_path, rows=rows, split=Split(("P001", "P002", "P003", "P004", "P006"), ("P005", "P007"), 0, 5, 0),
        run=None, runs=[], examples=[], curves={}, comparison=None, error="", note="", busy="", refusals={}, measured=None,
    )  # fmt: skip
    for name in SECTIONS:
        getattr(opened.tab.ui, name).collapsed = False
    opened.tab.train.fill(TrainSettings())
    opened.until(lambda: len(opened.tab.library.table.shown) == 8 and opened.tab.library.table.complete, what="rows")
    opened.training.asked.clear()
    return opened


def open_window():
    """The window that asks now; None if none does."""
    from MyoScarSegLib.widgets.training import dialogs

    return dialogs._open[-1] if dialogs._open else None


def in_window(name: str):
    """A widget of the window that asks now."""
    return unwrap(open_window()).findChild(QWidget, name)


def cells(table) -> list[list[str]]:
    table = unwrap(table)
    return [[table.item(row, column).text() for column in range(table.columnCount())] for row in range(table.rowCount())]


def test_table_says_slices_mass_date_reader_and_state(tab):
    rows = cells(tab.tab.ui.caseTable)
    assert len(rows) == 8
    assert rows[2][0].startswith("P003")
    assert "anterior" in rows[2][0]
    assert rows[2][1] == "9.0 g\n10 slices"
    assert rows[2][2] == "2026-11-20\nAB"
    assert rows[2][3] == "complete"


def test_filter_looks_at_every_word_in_case_reader_tags_and_state(tab):
    tab.tab.ui.libraryFilterEdit.text = "ab ANTER"
    tab.settle()
    assert tab.tab.library.table.shown == ["P003"]
    assert tab.tab.ui.libraryCountLabel.text.startswith("1 of 8")


def test_headings_sort_by_number_not_by_text(tab):
    header = unwrap(tab.tab.ui.caseTable).horizontalHeader()
    header.sectionClicked.emit(1)
    assert tab.tab.library.table.shown == [f"P{n:03d}" for n in range(1, 9)], "3 g before 12 g"
    header.sectionClicked.emit(1)
    assert tab.tab.library.table.shown[0] == "P008"
    assert header.sortIndicatorOrder() == Qt.SortOrder.DescendingOrder
    header.sectionClicked.emit(0)


def test_selection_survives_cases_that_come_and_go(tab):
    tab.tab.library.table.select("P004")
    tab.training.set(rows=[row for row in tab.training.state.rows if row.name != "P002"])
    tab.settle()
    assert tab.tab.library.table.selected == ["P004"]


def test_a_problem_is_said_and_its_change_can_be_accepted(tab):
    rows = list(tab.training.state.rows)
    rows[5] = played_case("P006", state="problem", problem="The file was changed.")
    tab.training.set(rows=rows)
    tab.settle()
    assert not tab.tab.ui.acceptCaseButton.visible
    tab.tab.library.table.select("P006")
    tab.settle()
    assert "The file was changed." in tab.tab.ui.caseProblemLabel.text
    tab.click("acceptCaseButton")
    assert ("accept", "P006") in tab.training.asked


def test_remove_asks_first_and_enter_keeps(tab):
    tab.tab.library.table.select("P002")
    tab.click("removeCasesButton")
    box = open_window()
    assert "P002" in box.text
    press_return(box)
    tab.settle()
    assert tab.training.asked == [], "the button that Enter presses keeps"
    tab.click("removeCasesButton")
    in_window("confirmButton").click()
    tab.settle()
    assert tab.training.asked == [("remove", ["P002"])]
    assert open_window() is None


def press_return(box) -> None:
    QTest.keyClick(unwrap(box), Qt.Key.Key_Return)


def test_reason_is_in_the_tooltip_of_a_button_that_cannot_be_pressed(tab):
    unwrap(tab.tab.ui.caseTable).clearSelection()
    tab.training.set(refusals={"train": "Draw a split first.", "add_current": "Choose an LGE volume first."})
    tab.settle()
    assert not tab.tab.ui.startTrainButton.enabled
    assert "Draw a split first." in tab.tab.ui.startTrainButton.toolTip
    assert "Choose an LGE volume first." in tab.tab.ui.addStudyButton.toolTip
    assert "Select a case" in tab.tab.ui.openCaseButton.toolTip


def test_labels_of_unknown_meaning_are_asked_for_and_the_import_goes_on(tab, tmp_path):
    tab.training.set(question=LabelQuestion((tmp_path,), None, "AB", (1, 2), None))
    tab.settle()
    asked, button = open_window(), in_window("labelConfirmButton")
    assert asked.visible and not button.isEnabled(), "nothing is chosen beforehand"
    texts = " ".join(label.text() for label in unwrap(asked).findChildren(type(unwrap(tab.tab.ui.libraryCountLabel))))
    assert texts.index("#e69f00") < texts.index("Value 1") < texts.index("#56b4e9") < texts.index("Value 2"), "as in the picture"
    first, second = in_window("labelValue_1"), in_window("labelValue_2")
    first.setCurrentIndex(first.findData("myocardium"))
    second.setCurrentIndex(second.findData("background"))
    assert not button.isEnabled(), "something must be scar"
    second.setCurrentIndex(second.findData("scar"))
    button.click()
    assert tab.training.asked[-1] == ("import_cases", [tmp_path], None, {"labels": "myocardium=1 scar=2", "reviewer": "AB"})
    tab.settle()
    assert open_window() is None, "it is asked once"
    tab.training.set(question=None)


@pytest.fixture
def dialog(tab):
    add_volume(tab.scene)
    tab.panel.segment.study.choose_likely()
    tab.settle()
    tab.click("addStudyButton")
    tab.settle()
    yield tab.tab.library.dialog
    tab.tab.library.dialog.dialog.hide()
    tab.scene.Clear(0)
    tab.settle()


def test_study_is_added_with_code_reader_slices_and_tags(tab, dialog):
    assert dialog.ui.addPatientEdit.text == "P001", "the next free code is proposed"
    dialog.ui.addPatientEdit.text = "H07"
    dialog.ui.addReaderEdit.text = "AB"
    dialog.ui.addSlicesEdit.text = "1-2, 3"
    dialog.ui.addSomeSlices.checked = True
    dialog.ui.addTagsEdit.text = "anterior, 3T"
    dialog.add_button.click()
    name, patient, values = tab.training.asked[-1]
    assert (name, patient) == ("add_current", "H07")
    assert values["reviewed"] == (1, 2, 3)
    assert values["tags"] == ("anterior", "3T")
    assert values["reviewer"] == "AB"
    assert not dialog.dialog.visible
    tab.click("addStudyButton")
    assert dialog.ui.addReaderEdit.text == "AB", "the reader stays the same"


@pytest.mark.parametrize("text", ["", "a", "3-", "2..4", "99999"])
def test_slices_that_are_none_are_a_sentence(tab, dialog, text):
    dialog.ui.addSomeSlices.checked = True
    dialog.ui.addSlicesEdit.text = text
    dialog.add_button.click()
    assert "2-9" in dialog.ui.addProblemLabel.text
    assert dialog.dialog.visible
    assert tab.training.asked == []


def test_study_cannot_be_added_without_a_code(tab, dialog):
    dialog.ui.addPatientEdit.text = "  "
    tab.settle()
    assert not dialog.add_button.enabled
    assert "code" in dialog.add_button.toolTip
    dialog.dialog.close()
    tab.click("addStudyButton")
    assert dialog.add_button.enabled, "it was closed with an empty code, and opened again with the next one"


def test_sides_are_shown_and_patients_moved_by_hand(tab):
    ui = tab.tab.ui
    assert ui.trainingPatientsLabel.text == "Training (5)"
    assert ui.leftOutLabel.text == "Left out (1)"
    unwrap(ui.trainingPatients).item(1).setSelected(True)
    tab.settle()
    assert not ui.toTrainingButton.enabled
    tab.click("toValidationButton")
    assert tab.training.asked == [("move", ["P002"], "validation")]


def test_one_list_has_a_selection_at_a_time(tab):
    ui = tab.tab.ui
    unwrap(ui.trainingPatients).item(0).setSelected(True)
    unwrap(ui.validationPatients).item(0).setSelected(True)
    assert unwrap(ui.trainingPatients).selectedItems() == []


def test_draw_takes_seed_and_folds(tab):
    tab.tab.ui.splitSeedSpin.value, tab.tab.ui.splitFoldsSpin.value = 7, 4
    tab.click("drawSplitButton")
    assert tab.training.asked == [("draw_split", 7, {"folds": 4})]


def test_who_changes_nothing_gets_the_defaults(tab):
    tab.click("startTrainButton")
    assert tab.training.asked == [("train", TrainSettings())]


def test_every_choice_reaches_the_training(tab):
    ui = tab.tab.ui
    wanted = TrainSettings(
        what="both", start_segmenter="litemedsam", start_detector="fresh", mode="full", preset="best", seed=3, device="cpu",
        epochs=7, patience=0, dice=0.5, cross_entropy=0.0, divergence=0.25, blur_px=1.5, augmentation="heavy", name="third",
    )  # fmt: skip
    for combo, value in (
        (ui.whatCombo, "both"), (ui.startSegmenterCombo, "litemedsam"), (ui.startDetectorCombo, "fresh"),
        (ui.modeCombo, "full"), (ui.presetCombo, "best"), (ui.trainDeviceCombo, "cpu"), (ui.augmentationCombo, "heavy"),
    ):  # fmt: skip
        combo.setCurrentIndex(combo.findData(value))
    ui.epochsSpin.value, ui.patienceSpin.value, ui.trainSeedSpin.value = 7, 0, 3
    for name, value in (("dice", 0.5), ("crossEntropy", 0.0), ("divergence", 0.25), ("labelBlur", 1.5)):
        getattr(ui, f"{name}Spin").value = value
    ui.runNameEdit.text = "third"
    tab.click("startTrainButton")
    assert tab.training.asked == [("train", wanted)]


def test_settings_of_an_earlier_training_are_taken_up_whole(tab):
    settings = TrainSettings(what="detector", epochs=4, options={"imgsz": 320}, name="again")
    tab.tab.train.repeat(settings)
    assert tab.tab.train.chosen == settings


def test_rows_that_the_chosen_training_has_not_are_hidden(tab):
    ui = tab.tab.ui
    assert ui.modeCombo.visible
    assert not ui.startDetectorCombo.visible
    ui.whatCombo.setCurrentIndex(ui.whatCombo.findData("detector"))
    tab.settle()
    assert not ui.modeCombo.visible
    assert not ui.divergenceSpin.enabled
    assert ui.startDetectorCombo.visible
    ui.trainSection.collapsed = True
    ui.trainSection.collapsed = False
    tab.settle()
    assert not ui.modeCombo.visible, "opening the section does not bring it back"


def test_a_name_that_is_none_is_a_sentence_and_nothing_starts(tab):
    tab.tab.ui.runNameEdit.text = "Müller 3"
    tab.click("startTrainButton")
    tab.settle()
    assert "lower-case" in tab.tab.ui.trainErrorLabel.text
    assert tab.training.asked == []
    tab.tab.status.say_error("")


def test_estimate_is_of_the_settings_that_it_was_made_for(tab):
    ui = tab.tab.ui
    assert ui.estimateLabel.text == "not measured yet"
    tab.click("estimateButton")
    assert tab.training.asked == [("estimate", TrainSettings())]
    tab.training.set(
        measured=Measured(TrainSettings(), tab.training.state.split, Estimate(740.0, 560.0, 1000.0, {"steps": 700.0}, "cpu"))
    )
    tab.settle()
    assert ui.estimateLabel.text == "about 12 min (9 min to 17 min)"
    ui.presetCombo.setCurrentIndex(ui.presetCombo.findData("best"))
    tab.settle()
    assert "not measured" in ui.estimateLabel.text


def test_missing_packages_are_asked_for_at_the_first_training_only(tab, monkeypatch):
    from MyoScarSegLib.widgets import packages

    shown, looked = [], []
    monkeypatch.setattr(packages, "missing_now", lambda training: looked.append(training) or ["accelerate"])
    monkeypatch.setattr(packages.Packages, "show", lambda self: shown.append(True))
    tab.settle()
    assert looked == [], "nothing is looked for while nobody trains"
    tab.click("startTrainButton")
    assert shown == [True]
    assert looked == [True]
    assert tab.training.asked == []
    assert tab.tab.ui.trainInstallButton.visible
    monkeypatch.setattr(packages, "missing_now", lambda training: [])
    tab.tab.packages._installed(True)
    assert tab.training.asked == [("train", TrainSettings())], "it goes on with what was asked for"
    tab.settle()
    assert not tab.tab.ui.trainErrorFrame.visible


@pytest.fixture
def running(tab, tmp_path):
    paths = []
    for epoch in (1, 2):
        for k in range(3):
            paths.append(tmp_path / f"epoch-{epoch:03d}-P005-{k}.png")
            image = QImage(64, 64, QImage.Format.Format_RGB32)
            image.fill(1000 * epoch + k)
            image.save(str(paths[-1]))
    run = played_run("2026-11-23-091200-segmenter", RUNNING)
    curves = {"loss": [(0.5, 1.2), (1.0, 0.9)], "end_to_end": [(1.0, 0.5)], "reference_boxes": [(1.0, 0.7)]}
    tab.training.set(run=run, status=RUNNING, runs=[run], examples=paths, curves=curves)
    tab.settle()
    return tab


def test_running_training_says_epoch_time_device_memory_and_best(running):
    text = running.tab.ui.runDetailLabel.text
    for part in ("Learning", "epoch 7 of 20", "left", "cpu (2 cores)", "MiB", "Dice 0.612 at epoch 5"):
        assert part in text, part
    assert running.tab.ui.runStateLabel.text == "running"
    assert "7/20" in unwrap(running.panel.tabs).tabText(1), "also for whoever looks at the other tab"
    assert 0 < running.tab.ui.runBar.value < running.tab.ui.runBar.maximum


def test_examples_follow_the_newest_epoch_until_the_user_looks_back(running):
    ui = running.tab.ui
    assert "Epoch 2" in ui.examplesLabel.text
    assert ui.example0.visible
    assert not ui.example3.visible
    assert ui.example1.toolTip == "P005, slice 1"
    ui.exampleEpochSlider.value = 0
    running.settle()
    assert "Epoch 1" in ui.examplesLabel.text
    running.training.set(examples=[*running.training.state.examples])
    running.settle()
    assert "Epoch 1" in ui.examplesLabel.text, "it stays where the user looks"
    ui.exampleEpochSlider.value = 1
    running.settle()
    assert "Epoch 2" in ui.examplesLabel.text


def test_curves_are_drawn_and_their_latest_values_said(running):
    ui = running.tab.ui
    assert unwrap(ui.curvePicture).pixmap().height() >= 96
    assert "0.50" in ui.curveKeyLabel.text
    assert "0.70" in ui.curveKeyLabel.text


def test_plot_view_is_shown_and_the_layout_before_comes_back(running):
    manager = running.application.app.layoutManager()
    before = manager.layout
    running.click("showCurvesButton")
    assert manager.layout != before
    assert ("show_curves",) in running.training.asked
    running.click("showCurvesButton")
    assert manager.layout == before


def test_pause_stop_and_cancel_ask_for_what_they_say(running):
    running.click("pauseButton")
    running.click("stopButton")
    running.click("cancelRunButton")
    assert running.training.asked == [("pause",), ("stop",)], "cancel asks first"
    in_window("confirmButton").click()
    assert running.training.asked[-1] == ("cancel_run",)
    running.settle()


@pytest.mark.parametrize("state", ["paused", "interrupted", "failed"])
def test_training_that_rests_can_be_resumed(running, state):
    running.training.set(status=RunStatus(state=RunState(state), message="It rests.", epoch=3, epochs=20))
    running.settle()
    assert running.tab.ui.pauseButton.text == "Resume"
    assert "It rests." in running.tab.ui.runDetailLabel.text
    running.click("pauseButton")
    assert running.training.asked == [("resume",)]
    running.training.set(status=RunStatus(state=RunState(state)))
    running.settle()
    assert running.tab.ui.runBar.maximum > 0, "a bar that moves would say that it works"


@pytest.fixture
def finished(running):
    done = RunStatus(state=RunState.FINISHED, epoch=20, epochs=20, best=RUNNING.best)
    older = played_run("2026-11-20-091200-both", RunStatus(state=RunState.FAILED), TrainSettings(what="both", preset="best"))
    running.training.set(status=done, runs=[running.training.state.run, older], comparison=COMPARISON)
    running.settle()
    running.training.asked.clear()
    return running


def test_history_says_when_what_how_and_what_came_of_it(finished):
    rows = cells(finished.tab.ui.runTable)
    assert [row[1] for row in rows] == ["scar, quick, balanced", "both, quick, best"]
    assert [row[2] for row in rows] == ["finished", "failed"]
    assert rows[0][3] == "0.612"
    unwrap(finished.tab.ui.runTable).selectRow(1)
    assert finished.training.asked == [("show_run", "2026-11-20-091200-both")]


def test_comparison_shows_verdict_means_difference_and_interval(finished):
    ui = finished.tab.ui
    assert ui.verdictLabel.text == "The new model is better on these 5 patients."
    assert cells(ui.summaryTable) == [["Dice, end to end", "0.660", "0.610", "+0.050\n+0.010 … +0.090"]]
    assert cells(ui.patientTable)[0] == ["P005", "0.70", "0.60", "10.0", "9.0", "–"]


def test_worst_slice_is_one_click_away(finished):
    unwrap(finished.tab.ui.patientTable).cellClicked.emit(1, 0)
    assert finished.training.asked == [("show_worst", "P010", 5, "P010")]


def test_model_is_used_kept_exported_repeated_and_discarded(finished, monkeypatch, tmp_path):
    import qt

    monkeypatch.setattr(qt.QFileDialog._class, "getExistingDirectory", lambda *_: str(tmp_path), raising=False)
    run = finished.training.state.run
    finished.click("useModelButton")
    finished.click("exportModelButton")
    finished.click("keepModelButton")
    edit, keep = in_window("modelNameEdit"), in_window("keepNameButton")
    assert edit.text() == "scar-2026-11-23"
    edit.setText("No Name")
    assert not keep.isEnabled()
    edit.setText("ward-3")
    keep.click()
    finished.click("discardRunButton")
    in_window("confirmButton").click()
    assert finished.training.asked == [
        ("use", run), ("export_model", run, tmp_path), ("keep", run, "ward-3"), ("discard", run),
    ]  # fmt: skip
    finished.settle()


def test_keys_of_the_first_tab_rest_while_the_second_is_shown(tab):
    assert not tab.panel.segment.active
    tab.panel.tabs.setCurrentIndex(0)
    tab.settle()
    assert tab.panel.segment.active
    assert unwrap(tab.panel.segment.form).isVisible()
    assert not unwrap(tab.tab.form).isVisible()
    tab.show_train()
    assert not tab.panel.segment.active


def test_busy_and_error_are_said_with_a_way_out(tab):
    tab.training.set(busy="import", progress=(3, 12, "Reading scan.mrb", 40.0), error="There is no such folder.")
    tab.settle()
    ui = tab.tab.ui
    assert ui.trainProgressLabel.text == "Reading scan.mrb · 3 of 12 · 40 s left"
    assert ui.trainErrorLabel.text == "There is no such folder."
    tab.click("trainCancelButton")
    assert ("cancel",) in tab.training.asked
    tab.training.set(busy="", error="")
    tab.settle()
    assert not ui.trainProgressPanel.visible
    assert not ui.trainErrorFrame.visible


def test_sections_are_in_the_order_of_the_work(finished):
    form = unwrap(finished.tab.form)
    widgets = [unwrap(getattr(finished.tab.ui, name)) for name in SECTIONS]
    tops = [widget.mapTo(form, widget.rect().topLeft()).y() for widget in widgets]
    assert tops == sorted(tops)


def test_tab_fits_into_a_narrow_dock(finished):
    finished.tab.ui.trainAdvancedGroup.collapsed = False
    finished.settle()
    for name in ("trainStatusFrame", *SECTIONS):
        assert unwrap(getattr(finished.tab.ui, name)).minimumSizeHint().width() <= NARROW_PX, name
    finished.tab.ui.trainAdvancedGroup.collapsed = True


def test_tab_key_goes_through_the_buttons_in_the_order_of_the_work(tab):
    ui, chain = tab.tab.ui, []
    widget = first = unwrap(ui.chooseLibraryButton)
    while True:
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            chain.append(widget.objectName())
        widget = widget.nextInFocusChain()
        if widget is first:
            break
    wanted = [
        "chooseLibraryButton", "addStudyButton", "importButton", "libraryFilterEdit", "caseTable", "openCaseButton",
        "removeCasesButton", "trainingPatients", "drawSplitButton", "whatCombo", "presetCombo", "startTrainButton",
        "pauseButton", "useModelButton", "patientTable",
    ]  # fmt: skip
    assert [name for name in chain if name in wanted] == wanted


@pytest.mark.parametrize("dark", [False, True])
def test_verdict_is_readable_in_both_themes(finished, dark):
    palette = QPalette()
    ground, text, base = ("#353535", "#ffffff", "#2a2a2a") if dark else ("#efefef", "#000000", "#ffffff")
    for role, color in (
        (QPalette.ColorRole.Window, ground),
        (QPalette.ColorRole.WindowText, text),
        (QPalette.ColorRole.Base, base),
    ):
        palette.setColor(role, QColor(color))
    finished.application.app.setPalette(palette)
    finished.settle()
    finished.tab.show(True)
    finished.settle()
    assert base in finished.tab.ui.verdictFrame.styleSheet
    assert contrast(QColor(text), QColor(base)) > 4.5
    finished.application.app.setPalette(QPalette())
    finished.tab.show(True)
    finished.settle()


def test_a_library_of_hundreds_is_written_a_little_at_each_turn(tab, monkeypatch):
    from MyoScarSegLib.widgets.training import case_table

    table, written = tab.tab.library.table, []
    write = table._write
    monkeypatch.setattr(table, "_write", lambda row: (written.append(row), write(row)))
    milliseconds = itertools.count()
    monkeypatch.setattr(case_table, "time", SimpleNamespace(monotonic=lambda: next(milliseconds) / 1000))
    tab.training.set(rows=[played_case(f"P{n:04d}", mass_g=float(n % 40)) for n in range(300)])
    tab.tab.flush()
    most = []
    while not table.complete:
        written.clear()
        table.go_on()
        most.append(len(written))
    assert max(most) < 10, "a row is a millisecond of this clock, and a turn has eight"
    tab.settle()
    assert all(row[0] for row in cells(tab.tab.ui.caseTable)), "all are written by now"
