"""The picture of a result: every slice with its boxes and the outline of the mask, and the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.outputs.figures import canvas, png
from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.result import Result
from MyoScarSegLib.study.normalization import normalize
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.files import write_bytes
from MyoScarSegLib.utils.windows import window_of
from MyoScarSegLib.utils.words import counted, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _PAPER, _FAINT = "#e8e6e1", "#15181c", "#8d949c"
SCAR_COLOR, _TRUTH = "#ff5a4f", "#58d68d"
_BOX_COLORS = {BoxState.PROPOSED: "#ffd166", BoxState.ACCEPTED: "#4cc9f0", BoxState.REJECTED: "#d5cfe6"}
_BOX_DASHES = {BoxState.PROPOSED: (0, (4, 2)), BoxState.ACCEPTED: (0, (4, 2)), BoxState.REJECTED: (0, (1, 2))}
_POINTS = {True: ("+", "#ffffff"), False: ("x", "#ff8fd6")}
_TILE_INCHES = 2.3
_LEAST_VIEW_MM = 150.0
_LEAST_VIEW_PX = 110
_MOST_TILES = 60
"""Slices in one picture; of a larger stack those with something on them come first."""
_NARROWEST, _WIDEST = 0.6, 1.6
"""Limits of a tile's height over its width."""


def write_overlay(path: Path, result: Result, truth: np.ndarray | None = None) -> None:
    """Draw a result as a montage, atomically.

    Args:
        path: PNG file.
        result: what to draw.
        truth: bool ``[k, j, i]``, an expert's mask to compare with, drawn in another color.

    Raises:
        OutputError: the file cannot be written.
    """
    title, subtitle = _headline(result, truth)
    captions = [_caption(result, k) for k in range(result.study.slices)]
    _draw(path, result.study, result.boxes, result.points, result.mask, truth, captions, title, subtitle)


def write_boxes_picture(path: Path, study: Study, boxes: Sequence[Box]) -> None:
    """Draw proposed boxes as a montage, atomically.

    Raises:
        OutputError: the file cannot be written.
    """
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
    shown = [m for m in (mask, truth) if m is not None]
    x0, y0, x1, y1 = _view(study, boxes, points, shown)
    row_mm, column_mm = study.geometry.pixel_spacing_mm or (1.0, 1.0)
    shape = min(max((y1 - y0) * row_mm / ((x1 - x0) * column_mm), _NARROWEST), _WIDEST)
    keys = _keys(boxes, points, scar=mask is not None, truth=truth is not None)
    chosen = _chosen_slices(study.slices, boxes, points, shown)
    if len(chosen) < study.slices:
        subtitle += f"  ·  {len(chosen)} of {study.slices} slices shown"
    figure, axes = _canvas(len(chosen), shape, title, subtitle, keys)
    left, top, right, bottom = math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)
    for axis in axes:
        axis.set_axis_off()
    for index, axis in zip(chosen, axes, strict=False):  # the last row of tiles may not be full
        axis.imshow(
            normalize(study.voxels[index])[top:bottom, left:right],
            cmap="gray",
            vmin=0,
            vmax=1,
            extent=(left, right, bottom, top),  # so that the axes' coordinates are pixel edges
            interpolation="bicubic",
            aspect=row_mm / column_mm,
        )
        if truth is not None:
            _draw_outline(axis, truth[index], _TRUTH, 1.0)
        if mask is not None:
            _draw_outline(axis, mask[index], SCAR_COLOR, 1.4)
        for box in boxes:
            if box.slice == index:
                _rectangle(axis, box, y0 + 0.06 * (y1 - y0))
        for point in points:
            if point.slice == index:
                marker, color = _POINTS[point.positive]
                axis.plot(point.x, point.y, marker, color="black", ms=8, mew=3.0)
                axis.plot(point.x, point.y, marker, color=color, ms=7, mew=1.5)
        axis.set_xlim(x0, x1)
        axis.set_ylim(y1, y0)
        failure = study.bad_slices.get(index)
        axis.set_title(f"slice {index}", color=_FAINT, fontsize=8, loc="left", pad=3)
        text, color = ("not used", "#ff9f1c") if failure else (captions[index], _INK)
        axis.set_title(text, color=color, fontsize=8, loc="right", pad=3)
    write_bytes(path, png(figure))


