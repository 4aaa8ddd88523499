"""The left ventricle in a stack: which pixels are wall, which are cavity, and in which slices the wall is whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.lesions import USUAL_SPACING_MM
from MyoScarSegLib.study.study import Geometry
from MyoScarSegLib.study.tissue import BACKGROUND, CAVITY, MYOCARDIUM
from MyoScarSegLib.utils.windows import window_of

Source = Literal["model", "labels", "contours", "edited"]
BORDER_PX = 2
"""How far the border of a proposed wall may be off."""


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

    @property
    def labels(self) -> np.ndarray:
        """uint8 ``[k, j, i]`` by the numbers of :mod:`~MyoScarSegLib.study.tissue`."""
        return np.where(self.myocardium, MYOCARDIUM, np.where(self.cavity, CAVITY, 0)).astype(np.uint8)

    def with_scar(self, scar: np.ndarray) -> Ventricle:
        """With the scar at the wall's borders as wall, to a depth of :data:`BORDER_PX`; itself where there is none.

        A model draws scar and wall by themselves, and their borders differ by a pixel or two: of the scar after three clicks a
        ninth lay outside the wall that was proposed (``research/burden``). Scar is myocardium, so the proposal gives way.

        Args:
            scar: bool ``[k, j, i]``.
        """
        from scipy import ndimage

        myocardium = self.myocardium
        for k in np.flatnonzero((scar & ~myocardium).any(axis=(1, 2))):
            wall = self.myocardium[k]
            joined = ndimage.binary_dilation(wall, np.ones((3, 3)), BORDER_PX, mask=wall | scar[k])
            if np.array_equal(joined, wall):
                continue
            if myocardium is self.myocardium:
                myocardium = self.myocardium.copy()
            myocardium[k] = joined
        return self if myocardium is self.myocardium else Ventricle(myocardium, self.cavity & ~myocardium, self.source)

    @cached_property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns that hold all of it; empty if there is nothing."""
        rows, columns = window_of((self.myocardium | self.cavity).any(axis=0))
        return rows, columns

    @cached_property
    def middles(self) -> np.ndarray:
        """``[k, 2]`` mean ``(column, row)`` of wall and cavity together, the center of pixel (0, 0) being 0; NaN without any."""
        rows, columns = self.window
        heart = self.myocardium[:, rows, columns] | self.cavity[:, rows, columns]
        down, right = np.count_nonzero(heart, axis=2), np.count_nonzero(heart, axis=1)
        total = down.sum(axis=1)
        sums = np.stack([right @ np.arange(right.shape[1]), down @ np.arange(down.shape[1])], axis=1)
        middles = sums / np.where(total > 0, total, np.nan)[:, None]
        return np.asarray(middles + np.array([columns.start, rows.start]))

    @cached_property
    def walls(self) -> tuple[int, ...]:
        """Slices with any wall, in order."""
        return _slices(self.myocardium)

    @cached_property
    def closed(self) -> tuple[int, ...]:
        """Slices whose wall goes all round the cavity; gaps of up to two pixels are taken for roughness of the drawing."""
        rows, columns = self.window
        wall, cavity = self.myocardium[:, rows, columns], self.cavity[:, rows, columns]
        return tuple(k for k in self.walls if k not in self.solid and _is_closed(wall[k], cavity[k]))

    @cached_property
    def open_(self) -> tuple[int, ...]:
        """Slices with cavity and a wall that does not go round it: partial slices at the base, or unfinished drawings."""
        return tuple(k for k in self.walls if k not in (*self.closed, *self.solid))

    @cached_property
    def solid(self) -> tuple[int, ...]:
        """Slices with wall and no cavity: the tip of the ventricle, if they lie at the apex."""
        cavities = set(_slices(self.cavity))
        return tuple(k for k in self.walls if k not in cavities)


def ventricle_of_labels(labels: np.ndarray) -> Ventricle:
    """The ventricle that a label map shows, as it is. Where no cavity is labeled at all, it is what the wall encloses.

    Args:
        labels: integers ``[k, j, i]`` by the numbers of :mod:`~MyoScarSegLib.study.tissue`: scar and no-reflow are wall, unless
            they touch neither wall nor cavity, be it over other scar, in their slices and the next ones.
    """
    from scipy import ndimage

    parts, _ = ndimage.label(labels > BACKGROUND, np.ones((3, 3, 3)))
    heart = np.isin(parts, np.unique(parts[(labels == CAVITY) | (labels == MYOCARDIUM)]))
    wall, cavity = (labels >= MYOCARDIUM) & heart, labels == CAVITY
    if not cavity.any():
        cavity = np.stack([ndimage.binary_fill_holes(of_slice) for of_slice in wall]) & ~wall
    return Ventricle(wall, cavity, "labels")


