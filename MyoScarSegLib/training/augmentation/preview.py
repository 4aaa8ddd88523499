"""A picture of what augmentation does: slices as they are, and in augmented versions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.outputs.figures import DARK_FAINT, DARK_PAPER, LIGHT_INK, canvas, png
from MyoScarSegLib.outputs.montage import SCAR_COLOR, draw_outline
from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.finetune.training_slices import LESIONS, sam_window, training_slices
from MyoScarSegLib.training.shown_slices import choose_slices
from MyoScarSegLib.utils.files import write_bytes

_TILE_INCHES = 1.7
_SIDE_PX, _WINDOW_MM = 112, 156.8
"""Of each window: the pixels of usual LGE, and the heart with some of what is around it."""


def preview(
    slices: Sequence[LabeledSlice],
    out: Path,
    *,
    augmentation: str,
    seed: int,
    rows: int = 4,
    columns: int = 6,
) -> None:
    """Draw slices, each as it is and in augmented versions, with the outline of the scar, as the PNG ``out``.

    There are at most ``rows`` slices of :func:`~.shown_slices.choose_slices`, and ``columns`` pictures of each, the first of them
    not augmented.

    Raises:
        ModelError: there is no such augmentation.
        StudyError: there are no slices.
        OutputError: the file cannot be written.
    """
    plain, augmented = Augmenter("none", _SIDE_PX), Augmenter(augmentation, _SIDE_PX)
    if not slices:
        raise StudyError("There are no slices to show.")
    chosen = training_slices([slices[number] for number in choose_slices(slices, rows)])
    figure = canvas(columns * _TILE_INCHES + 0.2, len(chosen) * (_TILE_INCHES + 0.16) + 0.55, DARK_PAPER)
    axes = figure.subplots(len(chosen), columns, squeeze=False)
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.06 / height, top=1 - 0.62 / height, wspace=0.04, hspace=0.12)
    figure.text(
        0.01, 1 - 0.24 / height, f"Augmentation {augmentation!r}, seed {seed}: {_SIDE_PX} px windows of {_WINDOW_MM:g} mm",
        color=LIGHT_INK, fontsize=10, va="center",
    )  # fmt: skip
    for row, sample in enumerate(chosen):
        for column, axis in enumerate(axes[row]):
            window = sam_window(sample, augmented if column else plain, _WINDOW_MM, (seed, row, column))
            axis.set_axis_off()
            extent = (0, _SIDE_PX, _SIDE_PX, 0)
            axis.imshow(window.image[0].numpy(), "gray", vmin=0, vmax=1, interpolation="nearest", extent=extent)
            draw_outline(axis, window.targets[LESIONS].numpy() > 0, SCAR_COLOR, 0.9)
            if column == 0:
                axis.set_title(f"{sample.patient}, slice {sample.index}", color=DARK_FAINT, fontsize=7, loc="left", pad=2)
            elif row == 0 and column == 1:
                axis.set_title("augmented", color=DARK_FAINT, fontsize=7, loc="left", pad=2)
    write_bytes(out, png(figure))
