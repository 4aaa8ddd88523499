"""From a scar mask to its lesions, one of which is what a box is drawn around.

Hand-drawn scar falls apart into pieces a pixel or two from each other; a box around each would cut one infarct into many
prompts. So pieces of a slice are one lesion if they come within :data:`GAP_MM` of each other, directly or through pieces
between them. The distance is that of the pixels' edges in millimeters, the same in every direction: neither flipping nor
transposing nor a finer grid changes what is one lesion. What is smaller than :data:`SMALLEST_MM2` is noise of the labeling.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

GAP_MM = 3.0
"""Largest gap between two pieces of one lesion; pieces that touch at a corner have none."""
SMALLEST_MM2 = 8.0
USUAL_SPACING_MM = (1.4, 1.4)
"""Rows and columns of an LGE slice whose spacing is unknown."""
_ROUNDING = 1e-6


def lesions(
    scar: np.ndarray,
    pixel_spacing_mm: tuple[float, float] | None,
    *,
    smallest_mm2: float = SMALLEST_MM2,
) -> np.ndarray:
    """Number the lesions of one slice.

    Args:
        scar: ``[rows, columns]``, non-zero where there is scar.
        pixel_spacing_mm: ``(row, column)`` spacing; :data:`USUAL_SPACING_MM` if None.
        smallest_mm2: smallest lesion.

    Returns:
        int32 ``[rows, columns]``: 0 where there is no lesion, else 1, 2, ... without holes in the numbering.
    """
    from scipy import ndimage

    scar = np.asarray(scar) != 0
    spacing = pixel_spacing_mm or USUAL_SPACING_MM
    numbers = np.zeros(scar.shape, dtype=np.int32)
    if not scar.any():
        return numbers
    window = ndimage.find_objects(scar.astype(np.int8))[0]
    pieces, count = ndimage.label(scar[window], structure=np.ones((3, 3)))
    near = [_pairs(*_shifted(pieces, *offset)) for offset in _offsets(spacing, pieces.shape)] if count > 1 else []
    numbers[window] = joined(pieces, near)
    return large(numbers, spacing, smallest_mm2)


def lesions_of_stack(
    scar: np.ndarray, pixel_spacing_mm: tuple[float, float] | None, *, smallest_mm2: float = SMALLEST_MM2
) -> np.ndarray:
    """Number the lesions of a stack: those of neighboring slices are one where they lie over each other.

    Args:
        scar: ``[slices, rows, columns]``, non-zero where there is scar.
        pixel_spacing_mm: as of :func:`lesions`.
        smallest_mm2: smallest lesion, its areas on all slices together.

    Returns:
        int32 ``[slices, rows, columns]``, as of :func:`lesions`.
    """
    numbers = np.zeros(np.shape(scar), dtype=np.int32)
    last = 0
    for k, one in enumerate(scar):
        numbered = lesions(one, pixel_spacing_mm, smallest_mm2=0.0)
        numbers[k] = np.where(numbered > 0, numbered + last, 0)
        last += int(numbered.max(initial=0))
    over = [_pairs(below, above) for below, above in pairwise(numbers)]
    return large(joined(numbers, over), pixel_spacing_mm or USUAL_SPACING_MM, smallest_mm2)


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


def joined(numbers: np.ndarray, pairs: list[np.ndarray]) -> np.ndarray:
    """The regions numbered anew, those of each pair being one; ``pairs`` are arrays ``[pairs, 2]`` of numbers."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    first, second = np.concatenate([np.zeros((0, 2), dtype=np.int64), *pairs]).T
    if len(first) == 0:
        return np.asarray(numbers, dtype=np.int32)
    count = int(numbers.max(initial=0))
    graph = coo_matrix((np.ones(len(first), dtype=bool), (first, second)), shape=(count + 1, count + 1))
    # The background, 0, is in no pair, so it stays a component of its own, and the first.
    return np.asarray(connected_components(graph, directed=False)[1][numbers], dtype=np.int32)


def large(numbers: np.ndarray, pixel_spacing_mm: tuple[float, float], smallest_mm2: float) -> np.ndarray:
    """Only the regions of at least ``smallest_mm2``, numbered without holes."""
    areas_mm2 = np.bincount(numbers.ravel(), minlength=1) * (pixel_spacing_mm[0] * pixel_spacing_mm[1])
    kept = areas_mm2 >= smallest_mm2 * (1 - _ROUNDING)
    kept[0] = False
    return np.asarray(np.where(kept, np.cumsum(kept), 0)[numbers], dtype=np.int32)


def _offsets(spacing: tuple[float, float], shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Half of the offsets ``(rows, columns)`` from a pixel to those within the gap; the others are these turned around."""
    reach = [min(length - 1, 1 + math.floor(GAP_MM / one + _ROUNDING)) for one, length in zip(spacing, shape, strict=True)]
    found = []
    for down in range(reach[0] + 1):
        for right in range(-reach[1] if down else 1, reach[1] + 1):
            between = (max(down - 1, 0) * spacing[0], max(abs(right) - 1, 0) * spacing[1])
            if math.hypot(*between) <= GAP_MM * (1 + _ROUNDING):
                found.append((down, right))
    return found


def _shifted(array: np.ndarray, down: int, right: int) -> tuple[np.ndarray, np.ndarray]:
    """The array without its last and without its first rows and columns, so that each pixel meets the one at the offset."""
    rows, columns = array.shape
    left, over = max(right, 0), max(-right, 0)
    return array[: rows - down, over : columns - left], array[down:, left : columns - over]


def _pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Which numbers of two arrays meet, ``[pairs, 2]``."""
    meet = (first > 0) & (second > 0) & (first != second)
    # As one number each, which are sorted much faster than rows.
    keys = np.unique(first[meet].astype(np.int64) << 32 | second[meet])
    return np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)
