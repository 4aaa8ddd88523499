"""The study to look at: what the noise costs with either loss, what the divergence buys, and what the spoilt masks look like."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.files import cache_folder, write_bytes
from MyoScarSegLib.training.datasets.labelled import LabelledSlice
from MyoScarSegLib.training.noise.corruptions import KINDS, Corruption, corrupted
from MyoScarSegLib.training.noise.summary import CLEAN, sentence
from MyoScarSegLib.training.noise.trial import LOSSES, WITH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of Okabe and Ito's colours, which colour-blind readers can tell apart.
_COLOURS = {WITH: "#0072B2", "without": "#D55E00"}
_MARKERS = {WITH: "o", "without": "s"}
_NAMES = {WITH: "Dice + BCE + KL to soft labels", "without": "Dice + BCE"}
_INK, _FAINT, _GRID = "#22262b", "#6b7480", "#e3e6ea"
_DPI = 140
_AROUND_PX = 8
_LOOKED_AT = 60
_APART = 0.012
"""Between the marks of the two losses, as a share of the axis, so that they do not hide each other."""
_LABELS_APART = 0.13


def draw(path: Path, document: Mapping[str, Any]) -> None:
    """Draw the study: a column for each kind of noise, against the Dice of the spoilt training masks.

    Above, the validation Dice with either loss: lines are means, marks are seeds, dashes are true masks. In the middle the
    paired difference with its interval; below the mass bias.

    Args:
        path: PNG file.
        document: content of the study's file, with its ``summary``.

    Raises:
        OutputError: the file cannot be written.
    """
    summary = document["summary"]
    conditions, differences = summary["conditions"], summary["differences"]
    present = {row["kind"] for row in conditions.values()}
    kinds = [kind for kind in KINDS if kind in present] or list(KINDS)
    figure, axes = _grid(len(kinds))
    # True masks on the left, the more noise the further to the right.
    worst = min(row["masks_dice"] for row in conditions.values())
    reach = 1.12 * max(1 - worst, 0.05)
    for column, kind in enumerate(kinds):
        members = {name: row for name, row in conditions.items() if row["kind"] in (None, kind)}
        _curves(axes[0][column], members, "dice", reach)
        _differences(axes[1][column], {name: (row, differences.get(name)) for name, row in members.items()})
        _curves(axes[2][column], members, "mass_bias_percent", reach)
        axes[2][column].axhline(0, color=_FAINT, lw=0.9, zorder=1)
        axes[0][column].set_title(KINDS[kind].title, fontsize=10.5, color=_INK, pad=18)
        _strengths(axes[0][column], members, reach)
        for row in axes:
            row[column].set_xlim(1 + 0.06 * reach, 1 - 0.96 * reach)
    for row, label in zip(axes, ("validation Dice", "difference of Dice,\nwith less without KL", "mass bias (%)"), strict=True):
        row[0].set_ylabel(label)
        low, high = min(a.get_ylim()[0] for a in row), max(a.get_ylim()[1] for a in row)
        for axis in row:
            axis.set_ylim(low, high)
            if axis is not row[0]:
                axis.tick_params(labelleft=False)
    figure.supxlabel("Dice of the training masks with the true ones (true masks on the left)", fontsize=9, color=_INK, y=0.008)
    seeds = max((len(f["seeds"]) for row in conditions.values() for f in row["losses"].values()), default=0)
    patients = len(document["how"]["validation_patients"])
    note = (
        f"Mean Dice per patient in 3D of {patients} validation patients, hurried boxes. Marks: seeds ({seeds}). Dashes: "
        f"true masks.\nDifference: mean with 95% interval over patients and seeds.\n{sentence(summary)}"
    )
    figure.text(0.012, 0.992, note, fontsize=8.5, color=_FAINT, va="top", linespacing=1.35)
    figure.legend(
        handles=[_key(loss) for loss in LOSSES],
        loc="upper left",
        bbox_to_anchor=(0.005, 0.94),
        ncols=2,
        frameon=False,
        fontsize=9,
    )
    _save(path, figure)


def draw_masks(path: Path, slices: Sequence[LabelledSlice], corruptions: Sequence[Corruption], seed: int = 0) -> None:
    """Show what is done to masks: one slice under every corruption, spoilt masks over true ones.

    Args:
        path: PNG file.
        slices: with true masks; one with much scar, if possible in several lesions of which some are missed, is shown.
        corruptions: which; a row for each kind.
        seed: of the noise.

    Raises:
        OutputError: the file cannot be written.
    """
    kinds = [kind for kind in KINDS if any(c.kind == kind for c in corruptions)]
    if not kinds:
        return
    shown = _instructive(slices, corruptions, seed)
    window = _square(shown.left_ventricle if shown.wall_known else shown.scar)
    low, high = np.percentile(shown.image[window], (1, 99.5))
    most = max(sum(c.kind == kind for c in corruptions) for kind in kinds)
    side, pitch, top = 2.3, 2.6, 0.32
    width, height = side * most, pitch * len(kinds) + top
    figure = _figure(width, height)
    for row, kind in enumerate(kinds):
        for column, corruption in enumerate(c for c in corruptions if c.kind == kind):
            x, y = side * column + 0.04, pitch * (len(kinds) - 1 - row) + 0.04
            axis = figure.add_axes((x / width, y / height, (side - 0.08) / width, (side - 0.08) / height))
            axis.imshow(shown.image[window], cmap="gray", vmin=low, vmax=high, interpolation="nearest")
            spoilt = corrupted([shown], corruption, seed)[0].scar
            for mask, colour in ((shown.scar, "#56B4E9"), (spoilt, "#E69F00")):
                if mask.any():
                    axis.contour(mask[window].astype(float), levels=[0.5], colors=[colour], linewidths=1.6)
            axis.set_axis_off()
            axis.set_title(f"{KINDS[kind].title}, {corruption.shown_strength}", fontsize=9, color=_INK, pad=3)
    figure.text(0.02, 1 - 0.06 / height, "blue: true mask; orange: spoilt mask", fontsize=9, color=_FAINT, va="top")
    _save(path, figure)


def _instructive(slices: Sequence[LabelledSlice], corruptions: Sequence[Corruption], seed: int) -> LabelledSlice:
    """Of the slices with most scar the one on which the most corruptions show, without taking all of it away."""
    scarred = sorted((s for s in slices if s.scar.any()), key=lambda s: -int(s.scar.sum()))[:_LOOKED_AT]

    def shows(one: LabelledSlice) -> int:
        spoilt = [corrupted([one], corruption, seed)[0].scar for corruption in corruptions]
        return sum(bool((mask != one.scar).any()) and bool(mask.any()) for mask in spoilt)

    return max(scarred, key=shows)


def _square(mask: np.ndarray) -> tuple[slice, slice]:
    """A square around a mask, as far as the picture goes."""
    places = np.nonzero(mask)
    half = max(int(place.max() - place.min()) for place in places) / 2 + _AROUND_PX
    middles = [(int(place.max()) + int(place.min())) / 2 for place in places]
    rows, columns = (
        slice(max(0, round(middle - half)), min(size, round(middle + half) + 1))
        for middle, size in zip(middles, mask.shape, strict=True)
    )
    return rows, columns


def _curves(axis: Axes, members: Mapping[str, Any], name: str, reach: float) -> None:
    """Both losses' figure ``name`` against the masks' Dice, on an axis that spans ``reach``."""
    for side, loss in zip((1, -1), LOSSES, strict=True):
        known = [(row["masks_dice"], row["losses"][loss]) for row in members.values() if loss in row["losses"]]
        known.sort(key=lambda entry: -entry[0])
        if not known:
            continue
        colour = _COLOURS[loss]
        x = np.array([place for place, _ in known]) + side * _APART * reach
        axis.plot(x, [figures[name] for _, figures in known], "-", color=colour, lw=1.8, zorder=3)
        for at, (_, figures) in zip(x, known, strict=True):
            values = [seed[name] for seed in figures["seeds"].values()]
            axis.plot([at] * len(values), values, "-", color=colour, lw=1, alpha=0.6, zorder=2)
            axis.plot([at] * len(values), values, _MARKERS[loss], color=colour, ms=5, mec="white", mew=0.7, zorder=4)
        clean = members.get(CLEAN, {"losses": {}})["losses"].get(loss)
        if clean is not None and name == "dice":
            axis.axhline(clean[name], color=colour, lw=1, ls=(0, (4, 3)), alpha=0.8, zorder=1)


def _differences(axis: Axes, members: Mapping[str, tuple[Any, Any]]) -> None:
    axis.axhline(0, color=_FAINT, lw=0.9, zorder=1)
    for row, found in members.values():
        if found is None:
            continue
        x = row["masks_dice"]
        if found["interval_95"] is not None:
            axis.plot([x, x], found["interval_95"], color=_INK, lw=1.6, solid_capstyle="butt", zorder=2)
        values = list(found["by_seed"].values())
        axis.plot([x] * len(values), values, ".", color=_FAINT, ms=5, zorder=3)
        axis.plot(x, found["mean"], "D", color=_INK, ms=5, mec="white", mew=0.7, zorder=4)
    # No difference must not look like one: the scale is never finer than this.
    low, high = axis.get_ylim()
    axis.set_ylim(min(low, -0.02), max(high, 0.02))


def _strengths(axis: Axes, members: Mapping[str, Any], reach: float) -> None:
    """Name the strengths above the panel, whose axis spans ``reach``, apart from each other."""
    rows = sorted(members.values(), key=lambda row: -row["masks_dice"])
    at = 2.0
    for row in rows:
        at = min(row["masks_dice"], at - _LABELS_APART * reach)
        text = "true" if row["kind"] is None else Corruption(row["kind"], row["strength"]).shown_strength
        axis.annotate(
            text, (at, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", va="bottom", fontsize=8, color=_FAINT, annotation_clip=False,
        )  # fmt: skip


def _grid(columns: int) -> tuple[Figure, list[list[Axes]]]:
    """Three rows of panels that share their scales by row and by column."""
    heights, gap, bottom, top = (2.7, 1.6, 1.6), 0.28, 0.62, 1.2
    height, width = sum(heights) + 2 * gap + bottom + top, 1.05 + 3.05 * columns
    figure = _figure(width, height)
    axes: list[list[Axes]] = []
    for row in range(3):
        y = bottom + sum(heights[row + 1 :]) + gap * (2 - row)
        axes.append([])
        for column in range(columns):
            box = ((0.95 + 3.05 * column) / width, y / height, 2.85 / width, heights[row] / height)
            axis = figure.add_axes(box)
            axis.grid(color=_GRID, lw=0.8)
            axis.set_axisbelow(True)
            axis.margins(y=0.1)
            for side, spine in axis.spines.items():
                spine.set_visible(side in ("left", "bottom"))
                spine.set_color(_FAINT)
            axis.tick_params(colors=_INK, labelsize=8.5, length=3, color=_FAINT, labelbottom=row == 2)
            axis.yaxis.label.set(color=_INK, fontsize=9)
            axes[row].append(axis)
    for panels in axes:
        panels[0].yaxis.set_label_coords(-0.17, 0.5)
    return figure, axes


def _figure(width: float, height: float) -> Figure:
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _key(loss: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=_COLOURS[loss], marker=_MARKERS[loss], lw=1.8, ms=5.5, mec="white", mew=0.7, label=_NAMES[loss])


def _save(path: Path, figure: Figure) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": "MyoScarSeg"})
    write_bytes(path, buffer.getvalue())
