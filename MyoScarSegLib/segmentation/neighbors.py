"""Which slices a reader would look at above and below: the nearest to a centimeter away, whatever the stack's spacing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SLICES = ("slice", "below", "above")
"""The order in which a network sees a slice and its neighbors."""
_WANTED_MM = 10.0
"""The usual distance of LGE slices, which the shipped models learned from."""
_FARTHEST_MM = 16.0
"""A slice farther away shows another part of the heart."""


def neighbors(
    positions_mm: Sequence[float] | np.ndarray | None, index: int, usable: Sequence[int]
) -> tuple[int | None, int | None]:
    """The slices before and after one, each None where there is none near enough.

    Args:
        positions_mm: of each slice along the stack's normal, rising or falling; None if unknown: then the next slices count.
        index: of the slice.
        usable: indices of the slices that can be looked at.
    """
    if positions_mm is None:
        return (index - 1 if index - 1 in usable else None), (index + 1 if index + 1 in usable else None)
    found: list[int | None] = []
    for side in (range(index), range(index + 1, len(positions_mm))):
        distances = {k: abs(positions_mm[k] - positions_mm[index]) for k in side if k in usable}
        near = {k: distance for k, distance in distances.items() if 0 < distance <= _FARTHEST_MM}
        found.append(min(near, key=lambda k: (abs(near[k] - _WANTED_MM), abs(k - index))) if near else None)
    return found[0], found[1]
