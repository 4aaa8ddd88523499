"""The section *Review* on the real form: a cohort gone through by mouse and keys, edits that go back, another reader."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.batch.review_list import ReviewList
from MyoScarSegLib.batch.reviews import mask_file, read_reviews
from MyoScarSegLib.outputs.overlay import write_overlay
from MyoScarSegLib.quantification.aha import NO_LEVEL
from MyoScarSegLib.scene.packed_masks import pack
from MyoScarSegLib.scene.ventricle_state import Landmarks, VentricleState
from MyoScarSegLib.scene.ventricle_steps import set_level
from MyoScarSegLib.study import read_study
from Testing.support.cohort_factory import run_cohort
from Testing.support.quick_pipeline import Quick
from Testing.support.scene_ventricle_factory import set_landmarks


@pytest.fixture
def cohort(tmp_path, monkeypatch):
    monkeypatch.setattr("MyoScarSegLib.utils.folder_calls.AT_ONCE_S", 30.0)  # what is asked of it is there at the next turn
    return run_cohort(tmp_path, monkeypatch)


@pytest.fixture
def opened(module, cohort):
    """The panel with the cohort's list, read by ann."""
    module.workflow.set_automatic(live=False, waits=True)
    module.ui.reviewSection.collapsed = False
    open_as(module, cohort, "ann")
    yield module
    module.panel.segment.review.review.close()
    module.scene.Clear(0)
    module.settle()


def open_as(module, cohort, reader: str, mode: int = 0) -> None:
    module.ui.readerEdit.text = reader
    module.ui.reviewModeCombo.setCurrentIndex(mode)
    module.panel.segment.review.open(cohort.out)
    module.until(lambda: not review(module).listing, what="the list")


def review(module):
    return module.panel.segment.review.review


def column(module, number: int) -> list[str]:
    table = module.ui.cohortTable
    return [table.item(row, number).text() for row in range(table.rowCount)]


def in_hand(module, case: str) -> None:
    module.until(lambda: review(module).case == case and not review(module).wanted, what=f"{case}; {review(module).error}")
    assert module.session is review(module).study.session and module.session.mask().any()


def paint(module) -> None:
    drawn = module.session.mask()[1]
    drawn[9:11, 8:10] = True
    module.session.segmentation.write_slices({1: drawn})
    module.session.refresh()
    module.settle()


def volumes(module) -> int:
    return module.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")


def test_next_accept_edit_and_reject_by_mouse_and_keys(opened, cohort):
    assert column(opened, 0) == ["P0", "P1", "P2"] and column(opened, 4) == ["", "", ""]
    assert not opened.ui.acceptStudyButton.enabled
    opened.click("nextStudyButton")
    in_hand(opened, "P0")
    assert len(opened.session.state.boxes) == 2
    opened.click("acceptStudyButton")
    in_hand(opened, "P1")
    assert "P0: accepted." in opened.ui.cohortLabel.text and "2 of 3 wait" in opened.ui.cohortLabel.text
    paint(opened)
    opened.key("Shift+A")
    in_hand(opened, "P2")
    opened.click("rejectStudyButton")
    assert "Say why" in opened.ui.cohortLabel.text and review(opened).case == "P2"
    opened.ui.rejectReasonEdit.text = "motion"
    opened.click("rejectStudyButton")
    assert column(opened, 4) == ["accepted by ann", "edited by ann", "rejected by ann"]
    assert opened.ui.rejectReasonEdit.text == "" and "No other study waits" in opened.ui.cohortLabel.text
    assert "Say why" not in opened.ui.cohortLabel.text
    said = [read_reviews(cohort.out / case)[0] for case in ("P0", "P1", "P2")]
    assert [one.verdict for one in said] == ["accept", "edit", "reject"] and said[2].comment == "motion"
    assert said[1].mass_g > said[0].mass_g and mask_file(cohort.out / "P1", "ann").is_file()


