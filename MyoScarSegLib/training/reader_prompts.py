"""Boxes and clicks as readers make them, and what a box asks for: around scar, beside it, and deepest in what is wrong."""

from __future__ import annotations

import math

import numpy as np

from MyoScarSegLib.utils.windows import window_of

HELD = 0.5
"""A box that holds this share of a lesion's pixels asks for all of the lesion."""
JITTER = 0.1
"""Standard deviation of each edge's error, as a share of the box's side..."""
_JITTER_PX = 1.0
"""...plus this many pixels, so that small boxes err, too..."""
_CARE = (0.3, 1.8)
"""...times a factor from this range: some readers are more careful."""
_GROWN, _SHRUNK, _SHIFTED = 0.2, 0.1, 0.1
"""Shares of boxes that are besides too wide, too tight, or off as a whole. Readers fear to cut, so wide is the commonest."""
_HABIT = 0.25
"""By how much of the side at most; well below a half, so that the box stays about its lesion."""
_SHORTEST_SPLIT_PX = 10
_PART = (0.25, 0.5)

Corners = tuple[float, float, float, float]
_BESIDE_SHARE = 0.7
_FEWER = 0.6
_OFF_CENTER = 0.6
"""How deep in an error readers click at least, as a share of its depth."""


def answer_to(box: Corners, numbered: np.ndarray) -> np.ndarray:
    """The right answer ``[rows, columns]`` to a box: the numbered lesions of which it holds at least half, and what it holds of
    others.

    It depends on the picture and the box alone, so that a network can learn it; of a long lesion under two boxes the two answers
    together are the lesion, or at least what the boxes hold of it. A box holds the pixels whose centers lie in it.
    """
    held = np.where(inside(box, numbered.shape), numbered, 0)
    areas = np.bincount(numbered.ravel())
    mostly = np.bincount(held.ravel(), minlength=len(areas)) >= HELD * np.maximum(areas, 1)
    mostly[0] = False
    return np.asarray(mostly[numbered] | (held > 0))


def jittered(
    generator: np.random.Generator, box: tuple[float, ...], shape: tuple[int, ...], share: float, px: float = 0.0
) -> Corners:
    """A box with each edge moved by its own error, whose standard deviation is a share of the box's side plus some pixels; kept
    in an image of ``shape`` ``(rows, columns)`` and at least two pixels wide.
    """
    x0, y0, x1, y1 = box
    spread = np.array([x1 - x0, y1 - y0, x1 - x0, y1 - y0]) * share + px
    return fitted(np.array(box) + generator.normal(size=4) * spread, shape)


def as_reader(generator: np.random.Generator, box: tuple[float, ...], shape: tuple[int, ...], *, habits: bool = True) -> Corners:
    """A box as readers draw it: :func:`jittered`, and with ``habits`` some too wide, too tight or off as a whole."""
    x0, y0, x1, y1 = box
    side = np.array([x1 - x0, y1 - y0])
    moved = np.zeros(4)
    if habits:
        habit, amount = generator.random(), generator.uniform(0, _HABIT)
        if habit < _GROWN:
            moved = np.concatenate([-side, side]) * amount
        elif habit < _GROWN + _SHRUNK:
            moved = np.concatenate([side, -side]) * amount
        elif habit < _GROWN + _SHRUNK + _SHIFTED:
            angle = generator.uniform(0, 2 * math.pi)
            moved = np.tile(side * (math.cos(angle), math.sin(angle)) * amount, 2)
    care = generator.uniform(*_CARE)
    return jittered(generator, tuple(np.array(box) + moved), shape, JITTER * care, _JITTER_PX * care)


