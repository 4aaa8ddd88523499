"""What the application has done for it in a process of its own: library, split, preview, estimate, runs, comparison, models.

``python -m MyoScarSegLib.training.background_work`` with ``{"task": NAME, "arguments": {...}}``; see
:mod:`MyoScarSegLib.utils.background_task`. A task is a function of this file; it takes the arguments by their names, beside
``progress`` and ``cancel``, and returns what is JSON-ready.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import Cancelled, MyoScarSegError, StudyError
from MyoScarSegLib.models import own
from MyoScarSegLib.models.entry import Entry
from MyoScarSegLib.study.handover import read_handover, write_handover
from MyoScarSegLib.training.datasets.import_export import ImportReport, export_cases, import_cases
from MyoScarSegLib.training.datasets.label_pictures import write_label_preview
from MyoScarSegLib.training.datasets.labelmaps import parse_label_map
from MyoScarSegLib.training.datasets.library_state import LibraryState
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.model_import import import_model
from MyoScarSegLib.training.runs import estimate as measuring
from MyoScarSegLib.training.runs.model_comparison import compare_run
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.transfer import export_models
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_settings import TrainSettings
from MyoScarSegLib.utils.background_task import serve
from MyoScarSegLib.utils.json_fields import read, to_json
from MyoScarSegLib.utils.progress import CancelToken, Progress, steps

Told = dict[str, Any]
Task = Callable[..., Told]
TASKS: dict[str, Task] = {}


def task(work: Task) -> Task:
    """Make a function one of the tasks, by its name."""
    TASKS[work.__name__] = work
    return work


def carry_out(job: Mapping[str, Any], progress: Progress, cancel: CancelToken) -> Any:
    """Do the task that a job names."""
    name = job.get("task")
    if name not in TASKS:
        raise MyoScarSegError(f"There is no task {name!r}; there are {', '.join(TASKS)}.")
    return TASKS[name](**job["arguments"], progress=progress, cancel=cancel)


# ---- the library


@task
def library_add(*, library: str, study: str, progress: Progress, cancel: CancelToken, **record: Any) -> Told:
    """:meth:`Library.add` of the study in the file ``study``, which was handed over: its record."""
    opened, name = Library.open(library), record.get("case") or record["patient"]
    progress(0, 1, f"Adding {name}")
    read_study, labels = read_handover(Path(study), name, "labels")
    added = opened.add(read_study, labels, **record, cancel=cancel)
    progress(1, 1, f"Added {added.case}")
    return added.to_json()


@task
def library_import(
    *, library: str, paths: Sequence[str], labels: str | None = None, preview: str | None = None, progress: Progress,
    cancel: CancelToken, **facts: Any,
) -> Told:  # fmt: skip
    """:func:`import_cases` with ``labels`` as a text: :meth:`ImportReport.to_json`, and whether it was ``cancelled`` before the
    last one. If nothing says what some labels mean, they are drawn as the picture ``preview``.
    """
    opened, label_map = Library.open(library), parse_label_map(labels) if labels else None
    report, cancelled, given = ImportReport(), False, [Path(path) for path in paths]
    try:
        import_cases(opened, given, label_map=label_map, **facts, progress=progress, cancel=cancel, report=report)
    except Cancelled:  # what is done stays, and is told
        cancelled = True
    if report.unnamed is not None and report.unnamed.example is not None and preview:
        write_label_preview(Path(preview), *report.unnamed.example, report.unnamed.values)
    return {**report.to_json(), "cancelled": cancelled}


@task
def library_changes(*, library: str, progress: Progress, cancel: CancelToken) -> Told:
    """Cases whose files are not those that were added: ``changed``, name to sentence."""
    return {"changed": LibraryState(Library.open(library)).changed_files()}


@task
def library_accept(*, library: str, case: str, progress: Progress, cancel: CancelToken) -> Told:
    """Take a case as its files are now: its record."""
    return Library.open(library).accept(case, cancel=cancel).to_json()


@task
def library_remove(*, library: str, cases: Sequence[str], progress: Progress, cancel: CancelToken) -> Told:
    """Take cases out: ``removed``. One that another program took out meanwhile is none of these."""
    opened, removed = Library.open(library), []
    for name in steps(cases, "Removing {}".format, progress, cancel):
        try:
            opened.remove(name, cancel=cancel)
        except StudyError:
            opened.check_there()
            if name in opened.folders():
                raise
            continue
        removed.append(name)
    return {"removed": removed}


@task
def library_export(*, library: str, cases: Sequence[str], folder: str, progress: Progress, cancel: CancelToken) -> Told:
    """Copy cases into a folder as a library of their own, which can be imported again: ``exported``."""
    return {"exported": export_cases(Library.open(library), cases, Path(folder), progress, cancel)}


@task
def library_split(*, library: str, seed: int, folds: int, progress: Progress, cancel: CancelToken) -> Told:
    """Draw the split anew: the manifest."""
    opened = Library.open(library)
    patients = len({case.patient for case in opened.scan()[0]})
    # With fewer patients than folds, one of them validates.
    folds = max(2, min(folds, patients))
    return opened.split(seed=seed, folds=folds, replace=True, progress=progress, cancel=cancel).to_json()


@task
def split_write(*, library: str, split: Mapping[str, Sequence[str]], progress: Progress, cancel: CancelToken) -> Told:
    """Check a split made by hand and write it: ``notes``."""
    training, validation = (tuple(sorted(split[side])) for side in ("training", "validation"))
    return {"notes": Library.open(library).write_split(Split(training, validation), progress=progress, cancel=cancel)}


@task
def library_read(*, library: str, case: str, out: str, progress: Progress, cancel: CancelToken) -> Told:
    """Read a case as its files are now, and write it to ``out`` (:mod:`~MyoScarSegLib.study.handover`): ``wall_known``, and the
    grey values ``window`` between which a picture of it shows most.
    """
    opened = Library.open(library)
    progress(0, 1, f"Reading {case}")
    labeled = opened.load(opened.record(case), edited=True)
    cancel.raise_if_cancelled()
    write_handover(Path(out), labeled.study, labels=labeled.labels)
    low, high = np.percentile(labeled.study.voxels, (1.0, 99.5))
    return {"wall_known": labeled.wall_known, "window": [float(low), float(high)]}


@task
def augmentation_preview(*, library: str, augmentation: str, out: str, progress: Progress, cancel: CancelToken) -> Told:
    """Draw what an augmentation does to slices of the library, into the PNG ``out``: ``picture``."""
    from MyoScarSegLib.training.augmentation.preview import preview

    opened = Library.open(library)
    cases = sorted(opened.cases(), key=lambda case: -case.slices_with_scar)[:4]
    read_on = steps(cases, lambda case: f"Reading {case.case}", progress, cancel)
    slices = [labeled for case in read_on for labeled in opened.load(case).slices()]
    preview(slices, Path(out), augmentation=augmentation, seed=0, rows=3, columns=4)
    return {"picture": out}


# ---- trainings


@task
def estimate(
    *, library: str, settings: Mapping[str, Any], split: Mapping[str, Any], progress: Progress, cancel: CancelToken
) -> Told:
    """How long a training will take: :class:`~.runs.estimate.Estimate`."""
    drawn = read(Split, split, StudyError, "The split", version=1)
    told: Told = to_json(measuring.estimate(TrainSettings.from_json(settings), library, drawn, progress, cancel))
    return told


@task
def run_command(*, run: str, command: str, progress: Progress, cancel: CancelToken) -> Told:
    """Have a run, which does not run, do a command: ``state``, as it is then."""
    opened = Run.open(run)
    opened.send(command)
    return {"state": str(opened.status().state)}


@task
def run_remove(*, run: str, progress: Progress, cancel: CancelToken) -> Told:
    """Delete a run: ``removed``, its name."""
    opened = Run.open(run)
    opened.remove()
    return {"removed": opened.name}


@task
def run_export(*, run: str, folder: str, progress: Progress, cancel: CancelToken) -> Told:
    """:func:`export_models` of a run into a folder: ``files``."""
    return {"files": [str(file) for file in export_models(Run.open(run), Path(folder), progress, cancel)]}


@task
def compare(*, run: str, progress: Progress, cancel: CancelToken, **used: Any) -> Told:
    """Compare a run's models with those in use: :func:`~.runs.model_comparison.compare_run`."""
    return compare_run(Run.open(run), progress, cancel, **used)


# ---- models


@task
def model_keep(*, model: str, card: str, name: str, progress: Progress, cancel: CancelToken) -> Told:
    """Keep a model with its card under a name: its ``name`` and ``sha256``."""
    return _told(own.keep(Path(model), Path(card), name, progress=progress, cancel=cancel))


@task
def model_import(*, file: str, name: str, progress: Progress, cancel: CancelToken) -> Told:
    """Take over a model, as ``name`` or as its card calls it: the ``name`` that it got, and its ``sha256``."""
    return _told(import_model(Path(file), name, progress=progress, cancel=cancel))


@task
def model_export(*, name: str, folder: str, progress: Progress, cancel: CancelToken) -> Told:
    """Write one of the user's models with its card into a folder: ``file``."""
    return {"file": str(own.export(name, Path(folder), progress, cancel))}


def _told(entry: Entry) -> Told:
    return {"name": entry.name, "sha256": entry.sha256}


if __name__ == "__main__":
    serve(carry_out)
