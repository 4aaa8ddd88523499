"""The pictures of scar burden, for panel and report alike: bullseye, bars per slice, transmurality along the wall, histogram.

Each function draws one picture on axes that it is given; :func:`canvas` makes a figure and :func:`png` a file of it. Nothing here
touches pyplot, whose state belongs to whoever else draws in the process. The slices with their outlines are in
:mod:`~MyoScarSegLib.outputs.montage`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.outputs.figure_data import SliceBars, WallHistogram, WallProfile
from MyoScarSegLib.quantification.aha import SEGMENTS
from MyoScarSegLib.quantification.segment_values import GRADES, grade
from MyoScarSegLib.utils.files import cache_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, LINE, PAPER = "#1f2328", "#667079", "#c9ced4", "#ffffff"
LIGHT_INK, DARK_FAINT, DARK_PAPER = "#e8e6e1", "#8d949c", "#15181c"
"""Of pictures on dark paper, such as slices."""
SCAR, WALL = "#d1495b", "#8fa3b5"
NOT_IMAGED = "not imaged"
_GRADE_COLORS = ("#f3f5f7", "#fde0a6", "#f9a65a", "#e0563f", "#8e1b33")
_BURDEN_COLORS = "YlOrRd"

_RADII = {"base": (0.74, 1.0), "mid": (0.48, 0.74), "apex": (0.22, 0.48), "tip": (0.0, 0.22)}
"""Inner and outer radius of a bullseye's rings: the base is outside (Cerqueira et al., Circulation 2002, 105, 539)."""


def canvas(width_inches: float, height_inches: float, paper: str = PAPER) -> Figure:
    """An empty figure that is drawn by Agg."""
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), facecolor=paper)
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as a PNG file; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="png", dpi=dpi, facecolor=figure.get_facecolor(), metadata={"Software": "MyoScarSeg"},
        pil_kwargs={"compress_level": 2},
    )  # fmt: skip
    return buffer.getvalue()


def draw_bullseye(axis: Axes, values: Sequence[float | None], title: str, *, graded: bool = False) -> None:
    """The 17 segments of the left ventricle, each with its number and its value: anterior up, septum left, the base outside.

    Args:
        values: percent of segments 1 to 17; None where the segment was not imaged, which is hatched.
        graded: colored by the grades of transmurality; else from 0 to 100%, evenly.

    Raises:
        ValueError: there are not 17 values.
    """
    from matplotlib.patches import Circle, Wedge

    if len(values) != 17:
        raise ValueError(f"a bullseye has 17 segments, not {len(values)}")
    axis.set_aspect("equal")
    axis.set_xlim(-1.24, 1.24)
    axis.set_ylim(-1.14, 1.14)
    axis.set_axis_off()
    axis.set_title(title, fontsize=8.5, color=INK, pad=3)
    for about, value in zip(SEGMENTS, values, strict=True):
        inner, outer = _RADII[about.level]
        if about.page_deg is None or about.width_deg is None:
            _segment(axis, Circle((0, 0), outer), about.number, value, (0.0, 0.0), graded)
            continue
        half, radius, angle = about.width_deg / 2, (inner + outer) / 2, np.radians(about.page_deg)
        wedge = Wedge((0, 0), outer, about.page_deg - half, about.page_deg + half, width=outer - inner)
        _segment(axis, wedge, about.number, value, (radius * np.cos(angle), radius * np.sin(angle)), graded)
    walls = (("anterior", 0, 1.03, 0, "bottom"), ("septal", -1.06, 0, 90, "center"), ("inferior", 0, -1.03, 0, "top"))
    for name, x, y, rotation, vertical in (*walls, ("lateral", 1.06, 0, -90, "center")):
        horizontal = "center" if vertical != "center" else "right" if x < 0 else "left"
        axis.text(x, y, name, rotation=rotation, ha=horizontal, va=vertical, fontsize=6.5, color=FAINT)


def _segment(axis: Axes, patch: Any, number: int, value: float | None, place: tuple[float, float], graded: bool) -> None:
    color = "#ffffff" if value is None else percent_color(value, graded)
    patch.set(facecolor=color, edgecolor=INK, linewidth=0.8)
    if value is None:
        patch.set(hatch="////", edgecolor="#9aa2aa", linewidth=0.8)
    axis.add_patch(patch)
    ink = "#ffffff" if value is not None and _is_dark(color) else INK
    x, y = place
    if value is None:
        axis.text(x, y, str(number), ha="center", va="center", fontsize=5.5, color=FAINT,
                  bbox={"boxstyle": "circle,pad=0.15", "fc": "#ffffff", "ec": "none"})  # fmt: skip
        return
    axis.text(x, y + 0.06, str(number), ha="center", va="center", fontsize=5.5, color=ink)
    text = f"{value:.0f}" if value >= 0.95 or value == 0 else f"{value:.1f}"
    axis.text(x, y - 0.04, text, ha="center", va="center", fontsize=7.5, weight="bold", color=ink)


