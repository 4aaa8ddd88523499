"""The picture of a result: every slice with its boxes and the outline of the mask, and the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.outputs.figures import DARK_FAINT, DARK_PAPER, LIGHT_INK, canvas, png
from MyoScarSegLib.outputs.montage import SCAR_COLOR, Tiles, draw_tiles, shown_slices, window_around
from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.result import Result
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.files import write_bytes
from MyoScarSegLib.utils.words import counted, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GAP_GRAY = 0.09
"""Gray between the tiles, like the paper."""
_TRUTH = "#58d68d"
_BOX_COLORS = {BoxState.PROPOSED: "#ffd166", BoxState.ACCEPTED: "#4cc9f0", BoxState.REJECTED: "#d5cfe6"}
_BOX_DASHES = {BoxState.PROPOSED: (0, (4, 2)), BoxState.ACCEPTED: (0, (4, 2)), BoxState.REJECTED: (0, (1, 2))}
_POINTS = {True: ("+", "#ffffff"), False: ("x", "#ff8fd6")}
_TILE_INCHES, _HEAD_INCHES, _EDGE, _DPI = 2.3, 0.95, 0.012, 110
_MARGIN_MM, _LEAST_VIEW_MM = 12.0, 150.0
_LEAST_COLUMNS = 3
"""As wide as so many tiles is a picture at least, for its head."""
_MOST_TILES = 60
"""Slices in one picture; of a larger stack those with something on them come first."""
_NARROWEST, _WIDEST = 0.6, 1.6
"""Limits of a tile's height over its width."""


def write_overlay(path: Path, result: Result, truth: np.ndarray | None = None) -> None:
    """Draw a result as a montage, atomically.

    Args:
        truth: bool ``[k, j, i]``, an expert's mask to compare with, drawn in another color.

    Raises:
        OutputError: the file cannot be written.
    """
    title, subtitle = _headline(result, truth)
    captions = [_caption(result, k) for k in range(result.study.slices)]
    _draw(path, result.study, result.boxes, result.points, result.mask, truth, captions, title, subtitle)


def write_boxes_picture(path: Path, study: Study, boxes: Sequence[Box]) -> None:
    """Draw proposed boxes as a montage, atomically; OutputError if the file cannot be written."""
    captions = [counted(sum(b.slice == k for b in boxes), "box", "boxes") for k in range(study.slices)]
    title = f"{study.case}: {counted(len(boxes), 'box', 'boxes')} proposed"
    _draw(path, study, boxes, (), None, None, captions, title, "MyoScarSeg, research use only")


def _draw(
    path: Path,
    study: Study,
    boxes: Sequence[Box],
    points: Sequence[Point],
    mask: np.ndarray | None,
    truth: np.ndarray | None,
    captions: Sequence[str],
    title: str,
    subtitle: str,
) -> None:
    lines = [(one, *style) for one, style in ((truth, (_TRUTH, 1.0)), (mask, (SCAR_COLOR, 1.4))) if one is not None]
    shown = [*(one for one, *_ in lines), _prompted(study, boxes, points)]
    chosen = shown_slices(study, shown, _MOST_TILES, filled=True)
    if len(chosen) < study.slices:
        subtitle += f"  ·  {len(chosen)} of {study.slices} slices shown"
    tiles = Tiles(study, chosen, window_around(study, shown, _MARGIN_MM, _LEAST_VIEW_MM), _columns(len(chosen)))
    figure, axis = _canvas(tiles, title, subtitle, _keys(boxes, points, scar=mask is not None, truth=truth is not None))
    draw_tiles(axis, tiles, lines, captions, _GAP_GRAY)
    rows, columns_shown = tiles.window
    for number, k in enumerate(chosen):
        top, left = tiles.corner(number)
        x, y = left - columns_shown.start, top - rows.start
        for box in boxes:
            if box.slice == k:
                _rectangle(axis, box, (x, y), top + 0.06 * tiles.size[0])
        for point in points:
            if point.slice == k:
                marker, color = _POINTS[point.positive]
                axis.plot(point.x + x, point.y + y, marker, color="black", ms=8, mew=3.0)
                axis.plot(point.x + x, point.y + y, marker, color=color, ms=7, mew=1.5)
    write_bytes(path, png(figure, _DPI))


def _columns(tiles: int) -> int:
    return min(tiles, 5 if tiles <= 20 else 8)


def tile_in(size: tuple[int, int], slices: int, number: int) -> tuple[int, int, int, int]:
    """Where one slice is in an overlay, within a pixel or two.

    Args:
        size: ``(width, height)`` of the picture in pixels.
        slices: of the study.
        number: of the slice; in a picture that shows not all slices another one may be there.

    Returns:
        ``(left, top, right, bottom)`` in pixels.
    """
    shown = min(slices, _MOST_TILES)
    columns = _columns(shown)
    row, column = divmod(min(number, shown - 1), columns)
    left, top = _EDGE * size[0], _HEAD_INCHES * _DPI
    width = (1 - 2 * _EDGE) * size[0] / max(columns, _LEAST_COLUMNS)
    height = (size[1] - top) / math.ceil(shown / columns) * (1 - 2 * _EDGE)
    corner = (left + column * width, top + row * height)
    return round(corner[0]), round(corner[1]), round(corner[0] + width), round(corner[1] + height)


