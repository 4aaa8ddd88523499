"""The second task of training: to draw the tissues. Without it a few hundred slices do not teach what scar looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from MyoScarSegLib.training.yolo.detector_samples import NOT_SCAR
from MyoScarSegLib.training.yolo.detector_settings import TISSUES

if TYPE_CHECKING:
    import torch
    from torch import nn

PAINTER = "tissue_painter"
"""Attribute of the training network that holds the painting head."""
_PAINTED = 4
"""Times that the painted tissue map is finer than the features."""
_WEIGHTS = (0.3, 1.0, 1.0, 2.0)
_HEALTHY_WEIGHT = 1.0


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

    def __init__(self, detection: Any, painter: nn.Module, gain: float) -> None:
        """Add ``gain`` times the loss of ``painter`` to the loss ``detection``."""
        self.detection = detection
        self._painter = painter
        self._gain = gain

    def __call__(self, predictions: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Loss of a batch with its ``tissue``, and its parts."""
        losses, parts = self.detection(predictions, batch)
        features = predictions.get("one2many", predictions)["feats"][0]
        tissue = tissue_loss(self._painter(features), batch["tissue"])
        return losses.sum() / len(batch["img"]) + self._gain * tissue, {**parts, "tissue_loss": tissue.detach()}

    def update(self) -> None:
        """Called after each epoch; end-to-end networks shift weight between their two heads then."""
        if hasattr(self.detection, "update"):
            self.detection.update()


def tissue_loss(painted: torch.Tensor, tissue: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy of painted tissues.

    Args:
        painted: logits ``[batch, 4, rows, columns]``.
        tissue: int64 ``[batch, n rows, n columns]``, numbers of the tissues, or :data:`NOT_SCAR` for any but scar.
    """
    import torch

    step = tissue.shape[-1] // painted.shape[-1]
    wanted = tissue[:, ::step, ::step]
    logs = painted.log_softmax(dim=1)
    healthy = logs[:, :-1].logsumexp(dim=1, keepdim=True)
    of_wanted = torch.cat([logs, healthy], dim=1).gather(1, wanted[:, None])[:, 0]
    weights = torch.tensor((*_WEIGHTS, _HEALTHY_WEIGHT), device=painted.device)[wanted]
    return -(weights * of_wanted).sum() / weights.sum()


assert len(_WEIGHTS) == NOT_SCAR  # noqa: S101 - one weight for each tissue
