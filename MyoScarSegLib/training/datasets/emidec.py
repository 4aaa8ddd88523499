"""The EMIDEC data as PNG slices: ``images/Case_P004_slice_003.png`` and ``labels/`` of the same names.

Lalande et al., "Emidec: A Database Usable for the Automatic Evaluation of Myocardial Infarction from Delayed-Enhancement
Cardiac MRI", Data 2020, 5, 89; licence CC BY-NC-SA 4.0. Patients named ``P...`` have an infarct, ``N...`` are normal.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.study.pictures import read_grey
from MyoScarSegLib.training.datasets.labelled import NO_REFLOW, LabelledSlice

NAME = re.compile(r"Case_([PN]\d+)_slice_(\d+)\.png")


def read_emidec(
    folder: Path,
    *,
    skipped: dict[str, str] | None = None,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> list[LabelledSlice]:
    """All slices, sorted by patient and slice.

    Args:
        folder: with ``images`` and ``labels``.
        skipped: is given the name of each slice that cannot be read, with the reason; None makes the first one an error.
        progress, cancel: as everywhere.

    Raises:
        StudyError: the folder has no such files; or (without ``skipped``) a slice is damaged, lacks its labels, or has labels
            of another shape.
        Cancelled: ``cancel`` was set.
    """
    folder = Path(folder)
    paths = sorted((folder / "images").glob("*.png"))
    slices = []
    for done, path in enumerate(paths):
        if cancel is not None:
            cancel.raise_if_cancelled()
        progress(done, len(paths), f"Reading {path.stem}")
        try:
            slices.append(_read(path, folder / "labels" / path.name))
        except StudyError as error:
            if skipped is None:
                raise
            skipped[path.stem] = str(error)
    if not slices:
        if skipped:
            name, reason = next(iter(skipped.items()))
            raise StudyError(f"None of the {len(skipped)} slices in {folder} can be read; {name}: {reason}")
        raise StudyError(f"{folder} holds no EMIDEC slices: there is no images/Case_*_slice_*.png in it.")
    progress(len(paths), len(paths), "Reading")
    return slices


def strata(slices: list[LabelledSlice]) -> dict[str, str]:
    """Patient to ``"P"`` (infarct) or ``"N"`` (normal), for the split."""
    return {s.patient: s.patient[0] for s in slices}


def _read(path: Path, label_path: Path) -> LabelledSlice:
    match = NAME.fullmatch(path.name)
    if match is None:
        raise StudyError(f"{path} is not named like an EMIDEC slice (Case_P004_slice_003.png).")
    if not label_path.is_file():
        raise StudyError(f"{path} has no labels: {label_path} is missing.")
    pixels, classes = _grey(path), _grey(label_path)
    if pixels.shape != classes.shape:
        raise StudyError(f"{path} has the shape {pixels.shape} and its labels {classes.shape}; both must be one grey image.")
    if classes.max() > NO_REFLOW:
        raise StudyError(f"{label_path} has the value {classes.max()}; EMIDEC's labels are 0 to {NO_REFLOW}.")
    return LabelledSlice(match[1], int(match[2]), pixels, classes.astype(np.uint8))


def _grey(path: Path) -> np.ndarray:
    try:
        return read_grey(path)
    except OSError as error:
        raise StudyError(f"{path} cannot be decoded: {error}.") from error
