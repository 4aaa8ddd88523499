"""A pipeline without networks, for tests of what is around it; and small studies for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.result import Boxes, Result
from Testing.support.command import voxels, write_image

SHAPE = (2, 12, 10)


class Quick(Pipeline):
    """It proposes one box per slice, and takes all of every box for scar. It counts the studies that it segmented."""

    def __init__(self, x1: float = 6.0, models: str = "a") -> None:
        super().__init__(device="cpu")
        self.x1 = x1
        self.runs: list[str] = []
        self.networks.checksums = lambda: {"detector": models, "segmenter": models}  # type: ignore[method-assign]

    def propose(self, study, **_options):
        return Boxes([Box(k, 2, 3, self.x1, 8, source="quick") for k in range(study.slices)])

    def segment(self, study, boxes, points=(), *, threshold=0.5, progress=lambda *_: None, **_options):
        progress(0, 1, "")
        self.runs.append(study.case)
        probability = np.zeros(study.voxels.shape, np.float32)
        for box in boxes:
            probability[box.slice, int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = 1
        return Result(study, probability, threshold, tuple(boxes), tuple(points), provenance={"segmenter": "quick"})

    def run(self, study, *, points=(), threshold=0.5, progress=lambda *_: None, **_options):
        return self.segment(study, self.propose(study), points, threshold=threshold, progress=progress)


def small_study(path: Path, seed: int = 0) -> Path:
    """Two slices of noise."""
    return write_image(path, voxels(seed, SHAPE))
