"""How well a detector finds scar and the left ventricle: figures on labeled slices, and the threshold chosen from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.detection.detector import CLASSES, Detector, load_detector
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.lesions import boxes_of, lesions
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.training.card import markdown_table
from MyoScarSegLib.training.datasets.labeled import LabeledSlice, labeled_phantoms
from MyoScarSegLib.training.evaluation.statistics import interval, ratio
from MyoScarSegLib.training.reader_prompts import inside
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress, steps

LEAST_CONFIDENCE = 0.02
TEST_PHANTOM_SEED = 900_001
TEST_PHANTOMS = 60
FALSE_BOXES_PER_SLICE = 0.4
_NEARLY = 0.01
_HIT, _GOOD_HIT = 0.3, 0.5
_SLICES_AT_ONCE = 32


@dataclass(frozen=True)
class SliceFindings:
    """What a detector finds on one labeled slice, down to :data:`LEAST_CONFIDENCE`.

    Attributes:
        labeled: the slice.
        lesions: ``[lesions, 4]`` reference boxes, pixel edges.
        scar: proposed boxes, most confident first.
        left_ventricle: likewise.
    """

    labeled: LabeledSlice
    lesions: np.ndarray
    scar: tuple[Box, ...]
    left_ventricle: tuple[Box, ...]

    @classmethod
    def of(cls, labeled: LabeledSlice, boxes: Iterable[Box]) -> SliceFindings:
        """Sort the boxes found on a slice by what they are said to show."""
        boxes = tuple(boxes)
        scar, ventricle = (tuple(b for b in boxes if b.label == label) for label in CLASSES)
        return cls(labeled, boxes_of(lesions(labeled.scar, labeled.pixel_spacing_mm)), scar, ventricle)


def evaluate(
    detector: str | Path,
    slices: Sequence[LabeledSlice],
    split: Split,
    *,
    confidence: float | None = None,
    device: str = "cpu",
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> dict[str, dict[str, Any]]:
    """Figures of a detector on the validation patients, the training patients, and phantoms that it has not seen.

    ``confidence`` is the threshold; None for the detector's own.
    """
    loaded = own_detector(detector, device)
    threshold = loaded.confidence if confidence is None else confidence
    sets = {
        "validation": [s for s in slices if s.patient in set(split.validation)],
        "training": [s for s in slices if s.patient in set(split.training)],
        "phantoms": labeled_phantoms(TEST_PHANTOM_SEED, TEST_PHANTOMS),
    }
    return {
        name: measure(find_on(loaded, chosen, progress=progress, cancel=cancel), threshold)
        for name, chosen in sets.items()
        if chosen
    }


def own_detector(name_or_path: str | Path, device: str = "cpu") -> Detector:
    """A detector of scar and left ventricle."""
    loaded = load_detector(name_or_path, device=device)
    if loaded.labels != CLASSES:
        raise ModelError(f"{name_or_path} finds {', '.join(loaded.labels)}, not {' and '.join(CLASSES)}.")
    return loaded


def find_on(
    detector: Detector,
    slices: Iterable[LabeledSlice],
    *,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> list[SliceFindings]:
    """Run a detector on labeled slices."""
    slices = list(slices)
    by_spacing: dict[tuple[float, float] | None, list[int]] = {}
    for number, labeled in enumerate(slices):
        by_spacing.setdefault(labeled.pixel_spacing_mm, []).append(number)
    groups = [of[first : first + _SLICES_AT_ONCE] for of in by_spacing.values() for first in range(0, len(of), _SLICES_AT_ONCE)]
    results: dict[int, SliceFindings] = {}
    for group in steps(groups, lambda _: "Looking for scar on labeled slices", progress, cancel):
        images, spacing = [slices[n].image for n in group], slices[group[0]].pixel_spacing_mm
        proposed = detector.detect_many(images, pixel_spacing_mm=spacing, confidence=LEAST_CONFIDENCE, labels=CLASSES)
        results |= {n: SliceFindings.of(slices[n], boxes) for n, boxes in zip(group, proposed, strict=True)}
    return [results[n] for n in range(len(slices))]


def measure(findings: Sequence[SliceFindings], confidence: float) -> dict[str, Any]:
    """Figures of whole patients at one threshold, JSON-ready, None where there is nothing to measure: boxes above it count.

    A box is matched to at most one lesion, and a lesion to at most one box, most confident box first. A box is *false* if it is
    matched to no lesion at an IoU of 0.3; a second box on a lesion is false, too. A patient without any lesion in these slices is
    *normal*. ``..._interval_95`` is the interval of the figure before it, by drawing patients anew.
    """
    counts = {**_counts(findings, confidence), **_ventricle_counts(findings)}
    normal = _normal(findings)
    kept = [_kept(f, confidence) for f in findings]
    alarmed = {f.labeled.patient for f, boxes in zip(findings, kept, strict=True) if boxes} & normal
    hits = counts["recall_iou_0.3"][:, 0]
    found = {f.labeled.patient for f, n in zip(findings, hits, strict=True) if n > 0}
    infarct = {f.labeled.patient for f in findings} - normal
    return {
        "confidence": round(confidence, 3),
        "slices": len(findings),
        "slices_with_scar": sum(len(f.lesions) > 0 for f in findings),
        "lesions": sum(len(f.lesions) for f in findings),
        **_with_intervals([f.labeled.patient for f in findings], counts),
        "infarct_patients_found": f"{len(found)} of {len(infarct)}",
        "normal_patients_with_a_box": f"{len(alarmed)} of {len(normal)}",
    }


def _counts(findings: Sequence[SliceFindings], confidence: float) -> dict[str, np.ndarray]:
    """The figures of scar that are ratios of sums over slices: ``[slices, 2]``, what is counted and of how many."""
    normal_patients = _normal(findings)
    rows = []
    for f in findings:
        boxes = _kept(f, confidence)
        hits, scarred = matches(f.lesions, boxes, _HIT), len(f.lesions) > 0
        normal, false = f.labeled.patient in normal_patients, len(boxes) - hits
        beside = not scarred and not normal
        rows.append({
            "recall_iou_0.5": (matches(f.lesions, boxes, _GOOD_HIT), len(f.lesions)),
            "recall_iou_0.3": (hits, len(f.lesions)),
            "slices_with_scar_found": (hits > 0, scarred),
            "scar_area_covered": (_covered(f, boxes), int(np.count_nonzero(f.labeled.scar))),
            "false_boxes_per_slice": (false, 1),
            "false_boxes_per_slice_with_scar": (false * scarred, scarred),
            "false_boxes_per_scar_free_slice_of_infarct_patients": (false * beside, beside),
            "false_boxes_per_slice_of_normal_patients": (false * normal, normal),
        })  # fmt: skip
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}


def _ventricle_counts(findings: Sequence[SliceFindings]) -> dict[str, np.ndarray]:
    """As :func:`_counts`, of the most confident ventricle where it is labeled; the threshold for scar does not matter here."""
    overlaps, labeled = np.zeros(len(findings)), np.zeros(len(findings), dtype=bool)
    for number, f in enumerate(findings):
        reference = boxes_of(f.labeled.left_ventricle) if f.labeled.wall_known else np.zeros((0, 4))
        labeled[number] = len(reference) > 0
        if len(reference) and f.left_ventricle:
            overlaps[number] = iou(np.array([f.left_ventricle[0].xyxy]), reference).max()
    return {
        "lv_recall_iou_0.5": np.stack([overlaps >= _GOOD_HIT, labeled], axis=1).astype(np.float64),
        "lv_mean_iou": np.stack([overlaps, labeled], axis=1).astype(np.float64),
    }


def _kept(findings: SliceFindings, confidence: float) -> tuple[Box, ...]:
    return tuple(b for b in findings.scar if b.confidence is not None and b.confidence > confidence)


def _normal(findings: Sequence[SliceFindings]) -> set[str]:
    """Patients without any lesion."""
    return {f.labeled.patient for f in findings} - {f.labeled.patient for f in findings if len(f.lesions)}


def _with_intervals(patients: Sequence[str], counts: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The ratios, each with its patient-bootstrap interval; None for an interval of fewer than two patients."""
    names, of_slice = np.unique(np.array(patients), return_inverse=True)
    figures: dict[str, Any] = {}
    for name, pairs in counts.items():
        sums = np.zeros((len(names), 2))
        np.add.at(sums, of_slice, pairs)
        counted = sums[sums[:, 1] > 0]
        limits = interval(counted, ratio)
        figures[name] = _ratio(*pairs.sum(axis=0))
        figures[f"{name}_interval_95"] = None if limits is None else [round(limit, 4) for limit in limits]
    return figures


