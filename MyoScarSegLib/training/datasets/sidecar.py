"""``myoscarseg.json``: what a converted data set's own format cannot say, so that nothing is lost on the way back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.files import read_json, write_json

NAME = "myoscarseg.json"
VERSION = 1


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
    slice_origins_mm: tuple[tuple[float, ...], ...] | None = None
    bad_slices: tuple[int, ...] = ()
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
            slice_origins_mm=None if origins is None else tuple(tuple(float(v) for v in row) for row in origins),
            bad_slices=tuple(sorted(study.bad_slices)),
        )

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> CaseFacts:
        """Facts from a JSON object; KeyError, TypeError or ValueError if it is none."""
        spacing, positions, origins = (document.get(k) for k in ("spacing_mm", "slice_positions_mm", "slice_origins_mm"))
        i, j, k = spacing if spacing is not None else (1.0, 1.0, 1.0)
        return cls(
            patient=str(document["patient"]),
            wall_known=bool(document["wall_known"]),
            spacing_mm=None if spacing is None else (float(i), float(j), float(k)),
            slice_positions_mm=None if positions is None else tuple(float(v) for v in positions),
            slice_origins_mm=None if origins is None else tuple(tuple(float(v) for v in row) for row in origins),
            bad_slices=tuple(int(index) for index in document.get("bad_slices", ())),
            axis=str(document.get("axis", "k")),
        )

    def to_json(self) -> dict[str, Any]:
        """The facts as a JSON object."""
        return dataclasses.asdict(self)

    def restored(self, study: Study) -> Study:
        """The study with what its file could not hold.

        Raises:
            StudyError: the facts are about a stack of another number of slices.
        """
        bad = dict.fromkeys(self.bad_slices, "it could not be read when the data was put together")
        study = dataclasses.replace(study, bad_slices=bad | study.bad_slices)
        if self.spacing_mm is None:
            return dataclasses.replace(study, geometry=dataclasses.replace(study.geometry, spacing_mm=None), problems=())
        if self.slice_positions_mm is None:
            return study
        positions, origins = np.array(self.slice_positions_mm), np.array(self.slice_origins_mm or ())
        if len(positions) != study.slices or (len(origins) not in (0, study.slices)):
            raise StudyError(
                f"{study.case} has {study.slices} slices, but its record has positions of {len(positions)}: the file was changed."
            )
        geometry = dataclasses.replace(
            study.geometry, slice_positions_mm=positions, slice_origins_mm=origins if len(origins) else None
        )
        return dataclasses.replace(study, geometry=geometry)


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
        write_json(
            folder / NAME,
            {
                "version": VERSION,
                "cases": {case: facts.to_json() for case, facts in self.cases.items()},
                "slices": {name: list(where) for name, where in self.slices.items()},
                "label_map": None if self.label_map is None else {str(k): v for k, v in self.label_map.items()},
            },
        )

    @classmethod
    def read(cls, folder: Path) -> Sidecar:
        """The record in ``folder``, or an empty one if there is none.

        Raises:
            StudyError: it is damaged or from a newer version.
        """
        path = folder / NAME
        if not path.is_file():
            return cls()
        document = read_json(path, StudyError)
        try:
            if document["version"] != VERSION:
                raise StudyError(f"{path} is of version {document['version']}; this program reads version {VERSION}. Update it.")
            label_map = document.get("label_map")
            return cls(
                {str(case): CaseFacts.from_json(facts) for case, facts in document["cases"].items()},
                {str(name): (str(case), int(index)) for name, (case, index) in document["slices"].items()},
                None if label_map is None else {int(k): int(v) for k, v in label_map.items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StudyError(f"{path} is damaged ({error!r}); delete it to read the folder without it.") from error
