"""How a detector's boxes err: measured on labelled slices, so that training prompts can err likewise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.files import read_json, write_json
from MyoScarSegLib.lesions import boxes_of, lesions
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.training.datasets.labelled import LabelledSlice

if TYPE_CHECKING:
    from MyoScarSegLib.detection.detector import Detector

FORMAT_VERSION = 1
LEAST_IOU = 0.1
"""A box with less overlap than this is not about the lesion. Low on purpose: poor boxes are prompts, too."""

_COVERED = 0.5
_BATCH = 16
_DIGITS = 4
_SHARES = ("missed", "split", "merged")
_COUNTS = ("slices", "lesions", "boxes", "boxes_among_several")


@dataclass(frozen=True, eq=False)
class BoxErrors:
    """How a detector's boxes differ from the tight boxes around labelled lesions.

    Measured on patients whom the detector was not trained on; on its own training patients it errs less than at use.

    Attributes:
        edges: float64 ``[found, 4]``: per found lesion how far the box's left, top, right and bottom edge lie *outside* the
            lesion's (negative: inside), as a share of the lesion's width (left, right) or height (top, bottom).
        sizes: float64 ``[found]``: the found lesions' sizes, as a share of the ventricle's (each the geometric mean of width
            and height); NaN where the ventricle is not labelled. Small lesions are boxed with larger relative errors.
        missed: share of the lesions without a box.
        split: share of the lesions with two or more boxes, each at least half in the lesion's own box.
        merged: of the boxes on slices with several lesions, the share that holds at least half of two lesions' boxes.
        false_per_slice: mean number of boxes per slice that are about no lesion; second boxes on a lesion are not false.
        false_boxes: float64 ``[false, 4]``: of the false boxes on slices whose ventricle is labelled the middle, as
            ``(x, y)`` from the ventricle's middle, and the size ``(width, height)``, all as shares of the ventricle's.
        slices, lesions, boxes, boxes_among_several: how many all this was counted on; the last are boxes on slices with
            several lesions.
        detector, checksum, confidence: which detector, the SHA-256 of its checkpoint, and the threshold it was used with.

    Raises:
        ModelError: a value makes no sense, or no lesion was found.
    """

    edges: np.ndarray
    sizes: np.ndarray
    missed: float
    split: float
    merged: float
    false_per_slice: float
    false_boxes: np.ndarray
    slices: int
    lesions: int
    boxes: int
    boxes_among_several: int
    detector: str = ""
    checksum: str = ""
    confidence: float | None = None

    def __post_init__(self) -> None:
        if self.edges.ndim != 2 or self.edges.shape[1] != 4 or not np.isfinite(self.edges).all():
            raise ModelError(f"Box errors need the finite errors of four edges per lesion, not an array {self.edges.shape}.")
        if len(self.edges) == 0:
            raise ModelError(
                f"The detector {self.detector} found none of {self.lesions} lesions, so its boxes' errors cannot be measured. "
                "Lower the confidence, or measure on more slices with scar."
            )
        if (self.edges[:, :2] + self.edges[:, 2:] <= -1).any():
            raise ModelError("Box errors hold a box without area: opposite edges lie further inside than the box is wide.")
        if self.sizes.shape != self.edges.shape[:1] or np.isinf(self.sizes).any() or (self.sizes <= 0).any():
            raise ModelError("Box errors need one size above 0 per found lesion.")
        boxes = self.false_boxes
        if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all() or (boxes[:, 2:] <= 0).any():
            raise ModelError("The false boxes of box errors need a finite middle and a size above 0 each.")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ModelError(f"The share {name!r} of box errors must be from 0 to 1, not {getattr(self, name)}.")
        if not (math.isfinite(self.false_per_slice) and self.false_per_slice >= 0):
            raise ModelError(f"The false boxes per slice must be a number from 0 up, not {self.false_per_slice}.")
        if min(getattr(self, name) for name in _COUNTS) < 0 or not len(self.edges) <= self.lesions:
            raise ModelError("The counts of box errors contradict each other.")

    def to_json(self) -> dict[str, Any]:
        """The errors as a JSON object."""
        return {
            "version": FORMAT_VERSION,
            "detector": self.detector,
            "checksum": self.checksum,
            "confidence": self.confidence,
            **{name: getattr(self, name) for name in _COUNTS},
            **{name: round(float(getattr(self, name)), _DIGITS) for name in (*_SHARES, "false_per_slice")},
            "edges": np.round(self.edges, _DIGITS).tolist(),
            "sizes": [None if math.isnan(size) else round(float(size), _DIGITS) for size in self.sizes],
            "false_boxes": np.round(self.false_boxes, _DIGITS).tolist(),
        }

    @classmethod
    def from_json(cls, document: Any, where: str = "The document") -> BoxErrors:
        """Errors as :meth:`to_json` gave them; ``where`` names their place in messages.

        Raises:
            ModelError: it is no such document, of another version, or its values make no sense.
        """
        if not isinstance(document, dict) or "edges" not in document:
            raise ModelError(f"{where} holds no box errors: it needs an object with the edges' errors.")
        version = document.get("version")
        if version != FORMAT_VERSION:
            raise ModelError(f"{where} has version {version!r} of box errors; this program reads version {FORMAT_VERSION}.")
        try:
            confidence = document.get("confidence")
            return cls(
                edges=_table(document["edges"], 4),
                sizes=np.array([math.nan if size is None else float(size) for size in document["sizes"]], dtype=np.float64),
                missed=float(document["missed"]),
                split=float(document["split"]),
                merged=float(document["merged"]),
                false_per_slice=float(document["false_per_slice"]),
                false_boxes=_table(document["false_boxes"], 4),
                **{name: int(document[name]) for name in _COUNTS},
                detector=str(document.get("detector", "")),
                checksum=str(document.get("checksum", "")),
                confidence=None if confidence is None else float(confidence),
            )
        except ModelError as error:
            raise ModelError(f"{where} cannot be used. {error}") from error
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"{where} holds no box errors that can be used: {error!r}.") from error

    def write(self, path: Path) -> None:
        """Write them as JSON, atomically.

        Raises:
            OutputError: the file cannot be written.
        """
        write_json(path, self.to_json())

    @classmethod
    def read(cls, path: Path) -> BoxErrors:
        """Read what :meth:`write` wrote.

        Raises:
            ModelError: it cannot be read; see :meth:`from_json`.
        """
        return cls.from_json(read_json(path, ModelError), str(path))

    @classmethod
    def joined(cls, parts: Sequence[BoxErrors]) -> BoxErrors:
        """The errors of several measurements in one, for example of each fold's detector on the patients it never saw.

        Raises:
            ModelError: there are none.
        """
        if not parts:
            raise ModelError("There are no box errors to join.")
        counts = {name: sum(getattr(part, name) for part in parts) for name in _COUNTS}

        def mean(value: str, of: str) -> float:
            return sum(getattr(part, value) * getattr(part, of) for part in parts) / max(counts[of], 1)

        confidences = {part.confidence for part in parts}
        return cls(
            edges=np.concatenate([part.edges for part in parts]),
            sizes=np.concatenate([part.sizes for part in parts]),
            missed=mean("missed", "lesions"),
            split=mean("split", "lesions"),
            merged=mean("merged", "boxes_among_several"),
            false_per_slice=mean("false_per_slice", "slices"),
            false_boxes=np.concatenate([part.false_boxes for part in parts]),
            **counts,
            detector=", ".join(dict.fromkeys(part.detector for part in parts)),
            checksum=", ".join(dict.fromkeys(part.checksum for part in parts)),
            confidence=confidences.pop() if len(confidences) == 1 else None,
        )


def measure_box_errors(
    detector: Detector,
    slices: Iterable[LabelledSlice],
    *,
    confidence: float | None = None,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> BoxErrors:
    """Run a detector on labelled slices and compare its boxes for scar with the tight boxes of the lesions.

    Args:
        detector: the detector.
        slices: labelled slices, best of patients it was not trained on; scar-free ones included.
        confidence: keep boxes above it; None for the detector's own threshold. A low one shows more, and worse, boxes.
        progress: called before each batch of slices and at the end.
        cancel: honoured before each batch.

    Raises:
        ModelError: no lesion is found, or ``confidence`` is not within 0 to 1.
        StudyError: a slice is not finite.
        Cancelled: the token was set.
    """
    slices = list(slices)
    used = detector.confidence if confidence is None else confidence
    tally = _Tally()
    # A detector takes one spacing per call.
    by_spacing: dict[tuple[float, float] | None, list[LabelledSlice]] = {}
    for labelled in slices:
        by_spacing.setdefault(labelled.pixel_spacing_mm, []).append(labelled)
    done = 0
    for spacing, alike in by_spacing.items():
        for first in range(0, len(alike), _BATCH):
            if cancel is not None:
                cancel.raise_if_cancelled()
            progress(done, len(slices), "Measuring the detector's errors")
            batch = alike[first : first + _BATCH]
            found = detector.detect_many([s.image for s in batch], pixel_spacing_mm=spacing, confidence=used)
            for labelled, boxes in zip(batch, found, strict=True):
                tally.add(labelled, np.array([box.xyxy for box in boxes], dtype=np.float64).reshape(-1, 4))
            done += len(batch)
    progress(done, len(slices), "Measured the detector's errors")
    return tally.errors(detector.name, detector.checksum, used)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes ``[n, 4]`` and ``[m, 4]``, as ``[n, m]``."""
    shared = _shared(a, b)
    return np.asarray(shared / np.maximum(_areas(a)[:, None] + _areas(b)[None] - shared, 1e-9))


