"""Folders of image and label volumes are read as they lie, and what cannot be read is said by name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from MyoScarSegLib.errors import Cancelled, StudyError
from MyoScarSegLib.study import read_study, write_volume
from MyoScarSegLib.training.datasets.dataset_reader import kind_of, read_dataset
from MyoScarSegLib.training.datasets.labelmaps import parse_label_map
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.dicom_factory import write_series
from Testing.support.labeled_factory import labels, name_labels, study, write_pair
from Testing.support.nrrd_factory import write_seg

LAYOUTS = {
    "equal names": ("images/{}.nii.gz", "labels/{}.nii.gz"),
    "masks with an ending": ("images/{}.nrrd", "masks/{}_mask.nii.gz"),
    "nnU-Net": ("imagesTr/{}_0000.nii.gz", "labelsTr/{}.nii.gz"),
    "EMIDEC's own": ("{0}/Images/{0}.nii.gz", "{0}/Contours/{0}.nii.gz"),
    "a folder per case": ("{}/lge.mha", "{}/segmentation.nrrd"),
    "side by side": ("{}_lge.nii.gz", "{}_labels.nii.gz"),
    "infarct beside its image": ("{}_lge.nii.gz", "{}_infarct.nii.gz"),
    "the image without an ending": ("{}.nrrd", "{}-label.nrrd"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_usual_layout_is_understood(tmp_path, layout):
    image, label = LAYOUTS[layout]
    made = [write_pair(tmp_path / image.format(f"Case_P{n}"), tmp_path / label.format(f"Case_P{n}"), n) for n in (1, 2)]
    assert kind_of(tmp_path) == ("emidec" if layout == "EMIDEC's own" else "volumes")
    data = read_dataset(tmp_path)
    assert data.skipped == {} and data.patients == ("P1", "P2")
    for n, original in enumerate(made, start=1):
        slices = [s for s in data.slices if s.patient == f"P{n}"]
        assert [s.index for s in slices] == [0, 1, 2, 3]
        assert np.array_equal([s.image for s in slices], original.voxels)
        assert np.array_equal([s.labels for s in slices], labels(n))
        assert all(s.wall_known for s in slices)


@pytest.mark.parametrize("missing", ["Contours", "Images"])
def test_a_case_of_emidecs_layout_without_labels_or_image_is_named(tmp_path, missing):
    for n in (1, 2):
        write_pair(tmp_path / f"Case_P{n}/Images/Case_P{n}.nii.gz", tmp_path / f"Case_P{n}/Contours/Case_P{n}.nii.gz", n)
    shutil.rmtree(tmp_path / f"Case_P2/{missing}")
    data = read_dataset(tmp_path)
    assert data.patients == ("P1",) and list(data.skipped) == ["Case_P2"]
    holds = "1 images and 0 label files" if missing == "Contours" else "0 images and 1 label files"
    assert holds in data.skipped["Case_P2"]


def test_slices_run_through_the_plane_with_their_spacing(tmp_path):
    made = study(spacing_mm=(10.0, 1.3, 1.4))  # the file's i axis is the coarse one
    write_pair(tmp_path / "images" / "a.nrrd", tmp_path / "labels" / "a.nrrd", of=made)
    data = read_dataset(tmp_path)
    assert len(data.slices) == made.voxels.shape[2]
    assert np.array_equal(data.slices[5].image, made.voxels[:, :, 5])
    assert np.array_equal(data.slices[20].labels, labels()[:, :, 20])
    assert data.slices[0].pixel_spacing_mm == pytest.approx((1.4, 1.3))
    assert data.slices[0].slice_spacing_mm == pytest.approx(10)


def test_uneven_dicom_stack_gives_each_slice_its_own_share(tmp_path):
    array = study().voxels.astype(np.int16) + 300
    dicom = write_series(tmp_path / "images" / "a", array, offsets=[0, 10, 20, 40])
    write_volume(tmp_path / "labels" / "a.nrrd", labels(), read_study(dicom))
    name_labels(tmp_path / "labels")
    data = read_dataset(tmp_path)
    assert [s.slice_spacing_mm for s in data.slices] == pytest.approx([10, 10, 15, 20])
    assert np.array_equal([s.labels for s in data.slices], labels())


def test_slices_and_exams_without_scar_are_kept(tmp_path):
    write_pair(tmp_path / "images" / "ill.nrrd", tmp_path / "labels" / "ill.nrrd", 1)
    write_pair(tmp_path / "images" / "well.nrrd", tmp_path / "labels" / "well.nrrd", 2, values=labels(scar=False))
    data = read_dataset(tmp_path)
    assert data.strata == {"ill": "scar", "well": "normal"}
    assert [s.scar.any() for s in data.slices] == [True, True, True, False] + [False] * 4


def test_corrupted_cases_are_skipped_with_name_and_reason(tmp_path):
    for n, case in enumerate(("good", "cut", "moved", "fractions", "alone")):
        write_pair(tmp_path / "images" / f"{case}.nii.gz", tmp_path / "labels" / f"{case}.nii.gz", n)
    cut = tmp_path / "images" / "cut.nii.gz"
    cut.write_bytes(cut.read_bytes()[:4000])
    write_volume(tmp_path / "labels" / "moved.nii.gz", labels(2), study(origin_mm=(5.0, -6.0, 27.5)))
    write_volume(tmp_path / "labels" / "fractions.nii.gz", labels(3) * np.float32(0.3), study())
    (tmp_path / "labels" / "alone.nii.gz").unlink()
    data = read_dataset(tmp_path)
    assert data.patients == ("good",)
    assert set(data.skipped) == {"cut", "moved", "fractions", "alone"}
    assert "cut short" in data.skipped["cut"]
    assert "another grid" in data.skipped["moved"]
    assert "whole numbers" in data.skipped["fractions"]
    assert "no labels of the same name" in data.skipped["alone"]


def test_if_no_case_can_be_read_that_is_an_error_with_a_name(tmp_path):
    write_pair(tmp_path / "images" / "only.nii.gz", tmp_path / "labels" / "only.nii.gz")
    (tmp_path / "images" / "only.nii.gz").write_bytes(b"nothing")
    with pytest.raises(StudyError, match=r"None of the cases.*only"):
        read_dataset(tmp_path)


def test_slice_with_unusable_pixels_is_left_out_by_name(tmp_path):
    made = study()
    voxels = made.voxels.copy()
    voxels[1, 3, 3] = np.nan
    write_volume(tmp_path / "images" / "a.nrrd", voxels, made)
    write_volume(tmp_path / "labels" / "a.nrrd", labels(), made)
    name_labels(tmp_path / "labels")
    data = read_dataset(tmp_path)
    assert [s.index for s in data.slices] == [0, 2, 3]
    assert "NaN" in data.skipped["a slice 1"]


@pytest.mark.parametrize("value", [1, 255])
def test_binary_mask_is_scar_alone(tmp_path, value):
    scar = (labels() >= 3) * np.uint8(value)
    write_pair(tmp_path / "images" / "a.nrrd", tmp_path / "labels" / "a_scar.nrrd", values=scar)
    data = read_dataset(tmp_path)
    assert np.array_equal([s.scar for s in data.slices], scar > 0)
    assert not any(s.wall_known for s in data.slices)
    assert {int(v) for s in data.slices for v in np.unique(s.labels)} == {0, 3}


def test_values_that_could_mean_anything_are_listed_with_an_example(tmp_path):
    write_pair(tmp_path / "images" / "a.nrrd", tmp_path / "labels" / "a.nrrd", values=labels() * np.uint8(10))
    with pytest.raises(StudyError, match=r"values 10, 20, 30, 40.*--labels 'cavity=10 myocardium=20 scar=30 no-reflow=40'"):
        read_dataset(tmp_path)
    data = read_dataset(tmp_path, label_map=parse_label_map("cavity=10; myocardium=20 scar=30,40"))
    assert np.array_equal([s.labels for s in data.slices], np.minimum(labels(), 3))
    with pytest.raises(StudyError, match=r"40 belong to no class"):
        read_dataset(tmp_path, label_map=parse_label_map("cavity=10 myocardium=20 scar=30"))


def test_two_values_without_scar_among_them_are_not_taken_for_emidecs(tmp_path):
    """1 and 2 may be cavity and myocardium, or myocardium and scar."""
    write_pair(tmp_path / "images" / "a.nrrd", tmp_path / "labels" / "a.nrrd", values=labels(scar=False))
    with pytest.raises(StudyError, match="Nothing says what the labels"):
        read_dataset(tmp_path)
    assert not any(s.scar.any() for s in read_dataset(tmp_path, label_map=parse_label_map("emidec")).slices)


@pytest.mark.parametrize("text", ["", "scar", "scar=x", "liver=1 scar=2", "scar=1 cavity=1", "cavity=1", "scar=-1"])
def test_bad_label_maps_are_refused(text):
    with pytest.raises(StudyError):
        parse_label_map(text)


@pytest.mark.parametrize(
    "named",
    [{"background": 0, "lv cavity": 1, "myocardium": 2, "scar": 4}, {"0": "background", "1": "LV", "2": "Myo", "4": "MI"}],
)
def test_label_names_in_nnunets_dataset_json_are_used(tmp_path, named):
    values = np.where(labels() >= 3, 4, labels()).astype(np.uint8)
    values[:, :3, :3] = 2
    write_pair(tmp_path / "imagesTr" / "a_0000.nii.gz", tmp_path / "labelsTr" / "a.nii.gz", values=values, named=False)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": named}))
    data = read_dataset(tmp_path)
    assert np.array_equal([s.labels for s in data.slices], np.minimum(values, 3))


def segmentation(path, parts, made, rows=slice(None), columns=slice(None)):
    """A .seg.nrrd as Slicer writes it: overlapping segments in layers, cropped to what is drawn."""
    cut_mm = np.array([columns.start or 0, rows.start or 0, 0]) * made.geometry.spacing_mm
    geometry = replace(made.geometry, origin_mm=tuple(made.geometry.origin_mm + made.geometry.direction @ cut_mm))
    fields = [
        {"ID": f"S{n}", "Name": part[0], "LabelValue": "1", "Layer": str(n), "Tags": part[1]} for n, part in enumerate(parts)
    ]
    write_seg(path, np.stack([mask[:, rows, columns] for _, _, mask in parts]), geometry, fields)


def test_segments_of_slicer_in_layers_and_cropped_go_by_their_names(tmp_path):
    made, truth = study(), labels()
    write_volume(tmp_path / "a" / "volume.nrrd", made.voxels, made)
    # The user drew the whole wall, and scar on top of it.
    code = "TerminologyEntry:x~SCT^85756007^Tissue~SCT^12402003^Scar tissue~^^~x~^^~^^|"
    parts = [
        ("Myocardium", "", truth >= 2),
        ("LV blood pool", "", truth == 1),
        ("Segment_3", code, truth >= 3),
        ("RV", "", truth < 0),
    ]
    segmentation(tmp_path / "a" / "Segmentation.seg.nrrd", parts, made, rows=slice(5, 36), columns=slice(8, 42))
    data = read_dataset(tmp_path)
    assert data.skipped == {}
    assert np.array_equal([s.labels for s in data.slices], np.minimum(truth, 3))
    assert all(s.wall_known for s in data.slices)


def test_segmentation_without_a_scar_segment_is_skipped_because_it_may_be_unfinished(tmp_path):
    made, truth = study(), labels()
    for case, scar in (("a", [("Scar", "", truth < 0)]), ("b", [])):
        write_volume(tmp_path / case / "volume.nrrd", made.voxels, made)
        parts = [("Myocardium", "", truth == 2), ("LV cavity", "", truth == 1), *scar]
        segmentation(tmp_path / case / "drawn.seg.nrrd", parts, made)
    data = read_dataset(tmp_path)
    assert data.patients == ("a",) and data.strata == {"a": "normal"}
    assert "no segment that is called scar (it has Myocardium, LV cavity)" in data.skipped["b"]


def test_pattern_finds_the_patient_of_several_exams(tmp_path):
    for n, case in enumerate(("site1-07-baseline", "site1-07-followup", "site1-08-baseline")):
        write_pair(tmp_path / "images" / f"{case}.nrrd", tmp_path / "labels" / f"{case}.nrrd", n)
    data = read_dataset(tmp_path, patient_pattern=r"site\d+-(\d+)")
    assert data.patients == ("07", "08")
    assert len({(s.stack, s.index) for s in data.slices}) == len(data.slices) == 12
    for pattern, reason in (("(", "no regular expression"), (r"patient(\d+)", "does not fit")):
        with pytest.raises(StudyError, match=reason):
            read_dataset(tmp_path, patient_pattern=pattern)


def test_reading_can_be_cancelled(tmp_path):
    write_pair(tmp_path / "images" / "a.nrrd", tmp_path / "labels" / "a.nrrd")
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        read_dataset(tmp_path, cancel=cancel)


def test_folders_that_hold_nothing_labeled_say_what_is_expected(tmp_path):
    with pytest.raises(StudyError, match="There is no folder"):
        read_dataset(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match="holds no labeled data that is known"):
        read_dataset(tmp_path / "empty")
    with pytest.raises(StudyError, match="no kind of data set 'dicom'"):
        read_dataset(tmp_path / "empty", kind="dicom")
    with pytest.raises(StudyError, match="holds no image with labels"):
        read_dataset(tmp_path / "empty", kind="volumes")


@pytest.mark.data
def test_the_challenges_own_sample_exams_are_read(emidec_volumes_folder):
    data = read_dataset(emidec_volumes_folder, label_map=parse_label_map("emidec"))
    assert data.strata == {"sampleNegative": "normal", "samplePositive": "scar"} and data.skipped == {}
    positive = [s for s in data.slices if s.patient == "samplePositive"]
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(emidec_volumes_folder / "samplePositive_labels.nii.gz")))
    assert np.array_equal([s.labels for s in positive], truth)
    assert positive[0].slice_spacing_mm == pytest.approx(13) and positive[0].pixel_spacing_mm == pytest.approx((1.40625, 1.40625))


@pytest.mark.data
def test_emidecs_own_folder_is_read_whole_and_every_infarct_patient_has_scar(emidec_folder):
    data = read_dataset(emidec_folder)
    assert (data.kind, len(data.slices), len(data.patients), data.skipped) == ("emidec", 505, 70, {})
    assert data.strata == {p: "scar" if p[0] == "P" else "normal" for p in data.patients}
    assert all(s.wall_known and s.pixel_spacing_mm is not None for s in data.slices)
