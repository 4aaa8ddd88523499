"""Fine-tuning LiteMedSAM on windows around the heart: encoder and decoder together, seeded, single process."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.training.augment import Augmentation, random_window, vary_intensity, warp
from MyoScarSegLib.training.averaging import average_into
from MyoScarSegLib.training.detector_data import LEFT_VENTRICLE, SCAR, DetectorSample
from MyoScarSegLib.training.losses import LossWeights, scar_loss
from MyoScarSegLib.training.prompting import Prompting, TrainingPrompt, correction, draw_prompt

if TYPE_CHECKING:
    import torch
    from torch import nn

_SEGMENTER_AUGMENTATION = Augmentation(rotation_degrees=30, scale=(0.75, 1.35), stretch=1.6, off_centre=0.3, anywhere=0.0)


@dataclass(frozen=True)
class SegmenterSettings:
    """How a segmenter is fine-tuned; all of it goes into the model card.

    Attributes:
        side: of the window in pixels of the network.
        window_mm: of the window in millimetres at use; a training pixel without spacing counts as 1.4 mm.
        epochs: passes over the slices with scar.
        scar_free: slices without scar in an epoch, as a share of those with.
        phantom_share: phantom slices in an epoch, as a share of those with scar.
        phantoms: number of phantom slices to draw from.
        batch: slices per step.
        prompts: prompts per slice; the encoder's work is shared by them.
        corrected: share of prompts that get a second round with a correcting click.
        encoder_rate, decoder_rate: peak learning rates of AdamW.
        decay: weight decay.
        warmup: share of all steps with linear warm-up; cosine to 2% follows.
        averaging: decay of the averaged weights.
        seed: of everything that is drawn.
        loss, prompting, augmentation: see there.
    """

    side: int = 112
    window_mm: float = 156.8
    epochs: int = 8
    scar_free: float = 0.25
    phantom_share: float = 0.1
    phantoms: int = 100
    batch: int = 4
    prompts: int = 3
    corrected: float = 0.35
    encoder_rate: float = 2e-4
    decoder_rate: float = 3e-4
    decay: float = 0.02
    warmup: float = 0.05
    averaging: float = 0.99
    seed: int = 0
    loss: LossWeights = field(default_factory=LossWeights)
    prompting: Prompting = field(default_factory=Prompting)
    augmentation: Augmentation = field(default_factory=lambda: _SEGMENTER_AUGMENTATION)


def fine_tune(
    state: Mapping[str, torch.Tensor],
    samples: Sequence[DetectorSample],
    phantoms: Sequence[DetectorSample],
    settings: SegmenterSettings,
    *,
    each_epoch: Callable[[int, nn.ModuleDict, dict[str, float]], None] | None = None,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> nn.ModuleDict:
    """Fine-tune a LiteMedSAM.

    The statistics of its batch normalisations stay as they are: batches of a few windows would spoil them.

    Args:
        state: tensors to start from, by segment-anything's names.
        samples: the slices of the training patients.
        phantoms: phantom slices to mix in; may be empty.
        settings: how.
        each_epoch: called with (epochs done, averaged network, figures) after every epoch.
        progress: called after every step.
        cancel: asked at every step.

    Returns:
        The network with the averaged weights, in evaluation mode.

    Raises:
        ModelError: no slice has scar, or the loss is no longer finite.
        Cancelled: the token was set.
    """
    import torch

    from MyoScarSegLib.segmentation.architectures import build

    with_scar = [s for s in samples if s.targets[SCAR].any()]
    without = [s for s in samples if not s.targets[SCAR].any() and s.targets[LEFT_VENTRICLE].any()]
    if not with_scar:
        raise ModelError("None of the training slices has scar.")
    torch.manual_seed(settings.seed)
    generator = np.random.default_rng(settings.seed)
    network = build(state, settings.side).requires_grad_(True)
    averaged = copy.deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.AdamW(_parameter_groups(network, settings), weight_decay=settings.decay)
    rates = [group["lr"] for group in optimiser.param_groups]
    epoch_size = len(with_scar) + round(settings.scar_free * len(with_scar)) * bool(without)
    epoch_size += round(settings.phantom_share * len(with_scar)) * bool(phantoms)
    steps = math.ceil(epoch_size / settings.batch)
    total = steps * settings.epochs
    done = 0
    for epoch in range(settings.epochs):
        started = time.monotonic()
        drawn = list(with_scar)
        for others, share in ((without, settings.scar_free), (phantoms, settings.phantom_share)):
            if others:
                drawn += [others[i] for i in generator.integers(0, len(others), round(share * len(with_scar)))]
        order = generator.permutation(len(drawn))
        losses = []
        for first in range(0, len(drawn), settings.batch):
            if cancel is not None:
                cancel.raise_if_cancelled()
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * _schedule(done / total, settings.warmup)
            chosen = [drawn[i] for i in order[first : first + settings.batch]]
            loss = _batch_loss(network, chosen, generator, settings)
            done += 1
            if loss is None:
                continue
            if not torch.isfinite(loss):
                raise ModelError(f"Training broke down in epoch {epoch + 1}: the loss is not finite. Lower the learning rate.")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            average_into(averaged, network, min(settings.averaging, done / (done + 10)))
            losses.append(float(loss.detach()))
            progress(done, total, f"epoch {epoch + 1} of {settings.epochs}, loss {losses[-1]:.3f}")
        # TinyViT caches its attention biases when it enters evaluation mode; the averaged ones have changed.
        averaged["image_encoder"].train().eval()
        if each_epoch is not None:
            each_epoch(epoch + 1, averaged, {"loss": float(np.mean(losses)), "seconds": time.monotonic() - started})
    return averaged


def _batch_loss(
    network: Any, samples: Sequence[DetectorSample], generator: np.random.Generator, settings: SegmenterSettings
) -> torch.Tensor | None:
    """Mean loss over all prompts of a batch; None if no prompt could be drawn."""
    import torch

    images, drawn = [], []
    for sample in samples:
        image, numbered, wall = _window(sample, generator, settings)
        prompts = [draw_prompt(generator, numbered, wall, settings.prompting) for _ in range(settings.prompts)]
        kept = [p for p in prompts if p is not None]
        if kept:
            images.append(image)
            drawn.append(kept)
    if not images:
        return None
    inputs = vary_intensity(generator, torch.cat(images), settings.augmentation)
    encoder = network["image_encoder"]
    encoder.train()
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    features = encoder(inputs.expand(-1, 3, -1, -1))
    losses = []
    for number, of_image in enumerate(drawn):
        for prompt in of_image:
            losses.append(_prompt_loss(network, features[number : number + 1], prompt, generator, settings))
    return torch.stack(losses).mean()


def _prompt_loss(
    network: Any, features: torch.Tensor, prompt: TrainingPrompt, generator: np.random.Generator, settings: SegmenterSettings
) -> torch.Tensor:
    import torch
    from torch.nn import functional

    target = torch.from_numpy(prompt.target.astype(np.float32))[None]
    points = prompt.points
    total = features.new_zeros(())
    rounds = 2 if generator.random() < settings.corrected else 1
    for _ in range(rounds):
        logits, score = decode(network, features, prompt.box, points)
        predicted = logits.detach() > 0
        with torch.no_grad():
            wanted = target > 0.5
            union = (predicted | wanted).sum()
            overlap = (predicted & wanted).sum() / union if union > 0 else torch.ones(())
        total = total + scar_loss(logits, target, settings.loss)
        total = total + 0.05 * functional.mse_loss(score.reshape(()), overlap.float())
        points = np.concatenate([points, correction(generator, predicted[0].numpy(), prompt.target)])
    return total / rounds


def decode(
    network: Any, features: torch.Tensor, box: tuple[float, float, float, float] | None, points: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Decode one prompt: logits ``[1, side, side]`` and the score ``[1, 1]``; box and points in pixel edges of the window."""
    import torch

    boxes = None if box is None else torch.tensor([box], dtype=torch.float32) - 0.5
    clicked = None
    if len(points):
        coordinates = torch.from_numpy(points[None, :, :2].astype(np.float32)) - 0.5
        clicked = (coordinates, torch.from_numpy(points[None, :, 2].astype(np.int64)))
    sparse, dense = network["prompt_encoder"](points=clicked, boxes=boxes, masks=None)
    logits, score = network["mask_decoder"](
        image_embeddings=features,
        image_pe=network["prompt_encoder"].get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
    )
    return logits[:, 0], score


def _window(
    sample: DetectorSample, generator: np.random.Generator, settings: SegmenterSettings
) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Image ``[1, 1, side, side]``, numbered lesions and ventricle ``[side, side]`` of a random window."""
    import torch

    rows, columns = sample.image.shape
    window = random_window(generator, (rows, columns), sample.centre, settings.side, settings.augmentation)[None]
    image = warp(torch.from_numpy(sample.image)[None, None], window, settings.side, mode="bilinear")
    targets = warp(torch.from_numpy(sample.targets.astype(np.float32))[None], window, settings.side, mode="nearest")[0]
    return image, targets[SCAR].numpy().astype(np.int32), targets[LEFT_VENTRICLE].numpy() > 0.5


def _schedule(share: float, warmup: float) -> float:
    if share < warmup:
        return (share + 1e-3) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))


def _parameter_groups(network: Any, settings: SegmenterSettings) -> list[dict[str, Any]]:
    encoder = list(network["image_encoder"].parameters())
    others = [*network["prompt_encoder"].parameters(), *network["mask_decoder"].parameters()]
    return [{"params": encoder, "lr": settings.encoder_rate}, {"params": others, "lr": settings.decoder_rate}]
