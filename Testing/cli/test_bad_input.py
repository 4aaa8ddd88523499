"""Bad input: status 1, a message that says what, where and what to do, and the good case beside it is written."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import SimpleITK as sitk

from MyoScarSegLib.study.names import without_folders
from Testing.support.command import BOX, array_of, table, voxels, write_image, write_pictures, write_prompts
from Testing.support.dicom_factory import write_series


def noise(shape, high=255, kind=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, high, shape).astype(kind)


def folder_with(files=()):
    def make(folder):
        (folder / "bad").mkdir()
        for name, content in files:
            (folder / "bad" / name).write_bytes(content)
        return folder / "bad"

    return make


def no_lge_series(folder):
    return write_series(folder / "bad", noise((4, 48, 40), 99, np.uint16), description="CT CHEST", Modality="CT")


def simple_itk(ending, array, *, vector=False):
    def make(folder):
        path = folder / f"bad{ending}"
        sitk.WriteImage(sitk.GetImageFromArray(array, isVector=vector), str(path))
        return path

    return make


def image(ending, array=None, *, cut=0):
    """A volume; the last ``cut`` bytes are missing."""

    def make(folder):
        path = write_image(folder / f"bad{ending}", array)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - cut])
        return path

    return make


def file(name, content):
    def make(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return make


UNREADABLE = {
    "empty folder": (folder_with(), "is empty"),
    "folder of other files": (folder_with([("report.txt", b"hello")]), "no DICOM file", "report.txt", "batch does all studies"),
    "no LGE series": (no_lge_series, "CT", "series"),
    "in color": (simple_itk(".nrrd", noise((4, 48, 40, 3)), vector=True), "3 values per voxel", "gray"),
    "one slice": (image(".nrrd", voxels(shape=(1, 48, 40))), "only one slice", "whole stack"),
    "constant": (image(".nii.gz", np.full((4, 48, 40), 7, np.int16)), "same value", "Check the export"),
    "cut short": (image(".nii", cut=2000), "cut short"),
    "missing": (lambda folder: folder / "bad.nii.gz", "There is no file or folder"),
    "text file": (file("bad", b"hello"), "no format that can be read"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_explained_and_costs_the_others_nothing(segment, tmp_path, name):
    make, *said = UNREADABLE[name]
    bad = make(tmp_path)
    ran = segment(bad, write_image(tmp_path / "good.nii.gz"))
    assert ran.status == 1
    message = ran.err[ran.err.index("bad: failed: ") :]
    for words in (*said, "bad"):
        assert words in message
    assert "Unexpected" not in message and len(message) < 600
    rows = {row["case"]: row for row in table(tmp_path / "out" / "results.csv")}
    assert rows["bad"]["status"] == "failed" and rows["bad"]["message"] in without_folders(message, bad)
    assert rows["bad"]["scar_mass_g"] == "" and rows["good"]["status"] == "done"
    assert (tmp_path / "out/good/scar.seg.nrrd").exists() and not (tmp_path / "out/bad").exists()
    assert {row["case"] for row in table(tmp_path / "out/slices.csv")} == {"good"}


@pytest.mark.parametrize("name", ["empty folder", "cut short"])
def test_detect_and_info_explain_it_too(command, tmp_path, tiny_segmenter, tiny_detector, name):
    make, *said = UNREADABLE[name]
    bad, good = make(tmp_path), write_image(tmp_path / "good.nii.gz")
    models = ("--detector", tiny_detector, "--segmenter", tiny_segmenter)
    ran = command("detect", bad, good, "-o", tmp_path / "out", *models)
    assert ran.status == 1 and "bad: failed" in ran.err and (tmp_path / "out/good/boxes.json").exists()
    ran = command("info", bad)
    assert ran.status == 1 and any(words in ran.err for words in said)


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


def test_prompts_on_a_bad_slice_are_reported(segment, tmp_path):
    array = voxels().astype(np.float32)
    array[1, 5, 6] = np.nan
    boxes = write_prompts(tmp_path / "b.json", "boxes", [BOX, {**BOX, "slice": 3}])
    ran = segment(write_image(tmp_path / "bad.nrrd", array), "--boxes", boxes)
    assert ran.status == 1 and "Slice 1" in ran.err
    assert array_of(tmp_path / "out/bad/scar.nii.gz")[3].any()


def nrrd_without_spacing(folder):
    path = folder / "bad.nrrd"
    header = "NRRD0004\ntype: short\ndimension: 3\nsizes: 40 48 4\nendian: little\nencoding: raw\n\n"
    path.write_bytes(header.encode() + voxels().tobytes())
    return path


def nifti_without_spacing(folder):
    path = write_image(folder / "bad.nii")
    data = bytearray(path.read_bytes())
    struct.pack_into("<3f", data, 80, 0, 0, 0)
    struct.pack_into("<h", data, 254, 0)  # no sform, which would have the spacing too
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("make", [nrrd_without_spacing, nifti_without_spacing], ids=lambda make: make.__name__)
def test_a_volume_without_spacing_gives_pixels_and_is_incomplete_until_spacing_is_given(segment, tmp_path, make):
    bad, good = make(tmp_path), write_image(tmp_path / "good.nii.gz")
    ran = segment(bad, good)
    assert ran.status == 1 and "bad: incomplete" in ran.err and "no" in ran.err and "--spacing" in ran.err
    rows = {row["case"]: row for row in table(tmp_path / "out/results.csv")}
    assert int(rows["bad"]["scar_pixels"]) > 0 and rows["bad"]["scar_mass_g"] == "" and rows["good"]["status"] == "done"
    ran = segment(bad, "--spacing", "1.5,1.25,10")
    assert ran.status == 0 and float(table(tmp_path / "out/results.csv")[0]["scar_mass_g"]) > 0


def test_a_damaged_picture_costs_its_own_slice(segment, tmp_path):
    folder = write_pictures(tmp_path / "bad")
    (folder / "slice_2.png").write_bytes((folder / "slice_2.png").read_bytes()[:100])
    ran = segment(folder)
    assert ran.status == 1 and "slice_2.png cannot be decoded" in ran.err
    assert array_of(tmp_path / "out/bad/scar.nii.gz")[1].any()


@pytest.mark.parametrize("place", ["below a file", "/proc/myoscarseg"])
def test_an_output_folder_that_cannot_be_written_is_named(command, tmp_path, tiny_segmenter, tiny_detector, place):
    out = place
    if not place.startswith("/"):
        (tmp_path / "taken").write_text("mine")
        out = str(tmp_path / "taken" / "out")
    images = [write_image(tmp_path / "a.nii.gz"), write_image(tmp_path / "b.nii.gz")]
    for name in ("segment", "detect"):
        ran = command(name, *images, "-o", out, "--detector", tiny_detector, "--segmenter", tiny_segmenter, "--json")
        assert ran.status == 1
        assert f"a: failed: Cannot write {out}" in ran.err and "another folder" in ran.err
        assert [case["status"] for case in ran.json["cases"]] == ["failed", "failed"]
    assert place.startswith("/") or (tmp_path / "taken").read_text() == "mine"


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
