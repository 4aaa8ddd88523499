"""Many studies in a process of its own, without blocking the caller: ``python -m MyoScarSegLib.engine.process_folder``."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from MyoScarSegLib.batch.cluster import ClusterChoice, segment_on_cluster
from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.finding import study_inputs
from MyoScarSegLib.batch.job import Job, Outcome
from MyoScarSegLib.batch.runner import Ended, ignore_outcome, segment_all
from MyoScarSegLib.engine_settings import EngineSettings
from MyoScarSegLib.errors import EngineError
from MyoScarSegLib.result import DEFAULT_THRESHOLD
from MyoScarSegLib.utils.background_task import BackgroundTask, serve
from MyoScarSegLib.utils.json_fields import read, to_json
from MyoScarSegLib.utils.progress import CancelToken, Progress

__all__ = ["folder_task", "study_inputs"]

CANCEL_S = 60.0
"""After a cancel, how long the process may take: the slice in hand ends, and its case is written as far as it got."""


def folder_task(
    inputs: Iterable[Path],
    out: Path,
    settings: EngineSettings,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    growth_mm: float = 0.0,
    workers: int = 1,
    resume: bool = False,
) -> BackgroundTask:
    """A task that segments every input; it is not started yet.

    Args:
        inputs: files or folders, one study each; with ``resume`` also folders to look through.
        out: folder for the results.
        settings: of the networks.
        threshold: probability from which on a pixel counts as scar.
        growth_mm: by which masks are grown, or below 0 shrunk, in the slice.
        workers: processes on this computer; more than one need Dask.
        resume: keep records and the list of inputs, as of a cohort, and run only what has none or has changed since.

    Returns:
        The task. Its result is a list with ``{"case", "status", "message"}`` of each study's
        :class:`~MyoScarSegLib.batch.runner.Outcome`, also after a cancel.
    """
    job = Job(tuple(inputs), out, threshold=threshold, growth_mm=growth_mm, cohort=resume, resume=resume)
    sent = {"job": to_json(job), "settings": settings.to_json(), "workers": workers}
    return BackgroundTask("MyoScarSegLib.engine.process_folder", sent, "folder", cancel_s=CANCEL_S)


def _segment_folder(job: dict[str, Any], progress: Progress, cancel: CancelToken) -> list[dict[str, str]]:
    settings, todo = EngineSettings.from_json(job["settings"]), read(Job, job["job"], EngineError, "The job")

    def work(todo: Job, _ended: Ended = ignore_outcome) -> list[Outcome]:
        if job["workers"] == 1:
            return segment_all(todo, settings.pipeline(), progress=progress, cancel=cancel)
        return _by_workers(todo, settings, job["workers"], progress, cancel)

    if todo.resume:
        cohort = Cohort(todo.out)
        with cohort.alone():
            outcomes = cohort.run(cohort.find(todo.inputs, resume=True), todo, work, ignore_outcome)
    else:
        outcomes = work(todo)
    return [{"case": o.case, "status": o.status, "message": o.message} for o in outcomes]


def _by_workers(job: Job, settings: EngineSettings, workers: int, progress: Progress, cancel: CancelToken) -> list[Outcome]:
    threads = settings.threads or max(1, (os.cpu_count() or 1) // workers)
    # Each process would have a cache of its own, and share the folder; what it keeps serves within a study.
    settings = replace(settings, threads=threads, cache_mib=64, cache_folder=None)
    number = itertools.count(1)

    def ended(outcome: Outcome) -> None:
        progress(next(number), len(job.inputs), f"{outcome.case}: {outcome.status}")

    return segment_on_cluster(job, settings, ClusterChoice(workers), cancel=cancel, ended=ended)


if __name__ == "__main__":
    serve(_segment_folder)
