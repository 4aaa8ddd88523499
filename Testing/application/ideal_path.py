"""The ideal path in the real application, by mouse and keyboard: from the sample data to a model of one's own.

Not collected by itself; ``make test-application`` names it. Each step is a test that goes on where the one before has ended, so
run it with ``-x``. Variables: ``SLICER`` is the program, ``PICTURES`` a folder for a picture of each step.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from MyoScarSegLib.phantom import PhantomSettings, make_phantom
from MyoScarSegLib.study.writer import write_volume
from Testing.application.driver import Slicer, running

NETWORK_S = 300
TRAINING_S = 900
SEGMENT = "panel().segment.ui"
PROMPT_STEPS = "__import__('MyoScarSegLib.scene.prompt_steps', fromlist=['x'])"
TRAIN = "panel().training.ui"
FINISHED = "not panel().workflow.busy and not panel().workflow.session.pending.slices"


@pytest.fixture(scope="module")
def pictures() -> Path:
    return Path(os.environ.get("PICTURES", "out/application"))


@pytest.fixture(scope="module")
def slicer(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Iterator[Slicer]:
    with running(Path(os.environ["SLICER"]), tmp_path_factory.mktemp("home"), pictures) as application:
        missing = application.ask(
            "[r.name for r in __import__('MyoScarSegLib.installation.requirements', fromlist=['x']).missing_now(True)]"
        )
        assert not missing, f"Slicer's Python lacks {', '.join(missing)}: press Install in the module first."
        yield application


def look(slicer: Slicer, name: str) -> None:
    """Keep a picture; nothing may be cut off, lie over something else, or have gone wrong."""
    slicer.rest()
    slicer.shot(name)
    assert slicer.tracebacks() == ""
    assert slicer.ask("panel().segment.status.error") == ""
    assert slicer.ask("panel().training.status.error") == ""
    assert slicer.ask("cut_labels(panel().form)") == []
    assert slicer.ask("overlaps(panel().form)") == []


def study(slicer: Slicer) -> dict:
    return slicer.ask("study()")


def first_box(slicer: Slicer, state: str) -> str:
    return next(number for number, box in sorted(study(slicer)["boxes"].items()) if box[5] == state)


def select(slicer: Slicer, box: str) -> None:
    """Click on a box's row in the table, which goes to its slice."""
    row = slicer.ask(
        f"next(n for n in range({SEGMENT}.boxTable.rowCount) if {SEGMENT}.boxTable.item(n, 0).data(qt.Qt.UserRole) == {box})"
    )
    slicer.ask("reveal(panel().segment.ui.boxTable)")
    slicer.rest()
    slicer.click_at(*slicer.ask(f"cell(panel().segment.ui.boxTable, {row})"))
    assert slicer.ask("panel().segment.boxes.selected") == int(box)


def show_tab(slicer: Slicer, index: int) -> None:
    slicer.ask("reveal(panel().tabs)")
    slicer.rest()
    slicer.click_at(*slicer.ask(f"tab(panel().tabs, {index})"))


def test_sample_data_is_a_study(slicer):
    look(slicer, "01-opened")
    slicer.press("sampleButton")
    slicer.until("panel().workflow.session is not None")
    slicer.until("panel().workflow.session.requests.encoded[0] == panel().workflow.session.requests.encoded[1] > 0", NETWORK_S)
    assert "10 slices" in slicer.ask("panel().segment.ui.factsLabel.text")
    look(slicer, "02-sample")


def test_both_clicks_and_the_numbers_are_in_sight_at_once(slicer):
    names = "proposeButton", "segmentAllButton", "massLabel"
    assert slicer.ask(f"[seen(getattr({SEGMENT}, name)) for name in {names}]") == [True, True, True]


def test_propose_finds_boxes(slicer):
    slicer.press("proposeButton")
    slicer.until(FINISHED, NETWORK_S)
    found = study(slicer)
    assert len(found["boxes"]) >= 4
    assert slicer.ask("panel().segment.ui.boxTable.rowCount") == len(found["boxes"])
    assert f"{len(found['boxes'])} boxes" in slicer.ask("panel().segment.ui.statusLabel.text")
    assert slicer.ask("[seen(panel().segment.ui.segmentAllButton), seen(panel().segment.ui.massLabel)]") == [True, True]
    look(slicer, "03-proposed")


