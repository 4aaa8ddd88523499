"""From a network's output to boxes in its input's pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import nn

MOST_BOXES = 50


def predict(
    network: nn.Module, batch: torch.Tensor, *, confidence: float, iou: float, classes: list[int] | None = None
) -> list[torch.Tensor]:
    """Run a detection network and keep the boxes worth keeping.

    Args:
        network: an ultralytics detection network in evaluation mode.
        batch: float ``[batch, channels, rows, columns]`` of the network's preprocessing.
        confidence: boxes above it are kept.
        iou: of two boxes of one class that overlap more than this, the less confident is dropped.
        classes: class numbers to keep; None for all.

    Returns:
        For each image a float32 CPU tensor ``[boxes, 6]``: x0, y0, x1, y1 in pixel edges of the input, confidence,
        class; most confident first.

    Raises:
        ModelError: the network's output is NaN or infinite.
    """
    import torch

    from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics

    import_ultralytics()
    from ultralytics.utils.nms import non_max_suppression

    with torch.inference_mode():
        output: Any = network(batch)
        raw = output[0] if isinstance(output, (list, tuple)) else output
        if not bool(raw.isfinite().all()):
            # The suppression below would drop such boxes without a word.
            raise ModelError(
                "The detector's output is not finite (NaN or infinite): its weights are damaged or do not suit the image."
            )
        found = non_max_suppression(
            output,
            confidence,
            iou,
            classes=classes,
            # An anchor may stand for a lesion and for the ventricle around it at once.
            multi_label=True,
            max_det=MOST_BOXES,
            # ultralytics gives up after a time, which would make the result depend on the machine's load.
            max_time_img=3600.0,
            end2end=bool(getattr(network, "end2end", False)),
        )
    return [boxes.float().cpu()[boxes[:, 4].cpu().argsort(descending=True, stable=True)] for boxes in found]
