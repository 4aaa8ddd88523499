"""The slices of a study side by side in one picture, cut to what is drawn on them, with outlines: of overlay and report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.outputs.figures import INK
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.windows import window_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCAR_COLOR = "#ff5a4f"
#: Outlines by name, with color and width, in the order in which they are drawn.
OUTLINES = {
    "LV myocardium": ("#5ec8e5", 0.7),
    "LV blood pool": ("#ffd166", 0.7),
    "scar": (SCAR_COLOR, 0.9),
    "no-reflow": ("#c792ea", 0.9),
}
_MOST_TILES = 24
_GAP_PX = 2


@dataclass(frozen=True)
class Tiles:
    """Which part of which slices is shown.

    Attributes:
        study: whose slices they are.
        slices: of the study.
        window: the same rows and columns of each.
        columns: tiles in a row.
    """

    study: Study
    slices: Sequence[int]
    window: tuple[slice, slice]
    columns: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """``(rows, columns)`` of a tile, with the gap to the next."""
        rows, columns = self.window
        return rows.stop - rows.start + _GAP_PX, columns.stop - columns.start + _GAP_PX

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return math.ceil(len(self.slices) / self.columns)

    @property
    def shape(self) -> float:
        """Height of a tile over its width."""
        row_mm, column_mm = self.study.geometry.pixel_spacing_mm or (1.0, 1.0)
        rows, columns = self.window
        return (rows.stop - rows.start) * row_mm / ((columns.stop - columns.start) * column_mm)

    def corner(self, number: int) -> tuple[int, int]:
        """Row and column of a tile's first pixel."""
        row, column = divmod(number, self.columns)
        return row * self.size[0], column * self.size[1]

    def largest_in(self, shape: float) -> Tiles:
        """In as many columns as make the tiles largest in axes that are ``shape`` high for their width."""
        count = len(self.slices)
        columns = max(range(1, count + 1), key=lambda n: min(1 / n, shape / (math.ceil(count / n) * self.shape)))
        return replace(self, columns=columns)


def draw_montage(axis: Axes, study: Study, masks: Mapping[str, np.ndarray], captions: Sequence[str] = ()) -> None:
    """Draw the slices with outlines so that they fill the axes.

    Args:
        study: whose slices to show; of more than 24, as many as fit, those with a mask first.
        masks: bool ``[k, j, i]`` by the names in :data:`OUTLINES`; those that are not there are not drawn.
        captions: a few words per slice of the study, beside its number.
    """
    place = axis.get_window_extent()
    lines = [(masks[name], *style) for name, style in OUTLINES.items() if name in masks]
    draw_tiles(axis, _tiles(study, masks).largest_in(float(place.height / place.width)), lines, captions)


