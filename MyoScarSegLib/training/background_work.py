"""What the application has done for it in a process of its own: library, split, preview, estimate, runs, comparison, models.

``python -m MyoScarSegLib.training.background_work`` with ``{"task": NAME, "arguments": {...}}``; see
:mod:`MyoScarSegLib.utils.background_task`. Each task takes ``(arguments, progress, cancel)`` and returns what is JSON-ready;
where it ends with "..." the other arguments are those of the function that it calls.
"""

from __future__ import annotations

from collections.abc import Callable
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
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.transfer import export_models
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_settings import TrainSettings
from MyoScarSegLib.utils.background_task import serve
from MyoScarSegLib.utils.json_fields import read, to_json
from MyoScarSegLib.utils.progress import CancelToken, Progress, steps

Arguments = dict[str, Any]
Task = Callable[[Arguments, Progress, CancelToken], Arguments]
TASKS: dict[str, Task] = {}


def task(work: Task) -> Task:
    """Make a function one of the tasks, by its name."""
    TASKS[work.__name__] = work
    return work


def carry_out(job: Arguments, progress: Progress, cancel: CancelToken) -> Any:
    """Do the task that a job names."""
    name = job.get("task")
    if name not in TASKS:
        raise MyoScarSegError(f"There is no task {name!r}; there are {', '.join(TASKS)}.")
    return TASKS[name](job["arguments"], progress, cancel)


# ---- the library


