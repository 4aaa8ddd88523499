"""Scar and walls from DICOM SEG and RTSTRUCT, through the door that every user of masks takes."""

from __future__ import annotations

from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.outputs.dicom_segmentation import write_dicom_seg
from MyoScarSegLib.study.masks import read_labels, read_mask
from MyoScarSegLib.study.reader import read_study
from MyoScarSegLib.study.tissue import BLOOD_POOL, CAVITY, INFARCT, MVO, MYOCARDIUM, NO_REFLOW, SCAR, WALL, border_named
from MyoScarSegLib.study.writer import write_volume
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.datasets.labelmaps import classes_on
from MyoScarSegLib.training.evaluation.common_grid import common_grid
from Testing.support.dicom_factory import write_series, write_structure_set

FRAME = "1.2.826.0.1.3680043.8.498.2"
SHAPE = (4, 30, 26)
rng = np.random.default_rng(3)
OBLIQUE = np.linalg.qr(rng.normal(size=(3, 3)))[0]
OBLIQUE[:, 2] *= np.sign(np.linalg.det(OBLIQUE))
SPACING = (1.5, 1.2, 9.0)
ROW, COLUMN = np.mgrid[:30, :26]
RADIUS = np.hypot((ROW - 14.2) * SPACING[1], (COLUMN - 12.7) * SPACING[0])
POOL_MASK = np.broadcast_to(RADIUS < 6, SHAPE)
WALL_MASK = np.broadcast_to((RADIUS >= 6) & (RADIUS < 13), SHAPE)
SCAR_MASK = WALL_MASK & (COLUMN > 12) & (np.arange(4) > 0)[:, None, None]
NONE = np.zeros(SHAPE, dtype=bool)


@pytest.fixture
def study(tmp_path):
    voxels = rng.integers(0, 900, SHAPE).astype(np.int16)
    return read_study(
        write_series(
            tmp_path / "series", voxels, spacing=SPACING, direction=OBLIQUE, origin=(9, -8, 30), FrameOfReferenceUID=FRAME
        )
    )


def exported(study, path):
    masks = {SCAR: SCAR_MASK, WALL: WALL_MASK, BLOOD_POOL: POOL_MASK, MVO: NONE}
    write_dicom_seg(path, study, masks, provenance={"segmenter": "m"})
    return path


def classes(path, study):
    return {segment.number: segment.mask for segment in read_labels(path, study).segments}


def test_our_own_segmentation_comes_back_as_mask_and_as_classes(study, tmp_path):
    path = exported(study, tmp_path / "m.dcm")
    assert np.array_equal(read_mask(path, study), SCAR_MASK)
    found = classes(path, study)
    expected = {INFARCT: SCAR_MASK, MYOCARDIUM: WALL_MASK, CAVITY: POOL_MASK, NO_REFLOW: NONE}
    assert {number: np.array_equal(found[number], mask) for number, mask in expected.items()} == dict.fromkeys(expected, True)
    labels, known = classes_on(study, path, None, None)
    assert known and set(np.unique(labels)) == {0, CAVITY, MYOCARDIUM, INFARCT} and np.array_equal(labels == INFARCT, SCAR_MASK)


