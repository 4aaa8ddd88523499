"""What segmenting a study gives: probabilities, mask, numbers, and where they came from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from MyoScarSegLib.errors import MyoScarSegError, PromptError
from MyoScarSegLib.prompts import Box, Point, places_of
from MyoScarSegLib.quantification.burden import ScarBurden, mass_of_pixels_g, scar_burden
from MyoScarSegLib.quantification.mass_interval import MassError, MassInterval, mass_interval, uncertain_pixels
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.windows import window_of
from MyoScarSegLib.utils.words import counted, slices_listed

DEFAULT_THRESHOLD = 0.5
NUMBERS_VERSION = 2
"""Raised with every change of the program by which the same image gets other boxes, masks or numbers, its models' apart: a cohort
that is resumed runs those studies again that were done by another version."""
MASS_ERROR = "mass_error_g"
"""Key of the provenance record: how far masses of this kind are off, as :meth:`MassError.text` has it."""


@dataclass(frozen=True)
class Encoded:
    """What encoding ahead of the prompts has done.

    Attributes:
        slices: that are encoded, in the order it was done.
        failed_slices: slice index to reason.
    """

    slices: list[int] = field(default_factory=list)
    failed_slices: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SliceMasks:
    """Scar on some slices of a study, as :func:`~MyoScarSegLib.scene.mask_steps.apply_masks` writes it; nothing else uses it.

    Attributes:
        probability: slice index to float32 ``[rows, columns]`` on the native grid.
        scores: slice index to the model's own estimate of its mask's IoU.
        failed: slice index to reason, for slices with prompts that could not be segmented.
        provenance: models, checksums, versions: text by key.
    """

    probability: dict[int, np.ndarray] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)


class Boxes(list[Box]):
    """The boxes proposed for a study, and what went wrong on the way.

    Attributes:
        failed_slices: slice index to reason, for slices on which no boxes could be looked for.
        cancelled: the caller cancelled; the boxes of the slices done before are here.
        provenance: name and checksum of the detector, its threshold.
        heart: ``(x, y)`` of the left ventricle's middle in native pixel edges, None if it was not looked for or not found.
    """

    def __init__(self, boxes: list[Box] | None = None) -> None:
        super().__init__(boxes or [])
        self.failed_slices: dict[int, str] = {}
        self.cancelled = False
        self.provenance: dict[str, str] = {}
        self.heart: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class ProposedVentricle(Ventricle):
    """The left ventricle as a model sees it.

    Attributes:
        failed_slices: slice index to reason, for slices on which it could not be looked for.
        provenance: name and checksum of the model.
    """

    failed_slices: Mapping[int, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """A segmented study.

    Attributes:
        study: what was segmented.
        probability: float32 ``[k, j, i]``, probability of scar on the native grid; 0 where nothing was prompted.
        threshold: probability from which on a pixel counts as scar.
        boxes: all boxes of the study, also rejected ones.
        points: all points of the study.
        scores: slice index to the model's own estimate of its mask's IoU, for each slice that was segmented.
        failed_slices: slice index to reason; the other slices are done.
        cancelled: the caller cancelled; the slices in ``scores`` are done.
        provenance: models, checksums, preprocessing, versions: text by key, the same keys in every file written.
        growth_mm: by which the mask is grown (above 0) or shrunk in the slice, see :func:`mask_of`.
        drawn: bool ``[k, j, i]``, the mask as the user left it, where that is not what threshold and growth give.
        painted: slices in which the user drew: there the model's doubts count no more.
    """

    study: Study
    probability: np.ndarray
    threshold: float
    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    scores: Mapping[int, float] = field(default_factory=dict)
    failed_slices: Mapping[int, str] = field(default_factory=dict)
    cancelled: bool = False
    provenance: Mapping[str, str] = field(default_factory=dict)
    growth_mm: float = 0.0
    drawn: np.ndarray | None = None
    painted: tuple[int, ...] = ()

    @cached_property
    def mask(self) -> np.ndarray:
        """bool ``[k, j, i]``: the pixels that count as scar."""
        if self.drawn is not None:
            return self.drawn
        spacing = self.study.geometry.pixel_spacing_mm
        return np.stack([mask_of(one, self.threshold, self.growth_mm, spacing) for one in self.probability])

    @cached_property
    def burden(self) -> ScarBurden:
        """Area, volume and mass of the mask, per slice and in all."""
        return scar_burden(self.mask, self.study.geometry)

    @cached_property
    def mass_interval(self) -> MassInterval | None:
        """The interval of the mass; None where spacing is unknown, or how far the model's masses are off."""
        unsure = [0.0 if k in self.painted else uncertain_pixels(one) for k, one in enumerate(self.probability)]
        uncertain_g = mass_of_pixels_g(unsure, self.study.geometry)
        return mass_interval(self.burden.mass_g, uncertain_g, MassError.of_text(self.provenance.get(MASS_ERROR, "")))

    @property
    def complete(self) -> bool:
        """Whether every slice was done and the study had no problem."""
        return not (self.cancelled or self.failed_slices or self.study.problems or self.study.bad_slices)

    @property
    def status(self) -> str:
        """``done``, ``incomplete`` (a slice or a fact is missing) or ``cancelled``."""
        return "cancelled" if self.cancelled else "done" if self.complete else "incomplete"

    @property
    def message(self) -> str:
        """Why it is not ``done``; empty if it is."""
        failures = [f"Slice {k}: {why}" for k, why in self.all_failures().items()]
        if self.cancelled:
            return " ".join(["Cancelled; what was done before is written.", *failures])
        return " ".join([*self.study.problems, *failures])

    @property
    def faint_places(self) -> int:
        """How many places the program itself rejected as too faint."""
        return len(places_of([box for box in self.boxes if box.faint]))

    @property
    def faint_note(self) -> str:
        """How many they are, and on which slices; empty if there are none."""
        slices = sorted({box.slice for box in self.boxes if box.faint})
        if not slices:
            return ""
        return f"{counted(self.faint_places, 'faint place')} not counted: {slices_listed(slices)}."

    def grown(self, growth_mm: float) -> Result:
        """The same result with its mask grown, or below 0 shrunk, by millimeters in the slice."""
        return replace(self, growth_mm=growth_mm, provenance={**self.provenance, "growth_mm": f"{growth_mm:g}"})

    def with_threshold(self, threshold: float) -> Result:
        """The same result at another threshold, without what the user drew; no network runs."""
        provenance = {**self.provenance, "threshold": f"{check_threshold(threshold):g}"}
        return replace(self, threshold=threshold, provenance=provenance, drawn=None, painted=())

    def summary(self) -> dict[str, Any]:
        """The result as a JSON-able object: totals, slices, provenance. The tables are made from it."""
        geometry, failures, within = self.study.geometry, self.all_failures(), self.mass_interval
        area_mm2 = geometry.pixel_area_mm2
        return {
            "case": self.study.case,
            "status": self.status,
            "message": self.message,
            "complete": self.complete,
            "cancelled": self.cancelled,
            "boxes": len(self.boxes),
            "faint_places": self.faint_places,
            "scar_pixels": self.burden.pixels,
            "scar_area_mm2": None if area_mm2 is None else self.burden.pixels * area_mm2,
            "scar_volume_ml": self.burden.volume_ml,
            "scar_mass_g": self.burden.mass_g,
            "scar_mass_low_g": None if within is None else within.low_g,
            "scar_mass_high_g": None if within is None else within.high_g,
            "likely_wrong": None if within is None else within.doubtful,
            "threshold": self.threshold,
            "reconstruction": self.study.reconstruction.value,
            "reconstruction_reason": self.study.reconstruction_reason,
            "spacing_mm": geometry.spacing_mm,
            "slice_distance_mm": geometry.slice_distance_mm,
            "slices": [
                {
                    "slice": s.slice,
                    "boxes": sum(b.slice == s.slice for b in self.boxes),
                    "scar_pixels": s.pixels,
                    "scar_area_mm2": s.area_mm2,
                    "slice_extent_mm": s.extent_mm,
                    "scar_volume_ml": s.volume_ml,
                    "scar_mass_g": s.mass_g,
                    "score": self.scores.get(s.slice),
                    "message": failures.get(s.slice, ""),
                }
                for s in self.burden.slices
            ],
            "notes": [*self.study.notes, *([self.faint_note] if self.faint_note else [])],
            "problems": [*self.study.problems, *(f"Slice {k}: {why}" for k, why in failures.items())],
            "provenance": dict(self.provenance),
        }

    def all_failures(self) -> dict[int, str]:
        """Slice index to reason, for slices whose pixels were bad and slices on which a network failed."""
        return dict(sorted({**self.study.bad_slices, **self.failed_slices}.items()))


