"""What the detector learns from: its windows' boxes and tissues, with ultralytics' loss, in the loop of all trainings.

With ultralytics' recipe for AdamW: a linear warm-up, cosine by epoch, statistics averaged like weights. Its own trainer does not
fit: it takes files of boxes where ours are warped masks, measures mean average precision of single slices, and keeps pickles of
whole objects with half of the optimizer's precision, from which no training goes on to the same result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from MyoScarSegLib.segmentation.architectures import TISSUES
from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.augmentation.variations import DETECTOR_VARIATIONS
from MyoScarSegLib.training.loop.gradients import Item, StepLoss
from MyoScarSegLib.training.loop.phase_training import Phase
from MyoScarSegLib.training.losses import TISSUE_WEIGHTS
from MyoScarSegLib.training.model_settings import DetectorSettings
from MyoScarSegLib.training.yolo.detector_samples import DetectorSample, detector_batch, detector_order, detector_window
from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics

BOXES = "boxes"
"""The phase's name; ``detector`` is the part of the network that it trains."""
PAINTER = "tissue_painter"
"""Attribute of the training network that holds the painting head."""
_PAINTED = 4
"""Times that the painted tissue map is finer than the features."""
_HEALTHY_WEIGHT = 1.0
"""Of a pixel of which nobody labeled more; those of the tissues are :data:`~.losses.TISSUE_WEIGHTS`."""
_LAST_RATE = 0.01
"""Share of the peak learning rate that the last epoch comes near to."""
_LARGEST_GRADIENT_NORM = 10.0
_CLASS_GAIN = 1.0
"""Weight of the classes in the loss; ultralytics' own default is 0.5."""
_TISSUE_GAIN = 2.0
"""Weight of the tissue map that the network must draw, beside the boxes, while it trains."""
_AVERAGING = 0.998
"""Decay of the averaged weights, about the last 500 steps."""
_AVERAGING_RAMP_STEPS = 500
"""Steps over which the average grows long."""
_SECOND_MOMENT = 0.99
"""Of AdamW; the usual 0.999 forgets too slowly for a few thousand steps."""


def add_painter(network: Any) -> None:
    """Give a detection network a head that draws the tissues from its finest features, at half the input's resolution.

    A few hundred slices have too few boxes to learn from what scar looks like; they have many thousand labeled pixels.
    """
    channels = network.model[-1].cv2[0][0].conv.in_channels
    painter = nn.Sequential(
        nn.Conv2d(channels, 64, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(64, len(TISSUES) * _PAINTED**2, 1),
        nn.PixelShuffle(_PAINTED),
    )
    setattr(network, PAINTER, painter)


class PaintingCriterion:
    """ultralytics' detection loss, per slice, plus the loss of the painted tissues."""

    def __init__(self, network: Any, epochs: int) -> None:
        """Of a network with painter, trained for so many epochs."""
        import_ultralytics()
        from ultralytics.cfg import get_cfg

        network.args = get_cfg(overrides={"epochs": epochs, "cls": _CLASS_GAIN})  # the loss asks the network for its gains
        self._detection = network.init_criterion()
        self._painter = getattr(network, PAINTER)

    def __call__(self, predictions: Any, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss of a batch with its ``tissue``, and its parts."""
        losses, parts = self._detection(predictions, batch)
        features = predictions.get("one2many", predictions)["feats"][0]
        tissue = tissue_loss(self._painter(features), batch["tissue"])
        told = {name: float(value) for name, value in {**parts, "tissue_loss": tissue.detach()}.items()}
        return losses.sum() / len(batch["img"]) + _TISSUE_GAIN * tissue, told

    def epochs_done(self, epochs: int) -> None:
        """Told in each step; end-to-end networks shift weight between their two heads by epoch."""
        if epochs and hasattr(self._detection, "update"):
            self._detection.updates = epochs - 1
            self._detection.update()


def tissue_loss(painted: torch.Tensor, tissue: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy of painted tissues, which are logits ``[batch, 4, rows, columns]``; ``tissue``, int64 ``[batch, n
    rows, n columns]``, has the numbers of the tissues, or ``NOT_SCAR`` for any but scar.
    """
    step = tissue.shape[-1] // painted.shape[-1]
    wanted = tissue[:, ::step, ::step]
    logs = painted.log_softmax(dim=1)
    healthy = logs[:, :-1].logsumexp(dim=1, keepdim=True)
    of_wanted = torch.cat([logs, healthy], dim=1).gather(1, wanted[:, None])[:, 0]
    weights = torch.tensor((*TISSUE_WEIGHTS, _HEALTHY_WEIGHT), device=painted.device)[wanted]
    return -(weights * of_wanted).sum() / weights.sum()


def boxes_phase(
    network: nn.ModuleDict, samples: Sequence[DetectorSample], phantoms: Sequence[DetectorSample], settings: DetectorSettings
) -> Phase:
    """The training of the ``detector``, a network with painter that is on its device, on real slices and some phantoms."""
    every = [*samples, *phantoms]
    augmenter = Augmenter(DETECTOR_VARIATIONS[settings.augmentation], settings.window)
    criterion = PaintingCriterion(network["detector"], settings.epochs)
    # Convolutions on channels last are quicker on processors, too.
    network.to(memory_format=torch.channels_last)

    def order(epoch: int) -> list[int]:
        return detector_order(len(samples), len(phantoms), settings.seed, epoch)

    def item(epoch: int, place: int, number: int) -> Item:
        return detector_window(every[number], augmenter, (settings.seed, epoch, place))

    def loss(network: nn.ModuleDict, items: Sequence[Item], seeds: Sequence[Sequence[int]]) -> StepLoss:
        _seed, epoch, *_place = seeds[0]
        criterion.epochs_done(epoch)
        batch = detector_batch(items)
        predictions = network["detector"].train()(batch["img"].contiguous(memory_format=torch.channels_last))
        total, parts = criterion(predictions, batch)
        return StepLoss(total * len(items), {name: value * len(items) for name, value in parts.items()})

    def rate(done: int, an_epoch: int, steps: int) -> float:
        share = (1 - math.cos(done // an_epoch / settings.epochs * math.pi)) / 2 * (_LAST_RATE - 1) + 1
        warmup = round(min(settings.warmup, settings.epochs - 1) * an_epoch)
        return share * done / warmup if done < warmup else share

    def averaging(step: int) -> float:
        return _AVERAGING * (1 - math.exp(-step / _AVERAGING_RAMP_STEPS))

    return Phase(
        BOXES, settings.epochs, settings.batch, settings.seed, {"detector": settings.rate}, order, item, loss, choose=False,
        frozen=(".dfl",), rate=rate, averaging=averaging, largest_gradient_norm=_LARGEST_GRADIENT_NORM,
        second_moment=_SECOND_MOMENT,
    )  # fmt: skip
