"""Prompts drawn as maps, which the refiner sees beside the picture.

Sofiiuk et al., ICIP 2022 (clicks drawn as maps, the previous mask as a hint).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

PROMPT_MAPS = ("box", "has_box", "positive", "negative", "hint", "has_hint")
_CLICK_PX = 2.0
"""Standard deviation of the bump around a click: as wide as the features that SAM's decoder sees."""


def prompt_maps(
    side: int,
    boxes: Sequence[Sequence[float] | np.ndarray | None],
    points: Sequence[np.ndarray],
    hints: torch.Tensor | None = None,
) -> torch.Tensor:
    """Prompts drawn as maps.

    Args:
        side: rows and columns of the input.
        boxes: ``(x0, y0, x1, y1)`` in pixel edges of the input, or None, one per prompt.
        points: ``[n, 3]`` of each prompt: x and y in pixel edges, and 1 for positive or 0.
        hints: logits of a previous mask, ``[prompts, side, side]``, NaN where a prompt has none.

    Returns:
        float32 ``[prompts, len(PROMPT_MAPS), side, side]``: how much of each pixel the box covers; whether there is a box;
        a bump around each positive and each negative click; the hint's probability; whether there is a hint.
    """
    import torch

    maps = torch.zeros(len(boxes), len(PROMPT_MAPS), side, side)
    edges = torch.arange(side, dtype=torch.float32)
    for number, (box, clicked) in enumerate(zip(boxes, points, strict=True)):
        if box is not None:
            x0, y0, x1, y1 = box
            across = (torch.clamp(edges + 1, max=x1) - torch.clamp(edges, min=x0)).clamp(0, 1)
            along = (torch.clamp(edges + 1, max=y1) - torch.clamp(edges, min=y0)).clamp(0, 1)
            maps[number, 0] = along[:, None] * across[None]
            maps[number, 1] = 1
        for x, y, positive in clicked:
            bump = torch.exp(-((edges[:, None] + 0.5 - float(y)) ** 2 + (edges[None] + 0.5 - float(x)) ** 2) / (2 * _CLICK_PX**2))
            channel = 2 if positive else 3
            maps[number, channel] = torch.maximum(maps[number, channel], bump)
    if hints is not None:
        given = torch.isfinite(hints)
        maps[:, 4] = torch.where(given, torch.sigmoid(torch.nan_to_num(hints)), torch.zeros_like(hints)).to(maps)
        maps[:, 5] = given.to(maps)
    return maps
