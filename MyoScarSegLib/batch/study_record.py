"""The record of a study in its case folder: what was made of which input by which models, and how it ended.

It is the truth about a cohort; tables over it can be made anew from it at any time. It is replaced as a whole and written after
all other files of the case, so that a kill at any moment leaves the record of before, which no longer fits the files.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.study.names import DETACHED_HEADERS, has_extension
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.files import visible_files
from MyoScarSegLib.utils.json_fields import load_if_whole, save

STUDY_RECORD = "record.json"
LEFT_RECORDS = ".left"
"""Folder in the results folder with a record of each input that was left because it is no LGE stack."""
_VERSION = 1


@dataclass(frozen=True)
class Basis:
    """All that a result depends on: a study with the same basis gets the same numbers.

    Attributes:
        image_sha256: of the image, as :func:`image_sha256` gives it; empty for an input that cannot be read.
        settings: what was asked for: threshold, growth, series, given prompts (by checksum), ...
        models: name of each part (``detector``, ``segmenter``) to the SHA-256 of its file.
        numbers: :data:`~MyoScarSegLib.result.NUMBERS_VERSION` of the program.
    """

    image_sha256: str
    settings: dict[str, Any]
    models: dict[str, str]
    numbers: int


@dataclass(frozen=True)
class StudyRecord:
    """What ``record.json`` says.

    Attributes:
        case: name of the case folder.
        state: ``done``, ``incomplete``, ``failed``, ``cancelled`` or ``left``.
        message: why it is not ``done``.
        cause: of a failure: the kind of error, by which failures are grouped.
        place_sha256: of the input's path; the path itself, which may hold a patient's name, is in the cohort's ``inputs.csv``.
        input_sha256: of names, sizes and times of the input's files, as :func:`files_sha256` gives it.
        content_sha256: of the input's voxels, by which a study is known wherever it lies.
        basis: what the result depends on.
        program: name and version.
        source: format, series and why it was taken, free of patient data.
        seconds: that reading, segmenting and writing took.
        files: of the case folder: name to bytes.
        results: what ``result.json`` says; empty without a result.
        signal_to_noise: of the image, as :func:`~MyoScarSegLib.study.image_quality.signal_to_noise` gives it.
    """

    case: str
    state: str
    message: str
    cause: str
    place_sha256: str
    input_sha256: str
    content_sha256: str
    basis: Basis
    program: str
    seconds: float
    source: dict[str, str] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    signal_to_noise: float | None = None

    @property
    def why(self) -> str:
        """Why the stack was taken, where the input holds several; else empty."""
        chosen = self.source.get("why_this_series", "")
        return f"series {self.source.get('series', '')}: {chosen}" if chosen else ""

    def files_are_whole(self, folder: Path) -> bool:
        """Whether the files of the case have the sizes that they were written with; not the prompts, which may be edited."""
        try:
            return all((folder / name).stat().st_size == size for name, size in self.files.items())
        except OSError:
            return False


def read_study_record(folder: Path) -> StudyRecord | None:
    """The record in a case folder; None if it has none, or one that is damaged or of another version."""
    return load_if_whole(StudyRecord, folder / STUDY_RECORD, version=_VERSION)


def write_study_record(folder: Path, record: StudyRecord) -> None:
    """Replace the record in a case folder; OutputError if it cannot be written."""
    save(folder / STUDY_RECORD, record, version=_VERSION)


def image_sha256(study: Study) -> str:
    """SHA-256 of all in a study that its numbers depend on: voxels, geometry, kind and bad slices."""
    digest = hashlib.sha256()
    geometry = study.geometry
    for array in (study.voxels, geometry.direction, geometry.slice_positions_mm, geometry.slice_origins_mm):
        digest.update(b"none" if array is None else repr(array.shape).encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    facts = (geometry.spacing_mm, geometry.origin_mm, study.reconstruction.value, study.file_axes, sorted(study.bad_slices))
    digest.update(repr(facts).encode())
    return digest.hexdigest()


def files_sha256(path: Path) -> str:
    """SHA-256 of names, sizes and times of a file, or of the files below a folder: equal as long as nobody wrote there.

    Empty if they cannot be asked, and for a header whose voxels lie in another file.
    """
    if has_extension(path, DETACHED_HEADERS):
        return ""
    digest = hashlib.sha256()
    try:
        for file in visible_files(path) if path.is_dir() else (path,):
            name, status = file.relative_to(path if path.is_dir() else path.parent).as_posix(), file.stat()
            digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    except OSError:
        return ""
    return digest.hexdigest()
