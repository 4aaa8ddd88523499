"""Prompts for training that look like real ones: boxes as detectors and hurried readers draw them, clicks, and corrections.

The right answer to a box is what it is meant for, plus the scar that lies in it (pixel centres count):

- a box for one lesion or several means those lesions, also where it cuts them: readers and detectors cut corners;
- a *split* box, one of two that a detector lays on one long lesion, means the part of the lesion on its own side of the
  cut; the other box answers for the rest, and the two answers together are the lesion;
- a box around the left ventricle means all of the slice's scar;
- a box on wall without scar means nothing.

Clicks alone mean the lesions that were clicked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training.detector_error import BoxErrors

_FEWEST_PX = 3
"""A lesion of which a window shows fewer pixels is a sliver at its edge that nobody would prompt."""
_SHORTEST_SPLIT_PX = 8
_TRIES = 8
_ALIKE_SHARE, _ALIKE_LEAST = 0.25, 8
_SMOOTHING = 0.02

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Prompting:
    """How prompts are drawn.

    The shares of ``ventricle`` and ``empty`` are of all prompts, that of ``no_box`` is of what is left, and the others are
    of the boxes for lesions that remain. The default is for a model that is good with a box alone, that is why most prompts
    are one box for one lesion without clicks; that gets better with every click; and that finds nothing where nothing is.

    Attributes:
        jitter: standard deviation of each edge's error, as a share of the box's side...
        jitter_px: ...plus this many pixels, so that small boxes err, too.
        care: each box's error is that times a factor from this range: some readers and detectors are more careful.
        grown, shrunk, shifted: shares of the readers' boxes that are besides too wide on all sides, too tight on all sides,
            or off as a whole, by up to ``habit`` of the side. Wide is the commonest habit, since readers fear to cut.
        habit: see there.
        measured: share of the boxes that err as the detector was measured to, where its errors are given; the others are
            readers'. A half, for both kinds of boxes are used, and the measurement holds few lesions.
        merged: share of boxes that hold several lesions, on slices that have several; the detector's own where measured.
        split: share of boxes that hold only a part of a long lesion; likewise. Few without a measurement, for readers do not
            draw them.
        ventricle: share of prompts whose box is the whole left ventricle: the answer must not hang on the box alone, and a
            reader without a detector can start from one box. It also is the strongest lesson on scar-free slices.
        ventricle_margin: range of each edge's distance from the ventricle, as a share of its side.
        empty: share of prompts around wall without scar, whose right answer is nothing, as after a false alarm. More would
            make the model shy of faint scar. On slices without scar all prompts but the ventricle's are of this kind.
        no_box: share of prompts that are clicks alone, for lesions that the detector missed; enough to learn them, for a box
            is the rule.
        pointed: share of boxes that come with clicks. The smaller part, as a box alone must do; clicks after a first answer
            come from corrections.
        most_points: clicks of each kind are 0 to this many, fewer more often.
        near_px: negative clicks are mostly this near to scar, in pixels: on the wall and blood beside it that get marked.
        corrected: share of prompts that a reader goes on to correct, as :func:`corrections` draws.
        most_corrections: corrections of those are 1 to this many.

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
    ventricle: float = 0.15
    ventricle_margin: tuple[float, float] = (0.0, 0.15)
    empty: float = 0.15
    no_box: float = 0.1
    pointed: float = 0.3
    most_points: int = 5
    near_px: float = 4.0
    corrected: float = 0.4
    most_corrections: int = 3

    def __post_init__(self) -> None:
        for setting in fields(self):
            values = np.atleast_1d(getattr(self, setting.name))
            if not (np.isfinite(values).all() and (values >= 0).all()):
                raise ModelError(f"The prompting setting {setting.name} must be from 0 up, not {getattr(self, setting.name)}.")
        shares = ("measured", "merged", "split", "ventricle", "empty", "no_box", "pointed", "corrected")
        for name in (*shares, "grown", "shrunk", "shifted"):
            if getattr(self, name) > 1:
                raise ModelError(f"The prompting setting {name} is a share from 0 to 1, not {getattr(self, name):g}.")
        for names in (("ventricle", "empty"), ("merged", "split"), ("grown", "shrunk", "shifted")):
            if sum(getattr(self, name) for name in names) > 1 + 1e-9:
                raise ModelError(f"The prompting shares {', '.join(names)} are more than 1 together.")
        for name in ("care", "ventricle_margin"):
            low, high = getattr(self, name)
            if low > high:
                raise ModelError(f"The prompting range {name} must rise, not be {low:g} to {high:g}.")
        if self.most_points < 1 or self.most_corrections < 1 or self.habit >= 0.5:
            raise ModelError("Prompting needs most_points and most_corrections of 1 or more, and a habit below 0.5.")