def _prompted(study: Study, boxes: Sequence[Box], points: Sequence[Point]) -> np.ndarray:
    """bool ``[k, j, i]``: the pixels of boxes and points, which are to be seen."""
    marked = np.zeros(study.voxels.shape, dtype=bool)
    for k, x0, y0, x1, y1 in (*((b.slice, *b.xyxy) for b in boxes), *((p.slice, p.x, p.y, p.x, p.y) for p in points)):
        marked[k, max(int(y0), 0) : max(math.ceil(y1), int(y0) + 1), max(int(x0), 0) : max(math.ceil(x1), int(x0) + 1)] = True
    return marked


def _keys(boxes: Sequence[Box], points: Sequence[Point], *, scar: bool, truth: bool) -> list[Any]:
    """The legend: what is in this picture."""
    from matplotlib.lines import Line2D

    keys = [Line2D([], [], color=SCAR_COLOR, lw=1.6, label="scar")] if scar else []
    if truth:
        keys.append(Line2D([], [], color=_TRUTH, lw=1.2, label="truth"))
    for state, color in _BOX_COLORS.items():
        if any(box.state is state for box in boxes):
            keys.append(Line2D([], [], color=color, lw=1.2, ls=_BOX_DASHES[state], label=f"{state.value} box"))
    for positive, (marker, color) in _POINTS.items():
        if any(point.positive is positive for point in points):
            label = "scar here" if positive else "no scar here"
            keys.append(Line2D([], [], color=color, marker=marker, ls="", ms=5, mew=1.4, label=label))
    return keys


def _canvas(tiles: Tiles, title: str, subtitle: str, keys: list[Any]) -> tuple[Figure, Axes]:
    """A figure with its head, and the axes for the tiles."""
    shape = min(max(tiles.shape, _NARROWEST), _WIDEST)
    width, high = max(tiles.columns, _LEAST_COLUMNS) * _TILE_INCHES, tiles.rows * _TILE_INCHES * shape
    height = high + _HEAD_INCHES
    figure = canvas(width, height, DARK_PAPER)
    across = (1 - 2 * _EDGE) * tiles.columns * _TILE_INCHES / width
    axis = figure.add_axes((_EDGE, _EDGE, across, high / height - _EDGE))
    figure.text(0.014, 1 - 0.30 / height, _shortened(title, width), color=LIGHT_INK, fontsize=12.5, weight="bold", va="center")
    figure.text(0.014, 1 - 0.56 / height, subtitle, color=DARK_FAINT, fontsize=8, va="center")
    if keys:
        figure.legend(
            handles=keys, loc="upper left", bbox_to_anchor=(0.008, 1 - 0.64 / height), ncols=len(keys), frameon=False,
            fontsize=7.5, labelcolor=DARK_FAINT, handlelength=1.6, columnspacing=1.4,
        )  # fmt: skip
    return figure, axis


def _shortened(title: str, width_inches: float) -> str:
    """The title with the middle of the case's name left out if it is too long; what follows the colon is always whole."""
    most = int(width_inches / 0.118)
    case, colon, rest = title.rpartition(": ")
    room = max(most - len(rest) - 2, 8)
    if len(title) <= most:
        return title
    return f"{shortened(case, room)}{colon}{rest}"


def _rectangle(axis: Axes, box: Box, offset: tuple[int, int], ceiling: float) -> None:
    """A box with its confidence above it, or within it where that would be above ``ceiling``."""
    from matplotlib.patches import Rectangle

    color, left, top = _BOX_COLORS[box.state], box.x0 + offset[0], box.y0 + offset[1]
    size = (box.x1 - box.x0, box.y1 - box.y0)
    axis.add_patch(Rectangle((left, top), *size, fill=False, ec=color, lw=1.1, ls=_BOX_DASHES[box.state]))
    if box.confidence is not None:
        where = (top - 1, "bottom") if top > ceiling else (top + 1, "top")
        axis.text(left + 0.5, where[0], f"{box.confidence:.2f}", color=color, fontsize=6.5, va=where[1], clip_on=True)


def _headline(result: Result, truth: np.ndarray | None) -> tuple[str, str]:
    burden, within = result.burden, result.mass_interval
    if burden.mass_g is None:
        amount = f"{burden.pixels} scar pixels (no spacing, so neither mL nor g)"
    else:
        range_g = "" if within is None else " ({} to {})".format(*within.ends)
        amount = f"scar {burden.mass_g:.1f} g{range_g}, {burden.volume_ml:.1f} mL"
    title = f"{result.study.case}: {amount}"
    if truth is not None:
        from MyoScarSegLib.quantification.burden import scar_burden

        known = scar_burden(truth, result.study.geometry)
        title += f"; truth {known.mass_g:.1f} g" if known.mass_g is not None else f"; truth {known.pixels} pixels"
    provenance = result.provenance
    parts = [
        f"{provenance.get('detector', 'boxes from file')} + {provenance.get('segmenter', '')}",
        f"probability ≥ {result.threshold:g}",
        result.study.reconstruction.value,
        provenance.get("program", ""),
        "research use only",
    ]
    if within is not None and within.doubtful:
        parts.insert(0, "LIKELY TO BE WRONG")
    if not result.complete:
        parts.insert(0, "INCOMPLETE")
    return title, "  ·  ".join(part for part in parts if part)


def _caption(result: Result, index: int) -> str:
    if index in result.failed_slices:
        return "failed"
    entry = result.burden.slices[index]
    if entry.pixels == 0:
        return "no scar"
    return f"{entry.pixels} px" if entry.mass_g is None else f"{entry.area_mm2:.0f} mm² · {entry.mass_g:.1f} g"
