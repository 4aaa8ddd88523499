"""Batches for ultralytics' loss, each made from its own seed: the same in any process, and after any resumption."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.lesions import boxes_of
from MyoScarSegLib.study.normalise import normalise
from MyoScarSegLib.training.yolo.samples import DetectorSample
from MyoScarSegLib.training.yolo.settings import LEFT_VENTRICLE, SCAR, TISSUE, DetectorSettings, Variation
from MyoScarSegLib.training.yolo.windows import heart_window, random_window, vary_intensity, warp

if TYPE_CHECKING:
    import torch

_SMALLEST_SIDE_PX = 2.0


class Batches:
    """The batches of one epoch by number.

    What batch ``n`` of epoch ``e`` holds depends on the seed, ``e`` and ``n`` alone.
    """

    def __init__(
        self, samples: Sequence[DetectorSample], phantoms: Sequence[DetectorSample], settings: DetectorSettings, batch: int
    ) -> None:
        """Take the slices.

        Args:
            samples: the real slices of the training patients; an epoch is as long as they are many.
            phantoms: phantom slices to mix in; may be empty.
            settings: how.
            batch: slices per batch.
        """
        self._samples = samples
        self._phantoms = phantoms
        self._settings = settings
        self._batch = batch
        self._epoch, self._order = -1, np.zeros(0, dtype=int)

    def __len__(self) -> int:
        return math.ceil(len(self._samples) / self._batch)

    def get(self, epoch: int, number: int) -> dict[str, torch.Tensor]:
        """Batch ``number`` of ``epoch``, both from 0; see :func:`training_batch`."""
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._draw(epoch)
        chosen = self._order[number * self._batch : (number + 1) * self._batch]
        known = len(self._samples)
        return training_batch(
            [self._samples[i] if i < known else self._phantoms[i - known] for i in chosen],
            np.random.default_rng((self._settings.seed, epoch, number)),
            size=self._settings.window,
            how=self._settings.variation,
            second_look_share=self._settings.second_look_share,
        )

    def _draw(self, epoch: int) -> np.ndarray:
        """Which slices are in the epoch, in which order; phantoms are numbered after the real ones."""
        generator = np.random.default_rng((self._settings.seed, epoch))
        count = len(self._samples)
        made = round(count * self._settings.phantom_share) if len(self._phantoms) else 0
        real = generator.permutation(count)[: count - made]
        drawn = np.concatenate([real, count + generator.integers(0, max(1, len(self._phantoms)), made)])
        return np.asarray(generator.permutation(drawn))


class BatchLoader:
    """What ultralytics' trainer takes for a ``DataLoader``: iterating it gives the batches of :attr:`epoch`."""

    drop_last = False

    def __init__(self, batches: Batches, count: int, batch: int, workers: int) -> None:
        """Load ``batches`` of ``batch`` from ``count`` slices with ``workers`` processes (0: in this one)."""
        self.epoch = 0
        self.batch_size = batch
        self.num_workers = workers
        # The trainer asks for the lengths of both.
        self.dataset = self.sampler = range(count)
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        if self.num_workers == 0:
            return (self._batches.get(self.epoch, number) for number in range(len(self)))
        from torch.utils.data import DataLoader

        epoch: Any = _Epoch(self._batches, self.epoch)
        return iter(DataLoader(epoch, batch_size=None, shuffle=False, num_workers=self.num_workers))


class _Epoch:
    """One epoch's batches as torch's workers want them."""

    def __init__(self, batches: Batches, epoch: int) -> None:
        self._batches, self._number = batches, epoch

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        if number >= len(self):
            raise IndexError(number)
        return self._batches.get(self._number, number)


def training_batch(
    samples: Sequence[DetectorSample],
    generator: np.random.Generator,
    *,
    size: int,
    how: Variation,
    second_look_share: float = 0.0,
) -> dict[str, torch.Tensor]:
    """An augmented batch as ultralytics' detection losses take it.

    Boxes are drawn tightly around the *warped* masks, so a turned lesion's box does not grow.

    Args:
        samples: the slices of the batch; they may differ in size.
        generator: the source of all randomness.
        size: side of the square input.
        how: how far each property varies.
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
