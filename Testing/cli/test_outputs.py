"""``myoscarseg segment`` and ``detect``: which files they write, under which names, and what is in them."""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from scipy.spatial.transform import Rotation

from MyoScarSegLib.batch.job import Outcome
from MyoScarSegLib.cli.jobs import _segment_line
from MyoScarSegLib.cli.main import main
from MyoScarSegLib.utils.files import sha256_of
from Testing.support.command import (
    BOX,
    SHAPE,
    SPACING,
    Ran,
    array_of,
    in_subprocess,
    side_by_side,
    table,
    voxels,
    write_image,
    write_pictures,
    write_prompts,
)
from Testing.support.dicom_factory import write_series

CASE_FILES = {"scar.seg.nrrd", "scar.nii.gz", "probability.nii.gz", "boxes.json", "overlay.png"}
OBLIQUE = Rotation.from_euler("xyz", [0.4, -0.6, 0.9]).as_matrix()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """The same study in every kind of input."""
    folder = tmp_path_factory.mktemp("inputs")
    return {
        "nifti": write_image(folder / "nifti.nii.gz", direction=OBLIQUE),
        "nrrd": write_image(folder / "nrrd.nrrd", direction=OBLIQUE),
        "mha": write_image(folder / "mha.mha", direction=OBLIQUE),
        "pictures": write_pictures(folder / "pictures"),
        "dicom": write_series(folder / "dicom", voxels(), spacing=SPACING, direction=OBLIQUE),
    }


@pytest.fixture(scope="module")
def written(inputs, tiny_segmenter, tiny_detector, tmp_path_factory):
    """What ``segment`` of all inputs at once prints and, in the folder ``out``, writes."""
    out, told, said = tmp_path_factory.mktemp("written"), StringIO(), StringIO()
    models = ("--segmenter", tiny_segmenter, "--detector", tiny_detector, "--device", "cpu")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(told), redirect_stderr(said):
        patch.setenv("MYOSCARSEG_CACHE", str(tmp_path_factory.mktemp("cache")))
        status = main([str(word) for word in ("segment", *inputs.values(), "-o", out, *models)])
    return SimpleNamespace(ran=Ran(status, told.getvalue(), said.getvalue()), out=out)


def test_every_kind_of_input_gives_all_files_and_one_row_each(inputs, written):
    out = written.out
    assert written.ran.status == 0, written.ran.err
    for case in inputs:
        assert {file.name for file in (out / case).iterdir()} >= CASE_FILES
        assert not list((out / case).glob(".writing-*"))
    rows = table(out / "results.csv")
    assert [row["case"] for row in rows] == list(inputs)
    assert {row["status"] for row in rows} == {"done"}
    slices = table(out / "slices.csv")
    assert [(row["case"], int(row["slice"])) for row in slices] == [(case, k) for case in inputs for k in range(SHAPE[0])]
    assert int(rows[0]["boxes"]) > 0 and int(rows[0]["scar_pixels"]) > 0


@pytest.mark.parametrize("case", ["nifti", "nrrd", "mha"])
def test_masks_are_uint8_and_lie_where_the_input_lies(inputs, written, case):
    source = sitk.ReadImage(str(inputs[case]))
    for name, kind in (
        ("scar.nii.gz", sitk.sitkUInt8),
        ("scar.seg.nrrd", sitk.sitkUInt8),
        ("probability.nii.gz", sitk.sitkFloat32),
    ):
        image = sitk.ReadImage(str(written.out / case / name))
        assert image.GetPixelID() == kind, name
        assert image.GetSize() == source.GetSize()
        assert np.allclose(image.GetSpacing(), source.GetSpacing(), atol=1e-5)
        assert np.allclose(image.GetOrigin(), source.GetOrigin(), atol=1e-4)
        assert np.allclose(image.GetDirection(), source.GetDirection(), atol=1e-5)
    mask = array_of(written.out / case / "scar.nii.gz")
    assert set(np.unique(mask)) == {0, 1}
    assert np.array_equal(mask, array_of(written.out / case / "scar.seg.nrrd"))
    assert np.array_equal(mask == 1, array_of(written.out / case / "probability.nii.gz") >= 0.5)


def test_dicom_masks_lie_where_the_slices_lie(written):
    image = sitk.ReadImage(str(written.out / "dicom" / "scar.nii.gz"))
    assert np.allclose(np.reshape(image.GetDirection(), (3, 3)), OBLIQUE, atol=1e-4)
    assert np.allclose(image.GetSpacing(), SPACING, atol=1e-4)


def test_boxes_json_is_as_the_contract_says(written):
    document = json.loads((written.out / "nifti" / "boxes.json").read_text())
    assert set(document) == {"version", "case", "boxes"} and document["version"] == 1 and document["case"] == "nifti"
    assert document["boxes"]
    for box in document["boxes"]:
        assert list(box) == ["slice", "x0", "y0", "x1", "y1", "label", "confidence", "source", "state"]
        assert box["label"] == "scar" and box["state"] == "proposed" and box["source"] == "tiny-yolo"
        assert 0 < box["confidence"] <= 1
        assert 0 <= box["x0"] < box["x1"] <= SHAPE[2] and 0 <= box["y0"] < box["y1"] <= SHAPE[1]


