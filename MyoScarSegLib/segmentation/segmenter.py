"""A SAM that segments scar on one slice from boxes, points and a previous mask."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.errors import ModelError, PromptError, StudyError
from MyoScarSegLib.prompts import Box, Point, box_of_mask, check_box, check_point
from MyoScarSegLib.segmentation.architectures import EMBEDDING_CHANNELS, TISSUES
from MyoScarSegLib.segmentation.embedding_cache import EmbeddingCache, EmbeddingKey, content_hash
from MyoScarSegLib.segmentation.heart_window import HeartWindow
from MyoScarSegLib.segmentation.preprocessing import preprocessing
from MyoScarSegLib.segmentation.sam_checkpoint import Checkpoint, read_checkpoint
from MyoScarSegLib.study.frame import Frame
from MyoScarSegLib.study.normalise import NORMALISATION

if TYPE_CHECKING:
    import torch

# Logits that stand for "surely not scar" where the network did not look, and for the two sides of a mask given as bool.
OUTSIDE_LOGIT = -20.0
_MASK_LOGIT = 10.0
# Boxes or points that the decoder takes together: more is faster on a graphics card, and needs more memory.
PROMPTS_AT_ONCE = 16
# How far a mask may reach beyond a box that the reader set, pixels.
_GRACE_PX = 1.0
# How far beyond its box, as a share of the box's longer side, a positive click still speaks of the box's object.
_REACH = 0.25
# LiteMedSAM has no absolute position embedding, so it may look at a window instead of the whole slice: 128 pixels of
# 1.4 mm keep the scale that it sees in a 256-pixel slice at a fraction of the time.
_LITEMEDSAM_WINDOW = HeartWindow(side_mm=180.0, side_px=128)
VIEWS = ("auto", "heart", "slice")


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


@dataclass(frozen=True)
class _Prompt:
    """One object to the decoder: at most one box, with the points that belong to it."""

    box: Box | None
    points: tuple[Point, ...]

    def beyond(self, shape: tuple[int, int]) -> np.ndarray | None:
        """bool ``[rows, columns]``: the pixels that the object must not reach, None where it is free.

        A box that the reader set is kept to within a pixel, but for the sides beyond which there is a positive click.
        """
        if self.box is None or not self.box.by_reader:
            return None
        x0, y0, x1, y1 = self.box.xyxy
        clicks = [point for point in self.points if point.positive]
        kept = []
        for size, low, high, at in ((shape[0], y0, y1, [p.y for p in clicks]), (shape[1], x0, x1, [p.x for p in clicks])):
            low = -np.inf if min(at, default=low) < low else low - _GRACE_PX
            high = np.inf if max(at, default=high) > high else high + _GRACE_PX
            centres = np.arange(size) + 0.5
            kept.append((centres > low) & (centres < high))
        return ~(kept[0][:, None] & kept[1])


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
        from MyoScarSegLib.utils.device import resolve_device, resolve_precision

        self.checkpoint = checkpoint
        self.device = resolve_device(device)
        self.precision = resolve_precision(precision, self.device)
        self.cache = EmbeddingCache() if cache is None else cache
        self.prompts_at_once = PROMPTS_AT_ONCE
        self._recipe = preprocessing(checkpoint.preprocessing)
        self.window = _window(checkpoint, view)
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

    def frame(
        self,
        shape: tuple[int, int],
        pixel_spacing_mm: tuple[float, float] | None = None,
        centre: tuple[float, float] | None = None,
        prompts: Sequence[tuple[float, float, float, float]] = (),
    ) -> Frame:
        """Where a slice of ``shape`` (rows, columns) lies in this network's input; see :meth:`HeartWindow.region`."""
        if self.window is None:
            return self._recipe.frame(shape, self.side, pixel_spacing_mm)
        region = self.window.region(shape, pixel_spacing_mm, centre, prompts)
        return Frame.fit(shape, (self.side, self.side), region=region, pixel_spacing_mm=pixel_spacing_mm)

    def encode(self, image: np.ndarray, frame: Frame | None = None) -> Embedding:
        """The embedding of a slice, from the cache or computed.

        Args:
            image: ``[rows, columns]``, raw voxel values, finite.
            frame: of :meth:`frame`; that of the slice's middle if None.

        Raises:
            StudyError: ``image`` is not one slice of finite values.
            ModelError: the device ran out of memory.
        """
        import torch
        from torch.nn import functional

        if self._own:
            from MyoScarSegLib.segmentation.detail import heart_contrast
        _check_image(image)
        frame = frame or self.frame((int(image.shape[0]), int(image.shape[1])))
        key = self._key(image, frame)
        features = self.cache.get(key)
        if features is None:
            tensor = self._recipe.network_input(image, frame)[None]
            with self._lock, torch.inference_mode(), self._enough_memory():
                tensor = tensor.to(self.device, memory_format=torch.channels_last)
                # Autocast, and not weights in the half format: that keeps sums and normalisation layers in float32, without
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
        self,
        image: np.ndarray,
        boxes: Sequence[Box] = (),
        points: Sequence[Point] = (),
        mask: np.ndarray | None = None,
        *,
        pixel_spacing_mm: tuple[float, float] | None = None,
        centre: tuple[float, float] | None = None,
    ) -> Prediction:
        """Segment one slice from any combination of prompts.

        Each box is one object. A point inside a box refines that box's object, and so does a positive point a little beyond
        the nearest box (by at most a quarter of its longer side): a reader clicks there on scar that the box cut off. Positive
        points farther from all boxes are together one more object, from which all negative points take away; negative points
        outside all boxes count for every object. The result is the union.

        The sides of a box that the reader set (its source is ``user``) bound its object, with a pixel of grace; a positive click
        beyond a side opens that side. A detector's box may be exceeded.

        Args:
            image: ``[rows, columns]``, raw voxel values, finite.
            boxes: in native pixel edges; their ``slice`` is not looked at.
            points: likewise.
            mask: ``[rows, columns]`` of a previous result, bool or logits (float), as a further hint to every object.
            pixel_spacing_mm: ``(row, column)`` spacing, None if unknown.
            centre: ``(x, y)`` of the heart in native pixel edges, for a segmenter that looks at a window.

        Raises:
            PromptError: no prompt at all, only negative points, or a prompt outside the image; a mask of another shape or type.
            StudyError: ``image`` is not one slice of finite values.
            ModelError: the device ran out of memory.
        """
        _check_image(image)
        shape = (int(image.shape[0]), int(image.shape[1]))
        boxes = [check_box(box, (box.slice + 1, *shape)) for box in boxes]
        points = [check_point(point, (point.slice + 1, *shape)) for point in points]
        if mask is not None:
            _check_mask(mask, shape)
        prompts = _group(boxes, points, mask is not None)
        corners = [*(b.xyxy for b in boxes), *((p.x, p.y, p.x, p.y) for p in points)]
        if mask is not None and (of_mask := box_of_mask(mask > 0, 0)) is not None:
            corners.append(of_mask.xyxy)
        embedding = self.encode(image, self.frame(shape, pixel_spacing_mm, centre, corners))
        return self._decode(embedding, prompts, mask)

    def tissue(
        self,
        image: np.ndarray,
        *,
        pixel_spacing_mm: tuple[float, float] | None = None,
        centre: tuple[float, float] | None = None,
    ) -> np.ndarray:
        """What the network takes every pixel for, without any prompt.

        Args:
            image: ``[rows, columns]``, raw voxel values, finite.
            pixel_spacing_mm: ``(row, column)`` spacing, None if unknown.
            centre: ``(x, y)`` of the heart in native pixel edges.

        Returns:
            float32 ``[4, rows, columns]``: probabilities of background, cavity, normal myocardium and scar, on the slice's
            native grid; they add up to 1.

        Raises:
            ModelError: this segmenter has no such branch (:attr:`knows_tissue`), or the device ran out of memory.
            StudyError: ``image`` is not one slice of finite values.
        """
        import torch

        if not self._own:
            raise ModelError(f"{self.name} answers prompts only; it has no map of tissues.")
        _check_image(image)
        shape = (int(image.shape[0]), int(image.shape[1]))
        embedding = self.encode(image, self.frame(shape, pixel_spacing_mm, centre))
        with self._lock, torch.inference_mode():
            logits = self._split(embedding.features)[1][0, : len(TISSUES)].cpu()
        self._check_finite(logits)
        outside = [-OUTSIDE_LOGIT] + [OUTSIDE_LOGIT] * (len(TISSUES) - 1)
        native = np.stack([embedding.frame.logits_to_native(of, beyond) for of, beyond in zip(logits, outside, strict=True)])
        weights = np.exp(native - native.max(axis=0))
        return (weights / weights.sum(axis=0)).astype(np.float32)

    def _split(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """SAM's features, and the detail branch's output ``[1, channels, side, side]``."""
        from torch.nn import functional

        folded = features[:, EMBEDDING_CHANNELS:]
        return features[:, :EMBEDDING_CHANNELS], functional.pixel_shuffle(folded, self.side // features.shape[-1])

    def _key(self, image: np.ndarray, frame: Frame) -> EmbeddingKey:
        view = f"{frame.region} {frame.content} {frame.size} {self.precision}"
        recipe = f"{self.checkpoint.preprocessing} {NORMALISATION}"  # foreign recipes may use our normalisation too
        return EmbeddingKey(content_hash(image), self.checkpoint.sha256, recipe, view)

    @contextmanager
    def _enough_memory(self) -> Iterator[None]:
        import torch

        try:
            yield
        except RuntimeError as error:  # torch has a class of its own for CUDA's want of memory only
            if isinstance(error, torch.cuda.OutOfMemoryError) or "memory" in str(error).lower():
                remedy = "Close other programs." if self.device.type == "cpu" else "Use --device cpu."
                raise ModelError(f"{self.device} has too little memory for {self.name}. {remedy}") from error
            raise

    def _check_finite(self, *outputs: torch.Tensor) -> None:
        """A map that is not finite would count as free of scar."""
        if not all(bool(output.isfinite().all()) for output in outputs):
            raise ModelError(
                f"{self.name} gave values that are not finite (NaN or infinite). "
                "Its weights are damaged, or the precision is too low for them: try --precision float32."
            )

    def _decode(self, embedding: Embedding, prompts: Sequence[_Prompt], mask: np.ndarray | None) -> Prediction:
        import torch

        frame = embedding.frame
        hint = None if mask is None else self._hint(mask, frame)
        with self._lock, torch.inference_mode(), self._enough_memory():
            if self._dense_pe is None:
                self._dense_pe = self._model["prompt_encoder"].get_dense_pe()
            objects, logits, scores = [], [], []
            # Prompts that differ in their number of points cannot share a batch; those alike go through together.
            for alike in _alike(prompts):
                for start in range(0, len(alike), self.prompts_at_once):
                    batch = alike[start : start + self.prompts_at_once]
                    batch_logits, batch_scores = self._decode_batch(embedding.features, batch, hint, frame)
                    objects += batch
                    logits.append(batch_logits)
                    scores.append(batch_scores)
            each = torch.cat(logits).cpu()
            score = float(torch.cat(scores).min())
            self._check_finite(each, torch.cat(scores))
        beyond = [one.beyond(frame.shape) for one in objects]
        free = [n for n, pixels in enumerate(beyond) if pixels is None]
        parts = [frame.logits_to_native(each[free].amax(dim=0), OUTSIDE_LOGIT)] if free else []
        for one, pixels in zip(each, beyond, strict=True):
            if pixels is not None:
                parts.append(np.where(pixels, np.float32(OUTSIDE_LOGIT), frame.logits_to_native(one, OUTSIDE_LOGIT)))
        return Prediction(np.maximum.reduce(parts), min(max(score, 0.0), 1.0))

    def _decode_batch(
        self, features: torch.Tensor, prompts: Sequence[_Prompt], hint: torch.Tensor | None, frame: Frame
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits ``[prompts, rows, columns]`` over the input, and scores ``[prompts]``."""
        import torch
        from torch.nn import functional

        from MyoScarSegLib.segmentation.detail import prompt_maps

        count = len(prompts)
        detail = None
        if self._own:
            features, detail = self._split(features)
        corners = [None if p.box is None else frame.box_to_input(p.box.xyxy) for p in prompts]
        boxes = None
        if prompts[0].box is not None:
            boxes = self._sam_coordinates(np.stack([c for c in corners if c is not None]))
        points = None
        clicked = [np.zeros((0, 3))] * count
        if prompts[0].points:
            xy = np.stack([frame.to_input(np.array([(q.x, q.y) for q in p.points])) for p in prompts])
            kinds = np.array([[int(q.positive) for q in p.points] for p in prompts])
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
        single_click = boxes is None and hint is None and len(prompts[0].points) == 1
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
        """Pixel edges of the input to SAM's own frame, in which whole numbers are pixel centres."""
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


def _window(checkpoint: Checkpoint, view: str) -> HeartWindow | None:
    if view not in VIEWS:
        raise ModelError(f"There is no view called {view!r}. Choose one of {', '.join(VIEWS)}.")
    made_for = checkpoint.window_mm
    if made_for is not None:
        if view == "slice":
            raise ModelError(f"{checkpoint.name} was trained on windows around the heart; it cannot look at whole slices.")
        return HeartWindow(made_for, checkpoint.side)
    if view == "slice" or (view == "auto" and checkpoint.architecture != "litemedsam"):
        return None
    if checkpoint.architecture != "litemedsam":
        raise ModelError(f"{checkpoint.name} is a {checkpoint.architecture}, which looks at whole slices only. Use --view slice.")
    return _LITEMEDSAM_WINDOW


def _check_image(image: np.ndarray) -> None:
    if image.ndim != 2 or min(image.shape) < 2:
        raise StudyError(f"An array of the shape {image.shape} is no slice; a segmenter needs [rows, columns].")
    if not np.isfinite(image).all():
        raise StudyError("The slice holds values that are not finite. Correct or leave out that slice.")


def _check_mask(mask: np.ndarray, shape: tuple[int, int]) -> None:
    if mask.shape != shape:
        raise PromptError(f"The previous mask has the shape {mask.shape}, the slice {shape}.")
    if mask.dtype != bool and not np.issubdtype(mask.dtype, np.floating):
        raise PromptError(f"The previous mask must be bool, or logits as floating point numbers, not {mask.dtype}.")
    if not np.isfinite(mask).all():
        raise PromptError("The previous mask holds logits that are not finite.")


def _group(boxes: Sequence[Box], points: Sequence[Point], has_mask: bool) -> list[_Prompt]:
    """Share the points out among the objects; see :meth:`Segmenter.predict`."""
    if not boxes and not any(p.positive for p in points) and not has_mask:
        raise PromptError("There is nothing to segment: give a box, a positive point or a previous mask.")
    inside = [[_holds(box, p) for p in points] for box in boxes]
    for n, point in enumerate(points):
        if point.positive and boxes and not any(row[n] for row in inside):
            nearest = min(range(len(boxes)), key=lambda m: _beyond(boxes[m], point))
            inside[nearest][n] = _beyond(boxes[nearest], point) <= _REACH
    loose = [not any(row[n] for row in inside) for n in range(len(points))]
    negative_anywhere = [p for n, p in enumerate(points) if loose[n] and not p.positive]
    prompts = [
        _Prompt(box, (*(p for n, p in enumerate(points) if row[n]), *negative_anywhere))
        for box, row in zip(boxes, inside, strict=True)
    ]
    positive_alone = [p for n, p in enumerate(points) if loose[n] and p.positive]
    if positive_alone or not prompts:
        prompts.append(_Prompt(None, (*positive_alone, *(p for p in points if not p.positive))))
    return prompts


def _holds(box: Box, point: Point) -> bool:
    return _beyond(box, point) <= 0


def _beyond(box: Box, point: Point) -> float:
    """How far a point lies outside a box, as a share of the box's longer side; not positive inside."""
    outside = max(box.x0 - point.x, point.x - box.x1, box.y0 - point.y, point.y - box.y1)
    return outside / max(box.x1 - box.x0, box.y1 - box.y0)


def _alike(prompts: Sequence[_Prompt]) -> list[list[_Prompt]]:
    groups: dict[tuple[bool, int], list[_Prompt]] = {}
    for prompt in prompts:
        groups.setdefault((prompt.box is not None, len(prompt.points)), []).append(prompt)
    return list(groups.values())
