"""What a reader says of a study: a file per study and reader beside the record, replaced as a whole."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from MyoScarSegLib.batch.study_record import StudyRecord
from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.quantification.burden import scar_burden
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.study import write_volume
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.study.tissue import CAVITY, MYOCARDIUM
from MyoScarSegLib.utils.files import write_json
from MyoScarSegLib.utils.json_fields import Limits, load, to_json

REVIEW = "review-"
"""With this begin the names of a reader's files in a case folder."""
READER = Limits(pattern=r"[\w][\w.-]{0,39}", words="a name of letters, digits, dots, dashes and underscores")
Verdict = Literal["accept", "edit", "reject"]
_VERSION = 1


@dataclass(frozen=True)
class Review:
    """A reader's word on a study.

    Attributes:
        reader: who.
        verdict: ``accept``: the mask is right; ``edit``: it is right as the reader left it; ``reject``: it is not to be used.
        mass_g: of what the reader leaves; None for a rejected study, and without spacing.
        comment: of the reader.
        at: when, in seconds since 1970.
        basis_sha256: of what the result that was looked at depends on: a study that was run again since must be looked at again.
    """

    reader: str
    verdict: Verdict
    mass_g: float | None
    comment: str
    at: float
    basis_sha256: str

    def is_of(self, record: StudyRecord) -> bool:
        """Whether it is of the result that the record has now."""
        return self.basis_sha256 == basis_sha256(record)


@dataclass(frozen=True, eq=False)
class Edited:
    """A study as a reader left it.

    Attributes:
        study: the stack as its file has it.
        scar: bool ``[k, j, i]``.
        ventricle: wall and cavity; None if they are still as the program, or a file, has them.
    """

    study: Study
    scar: np.ndarray
    ventricle: Ventricle | None = None


def basis_sha256(record: StudyRecord) -> str:
    """One SHA-256 for all that a result depends on."""
    return hashlib.sha256(json.dumps(to_json(record.basis), sort_keys=True).encode()).hexdigest()


def mask_file(folder: Path, reader: str) -> Path:
    """The reader's mask in a case folder, as he left it; there after ``edit`` alone."""
    return folder / f"{REVIEW}{reader}.nii.gz"


def wall_file(folder: Path, reader: str) -> Path:
    """Labels of the wall in a case folder as the reader left it; there where he edited it."""
    return folder / f"{REVIEW}{reader}-wall.nii.gz"


def write_review(
    folder: Path,
    record: StudyRecord,
    reader: str,
    verdict: Verdict,
    *,
    comment: str = "",
    edited: Edited | None = None,
) -> Review:
    """Write a reader's word; his earlier one is replaced.

    Args:
        folder: of the case.
        record: that is reviewed.
        reader: see :data:`READER`.
        verdict: see :class:`Review`.
        comment: of the reader.
        edited: with ``edit``: what the reader left.

    Raises:
        OutputError: no good name of a reader, ``edit`` without a mask or another verdict with one, or it cannot be written.
    """
    if not READER.allow(reader):
        raise OutputError(f"{reader!r} is no name for a reader: it must be {READER.words}, at most 40.")
    if (verdict == "edit") != (edited is not None):
        raise OutputError("An edited study has the mask that the reader left, and no other has one.")
    mass_g = record.results.get("scar_mass_g") if verdict == "accept" else None
    if edited is not None:
        write_volume(mask_file(folder, reader), edited.scar.astype(np.uint8), edited.study)
        if edited.ventricle is not None:
            wall, cavity = edited.ventricle.myocardium, edited.ventricle.cavity
            labels = np.where(wall, MYOCARDIUM, np.where(cavity, CAVITY, 0)).astype(np.uint8)
            write_volume(wall_file(folder, reader), labels, edited.study)
        mass_g = scar_burden(edited.scar, edited.study.geometry).mass_g
    review = Review(reader, verdict, mass_g, comment, time.time(), basis_sha256(record))
    write_json(folder / f"{REVIEW}{reader}.json", to_json(review, version=_VERSION))
    if edited is None:
        mask_file(folder, reader).unlink(missing_ok=True)
    if edited is None or edited.ventricle is None:
        wall_file(folder, reader).unlink(missing_ok=True)
    return review


def read_reviews(folder: Path) -> list[Review]:
    """All readers' words in a case folder, the latest first. A damaged one is none."""
    found = []
    for file in folder.glob(f"{REVIEW}*.json"):
        try:
            found.append(load(Review, file, OutputError, version=_VERSION, ignore=True))
        except OutputError:
            continue
    return sorted(found, key=lambda review: -review.at)
