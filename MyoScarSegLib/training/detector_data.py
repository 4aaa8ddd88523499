"""What the detector learns from: normalised slices with numbered lesions and the left ventricle, and batches of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.lesions import boxes_of, lesions
from MyoScarSegLib.study.normalise import normalise
from MyoScarSegLib.training.augment import Augmentation, heart_window, random_window, vary_intensity, warp
from MyoScarSegLib.training.datasets.labelled import LabelledSlice

if TYPE_CHECKING:
    import torch

CLASSES = ("scar", "lv")
SCAR, LEFT_VENTRICLE, TISSUE = range(3)
TISSUES = ("background", "cavity", "myocardium", "scar")
_SMALLEST_SIDE_PX = 2.0


@dataclass(frozen=True)
class DetectorSample:
    """One slice for the detector.

    Attributes:
        image: float32 ``[rows, columns]``, normalised.
        raw: float32 ``[rows, columns]``, before that.
        targets: int16 ``[3, rows, columns]``: the numbered lesions; 1 within the epicardium; the tissue, as numbered in
            :data:`TISSUES`.
    """

    image: np.ndarray
    raw: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, labelled: LabelledSlice) -> DetectorSample:
        """Prepare one labelled slice."""
        targets = np.stack([lesions(labelled.scar), labelled.left_ventricle, np.minimum(labelled.labels, 3)]).astype(np.int16)
        return cls(normalise(labelled.image), np.asarray(labelled.image, dtype=np.float32), targets)

    @property
    def centre(self) -> tuple[float, float]:
        """``(x, y)`` of the ventricle's centre in pixel edges, or of the slice's where there is none."""
        rows, columns = np.nonzero(self.targets[LEFT_VENTRICLE])
        if rows.size == 0:
            return self.image.shape[1] / 2, self.image.shape[0] / 2
        return float(columns.mean()) + 0.5, float(rows.mean()) + 0.5


def training_batch(
    samples: Sequence[DetectorSample],
    generator: np.random.Generator,
    *,
    size: int,
    how: Augmentation,
    second_look_share: float = 0.0,
) -> dict[str, torch.Tensor]:
    """An augmented batch as ultralytics' detection losses take it.

    Boxes are drawn tightly around the *warped* masks, so a turned lesion's box does not grow.

    Args:
        samples: the slices of the batch; they may differ in size.
        generator: the source of all randomness.
        size: side of the square input.
        how: the augmentation.
        second_look_share: share of the slices seen as in the detector's second look: the heart, normalised by itself.
            Slices without a left ventricle are seen as in the first look.

    Returns:
        ``img`` float32 ``[batch, 1, size, size]``, ``batch_idx`` ``[boxes]``, ``cls`` ``[boxes, 1]``, ``bboxes``
        ``[boxes, 4]`` (centre x, centre y, width, height as parts of the size); and ``tissue`` int64 ``[batch, size, size]``.
    """
    import torch

    images, tissues, owners, classes, boxes = [], [], [], [], []
    for number, sample in enumerate(samples):
        ventricle = boxes_of(sample.targets[LEFT_VENTRICLE])
        if len(ventricle) and generator.random() < second_look_share:
            x0, y0, x1, y1 = ventricle[0].tolist()
            window = heart_window(generator, (x0, y0, x1, y1), size, how)[None]
            images.append(_normalised_window(sample.raw, window, size))
        else:
            window = random_window(generator, (sample.image.shape[0], sample.image.shape[1]), sample.centre, size, how)[None]
            images.append(warp(torch.from_numpy(sample.image)[None, None], window, size, mode="bilinear"))
        targets = warp(torch.from_numpy(sample.targets.astype(np.float32))[None], window, size, mode="nearest")
        tissues.append(targets[0, TISSUE].long())
        for label in (SCAR, LEFT_VENTRICLE):
            for box in boxes_of(targets[0, label].numpy().astype(np.int32)):
                if min(box[2] - box[0], box[3] - box[1]) >= _SMALLEST_SIDE_PX:
                    owners.append(number)
                    classes.append(label)
                    boxes.append(box)
    corners = torch.from_numpy(np.array(boxes, dtype=np.float32).reshape(-1, 4) / size)
    return {
        "img": vary_intensity(generator, torch.cat(images), how),
        "batch_idx": torch.tensor(owners, dtype=torch.float32),
        "cls": torch.tensor(classes, dtype=torch.float32)[:, None],
        "tissue": torch.stack(tissues),
        "bboxes": torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], dim=1),
    }


def _normalised_window(raw: np.ndarray, window: np.ndarray, size: int) -> torch.Tensor:
    """What a window shows of a slice, normalised by that alone; 0 outside the slice."""
    import torch

    seen = warp(torch.from_numpy(np.stack([raw, np.ones_like(raw)]))[None], window, size, mode="bilinear")[0].numpy()
    inside = seen[1] > 0.999
    values = np.zeros((size, size), dtype=np.float32)
    if inside.any():
        values[inside] = normalise(seen[0][inside][None])[0]
    return torch.from_numpy(values)[None, None]


def phantom_samples(seed: int, count: int) -> list[DetectorSample]:
    """Slices of numerical phantoms, prepared like real ones."""
    from MyoScarSegLib.phantom import phantom_slices

    return [
        DetectorSample.of(LabelledSlice(f"phantom-{seed}", number, image, labels))
        for number, (image, labels) in enumerate(phantom_slices(seed, count))
    ]


def samples_of(slices: Iterable[LabelledSlice]) -> list[DetectorSample]:
    """Prepare many labelled slices."""
    return [DetectorSample.of(s) for s in slices]
