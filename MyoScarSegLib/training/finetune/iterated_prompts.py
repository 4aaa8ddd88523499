"""Prompts that are corrected in turns, as a reader corrects: each click is where the last answer was most wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.training.finetune.sam_settings import SamSettings
from MyoScarSegLib.training.finetune.training_slices import LESIONS, VENTRICLE, Item
from MyoScarSegLib.training.prompt_boxes import Corners
from MyoScarSegLib.training.prompt_clicks import correction
from MyoScarSegLib.training.prompting import draw_prompt

_HINTED = 0.5
"""Share of corrections that come with the last answer as a hint; the others must do without."""


@dataclass
class IteratedPrompt:
    """A prompt in the course of its corrections.

    Attributes:
        item: number of its window in the step.
        box, points, target: as :class:`~MyoScarSegLib.training.prompting.TrainingPrompt` has them.
        turns: how often it is answered, corrections included.
        generator: the source of all randomness in its course.
        hint: logits ``[rows, columns]`` of the last answer, where the next one is to see them.
    """

    item: int
    box: Corners | None
    points: np.ndarray
    target: np.ndarray
    turns: int
    generator: np.random.Generator
    hint: np.ndarray | None = None

    def correct(self, logits: np.ndarray) -> bool:
        """Add the next click, by an answer ``[rows, columns]``. Returns False if nothing is left to correct."""
        click = correction(self.generator, logits > 0, self.target)
        if len(click) == 0:
            return False
        self.points = np.concatenate([self.points, click])
        self.hint = logits if self.generator.random() < _HINTED else None
        return True


def iterated_prompts(number: int, item: Item, settings: SamSettings, seed: Sequence[int]) -> list[IteratedPrompt]:
    """The prompts of a window, the ``number``-th of its step, all drawn from its own seed; none if there is nothing to ask."""
    generator = np.random.default_rng(seed)
    targets = item.targets.cpu().numpy()
    asked = []
    for _ in range(settings.prompts):
        prompt = draw_prompt(generator, targets[LESIONS], targets[VENTRICLE] > 0, settings.prompting)
        if prompt is None:
            continue
        turns = 1
        if settings.corrections and generator.random() < settings.corrected:
            turns += int(generator.integers(1, settings.corrections + 1))
        asked.append(IteratedPrompt(number, prompt.box, prompt.points, prompt.target, turns, generator))
    return asked
