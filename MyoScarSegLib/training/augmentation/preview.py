"""A picture of what augmentation does: slices as they are, and in augmented versions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.lesions import USUAL_SPACING_MM
from MyoScarSegLib.outputs.figures import canvas, png
from MyoScarSegLib.outputs.overlay import draw_outline
from MyoScarSegLib.study.normalization import normalize
from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.utils.files import write_bytes

if TYPE_CHECKING:
    import torch
    from matplotlib.axes import Axes

_INK, _PAPER, _FAINT, _SCAR = "#e8e6e1", "#15181c", "#8d949c", "#ff5a4f"
_TILE_INCHES = 1.7
_SIDE_PX, _WINDOW_MM = 112, 156.8
"""Of each window: the pixels of usual LGE, and the heart with some of what is around it."""


def preview(
    slices: Sequence[LabeledSlice],
    out: Path,
    *,
    preset: str,
    seed: int,
    rows: int = 4,
    columns: int = 6,
) -> None:
    """Draw slices, each as it is and in augmented versions, with the outline of the scar, as the PNG ``out``.

    Slices with scar come first; of those, some spread over all patients. There are at most ``rows`` slices, and ``columns``
    pictures of each, the first of them not augmented.

    Raises:
        ModelError: there is no such preset.
        StudyError: there are no slices.
        OutputError: the file cannot be written.
    """
    plain, augmented = Augmenter("none", _SIDE_PX), Augmenter(preset, _SIDE_PX)
    chosen = _chosen(slices, rows)
    figure = canvas(columns * _TILE_INCHES + 0.2, len(chosen) * (_TILE_INCHES + 0.16) + 0.55, _PAPER)
    axes = figure.subplots(len(chosen), columns, squeeze=False)
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.06 / height, top=1 - 0.62 / height, wspace=0.04, hspace=0.12)
    figure.text(
        0.01, 1 - 0.24 / height, f"Augmentation {preset!r}, seed {seed}: {_SIDE_PX} px windows of {_WINDOW_MM:g} mm",
        color=_INK, fontsize=10, va="center",
    )  # fmt: skip
    for row, (number, labeled) in enumerate(chosen):
        image, targets, center = normalize(labeled.image), labeled.scar[None].astype(np.int16), _heart(labeled)
        row_mm, column_mm = labeled.pixel_spacing_mm or USUAL_SPACING_MM
        window_px = (_WINDOW_MM / row_mm, _WINDOW_MM / column_mm)
        for column, axis in enumerate(axes[row]):
            augmenter = augmented if column else plain
            window, classes = augmenter(image, targets, center, seed=(seed, number, column), window_px=window_px)
            _show(axis, window, classes)
            if column == 0:
                axis.set_title(f"{labeled.patient}, slice {labeled.index}", color=_FAINT, fontsize=7, loc="left", pad=2)
            elif row == 0 and column == 1:
                axis.set_title("augmented", color=_FAINT, fontsize=7, loc="left", pad=2)
    write_bytes(out, png(figure))


def _show(axis: Axes, window: torch.Tensor, classes: torch.Tensor) -> None:
    axis.set_axis_off()
    side = window.shape[-1]
    axis.imshow(window[0].numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest", extent=(0, side, side, 0))
    draw_outline(axis, classes[0].numpy() > 0, _SCAR, 0.9)


def _chosen(slices: Sequence[LabeledSlice], count: int) -> list[tuple[int, LabeledSlice]]:
    """Up to ``count`` slices with their numbers, spread evenly over those with scar, or over all if too few have it."""
    if not slices:
        raise StudyError("There are no slices to show.")
    numbered = list(enumerate(slices))
    with_scar = [pair for pair in numbered if pair[1].scar.any()]
    others = [pair for pair in numbered if not pair[1].scar.any()]
    chosen = _spread(with_scar, count)
    return sorted(chosen + _spread(others, count - len(chosen)), key=lambda pair: pair[0])


def _spread(pairs: Sequence[tuple[int, LabeledSlice]], count: int) -> list[tuple[int, LabeledSlice]]:
    count = min(count, len(pairs))
    return [pairs[int((i + 0.5) * len(pairs) / count)] for i in range(count)]


def _heart(labeled: LabeledSlice) -> tuple[float, float]:
    """Middle ``(x, y)`` of what is labeled, in pixel edges; of the slice where nothing is."""
    rows, columns = np.nonzero(labeled.left_ventricle)
    if rows.size == 0:
        return labeled.image.shape[1] / 2, labeled.image.shape[0] / 2
    return (columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2
