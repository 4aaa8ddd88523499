"""Prompts for training that look like real ones: boxes as detectors and hurried readers draw them, clicks, and corrections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.training.lesions import boxes_of


@dataclass(frozen=True)
class Prompting:
    """How prompts are drawn.

    Attributes:
        jitter: standard deviation of each edge's error, as a share of the box's side...
        jitter_px: ...plus this many pixels, so that small boxes err, too.
        care: each box's error is that times a factor from this range: some readers and detectors are more careful.
        merged: share of prompts whose one box holds all lesions of the slice.
        empty: share of prompts around wall without scar, whose right answer is nothing.
        no_box: share of prompts that are clicks alone.
        most_points: clicks of each kind are 0 to this many.
        pointed: share of boxes that come with clicks.
    """

    jitter: float = 0.1
    jitter_px: float = 1.0
    care: tuple[float, float] = (0.3, 1.8)
    merged: float = 0.25
    empty: float = 0.2
    no_box: float = 0.1
    most_points: int = 3
    pointed: float = 0.3


@dataclass(frozen=True)
class TrainingPrompt:
    """A prompt and its right answer.

    Attributes:
        box: ``(x0, y0, x1, y1)`` in pixel edges of the window; None for clicks alone.
        points: ``[points, 3]``: x, y, and 1 for positive or 0.
        target: bool ``[rows, columns]``.
    """

    box: tuple[float, float, float, float] | None
    points: np.ndarray
    target: np.ndarray


def draw_prompt(generator: np.random.Generator, numbered: np.ndarray, wall: np.ndarray, how: Prompting) -> TrainingPrompt | None:
    """Draw one prompt for a window.

    Args:
        generator: the source of randomness.
        numbered: int ``[rows, columns]``: 0, or the number of the lesion.
        wall: bool ``[rows, columns]``: the left ventricle within the epicardium, where a false box would lie.
        how: the habits.

    Returns:
        The prompt; None if the window shows neither scar nor ventricle.
    """
    numbers = [n for n in range(1, int(numbered.max()) + 1) if (numbered == n).any()]
    if not numbers or generator.random() < how.empty:
        return _empty_prompt(generator, numbered > 0, wall, how)
    scar = numbered > 0
    lesion = scar if len(numbers) > 1 and generator.random() < how.merged else numbered == generator.choice(numbers)
    if generator.random() < how.no_box:
        count = int(generator.integers(1, how.most_points + 1))
        return TrainingPrompt(None, clicks(generator, lesion, count, True), lesion)
    box = jittered(generator, tuple(boxes_of(lesion)[0]), scar.shape, how)
    target = lesion | (scar & _inside(box, scar.shape))
    points = np.zeros((0, 3))
    if generator.random() < how.pointed:
        positive = clicks(generator, target, int(generator.integers(0, how.most_points + 1)), True)
        around = _inside(box, scar.shape) & ~target
        points = np.concatenate([positive, clicks(generator, around, int(generator.integers(0, how.most_points + 1)), False)])
    return TrainingPrompt(box, points, target)


def jittered(
    generator: np.random.Generator, box: tuple[float, ...], shape: tuple[int, ...], how: Prompting
) -> tuple[float, float, float, float]:
    """A box with each edge moved by its own error; kept in the image and at least two pixels wide."""
    x0, y0, x1, y1 = box
    spread = np.array([x1 - x0, y1 - y0, x1 - x0, y1 - y0]) * how.jitter + how.jitter_px
    spread *= generator.uniform(*how.care)
    x0, y0, x1, y1 = np.array([x0, y0, x1, y1]) + generator.normal(size=4) * spread
    x0, x1 = _ordered(x0, x1, shape[1])
    y0, y1 = _ordered(y0, y1, shape[0])
    return x0, y0, x1, y1


def clicks(generator: np.random.Generator, where: np.ndarray, count: int, positive: bool) -> np.ndarray:
    """Up to ``count`` clicks on pixels of ``where``, as ``[clicks, 3]``: x and y in pixel edges, and the kind."""
    rows, columns = np.nonzero(where)
    if rows.size == 0 or count == 0:
        return np.zeros((0, 3))
    chosen = generator.integers(0, rows.size, count)
    return np.column_stack([columns[chosen] + 0.5, rows[chosen] + 0.5, np.full(count, float(positive))])


def correction(generator: np.random.Generator, predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The click of a reader who corrects: in the middle of the largest wrong region; ``[1, 3]``, or ``[0, 3]`` if all is right.

    The middle is the pixel farthest from the region's border; ties are drawn.
    """
    from scipy import ndimage

    wrong = predicted != target
    regions, count = ndimage.label(wrong)
    if count == 0:
        return np.zeros((0, 3))
    areas = np.bincount(regions.ravel())[1:]
    region = regions == int(areas.argmax()) + 1
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    deepest = depth >= depth.max() - 1e-6
    rows, columns = np.nonzero(deepest)
    positive = bool(target[rows[0], columns[0]])
    return clicks(generator, deepest, 1, positive)


def _empty_prompt(generator: np.random.Generator, scar: np.ndarray, wall: np.ndarray, how: Prompting) -> TrainingPrompt | None:
    """A box somewhere on the ventricle; the answer is whatever scar it holds, mostly none."""
    rows, columns = np.nonzero(wall & ~scar)
    if rows.size == 0:
        return None
    n = int(generator.integers(0, rows.size))
    width, height = generator.uniform(6, 30, 2)
    box = (columns[n] - width / 2, rows[n] - height / 2, columns[n] + width / 2, rows[n] + height / 2)
    box = jittered(generator, box, scar.shape, how)
    target = scar & _inside(box, scar.shape)
    if target.any() and target.sum() < 0.7 * scar.sum():
        # A box across half a lesion has no clear answer; such a prompt would teach noise.
        return None
    return TrainingPrompt(box, np.zeros((0, 3)), target)


def _inside(box: tuple[float, float, float, float], shape: tuple[int, ...]) -> np.ndarray:
    y, x = (np.arange(n) + 0.5 for n in shape)
    return ((y > box[1]) & (y < box[3]))[:, None] & ((x > box[0]) & (x < box[2]))


def _ordered(low: float, high: float, size: int) -> tuple[float, float]:
    low, high = sorted((float(np.clip(low, 0, size)), float(np.clip(high, 0, size))))
    if high - low < 2:
        middle = min(max((low + high) / 2, 1.0), size - 1.0)
        low, high = middle - 1, middle + 1
    return low, high
