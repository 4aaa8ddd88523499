"""Losses on logits for scar masks whose borders are uncertain.

The method is that of "Robust Deep Learning for Myocardial Scar Segmentation in Cardiac MRI with Noisy Labels" (MICCAI
2025): Dice, binary cross-entropy, and the Kullback-Leibler divergence to labels softened by a blur, which charges less for
disagreeing where experts disagree. Every function takes logits, applies the sigmoid once, treats each sample by itself,
and returns the mean over the batch; so a batch of two gives the mean of two batches of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_SMOOTH_PX = 1.0


@dataclass(frozen=True)
class LossWeights:
    """What each term counts, and how soft the labels are.

    Attributes:
        dice, cross_entropy, divergence: weights of the terms; the paper's by default.
        positive: how much more a scar pixel counts in the cross-entropy than a background pixel.
        blur_px: standard deviation of the blur that softens the labels, in pixels of the mask.
    """

    dice: float = 0.6
    cross_entropy: float = 0.2
    divergence: float = 0.2
    positive: float = 1.0
    blur_px: float = 1.0


def scar_loss(logits: torch.Tensor, masks: torch.Tensor, weights: LossWeights) -> torch.Tensor:
    """The weighted sum of the three terms.

    Args:
        logits: float ``[batch, rows, columns]``.
        masks: float ``[batch, rows, columns]``, 0 or 1.
        weights: of the terms.

    Returns:
        A scalar.
    """
    total = weights.dice * dice_loss(logits, masks) + weights.cross_entropy * cross_entropy(logits, masks, weights.positive)
    if weights.divergence:
        total = total + weights.divergence * divergence(logits, soft_labels(masks, weights.blur_px))
    return total


def dice_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """One minus the soft Dice overlap; near 0 for a confidently empty answer to an empty mask. Shapes as :func:`scar_loss`."""
    probability = logits.sigmoid().flatten(1)
    masks = masks.flatten(1)
    overlap = 2 * (probability * masks).sum(1) + _SMOOTH_PX
    return (1 - overlap / (probability.sum(1) + masks.sum(1) + _SMOOTH_PX)).mean()


def cross_entropy(logits: torch.Tensor, masks: torch.Tensor, positive: float = 1.0) -> torch.Tensor:
    """Binary cross-entropy per pixel, scar pixels weighted by ``positive``. Shapes as :func:`scar_loss`."""
    from torch.nn import functional

    return functional.binary_cross_entropy_with_logits(logits, masks, pos_weight=logits.new_tensor(positive))


def divergence(logits: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence per pixel from the predicted to the soft label; 0 where they agree.

    Args:
        logits: float ``[batch, rows, columns]``.
        soft: float, likewise, in 0..1.
    """
    import torch
    from torch.nn import functional

    entropy = -(torch.xlogy(soft, soft) + torch.xlogy(1 - soft, 1 - soft))
    return (functional.binary_cross_entropy_with_logits(logits, soft, reduction="none") - entropy).mean()


def soft_labels(masks: torch.Tensor, blur_px: float) -> torch.Tensor:
    """Masks blurred in their own plane, each scaled so that its maximum stays 1; an empty mask stays empty.

    Args:
        masks: float ``[batch, rows, columns]``, 0 or 1.
        blur_px: standard deviation of the Gaussian.

    Returns:
        float ``[batch, rows, columns]`` in 0..1.
    """
    import torch
    from torch.nn import functional

    if blur_px <= 0:
        return masks
    reach = max(1, math.ceil(3 * blur_px))
    steps = torch.arange(-reach, reach + 1, dtype=masks.dtype, device=masks.device)
    kernel = torch.exp(-0.5 * (steps / blur_px) ** 2)
    kernel = kernel / kernel.sum()
    blurred = functional.conv2d(masks[:, None], kernel.view(1, 1, -1, 1), padding=(reach, 0))
    blurred = functional.conv2d(blurred, kernel.view(1, 1, 1, -1), padding=(0, reach))[:, 0]
    peak = blurred.amax(dim=(1, 2), keepdim=True)
    return torch.where(peak > 0, blurred / peak.clamp(min=1e-6), blurred).clamp(0, 1)
