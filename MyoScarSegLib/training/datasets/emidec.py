"""The EMIDEC data as PNG slices: ``images/Case_P004_slice_003.png`` and ``labels/`` of the same names.

Lalande et al., "Emidec: A Database Usable for the Automatic Evaluation of Myocardial Infarction from Delayed-Enhancement
Cardiac MRI", Data 2020, 5, 89; licence CC BY-NC-SA 4.0. Patients named ``P...`` have an infarct, ``N...`` are normal.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.training.datasets.labelled import LabelledSlice

_NAME = re.compile(r"Case_([PN]\d+)_slice_(\d+)\.png")


def read_emidec(folder: Path) -> list[LabelledSlice]:
    """All slices, sorted by patient and slice.

    Raises:
        StudyError: the folder has no such files, an image lacks its labels, or their shapes differ.
    """
    from PIL import Image

    folder = Path(folder)
    slices = []
    for path in sorted((folder / "images").glob("*.png")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise StudyError(f"{path} is not named like an EMIDEC slice (Case_P004_slice_003.png).")
        label_path = folder / "labels" / path.name
        if not label_path.is_file():
            raise StudyError(f"{path} has no labels: {label_path} is missing.")
        with Image.open(path) as image, Image.open(label_path) as labels:
            pixels, classes = np.array(image), np.array(labels, dtype=np.uint8)
        if pixels.ndim != 2 or pixels.shape != classes.shape:
            raise StudyError(f"{path} has the shape {pixels.shape} and its labels {classes.shape}; both must be one grey image.")
        slices.append(LabelledSlice(match[1], int(match[2]), pixels, classes))
    if not slices:
        raise StudyError(f"{folder} holds no EMIDEC slices: there is no images/Case_*_slice_*.png in it.")
    return slices


def strata(slices: list[LabelledSlice]) -> dict[str, str]:
    """Patient to ``"P"`` (infarct) or ``"N"`` (normal), for the split."""
    return {s.patient: s.patient[0] for s in slices}
