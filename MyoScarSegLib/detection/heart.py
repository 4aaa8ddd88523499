"""Where the heart is: the centre of the left ventricle over a whole study."""

from __future__ import annotations

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
    """The middle of the left ventricle, as the median over the slices of its most confident box.

    Args:
        study: the study.
        detector: one that knows the label ``lv``.

    Returns:
        ``(x, y)`` in native pixel edges, None if no slice shows a left ventricle.
    """
    centres = []
    for index in range(study.slices):
        if index in study.bad_slices:
            continue
        found = detector.detect(
            study.voxels[index],
            slice_index=index,
            pixel_spacing_mm=study.geometry.pixel_spacing_mm,
            confidence=_LEAST_CONFIDENCE,
            labels=(LEFT_VENTRICLE,),
        )
        if found:
            best = found[0]
            centres.append(((best.x0 + best.x1) / 2, (best.y0 + best.y1) / 2))
    if not centres:
        return None
    x, y = np.median(np.array(centres), axis=0)
    return float(x), float(y)
