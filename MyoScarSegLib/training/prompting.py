"""Prompts for training that look like real ones: boxes as detectors and hurried readers draw them, false alarms, and clicks.

What a box asks for depends on the picture and the box alone (:func:`~MyoScarSegLib.training.prompt_boxes.answer_to`):

- the lesions of which it holds at least half, all of them, for readers and detectors cut corners;
- of other lesions the part that it holds. So the smaller of two *split* boxes on one long lesion asks for its own part, and
  the answers to both together are the lesion;
- around the left ventricle that is all of the slice's scar, and around wall without scar it is nothing.

Clicks alone ask for the lesions that were clicked.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.detector_error import BoxErrors
from MyoScarSegLib.training.prompt_boxes import (
    Corners,
    answer_to,
    as_detector,
    as_reader,
    fitted,
    inside,
    jittered,
    relative_size,
    smaller_part,
    tight,
)
from MyoScarSegLib.training.prompt_clicks import clicks, correction, few, negatives

__all__ = [
    "Prompting",
    "TrainingPrompt",
    "answer_to",
    "as_detector",
    "as_reader",
    "clicks",
    "correction",
    "draw_prompt",
    "jittered",
]

_FEWEST_PX = 3
"""A lesion of which a window shows fewer pixels is a sliver at its edge that nobody would prompt."""
_TRIES = 8
_FALSE_SIZE = (0.1, 0.6)
_BOTH_KINDS = 0.2
_CLICKS_WITH_NEGATIVES = 0.5


@dataclass(frozen=True)
class Prompting:
    """How prompts are drawn.

    The shares of ``ventricle`` and ``empty`` are of all prompts, on slices with and without scar alike, and that of ``no_box``
    is of what is left; the others are of the boxes for lesions that then remain. The default is for a model that is good with
    a box alone, so most prompts are one box for one lesion without clicks; that gets better with every click; and that finds
    nothing where nothing is.

    Attributes:
        jitter: standard deviation of each edge's error, as a share of the box's side...
        jitter_px: ...plus this many pixels, so that small boxes err, too.
        care: each box's error is that times a factor from this range: some readers and detectors are more careful.
        grown, shrunk, shifted: shares of the readers' boxes that are besides too wide on all sides, too tight on all sides,
            or off as a whole. Wide is the commonest habit, for readers fear to cut.
        habit: by how much of the side at most; well below a half, so that the box stays about its lesion.
        measured: share of the boxes that err as the detector was measured to, where its errors are given; the others are
            readers'. A half, for both kinds of boxes are used, and a measurement holds only some dozens of lesions.
        merged: share of boxes for several lesions, on slices that have several; the detector's own where measured. Readers
            sometimes box near lesions together; a quarter keeps one box for one lesion the rule.
        split: share of boxes for a part of a long lesion, of those for one lesion; likewise. Few without a measurement, for
            readers seldom draw them.
        ventricle: share of prompts whose box is the whole left ventricle. It is the way to find what no detector saw, so
            the model must tell scar from wall without being told where; more would take from the boxes for lesions.
        ventricle_margin: range of each edge's distance from the ventricle, as a share of its side: detectors and readers
            leave some room.
        empty: share of prompts around wall without scar, whose right answer is nothing, as after a false alarm: as many as
            of the whole ventricle. More makes a model shy of small scar: with two thirds of all answers empty, as an earlier
            rule had it, masks were a third too small. On slices without scar there are only these two
            kinds, and mostly none.
        no_box: share of prompts that are clicks alone, for lesions that the detector missed, and for what a reader clicks
            outside all boxes to correct; or half of the lesions that the measured detector misses, if that is more.
        pointed: share of boxes that come with clicks; the smaller part, as a box alone must do. Clicks on a first answer's
            errors come besides, from :func:`correction`.
        most_points: clicks of each kind are 0 to this many, fewer more often.
        near_px: most negative clicks are this near to the scar, in pixels: on the wall and the blood beside it, where models
            mark too much, and not anywhere, where they would not anyway.

    Raises:
        ModelError: a value is outside its range.
    """

    jitter: float = 0.1
    jitter_px: float = 1.0
    care: tuple[float, float] = (0.3, 1.8)
    grown: float = 0.2
    shrunk: float = 0.1
    shifted: float = 0.1
    habit: float = 0.25
    measured: float = 0.5
    merged: float = 0.25
    split: float = 0.05
    ventricle: float = 0.05
    ventricle_margin: tuple[float, float] = (0.0, 0.15)
    empty: float = 0.1
    no_box: float = 0.15
    pointed: float = 0.3
    most_points: int = 5
    near_px: float = 4.0

    def __post_init__(self) -> None:
        for setting in fields(self):
            values = np.atleast_1d(getattr(self, setting.name))
            if not (np.isfinite(values).all() and (values >= 0).all()):
                raise ModelError(f"The prompting setting {setting.name} must be from 0 up, not {getattr(self, setting.name)}.")
        for names in (("measured",), ("no_box",), ("pointed",), ("merged",), ("split",), ("ventricle", "empty")):
            self._check_shares(*names)
        self._check_shares("grown", "shrunk", "shifted")
        for name in ("care", "ventricle_margin"):
            low, high = getattr(self, name)
            if low > high:
                raise ModelError(f"The prompting range {name} must rise, which {low:g} to {high:g} does not.")
        if self.most_points < 1 or self.habit >= 0.5:
            raise ModelError("Prompting needs most_points of 1 or more, and a habit below 0.5.")

    def _check_shares(self, *names: str) -> None:
        if sum(getattr(self, name) for name in names) > 1 + 1e-9:
            raise ModelError(f"The prompting setting {' plus '.join(names)} is a share and must not be more than 1.")


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
    errors: BoxErrors | None = None,
) -> TrainingPrompt | None:
    """Draw one prompt for a window.

    Args:
        generator: the source of all randomness.
        numbered: int ``[rows, columns]``: 0, or the number of the lesion.
        wall: bool ``[rows, columns]``: the left ventricle within the epicardium, where a false box would lie; all False where
            it is not labelled, and then there are neither ventricle's nor empty prompts.
        how: the habits.
        errors: of the detector whose boxes the model will get; None if that is not known.

    Returns:
        The prompt; None if the window shows nothing to prompt for, or none was drawn on a slice without scar.
    """
    numbers = np.flatnonzero(np.bincount(numbered.ravel())[1:] >= _FEWEST_PX) + 1
    window = _Window(numbered, numbered > 0, wall, tight(wall))
    if window.ventricle is not None:
        kind = generator.random()
        if kind < how.ventricle:
            return _ventricle_prompt(generator, window, window.ventricle, how)
        if kind < how.ventricle + how.empty:
            prompt = _empty_prompt(generator, window, window.ventricle, how, errors)
            # A wall that is scarred all around has no room for an empty box.
            if prompt is not None or numbers.size == 0:
                return prompt
    if numbers.size == 0:
        return None
    measured = errors if errors is not None and generator.random() < how.measured else None
    # Of the lesions that a detector missed, a reader boxes half by hand and clicks on the others.
    clicked = how.no_box if measured is None else max(how.no_box, measured.missed / 2)
    if generator.random() < clicked:
        return _clicked(generator, window, numbers, how)
    return _boxed(generator, window, numbers, how, measured)


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


def _ventricle_prompt(generator: np.random.Generator, window: _Window, ventricle: Corners, how: Prompting) -> TrainingPrompt:
    """The whole ventricle with a margin; scar drawn beyond the epicardium is boxed with it, so the answer is all scar."""
    x0, y0, x1, y1 = tight(window.wall | window.scar) or ventricle
    side = np.array([x0 - x1, y0 - y1, x1 - x0, y1 - y0])
    box = fitted(np.array([x0, y0, x1, y1]) + side * generator.uniform(*how.ventricle_margin, 4), window.shape)
    target = window.scar.copy()
    return TrainingPrompt(box, _points(generator, window, target, box, how), target, "ventricle")


def _empty_prompt(
    generator: np.random.Generator, window: _Window, ventricle: Corners, how: Prompting, errors: BoxErrors | None
) -> TrainingPrompt | None:
    """A box on the ventricle without scar in it, like a false alarm or a hasty reader's; None if no room was found for it."""
    rows, columns = np.nonzero(window.wall & ~window.scar)
    if rows.size == 0:
        return None
    x0, y0, x1, y1 = ventricle
    side = np.array([x1 - x0, y1 - y0])
    for _ in range(_TRIES):
        if errors is not None and len(errors.false_boxes) and generator.random() < how.measured:
            away, size = errors.false_boxes[generator.integers(len(errors.false_boxes))].reshape(2, 2)
            if generator.random() < 0.5:  # windows are flipped and turned, too
                away, size = away[::-1], size[::-1]
            middle = np.array([x0 + x1, y0 + y1]) / 2 + away * side * generator.choice((-1, 1), 2)
            # Where it does not even touch the ventricle nobody accepts it, and the window may not show it.
            if (np.abs(middle - np.array([x0 + x1, y0 + y1]) / 2) >= (1 + size) * side / 2).any():
                continue
        else:
            n = int(generator.integers(rows.size))
            middle, size = np.array([columns[n] + 0.5, rows[n] + 0.5]), generator.uniform(*_FALSE_SIZE, 2)
        half = size * side / 2
        box = jittered(generator, (*(middle - half), *(middle + half)), window.shape, how)
        if not (window.scar & inside(box, window.shape)).any():
            target = np.zeros_like(window.scar)
            return TrainingPrompt(box, _points(generator, window, target, box, how), target, "empty")
    return None


