"""``myoscarseg evaluate`` as a user runs it: matching, label maps, geometry, exit status, files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.study.writer import write_segmentation, write_volume
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from Testing.support.command import table, voxels, write_image
from Testing.support.ring_factory import write_rings

SHAPE = (4, 40, 40)
GEOMETRY = Geometry((1.0, 2.0, 10.0), origin_mm=(5.0, -7.0, 30.0))
GRAM = 0.021


def study(shape: tuple[int, int, int] = SHAPE, geometry: Geometry = GEOMETRY) -> Study:
    return Study("s", np.zeros(shape, dtype=np.float32), geometry, Reconstruction.PSIR)


def square(slice_index: int, low: int, high: int) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[slice_index, low:high, low:high] = 1
    return mask


def save(path: Path, array: np.ndarray, geometry: Geometry = GEOMETRY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, array, study(array.shape, geometry))
    return path


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    """Two cases on both sides: ``a`` is half found, ``b`` has none and gets none."""
    pred, truth = tmp_path / "scar-pred", tmp_path / "scar-truth"
    save(truth / "a.nii.gz", square(1, 10, 20))
    save(truth / "b.nii.gz", np.zeros(SHAPE, dtype=np.uint8))
    half = square(1, 10, 20)
    half[1, 15:] = 0
    save(pred / "a.nii.gz", half)
    save(pred / "b.nii.gz", np.zeros(SHAPE, dtype=np.uint8))
    return pred, truth


def test_folders_of_one_name_are_compared_and_everything_is_written(command, folders, tmp_path):
    ran = command("evaluate", *folders, "-o", tmp_path / "out", "--name", "mine")
    assert ran.status == 0, ran.err
    assert "0.667" in ran.out and "1 of 1" in ran.out
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    figures = document["settings"]["masks"]["figures"]
    assert document["name"] == "mine"
    assert figures["per_patient_dice"] == {"a": pytest.approx(2 / 3, rel=1e-4)}
    assert figures["mass_bias_g"] == pytest.approx(-50 * GRAM, rel=1e-4)
    assert figures["emidec"]["dice_3d_mean"] == pytest.approx((2 / 3 + 1) / 2, rel=1e-4)
    rows = table(tmp_path / "out" / "evaluation.csv")
    assert [row["case"] for row in rows] == ["a", "b"]
    assert float(rows[0]["truth_mass_g"]) == pytest.approx(100 * GRAM, rel=1e-4)
    assert len(table(tmp_path / "out" / "slices.csv")) == 8
    for name in ("dice.png", "bland_altman.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")


def test_json_goes_to_standard_output_alone(command, folders):
    ran = command("evaluate", *folders, "--json")
    assert ran.status == 0
    assert ran.json["settings"]["masks"]["figures"]["patients"] == 1


def test_unmatched_cases_are_named(command, folders):
    pred, truth = folders
    (pred / "b.nii.gz").rename(pred / "other.nii.gz")
    ran = command("evaluate", pred, truth)
    assert ran.status == 1
    assert "b: failed: It has a reference, but no prediction" in ran.err
    assert "note: other has no reference" in ran.err
    assert "0.667" in ran.out


def test_a_prediction_without_reference_is_only_noted(command, folders):
    pred, truth = folders
    save(pred / "extra.nii.gz", square(0, 1, 5))
    ran = command("evaluate", pred, truth)
    assert ran.status == 0
    assert "note: extra has no reference" in ran.err


def test_nothing_in_common_is_an_error_that_lists_both(command, folders, tmp_path):
    save(tmp_path / "elsewhere" / "z.nii.gz", square(0, 1, 5))
    ran = command("evaluate", tmp_path / "elsewhere", folders[1])
    assert ran.status == 1
    assert "No case is in both" in ran.err and "z" in ran.err and "a, b" in ran.err


@pytest.mark.parametrize("what", ["size", "origin", "spacing"])
def test_another_geometry_fails_that_case_and_the_others_are_done(command, folders, what):
    pred, truth = folders
    array, geometry = square(1, 10, 20), GEOMETRY
    if what == "size":
        array = array[:, :30]
    elif what == "origin":
        geometry = replace(GEOMETRY, origin_mm=(6.5, -7.0, 30.0))
    else:
        geometry = replace(GEOMETRY, spacing_mm=(1.1, 2.0, 10.0))
    save(pred / "b.nii.gz", array, geometry)
    ran = command("evaluate", pred, truth)
    assert ran.status == 1
    assert "b: failed" in ran.err and "lies on another grid" in ran.err
    assert "a: failed" not in ran.err
    assert "0.667" in ran.out


def test_a_damaged_file_fails_its_case_alone(command, folders):
    pred, truth = folders
    (pred / "b.nii.gz").write_bytes(b"no image")
    ran = command("evaluate", pred, truth)
    assert ran.status == 1
    assert "b: failed" in ran.err and "0.667" in ran.out


def labels() -> np.ndarray:
    """EMIDEC's classes: scar 3 with a core of 4, in a wall of 2 around a cavity of 1."""
    classes = np.zeros(SHAPE, dtype=np.uint8)
    classes[1, 5:35, 5:35] = 2
    classes[1, 12:28, 12:28] = 1
    classes[1, 5:10, 5:25] = 3
    classes[1, 6:8, 8:12] = 4
    return classes


