"""YOLO detectors: raw slices in, boxes in native pixels out. ultralytics' own frames and scalings stay in here."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib import models
from MyoScarSegLib.detection import foreign
from MyoScarSegLib.detection.detector import LEFT_VENTRICLE, SCAR_ONLY
from MyoScarSegLib.detection.detector_checkpoint import PREPROCESSING, DetectorRecord, load_checkpoint
from MyoScarSegLib.errors import ModelError, StudyError
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.study.frame import Frame
from MyoScarSegLib.study.image_quality import quieted
from MyoScarSegLib.study.normalization import normalize
from MyoScarSegLib.utils.device import resolve_device
from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics

if TYPE_CHECKING:
    import torch
    from torch import nn

_SLICES_AT_ONCE = 16
"""Slices in one pass of the network on an accelerator. On a processor it is one: a batch is hardly quicker there, and one
slice's boxes would change in the seventh digit with the slices beside it."""
_MOST_BOXES = 50
_FOREIGN_PADDING = 114 / 255
"""What ultralytics' checkpoints are trained for."""


@dataclass(frozen=True)
class _Seen:
    """A slice as the network sees it: its index, its normalized values, and where it lies in the input."""

    index: int
    values: np.ndarray
    frame: Frame


class YoloDetector:
    """A detection network of ultralytics behind :class:`~MyoScarSegLib.detection.detector.Detector`.

    On a processor a slice gives the same boxes alone and among others. Safe to use from several threads, one after the other.
    """

    def __init__(
        self, network: nn.Module, record: DetectorRecord, *, name: str, checksum: str, preprocessing: str, device: str = "auto"
    ) -> None:
        """Take over a network; see :meth:`load` for files.

        Args:
            network: on the CPU, in evaluation mode; it is fused and moved.
            record: what its checkpoint says of it.
            name, checksum, preprocessing: as in ``Detector``.
            device: as in ``load_detector``.
        """
        import torch

        self.name = name
        self.checksum = checksum
        self.preprocessing = preprocessing
        self.record = record
        # A foreign detector of a single class, whatever its name, is one for scar: nobody loads another kind here.
        self._foreign = preprocessing == foreign.PREPROCESSING
        sole = self._foreign and len(record.classes) == 1
        self.labels = SCAR_ONLY if sole else tuple(label.lower() for label in record.classes)
        self.confidence = record.confidence
        self.device = resolve_device(device)
        fused: Any = network
        self.slices_at_once = 1 if self.device.type == "cpu" else _SLICES_AT_ONCE
        self._stride = int(fused.stride.max())
        fused.fuse(verbose=False)
        self._network: nn.Module = fused.to(self.device, memory_format=torch.channels_last)
        self._lock = threading.Lock()

    @classmethod
    def load(cls, path: Path, *, name: str, device: str = "auto", trust: bool = False) -> YoloDetector:
        """Load MyoScarSeg's own checkpoint (``.safetensors``) or one of ultralytics of the task detect.

        The latter is unpickled in full only with ``trust``, or if its checksum is published in the registry or was trusted once.

        Raises:
            ModelError: it is refused, damaged, made for another normalization, or no detector.
        """
        checksum = models.checksum_of(path)
        if path.suffix == ".safetensors":
            preprocessing, (network, record) = PREPROCESSING, load_checkpoint(path)
        else:
            known = models.registry().identify(path)
            # Only a published checksum vouches for a file; one recorded at its first use says no more than that it is the same.
            trusted = trust or models.is_trusted(checksum) or (known is not None and known.pinned)
            preprocessing, (network, record) = foreign.PREPROCESSING, foreign.load_ultralytics(path, trusted=trusted)
        return cls(network, record, name=name, checksum=checksum, preprocessing=preprocessing, device=device)

    def detect_many(
        self,
        images: Sequence[np.ndarray],
        *,
        slice_indices: Sequence[int] | None = None,
        pixel_spacing_mm: tuple[float, float] | None = None,
        confidence: float | None = None,
        labels: Sequence[str] = SCAR_ONLY,
    ) -> list[list[Box]]:
        """See :meth:`Detector.detect_many <MyoScarSegLib.detection.detector.Detector.detect_many>`."""
        indices = range(len(images)) if slice_indices is None else slice_indices
        if len(indices) != len(images):
            raise ValueError(f"{len(images)} images but {len(indices)} slice indices")
        wanted = self._classes(labels)
        confidence = self.confidence if confidence is None else float(confidence)
        if not 0 <= confidence <= 1:
            raise ModelError(f"The detector's confidence threshold must be from 0 to 1, not {confidence:g}.")
        for index, image in zip(indices, images, strict=True):
            _check_slice(image, index)
        images = [quieted(image) for image in images]
        slices = [
            _Seen(index, normalize(image), self._frame((image.shape[0], image.shape[1]), pixel_spacing_mm))
            for index, image in zip(indices, images, strict=True)
        ]
        look, scar = self.record.second_look, SCAR_ONLY[0]
        if look is None or scar not in labels:
            return self._look(slices, wanted, confidence)
        first = {**wanted, self.labels.index(LEFT_VENTRICLE): LEFT_VENTRICLE}
        del first[self.labels.index(scar)]
        found = self._look(slices, first, min(confidence, look.confidence))
        again: dict[int, _Seen] = {}
        for n, boxes in enumerate(found):
            heart = next((b for b in boxes if b.label == LEFT_VENTRICLE and _at_least(b, look.confidence)), None)
            if heart is not None:
                region = _region(heart, look.margin, pixel_spacing_mm)
                frame = Frame.fit(images[n].shape, (look.size, look.size), region=region, pixel_spacing_mm=pixel_spacing_mm)
                again[n] = _Seen(indices[n], _normalize_region(images[n], region), frame)
        scars = self._look(list(again.values()), {self.labels.index(scar): scar}, confidence)
        found = [[b for b in boxes if b.label in labels and _at_least(b, confidence)] for boxes in found]
        for n, boxes in zip(again, scars, strict=True):
            found[n] = sorted(found[n] + boxes, key=lambda b: -(b.confidence or 0.0))
        return found

    def _look(self, slices: Sequence[_Seen], wanted: dict[int, str], confidence: float) -> list[list[Box]]:
        """Run the network on each slice, frames of one size together."""
        found: list[list[Box]] = [[] for _ in slices]
        by_size: dict[tuple[int, int], list[int]] = {}
        for number, seen in enumerate(slices):
            by_size.setdefault(seen.frame.size, []).append(number)
        for numbers in by_size.values():
            for first in range(0, len(numbers), self.slices_at_once):
                chosen = numbers[first : first + self.slices_at_once]
                batch = self._batch([slices[n] for n in chosen])
                with self._lock:
                    results = _predict(self._network, batch, confidence, self.record.iou, sorted(wanted))
                for number, result in zip(chosen, results, strict=True):
                    found[number] = self._boxes(result.numpy(), slices[number], wanted)
        return found

    def _classes(self, labels: Sequence[str]) -> dict[int, str]:
        """Class number to label, for the labels asked for."""
        unknown = [label for label in labels if label not in self.labels]
        if unknown or not labels:
            known = ", ".join(self.labels[:10]) + (", ..." if len(self.labels) > 10 else "")
            raise ModelError(f"The detector {self.name} finds {known}; it cannot look for {', '.join(unknown) or 'nothing'}.")
        return {self.labels.index(label): label for label in labels}

    def _frame(self, shape: tuple[int, int], pixel_spacing_mm: tuple[float, float] | None) -> Frame:
        """Where the slice lies in the input."""
        side = (self.record.image_size, self.record.image_size)
        frame = Frame.fit(shape, side, pixel_spacing_mm=None if self._foreign else pixel_spacing_mm)
        rows, columns = (-(-length // self._stride) * self._stride for length in frame.content)
        return replace(frame, size=(rows, columns))

    def _shift(self, frame: Frame) -> tuple[int, int]:
        """``(right, down)``: how far from the top left corner the slice lies, which is in the middle for a foreign network."""
        if not self._foreign:
            return 0, 0
        return (frame.size[1] - frame.content[1]) // 2, (frame.size[0] - frame.content[0]) // 2

    def _batch(self, slices: Sequence[_Seen]) -> torch.Tensor:
        """The network's input ``[slices, channels, rows, columns]``."""
        import torch

        inputs = []
        for seen in slices:
            values = seen.frame.image_to_input(seen.values)
            if self._foreign:
                (right, down), (rows, columns) = self._shift(seen.frame), seen.frame.content
                padded = torch.full_like(values, _FOREIGN_PADDING)
                padded[down : down + rows, right : right + columns] = values[:rows, :columns]
                values = padded
            inputs.append(values)
        batch = torch.stack(inputs)[:, None].expand(-1, self.record.channels, -1, -1)
        return batch.to(self.device).contiguous(memory_format=torch.channels_last)

    def _boxes(self, result: np.ndarray, seen: _Seen, wanted: dict[int, str]) -> list[Box]:
        (rows, columns), shift = seen.frame.shape, self._shift(seen.frame)
        boxes = []
        for row in result:
            corners = row[:4].astype(np.float64) - (*shift, *shift)
            x0, y0, x1, y1 = seen.frame.box_to_native(tuple(corners)).tolist()
            x0, x1 = (min(max(x, 0.0), float(columns)) for x in (x0, x1))
            y0, y1 = (min(max(y, 0.0), float(rows)) for y in (y0, y1))
            if x1 > x0 and y1 > y0:
                boxes.append(Box(seen.index, x0, y0, x1, y1, wanted[int(row[5])], float(row[4]), self.name))
        return boxes


def _predict(network: nn.Module, batch: torch.Tensor, confidence: float, iou: float, classes: list[int]) -> list[torch.Tensor]:
    """For each image float32 ``[boxes, 6]``: x0, y0, x1, y1 in pixel edges of the input, confidence, class; most confident first.

    Raises:
        ModelError: the network's output is NaN or infinite.
    """
    import torch

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
            max_det=_MOST_BOXES,
            # ultralytics gives up after a time, which would make the result depend on the machine's load.
            max_time_img=3600.0,
            end2end=bool(getattr(network, "end2end", False)),
        )
    return [boxes.float().cpu()[boxes[:, 4].cpu().argsort(descending=True, stable=True)] for boxes in found]


def _at_least(box: Box, confidence: float) -> bool:
    return box.confidence is not None and box.confidence > confidence


def _region(heart: Box, margin: float, pixel_spacing_mm: tuple[float, float] | None) -> tuple[int, int, int, int]:
    """The region around the ventricle that is square in millimeters, in whole native pixels; it may reach beyond the slice."""
    row_mm, column_mm = pixel_spacing_mm or (1.0, 1.0)
    side = margin * max((heart.x1 - heart.x0) * column_mm, (heart.y1 - heart.y0) * row_mm)
    width, height = max(2, round(side / column_mm)), max(2, round(side / row_mm))
    x0, y0 = round((heart.x0 + heart.x1 - width) / 2), round((heart.y0 + heart.y1 - height) / 2)
    return x0, y0, x0 + width, y0 + height


def _normalize_region(image: np.ndarray, region: tuple[int, int, int, int]) -> np.ndarray:
    """The slice with the region normalized by itself, and 0 elsewhere."""
    x0, y0, x1, y1 = region
    inside = np.s_[max(y0, 0) : y1, max(x0, 0) : x1]
    values = np.zeros(image.shape, dtype=np.float32)
    values[inside] = normalize(image[inside])
    return values


def _check_slice(image: np.ndarray, index: int) -> None:
    if image.ndim != 2 or min(image.shape) < 2:
        raise StudyError(f"Slice {index} has the shape {image.shape}; a detector needs [rows, columns].")
    if not np.isfinite(image).all():
        raise StudyError(f"Slice {index} holds values that are not finite. Correct or leave out that slice.")