def _clicked(generator: np.random.Generator, window: _Window, numbers: np.ndarray, how: Prompting) -> TrainingPrompt:
    """Clicks alone, at least one on each lesion that is meant."""
    meant = _meant(generator, numbers, how.merged)[: how.most_points]
    target = window.holds(meant)
    more = min(few(generator, how.most_points), how.most_points - len(meant) + 1) - 1
    points = [clicks(generator, window.numbered == n, 1, True) for n in meant] + [clicks(generator, target, more, True)]
    if generator.random() < _CLICKS_WITH_NEGATIVES:
        count = few(generator, how.most_points)
        points.append(negatives(generator, count, target, window.scar, window.wall, None, how.near_px))
    return TrainingPrompt(None, np.concatenate(points), target, "clicks")


def _boxed(
    generator: np.random.Generator, window: _Window, numbers: np.ndarray, how: Prompting, measured: BoxErrors | None
) -> TrainingPrompt:
    """A box for lesions, or for a part of one."""
    merged, split = (how.merged, how.split) if measured is None else (measured.merged, measured.split)
    meant = _meant(generator, numbers, merged)
    lesion = window.holds(meant)
    part = smaller_part(generator, lesion) if len(meant) == 1 and generator.random() < split else None
    lesion = lesion if part is None else part
    aim = tight(lesion)
    assert aim is not None  # noqa: S101 - these lesions have pixels
    box = aim
    for _ in range(_TRIES):
        if part is not None:
            drawn = jittered(generator, aim, window.shape, how)
        elif measured is not None:
            size = None if window.ventricle is None else relative_size(aim, window.ventricle)
            drawn = as_detector(generator, aim, window.shape, measured, size)
        else:
            drawn = as_reader(generator, aim, window.shape, how)
        held = window.numbered[lesion & inside(drawn, window.shape)]
        if all((held == n).any() for n in meant):
            box = drawn
            break
    target = answer_to(box, window.numbered)
    kind = "split" if part is not None else "merged" if len(meant) > 1 else "lesion"
    return TrainingPrompt(box, _points(generator, window, target, box, how), target, kind)


def _meant(generator: np.random.Generator, numbers: np.ndarray, merged: float) -> np.ndarray:
    """The numbers of the lesions that a prompt is meant for: one, or two or all together."""
    if len(numbers) < 2 or generator.random() >= merged:
        return generator.choice(numbers, 1)
    return numbers if generator.random() < 0.5 else generator.choice(numbers, 2, replace=False)


def _points(generator: np.random.Generator, window: _Window, target: np.ndarray, box: Corners, how: Prompting) -> np.ndarray:
    """The clicks that come with a box, ``[points, 3]``; mostly none."""
    if generator.random() >= how.pointed:
        return np.zeros((0, 3))
    kinds = generator.random()
    positive, negative = kinds < 0.5 + _BOTH_KINDS / 2, kinds >= 0.5 - _BOTH_KINDS / 2
    points = []
    if positive:
        points.append(clicks(generator, target, few(generator, how.most_points), True))
    if negative:
        count = few(generator, how.most_points)
        points.append(negatives(generator, count, target, window.scar, window.wall, box, how.near_px))
    return np.concatenate(points)
