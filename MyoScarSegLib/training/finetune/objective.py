"""What a step minimizes: the tissue of every pixel, and the answers to prompts and to the corrections that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.segmentation.preprocessing import encoder_input, preprocessing
from MyoScarSegLib.segmentation.prompt_maps import prompt_maps
from MyoScarSegLib.training.finetune.iterated_prompts import IteratedPrompt, iterated_prompts
from MyoScarSegLib.training.finetune.sam_settings import SamSettings
from MyoScarSegLib.training.finetune.training_slices import TISSUE, Item
from MyoScarSegLib.training.losses import scar_losses, tissue_loss

if TYPE_CHECKING:
    import torch
    from torch import nn

_TISSUE = 0.3
"""Weight of the tissue map in the prompts phase: so much that the map stays, and no more, for the masks matter."""
_COARSE = 0.4
"""Weight of the tissue map at half the resolution, which gives the coarse levels gradients of their own."""
_SCORE = 0.05
"""Weight of SAM's own estimate of its overlap, which must not cost masks."""


@dataclass
class StepLoss:
    """The losses of some windows.

    Attributes:
        total: sum over the windows, to be divided by the step's number of windows.
        parts: what it is made of, for the log; sums likewise.
    """

    total: torch.Tensor
    parts: dict[str, float]


def dense_loss(network: nn.ModuleDict, items: Sequence[Item]) -> StepLoss:
    """The detail branch against the tissue labels, at full and at half resolution."""
    import torch

    tissue, _, coarse = _detail(network).layers(torch.stack([i.heart for i in items]))
    loss, parts = _tissue(tissue, coarse, items)
    return StepLoss(loss * len(items), {name: value * len(items) for name, value in parts.items()})


def prompts_loss(
    network: nn.ModuleDict,
    items: Sequence[Item],
    settings: SamSettings,
    seeds: Sequence[Sequence[int]],
    recipe: str,
) -> StepLoss:
    """The answers to drawn prompts, and to correcting clicks in the middle of the largest error.

    Each window's prompts are drawn from its own seed, so the loss does not depend on how windows are dealt to steps.

    Args:
        network: of :func:`~MyoScarSegLib.segmentation.architectures.build`.
        items: windows on the network's device.
        settings: how.
        seeds: one per window.
        recipe: id of the model's preprocessing.
    """
    import torch

    images = torch.stack([i.image for i in items])
    features = [i.features for i in items]
    cached = [f for f in features if f is not None]
    if len(cached) == len(items):
        encoded = torch.stack(cached).float()
    else:
        encoded = network["image_encoder"](encoder_input(images, preprocessing(recipe)))
    detail, total = None, encoded.new_zeros(())
    parts: dict[str, float] = {}
    if "detail" in network:
        tissue, finest, coarse = _detail(network).layers(torch.stack([i.heart for i in items]))
        detail = torch.cat([tissue, finest], dim=1)
        loss, parts = _tissue(tissue, coarse, items)
        total = total + _TISSUE * loss * len(items)
        parts = {name: value * len(items) for name, value in parts.items()}
    current: list[IteratedPrompt] = []
    for number, (item, seed) in enumerate(zip(items, seeds, strict=True)):
        current += iterated_prompts(number, item, settings, seed)
    sums: dict[str, float] = {"mask": 0.0, "corrected": 0.0}
    counts = np.bincount([p.item for p in current], minlength=len(items))
    for turn in range(settings.corrections + 1):
        if not current:
            break
        logits, scores = _answer(network, encoded, detail, current, settings)
        targets = torch.stack([torch.from_numpy(p.target.astype(np.float32)) for p in current]).to(logits)
        # A window's prompts count one window together; a prompt's turns count one prompt together.
        weights = torch.tensor([1.0 / (counts[p.item] * p.turns) for p in current]).to(logits)
        per_prompt = scar_losses(logits, targets, settings.loss)
        total = total + (weights * per_prompt).sum()
        if "refiner" not in network:
            total = total + _SCORE * (weights * _score_error(logits, targets, scores)).sum()
        sums["mask" if turn == 0 else "corrected"] += float((weights * per_prompt).sum().detach())
        answers = logits.detach().float().cpu().numpy()
        current = [p for n, p in enumerate(current) if p.turns > turn + 1 and p.correct(answers[n])]
    return StepLoss(total, parts | sums)


def _answer(
    network: Any, encoded: torch.Tensor, detail: torch.Tensor | None, asked: Sequence[IteratedPrompt], settings: SamSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    from MyoScarSegLib.segmentation.mask_decoder import decode

    refines = detail is not None and "refiner" in network
    learns = not refines or settings.mode != "decoder"
    with torch.set_grad_enabled(torch.is_grad_enabled() and learns):
        # Where there is a refiner, it is the one that sees the previous mask; SAM's decoder was not taught to.
        hints = None if refines else [p.hint for p in asked]
        logits, scores = decode(
            network, encoded, [p.item for p in asked], [p.box for p in asked], [p.points for p in asked], hints
        )
    if detail is None or not refines:
        return logits, scores
    side = detail.shape[-1]
    nothing = np.full((side, side), np.nan, dtype=np.float32)
    before = torch.from_numpy(np.stack([nothing if p.hint is None else p.hint.astype(np.float32) for p in asked]))
    maps = prompt_maps(side, [p.box for p in asked], [p.points for p in asked], before).to(detail)
    of_item = torch.tensor([p.item for p in asked], device=detail.device)
    return network["refiner"](detail[of_item], logits, maps), scores


def _score_error(logits: torch.Tensor, targets: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Squared error of SAM's own estimate of the overlap, per prompt."""
    import torch

    with torch.no_grad():
        predicted, wanted = logits > 0, targets > 0.5
        union = (predicted | wanted).sum(dim=(1, 2))
        overlap = torch.where(union > 0, (predicted & wanted).sum(dim=(1, 2)) / union.clamp(min=1), torch.ones_like(scores))
    return (scores - overlap) ** 2


def _tissue(tissue: torch.Tensor, coarse: torch.Tensor, items: Sequence[Item]) -> tuple[torch.Tensor, dict[str, float]]:
    import torch

    wanted = torch.stack([i.targets[TISSUE] for i in items]).to(tissue.device)
    known = torch.tensor([i.wall_known for i in items], device=tissue.device)
    fine_loss = tissue_loss(tissue, wanted, known)
    coarse_loss = tissue_loss(coarse, wanted[:, ::2, ::2], known)
    return fine_loss + _COARSE * coarse_loss, {"tissue": float(fine_loss.detach())}


def _detail(network: nn.ModuleDict) -> Any:
    return network["detail"]
