"""What our own segmenter has beside SAM: a network that sees the slices above and below, every pixel, and the prompts.

SAM's decoder answers a prompt from features that are four pixels wide, of one slice, and scar is often not much wider. The
*context network*, a small U-Net, looks at three slices of one stack at once and at the prompts drawn as maps, and names
every pixel's tissue, without prompts when a slice is taken in. For every answer to a reader its twin names them again, which
went on to learn from prompts alone (:mod:`~MyoScarSegLib.segmentation.polar`).

Ronneberger et al., MICCAI 2015 (U-Net); Sofiiuk et al., ICIP 2022 (clicks drawn as maps).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from MyoScarSegLib.segmentation.architectures import TISSUES
from MyoScarSegLib.segmentation.neighbors import SLICES
from MyoScarSegLib.segmentation.prompt_maps import PROMPT_MAPS

WIDTHS = (24, 48, 96, 128, 160)
"""Channels of each level, the finest first. The shipped models have these."""


class ContextNetwork(nn.Module):
    """A U-Net of five levels with instance normalization, for which neither batch size nor contrast matters.

    Attributes:
        widths: channels of each level, the finest first.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.widths = widths
        inputs = (len(SLICES) + len(PROMPT_MAPS), *widths[:-1])
        self.down = nn.ModuleList(_block(a, b) for a, b in zip(inputs, widths, strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairwise(widths))
        self.join = nn.ModuleList(_block(2 * width, width) for width in widths[:-1])
        self.tissue = nn.Conv2d(widths[0], len(TISSUES), 1)
        self.coarse_tissue = nn.Conv2d(widths[1], len(TISSUES), 1)

    def forward(self, slices: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        """Logits of the tissues, ``[batch, 4, rows, columns]``.

        Args:
            slices: ``[batch, 3, rows, columns]`` with
                :func:`~MyoScarSegLib.segmentation.preprocessing.heart_contrast`; sides are multiples of 16.
            maps: ``[batch, len(PROMPT_MAPS), rows, columns]`` of :func:`~MyoScarSegLib.segmentation.prompt_maps.prompt_maps`.
        """
        return self.layers(slices, maps)[0]

    def layers(
        self, slices: torch.Tensor, maps: torch.Tensor, factors: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of the tissues, and those at half the resolution (for training).

        Args:
            slices, maps: as above.
            factors: ``[batch, widths[-1]]`` of the coarsest channels, by which a training step leaves some out.
        """
        x = torch.cat([slices * 2 - 1, maps], dim=1)
        kept = []
        for level, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if level else x)
            kept.append(x)
        if factors is not None:
            x = x * factors[:, :, None, None]
        coarse = x
        for level in reversed(range(len(self.join))):
            x = self.join[level](torch.cat([self.up[level](x), kept[level]], dim=1))
            if level == 1:
                coarse = self.coarse_tissue(x)
        return self.tissue(x), coarse


def scar_logits(tissue: torch.Tensor) -> torch.Tensor:
    """Logits of scar against all else, ``[..., rows, columns]``, from those of the tissues ``[..., 4, rows, columns]``."""
    scar = TISSUES.index("scar")
    return tissue[..., scar, :, :] - tissue[..., :scar, :, :].logsumexp(-3)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.InstanceNorm2d(outputs, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
        ]
    return nn.Sequential(*layers)
