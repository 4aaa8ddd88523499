"""Tables over a cohort's records."""

from __future__ import annotations

import sqlite3
import sys

import pytest

from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.job import Job
from MyoScarSegLib.batch.reviews import write_review
from MyoScarSegLib.batch.runner import segment_all
from MyoScarSegLib.batch.table import COLUMNS, cohort_rows, write_cohort_table
from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.prompts import FAINT, Box, BoxState
from MyoScarSegLib.result import Boxes
from Testing.support.command import table, voxels, write_image
from Testing.support.quick_pipeline import Quick, small_study


@pytest.fixture
def cohort(tmp_path, monkeypatch) -> Cohort:
    monkeypatch.setattr("MyoScarSegLib.outputs.case_files.write_overlay", lambda *_: None)
    inputs = [small_study(tmp_path / f"P{n}.nrrd", n) for n in (2, 10)] + [tmp_path / "bad.nrrd"]
    inputs[-1].write_bytes(b"NRRD0004\nbroken")
    segment_all(Job(inputs, tmp_path / "out", cohort=True), Quick())
    return Cohort(tmp_path / "out")


def test_csv_sqlite_and_parquet_say_the_same(cohort):
    from pyarrow import parquet

    wanted = [(row["case"], row["state"], row["scar_pixels"], row["scar_mass_g"]) for row in cohort_rows(cohort)]
    assert [row[:2] for row in wanted] == [("bad", "failed"), ("P2", "done"), ("P10", "done")] and wanted[1][3] > 0
    rows = table(write_cohort_table(cohort, "csv"))
    assert list(rows[0]) == list(COLUMNS)
    assert [(r["case"], r["state"], int(r["scar_pixels"] or 0) or None) for r in rows] == [row[:3] for row in wanted]
    with sqlite3.connect(write_cohort_table(cohort, "sqlite")) as base:
        assert base.execute('SELECT "case", state, scar_pixels, scar_mass_g FROM cohort').fetchall() == wanted
    read = parquet.read_table(write_cohort_table(cohort, "parquet")).to_pylist()
    assert [tuple(r[name] for name in ("case", "state", "scar_pixels", "scar_mass_g")) for r in read] == wanted


def test_a_table_is_made_anew_from_the_records_alone(cohort):
    write_cohort_table(cohort, "sqlite").write_bytes(b"damaged")
    with sqlite3.connect(write_cohort_table(cohort, "sqlite")) as base:
        assert base.execute("SELECT count(*) FROM cohort WHERE state = 'done'").fetchone() == (2,)


def test_reviews_are_in_the_table(cohort):
    write_review(cohort.out / "P2", cohort.records()[1], "ann", "accept")
    row = cohort_rows(cohort)[1]
    assert row["reviewed"] == "ann:accept" and row["review_mass_g"] == row["scar_mass_g"]


def test_faint_places_are_counted_and_not_the_sentence_on_them(tmp_path, monkeypatch):
    boxes = [Box(k, 2, 3, 6, 8, source=f"quick{FAINT}", state=BoxState.REJECTED) for k in (0, 2)]
    monkeypatch.setattr(Quick, "propose", lambda _self, _study, **_options: Boxes(boxes))
    write_image(tmp_path / "P.nrrd", voxels(0, (3, 12, 10)))
    segment_all(Job([tmp_path / "P.nrrd"], tmp_path / "out", cohort=True), Quick())
    assert cohort_rows(Cohort(tmp_path / "out"))[0]["faint_places"] == 2


def test_parquet_without_pyarrow_says_what_to_install(cohort, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MyoScarSegError, match=r"myoscarseg\[parquet\]"):
        write_cohort_table(cohort, "parquet")
