"""From one layout to another and back: the same masks, boxes right to the pixel, and all of it or nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from MyoScarSegLib.errors import Cancelled, OutputError, StudyError
from MyoScarSegLib.study import read_study
from MyoScarSegLib.study.normalization import normalize
from MyoScarSegLib.training.datasets import conversion as module
from MyoScarSegLib.training.datasets.conversion import Options, convert, scar_boxes, yolo_text
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.datasets.labeled import DataSet, LabeledSlice, stacked
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.labeled_factory import labels, picture, study, write_grey, write_pair, write_yolosam

PARTS = {"train": ["A1_slice_00", "A1_slice_01", "A1_slice_02", "B2_slice_10"], "val": ["C3_slice_00", "C3_slice_01"]}


@pytest.fixture
def volumes(tmp_path):
    """Five oblique exams in NIfTI, of which one has no scar."""
    for n in range(5):
        values = labels(n, scar=n != 3)
        write_pair(tmp_path / "volumes" / "images" / f"P{n}.nii.gz", tmp_path / "volumes" / "labels" / f"P{n}.nii.gz", n, values)
    return tmp_path / "volumes"


def by_slice(data: DataSet) -> dict[tuple[str, int], LabeledSlice]:
    return {(s.stack, s.index): s for s in data.slices}


def leftovers(folder) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


def test_volumes_to_library_and_back_keep_everything(volumes, tmp_path):
    data = read_dataset(volumes)
    convert(data, tmp_path / "library", "library")
    convert(read_dataset(tmp_path / "library"), tmp_path / "back", "volumes")
    back = read_dataset(tmp_path / "back")
    assert by_slice(back).keys() == by_slice(data).keys()
    for key, before in by_slice(data).items():
        after = by_slice(back)[key]
        assert np.array_equal(before.image, after.image) and np.array_equal(before.labels, after.labels)
        assert (before.patient, before.wall_known) == (after.patient, after.wall_known)
        assert after.pixel_spacing_mm == pytest.approx(before.pixel_spacing_mm)
        assert after.slice_spacing_mm == pytest.approx(before.slice_spacing_mm)
    before, after = (read_study(folder / "images" / "P2.nii.gz") for folder in (volumes, tmp_path / "back"))
    assert np.allclose(before.geometry.direction, after.geometry.direction, atol=1e-6)
    assert np.allclose(before.geometry.origin_mm, after.geometry.origin_mm, atol=1e-4)


def test_volumes_to_yolosam_and_back_keep_scar_spacing_and_patients(volumes, tmp_path):
    data = read_dataset(volumes)
    report = convert(data, tmp_path / "yolosam", "yolosam", Options(seed=2))
    assert (report.cases, report.slices, report.slices_with_scar) == (5, 20, 12)
    pictures = read_dataset(tmp_path / "yolosam")
    assert pictures.given_split is not None and report.split is not None
    assert pictures.given_split.validation == report.split.validation
    for key, before in by_slice(data).items():
        after = by_slice(pictures)[key]
        assert np.array_equal(before.scar, after.scar)
        assert np.array_equal(after.image, np.round(normalize(before.image) * 255))
        assert after.image.dtype == np.uint8
        assert after.pixel_spacing_mm == pytest.approx(before.pixel_spacing_mm)
        assert after.slice_spacing_mm == pytest.approx(before.slice_spacing_mm)
    convert(pictures, tmp_path / "back", "volumes")
    back = read_dataset(tmp_path / "back")
    assert all(np.array_equal(before.scar, by_slice(back)[key].scar) for key, before in by_slice(data).items())
    assert not any(s.wall_known for s in back.slices)


def test_yolosam_layout_is_complete_and_its_masks_are_0_and_255(volumes, tmp_path):
    report = convert(read_dataset(volumes), tmp_path / "out", "yolosam")
    assert report.split is not None
    for part, patients in (("train", report.split.training), ("val", report.split.validation)):
        names = {f"{p}_slice_{k:03d}" for p in patients for k in range(4)}
        for kind, extension in (("images", "png"), ("masks", "png"), ("labels", "txt")):
            assert {p.name for p in (tmp_path / "out" / part / kind).iterdir()} == {f"{n}.{extension}" for n in names}
    mask = np.array(Image.open(next((tmp_path / "out").glob("*/masks/P1_slice_002.png"))))
    assert mask.dtype == np.uint8 and np.array_equal(mask, np.where(labels(1)[2] >= 3, 255, 0))
    empty = next((tmp_path / "out").glob("*/labels/P3_slice_001.txt"))
    assert empty.read_text() == ""


def test_a_yolosam_folder_keeps_its_own_split(tmp_path):
    write_yolosam(tmp_path / "in", PARTS)
    report = convert(read_dataset(tmp_path / "in"), tmp_path / "out", "yolo")
    assert report.split == Split(("A1", "B2"), ("C3",))
    assert sorted(p.name for p in (tmp_path / "out" / "images" / "val").iterdir()) == ["C3_slice_000.png", "C3_slice_001.png"]
    library = convert(read_dataset(tmp_path / "in"), tmp_path / "library", "library", Options(source="site 1", reviewer="R"))
    assert library.cases == 3
    opened = Library.open(tmp_path / "library")
    assert opened.split_manifest() == report.split
    assert {(c.source, c.reviewer) for c in opened.cases()} == {("site 1", "R")}


def test_a_given_split_decides_and_patients_outside_it_are_left_out(volumes, tmp_path):
    report = convert(read_dataset(volumes), tmp_path / "out", "yolo", Options(split=Split(("P0", "P3"), ("P1", "P9"))))
    assert {p.name[:2] for p in (tmp_path / "out" / "images" / "train").iterdir()} == {"P0", "P3"}
    assert {p.name[:2] for p in (tmp_path / "out" / "images" / "val").iterdir()} == {"P1"}
    assert len(report.warnings) == 2 and "P2, P4" in report.warnings[0] and "P9" in report.warnings[1]


# Boxes.


def test_boxes_are_right_to_the_pixel_and_come_back_from_the_text():
    scar = np.zeros((37, 53), dtype=bool)
    scar[3:6, 50:53] = True  # touches the right edge
    scar[20:31, 7:9] = True
    boxes = scar_boxes(scar)
    assert boxes.tolist() == [[50, 3, 53, 6], [7, 20, 9, 31]]
    text = yolo_text(boxes, scar.shape)
    assert text.splitlines()[1] == f"0 {8 / 53:.8f} {25.5 / 37:.8f} {2 / 53:.8f} {11 / 37:.8f}"
    number, x, y, width, height = np.loadtxt(text.splitlines()).T
    again = np.column_stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2]) * (53, 37, 53, 37)
    assert np.allclose(again, boxes, atol=1e-5) and number.tolist() == [0, 0]
    assert scar_boxes(scar, merged=True).tolist() == [[7, 3, 53, 31]]
    assert scar_boxes(np.zeros((5, 5)), merged=True).shape == (0, 4)


@pytest.mark.parametrize(("boxes", "count"), [("per-scar", 2), ("merged", 1)])
def test_labels_of_ultralytics_hold_a_box_per_scar_or_one_for_all(tmp_path, boxes, count):
    """What ultralytics itself makes of the folder."""
    from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics

    import_ultralytics()
    from ultralytics.data.utils import img2label_paths, verify_image_label

    for n, name in enumerate(("A_1", "B_1")):
        write_grey(tmp_path / "in" / "images" / f"{name}.png", picture(n))
        mask = np.zeros((40, 48))
        mask[5:10, 30:38] = mask[22:30, 4:9] = 255
        write_grey(tmp_path / "in" / "masks" / f"{name}.png", mask)
    (tmp_path / "in" / "data.yaml").write_text("names: [scar]\n")
    for layout, images in (("yolo", "images/train"), ("yolosam", "train/images")):
        options = Options(boxes=boxes, split=Split(("A",), ("B",)))
        convert(read_dataset(tmp_path / "in"), tmp_path / layout, layout, options)
        assert f"train: {images}\n" in (tmp_path / layout / "data.yaml").read_text()
        picture_file = tmp_path / layout / images / "A_1_slice_001.png"
        picture_file = picture_file if picture_file.exists() else next((tmp_path / layout / images).iterdir())
        (label_file,) = img2label_paths([str(picture_file)])
        read = verify_image_label((str(picture_file), label_file, "", False, 1, 0, 0, False))
        assert read[1].shape == (count, 5), read[-1]


# Stacks out of single pictures.


def test_missing_slice_in_a_stack_of_pictures_is_blank_and_said(tmp_path):
    write_yolosam(tmp_path / "in", {"train": ["A_slice_3", "A_slice_4", "A_slice_6"], "val": ["B_slice_0", "B_slice_1"]})
    convert(read_dataset(tmp_path / "in"), tmp_path / "library", "library")
    studies, _ = Library.open(tmp_path / "library").read()
    assert studies[0].study.slices == 4 and list(studies[0].study.bad_slices) == [2]
    assert [s.index for s in studies[0].slices()] == [0, 1, 3]


def test_slices_that_are_no_stack_are_refused_or_counted_anew():
    def one(index, shape=(20, 20)):
        return LabeledSlice("A", index, picture(index, shape), np.zeros(shape, dtype=np.uint8))

    with pytest.raises(StudyError, match="differ in size"):
        stacked([one(0), one(1, (20, 24))])
    with pytest.raises(StudyError, match="same number"):
        stacked([one(0), one(0)])
    assert stacked([one(1007), one(24), one(515)]).study.slices == 3


# Destinations, and what stops half way.


def test_destination_with_something_in_it_is_refused(volumes, tmp_path):
    (tmp_path / "out").mkdir()
    convert(read_dataset(volumes), tmp_path / "out", "volumes")  # an empty one will do
    with pytest.raises(StudyError, match="not empty"):
        convert(read_dataset(volumes), tmp_path / "out", "volumes")
    with pytest.raises(StudyError, match="no layout 'png'"):
        convert(read_dataset(volumes), tmp_path / "o2", "png")
    with pytest.raises(StudyError, match="per-scar or merged"):
        convert(read_dataset(volumes), tmp_path / "o2", "yolo", Options(boxes="both"))


@pytest.mark.parametrize("layout", ["yolosam", "yolo", "volumes", "library"])
def test_cancelled_conversion_leaves_nothing(volumes, tmp_path, layout):
    cancel = CancelToken()

    def progress(done: int, total: int, message: str) -> None:
        if done == 3:
            cancel.cancel()

    with pytest.raises(Cancelled):
        convert(read_dataset(volumes), tmp_path / "out", layout, progress=progress, cancel=cancel)
    assert not (tmp_path / "out").exists() and leftovers(tmp_path) == []


@pytest.mark.parametrize(("layout", "step"), [("yolosam", "write_bytes"), ("volumes", "write_image")])
def test_full_disk_leaves_nothing(volumes, tmp_path, monkeypatch, layout, step):
    original, calls = getattr(module, step), []

    def full(*arguments):
        calls.append(1)
        if len(calls) > 3:
            raise OutputError("the disk is full")
        return original(*arguments)

    monkeypatch.setattr(module, step, full)
    with pytest.raises(OutputError, match="full"):
        convert(read_dataset(volumes), tmp_path / "out", layout)
    assert not (tmp_path / "out").exists() and leftovers(tmp_path) == []


def test_adding_to_a_library_is_repeated_without_harm_and_continues_where_it_was_cancelled(volumes, tmp_path):
    Library.create(tmp_path / "library").add(study(70), labels(70), patient="X")
    cancel = CancelToken()

    def progress(done: int, total: int, message: str) -> None:
        if done == 2:
            cancel.cancel()

    with pytest.raises(Cancelled):
        convert(read_dataset(volumes), tmp_path / "library", "library", progress=progress, cancel=cancel)
    assert [c.case for c in Library.open(tmp_path / "library").cases()] == ["P0", "P1", "X"]
    report = convert(read_dataset(volumes), tmp_path / "library", "library")
    assert report.known == ["P0", "P1"] and report.cases == 3 and report.skipped == {}


# The command.


def test_command_converts_and_says_what_it_skipped(command, volumes, tmp_path):
    (volumes / "labels" / "P4.nii.gz").unlink()
    ran = command("convert", volumes, tmp_path / "out", "--to", "yolosam", "--folds", 2, "--seed", 5)
    assert ran.status == 1
    assert "4 cases, 16 slices, 9 of them with scar" in ran.out and "P4: skipped" in ran.err
    ran = command("convert", tmp_path / "out", tmp_path / "library", "--to", "library", "--json")
    assert ran.status == 0 and ran.json["cases"] == 4
    (tmp_path / "split.json").write_text(json.dumps({"training": ["P0"], "validation": ["P1"]}))
    ran = command(
        "convert", tmp_path / "library", tmp_path / "yolo", "--to", "yolo", "--split", tmp_path / "split.json", "--json"
    )
    assert ran.status == 0 and ran.json["split"]["validation"] == ["P1"] and "left out (P2, P3)" in ran.err


def test_command_takes_label_maps_and_patterns(command, tmp_path):
    for n in range(2):
        image, label = (tmp_path / "in" / kind / f"e{n}.nrrd" for kind in ("images", "labels"))
        write_pair(image, label, n, labels(n) * np.uint8(2))
    arguments = ["convert", tmp_path / "in", tmp_path / "out", "--to", "yolo", "--folds", 2]
    arguments += ["--labels", "cavity=2 myocardium=4 scar=6,8"]
    ran = command(*arguments, "--patients", "(e)")
    assert ran.status == 1 and "1 patient cannot be split into 2 folds" in ran.err
    assert command(*arguments).status == 0


@pytest.mark.parametrize("bad", [[], ["--to", "png"], ["--to", "yolo", "--folds", "0"], ["--to", "yolo", "--labels", "x"]])
def test_bad_arguments_of_convert_end_with_2(command, tmp_path, bad):
    assert command("convert", tmp_path, tmp_path / "out", *bad).status == 2


def test_leaking_source_is_refused_and_nothing_is_written(command, tmp_path):
    write_yolosam(tmp_path / "in", {"train": ["Case_P004_slice_03", "B_1"], "val": ["Case_P004_slice_04", "C_1"]})
    ran = command("convert", tmp_path / "in", tmp_path / "out", "--to", "library")
    assert ran.status == 1 and "same patients in train and in val: P004." in ran.err and "--patients" in ran.err
    assert not (tmp_path / "out").exists() and leftovers(tmp_path) == []
