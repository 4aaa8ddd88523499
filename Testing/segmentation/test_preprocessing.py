"""Each foreign checkpoint gets the input that it was trained with; ours gets ours. Values are checked against PIL and numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.segmentation.preprocessing import check_normalization, preprocessing
from MyoScarSegLib.study.image_quality import quieted
from MyoScarSegLib.study.normalization import normalize

SHAPE = (60, 100)
MEAN = np.array([123.675, 116.28, 103.53])
DEVIATION = np.array([58.395, 57.12, 57.375])


@pytest.fixture(scope="module")
def image():
    """Smooth structures with noise, non-square, with a dark border and negative values, as a PSIR slice."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    smooth = 300 * np.exp(-(((x - 60) / 20) ** 2 + ((y - 25) / 12) ** 2)) - 80
    values = smooth + random.normal(0, 15, SHAPE)
    values[:, :8] = 0
    return values


def _input(name: str, image: np.ndarray, side: int, spacing=None) -> tuple[np.ndarray, tuple[int, int]]:
    recipe = preprocessing(name)
    frame = recipe.frame(image.shape, side, spacing)
    tensor = recipe.network_input(image, frame)
    assert tensor.shape == (3, side, side)
    assert tensor.dtype == torch.float32
    return tensor.numpy(), frame.content


def _resized(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """PIL's bilinear filter: anti-aliased, aligned to pixel edges, independent of torch's."""
    return np.asarray(Image.fromarray(values.astype(np.float32), mode="F").resize((columns, rows), Image.Resampling.BILINEAR))


def _percentiles(values, low, high):
    ordered = np.sort(np.ravel(values).astype(float))
    place = (ordered.size - 1) * np.array([low, high]) / 100
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, ordered.size - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def test_sam_gets_its_mean_and_deviation_with_the_long_side_1024_and_zeros_below(image):
    assert preprocessing("sam").side == 1024
    tensor, content = _input("sam", image, 1024)
    assert content == (614, 1024)  # 60 * 10.24 = 614.4
    low, high = _percentiles(image, 0.5, 99.8)
    grey = _resized(np.clip((image - low) / (high - low), 0, 1) * 255, 614, 1024)
    for channel in range(3):
        expected = (grey - MEAN[channel]) / DEVIATION[channel]
        assert np.abs(tensor[channel, :614] - expected).max() < 1e-3
    assert not tensor[:, 614:].any()  # padded after normalizing: zero, not minus mean over deviation


def test_a_high_slice_is_padded_on_the_right(image):
    tensor, content = _input("sam", image.T, 1024)
    assert content == (1024, 614)
    assert not tensor[:, :, 614:].any()
    assert tensor[:, :, :614].any()


def test_medsam_gets_the_stretched_square_from_0_to_1(image):
    assert preprocessing("medsam").side == 1024
    tensor, content = _input("medsam", image, 1024)
    assert content == (1024, 1024)
    low, high = _percentiles(image[image != 0], 0.5, 99.5)
    clipped = np.clip(image, low, high)
    expected = _resized((clipped - clipped.min()) / (clipped.max() - clipped.min()), 1024, 1024)
    assert np.abs(tensor - expected).max() < 1e-5
    assert tensor.min() >= 0
    assert tensor.max() <= 1


def test_litemedsam_gets_the_long_side_256_from_0_to_1(image):
    assert preprocessing("litemedsam").side == 256
    tensor, content = _input("litemedsam", image, 256)
    assert content == (154, 256)
    expected = _resized((image - image.min()) / (image.max() - image.min()), 154, 256)
    assert np.abs(tensor[:, :154] - expected).max() < 1e-5
    assert not tensor[:, 154:].any()


def test_yolosam_gets_the_z_score_of_the_stretched_square(image):
    assert preprocessing("yolosam").side == 1024
    tensor, content = _input("yolosam", image, 1024)
    assert content == (1024, 1024)
    clipped = np.clip(image, *_percentiles(image, 0.1, 99.9))
    expected = _resized((clipped - clipped.mean()) / clipped.std(), 1024, 1024)
    assert np.abs(tensor - expected).max() < 1e-4


def test_ours_keeps_the_aspect_ratio_in_millimeters(image):
    tensor, content = _input("myoscarseg-1", image, 64, spacing=(2.0, 1.0))
    assert content == (64, 53)  # 120 mm high, 100 mm wide
    seen = quieted(image)
    low, high = _percentiles(seen, 0.5, 99.8)
    grey = np.clip((seen - low) / (high - low), 0, 1)
    assert tensor.min() >= 0
    assert tensor.max() <= 1
    assert np.abs(tensor[0, :, :53] - _resized(grey, 64, 53)).max() < 1e-5
    assert not tensor[:, :, 53:].any()


@pytest.mark.parametrize("name", ["sam", "medsam", "litemedsam", "yolosam"])
def test_foreign_checkpoints_do_not_know_of_millimeters(image, name):
    assert _input(name, image, 128, spacing=(2.0, 1.0))[1] == _input(name, image, 128)[1]


@pytest.mark.parametrize("name", ["myoscarseg-1", "sam", "medsam", "litemedsam", "yolosam"])
@pytest.mark.parametrize("value", [0.0, -3.0, 70000.0])
def test_a_constant_slice_gives_finite_input(name, value):
    tensor, _ = _input(name, np.full((20, 30), value), 64)
    assert np.isfinite(tensor).all()


@pytest.mark.parametrize("name", ["myoscarseg-1", "sam", "medsam", "litemedsam", "yolosam"])
def test_scaling_the_voxels_does_not_change_the_input(image, name):
    assert np.abs(_input(name, image * 1e-12, 64)[0] - _input(name, image, 64)[0]).max() < 1e-3


@pytest.mark.parametrize("name", ["myoscarseg-1", "sam", "medsam", "litemedsam", "yolosam"])
def test_all_three_channels_show_the_same_slice(image, name):
    tensor, _ = _input(name, image, 64)
    if name == "sam":
        tensor = tensor * DEVIATION[:, None, None] + MEAN[:, None, None]
        tensor = tensor[:, :38]
    assert np.abs(tensor - tensor[0]).max() < 1e-4


def test_an_unknown_preprocessing_is_refused_with_those_known():
    with pytest.raises(
        ModelError, match=r"'imagenet', which this version .*myoscarseg-1, myoscarseg-1-sam, sam, medsam, litemedsam, yolosam"
    ):
        preprocessing("imagenet")


def test_every_preprocessing_of_the_registry_is_known():
    from MyoScarSegLib.models import registry

    for entry in registry().entries("segment"):
        assert preprocessing(entry.preprocessing).id == entry.preprocessing


def test_the_record_of_this_programs_normalization_is_accepted():
    check_normalization({"normalisation_version": "1", "low_percentile": "0.5", "high_percentile": "99.8", "more": "x"})


@pytest.mark.parametrize("name", ["myoscarseg-1", "myoscarseg-1-sam", "medsam", "litemedsam", "yolosam"])
def test_ours_alone_sees_a_noisy_slice_quieted(image, name):
    noisy = image + np.random.default_rng(6).normal(0, 40, image.shape)
    assert quieted(noisy) is not noisy
    recipe = preprocessing(name)
    assert np.allclose(recipe.intensities(noisy), normalize(quieted(noisy))) == name.startswith("myoscarseg")
