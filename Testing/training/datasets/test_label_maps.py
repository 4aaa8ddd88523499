"""What label values mean is said, never guessed: by EMIDEC's layout, a record, names, or the user."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from MyoScarSegLib.errors import StudyError, UnnamedLabelsError
from MyoScarSegLib.study import write_segmentation, write_volume
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.datasets.labelmaps import BINARY, EMIDEC, classes_on, named_by_place, parse_label_map, unnamed
from MyoScarSegLib.training.datasets.training_library import Library
from Testing.support.labeled_factory import labels, study, write_pair
from Testing.support.nrrd_factory import write_seg

MADE, TRUTH = study(), labels()
SCAR = (TRUTH >= 3).astype(np.uint8)


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder whose name, and that of the one above, says nothing."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    "name",
    [
        *("x_scar.nii.gz", "LV-Scar.nrrd", "infarct.nii", "x_Infarkt_2.nii.gz", "scarMask.nii.gz", "x_lge_mask.nii.gz"),
        *("LGE/labels/x.nii.gz", "scar masks/x.nii.gz", "Narben/x.nii.gz"),
    ],
)
def test_one_value_is_scar_where_file_or_folder_says_so(place, name):
    for value in (1, 255):
        assert named_by_place(place / name, {0, value}) == BINARY[value]
    assert named_by_place(place / name, {0, 7}) is None
    assert named_by_place(place / name, {0, 1, 2, 3}) is None


@pytest.mark.parametrize(
    "name",
    [
        *("x.nii.gz", "x_mask.nii.gz", "truth/x.nii.gz", "Oscar.nii.gz", "scarce/x.nii.gz", "no_scar.nii.gz"),
        *("LGE/labels/myocardium.nii.gz", "scar/lv_endo.nii.gz", "lge_wall.nii.gz", "LGE/atrial.nii.gz"),
    ],
)
def test_one_value_is_not_scar_where_nothing_or_something_else_is_said(place, name):
    assert named_by_place(place / name, {0, 1}) is None


def test_folders_above_the_data_set_say_nothing(place):
    assert named_by_place(place / "scar" / "data" / "labels" / "x.nii.gz", {0, 1}, place / "scar" / "data") is None
    assert named_by_place(place / "scar" / "labels" / "x.nii.gz", {0, 1}, place / "scar") == BINARY[1]


def test_emidecs_values_are_named_by_its_layout_alone(place):
    (place / "Case_P004" / "Images").mkdir(parents=True)
    label = place / "Case_P004" / "Contours" / "Case_P004.nii.gz"
    assert named_by_place(label, {0, 1, 2, 3}) == EMIDEC
    assert named_by_place(label, {0, 1, 2, 3, 9}) is None
    assert named_by_place(place / "Case_P004" / "labels" / "Case_P004.nii.gz", {0, 1, 2, 3}) is None
    (place / "patient001" / "Images").mkdir(parents=True)
    assert named_by_place(place / "patient001" / "Contours" / "patient001.nii.gz", {0, 1, 2, 3}) is None


def test_a_record_beside_the_file_or_its_folder_names_the_values(place):
    (place / "labels").mkdir()
    (place / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "Narbe": 2, "myo": 1}}))
    assert named_by_place(place / "labels" / "x.nii.gz", {0, 1, 2}) == {0: 0, 2: 3, 1: 2}
    assert named_by_place(place / "labels" / "x.nii.gz", {0, 1, 2, 3}) is None
    (place / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "RV": 1, "MYO": 2, "LV": 3}}))
    assert named_by_place(place / "labels" / "x.nii.gz", {0, 1, 2, 3}) is None


def test_a_file_of_nothing_but_zero_has_no_scar(place):
    assert named_by_place(place / "x.nii.gz", {0}) == BINARY[1]


@pytest.mark.parametrize("values", [{1}, {255}, {1, 2}, {1, 2, 3}, {5, 9, 11, 40}, {1, 2, 3, 4, 5, 6}])
def test_the_labels_that_would_fit_name_every_value(values):
    error = unnamed("x", values | {0})
    assert f"--labels '{error.fitting}'" in str(error)
    assert set(parse_label_map(error.fitting)) == values | {0}


def acdc(folder: Path) -> Path:
    """A case as ACDC has it: 1 right ventricle, 2 myocardium, 3 the cavity."""
    values = np.select([TRUTH == 1, TRUTH == 2, TRUTH >= 3], [3, 2, 1]).astype(np.uint8)
    write_pair(folder / "p1" / "p1_image.nii.gz", folder / "p1" / "p1_gt.nii.gz", values=values, named=False)
    return folder


def test_acdcs_cavity_is_not_read_as_infarct(place):
    with pytest.raises(UnnamedLabelsError) as caught:
        read_dataset(acdc(place))
    assert caught.value.values == (1, 2, 3)
    data = read_dataset(place, label_map=parse_label_map("background=1 myocardium=2 scar=3"))
    assert len(data.slices) == 4


@pytest.mark.parametrize(
    "verb", ["convert", pytest.param("train", marks=pytest.mark.slow), "evaluate", "add", "import", "compare"]
)
def test_every_command_that_reads_labels_asks_for_what_they_mean_with_status_2(command, place, tmp_path, verb):
    image, label = acdc(place) / "p1" / "p1_image.nii.gz", place / "p1" / "p1_gt.nii.gz"
    arguments = {
        "convert": ["convert", place, tmp_path / "out", "--to", "library"],
        "train": ["train", "segmenter", "--data", place, "--out", tmp_path / "out"],
        "evaluate": ["evaluate", "--models", "--data", place, "--part", "all"],
        "add": ["library", "add", tmp_path / "out", image, label, "--patient", "P1"],
        "import": ["library", "import", tmp_path / "out", place],
        "compare": ["evaluate", label, label],
    }[verb]
    ran = command(*arguments)
    assert ran.status == 2, ran.err
    assert "--labels 'cavity=1 myocardium=2 scar=3'" in ran.err + ran.out


def test_unnamed_segment_is_asked_for_and_named_by_its_value(place, library):
    write_volume(place / "image.nrrd", MADE.voxels, MADE)
    told = [{"ID": "s", "Name": "Segment_1", "Layer": "0", "LabelValue": "1"}]
    path = write_seg(place / "drawn.seg.nrrd", SCAR, MADE.geometry, told)
    with pytest.raises(UnnamedLabelsError, match=r"1 is the segment 'Segment_1'.*--labels 'scar=1'"):
        library.add(place / "image.nrrd", path, patient="P1")
    case = library.add(place / "image.nrrd", path, patient="P1", label_map=parse_label_map("scar=1"))
    assert case.scar_pixels == SCAR.sum()


def test_unnamed_segments_in_layers_are_named_by_their_place(place, tmp_path):
    write_volume(place / "image.nrrd", MADE.voxels, MADE)
    told = [{"ID": f"s{n}", "Name": f"Segment_{n + 1}", "Layer": str(n), "LabelValue": "1"} for n in range(2)]
    path = write_seg(place / "drawn.seg.nrrd", np.stack([TRUTH == 1, SCAR]), MADE.geometry, told)
    case = Library.create(tmp_path / "library").add(
        place / "image.nrrd", path, patient="P1", label_map=parse_label_map("cavity=1 scar=2")
    )
    assert case.scar_pixels == SCAR.sum()


def test_our_own_results_need_no_name(command, place):
    write_volume(place / "scar.nii.gz", SCAR, MADE)
    write_segmentation(place / "scar.seg.nrrd", SCAR, MADE)
    (place / "result.json").write_text("{}")
    assert named_by_place(place / "mask.nii.gz", {0, 1}) == BINARY[1]
    for name in ("scar.nii.gz", "scar.seg.nrrd"):
        ran = command("evaluate", place / name, place / "scar.seg.nrrd", "--json")
        assert ran.json["settings"]["masks"]["cases"][0]["dice_3d"] == 1.0, ran.err


def test_predictions_without_a_name_are_asked_for_by_their_own_option(command, place):
    write_volume(place / "truth_scar.nii.gz", SCAR, MADE)
    write_volume(place / "p.nii.gz", SCAR, MADE)
    ran = command("evaluate", place / "p.nii.gz", place / "truth_scar.nii.gz")
    assert ran.status == 2 and "--pred-labels 'scar=1'" in ran.err
    assert command("evaluate", place / "p.nii.gz", place / "truth_scar.nii.gz", "--pred-labels", "scar=1").status == 0


def test_a_label_map_of_the_truth_serves_predictions_that_hold_its_scar(command, place):
    write_volume(place / "t.nii.gz", TRUTH, MADE)
    write_volume(place / "p.nii.gz", TRUTH, MADE)
    assert command("evaluate", place / "p.nii.gz", place / "t.nii.gz", "--labels", "emidec").status == 0
    write_volume(place / "p.nii.gz", SCAR, MADE)  # 1 is cavity there
    ran = command("evaluate", place / "p.nii.gz", place / "t.nii.gz", "--labels", "emidec")
    assert ran.status == 2 and "--pred-labels 'scar=1'" in ran.err


def test_bad_record_is_an_error_and_not_passed_over(place):
    (place / "dataset.json").write_text("{")
    with pytest.raises(StudyError, match=r"dataset\.json"):
        named_by_place(place / "x.nii.gz", {0, 1})


def test_import_for_the_panel_tells_the_values_and_draws_them(place, tmp_path):
    from PIL import Image

    from MyoScarSegLib.training.background_work import library_import
    from MyoScarSegLib.training.datasets.label_pictures import COLORS
    from MyoScarSegLib.utils.progress import CancelToken, no_progress

    Library.create(tmp_path / "library")
    wanted = {"library": str(tmp_path / "library"), "paths": [str(acdc(place))], "preview": str(tmp_path / "labels.png")}
    told = library_import(**wanted, progress=no_progress, cancel=CancelToken())
    assert told["unnamed_labels"]["values"] == [1, 2, 3]
    assert told["unnamed_labels"]["fitting"] == "cavity=1 myocardium=2 scar=3"
    assert told["unnamed_labels"]["message"] == told["cases"][0]["message"]
    picture = np.asarray(Image.open(tmp_path / "labels.png")).astype(float)
    assert len(np.unique(picture.reshape(-1, 3) @ (1, 256, 65536))) > len(COLORS)
    assert (picture.max(axis=-1) - picture.min(axis=-1)).max() > 50, "the labels are in color"
    again = library_import(**wanted, labels="background=1 myocardium=2 scar=3", progress=no_progress, cancel=CancelToken())
    assert again["unnamed_labels"] is None and again["added"] == 1


def test_an_image_in_the_place_of_labels_is_told_and_its_values_are_not_asked_for(place):
    gray = np.arange(MADE.voxels.size, dtype=np.uint8).reshape(MADE.voxels.shape)
    write_volume(place / "x.nii.gz", gray, MADE)
    with pytest.raises(StudyError, match="256 different values, so they are no labels; is it an image"):
        classes_on(MADE, place / "x.nii.gz", None, None)
