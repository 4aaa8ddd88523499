"""What the detector learns from: slices at its input's scale with numbered lesions, ventricle and tissues, in augmented batches.

Each window of a batch is drawn from its own seed: the same after any resumption, in batches of any size.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from MyoScarSegLib.detection.detector import CLASSES, Detector
from MyoScarSegLib.lesions import boxes_of, lesions
from MyoScarSegLib.segmentation.architectures import TISSUES
from MyoScarSegLib.study.frame import Frame
from MyoScarSegLib.study.image_quality import quieted
from MyoScarSegLib.study.normalization import normalize
from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.datasets.labeled import LabeledSlice, by_stack
from MyoScarSegLib.training.loop.gradients import Item
from MyoScarSegLib.training.reader_prompts import Corners, middle
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel, no_progress, steps

SCAR, LEFT_VENTRICLE, TISSUE = range(3)
"""The maps of what the detector learns from, the first two in the order of its classes."""
PHANTOM_SHARE = 0.2
"""Share of an epoch's slices that are phantoms: they show shapes that few patients have, and none of their artifacts."""
NOT_SCAR = len(TISSUES)
"""In the tissue map: healthy, but nobody labeled what it is."""
_MOST_LESIONS = 255
_VENTRICLE_CONFIDENCE = 0.25
"""Of a ventricle that stands for one that nobody labeled."""
_WHAT = "Looking for the ventricle where it is not labeled"
_log = logging.getLogger(__name__)
SECOND_LOOK_SHARE = 0.6
"""Share of the windows that train the second look, which sees the heart alone: it is the one that finds scar."""
_SMALLEST_SIDE_PX = 2.0
_LOOK = 2
"""Beside the numbers that geometry and intensity draw from."""


@dataclass(frozen=True)
class DetectorSample:
    """One slice for the detector.

    Attributes:
        image: float32 ``[rows, columns]``, normalized.
        raw: float32 ``[rows, columns]``, before that.
        targets: uint8 ``[3, rows, columns]``: the numbered lesions; 1 within the epicardium; the number of the tissue in
            ``TISSUES``, or :data:`NOT_SCAR`.
    """

    image: np.ndarray
    raw: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, labeled: LabeledSlice, size: int, *, ventricle: Corners | None = None) -> DetectorSample:
        """Prepare a labeled slice at the scale that it has in the detector's input, whose longest side is ``size``. Where only
        scar is labeled, ``ventricle`` is ``(x0, y0, x1, y1)`` around the left ventricle in native pixel edges; None for none in
        view.
        """
        ventricle_mask, tissue = labeled.left_ventricle, np.minimum(labeled.labels, 3)
        if not labeled.wall_known:
            shape = (labeled.image.shape[0], labeled.image.shape[1])
            ventricle_mask = np.zeros(shape, dtype=bool) if ventricle is None else _ellipse(shape, ventricle)
            tissue = np.where(labeled.scar, 3, np.where(ventricle_mask, NOT_SCAR, 0))
        numbered = lesions(labeled.scar, labeled.pixel_spacing_mm)
        targets = np.stack([np.minimum(numbered, _MOST_LESIONS), ventricle_mask, tissue]).astype(np.uint8)
        frame = Frame.fit(targets.shape[1:], (size, size), pixel_spacing_mm=labeled.pixel_spacing_mm)
        rows, columns = frame.content
        seen = quieted(labeled.image)
        image = frame.image_to_input(normalize(seen))[:rows, :columns].numpy()
        raw = frame.image_to_input(np.asarray(seen, dtype=np.float32))[:rows, :columns].numpy()
        nearest_rows, nearest_columns = (_nearest(n, length) for n, length in zip(frame.content, frame.shape, strict=True))
        return cls(
            np.ascontiguousarray(image),
            np.ascontiguousarray(raw),
            np.ascontiguousarray(targets[:, nearest_rows][:, :, nearest_columns]),
        )

    @cached_property
    def ventricle(self) -> Corners | None:
        """The left ventricle's box in pixel edges; None where there is none."""
        boxes = boxes_of(self.targets[LEFT_VENTRICLE])
        return tuple(boxes[0].tolist()) if len(boxes) else None

    @cached_property
    def center(self) -> tuple[float, float]:
        """``(x, y)`` of the ventricle's center in pixel edges, or of the slice's where there is none."""
        return middle(self.targets[LEFT_VENTRICLE]) or (self.image.shape[1] / 2, self.image.shape[0] / 2)

    @property
    def has_scar(self) -> bool:
        """Whether there is a lesion."""
        return bool(self.targets[SCAR].any())