def slices_of(study: Study, slices: Iterable[int] | None) -> list[int]:
    """The slices that are asked for, each once, in that order; all of them for None. PromptError if one is not in the study."""
    if slices is None:
        return list(range(study.slices))
    chosen = list(dict.fromkeys(int(k) for k in slices))
    for k in chosen:
        if not 0 <= k < study.slices:
            raise PromptError(f"There is no slice {k}: the study has slices 0 to {study.slices - 1}.")
    return chosen


def check_threshold(threshold: float) -> float:
    """``threshold`` if it is a probability strictly between 0 and 1; MyoScarSegError if it is not."""
    if not 0 < threshold < 1:
        raise MyoScarSegError(f"The threshold is a probability between 0 and 1, not {threshold:g}.")
    return threshold


def mask_of(
    probability: np.ndarray, threshold: float, growth_mm: float = 0.0, pixel_spacing_mm: tuple[float, float] | None = None
) -> np.ndarray:
    """The mask that a probability map of one slice gives.

    Growing adds the pixels whose centers lie within ``growth_mm`` of a scar pixel's center; shrinking takes away the scar pixels
    whose centers lie within that distance of a pixel without scar. Both in the plane of the slice, by Euclidean distance.

    Args:
        probability: ``[row, column]``.
        threshold: probability from which on a pixel counts as scar.
        growth_mm: above 0 grows, below 0 shrinks.
        pixel_spacing_mm: ``(between rows, between columns)``; pixels are taken for millimeters if it is unknown.

    Returns:
        bool ``[row, column]``.
    """
    mask = np.asarray(probability) >= threshold
    if growth_mm == 0 or not mask.any():
        return mask
    spacing = pixel_spacing_mm or (1.0, 1.0)
    # Beyond this nothing changes; for a usual scar it is a small part of the slice.
    window = window_of(mask, margin=[int(abs(growth_mm) / side) + 1 for side in spacing])
    part = mask[window]
    mask[window] = _grown(part, growth_mm, spacing) if growth_mm > 0 else ~_grown(~part, -growth_mm, spacing)
    return mask


def _grown(mask: np.ndarray, radius_mm: float, spacing_mm: tuple[float, float]) -> np.ndarray:
    """``mask`` and all pixels within a distance of it.

    Row by row of the disk, so that it costs the disk's height and not its area; scipy's distance map would cost the panel a third
    of a second for its import.
    """
    rows, columns = mask.shape
    radius = radius_mm * (1 + 1e-9)  # a pixel at exactly the distance counts, whatever the rounding
    reach = min(int(radius / spacing_mm[0]), rows - 1)
    # Sums along the rows: any() of a stretch of pixels is a difference of two.
    sums = np.zeros((rows, columns + 1), dtype=np.int32)
    np.cumsum(mask, axis=1, out=sums[:, 1:])
    grown = np.zeros_like(mask)
    column = np.arange(columns)
    for step in range(reach + 1):
        half = int(math.sqrt(max(radius**2 - (step * spacing_mm[0]) ** 2, 0.0)) / spacing_mm[1])
        ends, starts = np.minimum(column + half + 1, columns), np.maximum(column - half, 0)
        near = sums[:, ends] > sums[:, starts]
        grown[step:] |= near[: rows - step]
        grown[: rows - step] |= near[step:]
    return grown
