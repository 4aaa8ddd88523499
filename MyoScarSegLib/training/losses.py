"""Losses on logits for scar masks whose borders are uncertain, and for the tissues around the scar.

The default is that of "Robust Deep Learning for Myocardial Scar Segmentation in Cardiac MRI with Noisy Labels" (MICCAI
2025): Dice, binary cross-entropy, and the Kullback-Leibler divergence to labels softened by a blur, which charges less for
disagreeing where experts disagree.

Every function takes logits, applies the sigmoid or softmax once and treats each sample by itself. All of them compute in
float32 whatever the logits come in and whether or not autocast is on: sums over a mask's pixels overflow float16. Value and
gradient stay finite however sure the logits are.

The Dice terms equal MONAI's ``DiceLoss``. The sums are ours, since MONAI's have neither soft labels, nor weights of classes
that are averaged for each sample by itself, nor samples of which only the scar is labeled; and MONAI takes seconds to import.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from MyoScarSegLib.training.augmentation.intensity import smooth
from MyoScarSegLib.training.model_settings import LossWeights

_SMOOTH_PX = 1.0
TISSUE_WEIGHTS = (0.3, 1.0, 1.0, 2.0)
"""What a pixel of background, cavity, normal myocardium and scar counts: about as rare tissues need, without flooding."""


def scar_losses(logits: torch.Tensor, target: torch.Tensor, weights: LossWeights, smooth_px: float = _SMOOTH_PX) -> torch.Tensor:
    """The weighted sum of the terms for each sample by itself, float32 ``[batch]``.

    Args:
        logits: float ``[batch, rows, columns]``, of any precision.
        target: of the same shape, 0 or 1; float or bool.
        weights: of the terms; a term of weight 0 is not computed.
        smooth_px: as of :func:`tissue_loss`.

    Raises:
        ValueError: the shapes differ.
    """
    if logits.shape != target.shape:  # broadcasting would hide a missing axis
        raise ValueError(f"logits {tuple(logits.shape)} and target {tuple(target.shape)} differ in shape")
    logits, target = logits.float(), target.float()
    total = logits.new_zeros(len(logits))
    if weights.dice:
        total = total + weights.dice * _soft_dice_lost(logits.sigmoid().flatten(1), target.flatten(1), smooth_px)
    if weights.cross_entropy:
        total = total + weights.cross_entropy * _cross_entropy(logits, target)
    if weights.divergence:
        total = total + weights.divergence * _divergence(logits, soft_labels(target, weights.blur_px))
    return total


def soft_labels(target: torch.Tensor, blur_px: float) -> torch.Tensor:
    """Each sample's own mask ``[batch, rows, columns]``, blurred in its plane by a Gaussian and scaled so that its maximum
    is 1; an empty mask stays empty, and without blur it is the mask itself.

    Scar that reaches the border of the picture goes on behind it: the border itself does not soften it.
    """
    target = target.float()
    if blur_px <= 0:
        return target
    blurred = smooth(target, (blur_px, blur_px))
    peak = blurred.amax(dim=(1, 2), keepdim=True)
    return torch.where(peak > 0, blurred / peak.clamp(min=1e-6), blurred).clamp(0, 1)


def tissue_loss(logits: torch.Tensor, tissue: torch.Tensor, known: torch.Tensor, smooth_px: float = _SMOOTH_PX) -> torch.Tensor:
    """Cross-entropy plus soft Dice over the four tissues; of samples whose wall was never drawn, over scar and the rest.

    Where only scar was labeled, cavity, wall and background are all 0 there. Their probabilities are then summed, so that
    the network may tell them apart as it likes, and the two answers left are compared.

    Args:
        logits: float ``[batch, 4, rows, columns]``: background, cavity, normal myocardium, scar.
        tissue: int64 ``[batch, rows, columns]``, numbered so.
        known: bool ``[batch]``: whether all four are labeled.
        smooth_px: added to overlap and sizes in the Dice loss. The larger, the less a sample with little of a tissue counts
            beside one with much, as in the Dice of a whole stack.

    Returns:
        A float32 scalar: the mean over the samples of weighted cross-entropy (0 up) plus Dice loss (0..1; the mean over the
        tissues that it has).
    """
    logits = logits.float()
    scar = (tissue == 3).long()
    merged = torch.stack([logits[:, :3].logsumexp(1), logits[:, 3]], dim=1)
    of_four = _class_loss(logits, tissue, TISSUE_WEIGHTS, smooth_px)
    of_two = _class_loss(merged, scar, (TISSUE_WEIGHTS[0], TISSUE_WEIGHTS[3]), smooth_px)
    return torch.where(known, of_four, of_two).mean()


def _class_loss(logits: torch.Tensor, classes: torch.Tensor, weights: Sequence[float], smooth_px: float) -> torch.Tensor:
    """Per sample: cross-entropy, averaged with the classes' weights, plus the mean Dice loss of the classes that it has.

    A class that a sample does not have is left to the cross-entropy. With its Dice loss, which a few pixels too many make large,
    false scar cost more than missed scar, and networks learned to find none.
    """
    log_probability = logits.log_softmax(1)
    weight = logits.new_tensor(weights)[classes].flatten(1)
    surprise = -log_probability.gather(1, classes[:, None])[:, 0].flatten(1)
    entropy = (weight * surprise).sum(1) / weight.sum(1)
    members = functional.one_hot(classes, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    lost = _soft_dice_lost(log_probability.exp().flatten(2), members.flatten(2), smooth_px)
    there = members.flatten(2).amax(2)
    return entropy + (lost * there).sum(1) / there.sum(1)


def _soft_dice_lost(probability: torch.Tensor, target: torch.Tensor, smooth_px: float) -> torch.Tensor:
    """One minus the soft Dice of the last axis."""
    overlap = 2 * (probability * target).sum(-1) + smooth_px
    return 1 - overlap / (probability.sum(-1) + target.sum(-1) + smooth_px)


def _cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).mean(1)


def _divergence(logits: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
    """KL(soft label || prediction), each pixel a coin: the cross-entropy less the label's own entropy."""
    entropy = -(torch.xlogy(soft, soft) + torch.xlogy(1 - soft, 1 - soft))
    return _cross_entropy(logits, soft) - entropy.flatten(1).mean(1)
