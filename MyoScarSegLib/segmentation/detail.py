"""What our own segmenter adds to SAM: a branch that sees every pixel, and a refiner that draws the mask from both.

SAM's decoder answers a prompt from features that are four pixels wide, and scar is often not much wider. The *detail
branch*, a small U-Net on the same window, runs once a slice, like SAM's image encoder; it was taught to name every pixel's
tissue. The *refiner*, which a model need not have, runs once a prompt: it sees the branch's features, SAM's answer to the
prompt, and the prompt itself drawn as maps, and gives the final logits.

Ronneberger et al., MICCAI 2015 (U-Net); Ke et al., NeurIPS 2023 (a SAM with finer features).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from MyoScarSegLib.segmentation.architectures import TISSUES
from MyoScarSegLib.segmentation.prompt_maps import PROMPT_MAPS

_LEVELS = 5
_SAM_LOGIT_SCALE = 0.1


class DetailBranch(nn.Module):
    """A U-Net of five levels: tissue logits and features for every pixel.

    Args:
        width: channels of the finest level; each coarser one has twice as many, up to eight times.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(_LEVELS)]
        self.down = nn.ModuleList(
            _Block(1 if level == 0 else widths[level - 1], widths[level], stride=1 if level == 0 else 2)
            for level in range(_LEVELS)
        )
        self.up = nn.ModuleList(_Block(widths[level + 1] + widths[level], widths[level]) for level in range(_LEVELS - 1))
        self.tissue = nn.Conv2d(widths[0], len(TISSUES), 1)
        self.coarse_tissue = nn.Conv2d(widths[1], len(TISSUES), 1)

    @property
    def channels(self) -> int:
        """Channels of what :meth:`forward` returns: the tissue logits first, then the features."""
        return len(TISSUES) + self.tissue.in_channels

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """``[batch, channels, rows, columns]`` from ``[batch, 1, rows, columns]``, sides multiples of 16.

        Args:
            image: windows with :func:`~MyoScarSegLib.segmentation.preprocessing.heart_contrast`.
        """
        tissue, features, _ = self.layers(image)
        return torch.cat([tissue, features], dim=1)

    def layers(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Tissue logits, features, and tissue logits at half the resolution (for training)."""
        kept = []
        x = image * 4 - 2
        for block in self.down:
            x = block(x)
            kept.append(x)
        coarse = x
        for level in reversed(range(_LEVELS - 1)):
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = self.up[level](torch.cat([x, kept[level]], dim=1))
            if level == 1:
                coarse = self.coarse_tissue(x)
        return self.tissue(x), x, coarse


class Refiner(nn.Module):
    """From the detail branch's output, SAM's logits and the prompt's maps to what changes in SAM's logits.

    Args:
        channels: of the detail branch's output.
        width: channels of the refiner's finest level.
    """

    def __init__(self, channels: int, width: int = 24) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels + 1 + len(PROMPT_MAPS), width, 1)
        self.fine = _Block(width, width)
        self.middle = _Block(width, 2 * width, stride=2)
        self.coarse = _Block(2 * width, 4 * width, stride=2)
        self.deep = _Block(4 * width, 4 * width, stride=2)
        self.up_coarse = _Block(8 * width, 2 * width)
        self.up_middle = _Block(4 * width, width)
        self.up_fine = _Block(2 * width, width)
        self.leave = nn.Conv2d(width, 1, 1)
        # It learns what to change in SAM's answer, and so begins by changing nothing.
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, detail: torch.Tensor, sam_logits: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        """Logits ``[prompts, rows, columns]`` of the mask.

        Args:
            detail: ``[prompts, channels, rows, columns]``.
            sam_logits: ``[prompts, rows, columns]``.
            maps: ``[prompts, len(PROMPT_MAPS), rows, columns]`` of :func:`~MyoScarSegLib.segmentation.prompt_maps.prompt_maps`.
        """
        sam = sam_logits[:, None].clamp(-20, 20) * _SAM_LOGIT_SCALE
        tissue = detail[:, : len(TISSUES)].clamp(-20, 20)
        fine = self.fine(self.enter(torch.cat([tissue, detail[:, len(TISSUES) :], sam, maps], dim=1)))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        x = self.up_coarse(torch.cat([_twice(self.deep(coarse)), coarse], dim=1))
        x = self.up_middle(torch.cat([_twice(x), middle], dim=1))
        x = self.up_fine(torch.cat([_twice(x), fine], dim=1))
        return self.leave(x)[:, 0] + sam_logits.clamp(-20, 20)


def build_detail(state: Mapping[str, torch.Tensor]) -> dict[str, nn.Module]:
    """``detail`` and ``refiner`` in the sizes of a checkpoint's tensors, without their weights, as far as it has them."""
    first, entry = state.get("detail.down.0.first.weight"), state.get("refiner.enter.weight")
    if first is None:
        return {}
    branch = DetailBranch(int(first.shape[0]))
    return {"detail": branch} if entry is None else {"detail": branch, "refiner": Refiner(branch.channels, int(entry.shape[0]))}


class _Block(nn.Module):
    """Two convolutions with group normalization, which is the same for every batch size, and a residual path."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(_groups(outputs), outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(_groups(outputs), outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.silu(self.first_norm(self.first(x)))
        return functional.silu(x + self.second_norm(self.second(x)))


def _groups(channels: int) -> int:
    return max(g for g in (1, 2, 4, 8) if channels % g == 0)


def _twice(x: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")
