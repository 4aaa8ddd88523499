"""The context network's twin, which sees the window unrolled around the ventricle.

In polar coordinates around the ventricle's center its wall is a band, and the border that tells scar from blood, on which most
of a mask's errors lie, is a line along it: what is known of one wall segment holds for all, at every place of the circle.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from MyoScarSegLib.segmentation.architectures import TISSUES
from MyoScarSegLib.segmentation.context import WIDTHS, ContextNetwork

_ROUND = 16
"""Pixels of the circle that are shown once more at either end, where it was cut open; and what sides are multiples of."""
_FEWEST_PX = 20
"""Of the ventricle, to have a center."""


class PolarNetwork(nn.Module):
    """A context network between two resamplings: it takes and gives what :class:`.ContextNetwork` does, and has a center, too.

    Half the window's side is the reach around the center; what lies beyond is answered like the pixel of the rim before it.

    Attributes:
        unrolled: the network, on pictures with an angle in each row and a distance in each column.
        widths: its channels.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.unrolled = ContextNetwork(widths)
        self.widths = widths

    def forward(self, slices: torch.Tensor, maps: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
        """Logits of the tissues, as :meth:`.ContextNetwork.forward`.

        Args:
            slices, maps: as there.
            centers: ``[batch, 2]``: x and y of the ventricle's center, in pixel edges of the window.
        """
        return self.layers(slices, maps, centers)[0]

    def layers(
        self, slices: torch.Tensor, maps: torch.Tensor, centers: torch.Tensor, factors: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`.ContextNetwork.layers`."""
        there, back = _grids(centers.float(), slices.shape[-1])
        seen = _resampled(torch.cat([slices, maps], dim=1), there)
        fine, coarse = self.unrolled.layers(seen[:, : slices.shape[1]], seen[:, slices.shape[1] :], factors)
        return _resampled(fine, back), _resampled(coarse, back[:, ::2, ::2])


def ventricle_centers(tissue: torch.Tensor) -> torch.Tensor:
    """``[batch, 2]``: x and y of the middle of all that is more likely ventricle than background, in pixel edges.

    The window's middle where next to nothing is.

    Args:
        tissue: logits ``[batch, 4, rows, columns]``, or their logarithms of probabilities.
    """
    background = TISSUES.index("background")
    ventricle = (tissue.float().softmax(1)[:, background] < 0.5).float()
    count = ventricle.sum((1, 2))
    edges = [torch.arange(size, device=tissue.device) + 0.5 for size in tissue.shape[2:]]
    y, x = (ventricle.sum(axis) @ at / count.clamp(min=1) for axis, at in zip((2, 1), edges, strict=True))
    middle = tissue.new_tensor([tissue.shape[3] / 2, tissue.shape[2] / 2], dtype=torch.float32)
    return torch.where(count[:, None] >= _FEWEST_PX, torch.stack([x, y], dim=1), middle)


def _grids(centers: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Where each pixel of the unrolled picture lies in the window, and each of the window in the unrolled picture:
    ``[batch, rows, columns, 2]``, x first, -1 to 1.
    """
    # As fine as the window at half its reach, where walls are; both sides are multiples of 16, as the network wants them.
    distances = max(1, round(side * 2 / 3 / _ROUND)) * _ROUND
    angles = max(1, round(side * 5 / 3 / 2 / _ROUND)) * 2 * _ROUND
    rows, step, turn = angles + 2 * _ROUND, side / 2 / distances, 2 * math.pi / angles
    angle = (torch.arange(-_ROUND, angles + _ROUND, device=centers.device) + 0.5) * turn
    distance = (torch.arange(distances, device=centers.device) + 0.5) * step
    rays = torch.stack([angle.cos(), angle.sin()], dim=-1)
    there = centers[:, None, None] + rays[:, None] * distance[:, None]
    edges = torch.arange(side, device=centers.device) + 0.5
    x, y = (edges - centers[:, axis, None] for axis in (0, 1))
    away = torch.hypot(x[:, None], y[:, :, None])
    around = torch.atan2(y[:, :, None], x[:, None]) % (2 * math.pi)
    back = torch.stack([away / step * 2 / distances, (around / turn + _ROUND) * 2 / rows], dim=-1)
    return there * 2 / side - 1, back - 1


def _resampled(pictures: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    # What lies beyond is the rim's, as padding with the border has it, which not every device can.
    rim = 1 - 1 / grid.new_tensor([pictures.shape[3], pictures.shape[2]])
    within = torch.minimum(torch.maximum(grid, -rim), rim)
    # In float32, which the grids are in, whatever the network computes in.
    return functional.grid_sample(pictures.float(), within, mode="bilinear", padding_mode="zeros", align_corners=False)
