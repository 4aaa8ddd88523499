"""SAM's decoder for many prompts at once: segment-anything's answers and gradients, from fewer products."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from MyoScarSegLib.segmentation.architectures import build
from MyoScarSegLib.segmentation.mask_decoder import decode
from Testing.support.sam_factory import as_published, litemedsam_state
from Testing.support.tiny_models import SEGMENTER_SIDE, write_segmenter
from Testing.support.tiny_training import network_of

SIDE = 32


@pytest.fixture(scope="module")
def lite() -> torch.nn.ModuleDict:
    return learning(build(litemedsam_state(3), SIDE))


@pytest.fixture(scope="module")
def vit(tmp_path_factory) -> torch.nn.ModuleDict:
    path: Path = write_segmenter(tmp_path_factory.mktemp("vit") / "vit.safetensors")
    return learning(network_of(path))


def learning(network: torch.nn.ModuleDict) -> torch.nn.ModuleDict:
    for part in ("prompt_encoder", "mask_decoder"):
        network[part].requires_grad_(True)
    return network


def windows(side: int, count: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn((count, 256, side // 4, side // 4), generator=generator)


def prompts(side: int, *, hinted: bool) -> dict[str, list]:
    """Of all kinds: boxes with 0 to 3 clicks, clicks alone, on three windows in no order."""
    generator = np.random.default_rng(2)
    asked: dict[str, list] = {"of_window": [], "boxes": [], "points": [], "hints": []}
    for number, (boxed, clicks) in enumerate([(1, 0), (1, 2), (0, 1), (1, 0), (0, 3), (1, 1), (1, 0), (1, 3)]):
        x, y = np.sort(generator.uniform(1, side - 1, (2, 2)))
        asked["of_window"].append((5 * number) % 3)
        asked["boxes"].append((x[0], y[0], x[1], y[1]) if boxed else None)
        asked["points"].append(np.column_stack([generator.uniform(0, side, (clicks, 2)), generator.integers(0, 2, clicks)]))
        asked["hints"].append(generator.normal(0, 3, (side, side)) if hinted and number % 2 else None)
    return asked


def gradients(network, logits: torch.Tensor, scores: torch.Tensor, *more: torch.Tensor) -> dict[str, torch.Tensor]:
    """Of a loss in which every pixel of every prompt counts differently."""
    generator = torch.Generator().manual_seed(4)
    loss = (logits * torch.randn(logits.shape, generator=generator)).mean() + (scores**2).sum()
    named = {name: p for name, p in network.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(loss, [*named.values(), *more], allow_unused=True)
    names = [*named, *(f"input {n}" for n in range(len(more)))]
    given = [*named.values(), *more]
    return {
        name: torch.zeros_like(p) if grad is None else grad for name, p, grad in zip(names, given, found, strict=True)
    }  # fmt: skip


@pytest.mark.parametrize("hinted", [False, True])
@pytest.mark.parametrize("kind", ["lite", "vit"])
def test_answers_and_gradients_are_those_of_segment_anything(request, kind, hinted):
    network = request.getfixturevalue(kind)
    side = SIDE if kind == "lite" else SEGMENTER_SIDE
    features = windows(side if kind == "lite" else side // 4).requires_grad_()
    asked = prompts(side, hinted=hinted)
    logits, scores = decode(network, features, **asked)
    one_by_one = [
        as_published(network, features[w : w + 1], box, points, hint, side)
        for w, box, points, hint in zip(*asked.values(), strict=True)
    ]
    wanted, wanted_scores = (torch.stack([one[n] for one in one_by_one]) for n in (0, 1))
    assert logits.shape == (8, side, side)
    torch.testing.assert_close(logits, wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scores, wanted_scores, atol=1e-5, rtol=1e-4)
    assert (wanted[0] - wanted[3]).abs().max() > 1e-2, "prompts matter"
    found, expected = gradients(network, logits, scores, features), gradients(network, wanted, wanted_scores, features)
    for name, grad in expected.items():
        torch.testing.assert_close(found[name], grad, atol=1e-6 + 1e-4 * float(grad.abs().max()), rtol=1e-3, msg=name)
    assert float(expected["input 0"].abs().max()) > 0


def test_a_prompts_answer_does_not_depend_on_the_others(lite):
    features, asked = windows(SIDE), prompts(SIDE, hinted=True)
    together = decode(lite, features, **asked)
    for n in range(8):
        alone = decode(lite, features, **{name: [values[n]] for name, values in asked.items()})
        for found, expected in zip(alone, together, strict=True):
            torch.testing.assert_close(found[0], expected[n], atol=1e-4, rtol=1e-4)


def test_a_previous_mask_alone_is_a_prompt(lite):
    features, hint = windows(SIDE), np.where(np.arange(SIDE) < 12, 5.0, -5.0)[None].repeat(SIDE, axis=0)
    nothing = np.zeros((0, 3))
    logits, score = decode(lite, features, [1], [None], [nothing], [hint])
    wanted, wanted_score = as_published(lite, features[1:2], None, nothing, hint, SIDE)
    torch.testing.assert_close(logits[0], wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(score[0], wanted_score, atol=1e-5, rtol=1e-4)


def test_it_computes_in_half_precision_under_autocast(lite):
    features, asked = windows(SIDE), prompts(SIDE, hinted=True)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        rough, _ = decode(lite, features, **asked)
    exact, _ = decode(lite, features, **asked)
    assert (rough.float() - exact).abs().mean() < 0.1 * exact.std()
