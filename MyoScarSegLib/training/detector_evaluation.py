"""How well a detector finds scar and the left ventricle: figures on labelled slices, and the threshold chosen from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from MyoScarSegLib.detection.detector import Detector
from MyoScarSegLib.lesions import boxes_of, lesions
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.training.datasets.labelled import LabelledSlice
from MyoScarSegLib.training.detector_data import CLASSES

LEAST_CONFIDENCE = 0.02
FALSE_BOXES_PER_SLICE = 0.5
_HIT, _GOOD_HIT = 0.3, 0.5


@dataclass(frozen=True)
class SliceFindings:
    """What a detector finds on one labelled slice, down to :data:`LEAST_CONFIDENCE`.

    Attributes:
        labelled: the slice.
        lesions: ``[lesions, 4]`` reference boxes, pixel edges.
        scar: proposed boxes, most confident first.
        left_ventricle: likewise.
    """

    labelled: LabelledSlice
    lesions: np.ndarray
    scar: tuple[Box, ...]
    left_ventricle: tuple[Box, ...]

    @property
    def normal(self) -> bool:
        """Whether the patient is one without infarct."""
        return self.labelled.patient.startswith("N")


def find_on(detector: Detector, slices: Iterable[LabelledSlice]) -> list[SliceFindings]:
    """Run a detector on labelled slices (without pixel spacing, which the PNG data lacks)."""
    slices = list(slices)
    proposed = detector.detect_many([s.image for s in slices], confidence=LEAST_CONFIDENCE, labels=CLASSES)
    return [
        SliceFindings(
            labelled,
            boxes_of(lesions(labelled.scar)),
            tuple(b for b in boxes if b.label == "scar"),
            tuple(b for b in boxes if b.label == "lv"),
        )
        for labelled, boxes in zip(slices, proposed, strict=True)
    ]


def measure(findings: Sequence[SliceFindings], confidence: float) -> dict[str, Any]:
    """Figures at one threshold.

    A box is matched to at most one lesion, and a lesion to at most one box, most confident box first. A box is *false*
    if it is matched to no lesion at an IoU of 0.3; a second box on a lesion is false, too.

    Returns:
        JSON-ready figures; None where there is nothing to measure.
    """
    kept = [tuple(b for b in f.scar if b.confidence is not None and b.confidence > confidence) for f in findings]
    hits = [matches(f.lesions, boxes, _HIT) for f, boxes in zip(findings, kept, strict=True)]
    good = [matches(f.lesions, boxes, _GOOD_HIT) for f, boxes in zip(findings, kept, strict=True)]
    false = np.array([len(boxes) - n for boxes, n in zip(kept, hits, strict=True)])
    scarred = np.array([len(f.lesions) > 0 for f in findings], dtype=bool)
    normal = np.array([f.normal for f in findings], dtype=bool)
    areas = [(int(np.count_nonzero(f.labelled.scar)), _covered(f, boxes)) for f, boxes in zip(findings, kept, strict=True)]
    reference = sum(len(f.lesions) for f in findings)
    infarct_patients = {f.labelled.patient for f in findings if len(f.lesions)}
    found_patients = {f.labelled.patient for f, n in zip(findings, hits, strict=True) if n > 0}
    normal_patients = {f.labelled.patient for f in findings if f.normal}
    alarmed = {f.labelled.patient for f, boxes in zip(findings, kept, strict=True) if f.normal and boxes}
    return {
        "confidence": round(confidence, 3),
        "slices": len(findings),
        "slices_with_scar": int(scarred.sum()),
        "lesions": reference,
        "recall_iou_0.5": _ratio(sum(good), reference),
        "recall_iou_0.3": _ratio(sum(hits), reference),
        "slices_with_scar_found": _ratio(len([n for n in hits if n > 0]), int(scarred.sum())),
        "scar_area_covered": _ratio(sum(c for _, c in areas), sum(a for a, _ in areas)),
        "false_boxes_per_slice": _mean(false),
        "false_boxes_per_slice_with_scar": _mean(false[scarred]),
        "false_boxes_per_scar_free_slice_of_infarct_patients": _mean(false[~scarred & ~normal]),
        "false_boxes_per_slice_of_normal_patients": _mean(false[normal]),
        "infarct_patients_found": f"{len(found_patients)} of {len(infarct_patients)}",
        "normal_patients_with_a_box": f"{len(alarmed)} of {len(normal_patients)}",
        **_left_ventricle(findings),
    }


def choose_confidence(findings: Sequence[SliceFindings]) -> float:
    """The threshold with the best trade between lesions found and false boxes.

    It maximises the mean of the recalls at IoU 0.3 and 0.5 less 0.15 of the false boxes per slice and 0.15 of those per
    slice of normal patients, among the thresholds with at most :data:`FALSE_BOXES_PER_SLICE`. False boxes weigh less than
    lesions because a reader deletes a box more easily than finds a lesion.
    """
    best, chosen = -np.inf, 0.5
    for confidence in np.arange(0.03, 0.95, 0.01):
        figures = measure(findings, float(confidence))
        false = figures["false_boxes_per_slice"] or 0.0
        if false > FALSE_BOXES_PER_SLICE:
            continue
        value = (figures["recall_iou_0.3"] or 0.0) / 2 + (figures["recall_iou_0.5"] or 0.0) / 2
        value -= 0.15 * false + 0.15 * (figures["false_boxes_per_slice_of_normal_patients"] or 0.0)
        if value > best:
            best, chosen = value, float(confidence)
    return round(chosen, 2)


def matches(reference: np.ndarray, boxes: Sequence[Box], least_iou: float) -> int:
    """How many boxes can be matched one to one, most confident first, with an IoU of at least ``least_iou``.

    Args:
        reference: ``[lesions, 4]``.
        boxes: most confident first.
        least_iou: 0 to 1.
    """
    free = np.ones(len(reference), dtype=bool)
    count = 0
    for box in boxes:
        overlaps = np.where(free, iou(np.array([box.xyxy]), reference)[0], -1.0)
        if overlaps.size and overlaps.max() >= least_iou:
            free[int(overlaps.argmax())] = False
            count += 1
    return count


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes ``[n, 4]`` and ``[m, 4]``, as ``[n, m]``."""
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    opposite = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(opposite - corner, 0, None), axis=-1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1) for boxes in (a, b)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9))


