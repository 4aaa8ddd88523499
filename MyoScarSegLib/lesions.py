"""From a scar mask to its lesions, one of which is what a box is drawn around."""

from __future__ import annotations

import numpy as np

GAP_PX = 3.0
SMALLEST_PX = 4


def lesions(scar: np.ndarray, *, gap_px: float = GAP_PX, smallest_px: int = SMALLEST_PX) -> np.ndarray:
    """Number the lesions of one slice.

    Hand-drawn scar falls apart into pieces a pixel or two from each other; a box around each would cut one infarct into
    many prompts. Pieces whose pixels come within ``gap_px`` of each other are therefore one lesion. What is left with
    fewer than ``smallest_px`` pixels is noise of the labelling and is dropped.

    Args:
        scar: ``[rows, columns]``, non-zero where there is scar.
        gap_px: largest distance between neighbouring pixel centres of one lesion.
        smallest_px: smallest lesion, in pixels.

    Returns:
        int32 ``[rows, columns]``: 0 where there is no lesion, else 1, 2, ... without holes in the numbering.
    """
    from scipy import ndimage

    scar = np.asarray(scar) != 0
    if not scar.any():
        return np.zeros(scar.shape, dtype=np.int32)
    near = ndimage.distance_transform_edt(~scar) <= gap_px / 2
    groups, count = ndimage.label(near, structure=np.ones((3, 3)))
    groups = np.where(scar, groups, 0)
    areas = np.bincount(groups.ravel(), minlength=count + 1)
    kept = np.flatnonzero(areas >= smallest_px)
    numbers = np.zeros(count + 1, dtype=np.int32)
    numbers[kept[kept > 0]] = np.arange(1, np.count_nonzero(kept > 0) + 1)
    return numbers[groups]


def boxes_of(numbered: np.ndarray) -> np.ndarray:
    """Tight boxes in pixel edges around the numbered regions.

    Args:
        numbered: ``[rows, columns]`` integers; 0 is background.

    Returns:
        float64 ``[regions, 4]``, ``(x0, y0, x1, y1)``, in the order of the numbers; regions without pixels are left out.
    """
    from scipy import ndimage

    found = [f for f in ndimage.find_objects(np.asarray(numbered, dtype=np.int32)) if f is not None]
    return np.array([(c.start, r.start, c.stop, r.stop) for r, c in found], dtype=np.float64).reshape(-1, 4)
