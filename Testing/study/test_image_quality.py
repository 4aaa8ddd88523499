"""The figure of an image's noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.study.image_quality import noise_of, quieted, signal_to_noise
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study


def study(noise: float) -> Study:
    """A slope from 0 to 100 with noise of a known standard deviation, and a slice that cannot be read."""
    slope = np.broadcast_to(np.linspace(0, 100, 96, dtype=np.float32), (4, 96, 96))
    voxels = (slope + np.random.default_rng(0).normal(0, noise, slope.shape)).astype(np.float32)
    voxels[3] = 0
    return Study("a", voxels, Geometry((1.5, 1.5, 10.0)), Reconstruction.MAGNITUDE, bad_slices={3: "gone"})


@pytest.mark.parametrize("noise", [1.0, 5.0])
def test_the_noise_is_found_beneath_a_slope(noise):
    assert signal_to_noise(study(noise)) == pytest.approx(98 / noise, rel=0.1)


def test_an_image_without_noise_has_no_figure():
    flat = study(1.0)
    assert signal_to_noise(replace(flat, voxels=np.zeros_like(flat.voxels))) is None


def slice_with(noise: float) -> np.ndarray:
    """A bright disc on a dark ground, from 0 to 100, with noise of a known standard deviation."""
    y, x = np.mgrid[:96, :96]
    disc = 100.0 / (1 + np.exp(np.hypot(x - 48, y - 40) - 25))
    return disc + np.random.default_rng(1).normal(0, noise, disc.shape)


def test_a_slice_of_usual_noise_is_seen_as_it_is():
    usual = slice_with(1.0)
    assert quieted(usual) is usual


def test_a_noisy_slice_is_seen_with_half_of_its_noise_and_its_edges_where_they_are():
    noisy = slice_with(5.0)
    before = noisy.copy()
    seen = quieted(noisy)
    assert seen.shape == noisy.shape
    assert np.array_equal(noisy, before)
    assert noise_of(seen) < 0.5 * noise_of(noisy)
    clean = slice_with(0.0)
    assert np.abs(seen - clean).mean() < 0.6 * np.abs(noisy - clean).mean()
    assert ((seen > 50) != (clean > 50)).sum() <= ((noisy > 50) != (clean > 50)).sum()


@pytest.mark.parametrize("noise", [1.0, 5.0])
@pytest.mark.parametrize(("factor", "offset"), [(1e-6, 0.0), (1e3, -5e4), (1.0, 1e9)])
def test_neither_scale_nor_offset_of_the_intensities_decides(noise, factor, offset):
    given = slice_with(noise)
    seen = quieted(given * factor + offset)
    assert np.allclose((seen - offset) / factor, quieted(given), atol=1e-3)


def test_slices_that_have_no_noise_to_measure_are_seen_as_they_are():
    for pixels in (np.zeros((8, 8)), np.full((8, 8), 7, np.int16), np.arange(8.0).reshape(2, 4)):
        assert quieted(pixels) is pixels


def test_whole_numbers_are_smoothed_as_their_values():
    noisy = np.round(slice_with(5.0)).astype(np.int16)
    assert np.allclose(quieted(noisy), quieted(noisy.astype(np.float64)))


def test_sharp_structures_and_padding_are_no_noise():
    """Coarse pixels have steps everywhere; a mask around the body leaves most pixels without noise."""
    steps = np.kron(np.random.default_rng(2).uniform(0, 100, (24, 24)), np.ones((4, 4)))
    steps += np.random.default_rng(3).normal(0, 0.5, steps.shape)
    assert quieted(steps) is steps
    padded = np.pad(slice_with(5.0), 96)
    assert noise_of(padded) == pytest.approx(noise_of(slice_with(5.0)), rel=0.1)
    assert quieted(padded) is not padded
