"""Losses: value and gradient, so that the double sigmoid and the batch-blurred labels of earlier work cannot return."""

from __future__ import annotations

import math

import pytest
import torch

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.losses import scar_losses, soft_labels, tissue_loss
from MyoScarSegLib.training.model_settings import LossWeights

SURE = 12.0
NONE = {"dice": 0.0, "cross_entropy": 0.0, "divergence": 0.0}
DICE, CROSS_ENTROPY, DIVERGENCE = (LossWeights(**{**NONE, name: 1.0}) for name in NONE)
EVERY_WEIGHTING = [LossWeights(), DICE, CROSS_ENTROPY, DIVERGENCE, LossWeights(divergence=0, blur_px=2.0)]


def scar_loss(logits: torch.Tensor, target: torch.Tensor, weights: LossWeights) -> torch.Tensor:
    """The mean over a batch."""
    return scar_losses(logits, target, weights).mean()


@pytest.fixture
def disc() -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    return (((x - 14) ** 2 + (y - 18) ** 2) < 36).float()[None]


@pytest.fixture
def tissue() -> torch.Tensor:
    """Two slices with cavity, wall and scar."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    radius = torch.hypot(x - 15, y - 16)
    labels = torch.where(radius < 5, 1, torch.where(radius < 9, 2, 0))
    labels = torch.where((labels == 2) & (x > 18), 3, labels)
    return torch.stack([labels, labels.roll(4, 0)])


def logits_of(mask: torch.Tensor) -> torch.Tensor:
    return (2 * mask - 1) * SURE


def logits_of_tissue(tissue: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.one_hot(tissue, 4).movedim(-1, 1) * (2 * SURE)


BOTH, NEITHER = torch.tensor([True, True]), torch.tensor([False, False])


# ---- scar: value


@pytest.mark.parametrize("weights", [DICE, CROSS_ENTROPY])
def test_perfect_prediction_costs_almost_nothing(weights, disc):
    for mask in (disc, torch.zeros_like(disc), torch.ones_like(disc)):
        assert 0 <= scar_loss(2 * logits_of(mask), mask, weights) < 1e-3


def test_perfect_prediction_costs_no_more_than_the_softness_of_the_labels(disc):
    empty = torch.zeros_like(disc)
    assert scar_loss(logits_of(empty), empty, LossWeights()) < 0.02
    assert scar_loss(logits_of(disc), disc, LossWeights(divergence=0)) < 1e-3
    soft = soft_labels(disc, 1.0).clamp(1e-5, 1 - 1e-5)
    assert scar_loss(torch.logit(soft), disc, LossWeights(dice=0, cross_entropy=0)) == pytest.approx(0, abs=1e-4)


def test_divergence_of_an_undecided_prediction_has_the_textbook_value(disc):
    soft = soft_labels(disc, 1.0).clamp(1e-6, 1 - 1e-6)
    expected = (soft * (soft / 0.5).log() + (1 - soft) * ((1 - soft) / 0.5).log()).mean()
    assert scar_loss(torch.zeros_like(disc), disc, DIVERGENCE) == pytest.approx(float(expected), rel=1e-4)


def test_wrong_everywhere_costs_all_there_is(disc):
    wrong = -logits_of(disc)
    assert scar_loss(wrong, disc, DICE) > 0.99
    assert scar_loss(wrong, disc, CROSS_ENTROPY) == pytest.approx(SURE, rel=1e-3)


def test_undecided_prediction_has_the_textbook_value(disc):
    """Where earlier work applied the sigmoid twice, an undecided network and a sure one looked almost alike."""
    undecided = torch.zeros_like(disc)
    assert scar_loss(undecided, disc, CROSS_ENTROPY) == pytest.approx(math.log(2))
    assert scar_loss(undecided, torch.zeros_like(disc), CROSS_ENTROPY) == pytest.approx(math.log(2))
    area, pixels = float(disc.sum()), disc.numel()
    assert scar_loss(undecided, disc, DICE) == pytest.approx(1 - (area + 1) / (pixels / 2 + area + 1))


def test_scar_loss_is_the_weighted_sum_of_its_terms(disc):
    logits = torch.randn(disc.shape, generator=torch.Generator().manual_seed(2))
    terms = [float(scar_loss(logits, disc, weights)) for weights in (DICE, CROSS_ENTROPY, DIVERGENCE)]
    paper = 0.6 * terms[0] + 0.2 * terms[1] + 0.2 * terms[2]
    assert scar_loss(logits, disc, LossWeights()) == pytest.approx(paper, rel=1e-6)


@pytest.mark.slow
def test_the_dice_terms_are_monais(disc):
    """MONAI takes seconds to be imported."""
    losses = pytest.importorskip("monai.losses")
    logits = torch.randn((4, 32, 32), generator=torch.Generator().manual_seed(3))
    target = torch.cat([disc, 0 * disc, 1 + 0 * disc, disc.roll(9, 1)])
    monais = losses.DiceLoss(sigmoid=True, smooth_nr=1, smooth_dr=1, reduction="none")(logits[:, None], target[:, None])
    torch.testing.assert_close(scar_losses(logits, target, DICE), monais.flatten())


# ---- scar: gradient


def test_cross_entropy_pulls_a_badly_missed_scar_pixel_up_with_full_strength(disc):
    logits = torch.full_like(disc, -SURE).requires_grad_()
    scar_loss(logits, disc, CROSS_ENTROPY).backward()
    inside, outside = logits.grad[disc > 0], logits.grad[disc == 0]
    assert torch.allclose(inside * disc.numel(), torch.full_like(inside, -1.0), atol=1e-3)
    assert outside.abs().max() * disc.numel() < 1e-3


@pytest.mark.parametrize("weights", EVERY_WEIGHTING)
def test_one_missed_and_one_false_pixel_are_pulled_the_right_way_as_strongly_as_the_loss_changes(weights, disc):
    logits = logits_of(disc)
    logits[0, 18, 14] = logits[0, 2, 2] = 0.0
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(scar_loss(logits, disc, weights), logits)
    assert gradient[0, 18, 14] < 0 < gradient[0, 2, 2]
    for row, column in ((18, 14), (2, 2)):
        step = torch.zeros_like(disc)
        step[0, row, column] = 0.05
        with torch.no_grad():
            rise = scar_loss(logits + step, disc, weights) - scar_loss(logits - step, disc, weights)
        assert gradient[0, row, column] == pytest.approx(float(rise) / 0.1, rel=0.05)


# ---- scar: batches, extremes, precision


@pytest.mark.parametrize("weights", EVERY_WEIGHTING)
def test_batch_of_two_is_the_mean_of_two_batches_of_one(weights, disc):
    generator = torch.Generator().manual_seed(0)
    masks = torch.cat([disc, torch.roll(disc, 5, dims=2) * (torch.rand(disc.shape, generator=generator) > 0.5)])
    logits = torch.randn(masks.shape, generator=generator).requires_grad_()
    together = scar_loss(logits, masks, weights)
    separately = (scar_loss(logits[:1], masks[:1], weights) + scar_loss(logits[1:], masks[1:], weights)) / 2
    assert together.detach() == pytest.approx(float(separately.detach()), rel=1e-5)
    for a, b in zip(torch.autograd.grad(together, logits), torch.autograd.grad(separately, logits), strict=True):
        assert torch.allclose(a, b, atol=1e-8)
    alone = torch.stack([scar_loss(logits[n : n + 1], masks[n : n + 1], weights) for n in range(2)])
    assert torch.allclose(scar_losses(logits, masks, weights), alone)


@pytest.mark.parametrize("weights", EVERY_WEIGHTING)
@pytest.mark.parametrize("value", [-1000.0, -50.0, -12.0, 0.0, 12.0, 50.0, 1000.0])
def test_empty_and_full_masks_give_finite_loss_and_gradient_however_sure_the_logits(weights, value, disc):
    for mask in (torch.zeros_like(disc), torch.ones_like(disc), disc):
        for logits in (torch.full_like(mask, value), logits_of(mask) / SURE * value):
            leaf = logits.requires_grad_()
            loss = scar_loss(leaf, mask, weights)
            loss.backward()
            assert torch.isfinite(loss)
            assert torch.isfinite(leaf.grad).all()


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("weights", EVERY_WEIGHTING)
def test_half_precision_logits_under_autocast_give_the_float32_loss(weights, half, disc):
    large = disc.repeat(1, 10, 10)  # whose pixels' sums a float16 cannot hold
    logits = torch.randn(large.shape, generator=torch.Generator().manual_seed(3)).to(half)
    expected = scar_loss(logits.float(), large, weights)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        leaf = logits.clone().requires_grad_()
        loss = scar_loss(leaf, large.bool(), weights)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.detach() == pytest.approx(float(expected), rel=1e-5)
    assert torch.isfinite(leaf.grad).all()
    assert leaf.grad.dtype == half


def test_shapes_that_would_broadcast_are_refused(disc):
    with pytest.raises(ValueError, match="differ in shape"):
        scar_loss(disc[None], disc, LossWeights())


@pytest.mark.parametrize(
    "settings",
    [
        {"dice": -0.1},
        {"blur_px": math.nan},
        NONE,
    ],
)
def test_senseless_weights_are_refused_by_name(settings):
    with pytest.raises(ModelError, match=next(iter(settings)) if settings is not NONE else "All weights"):
        LossWeights(**settings)


# ---- soft labels


def test_soft_labels_blur_each_sample_in_its_own_plane(disc):
    empty = torch.zeros_like(disc)
    soft = soft_labels(torch.cat([disc, empty]), 1.5)
    assert torch.equal(soft[1], empty[0])
    assert torch.allclose(soft[:1], soft_labels(disc, 1.5))
    assert soft[0].max() == pytest.approx(1)


def test_soft_labels_of_a_thin_scar_still_reach_one_and_do_not_depend_on_the_sample_beside_it(disc):
    thin = torch.zeros(1, 32, 32)
    thin[0, 10, 5:15] = 1
    soft = soft_labels(torch.cat([disc, thin]), 1.0)
    assert soft[1].max() == pytest.approx(1)
    assert 0 < soft[1, 9, 10] < 1


def test_soft_labels_are_the_gaussian_of_the_deviation_asked_for():
    edge = torch.zeros(1, 40, 40)
    edge[:, :, 20:] = 1
    soft = soft_labels(edge, 2.0)[0, 20]
    profile = torch.special.ndtr((torch.arange(40.0) - 19.5) / 2.0)
    assert torch.allclose(soft, profile, atol=0.01)


def test_scar_at_the_border_of_the_picture_is_not_softened_by_it():
    mask = torch.zeros(1, 20, 20)
    mask[0, :, :10] = 1
    soft = soft_labels(mask, 1.0)
    assert soft[0, 0, 0] == pytest.approx(1)
    assert torch.allclose(soft[0, 0], soft[0, 10])


# ---- tissue


def test_perfect_tissue_costs_almost_nothing_and_a_wrong_one_a_lot(tissue):
    for known in (BOTH, NEITHER):
        labels = tissue if known is BOTH else torch.where(tissue == 3, 3, 0)
        assert tissue_loss(logits_of_tissue(labels), labels, known) < 1e-3
        assert tissue_loss(logits_of_tissue((labels + 1) % 4), labels, known) > 2
    assert tissue_loss(torch.zeros(2, 4, 32, 32), tissue, BOTH) > math.log(4)


def test_wall_that_is_not_labeled_may_be_anything_but_scar(tissue):
    scar_only = torch.where(tissue == 3, 3, 0)
    logits = logits_of_tissue(tissue)
    assert tissue_loss(logits, scar_only, NEITHER) < 1e-3
    assert tissue_loss(logits, scar_only, BOTH) > 0.5
    swapped = logits[:, [1, 2, 0, 3]]
    assert tissue_loss(swapped, scar_only, NEITHER) == pytest.approx(float(tissue_loss(logits, scar_only, NEITHER)), rel=1e-4)


def test_missed_scar_is_pulled_up_and_an_unlabeled_wall_leaves_the_others_their_ratio(tissue):
    scar_only = torch.where(tissue == 3, 3, 0)
    place = (0, slice(None), *(int(v) for v in (tissue[0] == 3).nonzero()[0]))
    for known, labels in ((BOTH, tissue), (NEITHER, scar_only)):
        logits = logits_of_tissue(tissue).clone()
        logits[place] = torch.tensor([1.0, 0.5, 2.0, -1.0])
        leaf = logits.requires_grad_()
        tissue_loss(leaf, labels, known).backward()
        gradient = leaf.grad[place]
        assert gradient[3] < 0 < gradient[:3].min()
        if known is NEITHER:
            assert torch.allclose(gradient[:3] / gradient[:3].sum(), logits.detach()[place][:3].softmax(0), atol=1e-4)
    step = torch.zeros_like(leaf)
    step[place][3] = 0.05
    with torch.no_grad():
        rise = tissue_loss(leaf + step, scar_only, NEITHER) - tissue_loss(leaf - step, scar_only, NEITHER)
    assert gradient[3] == pytest.approx(float(rise) / 0.1, rel=0.05)


def test_tissue_batch_of_known_and_unknown_is_the_mean_of_batches_of_one(tissue):
    logits = torch.randn(2, 4, 32, 32, generator=torch.Generator().manual_seed(4))
    mixed = torch.tensor([True, False])
    alone = [tissue_loss(logits[n : n + 1], tissue[n : n + 1], mixed[n : n + 1]) for n in range(2)]
    assert tissue_loss(logits, tissue, mixed) == pytest.approx(float(sum(alone)) / 2, rel=1e-5)


def test_tissue_weights_count_rare_tissue_more(tissue):
    """As many pixels of scar that are missed cost more than as many of background."""
    missed = []
    for label, instead in ((3, 2), (0, 2)):
        labels = tissue.clone()
        few = (tissue == label) & (((tissue == label).flatten(1).cumsum(1) <= 20).view_as(tissue))
        labels[few] = instead
        missed.append(float(tissue_loss(logits_of_tissue(labels), tissue, BOTH)))
    assert missed[0] > 2 * missed[1]


@pytest.mark.parametrize("value", [-1000.0, -50.0, 0.0, 50.0, 1000.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_tissue_loss_is_finite_for_sure_logits_and_absent_tissues(value, dtype):
    for label in range(4):
        labels = torch.full((2, 8, 8), label)
        for channel in range(4):
            leaf = torch.zeros(2, 4, 8, 8, dtype=dtype)
            leaf[:, channel] = value
            leaf.requires_grad_()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = tissue_loss(leaf, labels, torch.tensor([True, False]))
            loss.backward()
            assert loss.dtype == torch.float32
            assert torch.isfinite(loss)
            assert torch.isfinite(leaf.grad).all()