def test_numbers_in_the_tables_follow_from_the_mask_and_the_spacing(written):
    pixels = array_of(written.out / "nrrd" / "scar.nii.gz").sum(axis=(1, 2))
    row = next(row for row in table(written.out / "results.csv") if row["case"] == "nrrd")
    volume_ml = pixels.sum() * np.prod(SPACING) / 1000
    assert int(row["scar_pixels"]) == pixels.sum() and int(row["slices_with_scar"]) == (pixels > 0).sum()
    assert float(row["scar_area_mm2"]) == pytest.approx(pixels.sum() * SPACING[0] * SPACING[1], rel=1e-5)
    assert float(row["scar_volume_ml"]) == pytest.approx(volume_ml, rel=1e-5)
    assert float(row["scar_mass_g"]) == pytest.approx(1.05 * volume_ml, rel=1e-5)
    assert (float(row["pixel_spacing_column_mm"]), float(row["pixel_spacing_row_mm"])) == SPACING[:2]
    slices = [entry for entry in table(written.out / "slices.csv") if entry["case"] == "nrrd"]
    for entry, count in zip(slices, pixels, strict=True):
        assert int(entry["scar_pixels"]) == count
        assert float(entry["scar_area_mm2"]) == pytest.approx(count * SPACING[0] * SPACING[1], rel=1e-5)
        assert float(entry["scar_mass_g"]) == pytest.approx(1.05 * count * np.prod(SPACING) / 1000, rel=1e-5)
    for column in [*row, *entry]:
        for quantity, units in (("area", "_mm2"), ("volume", "_ml"), ("mass", "_g"), ("spacing", "_mm"), ("distance", "_mm")):
            assert quantity not in column or column.endswith(units), column


def test_the_result_names_its_models_by_checksum(written, tiny_segmenter, tiny_detector):
    row = table(written.out / "results.csv")[0]
    assert row["segmenter_sha256"] == sha256_of(tiny_segmenter) and row["detector_sha256"] == sha256_of(tiny_detector)
    assert row["threshold"] == "0.5" and row["program"].startswith("MyoScarSeg ") and row["preprocessing"] == "myoscarseg-1"


def test_format_chooses_the_masks_and_takes_away_the_other(inputs, segment, tmp_path):
    folder = tmp_path / "out" / "nrrd"
    for choice, masks in (
        ("both", {"scar.seg.nrrd", "scar.nii.gz"}),
        ("seg.nrrd", {"scar.seg.nrrd"}),
        ("nii.gz", {"scar.nii.gz"}),
    ):
        segment(inputs["nrrd"], "--format", choice)
        assert {file.name for file in folder.glob("scar.*")} == masks
        assert (folder / "probability.nii.gz").exists()


def test_threshold_is_a_probability(inputs, segment, tmp_path):
    segment(inputs["nrrd"], "--threshold", "0.51")
    folder = tmp_path / "out" / "nrrd"
    assert np.array_equal(array_of(folder / "scar.nii.gz") == 1, array_of(folder / "probability.nii.gz") >= 0.51)
    assert table(tmp_path / "out" / "results.csv")[0]["threshold"] == "0.51"