@dataclass(frozen=True)
class TrainingPrompt:
    """A prompt and its right answer.

    Attributes:
        box: ``(x0, y0, x1, y1)`` in pixel edges of the window; None for clicks alone.
        points: ``[points, 3]``: x, y, and 1 for positive or 0.
        target: bool ``[rows, columns]``.
        kind: ``"lesion"``, ``"merged"``, ``"split"``, ``"ventricle"``, ``"empty"`` or ``"clicks"``; to keep figures by.
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
        generator: the source of randomness.
        numbered: int ``[rows, columns]``: 0, or the number of the lesion.
        wall: bool ``[rows, columns]``: the left ventricle within the epicardium, where a false box would lie; all False where
            it is not labelled.
        how: the habits.
        errors: of the detector whose boxes the model will get; None if that is not known.

    Returns:
        The prompt; None if the window shows neither scar nor ventricle.
    """
    scar = numbered > 0
    areas = np.bincount(numbered.ravel())
    numbers = np.flatnonzero(areas[1:] >= _FEWEST_PX) + 1
    ventricle = _tight(wall)
    kind = generator.random()
    if ventricle is not None and kind < how.ventricle:
        return _ventricle_prompt(generator, scar, wall, how)
    if ventricle is not None and (numbers.size == 0 or kind < how.ventricle + how.empty):
        prompt = _empty_prompt(generator, scar, wall, ventricle, how, errors)
        if prompt is not None:
            return prompt
    if numbers.size == 0:
        return None
    measured = errors if errors is not None and generator.random() < how.measured else None
    # Of the lesions that the detector missed a reader boxes half by hand, and clicks on the others.
    without_box = how.no_box if measured is None else measured.missed / 2
    if generator.random() < without_box:
        return _clicked(generator, numbered, numbers, scar, wall, how)
    return _boxed(generator, numbered, numbers, scar, wall, ventricle, how, measured)


def corrections(generator: np.random.Generator, how: Prompting) -> int:
    """How many correcting clicks (:func:`correction`, one after another) the reader of one prompt makes; mostly 0."""
    return int(generator.integers(1, how.most_corrections + 1)) if generator.random() < how.corrected else 0


def jittered(generator: np.random.Generator, box: tuple[float, ...], shape: tuple[int, ...], how: Prompting) -> Corners:
    """A box with each edge moved by its own error; kept in the image and at least two pixels wide."""
    x0, y0, x1, y1 = box
    spread = np.array([x1 - x0, y1 - y0, x1 - x0, y1 - y0]) * how.jitter + how.jitter_px
    spread *= generator.uniform(*how.care)
    return _fitted(np.array(box) + generator.normal(size=4) * spread, shape)


