"""Studies and labels in files that this program wrote: with k through the slices, one slice or many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from MyoScarSegLib.study.names import case_name
from MyoScarSegLib.study.stack import study_from
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.study.tissue import BLOOD_POOL, MVO, NO_REFLOW, SCAR, WALL
from MyoScarSegLib.study.volumes import read_volume
from MyoScarSegLib.study.writer import write_segments, write_volume
from MyoScarSegLib.training.datasets.sidecar import CaseFacts


def read_written(path: Path, facts: CaseFacts) -> Study:
    """The study in a volume that :func:`write_image` wrote, with what is known of it beside.

    Raises:
        StudyError: the file is damaged, or is not the one that the facts are about.
    """
    stack = replace(read_volume(path), one_slice_is_enough=True)
    return facts.restored(study_from(case_name(path), stack, axis=facts.axis))


def write_image(path: Path, study: Study) -> None:
    """Write the voxels with k through the slices: as int16 if that loses nothing, else as float32.

    Raises:
        OutputError: the file cannot be written.
    """
    voxels = study.voxels
    limits = np.iinfo(np.int16)
    if voxels.min() >= limits.min and voxels.max() <= limits.max and np.array_equal(voxels, np.round(voxels)):
        voxels = voxels.astype(np.int16)
    write_volume(path, voxels, straight(study))


def write_label_segments(path: Path, labels: np.ndarray, wall_known: bool, study: Study) -> tuple[str, ...]:
    """Write classes as a ``.seg.nrrd``, and return the segments' names.

    Scar always has its segment; no-reflow has one where there is some, cavity and myocardium where they are known.

    Raises:
        OutputError: the file cannot be written.
    """
    tissues = [SCAR, *((BLOOD_POOL, WALL) if wall_known else ()), *((MVO,) if (labels == NO_REFLOW).any() else ())]
    write_segments(path, labels.astype(np.uint8), {tissue.number: tissue for tissue in tissues}, straight(study))
    return tuple(tissue.name for tissue in tissues)


def straight(study: Study) -> Study:
    """The study as if its file had had k through the slices, evenly: where they really lie is kept beside the file."""
    return replace(study, file_axes=(0, 1, 2), geometry=replace(study.geometry, slice_positions_mm=None, slice_origins_mm=None))
