"""Prompts for training that look like real ones: boxes as detectors and jittered readers draw them, false alarms, and clicks.

What a box asks for depends on the picture and the box alone (:func:`~MyoScarSegLib.training.reader_prompts.answer_to`):

- the lesions of which it holds at least half, all of them, for readers and detectors cut corners;
- of other lesions the part that it holds. So the smaller of two *split* boxes on one long lesion asks for its own part, and
  the answers to both together are the lesion;
- around the left ventricle that is all of the slice's scar, and around wall without scar it is nothing.

Clicks alone ask for the lesions that were clicked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.reader_prompts import (
    Corners,
    answer_to,
    as_reader,
    clicks,
    few,
    fitted,
    inside,
    negatives,
    smaller_part,
    tight,
)
from MyoScarSegLib.utils.json_fields import Share, check

_FEWEST_PX = 3
"""A lesion of which a window shows fewer pixels is a sliver at its edge that nobody would prompt."""
_TRIES = 8
_FALSE_SIZE = (0.1, 0.6)
_BOTH_KINDS = 0.2
_CLICKS_WITH_NEGATIVES = 0.5
MERGED = 0.25
"""Share of boxes for several lesions, on slices that have several. Readers sometimes box near lesions together; a quarter
keeps one box for one lesion the rule."""
SPLIT = 0.05
"""Share of boxes for a part of a long lesion, of those for one lesion. Readers seldom draw them."""
NO_BOX = 0.15
"""Share of prompts that are clicks alone: for lesions that the detector missed, and for what a reader clicks outside all
boxes to correct."""
POINTED = 0.3
"""Share of boxes that come with clicks; the smaller part, as a box alone must do. Clicks on a first answer's errors come
besides."""
MOST_POINTS = 5
"""Clicks of each kind are 0 to this many, fewer more often."""
NEAR_PX = 4.0
"""Most negative clicks are this near to the scar: on the wall and the blood beside it, where models mark too much, and not
anywhere, where they would not anyway."""
VENTRICLE_MARGIN = (0.0, 0.15)
"""Range of each edge's distance from the ventricle, as a share of its side: detectors and readers leave some room."""


@dataclass(frozen=True)
class Prompting:
    """Which kinds of prompts are drawn how often.

    The shares are of all prompts, on slices with and without scar alike; what is left are boxes and clicks for lesions. The
    default is for a model that is good with a box alone, so most prompts are one box for one lesion without clicks; that gets
    better with every click; and that finds nothing where nothing is.

    Attributes:
        ventricle: share of prompts whose box is the whole left ventricle. It is the way to find what no detector saw, so
            the model must tell scar from wall without being told where; more would take from the boxes for lesions.
        empty: share of prompts around wall without scar, whose right answer is nothing, as after a false alarm. More makes
            a model shy of small scar: with two thirds of all answers empty, as an earlier rule had it, masks were a third
            too small. On slices without scar there are only these two kinds, and mostly none.

    Raises:
        ModelError: a share is outside 0 to 1, or both together are more than 1.
    """

    ventricle: Share = 0.05
    empty: Share = 0.1

    def __post_init__(self) -> None:
        check(self, ModelError, "The prompting")
        if self.ventricle + self.empty > 1 + 1e-9:
            raise ModelError("The prompting setting ventricle plus empty is a share and must not be more than 1.")


@dataclass(frozen=True)
class TrainingPrompt:
    """A prompt and its right answer.

    Attributes:
        box: ``(x0, y0, x1, y1)`` in pixel edges of the window; None for clicks alone.
        points: ``[points, 3]``: x, y, and 1 for positive or 0.
        target: bool ``[rows, columns]``.
        kind: what was drawn, to keep figures by: ``"lesion"``, ``"merged"``, ``"split"``, ``"ventricle"``, ``"empty"`` or
            ``"clicks"``.
    """

    box: Corners | None
    points: np.ndarray
    target: np.ndarray
    kind: str = "lesion"


def draw_prompt(
    generator: np.random.Generator,
    numbered: np.ndarray,
    wall: np.ndarray,
    how: Prompting,
) -> TrainingPrompt | None:
    """Draw one prompt for a window; None if it shows nothing to prompt for, or none was drawn on a slice without scar.

    ``numbered`` is int ``[rows, columns]``: 0, or the number of the lesion. ``wall`` is bool: the left ventricle within the
    epicardium; all False where it is not labeled, and then there are neither ventricle's nor empty prompts.
    """
    numbers = np.flatnonzero(np.bincount(numbered.ravel())[1:] >= _FEWEST_PX) + 1
    window = _Window(numbered, numbered > 0, wall, tight(wall))
    if window.ventricle is not None:
        kind = generator.random()
        if kind < how.ventricle:
            return _ventricle_prompt(generator, window, window.ventricle)
        if kind < how.ventricle + how.empty:
            prompt = _empty_prompt(generator, window, window.ventricle)
            # A wall that is scarred all around has no room for an empty box.
            if prompt is not None or numbers.size == 0:
                return prompt
    if numbers.size == 0:
        return None
    return _clicked(generator, window, numbers) if generator.random() < NO_BOX else _boxed(generator, window, numbers)


