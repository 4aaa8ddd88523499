"""Prompts drawn as maps, which the context network sees beside the picture.

Sofiiuk et al., ICIP 2022 (clicks drawn as maps, the previous mask as a hint).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

PROMPT_MAPS = ("box", "has_box", "positive", "negative", "hint", "has_hint", "beside")
_CLICK_PX = 2.0
"""Standard deviation of the bump around a click: a few millimeters, which is how well readers aim."""


def prompt_maps(
    side: int,
    boxes: Iterable[tuple[float, float, float, float] | np.ndarray] = (),
    points: Iterable[tuple[float, float, float] | np.ndarray] = (),
    hint: torch.Tensor | None = None,
    beside: torch.Tensor | None = None,
) -> torch.Tensor:
    """All prompts of one window drawn as maps.

    Args:
        side: rows and columns of the window.
        boxes: ``(x0, y0, x1, y1)`` of each in pixel edges of the window.
        points: x and y of each in pixel edges, and 1 for positive or 0.
        hint: probability of scar of a previous mask, ``[side, side]``.
        beside: scar that a reader has confirmed on the slices above and below, likewise.

    Returns:
        float32 ``[len(PROMPT_MAPS), side, side]``: how much of each pixel the boxes cover; whether there is a box; a bump
        around each positive and each negative click; the hint; whether there is one; scar beside.
    """
    import torch

    maps = torch.zeros(len(PROMPT_MAPS), side, side)
    edges = torch.arange(side, dtype=torch.float32)
    for x0, y0, x1, y1 in boxes:
        across = (torch.clamp(edges + 1, max=float(x1)) - torch.clamp(edges, min=float(x0))).clamp(0, 1)
        along = (torch.clamp(edges + 1, max=float(y1)) - torch.clamp(edges, min=float(y0))).clamp(0, 1)
        maps[0] = torch.maximum(maps[0], along[:, None] * across[None])
        maps[1] = 1
    for x, y, positive in points:
        bump = torch.exp(-((edges[:, None] + 0.5 - float(y)) ** 2 + (edges[None] + 0.5 - float(x)) ** 2) / (2 * _CLICK_PX**2))
        channel = 2 if positive else 3
        maps[channel] = torch.maximum(maps[channel], bump)
    if hint is not None:
        maps[4], maps[5] = hint.to(maps), 1
    if beside is not None:
        maps[6] = beside.to(maps)
    return maps
