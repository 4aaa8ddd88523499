"""The record of a run: what was decided when it was planned, in a file that is not changed by the training."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import ModelError, StudyError
from MyoScarSegLib.training.train_job import TrainJob
from MyoScarSegLib.utils.files import read_json, write_json

if TYPE_CHECKING:
    from MyoScarSegLib.training.datasets.case_record import Case

RECORD = "run.json"
FORMAT, VERSION = "MyoScarSeg training run", 1
PARTS = {"sam": "segmenter", "yolo": "detector"}
"""Kind of a training to the folder in the run that it has for itself."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True)
class CaseMark:
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
    def of(cls, case: Case) -> CaseMark:
        """The mark of a case of a library."""
        reviewed = getattr(case, "reviewed", None)
        return cls(case.patient, case.content_sha256, None if reviewed is None else tuple(int(k) for k in reviewed))


@dataclass(frozen=True)
class RunRecord:
    """What a run is to do.

    Attributes:
        identity: drawn when the run was made; the same wherever its folder is copied to.
        name: of the run, and of its folder where it was made.
        created: ISO 8601, UTC.
        program: name and version of the program that made it.
        settings: JSON object of a :class:`~MyoScarSegLib.training.train_settings.TrainSettings`.
        jobs: the trainings, in their order; their paths are relative to the run's folder.
        cases: name to mark of every case of the split's patients.
        left_out: cases that could not be read when the training began, with the reason.
        expected: seconds that were estimated for the stages before the start, if they were.
        compare_with: ``segmenter`` and ``detector`` in use when it was planned, by name or path; where there is none it is
            compared with what it starts from.
    """

    identity: str
    name: str
    created: str
    program: str
    settings: Mapping[str, Any]
    jobs: tuple[TrainJob, ...]
    cases: Mapping[str, CaseMark]
    left_out: Mapping[str, str] = field(default_factory=dict)
    expected: Mapping[str, float] = field(default_factory=dict)
    compare_with: Mapping[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[str, ...]:
        """What is trained: ``segmenter``, ``detector`` or both."""
        return tuple(PARTS[job.kind] for job in self.jobs)

    def to_json(self) -> dict[str, Any]:
        """The record as a JSON object."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "id": self.identity,
            "name": self.name,
            "created": self.created,
            "program": self.program,
            "settings": dict(self.settings),
            "jobs": [job.to_json() for job in self.jobs],
            "cases": {
                name: {
                    "patient": mark.patient,
                    "content_sha256": mark.content_sha256,
                    "reviewed": None if mark.reviewed is None else list(mark.reviewed),
                }
                for name, mark in self.cases.items()
            },
            "left_out": dict(self.left_out),
            "expected_seconds": dict(self.expected),
            "compare_with": dict(self.compare_with),
        }

    def write(self, folder: Path) -> None:
        """Write the record of the run in ``folder``, atomically."""
        write_json(folder / RECORD, self.to_json())

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """Read the record of the run in ``folder``.

        Raises:
            StudyError: there is no run, its record is damaged, or it is of a newer version.
        """
        path = folder / RECORD
        if not path.is_file():
            raise StudyError(f"{folder} is no training run: there is no {RECORD} in it.")
        document = read_json(path, StudyError)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise StudyError(f"{path} does not say that this is a training run.")
        if document.get("version") != VERSION:
            raise StudyError(
                f"{folder} is a run of version {document.get('version')!r}; this program knows version {VERSION}. Update it."
            )
        try:
            jobs = tuple(TrainJob.from_json(job) for job in document["jobs"])
            if not jobs or len({job.kind for job in jobs}) < len(jobs):
                raise ValueError("it has no training, or one of them twice")
            return cls(
                identity=str(document["id"]),
                name=str(document["name"]),
                created=str(document["created"]),
                program=str(document["program"]),
                settings=dict(document["settings"]),
                jobs=jobs,
                cases={str(name): _mark(of) for name, of in document["cases"].items()},
                left_out={str(name): str(reason) for name, reason in document.get("left_out", {}).items()},
                expected={str(stage): float(s) for stage, s in document.get("expected_seconds", {}).items()},
                compare_with={str(part): str(model) for part, model in document.get("compare_with", {}).items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError, ModelError) as error:
            raise StudyError(f"{path} is damaged ({error}). Remove the run, or bring its record back.") from error


def portable(jobs: Iterable[TrainJob]) -> tuple[TrainJob, ...]:
    """Jobs with paths that hold wherever the run's folder is."""
    return tuple(replace(job, data=Path("data"), out=Path(PARTS[job.kind]), split=Path("split.json")) for job in jobs)


def checked_name(name: str) -> str:
    """A run's name that is fit for a folder on every system.

    Raises:
        StudyError: it is not.
    """
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise StudyError(
            f"{name!r} is no name for a run: use 1 to 80 letters without accents, digits, dots, hyphens and underscores, with a "
            "letter or digit first."
        )
    return name


def _mark(document: Mapping[str, Any]) -> CaseMark:
    reviewed = document.get("reviewed")
    return CaseMark(
        str(document["patient"]),
        str(document["content_sha256"]),
        None if reviewed is None else tuple(int(k) for k in reviewed),
    )