def matched(reference: np.ndarray, boxes: np.ndarray, least_iou: float) -> list[tuple[int, int]]:
    """Match boxes to lesions, each to at most one, the most confident box first and each to the lesion it overlaps most.

    Args:
        reference: ``[lesions, 4]``.
        boxes: ``[boxes, 4]``, most confident first.
        least_iou: smallest overlap of a match, 0 to 1.

    Returns:
        Pairs (number of the box, number of the lesion).
    """
    free = np.ones(len(reference), dtype=bool)
    pairs = []
    for number, row in enumerate(iou(boxes, reference)):
        overlaps = np.where(free, row, -1.0)
        if overlaps.size and overlaps.max() >= least_iou:
            best = int(overlaps.argmax())
            free[best] = False
            pairs.append((number, best))
    return pairs


class _Tally:
    """What has been counted so far."""

    def __init__(self) -> None:
        self.edges: list[np.ndarray] = []
        self.sizes: list[float] = []
        self.false_boxes: list[np.ndarray] = []
        self.split = self.merged = self.false = self.slices = self.lesions = self.boxes = self.among_several = 0

    def add(self, labelled: LabelledSlice, boxes: np.ndarray) -> None:
        """Count one slice; ``boxes`` ``[boxes, 4]``, most confident first."""
        reference = boxes_of(lesions(labelled.scar))
        ventricles = boxes_of(labelled.left_ventricle) if labelled.wall_known else np.zeros((0, 4))
        ventricle = ventricles[0] if len(ventricles) else None
        self.slices += 1
        self.lesions += len(reference)
        self.boxes += len(boxes)
        pairs = matched(reference, boxes, LEAST_IOU)
        for box, lesion in pairs:
            width, height = reference[lesion, 2:] - reference[lesion, :2]
            outward = (boxes[box] - reference[lesion]) * (-1, -1, 1, 1)
            self.edges.append(outward / (width, height, width, height))
            self.sizes.append(math.nan if ventricle is None else math.sqrt(width * height / _areas(ventricle[None])[0]))
        shared = _shared(boxes, reference)
        within = shared >= _COVERED * _areas(boxes)[:, None]
        holding = shared >= _COVERED * _areas(reference)[None]
        self.split += int(np.count_nonzero(within.sum(axis=0) >= 2))
        if len(reference) > 1:
            self.among_several += len(boxes)
            self.merged += int(np.count_nonzero(holding.sum(axis=1) >= 2))
        about = (iou(boxes, reference) >= LEAST_IOU) | within | holding
        for box in boxes[~about.any(axis=1)]:
            self.false += 1
            if ventricle is not None:
                side = ventricle[2:] - ventricle[:2]
                middle = (box[:2] + box[2:] - ventricle[:2] - ventricle[2:]) / 2
                self.false_boxes.append(np.concatenate([middle / side, (box[2:] - box[:2]) / side]))

    def errors(self, detector: str, checksum: str, confidence: float) -> BoxErrors:
        """The result."""
        return BoxErrors(
            edges=np.array(self.edges, dtype=np.float64).reshape(-1, 4),
            sizes=np.array(self.sizes, dtype=np.float64),
            missed=(self.lesions - len(self.edges)) / max(self.lesions, 1),
            split=self.split / max(self.lesions, 1),
            merged=self.merged / max(self.among_several, 1),
            false_per_slice=self.false / max(self.slices, 1),
            false_boxes=np.array(self.false_boxes, dtype=np.float64).reshape(-1, 4),
            slices=self.slices,
            lesions=self.lesions,
            boxes=self.boxes,
            boxes_among_several=self.among_several,
            detector=detector,
            checksum=checksum,
            confidence=confidence,
        )


def _shared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Area that boxes ``[n, 4]`` and ``[m, 4]`` share, ``[n, m]``."""
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    opposite = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.prod(np.clip(opposite - corner, 0, None), axis=-1))


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1))


def _table(rows: Any, columns: int) -> np.ndarray:
    table = np.array(rows, dtype=np.float64)
    return table if table.size else np.zeros((0, columns))
