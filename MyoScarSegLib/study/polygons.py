"""Closed curves on the pixels of a slice."""

from __future__ import annotations

import numpy as np


def filled_curve(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """bool ``[row, column]``: pixels whose centers a closed curve encloses, by the even-odd rule.

    Args:
        points: float ``[points, 2]``, ``(x, y)`` in pixel edges.
        shape: rows and columns.
    """
    rows, columns = shape
    crossings = np.zeros((rows, columns + 1), dtype=np.int32)
    x, y = np.asarray(points, dtype=np.float64).T - 0.5
    for (x0, y0), (x1, y1) in zip(zip(x, y, strict=True), zip(np.roll(x, -1), np.roll(y, -1), strict=True), strict=True):
        # Rows whose centers lie at or above one end and below the other, so that a point shared by two edges counts once.
        row = np.arange(max(int(np.ceil(min(y0, y1))), 0), min(int(np.ceil(max(y0, y1))), rows))
        if len(row):
            at = x0 + (row - y0) / (y1 - y0) * (x1 - x0)
            np.add.at(crossings, (row, np.clip(np.ceil(at), 0, columns).astype(int)), 1)
    return np.asarray(np.cumsum(crossings, axis=1)[:, :columns] % 2 == 1)
