"""The one intensity normalization."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from MyoScarSegLib.study.normalization import NORMALIZATION, Normalization, normalize


def _image(seed: int = 0, shape: tuple[int, int] = (40, 50)) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, 100.0, shape)


def test_values_between_the_percentiles_are_mapped_linearly_to_0_and_1():
    image = np.arange(1001, dtype=np.float64).reshape(7, 143)  # 0..1000: percentile p is 10 p
    result = normalize(image)
    expected = np.clip((image - 5.0) / (998.0 - 5.0), 0, 1)
    assert result.dtype == np.float32
    assert np.allclose(result, expected, atol=1e-6)


def test_the_parameters_are_those_that_checkpoints_record():
    assert Normalization(version=1, low_percentile=0.5, high_percentile=99.8) == NORMALIZATION


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 1000), factor=st.floats(1e-30, 1e30), shift=st.floats(-100, 100))
def test_scaling_and_shifting_the_input_change_nothing(seed, factor, shift):
    image = _image(seed, (12, 17))
    spread = image.max() - image.min()
    assert np.allclose(normalize((image + shift * spread) * factor), normalize(image), atol=1e-5)


def test_signed_and_unsigned_images_are_treated_alike():
    magnitude = np.round(_image())
    psir = magnitude - 300
    assert np.allclose(normalize(psir.astype(np.int16)), normalize(magnitude.astype(np.uint16)), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64, ">i2", ">f4"])
def test_the_type_of_the_voxels_does_not_matter(dtype):
    image = np.round(_image() / _image().max() * 200)
    assert np.allclose(normalize(image.astype(dtype)), normalize(image), atol=1e-6)


def test_neither_memory_layout_nor_the_input_itself_is_touched():
    image = _image()
    image.setflags(write=False)
    assert np.array_equal(normalize(np.asfortranarray(image)), normalize(image))
    assert np.array_equal(normalize(image[::2, ::-1]), normalize(image[::2, ::-1].copy()))


@pytest.mark.parametrize("value", [0, -7, 3.5, 65535, 1e30])
def test_a_constant_slice_is_all_zero(value):
    result = normalize(np.full((5, 6), value))
    assert result.shape == (5, 6)
    assert not result.any()


def test_a_slice_that_is_constant_but_for_a_few_pixels_keeps_them():
    image = np.zeros((100, 100))
    image[3, 4] = 9
    result = normalize(image)
    assert result[3, 4] == 1.0
    assert result.sum() == 1.0


def test_single_hot_pixels_do_not_darken_the_rest():
    image = _image(shape=(100, 100))
    hot = image.copy()
    hot[0, :3] = 1e6
    assert np.abs(normalize(hot)[1:] - normalize(image)[1:]).max() < 0.05


@pytest.mark.parametrize("spread", [1e-45, 1e-40, 1e-300, 1e38, 1e300])
def test_extreme_ranges_give_numbers_from_0_to_1(spread):
    image = np.linspace(-1, 1, 400).reshape(20, 20) * spread
    result = normalize(image)
    assert np.isfinite(result).all()
    assert result.min() >= 0
    assert result.max() <= 1


def test_large_offsets_do_not_cost_contrast():
    image = _image()
    assert np.allclose(normalize(image + 1e8), normalize(image), atol=1e-4)
