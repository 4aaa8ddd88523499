"""Averaged weights: a copy of the network that follows it slowly and does better on new patients than its last step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def average_into(averaged: nn.Module, network: nn.Module, keep: float) -> None:
    """Move ``averaged`` towards ``network``, which has the same tensors.

    Args:
        averaged: changed in place.
        network: the one that is trained.
        keep: share of the old average that stays, 0 to 1. Counters are copied. What does not learn is as it was.
    """
    import torch

    with torch.no_grad():
        current = network.state_dict(keep_vars=True).values()
        for old, new in zip(averaged.state_dict().values(), current, strict=True):
            if isinstance(new, torch.nn.Parameter) and not new.requires_grad:
                continue  # both copies have it from the start model; there may be a large frozen encoder
            if old.dtype.is_floating_point:
                old.lerp_(new, 1 - keep)
            else:
                old.copy_(new)
