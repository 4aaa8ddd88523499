"""What a step of the context network minimizes: of each window by itself, whatever is dealt to which step and process."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from accelerate.utils import send_to_device

from MyoScarSegLib.segmentation.architectures import TISSUES
from MyoScarSegLib.segmentation.context import ContextNetwork
from MyoScarSegLib.segmentation.polar import PolarNetwork
from MyoScarSegLib.segmentation.prompt_maps import prompt_maps
from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.finetune.context_phase import context_loss
from MyoScarSegLib.training.finetune.training_slices import TISSUE, context_window, training_slices
from MyoScarSegLib.training.loop.gradients import Item
from MyoScarSegLib.training.model_settings import LossWeights, SegmenterSettings
from Testing.support.tiny_training import SETTINGS, SIDE, WINDOW_MM, context_network, slices_of

SAMPLES = training_slices(slices_of("a", 1, 4) + slices_of("b", 2, 4))
ITEMS = [context_window(sample, Augmenter("none", SIDE), WINDOW_MM, (0, n)) for n, sample in enumerate(SAMPLES)]
SEEDS = [(4, 0, n, 7) for n in range(len(ITEMS))]


def losses(*parts: range) -> tuple[float, dict[str, float], torch.Tensor]:
    """Sums over all windows, of a fresh network, with the windows worked through in these parts; and the gradient."""
    network = context_network().requires_grad_(True)
    total, figures = 0.0, dict.fromkeys(("tissue", "scar"), 0.0)
    for part in parts:
        loss = context_loss(network, [ITEMS[n] for n in part], SETTINGS, [SEEDS[n] for n in part])
        loss.total.backward()
        total += float(loss.total.detach())
        figures = {name: value + loss.parts[name] for name, value in figures.items()}
    return total, figures, torch.cat([p.grad.flatten() for p in network.parameters()])


@pytest.mark.parametrize(
    "parts",
    [[range(n, n + 1) for n in range(8)], [range(3), range(3, 8)], [range(0, 8, 2), range(1, 8, 2)], [range(7, -1, -1)]],
    ids=["one by one", "in two steps", "in two processes", "backwards"],
)
def test_how_windows_are_dealt_changes_nothing(parts):
    total, figures, gradient = losses(range(8))
    torch.manual_seed(99)  # nothing is drawn from torch's own generator
    other_total, other_figures, other_gradient = losses(*parts)
    assert other_total == pytest.approx(total, rel=1e-4)
    assert other_figures == pytest.approx(figures, rel=1e-4)
    assert (other_gradient - gradient).norm() < 1e-3 * gradient.norm()


def loss_of(item: Item, seed: tuple[int, ...] = (0, 1), settings: SegmenterSettings = SETTINGS) -> float:
    return float(context_loss(context_network(), [item], settings, [seed]).total.detach())


def test_each_seed_asks_in_its_own_way():
    first, again, other = ([loss_of(item, (seed, 1)) for item in ITEMS[:4]] for seed in (4, 4, 5))
    assert first == again and all(a != b for a, b in zip(first, other, strict=True))


def test_all_of_the_network_learns_and_little_by_little_knows_the_tissues():
    network = context_network().requires_grad_(True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    course = []
    for _ in range(20):
        loss = context_loss(network, ITEMS[:3], SETTINGS, SEEDS[:3])
        loss.total.backward()
        assert all(p.grad is not None for p in network.parameters())
        optimizer.step()
        optimizer.zero_grad()
        course.append(loss.parts["tissue"])
    assert sum(course[-3:]) < 0.75 * sum(course[:3])


def test_windows_of_which_only_scar_is_labeled_say_nothing_of_other_tissue():
    other = ITEMS[0].targets.clone()
    other[TISSUE][other[TISSUE] < 3] = 0
    for known, same in ((False, True), (True, False)):
        drawn, scar_only = (ITEMS[0]._replace(targets=targets, wall_known=known) for targets in (ITEMS[0].targets, other))
        assert (loss_of(drawn) == loss_of(scar_only)) == same


def test_the_weights_of_the_losses_count():
    heavier = replace(SETTINGS, loss=LossWeights(dice=6, cross_entropy=2, divergence=2))
    assert loss_of(ITEMS[0], settings=heavier) > loss_of(ITEMS[0])


def test_windows_go_to_the_device_as_a_whole():
    moved = send_to_device(ITEMS[0]._replace(features=torch.zeros(2, 4, 4)), "meta")
    assert {moved.image.device.type, moved.targets.device.type, moved.features.device.type} == {"meta"}


def test_the_twin_learns_around_the_ventricle_that_the_context_network_sees_and_a_little_off(monkeypatch):
    network = context_network()
    network["asked"] = PolarNetwork(network["context"].widths)
    given = []
    real = PolarNetwork.layers
    monkeypatch.setattr(PolarNetwork, "layers", lambda self, *a: (given.append(a[2]), real(self, *a))[1])
    no_prompts = prompt_maps(SIDE).expand(len(ITEMS), -1, -1, -1)
    # What the context network takes for the ventricle: one place on all windows, well off their middle.
    logits = torch.zeros(len(ITEMS), len(TISSUES), SIDE, SIDE)
    logits[:, 0], logits[:, 1, 4:12, 16:28] = 5.0, 9.0
    monkeypatch.setattr(ContextNetwork, "forward", lambda self, slices, maps: logits if torch.equal(maps, no_prompts) else None)
    for seeds in (SEEDS, SEEDS, [(5, *seed[1:]) for seed in SEEDS]):
        context_loss(network, ITEMS, SETTINGS, seeds, "asked")
    first, again, other = (of for of in given if len(of) == len(ITEMS))
    off = first - torch.tensor([22.0, 8.0])
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert 0.5 < float(off.std()) < 4 and float(off.mean(0).abs().max()) < 3
