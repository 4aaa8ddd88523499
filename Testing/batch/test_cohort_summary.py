"""The summary of a cohort: which studies are strange, and that the page says it."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.cohort_summary import strangest, write_summary
from MyoScarSegLib.batch.job import Job
from MyoScarSegLib.batch.runner import segment_all
from MyoScarSegLib.batch.table import COLUMNS
from Testing.support.quick_pipeline import Quick, small_study


def row(case: str, mass_g: float | None, **more) -> dict:
    return {**dict.fromkeys(COLUMNS), "case": case, "state": "done", "message": "", "scar_mass_g": mass_g, **more}


def usual() -> list[dict]:
    masses = np.random.default_rng(0).normal(20, 4, 40)
    return [
        row(f"P{n}", mass_g, reference_mass_g=1.1 * mass_g, reference_methods=9, signal_to_noise=30.0 + n % 5)
        for n, mass_g in enumerate(masses)
    ]


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"mass_g": 160.0}, "much more"),
        ({"mass_g": 20.0, "likely_wrong": True}, "likely to be wrong"),
        ({"mass_g": 20.0, "faint_places": 2}, "faint"),
        ({"mass_g": 20.0, "state": "incomplete", "message": "Slice 3"}, "Slice 3"),
        ({"mass_g": 20.0, "reference_mass_g": 80.0, "reference_methods": 9}, "80.0 g by 9 other"),
        ({"mass_g": 20.0, "signal_to_noise": 4.0}, "noisier"),
        ({"mass_g": 20.0, "scar_mass_low_g": 2.0, "scar_mass_high_g": 50.0}, "uncertain"),
    ],
)
def test_a_strange_study_is_found_with_its_reason(odd, words):
    found = strangest([*usual(), row("odd", **odd)])
    assert found[0].case == "odd" and words in " ".join(found[0].reasons)


def test_a_usual_cohort_has_nothing_strange():
    assert strangest(usual()) == [] == strangest([]) == strangest([row("a", None)])


def test_an_image_that_is_there_twice_is_told_of_both():
    found = strangest([row(case, 20.0, content_sha256=sha256) for case, sha256 in (("scan", "a"), ("P1", "b"), ("copy", "a"))])
    assert {one.case: list(one.reasons) for one in found} == {
        "scan": ["the same image as copy"],
        "copy": ["the same image as scan"],
    }


def test_a_heart_with_scar_is_strange_where_most_have_none():
    found = strangest([*(row(f"P{n}", 0.0 if n else 1.0) for n in range(30)), row("odd", 40.0)])
    assert [one.case for one in found] == ["odd"]


def test_the_page_has_counts_distributions_failures_and_escapes_names(tmp_path, monkeypatch):
    monkeypatch.setattr("MyoScarSegLib.outputs.case_files.write_overlay", lambda *_: None)
    inputs = [small_study(tmp_path / f"P{n}.nrrd", n) for n in range(3)] + [tmp_path / "a<b.nrrd"]
    inputs[-1].write_bytes(b"NRRD0004\nbroken")
    segment_all(Job(inputs, tmp_path / "out", cohort=True), Quick())
    page = write_summary(Cohort(tmp_path / "out")).read_text()
    assert "<h2>between slices, mm</h2><p>10 in all (3 studies)" in page and "<h2>seconds a study</h2>" in page
    assert page.count("(3 studies)") == 5, "what failed has no numbers"
    assert "4 studies" in page and "3 done" in page and "scar, g" in page and "<svg" in page and "Failed" in page
    assert "a<b" not in page


def test_the_picture_of_a_study_whose_folder_was_renamed_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("MyoScarSegLib.outputs.case_files.write_overlay", lambda file, *_: file.write_bytes(b"png"))
    inputs = [small_study(tmp_path / f"P{n}.nrrd") for n in range(2)]
    segment_all(Job(inputs, tmp_path / "out", cohort=True), Quick())
    (tmp_path / "out/P1").rename(tmp_path / "out/P1 #2?")
    page = write_summary(Cohort(tmp_path / "out")).read_text()
    assert "src='P1%20%232%3F/overlay.png'" in page and "<b>P1 #2?</b>: the same image as P0" in page
