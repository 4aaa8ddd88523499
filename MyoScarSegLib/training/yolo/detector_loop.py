"""The training of a detection network: ultralytics' network, loss and averaged weights in a loop of our own.

With ultralytics' recipe for AdamW: a linear warm-up, cosine by epoch, no decay of biases and normalization. Its trainer does not
fit: it takes files of boxes where ours are warped masks, measures mean average precision of single slices, and keeps pickles of
whole objects with half of the optimizer's precision, from which no training goes on to the same result.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.segmentation.architectures import TISSUES
from MyoScarSegLib.training.finetune.phase_state import read_state, write_state
from MyoScarSegLib.training.losses import TISSUE_WEIGHTS
from MyoScarSegLib.training.step_log import StepLog
from MyoScarSegLib.training.yolo.detector_samples import DetectorBatches, DetectorSample
from MyoScarSegLib.training.yolo.detector_settings import DetectorSettings
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel, duration
from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics

if TYPE_CHECKING:
    import torch
    from torch import nn

PHASE = "boxes"
"""The one phase of a detector's training, for log and checkpoint."""
PAINTER = "tissue_painter"
"""Attribute of the training network that holds the painting head."""
_PAINTED = 4
"""Times that the painted tissue map is finer than the features."""
_HEALTHY_WEIGHT = 1.0
"""Of a pixel of which nobody labeled more; those of the tissues are :data:`~.losses.TISSUE_WEIGHTS`."""
_STATE = "detector"
_WEIGHT_DECAY = 0.02
_LAST_RATE = 0.01
"""Share of the peak learning rate that the last epoch comes near to."""
_LARGEST_GRADIENT_NORM = 10.0
_CLASS_GAIN = 1.0
"""Weight of the classes in the loss; ultralytics' own default is 0.5."""
_TISSUE_GAIN = 2.0
"""Weight of the tissue map that the network must draw, beside the boxes, while it trains."""
_AVERAGING = 0.998
"""Decay of the averaged weights, about the last 500 steps."""
_AVERAGING_RAMP = 500
"""Steps over which the average grows long."""
_SECOND_MOMENT = 0.99
"""Of AdamW; the usual 0.999 forgets too slowly for a few thousand steps."""


def add_painter(network: Any) -> None:
    """Give a detection network a head that draws the tissues from its finest features, at half the input's resolution.

    A few hundred slices have too few boxes to learn from what scar looks like; they have many thousand labeled pixels.
    """
    from torch import nn

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
        """Told at the end of an epoch; end-to-end networks shift weight between their two heads then."""
        if epochs and hasattr(self._detection, "update"):
            self._detection.updates = epochs - 1
            self._detection.update()


