"""The list of a cohort, and one of its cases, read for a panel that must not wait: the process of a background task."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.images import images_of
from MyoScarSegLib.batch.review_list import Entry, Mode, ReviewList
from MyoScarSegLib.batch.reviews import basis_sha256
from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.outputs.case_walls import read_case
from MyoScarSegLib.outputs.edited import Edited, Marks
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.quantification.aha import InsertionPoints
from MyoScarSegLib.study.handover import read_handover, write_handover
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.background_task import BackgroundTask, serve
from MyoScarSegLib.utils.json_fields import read, to_json
from MyoScarSegLib.utils.progress import CancelToken, Progress

_MODULE = "MyoScarSegLib.engine.review_case"
SHOWN, WALL, CAVITY, NO_REFLOW, REMOTE = 1, 2, 4, 8, 16
"""Bits of a case's labels: scar, wall, cavity, no-reflow and remote region as the reader left them last."""
CASE_SCAR, CASE_NO_REFLOW = 32, 64
"""Likewise scar and no-reflow as the case's folder has them."""


@dataclass(frozen=True)
class CaseFacts:
    """What is told of a case beside its voxels.

    Attributes:
        basis: of its record, as :func:`~MyoScarSegLib.batch.reviews.basis_sha256` gives it.
        boxes, points: its prompts.
        threshold, growth_mm: of the mask.
        provenance: of the run.
        wall_source: of the wall; empty without one.
        insertions: ends of the septum in the case's folder; None if they are not set.
        readers_wall: whether the wall is as this reader left it, and not the case's.
        marks: insertion points and levels as this reader left them; None if they are the case's.
    """

    basis: str
    boxes: tuple[Box, ...]
    points: tuple[Point, ...]
    threshold: float
    growth_mm: float
    provenance: dict[str, str] = field(default_factory=dict)
    wall_source: str = ""
    insertions: InsertionPoints | None = None
    readers_wall: bool = False
    marks: Marks | None = None


@dataclass(frozen=True, eq=False)
class ReviewCase:
    """A case of a cohort as a process has read it.

    Attributes:
        study: the stack as its file has it.
        labels: uint8 ``[k, j, i]`` of the bits above.
        probability: float32 ``[k, j, i]``.
        facts: the rest.
    """

    study: Study
    labels: np.ndarray
    probability: np.ndarray
    facts: CaseFacts

    def has(self, bit: int) -> np.ndarray:
        """bool ``[k, j, i]`` of one of the bits."""
        return (self.labels & bit) > 0


def list_task(out: Path, reader: str, mode: Mode) -> BackgroundTask:
    """A task that lists the studies of a results folder for a reader; it is not started yet. See :func:`entries_of`."""
    return BackgroundTask(_MODULE, {"out": str(out), "reader": reader, "mode": mode, "case": None}, "list")


def read_task(out: Path, reader: str, mode: Mode, case: str, file: Path) -> BackgroundTask:
    """A task that reads a case into ``file``; it is not started yet. See :func:`case_of`."""
    job = {"out": str(out), "reader": reader, "mode": mode, "case": case, "file": str(file)}
    return BackgroundTask(_MODULE, job, "case")


def entries_of(task: BackgroundTask) -> list[Entry]:
    """What a task of :func:`list_task` has found; raises what :meth:`Task.value` does."""
    return [read(Entry, one, OutputError, "The list of the cohort") for one in task.value()]


def case_file(task: BackgroundTask) -> Path:
    """The file of a task of :func:`read_task`."""
    return Path(task.job["file"])


def case_of(task: BackgroundTask) -> ReviewCase:
    """What a task of :func:`read_task` has read; raises what :meth:`Task.value` does, and StudyError if the file is missing or
    damaged."""
    facts, case = task.value(), task.job["case"]
    study, labels, probability = read_handover(case_file(task), case, "labels", "probability")
    return ReviewCase(study, labels, probability, read(CaseFacts, facts, StudyError, case))


def _work(job: dict[str, Any], _progress: Progress, _cancel: CancelToken) -> Any:
    cohort = Cohort(Path(job["out"]))
    readers_list = ReviewList(cohort, job["reader"], job["mode"])
    if job["case"] is not None:
        return _read(readers_list, job["case"], Path(job["file"]))
    if not cohort.out.is_dir():
        raise OutputError(f"The folder {cohort.out} is not to be reached. Connect its drive or server, and try again.")
    entries = readers_list.entries()
    if not entries:
        raise OutputError(f"{cohort.out} holds no studies of a cohort. Choose the folder that myoscarseg batch wrote.")
    return to_json(entries)


def _read(readers_list: ReviewList, case: str, file: Path) -> Any:
    folder = readers_list.cohort.out / case
    record = readers_list.record(case)
    if not record.results:
        raise StudyError(f"{case} has no result to be looked at: {record.message}")
    study = images_of(readers_list.cohort, record)
    result, walls = read_case(folder, study)
    study = result.study
    left = readers_list.left_of(case, study) or Edited(study, result.mask)
    ventricle = walls.ventricle if left.ventricle is None else left.ventricle
    parts = {
        SHOWN: left.scar,
        NO_REFLOW: walls.no_reflow if left.no_reflow is None else left.no_reflow,
        REMOTE: left.remote,
        CASE_SCAR: result.mask,
        CASE_NO_REFLOW: walls.no_reflow,
    }
    if ventricle is not None:
        parts |= {WALL: ventricle.myocardium, CAVITY: ventricle.cavity}
    labels = np.zeros(study.voxels.shape, np.uint8)
    for bit, part in parts.items():
        if part is not None:
            labels[part] |= bit
    facts = CaseFacts(
        basis_sha256(record),
        result.boxes,
        result.points,
        result.threshold,
        result.growth_mm,
        dict(result.provenance),
        "" if ventricle is None else ventricle.source,
        walls.insertions,
        left.ventricle is not None,
        left.marks,
    )
    write_handover(file, study, labels=labels, probability=result.probability.astype(np.float32))
    return to_json(facts)


if __name__ == "__main__":
    serve(_work)
