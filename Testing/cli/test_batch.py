"""``myoscarseg batch`` as a user runs it."""

from __future__ import annotations

import os
import sys
import time

import psutil
import pytest

from MyoScarSegLib.batch import cohort
from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.images import images_of
from MyoScarSegLib.errors import OutputError
from Testing.support.command import Started, in_process, in_subprocess, table, voxels, write_image, write_pictures
from Testing.support.quick_pipeline import Quick


@pytest.fixture
def batch(capsys, tmp_path, monkeypatch):
    """Runs the command into ``out`` with a pipeline that needs no networks."""
    monkeypatch.setattr("MyoScarSegLib.engine_settings.EngineSettings.pipeline", lambda _self: Quick())
    monkeypatch.setattr("MyoScarSegLib.outputs.case_files.write_overlay", lambda *_: None)
    return lambda *arguments: in_process(capsys, ["batch", *arguments, "-o", tmp_path / "out"])


@pytest.fixture
def tree(tmp_path):
    for number in range(3):
        write_image(tmp_path / f"in/P{number}/lge{number}.nii.gz", voxels(number, (2, 12, 10)))
    return tmp_path / "in"


def test_a_tree_is_found_segmented_listed_and_resumed(batch, tree, tmp_path):
    (tree / "more.zip").write_bytes(b"PK")
    (tree / "bad.nrrd").write_bytes(b"NRRD0004\nbroken")
    write_pictures(tree / "P9/pictures", voxels(9, (2, 12, 10)))
    ran = batch(tree)
    assert ran.status == 1, "one has failed"
    assert "5 studies found; 1 other" in ran.err and "studies/min" in ran.err and "left" in ran.err
    assert "[1/5] bad: failed\n" in ran.err, "a failure says nothing of the time that others take"
    assert "5 studies: 4 done" in ran.out and "1 failed" in ran.out and "bad" in ran.out
    rows = {row["input"].rsplit("/", 1)[-1]: row for row in table(tmp_path / "out/inputs.csv")}
    assert (rows["more.zip"]["taken"], rows["lge1.nii.gz"]["case"], rows["lge1.nii.gz"]["status"]) == ("no", "lge1", "done")
    assert "unpack" in rows["more.zip"]["why"] and "pictures" in rows["pictures"]["why"]
    ran = batch(tree)
    assert ran.status == 1 and "--resume" in ran.err and ran.out == ""
    ran = batch(tree, "--resume")
    assert "5 of them were as they are before" in ran.out and ran.status == 1


def test_failures_of_one_cause_are_one_line(batch, tree):
    for number in range(7):
        (tree / f"bad{number}.nrrd").write_bytes(b"NRRD0004\nbroken")
    out = batch(tree).out
    assert out.count("failed: ") == 1 and "7 failed: " in out and "bad4 and 2 more" in out


def test_studies_that_failed_are_told_where_the_disk_is_too_full_for_their_list(batch, tree, monkeypatch):
    (tree / "bad.nrrd").write_bytes(b"NRRD0004\nbroken")
    write = cohort.write_table

    def full(path, columns, rows):
        if any(row.get("status") for row in rows):
            raise OutputError(f"Cannot write {path}: No space left on device.")
        write(path, columns, rows)

    monkeypatch.setattr(cohort, "write_table", full)
    ran = batch(tree)
    assert ran.status == 1 and "1 failed: " in ran.out and "No space left" in ran.err


@pytest.mark.skipif(sys.platform != "linux", reason="names on other systems are Unicode")
def test_names_of_an_old_file_server_are_listed_as_they_are_and_spelled_out_elsewhere(batch, tree, tmp_path):
    latin = os.fsdecode("Müller".encode("latin-1"))
    (tree / f"{latin}.nrrd").write_bytes(b"NRRD0004\nbroken")
    (tree / f"{latin}.zip").write_bytes(b"PK")
    write_image(tmp_path / "good.nrrd", voxels(7, (2, 12, 10))).rename(tree / f"{latin}-2.nrrd")
    ran = batch(tree, "--table", "sqlite", "--report")
    assert ran.status == 1 and "4 done, 1 failed" in ran.out and r"M\udcfcller.nrrd" in ran.out
    assert r"M\udcfcller.nrrd" in (tmp_path / "out/cohort.html").read_text(encoding="utf-8")
    cohort = Cohort(tmp_path / "out")
    assert images_of(cohort, next(one for one in cohort.records() if one.case == "M_ller-2")).slices == 2
    assert "5 of them were as they are" in batch(tree, "--resume", "--report").out


def test_tables_are_made_without_running_anything(batch, tree, tmp_path):
    batch(tree)
    ran = batch("--table", "csv")
    assert ran.status == 0 and [row["case"] for row in table(tmp_path / "out/cohort.csv")] == ["lge0", "lge1", "lge2"]


def test_tables_of_a_folder_without_a_cohort_are_refused(batch, tmp_path):
    ran = batch("--table", "csv", "--report")
    assert ran.status == 1 and "holds no study" in ran.err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "INPUT_ROOT"),
        (("in", "--workers", "0"), "1 or more"),
        (("in", "--segmenter", "nobody"), "nobody"),
        (("in", "-o", __file__), "is a file; give a folder"),
    ],
)
def test_wrong_arguments_are_named(batch, arguments, words):
    ran = batch(*arguments)
    assert ran.status == 2 and words in ran.err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_ctrl_c_while_the_workers_start_is_no_crash(tmp_path, tiny_segmenter, tiny_detector):
    write_image(tmp_path / "in/P.nii.gz", voxels(0, (3, 64, 64)))
    command = ["batch", tmp_path / "in", "-o", tmp_path / "out", "--workers", "2"]
    with Started(*command, "--segmenter", tiny_segmenter, "--detector", tiny_detector) as started:
        while len(psutil.Process(started.process.pid).children()) < 2:  # one keeps count of what the others share
            assert started.process.poll() is None
            time.sleep(0.01)
        started.interrupt()
        ran = started.end()
    assert ran.status == 1 and "1 cancelled" in ran.out


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_within_a_study_and_can_be_resumed(tmp_path, tiny_segmenter, tiny_detector, workers):
    for number in range(40):
        write_image(tmp_path / f"in/P{number}.nii.gz", voxels(number, (3, 64, 64)))
    command = ["batch", tmp_path / "in", "-o", tmp_path / "out"]
    command += ["--segmenter", tiny_segmenter, "--detector", tiny_detector, "--workers", workers]
    with Started(*command) as started:
        started.wait_for("[3/40]")
        started.interrupt()
        ran = started.end()
    assert ran.status == 1 and "Cancelling" in ran.err and "cancelled" in ran.out
    done = [row["case"] for row in table(tmp_path / "out/inputs.csv") if row["status"] == "done"]
    assert "had ended" not in ran.out  # no process was lost
    assert 3 <= len(done) < 40
    ran = in_subprocess([*command, "--resume"], timeout_s=600)
    assert f"{len(done)} of them were as they are before" in ran.out
