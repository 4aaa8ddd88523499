"""Clicks as readers make them: on scar, beside scar where none is, and deepest in what is wrong."""

from __future__ import annotations

import math

import numpy as np

from MyoScarSegLib.training.prompt_boxes import Corners, inside, tight

_BESIDE_SHARE = 0.7
_FEWER = 0.6
_OFF_CENTER = 0.6
"""How deep in an error readers click at least, as a share of its depth."""


def clicks(generator: np.random.Generator, where: np.ndarray, count: int, positive: bool) -> np.ndarray:
    """Up to ``count`` clicks on pixels of ``where``, as ``[clicks, 3]``: x and y in pixel edges, and the kind."""
    rows, columns = np.nonzero(where)
    if rows.size == 0 or count == 0:
        return np.zeros((0, 3))
    chosen = generator.integers(0, rows.size, count)
    return np.column_stack([columns[chosen] + 0.5, rows[chosen] + 0.5, np.full(count, float(positive))])


def correction(generator: np.random.Generator | None, predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The click of a reader who corrects: deepest in the largest error; ``[1, 3]``, or ``[0, 3]`` if all is right.

    What was missed and what was marked falsely are looked at apart. The largest error is the one that reaches deepest, by the
    distance of its pixels to its edge, and the click is of the kind that mends it: positive if both are as deep.

    Args:
        generator: None for the evaluation's click, the first of the deepest pixels in row order. With a generator, for
            training, it is drawn among these or, half of the time, among all pixels at least :data:`_OFF_CENTER` as deep.
        predicted, target: bool ``[rows, columns]``.
    """
    missed, false = _depth(target & ~predicted), _depth(predicted & ~target)
    positive = bool(missed.max() >= false.max())
    depth = missed if positive else false
    if not depth.any():
        return np.zeros((0, 3))
    if generator is not None:
        least = _OFF_CENTER if generator.random() < 0.5 else 1.0
        return clicks(generator, depth >= least * depth.max(), 1, positive)
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return np.array([[column + 0.5, row + 0.5, float(positive)]])


def _depth(wrong: np.ndarray) -> np.ndarray:
    """Of each wrong pixel the distance to the nearest right one, the picture's surroundings being right; 0 elsewhere."""
    from scipy import ndimage

    depth = np.zeros(wrong.shape)
    box = tight(wrong)
    if box is not None:
        x0, y0, x1, y1 = (int(v) for v in box)
        depth[y0:y1, x0:x1] = ndimage.distance_transform_edt(np.pad(wrong[y0:y1, x0:x1], 1))[1:-1, 1:-1]
    return depth


def negatives(
    generator: np.random.Generator,
    count: int,
    target: np.ndarray,
    scar: np.ndarray,
    wall: np.ndarray,
    box: Corners | None,
    near_px: float,
) -> np.ndarray:
    """Negative clicks where readers have to make them: most beside the scar, others in the box or anywhere on the ventricle.

    None is on scar, also not on scar that was not asked for: "here is none" would be false. Fewer than ``count`` come if
    there is no place for some.

    Args:
        target, scar, wall: bool ``[rows, columns]``: what is asked for, all scar, and the left ventricle.
        box: of the prompt, if it has one.
        near_px: how far *beside* reaches.

    Returns:
        ``[clicks, 3]`` as of :func:`clicks`.
    """
    free = ~scar
    beside = _around(target, near_px) & free
    near = int(generator.binomial(count, _BESIDE_SHARE)) if beside.any() else 0
    in_box = int(generator.binomial(count - near, 0.5)) if box is not None and wall.any() else count - near
    held = wall if box is None else inside(box, scar.shape)
    return np.concatenate(
        [
            clicks(generator, beside, near, False),
            clicks(generator, held & free, in_box, False),
            clicks(generator, wall & free, count - near - in_box, False),
        ]
    )


def few(generator: np.random.Generator, most: int) -> int:
    """1 to ``most``, each number 0.6 times as likely as the one below: a further click is made if the last did not do."""
    likely = np.cumsum(_FEWER ** np.arange(most))
    return 1 + int(np.searchsorted(likely, generator.random() * likely[-1], side="right").clip(max=most - 1))


def _around(region: np.ndarray, reach_px: float) -> np.ndarray:
    """Bool: what is within ``reach_px`` of a region, measured between pixel centers, and the region itself."""
    from scipy import ndimage

    around = np.zeros_like(region)
    box = tight(region)
    if box is None:
        return around
    x0, y0, x1, y1 = (int(v) for v in box)
    reach = math.ceil(reach_px)
    place = np.s_[max(y0 - reach, 0) : y1 + reach, max(x0 - reach, 0) : x1 + reach]
    around[place] = ndimage.distance_transform_edt(~region[place]) <= reach_px
    return around