def ventricle_of_tissue(tissue: np.ndarray, geometry: Geometry) -> Ventricle:
    """The ventricle that a model's map of tissues shows, cleaned over the whole stack.

    A pixel belongs to the ventricle if background has less than half; within it, to the cavity if cavity has more than wall and
    scar together. From the slice with the most cavity outwards, each slice keeps the one piece that lies over its neighbor's,
    its holes filled; in it one cavity, likewise, with what it encloses (papillary muscles); the rest is wall, one piece. It ends
    where two slices have no such piece. Slices at an end that show less than half a square centimeter of wall are beyond the
    ventricle, as are those of wall without cavity at the wider end, the base; at the narrower end they are its tip. Partial
    slices at the base stay as they are, open.

    Args:
        tissue: float ``[k, 4, j, i]``, probabilities of background, cavity, normal myocardium and scar.

    Raises:
        StudyError: the array has another shape.
    """
    if tissue.ndim != 4 or tissue.shape[1] != 4:
        raise StudyError(f"A map of tissues has the shape [slice, 4, row, column], not {tissue.shape}.")
    heart = tissue[:, 0] < 0.5
    blood = heart & (tissue[:, 1] > tissue[:, 2] + tissue[:, 3])
    wall, cavity = np.zeros_like(heart), np.zeros_like(heart)
    found = Ventricle(wall, cavity, "model")
    if not blood.any():
        return found
    start = int(np.argmax(np.count_nonzero(blood, axis=(1, 2))))
    for way in (range(start, len(heart)), range(start - 1, -1, -1)):
        # The second walk begins beside the slice that the first one began with.
        last, missed = (None, 0) if way.step > 0 else (start, 0)
        for k in way:
            piece = _piece(heart[k], blood[k] if last is None else wall[last] | cavity[last])
            if piece is None:
                missed += 1
                if missed == 2:
                    break
                continue
            pool = _piece(blood[k] & piece, cavity[last] if last is not None and cavity[last].any() else None)
            cavity[k] = False if pool is None else pool
            ring = _piece(piece & ~cavity[k], None, hollow=True)
            wall[k] = False if ring is None else ring
            last, missed = k, 0
    _drop_ends(wall, cavity, geometry)
    return found


_LEAST_WALL_MM2 = 50.0


def _piece(mask: np.ndarray, over: np.ndarray | None, *, hollow: bool = False) -> np.ndarray | None:
    """The piece of a slice's mask that lies over most of another mask, or the largest; its holes filled unless it is hollow."""
    from scipy import ndimage

    if not mask.any():
        return None
    window = window_of(mask, margin=1)
    pieces, _ = ndimage.label(mask[window], np.ones((3, 3)) if hollow else None)
    sizes = np.bincount((pieces if over is None else pieces * over[window]).ravel())
    sizes[0] = 0
    if not sizes.any():
        return None
    kept = pieces == int(np.argmax(sizes))
    whole = np.zeros_like(mask)
    whole[window] = kept if hollow else ndimage.binary_fill_holes(kept)
    return whole


def _drop_ends(wall: np.ndarray, cavity: np.ndarray, geometry: Geometry) -> None:
    """Empty the slices that lie beyond the ventricle's ends; changes both masks in place."""
    area_mm2 = geometry.pixel_area_mm2 or USUAL_SPACING_MM[0] * USUAL_SPACING_MM[1]
    small = np.count_nonzero(wall, axis=(1, 2)) * area_mm2 < _LEAST_WALL_MM2
    with_cavity = np.flatnonzero(cavity.any(axis=(1, 2)) & ~small)
    if len(with_cavity) == 0:
        wall[:], cavity[:] = False, False
        return
    first, last = int(with_cavity[0]), int(with_cavity[-1])
    sizes = [np.count_nonzero(wall[k] | cavity[k]) for k in (first, last)]
    for beyond, is_tip in ((range(first - 1, -1, -1), sizes[0] < sizes[1]), (range(last + 1, len(wall)), sizes[1] < sizes[0])):
        kept = bool(is_tip)
        for k in beyond:
            kept = kept and not bool(small[k])
            if not kept:
                wall[k], cavity[k] = False, False


def _slices(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask.any(axis=(1, 2))).tolist())


def _is_closed(wall: np.ndarray, cavity: np.ndarray) -> bool:
    from scipy import ndimage

    # A margin, so that all that lies outside of the wall is one piece, the first.
    thick = ndimage.binary_dilation(np.pad(wall, 3))
    outside = ndimage.label(~thick)[0] == 1
    hollow = ~(outside | thick)
    return bool(hollow.any() and not (outside & np.pad(cavity, 3)).any())
