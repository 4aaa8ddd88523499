"""Pictures of some validation slices with the reference's and the network's outline, drawn anew after every look."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.outputs.figures import DARK_PAPER, LIGHT_INK, canvas, png
from MyoScarSegLib.outputs.montage import draw_outline
from MyoScarSegLib.quantification.overlap import dice
from MyoScarSegLib.study.normalization import normalize
from MyoScarSegLib.training.datasets.label_pictures import write_png
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.runs.comparison_files import plain_name
from MyoScarSegLib.training.shown_slices import choose_slices

MOST_SLICES, MOST_EPOCHS = 6, 12
TRUTH_COLOR, PREDICTION_COLOR = "#56b4e9", "#e69f00"
"""Blue and orange, which every eye tells apart (Okabe and Ito)."""
_SIDE_PX, _STRIP_PX, _DPI = 256, 22, 110
_WINDOW_MM, _USUAL_PIXEL_MM = 140.0, 1.4
_COLORS = 64
EXAMPLE = re.compile(r"epoch-(\d+)-(.+)-(\d+)\.png")
"""A picture's name: epoch, case and slice."""


def draw(folder: Path, epoch: int, slices: Sequence[LabeledSlice], masks: Sequence[np.ndarray]) -> list[Path]:
    """Draw some of the validation slices with what the network makes of them (bool ``[rows, columns]`` each) after an epoch,
    counted from 1: ``epoch-003-P007-04.png``. Returns the new pictures.

    Of earlier epochs so many are kept, evenly, that there are never more than :data:`MOST_EPOCHS`; the first one stays.

    Raises:
        OutputError: the folder cannot be written.
    """
    from PIL import Image

    folder = Path(folder)
    for old in folder.glob(f"epoch-{epoch:03d}-*.png"):  # of an epoch that is done again
        old.unlink(missing_ok=True)
    written = []
    for n in choose_slices(slices, MOST_SLICES):
        path = folder / f"epoch-{epoch:03d}-{plain_name(slices[n].stack)}-{slices[n].index:02d}.png"
        drawn = Image.open(BytesIO(picture(slices[n], np.asarray(masks[n], dtype=bool), epoch)))
        write_png(path, drawn.convert("RGB").quantize(_COLORS), optimize=True)
        written.append(path)
    _thin(folder)
    return written


def by_epoch(paths: Iterable[Path]) -> dict[int, list[Path]]:
    """The pictures among some files by epoch, both in order."""
    found: dict[int, list[Path]] = {}
    for path in sorted(paths):
        if match := EXAMPLE.fullmatch(path.name):
            found.setdefault(int(match[1]), []).append(path)
    return dict(sorted(found.items()))


def picture(labeled: LabeledSlice, mask: np.ndarray, epoch: int) -> bytes:
    """A PNG of one slice around the heart, with the outlines of reference and network (bool ``[rows, columns]``), and a line
    below.
    """
    truth, grey = labeled.scar, normalize(labeled.image)
    x0, y0, x1, y1 = _window(labeled)
    height = _SIDE_PX + _STRIP_PX
    figure = canvas(_SIDE_PX / _DPI, height / _DPI, DARK_PAPER)
    axis = figure.add_axes((0, _STRIP_PX / height, 1, _SIDE_PX / height))
    axis.set_axis_off()
    # The window's own contrast: a heart has a fifth of a slice's grey values.
    low, high = np.percentile(grey[max(0, y0) : y1, max(0, x0) : x1], (1, 99.5))
    extent = (0, grey.shape[1], grey.shape[0], 0)
    axis.imshow(grey, "gray", aspect="auto", interpolation="bicubic", vmin=low, vmax=max(high, low + 1e-3), extent=extent)
    axis.set(xlim=(x0, x1), ylim=(y1, y0))
    draw_outline(axis, truth, TRUTH_COLOR, 1.3)
    draw_outline(axis, mask, PREDICTION_COLOR, 1.3)
    told = f"Dice {dice(mask, truth):.2f}" if truth.any() else "false scar" if mask.any() else "none, rightly"
    where: dict[str, Any] = {"y": 0.3 * _STRIP_PX / height, "fontsize": 7.5}
    figure.text(0.02, s=f"{labeled.stack[:14]}, slice {labeled.index + 1}", color=LIGHT_INK, **where)
    figure.text(0.98, s=f"{told}, epoch {epoch}", color=PREDICTION_COLOR, ha="right", **where)
    return png(figure, _DPI)


def _window(labeled: LabeledSlice) -> tuple[int, int, int, int]:
    """``(x0, y0, x1, y1)`` of a square around the heart, in whole pixels; it may reach beyond the slice."""
    rows, columns = labeled.image.shape
    # Only the reference decides: the place must not move from epoch to epoch.
    if labeled.left_ventricle.any():
        where = np.nonzero(labeled.left_ventricle)
        row, column = ((int(axis.min()) + int(axis.max()) + 1) / 2 for axis in where)
    else:
        row, column = rows / 2, columns / 2
    spacing = labeled.pixel_spacing_mm
    side = round(_WINDOW_MM / (_USUAL_PIXEL_MM if spacing is None else max(spacing)))
    side = min(max(side, 24), max(rows, columns))
    x0, y0 = round(column - side / 2), round(row - side / 2)
    return x0, y0, x0 + side, y0 + side


def _thin(folder: Path) -> None:
    """Delete the pictures of epochs that lie nearest to others, until there are few enough."""
    found = by_epoch(folder.iterdir())
    while len(found) > MOST_EPOCHS:
        epochs = list(found)
        inner = range(1, len(epochs) - 1)
        dropped = epochs[min(inner, key=lambda n: (epochs[n + 1] - epochs[n - 1], -n))]
        for path in found.pop(dropped):
            path.unlink(missing_ok=True)
