"""Low-rank adapters: beside each attention projection of the image encoder, a product of two thin matrices learns.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022. A few lines of our own, because the library for it
brings the whole of a language-model framework into Slicer's Python.
"""

from __future__ import annotations

import torch
from torch import nn

from MyoScarSegLib.errors import ModelError


class LowRank(nn.Module):
    """A linear layer and what is added to its answer.

    Args:
        linear: the layer; its own weights stay.
        rank: of the addition, which starts as zero.
        generator: of the thin matrix that does not start as zero.
    """

    def __init__(self, linear: nn.Linear, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = linear
        narrow, wide = nn.Linear(linear.in_features, rank, bias=False), nn.Linear(rank, linear.out_features, bias=False)
        nn.init.normal_(narrow.weight, std=linear.in_features**-0.5, generator=generator)
        nn.init.zeros_(wide.weight)
        self.low_rank = nn.ModuleList([narrow, wide]).to(linear.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The layer's answer with the addition."""
        narrow, wide = self.low_rank
        return self.linear(x) + wide(narrow(x))

    def merged(self) -> nn.Linear:
        """One linear layer that answers the same."""
        narrow, wide = self.low_rank.parameters()
        with torch.no_grad():
            self.linear.weight += wide @ narrow
        return self.linear


def add_adapters(encoder: nn.Module, rank: int, seed: int) -> int:
    """Give every attention's projections an adapter, in place; the seed decides how it starts. Returns how many there are.

    Raises:
        ModelError: there is no such projection in this encoder.
    """
    targets = [
        (parent, name)
        for path, parent in encoder.named_modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear) and name in ("qkv", "proj") and "attn" in path
    ]
    if not targets:
        raise ModelError("This image encoder has no attention that an adapter fits. Choose the mode decoder or full.")
    generator = torch.Generator().manual_seed(seed)
    for parent, name in targets:
        setattr(parent, name, LowRank(getattr(parent, name), rank, generator))
    return len(targets)


def merge_adapters(encoder: nn.Module) -> None:
    """Put every adapter into the layer beside which it learnt, in place: the tensors are again those of the architecture."""
    for parent in list(encoder.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LowRank):
                setattr(parent, name, child.merged())
