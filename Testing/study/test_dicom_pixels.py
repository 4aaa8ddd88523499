"""Pixels of DICOM files: padding, bits within words, byte orders, floats; and headers that are not quite by the book."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study import Reconstruction, read_study
from MyoScarSegLib.study.normalization import normalize
from Testing.support.dicom_factory import new_dataset, write_dataset, write_enhanced, write_series

UNNAMED = {"description": "LGE_SAX", "image_type": ("ORIGINAL", "PRIMARY", "OTHER")}


def tissue(low=0, high=1500, slices=5, shape=(24, 20), dtype=np.int16) -> np.ndarray:
    array = np.random.default_rng(3).integers(low, high, (slices, *shape)).astype(dtype)
    array[:, 10:14, 8:12] = high + 300
    return array


def ring(shape) -> np.ndarray:
    row, column = np.ogrid[: shape[0], : shape[1]]
    return (row / (shape[0] - 1) * 2 - 1) ** 2 + (column / (shape[1] - 1) * 2 - 1) ** 2 > 1.2


def padded(array, value, dtype=None):
    result = array.astype(np.int64)
    result[:, ring(array.shape[1:])] = value
    return result.astype(dtype or array.dtype)


def declare(folder, vr, value, limit=None):
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.add_new(0x00280120, vr, value)
        if limit is not None:
            dataset.add_new(0x00280121, vr, limit)
        dataset.save_as(file)
    return folder


def assert_padding_is_not_seen(study, array):
    """Only padded pixels differ, they are the darkest, and the measured ones look as if the padding had been air."""
    pad = np.broadcast_to(ring(array.shape[1:]), array.shape)
    assert np.allclose(study.voxels[~pad], array[~pad])
    assert normalize(study.voxels[2])[pad[2]].max() < 1e-4
    clean = array.astype(float)
    clean[pad] = np.percentile(array[~pad], 0.5)
    assert np.allclose(normalize(study.voxels[2]), normalize(clean[2]), atol=0.03)
    assert any("padding" in note for note in study.notes)


@pytest.mark.parametrize("tag", [True, False])
@pytest.mark.parametrize(
    ("low", "value", "dtype"),
    [(0, -2000, np.int16), (0, -32768, np.int16), (0, 65535, np.uint16), (0, 32767, np.int16), (-300, -4096, np.int16)],
)
def test_padding_touches_neither_range_nor_kind_nor_display(tmp_path, low, value, dtype, tag):
    array = tissue(low)
    folder = write_series(tmp_path, padded(array, value, dtype), **UNNAMED)
    if tag:
        declare(folder, "SS" if dtype is np.int16 else "US", value)
    study = read_study(folder)
    assert_padding_is_not_seen(study, array)
    assert study.reconstruction is (Reconstruction.PSIR if low < 0 else Reconstruction.MAGNITUDE)


@pytest.mark.parametrize(
    ("value", "dtype", "vr", "written"),
    [(-2000, np.int16, "US", 63536), (63536, np.uint16, "SS", -2000), (65535, np.uint16, "SS", -1)],
)
def test_padding_value_written_with_the_wrong_sign_is_understood(tmp_path, value, dtype, vr, written):
    array = tissue()
    assert_padding_is_not_seen(
        read_study(declare(write_series(tmp_path, padded(array, value, dtype), **UNNAMED), vr, written)), array
    )


def test_padding_that_only_some_headers_declare_is_left_out_everywhere(tmp_path):
    array = tissue()
    folder = write_series(tmp_path, padded(array, -2000), **UNNAMED)
    whole = {file: file.read_bytes() for file in sorted(folder.iterdir())[1:]}
    declare(folder, "SS", -2000)
    for file, data in whole.items():
        file.write_bytes(data)
    assert_padding_is_not_seen(read_study(folder), array)


@pytest.mark.parametrize("limits", [(-3000, -2000), (-2000, -3000)])
def test_range_of_padding_values_is_left_out(tmp_path, limits):
    array = tissue()
    stored = padded(array, -2500)
    stored[:, 0] = -2000
    stored[:, -1] = -3000
    array[:, [0, -1]] = 0
    study = read_study(declare(write_series(tmp_path, stored, **UNNAMED), "SS", *limits))
    assert study.voxels.min() >= 0 and study.reconstruction is Reconstruction.MAGNITUDE


def test_padding_is_a_stored_value_before_rescale(tmp_path):
    array = tissue()
    folder = declare(write_series(tmp_path, padded(array, -2000), RescaleSlope=0.5, RescaleIntercept=-10, **UNNAMED), "SS", -2000)
    assert_padding_is_not_seen(read_study(folder), array * 0.5 - 10)


def test_padding_written_after_rescale_is_understood_too(tmp_path):
    array = tissue(500)
    folder = declare(
        write_series(tmp_path, padded(array, 0, np.uint16), RescaleSlope=1, RescaleIntercept=-2048, **UNNAMED), "SS", -2048
    )
    pad = np.broadcast_to(ring(array.shape[1:]), array.shape)
    assert read_study(folder).voxels[pad].min() > -2048


def test_tissue_with_the_padding_value_stays_where_it_does_not_touch_the_border(tmp_path):
    array = tissue(-300)
    array[:, 6:9, 6:9] = 0
    study = read_study(declare(write_series(tmp_path, padded(array, 0)), "SS", 0))
    assert (study.voxels[:, 6:9, 6:9] == 0).all() and study.voxels[:, 0, 0].max() < -250


def test_black_background_of_a_magnitude_image_is_not_taken_for_padding(tmp_path):
    array = padded(tissue(1), 0)
    study = read_study(write_series(tmp_path, array, **UNNAMED))
    assert np.array_equal(study.voxels, array) and not any("padding" in note for note in study.notes)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
@pytest.mark.parametrize("shift", [4, 0])
def test_twelve_bits_with_high_bit_15_are_read_wherever_they_are(tmp_path, dtype, shift):
    array = tissue(0 if dtype is np.uint16 else -1500, dtype=dtype)
    assert np.array_equal(read_study(write_series(tmp_path, array << shift, BitsStored=12, HighBit=15)).voxels, array)


def test_bits_above_the_stored_ones_are_no_part_of_the_value(tmp_path):
    array = tissue(dtype=np.uint16)
    assert np.array_equal(read_study(write_series(tmp_path, array | 0x4000, BitsStored=12, HighBit=11)).voxels, array)


def test_signed_values_without_extended_sign_are_negative(tmp_path):
    array = tissue(-1500)
    assert np.array_equal(read_study(write_series(tmp_path, array & 0x0FFF, BitsStored=12, HighBit=11)).voxels, array)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32])
def test_32_bits_are_read(tmp_path, dtype):
    assert np.array_equal(read_study(write_series(tmp_path, tissue(dtype=dtype) * 1000)).voxels, tissue() * 1000.0)


@pytest.mark.parametrize(("attribute", "dtype"), [("FloatPixelData", np.float32), ("DoubleFloatPixelData", np.float64)])
def test_float_pixels_are_read_without_their_padding(tmp_path, attribute, dtype):
    array = tissue()
    folder = write_series(tmp_path, array, **UNNAMED)
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        values = np.where(ring(array.shape[1:]), -1e6, dataset.pixel_array / 4).astype(dtype)
        del dataset.PixelData, dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit
        dataset.BitsAllocated = 8 * values.itemsize
        setattr(dataset, attribute, values.tobytes())
        setattr(dataset, attribute.replace("Data", "PaddingValue"), -1e6)
        dataset.save_as(file)
    assert_padding_is_not_seen(read_study(folder), array / 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_every_uncompressed_syntax_is_read(tmp_path, syntax, dtype):
    array = (tissue() % 120).astype(dtype)
    for k, pixels in enumerate(array):
        stored = pixels.astype(">i2") if syntax is ExplicitVRBigEndian and dtype is np.int16 else pixels
        dataset = new_dataset(pixels, SeriesInstanceUID="1.2.5", SeriesDescription="LGE sax", PixelSpacing=[1, 1])
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 10 * k], [1, 0, 0, 0, 1, 0]
        dataset.PixelData = stored.tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        write_dataset(tmp_path / f"{k}", dataset)
    assert np.array_equal(read_study(tmp_path).voxels, array)


def test_text_where_numbers_belong_and_decimal_commas_are_read(tmp_path):
    folder = write_series(tmp_path, tissue(), spacing=(1.8, 1.8, 10.0))
    for file in folder.iterdir():
        data = file.read_bytes()
        long = b"1.80000000000000004441"  # longer than the 16 characters that DS may have
        data = data.replace(b"DS\x08\x001.8\\1.8 ", b"UT\x00\x00" + (45).to_bytes(4, "little") + long + b"\\" + long)
        file.write_bytes(data.replace(b"8.0 ", b"8,0 "))
    study = read_study(folder)
    assert study.geometry.spacing_mm == pytest.approx((1.8, 1.8, 10.0)) and study.source["slice_thickness_mm"] == "8"


def old_multi_frame(folder, **attributes):
    array = tissue()
    dataset = new_dataset(array, "1.2.840.10008.5.1.4.1.1.7.3", NumberOfFrames=5, SeriesInstanceUID="1.2.5", **attributes)
    dataset.SeriesDescription, dataset.PixelSpacing = "LGE sax", [1.5, 1.5]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [1, 2, 3], [1, 0, 0, 0, 1, 0]
    return array, write_dataset(folder / "old.dcm", dataset)


@pytest.mark.parametrize("given", [{"SpacingBetweenSlices": 9}, {"SpacingBetweenSlices": -9}])
def test_old_multi_frame_file_with_one_position_lies_at_its_slice_distance(tmp_path, given):
    array, file = old_multi_frame(tmp_path, **given)
    study = read_study(file)
    step = given["SpacingBetweenSlices"]
    assert np.array_equal(study.voxels, array[:: np.sign(step)])
    assert study.geometry.spacing_mm == pytest.approx((1.5, 1.5, 9)) and not study.problems
    assert study.geometry.origin_mm == pytest.approx((1, 2, 3 + min(0, 4 * step)))


def test_old_multi_frame_file_without_slice_distance_says_so(tmp_path):
    array, file = old_multi_frame(tmp_path)
    study = read_study(file)
    assert np.array_equal(study.voxels, array) and study.geometry.spacing_mm is None
    assert "position" in study.problems[0] and "--spacing" in study.problems[0]


def test_frames_that_follow_each_other_in_time_are_no_stack(tmp_path):
    _, file = old_multi_frame(tmp_path, SpacingBetweenSlices=9, FrameIncrementPointer=0x00181063)
    with pytest.raises(StudyError):
        read_study(file)


@pytest.mark.parametrize("says", [lambda k: {"SpacingBetweenSlices": 8.5}, lambda k: {"SliceLocation": 8.5 * k}])
def test_distance_without_positions_is_taken_from_the_header(tmp_path, says):
    study = read_study(write_series(tmp_path, tissue(), positions=False, per_slice=says))
    assert study.geometry.spacing_mm == pytest.approx((1.4, 1.4, 8.5)) and not study.problems
    assert any("8.5 mm" in note for note in study.notes)


def test_palette_color_is_refused(tmp_path):
    folder = write_series(tmp_path, (tissue() % 99).astype(np.uint8), PhotometricInterpretation="PALETTE COLOR")
    with pytest.raises(StudyError, match="in color"):
        read_study(folder)


def test_frames_of_a_file_that_is_cut_short_are_read_as_far_as_they_go(tmp_path):
    array = tissue()
    path = write_enhanced(tmp_path / "a.dcm", array)
    path.write_bytes(path.read_bytes()[:-700])
    study = read_study(path)
    assert set(study.bad_slices) == {4} and np.array_equal(study.voxels[:4], array[:4])
