"""What SAM learns from: prompts, its loss on the answers to them, and the corrections that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from MyoScarSegLib.segmentation.mask_decoder import decode
from MyoScarSegLib.segmentation.preprocessing import encoder_input, preprocessing
from MyoScarSegLib.training.finetune.training_slices import LESIONS, VENTRICLE
from MyoScarSegLib.training.loop.gradients import Item, StepLoss
from MyoScarSegLib.training.losses import scar_losses
from MyoScarSegLib.training.model_settings import SegmenterSettings
from MyoScarSegLib.training.prompting import TrainingPrompt, draw_prompt
from MyoScarSegLib.training.reader_prompts import correction

_SCORE = 0.05
"""Weight of SAM's own estimate of its overlap, which must not cost masks."""
_CORRECTED = 0.5
"""Share of prompts that get correcting clicks."""
_HINTED = 0.5
"""Share of corrections that come with the last answer as a hint; the others must do without."""


def prompts_loss(
    network: nn.ModuleDict,
    items: Sequence[Item],
    settings: SegmenterSettings,
    seeds: Sequence[Sequence[int]],
    recipe: str,
) -> StepLoss:
    """SAM's answers to drawn prompts, and to correcting clicks in the middle of the largest error; drawn as in
    :func:`context_loss`. ``recipe`` is the id of the model's preprocessing.
    """
    images = torch.stack([i.image for i in items])
    features = [i.features for i in items]
    # To float32 one by one: the processor's autocast cannot stack what is cached in float16.
    cached = [f.float() for f in features if f is not None]
    if len(cached) == len(items):
        encoded = torch.stack(cached)
    else:
        encoded = network["image_encoder"](encoder_input(images, preprocessing(recipe)))
    total = encoded.new_zeros(())
    current: list[_IteratedPrompt] = []
    for number, (item, seed) in enumerate(zip(items, seeds, strict=True)):
        current += _iterated_prompts(number, item, settings, seed)
    sums: dict[str, float] = {"mask": 0.0, "corrected": 0.0}
    counts = np.bincount([p.item for p in current], minlength=len(items))
    for turn in range(settings.corrections + 1):
        if not current:
            break
        logits, scores = decode(
            network,
            encoded,
            [p.item for p in current],
            [p.prompt.box for p in current],
            [p.prompt.points for p in current],
            [p.hint for p in current],
        )
        targets = torch.stack([torch.from_numpy(p.prompt.target.astype(np.float32)) for p in current]).to(logits)
        # A window's prompts count one window together; a prompt's turns count one prompt together.
        weights = torch.tensor([1.0 / (counts[p.item] * p.turns) for p in current]).to(logits)
        per_prompt = scar_losses(logits, targets, settings.loss)
        total = total + (weights * per_prompt).sum()
        total = total + _SCORE * (weights * _score_error(logits, targets, scores)).sum()
        sums["mask" if turn == 0 else "corrected"] += float((weights * per_prompt).sum().detach())
        answers = logits.detach().float().cpu().numpy()
        current = [p for n, p in enumerate(current) if p.turns > turn + 1 and p.correct(answers[n])]
    return StepLoss(total, sums)


@dataclass
class _IteratedPrompt:
    """A prompt in the course of its corrections, as a reader corrects: each click is where the last answer was most wrong.

    Attributes:
        item: number of its window in the step.
        prompt: with all clicks so far.
        turns: how often it is answered, corrections included.
        generator: the source of all randomness in its course.
        hint: logits ``[rows, columns]`` of the last answer, where the next one is to see them.
    """

    item: int
    prompt: TrainingPrompt
    turns: int
    generator: np.random.Generator
    hint: np.ndarray | None = None

    def correct(self, logits: np.ndarray) -> bool:
        """Add the next click, by an answer ``[rows, columns]``. Returns False if nothing is left to correct."""
        click = correction(self.generator, logits > 0, self.prompt.target)
        if len(click) == 0:
            return False
        self.prompt = replace(self.prompt, points=np.concatenate([self.prompt.points, click]))
        self.hint = logits if self.generator.random() < _HINTED else None
        return True


def _iterated_prompts(number: int, item: Item, settings: SegmenterSettings, seed: Sequence[int]) -> list[_IteratedPrompt]:
    """The prompts of a window, the ``number``-th of its step, all drawn from its own seed; none if there is nothing to ask."""
    generator = np.random.default_rng(seed)
    targets = item.targets.cpu().numpy()
    asked = []
    for _ in range(settings.prompts):
        prompt = draw_prompt(generator, targets[LESIONS], targets[VENTRICLE] > 0, settings.prompting)
        if prompt is None:
            continue
        turns = 1
        if settings.corrections and generator.random() < _CORRECTED:
            turns += int(generator.integers(1, settings.corrections + 1))
        asked.append(_IteratedPrompt(number, prompt, turns, generator))
    return asked


def _score_error(logits: torch.Tensor, targets: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Squared error of SAM's own estimate of the overlap, per prompt."""
    with torch.no_grad():
        predicted, wanted = logits > 0, targets > 0.5
        union = (predicted | wanted).sum(dim=(1, 2))
        overlap = torch.where(union > 0, (predicted & wanted).sum(dim=(1, 2)) / union.clamp(min=1), torch.ones_like(scores))
    return (scores - overlap) ** 2
