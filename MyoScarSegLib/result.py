"""What segmenting a study gives: probabilities, mask, numbers, and where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.quantification.burden import ScarBurden, scar_burden
from MyoScarSegLib.study.study import Study


class Boxes(list[Box]):
    """The boxes proposed for a study, and what went wrong on the way.

    Attributes:
        failed_slices: slice index to reason, for slices on which no boxes could be looked for.
        cancelled: the caller cancelled; the boxes of the slices done before are here.
        provenance: name and checksum of the detector, its threshold.
    """

    def __init__(self, boxes: list[Box] | None = None) -> None:
        super().__init__(boxes or [])
        self.failed_slices: dict[int, str] = {}
        self.cancelled = False
        self.provenance: dict[str, str] = {}


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
        drawn: bool ``[k, j, i]``, the mask as the user left it, where that is not what the threshold alone gives.
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
    drawn: np.ndarray | None = None

    @cached_property
    def mask(self) -> np.ndarray:
        """bool ``[k, j, i]``: the pixels that count as scar."""
        return self.probability >= self.threshold if self.drawn is None else self.drawn

    @cached_property
    def burden(self) -> ScarBurden:
        """Area, volume and mass of the mask, per slice and in all."""
        return scar_burden(self.mask, self.study.geometry)

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

    def with_threshold(self, threshold: float) -> Result:
        """The same result at another threshold, without what the user drew; no network runs."""
        provenance = {**self.provenance, "threshold": f"{check_threshold(threshold):g}"}
        return replace(self, threshold=threshold, provenance=provenance, drawn=None)

    def summary(self) -> dict[str, Any]:
        """The result as a JSON-able object: totals, slices, provenance. The tables are made from it."""
        geometry, failures = self.study.geometry, self.all_failures()
        area_mm2 = geometry.pixel_area_mm2
        return {
            "case": self.study.case,
            "status": self.status,
            "message": self.message,
            "complete": self.complete,
            "cancelled": self.cancelled,
            "boxes": len(self.boxes),
            "scar_pixels": self.burden.pixels,
            "scar_area_mm2": None if area_mm2 is None else self.burden.pixels * area_mm2,
            "scar_volume_ml": self.burden.volume_ml,
            "scar_mass_g": self.burden.mass_g,
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
            "notes": list(self.study.notes),
            "problems": [*self.study.problems, *(f"Slice {k}: {why}" for k, why in failures.items())],
            "provenance": dict(self.provenance),
        }

    def all_failures(self) -> dict[int, str]:
        """Slice index to reason, for slices whose pixels were bad and slices on which a network failed."""
        return dict(sorted({**self.study.bad_slices, **self.failed_slices}.items()))


def check_threshold(threshold: float) -> float:
    """``threshold`` if it is a probability strictly between 0 and 1.

    Raises:
        MyoScarSegError: it is not.
    """
    if not 0 < threshold < 1:
        raise MyoScarSegError(f"The threshold is a probability between 0 and 1, not {threshold:g}.")
    return threshold
