"""Which part of a slice a segmenter looks at: all of it, or a window around the heart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.errors import ModelError

if TYPE_CHECKING:
    from MyoScarSegLib.segmentation.sam_checkpoint import Checkpoint

VIEWS = ("auto", "heart", "slice")
_USUAL_PIXEL_MM = 1.4
"""What a pixel is taken to measure where a study carries no spacing; only the window's size hangs on it."""
_MARGIN = 0.1
"""Around prompts for which the window had to grow, as a share of their extent."""


@dataclass(frozen=True)
class HeartWindow:
    """A square window of fixed physical size, so that the heart always appears at the scale that the network knows.

    Attributes:
        side_mm: length of the window's sides.
        side_px: length of the network's input; ``side_mm / side_px`` is the resolution that the network sees.
    """

    side_mm: float
    side_px: int

    def region(
        self,
        shape: tuple[int, int],
        pixel_spacing_mm: tuple[float, float] | None,
        center: tuple[float, float] | None,
        prompts: Sequence[tuple[float, float, float, float]] = (),
    ) -> tuple[int, int, int, int]:
        """The window on one slice.

        It depends on the center alone as long as all prompts lie in it, so that editing a prompt does not move it (the
        slice's embedding stays good). Prompts beyond it move it to themselves, and enlarge it where they need more room.

        Args:
            shape: ``(rows, columns)`` of the slice.
            pixel_spacing_mm: ``(row, column)`` spacing, None if unknown.
            center: ``(x, y)`` of the heart in native pixel edges; the middle of the slice if None.
            prompts: ``(x0, y0, x1, y1)`` of each box, and of each point with x0 = x1 and y0 = y1.

        Returns:
            ``(x0, y0, x1, y1)`` whole native pixels; it may reach beyond the slice.
        """
        row_mm, column_mm = pixel_spacing_mm or (_USUAL_PIXEL_MM, _USUAL_PIXEL_MM)
        size = np.maximum(1, np.round(self.side_mm / np.array([column_mm, row_mm])))
        window = _around(np.array(center if center is not None else (shape[1] / 2, shape[0] / 2)), size)
        if prompts:
            corners = np.array(prompts)
            low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
            if (low < window[:2]).any() or (high > window[2:]).any():
                growth = max(1.0, float(((high - low) * (1 + 2 * _MARGIN) / size).max()))
                window = _around((low + high) / 2, np.ceil(size * growth))
        x0, y0, x1, y1 = (int(v) for v in window)
        return x0, y0, x1, y1


def _around(center: np.ndarray, size: np.ndarray) -> np.ndarray:
    low = np.round(center - size / 2)
    return np.concatenate([low, low + size])


_LITEMEDSAM_WINDOW = HeartWindow(side_mm=180.0, side_px=128)
"""LiteMedSAM has no absolute position embedding, so it may look at a window instead of the whole slice: 128 pixels of 1.4 mm
keep the scale that it sees in a 256-pixel slice at a fraction of the time."""


def window_of(checkpoint: Checkpoint, view: str) -> HeartWindow | None:
    """The window that a segmenter looks at; None for whole slices.

    Args:
        checkpoint: of the segmenter.
        view: one of :data:`VIEWS`; ``auto`` is what the checkpoint was made for, and for LiteMedSAM the window.

    Raises:
        ModelError: there is no such view, or the checkpoint cannot have it.
    """
    if view not in VIEWS:
        raise ModelError(f"There is no view called {view!r}. Choose one of {', '.join(VIEWS)}.")
    made_for = checkpoint.window_mm
    if made_for is not None:
        if view == "slice":
            raise ModelError(f"{checkpoint.name} was trained on windows around the heart; it cannot look at whole slices.")
        return HeartWindow(made_for, checkpoint.side)
    if view == "slice" or (view == "auto" and checkpoint.architecture != "litemedsam"):
        return None
    if checkpoint.architecture != "litemedsam":
        raise ModelError(f"{checkpoint.name} is a {checkpoint.architecture}, which looks at whole slices only. Use --view slice.")
    return _LITEMEDSAM_WINDOW
