"""Small labeled studies, in memory and as files, for the tests of data sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from MyoScarSegLib.study import Geometry, Reconstruction, Study, write_volume

SHAPE = (4, 40, 48)
OBLIQUE = Rotation.from_euler("xyz", (0.4, -0.7, 0.2)).as_matrix()


def study(seed: int = 0, shape: tuple[int, int, int] = SHAPE, **geometry) -> Study:
    """Noise whose values are whole numbers, on an oblique grid with 10 mm between slices of 8 mm."""
    voxels = np.random.default_rng(seed).integers(-200, 1500, shape).astype(np.float32)
    facts = {"spacing_mm": (1.4, 1.3, 10.0), "origin_mm": (5.0, -6.0, 7.5), "direction": OBLIQUE, **geometry}
    return Study("made", voxels, Geometry(**facts), Reconstruction.PSIR)


def labels(seed: int = 0, shape: tuple[int, int, int] = SHAPE, *, scar: bool = True, wall: bool = True) -> np.ndarray:
    """EMIDEC's classes: a ring of myocardium around the cavity, with an infarct and some no-reflow in all but the last slice."""
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    radius = np.hypot(rows - shape[1] / 2, columns - shape[2] / 2)
    heart = np.where(radius < 7, 1, np.where(radius < 12, 2, 0)) if wall else np.zeros(shape[1:], dtype=int)
    classes = np.repeat(heart[None].astype(np.uint8), shape[0], axis=0)
    if scar:
        left = 16 + seed % 4
        for k in range(max(1, shape[0] - 1)):
            classes[k, 10:14, left : left + 6 + k] = 3
        classes[0, 11, left + 1 : left + 3] = 4
    return classes


def name_labels(folder: Path) -> None:
    """Say, as nnU-Net does, that the label files in a folder have EMIDEC's values."""
    named = {"background": 0, "cavity": 1, "myocardium": 2, "scar": 3, "no-reflow": 4}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({"labels": named}))


def write_pair(
    image: Path, label: Path, seed: int = 0, values: np.ndarray | None = None, of: Study | None = None, *, named: bool = True
) -> Study:
    """An image and its labels, which are named if they can be EMIDEC's."""
    made = study(seed) if of is None else of
    if named and (values is None or 3 <= values.max() <= 4):
        name_labels(label.parent)
    write_volume(image, made.voxels.astype(np.int16), made)
    write_volume(label, labels(seed) if values is None else values, made)
    return made


def write_grey(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)
    return path


def picture(seed: int, shape: tuple[int, int] = (40, 48)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def write_yolosam(folder: Path, parts: dict[str, list[str]], *, extension: str = "png") -> Path:
    """Pictures and masks with these names in ``train`` and ``val``; every third is free of scar."""
    number = 0
    for part, names in parts.items():
        for name in names:
            write_grey(folder / part / "images" / f"{name}.{extension}", picture(number))
            mask = np.zeros((40, 48), dtype=np.uint8)
            if number % 3 != 2:
                mask[8:16, 10 : 20 + number] = 255
            write_grey(folder / part / "masks" / f"{name}.{extension}", mask)
            number += 1
    (folder / "data.yaml").write_text("train: train/images\nval: val/images\nnames:\n  0: scar\n")
    return folder
