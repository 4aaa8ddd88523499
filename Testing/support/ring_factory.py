"""Round ventricles with a bright piece of wall: labeled slices on which a detector learns something in a few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from MyoScarSegLib.study.stack import FileStack, study_from
from MyoScarSegLib.study.study import Geometry, Study
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from Testing.support.command import write_image


def ring(size: int = 96, scar: bool = True, center: tuple[float, float] = (48, 48), patient: str = "", **more) -> LabeledSlice:
    """One slice; ``more`` goes to the labeled slice."""
    y, x = np.mgrid[:size, :size] + 0.5
    radius = np.hypot(x - center[0], y - center[1])
    labels = np.where(radius < 12, 1, np.where(radius < 18, 2, 0)).astype(np.uint8)
    if scar:
        labels[(labels == 2) & (x > center[0] + 6)] = 3
    image = np.choose(labels, [60, 180, 20, 240]) + np.random.default_rng(1).normal(0, 3, labels.shape)
    return LabeledSlice(patient or ("P001" if scar else "N001"), more.pop("index", 0), image, labels, **more)


def rings(patients: int = 6, slices: int = 2, size: int = 64) -> list[LabeledSlice]:
    """Patients ``P001``, ``P003``, ... with scar and ``N000``, ``N002``, ... without."""
    return [
        ring(
            size,
            scar=patient % 2 == 1,
            center=(size / 2 - 3 + patient, size / 2 - 2 + 4 * index),
            patient=f"{'P' if patient % 2 else 'N'}{patient:03d}",
            index=index,
        )
        for patient in range(patients)
        for index in range(slices)
    ]


def ring_study(name: str, slices: list[LabeledSlice]) -> tuple[Study, np.ndarray]:
    """A study of these slices, 8 mm from each other, and its classes ``[k, j, i]``."""
    voxels = np.stack([one.image for one in slices]).astype(np.float32)
    study = study_from(name, FileStack(voxels, Geometry((1.4, 1.4, 8.0)), "rings", slice_axis_is_k=True))
    return study, np.stack([one.labels for one in slices])


def write_rings(folder: Path, slices: list[LabeledSlice]) -> Path:
    """The slices in EMIDEC's layout, its grey values being whole numbers of 8 bits."""
    patients: dict[str, list[LabeledSlice]] = {}
    for s in slices:
        patients.setdefault(s.patient, []).append(s)
    for patient, stack in patients.items():
        name = f"Case_{patient}"
        images = np.stack([np.clip(s.image, 0, 255).astype(np.uint8) for s in stack])
        write_image(folder / name / "Images" / f"{name}.nii.gz", images, spacing=(1.4, 1.4, 10.0))
        write_image(folder / name / "Contours" / f"{name}.nii.gz", np.stack([s.labels for s in stack]), spacing=(1.4, 1.4, 10.0))
    return folder
