"""Where the left ventricle is in slices whose wall nobody labeled: what a detector that knows it already says."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from MyoScarSegLib.detection.detector import Detector
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.yolo.samples import DetectorSample
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

_LEAST_CONFIDENCE = 0.25
_VENTRICLE = "lv"
_WHAT = "Looking for the ventricle where it is not labeled"
_log = logging.getLogger(__name__)
Corners = tuple[float, float, float, float]


def prepare(
    slices: Sequence[LabeledSlice],
    size: int,
    detector: Detector | None,
    *,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> list[DetectorSample]:
    """Samples for the training of a detector.

    Where only scar is labeled, the ventricle is the most confident box of ``detector`` there, or, on a slice with scar
    where it finds none, the median of those in the same stack: so that training keeps what the detector knows of the
    ventricle. Slices with scar of stacks in which it finds none are left out: they would teach that there is none.

    Args:
        slices: the labeled slices.
        size: longest side of the detector's input.
        detector: one that knows the ventricle; needed only where a wall is not labeled.
        progress, cancel: as everywhere.

    Raises:
        Cancelled: the token was set.
    """
    unknown = [s for s in slices if not s.wall_known]
    found = {} if detector is None or not unknown else _look(unknown, detector, progress, cancel)
    samples: list[DetectorSample] = []
    left_out = 0
    for labeled in slices:
        if cancel is not None:
            cancel.raise_if_cancelled()
        ventricle = found.get((labeled.stack, labeled.index))
        if not labeled.wall_known and ventricle is None and labeled.scar.any():
            left_out += 1
            continue
        samples.append(DetectorSample.of(labeled, size, ventricle=ventricle))
    if left_out:
        _log.warning("%d slices with scar are left out: no ventricle was found in their stacks.", left_out)
    return samples


def _look(
    slices: Sequence[LabeledSlice], detector: Detector, progress: Progress, cancel: CancelToken | None
) -> Mapping[tuple[str, int], Corners]:
    stacks: dict[str, list[LabeledSlice]] = defaultdict(list)
    for labeled in slices:
        stacks[labeled.stack].append(labeled)
    boxes: dict[tuple[str, int], Corners] = {}
    for number, (stack, members) in enumerate(stacks.items()):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(number, len(stacks), _WHAT)
        proposed = detector.detect_many(
            [s.image for s in members],
            pixel_spacing_mm=members[0].pixel_spacing_mm,
            confidence=_LEAST_CONFIDENCE,
            labels=(_VENTRICLE,),
        )
        best = {s.index: of_slice[0].xyxy for s, of_slice in zip(members, proposed, strict=True) if of_slice}
        if not best:
            continue
        x0, y0, x1, y1 = np.median(np.array(list(best.values())), axis=0).tolist()
        for labeled in members:
            if labeled.index in best:
                boxes[stack, labeled.index] = best[labeled.index]
            elif labeled.scar.any():
                boxes[stack, labeled.index] = (x0, y0, x1, y1)
    progress(len(stacks), len(stacks), _WHAT)
    return boxes
