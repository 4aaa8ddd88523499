"""Many studies: a failure of one is reported and costs the others nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from MyoScarSegLib.batch.job import DONE, INCOMPLETE, Job, Outcome
from MyoScarSegLib.batch.study_work import Read, StudyWork
from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.outputs.case_files import CaseTables
from MyoScarSegLib.outputs.case_folders import CaseFolders
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.study.names import without_folders
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress, of_part

__all__ = ["Job", "Outcome", "collected", "detect_all", "segment_all"]

Ended = Callable[[Outcome], None]
"""Called with the outcome of each study as it ends."""


def ignore_outcome(_outcome: Outcome) -> None:
    """Do nothing with an outcome."""


def segment_all(
    job: Job,
    pipeline: Pipeline,
    *,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
    ended: Ended = ignore_outcome,
) -> list[Outcome]:
    """Segment every input, and write its files and the tables.

    Args:
        progress: called per slice, with the case's name.
        cancel: ends the work within one slice; the case in hand is written as far as it got, later ones are not begun.

    Returns:
        One outcome per input, in order, also for those that failed. A case whose rows could not be written to the tables
        has failed, too.
    """
    work = StudyWork(job, pipeline)
    return collected(job, _in_turn(work, work.segment, progress, cancel), ended)


def detect_all(
    job: Job, pipeline: Pipeline, *, progress: Progress = no_progress, cancel: CancelToken | None = None
) -> list[Outcome]:
    """Propose boxes for every input, and write them with a picture. Arguments and return value as :func:`segment_all`."""
    work = StudyWork(job, pipeline)
    return list(_in_turn(work, work.detect, progress, cancel))


def collected(job: Job, outcomes: Iterable[Outcome], ended: Ended = ignore_outcome) -> list[Outcome]:
    """The outcomes in the order of the inputs, with the tables written as they come, so that a crash leaves those rows.

    Args:
        outcomes: as the studies end, in any order.

    Raises:
        OutputError: the results folder of a cohort is gone: nothing that is still to come could be kept.
    """
    if job.cohort:
        with CaseFolders(job.out).locked():
            pass  # from here on the folder is there
    tables, folders, done = CaseTables(job.out), CaseFolders(job.out, made=job.cohort), []
    for outcome in outcomes:
        folders.check()
        with_tables = outcome
        if not (job.cohort and outcome.not_begun):  # what the tables say of it stands; it may have no case yet
            with_tables = _in_tables(tables, folders, job, outcome)
        done.append(with_tables)
        ended(with_tables)
    if done:
        done[-1] = _in_tables(tables, folders, job, done[-1], last=True)
    return sorted(done, key=lambda outcome: outcome.number)


def _in_tables(tables: CaseTables, folders: CaseFolders, job: Job, outcome: Outcome, *, last: bool = False) -> Outcome:
    try:
        if last:
            tables.write_rest(folders.locked)
        else:
            said = without_folders(outcome.message, Path(job.inputs[outcome.number]))
            there = outcome.written or (outcome.before and outcome.status in (DONE, INCOMPLETE))
            tables.add(outcome.case, outcome.status, said, written=there, alone=folders.locked)
    except OutputError as error:
        # The disk may have room for the next, smaller case, and then for the tables with all rows.
        return replace(outcome, status="failed", message=" ".join(part for part in (outcome.message, str(error)) if part))
    return outcome


def _in_turn(
    work: StudyWork, do: Callable[[Read, Progress, CancelToken | None], Outcome], progress: Progress, cancel: CancelToken | None
) -> Iterator[Outcome]:
    """One study after the other, in this process; the next is read while one is worked on."""
    items = work.job.items()
    total = len(items)
    with ThreadPoolExecutor(1, "reads-ahead") as reader:
        ahead = None
        for number, item in enumerate(items):
            if cancel is not None and cancel.cancelled:
                if ahead is not None:
                    ahead.cancel()
                yield work.not_begun(item)
                continue
            read = (ahead or reader.submit(work.read, item)).result()
            ahead = reader.submit(work.read, items[number + 1]) if number + 1 < total else None
            name = item.wanted_name
            yield do(read, of_part(progress, f"{name} ({number + 1} of {total})" if total > 1 else name), cancel)
