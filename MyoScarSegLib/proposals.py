"""Two opinions on where scar is, made into one set of boxes: the detector's boxes, and the segmenter's map of tissues.

Where the map is sure, its word counts alone; where it is not, a box of the detector around it decides. So a box that the map
does not see any scar in is dropped, and scar that the detector overlooked gets a box.

A study in which little scar is proposed, and none of it clearly brighter than the healthy wall beside it, is more often a
normal heart than an infarct: its boxes are proposed as rejected, for the reader to see and to accept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from MyoScarSegLib.lesions import USUAL_SPACING_MM, boxes_of, lesions
from MyoScarSegLib.prompts import FAINT, Box, BoxState
from MyoScarSegLib.quantification.burden import MYOCARDIAL_DENSITY_G_PER_ML
from MyoScarSegLib.segmentation.architectures import TISSUES

SURE = 0.5
"""Probability of scar from which on the map needs no box to agree."""
PLAUSIBLE = 0.25
"""Probability from which on a pixel in a box of the detector counts."""
SMALLEST_MM2 = 15.0
"""Smallest lesion that is proposed; a milliliter of scar is 100 mm2 on a slice of 10 mm."""
FAINT_SD = 3.0
"""Least contrast, in standard deviations of healthy wall, that makes a small amount of scar worth accepting."""
LITTLE_G = 10.0
"""Proposed scar from which on a study is taken for scarred whatever its contrast.

Both were chosen on the 56 training patients of EMIDEC: of 18 normal ones 15 instead of 8 keep at most 1 g, and no patient with
scar loses any.
"""
_USUAL_SLICE_MM = 10.0
_FEWEST_HEALTHY_PX = 20
_SD_OF_MAD = 1.4826


@dataclass(frozen=True)
class Proposal:
    """A box, and what the map and the image say of the lesion in it.

    Attributes:
        box: tight around the lesion.
        area_mm2: of the lesion.
        contrast_sd: how far the lesion's mean intensity lies above the slice's healthy wall, in standard deviations of that
            (median and median deviation, so that a few bright pixels in it do not count); None where the map shows too little
            healthy wall to compare with.
    """

    box: Box
    area_mm2: float
    contrast_sd: float | None


def reconcile(
    boxes: Sequence[Box],
    tissue: np.ndarray,
    image: np.ndarray,
    *,
    slice_index: int,
    map_name: str,
    pixel_spacing_mm: tuple[float, float] | None = None,
    least_confidence: float = 0.0,
) -> list[Proposal]:
    """The boxes to propose on one slice.

    Args:
        boxes: the detector's, of any confidence that it thinks worth a mention.
        tissue: float ``[4, rows, columns]``, the map's probabilities on the native grid, in the order of ``TISSUES``.
        image: ``[rows, columns]``, raw voxel values.
        slice_index: of the slice.
        map_name: source of the boxes that the map alone asks for.
        pixel_spacing_mm: ``(row, column)`` spacing, None if unknown.
        least_confidence: boxes below it are left out.

    Returns:
        One tight box per lesion, the most confident first; its confidence is the mean probability of its pixels, its source
        the detector where one of its boxes holds at least half of the lesion.
    """
    scar = tissue[TISSUES.index("scar")]
    healthy = image[tissue.argmax(axis=0) == TISSUES.index("myocardium")]
    inside = np.zeros(scar.shape, dtype=bool)
    for box in boxes:
        inside |= _covers(box, scar.shape)
    row_mm, column_mm = pixel_spacing_mm or USUAL_SPACING_MM
    numbered = lesions((scar >= SURE) | (inside & (scar >= PLAUSIBLE)), pixel_spacing_mm, smallest_mm2=SMALLEST_MM2)
    proposed = []
    for number, corners in enumerate(boxes_of(numbered), start=1):
        lesion = numbered == number
        confidence = float(scar[lesion].mean())
        if confidence < least_confidence:
            continue
        agreeing = [box for box in boxes if _covers(box, scar.shape)[lesion].mean() >= 0.5]
        source = max(agreeing, key=lambda box: box.confidence or 0.0).source if agreeing else map_name
        x0, y0, x1, y1 = (float(v) for v in corners)
        box = Box(slice_index, x0, y0, x1, y1, confidence=round(confidence, 4), source=source)
        proposed.append(Proposal(box, float(lesion.sum() * row_mm * column_mm), _contrast_sd(image[lesion], healthy)))
    return sorted(proposed, key=lambda p: -(p.box.confidence or 0.0))


def accept_or_reject(proposals: Iterable[Proposal], *, slice_distance_mm: float | None = None) -> tuple[list[Box], bool]:
    """The boxes of a whole study, all of them rejected where they are little and faint.

    Args:
        proposals: of all slices.
        slice_distance_mm: between slice planes, None if unknown.

    Returns:
        The boxes, and whether they were taken for faint; the source of faint ones ends with
        :data:`~MyoScarSegLib.prompts.FAINT`.
    """
    proposals = list(proposals)
    volume_ml = sum(p.area_mm2 for p in proposals) * (slice_distance_mm or _USUAL_SLICE_MM) / 1000
    little = volume_ml * MYOCARDIAL_DENSITY_G_PER_ML < LITTLE_G
    faint = bool(proposals) and little and all(p.contrast_sd is not None and p.contrast_sd < FAINT_SD for p in proposals)
    boxes = [p.box for p in proposals]
    if faint:
        boxes = [replace(box, state=BoxState.REJECTED, source=box.source + FAINT) for box in boxes]
    return boxes, faint


def _contrast_sd(lesion: np.ndarray, healthy: np.ndarray) -> float | None:
    if healthy.size < _FEWEST_HEALTHY_PX:
        return None
    middle = float(np.median(healthy))
    spread = _SD_OF_MAD * float(np.median(np.abs(healthy - middle)))
    return (float(lesion.mean()) - middle) / spread if spread > 0 else None


def _covers(box: Box, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels whose centers lie in a box."""
    y, x = (np.arange(n) + 0.5 for n in shape)
    return ((y > box.y0) & (y < box.y1))[:, None] & ((x > box.x0) & (x < box.x1))
