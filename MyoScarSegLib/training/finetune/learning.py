"""Which weights learn, how fast, and how the rate goes up and down."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

_LAST = 0.02


def parameter_groups(network: nn.ModuleDict, rates: Mapping[str, float], decay: float) -> list[dict[str, Any]]:
    """The optimiser's groups of the parts that learn; everything else in the network is frozen.

    Args:
        network: changed in place: what learns requires gradients, the rest does not.
        rates: peak learning rate of each part, by its name.
        decay: weight decay. Biases and normalisation do not decay.
    """
    network.requires_grad_(False)
    groups = []
    for part, rate in rates.items():
        learning = _learning(network, part)
        decaying = [p for p in learning if p.ndim > 1]
        others = [p for p in learning if p.ndim <= 1]
        groups += [
            {"params": some, "lr": rate, "weight_decay": weight} for some, weight in ((decaying, decay), (others, 0.0)) if some
        ]
    return groups


def rate_factor(share: float, warmup: float) -> float:
    """The learning rates' share of their peaks: a linear warm-up, then a cosine down to 2%.

    Args:
        share: of all steps that are done, 0 to 1.
        warmup: share of all steps that the warm-up takes.
    """
    if share < warmup:
        return (share + 1e-3) / warmup
    return _LAST + (1 - _LAST) * 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))


def _learning(network: nn.ModuleDict, part: str) -> Sequence[nn.Parameter]:
    found = list(network[part].parameters())
    for parameter in found:
        parameter.requires_grad_(True)
    return found