def test_a_rejected_box_stays_in_the_list(slicer):
    box = first_box(slicer, "proposed")
    select(slicer, box)
    slicer.press("rejectBoxButton")
    assert study(slicer)["boxes"][box][5] == "rejected"
    look(slicer, "04-rejected")


def test_a_box_is_resized_by_dragging_its_corner(slicer):
    box = first_box(slicer, "proposed")
    select(slicer, box)
    before = study(slicer)["boxes"][box]
    x, y = before[3] - 0.5, before[4] - 0.5
    slicer.drag(slicer.ask(f"pixel({x}, {y})"), slicer.ask(f"pixel({x + 6}, {y + 5})"))
    after = study(slicer)["boxes"][box]
    assert after[:3] == pytest.approx(before[:3], abs=0.6)
    assert after[3:5] == pytest.approx([before[3] + 6, before[4] + 5], abs=1.5)
    look(slicer, "05-resized")


def test_a_box_is_drawn(slicer):
    rejected = study(slicer)["boxes"][first_box(slicer, "rejected")]
    select(slicer, first_box(slicer, "rejected"))
    before = study(slicer)["boxes"]
    slicer.press("drawBoxButton")
    x0, y0, x1, y1 = (v + d for v, d in zip(rejected[1:5], (-9, -8, 8, 9), strict=True))
    slicer.drag(slicer.ask(f"pixel({x0}, {y0})"), slicer.ask(f"pixel({x1}, {y1})"))
    new = [box for number, box in study(slicer)["boxes"].items() if number not in before]
    assert len(new) == 1
    assert new[0][0] == rejected[0] and new[0][6] == "user"
    assert new[0][1:5] == pytest.approx([x0, y0, x1, y1], abs=1.5)
    slicer.until(FINISHED, NETWORK_S)
    look(slicer, "06-drawn")


def test_segment_all_finds_scar_and_says_how_much(slicer):
    slicer.press("segmentAllButton")
    slicer.until(FINISHED, NETWORK_S)
    slicer.rest()
    found = study(slicer)
    assert found["pixels"] > 500
    grams = float(slicer.ask("panel().segment.ui.massLabel.text"))
    volume_ml = found["pixels"] * math.prod(slicer.ask("list(panel().workflow.volume_node.GetSpacing())")) / 1000
    assert grams == pytest.approx(1.05 * volume_ml, rel=0.02)
    assert f"{grams:.1f} g" in slicer.ask("panel().segment.ui.statusLabel.text")
    assert slicer.ask("seen(panel().segment.ui.massLabel)")
    look(slicer, "07-segmented")


def test_an_edit_and_its_mask_are_one_drawing_and_boxes_are_in_no_view_across_the_slices(slicer):
    select(slicer, first_box(slicer, "proposed"))
    slicer.rest()
    slicer.ask(
        "setattr(__import__('MyoScarSegLib.widgets.backend', fromlist=['']), 'MOST_HELD_S', 60)"
    )  # however slow this computer is
    slicer.ask("count_drawings()")
    slicer.ask(f"{PROMPT_STEPS}.nudge_box(panel().workflow.session, panel().segment.boxes.selected, 1, 0)")
    slicer.until(FINISHED, NETWORK_S)
    slicer.rest()
    drawn = slicer.ask("drawings()")
    assert drawn and set(drawn.values()) == {1}
    assert slicer.ask("handles_outside()") == []
    slicer.press("undoButton")
    slicer.until(FINISHED, NETWORK_S)


@pytest.fixture(scope="module")
def remembered() -> dict:
    """What undo has to bring back."""
    return {}


