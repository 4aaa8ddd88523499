"""The figure of an image's noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.study.image_quality import signal_to_noise
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