def smaller_part(generator: np.random.Generator, lesion: np.ndarray) -> np.ndarray | None:
    """What the smaller of two boxes on one lesion holds, bool ``[rows, columns]``: a quarter to a half of it, from one end of its
    long side; None for a lesion too short for two boxes.
    """
    found = tight(lesion)
    if found is None or max(found[2] - found[0], found[3] - found[1]) < _SHORTEST_SPLIT_PX:
        return None
    axis = 1 if found[2] - found[0] >= found[3] - found[1] else 0
    reached = np.cumsum(lesion.sum(axis=1 - axis))
    share = generator.uniform(*_PART) * reached[-1]
    kept = reached <= share if generator.random() < 0.5 else reached > reached[-1] - share
    part = lesion & (kept[None, :] if axis == 1 else kept[:, None])
    return part if part.any() else None


def tight(mask: np.ndarray) -> Corners | None:
    """The tight box of a mask in pixel edges; None if it is empty."""
    rows, columns = window_of(mask)
    return (float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)) if rows.stop else None


def middle(mask: np.ndarray) -> tuple[float, float] | None:
    """``(x, y)`` of the mean of a mask's pixels in pixel edges; None if it is empty."""
    rows, columns = np.nonzero(mask)
    return (float(columns.mean()) + 0.5, float(rows.mean()) + 0.5) if rows.size else None


def inside(box: Corners, shape: tuple[int, ...]) -> np.ndarray:
    """Bool ``[rows, columns]``: the pixels whose centers lie in a box."""
    y, x = (np.arange(n) + 0.5 for n in shape)
    return ((y > box[1]) & (y < box[3]))[:, None] & ((x > box[0]) & (x < box[2]))


def fitted(box: np.ndarray, shape: tuple[int, ...]) -> Corners:
    """A box with its corners in order, in the image, and at least two pixels wide."""
    limits = np.array([shape[1], shape[0]], dtype=np.float64)
    low, high = np.sort(np.clip(np.reshape(box, (2, 2)), 0, limits), axis=0)
    center = np.minimum(np.maximum((low + high) / 2, 1), limits - 1)
    narrow = high - low < 2
    x0, y0, x1, y1 = np.concatenate([np.where(narrow, center - 1, low), np.where(narrow, center + 1, high)]).tolist()
    return x0, y0, x1, y1


def clicks(generator: np.random.Generator, where: np.ndarray, count: int, positive: bool) -> np.ndarray:
    """Up to ``count`` clicks on pixels of ``where``, as ``[clicks, 3]``: x and y in pixel edges, and the kind."""
    rows, columns = np.nonzero(where)
    if rows.size == 0 or count == 0:
        return np.zeros((0, 3))
    chosen = generator.integers(0, rows.size, count)
    return np.column_stack([columns[chosen] + 0.5, rows[chosen] + 0.5, np.full(count, float(positive))])


def correction(generator: np.random.Generator | None, predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The click of a reader who corrects bool ``[rows, columns]``: deepest in the largest error; ``[1, 3]``, or ``[0, 3]`` if
    right.

    What was missed and what was marked falsely are looked at apart. The largest error is the one that reaches deepest, by the
    distance of its pixels to its edge, and the click is of the kind that mends it: positive if both are as deep. It is the first
    of the deepest pixels, or with a generator, for training, one of these or, half of the time, of all pixels at least
    :data:`_OFF_CENTER` as deep.
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

    depth, place = np.zeros(wrong.shape), window_of(wrong)
    depth[place] = ndimage.distance_transform_edt(np.pad(wrong[place], 1))[1:-1, 1:-1]
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
    """Negative clicks ``[clicks, 3]`` where readers have to make them: most within ``near_px`` of the scar that is asked for
    (``target``), others in the prompt's box or anywhere on the ventricle (``wall``); all bool ``[rows, columns]``.

    None is on scar, also not on scar that was not asked for: "here is none" would be false. Fewer than ``count`` come if there is
    no place for some.
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
    if region.any():
        place = window_of(region, math.ceil(reach_px))
        around[place] = ndimage.distance_transform_edt(~region[place]) <= reach_px
    return around