@pytest.mark.parametrize("kind", ["FRACTIONAL", "LABELMAP"])
def test_fractional_segmentations_count_from_half_on_and_label_maps_by_their_values(study, tmp_path, kind):
    sources = [pydicom.dcmread(file.path) for file in study.files]
    described = [
        highdicom.seg.SegmentDescription(number, name, category, code, "MANUAL")
        for number, (name, category, code) in enumerate(
            [
                ("myo", codes.SCT.AnatomicalStructure, codes.SCT.LeftVentricleMyocardium),
                ("nobody knows", codes.SCT.Tissue, codes.SCT.ScarTissue),
            ],
            start=1,
        )
    ]
    for source in sources:
        for name in ("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "PatientSex"):
            setattr(source, name, "")
    pixels = np.stack([WALL_MASK & ~SCAR_MASK, SCAR_MASK], axis=-1)
    if kind == "FRACTIONAL":
        pixels = np.where(pixels, 0.6, 0.4)
    segmentation = highdicom.seg.Segmentation(
        sources, pixels if kind == "FRACTIONAL" else pixels.astype(np.uint8), kind, described, highdicom.UID(), 1,
        highdicom.UID(), 1, "x", "x", "1", "1",
    )  # fmt: skip
    segmentation.save_as(tmp_path / "m.dcm")
    assert np.array_equal(read_mask(tmp_path / "m.dcm", study), SCAR_MASK)
    assert np.array_equal(classes(tmp_path / "m.dcm", study)[MYOCARDIUM], WALL_MASK & ~SCAR_MASK)


def test_a_mirrored_cropped_frame_is_put_where_it_lies(study, tmp_path):
    path = exported(study, tmp_path / "m.dcm")
    segmentation = pydicom.dcmread(path)
    pixels = segmentation.pixel_array[:, 3:, ::-1]  # three rows less, columns from right to left
    segmentation.Rows = pixels.shape[1]
    segmentation.PixelData = np.packbits(pixels.reshape(-1), bitorder="little").tobytes()
    row, column = study.geometry.direction[:, 0], study.geometry.direction[:, 1]
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [*map(float, -row), *map(float, column)]
    for group in segmentation.PerFrameFunctionalGroupsSequence:
        place = group.PlanePositionSequence[0]
        first = np.array(place.ImagePositionPatient, dtype=float) + row * SPACING[0] * 25 + column * SPACING[1] * 3
        place.ImagePositionPatient = [*map(float, first)]
    segmentation.save_as(path)
    assert np.array_equal(read_mask(path, study), SCAR_MASK)


def changed(study, path, change):
    dataset = pydicom.dcmread(exported(study, path))
    change(dataset)
    dataset.save_as(path)
    return path


def shifted(by):
    def change(dataset):
        for group in dataset.PerFrameFunctionalGroupsSequence:
            place = group.PlanePositionSequence[0]
            place.ImagePositionPatient = [*map(float, np.array(place.ImagePositionPatient, dtype=float) + by)]

    return change


def test_a_segmentation_of_other_images_is_refused_with_what_differs(study, tmp_path):
    path = tmp_path / "m.dcm"
    with pytest.raises(StudyError, match="in none of the slices"):
        read_mask(changed(study, path, shifted(4.0 * OBLIQUE[:, 2])), study)
    with pytest.raises(StudyError, match="other pixels"):
        read_mask(changed(study, path, shifted(0.7 * OBLIQUE[:, 0])), study)
    with pytest.raises(StudyError, match="reaches beyond the images"):
        read_mask(changed(study, path, shifted(16 * 1.5 * OBLIQUE[:, 0])), study)

    def coarser(dataset):
        dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1.3, 1.5]

    with pytest.raises(StudyError, match="other pixels"):
        read_mask(changed(study, path, coarser), study)

    def elsewhere(dataset):
        dataset.FrameOfReferenceUID = "1.2.3.4"

    with pytest.raises(StudyError, match="another frame of reference"):
        read_mask(changed(study, path, elsewhere), study)
    # Of a copy of the images in another format no frame is known, and the place decides.
    assert np.array_equal(read_mask(path, replace(study, files=())), SCAR_MASK)
    with pytest.raises(StudyError, match="of the kind MR"):
        read_mask(study.files[0].path, study)


def test_code_and_name_that_contradict_each_other_are_told(study, tmp_path):
    def renamed(dataset):
        dataset.SegmentSequence[0].SegmentLabel = "LV blood pool"

    with pytest.raises(StudyError, match="is called blood pool, but its terminology says scar tissue"):
        read_mask(changed(study, tmp_path / "m.dcm", renamed), study)


def circle(study, k, radius_mm, center=(12.7, 14.2), points=240):
    """LPS points of a circle around a pixel's center ``(i, j)`` in slice ``k``."""
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    around = np.outer(np.cos(turn), OBLIQUE[:, 0]) + np.outer(np.sin(turn), OBLIQUE[:, 1])
    middle = (
        study.geometry.origins_mm(study.slices)[k]
        + OBLIQUE[:, 0] * SPACING[0] * center[0]
        + OBLIQUE[:, 1] * SPACING[1] * center[1]
    )
    return middle + radius_mm * around


def structure_set(path, regions, frame=FRAME):
    return write_structure_set(path, regions, frame)


def closed(*curves):
    return [("CLOSED_PLANAR", points) for points in curves]


def borders(study, names=("LV Endo", "LV Epi")):
    slices = range(4)
    return [(name, closed(*(circle(study, k, r) for k in slices))) for name, r in zip(names, (6, 13), strict=True)]


