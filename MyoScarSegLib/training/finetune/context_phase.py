"""What the context network learns from: its windows' prompts (nothing, boxes, clicks, corrections of its own answers), its loss,
and its figures on the validation patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from MyoScarSegLib.segmentation.architectures import TISSUES
from MyoScarSegLib.segmentation.context import scar_logits
from MyoScarSegLib.segmentation.polar import ventricle_centers
from MyoScarSegLib.segmentation.prompt_maps import prompt_maps
from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.finetune.training_slices import (
    BESIDE,
    LESIONS,
    TISSUE,
    VENTRICLE,
    TrainingSlice,
    context_window,
)
from MyoScarSegLib.training.loop.gradients import Item, StepLoss
from MyoScarSegLib.training.losses import scar_losses, tissue_loss
from MyoScarSegLib.training.model_settings import SegmenterSettings
from MyoScarSegLib.training.reader_prompts import Corners, correction, inside, tight
from MyoScarSegLib.utils.progress import CancelToken, check_cancel

_FEWEST_PX = 3
_ALONE = 0.4
"""Share of the windows with scar that are shown without any prompt, as a study is before its reader comes. Windows without scar
have hardly ever one, so with a quarter the network learned that no prompt means no scar: after twelve epochs its map had a Dice
of 0.06 and the answers to boxes 0.67."""
_CLICKS_ALONE = 0.12
"""Share of the others that get clicks without a box."""
_CORRECTED = 0.6
"""Share of those with a box that get clicks..."""
_CORRECTIONS = 3
"""...one after the other, up to this many."""
_EACH_LESION = 0.2
"""Share of boxes that are for some of the lesions; the others are round all scar of the slice."""
_FALSE_BOX = 0.06
"""Share of the windows without scar that get a box nevertheless, with the right answer nothing: more makes the network shy."""
_CARE = (0.05, 0.1, 0.2)
"""How far each edge of a box may be off, as a share of the box's side: of careful, usual and hasty readers."""
_HINTED = 0.9
"""Share of corrections that come with the last answer as a hint, as in use; the others must do without."""
_SHOWN_BESIDE = 0.35
"""Share of the windows that come with the scar of their neighbors, as if a reader had confirmed it."""
_FALSE_SIZE = (0.1, 0.5)
_GRACE_PX = 1.5
"""How far beyond a box scar still counts as asked for, since the mask is cut off there."""
_COARSE = 0.3
"""Weight of the tissues at half the resolution, which gives the coarse levels gradients of their own."""
_SCAR = 0.5
"""Weight of the scar mask's own loss beside that of the tissues, where there is scar."""
_CONTEXT_SMOOTH_PX = 20.0
"""Of the Dice losses of the context network: a small scar, so that slices with little or none do not outweigh those with much."""
_OFF_CENTER_PX = 2.0
"""Standard deviation of the ventricle's center in training, pixels of the window."""
_DROPPED = 0.2
"""Share of the context network's coarsest channels that a step leaves out of each window: patients are few."""


@dataclass
class ContextPrompts:
    """The prompts of one window, in the course of their corrections.

    Attributes:
        boxes: in pixel edges of the window.
        tissue: int64 ``[rows, columns]``: the right answer; scar that was not asked for is wall.
        turns: corrections that are still to come.
        generator: the source of all randomness in their course.
        points: ``[n, 3]`` so far: x, y, and 1 for positive or 0.
        hint: probability of scar of the last answer, where it is to be seen.
        beside: scar of the neighbors, where it is to be seen.
    """

    boxes: list[Corners]
    tissue: np.ndarray
    turns: int
    generator: np.random.Generator
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    hint: torch.Tensor | None = None
    beside: torch.Tensor | None = None

    @classmethod
    def of(cls, item: Item, seed: Sequence[int], *, always: bool = False) -> ContextPrompts:
        """The prompts of a window, all drawn from its own seed; ``always`` if windows without scar get prompts, too."""
        alone, false_box = (0.0, 1.0) if always else (_ALONE, _FALSE_BOX)
        generator = np.random.default_rng(seed)
        targets = item.targets.cpu().numpy()
        numbered, tissue = targets[LESIONS], targets[TISSUE].copy()
        scar = tissue == TISSUES.index("scar")
        kind, beside = generator.random(), None
        if targets[BESIDE].any() and generator.random() < _SHOWN_BESIDE:
            beside = item.targets[BESIDE].float()
        if scar.sum() < _FEWEST_PX:
            boxes = [_false_box(generator, tissue)] if kind < false_box and (tissue > 1).any() else []
            return cls(boxes, tissue, int(bool(boxes)), generator, beside=beside)
        if kind < alone:
            return cls([], tissue, 0, generator, beside=beside)
        if generator.random() < _CLICKS_ALONE:
            return cls([], tissue, int(generator.integers(1, _CORRECTIONS + 1)), generator, beside=beside)
        boxes, asked = _boxes(generator, numbered, scar)
        tissue[scar & ~asked] = TISSUES.index("myocardium")
        turns = int(generator.integers(1, _CORRECTIONS + 1)) if generator.random() < _CORRECTED else 0
        return cls(boxes, tissue, turns, generator, beside=beside)

    def maps(self) -> torch.Tensor:
        """Boxes, clicks, hint and neighbors' scar as the network's input channels."""
        return prompt_maps(self.tissue.shape[0], self.boxes, self.points, self.hint, self.beside)

    def correct(self, probability: torch.Tensor) -> None:
        """Add the next click by an answer ``[rows, columns]``, the probability of scar; none if nothing is left to correct."""
        self.turns -= 1
        predicted = probability.cpu().numpy() > 0.5
        if not self.boxes and not len(self.points):  # the first click asks, whatever is drawn unasked
            predicted = np.zeros_like(predicted)
        click = correction(self.generator, predicted, self.tissue == TISSUES.index("scar"))
        if len(click):
            self.points = np.concatenate([self.points, click])
            self.hint = probability if self.generator.random() < _HINTED else None


