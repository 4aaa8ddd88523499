"""The slices of a study side by side, cut to the heart, with the outlines of wall, blood pool, scar and no-reflow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.outputs.figures import INK
from MyoScarSegLib.outputs.overlay import SCAR_COLOR, outline
from MyoScarSegLib.study.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Outlines by name, with color and width, in the order in which they are drawn.
OUTLINES = {
    "LV myocardium": ("#5ec8e5", 0.7),
    "LV blood pool": ("#ffd166", 0.7),
    "scar": (SCAR_COLOR, 0.9),
    "no-reflow": ("#c792ea", 0.9),
}
_MARGIN_MM = 12.0
_LEAST_MM = 60.0
_MOST_TILES = 24
_GAP_PX = 2


@dataclass(frozen=True)
class _Tiles:
    """Which part of which slices is shown.

    Attributes:
        slices: of the study.
        window: the same rows and columns of each.
        columns: tiles in a row.
    """

    slices: Sequence[int]
    window: tuple[slice, slice]
    columns: int

    @property
    def size(self) -> tuple[int, int]:
        """``(rows, columns)`` of a tile, with the gap to the next."""
        rows, columns = self.window
        return rows.stop - rows.start + _GAP_PX, columns.stop - columns.start + _GAP_PX

    def corner(self, number: int) -> tuple[int, int]:
        """Row and column of a tile's first pixel."""
        row, column = divmod(number, self.columns)
        return row * self.size[0], column * self.size[1]


def draw_montage(axis: Axes, study: Study, masks: Mapping[str, np.ndarray], captions: Sequence[str] = ()) -> None:
    """Draw the slices into one picture, which takes a tenth of the time that axes for each slice take.

    Args:
        axis: plain axes; the tiles are laid out to fill them.
        study: whose slices to show; of more than 24, as many as fit, those with a mask first.
        masks: bool ``[k, j, i]`` by the names in :data:`OUTLINES`; those that are not there are not drawn.
        captions: a few words per slice of the study, beside its number.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import withStroke

    row_mm, column_mm = study.geometry.pixel_spacing_mm or (1.0, 1.0)
    tiles = _tiles(study, masks, _shape_of(axis))
    height, width = tiles.size
    rows = math.ceil(len(tiles.slices) / tiles.columns)
    mosaic = np.ones((rows * height - _GAP_PX, tiles.columns * width - _GAP_PX), dtype=np.float32)
    for number, k in enumerate(tiles.slices):
        top, left = tiles.corner(number)
        mosaic[top : top + height - _GAP_PX, left : left + width - _GAP_PX] = _shown(study.voxels[k][tiles.window])
    axis.set_axis_off()
    axis.set_anchor("NW")
    axis.imshow(
        mosaic, cmap="gray", vmin=0, vmax=1, extent=(0, mosaic.shape[1], mosaic.shape[0], 0), aspect=row_mm / column_mm,
        interpolation="bilinear", interpolation_stage="data",
    )  # fmt: skip
    for name, (color, thickness) in OUTLINES.items():
        mask = masks.get(name)
        if mask is None or not mask.any():
            continue
        lines = []
        for number, k in enumerate(tiles.slices):
            top, left = tiles.corner(number)
            lines += [line + np.array([left, top]) for line in outline(mask[k][tiles.window])]
        axis.add_collection(LineCollection(lines, colors=[color], linewidths=[thickness]), autolim=False)
    edge = [withStroke(linewidth=1.1, foreground="#000000")]  # fat is as white as the figures
    for number, k in enumerate(tiles.slices):
        top, left = tiles.corner(number)
        words = f"{k}" if k not in study.bad_slices else f"{k} not used"
        axis.text(
            left + 0.03 * width,
            top + 0.03 * height,
            words,
            color="#ffffff",
            fontsize=7,
            weight="bold",
            va="top",
            path_effects=edge,
        )
        if captions and captions[k]:
            axis.text(left + 0.95 * width, top + 0.03 * height, captions[k], color="#ffffff", fontsize=6, ha="right", va="top",
                      path_effects=edge)  # fmt: skip


def outline_key(axis: Axes, masks: Mapping[str, np.ndarray]) -> None:
    """Which color is which outline, in one line.

    Args:
        axis: wide and low.
        masks: as of :func:`draw_montage`.
    """
    axis.set_axis_off()
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    drawn = [name for name in OUTLINES if name in masks and masks[name].any()]
    for n, name in enumerate(drawn):
        axis.plot([0.16 * n, 0.16 * n + 0.02], [0.5, 0.5], color=OUTLINES[name][0], lw=2)
        axis.text(0.16 * n + 0.026, 0.5, name, fontsize=6.5, color=INK, va="center")


def _shown(part: np.ndarray) -> np.ndarray:
    """What is seen of a slice, between its 1st and 99.5th percentile: the whole slice's would be set by the fat around."""
    low, high = np.percentile(part, [1.0, 99.5])
    return np.clip((part - low) / max(high - low, 1e-6), 0, 1)


