"""What a reader left of a case, as files beside it: the scar, and of wall, no-reflow and remote region what he drew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.aha import InsertionPoints, ReadersLevel
from MyoScarSegLib.quantification.ventricle import Ventricle, ventricle_of_labels
from MyoScarSegLib.study import read_mask, write_volume
from MyoScarSegLib.study.masks import read_labels
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.study.tissue import MVO, NO_REFLOW, REMOTE, Term
from MyoScarSegLib.study.writer import write_layers
from MyoScarSegLib.utils.files import atomic_path, remove


@dataclass(frozen=True)
class Marks:
    """What a reader set that is no mask.

    Attributes:
        insertion_points: ends of the septum; None if there are none.
        levels: slice index to the level that he gave it; of the other slices the rules say it.
    """

    insertion_points: InsertionPoints | None = None
    levels: Mapping[int, ReadersLevel] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Edited:
    """A study as a reader left it. What is None is as the program, or the case's folder, has it.

    Attributes:
        study: the stack as its file has it.
        scar: bool ``[k, j, i]``.
        ventricle: wall and cavity; empty where he took them away.
        no_reflow: bool ``[k, j, i]``; counts in scar.
        remote: bool ``[k, j, i]``, remote region for the reference methods.
        marks: insertion points and levels.
    """

    study: Study
    scar: np.ndarray
    ventricle: Ventricle | None = None
    no_reflow: np.ndarray | None = None
    remote: np.ndarray | None = None
    marks: Marks | None = None

    @property
    def infarct(self) -> np.ndarray:
        """bool ``[k, j, i]`` of scar and no-reflow, which count together."""
        return self.scar if self.no_reflow is None else self.scar | self.no_reflow


def scar_file(folder: Path, name: str) -> Path:
    """Path of the file of the scar."""
    return folder / f"{name}.nii.gz"


def wall_file(folder: Path, name: str) -> Path:
    """Path of the label volume of wall and cavity; it is there if they were edited."""
    return folder / f"{name}-wall.nii.gz"


def regions_file(folder: Path, name: str) -> Path:
    """Path of the segmentation of no-reflow and remote region; it is there if there are any."""
    return folder / f"{name}.seg.nrrd"


def replace_edited(folder: Path, name: str, edited: Edited | None) -> None:
    """Write the masks that a reader left, and remove those of before: all are written before the first takes its place.

    Args:
        name: with which the files' names begin.
        edited: None if nothing is left.

    Raises:
        OutputError: one cannot be written or removed, or the disk is full.
    """
    writers: dict[Path, Callable[[Path], None]] = {} if edited is None else _writers(folder, name, edited)
    with ExitStack() as together:
        for file, write in writers.items():
            write(together.enter_context(atomic_path(file)))
        for file in (scar_file(folder, name), wall_file(folder, name), regions_file(folder, name)):
            if file not in writers:
                remove(file)


def _writers(folder: Path, name: str, edited: Edited) -> dict[Path, Callable[[Path], None]]:
    study = edited.study
    writers: dict[Path, Callable[[Path], None]] = {
        scar_file(folder, name): partial(write_volume, array=edited.scar.astype(np.uint8), study=study)
    }
    if edited.ventricle is not None:
        writers[wall_file(folder, name)] = partial(write_volume, array=edited.ventricle.labels, study=study)
    drawn: list[tuple[np.ndarray, Term]] = [
        (mask, term) for mask, term in ((edited.no_reflow, MVO), (edited.remote, REMOTE)) if mask is not None
    ]
    if drawn:
        layers = [(mask.astype(np.uint8), {1: term}) for mask, term in drawn]
        writers[regions_file(folder, name)] = partial(write_layers, layers=layers, study=study)
    return writers


def read_edited(folder: Path, name: str, study: Study, marks: Marks | None = None) -> Edited:
    """What :func:`replace_edited` wrote.

    Args:
        marks: that were kept elsewhere.

    Raises:
        StudyError: a file is damaged, or of another study; or there is no scar.
    """
    edited = Edited(study, read_mask(scar_file(folder, name), study), marks=marks)
    wall, regions = wall_file(folder, name), regions_file(folder, name)
    if wall.is_file():
        values = read_labels(wall, study).values
        if values is None:
            raise StudyError(f"{wall} holds no label map. Delete it; the program's wall is shown then.")
        edited = replace(edited, ventricle=replace(ventricle_of_labels(values), source="edited"))
    if regions.is_file():
        segments = read_labels(regions, study).segments
        no_reflow = next((one.mask for one in segments if one.number == NO_REFLOW), None)
        remote = next((one.mask for one in segments if one.name == REMOTE.name), None)
        edited = replace(edited, no_reflow=no_reflow, remote=remote)
    return edited
