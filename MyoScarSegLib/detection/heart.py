"""Where the heart is: the centre of the left ventricle over a whole study."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

if TYPE_CHECKING:
    from MyoScarSegLib.detection.detector import Detector

LEFT_VENTRICLE = "lv"
_LEAST_CONFIDENCE = 0.25
_WHAT = "Looking for the heart"
_log = logging.getLogger(__name__)


def heart_detector(detector: Detector | None, device: str) -> Detector:
    """``detector`` if it knows the left ventricle, else the default detector, which does.

    Raises:
        ModelError: the default detector cannot be loaded.
    """
    if detector is not None and LEFT_VENTRICLE in detector.labels:
        return detector
    from MyoScarSegLib.detection import load_detector

    return load_detector(None, device=device)


def heart_centre(
    study: Study, detector: Detector, *, progress: Progress = no_progress, cancel: CancelToken | None = None
) -> tuple[float, float] | None:
    """The middle of a study's left ventricle; see :func:`heart_centre_of`."""
    usable = [study.voxels[k] for k in range(study.slices) if k not in study.bad_slices]
    return heart_centre_of(usable, detector, study.geometry.pixel_spacing_mm, progress=progress, cancel=cancel)


def heart_centre_of(
    images: Sequence[np.ndarray],
    detector: Detector,
    pixel_spacing_mm: tuple[float, float] | None,
    *,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> tuple[float, float] | None:
    """The middle of the left ventricle, as the median over the slices of its most confident box.

    Args:
        images: slices ``[rows, columns]`` of one stack, raw values.
        detector: one that knows the label ``lv``.
        pixel_spacing_mm: ``(row, column)`` spacing if known.
        progress: called before each slice and at the end.
        cancel: honoured before each slice.

    Returns:
        ``(x, y)`` in native pixel edges, None if no slice shows a left ventricle.

    Raises:
        ModelError: the detector failed on every slice.
        Cancelled: ``cancel`` was set.
    """
    centres: list[tuple[float, float]] = []
    failures: list[Exception] = []
    for index, image in enumerate(images):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(index, len(images), _WHAT)
        try:
            found = detector.detect(
                image,
                slice_index=index,
                pixel_spacing_mm=pixel_spacing_mm,
                confidence=_LEAST_CONFIDENCE,
                labels=(LEFT_VENTRICLE,),
            )
        except Exception as error:  # whatever a network's library raises on one slice: the others show the heart too
            _log.warning("The heart could not be looked for on one slice: %s", error)
            failures.append(error)
            continue
        if found:
            best = found[0]
            centres.append(((best.x0 + best.x1) / 2, (best.y0 + best.y1) / 2))
    progress(len(images), len(images), _WHAT)
    if failures and len(failures) == len(images):
        raise ModelError(f"The detector {detector.name} could not look for the heart on any slice: {failures[0]}") from failures[
            0
        ]
    if not centres:
        return None
    x, y = np.median(np.array(centres), axis=0)
    return float(x), float(y)
