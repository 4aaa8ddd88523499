"""The cases that a run uses, as they were when it was planned: nothing that was added, changed or lost since slips in."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.runs.record import CaseFingerprint
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress, steps

if TYPE_CHECKING:
    from MyoScarSegLib.training.datasets.labeled import DataSet, LabeledStudy
    from MyoScarSegLib.training.runs.run import Run
    from MyoScarSegLib.training.splits import Split


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

    Raises:
        StudyError: a case was changed since the run was planned, is missing or cannot be read; it is named. Or nobody is left
            to train or to validate.
        OutputError: the record cannot be written.
    """
    opened = Library.open(run.data(library))
    wanted = {name: mark for name, mark in run.record.cases.items() if name not in run.record.left_out}
    records, damaged = opened.scan()
    here = {case.case: case for case in records}
    _check_unchanged({name: (mark, CaseFingerprint.of(here[name])) for name, mark in wanted.items() if name in here})
    lost = {name: damaged.get(name, f"{opened.folder} has no case {name}.") for name in wanted if name not in here}
    studies: list[LabeledStudy] = []
    for name in steps(sorted(wanted.keys() - lost.keys()), "Reading {}".format, progress, cancel):
        try:
            studies.append(opened.load(here[name]))
        except StudyError as error:
            lost[name] = str(error)
    if lost and begun:
        name, reason = next(iter(sorted(lost.items())))
        more = f" ({len(lost)} cases in all: {', '.join(sorted(lost))})" if len(lost) > 1 else ""
        raise StudyError(
            f"{name} cannot be read any more{more}: {reason} The run trained on it and cannot go on without; put it back, or "
            "start a new run."
        )
    if lost:
        _leave_out(run, lost, {study.patient for study in studies}, write=write)
    return _data(studies, run.record.left_out)


def cases_of(library: Library, split: Split) -> dict[str, CaseFingerprint]:
    """The marks of all cases of the split's patients.

    Raises:
        StudyError: a side is empty, or a patient has no case that can be read.
    """
    if not split.training:
        raise StudyError("Nobody trains in this split. Put at least one patient on the training side.")
    cases, damaged = library.scan()
    wanted = {*split.training, *split.validation}
    found = {case.case: CaseFingerprint.of(case) for case in cases if case.patient in wanted}
    if missing := sorted(wanted - {mark.patient for mark in found.values()}):
        why = "".join(f" {name}: {reason}" for name, reason in damaged.items())
        raise StudyError(f"The library has no case of {', '.join(missing)} that can be read.{why} Take them out of the split.")
    return dict(sorted(found.items()))


def copy_cases(library: Library, cases: Mapping[str, CaseFingerprint], to: Path) -> None:
    """Copy cases into a new library of their own.

    Raises:
        OSError: a file cannot be read or written.
    """
    copy = Library.create(to)
    folders = library.folders()
    for case in cases:
        shutil.copytree(folders[case], copy.folder / "cases" / case)


def _check_unchanged(marks: dict[str, tuple[CaseFingerprint, CaseFingerprint]]) -> None:
    changed = sorted(name for name, (then, now) in marks.items() if then != now)
    if changed:
        named = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        back = "was changed since the run was planned; start a new run, or put it back as it was."
        if len(changed) > 1:
            back = "were changed since the run was planned; start a new run, or put them back as they were."
        raise StudyError(f"{named} {back}")


def _leave_out(run: Run, lost: dict[str, str], left: set[str], *, write: bool) -> None:
    """Go on without some cases, for good.

    Raises:
        StudyError: a side of the split has nobody left.
    """
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


def _data(studies: list[LabeledStudy], left_out: Mapping[str, str]) -> DataSet:
    from MyoScarSegLib.training.datasets.labeled import DataSet, strata_by_content

    ordered = sorted(studies, key=lambda one: (one.patient, one.case))
    skipped = dict(left_out)
    for one in ordered:
        skipped |= {f"{one.case} slice {index}": reason for index, reason in one.study.bad_slices.items()}
    slices = [labeled for one in ordered for labeled in one.slices()]
    return DataSet("library", slices, skipped, strata_by_content(slices), None, tuple(ordered))
