"""What is done with one study of many: read it, segment it or propose boxes, write its files and its record."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from MyoScarSegLib import __version__
from MyoScarSegLib.batch.job import CANCELLED, FAILED, LEFT, NOT_BEGUN, Item, Job, Outcome
from MyoScarSegLib.batch.reviews import REVIEW
from MyoScarSegLib.batch.study_log import StudyLog
from MyoScarSegLib.batch.study_record import (
    LEFT_RECORDS,
    STUDY_RECORD,
    Basis,
    StudyRecord,
    files_sha256,
    image_sha256,
    read_study_record,
    write_study_record,
)
from MyoScarSegLib.errors import Cancelled, ModelError, MyoScarSegError, NoStackError, OutputError, PromptError, StudyError
from MyoScarSegLib.outputs.case_files import write_case, write_proposal
from MyoScarSegLib.outputs.case_folders import (
    PROMPTS,
    RECORD,
    CaseFolders,
    content_of,
    is_case_folder,
    keep_edits,
    place_of,
    read_case_boxes,
)
from MyoScarSegLib.outputs.report_content import make_report
from MyoScarSegLib.outputs.report_files import write_report
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.prompts import Box, Point, read_points
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.quantification.insertions import propose_insertions
from MyoScarSegLib.result import NUMBERS_VERSION, ProposedVentricle, Result
from MyoScarSegLib.study import read_study
from MyoScarSegLib.study.checks import looks_like_labels
from MyoScarSegLib.study.image_quality import signal_to_noise
from MyoScarSegLib.study.names import spelled, without_folders
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.files import sha256_of
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.progress import CancelToken, Progress

_log = logging.getLogger(__name__)
_PROGRAM = f"MyoScarSeg {__version__}"
_UNTIL_IT_WORKS = ("OutputError", "ModelError", "Cancelled")
"""Failures that say nothing of the input: such a study is run again. So is one that failed unexpectedly."""


@dataclass
class Read:
    """A study that was read, or why it was not.

    Attributes:
        item: the input.
        study: None if it could not be read, or need not be.
        content: as :func:`~MyoScarSegLib.outputs.case_folders.content_of` gives it; None if it could not be read.
        input_sha256: as :func:`~MyoScarSegLib.batch.study_record.files_sha256` gives it.
        error: why it could not be read.
        outcome: of the run before, if nothing has changed since.
        seconds: that it took.
        log: what was said on the way.
    """

    item: Item
    study: Study | None = None
    content: str | None = None
    input_sha256: str = ""
    error: Exception | None = None
    outcome: Outcome | None = None
    seconds: float = 0.0
    log: StudyLog = field(default_factory=StudyLog)


class StudyWork:
    """Does the studies of a job one by one, with one set of networks; several processes can share a job.

    A failure of one study is its outcome and costs the others nothing.
    """

    def __init__(self, job: Job, pipeline: Pipeline, turn: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        """
        Args:
            turn: held while the networks work.
        """
        self._turn = turn
        self.job = job
        self.folders = CaseFolders(job.out, job.inputs, made=job.cohort, holds_another=self._holds_another)
        self._pipeline = pipeline
        self._models: dict[str, str] | None = None

    def read(self, item: Item) -> Read:
        """Read a study, unless its record says that nothing changed. May run in a thread, ahead of what is segmented."""
        read, start = Read(item), time.perf_counter()
        with read.log.listening(item.path):
            try:
                if is_case_folder(item.path):
                    raise StudyError(f"{item.path} holds results, not a study.")
                read.input_sha256 = files_sha256(item.path) if self.job.cohort else ""
                if self.job.resume:
                    read.outcome = self._unchanged(item, None, read.input_sha256)
                if read.outcome is None:
                    study = self._read(item.path)
                    if self.job.cohort and looks_like_labels(study.voxels):
                        raise NoStackError(f"{item.path} holds labels, not an image.")
                    read.study, read.content = study, content_of(study)
                    _log.info("Read %s", ", ".join(f"{key} {value}" for key, value in study.source.items() if key != "file"))
                    if self.job.resume:
                        read.outcome = self._unchanged(item, read, read.input_sha256)
            except Exception as error:
                read.error = error
                if _out_of_reach(error) or files_sha256(item.path) != read.input_sha256:
                    read.input_sha256 = ""  # the failure says nothing of the files: they are read again in the next run
        read.seconds = time.perf_counter() - start
        return read

    def segment(self, read: Read, progress: Progress, cancel: CancelToken | None) -> Outcome:
        """Segment a study that was read, and write its files and its record."""
        return self._finished(read, self._segment, progress, cancel)

    def detect(self, read: Read, progress: Progress, cancel: CancelToken | None) -> Outcome:
        """Propose boxes for a study that was read, and write them."""
        return self._finished(read, self._detect, progress, cancel)

    def not_begun(self, item: Item) -> Outcome:
        """The outcome of an input that a cancel came before."""
        name = self.folders.name_for(item.wanted_name, item.path, None)
        return Outcome(name, CANCELLED, NOT_BEGUN, number=item.number)

    def gave_up(self, item: Item, message: str, cause: str) -> Outcome:
        """The outcome of an input whose worker could not end it, recorded like every other failure of a cohort."""
        return replace(self._without_result(Read(item), None, FAILED, message, cause), number=item.number)

    def _finished(self, read: Read, work: Any, progress: Progress, cancel: CancelToken | None) -> Outcome:
        item = read.item
        if read.outcome is not None:
            if read.outcome.status != LEFT:
                self.folders.take(read.outcome.case)
            return read.outcome
        name = None
        with read.log.listening(item.path):
            try:
                if read.error is not None:
                    raise read.error
                assert read.study is not None  # noqa: S101 (it was read, or there is an error)
                name = self.folders.name_for(item.wanted_name, item.path, read.content)
                case = _Case(self.job, self.folders, item, replace(read.study, case=name), read.content or "")
                outcome = work(read, case, progress, cancel)
            except MyoScarSegError as error:
                status = LEFT if self.job.cohort and isinstance(error, NoStackError) else FAILED
                outcome = self._without_result(read, name, status, spelled(str(error)), type(error).__name__)
            except Exception as error:
                # A defect of ours or of a library on this one study: the log has the traceback, the others go on.
                _log.exception("Study %d failed", item.number + 1)  # no name: logs travel
                message = spelled(f"Unexpected {type(error).__name__}: {error}")
                outcome = self._without_result(read, name, FAILED, message, f"Unexpected {type(error).__name__}")
            finally:
                # What is kept of a study serves no other, and would be scattered over a heap that grows for hundreds of them.
                self._pipeline.networks.forget()
        if outcome.status != LEFT:
            self.folders.take(outcome.case)
        return replace(outcome, number=item.number)

    def _read(self, path: Path) -> Study:
        return read_study(path, series=self.job.series, axis=self.job.axis, spacing_mm=self.job.spacing_mm)

    def _holds_another(self, path: Path, name: str) -> bool:
        """Whether an input, which once gave a case, holds another image now: names were exchanged, or moved on by one."""
        record = read_study_record(self.job.out / name)
        if record is None or not record.input_sha256 or record.input_sha256 == files_sha256(path):
            return False
        try:
            return content_of(self._read(path)) != record.content_sha256
        except MyoScarSegError:
            return False

    def _segment(self, read: Read, case: _Case, progress: Progress, cancel: CancelToken | None) -> Outcome:
        job, start = self.job, time.perf_counter()
        points = case.points()
        boxes = None if job.boxes is None else read_case_boxes(case.prompt_file(job.boxes, "boxes.json"))
        case.keep_edits(boxes, points)
        with self._turn():
            result = self._result(case.study, boxes, points, progress, cancel)
            walls, without = self._walls(case.study, progress, cancel) if job.report else (None, "")
        if walls is not None and isinstance(walls.ventricle, ProposedVentricle):
            result = replace(result, provenance={**result.provenance, **walls.ventricle.provenance})
        if job.growth_mm:
            result = result.grown(job.growth_mm)
        seconds = round(read.seconds + time.perf_counter() - start, 2)
        with case.writing(result.boxes, result.points) as folder:
            result = replace(result, study=replace(case.study, case=folder.name))
            write_case(folder, result, job.formats, seconds=seconds, walls=walls)
            if walls is not None:
                write_report(folder, make_report(result, walls))
        summary = {**result.summary(), "seconds": seconds}
        basis = Basis(image_sha256(case.study), self._settings(case, points), self._checksums(), NUMBERS_VERSION)
        _log.info("Segmented in %s s: %s. %s", seconds, result.status, result.message)
        # The last that is written: with a record nothing of the study is still to come that a kill could leave half done.
        record = self._record(folder, read, result.status, result.message, basis=basis, seconds=seconds, results=summary)
        summary = {**summary, "notes": [*summary["notes"], *case.notes, *([without] if without else [])]}
        if job.points is None and (folder / "points.json").exists():
            summary["notes"].append(f"{folder / 'points.json'} was not used; --points {job.out} uses it.")
        return Outcome(folder.name, result.status, result.message, summary, written=True, why=record.why)

    def _detect(self, _read: Read, case: _Case, progress: Progress, cancel: CancelToken | None) -> Outcome:
        study = case.study
        case.keep_edits(None, ())
        boxes = self._pipeline.propose(study, progress=progress, cancel=cancel)
        with case.writing(boxes, ()) as folder:
            write_proposal(folder, replace(study, case=folder.name), boxes)
        failures = [f"Slice {k}: {why}" for k, why in sorted({**study.bad_slices, **boxes.failed_slices}.items())]
        message = " ".join([*failures, *(["Cancelled."] if boxes.cancelled else [])])
        status = "cancelled" if boxes.cancelled else "incomplete" if failures else "done"
        per_slice = [sum(b.slice == k for b in boxes) for k in range(study.slices)]
        summary = {"case": folder.name, "boxes": len(boxes), "boxes_per_slice": per_slice, "provenance": boxes.provenance}
        return Outcome(folder.name, status, message, {**summary, "notes": case.notes} if case.notes else summary, written=True)

    def _result(
        self, study: Study, boxes: list[Box] | None, points: list[Point], progress: Progress, cancel: CancelToken | None
    ) -> Result:
        threshold = self.job.threshold
        if boxes is None:
            return self._pipeline.run(study, points=points, threshold=threshold, progress=progress, cancel=cancel)
        return self._pipeline.segment(study, boxes, points, threshold=threshold, progress=progress, cancel=cancel)

    def _walls(self, study: Study, progress: Progress, cancel: CancelToken | None) -> tuple[Anatomy, str]:
        """The model's own wall with proposed insertion points, and why there is none; empty if there is one."""
        try:
            ventricle = self._pipeline.ventricle(study, progress=progress, cancel=cancel)
        except (ModelError, Cancelled) as error:
            return Anatomy(), f"The report has no wall. {error}"
        insertions = None
        if ventricle.closed and study.geometry.spacing_mm is not None:
            insertions = propose_insertions(study.voxels, ventricle, study.geometry)
        return Anatomy(ventricle if ventricle.walls else None, None, insertions), ""

    def _without_result(self, read: Read, name: str | None, status: str, message: str, cause: str) -> Outcome:
        """The outcome of a study that gave nothing; of a cohort's there is a record, so that it is known without running it."""
        item = read.item
        if not self.job.cohort:
            name = name or self.folders.name_for(item.wanted_name, item.path, None)
            return Outcome(name, status, message)
        try:
            basis = Basis("", self._settings(None, []), {}, NUMBERS_VERSION)
            if status == LEFT:
                self.folders.check()
                name = item.wanted_name
                folder = self._left_folder(item)
                self._record(folder, read, status, message, basis=basis, seconds=round(read.seconds, 2), cause=cause)
                return Outcome(name, status, message, {"cause": cause})
            with self.folders.writing(item.wanted_name, item.path, read.content) as folder:
                self._record(folder, read, status, message, basis=basis, seconds=round(read.seconds, 2), cause=cause)
            name = folder.name
        except OutputError as error:
            name, message = name or self.folders.name_for(item.wanted_name, item.path, None), f"{message} {error}"
        return Outcome(name, status, message, {"cause": cause})

    def _record(
        self,
        folder: Path,
        read: Read,
        state: str,
        message: str,
        *,
        basis: Basis,
        seconds: float,
        cause: str = "",
        results: dict[str, Any] | None = None,
    ) -> StudyRecord:
        if state != LEFT:
            read.log.write(folder)
        written = [] if results is None else [*folder.iterdir()]
        names = {file.name for file in written if file.is_file() and not file.name.startswith((".", REVIEW))} - {
            RECORD,
            LEFT_RECORDS,
            STUDY_RECORD,
            *PROMPTS,
        }
        record = StudyRecord(
            case=read.item.wanted_name if state == LEFT else folder.name,
            state=state,
            message=without_folders(message, read.item.path),
            cause=cause,
            place_sha256=place_of(read.item.path),
            input_sha256=read.input_sha256,
            content_sha256=read.content or "",
            basis=basis,
            program=_PROGRAM,
            seconds=seconds,
            source={} if read.study is None else read.study.source,
            files={name: (folder / name).stat().st_size for name in sorted(names)},
            results=to_json(results or {}),
            signal_to_noise=None if results is None or read.study is None else signal_to_noise(read.study),
        )
        write_study_record(folder, record)
        return record

    def _unchanged(self, item: Item, read: Read | None, input_sha256: str) -> Outcome | None:
        """The outcome of before, if the study would come out the same; None if it is to be run.

        Without ``read`` by the times of its files alone, which saves reading them.
        """
        name = self.folders.find(item.wanted_name, item.path, None if read is None else read.content)
        folder = self._left_folder(item) if name is None else self.job.out / name
        record = read_study_record(folder)
        if record is None or record.state == CANCELLED or not record.files_are_whole(folder):
            return None
        if read is None and (not input_sha256 or record.input_sha256 != input_sha256):
            return None
        if not record.results:
            same = read is None and record.basis == Basis("", self._settings(None, []), {}, NUMBERS_VERSION)
            name = name or item.wanted_name
            if not same or record.cause in _UNTIL_IT_WORKS or record.cause.startswith("Unexpected") or record.program != _PROGRAM:
                return None
            return Outcome(name, record.state, record.message, {"cause": record.cause}, before=True, number=item.number)
        assert name is not None  # noqa: S101 (only what was left has no folder, and that has no results)
        image, case = record.basis.image_sha256, None
        if read is not None:
            assert read.study is not None  # noqa: S101 (it was read)
            image = image_sha256(read.study)
            case = _Case(self.job, self.folders, item, replace(read.study, case=name), read.content or "")
        elif self.job.boxes is not None or self.job.points is not None:
            return None  # which prompts belong to it is known by its content
        points = case.points() if case is not None else []
        settings = to_json(self._settings(case, points))
        if record.basis.settings.get("report"):
            settings["report"] = True  # more than was asked for is as good
        if record.basis != Basis(image, settings, self._checksums(), NUMBERS_VERSION):
            return None
        if read is not None:
            write_study_record(folder, replace(record, input_sha256=input_sha256, place_sha256=place_of(item.path)))
        return Outcome(name, record.state, record.message, record.results, before=True, number=item.number, why=record.why)

    def _left_folder(self, item: Item) -> Path:
        """Where the record of an input that was left is: it has no case."""
        return self.job.out / LEFT_RECORDS / place_of(item.path)[:32]

    def _checksums(self) -> dict[str, str]:
        if self._models is None:
            self._models = self._pipeline.networks.checksums()
        return self._models

    def _settings(self, case: _Case | None, points: Sequence[Point]) -> dict[str, Any]:
        """What was asked for, as the record has it."""
        job = self.job
        asked: dict[str, Any] = {}
        if case is not None and job.boxes is not None:
            asked["boxes_sha256"] = sha256_of(case.prompt_file(job.boxes, "boxes.json"))
        if job.report:
            asked["report"] = True
        if points:
            asked["points_sha256"] = hashlib.sha256(repr(list(points)).encode()).hexdigest()
        settings = {
            "threshold": job.threshold,
            "growth_mm": job.growth_mm,
            "formats": job.formats,
            "series": job.series,
            "axis": job.axis,
            "spacing_mm": job.spacing_mm,
            **self._pipeline.settings(),
            **asked,
        }
        return to_json(settings)


