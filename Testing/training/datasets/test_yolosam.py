"""YoloSAM's layout: whose slice it is, what its mask means, and no patient on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.errors import StudyError, UnnamedLabelsError
from MyoScarSegLib.training.datasets.dataset_reader import kind_of, read_dataset
from MyoScarSegLib.training.datasets.labelmaps import parse_label_map
from MyoScarSegLib.training.datasets.patients import PatientRule
from Testing.support.labeled_factory import labels, picture, write_grey, write_yolosam

PARTS = {"train": ["A1_slice_00", "A1_slice_01", "A1_slice_02", "B2_slice_10"], "val": ["C3_slice_00", "C3_slice_01"]}


def test_both_parts_are_read_with_their_split_and_their_scar_free_slices(tmp_path):
    write_yolosam(tmp_path, PARTS)
    assert kind_of(tmp_path) == "yolosam"
    data = read_dataset(tmp_path)
    assert [(s.patient, s.index) for s in data.slices] == [("A1", 0), ("A1", 1), ("A1", 2), ("B2", 10), ("C3", 0), ("C3", 1)]
    assert data.given_split is not None
    assert (data.given_split.training, data.given_split.validation) == (("A1", "B2"), ("C3",))
    assert [s.scar.any() for s in data.slices] == [True, True, False, True, True, False]
    first = data.slices[0]
    assert np.array_equal(first.image, picture(0)) and first.scar.sum() == 8 * 10
    assert not first.wall_known and first.pixel_spacing_mm is None and first.slice_spacing_mm is None


def test_one_picture_under_two_names_is_refused_even_at_another_bit_depth(tmp_path):
    write_yolosam(tmp_path, PARTS)
    write_grey(tmp_path / "val" / "images" / "C3_slice_01.png", picture(3) // 2 * 2)
    assert read_dataset(tmp_path).patients == ("A1", "B2", "C3")
    write_grey(tmp_path / "train" / "images" / "B2_slice_10.png", picture(3) // 2)
    with pytest.raises(StudyError, match=r"same picture is trained on as slice 10 of B2 and validated as slice 1 of C3"):
        read_dataset(tmp_path)


def test_blank_slices_of_two_patients_are_no_leakage(tmp_path):
    write_yolosam(tmp_path, PARTS)
    for path in ("train/images/A1_slice_02.png", "val/images/C3_slice_01.png"):
        write_grey(tmp_path / path, np.zeros((40, 48)))
    assert len(read_dataset(tmp_path).slices) == 6


def test_jpeg_masks_are_scar_from_half_way_on(tmp_path):
    write_yolosam(tmp_path, {"train": ["A_1"], "val": ["B_1"]}, extension="jpg")
    slices = read_dataset(tmp_path).slices
    assert [int(s.scar.sum()) for s in slices] == [8 * 10, 8 * 11]


def test_what_cannot_be_read_is_skipped_by_name(tmp_path):
    write_yolosam(tmp_path, PARTS)
    (tmp_path / "train" / "masks" / "A1_slice_00.png").unlink()
    (tmp_path / "train" / "labels").mkdir()
    (tmp_path / "train" / "labels" / "A1_slice_00.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    damaged = tmp_path / "train" / "images" / "A1_slice_01.png"
    damaged.write_bytes(damaged.read_bytes()[:200])
    write_grey(tmp_path / "val" / "masks" / "C3_slice_00.png", np.zeros((8, 8)))
    data = read_dataset(tmp_path)
    assert set(data.skipped) == {"train/A1_slice_00", "train/A1_slice_01", "val/C3_slice_00"}
    assert "boxes alone" in data.skipped["train/A1_slice_00"]
    assert "cannot be decoded" in data.skipped["train/A1_slice_01"]
    assert "8 x 8" in data.skipped["val/C3_slice_00"]
    assert len(data.slices) == 3


def test_masks_with_several_values(tmp_path):
    truth = labels()
    for name, values in (("A_1", truth[0]), ("B_1", truth[1])):
        write_grey(tmp_path / "images" / f"{name}.png", picture(ord(name[0])))
        write_grey(tmp_path / "masks" / f"{name}.png", values)
    with pytest.raises(UnnamedLabelsError, match="--labels 'cavity=1 myocardium=2 scar=3 no-reflow=4'"):
        read_dataset(tmp_path)
    data = read_dataset(tmp_path, label_map=parse_label_map("emidec"))
    assert data.given_split is None and all(s.wall_known for s in data.slices)
    assert np.array_equal(data.slices[0].labels, truth[0])
    write_grey(tmp_path / "masks" / "A_1.png", truth[0] * 50)
    with pytest.raises(StudyError, match=r"values 1, 2, 3, 50, 100, 150, 200"):
        read_dataset(tmp_path)
    write_grey(tmp_path / "masks" / "B_1.png", truth[1] * 50)
    data = read_dataset(tmp_path, label_map=parse_label_map("scar=150,200 background=50,100"))
    assert np.array_equal(data.slices[0].scar, truth[0] >= 3) and not data.slices[0].wall_known


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("Case_P004_slice_03", "P004"),
        ("case_n012_slice_000", "n012"),
        ("Smith12_slice_3", "Smith12"),
        ("A12-slice07-z", "A12"),
        ("study_7_042", "study_7"),
        ("P004_3", "P004"),
        ("P004", "P"),  # several P... would then be one patient: an error soon, and never a leak
        ("plain", "plain"),
    ],
)
def test_patient_is_what_the_file_name_says(name, patient):
    assert PatientRule().of_slice(name) == patient


def test_name_that_is_only_a_number_says_nothing_of_the_patient(tmp_path):
    with pytest.raises(StudyError, match="says nothing of the patient"):
        PatientRule().of_slice("0017")
    assert PatientRule(r"^(?P<patient>\d\d)").of_slice("0017") == "00"


def test_boxes_without_masks_are_no_data_to_train_a_segmenter_on(tmp_path):
    write_grey(tmp_path / "images" / "train" / "a.png", picture(0))
    (tmp_path / "labels" / "train").mkdir(parents=True)
    with pytest.raises(StudyError, match="boxes for YOLO"):
        read_dataset(tmp_path)


def test_a_mask_with_a_palette_is_read_by_index_and_not_by_color(tmp_path):
    from PIL import Image

    write_yolosam(tmp_path, PARTS)
    path = tmp_path / "train" / "masks" / "A1_slice_00.png"
    drawn = np.asarray(Image.open(path)) > 0
    for value, first, second in ((1, (255, 255, 255), (0, 0, 0)), (255, (0, 0, 0), (255, 0, 0))):
        picture_ = Image.fromarray((drawn * value).astype(np.uint8), mode="P")
        palette = list(first) * 256
        palette[3 * value : 3 * value + 3] = second
        picture_.putpalette(palette)
        picture_.save(path)
        others = np.asarray(Image.open(path))
        assert set(np.unique(others)) == {0, value}
        data = read_dataset(tmp_path, label_map={0: 0, 1: 3, 255: 3})
        (found,) = [s for s in data.slices if (s.patient, s.index) == ("A1", 0)]
        assert np.array_equal(found.scar, drawn)


def test_a_mask_over_the_whole_slice_is_skipped_by_name(tmp_path):
    write_yolosam(tmp_path, PARTS)
    write_grey(tmp_path / "train" / "masks" / "A1_slice_00.png", np.full((40, 48), 255))
    assert "covers 100% of a slice" in read_dataset(tmp_path).skipped["train/A1_slice_00"]
