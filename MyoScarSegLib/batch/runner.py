"""Many studies, one after the other: a failure of one is reported and costs the others nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError, OutputError, PromptError, StudyError
from MyoScarSegLib.outputs.case_files import write_case, write_proposal, write_tables
from MyoScarSegLib.outputs.case_folders import CaseFolders, content_of, is_case_folder, keep_edits, read_case_boxes
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.prompts import Box, Point, read_points
from MyoScarSegLib.result import DEFAULT_THRESHOLD, Result
from MyoScarSegLib.study import read_study
from MyoScarSegLib.study.names import case_names
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What to do with a list of inputs.

    Attributes:
        inputs: files or folders, one study each.
        out: folder for the results.
        boxes: a file (for one input), or a folder with ``<case>/boxes.json``, where the case's folder is the one that belongs to
            the input, or has its name; None lets the detector propose.
        points: likewise with ``<case>/points.json``; None for none.
        threshold: probability from which on a pixel counts as scar.
        growth_mm: by which masks are grown, or below 0 shrunk, in the slice.
        formats: of the mask: ``seg.nrrd``, ``nii.gz`` or ``both``.
        series: key of the DICOM series to read; None picks.
        axis: the file's axis through the slices: ``auto``, ``i``, ``j`` or ``k``.
        spacing_mm: ``(i, j, k)`` spacing to use instead of the file's.
        overwrite: write also over prompts that were edited in the results folder.
    """

    inputs: Sequence[Path]
    out: Path
    boxes: Path | None = None
    points: Path | None = None
    threshold: float = DEFAULT_THRESHOLD
    growth_mm: float = 0.0
    formats: str = "both"
    series: str | None = None
    axis: str = "auto"
    spacing_mm: tuple[float, float, float] | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class Outcome:
    """How one case ended.

    Attributes:
        case: its name, which is also that of its folder.
        status: ``done``; ``incomplete``: written, but a slice or a fact is missing; ``failed``: nothing to write, or it could
            not be written; ``cancelled``: what was finished before is written.
        message: why it is not ``done``.
        summary: JSON-able account of the result; empty if failed.
    """

    case: str
    status: str
    message: str = ""
    summary: dict[str, Any] = field(default_factory=dict)


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
    folders = CaseFolders(job.out, job.inputs)
    ended: dict[str, tuple[str, str]] = {}
    written: set[str] = set()

    def one(case: _Case, report: Progress) -> Outcome:
        start = time.perf_counter()
        points = _points(job, case)
        boxes = None if job.boxes is None else read_case_boxes(_prompt_file(job.boxes, case, "boxes.json", job))
        case.keep_edits(boxes, points)
        result = _segment(pipeline, case.study, boxes, points, job.threshold, report, cancel)
        if job.growth_mm:
            result = result.grown(job.growth_mm)
        seconds = round(time.perf_counter() - start, 2)
        with case.writing(result.boxes, result.points) as folder:
            result = replace(result, study=replace(case.study, case=folder.name))
            write_case(folder, result, job.formats, seconds=seconds)
        written.add(folder.name)
        summary = {**result.summary(), "seconds": seconds}
        summary["notes"] += case.notes
        if job.points is None and (folder / "points.json").exists():
            summary["notes"].append(f"{folder / 'points.json'} was not used; --points {job.out} uses it.")
        return Outcome(folder.name, result.status, result.message, summary)

    def tables(outcome: Outcome) -> None:
        """After every case, so that a crash or power cut leaves the rows of the cases before it."""
        if outcome.case not in written:
            ended[outcome.case] = outcome.status, outcome.message
        with folders.locked():
            write_tables(job.out, ended, written)

    return _each_case(job, folders, one, tables, progress, cancel)


def detect_all(
    job: Job, pipeline: Pipeline, *, progress: Progress = no_progress, cancel: CancelToken | None = None
) -> list[Outcome]:
    """Propose boxes for every input, and write them with a picture. Arguments and return value as :func:`segment_all`."""

    def one(case: _Case, report: Progress) -> Outcome:
        study = case.study
        case.keep_edits(None, ())
        boxes = pipeline.propose(study, progress=report, cancel=cancel)
        with case.writing(boxes, ()) as folder:
            write_proposal(folder, replace(study, case=folder.name), boxes)
        failures = [f"Slice {k}: {why}" for k, why in sorted({**study.bad_slices, **boxes.failed_slices}.items())]
        message = " ".join([*failures, *(["Cancelled."] if boxes.cancelled else [])])
        status = "cancelled" if boxes.cancelled else "incomplete" if failures else "done"
        per_slice = [sum(b.slice == k for b in boxes) for k in range(study.slices)]
        summary = {"case": folder.name, "boxes": len(boxes), "boxes_per_slice": per_slice, "provenance": boxes.provenance}
        return Outcome(folder.name, status, message, {**summary, "notes": case.notes} if case.notes else summary)

    return _each_case(job, CaseFolders(job.out, job.inputs), one, lambda _outcome: None, progress, cancel)