def test_emidec_labels_are_understood_and_give_the_wall(command, tmp_path):
    truth, pred = save(tmp_path / "t.nii.gz", labels()), save(tmp_path / "p.nii.gz", (labels() >= 3).astype(np.uint8))
    ran = command("evaluate", pred, truth, "--json", "--labels", "emidec", "--pred-labels", "scar=1")
    assert ran.status == 0, ran.err
    (case,) = ran.json["settings"]["masks"]["cases"]
    assert case["dice_3d"] == 1.0
    assert case["wall_mass_g"] == pytest.approx((900 - 256) * GRAM)
    assert case["truth_share"] == pytest.approx(100 / 644)


def test_a_label_map_may_name_scar_alone(command, tmp_path):
    classes = np.where(labels() == 3, 7, labels())
    truth, pred = save(tmp_path / "t.nii.gz", classes), save(tmp_path / "p.nii.gz", classes)
    refused = command("evaluate", pred, truth)
    assert refused.status == 2
    assert "--labels 'cavity=1 myocardium=2 scar=4 no-reflow=7'" in refused.err
    ran = command("evaluate", pred, truth, "--labels", "scar=4,7", "--json")
    assert ran.status == 0, ran.err
    (case,) = ran.json["settings"]["masks"]["cases"]
    assert (case["truth_px"], case["dice_3d"], case["wall_mass_g"]) == (100, 1.0, None)


def test_predictions_may_have_labels_of_their_own(command, tmp_path):
    truth, pred = (
        save(tmp_path / "t.nii.gz", labels()),
        save(tmp_path / "p.nii.gz", np.where(labels() >= 3, 2, 1).astype(np.uint8)),
    )
    ran = command("evaluate", pred, truth, "--labels", "emidec", "--pred-labels", "background=1 scar=2", "--json")
    assert ran.json["settings"]["masks"]["cases"][0]["dice_3d"] == 1.0


def test_segmentations_cropped_by_slicer_are_put_where_they_belong(command, tmp_path):
    """Both sides hold only the part that was drawn on, each another part."""
    truth, pred = tmp_path / "t_scar.seg.nrrd", tmp_path / "p_scar.seg.nrrd"
    for path, array, rows in ((truth, square(1, 10, 20), slice(8, 25)), (pred, square(1, 12, 22), slice(11, 30))):
        whole = tmp_path / "whole.seg.nrrd"
        write_segmentation(whole, array, study())
        image = sitk.ReadImage(str(whole))
        sitk.WriteImage(image[:, rows, :], str(path))
    ran = command("evaluate", pred, truth, "--json")
    assert ran.status == 0, ran.err
    (case,) = ran.json["settings"]["masks"]["cases"]
    assert case["dice_3d"] == pytest.approx(2 * 64 / 200)
    assert case["truth_mass_g"] == pytest.approx(100 * GRAM)


def test_results_of_segment_are_compared_with_their_probabilities(command, segment, tmp_path):
    source = write_image(tmp_path / "heart_lge.nrrd")
    assert segment(source).status == 0
    scar = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "heart_lge" / "scar.nii.gz")))
    assert scar.any()
    image = sitk.GetImageFromArray(scar * 3)
    image.CopyInformation(sitk.ReadImage(str(source)))
    (tmp_path / "truth").mkdir()
    sitk.WriteImage(image, str(tmp_path / "truth" / "heart_labels.nii.gz"))
    ran = command("evaluate", tmp_path / "out", tmp_path / "truth", "--labels", "scar=3,4", "-o", tmp_path / "evaluated")
    assert ran.status == 0, ran.err
    document = json.loads((tmp_path / "evaluated" / "evaluation.json").read_text())
    assert document["settings"]["masks"]["figures"]["per_patient_dice"] == {"heart": 1.0}
    assert document["settings"]["masks"]["figures"]["dice_by_threshold"]["dice_mean"][9] == 1.0  # at 0.5, as segmented
    assert (tmp_path / "evaluated" / "thresholds.png").is_file()


def test_masks_of_pictures_have_no_grams_until_the_spacing_is_given(command, segment, tmp_path):
    from Testing.support.command import write_pictures

    assert segment(write_pictures(tmp_path / "heart")).status == 0
    scar = tmp_path / "out" / "heart" / "scar.nii.gz"
    ran = command("evaluate", tmp_path / "out", tmp_path / "out", "--json")
    assert ran.json["settings"]["masks"]["cases"][0]["truth_mass_g"] is None
    assert "no spacing" in ran.err
    sized = command("evaluate", tmp_path / "out", tmp_path / "out", "--spacing", "1,2,10", "--json")
    pixels = int(sitk.GetArrayFromImage(sitk.ReadImage(str(scar))).sum())
    assert sized.json["settings"]["masks"]["cases"][0]["truth_mass_g"] == pytest.approx(pixels * GRAM)


