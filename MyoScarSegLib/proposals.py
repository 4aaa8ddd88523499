"""Two opinions on where scar is, made into one set of boxes: the detector's boxes, and the segmenter's map of scar.

Where the map is sure, its word counts alone; where it is not, a box of the detector around it decides. So a box that the map
does not see any scar in is dropped, and scar that the detector overlooked gets a box.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from MyoScarSegLib.lesions import boxes_of, lesions
from MyoScarSegLib.prompts import Box

SURE = 0.5
"""Probability of scar from which on the map needs no box to agree."""
PLAUSIBLE = 0.25
"""Probability from which on a pixel in a box of the detector counts."""
SMALLEST_MM2 = 15.0
"""Smallest lesion that is proposed; a millilitre of scar is 100 mm2 on a slice of 10 mm."""
_USUAL_PIXEL_MM2 = 2.0


def reconcile(
    boxes: Sequence[Box],
    scar: np.ndarray,
    *,
    slice_index: int,
    map_name: str,
    pixel_spacing_mm: tuple[float, float] | None = None,
    least_confidence: float = 0.0,
) -> list[Box]:
    """The boxes to propose on one slice.

    Args:
        boxes: the detector's, of any confidence that it thinks worth telling.
        scar: float ``[rows, columns]``, the map's probability of scar on the native grid.
        slice_index: of the slice.
        map_name: source of the boxes that the map alone asks for.
        pixel_spacing_mm: ``(row, column)`` spacing, None if unknown.
        least_confidence: boxes below it are left out.

    Returns:
        One tight box per lesion, the most confident first; its confidence is the mean probability of its pixels, its source
        the detector where one of its boxes holds at least half of the lesion.
    """
    inside = np.zeros(scar.shape, dtype=bool)
    for box in boxes:
        inside |= _covers(box, scar.shape)
    pixel_mm2 = pixel_spacing_mm[0] * pixel_spacing_mm[1] if pixel_spacing_mm is not None else _USUAL_PIXEL_MM2
    smallest = max(1, round(SMALLEST_MM2 / pixel_mm2))
    numbered = lesions((scar >= SURE) | (inside & (scar >= PLAUSIBLE)), smallest_px=smallest)
    proposed = []
    for number, corners in enumerate(boxes_of(numbered), start=1):
        lesion = numbered == number
        confidence = float(scar[lesion].mean())
        if confidence < least_confidence:
            continue
        agreeing = [box for box in boxes if _covers(box, scar.shape)[lesion].mean() >= 0.5]
        source = max(agreeing, key=lambda box: box.confidence or 0.0).source if agreeing else map_name
        x0, y0, x1, y1 = (float(v) for v in corners)
        proposed.append(Box(slice_index, x0, y0, x1, y1, confidence=round(confidence, 4), source=source))
    return sorted(proposed, key=lambda box: -(box.confidence or 0.0))


def _covers(box: Box, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels whose centres lie in a box."""
    y, x = (np.arange(n) + 0.5 for n in shape)
    return ((y > box.y0) & (y < box.y1))[:, None] & ((x > box.x0) & (x < box.x1))
