"""What a reader says of a study: a file per study and reader beside the record, replaced as a whole."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from MyoScarSegLib.batch.study_record import StudyRecord
from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.outputs import edited as masks
from MyoScarSegLib.outputs.edited import Edited, Marks, read_edited, replace_edited
from MyoScarSegLib.quantification.burden import scar_burden
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.files import atomic_path
from MyoScarSegLib.utils.json_fields import Limits, check, load, load_if_whole, save, to_json

REVIEW = "review-"
"""With this begin the names of a reader's files in a case folder."""
READER = Limits(
    pattern=r"(?!.*-wall$)\w[\w.-]{0,39}",
    words="a name of letters, digits, dots, dashes and underscores, without -wall at its end",
)
"""Of a reader's name; the file of his wall ends in ``-wall``."""
Verdict = Literal["accept", "edit", "reject"]
_VERSION = 1


@dataclass(frozen=True)
class Review:
    """A reader's word on a study.

    Attributes:
        reader: who.
        verdict: ``accept``: the mask is right; ``edit``: it is right as the reader left it; ``reject``: it is not to be used.
        mass_g: of what the reader leaves, no-reflow counted in; None for a rejected study, and without spacing.
        comment: of the reader.
        at: when, in seconds since 1970.
        basis_sha256: of what the result that was looked at depends on: a study that was run again since must be looked at again.
        marks: insertion points and levels as the reader left them; None where they are as the case has them.
    """

    reader: str
    verdict: Verdict
    mass_g: float | None
    comment: str
    at: float
    basis_sha256: str
    marks: Marks | None = None

    def is_of(self, record: StudyRecord) -> bool:
        """Whether it is of the result that the record has now."""
        return self.basis_sha256 == basis_sha256(record)


def basis_sha256(record: StudyRecord) -> str:
    """One SHA-256 for all that a result depends on."""
    return hashlib.sha256(json.dumps(to_json(record.basis), sort_keys=True).encode()).hexdigest()


def mask_file(folder: Path, reader: str) -> Path:
    """The reader's scar in a case folder, as he left it; there after ``edit`` alone."""
    return masks.scar_file(folder, REVIEW + reader)


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
        edited: with ``edit``: what the reader left.

    Raises:
        OutputError: no good name of a reader or no such verdict, ``edit`` without a mask or another verdict with one, or it
            cannot be written.
    """
    if not READER.allow(reader):
        raise OutputError(f"{reader!r} is no name for a reader: it must be {READER.words}, at most 40.")
    if (verdict == "edit") != (edited is not None):
        raise OutputError("An edited study has the mask that the reader left, and no other has one.")
    mass_g = record.results.get("scar_mass_g") if verdict == "accept" else None
    marks = None
    if edited is not None:
        mass_g, marks = scar_burden(edited.infarct, edited.study.geometry).mass_g, edited.marks
    review = Review(reader, verdict, mass_g, comment, time.time(), basis_sha256(record), marks)
    check(review, OutputError, "The review")
    with atomic_path(_review_file(folder, reader)) as temporary:  # it takes its place after the masks
        save(temporary, review, version=_VERSION)
        replace_edited(folder, REVIEW + reader, edited)
    return review


def read_review(folder: Path, reader: str) -> Review | None:
    """A reader's word in a case folder; None if there is none, or a damaged one."""
    return load_if_whole(Review, _review_file(folder, reader), version=_VERSION)


def read_left(folder: Path, reader: str, study: Study) -> Edited | None:
    """What a reader left of a study; None if he changed nothing, or said nothing of it.

    Raises:
        StudyError: his word is damaged; or a mask is gone, damaged, or of another study.
    """
    word, scar = _review_file(folder, reader), mask_file(folder, reader)
    if not word.is_file():
        return None
    anew = f"Put it back as it was, or delete {word} and review the study anew."
    try:
        review = load(Review, word, OutputError, version=_VERSION, ignore=True)
    except OutputError as error:
        raise StudyError(f"What {reader} said of the study is damaged: {error} {anew}") from error
    if review.verdict != "edit":
        return None
    if not scar.is_file():
        raise StudyError(f"{scar} is gone, which {reader} left at the review. {anew}")
    return read_edited(folder, REVIEW + reader, study, review.marks)


def read_reviews(folder: Path) -> list[Review]:
    """All readers' words in a case folder, the latest first. A damaged one is none."""
    found = (load_if_whole(Review, file, version=_VERSION) for file in folder.glob(f"{REVIEW}*.json"))
    return sorted((review for review in found if review is not None), key=lambda review: -review.at)


def _review_file(folder: Path, reader: str) -> Path:
    return folder / f"{REVIEW}{reader}.json"
