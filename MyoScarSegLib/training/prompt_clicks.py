"""Clicks as readers make them: on scar, beside scar where none is, and in the middle of what is wrong."""

from __future__ import annotations

import math

import numpy as np

from MyoScarSegLib.training.prompt_boxes import Corners, inside, tight

_BESIDE_SHARE = 0.7
_FEWER = 0.6


def clicks(generator: np.random.Generator, where: np.ndarray, count: int, positive: bool) -> np.ndarray:
    """Up to ``count`` clicks on pixels of ``where``, as ``[clicks, 3]``: x and y in pixel edges, and the kind."""
    rows, columns = np.nonzero(where)
    if rows.size == 0 or count == 0:
        return np.zeros((0, 3))
    chosen = generator.integers(0, rows.size, count)
    return np.column_stack([columns[chosen] + 0.5, rows[chosen] + 0.5, np.full(count, float(positive))])


def correction(generator: np.random.Generator, predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The click of a reader who corrects: in the middle of the largest wrong region; ``[1, 3]``, or ``[0, 3]`` if all is right.

    A region is of one kind, missed or falsely marked, so the click is of the kind that mends it. Its middle is the pixel
    farthest from the region's border; ties are drawn.

    Args:
        generator: draws among ties.
        predicted, target: bool ``[rows, columns]``.
    """
    from scipy import ndimage

    largest: list[tuple[np.ndarray, tuple[slice, slice], bool]] = []
    most = 0
    for wrong, positive in ((target & ~predicted, True), (predicted & ~target, False)):
        regions, count = ndimage.label(wrong)
        if count == 0:
            continue
        areas = np.bincount(regions.ravel())
        areas[0] = 0
        if areas.max() < most:
            continue
        if areas.max() > most:
            most, largest = int(areas.max()), []
        places = ndimage.find_objects(regions)
        largest += [(regions[places[n - 1]] == n, places[n - 1], positive) for n in np.flatnonzero(areas == most)]
    if not largest:
        return np.zeros((0, 3))
    region, place, positive = largest[int(generator.integers(len(largest)))]
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    click = clicks(generator, depth >= depth.max() - 1e-6, 1, positive)
    return click + np.array([place[1].start, place[0].start, 0])


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

    None is on scar, also not on scar that was not asked for: "here is none" would be false.

    Args:
        generator: the source of randomness.
        count: how many; fewer come if there is no place for some.
        target: bool ``[rows, columns]``, what is asked for.
        scar, wall: likewise, all scar, and the left ventricle.
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