@pytest.mark.parametrize(
    ("names", "scar"),
    [
        (("LV Endo", "LV Epi"), "Scar"),
        (("saendocardialContour", "saepicardialContour"), "LGE scar ROI 1"),
        (("Endokard", "Epikard"), "Infarkt"),
        (("Endocarde VG", "Épicarde VG"), "Cicatrice"),
        (("endocardio", "epicardio"), "Infarto"),
        (("эндокард ЛЖ", "эпикард ЛЖ"), "рубец"),
        (("左室心内膜", "左室心外膜"), "瘢痕"),
        (("심내막", "심외막"), "흉터"),
    ],
)
def test_contours_of_other_programs_become_wall_cavity_and_scar_by_the_centers_of_pixels(study, tmp_path, names, scar):
    small = [(scar, closed(circle(study, 2, 3.4, (18, 14))))]
    dataset = structure_set(tmp_path / "c.dcm", borders(study, names) + small)
    text = pydicom.dcmread(dataset)
    text.SpecificCharacterSet = "ISO_IR 192"
    for roi, (name, _) in zip(text.StructureSetROISequence, borders(study, names) + small, strict=True):
        roi.ROIName = name
    text.save_as(dataset)
    found = classes(dataset, study)
    assert set(found) == {CAVITY, MYOCARDIUM, INFARCT}
    assert np.array_equal(found[CAVITY], POOL_MASK) and np.array_equal(found[MYOCARDIUM], WALL_MASK)
    expected = NONE.copy()
    expected[2] = np.hypot((ROW - 14) * SPACING[1], (COLUMN - 18) * SPACING[0]) < 3.4
    assert np.array_equal(found[INFARCT], expected) and expected.any()
    assert np.array_equal(read_mask(dataset, study), expected)


def test_contours_within_others_are_holes_copies_count_once_and_regions_of_a_name_are_one(study, tmp_path):
    ring = closed(circle(study, 1, 9), circle(study, 1, 4), circle(study, 1, 1.6), circle(study, 1, 9))
    path = structure_set(tmp_path / "c.dcm", [("Scar", ring), ("Scar", closed(circle(study, 3, 5)))])
    expected = NONE.copy()
    expected[1] = ((RADIUS < 9) & (RADIUS >= 4)) | (RADIUS < 1.6)
    expected[3] = RADIUS < 5
    assert np.array_equal(read_mask(path, study), expected)


def test_the_tip_is_wall_without_cavity(study, tmp_path):
    path = structure_set(
        tmp_path / "c.dcm",
        [("endo", closed(circle(study, 1, 6))), ("epi", closed(circle(study, 0, 7), circle(study, 1, 13)))],
    )
    found = classes(path, study)
    assert np.array_equal(found[MYOCARDIUM][0], RADIUS < 7) and not found[CAVITY][0].any()
    assert np.array_equal(found[MYOCARDIUM][1], WALL_MASK[1])


def test_contours_that_cannot_be_used_are_told(study, tmp_path):
    path, scar = tmp_path / "c.dcm", circle(study, 2, 4)
    with pytest.raises(StudyError, match="'Scar' is open in slice 2"):
        read_mask(structure_set(path, [("Scar", [("OPEN_PLANAR", scar)])]), study)
    with pytest.raises(StudyError, match="'Scar' lies in none of the slices"):
        read_mask(structure_set(path, [("Scar", closed(scar + 3 * OBLIQUE[:, 2]))]), study)
    with pytest.raises(StudyError, match="'Scar' lies in none of the slices"):  # tilted against the slices
        read_mask(structure_set(path, [("Scar", closed(scar + np.outer(np.linspace(-2, 2, 240), OBLIQUE[:, 2])))]), study)
    with pytest.raises(StudyError, match="and no endocardial one"):
        read_labels(structure_set(path, borders(study)[1:]), study)
    with pytest.raises(StudyError, match="several contours of one border"):
        read_labels(structure_set(path, [*borders(study), ("Endo 2", closed(scar))]), study)
    with pytest.raises(StudyError, match="another frame of reference"):
        read_mask(structure_set(path, [("Scar", closed(scar))], frame="1.2.3.4"), study)
    with pytest.raises(StudyError, match="without any contour"):
        read_mask(structure_set(path, []), study)
    named = [*borders(study), ("Enhanced Area", closed(scar))]  # a name that another program gave, where nobody can change it
    with pytest.raises(StudyError, match=r"Enhanced Area \(1\).* --labels 'scar=1'"):
        read_mask(structure_set(path, named), study)
    assert classes_on(study, path, {0: 0, 1: INFARCT}, None)[0].max() == INFARCT
    # What says nothing to us is no reason to refuse the rest.
    other = [("localizer line", [("OPEN_PLANAR", scar)]), ("RV insertion", [("POINT", scar[:1])])]
    assert read_mask(structure_set(path, [("Scar", closed(scar)), *other]), study).any()