@pytest.mark.slow
def test_the_next_study_is_read_ahead_and_a_study_without_edits_leaves_the_scene(opened):
    opened.click("nextStudyButton")
    in_hand(opened, "P0")
    before = volumes(opened)
    opened.until(lambda: review(opened)._tasks["P1"].finished, what="P1 is read ahead")
    opened.key("PgDown")
    assert review(opened).case == "P1", "at once"
    assert volumes(opened) == before
    opened.key("PgUp")
    in_hand(opened, "P0")


@pytest.mark.slow
def test_edits_that_were_not_accepted_are_kept(opened, cohort):
    opened.click("nextStudyButton")
    in_hand(opened, "P0")
    paint(opened)
    mask = opened.session.mask()
    opened.click("nextStudyButton")
    in_hand(opened, "P1")
    assert column(opened, 4) == ["edited, not accepted", "", ""]
    assert ReviewList(cohort, "bob").entry("P0").open_by == "ann", "it is still his"
    open_as(opened, cohort, "ann")
    review(opened).show("P0")
    in_hand(opened, "P0")
    assert (opened.session.mask() == mask).all()
    opened.click("acceptStudyButton")
    in_hand(opened, "P1")
    assert read_reviews(cohort.out / "P0")[0].verdict == "edit"


def empty(module) -> np.ndarray:
    return np.zeros(module.session.geometry.shape, bool)


def set_insertion_points(module):
    wanted = Landmarks((3.0, 2.5, 1.0), (4.0, 9.0, 0.0))
    set_landmarks(module.session, wanted)

    def found(ventricle):
        places = (ventricle.landmarks.anterior, ventricle.landmarks.inferior)
        return np.allclose(places, (wanted.anterior, wanted.inferior), atol=1e-3) and ventricle.landmarks.source == "reader"

    return found


def set_levels(module):
    set_level(module.session, 1, "apex")
    set_level(module.session, 0, NO_LEVEL)
    return lambda ventricle: ventricle.levels == {0: NO_LEVEL, 1: "apex"}


def draw_no_reflow(module):
    mask = empty(module)
    mask[1, 9:11, 1:4] = True
    module.session.change(
        "Draw",
        lambda state: replace(
            state, ventricle=state.ventricle.with_slices({1: replace(state.ventricle.of(1), no_reflow=pack(mask[1]))})
        ),
    )
    return lambda ventricle: np.array_equal(ventricle.no_reflow(mask.shape), mask)


def draw_remote_region(module):
    mask = empty(module)
    mask[0, 1:4, 6:9] = True
    module.session.change("Draw", lambda state: replace(state, ventricle=state.ventricle.with_remote(mask)))
    return lambda ventricle: np.array_equal(ventricle.remote(mask.shape), mask)


@pytest.mark.parametrize(
    "edit",
    [
        set_levels,
        *(pytest.param(of, marks=pytest.mark.slow) for of in (set_insertion_points, draw_no_reflow, draw_remote_region)),
    ],
)
@pytest.mark.slow
def test_what_else_the_reader_set_comes_again_to_him_alone(opened, cohort, edit):
    opened.ui.reviewModeCombo.setCurrentIndex(1)
    open_as(opened, cohort, "ann", 1)
    opened.click("nextStudyButton")
    in_hand(opened, "P0")
    before = opened.session.measurements.scar.mass_g
    there = edit(opened)
    opened.settle()
    assert column(opened, 4)[0] == "edited, not accepted"
    after = opened.session.measurements.scar.mass_g
    assert (after > before) == (edit is draw_no_reflow)
    opened.click("acceptStudyButton")
    in_hand(opened, "P1")
    assert column(opened, 4)[0] == "edited by ann" and column(opened, 2)[0] == f"{after:.1f}"
    review(opened).show("P0")
    in_hand(opened, "P0")
    assert there(opened.session.state.ventricle) and opened.session.measurements.scar.mass_g == pytest.approx(after)
    assert column(opened, 4)[0] == "edited by ann" and not opened.session.history.can_undo
    open_as(opened, cohort, "bob", 1)
    opened.click("nextStudyButton")
    in_hand(opened, "P0")
    assert opened.session.state.ventricle == VentricleState(), "blind"
    open_as(opened, cohort, "ann", 1)
    review(opened).show("P0")
    in_hand(opened, "P0")
    opened.ui.rejectReasonEdit.text = "motion"
    opened.click("rejectStudyButton")
    in_hand(opened, "P1")
    review(opened).show("P0")
    in_hand(opened, "P0")
    assert opened.session.state.ventricle == VentricleState() and column(opened, 4)[0] == "rejected by ann"


