"""Many studies, one after the other: a failure of one is reported and costs the others nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from MyoScarSegLib.batch.outputs import (
    RESULT_COLUMNS,
    SLICE_COLUMNS,
    result_row,
    slice_rows,
    write_case,
    write_proposal,
    write_table,
)
from MyoScarSegLib.errors import MyoScarSegError, OutputError, PromptError
from MyoScarSegLib.pipeline import DEFAULT_THRESHOLD, Pipeline
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.prompts import Box, Point, read_boxes, read_points
from MyoScarSegLib.result import Result
from MyoScarSegLib.study import case_name, read_study
from MyoScarSegLib.study.study import Study

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What to do with a list of inputs.

    Attributes:
        inputs: files or folders, one study each.
        out: folder for the results.
        boxes: a file (for one input), or a folder with ``<case>/boxes.json``; None lets the detector propose.
        points: likewise with ``<case>/points.json``; None for none.
        threshold: probability from which on a pixel counts as scar.
        formats: of the mask: ``seg.nrrd``, ``nii.gz`` or ``both``.
        series: key of the DICOM series to read; None picks.
        axis: the file's axis through the slices: ``auto``, ``i``, ``j`` or ``k``.
        spacing_mm: ``(i, j, k)`` spacing to use instead of the file's.
    """

    inputs: Sequence[Path]
    out: Path
    boxes: Path | None = None
    points: Path | None = None
    threshold: float = DEFAULT_THRESHOLD
    formats: str = "both"
    series: str | None = None
    axis: str = "auto"
    spacing_mm: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Outcome:
    """How one case ended.

    Attributes:
        case: its name, which is also that of its folder.
        status: ``done``; ``incomplete``: written, but a slice or a fact is missing; ``failed``: nothing to write, or it could
            not be written; ``cancelled``: what was finished before is written.
        message: why it is not ``done``.
        summary: JSON-able account of the result; empty if failed.
        row, slice_rows: of the tables.
    """

    case: str
    status: str
    message: str = ""
    summary: dict[str, Any] = field(default_factory=dict)
    row: dict[str, Any] = field(default_factory=dict)
    slice_rows: list[dict[str, Any]] = field(default_factory=list)


def case_names(inputs: Sequence[Path]) -> list[str]:
    """A folder name for each input, in order; inputs of one name get ``-2``, ``-3``, ... appended.

    Names that differ only in upper and lower case count as one, because they would share a folder on some systems.
    """
    taken: set[str] = set()
    names = []
    for path in inputs:
        plain = name = case_name(path)
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def segment_all(
    job: Job, pipeline: Pipeline, *, progress: Progress = no_progress, cancel: CancelToken | None = None
) -> list[Outcome]:
    """Segment every input, and write its files and the tables.

    Args:
        job: what to do.
        pipeline: the models.
        progress: called per slice, with the case's name.
        cancel: ends the work within one slice; the case in hand is written as far as it got, later ones are not begun.

    Returns:
        One outcome per input, in order, also for those that failed. A case whose rows could not be written to the tables
        has failed, too.
    """
    rows: list[dict[str, Any]] = []
    slices: list[dict[str, Any]] = []

    def one(path: Path, case: str, report: Progress) -> Outcome:
        start = time.perf_counter()
        # The prompts are read before anything is written: they may lie in the very folder that is written to.
        points = _points(job, case)
        boxes = None if job.boxes is None else read_boxes(_prompt_file(job.boxes, case, "boxes.json", job))
        study = _read(job, path, case)
        result = _segment(pipeline, study, boxes, points, job.threshold, report, cancel)
        write_case(job.out / case, result, job.formats)
        status, message = _status(result)
        seconds = time.perf_counter() - start
        row = result_row(result, status, message, seconds)
        summary = {**result.summary(), "seconds": round(seconds, 2)}
        if job.points is None and (job.out / case / "points.json").exists():
            summary["notes"].append(f"{job.out / case / 'points.json'} was not used; --points {job.out} uses it.")
        return Outcome(case, status, message, summary, row, slice_rows(result))

    def tables(outcome: Outcome) -> None:
        """After every case, so that a crash or power cut leaves the rows of the cases before it."""
        rows.append(outcome.row or {"case": outcome.case, "status": outcome.status, "message": outcome.message})
        slices.extend(outcome.slice_rows)
        write_table(job.out / "results.csv", RESULT_COLUMNS, rows)
        write_table(job.out / "slices.csv", SLICE_COLUMNS, slices)

    return _each_case(job, one, tables, progress, cancel)


