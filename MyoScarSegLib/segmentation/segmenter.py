"""A SAM that segments scar on one slice from boxes, points and a previous mask."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.errors import ModelError, PromptError
from MyoScarSegLib.prompts import PROMPTS_AT_ONCE, Box, Point, box_of_mask, check_box, check_point
from MyoScarSegLib.segmentation.architectures import EMBEDDING_CHANNELS, TISSUES
from MyoScarSegLib.segmentation.embedding_cache import EmbeddingCache, EmbeddingKey
from MyoScarSegLib.segmentation.heart_window import window_of
from MyoScarSegLib.segmentation.preprocessing import heart_contrast, preprocessing
from MyoScarSegLib.segmentation.prompt_maps import prompt_maps
from MyoScarSegLib.segmentation.prompted_objects import PromptedObject, prompted_objects
from MyoScarSegLib.segmentation.sam_checkpoint import Checkpoint, read_checkpoint
from MyoScarSegLib.segmentation.segmenter_image import SegmenterImage
from MyoScarSegLib.study.frame import Frame
from MyoScarSegLib.study.normalization import NORMALIZATION
from MyoScarSegLib.utils.device import is_out_of_memory, resolve_device, resolve_precision

if TYPE_CHECKING:
    import torch

OUTSIDE_LOGIT = -20.0
"""Stands for "surely not scar" where the network did not look."""
_MASK_LOGIT = 10.0
"""Of the two sides of a mask given as bool."""


@dataclass(frozen=True)
class Embedding:
    """What is computed once for a slice, and where the slice lies in it.

    Attributes:
        features: ``[1, channels, rows, columns]`` of SAM's image encoder; for our own models followed by the detail branch's
            output, whose finer pixels are folded into channels.
        frame: from the slice to the network's input.
    """

    features: torch.Tensor
    frame: Frame


@dataclass(frozen=True)
class Prediction:
    """What the decoder answers for one slice.

    Attributes:
        logits: float32 ``[rows, columns]`` on the slice's native grid; ``sigmoid`` of them is the probability of scar.
        score: the model's own estimate of the mask's IoU, 0..1: the lowest of its prompts'.
    """

    logits: np.ndarray
    score: float


class Segmenter:
    """A loaded SAM with its embedding cache. Safe to use from several threads; they take turns.

    Attributes:
        checkpoint: the weights' name, checksum, architecture and preprocessing.
        device: where it runs.
        precision: number format of the image encoder's products; the rest and the small decoder run in float32.
        cache: embeddings by slice content, model, preprocessing and view.
        window: the window around the heart that it looks at; None if it looks at whole slices.
        prompts_at_once: how many boxes or points the decoder takes together; fewer need less memory.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = "auto",
        precision: str = "auto",
        view: str = "auto",
        cache: EmbeddingCache | None = None,
    ) -> None:
        """Build the network.

        Args:
            checkpoint: see :func:`~MyoScarSegLib.segmentation.sam_checkpoint.read_checkpoint`.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
            precision: of the image encoder: ``auto`` (what the device itself computes fast in) or a name.
            view: ``slice`` for whole slices, ``heart`` for a window around the heart, ``auto`` for what the checkpoint was
                made for, and for LiteMedSAM the window.
            cache: of embeddings; a new one in memory if None.

        Raises:
            ModelError: the device is not there, or the checkpoint does not fit the architecture or the view.
        """
        import torch

        from MyoScarSegLib.segmentation.architectures import build

        self.checkpoint = checkpoint
        self.device = resolve_device(device)
        self.precision = resolve_precision(precision, self.device)
        self.cache = EmbeddingCache() if cache is None else cache
        self.prompts_at_once = PROMPTS_AT_ONCE
        self._recipe = preprocessing(checkpoint.preprocessing)
        self.window = window_of(checkpoint, view)
        self.side = checkpoint.side if self.window is None else self.window.side_px
        self._model: Any = build(checkpoint.state, self.side).to(self.device)
        self._own, self._refines = "detail" in self._model, "refiner" in self._model
        encoder = self._model["image_encoder"].to(memory_format=torch.channels_last)
        # TinyViT derives its attention biases when it is put into evaluation mode; they must follow to the device.
        encoder.train().eval()
        self._lock = threading.Lock()
        self._dense_pe: torch.Tensor | None = None

    @property
    def knows_tissue(self) -> bool:
        """Whether :meth:`tissue` can be asked: our own models have a branch that names every pixel's tissue."""
        return self._own

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    def encode(self, image: SegmenterImage, prompts: Sequence[tuple[float, float, float, float]] = ()) -> Embedding:
        """The embedding of a slice, from the cache or computed.

        Made before there is any prompt, it is found again by :meth:`predict` and :meth:`tissue`, unless a prompt lies beyond
        the window.

        Args:
            image: the slice.
            prompts: what a window must show, as :meth:`HeartWindow.region` has it.

        Raises:
            ModelError: the device ran out of memory.
        """
        import torch
        from torch.nn import functional

        frame = self._frame(image, prompts)
        key = self._key(image, frame)
        features = self.cache.get(key)
        if features is None:
            tensor = self._recipe.network_input(image.voxels, frame)[None]
            with self._lock, torch.inference_mode(), self._enough_memory():
                tensor = tensor.to(self.device, memory_format=torch.channels_last)
                # Autocast, and not weights in the half format: that keeps sums and normalization layers in float32, without
                # which LiteMedSAM's mask changes by more than a percent of Dice in bfloat16.
                with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
                    features = self._model["image_encoder"](tensor)
                features = features.float()
                if self._own:
                    detail = self._model["detail"](heart_contrast(tensor[:, :1]))
                    folded = functional.pixel_unshuffle(detail, self.side // features.shape[-1])
                    features = torch.cat([features, folded], dim=1)
                features = features.contiguous()
            self.cache.put(key, features)
        return Embedding(features.to(self.device), frame)

    def predict(
        self, image: SegmenterImage, boxes: Sequence[Box] = (), points: Sequence[Point] = (), mask: np.ndarray | None = None
    ) -> Prediction:
        """Segment one slice from any combination of prompts.

        Each box is one object, and points refine it or are an object of their own, as
        :func:`~MyoScarSegLib.segmentation.prompted_objects.prompted_objects` has it. The result is the union.

        The sides of a box that the reader set (its source is ``user``) bound its object, with a pixel of grace; a positive click
        beyond a side opens that side. A detector's box may be exceeded.

        Args:
            image: the slice.
            boxes: in native pixel edges; their ``slice`` is not looked at.
            points: likewise.
            mask: ``[rows, columns]`` of a previous result, bool or logits (float), as a further hint to every object.

        Raises:
            PromptError: no prompt at all, only negative points, or a prompt outside the image; a mask of another shape or type.
            ModelError: the device ran out of memory, or the network's answer is not finite.
        """
        boxes = [check_box(box, (box.slice + 1, *image.shape)) for box in boxes]
        points = [check_point(point, (point.slice + 1, *image.shape)) for point in points]
        if mask is not None:
            _check_mask(mask, image.shape)
        objects = prompted_objects(boxes, points, has_mask=mask is not None)
        corners = [*(b.xyxy for b in boxes), *((p.x, p.y, p.x, p.y) for p in points)]
        if mask is not None and (of_mask := box_of_mask(mask > 0, 0)) is not None:
            corners.append(of_mask.xyxy)
        return self._decode(self.encode(image, corners), objects, mask)

    def tissue(self, image: SegmenterImage) -> np.ndarray:
        """What the network takes every pixel for, without any prompt.

        Returns:
            float32 ``[4, rows, columns]``: probabilities of background, cavity, normal myocardium and scar, on the slice's
            native grid; they add up to 1.

        Raises:
            ModelError: this segmenter has no such branch (:attr:`knows_tissue`), or the device ran out of memory.
        """
        import torch

        if not self._own:
            raise ModelError(f"{self.name} answers prompts only; it has no map of tissues.")
        embedding = self.encode(image)
        with self._lock, torch.inference_mode():
            logits = self._split(embedding.features)[1][0, : len(TISSUES)].cpu()
        self._check_finite(logits)
        outside = [-OUTSIDE_LOGIT] + [OUTSIDE_LOGIT] * (len(TISSUES) - 1)
        native = np.stack([embedding.frame.logits_to_native(of, beyond) for of, beyond in zip(logits, outside, strict=True)])
        weights = np.exp(native - native.max(axis=0))
        return (weights / weights.sum(axis=0)).astype(np.float32)

    def _frame(self, image: SegmenterImage, prompts: Sequence[tuple[float, float, float, float]]) -> Frame:
        """Where the slice lies in this network's input."""
        if self.window is None:
            return self._recipe.frame(image.shape, self.side, image.pixel_spacing_mm)
        region = self.window.region(image.shape, image.pixel_spacing_mm, image.center, prompts)
        return Frame.fit(image.shape, (self.side, self.side), region=region, pixel_spacing_mm=image.pixel_spacing_mm)

    def _split(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """SAM's features, and the detail branch's output ``[1, channels, side, side]``."""
        from torch.nn import functional

        folded = features[:, EMBEDDING_CHANNELS:]
        return features[:, :EMBEDDING_CHANNELS], functional.pixel_shuffle(folded, self.side // features.shape[-1])

    def _key(self, image: SegmenterImage, frame: Frame) -> EmbeddingKey:
        view = f"{frame.region} {frame.content} {frame.size} {self.precision}"
        recipe = f"{self.checkpoint.preprocessing} {NORMALIZATION}"  # foreign ones may use our normalization, too
        return EmbeddingKey(image.content, self.checkpoint.sha256, recipe, view)

    @contextmanager
    def _enough_memory(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            remedy = "Close other programs." if self.device.type == "cpu" else "Use --device cpu."
            raise ModelError(f"{self.device} has too little memory for {self.name}. {remedy}") from error

    def _check_finite(self, *outputs: torch.Tensor) -> None:
        """A map that is not finite would count as free of scar."""
        if not all(bool(output.isfinite().all()) for output in outputs):
            raise ModelError(
                f"{self.name} gave values that are not finite (NaN or infinite). "
                "Its weights are damaged, or the precision is too low for them: try --precision float32."
            )

    def _decode(self, embedding: Embedding, objects: Sequence[PromptedObject], mask: np.ndarray | None) -> Prediction:
        import torch

        frame = embedding.frame
        hint = None if mask is None else self._hint(mask, frame)
        with self._lock, torch.inference_mode(), self._enough_memory():
            if self._dense_pe is None:
                self._dense_pe = self._model["prompt_encoder"].get_dense_pe()
            asked, logits, scores = [], [], []
            # Prompts that differ in their number of points cannot share a batch; those alike go through together.
            for alike in _alike(objects):
                for start in range(0, len(alike), self.prompts_at_once):
                    batch = alike[start : start + self.prompts_at_once]
                    batch_logits, batch_scores = self._decode_batch(embedding.features, batch, hint, frame)
                    asked += batch
                    logits.append(batch_logits)
                    scores.append(batch_scores)
            each = torch.cat(logits).cpu()
            score = float(torch.cat(scores).min())
            self._check_finite(each, torch.cat(scores))
        beyond = [one.beyond(frame.shape) for one in asked]
        free = [n for n, pixels in enumerate(beyond) if pixels is None]
        parts = [frame.logits_to_native(each[free].amax(dim=0), OUTSIDE_LOGIT)] if free else []
        for one, pixels in zip(each, beyond, strict=True):
            if pixels is not None:
                parts.append(np.where(pixels, np.float32(OUTSIDE_LOGIT), frame.logits_to_native(one, OUTSIDE_LOGIT)))
        return Prediction(np.maximum.reduce(parts), min(max(score, 0.0), 1.0))

    def _decode_batch(
        self, features: torch.Tensor, objects: Sequence[PromptedObject], hint: torch.Tensor | None, frame: Frame
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits ``[objects, rows, columns]`` over the input, and scores ``[objects]``, of objects with as many points each."""
        import torch
        from torch.nn import functional

        count = len(objects)
        detail = None
        if self._own:
            features, detail = self._split(features)
        corners = [None if p.box is None else frame.box_to_input(p.box.xyxy) for p in objects]
        boxes = None
        if objects[0].box is not None:
            boxes = self._sam_coordinates(np.stack([c for c in corners if c is not None]))
        points = None
        clicked = [np.zeros((0, 3))] * count
        if objects[0].points:
            xy = np.stack([frame.to_input(np.array([(q.x, q.y) for q in p.points])) for p in objects])
            kinds = np.array([[int(q.positive) for q in p.points] for p in objects])
            clicked = list(np.concatenate([xy, kinds[..., None]], axis=2))
            points = (self._sam_coordinates(xy), torch.as_tensor(kinds, device=self.device))
        masks = None
        # Where there is a refiner, it is the one that sees the previous mask; SAM's decoder sees it if there is nothing else.
        if hint is not None and (not self._refines or (boxes is None and points is None)):
            size = self._model["prompt_encoder"].mask_input_size
            masks = functional.interpolate(hint[None, None], size, mode="bilinear", antialias=True).expand(count, -1, -1, -1)
        sparse, dense = self._model["prompt_encoder"](points=points, boxes=boxes, masks=masks)
        # A single click is ambiguous: the original SAM was trained to answer with three masks, and its own score chooses.
        # Those fine-tuned from it were trained on one mask; their other three would be leftovers.
        single_click = boxes is None and hint is None and len(objects[0].points) == 1
        ambiguous = single_click and self.checkpoint.preprocessing == "sam"
        logits, scores = self._model["mask_decoder"](
            image_embeddings=features,
            image_pe=self._dense_pe,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=ambiguous,
        )
        best = scores.argmax(dim=1)
        each = torch.arange(count, device=logits.device)
        logits, scores = logits[each, best], scores[each, best]
        if detail is None or not self._refines:
            return logits, scores
        hints = None if hint is None else hint.expand(count, -1, -1)
        maps = prompt_maps(self.side, corners, clicked, hints).to(self.device)
        logits = self._model["refiner"](detail.expand(count, -1, -1, -1), logits, maps)
        return logits, _expected_overlap(logits)

    def _sam_coordinates(self, edges: np.ndarray) -> torch.Tensor:
        """Pixel edges of the input to SAM's own frame, in which whole numbers are pixel centers."""
        import torch

        return torch.as_tensor(edges - 0.5, dtype=torch.float32, device=self.device)

    def _hint(self, mask: np.ndarray, frame: Frame) -> torch.Tensor:
        """Logits of a previous mask over the input, ``[side, side]``."""
        logits = np.where(mask, _MASK_LOGIT, -_MASK_LOGIT) if mask.dtype == bool else mask
        # The frame pads with zero, which as a logit would mean "perhaps": what lies beyond the slice is surely not scar.
        return (frame.image_to_input(np.asarray(logits, dtype=np.float32) + _MASK_LOGIT) - _MASK_LOGIT).to(self.device)


def load_segmenter(
    model: str | Path | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    view: str = "auto",
    trust: bool = False,
    preprocessing_id: str | None = None,
    cache: EmbeddingCache | None = None,
) -> Segmenter:
    """Load a segmenter by its name in the registry (the default model if None) or by its path.

    See :func:`~MyoScarSegLib.segmentation.sam_checkpoint.read_checkpoint` for ``trust``, ``preprocessing_id`` and the errors, and
    :class:`Segmenter` for the rest.
    """
    from MyoScarSegLib.models import DEFAULT_SEGMENTER

    checkpoint = read_checkpoint(model or DEFAULT_SEGMENTER, trust=trust, preprocessing_id=preprocessing_id)
    return Segmenter(checkpoint, device=device, precision=precision, view=view, cache=cache)


def _expected_overlap(logits: torch.Tensor) -> torch.Tensor:
    """The IoU, ``[prompts]``, to be expected of masks ``[prompts, rows, columns]`` if their probabilities are right."""
    import torch

    probability = logits.sigmoid()
    inside = probability >= 0.5
    overlap = torch.where(inside, probability, 0.0).sum(dim=(1, 2))
    union = torch.where(inside, 1.0, probability).sum(dim=(1, 2))
    return overlap / union.clamp(min=1e-6)


def _check_mask(mask: np.ndarray, shape: tuple[int, int]) -> None:
    if mask.shape != shape:
        raise PromptError(f"The previous mask has the shape {mask.shape}, the slice {shape}.")
    if mask.dtype != bool and not np.issubdtype(mask.dtype, np.floating):
        raise PromptError(f"The previous mask must be bool, or logits as floating point numbers, not {mask.dtype}.")
    if not np.isfinite(mask).all():
        raise PromptError("The previous mask holds logits that are not finite.")


def _alike(objects: Sequence[PromptedObject]) -> list[list[PromptedObject]]:
    """Those with as many tokens together, which is what segment-anything's decoder takes at once."""
    groups: dict[tuple[bool, int], list[PromptedObject]] = {}
    for one in objects:
        groups.setdefault((one.box is not None, len(one.points)), []).append(one)
    return list(groups.values())