def choose_confidence(findings: Sequence[SliceFindings]) -> float:
    """The threshold with the best trade between lesions found and false boxes; of those nearly as good, the lowest.

    The trade is the mean of the recalls at IoU 0.3 and 0.5 less 0.15 of the false boxes per slice and 0.15 of those per slice of
    normal patients, among the thresholds with at most :data:`FALSE_BOXES_PER_SLICE`: a reader deletes a box more easily than
    finds a lesion. Its maximum is flat, and where it lies is chance: the same training in two installations had it at 0.07 and
    0.10, with recalls of 0.57 and 0.41; so within 0.01 of the best the lowest is taken, 0.07 for both. Where all have too many
    false boxes, it is the highest.
    """
    values: dict[float, float] = {}
    thresholds = [round(float(confidence), 2) for confidence in np.arange(0.03, 0.95, 0.01)]
    for confidence in thresholds:
        figures = {name: _ratio(*counts.sum(axis=0)) for name, counts in _counts(findings, confidence).items()}
        false = figures["false_boxes_per_slice"] or 0.0
        if false > FALSE_BOXES_PER_SLICE:
            continue
        value = (figures["recall_iou_0.3"] or 0.0) / 2 + (figures["recall_iou_0.5"] or 0.0) / 2
        values[confidence] = value - 0.15 * false - 0.15 * (figures["false_boxes_per_slice_of_normal_patients"] or 0.0)
    if not values:
        return thresholds[-1]
    best = max(values.values())
    return min(confidence for confidence, value in values.items() if value >= best - _NEARLY)


def matches(reference: np.ndarray, boxes: Sequence[Box], least_iou: float) -> int:
    """How many boxes, most confident first, match one to one ``reference`` boxes ``[lesions, 4]`` at this IoU."""
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
    rows = []
    for name in (name for name in next(iter(named.values())) if not name.endswith("_interval_95")):
        cells = [figures.get(name) for figures in named.values()]
        text = ("-" if c is None else f"{c:.3f}" if isinstance(c, float) else str(c) for c in cells)
        rows.append((name.replace("_", " "), *text))
    return markdown_table(("", *named), rows) + "\n"


def _covered(findings: SliceFindings, boxes: Sequence[Box]) -> int:
    """Scar pixels whose center is in some box."""
    scar = findings.labeled.scar
    held = np.zeros(scar.shape, dtype=bool)
    for box in boxes:
        held |= inside(box.xyxy, scar.shape)
    return int(np.count_nonzero(scar & held))


def _ratio(part: float, whole: float) -> float | None:
    return round(float(part / whole), 4) if whole else None
