"""Losses: value and gradient, so that the double sigmoid and the batch-blurred labels of earlier work cannot return."""

from __future__ import annotations

import pytest
import torch

from MyoScarSegLib.training.losses import LossWeights, cross_entropy, dice_loss, divergence, scar_loss, soft_labels

SURE = 12.0


@pytest.fixture
def disc() -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    return (((x - 14) ** 2 + (y - 18) ** 2) < 36).float()[None]


def logits_of(mask: torch.Tensor) -> torch.Tensor:
    return (2 * mask - 1) * SURE


@pytest.mark.parametrize("loss", [dice_loss, cross_entropy])
def test_perfect_prediction_costs_almost_nothing(loss, disc):
    assert loss(logits_of(disc), disc) < 1e-3


def test_perfect_prediction_of_an_empty_mask_costs_almost_nothing(disc):
    empty = torch.zeros_like(disc)
    assert scar_loss(logits_of(empty), empty, LossWeights()) < 0.02


def test_divergence_is_zero_where_the_prediction_equals_the_soft_label(disc):
    soft = soft_labels(disc, 1.0).clamp(1e-6, 1 - 1e-6)
    assert divergence(torch.logit(soft), soft) == pytest.approx(0, abs=1e-5)


def test_wrong_everywhere_costs_a_lot(disc):
    assert dice_loss(-logits_of(disc), disc) > 0.99
    assert cross_entropy(-logits_of(disc), disc) == pytest.approx(SURE, rel=1e-3)


def test_gradient_pulls_a_badly_missed_scar_pixel_up_with_full_strength(disc):
    logits = torch.full_like(disc, -SURE).requires_grad_()
    cross_entropy(logits, disc).backward()
    inside, outside = logits.grad[disc > 0], logits.grad[disc == 0]
    assert torch.allclose(inside * disc.numel(), torch.full_like(inside, -1.0), atol=1e-3)
    assert outside.abs().max() * disc.numel() < 1e-3


@pytest.mark.parametrize("weights", [LossWeights(), LossWeights(positive=3.0), LossWeights(divergence=0)])
def test_batch_of_two_is_the_mean_of_two_batches_of_one(weights, disc):
    generator = torch.Generator().manual_seed(0)
    masks = torch.cat([disc, torch.roll(disc, 5, dims=2) * (torch.rand(disc.shape, generator=generator) > 0.5)])
    logits = torch.randn(masks.shape, generator=generator)
    separately = (scar_loss(logits[:1], masks[:1], weights) + scar_loss(logits[1:], masks[1:], weights)) / 2
    assert scar_loss(logits, masks, weights) == pytest.approx(float(separately), rel=1e-5)


def test_soft_labels_blur_each_sample_in_its_own_plane(disc):
    empty = torch.zeros_like(disc)
    soft = soft_labels(torch.cat([disc, empty]), 1.5)
    assert torch.equal(soft[1], empty[0])
    assert torch.allclose(soft[:1], soft_labels(disc, 1.5))
    assert soft[0].max() == pytest.approx(1)


def test_soft_labels_of_a_thin_scar_still_reach_one():
    mask = torch.zeros(1, 20, 20)
    mask[0, 10, 5:15] = 1
    soft = soft_labels(mask, 1.0)
    assert soft.max() == pytest.approx(1)
    assert 0 < soft[0, 9, 10] < 1


@pytest.mark.parametrize("value", [-40.0, 0.0, 40.0])
def test_empty_and_full_masks_give_finite_loss_and_gradient(value):
    for mask in (torch.zeros(2, 8, 8), torch.ones(2, 8, 8)):
        logits = torch.full_like(mask, value).requires_grad_()
        loss = scar_loss(logits, mask, LossWeights())
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(logits.grad).all()
