"""One case of a training library: its record, how it is written, and what a code may look like."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.burden import scar_burden
from MyoScarSegLib.study.description import orientation_words
from MyoScarSegLib.study.names import case_name
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.study.tissue import INFARCT
from MyoScarSegLib.training.datasets.label_pictures import write_thumbnail
from MyoScarSegLib.training.datasets.labeled import LabeledStudy
from MyoScarSegLib.training.datasets.patients import CODE
from MyoScarSegLib.training.datasets.stored_stacks import (
    StoredPlaces,
    places_of,
    read_written,
    write_image,
    write_label_segments,
)  # fmt: skip
from MyoScarSegLib.utils.files import sha256_of
from MyoScarSegLib.utils.json_fields import Count, Index, load, save, to_json

RECORD = "case.json"
VOLUME, SEGMENTATION, THUMBNAIL = "volume.nrrd", "segmentation.seg.nrrd", "thumbnail.png"
VERSION = 2

_LONGEST_TEXT, _LONGEST_TAG = 200, 40


@dataclass(frozen=True, kw_only=True)
class CaseGeometry(StoredPlaces):
    """Size and places of a case's stack; ``orientation`` is in words."""

    slices: Count
    rows: Count
    columns: Count
    orientation: str


@dataclass(frozen=True)
class Case:
    """One case of a training library, as its record has it.

    Attributes:
        case: its name, which is that of its folder.
        patient: code of the patient.
        source: where image and labels come from, in the user's words.
        reviewer: who drew or checked the labels.
        labels: names of the segments that were drawn.
        wall_known: whether cavity and myocardium are among them.
        date: when it was added, ISO 8601, UTC.
        program: name and version of the program that added it.
        files: name of each file to its SHA-256.
        content_sha256: of voxels, geometry and labels: equal for what is the same however often it is added.
        image_sha256: of the voxels alone.
        geometry: of the stack.
        reconstruction: ``"PSIR"`` or ``"magnitude"``.
        bad_slices: numbers of the slices that could not be read when it was added.
        scar_pixels, slices_with_scar: what the labels hold.
        volume_ml, mass_g: of the scar; None without spacing.
        reviewed: numbers of the slices that the reviewer has looked at; None for all. The others are not used.
        tags: words to find the case by.
        added_by: code of who added it.
    """

    case: str
    patient: str
    source: str
    reviewer: str
    labels: tuple[str, ...]
    wall_known: bool
    date: str
    program: str
    files: dict[str, str]
    content_sha256: str
    image_sha256: str
    geometry: CaseGeometry
    reconstruction: str
    bad_slices: tuple[Index, ...]
    scar_pixels: Index
    slices_with_scar: Index
    volume_ml: float | None = None
    mass_g: float | None = None
    reviewed: tuple[Index, ...] | None = None
    tags: tuple[str, ...] = ()
    added_by: str = ""

    def __post_init__(self) -> None:
        checked_code(self.patient, "patient code")
        if set(self.files) != {VOLUME, SEGMENTATION}:
            raise StudyError(f"it names the files {', '.join(self.files) or 'none'}; a case has {VOLUME} and {SEGMENTATION}.")

    @property
    def slices(self) -> int:
        """Number of slices of the stack."""
        return self.geometry.slices

    @property
    def unreviewed(self) -> tuple[int, ...]:
        """Numbers of the slices that nobody has reviewed yet."""
        return () if self.reviewed is None else tuple(k for k in range(self.slices) if k not in self.reviewed)

    def difference(self, folder: Path, sum_of: Callable[[Path], str | None] = sha256_of) -> str:
        """The sentence that says which of the files in ``folder`` is not the one that was added; empty if none is.

        ``sum_of`` a file is its SHA-256, or None if it is not to be looked at.
        """
        for name, digest in self.files.items():
            try:
                found = sum_of(folder / name)
            except OSError as error:
                reason = f"is missing or cannot be read: {error.strerror}. Put it back, or remove the case and add it again."
                return f"{name} of {self.case} {reason}"
            if found not in (digest, None):
                changed = f"{name} of {self.case} was changed since it was added (its checksum differs): edited, or damaged."
                return f"{changed} Accept the change (in Slicer, or by `myoscarseg library accept`), or add the case again."
        return ""

    def to_json(self) -> dict[str, Any]:
        """The record as a JSON object."""
        return dict(to_json(self, version=VERSION))

    def write(self, folder: Path) -> None:
        """Write the record into the case's folder."""
        save(folder / RECORD, self, version=VERSION)

    @classmethod
    def read(cls, path: Path) -> Case:
        """A record; StudyError if it is missing, damaged, or of another version."""
        try:
            return load(cls, path, StudyError, version=VERSION)
        except StudyError as error:
            raise StudyError(f"{error} Remove the case and add it again.") from error


