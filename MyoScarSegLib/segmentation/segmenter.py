"""A SAM that segments scar on one slice from boxes and points."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.errors import ModelError, PromptError
from MyoScarSegLib.prompts import Box, Point, check_box, check_point
from MyoScarSegLib.segmentation.answers import Answers
from MyoScarSegLib.segmentation.architectures import TISSUES
from MyoScarSegLib.segmentation.embedding_cache import EmbeddingCache, EmbeddingKey, content_hash
from MyoScarSegLib.segmentation.heart_window import window_of
from MyoScarSegLib.segmentation.neighbors import SLICES
from MyoScarSegLib.segmentation.preprocessing import heart_contrast, preprocessing
from MyoScarSegLib.segmentation.prompt_maps import prompt_maps
from MyoScarSegLib.segmentation.prompted_objects import PromptedObject, changed_by_click, prompted_objects
from MyoScarSegLib.segmentation.sam_checkpoint import Checkpoint, read_checkpoint
from MyoScarSegLib.segmentation.segmenter_image import SegmenterImage
from MyoScarSegLib.study.frame import Frame
from MyoScarSegLib.study.normalization import NORMALIZATION
from MyoScarSegLib.utils.device import is_out_of_memory, resolve_device, resolve_precision

if TYPE_CHECKING:
    import torch

OUTSIDE_LOGIT = -20.0
"""Stands for "surely not scar" where the network did not look."""
_LOOKS_ALONE: tuple[tuple[int, ...], ...] = ((), (3,), (2,), (2, 3))
_LOOKS_PROMPTED: tuple[tuple[int, ...], ...] = ((), (3,))
"""Axes along which the window is mirrored for each look of the context network, when a slice is taken in and when it is asked."""
_LATER_LOOKS_BYTES = 64 << 20
"""Most that is kept of later looks: some 220 KiB a slice."""
_OWN_BOX_PX = 4
"""Fewest pixels of scar that the program draws a box round for itself."""


@dataclass(frozen=True)
class Embedding:
    """What is computed once for a slice, and where the slice lies in it.

    Attributes:
        features: ``[1, channels, rows, columns]`` of SAM's image encoder.
        frame: from the slice to the network's input.
        key: in the cache.
    """

    features: torch.Tensor
    frame: Frame
    key: EmbeddingKey


@dataclass(frozen=True)
class Prediction:
    """What the decoder answers for one slice.

    Attributes:
        logits: float32 ``[rows, columns]`` on the slice's native grid; ``sigmoid`` of them is the probability of scar.
        score: the model's own estimate of the mask's IoU, 0..1: the lowest of its prompts'.
    """

    logits: np.ndarray
    score: float


@dataclass(frozen=True)
class _Answered:
    """The answers to a slice's boxes and to some of its clicks.

    Attributes:
        points: the clicks, in the order in which they were made.
        logits: ``[side, side]`` of each box, calibrated; of None for clicks beyond all boxes.
        context: the context network's own logits of scar, which the next click corrects; None if nothing was asked for.
    """

    points: tuple[Point, ...]
    logits: dict[Box | None, torch.Tensor]
    context: torch.Tensor | None


class Segmenter:
    """A loaded SAM with its embedding cache. Safe to use from several threads; they take turns.

    Attributes:
        checkpoint: the weights' name, checksum, architecture and preprocessing.
        device: where it runs.
        precision: number format of the image encoder's products; the rest and the small decoder run in float32.
        cache: embeddings by slice content, model, preprocessing and view.
        window: the window around the heart that it looks at; None if it looks at whole slices.
        answers: how the answers of our own models are put together.
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
        from MyoScarSegLib.segmentation.sam_decoder import SamDecoder

        self.checkpoint = checkpoint
        self.device = resolve_device(device)
        self.precision = resolve_precision(precision, self.device)
        self.cache = EmbeddingCache() if cache is None else cache
        self._recipe = preprocessing(checkpoint.preprocessing)
        self.window = window_of(checkpoint, view)
        self.side = checkpoint.side if self.window is None else self.window.side_px
        self._model: Any = build(checkpoint.state, self.side).to(self.device)
        self._own = "context" in self._model
        # Of a model without it, the network that looks at slices also answers.
        self._asked = "asked" if "asked" in self._model else "context"
        self.answers = Answers.of(checkpoint.metadata)
        encoder = self._model["image_encoder"].to(memory_format=torch.channels_last)
        # TinyViT derives its attention biases when it is put into evaluation mode; they must follow to the device.
        encoder.train().eval()
        self._sam = SamDecoder(self._model, three_masks=checkpoint.preprocessing == "sam")
        self._lock = threading.RLock()  # an answer may find that SAM has not seen the slice yet
        self._last: tuple[Any, list[_Answered]] | None = None
        self._later_looks = EmbeddingCache(min(_LATER_LOOKS_BYTES, self.cache.budget_bytes // 2))

    def forget(self) -> None:
        """Drop what is kept of the slices that were seen."""
        with self._lock:
            self.cache.clear()
            self._later_looks.clear()
            self._last = None

    @property
    def prompts_at_once(self) -> int:
        """How many boxes or points SAM's decoder takes together; fewer need less memory."""
        return self._sam.prompts_at_once

    @prompts_at_once.setter
    def prompts_at_once(self, count: int) -> None:
        self._sam.prompts_at_once = count

    @property
    def knows_tissue(self) -> bool:
        """Whether :meth:`tissue` can be asked: our own models have a network that names every pixel's tissue."""
        return self._own

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    def encode(self, image: SegmenterImage, prompts: Sequence[tuple[float, float, float, float]] = ()) -> Embedding:
        """The embedding of a slice, from the cache or computed; for our own models also what the context network sees first.

        Made before there is any prompt, both are found again by :meth:`predict` and :meth:`tissue`, unless a prompt lies beyond
        the window. These make what they need themselves: our own models ask SAM about a reader's boxes alone.

        Args:
            image: the slice.
            prompts: what a window must show, as :meth:`HeartWindow.region` has it.

        Raises:
            ModelError: the device ran out of memory.
        """
        frame = self._frame(image, prompts)
        if self._own:
            self._first_look(image, frame)
        return Embedding(self._features(image, frame), frame, self._key(image, frame))

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
        logits, score = self._decode(image, corners, objects, points, beside, seen_beside)
        for point in points:
            row, column = (min(int(v), size - 1) for v, size in zip((point.y, point.x), image.shape, strict=True))
            logits[row, column] = -OUTSIDE_LOGIT if point.positive else OUTSIDE_LOGIT
        return Prediction(logits, score)

    def scar_beside(self, image: SegmenterImage) -> np.ndarray:
        """bool ``[rows, columns]``: what a first look at this slice can tell its neighbors of.

        A lesion goes on from slice to slice, and is told from noise by that. Raises as :meth:`tissue`.
        """
        first = self._seen(image)
        return np.asarray(first >= math.log(self.answers.first / (1 - self.answers.first)))

    def scar_seen(self, image: SegmenterImage, beside: np.ndarray | None) -> np.ndarray:
        """bool ``[rows, columns]``: what both networks take for scar on this slice, ``beside`` as for :meth:`tissue`; for its
        neighbors' masks. Raises as :meth:`tissue`.
        """
        import torch

        frame = self._frame(image, ())
        with self._lock, torch.inference_mode(), self._enough_memory():
            logits = self._agreed(image, frame, beside)[0].cpu()
        return np.asarray(frame.logits_to_native(logits, OUTSIDE_LOGIT) > 0)

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
        import torch

        if not self._own:
            raise ModelError(f"{self.name} answers prompts only; it has no map of tissues.")
        frame = self._frame(image, ())
        with self._lock, torch.inference_mode(), self._enough_memory():
            logits = self._told(image, frame, beside)[0].cpu()
        self._check_finite(logits)
        outside = [-OUTSIDE_LOGIT] + [OUTSIDE_LOGIT] * (len(TISSUES) - 1)
        native = np.stack([frame.logits_to_native(of, beyond) for of, beyond in zip(logits, outside, strict=True)])
        scar = TISSUES.index("scar")
        rest = np.exp(native[:scar] - native[:scar].max(axis=0))
        logit = native[scar] - native[:scar].max(axis=0) - np.log(rest.sum(axis=0))
        probability = 1 / (1 + np.exp(-np.clip(self.answers.on_map(logit), -60, 60)))
        return np.concatenate([rest / rest.sum(axis=0) * (1 - probability), probability[None]]).astype(np.float32)

    def _seen(self, image: SegmenterImage) -> np.ndarray:
        """Logits of scar of the first look, ``[rows, columns]``, as the network gives them."""
        import torch

        from MyoScarSegLib.segmentation.context import scar_logits

        frame = self._frame(image, ())
        with self._lock, torch.inference_mode():
            logits = scar_logits(self._first_look(image, frame)[1])[0].cpu()
        return frame.logits_to_native(logits, OUTSIDE_LOGIT)

    def _features(self, image: SegmenterImage, frame: Frame) -> torch.Tensor:
        """``[1, channels, rows, columns]`` of SAM's image encoder."""
        import torch

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
                features = features.float().contiguous()
            self.cache.put(key, features)
        return features.to(self.device)

    def _first_look(self, image: SegmenterImage, frame: Frame) -> tuple[torch.Tensor, torch.Tensor]:
        """What the context network looks at, ``[1, 3, side, side]``, and the tissues that it sees there without prompts."""
        import torch

        key = self._key(image, frame, "seen")
        seen = self.cache.get(key)
        if seen is None:
            with self._lock, torch.inference_mode(), self._enough_memory():
                slices = heart_contrast(self._slices(image, frame))
                seen = torch.cat([slices, self._tissues("context", slices, prompt_maps(self.side), _LOOKS_ALONE)], dim=1)
            self.cache.put(key, seen)
        seen = seen.to(self.device)
        return seen[:, : len(SLICES)], seen[:, len(SLICES) :]

    def _slices(self, image: SegmenterImage, frame: Frame) -> torch.Tensor:
        """The slice and its neighbors in the network's input, ``[1, 3, side, side]``."""
        import torch

        return torch.stack([frame.image_to_input(self._recipe.intensities(one)) for one in image.stack])[None].to(self.device)

    def _tissues(self, network: str, slices: torch.Tensor, maps: torch.Tensor, looks: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """Logarithms of the tissues' probabilities ``[1, 4, side, side]``, the mean of looks at the mirrored window."""
        import torch

        x = torch.cat([torch.cat([slices, maps[None].to(slices)], dim=1).flip(axes) for axes in looks])
        answers = self._model[network](x[:, : slices.shape[1]], x[:, slices.shape[1] :]).log_softmax(1)
        back = torch.stack([answer.flip([axis - 1 for axis in axes]) for answer, axes in zip(answers, looks, strict=True)])
        return (back.logsumexp(0) - math.log(len(looks)))[None]

    def _told(self, image: SegmenterImage, frame: Frame, beside: np.ndarray | None) -> torch.Tensor:
        """As of :meth:`_tissues`, without prompts, but told of scar on the neighbors; made once for all that need it."""
        slices, first = self._first_look(image, frame)
        if beside is None:
            return first

        def look() -> torch.Tensor:
            maps = prompt_maps(self.side, beside=frame.image_to_input(beside.astype(np.float32)))
            return self._tissues("context", slices, maps, _LOOKS_ALONE)

        return self._later_look(self._key(image, frame, f"told {content_hash(beside)}"), look)

    def _agreed(
        self, image: SegmenterImage, frame: Frame, beside: np.ndarray | None, seen_beside: np.ndarray | None = None
    ) -> torch.Tensor:
        """Logits of scar ``[1, side, side]`` that both networks agree on where nobody asked: the mean of the map's and of the
        answer to a box, as a reader would draw it, round all scar on it. The answering network knows that there is some. With
        ``seen_beside``, scar that was so found on the neighbors, it is asked once more, about a box round what was agreed on.
        """
        from MyoScarSegLib.segmentation.context import scar_logits

        again = seen_beside is not None
        shown = [of for of in (beside, seen_beside) if of is not None]
        key = self._key(image, frame, " ".join(["agreed", str(again), *map(content_hash, shown)]))

        def look() -> torch.Tensor:
            mapped = scar_logits(self._told(image, frame, beside))
            box = _box_round(self._agreed(image, frame, beside) if again else mapped)
            if box is None:
                return mapped
            told = seen_beside if again else beside
            scar = None if told is None else frame.image_to_input(told.astype(np.float32))
            looks = _LOOKS_PROMPTED if again else _LOOKS_PROMPTED[:1]
            slices = self._first_look(image, frame)[0]
            answer = self._tissues(self._asked, slices, prompt_maps(self.side, [box], beside=scar), looks)
            return (mapped + scar_logits(answer)) / 2

        return self._later_look(key, look)

    def _later_look(self, key: EmbeddingKey, look: Callable[[], torch.Tensor]) -> torch.Tensor:
        found = self._later_looks.get(key)
        if found is None:
            found = look()
            self._later_looks.put(key, found)
        return found.to(self.device)

    def _frame(self, image: SegmenterImage, prompts: Sequence[tuple[float, float, float, float]]) -> Frame:
        """Where the slice lies in this network's input."""
        if self.window is None:
            return self._recipe.frame(image.shape, self.side, image.pixel_spacing_mm)
        region = self.window.region(image.shape, image.pixel_spacing_mm, image.center, prompts)
        return Frame.fit(image.shape, (self.side, self.side), region=region, pixel_spacing_mm=image.pixel_spacing_mm)

    def _key(self, image: SegmenterImage, frame: Frame, what: str = "") -> EmbeddingKey:
        view = f"{frame.region} {frame.content} {frame.size} {self.precision} {what}"
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

    def _decode(
        self,
        image: SegmenterImage,
        corners: Sequence[tuple[float, float, float, float]],
        objects: Sequence[PromptedObject],
        points: Sequence[Point],
        beside: np.ndarray | None,
        seen_beside: np.ndarray | None,
    ) -> tuple[np.ndarray, float]:
        """Logits ``[rows, columns]`` on the native grid, and the score."""
        import torch

        frame = self._frame(image, corners)
        with self._lock, torch.inference_mode(), self._enough_memory():
            if self._own:
                each = self._own_logits(image, frame, objects, points, beside, seen_beside)
                score = float(_expected_overlap(each).min())
            else:
                each, scores = self._sam.logits(self._features(image, frame), objects, frame)
                self._check_finite(scores)
                score = float(scores.min())
            self._check_finite(each)
            each = each.cpu()
        parts = []
        for one, of in zip(objects, each, strict=True):
            native = frame.logits_to_native(of, OUTSIDE_LOGIT)
            parts.append(np.where(one.allowed(native > 0), native, np.float32(OUTSIDE_LOGIT)))
        return np.maximum.reduce(parts), min(max(score, 0.0), 1.0)

    def _own_logits(
        self,
        image: SegmenterImage,
        frame: Frame,
        objects: Sequence[PromptedObject],
        points: Sequence[Point],
        beside: np.ndarray | None,
        seen_beside: np.ndarray | None,
    ) -> torch.Tensor:
        """Logits ``[objects, side, side]`` of our own models: what is seen without being asked, and answers to a reader.

        Clicks are answered one after the other, as they were made, each by correcting the answer before. So a click changes
        its own place alone, and one more click costs one answer more: those to the clicks before it are remembered.
        """
        import torch

        from MyoScarSegLib.segmentation.context import scar_logits

        slices, tissues = self._first_look(image, frame)
        boxes = tuple(one.box for one in objects)
        told = (self._key(image, frame), boxes, *(None if of is None else of.tobytes() for of in (beside, seen_beside)))
        steps: list[_Answered] = []
        if self._last is not None and self._last[0] == told:
            steps = list(self._last[1])
            while steps and steps[-1].points != tuple(points[: len(steps) - 1]):
                steps.pop()
        if not steps:
            unasked = any(box is not None and not box.asks for box in boxes)
            seen = (self._agreed(image, frame, beside, seen_beside) if unasked else scar_logits(tissues))[0]
            before = _Answered((), {box: self.answers.seen(seen) for box in boxes}, seen if any(boxes) else None)
        for count in range(len(steps), len(points) + 1):
            before = steps[-1] if steps else before
            steps.append(self._answer(image, frame, slices, objects, tuple(points[:count]), before, beside))
        self._last = told, steps
        return torch.stack([steps[-1].logits[box] for box in boxes])

    def _answer(
        self,
        image: SegmenterImage,
        frame: Frame,
        slices: torch.Tensor,
        objects: Sequence[PromptedObject],
        points: tuple[Point, ...],
        before: _Answered,
        beside: np.ndarray | None,
    ) -> _Answered:
        """The answer to boxes and so many clicks, by the answer to one click less."""
        from torch.nn import functional

        now = [replace(one, points=tuple(p for p in one.points if p in points)) for one in objects]
        asking = [one for one in now if one.asks and (one.box or any(p.positive for p in one.points))]
        if not asking:
            return replace(before, points=points)
        first = not points or before.context is None
        context = self._prompted(slices, asking, None if first else before.context, beside, frame)
        sam = None
        # Corrections are the context network's alone: with them it is better without SAM, with a box better together.
        if self.answers.sam_share > 0 and first:
            sam, _ = self._sam.logits(self._features(image, frame), asking, frame)
            if sam.shape[-1] != self.side:
                sam = functional.interpolate(sam[:, None], (self.side, self.side), mode="bilinear")[:, 0]
        logits = dict(before.logits)
        for one, answer in zip(asking, self.answers.asked_for(context.expand(len(asking), -1, -1), sam), strict=True):
            if points and points[-1] not in one.points:
                continue
            if one.box is None or not points:
                logits[one.box] = answer
            else:
                x, y = frame.to_input(np.array([points[-1].x, points[-1].y]))
                logits[one.box] = changed_by_click(logits[one.box], answer, (x, y, points[-1].positive))
        return _Answered(points, logits, context)

    def _prompted(
        self,
        slices: torch.Tensor,
        objects: Sequence[PromptedObject],
        hint: torch.Tensor | None,
        beside: np.ndarray | None,
        frame: Frame,
    ) -> torch.Tensor:
        """The context network's logits of scar ``[side, side]``, asked with all prompts of the slice at once."""
        from MyoScarSegLib.segmentation.context import scar_logits

        boxes = [frame.box_to_input(one.box.xyxy) for one in objects if one.box is not None]
        clicked = dict.fromkeys(point for one in objects for point in one.points)
        points = [(*frame.to_input(np.array([p.x, p.y])), p.positive) for p in clicked]
        confirmed = None if beside is None else frame.image_to_input(beside.astype(np.float32))
        maps = prompt_maps(self.side, boxes, points, None if hint is None else hint.sigmoid(), confirmed)
        return scar_logits(self._tissues(self._asked, slices, maps, _LOOKS_PROMPTED))[0]


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


def _box_round(scar: torch.Tensor) -> tuple[float, float, float, float] | None:
    """Round all scar of logits ``[1, side, side]``, a pixel wider, as readers draw it; None of next to none."""
    import torch

    rows, columns = torch.nonzero(scar[0] > 0, as_tuple=True)
    if len(rows) < _OWN_BOX_PX:
        return None
    return float(columns.min() - 1), float(rows.min() - 1), float(columns.max() + 2), float(rows.max() + 2)


def _expected_overlap(logits: torch.Tensor) -> torch.Tensor:
    """The IoU, ``[prompts]``, to be expected of masks ``[prompts, rows, columns]`` if their probabilities are right."""
    import torch

    probability = logits.sigmoid()
    inside = probability >= 0.5
    overlap = torch.where(inside, probability, 0.0).sum(dim=(1, 2))
    union = torch.where(inside, 1.0, probability).sum(dim=(1, 2))
    return overlap / union.clamp(min=1e-6)
