"""Two opinions on where scar is, made into one set of boxes: the detector's boxes, and the segmenter's map of tissues.

Where the map is sure, its word counts alone; where it is not, a box of the detector around it decides. So a box that the map
does not see any scar in is dropped, and scar that the detector overlooked gets a box.

Then the whole ventricle is judged. A normal heart has bright places, too, which an expert does not outline: blood between
trabeculae, the thin septum at the base, noise. So a study has an infarct only if one place has mass enough and is clearly
brighter than the healthy wall of its slices, or is too large for that doubt. Without an infarct all boxes are proposed as
rejected, with one those of very little places, for the reader to see and to accept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from MyoScarSegLib.lesions import USUAL_SPACING_MM, boxes_of, lesions
from MyoScarSegLib.prompts import FAINT, Box, BoxState, places_of
from MyoScarSegLib.quantification.burden import MM3_PER_ML, MYOCARDIAL_DENSITY_G_PER_ML
from MyoScarSegLib.quantification.remote import measure_remote
from MyoScarSegLib.segmentation.architectures import TISSUES
from MyoScarSegLib.utils.words import slices_listed

SURE = 0.5
"""Probability of scar from which on the map needs no box to agree."""
PLAUSIBLE = 0.25
"""Probability from which on a pixel in a box of the detector counts."""
SMALLEST_MM2 = 15.0
"""Smallest lesion that is proposed; a milliliter of scar is 100 mm2 on a slice of 10 mm."""
LEAST_EVIDENCE_G = 1.1
"""Mass of one place, weighted by its probability, without which a study is taken for one without infarct: an infarct is one
coherent place, and what is seen in normal hearts is scattered. In the folds (research/folds) the infarcts with the least that
are seen have 1.19 and 1.25 g."""
LEAST_CONTRAST_SD = 3.0
"""So many standard deviations of healthy wall must the brightest fifth of that place lie above its mean. In the folds all
infarcts under 8 g have at least 3.4, four of the eight normal hearts with mass enough 1.7 to 2.7 (``fit --faint``)."""
LARGE_G = 8.0
"""Evidence from which on contrast is not asked. In the folds normal hearts have up to 7.1 g in a place, and a large infarct
leaves little healthy wall to compare it with."""
LEAST_OF_A_PLACE_G = 0.15
"""Evidence of each further place in a study with infarct."""
HEALTHY = 0.05
"""Probability of scar below which wall is surely healthy."""
SMOOTHED_MM = 1.5
"""Standard deviation of the smoothing before contrast is measured, a usual pixel."""
_MOST_LISTED = 6
_BRIGHTEST = 0.8
"""Quantile at which a place's brightest fifth begins: its border is healthy wall in part, and no-reflow is dark."""
_USUAL_SLICE_MM = 10.0


@dataclass(frozen=True)
class Proposal:
    """A box, tight around a lesion of one slice, the lesion's area and its pixels, bool ``[rows, columns]``."""

    box: Box
    area_mm2: float
    lesion: np.ndarray = field(compare=False, repr=False)


@dataclass(frozen=True)
class Finding:
    """Proposals that are one place in the ventricle.

    Attributes:
        proposals: of it, on one or more slices.
        mass_g: of its lesions.
        evidence_g: that mass, each lesion's weighted by its mean probability.
        contrast_sd: where its brightest fifth begins, in standard deviations of healthy wall above its mean; None if healthy wall
            is unknown.
    """

    proposals: tuple[Proposal, ...]
    mass_g: float
    evidence_g: float
    contrast_sd: float | None

    @property
    def slices_in_words(self) -> str:
        """All slices that its mass is the sum of: ``slice 7``, ``slices 7, 8``."""
        return slices_listed(sorted({proposal.box.slice for proposal in self.proposals}), _MOST_LISTED)

    @property
    def infarct(self) -> bool:
        """Whether it is enough for a study with infarct; of unknown contrast nothing is asked."""
        bright = self.contrast_sd is None or self.contrast_sd >= LEAST_CONTRAST_SD or self.evidence_g >= LARGE_G
        return self.evidence_g >= LEAST_EVIDENCE_G and bright


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
        proposed.append(Proposal(box, float(lesion.sum() * row_mm * column_mm), lesion))
    return sorted(proposed, key=lambda p: -(p.box.confidence or 0.0))