def as_reader(generator: np.random.Generator, box: tuple[float, ...], shape: tuple[int, ...], how: Prompting) -> Corners:
    """A box as readers draw it: :func:`jittered`, and some too wide, too tight or off as a whole."""
    x0, y0, x1, y1 = box
    side = np.array([x1 - x0, y1 - y0])
    habit, amount = generator.random(), generator.uniform(0, how.habit)
    if habit < how.grown:
        moved = np.concatenate([-side, side]) * amount
    elif habit < how.grown + how.shrunk:
        moved = np.concatenate([side, -side]) * amount
    elif habit < how.grown + how.shrunk + how.shifted:
        angle = generator.uniform(0, 2 * math.pi)
        moved = np.tile(side * (math.cos(angle), math.sin(angle)) * amount, 2)
    else:
        moved = np.zeros(4)
    return jittered(generator, tuple(np.array(box) + moved), shape, how)


def as_detector(
    generator: np.random.Generator,
    box: tuple[float, ...],
    shape: tuple[int, ...],
    errors: BoxErrors,
    size: float | None = None,
) -> Corners:
    """A box that errs as one of the detector's did.

    All four errors are one found lesion's, for edges do not err independently. As slices are flipped and turned in training,
    so are the errors. A little noise is added, since only some dozens may have been measured.

    Args:
        generator: the source of randomness.
        box: the tight box.
        shape: ``(rows, columns)`` to keep it in.
        errors: the measured errors.
        size: of the lesion, as a share of the ventricle's: the error is then one of a lesion of similar size, as smaller
            lesions are boxed with larger relative errors. None if the ventricle is not known.
    """
    rows = np.arange(len(errors.edges))
    if size is not None:
        known = np.flatnonzero(np.isfinite(errors.sizes))
        if known.size:
            distance = np.abs(np.log(errors.sizes[known] / size))
            alike = min(known.size, max(_ALIKE_LEAST, math.ceil(_ALIKE_SHARE * known.size)))
            rows = known[np.argpartition(distance, alike - 1)[:alike]]
    left, top, right, bottom = errors.edges[generator.choice(rows)] + generator.normal(size=4) * _SMOOTHING
    mirrored, upside_down, turned = generator.random(3) < 0.5
    if mirrored:
        left, right = right, left
    if upside_down:
        top, bottom = bottom, top
    if turned:
        left, top, right, bottom = top, left, bottom, right
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    return _fitted(np.array([x0 - left * width, y0 - top * height, x1 + right * width, y1 + bottom * height]), shape)


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


def _ventricle_prompt(generator: np.random.Generator, scar: np.ndarray, wall: np.ndarray, how: Prompting) -> TrainingPrompt:
    """The whole ventricle with a margin; its scar is all the slice's, also where it was drawn beyond the epicardium."""
    x0, y0, x1, y1 = _tight(wall | scar) or (0.0, 0.0, 1.0, 1.0)
    side = np.array([x1 - x0, y1 - y0, x1 - x0, y1 - y0])
    box = _fitted(np.array([x0, y0, x1, y1]) + (-1, -1, 1, 1) * side * generator.uniform(*how.ventricle_margin, 4), scar.shape)
    return TrainingPrompt(box, _points(generator, scar, scar, wall, box, how), scar.copy(), "ventricle")


def _empty_prompt(
    generator: np.random.Generator,
    scar: np.ndarray,
    wall: np.ndarray,
    ventricle: Corners,
    how: Prompting,
    errors: BoxErrors | None,
) -> TrainingPrompt | None:
    """A box on the ventricle without scar in it, as a detector's false alarm or a reader's hasty one; None without room."""
    x0, y0, x1, y1 = ventricle
    side = np.array([x1 - x0, y1 - y0])
    rows, columns = np.nonzero(wall & ~scar)
    if rows.size == 0:
        return None
    for _ in range(_TRIES):
        if errors is not None and len(errors.false_boxes) and generator.random() < how.measured:
            away, size = errors.false_boxes[generator.integers(len(errors.false_boxes))].reshape(2, 2)
            if generator.random() < 0.5:
                away, size = away[::-1], size[::-1]
            middle = np.array([x0 + x1, y0 + y1]) / 2 + away * side * generator.choice((-1, 1), 2)
            # Far from the heart nobody would accept it, and the window may not show it.
            if not (0 < middle[0] < scar.shape[1] and 0 < middle[1] < scar.shape[0]):
                continue
        else:
            n = int(generator.integers(rows.size))
            middle = np.array([columns[n], rows[n]]) + 0.5
            size = generator.uniform(0.1, 0.6, 2)
        half = size * side / 2
        box = jittered(generator, (*(middle - half), *(middle + half)), scar.shape, how)
        # A box across a part of a lesion has no clear answer; such a prompt would teach noise.
        if not scar[_inside(box, scar.shape)].any():
            nothing = np.zeros_like(scar)
            return TrainingPrompt(box, _points(generator, nothing, scar, wall, box, how), nothing, "empty")
    return None


