"""Labeled stacks in files of our own: volumes with k through the slices, what they cannot hold beside them; and one ``.npz`` from
one process to another, quick to write and without pickle.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.names import case_name
from MyoScarSegLib.study.stack import study_from
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.study.tissue import BLOOD_POOL, MVO, NO_REFLOW, SCAR, WALL
from MyoScarSegLib.study.volumes import read_volume
from MyoScarSegLib.study.writer import write_layers, write_volume
from MyoScarSegLib.utils.files import write_bytes, write_json
from MyoScarSegLib.utils.json_fields import Index, load, to_json

_SIDECAR = "myoscarseg.json"
_VERSION = 1
_GEOMETRY = ("spacing_mm", "origin_mm", "direction", "slice_positions_mm", "slice_origins_mm")


@dataclass(frozen=True)
class CaseFacts:
    """What is known of one case beyond its files.

    Attributes:
        patient: code of the patient.
        wall_known: whether cavity and myocardium are labeled.
        spacing_mm: ``(i, j, k)``; None if it is not known, whatever number the file must have.
        slice_positions_mm, slice_origins_mm: of an uneven stack, as :class:`~MyoScarSegLib.study.study.Geometry` has them.
        bad_slices: numbers of slices that could not be read; they are blank in the file.
        axis: the file's axis through the slices.
    """

    patient: str
    wall_known: bool
    spacing_mm: tuple[float, float, float] | None
    slice_positions_mm: tuple[float, ...] | None = None
    slice_origins_mm: tuple[tuple[float, float, float], ...] | None = None
    bad_slices: tuple[Index, ...] = ()
    axis: str = "k"

    @classmethod
    def of(cls, patient: str, wall_known: bool, study: Study) -> CaseFacts:
        """The facts to keep of a study that is written with k through its slices."""
        geometry = study.geometry
        positions, origins = geometry.slice_positions_mm, geometry.slice_origins_mm
        return cls(
            patient=patient,
            wall_known=wall_known,
            spacing_mm=geometry.spacing_mm,
            slice_positions_mm=None if positions is None else tuple(float(v) for v in positions),
            slice_origins_mm=None if origins is None else tuple((float(x), float(y), float(z)) for x, y, z in origins),
            bad_slices=tuple(sorted(study.bad_slices)),
        )

    def restored(self, study: Study) -> Study:
        """The study with what its file could not hold; StudyError if that is about another number of slices."""
        bad = dict.fromkeys(self.bad_slices, "it could not be read when the data was put together")
        study = replace(study, bad_slices=bad | study.bad_slices)
        if self.spacing_mm is None:
            return replace(study, geometry=replace(study.geometry, spacing_mm=None), problems=())
        if self.slice_positions_mm is None:
            return study
        positions, origins = np.array(self.slice_positions_mm), np.array(self.slice_origins_mm or ())
        if len(positions) != study.slices or (len(origins) not in (0, study.slices)):
            raise StudyError(
                f"{study.case} has {study.slices} slices, but its record has positions of {len(positions)}: the file was changed."
            )
        geometry = replace(study.geometry, slice_positions_mm=positions, slice_origins_mm=origins if len(origins) else None)
        return replace(study, geometry=geometry)


@dataclass(frozen=True)
class Sidecar:
    """The record beside a converted data set; empty where there is none.

    Attributes:
        cases: name of the case to its facts.
        slices: name of a slice's file (without extension) to its case and number; only in layouts of pictures.
        label_map: value in the label files to class; only in layouts of volumes.
    """

    cases: dict[str, CaseFacts] = field(default_factory=dict)
    slices: dict[str, tuple[str, int]] = field(default_factory=dict)
    label_map: dict[int, int] | None = None

    def write(self, folder: Path) -> None:
        """Write the record into ``folder``."""
        write_json(folder / _SIDECAR, to_json(self, version=_VERSION))

    @classmethod
    def read(cls, folder: Path) -> Sidecar:
        """The record in ``folder``, or an empty one if there is none; StudyError if it is damaged or of another version."""
        path = folder / _SIDECAR
        if not path.is_file():
            return cls()
        try:
            return load(cls, path, StudyError, version=_VERSION)
        except StudyError as error:
            raise StudyError(f"{error} Delete it to read the folder without it.") from error


def read_written(path: Path, facts: CaseFacts) -> Study:
    """The study in a volume that :func:`write_image` wrote, with what is known of it beside."""
    stack = replace(read_volume(path), one_slice_is_enough=True)
    return facts.restored(study_from(case_name(path), stack, axis=facts.axis))


def write_image(path: Path, study: Study) -> None:
    """Write the voxels with k through the slices: as int16 if that loses nothing, else as float32."""
    voxels = study.voxels
    limits = np.iinfo(np.int16)
    if voxels.min() >= limits.min and voxels.max() <= limits.max and np.array_equal(voxels, np.round(voxels)):
        voxels = voxels.astype(np.int16)
    write_volume(path, voxels, straight(study))


def write_label_segments(path: Path, labels: np.ndarray, wall_known: bool, study: Study) -> tuple[str, ...]:
    """Write classes as a ``.seg.nrrd``, and return the segments' names: scar always, no-reflow where there is some, cavity and
    myocardium where they are known.
    """
    tissues = [SCAR, *((BLOOD_POOL, WALL) if wall_known else ()), *((MVO,) if (labels == NO_REFLOW).any() else ())]
    write_layers(path, [(labels.astype(np.uint8), {tissue.number: tissue for tissue in tissues})], straight(study))
    return tuple(tissue.name for tissue in tissues)


def straight(study: Study) -> Study:
    """The study as if its file had had k through the slices, evenly: where they really lie is kept beside the file."""
    return replace(study, file_axes=(0, 1, 2), geometry=replace(study.geometry, slice_positions_mm=None, slice_origins_mm=None))


def write_handover(path: Path, study: Study, labels: np.ndarray) -> None:
    """Write a study and its labels ``[k, j, i]``, bool (scar) or uint8 classes; names and texts of the study are left out.

    Raises:
        OutputError: the file cannot be written.
    """
    data, bad = io.BytesIO(), {str(k): reason for k, reason in study.bad_slices.items()}
    known = {name: value for name in _GEOMETRY if (value := getattr(study.geometry, name)) is not None}
    facts: dict[str, Any] = {"reconstruction": study.reconstruction.value, "bad_slices": json.dumps(bad)}
    np.savez(data, voxels=study.voxels, labels=labels, **known, **facts)
    write_bytes(path, data.getvalue())


def read_handover(path: Path, case: str) -> tuple[Study, np.ndarray]:
    """What :func:`write_handover` wrote, as the study ``case`` and its labels; StudyError if it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            known: dict[str, Any] = {name: stored.get(name) for name in _GEOMETRY}
            for name in ("spacing_mm", "origin_mm"):
                known[name] = None if known[name] is None else tuple(known[name].tolist())
            kind = Reconstruction(str(stored["reconstruction"]))
            bad = {int(k): reason for k, reason in json.loads(str(stored["bad_slices"])).items()}
            return Study(case, stored["voxels"], Geometry(**known), kind, bad_slices=bad), stored["labels"]
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise StudyError(f"The study on its way to the library, {path}, cannot be read: {error}. Add it again.") from error
