"""Batches for ultralytics' loss, each window drawn from its own seed: the same after any resumption, in batches of any size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.lesions import boxes_of
from MyoScarSegLib.study.normalization import normalize
from MyoScarSegLib.training.augmentation import DETECTOR_PRESETS, Augmenter
from MyoScarSegLib.training.yolo.detector_samples import DetectorSample
from MyoScarSegLib.training.yolo.detector_settings import LEFT_VENTRICLE, PHANTOM_SHARE, SCAR, TISSUE, DetectorSettings

if TYPE_CHECKING:
    import torch

SECOND_LOOK_SHARE = 0.6
"""Share of the windows that train the second look, which sees the heart alone: it is the one that finds scar."""
_SMALLEST_SIDE_PX = 2.0
_LOOK = 2
"""Beside the numbers that geometry and intensity draw from."""


class DetectorBatches:
    """The batches of one epoch, as ultralytics' trainer takes a ``DataLoader``: iterating gives those of :attr:`epoch`."""

    drop_last = False
    num_workers = 0

    def __init__(
        self, samples: Sequence[DetectorSample], phantoms: Sequence[DetectorSample], settings: DetectorSettings, batch: int
    ) -> None:
        """Of the real slices of the training patients, as many as which an epoch is long, with some phantom slices mixed in, if
        any.
        """
        self.epoch = 0
        self.batch_size = batch
        # The trainer asks for the lengths of both.
        self.dataset = self.sampler = range(len(samples))
        self._samples = [*samples, *phantoms]
        self._settings = settings
        self._augmenter = Augmenter(DETECTOR_PRESETS[settings.augmentation], settings.window)

    def __len__(self) -> int:
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        order = self.order(self.epoch)
        for first in range(0, len(order), self.batch_size):
            chosen = range(first, min(first + self.batch_size, len(order)))
            yield detector_batch(
                [self._samples[order[n]] for n in chosen],
                self._augmenter,
                [(self._settings.seed, self.epoch, n) for n in chosen],
            )

    def order(self, epoch: int) -> np.ndarray:
        """Which slices are in the epoch, in which order; phantoms are numbered after the real ones."""
        generator = np.random.default_rng((self._settings.seed, epoch))
        count, phantoms = len(self.dataset), len(self._samples) - len(self.dataset)
        made = round(count * PHANTOM_SHARE) if phantoms else 0
        real = generator.permutation(count)[: count - made]
        drawn = np.concatenate([real, count + generator.integers(0, max(1, phantoms), made)])
        return np.asarray(generator.permutation(drawn))


def detector_batch(
    samples: Sequence[DetectorSample],
    augmenter: Augmenter,
    seeds: Sequence[tuple[int, ...]],
    second_look_share: float = SECOND_LOOK_SHARE,
) -> dict[str, torch.Tensor]:
    """An augmented batch as ultralytics' detection losses take it.

    Boxes are drawn tightly around the *warped* masks, so a turned lesion's box does not grow. A share of the slices,
    which may differ in size, is seen as in the detector's second look: the heart, normalized by itself. Those without a
    left ventricle are not.

    Returns:
        ``img`` float32 ``[batch, 1, side, side]``, ``batch_idx`` ``[boxes]``, ``cls`` ``[boxes, 1]``, ``bboxes``
        ``[boxes, 4]`` (center x, center y, width, height as parts of the side); and ``tissue`` int64 ``[batch, side, side]``.
    """
    import torch

    images, tissues, owners, classes, boxes = [], [], [], [], []
    for number, (sample, seed) in enumerate(zip(samples, seeds, strict=True)):
        second = np.random.default_rng((_LOOK, *seed)).random() < second_look_share
        image, targets = _window(sample, augmenter, seed, second)
        images.append(image)
        tissues.append(targets[TISSUE])
        for label in (SCAR, LEFT_VENTRICLE):
            for box in boxes_of(targets[label].numpy().astype(np.int32)):
                if min(box[2] - box[0], box[3] - box[1]) >= _SMALLEST_SIDE_PX:
                    owners.append(number)
                    classes.append(label)
                    boxes.append(box)
    corners = torch.from_numpy(np.array(boxes, dtype=np.float32).reshape(-1, 4) / augmenter.side)
    return {
        "img": torch.stack(images),
        "batch_idx": torch.tensor(owners, dtype=torch.float32),
        "cls": torch.tensor(classes, dtype=torch.float32)[:, None],
        "tissue": torch.stack(tissues),
        "bboxes": torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], dim=1),
    }


def _window(
    sample: DetectorSample, augmenter: Augmenter, seed: tuple[int, ...], second: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """One window ``[1, side, side]`` of a slice and its targets, in the second look where that is asked for and possible."""
    import torch

    covered = (float(augmenter.side), float(augmenter.side))
    if not second or sample.ventricle is None:
        return augmenter(sample.image, sample.targets, sample.center, seed=seed, window_px=covered)
    x0, y0, x1, y1 = sample.ventricle
    window, targets, inside = augmenter.geometry(
        sample.raw,
        sample.targets,
        ((x0 + x1) / 2, (y0 + y1) / 2),
        seed=seed,
        window_px=covered,
        heart_px=(x1 - x0, y1 - y0),
    )
    if inside.any():
        window[inside] = torch.from_numpy(normalize(window[inside].numpy()[None])[0])
    return augmenter.intensity(window, seed=seed, inside=inside), targets