@dataclass(frozen=True)
class _Window:
    """What a window shows: numbered lesions, all scar, the ventricle and its tight box, if there is one."""

    numbered: np.ndarray
    scar: np.ndarray
    wall: np.ndarray
    ventricle: Corners | None

    @property
    def shape(self) -> tuple[int, int]:
        return self.scar.shape[0], self.scar.shape[1]

    def holds(self, numbers: np.ndarray) -> np.ndarray:
        """Bool ``[rows, columns]``: where the lesions with these numbers are."""
        return self.numbered == numbers[0] if len(numbers) == 1 else np.isin(self.numbered, numbers)


def _ventricle_prompt(generator: np.random.Generator, window: _Window, ventricle: Corners) -> TrainingPrompt:
    """The whole ventricle with a margin; scar drawn beyond the epicardium is boxed with it, so the answer is all scar."""
    x0, y0, x1, y1 = tight(window.wall | window.scar) or ventricle
    side = np.array([x0 - x1, y0 - y1, x1 - x0, y1 - y0])
    box = fitted(np.array([x0, y0, x1, y1]) + side * generator.uniform(*VENTRICLE_MARGIN, 4), window.shape)
    target = window.scar.copy()
    return TrainingPrompt(box, _points(generator, window, target, box), target, "ventricle")


def _empty_prompt(generator: np.random.Generator, window: _Window, ventricle: Corners) -> TrainingPrompt | None:
    """A box on the ventricle without scar in it, like a false alarm or a hasty reader's; None if no room was found for it."""
    rows, columns = np.nonzero(window.wall & ~window.scar)
    if rows.size == 0:
        return None
    x0, y0, x1, y1 = ventricle
    side = np.array([x1 - x0, y1 - y0])
    for _ in range(_TRIES):
        n = int(generator.integers(rows.size))
        middle, size = np.array([columns[n] + 0.5, rows[n] + 0.5]), generator.uniform(*_FALSE_SIZE, 2)
        half = size * side / 2
        box = as_reader(generator, (*(middle - half), *(middle + half)), window.shape, habits=False)
        if not (window.scar & inside(box, window.shape)).any():
            target = np.zeros_like(window.scar)
            return TrainingPrompt(box, _points(generator, window, target, box), target, "empty")
    return None


def _clicked(generator: np.random.Generator, window: _Window, numbers: np.ndarray) -> TrainingPrompt:
    """Clicks alone, at least one on each lesion that is meant."""
    meant = _meant(generator, numbers)[:MOST_POINTS]
    target = window.holds(meant)
    more = min(few(generator, MOST_POINTS), MOST_POINTS - len(meant) + 1) - 1
    points = [clicks(generator, window.numbered == n, 1, True) for n in meant] + [clicks(generator, target, more, True)]
    if generator.random() < _CLICKS_WITH_NEGATIVES:
        count = few(generator, MOST_POINTS)
        points.append(negatives(generator, count, target, window.scar, window.wall, None, NEAR_PX))
    return TrainingPrompt(None, np.concatenate(points), target, "clicks")


def _boxed(generator: np.random.Generator, window: _Window, numbers: np.ndarray) -> TrainingPrompt:
    """A box for lesions, or for a part of one."""
    meant = _meant(generator, numbers)
    lesion = window.holds(meant)
    part = smaller_part(generator, lesion) if len(meant) == 1 and generator.random() < SPLIT else None
    lesion = lesion if part is None else part
    aim = tight(lesion)
    assert aim is not None  # noqa: S101 - these lesions have pixels
    box = aim
    for _ in range(_TRIES):
        drawn = as_reader(generator, aim, window.shape, habits=part is None)
        held = window.numbered[lesion & inside(drawn, window.shape)]
        if all((held == n).any() for n in meant):
            box = drawn
            break
    target = answer_to(box, window.numbered)
    kind = "split" if part is not None else "merged" if len(meant) > 1 else "lesion"
    return TrainingPrompt(box, _points(generator, window, target, box), target, kind)


def _meant(generator: np.random.Generator, numbers: np.ndarray) -> np.ndarray:
    """The numbers of the lesions that a prompt is meant for: one, or two or all together."""
    if len(numbers) < 2 or generator.random() >= MERGED:
        return generator.choice(numbers, 1)
    return numbers if generator.random() < 0.5 else generator.choice(numbers, 2, replace=False)


def _points(generator: np.random.Generator, window: _Window, target: np.ndarray, box: Corners) -> np.ndarray:
    """The clicks that come with a box, ``[points, 3]``; mostly none."""
    if generator.random() >= POINTED:
        return np.zeros((0, 3))
    kinds = generator.random()
    positive, negative = kinds < 0.5 + _BOTH_KINDS / 2, kinds >= 0.5 - _BOTH_KINDS / 2
    points = []
    if positive:
        points.append(clicks(generator, target, few(generator, MOST_POINTS), True))
    if negative:
        count = few(generator, MOST_POINTS)
        points.append(negatives(generator, count, target, window.scar, window.wall, box, NEAR_PX))
    return np.concatenate(points)