def detector_samples(
    slices: Sequence[LabeledSlice],
    size: int,
    detector: Detector | None = None,
    *,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> list[DetectorSample]:
    """Samples for the training of a detector, whose input's longest side is ``size``.

    Where only scar is labeled, the ventricle is the most confident box of ``detector`` there, or, on a slice with scar where it
    finds none, the median of those in the same stack. Slices with scar of stacks in which it finds none are left out: they would
    teach that there is none.
    """
    unknown = [s for s in slices if not s.wall_known]
    found = {} if detector is None or not unknown else _ventricles(unknown, detector, progress, cancel)
    samples: list[DetectorSample] = []
    for labeled in slices:
        check_cancel(cancel)
        ventricle = found.get((labeled.stack, labeled.index))
        if labeled.wall_known or ventricle is not None or not labeled.scar.any():
            samples.append(DetectorSample.of(labeled, size, ventricle=ventricle))
    if left_out := len(slices) - len(samples):
        _log.warning("%d slices with scar are left out: no ventricle was found in their stacks.", left_out)
    return samples


def _ventricles(
    slices: Sequence[LabeledSlice], detector: Detector, progress: Progress, cancel: CancelToken | None
) -> Mapping[tuple[str, int], Corners]:
    """Box of the ventricle by stack and slice, as :func:`detector_samples` takes it."""
    boxes: dict[tuple[str, int], Corners] = {}
    for (_, stack), members in steps(by_stack(slices).items(), lambda _: _WHAT, progress, cancel):
        proposed = detector.detect_many(
            [s.image for s in members],
            pixel_spacing_mm=members[0].pixel_spacing_mm,
            confidence=_VENTRICLE_CONFIDENCE,
            labels=(CLASSES[LEFT_VENTRICLE],),
        )
        best = {s.index: of_slice[0].xyxy for s, of_slice in zip(members, proposed, strict=True) if of_slice}
        boxes |= {(stack, index): box for index, box in best.items()}
        if best:
            x0, y0, x1, y1 = np.median(np.array(list(best.values())), axis=0).tolist()
            boxes |= {(stack, s.index): (x0, y0, x1, y1) for s in members if s.index not in best and s.scar.any()}
    return boxes


def _ellipse(shape: tuple[int, int], box: Corners) -> np.ndarray:
    """The ellipse in a box: turned, its bounding box stays about the ventricle's, which that of the whole box would not."""
    x0, y0, x1, y1 = box
    y, x = (np.arange(length) + 0.5 for length in shape)
    across, down = (x - (x0 + x1) / 2) / max((x1 - x0) / 2, 0.5), (y - (y0 + y1) / 2) / max((y1 - y0) / 2, 0.5)
    return np.asarray(across[None] ** 2 + down[:, None] ** 2 <= 1)


def _nearest(count: int, length: int) -> np.ndarray:
    """Of ``count`` pixels laid over ``length`` native ones, the native pixel under each center."""
    return np.minimum(((np.arange(count) + 0.5) * length / count).astype(int), length - 1)


def detector_order(count: int, phantoms: int, seed: int, epoch: int) -> list[int]:
    """Which slices an epoch sees, in which order: as many as there are real ones, with some phantoms mixed in, if any, which are
    numbered on from the real ones.
    """
    generator = np.random.default_rng((seed, epoch))
    made = round(count * PHANTOM_SHARE) if phantoms else 0
    real = generator.permutation(count)[: count - made]
    drawn = np.concatenate([real, count + generator.integers(0, max(1, phantoms), made)])
    return [int(n) for n in generator.permutation(drawn)]


def detector_window(
    sample: DetectorSample, augmenter: Augmenter, seed: Sequence[int], second_look_share: float = SECOND_LOOK_SHARE
) -> Item:
    """One augmented window of a slice, decided by the seed, with its targets as :attr:`DetectorSample.targets` has them. A share
    of the slices that show a left ventricle is seen as in the detector's second look: the heart, normalized by itself.
    """
    covered = (float(augmenter.side), float(augmenter.side))
    second = np.random.default_rng((_LOOK, *seed)).random() < second_look_share
    image, center, heart_px = sample.image, sample.center, None
    if second and sample.ventricle is not None:
        x0, y0, x1, y1 = sample.ventricle
        image, center, heart_px = sample.raw, ((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0, y1 - y0)
    window, targets, inside = augmenter.geometry(image, sample.targets, center, seed=seed, window_px=covered, heart_px=heart_px)
    if heart_px is not None and inside.any():
        window[inside] = torch.from_numpy(normalize(window[inside].numpy()[None])[0])
    return Item(augmenter.intensity(window, seed=seed, inside=inside), targets, wall_known=True)


def detector_batch(items: Sequence[Item]) -> dict[str, torch.Tensor]:
    """Windows as ultralytics' detection losses take them: ``img`` float32 ``[batch, 1, side, side]``, ``batch_idx`` ``[boxes]``,
    ``cls`` ``[boxes, 1]``, ``bboxes`` ``[boxes, 4]`` (center x, center y, width, height as parts of the side); and ``tissue``
    int64 ``[batch, side, side]``.

    Boxes are drawn tightly around the *warped* masks, so a turned lesion's box does not grow.
    """
    owners, classes, boxes = [], [], []
    for number, item in enumerate(items):
        for label in (SCAR, LEFT_VENTRICLE):
            for box in boxes_of(item.targets[label].cpu().numpy().astype(np.int32)):
                if min(box[2] - box[0], box[3] - box[1]) >= _SMALLEST_SIDE_PX:
                    owners.append(number)
                    classes.append(label)
                    boxes.append(box)
    images = torch.stack([item.image for item in items])
    corners = torch.from_numpy(np.array(boxes, dtype=np.float32).reshape(-1, 4) / images.shape[-1])
    found = {
        "batch_idx": torch.tensor(owners, dtype=torch.float32),
        "cls": torch.tensor(classes, dtype=torch.float32)[:, None],
        "bboxes": torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], dim=1),
    }
    tissue = torch.stack([item.targets[TISSUE] for item in items])
    return {"img": images, "tissue": tissue, **{name: value.to(images.device) for name, value in found.items()}}
