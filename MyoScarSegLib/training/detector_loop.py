"""The training loop of the detector: seeded, single process, with an averaged copy of the weights."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.detection.architecture import build_network
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.training.augment import Augmentation
from MyoScarSegLib.training.averaging import average_into
from MyoScarSegLib.training.detector_data import CLASSES, TISSUES, DetectorSample, training_batch

if TYPE_CHECKING:
    import torch
    from torch import nn


_PAINTED = 4
"""Times that the painted tissue map is finer than the features."""
_TISSUE_WEIGHTS = (0.3, 1.0, 1.0, 2.0)


@dataclass(frozen=True)
class DetectorSettings:
    """How a detector is trained; all of it goes into the model card.

    Attributes:
        architecture: of ultralytics, such as ``"yolo11n"``.
        size: side of the input at use, pixels.
        window: side of the training windows, pixels: parts of the slice at the scale of ``size``, and the second look.
        second_look_share: share of the windows that train the second look, which sees the heart alone.
        epochs: passes over the real slices.
        batch: slices per step.
        phantoms: number of phantom slices; each epoch draws ``phantom_share`` of its slices from them.
        phantom_share: share of phantom slices in an epoch, 0 to 1.
        rate: peak learning rate of AdamW.
        decay: weight decay.
        warmup: epochs of linear warm-up; cosine to 1% follows.
        averaging: decay of the averaged weights.
        class_gain: weight of the classes in ultralytics' loss (its own default is 0.5).
        tissue_gain: weight of the tissue map that the network must draw, beside the boxes, while it trains.
        seed: of weights, batches and augmentation.
        augmentation: what is varied, and how far.
    """

    architecture: str = "yolo11n"
    size: int = 256
    window: int = 128
    second_look_share: float = 0.6
    epochs: int = 80
    batch: int = 16
    phantoms: int = 200
    phantom_share: float = 0.2
    rate: float = 2e-3
    decay: float = 0.02
    warmup: float = 3.0
    averaging: float = 0.998
    class_gain: float = 1.0
    tissue_gain: float = 2.0
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)


def train_network(
    samples: Sequence[DetectorSample],
    phantoms: Sequence[DetectorSample],
    settings: DetectorSettings,
    *,
    start: dict[str, torch.Tensor] | None = None,
    device: str = "cpu",
    each_epoch: Callable[[int, nn.Module, dict[str, float]], None] | None = None,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> nn.Module:
    """Train a detection network.

    Args:
        samples: the real slices of the training patients.
        phantoms: phantom slices to mix in.
        settings: how.
        start: weights to start from; fresh ones if None.
        device: where to train.
        each_epoch: called with (epochs done, averaged network, losses) after every epoch.
        progress: called after every epoch.
        cancel: asked at every step.

    Returns:
        The network with the averaged weights, in evaluation mode.

    Raises:
        ModelError: there is nothing to train on, or the loss is no longer finite.
        Cancelled: the token was set.
    """
    import torch

    if not samples:
        raise ModelError("There are no slices to train the detector on.")
    torch.manual_seed(settings.seed)
    generator = np.random.default_rng(settings.seed)
    network: Any = build_network(settings.architecture, channels=1, classes=len(CLASSES)).to(device)
    if start is not None:
        network.load_state_dict(start)
    network.args.cls = settings.class_gain
    network = network.to(memory_format=torch.channels_last)
    painter = _tissue_painter(network).to(device)
    averaged = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(
        _parameter_groups(torch.nn.ModuleList([network, painter]), settings.decay), lr=settings.rate, betas=(0.9, 0.99)
    )
    real = round(len(samples) * (1 - settings.phantom_share)) if phantoms else len(samples)
    steps = math.ceil(len(samples) / settings.batch)
    total = steps * settings.epochs
    step = 0
    for epoch in range(settings.epochs):
        started = time.monotonic()
        sums: dict[str, float] = {}
        drawn = [samples[i] for i in generator.permutation(len(samples))[:real]]
        if len(drawn) < len(samples):
            drawn += [phantoms[i] for i in generator.integers(0, len(phantoms), len(samples) - len(drawn))]
        order = generator.permutation(len(drawn))
        network.train()
        for first in range(0, len(drawn), settings.batch):
            if cancel is not None:
                cancel.raise_if_cancelled()
            chosen = [drawn[i] for i in order[first : first + settings.batch]]
            # Both looks in each batch, so that batch normalisation sees while training the mixture that it will use.
            share = settings.second_look_share
            batch = training_batch(chosen, generator, size=settings.window, how=settings.augmentation, second_look_share=share)
            batch = {name: value.to(device) for name, value in batch.items()}
            batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
            for group in optimiser.param_groups:
                group["lr"] = settings.rate * _schedule(step, total, settings.warmup * steps)
            outputs = network(batch["img"])
            losses, parts = network.loss(batch, outputs)
            tissue = _tissue_loss(painter, outputs, batch["tissue"])
            loss = losses.sum() / len(chosen) + settings.tissue_gain * tissue
            parts = {**parts, "tissue_loss": tissue.detach()}
            if not torch.isfinite(loss):
                raise ModelError(f"Training broke down in epoch {epoch + 1}: the loss is not finite. Lower the learning rate.")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimiser.step()
            step += 1
            average_into(averaged, network, settings.averaging * (1 - math.exp(-step / 500)))
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + float(value) / steps
        if hasattr(network.criterion, "update"):
            network.criterion.update()
        sums["seconds"] = time.monotonic() - started
        if each_epoch is not None:
            each_epoch(epoch + 1, averaged, sums)
        progress(epoch + 1, settings.epochs, ", ".join(f"{name} {value:.3f}" for name, value in sums.items()))
    return averaged


def _tissue_painter(network: Any) -> nn.Module:
    """A head that draws the tissues from the network's finest features, at half the input's resolution.

    A few hundred slices have too few boxes to learn from what scar looks like; they have many thousand labelled pixels.
    The head is left out of the saved model.
    """
    from torch import nn

    channels = network.model[-1].cv2[0][0].conv.in_channels
    return nn.Sequential(
        nn.Conv2d(channels, 64, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(64, len(TISSUES) * _PAINTED**2, 1),
        nn.PixelShuffle(_PAINTED),
    )


def _tissue_loss(painter: nn.Module, outputs: Any, tissue: torch.Tensor) -> torch.Tensor:
    import torch
    from torch.nn import functional

    outputs = outputs.get("one2many", outputs)
    painted = painter(outputs["feats"][0])
    step = tissue.shape[-1] // painted.shape[-1]
    weights = torch.tensor(_TISSUE_WEIGHTS, device=painted.device)
    return functional.cross_entropy(painted, tissue[:, ::step, ::step], weight=weights)


def _schedule(step: int, total: int, warmup: float) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, total - warmup)))


def _parameter_groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Biases and normalisation do not decay."""
    decaying = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": decaying, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
