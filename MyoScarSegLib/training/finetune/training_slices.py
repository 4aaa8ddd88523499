"""What the segmenter learns from: normalized slices with their neighbors and labels, and augmented windows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.lesions import USUAL_SPACING_MM, lesions
from MyoScarSegLib.segmentation.neighbors import neighbors
from MyoScarSegLib.segmentation.preprocessing import heart_contrast
from MyoScarSegLib.study.image_quality import quieted
from MyoScarSegLib.study.normalization import normalize
from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.datasets.labeled import LabeledSlice, by_stack
from MyoScarSegLib.training.loop.gradients import Item
from MyoScarSegLib.training.reader_prompts import middle
from MyoScarSegLib.utils.progress import CancelToken, check_cancel

HeartOf = Callable[[Sequence[LabeledSlice]], "tuple[float, float] | None"]
"""Finds the ``(x, y)`` of the heart in pixel edges in the images of a stack, or nothing."""
LESIONS, VENTRICLE, TISSUE, BESIDE = range(4)
_NO_NEIGHBORS = 0.15
"""Share of the windows that the context network learns without neighbors, since some stacks have none near enough."""


@dataclass(frozen=True)
class TrainingSlice:
    """One slice, prepared once.

    Attributes:
        patient, index: whose, and which of the stack.
        image: float32 ``[rows, columns]``, normalized.
        targets: int16 ``[4, rows, columns]``: the numbered lesions; 1 within the epicardium; the tissue (0 background,
            1 cavity, 2 normal myocardium, 3 scar); 1 where a neighbor has scar.
        center: ``(x, y)`` of the heart in pixel edges.
        pixel_mm: ``(row, column)`` spacing; the usual one where the data has none.
        wall_known: whether ventricle and tissue are labeled.
        below, above: the neighbors' images, where there are any.
    """

    patient: str
    index: int
    image: np.ndarray
    targets: np.ndarray
    center: tuple[float, float]
    pixel_mm: tuple[float, float]
    wall_known: bool
    below: np.ndarray | None = None
    above: np.ndarray | None = None

    @property
    def has_scar(self) -> bool:
        """Whether there is any lesion."""
        return bool(self.targets[LESIONS].any())

    def window_px(self, window_mm: float) -> tuple[float, float]:
        """``(rows, columns)`` of this slice's pixels that a window of this size covers."""
        return window_mm / self.pixel_mm[0], window_mm / self.pixel_mm[1]


def training_slices(
    slices: Iterable[LabeledSlice], heart_of: HeartOf | None = None, cancel: CancelToken | None = None
) -> list[TrainingSlice]:
    """Prepare labeled slices of whole patients.

    The heart's center is the ventricle's on the slice, else the mean of the stack's other slices, else what ``heart_of``
    finds in the stack's images, else the middle.
    """
    prepared = []
    for stack in by_stack(slices).values():
        own = [middle(s.left_ventricle) if s.wall_known else None for s in stack]
        known = [c for c in own if c is not None]
        usual = (float(np.mean([c[0] for c in known])), float(np.mean([c[1] for c in known]))) if known else None
        if usual is None and heart_of is not None:
            check_cancel(cancel)
            usual = heart_of(stack)
        images, scars = {s.index: normalize(quieted(s.image)) for s in stack}, {s.index: s.scar for s in stack}
        for labeled, center in zip(stack, own, strict=True):
            rows, columns = labeled.image.shape
            beside = _beside(labeled, {index: image.shape for index, image in images.items()})
            numbered = lesions(labeled.scar, labeled.pixel_spacing_mm, smallest_mm2=0.0)
            scar_beside = np.any([scars[k] for k in beside if k is not None] or [np.zeros_like(labeled.scar)], axis=0)
            targets = np.stack([numbered, labeled.left_ventricle, np.minimum(labeled.labels, 3), scar_beside])
            prepared.append(
                TrainingSlice(
                    labeled.patient,
                    labeled.index,
                    images[labeled.index],
                    targets.astype(np.int16),
                    center or usual or (columns / 2, rows / 2),
                    labeled.pixel_spacing_mm or USUAL_SPACING_MM,
                    labeled.wall_known,
                    *(None if k is None else images[k] for k in beside),
                )
            )
    return prepared


def _beside(labeled: LabeledSlice, shapes: Mapping[int, tuple[int, ...]]) -> tuple[int | None, int | None]:
    """Numbers of the slices below and above one, among those of its stack with its shape."""
    usable = [index for index, shape in shapes.items() if shape == labeled.image.shape]
    distance = labeled.slice_spacing_mm
    positions = None if distance is None else distance * np.arange(max(shapes) + 1)
    return neighbors(positions, labeled.index, usable)


def sam_window(sample: TrainingSlice, augmenter: Augmenter, window_mm: float, seed: Sequence[int]) -> Item:
    """One augmented window of a slice for SAM, decided by the seed."""
    covered = sample.window_px(window_mm)
    window, targets, inside = augmenter.geometry(sample.image, sample.targets, sample.center, seed=seed, window_px=covered)
    return Item(augmenter.intensity(window, seed=seed, inside=inside), targets.long(), sample.wall_known)


def context_window(
    sample: TrainingSlice, augmenter: Augmenter, window_mm: float, seed: Sequence[int], *, vary: bool = True
) -> Item:
    """One augmented window of a slice and its neighbors for the context network, decided by the seed.

    The heart's contrast comes before noise and shading, so that these keep their strength beside the heart's. ``vary`` if
    neighbors may change places or be missing.
    """
    generator = np.random.default_rng([len(seed), *seed])
    beside = [sample.below, sample.above]
    if vary and generator.random() < 0.5:
        beside.reverse()
    if vary and generator.random() < _NO_NEIGHBORS:
        beside = [None, None]
    slices = np.stack([sample.image, *(sample.image if one is None else one for one in beside)])
    covered = sample.window_px(window_mm)
    window, targets, inside = augmenter.geometry(slices, sample.targets, sample.center, seed=seed, window_px=covered)
    image = augmenter.intensity(heart_contrast(window[None])[0], seed=seed, inside=inside)
    return Item(image, targets.long(), sample.wall_known)


def epoch_order(
    samples: Sequence[TrainingSlice], phantoms: int, *, scar_free_share: float, phantom_share: float, seed: Sequence[int]
) -> list[int]:
    """Which slices an epoch sees, in which order; phantoms are numbered on from the real slices.

    All slices with scar, as many scar-free ones as the share allows (drawn anew each epoch), and phantoms.
    """
    generator = np.random.default_rng(seed)
    with_scar = [n for n, s in enumerate(samples) if s.has_scar]
    without = [n for n, s in enumerate(samples) if not s.has_scar]
    most = round(scar_free_share * len(with_scar)) if with_scar else len(without)
    if len(without) > most:
        without = [int(n) for n in generator.choice(without, most, replace=False)]
    chosen = with_scar + without
    if phantoms:
        chosen += [len(samples) + int(n) for n in generator.integers(0, phantoms, round(phantom_share * len(chosen)))]
    return [chosen[n] for n in generator.permutation(len(chosen))]