def test_an_acceptance_that_cannot_be_written_keeps_the_edits_in_hand(opened, cohort):
    open_as(opened, cohort, "ann", 1)
    opened.click("nextStudyButton")
    in_hand(opened, "P0")
    paint(opened)
    (cohort.out / ".leases").write_text("as in a folder that may only be read")
    opened.click("acceptStudyButton")
    assert "Cannot write" in opened.ui.cohortLabel.text and review(opened).case == "P0"
    assert column(opened, 4)[0] == "edited, not accepted" and read_reviews(cohort.out / "P0") == []
    (cohort.out / ".leases").unlink()
    opened.click("acceptStudyButton")
    in_hand(opened, "P1")
    assert column(opened, 4)[0] == "edited by ann"


def test_the_last_study_stays_in_hand_and_what_is_undone_after_its_acceptance_is_an_edit_again(opened, cohort):
    for case in ("P0", "P1"):
        ReviewList(cohort, "ann").give(case, "accept")
    open_as(opened, cohort, "ann")
    opened.click("nextStudyButton")
    in_hand(opened, "P2")
    paint(opened)
    opened.click("acceptStudyButton")
    assert column(opened, 4)[2] == "edited by ann" and review(opened).case == "P2"
    opened.session.undo()
    opened.settle()
    assert column(opened, 4)[2] == "edited, not accepted"
    opened.click("acceptStudyButton")
    assert column(opened, 4)[2] == "accepted by ann" and not mask_file(cohort.out / "P2", "ann").exists()


def test_whoever_works_on_a_study_keeps_it(opened, cohort, monkeypatch):
    opened.click("nextStudyButton")
    in_hand(opened, "P0")
    taken = []
    monkeypatch.setattr(review(opened)._list, "open", taken.append)
    paint(opened)
    assert taken == [], "it was taken just now"
    monkeypatch.setattr("MyoScarSegLib.widgets.review_session._RENEWED_AFTER_S", 0.0)
    opened.session.segmentation.write_slices({1: ~opened.session.mask()[1]})
    opened.session.refresh()
    opened.settle()
    assert taken and set(taken) == {"P0"}


def test_a_study_that_another_reader_has_is_left_to_him(opened, cohort):
    bob = ReviewList(cohort, "bob")
    bob.open("P0")
    opened.click("nextStudyButton")
    in_hand(opened, "P1")
    assert column(opened, 4)[0] == "open at bob's"
    assert bob.entry("P1").open_by == "ann"
    review(opened).show("P0")
    opened.settle()
    assert "open at bob's" in opened.ui.cohortLabel.text and review(opened).case == "P1"
    bob.give("P0", "accept")
    review(opened).close()
    assert bob.entry("P1").open_by == "", "given back"


@pytest.mark.slow
def test_a_second_reader_in_the_mode_double_sees_no_word_of_the_first(opened, cohort):
    opened.click("nextStudyButton")
    in_hand(opened, "P0")
    opened.click("acceptStudyButton")
    in_hand(opened, "P1")
    open_as(opened, cohort, "bob", 1)
    assert column(opened, 4) == ["", "", ""]
    opened.click("nextStudyButton")
    in_hand(opened, "P0")


def lose_mask(folder):
    mask_file(folder, "ann").unlink()


def damage_review(folder):
    (folder / "review-ann.json").write_text("{")


