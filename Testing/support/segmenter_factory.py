"""A slice, prompts on it, and tiny segmenters."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import mock

import numpy as np

from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.segmentation import Segmenter, SegmenterImage
from MyoScarSegLib.segmentation.prompted_objects import PromptedObject, prompted_objects
from MyoScarSegLib.segmentation.sam_checkpoint import Checkpoint
from MyoScarSegLib.segmentation.segmenter import Prediction
from Testing.support.sam_factory import SIDE, tiny_state

SHAPE = (48, 64)
BOX = Box(0, 12.25, 8.5, 40.75, 30.0, source="yolo")  # a reader's box would bound the mask
OTHER_BOX = Box(0, 30.0, 20.0, 60.5, 44.0, source="yolo")
INSIDE = Point(0, 20.0, 15.25)
INSIDE_NOT = Point(0, 33.5, 26.0, positive=False)  # in both boxes
ALONE = Point(0, 5.5, 40.5)
BESIDE = Point(0, 18.0, 36.0)  # below the first box by a fifth of its width
ALONE_NOT = Point(0, 60.0, 3.0, positive=False)


def slice_image(shape=SHAPE, seed=0) -> SegmenterImage:
    """A slice of uint8 that our normalization leaves as it is: more than 0.5 % of it is 0, and more than 0.2 % is 255."""
    image = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    image[:2], image[-2:] = 0, 255
    return SegmenterImage(image)


def tiny_checkpoint(**changes) -> Checkpoint:
    """A ViT of two blocks."""
    fields = {
        "name": "tiny",
        "sha256": "0" * 64,
        "state": tiny_state(),
        "architecture": "sam-vit-32x2",
        "preprocessing": "sam",
        "side": SIDE,
    }
    return Checkpoint(**{**fields, **changes})


def unbounded(
    segmenter: Segmenter,
    image: SegmenterImage,
    boxes: Sequence[Box] = (),
    points: Sequence[Point] = (),
) -> Prediction:
    """What the networks answer, before prompts bound it and clicks are written into it."""
    corners = [*(b.xyxy for b in boxes), *((p.x, p.y, p.x, p.y) for p in points)]
    objects = prompted_objects(boxes, points)
    with mock.patch.object(PromptedObject, "allowed", return_value=np.True_):
        return Prediction(*segmenter._decode(segmenter._view(image, corners), objects, points))