def _clicked(
    generator: np.random.Generator, numbered: np.ndarray, numbers: np.ndarray, scar: np.ndarray, wall: np.ndarray, how: Prompting
) -> TrainingPrompt:
    """Clicks alone, on one lesion or several; at least one is positive."""
    meant = _meant(generator, numbers, how.merged)[0][: how.most_points]
    positive = np.concatenate(
        [clicks(generator, numbered == n, 1, True) for n in meant]
        + [clicks(generator, np.isin(numbered, meant), _few(generator, how.most_points) - 1, True)]
    )
    target = np.isin(numbered, meant)
    negative = _negatives(generator, target, scar, wall, None, how) if generator.random() < how.pointed else np.zeros((0, 3))
    return TrainingPrompt(None, np.concatenate([positive[: how.most_points], negative]), target, "clicks")


def _boxed(
    generator: np.random.Generator,
    numbered: np.ndarray,
    numbers: np.ndarray,
    scar: np.ndarray,
    wall: np.ndarray,
    ventricle: Corners | None,
    how: Prompting,
    measured: BoxErrors | None,
) -> TrainingPrompt:
    """A box for lesions."""
    merged, split = (how.merged, how.split) if measured is None else (measured.merged, measured.split)
    meant, kind = _meant(generator, numbers, merged)
    target = np.isin(numbered, meant)
    tight = _tight(target)
    assert tight is not None  # noqa: S101 - these lesions have pixels
    if kind == "lesion" and generator.random() < split:
        part = _part(generator, target, tight)
        if part is not None:
            target, kind = part, "split"
            tight = _tight(part) or tight
    if measured is None:
        box = as_reader(generator, tight, scar.shape, how)
    else:
        box = as_detector(generator, tight, scar.shape, measured, None if ventricle is None else _size(tight, ventricle))
    target = target | (scar & _inside(box, scar.shape))
    return TrainingPrompt(box, _points(generator, target, scar, wall, box, how), target, kind)


def _meant(generator: np.random.Generator, numbers: np.ndarray, merged: float) -> tuple[np.ndarray, str]:
    """The numbers of the lesions that a prompt is meant for: one, two, or all."""
    if len(numbers) < 2 or generator.random() >= merged:
        return generator.choice(numbers, 1), "lesion"
    return (numbers if generator.random() < 0.5 else generator.choice(numbers, 2, replace=False)), "merged"


def _part(generator: np.random.Generator, lesion: np.ndarray, tight: Corners) -> np.ndarray | None:
    """What one of two boxes on a lesion holds: its larger or smaller side of a cut across its long axis; None if too short."""
    x0, y0, x1, y1 = tight
    along_x = x1 - x0 >= y1 - y0
    low, high = (x0, x1) if along_x else (y0, y1)
    if high - low < _SHORTEST_SPLIT_PX:
        return None
    cut = round(low + (high - low) * generator.uniform(0.35, 0.65))
    part = lesion.copy()
    kept_low = generator.random() < 0.5
    dropped = slice(cut, None) if kept_low else slice(0, cut)
    part[(slice(None), dropped) if along_x else dropped] = False
    return part if np.count_nonzero(part) >= _FEWEST_PX else None


