"""How far two masks overlap, and how far their borders lie apart.

Conventions for empty masks:

- *Dice* is 1 where both masks are empty and 0 where one is, as the EMIDEC challenge's own evaluation has it.
- *Surface distances* are None where either mask is empty: there is no distance to nothing, and a number in its place (0, or
  the image's diagonal) would move every mean. How often that happened is counted wherever they are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.utils.windows import window_of

PERCENTILE = 95.0


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between the borders of two masks.

    Attributes:
        hd95_mm: the larger of the two directed 95th percentiles (from either border to the other); MONAI's convention.
        assd_mm: mean over the points of both borders of the distance to the other border.
    """

    hd95_mm: float
    assd_mm: float


def dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Twice the overlap over the sum of both: of two slices the 2D Dice, of two stacks the 3D Dice.

    Args:
        predicted, truth: bool, of one shape.

    Returns:
        0 to 1; 1 if both are empty.
    """
    both = int(np.count_nonzero(predicted)) + int(np.count_nonzero(truth))
    return 1.0 if both == 0 else 2 * int(np.count_nonzero(predicted & truth)) / both


def surface_distances(predicted: np.ndarray, truth: np.ndarray, spacing_mm: Sequence[float]) -> SurfaceDistances | None:
    """Distances between the borders of two masks, in 2D or 3D.

    A border is what an erosion by one pixel (face neighbors) takes away; beyond the image is outside. In 3D, with slices
    far apart, nearly all of a thin lesion is border. Distances run between pixel centers.

    Args:
        predicted, truth: bool, ``[rows, columns]`` or ``[slices, rows, columns]``.
        spacing_mm: of each axis, in the order of the axes.

    Returns:
        None if either mask is empty.
    """
    from scipy import ndimage

    if not predicted.any() or not truth.any():
        return None
    predicted, truth = _cropped(predicted, truth)
    borders = [mask & ~ndimage.binary_erosion(mask) for mask in (predicted, truth)]
    to_truth, to_predicted = (ndimage.distance_transform_edt(~border, sampling=spacing_mm) for border in borders[::-1])
    there, back = to_truth[borders[0]], to_predicted[borders[1]]
    hd95 = max(float(np.percentile(there, PERCENTILE)), float(np.percentile(back, PERCENTILE)))
    return SurfaceDistances(hd95, float(np.concatenate([there, back]).mean()))


def _cropped(*masks: np.ndarray) -> tuple[np.ndarray, ...]:
    """The part of all masks that holds every one of them, with a border of one pixel that is outside."""
    window = window_of(np.any(masks, axis=0))
    return tuple(np.pad(mask[window], 1) for mask in masks)