def _chosen_slices(slices: int, boxes: Sequence[Box], points: Sequence[Point], masks: Sequence[np.ndarray]) -> list[int]:
    """All slices, or of a large stack those with a prompt or a mask and as many others, evenly spread, as there is room for."""
    if slices <= _MOST_TILES:
        return list(range(slices))
    marked = {b.slice for b in boxes} | {p.slice for p in points}
    for mask in masks:
        marked |= {int(k) for k in np.flatnonzero(mask.any(axis=(1, 2)))}
    found = sorted(k for k in marked if 0 <= k < slices)
    if len(found) >= _MOST_TILES:
        return [found[n] for n in np.linspace(0, len(found) - 1, _MOST_TILES).round().astype(int)]
    others = [k for k in range(slices) if k not in marked]
    spread = np.linspace(0, len(others) - 1, min(_MOST_TILES - len(found), len(others))).round().astype(int)
    return sorted({*found, *(others[n] for n in spread)})


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


def _canvas(tiles: int, shape: float, title: str, subtitle: str, keys: list[Any]) -> tuple[Figure, list[Axes]]:
    columns = min(tiles, 5 if tiles <= 20 else 8)
    rows = math.ceil(tiles / columns)
    width, head = max(columns * _TILE_INCHES, 3 * _TILE_INCHES), 0.95
    height = rows * (_TILE_INCHES * shape + 0.28) + head
    figure = canvas(width, height, _PAPER)
    grid = figure.add_gridspec(
        rows,
        columns,
        left=0.012,
        right=0.988,
        bottom=0.012,
        top=1 - (head + 0.12) / height,
        wspace=0.03,
        hspace=0.24 / (_TILE_INCHES * shape),
    )
    axes = [figure.add_subplot(grid[n // columns, n % columns]) for n in range(rows * columns)]
    figure.text(0.014, 1 - 0.30 / height, _shortened(title, width), color=_INK, fontsize=12.5, weight="bold", va="center")
    figure.text(0.014, 1 - 0.56 / height, subtitle, color=_FAINT, fontsize=8, va="center")
    if not keys:
        return figure, axes
    figure.legend(
        handles=keys,
        loc="upper left",
        bbox_to_anchor=(0.008, 1 - 0.64 / height),
        ncols=len(keys),
        frameon=False,
        fontsize=7.5,
        labelcolor=_FAINT,
        handlelength=1.6,
        columnspacing=1.4,
    )
    return figure, axes


def _shortened(title: str, width_inches: float) -> str:
    """The title with the middle of the case's name left out if it is too long; what follows the colon is always whole."""
    most = int(width_inches / 0.118)
    case, colon, rest = title.rpartition(": ")
    room = max(most - len(rest) - 2, 8)
    if len(title) <= most:
        return title
    return f"{shortened(case, room)}{colon}{rest}"


def _view(
    study: Study, boxes: Sequence[Box], points: Sequence[Point], masks: Sequence[np.ndarray]
) -> tuple[float, float, float, float]:
    """The same part of every slice: around all prompts and scar with a margin, or the whole slice if there are none."""
    rows, columns = study.slice_shape
    found = np.argwhere(np.any([mask.any(axis=0) for mask in masks], axis=0)) if masks else np.empty((0, 2))
    corners = [*(b.xyxy for b in boxes), *((p.x, p.y, p.x, p.y) for p in points)]
    if found.size:
        (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0) + 1
        corners.append((float(left), float(top), float(right), float(bottom)))
    if not corners:
        return 0, 0, columns, rows
    spacing = study.geometry.pixel_spacing_mm
    least = (_LEAST_VIEW_PX, _LEAST_VIEW_PX) if spacing is None else (_LEAST_VIEW_MM / spacing[1], _LEAST_VIEW_MM / spacing[0])
    edges = np.array(corners)
    low, high = edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)
    half = np.maximum((high - low) * 0.65, np.array(least) / 2)
    middle = (low + high) / 2
    x0, y0 = np.maximum(middle - half, 0)
    x1, y1 = np.minimum(middle + half, (columns, rows))
    return float(x0), float(y0), float(x1), float(y1)


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


def _draw_outline(axis: Axes, mask: np.ndarray, color: str, width: float) -> None:
    from matplotlib.collections import LineCollection

    axis.add_collection(LineCollection(outline(mask), colors=[color], linewidths=[width]), autolim=False)


def _rectangle(axis: Axes, box: Box, ceiling: float) -> None:
    """A box with its confidence above it, or within it where that would be above ``ceiling``."""
    from matplotlib.patches import Rectangle

    color = _BOX_COLORS[box.state]
    size = (box.x1 - box.x0, box.y1 - box.y0)
    axis.add_patch(Rectangle((box.x0, box.y0), *size, fill=False, ec=color, lw=1.1, ls=_BOX_DASHES[box.state]))
    if box.confidence is not None:
        where = (box.y0 - 1, "bottom") if box.y0 > ceiling else (box.y0 + 1, "top")
        axis.text(box.x0 + 0.5, where[0], f"{box.confidence:.2f}", color=color, fontsize=6.5, va=where[1], clip_on=True)


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