def _points(
    generator: np.random.Generator, target: np.ndarray, scar: np.ndarray, wall: np.ndarray, box: Corners, how: Prompting
) -> np.ndarray:
    """The clicks that come with a box, ``[points, 3]``; mostly none."""
    if generator.random() >= how.pointed:
        return np.zeros((0, 3))
    kinds = generator.random()
    none = np.zeros((0, 3))
    # Both kinds at once are rarer than one of them.
    positive = clicks(generator, target, _few(generator, how.most_points), True) if kinds < 0.6 else none
    negative = _negatives(generator, target, scar, wall, box, how) if kinds > 0.4 else none
    return np.concatenate([positive, negative])


def _negatives(
    generator: np.random.Generator, target: np.ndarray, scar: np.ndarray, wall: np.ndarray, box: Corners | None, how: Prompting
) -> np.ndarray:
    """Negative clicks where a reader has to make them: beside the scar, in blood and healthy wall, and elsewhere in the box.

    Never on scar, also not on scar that was not asked for: "here is none" would be false.
    """
    count = _few(generator, how.most_points)
    beside, within = np.zeros_like(scar), wall
    if target.any():
        beside = _around(target, how.near_px) & ~scar
    if box is not None:
        within = _inside(box, scar.shape) & wall if wall.any() else _inside(box, scar.shape)
    near = int(generator.binomial(count, 0.7)) if beside.any() else 0
    return np.concatenate([clicks(generator, beside, near, False), clicks(generator, within & ~scar, count - near, False)])


def _around(region: np.ndarray, reach_px: float) -> np.ndarray:
    """What is within ``reach_px`` of a region."""
    from scipy import ndimage

    around = np.zeros_like(region)
    x0, y0, x1, y1 = (int(v) for v in _tight(region) or (0, 0, 1, 1))
    reach = math.ceil(reach_px)
    place = np.s_[max(y0 - reach, 0) : y1 + reach, max(x0 - reach, 0) : x1 + reach]
    around[place] = ndimage.distance_transform_edt(~region[place]) <= reach_px
    return around


def _few(generator: np.random.Generator, most: int) -> int:
    """1 to ``most``, each 0.6 times as likely as one less: a second click is made only if the first did not do."""
    likely = 0.6 ** np.arange(most)
    return 1 + int(np.searchsorted(np.cumsum(likely) / likely.sum(), generator.random()).clip(max=most - 1))


def _size(box: Corners, ventricle: Corners) -> float:
    """Size of a box as a share of the ventricle's, as :class:`BoxErrors` has it."""
    (a0, b0, a1, b1), (c0, d0, c1, d1) = box, ventricle
    return math.sqrt((a1 - a0) * (b1 - b0) / ((c1 - c0) * (d1 - d0)))


def _tight(mask: np.ndarray) -> Corners | None:
    """The tight box of a mask in pixel edges."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _inside(box: Corners, shape: tuple[int, ...]) -> np.ndarray:
    y, x = (np.arange(n) + 0.5 for n in shape)
    return ((y > box[1]) & (y < box[3]))[:, None] & ((x > box[0]) & (x < box[2]))


def _fitted(box: np.ndarray, shape: tuple[int, ...]) -> Corners:
    """A box with its corners in order, in the image, and at least two pixels wide."""
    x0, y0, x1, y1 = (float(v) for v in box)
    x0, x1 = _ordered(x0, x1, shape[1])
    y0, y1 = _ordered(y0, y1, shape[0])
    return x0, y0, x1, y1


def _ordered(low: float, high: float, size: int) -> tuple[float, float]:
    low, high = sorted((min(max(low, 0.0), float(size)), min(max(high, 0.0), float(size))))
    if high - low < 2:
        middle = min(max((low + high) / 2, 1.0), size - 1.0)
        low, high = middle - 1, middle + 1
    return low, high
