"""The record of a run: what was decided when it was planned, in a file that is not changed by the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.training.train_settings import TrainSettings
from MyoScarSegLib.utils.files import read_json, write_json
from MyoScarSegLib.utils.json_fields import read, to_json

if TYPE_CHECKING:
    from MyoScarSegLib.training.datasets.case_record import Case

RECORD = "run.json"
FORMAT, VERSION = "MyoScarSeg training run", 2


@dataclass(frozen=True)
class CaseFingerprint:
    """One case that a run uses, and what it was like when the run was planned.

    Attributes:
        patient: code of the patient.
        content_sha256: of voxels, geometry and labels.
        reviewed: slices that were reviewed; None for all.
    """

    patient: str
    content_sha256: str
    reviewed: tuple[int, ...] | None = None

    @classmethod
    def of(cls, case: Case) -> CaseFingerprint:
        """The fingerprint of a case of a library."""
        return cls(case.patient, case.content_sha256, case.reviewed)


@dataclass(frozen=True)
class RunRecord:
    """What a run is to do.

    Attributes:
        id: drawn when the run was made; the same wherever its folder is copied to.
        name: of the run, and of its folder where it was made.
        created: ISO 8601, UTC.
        program: name and version of the program that made it.
        settings: what is trained, and how; a start model that came with the run is relative to its folder.
        cases: name to fingerprint of every case of the split's patients.
        left_out: cases that could not be read when the training began, with the reason.
        expected_seconds: that were estimated for the stages before the start, if they were.
        compare_with: ``segmenter`` and ``detector`` in use when it was planned, by name or path; where there is none it is
            compared with what it starts from.
    """

    id: str
    name: str
    created: str
    program: str
    settings: TrainSettings
    cases: Mapping[str, CaseFingerprint]
    left_out: Mapping[str, str] = field(default_factory=dict)
    expected_seconds: Mapping[str, float] = field(default_factory=dict)
    compare_with: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the record of the run in ``folder``, atomically."""
        write_json(folder / RECORD, {"format": FORMAT, **to_json(self, version=VERSION)})

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """Read the record of the run in ``folder``.

        Raises:
            StudyError: there is no run, its record is damaged, or it is of another version.
        """
        path = folder / RECORD
        if not path.is_file():
            raise StudyError(f"{folder} is no training run: there is no {RECORD} in it.")
        document = read_json(path, StudyError)
        if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
            raise StudyError(f"{path} does not say that this is a training run.")
        if (version := document.get("version")) != VERSION:
            what = "Start a new run." if version == 1 else "Update MyoScarSeg."
            raise StudyError(f"{folder} is a run of version {version!r}; this program knows version {VERSION}. {what}")
        return read(cls, document, StudyError, str(path), version=VERSION)
