"""How noisy an image is, and what networks are given in place of one that is noisier than those they learned from."""

from __future__ import annotations

import numpy as np

from MyoScarSegLib.study.study import Study

_CURVATURE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)
_MEDIAN_OF_NORMAL = 0.6745
"""Median magnitude of normally distributed numbers, in standard deviations."""
_NOISY = 0.02
"""Noise as a share of the range of intensities. No slice that the shipped models learned from exceeds 0.011."""
_SMOOTHED_PX = 0.7
"""Standard deviation of the blur that takes the noise away and costs little of an outline; see ``research/folds``."""


def noise_of(pixels: np.ndarray) -> float:
    """Standard deviation of a slice's noise, after Immerkaer (Comput Vis Image Underst 1996, 64, 300).

    How much is left of ``[rows, columns]``, three at least, when planes and edges are taken out of it: the median magnitude
    and not, as there, the mean, since corners of what is sharp and bright are no noise; padding without any does not count. An
    image that was interpolated looks less noisy than it is.
    """
    from scipy.ndimage import convolve

    left = np.abs(convolve(pixels.astype(np.float64), _CURVATURE)[1:-1, 1:-1])
    left = left[left > 0]
    return float(np.median(left)) / _MEDIAN_OF_NORMAL / 6 if left.size else 0.0


def quieted(pixels: np.ndarray) -> np.ndarray:
    """A slice ``[rows, columns]`` as networks are to see it: lightly smoothed if it is noisier than what they learned from.

    Any other one comes back as it is. Nothing that is shown or measured is made of it.
    """
    from scipy.ndimage import gaussian_filter

    low, high = np.percentile(pixels, (1, 99))
    if min(pixels.shape) < 3 or not noise_of(pixels) > _NOISY * float(high - low):
        return pixels
    return np.asarray(gaussian_filter(pixels.astype(np.float64), _SMOOTHED_PX, mode="nearest"))


def signal_to_noise(study: Study) -> float | None:
    """The range of a study's intensities (1st to 99th percentile) over its noise; the median over its readable slices.

    An image that was interpolated looks less noisy than it is, so the figure compares images of one kind. None for an image
    without noise.
    """
    ratios = []
    for k, pixels in enumerate(study.voxels):
        if k in study.bad_slices or min(pixels.shape) < 3:
            continue
        noise = noise_of(pixels)
        low, high = np.percentile(pixels, (1, 99))
        if noise > 0 and np.isfinite(noise):
            ratios.append(float(high - low) / noise)
    return float(np.median(ratios)) if ratios else None