def write_case(
    folder: Path, labeled: LabeledStudy, *, source: str, reviewer: str, tags: Iterable[str] = (), added_by: str = ""
) -> Case:
    """Write image, segmentation, thumbnail and record into an existing, empty folder, and read back what was written: StudyError
    if that differs (a full or failing disk).
    """
    study, scar = labeled.study, labeled.labels >= INFARCT
    write_image(folder / VOLUME, study)
    names = write_label_segments(folder / SEGMENTATION, labeled.labels, labeled.wall_known, study)
    orientation = "" if study.geometry.spacing_mm is None else orientation_words(study.geometry.direction)
    rows, columns = study.slice_shape
    geometry = CaseGeometry(slices=study.slices, rows=rows, columns=columns, orientation=orientation, **places_of(study))
    bad_slices = tuple(sorted(study.bad_slices))
    if not np.array_equal(read_written(folder / VOLUME, geometry, bad_slices).voxels, study.voxels):
        raise StudyError(f"{folder / VOLUME} does not read back as it was written; is the disk full or failing?")
    burden = scar_burden(scar, study.geometry)
    case = Case(
        case=labeled.case,
        patient=labeled.patient,
        source=_plain(source),
        reviewer=_plain(reviewer),
        labels=names,
        wall_known=labeled.wall_known,
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        program=f"MyoScarSeg {__version__}",
        files={name: sha256_of(folder / name) for name in (VOLUME, SEGMENTATION)},
        content_sha256=content_digest(labeled),
        image_sha256=image_digest(study),
        geometry=geometry,
        reconstruction=study.reconstruction.value,
        bad_slices=bad_slices,
        scar_pixels=int(scar.sum()),
        slices_with_scar=labeled.slices_with_scar,
        volume_ml=burden.volume_ml,
        mass_g=burden.mass_g,
        reviewed=labeled.reviewed,
        tags=checked_tags(tags),
        added_by=_plain(added_by),
    )
    write_thumbnail(folder / THUMBNAIL, study, scar)
    case.write(folder)
    return case


def image_digest(study: Study) -> str:
    """SHA-256 of the voxels."""
    voxels = np.ascontiguousarray(study.voxels, dtype=np.float32)
    return hashlib.sha256(f"{voxels.shape}".encode() + voxels.tobytes()).hexdigest()


def content_digest(labeled: LabeledStudy) -> str:
    """SHA-256 of voxels, geometry (to a micrometre), labels, what is reviewed, and whether the wall is known."""
    geometry = labeled.study.geometry
    digest = hashlib.sha256(image_digest(labeled.study).encode())
    for values in (geometry.spacing_mm, geometry.origin_mm, geometry.direction, geometry.slice_positions_mm):
        rounded = None if values is None else (np.round(np.asarray(values, dtype=np.float64), 3) + 0.0).tolist()
        digest.update(f"{rounded}|".encode())
    digest.update(f"{labeled.wall_known}|".encode())
    if labeled.reviewed is not None:  # of cases that are reviewed as a whole the digest is what it was before there was this
        digest.update(f"reviewed {sorted(labeled.reviewed)}|".encode())
    digest.update(np.ascontiguousarray(labeled.labels, dtype=np.uint8).tobytes())
    return digest.hexdigest()


def checked_code(code: str, what: str) -> str:
    """A patient code or case name, which must be fit for a file name on every system and no name of a person; else StudyError."""
    if not CODE.fullmatch(code) or case_name(code) != code:
        raise StudyError(
            f"{code!r} is no {what}: use 1 to 64 letters without accents, digits, dots, hyphens and underscores, with a letter "
            "or digit first, such as P012. Never use the patient's name or hospital number."
        )
    return code


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags without blanks around them, each once, in order; empty ones are dropped."""
    return tuple(dict.fromkeys(tag for tag in (_plain(str(tag))[:_LONGEST_TAG] for tag in tags) if tag))


def checked_slices(reviewed: Iterable[int] | None, slices: int) -> tuple[int, ...] | None:
    """Numbers of slices in order, each once; None if they are all of the stack's."""
    if reviewed is None:
        return None
    numbers = tuple(sorted({int(k) for k in reviewed}))
    if wrong := [k for k in numbers if not 0 <= k < slices]:
        raise StudyError(f"There is no slice {wrong[0]}: the stack has {slices}, counted from 0.")
    if not numbers:
        raise StudyError("No slice is reviewed, so nothing could be learned. Look through the slices first, and say which.")
    return None if len(numbers) == slices else numbers


def _plain(text: str) -> str:
    return " ".join(str(text).split())[:_LONGEST_TEXT]
