"""``myoscarseg agree`` as a user runs it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk

from MyoScarSegLib.outputs.case_files import write_case
from MyoScarSegLib.outputs.dicom_segmentation import write_dicom_seg
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.result import Result
from MyoScarSegLib.study import read_study, write_volume
from MyoScarSegLib.study.tissue import SCAR
from Testing.support.command import table, voxels, write_image
from Testing.support.dicom_factory import write_series, write_structure_set
from Testing.support.ventricle_factory import round_ventricle

SHAPE = (3, 40, 40)


def save(path, mask) -> None:
    write_image(path, mask.astype(np.uint8), spacing=(1.0, 2.0, 10.0))


@pytest.fixture
def readers(tmp_path):
    """Twelve cases read twice; the second reader draws a column more, and both see nothing in the last."""
    one, other = tmp_path / "scar-one", tmp_path / "scar-other"
    for number in range(12):
        a, b = np.zeros(SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool)
        if number < 11:
            a[1, 5:15, 5 : 8 + number] = True
            b[1, 5:15, 5 : 9 + number] = True
        save(one / f"p{number:02}.nii.gz", a)
        save(other / f"p{number:02}.nii.gz", b)
    return one, other


def test_two_readers_are_compared_and_everything_is_written(command, readers, tmp_path):
    ran = command("agree", *readers, "-o", tmp_path / "out")
    assert ran.status == 0, ran.err
    assert "12 cases, of which 1 without scar in both" in ran.out and "ICC(2,1)" in ran.out and "limits" in ran.out
    rows = table(tmp_path / "out" / "agreement.csv")
    assert [row["case"] for row in rows][:2] == ["p00", "p01"]
    gram = 10 * 2 * 10 / 1000 * 1.05  # a column of ten pixels
    assert float(rows[0]["scar_mass_g_a"]) == pytest.approx(3 * gram, rel=1e-4)
    assert float(rows[0]["scar_mass_g_difference"]) == pytest.approx(gram, rel=1e-4)
    summary = json.loads((tmp_path / "out" / "agreement.json").read_text())
    assert (summary["cases"], summary["both_empty"], summary["dice"]["cases"]) == (12, 1, 11)
    assert summary["scar_mass_g"]["bland_altman"]["bias"] == pytest.approx(gram * 11 / 12)
    assert summary["scar_mass_g"]["icc"]["consistency"] > summary["scar_mass_g"]["icc"]["agreement"]
    assert summary["scar_percent_of_myocardium"] is None
    assert (tmp_path / "out" / "bland_altman.png").read_bytes().startswith(b"\x89PNG")


def test_a_change_of_sides_turns_the_sign(command, readers):
    forth, back = command("agree", *readers, "--json").json, command("agree", *readers[::-1], "--json").json
    assert forth["scar_mass_g"]["bland_altman"]["bias"] == -back["scar_mass_g"]["bland_altman"]["bias"]
    assert forth["dice"] == back["dice"]


def test_many_cases_that_one_reader_lacks_are_one_note(command, readers):
    for number in range(7):
        (readers[0] / f"p{number:02}.nii.gz").unlink()
    ran = command("agree", *readers)
    assert ran.status == 0 and ran.err.count("note: ") == 1
    assert f"note: p00, p01, p02 and 4 more are not in {readers[0]} and are not counted." in ran.err


def test_two_files_are_a_pair_and_too_few_for_limits(command, readers):
    ran = command("agree", readers[0] / "p03.nii.gz", readers[1] / "p04.nii.gz")
    assert ran.status == 0, ran.err
    assert "1 case, of which" in ran.out and "limits of agreement need 10" in ran.out and "ICC" not in ran.out


def test_a_case_folder_is_compared_with_a_readers_mask_or_another_case_folder(command, readers, tmp_path):
    study, ventricle, scar, _ = round_ventricle()
    for name in ("one", "two"):
        write_case(tmp_path / name, Result(study, scar.astype(np.float32), 0.5), picture=False, walls=Anatomy(ventricle))
    write_volume(tmp_path / "drawn_scar.nii.gz", scar, study)
    for other in ("two", "drawn_scar.nii.gz"):
        ran = command("agree", tmp_path / "one", tmp_path / other, "--json")
        assert ran.status == 0, ran.err
        assert ran.json["dice"]["mean"] == 1 and ran.json["cases"] == 1
    (tmp_path / "both" / "p").mkdir(parents=True)
    for name in ("a_scar.nii.gz", "b_scar.nii.gz"):
        write_volume(tmp_path / "both" / "p" / name, scar, study)
    ran = command("agree", readers[0], tmp_path / "both")
    assert ran.status == 1 and "the one has none" in ran.err and "p has several masks" in ran.err


def test_a_case_that_one_reader_lacks_is_told(command, readers):
    (readers[1] / "p05.nii.gz").unlink()
    ran = command("agree", *readers)
    assert ran.status == 1 and "p05: failed" in ran.err and "11 cases" in ran.out


@pytest.mark.parametrize("meaning", ["cavity=1 myocardium=2 scar=3", "background=1 myocardium=2 scar=3"])
def test_labels_with_the_wall_give_a_share_of_the_myocardium(command, readers, tmp_path, meaning):
    folders = []
    for reader in readers:
        folder = tmp_path / f"{reader.name}-labels"
        for file in sorted(reader.iterdir()):
            scar = sitk.GetArrayFromImage(sitk.ReadImage(str(file))) > 0
            labels = np.zeros(SHAPE)
            labels[1, 3:30, 3:30], labels[1, 25:28, 25:28] = 2, 1
            labels[scar] = 3
            save(folder / file.name, labels)
        folders.append(folder)
    ran = command("agree", *folders, "--labels", meaning, "--json")
    assert ran.status == 0, ran.err
    assert ran.json["scar_percent_of_myocardium"]["bland_altman"]["bias"] == pytest.approx(100 * 10 / (27**2 - 9) * 11 / 12)


def test_labels_that_cannot_be_read_are_a_bad_argument(command, readers):
    ran = command("agree", *readers, "--labels", "scar")
    assert ran.status == 2 and "--labels" in ran.err


def test_values_of_the_second_folder_that_nothing_names_are_asked_for_by_the_right_option(command, readers, tmp_path):
    save(tmp_path / "plain" / "p03.nii.gz", 7 * np.ones(SHAPE))
    ran = command("agree", readers[0], tmp_path / "plain")
    assert ran.status == 2 and "--labels-b" in ran.err


FRAME = "1.2.840.4711"


def drawn_in_dicom(folder, case, shift=0.0):
    """A DICOM study, a segmentation of 10 x 3 pixels in its slice 1, and contours of as many, ``shift`` pixels to the right."""
    series = folder / "studies" / case
    write_series(
        series, voxels(shape=SHAPE), spacing=(2.0, 1.0, 10.0), FrameOfReferenceUID=FRAME, SeriesInstanceUID=f"1.2.9.{case}"
    )
    scar = np.zeros(SHAPE, dtype=bool)
    scar[1, 5:15, 5:8] = True
    for name in ("one", "other"):
        (folder / name).mkdir(exist_ok=True)
    segmentation, contours = folder / "one" / f"{case}.dcm", folder / "other" / case
    write_dicom_seg(segmentation, read_study(series), {SCAR: scar}, provenance={"segmenter": "m"})
    x, y = np.array([4.5, 7.5, 7.5, 4.5]) + shift, np.array([4.5, 4.5, 14.5, 14.5])
    points = np.column_stack([2 * x, y, np.full(4, 10.0)])
    write_structure_set(contours, [("Scar", [("CLOSED_PLANAR", points)])], FRAME)
    return segmentation, contours, series


def test_two_dicom_masks_are_compared_on_the_study_that_they_were_drawn_on(command, tmp_path):
    segmentation, contours, series = drawn_in_dicom(tmp_path, "1", shift=1.0)
    ran = command("agree", segmentation, contours)
    assert ran.status == 1 and "both DICOM" in ran.err and "--image" in ran.err
    ran = command("agree", segmentation, contours, "--image", series, "-o", tmp_path / "out")
    assert ran.status == 0, ran.err
    (row,) = table(tmp_path / "out" / "agreement.csv")
    mass = pytest.approx(30 * 2 * 10 / 1000 * 1.05, rel=1e-4)
    assert [float(row[name]) for name in ("dice", "scar_mass_g_a", "scar_mass_g_b")] == [
        pytest.approx(2 / 3, abs=1e-4),
        mass,
        mass,
    ]
    ran = command("evaluate", segmentation, contours, "--image", series, "--json")
    assert ran.status == 0, ran.err


def test_folders_of_dicom_masks_are_compared_on_the_studies_of_their_names(command, tmp_path):
    for number in range(1, 4):
        drawn_in_dicom(tmp_path, str(number), shift=float(number))
    sides = tmp_path / "one", tmp_path / "other"
    ran = command("agree", *sides, "--image", tmp_path / "studies", "--json")
    assert ran.status == 0, ran.err
    assert (ran.json["cases"], ran.json["dice"]["mean"]) == (3, pytest.approx((2 / 3 + 1 / 3 + 0) / 3))
    (tmp_path / "studies" / "2").rename(tmp_path / "gone")
    ran = command("agree", *sides, "--image", tmp_path / "studies")
    assert ran.status == 1 and "2 cases" in ran.out and "2: failed: " in ran.err and "--image" in ran.err
    ran = command("agree", *sides, "--image", tmp_path / "studies" / "1")
    assert ran.status == 1 and "holds no study that is named like a case (1, 2, 3)" in ran.err


def test_a_volume_is_compared_with_a_dicom_mask_of_one_case_on_its_study(command, tmp_path):
    segmentation, contours, series = drawn_in_dicom(tmp_path, "1")
    scar = np.zeros(SHAPE, dtype=bool)
    scar[1, 5:15, 5:8] = True
    (tmp_path / "results" / "1").mkdir(parents=True)
    write_volume(tmp_path / "results" / "1" / "scar.seg.nrrd", scar, read_study(series))
    for dicom in (segmentation.parent, contours.parent):
        ran = command("agree", tmp_path / "results", dicom, "--image", series, "--json")
        assert ran.status == 0, ran.err
        assert ran.json["dice"]["mean"] == 1
