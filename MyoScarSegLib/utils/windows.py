"""The part of an image in which something lies, so that work is done there alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def window_of(mask: np.ndarray, margin: int | Sequence[int] = 0) -> tuple[slice, ...]:
    """The smallest window that holds all of a mask.

    Args:
        mask: bool, of any dimension.
        margin: pixels around it, of each axis if several; none before the first pixel, and past the last indexing ends.

    Returns:
        A slice for each axis; all are empty for an empty mask.
    """
    margins = [margin] * mask.ndim if isinstance(margin, int) else margin
    found = []
    for axis, wide in enumerate(margins):
        there = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        found.append(slice(max(int(there[0]) - wide, 0), int(there[-1]) + wide + 1) if len(there) else slice(0, 0))
    return tuple(found)