@pytest.mark.parametrize(("harm", "said"), [(lose_mask, "is gone, which ann left"), (damage_review, "is damaged")])
@pytest.mark.slow
def test_a_review_that_is_not_whole_is_said_and_the_others_are_gone_through(opened, cohort, harm, said):
    opened.click("nextStudyButton")
    in_hand(opened, "P0")
    opened.click("nextStudyButton")
    in_hand(opened, "P1")
    paint(opened)
    opened.click("acceptStudyButton")
    in_hand(opened, "P2")
    harm(cohort.out / "P1")
    open_as(opened, cohort, "ann")
    opened.click("nextStudyButton")
    in_hand(opened, "P0")
    before = volumes(opened)
    review(opened).show("P1")
    opened.until(lambda: review(opened).error, what="P1 cannot be shown")
    label = opened.ui.cohortLabel.text
    assert said in label and "review the study anew" in label and "P0 is in hand" in label
    assert review(opened).case == "P0" and not review(opened).wanted and volumes(opened) == before
    left = {file.name: file.read_bytes() for file in (cohort.out / "P1").glob("review-ann*")}
    opened.click("nextStudyButton")
    in_hand(opened, "P2")
    assert said not in opened.ui.cohortLabel.text
    review(opened).show("P1")
    opened.until(lambda: review(opened).error, what="P1 cannot be shown")
    opened.click("previousStudyButton")
    in_hand(opened, "P0")
    assert {file.name: file.read_bytes() for file in (cohort.out / "P1").glob("review-ann*")} == left
    assert ReviewList(cohort, "bob").entry("P1").open_by == "", "given back"
    (cohort.out / "P1/review-ann.json").unlink()
    review(opened).show("P1")
    in_hand(opened, "P1")
    assert not review(opened).is_edited("P1"), "as the program has it"


@pytest.mark.slow
def test_a_study_whose_folder_is_gone_since_it_was_listed_is_said_and_passed_over(opened, cohort, tmp_path):
    opened.click("nextStudyButton")
    in_hand(opened, "P0")
    (cohort.out / "P1").rename(tmp_path / "elsewhere")
    review(opened).show("P1")
    opened.settle()
    assert "P1 has no record" in opened.ui.cohortLabel.text and review(opened).case == "P0"
    assert column(opened, 1) == ["done", "gone", "done"] and "2 of 3 wait" in opened.ui.cohortLabel.text
    opened.click("nextStudyButton")
    in_hand(opened, "P2")
    opened.click("nextStudyButton")
    in_hand(opened, "P0")
    (tmp_path / "elsewhere").rename(cohort.out / "P1")
    review(opened).show("P1")
    in_hand(opened, "P1")


@pytest.mark.slow
def test_a_study_whose_folder_goes_while_it_is_read_is_said_and_passed_over(opened, cohort, tmp_path, monkeypatch):
    opened.click("nextStudyButton")
    in_hand(opened, "P0")
    opened.until(lambda: review(opened)._tasks["P1"].finished, what="P1 is read ahead")
    review(opened)._forget("P1")
    taken = review(opened)._list.open

    def taken_and_gone(case):
        taken(case)
        if case == "P1":
            (cohort.out / case).rename(tmp_path / "elsewhere")

    monkeypatch.setattr(review(opened)._list, "open", taken_and_gone)
    opened.click("nextStudyButton")
    opened.until(lambda: review(opened).error, what="P1 is gone")
    assert "P1 has no record" in opened.ui.cohortLabel.text and column(opened, 1)[1] == "gone"
    opened.click("nextStudyButton")
    in_hand(opened, "P2")


def test_what_cannot_be_done_is_a_sentence(opened, cohort, tmp_path):
    (tmp_path / "in" / "P0.nrrd").unlink()
    opened.click("nextStudyButton")
    opened.until(lambda: review(opened).error, what="P0 cannot be read")
    assert "images of P0 cannot be read" in opened.ui.cohortLabel.text
    assert ReviewList(cohort, "bob").entry("P0").open_by == ""
    opened.click("nextStudyButton")
    in_hand(opened, "P1")
    cohort.out.rename(tmp_path / "elsewhere")
    opened.click("acceptStudyButton")
    assert "not to be reached" in opened.ui.cohortLabel.text and not cohort.out.exists()
    open_as(opened, cohort, "no name!")
    assert "no name for a reader" in opened.ui.cohortLabel.text