@pytest.mark.parametrize(("button", "positive"), [("addPositiveButton", True), ("addNegativeButton", False)])
def test_a_point_changes_the_mask_of_its_slice(slicer, remembered, button, positive):
    if positive:
        select(slicer, first_box(slicer, "proposed"))
        remembered.update(study(slicer))
    before = study(slicer)
    i, j = slicer.ask(f"pixel_of({'beside' if positive else 'scar'!r})")
    slicer.press(button)
    slicer.click_at(*slicer.ask(f"pixel({i}, {j})"))
    slicer.key("Escape")
    slicer.until(FINISHED, NETWORK_S)
    after = study(slicer)
    added = after["points"][-1]
    assert len(after["points"]) == len(before["points"]) + 1
    assert added[0] == after["slice"] and added[3] is positive
    assert added[1:3] == pytest.approx([i, j], abs=0.8)
    assert after["by_slice"][after["slice"]] != before["by_slice"][after["slice"]]
    assert all(a == b for k, (a, b) in enumerate(zip(after["by_slice"], before["by_slice"], strict=True)) if k != after["slice"])
    look(slicer, f"08-{button}")


def test_a_scribble_is_several_points_and_one_step(slicer):
    before = study(slicer)
    i, j = slicer.ask("pixel_of('scar')")
    slicer.press("addPositiveButton")
    slicer.drag(*(slicer.ask(f"pixel({x}, {y})") for x, y in ((i, j), (i + 6, j), (i + 6, j + 6))))
    slicer.key("Escape")
    slicer.until(FINISHED, NETWORK_S)
    after = study(slicer)
    added = after["points"][len(before["points"]) :]
    assert len(added) in (3, 4) and all(one[0] == after["slice"] and one[3] for one in added)
    look(slicer, "08-scribble")
    slicer.press("undoButton")
    slicer.until(FINISHED, NETWORK_S)
    assert study(slicer)["points"] == before["points"]


def test_the_threshold_key_makes_the_scar_smaller(slicer):
    before = study(slicer)
    slicer.key("k")
    slicer.until(FINISHED)
    after = study(slicer)
    assert after["threshold"] == pytest.approx(before["threshold"] + 0.05)
    assert after["pixels"] < before["pixels"]
    look(slicer, "09-threshold")


def test_paint_with_the_segment_editor_adds_scar(slicer):
    width = slicer.ask("panel().form.width")
    slicer.ask("reveal(panel().segment.ui.editorGroup)")
    slicer.rest()
    slicer.click_at(*slicer.ask("_global(panel().segment.ui.editorGroup, 12, 9)"))
    slicer.until("panel().segment.scar.editor.widget is not None")
    slicer.rest()
    slicer.click("child(panel().segment.scar.editor.widget, 'Paint')")
    slicer.until("panel().segment.scar.editor.painting")
    slicer.rest()
    assert slicer.ask("panel().form.width") == width, "the brush does not widen the panel"
    before = study(slicer)
    i, j = slicer.ask("pixel_of('beside')")
    slicer.drag(slicer.ask(f"pixel({i}, {j})"), slicer.ask(f"pixel({i + 5}, {j})"))
    slicer.until(f"study()['painted'] == [{before['slice']}]")
    assert study(slicer)["pixels"] > before["pixels"]
    look(slicer, "10-painted")
    slicer.key("Escape")
    assert not slicer.ask("panel().segment.scar.editor.painting")


def test_four_undos_bring_back_what_was_segmented(slicer, remembered):
    for _ in range(4):
        slicer.press("undoButton")
        slicer.until(FINISHED)
    slicer.rest()
    after = study(slicer)
    assert {name: after[name] for name in ("boxes", "points", "threshold", "by_slice", "painted")} == {
        name: remembered[name] for name in ("boxes", "points", "threshold", "by_slice", "painted")
    }
    look(slicer, "11-undone")


