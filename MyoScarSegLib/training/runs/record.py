"""What was decided when a run was planned: its settings, and its cases as they were: nothing that changed since slips in."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.training.datasets.case_record import Case
from MyoScarSegLib.training.datasets.labeled import DataSet, LabeledStudy, noted_in
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_settings import TrainSettings
from MyoScarSegLib.utils.files import read_json, write_json
from MyoScarSegLib.utils.json_fields import read, to_json
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress, steps
from MyoScarSegLib.utils.words import listed

if TYPE_CHECKING:
    from MyoScarSegLib.training.runs.run import Run

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
        """The record of the run in ``folder``; StudyError if there is none, or it is damaged or of another version."""
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


def read_cases(
    run: Run,
    library: Path | str | None = None,
    *,
    begun: bool = True,
    write: bool = True,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> DataSet:
    """Read the cases of a run, from a library if not from where the run finds them itself.

    Once something was trained on them (``begun``) all must be there. Otherwise those that cannot be read are left out,
    which the run's record says from then on; on disk, too, if it is to ``write``.
    """
    opened = Library.open(run.data(library))
    wanted = {name: fingerprint for name, fingerprint in run.record.cases.items() if name not in run.record.left_out}
    records, damaged = opened.scan()
    here = {case.case: case for case in records}
    if changed := sorted(name for name, then in wanted.items() if name in here and CaseFingerprint.of(here[name]) != then):
        back = "was changed since the run was planned; start a new run, or put it back as it was."
        if len(changed) > 1:
            back = "were changed since the run was planned; start a new run, or put them back as they were."
        raise StudyError(f"{listed(changed, 5)} {back}")
    lost = {name: damaged.get(name, f"{opened.folder} has no case {name}.") for name in wanted if name not in here}
    studies: list[LabeledStudy] = []
    for name in steps(sorted(wanted.keys() - lost.keys()), "Reading {}".format, progress, cancel):
        with noted_in(lost, name):
            studies.append(opened.load(here[name]))
    if lost and begun:
        name, reason = next(iter(sorted(lost.items())))
        more = f" ({len(lost)} cases in all: {', '.join(sorted(lost))})" if len(lost) > 1 else ""
        raise StudyError(
            f"{name} cannot be read any more{more}: {reason} The run trained on it and cannot go on without; put it back, or "
            "start a new run."
        )
    if lost:
        _leave_out(run, lost, {study.patient for study in studies}, write=write)
    return DataSet.of_studies("library", studies, run.record.left_out)


def cases_of(library: Library, split: Split) -> dict[str, CaseFingerprint]:
    """The fingerprints of all cases of the split's patients."""
    if not split.training:
        raise StudyError("Nobody trains in this split. Put at least one patient on the training side.")
    cases, damaged = library.scan()
    wanted = {*split.training, *split.validation}
    found = {case.case: CaseFingerprint.of(case) for case in cases if case.patient in wanted}
    if missing := sorted(wanted - {fingerprint.patient for fingerprint in found.values()}):
        why = "".join(f" {name}: {reason}" for name, reason in damaged.items())
        raise StudyError(f"The library has no case of {', '.join(missing)} that can be read.{why} Take them out of the split.")
    return dict(sorted(found.items()))


def copy_cases(library: Library, cases: Mapping[str, CaseFingerprint], to: Path) -> None:
    """Copy cases into a new library of their own."""
    copy = Library.create(to)
    folders = library.folders()
    for case in cases:
        shutil.copytree(folders[case], copy.folder / "cases" / case)


def _leave_out(run: Run, lost: dict[str, str], left: set[str], *, write: bool) -> None:
    """Go on without some cases, for good."""
    split = run.split
    for part, side in (("train", split.training), ("validate", split.validation)):
        if side and not left & set(side):
            name, reason = next(iter(sorted(lost.items())))
            raise StudyError(
                f"Nobody is left to {part}: none of {', '.join(side[:5])} can be read. {name}: {reason} Repair or remove what "
                "cannot be read, and start a new run."
            )
    run.record = replace(run.record, left_out={**run.record.left_out, **lost})
    if write:
        run.record.write(run.folder)