def detect_all(
    job: Job, pipeline: Pipeline, *, progress: Progress = no_progress, cancel: CancelToken | None = None
) -> list[Outcome]:
    """Propose boxes for every input, and write them with a picture. Arguments and return value as :func:`segment_all`."""

    def one(path: Path, case: str, report: Progress) -> Outcome:
        study = _read(job, path, case)
        boxes = pipeline.propose(study, progress=report, cancel=cancel)
        write_proposal(job.out / case, study, boxes)
        failures = [f"Slice {k}: {why}" for k, why in sorted({**study.bad_slices, **boxes.failed_slices}.items())]
        message = " ".join([*failures, *(["Cancelled."] if boxes.cancelled else [])])
        status = "cancelled" if boxes.cancelled else "incomplete" if failures else "done"
        per_slice = [sum(b.slice == k for b in boxes) for k in range(study.slices)]
        summary = {"case": case, "boxes": len(boxes), "boxes_per_slice": per_slice, "provenance": boxes.provenance}
        return Outcome(case, status, message, summary)

    return _each_case(job, one, lambda _outcome: None, progress, cancel)


def _each_case(
    job: Job,
    one: Callable[[Path, str, Progress], Outcome],
    after: Callable[[Outcome], None],
    progress: Progress,
    cancel: CancelToken | None,
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    total = len(job.inputs)
    for number, (path, case) in enumerate(zip(job.inputs, case_names(job.inputs), strict=True)):
        report = _named(progress, f"{case} ({number + 1} of {total})" if total > 1 else case)
        if cancel is not None and cancel.cancelled:
            outcome = Outcome(case, "cancelled", "Cancelled before it was begun.")
        else:
            try:
                outcome = one(Path(path), case, report)
            except MyoScarSegError as error:
                outcome = Outcome(case, "failed", str(error))
            except Exception as error:
                # A defect of ours or of a library on this one study: the log has the traceback, the others go on.
                _log.exception("Study %d failed", number + 1)  # no name: logs travel
                outcome = Outcome(case, "failed", f"Unexpected {type(error).__name__}: {error}")
        try:
            after(outcome)
        except OutputError as error:
            # The disk may have room for the next, smaller case, and then for the tables with all rows.
            outcome = replace(outcome, status="failed", message=" ".join(part for part in (outcome.message, str(error)) if part))
        outcomes.append(outcome)
    return outcomes


def _named(progress: Progress, case: str) -> Progress:
    def report(done: int, total: int, message: str) -> None:
        progress(done, total, f"{case}: {message}")

    return report


def _segment(
    pipeline: Pipeline,
    study: Study,
    boxes: list[Box] | None,
    points: list[Point],
    threshold: float,
    progress: Progress,
    cancel: CancelToken | None,
) -> Result:
    if boxes is None:
        return pipeline.run(study, points=points, threshold=threshold, progress=progress, cancel=cancel)
    return pipeline.segment(study, boxes, points, threshold=threshold, progress=progress, cancel=cancel)


def _read(job: Job, path: Path, case: str) -> Study:
    return replace(read_study(path, series=job.series, axis=job.axis, spacing_mm=job.spacing_mm), case=case)


def _points(job: Job, case: str) -> list[Point]:
    """The case's points. In a folder that also gives the boxes a case without a points file simply has none."""
    if job.points is None:
        return []
    optional = job.points.is_dir() and (job.points / case).is_dir()
    if optional and not (job.points / case / "points.json").exists():
        return []
    return read_points(_prompt_file(job.points, case, "points.json", job))


def _prompt_file(where: Path, case: str, name: str, job: Job) -> Path:
    if where.is_dir():
        file = where / case / name
        if not file.is_file():
            raise PromptError(f"There is no {case}/{name} in {where}.")
        return file
    if not where.is_file():
        raise PromptError(f"There is no {name} at {where}.")
    if len(job.inputs) > 1:
        raise PromptError(f"{where} is one file for {len(job.inputs)} inputs: give a folder with <case>/{name} instead.")
    return where


def _status(result: Result) -> tuple[str, str]:
    failures = [f"Slice {k}: {why}" for k, why in result.all_failures().items()]
    if result.cancelled:
        return "cancelled", " ".join(["Cancelled; what was done before is written.", *failures])
    message = " ".join([*result.study.problems, *failures])
    return ("done" if result.complete else "incomplete"), message