def test_boxes_are_suggested_beside_scar_that_the_reader_drew_and_count_once_accepted(slicer):
    number, drawn = next((number, box) for number, box in sorted(study(slicer)["boxes"].items()) if box[6] == "user")
    select(slicer, number)
    slicer.until(FINISHED, NETWORK_S)
    before, entries = study(slicer), "len(panel().workflow.session.history.labels)"
    steps = slicer.ask(entries)
    slicer.press("suggestButton")
    slicer.until(FINISHED, NETWORK_S)
    after = study(slicer)
    offers = {n: box for n, box in after["boxes"].items() if n not in before["boxes"]}
    note = slicer.ask("panel().segment.ui.noteLabel.text")
    assert "suggested, on slice" in note if offers else f"Nothing continues beside slice {drawn[0]}" in note
    assert slicer.ask(entries) == steps + bool(offers)
    assert all(box[5] == "proposed" and box[6].endswith(" (beside)") for box in offers.values())
    assert after["by_slice"] == before["by_slice"], "they are an offer"
    look(slicer, "11-suggested")
    for offer, box in list(offers.items())[:1]:
        select(slicer, offer)
        slicer.press("acceptBoxButton")
        slicer.until(FINISHED, NETWORK_S)
        assert study(slicer)["boxes"][offer] == [*box[:5], "accepted", box[6]]
        assert study(slicer)["by_slice"] != before["by_slice"]


def test_a_faint_place_is_gone_to_and_accepted_by_a_click(slicer):
    box = (
        "__import__('MyoScarSegLib.prompts', fromlist=['x']).Box(0, 90, 90, 104, 100, confidence=0.4, source='net (faint)', "
        "state=__import__('MyoScarSegLib.prompts', fromlist=['x']).BoxState.REJECTED)"
    )
    number = str(slicer.ask(f"{PROMPT_STEPS}.add_box(panel().workflow.session, {box})"))
    slicer.until("'1 faint place is not counted: slice 0.' in panel().segment.ui.statusLabel.text")
    select(slicer, number)
    slicer.until("study()['slice'] == 0")
    look(slicer, "11-faint")
    before = study(slicer)
    slicer.press("acceptBoxButton")
    slicer.until(FINISHED, NETWORK_S)
    after = study(slicer)
    assert after["boxes"][number][5] == "accepted"
    assert after["by_slice"][1:] == before["by_slice"][1:]
    assert "faint" not in slicer.ask("panel().segment.ui.statusLabel.text")


def test_a_saved_scene_comes_back_as_it_was(slicer, tmp_path):
    before, grams = study(slicer), slicer.ask("panel().segment.ui.massLabel.text")
    path = str(tmp_path / "scene.mrb")
    assert slicer.ask(f"slicer.util.saveScene({path!r})")
    slicer.ask("slicer.mrmlScene.Clear(0)")
    slicer.until("panel().workflow.session is None and panel().segment.ui.boxTable.rowCount == 0")
    look(slicer, "12-closed")
    slicer.ask(f"slicer.util.loadScene({path!r})")
    slicer.until("panel().workflow.session is not None")
    slicer.until(f"panel().segment.ui.massLabel.text == {grams!r}")
    after = study(slicer)
    assert sorted(after["boxes"].values()) == sorted(before["boxes"].values())
    assert after["by_slice"] == before["by_slice"]
    look(slicer, "13-loaded")


def choose_folder(slicer: Slicer, folder: Path) -> None:
    """Type a folder into the file dialog that is open."""
    slicer.until("slicer.app.activeModalWidget() is not None")
    slicer.type(str(folder))
    slicer.key("Return")
    slicer.until("slicer.app.activeModalWidget() is None")


