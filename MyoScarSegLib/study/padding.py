"""Padding: what a scanner or a resampling wrote where nothing was measured."""

from __future__ import annotations

import numpy as np

from MyoScarSegLib.study.normalization import NORMALIZATION

#: A border counts as padding without a header's word only if its value lies this far, in ranges of the tissue, from the others.
_CLEARLY_OUTSIDE = 0.25
#: Tissue has more values than this; label maps and drawings have fewer.
_FEWEST_VALUES = 32


def fill_padding(voxels: np.ndarray, declared: np.ndarray | None, usable: list[int]) -> np.ndarray | None:
    """Give padding, in place, the value that normalization maps to 0, so that neither range nor display sees it.

    The value is the low percentile of the slice's measured pixels (:data:`NORMALIZATION`). Where the headers of
    some or all slices declare none, a border of one value far outside all others counts as such.

    Args:
        voxels: ``[k, j, i]``, float and finite.
        declared: ``[k, j, i]`` bool, pixels that have the header's padding value; None if it gives none.
        usable: the slices that hold an image.

    Returns:
        ``[k, j, i]`` bool, where the padding was; None if there is none.
    """
    padding = np.zeros(voxels.shape, dtype=bool)
    for found in (_plain_border(voxels, usable), None if declared is None else _confirmed(voxels, declared, usable)):
        if found is not None:
            padding |= found
    if not padding.any():
        return None
    percentile = NORMALIZATION.low_percentile
    measured = voxels[usable][~padding[usable]]
    if not measured.size:
        return None
    lowest = np.percentile(measured, percentile)
    for image, pad in zip(voxels, padding, strict=True):
        if pad.any():
            image[pad] = lowest if pad.all() else np.percentile(image[~pad], percentile)
    return padding


def _confirmed(voxels: np.ndarray, declared: np.ndarray, usable: list[int]) -> np.ndarray:
    """Declared padding; only from the border inwards where tissue may have the same value (0 in a PSIR)."""
    from scipy.ndimage import binary_propagation

    values, measured = voxels[usable][declared[usable]], voxels[usable][~declared[usable]]
    if not values.size or not measured.size or values.max() < measured.min() or values.min() > measured.max():
        return declared
    border = np.zeros(voxels.shape, dtype=bool)
    border[:, [0, -1]] = border[:, :, [0, -1]] = True
    return np.stack([binary_propagation(edge & pad, mask=pad) for edge, pad in zip(border, declared, strict=True)])


def _plain_border(voxels: np.ndarray, usable: list[int]) -> np.ndarray | None:
    corners = voxels[np.ix_(usable, [0, -1], [0, -1])]
    found, counts = np.unique(corners, return_counts=True)
    value = found[counts.argmax()]
    if counts.max() < corners.size / 2:
        return None
    padding = voxels == value
    measured = voxels[usable][~padding[usable]]
    if len(np.unique(measured)) < _FEWEST_VALUES:
        return None
    low, high = np.percentile(measured, (NORMALIZATION.low_percentile, NORMALIZATION.high_percentile))
    outside = max(measured.min() - value, value - measured.max())
    return padding if outside > _CLEARLY_OUTSIDE * (high - low) else None
