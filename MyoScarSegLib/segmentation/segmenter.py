"""A SAM that segments scar on one slice from boxes and points."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.errors import ModelError, PromptError
from MyoScarSegLib.models import DEFAULT_SEGMENTER
from MyoScarSegLib.prompts import Box, Point, check_box, check_point
from MyoScarSegLib.segmentation.answers import Answers
from MyoScarSegLib.segmentation.architectures import TISSUES
from MyoScarSegLib.segmentation.embedding_cache import EmbeddingCache, EmbeddingKey
from MyoScarSegLib.segmentation.heart_window import window_of
from MyoScarSegLib.segmentation.preprocessing import preprocessing
from MyoScarSegLib.segmentation.prompted_objects import PromptedObject, prompted_objects
from MyoScarSegLib.segmentation.sam_checkpoint import Checkpoint, read_checkpoint
from MyoScarSegLib.segmentation.segmenter_image import SegmenterImage, View
from MyoScarSegLib.study.frame import Frame
from MyoScarSegLib.study.normalization import NORMALIZATION
from MyoScarSegLib.utils.device import is_out_of_memory, resolve_device, resolve_precision

if TYPE_CHECKING:
    import torch

    from MyoScarSegLib.segmentation.context_looks import ContextLooks

OUTSIDE_LOGIT = -20.0
"""Stands for "surely not scar" where the network did not look."""
Corners = tuple[float, float, float, float]


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
        answers: how the answers of our own models are put together.
        sam: SAM's prompt encoder and mask decoder.
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
        from MyoScarSegLib.segmentation.context_looks import ContextLooks
        from MyoScarSegLib.segmentation.reader_answers import ReaderAnswers
        from MyoScarSegLib.segmentation.sam_decoder import SamDecoder

        self.checkpoint = checkpoint
        self.device = resolve_device(device)
        self.precision = resolve_precision(precision, self.device)
        self.cache = EmbeddingCache() if cache is None else cache
        self.window = window_of(checkpoint, view)
        self.side = checkpoint.side if self.window is None else self.window.side_px
        self.answers = Answers.of(checkpoint.metadata)
        self._recipe = preprocessing(checkpoint.preprocessing)
        self._model: Any = build(checkpoint.state, self.side).to(self.device)
        encoder = self._model["image_encoder"].to(memory_format=torch.channels_last)
        # TinyViT derives its attention biases when it is put into evaluation mode; they must follow to the device.
        encoder.train().eval()
        self.sam = SamDecoder(self._model, three_masks=checkpoint.preprocessing == "sam")
        self._lock = threading.RLock()
        self._looks: ContextLooks | None = None
        self._reader: ReaderAnswers | None = None
        if "context" in self._model:
            self._looks = ContextLooks(self._model, self._recipe, self.cache, self.device)
            self._reader = ReaderAnswers(self._looks, lambda view, objects: self._sam_logits(view, objects)[0])

    def forget(self) -> None:
        """Drop what is kept of the slices that were seen."""
        with self._lock:
            self.cache.clear()
            if self._looks is not None and self._reader is not None:
                self._looks.forget()
                self._reader.forget()

    @property
    def knows_tissue(self) -> bool:
        """Whether :meth:`tissue` can be asked: our own models have a network that names every pixel's tissue."""
        return self._looks is not None

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    def encode(self, image: SegmenterImage) -> torch.Tensor:
        """The embedding of a slice, from the cache or computed; for our own models also what the context network sees first.

        Made before there is any prompt, both are found again by :meth:`predict` and :meth:`tissue`, unless a prompt lies beyond
        the window. These make what they need themselves: our own models ask SAM about a reader's boxes alone.

        Returns:
            ``[1, channels, rows, columns]`` of SAM's image encoder.

        Raises:
            ModelError: the device ran out of memory.
        """
        view = self._view(image)
        with self._at_work():
            if self._looks is not None:
                self._looks.first(view)
            return self._features(view)

    def predict(
        self,
        image: SegmenterImage,
        boxes: Sequence[Box] = (),
        points: Sequence[Point] = (),
        *,
        beside: np.ndarray | None = None,
        seen_beside: np.ndarray | None = None,
    ) -> Prediction:
        """Segment one slice from any combination of prompts.

        Each box is one object, and points refine it or are an object of their own, as
        :func:`~MyoScarSegLib.segmentation.prompted_objects.prompted_objects` has it. The result is the union.

        The sides of a box that the reader set (its source is ``user``) bound its object, with a pixel of grace; a positive click
        beyond a side opens that side. A clicked pixel is as the click says, at any threshold. Our own models answer a
        detector's box without clicks by what they see there without being asked.

        Args:
            image: the slice.
            boxes: in native pixel edges; their ``slice`` is not looked at.
            points: likewise.
            beside: bool ``[rows, columns]``: scar on the neighbors, as :meth:`scar_beside` has it or a reader confirmed it; other
                models than our own do not look at it.
            seen_beside: likewise as :meth:`scar_seen` has it, for boxes that no reader drew.

        Raises:
            PromptError: no prompt at all, only negative points, or a prompt outside the image; scar beside of another shape.
            ModelError: the device ran out of memory, or the network's answer is not finite.
        """
        boxes = [check_box(box, (box.slice + 1, *image.shape)) for box in boxes]
        points = [check_point(point, (point.slice + 1, *image.shape)) for point in points]
        for given in (beside, seen_beside):
            if given is not None and given.shape != image.shape:
                raise PromptError(f"Scar beside has the shape {given.shape}, the slice {image.shape}.")
        objects = prompted_objects(boxes, points)
        corners = [*(b.xyxy for b in boxes), *((p.x, p.y, p.x, p.y) for p in points)]
        logits, score = self._decode(self._view(image, corners), objects, points, beside, seen_beside)
        for point in points:
            row, column = (min(int(v), size - 1) for v, size in zip((point.y, point.x), image.shape, strict=True))
            logits[row, column] = -OUTSIDE_LOGIT if point.positive else OUTSIDE_LOGIT
        return Prediction(logits, score)

    def scar_beside(self, image: SegmenterImage) -> np.ndarray:
        """bool ``[rows, columns]``: what a first look at this slice can tell its neighbors of.

        A lesion goes on from slice to slice, and is told from noise by that. Raises as :meth:`tissue`.
        """
        from MyoScarSegLib.segmentation.context import scar_logits

        view, looks = self._view(image), self._own_looks()
        with self._at_work():
            logits = scar_logits(looks.first(view)[1])[0].cpu()
        first = self.answers.first
        return np.asarray(view.frame.logits_to_native(logits, OUTSIDE_LOGIT) >= math.log(first / (1 - first)))

    def scar_seen(self, image: SegmenterImage, beside: np.ndarray | None) -> np.ndarray:
        """bool ``[rows, columns]``: what both networks take for scar on this slice, ``beside`` as for :meth:`tissue`; for its
        neighbors' masks. Raises as :meth:`tissue`.
        """
        return np.asarray(self.agreed_logits(image, beside) > 0)

    def scar_answered(self, image: SegmenterImage, boxes: Sequence[Box], beside: np.ndarray | None) -> np.ndarray:
        """bool ``[rows, columns]``: what one look finds in a reader's boxes on this slice, ``beside`` as for :meth:`tissue`; for
        its neighbors' masks. Raises as :meth:`tissue`.
        """
        looks, objects = self._own_looks(), prompted_objects(boxes, ())
        view = self._view(image, [box.xyxy for box in boxes])
        with self._at_work():
            logits = self.answers.asked_for(looks.answered(view, boxes, beside), None)[0].cpu()
        scar = view.frame.logits_to_native(logits, OUTSIDE_LOGIT) > 0
        return scar & np.any([one.allowed(scar) for one in objects], axis=0)

    def agreed_logits(
        self, image: SegmenterImage, beside: np.ndarray | None, seen_beside: np.ndarray | None = None
    ) -> np.ndarray:
        """Logits of scar ``[rows, columns]`` that both networks agree on where nobody asked, not calibrated; ``beside`` and
        ``seen_beside`` as for :meth:`predict`. Raises as :meth:`tissue`.
        """
        view, looks = self._view(image), self._own_looks()
        with self._at_work():
            logits = looks.agreed(view, beside, seen_beside)[0].cpu()
        return view.frame.logits_to_native(logits, OUTSIDE_LOGIT)

    def tissue(self, image: SegmenterImage, beside: np.ndarray | None = None) -> np.ndarray:
        """What the network takes every pixel for, without any prompt.

        Args:
            image: the slice.
            beside: bool ``[rows, columns]``: scar on the neighbors, likewise.

        Returns:
            float32 ``[4, rows, columns]``: probabilities of background, cavity, normal myocardium and scar, on the slice's
            native grid; they add up to 1.

        Raises:
            ModelError: this segmenter has no such network (:attr:`knows_tissue`), or the device ran out of memory.
        """
        view, looks = self._view(image), self._own_looks()
        with self._at_work():
            logits = looks.told(view, beside)[0].cpu()
        self._check_finite(logits)
        outside = [-OUTSIDE_LOGIT] + [OUTSIDE_LOGIT] * (len(TISSUES) - 1)
        native = np.stack([view.frame.logits_to_native(of, beyond) for of, beyond in zip(logits, outside, strict=True)])
        scar = TISSUES.index("scar")
        rest = np.exp(native[:scar] - native[:scar].max(axis=0))
        logit = native[scar] - native[:scar].max(axis=0) - np.log(rest.sum(axis=0))
        probability = 1 / (1 + np.exp(-np.clip(self.answers.on_map(logit), -60, 60)))
        return np.concatenate([rest / rest.sum(axis=0) * (1 - probability), probability[None]]).astype(np.float32)

    def _own_looks(self) -> ContextLooks:
        if self._looks is None:
            raise ModelError(f"{self.name} answers prompts only; it has no map of tissues.")
        return self._looks

    def _view(self, image: SegmenterImage, prompts: Sequence[Corners] = ()) -> View:
        """Where a slice lies in this network's input; ``prompts`` as :meth:`HeartWindow.region` has them."""
        if self.window is None:
            frame = self._recipe.frame(image.shape, self.side, image.pixel_spacing_mm)
        else:
            region = self.window.region(image.shape, image.pixel_spacing_mm, image.center, prompts)
            frame = Frame.fit(image.shape, (self.side, self.side), region=region, pixel_spacing_mm=image.pixel_spacing_mm)
        recipe = f"{self.checkpoint.preprocessing} {NORMALIZATION}"  # foreign ones may use our normalization, too
        view = f"{frame.region} {frame.content} {frame.size} {self.precision} "
        return View(image, frame, EmbeddingKey(image.content, self.checkpoint.sha256, recipe, view))

    def _decode(
        self,
        view: View,
        objects: Sequence[PromptedObject],
        points: Sequence[Point],
        beside: np.ndarray | None = None,
        seen_beside: np.ndarray | None = None,
    ) -> tuple[np.ndarray, float]:
        """Logits ``[rows, columns]`` on the native grid, and the score."""
        with self._at_work():
            if self._reader is not None:
                each = self._reader.logits(self.answers, view, objects, points, beside, seen_beside)
                scores = _expected_overlap(each)
            else:
                each, scores = self._sam_logits(view, objects)
                self._check_finite(scores)
            self._check_finite(each)
            each, score = each.cpu(), float(scores.min())
        parts = []
        for one, of in zip(objects, each, strict=True):
            native = view.frame.logits_to_native(of, OUTSIDE_LOGIT)
            parts.append(np.where(one.allowed(native > 0), native, np.float32(OUTSIDE_LOGIT)))
        return np.maximum.reduce(parts), min(max(score, 0.0), 1.0)

    def _sam_logits(self, view: View, objects: Sequence[PromptedObject]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.sam.logits(self._features(view), objects, view.frame)

    def _features(self, view: View) -> torch.Tensor:
        """``[1, channels, rows, columns]`` of SAM's image encoder."""
        import torch

        features = self.cache.get(view.key)
        if features is None:
            tensor = self._recipe.network_input(view.image.voxels, view.frame)[None]
            tensor = tensor.to(self.device, memory_format=torch.channels_last)
            # Autocast, and not weights in the half format: that keeps sums and normalization layers in float32, without
            # which LiteMedSAM's mask changes by more than a percent of Dice in bfloat16.
            with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
                features = self._model["image_encoder"](tensor)
            features = features.float().contiguous()
            self.cache.put(view.key, features)
        return features.to(self.device)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """While the networks work, others wait."""
        import torch

        try:
            with self._lock, torch.inference_mode():
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
