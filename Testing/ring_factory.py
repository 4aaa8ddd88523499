"""Round ventricles with a bright piece of wall: labelled slices on which a detector learns something in a few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from MyoScarSegLib.training.datasets.labelled import LabelledSlice


def ring(size: int = 96, scar: bool = True, centre: tuple[float, float] = (48, 48), patient: str = "", **more) -> LabelledSlice:
    """One slice; ``more`` goes to the labelled slice."""
    y, x = np.mgrid[:size, :size] + 0.5
    radius = np.hypot(x - centre[0], y - centre[1])
    labels = np.where(radius < 12, 1, np.where(radius < 18, 2, 0)).astype(np.uint8)
    if scar:
        labels[(labels == 2) & (x > centre[0] + 6)] = 3
    image = np.choose(labels, [60, 180, 20, 240]) + np.random.default_rng(1).normal(0, 3, labels.shape)
    return LabelledSlice(patient or ("P001" if scar else "N001"), more.pop("index", 0), image, labels, **more)


def rings(patients: int = 6, slices: int = 2, size: int = 64) -> list[LabelledSlice]:
    """Patients ``P001``, ``P003``, ... with scar and ``N000``, ``N002``, ... without."""
    return [
        ring(
            size,
            scar=patient % 2 == 1,
            centre=(size / 2 - 3 + patient, size / 2 - 2 + 4 * index),
            patient=f"{'P' if patient % 2 else 'N'}{patient:03d}",
            index=index,
        )
        for patient in range(patients)
        for index in range(slices)
    ]


def write_rings(folder: Path, slices: list[LabelledSlice]) -> Path:
    """The slices as EMIDEC's pictures."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for s in slices:
        name = f"Case_{s.patient}_slice_{s.index:03d}.png"
        Image.fromarray(np.clip(s.image, 0, 255).astype(np.uint8)).save(folder / "images" / name)
        Image.fromarray(s.labels).save(folder / "labels" / name)
    return folder