def shown_slices(study: Study, masks: Sequence[np.ndarray]) -> list[int]:
    """The slices that :func:`draw_montage` shows."""
    if study.slices <= _MOST_TILES:
        return list(range(study.slices))
    drawn = np.flatnonzero(np.any([mask.any(axis=(1, 2)) for mask in masks], axis=0)) if masks else np.zeros(0, dtype=int)
    pool = drawn if len(drawn) else np.arange(study.slices)
    chosen = pool[np.unique(np.linspace(0, len(pool) - 1, min(_MOST_TILES, len(pool))).round().astype(int))]
    return [int(k) for k in chosen]


def montage_height(study: Study, masks: Mapping[str, np.ndarray], width: float, most: float) -> float:
    """How high :func:`draw_montage` makes a picture of that width, which may be ``most`` high."""
    tiles = _tiles(study, masks, most / width)
    rows = math.ceil(len(tiles.slices) / tiles.columns)
    return min(most, rows * _tile_shape(study, tiles.window) * width / tiles.columns)


def _tiles(study: Study, masks: Mapping[str, np.ndarray], shape: float) -> _Tiles:
    """The tiles, in as many columns as make them largest in axes that are ``shape`` high for their width."""
    window, chosen = _window(study, list(masks.values())), shown_slices(study, list(masks.values()))
    tile = _tile_shape(study, window)

    def filled(columns: int) -> float:
        """Width of a tile when the whole is fitted into the axes of width 1."""
        rows = math.ceil(len(chosen) / columns)
        return min(1 / columns, shape / (rows * tile))

    return _Tiles(chosen, window, max(range(1, len(chosen) + 1), key=filled))


def _tile_shape(study: Study, window: tuple[slice, slice]) -> float:
    """Height over width."""
    row_mm, column_mm = study.geometry.pixel_spacing_mm or (1.0, 1.0)
    rows, columns = window
    return (rows.stop - rows.start) * row_mm / ((columns.stop - columns.start) * column_mm)


def _window(study: Study, masks: Sequence[np.ndarray]) -> tuple[slice, slice]:
    """Rows and columns around all masks, with a margin; the whole slice if there are none."""
    rows, columns = study.slice_shape
    found = np.argwhere(np.any([mask.any(axis=0) for mask in masks], axis=0)) if masks else np.empty((0, 2), dtype=int)
    if not found.size:
        return slice(0, rows), slice(0, columns)
    spacing = study.geometry.pixel_spacing_mm or (1.4, 1.4)
    parts = []
    for low, high, size, one_mm in zip(found.min(axis=0), found.max(axis=0) + 1, (rows, columns), spacing, strict=True):
        half = max((high - low) * one_mm / 2 + _MARGIN_MM, _LEAST_MM / 2) / one_mm
        middle = (low + high) / 2
        parts.append(slice(max(int(middle - half), 0), min(math.ceil(middle + half), size)))
    return parts[0], parts[1]


def _shape_of(axis: Axes) -> float:
    """Height over width of axes, as they lie in their figure."""
    place = axis.get_window_extent()
    return float(place.height / place.width)
