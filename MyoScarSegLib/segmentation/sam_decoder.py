"""SAM's answers to the objects that are asked for on one slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from MyoScarSegLib.prompts import PROMPTS_AT_ONCE
from MyoScarSegLib.segmentation.prompted_objects import PromptedObject

if TYPE_CHECKING:
    from MyoScarSegLib.study.frame import Frame


class SamDecoder:
    """Prompt encoder and mask decoder of a network.

    Attributes:
        prompts_at_once: how many boxes or points are decoded together; fewer need less memory.
    """

    def __init__(self, network: Any, *, three_masks: bool) -> None:
        """Use these parts of a network.

        Args:
            network: with ``prompt_encoder`` and ``mask_decoder``, on its device.
            three_masks: whether it was trained, as the original SAM, to answer one click, which is ambiguous, with three masks of
                which its own score chooses. Of those fine-tuned from it, which were trained on one mask, the other three are
                leftovers.
        """
        self.prompts_at_once = PROMPTS_AT_ONCE
        self._network, self._three_masks = network, three_masks
        self._positions: torch.Tensor | None = None

    def logits(
        self, features: torch.Tensor, objects: Sequence[PromptedObject], frame: Frame
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits ``[objects, rows, columns]`` and scores ``[objects]``.

        Args:
            features: ``[1, channels, rows, columns]`` of the image encoder.
            objects: what is asked for, in native pixel edges.
            frame: from the slice to the network's input.
        """
        order, logits, scores = [], [], []
        # Prompts that differ in their number of points cannot share a batch; those alike go through together.
        for alike in _alike(objects):
            for start in range(0, len(alike), self.prompts_at_once):
                batch = alike[start : start + self.prompts_at_once]
                batch_logits, batch_scores = self._batch(features, [objects[n] for n in batch], frame)
                order += batch
                logits.append(batch_logits)
                scores.append(batch_scores)
        back = torch.as_tensor(np.argsort(order), device=features.device)
        return torch.cat(logits)[back], torch.cat(scores)[back]

    def _batch(
        self, features: torch.Tensor, objects: Sequence[PromptedObject], frame: Frame
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Likewise, of objects with as many points each."""
        prompt_encoder = self._network["prompt_encoder"]
        if self._positions is None:
            self._positions = prompt_encoder.get_dense_pe()
        corners = [frame.box_to_input(one.box.xyxy) for one in objects if one.box is not None]
        boxes = _coordinates(np.stack(corners), features.device) if corners else None
        points = None
        if objects[0].points:
            xy = np.stack([frame.to_input(np.array([(p.x, p.y) for p in one.points])) for one in objects])
            kinds = np.array([[int(p.positive) for p in one.points] for one in objects])
            points = (_coordinates(xy, features.device), torch.as_tensor(kinds, device=features.device))
        sparse, dense = prompt_encoder(points=points, boxes=boxes, masks=None)
        single_click = boxes is None and len(objects[0].points) == 1
        logits, scores = self._network["mask_decoder"](
            image_embeddings=features,
            image_pe=self._positions,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=single_click and self._three_masks,
        )
        best = scores.argmax(dim=1)
        each = torch.arange(len(objects), device=logits.device)
        return logits[each, best], scores[each, best]


def _coordinates(edges: np.ndarray, device: torch.device) -> torch.Tensor:
    """Pixel edges of the input in SAM's own frame, in which whole numbers are pixel centers."""
    return torch.as_tensor(edges - 0.5, dtype=torch.float32, device=device)


def _alike(objects: Sequence[PromptedObject]) -> list[list[int]]:
    """Numbers of those with as many tokens together, which is what segment-anything's decoder takes at once."""
    groups: dict[tuple[bool, int], list[int]] = {}
    for number, one in enumerate(objects):
        groups.setdefault((one.box is not None, len(one.points)), []).append(number)
    return list(groups.values())