def percent_color(percent: float, graded: bool = False) -> str:
    """The color of a segment, as ``#rrggbb``."""
    if graded:
        return _GRADE_COLORS[grade(percent)]
    return _burden_colors()[min(max(round(percent), 1), 100)] if percent > 0 else _GRADE_COLORS[0]


@cache
def _burden_colors() -> list[str]:
    """Colors of 0 to 100%; the dark end of the map is left out, on which figures are hard to read."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(color) for color in colormaps[_BURDEN_COLORS](np.linspace(0, 0.85, 101))]


def _is_dark(color: str) -> bool:
    from matplotlib.colors import to_rgb

    return bool(np.dot(to_rgb(color), (0.299, 0.587, 0.114)) < 0.52)


def draw_bullseye_key(axis: Axes, *, graded: bool, not_imaged: bool) -> None:
    """The colors of a bullseye, as a bar along the axes.

    Args:
        axis: wide and low.
        graded: as :func:`draw_bullseye` has it.
        not_imaged: whether there are hatched segments, which are then explained.
    """
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    axis.set_axis_off()
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    end = 0.7 if not_imaged else 1.0
    if graded:
        step = end / len(_GRADE_COLORS)
        for n, (color, words) in enumerate(zip(_GRADE_COLORS, GRADES, strict=True)):
            axis.add_patch(Rectangle((n * step, 0.5), step, 0.45, fc=color, ec=FAINT, lw=0.5))
            axis.text((n + 0.5) * step, 0.4, words.rstrip("%"), ha="center", va="top", fontsize=5.2, color=FAINT)
    else:
        shades = np.array([[to_rgb(percent_color(percent)) for percent in np.linspace(1, 100, 50)]])
        axis.imshow(shades, extent=(0, end, 0.5, 0.95), aspect="auto", interpolation="nearest")
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1)
        axis.add_patch(Rectangle((0, 0.5), end, 0.45, fc="none", ec=FAINT, lw=0.5))
        for percent in (0, 25, 50, 75, 100):
            side = "left" if percent == 0 else "right" if percent == 100 else "center"
            axis.text(
                percent / 100 * end,
                0.4,
                f"{percent}%" if percent == 100 else str(percent),
                ha=side,
                va="top",
                fontsize=6,
                color=FAINT,
            )
    if not_imaged:
        axis.add_patch(Rectangle((end + 0.03, 0.5), 0.06, 0.45, fc="white", ec="#9aa2aa", hatch="/////", lw=0.5))
        axis.text(end + 0.105, 0.72, NOT_IMAGED, va="center", fontsize=6, color=FAINT)


def draw_slice_bars(upper: Axes, lower: Axes, bars: SliceBars) -> None:
    """Scar of each slice: its amount on the axes ``upper``, its share of the slice's wall on those below; levels below its
    number."""
    amounts, percents, levels = bars.amounts, bars.percents, bars.levels
    slices = np.arange(len(amounts))
    upper.bar(slices, amounts, color=SCAR, width=0.72)
    known = {k: percent for k, percent in enumerate(percents) if percent is not None}
    lower.bar(list(known), list(known.values()), color=SCAR, width=0.72)
    unknown = [k for k in range(len(percents)) if k not in known]
    if not known:
        lower.text(
            0.5, 0.5, "no myocardium, so no share", transform=lower.transAxes, ha="center", va="center", fontsize=7, color=FAINT
        )
    for k in unknown if known else ():
        lower.text(k, 0, "–", ha="center", va="bottom", fontsize=7, color=FAINT)
    every = max(1, -(-len(slices) // 16))
    for axis in (upper, lower):
        plain(axis)
        axis.set_xlim(-0.6, len(slices) - 0.4)
        axis.set_xticks(slices[::every])
    upper.set_xticklabels([])
    lower.set_xticklabels([f"{k}\n{levels[k]}" if levels and levels[k] else str(k) for k in slices[::every]])
    upper.set_title(f"Scar of each slice, {bars.unit}", fontsize=8.5, color=INK, pad=3, loc="left")
    lower.set_title("Share of the slice's wall, %", fontsize=8.5, color=INK, pad=3, loc="left")
    upper.set_ylim(0, max(1.12 * max(amounts, default=0.0), 1e-3 if max(amounts, default=0.0) > 0 else 1.0))
    most = max(known.values(), default=0.0)
    lower.set_ylim(0, min(max(1.15 * most, 5.0), 100.0))
    lower.set_xlabel("slice", fontsize=7, color=FAINT, labelpad=1)


def draw_profile(axis: Axes, profile: WallProfile) -> None:
    """Transmurality along the wall, a row per slice; the walls' names below, levels beside the rows."""
    from matplotlib.colors import to_rgb

    percent, levels = 100 * profile.transmurality, profile.levels
    slices = len(percent)
    rounded = np.round(np.nan_to_num(percent))
    grades = np.where(rounded < 1, 0, np.minimum(-(-rounded // 25), 4)).astype(int)  # as grade(), which takes one number
    colors = np.array([to_rgb(color) for color in _GRADE_COLORS])[grades]
    colors[np.isnan(percent)] = 1.0
    axis.imshow(colors, aspect="auto", interpolation="nearest", extent=(0, 1, slices - 0.5, -0.5))
    plain(axis)
    every = max(1, -(-slices // 16))
    axis.set_yticks(range(0, slices, every))
    axis.set_yticklabels([f"{levels[k]} {k}" if levels and levels[k] else str(k) for k in range(0, slices, every)])
    axis.set_xticks([place for place, _ in profile.walls])
    axis.set_xticklabels([name for _, name in profile.walls])
    for k in range(1, slices):
        axis.axhline(k - 0.5, color="#ffffff", lw=0.6)
    axis.set_ylabel("slice", fontsize=7, color=FAINT, labelpad=1)
    axis.set_title("Transmurality along the wall", fontsize=8.5, color=INK, pad=3, loc="left")


def draw_histogram(axis: Axes, histogram: WallHistogram) -> None:
    """How bright the wall is, with and without scar, and where the methods draw their lines."""
    edges, wall, scar, lines = histogram.edges, histogram.wall, histogram.scar, list(histogram.thresholds.items())
    plain(axis)
    axis.set_title("Intensity in the wall", fontsize=8.5, color=INK, pad=3, loc="left")
    axis.set_yticks([])
    if edges.size == 0:
        axis.set_xticks([])
        axis.text(0.5, 0.5, "no myocardium", transform=axis.transAxes, ha="center", va="center", fontsize=7, color=FAINT)
        return
    low, high = float(edges[0]), float(edges[-1])
    axis.stairs(wall, edges, fill=True, color=WALL)
    axis.stairs(wall + scar, edges, baseline=wall, fill=True, color=SCAR)
    band = 0.04 + 0.085 * len(lines)  # for the names, one below the other
    top = float((wall + scar).max()) / (1 - band)
    axis.set_xlim(low, high)
    axis.set_ylim(0, top)
    for n, (name, value) in enumerate(lines):
        height = top * (0.97 - 0.085 * n)
        if not low <= value <= high:  # a line far out would leave the histogram no room
            beyond = (low, f" {name}: below, {value:.4g}") if value < low else (high, f"{name}: above, {value:.4g} ")
            axis.text(beyond[0], height, beyond[1], ha="left" if value < low else "right", va="center", fontsize=6, color=FAINT)
            continue
        axis.vlines(value, 0, height, color=INK, lw=0.8, ls=(0, (3, 2)))
        right = value > low + 0.5 * (high - low)
        words, side = (f"{name} ", "right") if right else (f" {name}", "left")
        behind = {"boxstyle": "square,pad=0.05", "fc": PAPER, "ec": "none"}  # a name may lie over the line of another
        axis.text(value, height, words, ha=side, va="center", fontsize=6, color=INK, bbox=behind)
    for n, (name, color) in enumerate((("scar", SCAR), ("wall without scar", WALL))):  # a legend would take longer than the rest
        axis.text(1.0, 1.02 + 0.075 * n, f"■ {name}", transform=axis.transAxes, ha="right", va="bottom", fontsize=6, color=color)
    axis.set_xlabel("intensity, as stored", fontsize=7, color=FAINT, labelpad=1)


def plain(axis: Axes) -> None:
    """Thin gray axes with small figures."""
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set(color=LINE, linewidth=0.8)
    axis.tick_params(labelsize=6.5, colors=FAINT, length=2, width=0.6, pad=1.5)