@dataclass(frozen=True)
class _Case:
    """An input that was read, and the folder that belongs to it as far as one can tell before it is written to."""

    job: Job
    folders: CaseFolders
    path: Path
    wanted_name: str
    study: Study
    content: str

    @property
    def notes(self) -> list[str]:
        """What to say if the folder's name does not come from the input's."""
        name = self.study.case
        if name == self.wanted_name or name.startswith(f"{self.wanted_name}-"):
            return []
        return [f"{self.path} was written to {self.job.out / name}, which belongs to an image of the same content."]

    def keep_edits(self, boxes: list[Box] | None, points: Sequence[Point]) -> None:
        if not self.job.overwrite:
            keep_edits(self.job.out / self.study.case, boxes, points)

    @contextmanager
    def writing(self, boxes: Sequence[Box], points: Sequence[Point]) -> Iterator[Path]:
        """The case's folder while it is written; not if its prompts were edited meanwhile."""
        with self.folders.writing(self.wanted_name, self.path, self.content) as folder:
            if not self.job.overwrite:
                keep_edits(folder, boxes, points)
            yield folder


def _each_case(
    job: Job,
    folders: CaseFolders,
    one: Callable[[_Case, Progress], Outcome],
    after: Callable[[Outcome], None],
    progress: Progress,
    cancel: CancelToken | None,
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    total = len(job.inputs)
    for number, (path, wanted_name) in enumerate(zip(map(Path, job.inputs), case_names(job.inputs), strict=True)):
        report = _named(progress, f"{wanted_name} ({number + 1} of {total})" if total > 1 else wanted_name)
        name = None
        if cancel is not None and cancel.cancelled:
            outcome = Outcome(folders.name_for(wanted_name, path, None), "cancelled", "Cancelled before it was begun.")
        else:
            try:
                study = _read(job, path)
                content = content_of(study)
                name = folders.name_for(wanted_name, path, content)
                outcome = one(_Case(job, folders, path, wanted_name, replace(study, case=name), content), report)
            except MyoScarSegError as error:
                outcome = Outcome(name or folders.name_for(wanted_name, path, None), "failed", str(error))
            except Exception as error:
                # A defect of ours or of a library on this one study: the log has the traceback, the others go on.
                _log.exception("Study %d failed", number + 1)  # no name: logs travel
                outcome = Outcome(
                    name or folders.name_for(wanted_name, path, None), "failed", f"Unexpected {type(error).__name__}: {error}"
                )
        folders.take(outcome.case)
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


def _read(job: Job, path: Path) -> Study:
    if is_case_folder(path):
        raise StudyError(f"{path} holds results, not a study.")
    return read_study(path, series=job.series, axis=job.axis, spacing_mm=job.spacing_mm)


def _points(job: Job, case: _Case) -> list[Point]:
    """The case's points. In a folder that also gives the boxes a case without a points file simply has none."""
    if job.points is None:
        return []
    if job.points.is_dir():
        folder = _prompt_folder(job.points, case)
        if folder is not None and folder.is_dir() and not (folder / "points.json").exists():
            return []
    return read_points(_prompt_file(job.points, case, "points.json", job))


def _prompt_folder(where: Path, case: _Case) -> Path | None:
    """The folder in ``where`` that belongs to the case, or that has its name and belongs to no other; None if there is none."""
    found = CaseFolders(where).find(case.wanted_name, case.path, case.content)
    if found is not None:
        return where / found
    return None if is_case_folder(where / case.wanted_name) else where / case.wanted_name


def _prompt_file(where: Path, case: _Case, name: str, job: Job) -> Path:
    if where.is_dir():
        folder = _prompt_folder(where, case)
        if folder is None:
            raise PromptError(f"{where / case.wanted_name} belongs to another image than {case.path}: give its {name} itself.")
        if not (folder / name).is_file():
            raise PromptError(f"There is no {folder.name}/{name} in {where}.")
        return folder / name
    if not where.is_file():
        raise PromptError(f"There is no {name} at {where}.")
    if len(job.inputs) > 1:
        raise PromptError(f"{where} is one file for {len(job.inputs)} inputs: give a folder with <case>/{name} instead.")
    return where