def test_studies_are_imported_into_a_library(slicer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    for number in (1, 2):
        phantom = make_phantom(20 + number, settings=PhantomSettings(slices=3, slice_spacing_mm=20.0))
        case = folder / "studies" / f"Case_P{number + 1:03d}"
        for name, voxels in (("Images", phantom.study.voxels), ("Contours", phantom.labels)):
            (case / name).mkdir(parents=True)
            write_volume(case / name / f"{case.name}.nii.gz", voxels, phantom.study)
    (folder / "library").mkdir()
    show_tab(slicer, 1)
    slicer.click(f"{TRAIN}.chooseLibraryButton")
    choose_folder(slicer, folder / "library")
    slicer.until("panel().training.workflow.state.folder is not None")
    look(slicer, "14-library")
    slicer.click(f"{TRAIN}.addStudyButton")
    slicer.until("panel().training.library.dialog is not None and panel().training.library.dialog.dialog.visible")
    slicer.click("panel().training.library.dialog.ui.addReaderEdit")
    slicer.type("AB")
    slicer.shot("15-add")
    slicer.click("panel().training.library.dialog.add_button")
    slicer.until("len(panel().training.workflow.state.rows) == 1 and not panel().training.workflow.state.busy")
    slicer.click(f"{TRAIN}.importButton")
    slicer.click_at(*slicer.ask("entry(panel().training.library.menu, 'importFolderAction')"))
    choose_folder(slicer, folder / "studies")
    slicer.until("len(panel().training.workflow.state.rows) == 3 and not panel().training.workflow.state.busy")
    slicer.until(f"'3 patients' in {TRAIN}.libraryCountLabel.text")  # the panel shows a change at its next turn
    look(slicer, "16-imported")


def test_an_epoch_is_trained(slicer):
    slicer.ask(
        "panel().training.train.fill(__import__('MyoScarSegLib.training.train_settings', fromlist=['x'])"
        ".TrainSettings(preset='quick', epochs=1, options={'copies': 1, 'evaluate_every': 1}))"
    )
    slicer.click(f"{TRAIN}.startTrainButton")
    slicer.until("panel().training.workflow.state.run is not None", NETWORK_S)
    slicer.until("str(panel().training.workflow.state.status.state) != 'running'", TRAINING_S)
    slicer.until("not panel().training.workflow.state.busy and panel().training.workflow.state.comparison is not None", NETWORK_S)
    slicer.until(f"{TRAIN}.runStateLabel.text == 'finished'")
    slicer.until(f"{TRAIN}.patientTable.rowCount >= 1")
    look(slicer, "17-trained")


def test_the_new_model_segments(slicer):
    before = slicer.ask("str(panel().workflow.settings.segmenter)")
    slicer.click(f"{TRAIN}.useModelButton")
    slicer.until(f"str(panel().workflow.settings.segmenter) != {before!r}")
    slicer.rest()
    name = slicer.ask("str(panel().workflow.settings.segmenter)")
    assert name in slicer.ask(f"{TRAIN}.modelInUseLabel.text")
    show_tab(slicer, 0)
    slicer.press("segmentAllButton")
    slicer.until(FINISHED, NETWORK_S)
    assert study(slicer)["pixels"] > 500
    assert name in slicer.ask("str(panel().workflow.session.provenance)"), "the masks are the new model's"
    assert slicer.ask("panel().segment.ui.segmenterCombo.currentText") == name
    look(slicer, "18-new-model")


@pytest.mark.parametrize("height", [1000, 800, 650])
@pytest.mark.parametrize("tab", [0, 1])
def test_nothing_is_cut_off_or_covered_in_a_short_window(slicer, height, tab):
    slicer.ask("slicer.util.mainWindow().showNormal()")
    slicer.ask(f"slicer.util.mainWindow().resize(1500, {height})")
    show_tab(slicer, tab)
    look(slicer, f"19-{height}-{tab}")
    part = "panel().training.status" if tab else "panel().segment.status"
    slicer.ask(f"{part}.say_error('A sentence that is long enough for three lines of the panel, as some of ours are. ' * 3)")
    slicer.rest()
    assert slicer.ask("cut_labels(panel().form)") == []
    assert slicer.ask("overlaps(panel().form)") == []
    slicer.ask(f"{part}.say_error('')")


def test_an_unexpected_error_reaches_the_user(slicer):
    show_tab(slicer, 0)
    slicer.ask("qt.QTimer.singleShot(0, lambda: panel().views.jump('nowhere'))")
    slicer.until("'Unexpected error' in panel().segment.ui.errorLabel.text")
    slicer.press("copyLogButton")
    assert "Traceback" in slicer.ask("qt.QApplication.clipboard().text()")
    slicer.shot("20-unexpected")
