"""Labeled stacks in files of our own: volumes with k through the slices, and beside them what they cannot hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.names import case_name
from MyoScarSegLib.study.stack import study_from
from MyoScarSegLib.study.study import Geometry, Study
from MyoScarSegLib.study.tissue import BLOOD_POOL, MVO, NO_REFLOW, SCAR, WALL
from MyoScarSegLib.study.volumes import read_volume
from MyoScarSegLib.study.writer import write_layers, write_volume
from MyoScarSegLib.utils.json_fields import Index, load, save

_SIDECAR = "myoscarseg.json"
_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class StoredPlaces:
    """Where the slices of a stored stack lie, as far as its file cannot say it.

    Attributes:
        spacing_mm: ``(i, j, k)``; None if it is not known, whatever number the file must have.
        slice_positions_mm, slice_origins_mm: of an uneven stack, as :class:`~MyoScarSegLib.study.study.Geometry` has them.
    """

    spacing_mm: tuple[float, float, float] | None
    slice_positions_mm: tuple[float, ...] | None = None
    slice_origins_mm: tuple[tuple[float, float, float], ...] | None = None

    @property
    def geometry(self) -> Geometry:
        """Spacing and slice positions as a geometry at the origin, its axes those of the world."""
        places = (None if places is None else np.array(places) for places in (self.slice_positions_mm, self.slice_origins_mm))
        return Geometry(self.spacing_mm, (0.0, 0.0, 0.0), np.eye(3), *places)

    def restored(self, study: Study) -> Study:
        """The study with the places that its file could not hold; StudyError if they are of another number of slices."""
        if self.spacing_mm is None:
            return replace(study, geometry=replace(study.geometry, spacing_mm=None), problems=())
        positions, origins = self.geometry.slice_positions_mm, self.geometry.slice_origins_mm
        if positions is None:
            return study
        if len(positions) != study.slices or (origins is not None and len(origins) != study.slices):
            raise StudyError(
                f"{study.case} has {study.slices} slices, but its record has positions of {len(positions)}: the file was changed."
            )
        return replace(study, geometry=replace(study.geometry, slice_positions_mm=positions, slice_origins_mm=origins))


def places_of(study: Study) -> dict[str, Any]:
    """The fields of :class:`StoredPlaces` of a study."""
    positions, origins = study.geometry.slice_positions_mm, study.geometry.slice_origins_mm
    return {
        "spacing_mm": study.geometry.spacing_mm,
        "slice_positions_mm": None if positions is None else tuple(positions.tolist()),
        "slice_origins_mm": None if origins is None else tuple(map(tuple, origins.tolist())),
    }


@dataclass(frozen=True, kw_only=True)
class CaseFacts(StoredPlaces):
    """What is known of one case of a converted data set beyond its files.

    Attributes:
        patient: code of the patient.
        wall_known: whether cavity and myocardium are labeled.
        bad_slices: numbers of slices that could not be read; they are blank in the file.
    """

    patient: str
    wall_known: bool
    bad_slices: tuple[Index, ...] = ()

    @classmethod
    def of(cls, patient: str, wall_known: bool, study: Study) -> CaseFacts:
        """The facts to keep of a study that is written with k through its slices."""
        return cls(patient=patient, wall_known=wall_known, bad_slices=tuple(sorted(study.bad_slices)), **places_of(study))


@dataclass(frozen=True)
class Sidecar:
    """The record beside a converted data set; empty where there is none.

    Attributes:
        cases: name of the case to its facts.
        slices: name of a slice's file (without extension) to its case and number; only in layouts of pictures.
    """

    cases: dict[str, CaseFacts] = field(default_factory=dict)
    slices: dict[str, tuple[str, int]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the record into ``folder``."""
        save(folder / _SIDECAR, self, version=_VERSION)

    @classmethod
    def read(cls, folder: Path) -> Sidecar:
        """The record in ``folder``, or an empty one if there is none; StudyError if it is damaged or of another version."""
        path = folder / _SIDECAR
        if not path.is_file():
            return cls()
        try:
            return load(cls, path, StudyError, version=_VERSION, ignore=True)
        except StudyError as error:
            raise StudyError(f"{error} Delete it to read the folder without it.") from error


def read_written(path: Path, places: StoredPlaces, bad_slices: Iterable[int]) -> Study:
    """The study in a volume that :func:`write_image` wrote, with what is known of it beside."""
    study = study_from(case_name(path), replace(read_volume(path), one_slice_is_enough=True), axis="k")
    bad = dict.fromkeys(bad_slices, "it could not be read when the data was put together")
    return places.restored(replace(study, bad_slices=bad | study.bad_slices))


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