def table(named: dict[str, dict[str, Any]]) -> str:
    """Figures of several sets as a Markdown table, one column per set."""
    rows = list(next(iter(named.values())))
    lines = ["| | " + " | ".join(named) + " |", "|---|" + "---|" * len(named)]
    for row in rows:
        cells = [figures.get(row) for figures in named.values()]
        text = ["-" if c is None else f"{c:.3f}" if isinstance(c, float) else str(c) for c in cells]
        lines.append(f"| {row.replace('_', ' ')} | " + " | ".join(text) + " |")
    return "\n".join(lines) + "\n"


def _covered(findings: SliceFindings, boxes: Sequence[Box]) -> int:
    """Scar pixels whose centre is in some box."""
    scar = findings.labelled.scar
    inside = np.zeros(scar.shape, dtype=bool)
    y, x = (np.arange(length) + 0.5 for length in scar.shape)
    for box in boxes:
        inside |= ((y > box.y0) & (y < box.y1))[:, None] & ((x > box.x0) & (x < box.x1))
    return int(np.count_nonzero(scar & inside))


def _left_ventricle(findings: Sequence[SliceFindings]) -> dict[str, Any]:
    """Of the most confident box of each slice; the threshold for scar does not matter here."""
    overlaps = []
    for f in findings:
        reference = boxes_of(f.labelled.left_ventricle)
        if len(reference):
            best = [b.xyxy for b in f.left_ventricle[:1]]
            overlaps.append(float(iou(np.array(best), reference).max()) if best else 0.0)
    return {
        "lv_recall_iou_0.5": _mean(np.array(overlaps) >= _GOOD_HIT),
        "lv_mean_iou": _mean(np.array(overlaps)),
    }


def _ratio(part: int, whole: int) -> float | None:
    return round(float(part / whole), 4) if whole else None


def _mean(values: np.ndarray) -> float | None:
    return round(float(np.mean(values)), 4) if len(values) else None
