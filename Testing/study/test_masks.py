"""Segmentations as other programs and older versions of Slicer write them: which voxels are scar."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study import Geometry, Reconstruction, Study, read_mask, write_volume
from MyoScarSegLib.study.masks import read_labels
from MyoScarSegLib.study.tissue import CAVITY, INFARCT, MYOCARDIUM, NO_REFLOW, class_named, class_of_segment
from MyoScarSegLib.training.datasets.labelmaps import classes_on
from Testing.support.labeled_factory import labels, study
from Testing.support.nrrd_factory import write_seg

STUDY, TRUTH = study(), labels()
SCAR, POOL, WALL = TRUTH >= 3, TRUTH == 1, TRUTH == 2
TAG = "Segmentation.Status:inprogress|TerminologyEntry:Segmentation category and type - DICOM master list~"


def fields(name: str, **more: object) -> dict[str, str]:
    return {"ID": f"Segment_{name}", "Name": name, **{key: str(value) for key, value in more.items()}}


def scar_in(path: Path, of: Study = STUDY) -> np.ndarray:
    """The scar as both ways of reading see it."""
    mask = read_mask(path, of)
    assert np.array_equal(mask, classes_on(of, path, None, None)[0] >= INFARCT)
    return mask


@pytest.mark.parametrize("order", [("LV cavity", "Scar"), ("Scar", "LV cavity"), ("Myocardium", "LV cavity", "Scar")])
def test_components_of_slicer_before_4_11_are_its_segments_in_order(tmp_path, order):
    drawn = {"Scar": SCAR, "LV cavity": POOL, "Myocardium": WALL | SCAR}
    path = write_seg(tmp_path / "a.seg.nrrd", np.stack([drawn[n] for n in order]), STUDY.geometry, [fields(n) for n in order])
    assert np.array_equal(scar_in(path), SCAR)


def test_only_segment_of_slicer_before_4_11_is_read_from_a_plain_volume(tmp_path):
    path = write_seg(tmp_path / "a.seg.nrrd", SCAR, STUDY.geometry, [fields("Scar")])
    assert np.array_equal(scar_in(path), SCAR)


def test_segments_that_do_not_say_where_they_lie_are_refused(tmp_path):
    path = write_seg(tmp_path / "a.seg.nrrd", np.where(SCAR, 2, POOL), STUDY.geometry, [fields("LV cavity"), fields("Scar")])
    with pytest.raises(StudyError, match="does not say which voxels are its segment 'LV cavity'"):
        read_mask(path, STUDY)
    path = write_seg(tmp_path / "b.seg.nrrd", np.stack([SCAR] * 2), STUDY.geometry, [fields("Scar", Layer=2, LabelValue=1)])
    with pytest.raises(StudyError, match="layer 2 of 2"):
        read_mask(path, STUDY)


def test_segments_share_a_layer_and_lie_in_a_second_one(tmp_path):
    told = [
        fields("LV cavity", Layer=0, LabelValue=1),
        fields("Myocardium", Layer=0, LabelValue=2),
        fields("Scar", Layer=1, LabelValue=1),
    ]
    path = write_seg(tmp_path / "a.seg.nrrd", np.stack([POOL + 2 * (WALL | SCAR), SCAR]), STUDY.geometry, told)
    assert np.array_equal(scar_in(path), SCAR)
    classes, wall_known = classes_on(STUDY, path, None, None)
    assert wall_known and np.array_equal(classes, np.minimum(TRUTH, 3))


def test_segments_may_be_numbered_from_one_and_be_many(tmp_path):
    path = write_seg(tmp_path / "a.seg.nrrd", SCAR, STUDY.geometry, [fields("Scar", Layer=0, LabelValue=1)], first=1)
    assert np.array_equal(scar_in(path), SCAR)
    many = [fields("Scar" if n == 10 else f"Other {n}", Layer=0, LabelValue=n + 1) for n in range(11)]
    assert np.array_equal(scar_in(write_seg(tmp_path / "b.seg.nrrd", SCAR * 11, STUDY.geometry, many)), SCAR)


@pytest.mark.parametrize("direction", [np.eye(3), np.diag([-1.0, -1.0, 1.0])])
def test_empty_segmentation_that_slicer_saves_as_one_voxel_is_empty(tmp_path, direction):
    place = Geometry((1.0, 1.0, 1.0), (3.0, 4.0, 5.0), direction)
    path = write_seg(tmp_path / "a.seg.nrrd", np.zeros((1, 1, 1)), place, [fields("Scar", Layer=0, LabelValue=1)])
    assert scar_in(path).shape == STUDY.voxels.shape and not scar_in(path).any()
    with pytest.raises(StudyError, match="another grid"):
        read_mask(write_seg(tmp_path / "b.seg.nrrd", np.ones((1, 1, 1)), place, [fields("Scar")]), STUDY)


def test_blank_label_map_needs_no_geometry_and_a_drawn_one_does(tmp_path):
    lost = replace(STUDY, geometry=Geometry((1.0, 1.0, 1.0)))
    write_volume(tmp_path / "blank.nrrd", np.zeros_like(TRUTH), lost)
    assert not scar_in(tmp_path / "blank.nrrd").any()
    write_volume(tmp_path / "scar.nrrd", SCAR, lost)
    with pytest.raises(StudyError, match=r"another grid.*Resample"):
        read_mask(tmp_path / "scar.nrrd", STUDY)


@pytest.mark.parametrize("order", [[1, 0, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]])
def test_a_mask_whose_axes_are_in_another_order_lies_where_it_lies(tmp_path, order):
    """As programs write it that bring every image's axes near to the patient's."""
    write_volume(tmp_path / "labels.nrrd", TRUTH, STUDY)
    stored = sitk.PermuteAxes(sitk.ReadImage(str(tmp_path / "labels.nrrd")), order)
    assert stored.GetSize() != STUDY.voxels.shape[::-1]
    sitk.WriteImage(sitk.Flip(stored, [True, False, True]), str(tmp_path / "turned.nii.gz"))
    assert np.array_equal(read_labels(tmp_path / "turned.nii.gz", STUDY).values, TRUTH)


def test_an_origin_that_was_rounded_is_the_same_place_and_one_off_by_a_fifth_of_a_voxel_is_not(tmp_path):
    for off, fits in ((0.05, True), (0.3, False)):
        moved = replace(STUDY, geometry=replace(STUDY.geometry, origin_mm=(5.0 + off, -6.0, 7.5)))
        write_volume(tmp_path / "scar.nii.gz", SCAR, moved)
        if fits:
            assert np.array_equal(read_mask(tmp_path / "scar.nii.gz", STUDY), SCAR)
        else:
            with pytest.raises(StudyError, match="another grid"):
                read_mask(tmp_path / "scar.nii.gz", STUDY)


def test_blanks_around_a_name_do_not_count_and_two_of_one_name_are_refused(tmp_path):
    told = [fields(" scar ", Layer=0, LabelValue=1), fields("LV cavity ", Layer=0, LabelValue=2)]
    path = write_seg(tmp_path / "a.seg.nrrd", SCAR + 2 * POOL, STUDY.geometry, told)
    assert np.array_equal(scar_in(path), SCAR)
    told[1]["Name"] = "Scar "
    path = write_seg(tmp_path / "b.seg.nrrd", SCAR + 2 * POOL, STUDY.geometry, told)
    for read in (lambda: read_mask(path, STUDY), lambda: classes_on(STUDY, path, None, None)):
        with pytest.raises(StudyError, match="several segments called 'scar'"):
            read()


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("Scar", INFARCT), ("LV_scar", INFARCT), ("Größe der Narbe \N{EN DASH} 傷跡", INFARCT), ("Infarkt 2", INFARCT),
        ("心肌梗死", INFARCT), ("рубец", INFARCT), ("Scar tissue (5SD)", INFARCT), ("LV-Höhle", CAVITY), ("Cavité VG", CAVITY),
        ("LV blood pool", CAVITY), ("Myokard", MYOCARDIUM), ("healthy myocardium", MYOCARDIUM), ("No-reflow", NO_REFLOW),
        ("MVO", NO_REFLOW), ("Segment_1", None), ("no scar", None), ("peri-infarct zone", None), ("Oscar", None),
        ("RV", None), ("remote", None), ("atrial scar", None),
    ],
)  # fmt: skip
def test_names_of_tissues_are_known_in_the_languages_of_users(name, number):
    assert class_named(name) == number


@pytest.mark.parametrize(
    ("category", "code", "number"),
    [
        ("SCT^85756007^Tissue", "SCT^12402003^Scar tissue", INFARCT),
        ("SRT^T-D0050^Tissue", "SRT^M-78060^Scar", INFARCT),
        ("SCT^49755003^Morphologically Altered Structure", "SCT^26036001^Obstruction", NO_REFLOW),
        ("SCT^49755003^Morphologically Abnormal Structure", "SCT^26036001^Obstruction", NO_REFLOW),
        ("SCT^49755003^Morphologically Altered Structure", "SCT^55641003^Infarct", INFARCT),
        ("SCT^123037004^Anatomical Structure", "SCT^74281007^Myocardium", MYOCARDIUM),
        ("SCT^91723000^Anatomical Structure", "SCT^49848007^Left Ventricle Myocardium", MYOCARDIUM),
        ("SCT^85756007^Tissue", "SCT^87612001^Blood", CAVITY),
        ("SCT^91720002^Body Substance", "SCT^87612001^Blood", CAVITY),
        ("SCT^123037004^Anatomical Structure", "SCT^87878005^Left ventricle", CAVITY),
        ("SCT^85756007^Tissue", "SCT^85756007^Tissue", None),
    ],
)
def test_codes_of_slicer_and_of_dicom_tell_a_renamed_segment(category, code, number):
    entry = f"Segmentation category and type - DICOM master list~{category}~{code}~^^~Anatomic codes~SCT^87878005^LV~^^"
    assert class_of_segment("Segment_1", entry) == number


def test_renamed_no_reflow_stays_no_reflow_and_our_former_files_are_read(tmp_path):
    mvo = f"{TAG}SCT^49755003^x~SCT^26036001^Obstruction~^^~Anatomic codes - DICOM master list~SCT^87878005^Left ventricle~^^|"
    former = f"{TAG}SCT^49755003^x~SCT^55641003^Infarct~^^~Anatomic codes - DICOM master list~SCT^87878005^Left ventricle~^^|"
    for name, tags in (("Scar core", mvo), ("Infarct", mvo), ("No-reflow", former)):
        told = [fields("Scar", Layer=0, LabelValue=3), fields(name, Layer=0, LabelValue=4, Tags=tags)]
        path = write_seg(tmp_path / "a.seg.nrrd", np.where(SCAR, TRUTH, 0), STUDY.geometry, told)
        assert np.array_equal(classes_on(STUDY, path, None, None)[0], np.where(SCAR, TRUTH, 0))


def test_a_code_of_another_region_says_nothing():
    entry = "x~SCT^85756007^Tissue~SCT^87612001^Blood~^^~x~SCT^53085002^Right ventricle~^^"
    assert class_of_segment("Segment_1", entry) is None


def test_a_name_that_contradicts_the_code_is_said(tmp_path):
    """Such as a copy of the scar that was grown into the wall and renamed."""
    told = [fields("Myocardium", Layer=0, LabelValue=1, Tags=f"{TAG}SCT^85756007^Tissue~SCT^12402003^Scar tissue~^^~~^^~^^|")]
    path = write_seg(tmp_path / "a.seg.nrrd", WALL, STUDY.geometry, told)
    with pytest.raises(StudyError, match="called left ventricular myocardium, but its terminology says scar tissue"):
        read_labels(path, STUDY)


def test_a_mask_over_the_whole_slice_is_said_and_not_measured(tmp_path):
    whole = SCAR.astype(np.uint8)
    whole[1] = 1
    write_volume(tmp_path / "scar.nii.gz", whole, STUDY)
    for read in (
        lambda: read_mask(tmp_path / "scar.nii.gz", STUDY),
        lambda: classes_on(STUDY, tmp_path / "scar.nii.gz", None, None),
    ):
        with pytest.raises(StudyError, match=r"covers 100% of a slice. Are scar and background exchanged"):
            read()


# ---- the generator's files

READ_RIGHT = "abcdghijnopqr"
EMPTY = "eflm"
REFUSED = {"k": r"another grid.*Resample", "s": "several segments called 'scar'"}


@pytest.fixture(scope="module")
def made(generated_cases):
    """The phantom study and the folder of segmentations that the generator makes."""
    folder = generated_cases("make_13_segmentations.py")
    base = np.load(folder / "base" / "psir.npz")
    geometry = Geometry(tuple(base["spacing"]), tuple(base["origin"]), base["direction"])
    image = Study("phantom", base["voxels"].astype(np.float32), geometry, Reconstruction.PSIR)
    return image, base["scar"] > 0, folder / "13-segmentations"


@pytest.mark.data
def test_every_segmentation_of_the_generator_is_read_right_or_refused_with_its_reason(made):
    image, truth, folder = made
    files = {path.name[0]: path for path in folder.iterdir() if path.name != "truth.nii.gz"}
    assert sorted(files) == sorted(READ_RIGHT + EMPTY + "".join(REFUSED))
    for letter, path in files.items():
        if letter in REFUSED:
            with pytest.raises(StudyError, match=REFUSED[letter]):
                read_mask(path, image)
        else:
            assert np.array_equal(read_mask(path, image), truth & (letter in READ_RIGHT)), path.name