def icons(module) -> list[bool]:
    table = module.ui.cohortTable
    return [not table.item(row, 0).icon().isNull() for row in range(table.rowCount)]


def test_a_row_shows_the_picture_of_its_study_and_one_that_cannot_be_read_costs_the_others_nothing(module, cohort):
    for case in ("P0", "P2"):
        draw_overlay(cohort.out / case)
    module.ui.reviewSection.collapsed = False
    open_as(module, cohort, "ann")
    module.until(lambda: icons(module) == [True, False, True], what="the pictures")
    tips = [module.ui.cohortTable.item(row, 3).toolTip() for row in range(3)]
    assert ["<img" in tip for tip in tips] == [True, False, True] and "open P1" in tips[1]
    assert str(cohort.out) not in "".join(tips), "the panel reads nothing from the folder of results, which may be gone"
    folder = review(module).pictures[0]
    review(module).close()
    module.settle()
    assert not folder.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="stands for a server that does not answer")
def test_a_folder_that_does_not_answer_holds_up_the_pictures_alone(module, cohort):
    draw_overlay(cohort.out / "P0")
    (cohort.out / "P1/overlay.png").unlink()
    os.mkfifo(cohort.out / "P1/overlay.png")  # whoever opens it waits
    module.workflow.set_automatic(live=False, waits=True)
    module.ui.reviewSection.collapsed = False
    open_as(module, cohort, "ann")
    module.until(lambda: icons(module)[0], what="the first picture")
    module.click("nextStudyButton")
    in_hand(module, "P0")
    module.click("acceptStudyButton")
    in_hand(module, "P1")
    assert icons(module) == [True, False, False]
    open_as(module, cohort, "bob", 1)
    assert column(module, 4) == ["", "", ""]
    review(module).close()
    module.scene.Clear(0)
    module.settle()


@pytest.fixture
def answers(opened, monkeypatch):
    """While it is not set, the results folder does not answer the panel."""
    answers, among = threading.Event(), review(opened)._list

    def late(ask):
        return lambda *given, **more: (answers.wait(60), ask(*given, **more))[1]

    for name in ("open", "give"):
        monkeypatch.setattr(among, name, late(getattr(among, name)))
    monkeypatch.setattr("MyoScarSegLib.utils.folder_calls.AT_ONCE_S", 0.002)
    yield answers
    answers.set()


def test_a_results_folder_that_does_not_answer_leaves_the_panel_live_and_is_said(opened, answers, monkeypatch):
    monkeypatch.setattr("MyoScarSegLib.utils.folder_calls.ANSWERS_S", 0.05)
    opened.click("nextStudyButton")
    opened.until(lambda: "does not answer" in opened.ui.cohortLabel.text, what="the sentence")
    assert review(opened).case == review(opened).wanted == ""
    answers.set()
    in_hand(opened, "P0")
    assert "does not answer" not in opened.ui.cohortLabel.text


def test_what_is_painted_while_an_acceptance_is_written_is_an_edit_after_it(opened, answers, cohort):
    answers.set()
    opened.click("nextStudyButton")
    in_hand(opened, "P0")
    answers.clear()
    opened.click("acceptStudyButton")
    paint(opened)
    opened.click("acceptStudyButton")
    assert "Wait until the results folder" in opened.ui.cohortLabel.text and read_reviews(cohort.out / "P0") == []
    answers.set()
    in_hand(opened, "P1")
    assert [one.verdict for one in read_reviews(cohort.out / "P0")] == ["accept"]
    assert column(opened, 4)[0] == "edited, not accepted"


def draw_overlay(folder) -> None:
    study = read_study(folder.parents[1] / "in" / f"{folder.name}.nrrd")
    write_overlay(folder / "overlay.png", Quick().run(study))
