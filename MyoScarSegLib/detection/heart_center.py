"""Where the heart is: the center of the left ventricle over a whole study."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import numpy as np

from MyoScarSegLib.detection.detector import LEFT_VENTRICLE, Detector, detect_slices, load_detector
from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

HEART_CONFIDENCE = 0.25
"""Boxes of the left ventricle above it count."""
_log = logging.getLogger(__name__)


def heart_detector(detector: Detector | None, device: str) -> Detector:
    """``detector`` if it knows the left ventricle, else the default detector, which does.

    Raises:
        ModelError: the default detector cannot be loaded.
    """
    if detector is not None and LEFT_VENTRICLE in detector.labels:
        return detector
    return load_detector(None, device=device)


def heart_center(boxes_of_slices: Iterable[Iterable[Box]]) -> tuple[float, float] | None:
    """The middle of the left ventricle, as the median over the slices of its most confident box.

    Args:
        boxes_of_slices: what a detector found on each slice, most confident first; only boxes of the left ventricle count.

    Returns:
        ``(x, y)`` in native pixel edges, None if no slice shows a left ventricle.
    """
    centers = []
    for boxes in boxes_of_slices:
        best = next((b for b in boxes if b.label == LEFT_VENTRICLE and (b.confidence or 0.0) > HEART_CONFIDENCE), None)
        if best is not None:
            centers.append(((best.x0 + best.x1) / 2, (best.y0 + best.y1) / 2))
    if not centers:
        return None
    x, y = np.median(np.array(centers), axis=0)
    return float(x), float(y)


def find_heart(
    images: Mapping[int, np.ndarray],
    detector: Detector,
    pixel_spacing_mm: tuple[float, float] | None,
    *,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> tuple[float, float] | None:
    """Look for the left ventricle alone; see :func:`heart_center` for what comes back.

    Args:
        images: slices ``[rows, columns]`` of one stack by their index, raw values.
        detector: one that knows the label ``lv``.
        pixel_spacing_mm: ``(row, column)`` spacing if known.
        progress: called before each step and at the end.
        cancel: honored before each step.

    Raises:
        ModelError: the detector failed on every slice.
        Cancelled: ``cancel`` was set.
    """
    found = detect_slices(
        detector,
        images,
        pixel_spacing_mm=pixel_spacing_mm,
        confidence=HEART_CONFIDENCE,
        labels=(LEFT_VENTRICLE,),
        what="Looking for the heart",
        progress=progress,
        cancel=cancel,
    )
    if found.cancelled:
        raise Cancelled
    for index, error in found.failed.items():
        _log.warning("The heart could not be looked for on slice %d: %s", index, error)
    if found.failed and not found.boxes:
        reason = next(iter(found.failed.values()))
        raise ModelError(f"The detector {detector.name} could not look for the heart on any slice: {reason}") from reason
    return heart_center(found.boxes.values())