def draw_tiles(
    axis: Axes, tiles: Tiles, lines: Iterable[tuple[np.ndarray, str, float]], captions: Sequence[str], gap: float = 1.0
) -> None:
    """Draw tiles into one picture, which takes a tenth of the time that axes for each slice take.

    Args:
        axis: plain axes; afterwards in pixels of the picture, see :meth:`Tiles.corner`.
        lines: masks ``[k, j, i]`` to outline, each with a color and the width of its line.
        captions: a few words per slice of the study, beside its number.
        gap: gray between the tiles, 0 to 1.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import withStroke

    study, (height, width) = tiles.study, tiles.size
    row_mm, column_mm = study.geometry.pixel_spacing_mm or (1.0, 1.0)
    corners = [tiles.corner(number) for number in range(len(tiles.slices))]
    mosaic = np.full((tiles.rows * height - _GAP_PX, tiles.columns * width - _GAP_PX), gap, dtype=np.float32)
    for k, (top, left) in zip(tiles.slices, corners, strict=True):
        mosaic[top : top + height - _GAP_PX, left : left + width - _GAP_PX] = _shown(study.voxels[k][tiles.window])
    axis.set_axis_off()
    axis.set_anchor("NW")
    axis.imshow(
        mosaic, cmap="gray", vmin=0, vmax=1, extent=(0, mosaic.shape[1], mosaic.shape[0], 0), aspect=row_mm / column_mm,
        interpolation="bilinear", interpolation_stage="data",
    )  # fmt: skip
    for mask, color, thickness in lines:
        drawn = [
            line + np.array([left, top])
            for k, (top, left) in zip(tiles.slices, corners, strict=True)
            for line in outline(mask[k][tiles.window])
        ]
        axis.add_collection(LineCollection(drawn, colors=[color], linewidths=[thickness]), autolim=False)
    style: dict[str, Any] = {"color": "#ffffff", "va": "top", "path_effects": [withStroke(linewidth=1.1, foreground="#000000")]}
    for k, (top, left) in zip(tiles.slices, corners, strict=True):  # with an edge: fat is as white as the figures
        words = f"{k}" if k not in study.bad_slices else f"{k} not used"
        axis.text(left + 0.03 * width, top + 0.03 * height, words, fontsize=7, weight="bold", **style)
        if captions and captions[k]:
            axis.text(left + 0.95 * width, top + 0.03 * height, captions[k], fontsize=6, ha="right", **style)


def outline(mask: np.ndarray) -> list[np.ndarray]:
    """The border of the mask's pixels: contour of the doubled mask, so that it runs along pixel edges, slightly rounded.

    Args:
        mask: bool ``[row, column]``.

    Returns:
        Closed lines, ``[points, 2]`` of x and y in pixel edges; none of an empty mask.
    """
    from contourpy import contour_generator

    if not mask.any():
        return []
    times = 4
    rows, columns = window_of(mask)
    fine = np.kron(np.pad(mask[rows, columns], 1), np.ones((times, times)))
    corner = np.array([columns.start, rows.start]) - 1
    lines = contour_generator(z=fine, line_type="Separate").lines(0.5)
    return [(np.asarray(line) + 0.5) / times + corner for line in lines]


def draw_outline(axis: Axes, mask: np.ndarray, color: str, width: float) -> None:
    """Draw the :func:`outline` of a mask on axes whose unit is the pixel."""
    from matplotlib.collections import LineCollection

    axis.add_collection(LineCollection(outline(mask), colors=[color], linewidths=[width]), autolim=False)


def outline_key(axis: Axes, masks: Mapping[str, np.ndarray]) -> None:
    """Which color is which outline, in one line.

    Args:
        axis: wide and low.
    """
    axis.set_axis_off()
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    drawn = [name for name in OUTLINES if name in masks and masks[name].any()]
    for n, name in enumerate(drawn):
        axis.plot([0.16 * n, 0.16 * n + 0.02], [0.5, 0.5], color=OUTLINES[name][0], lw=2)
        axis.text(0.16 * n + 0.026, 0.5, name, fontsize=6.5, color=INK, va="center")


def shown_slices(study: Study, masks: Sequence[np.ndarray], most: int = _MOST_TILES, *, filled: bool = False) -> list[int]:
    """The slices to show: of more than ``most`` those with something on them, evenly; ``filled`` up with others."""
    if study.slices <= most:
        return list(range(study.slices))
    marked = np.any([mask.any(axis=(1, 2)) for mask in masks], axis=0) if masks else np.zeros(study.slices, dtype=bool)
    if not marked.any():
        marked[:] = True
    chosen = _spread(np.flatnonzero(marked), most)
    return sorted(chosen + (_spread(np.flatnonzero(~marked), most - len(chosen)) if filled else []))


def _spread(slices: np.ndarray, most: int) -> list[int]:
    """At most so many of some slices, evenly."""
    places = np.linspace(0, len(slices) - 1, min(most, len(slices))).round().astype(int)
    return [int(k) for k in slices[np.unique(places)]]


def montage_height(study: Study, masks: Mapping[str, np.ndarray], width: float, most: float) -> float:
    """How high :func:`draw_montage` makes a picture of that width, which may be ``most`` high."""
    tiles = _tiles(study, masks).largest_in(most / width)
    return min(most, tiles.rows * tiles.shape * width / tiles.columns)


def _tiles(study: Study, masks: Mapping[str, np.ndarray]) -> Tiles:
    shown = list(masks.values())
    return Tiles(study, shown_slices(study, shown), window_around(study, shown))


def window_around(
    study: Study, masks: Sequence[np.ndarray], margin_mm: float = 12.0, least_mm: float = 60.0
) -> tuple[slice, slice]:
    """Rows and columns around all masks, with a margin; the whole slice if there is nothing in them."""
    rows, columns = study.slice_shape
    found = np.argwhere(np.any([mask.any(axis=0) for mask in masks], axis=0)) if masks else np.empty((0, 2), dtype=int)
    if not found.size:
        return slice(0, rows), slice(0, columns)
    spacing = study.geometry.pixel_spacing_mm or (1.4, 1.4)
    parts = []
    for low, high, size, one_mm in zip(found.min(axis=0), found.max(axis=0) + 1, (rows, columns), spacing, strict=True):
        half = max((high - low) * one_mm / 2 + margin_mm, least_mm / 2) / one_mm
        middle = (low + high) / 2
        parts.append(slice(max(int(middle - half), 0), min(math.ceil(middle + half), size)))
    return parts[0], parts[1]


def _shown(part: np.ndarray) -> np.ndarray:
    """What is seen of a slice, between its 1st and 99.5th percentile: the whole slice's would be set by the fat around."""
    low, high = np.percentile(part, [1.0, 99.5])
    return np.clip((part - low) / max(high - low, 1e-6), 0, 1)