def test_overlay_is_a_picture(written):
    with Image.open(written.out / "nifti" / "overlay.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 200


def test_json_alone_is_on_standard_output(inputs, segment):
    ran = segment(inputs["nifti"], inputs["pictures"], "--json")
    document = ran.json
    assert [case["case"] for case in document["cases"]] == ["nifti", "pictures"]
    assert {case["status"] for case in document["cases"]} == {"done"}
    assert document["cases"][0]["scar_mass_g"] > 0 and document["cases"][1]["scar_mass_g"] is None
    assert len(document["cases"][0]["slices"]) == SHAPE[0]


def test_progress_is_plain_lines_on_standard_error(written):
    ran = written.ran
    lines = [line for line in ran.err.splitlines() if line.startswith("[")]
    assert any("slice 3" in line for line in lines) and "nifti" in lines[0]
    assert "\r" not in ran.err and "\x1b" not in ran.err
    assert "[" not in ran.out and "nifti: scar" in ran.out and " g, " in ran.out


def test_no_boxes_is_a_result_without_scar(segment, command, inputs, tmp_path, tiny_segmenter, blind_detector):
    ran = command("segment", inputs["nifti"], "-o", tmp_path / "out", "--segmenter", tiny_segmenter, "--detector", blind_detector)
    assert ran.status == 0
    row = table(tmp_path / "out" / "results.csv")[0]
    assert row["boxes"] == "0" and row["scar_mass_g"] == "0" and row["status"] == "done"
    assert {file.name for file in (tmp_path / "out" / "nifti").iterdir()} >= CASE_FILES


def test_pictures_give_pixels_but_neither_millilitres_nor_grams(written):
    row, slices = (
        [row for row in table(written.out / name) if row["case"] == "pictures"] for name in ("results.csv", "slices.csv")
    )
    assert int(row[0]["scar_pixels"]) > 0
    assert row[0]["scar_volume_ml"] == row[0]["scar_mass_g"] == row[0]["scar_area_mm2"] == ""
    assert len(slices) == SHAPE[0] and all(entry["scar_mass_g"] == entry["scar_area_mm2"] == "" for entry in slices)
    assert "--spacing" in written.ran.out and "pixels" in written.ran.out


def test_spacing_supplies_what_pictures_lack(inputs, segment, tmp_path):
    ran = segment(inputs["pictures"], "--spacing", "1.5 1.25 10")
    row = table(tmp_path / "out" / "results.csv")[0]
    assert float(row["scar_mass_g"]) == pytest.approx(1.05 * int(row["scar_pixels"]) * np.prod(SPACING) / 1000, rel=1e-5)
    assert " g, " in ran.out and ran.status == 0


def test_axis_names_the_slices_of_the_file(segment, tmp_path):
    turned = write_image(tmp_path / "turned.nii.gz", np.transpose(voxels(), (1, 2, 0)), spacing=(2.0, 2.0, 2.0))
    boxes = write_prompts(tmp_path / "boxes.json", "boxes", [BOX])
    assert segment(turned, "--axis", "i", "--boxes", boxes).status == 0
    mask = array_of(tmp_path / "out" / "turned" / "scar.nii.gz")
    assert mask.shape == (48, 40, 4)
    assert mask[..., 1].any() and not mask[..., [0, 2, 3]].any()


def test_detect_writes_the_boxes_of_segment_and_no_mask(command, inputs, written, tmp_path, tiny_detector, tiny_segmenter):
    # A segmenter without a map of tissues: whether the usual one sees scar in noise is not the question.
    models = ("--detector", tiny_detector, "--segmenter", tiny_segmenter)
    ran = command("detect", inputs["nifti"], inputs["dicom"], "-o", tmp_path / "out", *models, "--json")
    assert ran.status == 0, ran.err
    for case in ran.json["cases"]:
        folder = tmp_path / "out" / case["case"]
        document = json.loads((folder / "boxes.json").read_text())
        assert len(document["boxes"]) == case["boxes"] > 0
        assert document == json.loads((written.out / case["case"] / "boxes.json").read_text())
        assert sorted(file.name for file in folder.iterdir()) == ["boxes.json", "boxes.png", "case.json"]


@pytest.mark.slow
def test_module_and_console_script_are_the_same_program(inputs, tmp_path, tiny_detector, tiny_segmenter):
    import shutil
    import sys
    from pathlib import Path

    script = shutil.which("myoscarseg", path=str(Path(sys.executable).parent))
    if script is None:
        pytest.skip("the package is not installed in this environment")
    texts = []

    def run(program, *arguments):
        return in_subprocess(arguments, program=list(program))

    arguments = ("segment", inputs["nrrd"], "--detector", tiny_detector, "--segmenter", tiny_segmenter, "--json", "-o")
    for number, ran in enumerate(
        side_by_side(run, ((), *arguments, tmp_path / "out0"), ((script,), *arguments, tmp_path / "out1"))
    ):
        out = tmp_path / f"out{number}"
        assert ran.status == 0, ran.err
        assert ran.json["cases"][0]["status"] == "done"
        texts.append([(out / "nrrd" / name).read_bytes() for name in ("boxes.json", "scar.seg.nrrd")])
    assert texts[0] == texts[1]
    assert in_subprocess(["--version"]).out == in_subprocess(["--version"], program=[script]).out


def test_the_line_of_a_study_has_the_interval_of_its_mass_where_it_is_known():
    known = {
        "scar_mass_g": 20.83,
        "scar_volume_ml": 19.84,
        "scar_mass_low_g": 5.2,
        "scar_mass_high_g": 36.7,
        "likely_wrong": False,
    }
    summary = {"slices": [{"scar_pixels": 9}], **known}
    line = _segment_line(Outcome("P1", "done", summary=summary))
    assert line == "P1: scar 20.8 g, 19.8 mL (90% interval 5 to 37 g) in 1 of 1 slice"
    summary |= {"scar_mass_low_g": None, "scar_mass_high_g": None, "likely_wrong": None}
    assert _segment_line(Outcome("P1", "done", summary=summary)) == "P1: scar 20.8 g, 19.8 mL in 1 of 1 slice"


@pytest.mark.slow
def test_the_demo_says_which_of_its_two_segmentations_goes_on(command, tmp_path):
    ran = command("demo", "-o", tmp_path / "demo")
    assert ran.status == 0, ran.err
    lines = [line for line in ran.err.splitlines() if line.startswith("[")]
    assert len(lines) == len(set(lines)) and any("With the true boxes: Segmenting scar" in line for line in lines)
