"""How noisy an image is, for comparing the images of a cohort with each other."""

from __future__ import annotations

import numpy as np

from MyoScarSegLib.study.study import Study

_CURVATURE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


def signal_to_noise(study: Study) -> float | None:
    """The range of a study's intensities (1st to 99th percentile) over its noise; the median over its readable slices.

    The noise is Immerkaer's estimate (Fast noise variance estimation, Comput Vis Image Underst 1996, 64, 300): the mean
    magnitude of what is left of a slice when planes and edges are taken out of it. An image that was interpolated looks less
    noisy than it is, so the figure compares images of one kind. None for an image without noise.
    """
    from scipy.ndimage import convolve

    ratios = []
    for k, pixels in enumerate(study.voxels):
        if k in study.bad_slices or min(pixels.shape) < 3:
            continue
        left = np.abs(convolve(pixels.astype(np.float32), _CURVATURE)[1:-1, 1:-1])
        noise = float(np.sqrt(np.pi / 2) / 6 * left.mean())
        low, high = np.percentile(pixels, (1, 99))
        if noise > 0 and np.isfinite(noise):
            ratios.append(float(high - low) / noise)
    return float(np.median(ratios)) if ratios else None