def context_loss(
    network: nn.ModuleDict,
    items: Sequence[Item],
    settings: SegmenterSettings,
    seeds: Sequence[Sequence[int]],
    name: str = "context",
) -> StepLoss:
    """The context network's tissues, without prompts and with prompts that correct its own answers.

    All is drawn from each window's own seed, so the loss does not depend on how windows are dealt to steps. ``name`` is
    ``context``, or ``asked`` for its twin, which learns from prompts alone.
    """
    context: Any = network[name]
    slices = torch.stack([i.image for i in items])
    centers = [_centers(network, slices, seeds)] if name == "asked" else []
    asked = [ContextPrompts.of(item, seed, always=name == "asked") for item, seed in zip(items, seeds, strict=True)]
    while any(one.turns for one in asked):
        active = [n for n, one in enumerate(asked) if one.turns]
        with torch.no_grad():
            maps = torch.stack([asked[n].maps() for n in active]).to(slices)
            answers = context(slices[active], maps, *(of[active] for of in centers)).float()
            probability = answers.softmax(1)[:, TISSUES.index("scar")]
        for n, answer in zip(active, probability, strict=True):
            asked[n].correct(answer)
    factors = torch.stack([_dropout(seed, context.widths[-1]) for seed in seeds]).to(slices)
    tissue, coarse = context.layers(slices, torch.stack([one.maps() for one in asked]).to(slices), *centers, factors)
    wanted = torch.stack([torch.from_numpy(one.tissue) for one in asked]).to(slices.device)
    known = torch.tensor([i.wall_known for i in items], device=slices.device)
    fine_loss = tissue_loss(tissue, wanted, known, _CONTEXT_SMOOTH_PX)
    coarse_loss = tissue_loss(coarse, wanted[:, ::2, ::2], known, _CONTEXT_SMOOTH_PX / 4)
    scar = (wanted == TISSUES.index("scar")).float()
    each = scar_losses(scar_logits(tissue.float()), scar, settings.loss, _CONTEXT_SMOOTH_PX)
    scar_loss = (each * scar.flatten(1).amax(1)).mean()
    total = fine_loss + _COARSE * coarse_loss + _SCAR * scar_loss
    parts = {"tissue": float(fine_loss.detach()), "scar": float(scar_loss.detach())}
    return StepLoss(total * len(items), {name: value * len(items) for name, value in parts.items()})


def _centers(network: nn.ModuleDict, slices: torch.Tensor, seeds: Sequence[Sequence[int]]) -> torch.Tensor:
    """``[batch, 2]`` of the ventricle, as the context network sees it, and a little off: on new patients it sees it less well."""
    with torch.no_grad():
        no_prompts = prompt_maps(slices.shape[-1]).to(slices).expand(len(slices), -1, -1, -1)
        centers = ventricle_centers(network["context"](slices, no_prompts))
    off = [np.random.default_rng([*seed, len(seed)]).normal(0, _OFF_CENTER_PX, 2) for seed in seeds]
    return centers + torch.from_numpy(np.array(off)).to(centers)


