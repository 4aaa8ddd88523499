"""Where the heart is: the centre of the left ventricle over a whole study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.study.study import Study

if TYPE_CHECKING:
    from MyoScarSegLib.detection.detector import Detector

LEFT_VENTRICLE = "lv"
_LEAST_CONFIDENCE = 0.25


def heart_detector(detector: Detector | None, device: str) -> Detector:
    """``detector`` if it knows the left ventricle, else the default detector, which does.

    Raises:
        ModelError: the default detector cannot be loaded.
    """
    if detector is not None and LEFT_VENTRICLE in detector.labels:
        return detector
    from MyoScarSegLib.detection import load_detector

    return load_detector(None, device=device)


def heart_centre(study: Study, detector: Detector) -> tuple[float, float] | None:
    """The middle of a study's left ventricle; see :func:`heart_centre_of`."""
    usable = [study.voxels[k] for k in range(study.slices) if k not in study.bad_slices]
    return heart_centre_of(usable, detector, study.geometry.pixel_spacing_mm)


def heart_centre_of(
    images: Sequence[np.ndarray], detector: Detector, pixel_spacing_mm: tuple[float, float] | None
) -> tuple[float, float] | None:
    """The middle of the left ventricle, as the median over the slices of its most confident box.

    Args:
        images: slices ``[rows, columns]`` of one stack, raw values.
        detector: one that knows the label ``lv``.
        pixel_spacing_mm: ``(row, column)`` spacing if known.

    Returns:
        ``(x, y)`` in native pixel edges, None if no slice shows a left ventricle.
    """
    found = detector.detect_many(
        images, pixel_spacing_mm=pixel_spacing_mm, confidence=_LEAST_CONFIDENCE, labels=(LEFT_VENTRICLE,)
    )
    best = [boxes[0] for boxes in found if boxes]
    if not best:
        return None
    x, y = np.median([((b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2) for b in best], axis=0)
    return float(x), float(y)
