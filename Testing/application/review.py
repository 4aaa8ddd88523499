"""The section *Review* in the real application, by mouse and keys: a cohort opened, next, edit, accept, reject, readers, reopen.

Named by ``make test-application``, as :mod:`Testing.application.ideal_path`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import SimpleITK as sitk

from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.reviews import mask_file, read_reviews
from MyoScarSegLib.phantom import PhantomSettings, make_phantom
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.result import Boxes
from MyoScarSegLib.study import write_volume
from Testing.application.driver import Slicer, running
from Testing.application.ideal_path import SEGMENT, choose_folder, look
from Testing.support.cohort_factory import run_cohort
from Testing.support.quick_pipeline import Quick

REVIEW = "panel().segment.review.review"
READING_S = 120


class Middle(Quick):
    """It takes a rectangle in the middle of each slice for scar."""

    def propose(self, study, **_options):
        return Boxes([Box(k, 100, 120, 112, 134, source="middle") for k in range(study.slices)])


def phantom(path: Path, seed: int) -> Path:
    study = make_phantom(30 + seed, settings=PhantomSettings(slices=3, slice_spacing_mm=20.0)).study
    write_volume(path, study.voxels, study)
    return path


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    with pytest.MonkeyPatch.context() as patch:
        return run_cohort(tmp_path_factory.mktemp("cohort"), patch, write=phantom, pipeline=Middle(), overlays=True)


@pytest.fixture(scope="module")
def slicer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slicer]:
    pictures = Path(os.environ.get("PICTURES", "out/application"))
    with running(Path(os.environ["SLICER"]), tmp_path_factory.mktemp("home"), pictures) as application:
        yield application


def open_as(slicer: Slicer, cohort: Cohort, reader: str, mode: int) -> None:
    """Type the reader's name, choose the mode, and open the folder by the dialog."""
    slicer.press("readerEdit")
    slicer.key("ctrl+a")
    slicer.type(reader)
    slicer.ask(f"{SEGMENT}.reviewModeCombo.setCurrentIndex({mode})")
    slicer.press("openCohortButton")
    choose_folder(slicer, cohort.out)
    slicer.until(f"{SEGMENT}.cohortTable.rowCount == 3 and not {REVIEW}.listing", READING_S)


def in_hand(slicer: Slicer, case: str) -> None:
    slicer.until(f"{REVIEW}.case == {case!r} and {REVIEW}.study is not None and not {REVIEW}.wanted", READING_S)
    slicer.rest()


def said(slicer: Slicer) -> list[str]:
    return slicer.ask(f"[{SEGMENT}.cohortTable.item(n, 4).text() for n in range(3)]")


def test_a_cohort_is_opened(slicer, cohort):
    for name in ("studySection", "boxesSection", "numbersSection", "burdenSection"):
        slicer.ask(f"setattr({SEGMENT}.{name}, 'collapsed', True)")
    slicer.ask(f"setattr({SEGMENT}.reviewSection, 'collapsed', False)")
    open_as(slicer, cohort, "ann", 0)
    assert said(slicer) == ["", "", ""]
    pictured = f"not any({SEGMENT}.cohortTable.item(n, 0).icon().isNull() for n in range(3))"
    slicer.until(pictured, READING_S)
    slicer.rest()
    look(slicer, "31-cohort")


def test_next_shows_a_study_and_accept_goes_on(slicer, cohort):
    slicer.press("nextStudyButton")
    in_hand(slicer, "P0")
    assert slicer.ask("study()['pixels']") > 0 and slicer.ask("len(study()['boxes'])") == 3
    slicer.until(f"{REVIEW}._tasks['P1'].finished", READING_S)
    look(slicer, "32-study")
    slicer.press("acceptStudyButton")
    in_hand(slicer, "P1")
    assert [one.verdict for one in read_reviews(cohort.out / "P0")] == ["accept"]
    assert slicer.ask("slicer.mrmlScene.GetNodesByClass('vtkMRMLScalarVolumeNode').GetNumberOfItems()") <= 2


def test_what_is_painted_goes_back_to_the_record(slicer, cohort):
    slicer.ask("reveal(panel().segment.ui.editorGroup)")
    slicer.rest()
    slicer.click_at(*slicer.ask("_global(panel().segment.ui.editorGroup, 12, 9)"))
    slicer.until("panel().segment.scar.editor.widget is not None")
    slicer.rest()
    slicer.click("child(panel().segment.scar.editor.widget, 'Paint')")
    slicer.until("panel().segment.scar.editor.painting")
    before = slicer.ask("study()['pixels']")
    i, j = slicer.ask("pixel_of('beside')")
    slicer.drag(slicer.ask(f"pixel({i}, {j})"), slicer.ask(f"pixel({i + 5}, {j})"))
    slicer.until(f"study()['pixels'] > {before}")
    slicer.key("Escape")
    slicer.until(f"{SEGMENT}.cohortTable.item(1, 4).text() == 'edited, not accepted'")
    slicer.key("shift+a")
    in_hand(slicer, "P2")
    assert mask_file(cohort.out / "P1", "ann").is_file()
    assert said(slicer)[:2] == ["accepted by ann", "edited by ann"]


def test_a_reject_wants_a_reason(slicer, cohort):
    slicer.press("rejectStudyButton")
    slicer.until(f"'Say why' in {SEGMENT}.cohortLabel.text")
    slicer.press("rejectReasonEdit")
    slicer.type("motion")
    slicer.press("rejectStudyButton")
    slicer.until(f"{SEGMENT}.cohortTable.item(2, 4).text() == 'rejected by ann'")
    assert read_reviews(cohort.out / "P2")[0].comment == "motion"
    look(slicer, "33-reviewed")


def test_a_second_reader_begins_anew_and_finds_his_way_by_keys(slicer, cohort):
    open_as(slicer, cohort, "bob", 1)
    slicer.until(f"{SEGMENT}.cohortTable.item(0, 4).text() == ''")
    slicer.press("cohortTable")
    slicer.key("Next")
    in_hand(slicer, "P0")
    slicer.key("Next")
    in_hand(slicer, "P1")
    assert slicer.tracebacks() == ""


def test_who_opens_an_edited_study_again_finds_it_as_he_left_it(slicer, cohort):
    open_as(slicer, cohort, "ann", 0)
    slicer.until(f"{SEGMENT}.cohortTable.item(1, 4).text() == 'edited by ann'")
    center = f"{SEGMENT}.cohortTable.visualItemRect({SEGMENT}.cohortTable.item(1, 0)).center()"
    place = slicer.ask(f"_global({SEGMENT}.cohortTable.viewport(), {center}.x(), {center}.y())")
    slicer.click_at(*place, times=2)
    in_hand(slicer, "P1")
    left = sitk.GetArrayFromImage(sitk.ReadImage(mask_file(cohort.out / "P1", "ann")))
    assert slicer.ask("study()['pixels']") == (left > 0).sum()
    look(slicer, "34-again")
    assert slicer.tracebacks() == ""
