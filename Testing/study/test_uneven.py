"""Uneven stacks: what is written lies at the true places and weighs what was measured, and what is drawn in Slicer is read."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from MyoScarSegLib.prompts import Box
from MyoScarSegLib.quantification.burden import scar_burden
from MyoScarSegLib.result import Result
from MyoScarSegLib.study import Geometry, Reconstruction, Study, read_mask, read_study, write_segmentation, write_volume
from MyoScarSegLib.study.uneven import mean_grid, regular_grid
from Testing.support.dicom_factory import write_series

SHAPE = (7, 24, 30)
SHORT_AXIS = Rotation.from_euler("xyz", [0.5, -0.6, 0.9]).as_matrix()
OFFSETS = {
    "one slice is missing": [0, 10, 20, 40, 50, 60, 70],
    "two gaps": [0, 10, 30, 40, 70, 80, 90],
    "a gap at the end": [0, 10, 20, 30, 40, 50, 80],
    "breath-holds between the slices": [0, 9.2, 20.1, 30.4, 39.7, 52.3, 60.5],
    "half a distance": [0, 10, 20, 25, 35, 45, 55],
}


def mask_of(seed: int = 3) -> np.ndarray:
    mask = np.random.default_rng(seed).random(SHAPE) > 0.8
    mask[0], mask[:, 0], mask[:, :, 0] = False, False, False
    return mask


@pytest.fixture(params=OFFSETS)
def series(request, tmp_path):
    voxels = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
    return write_series(tmp_path / "exam", voxels, direction=SHORT_AXIS, origin=(5, -7, 20), offsets=OFFSETS[request.param])


def grams(path) -> float:
    image = sitk.ReadImage(str(path))
    return float((sitk.GetArrayFromImage(image) > 0).sum() * np.prod(image.GetSpacing()) * 1.05e-3)


def values_at_the_true_places(path, study) -> np.ndarray:
    """What a viewer shows of a file at the middle of every pixel that was acquired."""
    image, geometry = sitk.ReadImage(str(path)), study.geometry
    array = sitk.GetArrayFromImage(image)
    found = np.zeros(study.voxels.shape, dtype=array.dtype)
    steps = geometry.direction[:, :2] * np.asarray(geometry.spacing_mm[:2])
    for k, row, column in np.ndindex(found.shape):
        place = geometry.slice_origins_mm[k] + steps @ (column, row) + 0.01 * geometry.direction[:, 2]
        found[k, row, column] = array[image.TransformPhysicalPointToIndex([float(v) for v in place])[::-1]]
    return found


@pytest.mark.parametrize("name", ["scar.seg.nrrd", "scar.nii.gz", "scar.nrrd"])
def test_written_mask_lies_at_the_true_places_and_weighs_what_was_measured(series, tmp_path, name):
    study, mask = read_study(series), mask_of()
    assert study.geometry.slice_positions_mm is not None
    (write_segmentation if "seg" in name else write_volume)(tmp_path / name, mask, study)
    assert np.array_equal(values_at_the_true_places(tmp_path / name, study) > 0, mask)
    assert grams(tmp_path / name) == pytest.approx(scar_burden(mask, study.geometry).mass_g, rel=0.02)
    assert np.array_equal(read_mask(tmp_path / name, study), mask)


def test_scar_of_a_single_slice_beside_a_gap_weighs_the_same(series, tmp_path):
    study = read_study(series)
    for k in range(SHAPE[0]):
        mask = np.zeros(SHAPE, dtype=bool)
        mask[k, 4:9, 5:11] = True
        write_volume(tmp_path / "a.nii.gz", mask, study)
        assert grams(tmp_path / "a.nii.gz") == pytest.approx(scar_burden(mask, study.geometry).mass_g, rel=0.02)


def drawn_in_slicer(series, mask, path, *, rows=slice(None), slices=slice(None)):
    """A segmentation on the grid that ITK, and Slicer with it, makes of the series: with the mean distance; perhaps cropped."""
    reader = sitk.ImageSeriesReader()
    image = sitk.ReadImage(reader.GetGDCMSeriesFileNames(str(series)))
    drawn = sitk.GetImageFromArray(mask.astype(np.uint8))
    drawn.CopyInformation(image)
    drawn = drawn[:, rows, slices]
    fields = {"ID": "Scar", "Name": "Scar", "LabelValue": "1", "Layer": "0", "Extent": "0 29 0 23 0 6"}
    for key, value in fields.items():
        drawn.SetMetaData(f"Segment0_{key}", value)
    sitk.WriteImage(drawn, str(path), True)
    return path


@pytest.mark.filterwarnings("ignore")
def test_mask_drawn_in_slicer_is_read_slice_by_slice(series, tmp_path):
    study, mask = read_study(series), mask_of()
    assert np.array_equal(read_mask(drawn_in_slicer(series, mask, tmp_path / "a.seg.nrrd"), study), mask)
    cropped = drawn_in_slicer(series, mask, tmp_path / "b.seg.nrrd", rows=slice(3, 20), slices=slice(2, 6))
    expected = np.zeros_like(mask)
    expected[2:6, 3:20] = mask[2:6, 3:20]
    assert np.array_equal(read_mask(cropped, study), expected)
    turned = sitk.Flip(sitk.ReadImage(str(tmp_path / "a.seg.nrrd")), [False, False, True])
    sitk.WriteImage(turned, str(tmp_path / "c.nii.gz"))
    assert np.array_equal(read_mask(tmp_path / "c.nii.gz", study), mask)


def test_a_hand_that_draws_on_one_of_a_slices_two_layers_is_followed(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
    study = read_study(write_series(tmp_path / "exam", voxels, offsets=OFFSETS["one slice is missing"]))
    grid = regular_grid(study.geometry, SHAPE)
    assert grid.geometry.spacing_mm[2] == pytest.approx(5.0) and grid.slice_of.tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
        2,
        3,
        3,
        3,
        4,
        4,
        5,
        5,
        6,
        6,
    ]
    drawn = np.zeros(grid.shape, dtype=np.uint8)
    drawn[2, 4:6, 4:6] = 1
    drawn[5, 4:6, 4:6] = 1  # one of three is a minority
    assert grid.gathered(drawn).sum(axis=(1, 2)).tolist() == [0, 4, 0, 0, 0, 0, 0]


def test_slices_in_falling_order_lie_where_those_in_rising_order_do(tmp_path):
    """As a stack of the scene may have them."""
    positions = np.array(OFFSETS["two gaps"], dtype=float)
    up = Geometry((1.4, 1.4, 10.0), direction=np.eye(3), slice_positions_mm=positions)
    origins = np.column_stack([np.zeros(7), np.zeros(7), positions])[::-1]
    down = Geometry(
        (1.4, 1.4, 10.0),
        (0.0, 0.0, 90.0),
        np.diag([1.0, 1.0, -1.0]),
        slice_positions_mm=-positions[::-1],
        slice_origins_mm=origins,
    )
    mask = mask_of()
    for name, geometry, array in (("up", up, mask), ("down", down, mask[::-1])):
        write_segmentation(tmp_path / f"{name}.seg.nrrd", array, Study(name, array * 1.0, geometry, Reconstruction.PSIR))
    first, second = (sitk.ReadImage(str(tmp_path / f"{name}.seg.nrrd")) for name in ("up", "down"))
    assert first.GetOrigin() == pytest.approx(second.GetOrigin()) and first.GetSpacing() == pytest.approx(second.GetSpacing())
    assert np.array_equal(sitk.GetArrayFromImage(first), sitk.GetArrayFromImage(second))


def test_slices_shifted_in_plane_lie_at_their_places_to_half_a_pixel(tmp_path):
    def shifted(index):
        return {"ImagePositionPatient": [4.2 * (index % 3), -2.8 * (index % 2), 10.0 * index]}

    voxels = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
    study, mask = read_study(write_series(tmp_path / "exam", voxels, per_slice=shifted)), mask_of()
    write_volume(tmp_path / "a.nrrd", mask, study)
    assert np.array_equal(values_at_the_true_places(tmp_path / "a.nrrd", study) > 0, mask)
    assert np.array_equal(read_mask(tmp_path / "a.nrrd", study), mask)


def test_even_stacks_are_written_voxel_by_voxel(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
    study = read_study(write_series(tmp_path / "exam", voxels))
    assert regular_grid(study.geometry, SHAPE) is None and mean_grid(study.geometry) is None


def test_case_folder_of_an_uneven_stack_has_its_image_on_the_grid_of_the_masks(tmp_path):
    from MyoScarSegLib.outputs.case_files import write_case

    voxels = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
    for name, offsets in (("uneven", OFFSETS["two gaps"]), ("even", None)):
        study = read_study(write_series(tmp_path / name, voxels, **({"offsets": offsets} if offsets else {})))
        result = Result(study, mask_of().astype(np.float32), 0.5, (Box(1, 2, 2, 9, 9),), (), {}, {}, False, {})
        write_case(tmp_path / "out", result, picture=False)
        assert (tmp_path / "out" / "image.nrrd").is_file() == (name == "uneven")
        if name == "uneven":
            assert any("image.nrrd" in note for note in study.notes)
            assert np.array_equal(values_at_the_true_places(tmp_path / "out" / "image.nrrd", study), study.voxels)
            mask, image = (sitk.ReadImage(str(tmp_path / "out" / file)) for file in ("scar.nii.gz", "image.nrrd"))
            assert mask.GetSize() == image.GetSize() and mask.GetOrigin() == pytest.approx(image.GetOrigin(), abs=1e-4)


@pytest.mark.data
def test_generated_stack_with_a_gap_takes_the_mask_drawn_in_slicer(generated_cases, tmp_path):
    folder = generated_cases("make_21_uneven_with_mask.py")
    base = np.load(folder / "base" / "psir.npz")
    kept = base["scar"][[0, 1, 2, 4, 5, 6, 7]] > 0
    study = read_study(folder / "21-uneven-with-mask" / "dicom")
    mask = read_mask(folder / "21-uneven-with-mask" / "drawn_in_slicer.seg.nrrd", study)
    in_rising_order = mask if np.array_equal(mask, kept) else mask[::-1]
    assert np.array_equal(in_rising_order, kept)
    write_segmentation(tmp_path / "scar.seg.nrrd", mask, study)
    assert grams(tmp_path / "scar.seg.nrrd") == pytest.approx(scar_burden(mask, study.geometry).mass_g, rel=0.02)