@pytest.mark.parametrize(
    "name", ["RV endo", "epicardial fat", "subendocardial scar", "Endocardial infarct", "Episode", "LV", "remote"]
)
def test_names_that_are_no_border(name):
    assert border_named(name) is None


def test_masks_of_both_kinds_are_imported_with_the_dicom_images_and_compared_with_volumes(study, tmp_path):
    data = tmp_path / "data"
    for name in ("a", "b"):
        folder = data / name / "images" / name
        folder.mkdir(parents=True)
        for file in study.files:
            (folder / file.path.name).write_bytes(file.path.read_bytes())
        (data / name / "labels").mkdir()
    exported(study, data / "a" / "labels" / "a.dcm")
    structure_set(data / "b" / "labels" / "b.dcm", [*borders(study), ("Scar", closed(circle(study, 2, 3.4, (18, 14))))])
    labeled, failed = read_dataset(data).studies()
    assert not failed and [one.case for one in labeled] == ["a", "b"]
    assert all(one.wall_known for one in labeled)
    assert np.array_equal(labeled[0].labels >= INFARCT, SCAR_MASK) and (labeled[1].labels == INFARCT).any()
    write_volume(tmp_path / "truth.nii.gz", SCAR_MASK.astype(np.uint8), study)
    grid = common_grid(data / "a" / "labels" / "a.dcm", tmp_path / "truth.nii.gz")
    assert np.array_equal(read_mask(data / "a" / "labels" / "a.dcm", grid), read_mask(tmp_path / "truth.nii.gz", grid))
    with pytest.raises(StudyError, match=r"both DICOM.*--image"):
        common_grid(data / "a" / "labels" / "a.dcm", data / "b" / "labels" / "b.dcm")


def without_frames_of(*slices):
    """Takes the frames of these slices out of a segmentation of four slices, as programs do that write no empty frames."""

    def change(dataset):
        stored = dataset.pixel_array
        kept = [n for n in range(len(stored)) if n % 4 not in slices]
        dataset.PixelData = np.packbits(stored[kept].reshape(-1), bitorder="little").tobytes()
        dataset.NumberOfFrames = len(kept)
        dataset.PerFrameFunctionalGroupsSequence = [dataset.PerFrameFunctionalGroupsSequence[n] for n in kept]

    return change


def test_two_segmentations_that_say_how_far_slices_lie_apart_have_a_grid_of_their_own(study, tmp_path):
    whole, part = exported(study, tmp_path / "a.dcm"), changed(study, tmp_path / "b.dcm", without_frames_of(0, 3))
    inner = SCAR_MASK.copy()
    inner[[0, 3]] = False
    for pair, slices in (((whole, part), slice(0, 4)), ((part, whole), slice(0, 4)), ((part, part), slice(1, 3))):
        grid = common_grid(*pair)
        assert np.allclose(grid.geometry.spacing_mm, SPACING)
        assert np.allclose(grid.geometry.origin_mm, study.geometry.origins_mm(4)[slices.start], atol=1e-3)
        for path in pair:
            assert np.array_equal(read_mask(path, grid), (SCAR_MASK if path is whole else inner)[slices])


@pytest.mark.parametrize("what", ["distance", "gap", "frame"])
def test_two_segmentations_that_do_not_say_their_grid_need_the_study(study, tmp_path, what):
    def change(dataset):
        if what == "distance":
            del dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices
        elif what == "frame":
            dataset.FrameOfReferenceUID = "1.2.3.4"
        else:  # said of the whole stack, of which the frames that are left know nothing
            without_frames_of(1, 2)(dataset)

    whole, other = exported(study, tmp_path / "a.dcm"), changed(study, tmp_path / "b.dcm", change)
    with pytest.raises(StudyError, match="--image"):
        common_grid(other, other if what == "gap" else whole)