def wall_and_healthy(tissue: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The wall with its scar, and what of it is surely healthy, bool ``[rows, columns]``, of a map as in :func:`reconcile`."""
    likeliest = tissue.argmax(axis=0)
    healthy = (likeliest == TISSUES.index("myocardium")) & (tissue[TISSUES.index("scar")] < HEALTHY)
    return likeliest >= TISSUES.index("myocardium"), healthy


def above_healthy(
    voxels: np.ndarray, wall: np.ndarray, healthy: np.ndarray, pixel_spacing_mm: tuple[float, float] | None = None
) -> np.ndarray | None:
    """How bright every place is against the healthy wall of its slice; of the study where a slice has too little.

    Slices are smoothed by :data:`SMOOTHED_MM` first: a noisy scanner's infarct is no less bright.

    Args:
        voxels: ``[k, j, i]``, raw.
        wall: bool ``[k, j, i]``; healthy: likewise, the part of it that is surely healthy.
        pixel_spacing_mm: ``(row, column)`` spacing, None if unknown.

    Returns:
        float32 ``[k, j, i]``, in standard deviations above the mean; None if there is no healthy wall to measure.
    """
    from scipy import ndimage

    row_mm, column_mm = pixel_spacing_mm or USUAL_SPACING_MM
    smooth = ndimage.gaussian_filter(voxels.astype(np.float64), (0, SMOOTHED_MM / row_mm, SMOOTHED_MM / column_mm))
    remote = measure_remote(smooth, wall, healthy)
    if remote.missing:
        return None
    return ((smooth - remote.mean[:, None, None]) / remote.sd[:, None, None]).astype(np.float32)


def accept_or_reject(
    proposals: Iterable[Proposal], contrast_sd: np.ndarray | None, *, slice_distance_mm: float | None = None
) -> tuple[list[Box], list[Finding]]:
    """The boxes of a whole study; those of what is too small or too faint for an expert to outline are rejected.

    Args:
        proposals: of all slices.
        contrast_sd: of the study, as of :func:`above_healthy`.
        slice_distance_mm: between slice planes, None if unknown.

    Returns:
        The boxes, and the faint places, whose boxes' sources end with :data:`~MyoScarSegLib.prompts.FAINT`.
    """
    places = findings(proposals, contrast_sd, slice_distance_mm)
    scarred = any(place.infarct for place in places)
    boxes: list[Box] = []
    faint: list[Finding] = []
    for place in places:
        if scarred and place.evidence_g >= LEAST_OF_A_PLACE_G:
            boxes += [p.box for p in place.proposals]
        else:
            faint.append(place)
            boxes += [replace(p.box, state=BoxState.REJECTED, source=p.box.source + FAINT) for p in place.proposals]
    return sorted(boxes, key=lambda box: (box.slice, -(box.confidence or 0.0))), faint


def findings(proposals: Iterable[Proposal], contrast_sd: np.ndarray | None, slice_distance_mm: float | None) -> list[Finding]:
    """Proposals put together across slices: those of neighboring slices whose boxes overlap are of one place."""
    every = list(proposals)
    groups = [[every[n] for n in place] for place in places_of([proposal.box for proposal in every])]
    grams = MYOCARDIAL_DENSITY_G_PER_ML * (slice_distance_mm or _USUAL_SLICE_MM) / MM3_PER_ML
    return [
        Finding(
            tuple(group),
            grams * sum(p.area_mm2 for p in group),
            grams * sum(p.area_mm2 * (p.box.confidence or 0.0) for p in group),
            None if contrast_sd is None else _brightest(group, contrast_sd),
        )
        for group in groups
    ]


def _brightest(group: Iterable[Proposal], contrast_sd: np.ndarray) -> float:
    return float(np.quantile(np.concatenate([contrast_sd[p.box.slice][p.lesion] for p in group]), _BRIGHTEST))


def _covers(box: Box, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels whose centers lie in a box."""
    y, x = (np.arange(n) + 0.5 for n in shape)
    return ((y > box.y0) & (y < box.y1))[:, None] & ((x > box.x0) & (x < box.x1))