def _dropout(seed: Sequence[int], channels: int) -> torch.Tensor:
    """Factors of the coarsest channels: 0 for those left out; the others make up for them."""
    kept = np.random.default_rng([len(seed), *seed]).random(channels) >= _DROPPED
    return torch.from_numpy(kept / (1 - _DROPPED))


def context_figures(
    network: nn.ModuleDict,
    samples: Sequence[TrainingSlice],
    augmenter: Augmenter,
    window_mm: float,
    cancel: CancelToken | None = None,
) -> dict[str, float]:
    """How well the context network knows the tissues of whole patients without prompts; the ``augmenter`` is of the variation
    ``none``.

    ``scar_dice``: mean per-patient Dice of the patients with scar; ``ventricle_dice``: of those whose wall is labeled;
    ``false_scar_cm2``: mean area in patients without scar, over their stack; and ``score``, the first of these that there is.
    """
    context: Any = network["context"]
    scar_number = TISSUES.index("scar")
    device = next(context.parameters()).device
    no_prompts = prompt_maps(augmenter.side)
    counts: dict[str, np.ndarray] = {}
    walls: dict[str, bool] = {}
    for number, sample in enumerate(samples):
        check_cancel(cancel)
        item = context_window(sample, augmenter, window_mm, (0, number), vary=False)
        with torch.inference_mode():
            found = context(item.image[None].to(device), no_prompts[None].to(device))[0].argmax(dim=0).cpu().numpy()
        true = item.targets.numpy()
        scar, ventricle = true[TISSUE] == scar_number, true[VENTRICLE] > 0
        of_slice = [
            (found == scar_number)[scar].sum(), (found == scar_number).sum(), scar.sum(),
            (found > 0)[ventricle].sum(), (found > 0).sum(), ventricle.sum(),
        ]  # fmt: skip
        counts[sample.patient] = counts.get(sample.patient, np.zeros(6)) + np.array(of_slice, dtype=float)
        walls[sample.patient] = sample.wall_known
    pixel_cm2 = (window_mm / augmenter.side / 10) ** 2
    with_scar = [c for c in counts.values() if c[2] > 0]
    without = [c for c in counts.values() if c[2] == 0]
    known = [c for p, c in counts.items() if walls[p] and c[5] > 0]
    figures: dict[str, float] = {}
    if with_scar:
        figures["scar_dice"] = float(np.mean([2 * c[0] / (c[1] + c[2]) for c in with_scar]))
    if known:
        figures["ventricle_dice"] = float(np.mean([2 * c[3] / (c[4] + c[5]) for c in known]))
    if without:
        figures["false_scar_cm2"] = float(np.mean([c[1] for c in without])) * pixel_cm2
    figures["score"] = figures.get("scar_dice", figures.get("ventricle_dice", 0.0))
    return figures


def _boxes(generator: np.random.Generator, numbered: np.ndarray, scar: np.ndarray) -> tuple[list[Corners], np.ndarray]:
    """Boxes as readers draw them, and the scar that they ask for."""
    numbers = np.setdiff1d(np.unique(numbered), 0)
    if len(numbers) < 2 or generator.random() >= _EACH_LESION:
        return [_drawn(generator, scar)], scar
    chosen = generator.choice(numbers, int(generator.integers(1, len(numbers) + 1)), replace=False)
    boxes = [_drawn(generator, numbered == n) for n in chosen]
    asked = np.isin(numbered, chosen)
    for x0, y0, x1, y1 in boxes:
        asked |= scar & inside((x0 - _GRACE_PX, y0 - _GRACE_PX, x1 + _GRACE_PX, y1 + _GRACE_PX), scar.shape)
    return boxes, asked


def _drawn(generator: np.random.Generator, region: np.ndarray) -> Corners:
    corners = tight(region)
    assert corners is not None  # noqa: S101 - lesions have pixels
    x0, y0, x1, y1 = corners
    side = np.array([x1 - x0, y1 - y0, x1 - x0, y1 - y0])
    off = generator.uniform(-1, 1, 4) * generator.choice(_CARE) * side
    return tuple(np.array(corners) + off)


def _false_box(generator: np.random.Generator, tissue: np.ndarray) -> Corners:
    """A box on wall without scar."""
    rows, columns = np.nonzero(tissue > 1)
    n = int(generator.integers(rows.size))
    half = generator.uniform(*_FALSE_SIZE, 2) * (np.ptp(columns) + 1, np.ptp(rows) + 1) / 2
    x, y = columns[n] + 0.5, rows[n] + 0.5
    return x - half[0], y - half[1], x + half[0], y + half[1]
