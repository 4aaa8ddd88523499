"""Bad input: status 1, a message that says what, where and what to do, and the good case beside it is written."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from MyoScarSegLib.study.names import without_folders
from Testing.support.command import array_of, table, voxels, write_image


@pytest.fixture
def cut_short(tmp_path):
    """A volume without its last bytes; what else can be wrong with a file is in ``Testing/study``."""
    path = write_image(tmp_path / "bad.nii")
    path.write_bytes(path.read_bytes()[:-2000])
    return path


def test_what_cannot_be_read_is_explained_and_costs_the_others_nothing(segment, tmp_path, cut_short):
    ran = segment(cut_short, write_image(tmp_path / "good.nii.gz"))
    assert ran.status == 1
    message = ran.err[ran.err.index("bad: failed: ") :]
    assert "bad.nii is cut short" in message and "Unexpected" not in message and len(message) < 600
    rows = {row["case"]: row for row in table(tmp_path / "out" / "results.csv")}
    assert rows["bad"]["status"] == "failed" and rows["bad"]["message"] in without_folders(message, cut_short)
    assert rows["bad"]["scar_mass_g"] == "" and rows["good"]["status"] == "done"
    assert (tmp_path / "out/good/scar.seg.nrrd").exists() and not (tmp_path / "out/bad").exists()
    assert {row["case"] for row in table(tmp_path / "out/slices.csv")} == {"good"}


def test_detect_and_info_explain_it_too(command, tmp_path, tiny_segmenter, tiny_detector, cut_short):
    good, models = write_image(tmp_path / "good.nii.gz"), ("--detector", tiny_detector, "--segmenter", tiny_segmenter)
    ran = command("detect", cut_short, good, "-o", tmp_path / "out", *models)
    assert ran.status == 1 and "bad: failed" in ran.err and (tmp_path / "out/good/boxes.json").exists()
    ran = command("info", cut_short)
    assert ran.status == 1 and "cut short" in ran.err


def test_slices_with_nan_or_inf_are_named_and_the_others_segmented(segment, tmp_path):
    array = voxels().astype(np.float32)
    array[2, 5, 6] = np.nan
    ran = segment(write_image(tmp_path / "bad.nii.gz", array), write_image(tmp_path / "good.nii.gz"))
    assert ran.status == 1
    assert "bad: incomplete: Slice 2: 1 of its 1920 pixels are NaN or infinite" in ran.err
    rows = {row["case"]: row for row in table(tmp_path / "out/results.csv")}
    assert rows["bad"]["status"] == "incomplete" and rows["good"]["status"] == "done"
    mask = array_of(tmp_path / "out/bad/scar.nii.gz")
    assert mask[1].any() and not mask[2].any()
    assert "NaN" in [row for row in table(tmp_path / "out/slices.csv") if row["case"] == "bad"][2]["message"]


def nifti_without_spacing(folder):
    path = write_image(folder / "bad.nii")
    data = bytearray(path.read_bytes())
    struct.pack_into("<3f", data, 80, 0, 0, 0)
    struct.pack_into("<h", data, 254, 0)  # no sform, which would have the spacing too
    path.write_bytes(data)
    return path


def test_a_volume_without_spacing_gives_pixels_and_is_incomplete_until_spacing_is_given(segment, tmp_path):
    bad, good = nifti_without_spacing(tmp_path), write_image(tmp_path / "good.nii.gz")
    ran = segment(bad, good)
    assert ran.status == 1 and "bad: incomplete" in ran.err and "no" in ran.err and "--spacing" in ran.err
    rows = {row["case"]: row for row in table(tmp_path / "out/results.csv")}
    assert int(rows["bad"]["scar_pixels"]) > 0 and rows["bad"]["scar_mass_g"] == "" and rows["good"]["status"] == "done"
    ran = segment(bad, "--spacing", "1.5,1.25,10")
    assert ran.status == 0 and float(table(tmp_path / "out/results.csv")[0]["scar_mass_g"]) > 0


def test_an_output_folder_that_cannot_be_written_is_named(command, tmp_path, tiny_segmenter, tiny_detector):
    (tmp_path / "taken").write_text("mine")
    out = tmp_path / "taken" / "out"
    images = [write_image(tmp_path / "a.nii.gz"), write_image(tmp_path / "b.nii.gz")]
    for name in ("segment", "detect"):
        ran = command(name, *images, "-o", out, "--detector", tiny_detector, "--segmenter", tiny_segmenter, "--json")
        assert ran.status == 1
        assert f"a: failed: Cannot write {out}" in ran.err and "another folder" in ran.err
        assert [case["status"] for case in ran.json["cases"]] == ["failed", "failed"]
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("name", ["segment", "detect"])
def test_a_file_as_output_folder_is_refused_before_anything_is_done(command, tmp_path, name):
    (tmp_path / "taken").write_text("mine")
    ran = command(name, write_image(tmp_path / "a.nii.gz"), "-o", tmp_path / "taken")
    assert ran.status == 2 and f"{tmp_path / 'taken'} is a file; give a folder" in ran.err
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_failure_of_ours_is_one_case_and_no_traceback(segment, tmp_path, monkeypatch):
    """Whatever a library raises: here the reader meets a defect on one of two cases."""
    from MyoScarSegLib.batch import study_work

    read = study_work.read_study

    def defective(path, **options):
        if path.name.startswith("bad"):
            raise AssertionError("somewhere deep")
        return read(path, **options)

    monkeypatch.setattr(study_work, "read_study", defective)
    ran = segment(write_image(tmp_path / "bad.nrrd"), write_image(tmp_path / "good.nrrd"))
    assert ran.status == 1 and "bad: failed: Unexpected AssertionError: somewhere deep" in ran.err
    assert [row["status"] for row in table(tmp_path / "out/results.csv")] == ["failed", "done"]
