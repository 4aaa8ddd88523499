"""The left ventricle in a stack: which pixels are wall, which are cavity, and in which slices the wall is whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.tissue import CAVITY, MYOCARDIUM

Source = Literal["model", "labels", "contours", "edited"]


@dataclass(frozen=True, eq=False)
class Ventricle:
    """Wall and cavity of the left ventricle.

    Attributes:
        myocardium: bool ``[k, j, i]``, the wall *with* the scar and the no-reflow in it; papillary muscles belong to the cavity.
        cavity: bool ``[k, j, i]``, the blood pool with the papillary muscles in it; shares no pixel with the wall.
        source: where it comes from.

    Raises:
        StudyError: the arrays are no boolean stacks of one shape, or share pixels.
    """

    myocardium: np.ndarray
    cavity: np.ndarray
    source: Source

    def __post_init__(self) -> None:
        wall, cavity = self.myocardium, self.cavity
        if wall.ndim != 3 or wall.dtype != np.bool_ or cavity.dtype != np.bool_ or wall.shape != cavity.shape:
            raise StudyError(
                "Myocardium and cavity are boolean arrays [slice, row, column] of one shape; these have the shapes "
                f"{wall.shape} and {cavity.shape} and the types {wall.dtype} and {cavity.dtype}."
            )
        shared = np.count_nonzero(wall & cavity)
        if shared:
            raise StudyError(f"{shared} pixels are both myocardium and cavity; take them out of one of the two.")

    @cached_property
    def walls(self) -> tuple[int, ...]:
        """Slices with any wall, in order."""
        return _slices(self.myocardium)

    @cached_property
    def closed(self) -> tuple[int, ...]:
        """Slices whose wall goes all round the cavity; gaps of up to two pixels are taken for roughness of the drawing."""
        cavities = set(_slices(self.cavity))
        return tuple(k for k in self.walls if k in cavities and _is_closed(self.myocardium[k], self.cavity[k]))

    @cached_property
    def open_(self) -> tuple[int, ...]:
        """Slices with cavity and a wall that does not go round it: partial slices at the base, or unfinished drawings."""
        cavities, closed = set(_slices(self.cavity)), set(self.closed)
        return tuple(k for k in self.walls if k in cavities and k not in closed)

    @cached_property
    def solid(self) -> tuple[int, ...]:
        """Slices with wall and no cavity: the tip of the ventricle, if they lie at the apex."""
        cavities = set(_slices(self.cavity))
        return tuple(k for k in self.walls if k not in cavities)


def ventricle_of_labels(labels: np.ndarray) -> Ventricle:
    """The ventricle that a label map shows, as it is.

    Args:
        labels: integers ``[k, j, i]`` by the numbers of :mod:`~MyoScarSegLib.study.tissue`: scar and no-reflow are wall.
    """
    return Ventricle(labels >= MYOCARDIUM, labels == CAVITY, "labels")


def _slices(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask.any(axis=(1, 2))).tolist())


def _is_closed(wall: np.ndarray, cavity: np.ndarray) -> bool:
    from scipy import ndimage

    rows, columns = np.nonzero(wall | cavity)
    window = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    # A margin, so that all that lies outside of the wall is one piece, the first.
    thick = ndimage.binary_dilation(np.pad(wall[window], 3))
    outside = ndimage.label(~thick)[0] == 1
    hollow = ~(outside | thick)
    return bool(hollow.any() and not (outside & np.pad(cavity[window], 3)).any())
