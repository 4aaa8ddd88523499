"""SAM's answers to the objects that are asked for on one slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from MyoScarSegLib.prompts import PROMPTS_AT_ONCE
from MyoScarSegLib.segmentation.mask_decoder import decode
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

    def logits(
        self, features: torch.Tensor, objects: Sequence[PromptedObject], frame: Frame
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits ``[objects, side, side]`` and scores ``[objects]``.

        Args:
            features: ``[1, channels, rows, columns]`` of the image encoder.
            objects: what is asked for, in native pixel edges.
            frame: from the slice to the network's input.
        """
        found: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        ambiguous = [self._three_masks and one.box is None and len(one.points) == 1 for one in objects]
        for choose in (False, True):
            alike = [n for n, one in enumerate(ambiguous) if one == choose]
            for start in range(0, len(alike), self.prompts_at_once):
                some = alike[start : start + self.prompts_at_once]
                boxes = [None if (box := objects[n].box) is None else frame.box_to_input(box.xyxy).tolist() for n in some]
                points = [_clicks(objects[n], frame) for n in some]
                answers = decode(self._network, features, [0] * len(some), boxes, points, choose=choose)
                found |= dict(zip(some, zip(*answers, strict=True), strict=True))
        logits, scores = zip(*(found[n] for n in range(len(objects))), strict=True)
        return torch.stack(logits), torch.stack(scores)


def _clicks(one: PromptedObject, frame: Frame) -> np.ndarray:
    """``[points, 3]``: x and y in pixel edges of the input, and 1 for positive or 0."""
    return np.array([(*frame.to_input(np.array([p.x, p.y])), p.positive) for p in one.points], dtype=float).reshape(-1, 3)
