"""How well a segmenter does on labelled patients: with the expert's box, with a hurried one, with clicks, and end to end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.detection.heart import heart_centre_of
from MyoScarSegLib.lesions import boxes_of, lesions
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.quantification.burden import MM3_PER_ML, MYOCARDIAL_DENSITY_G_PER_ML
from MyoScarSegLib.training.datasets.labelled import LabelledSlice
from MyoScarSegLib.training.prompting import Prompting, correction, jittered

if TYPE_CHECKING:
    from MyoScarSegLib.detection import Detector
    from MyoScarSegLib.segmentation import Segmenter

# The PNG data has lost its spacing; where a mass is needed, its provenance says to take these.
_PIXEL_MM, _SLICE_MM = 1.4, 10.0
_G_PER_PIXEL = _PIXEL_MM * _PIXEL_MM * _SLICE_MM / MM3_PER_ML * MYOCARDIAL_DENSITY_G_PER_ML
_EXPERT = Prompting(jitter=0.1, jitter_px=0.0, care=(1.0, 1.0))
_MOST_SCAR_OF_NORMAL_G = 1.0
_BOOTSTRAPS = 2000


def evaluate_segmenter(
    segmenter: Segmenter,
    detector: Detector,
    slices: Iterable[LabelledSlice],
    *,
    clicks: int = 3,
    threshold: float = 0.5,
    seed: int = 0,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Segment labelled patients in four ways and compare.

    ``oracle``: a tight box per lesion; ``jittered``: each of its edges off by a normal error of 10% of the side;
    ``clicks``: the jittered box and then a correcting click at a time in the middle of the largest error;
    ``end_to_end``: the detector's boxes at its own threshold, scar-free slices and normal patients included.

    Args:
        segmenter: what is evaluated.
        detector: for ``end_to_end``, and to find the heart.
        slices: labelled slices of whole patients.
        clicks: how many corrections.
        threshold: probability from which on a pixel counts as scar.
        seed: of the jitter and the clicks.
        progress: called per patient.
        cancel: honoured between patients.

    Returns:
        Per setting: per-patient 3D Dice over the infarct patients with its mean and 95% interval (patient bootstrap), mass
        error; for ``end_to_end`` also the scar found in normal patients. JSON-ready.

    Raises:
        Cancelled: the token was set.
    """
    patients: dict[str, list[LabelledSlice]] = {}
    for labelled in slices:
        patients.setdefault(labelled.patient, []).append(labelled)
    logit = float(np.log(threshold / (1 - threshold)))
    settings = ["oracle", "jittered", *(f"clicks_{n + 1}" for n in range(clicks)), "end_to_end"]
    counts: dict[str, dict[str, np.ndarray]] = {s: {} for s in settings}
    for done, (patient, stack) in enumerate(sorted(patients.items())):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(done, len(patients), f"evaluating {patient}")
        generator = np.random.default_rng([seed, done])
        centre = heart_centre_of([s.image for s in stack], detector, None)
        for labelled in stack:
            for setting, mask in _slice_masks(segmenter, detector, labelled, centre, clicks, logit, generator).items():
                overlap = [(mask & labelled.scar).sum(), mask.sum(), labelled.scar.sum()]
                counts[setting][patient] = counts[setting].get(patient, np.zeros(3, dtype=int)) + np.array(overlap)
        segmenter.cache.clear()
    progress(len(patients), len(patients), "evaluated")
    return {setting: _figures(of_patients, setting) for setting, of_patients in counts.items()}


def _slice_masks(
    segmenter: Segmenter,
    detector: Detector,
    labelled: LabelledSlice,
    centre: tuple[float, float] | None,
    clicks: int,
    logit: float,
    generator: np.random.Generator,
) -> dict[str, np.ndarray]:
    def mask_of(boxes: Sequence[Box], points: Sequence[Point] = ()) -> np.ndarray:
        if not boxes and not any(p.positive for p in points):
            return np.zeros(labelled.scar.shape, dtype=bool)
        return segmenter.predict(labelled.image, boxes, points, centre=centre).logits >= logit

    tight = [tuple(box) for box in boxes_of(lesions(labelled.scar, smallest_px=1))]
    hurried = [Box(0, *jittered(generator, box, labelled.scar.shape, _EXPERT)) for box in tight]
    masks = {"oracle": mask_of([Box(0, *box) for box in tight]), "jittered": mask_of(hurried)}
    points: list[Point] = []
    current = masks["jittered"]
    for number in range(clicks):
        for x, y, positive in correction(generator, current, labelled.scar):
            points.append(Point(0, float(x), float(y), bool(positive)))
        current = mask_of(hurried, points)
        masks[f"clicks_{number + 1}"] = current
    masks["end_to_end"] = mask_of(detector.detect(labelled.image, slice_index=0))
    return masks


def _figures(counts: dict[str, np.ndarray], setting: str) -> dict[str, Any]:
    infarct = {p: c for p, c in counts.items() if c[2] > 0}
    dice = np.array([2 * c[0] / max(c[1] + c[2], 1) for c in infarct.values()])
    true_g = np.array([c[2] for c in infarct.values()]) * _G_PER_PIXEL
    error_g = np.array([c[1] - c[2] for c in infarct.values()]) * _G_PER_PIXEL
    figures: dict[str, Any] = {
        "patients": len(infarct),
        "dice_mean": _round(dice.mean()) if len(dice) else None,
        "dice_interval_95": _interval(dice, np.mean),
        "dice_median": _round(np.median(dice)) if len(dice) else None,
        "mass_bias_percent": _round(100 * error_g.sum() / true_g.sum()) if len(dice) else None,
        "mass_mean_absolute_error_g": _round(np.abs(error_g).mean()) if len(dice) else None,
        "per_patient_dice": {p: _round(d) for p, d in zip(infarct, dice, strict=True)},
    }
    if setting == "end_to_end":
        normal = {p: float(c[1]) * _G_PER_PIXEL for p, c in counts.items() if c[2] == 0}
        figures["scar_free_patients"] = len(normal)
        figures["scar_free_patients_at_most_1_g"] = sum(g <= _MOST_SCAR_OF_NORMAL_G for g in normal.values())
        figures["per_scar_free_patient_g"] = {p: _round(g) for p, g in normal.items()}
    return figures


def _interval(values: np.ndarray, statistic: Callable[[np.ndarray], Any]) -> list[float] | None:
    """95% interval of a statistic by drawing patients anew."""
    if len(values) < 2:
        return None
    generator = np.random.default_rng(0)
    drawn = [statistic(values[generator.integers(0, len(values), len(values))]) for _ in range(_BOOTSTRAPS)]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return [_round(low), _round(high)]


def _round(value: Any) -> float:
    return round(float(value), 4)