@task
def library_add(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """:meth:`Library.add` of the study in the file ``study``, which was handed over, to ``library``...: its record."""
    given = dict(arguments)
    library, file = Library.open(given.pop("library")), Path(given.pop("study"))
    name = given.get("case") or given["patient"]
    progress(0, 1, f"Adding {name}")
    study, labels = read_handover(file, name, "labels")
    added = library.add(study, labels, **given, cancel=cancel)
    progress(1, 1, f"Added {added.case}")
    return added.to_json()


@task
def library_import(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """:func:`import_cases` of ``paths`` into ``library``, with ``labels`` as a text...: :meth:`ImportReport.to_json`, and whether
    it was ``cancelled`` before the last one. If nothing says what some labels mean, they are drawn as the picture ``preview``.
    """
    given = dict(arguments)
    library, paths = Library.open(given.pop("library")), [Path(path) for path in given.pop("paths")]
    labels, preview = given.pop("labels", None), given.pop("preview", None)
    given["label_map"] = parse_label_map(labels) if labels else None
    report, cancelled = ImportReport(), False
    try:
        import_cases(library, paths, **given, progress=progress, cancel=cancel, report=report)
    except Cancelled:  # what is done stays, and is told
        cancelled = True
    if report.unnamed is not None and report.unnamed.example is not None and preview:
        write_label_preview(Path(preview), *report.unnamed.example, report.unnamed.values)
    return {**report.to_json(), "cancelled": cancelled}


@task
def library_changes(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """Cases of ``library`` whose files are not those that were added: ``changed``, name to sentence."""
    return {"changed": LibraryState(Library.open(arguments["library"])).changed_files()}


@task
def library_accept(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """Take the case ``case`` of ``library`` as its files are now: its record."""
    return Library.open(arguments["library"]).accept(arguments["case"], cancel=cancel).to_json()


@task
def library_remove(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """Take ``cases`` out of ``library``: ``removed``. One that another program took out meanwhile is none of these."""
    library, removed = Library.open(arguments["library"]), []
    for name in steps(arguments["cases"], "Removing {}".format, progress, cancel):
        try:
            library.remove(name, cancel=cancel)
        except StudyError:
            library.check_there()
            if name in library.folders():
                raise
            continue
        removed.append(name)
    return {"removed": removed}


@task
def library_export(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """Copy ``cases`` of ``library`` into ``folder`` as a library of their own, which can be imported again: ``exported``."""
    library = Library.open(arguments["library"])
    return {"exported": export_cases(library, arguments["cases"], Path(arguments["folder"]), progress, cancel)}


@task
def library_split(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """Draw a split of ``library`` anew, by ``seed``, in ``folds``: the manifest."""
    library = Library.open(arguments["library"])
    patients = len({case.patient for case in library.scan()[0]})
    # With fewer patients than folds, one of them validates.
    folds = max(2, min(arguments["folds"], patients))
    return library.split(seed=arguments["seed"], folds=folds, replace=True, progress=progress, cancel=cancel).to_json()


@task
def split_write(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """Check a ``split`` made by hand and write it into ``library``: ``notes``."""
    training, validation = (tuple(sorted(arguments["split"][side])) for side in ("training", "validation"))
    split = Split(training, validation)
    return {"notes": Library.open(arguments["library"]).write_split(split, progress=progress, cancel=cancel)}


@task
def library_read(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """Read the case ``case`` of ``library`` as its files are now, and write it to ``out`` (:mod:`~MyoScarSegLib.study.handover`):
    ``wall_known``, and the grey values ``window`` between which a picture of it shows most.
    """
    library, name = Library.open(arguments["library"]), arguments["case"]
    case = next((case for case in library.scan()[0] if case.case == name), None)
    if case is None:
        raise StudyError(f"{library.folder} has no readable case {name!r}.")
    progress(0, 1, f"Reading {name}")
    labeled = library.load(case, edited=True)
    cancel.raise_if_cancelled()
    write_handover(Path(arguments["out"]), labeled.study, labels=labeled.labels)
    low, high = np.percentile(labeled.study.voxels, (1.0, 99.5))
    return {"wall_known": labeled.wall_known, "window": [float(low), float(high)]}


@task
def augmentation_preview(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """Draw what the augmentation ``preset`` does to slices of ``library``, into the PNG ``out``: ``picture``."""
    from MyoScarSegLib.training.augmentation.preview import preview

    library = Library.open(arguments["library"])
    cases = sorted(library.cases(), key=lambda case: -case.slices_with_scar)[:4]
    read_on = steps(cases, lambda case: f"Reading {case.case}", progress, cancel)
    slices = [labeled for case in read_on for labeled in library.load(case).slices()]
    preview(slices, Path(arguments["out"]), preset=arguments["preset"], seed=0, rows=3, columns=4)
    return {"picture": arguments["out"]}


# ---- trainings


@task
def estimate(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """How long a training with ``settings`` and ``split`` on ``library`` will take; :class:`~.runs.estimate.Estimate`."""
    from MyoScarSegLib.training.runs import estimate as measuring

    split = read(Split, arguments["split"], StudyError, "The split", version=1)
    settings = TrainSettings.from_json(arguments["settings"])
    told: Arguments = to_json(measuring.estimate(settings, arguments["library"], split, progress, cancel))
    return told


@task
def run_command(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """Have the run in the folder ``run``, which does not run, do ``command``: ``state``, as it is then."""
    run = Run.open(arguments["run"])
    run.send(arguments["command"])
    return {"state": str(run.status().state)}


@task
def run_remove(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """Delete the run in the folder ``run``: ``removed``, its name."""
    run = Run.open(arguments["run"])
    run.remove()
    return {"removed": run.name}


@task
def run_export(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """:func:`export_models` of the run in the folder ``run`` into ``folder``: ``files``."""
    files = export_models(Run.open(arguments["run"]), Path(arguments["folder"]), progress, cancel)
    return {"files": [str(file) for file in files]}


@task
def compare(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """:func:`~.runs.model_comparison.compare_run` of the run in the folder ``run``..."""
    from MyoScarSegLib.training.runs.model_comparison import compare_run

    given = dict(arguments)
    return compare_run(Run.open(given.pop("run")), progress, cancel, **given)


# ---- models


@task
def model_keep(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """Keep the file ``model`` with its ``card`` under ``name``: its ``name`` and ``sha256``."""
    model, card = Path(arguments["model"]), Path(arguments["card"])
    return _told(own.keep(model, card, arguments["name"], progress=progress, cancel=cancel))


@task
def model_import(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """Take over the model in ``file``, as ``name`` or as its card calls it: the ``name`` that it got, and its ``sha256``."""
    return _told(import_model(Path(arguments["file"]), arguments["name"], progress=progress, cancel=cancel))


@task
def model_export(arguments: Arguments, progress: Progress, cancel: CancelToken) -> Arguments:
    """Write the user's model ``name`` with its card into ``folder``: ``file``."""
    return {"file": str(own.export(arguments["name"], Path(arguments["folder"]), progress, cancel))}


def _told(entry: Entry) -> Arguments:
    return {"name": entry.name, "sha256": entry.sha256}


if __name__ == "__main__":
    serve(carry_out)
