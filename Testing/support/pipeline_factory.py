"""A study of bright rings, a detector without a network that finds them, and a watcher of progress."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from MyoScarSegLib.detection import Detector
from MyoScarSegLib.prompts import Box, box_of_mask
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.utils.progress import CancelToken

SLICES, ROWS, COLUMNS = 5, 40, 52
SCAR, RING = 900.0, 400.0


class BrightestDetector:
    """A detector without a network: ``scar`` is what is brighter than 800, ``lv`` what is brighter than 300.

    It can be told to fail on a slice, and counts its calls.
    """

    name = "brightest"
    checksum = "b" * 64
    preprocessing = "none"
    slices_at_once = 1
    labels = ("scar", "lv")
    confidence = 0.5

    def __init__(self, *, fails_on: dict[float, Exception] | None = None) -> None:
        self.fails_on = fails_on or {}
        self.calls: list[tuple[int, tuple[str, ...], float | None]] = []

    def detect_many(
        self,
        images: Sequence[np.ndarray],
        *,
        slice_indices: Sequence[int] | None = None,
        pixel_spacing_mm: tuple[float, float] | None = None,
        confidence: float | None = None,
        labels: Sequence[str] = ("scar",),
    ) -> list[list[Box]]:
        indices = range(len(images)) if slice_indices is None else slice_indices
        return [self._detect(image, index, confidence, labels) for image, index in zip(images, indices, strict=True)]

    def _detect(self, image: np.ndarray, index: int, confidence: float | None, labels: Sequence[str]) -> list[Box]:
        self.calls.append((index, tuple(labels), confidence))
        failure = self.fails_on.get(float(image[0, 0]))
        if failure is not None:
            raise failure
        found = []
        for label in labels:
            box = box_of_mask(image > {"scar": 800, "lv": 300}[label], index, label=label, confidence=0.9, source=self.name)
            if box is not None and (self.confidence if confidence is None else confidence) <= 0.9:
                found.append(box)
        return found


_: Detector = BrightestDetector()  # mypy sees that it is one


def voxels_of_rings() -> np.ndarray:
    """A bright ring with a brighter piece on all slices but the last, which is empty. Pixel (0, 0) tells the slices apart."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    radius = np.hypot(x - 29.5, y - 17.5)
    voxels = np.random.default_rng(0).uniform(0, 50, (SLICES, ROWS, COLUMNS))
    voxels[:4, (radius > 6) & (radius < 11)] = RING
    voxels[:4, (radius > 6) & (radius < 11) & (x > 36)] = SCAR
    voxels[:, 0, 0] = np.arange(SLICES)
    return voxels


def ring_study() -> Study:
    return Study("case", voxels_of_rings(), Geometry((1.5, 1.25, 8.0)), Reconstruction.MAGNITUDE)


class Told:
    """Remembers progress, and cancels when told the given number of times."""

    def __init__(self, cancel_at: int | None = None) -> None:
        self.calls: list[tuple[int, int, str]] = []
        self.token = CancelToken()
        self._cancel_at = cancel_at

    def __call__(self, done: int, total: int, message: str) -> None:
        self.calls.append((done, total, message))
        if len(self.calls) == self._cancel_at:
            self.token.cancel()