def _out_of_reach(error: BaseException | None) -> bool:
    """Whether the system's refusal (a network folder that is gone, a lock) is behind an error, not what a file holds."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return True
        error = error.__cause__ or error.__context__
    return False


@dataclass(frozen=True)
class _Case:
    """An input that was read, and the folder that belongs to it as far as one can tell before it is written to."""

    job: Job
    folders: CaseFolders
    item: Item
    study: Study
    content: str

    @property
    def notes(self) -> list[str]:
        """What to say if the folder's name does not come from the input's."""
        name, wanted = self.study.case, self.item.wanted_name
        if name == wanted or name.startswith(f"{wanted}-"):
            return []
        return [spelled(f"{self.item.path} was written to {self.job.out / name}, which belongs to an image of the same content.")]

    def keep_edits(self, boxes: list[Box] | None, points: Sequence[Point]) -> None:
        if not self.job.overwrite:
            keep_edits(self.job.out / self.study.case, boxes, points)

    @contextmanager
    def writing(self, boxes: Sequence[Box], points: Sequence[Point]) -> Iterator[Path]:
        """The case's folder while it is written; not if its prompts were edited meanwhile."""
        with self.folders.writing(self.item.wanted_name, self.item.path, self.content) as folder:
            if not self.job.overwrite:
                keep_edits(folder, boxes, points)
            yield folder

    def points(self) -> list[Point]:
        """Its points. In a folder that also gives the boxes a case without a points file simply has none."""
        where = self.job.points
        if where is None:
            return []
        if where.is_dir():
            folder = self._prompt_folder(where)
            if folder is not None and folder.is_dir() and not (folder / "points.json").exists():
                return []
        return read_points(self.prompt_file(where, "points.json"))

    def prompt_file(self, where: Path, name: str) -> Path:
        """The file of prompts for it in ``where``, a folder or the file itself; PromptError if there is none."""
        if where.is_dir():
            folder = self._prompt_folder(where)
            if folder is None:
                place = where / self.item.wanted_name
                raise PromptError(f"{place} belongs to another image than {self.item.path}: give its {name} itself.")
            if not (folder / name).is_file():
                raise PromptError(f"There is no {folder.name}/{name} in {where}.")
            return folder / name
        if not where.is_file():
            raise PromptError(f"There is no {name} at {where}.")
        if len(self.job.inputs) > 1:
            raise PromptError(f"{where} is one file for {len(self.job.inputs)} inputs: give a folder with <case>/{name} instead.")
        return where

    def _prompt_folder(self, where: Path) -> Path | None:
        """The folder in ``where`` that belongs to the case, or has its name and belongs to no other; None if there is none."""
        wanted = self.item.wanted_name
        found = CaseFolders(where).find(wanted, self.item.path, self.content)
        if found is not None:
            return where / found
        return None if is_case_folder(where / wanted) else where / wanted