def tissue_loss(painted: torch.Tensor, tissue: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy of painted tissues, which are logits ``[batch, 4, rows, columns]``; ``tissue``, int64 ``[batch, n
    rows, n columns]``, has the numbers of the tissues, or ``NOT_SCAR`` for any but scar.
    """
    import torch

    step = tissue.shape[-1] // painted.shape[-1]
    wanted = tissue[:, ::step, ::step]
    logs = painted.log_softmax(dim=1)
    healthy = logs[:, :-1].logsumexp(dim=1, keepdim=True)
    of_wanted = torch.cat([logs, healthy], dim=1).gather(1, wanted[:, None])[:, 0]
    weights = torch.tensor((*TISSUE_WEIGHTS, _HEALTHY_WEIGHT), device=painted.device)[wanted]
    return -(weights * of_wanted).sum() / weights.sum()


@dataclass(frozen=True)
class TrainingState:
    """A training after some whole epochs, from none up: what it needs to go on as if it had not stopped.

    Attributes:
        epochs: that are done.
        batch: slices per step in use, which may be fewer than were asked for.
        updates: of the averaged weights.
        network, average: their tensors.
        optimizer: moments of each parameter.
        identity: what must be the same to go on: settings, data, start.
        history: losses of each epoch.
    """

    epochs: int
    batch: int
    updates: int
    network: Mapping[str, torch.Tensor]
    average: Mapping[str, torch.Tensor]
    optimizer: Mapping[int, Mapping[str, torch.Tensor]]
    identity: Mapping[str, Any]
    history: list[dict[str, float]]

    @classmethod
    def begin(cls, network: nn.Module, batch: int, identity: Mapping[str, Any]) -> TrainingState:
        """That of a network that has learned nothing yet."""
        tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        return cls(0, batch, 0, tensors, tensors, {}, identity, [])

    def write(self, path: Path) -> None:
        """Write atomically: a crash while writing leaves the one before."""
        write_state(path, _STATE, {f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def read(cls, path: Path) -> TrainingState:
        """What :meth:`write` wrote; ModelError if it is damaged, or of something else."""
        return cls(**read_state(path, _STATE))


def train_network(
    network: Any,
    samples: Sequence[DetectorSample],
    phantoms: Sequence[DetectorSample],
    settings: DetectorSettings,
    state: TrainingState,
    each_epoch: Callable[[TrainingState, nn.Module], None],
    *,
    device: torch.device,
    log: StepLog,
    progress: Progress,
    cancel: CancelToken | None,
) -> nn.Module:
    """Train a detection network with painter, in place, from a state on; the averaged one, with painter, in evaluation mode.

    ``samples`` are the real slices, ``phantoms`` others to mix in; ``each_epoch`` is called with the state and the averaged
    network after every epoch.

    Raises:
        ModelError: the loss is not finite, or this is one of several processes.
        Cancelled: the token was set.
    """
    if os.environ.get("RANK", "-1") != "-1":
        raise ModelError("The detector is trained in one process: start it without `accelerate launch` or `torchrun`.")
    import_ultralytics()
    import torch
    from ultralytics.utils.torch_utils import ModelEMA

    # Convolutions on channels last are quicker on processors, too.
    network.to(device, memory_format=torch.channels_last)
    network.load_state_dict(state.network)
    averaging = ModelEMA(network, decay=_AVERAGING, tau=_AVERAGING_RAMP, updates=state.updates)
    averaging.ema.load_state_dict(state.average)
    criterion = PaintingCriterion(network, settings.epochs)
    criterion.epochs_done(state.epochs)
    optimizer = torch.optim.AdamW(
        _parameter_groups(network), lr=settings.rate, betas=(0.9, _SECOND_MOMENT), fused=True if device.type == "cuda" else None
    )
    if state.optimizer:
        optimizer.load_state_dict({"state": state.optimizer, "param_groups": optimizer.state_dict()["param_groups"]})
    batches = DetectorBatches(samples, phantoms, settings, state.batch)
    history, step, steps = list(state.history), len(batches) * state.epochs, len(batches) * settings.epochs
    warmup = round(min(settings.warmup, settings.epochs - 1) * len(batches))
    with _deterministic(device):
        for epoch in range(state.epochs, settings.epochs):
            epoch_began, sums = time.monotonic(), dict[str, float]()
            network.train()
            for batch in batches.of(epoch):
                check_cancel(cancel)
                factor = _rate_factor(epoch / settings.epochs)
                if step <= warmup and warmup:
                    factor = float(np.interp(step, (0, warmup), (0.0, factor)))
                for group in optimizer.param_groups:
                    group["lr"] = settings.rate * factor
                moved = {name: value.to(device) for name, value in batch.items()}
                image = moved["img"].contiguous(memory_format=torch.channels_last)
                loss, parts = criterion(network(image), moved)
                if not math.isfinite(value := float(loss.detach())):
                    raise ModelError(
                        f"Training broke down in epoch {epoch + 1}: the loss is not finite. Lower the learning rate (`rate`)."
                    )
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT_NORM)
                optimizer.step()
                optimizer.zero_grad()
                averaging.update(network)
                step += 1
                sums = {name: sums.get(name, 0.0) + part for name, part in parts.items()}
                left = log.step(PHASE, step, steps, epoch + 1, settings.epochs, {"loss": value, **parts}, rate=factor)
                said = f"epoch {epoch + 1} of {settings.epochs}, loss {value:.3f}, {duration(left)} left"
                progress(step, steps, said)
            criterion.epochs_done(epoch + 1)
            means = {name: round(total / len(batches), 5) for name, total in sums.items()}
            history.append({"epoch": epoch + 1, **means, "seconds": round(time.monotonic() - epoch_began, 2)})
            now = TrainingState(
                epoch + 1, state.batch, averaging.updates, network.state_dict(), averaging.ema.state_dict(),
                optimizer.state_dict()["state"], state.identity, list(history),
            )  # fmt: skip
            each_epoch(now, averaging.ema)
    averaged: nn.Module = averaging.ema
    return averaged


def _rate_factor(share: float) -> float:
    """The learning rate's share of its peak in an epoch before which this share of all was done."""
    return (1 - math.cos(share * math.pi)) / 2 * (_LAST_RATE - 1) + 1


def _parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Weights, which decay, normalization and biases, which don't; the head's fixed projection is frozen."""
    groups: list[dict[str, Any]] = [{"params": [], "weight_decay": decay} for decay in (_WEIGHT_DECAY, 0.0, 0.0)]
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(".dfl" not in name)
        groups[2 if name.endswith("bias") else 1 if parameter.ndim == 1 else 0]["params"].append(parameter)
    return groups


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """The same result each time on a GPU, too."""
    from ultralytics.utils.torch_utils import init_seeds, unset_deterministic

    if device.type != "cuda":
        yield
        return
    init_seeds(deterministic=True)
    try:
        yield
    finally:
        unset_deterministic()
