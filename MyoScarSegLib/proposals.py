"""Two opinions on where scar is, made into one set of boxes: the detector's boxes, and the segmenter's map of tissues.

Where the map is sure, its word counts alone; where it is not, a box of the detector around it decides. So a box that the map
does not see any scar in is dropped, and scar that the detector overlooked gets a box.

Then the whole ventricle is judged. A normal heart has small bright places, too, which an expert does not outline. Where all that
is proposed is little or scattered, and for each place that is very little, the boxes are proposed as rejected, for the reader to
see and to accept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from MyoScarSegLib.lesions import USUAL_SPACING_MM, boxes_of, lesions
from MyoScarSegLib.prompts import FAINT, Box, BoxState
from MyoScarSegLib.quantification.burden import MM3_PER_ML, MYOCARDIAL_DENSITY_G_PER_ML
from MyoScarSegLib.segmentation.architectures import TISSUES

SURE = 0.5
"""Probability of scar from which on the map needs no box to agree."""
PLAUSIBLE = 0.25
"""Probability from which on a pixel in a box of the detector counts."""
SMALLEST_MM2 = 15.0
"""Smallest lesion that is proposed; a milliliter of scar is 100 mm2 on a slice of 10 mm."""
LEAST_EVIDENCE_G = 1.1
"""Mass of one place, weighted by its probability, without which a study is taken for one without infarct: an infarct is one
coherent place, and what is seen in normal hearts is scattered. Looked for on folds 0 and 1 (research/folds): 6 of 10 normal exams
keep at most 1 g, and two infarcts of 18 are lost; 1.5 would keep 8 of 10 and lose three."""
LEAST_OF_A_PLACE_G = 0.15
"""Likewise of each further place in a study with infarct."""
_USUAL_SLICE_MM = 10.0


@dataclass(frozen=True)
class Proposal:
    """A box, tight around a lesion of one slice, and the lesion's area."""

    box: Box
    area_mm2: float


@dataclass(frozen=True)
class Finding:
    """Proposals that are one place in the ventricle.

    Attributes:
        proposals: of it, on one or more slices.
        mass_g: of its lesions.
        evidence_g: that mass, each lesion's weighted by its mean probability.
    """

    proposals: tuple[Proposal, ...]
    mass_g: float
    evidence_g: float


def reconcile(
    boxes: Sequence[Box],
    tissue: np.ndarray,
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
        slice_index: of the slice.
        map_name: source of the boxes that the map alone asks for.
        pixel_spacing_mm: ``(row, column)`` spacing, None if unknown.
        least_confidence: boxes below it are left out.

    Returns:
        One tight box per lesion, the most confident first; its confidence is the mean probability of its pixels, its source
        the detector where one of its boxes holds at least half of the lesion.
    """
    scar = tissue[TISSUES.index("scar")]
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
        proposed.append(Proposal(box, float(lesion.sum() * row_mm * column_mm)))
    return sorted(proposed, key=lambda p: -(p.box.confidence or 0.0))


def accept_or_reject(proposals: Iterable[Proposal], *, slice_distance_mm: float | None = None) -> tuple[list[Box], list[Finding]]:
    """The boxes of a whole study; those of what is too small or too faint for an expert to outline are rejected.

    Args:
        proposals: of all slices.
        slice_distance_mm: between slice planes, None if unknown.

    Returns:
        The boxes, and the faint places, whose boxes' sources end with :data:`~MyoScarSegLib.prompts.FAINT`.
    """
    places = findings(proposals, slice_distance_mm)
    scarred = max((place.evidence_g for place in places), default=0.0) >= LEAST_EVIDENCE_G
    boxes: list[Box] = []
    faint: list[Finding] = []
    for place in places:
        if scarred and place.evidence_g >= LEAST_OF_A_PLACE_G:
            boxes += [p.box for p in place.proposals]
        else:
            faint.append(place)
            boxes += [replace(p.box, state=BoxState.REJECTED, source=p.box.source + FAINT) for p in place.proposals]
    return sorted(boxes, key=lambda box: (box.slice, -(box.confidence or 0.0))), faint


def findings(proposals: Iterable[Proposal], slice_distance_mm: float | None) -> list[Finding]:
    """Proposals put together across slices: those of neighboring slices whose boxes overlap are of one place."""
    groups: list[list[Proposal]] = []
    for proposal in sorted(proposals, key=lambda p: p.box.slice):
        touching = [g for g in groups if any(_over(p.box, proposal.box) for p in g)]
        groups = [g for g in groups if g not in touching] + [[*(p for g in touching for p in g), proposal]]
    thick_mm = slice_distance_mm or _USUAL_SLICE_MM
    grams = MYOCARDIAL_DENSITY_G_PER_ML * thick_mm / MM3_PER_ML
    return [
        Finding(
            tuple(group),
            grams * sum(p.area_mm2 for p in group),
            grams * sum(p.area_mm2 * (p.box.confidence or 0.0) for p in group),
        )
        for group in groups
    ]


def _over(one: Box, other: Box) -> bool:
    return abs(one.slice - other.slice) == 1 and (
        min(one.x1, other.x1) > max(one.x0, other.x0) and min(one.y1, other.y1) > max(one.y0, other.y0)
    )


def _covers(box: Box, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels whose centers lie in a box."""
    y, x = (np.arange(n) + 0.5 for n in shape)
    return ((y > box.y0) & (y < box.y1))[:, None] & ((x > box.x0) & (x < box.x1))