def test_emidecs_own_folders_are_found(command, emidec_volumes_folder, tmp_path):
    for side in ("pred", "truth"):
        for name, code in (("samplePositive", "Case_P100"), ("sampleNegative", "Case_N006")):
            target = tmp_path / side / code / "Contours" / f"{code}.nii.gz"
            target.parent.mkdir(parents=True)
            target.write_bytes((emidec_volumes_folder / f"{name}_labels.nii.gz").read_bytes())
            (target.parent.parent / "Images").mkdir()
    ran = command("evaluate", tmp_path / "pred", tmp_path / "truth", "--json")
    assert ran.status == 0, ran.err
    figures = ran.json["settings"]["masks"]["figures"]
    assert figures["per_patient_dice"] == {"Case_P100": 1.0}
    assert figures["scar_free_patients_at_most_1_g"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either PRED and TRUTH"),
        (["a"], "give the reference, too"),
        (["a", "b", "--models", "--data", "c"], "give either"),
        (["--models"], "need --data"),
        (["--data", "x"], "say which"),
        (["a", "b", "--split", "s.json"], "--split is for --models"),
        (["a", "b", "--labels", "wall=2"], "no value for scar"),
        (["--compare", "a.json"], "needs -o"),
        (["--models", "--data", "x", "--part", "all", "--split", "s.json"], "leave out --split"),
        (["--models", "--data", "x", "--segmenter", "no-such-model"], "--segmenter"),
        (["--models", "--data", "x", "--settings", "orakel"], "invalid choice"),
    ],
)
def test_bad_arguments_end_with_status_2(command, arguments, message):
    ran = command("evaluate", *arguments)
    assert ran.status == 2
    assert message in ran.err


def test_missing_folders_end_with_status_1(command, tmp_path):
    ran = command("evaluate", tmp_path / "no", tmp_path / "where")
    assert ran.status == 1
    assert "There is no file or folder" in ran.err


@pytest.fixture
def data(tmp_path) -> Path:
    """EMIDEC's layout with one patient with scar and one without, two slices each."""
    stack = []
    for name, scar in (("P001", 3), ("N002", 2)):
        for k in range(2):
            classes = np.zeros((64, 64), dtype=np.uint8)
            classes[16:48, 16:48] = 2
            classes[24:40, 24:40] = 1
            classes[17:23, 20:40] = scar
            image = np.clip(voxels(k, (1, 64, 64))[0] // 8 + 100 * (classes == 3), 0, 255).astype(np.uint8)
            stack.append(LabeledSlice(name, k, image, classes))
    return write_rings(tmp_path / "data", stack)


@pytest.fixture
def models(tiny_segmenter, tiny_detector) -> list[object]:
    return ["--models", "--segmenter", tiny_segmenter, "--detector", tiny_detector, "--device", "cpu"]


def test_models_are_evaluated_beside_the_thresholds_and_compared(command, data, models, tmp_path):
    run = ["evaluate", *models, "--data", data, "--part", "all", "--clicks", "1"]
    ran = command(*run, "--reference", "-o", tmp_path / "one", "--name", "one")
    assert ran.status == 0, ran.err
    assert "expert's myocardium" in ran.err
    document = json.loads((tmp_path / "one" / "evaluation.json").read_text())
    assert list(document["settings"])[:4] == ["oracle", "jittered", "clicks_1", "end_to_end"]
    assert "5 SD" in document["settings"]
    assert document["how"]["patients"] == ["N002", "P001"]
    assert document["provenance"]["segmenter_sha256"]
    for name in ("dice.png", "bland_altman.png", "clicks.png", "thresholds.png"):
        assert (tmp_path / "one" / name).is_file()
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "evaluation.json").write_text(json.dumps({**document, "name": "two"}))
    compared = command("evaluate", "--compare", tmp_path / "one", tmp_path / "two" / "evaluation.json", "-o", tmp_path / "both")
    assert compared.status == 0, compared.err
    assert "+0.000" in compared.out and "threshold in the expert's wall" in compared.out
    assert (tmp_path / "both" / "comparison.png").is_file()


def test_the_splits_validation_patients_are_evaluated_and_missing_ones_named(command, data, models, tmp_path):
    split = {"version": 1, "seed": 0, "folds": 2, "held_out": 0, "training": ["N002"], "validation": ["P001", "P099"]}
    (tmp_path / "split.json").write_text(json.dumps(split))
    run = ["evaluate", *models, "--data", data, "--settings", "oracle", "--json", "--split", tmp_path / "split.json"]
    ran = command(*run)
    assert ran.status == 1
    assert ran.json["how"]["patients"] == ["P001"]
    assert list(ran.json["settings"]) == ["oracle"]
    assert "P099: failed: The split's patient P099 is not in" in ran.err
    training = command(*run, "--part", "training")
    assert training.status == 0
    assert training.json["how"]["patients"] == ["N002"]


def test_data_without_a_split_wants_one(command, data, models):
    ran = command("evaluate", *models, "--data", data)
    assert ran.status == 2
    assert "--part all" in ran.err
