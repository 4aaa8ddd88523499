"""What the application has done for it in a process of its own: library, split, preview, estimate, comparison, models.

``python -m MyoScarSegLib.training.background_work JOB.json`` with ``{"task": NAME, "arguments": {...}}``; see
:mod:`MyoScarSegLib.utils.background_task`. Each task takes ``(arguments, progress, cancel)`` and returns what is JSON-ready.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import Cancelled, MyoScarSegError, StudyError
from MyoScarSegLib.utils.background_task import serve
from MyoScarSegLib.utils.progress import CancelToken, Progress

TASKS = {
    "library_add": "MyoScarSegLib.training.background_work:library_add",
    "library_import": "MyoScarSegLib.training.background_work:library_import",
    "library_changes": "MyoScarSegLib.training.background_work:library_changes",
    "library_accept": "MyoScarSegLib.training.background_work:library_accept",
    "library_remove": "MyoScarSegLib.training.background_work:library_remove",
    "library_export": "MyoScarSegLib.training.background_work:library_export",
    "library_split": "MyoScarSegLib.training.background_work:library_split",
    "split_write": "MyoScarSegLib.training.background_work:split_write",
    "library_read": "MyoScarSegLib.training.background_work:library_read",
    "augmentation_preview": "MyoScarSegLib.training.background_work:augmentation_preview",
    "run_command": "MyoScarSegLib.training.runs.run_tasks:command_task",
    "run_remove": "MyoScarSegLib.training.runs.run_tasks:remove_task",
    "run_export": "MyoScarSegLib.training.runs.run_tasks:export_task",
    "estimate": "MyoScarSegLib.training.runs.estimate:estimate_task",
    "compare": "MyoScarSegLib.training.runs.model_comparison:compare_task",
    "model_keep": "MyoScarSegLib.models.own:keep_task",
    "model_import": "MyoScarSegLib.training.model_import:import_task",
    "model_export": "MyoScarSegLib.models.own:export_task",
}
"""Name to ``module:function``; imported when asked for."""


def carry_out(job: dict[str, Any], progress: Progress, cancel: CancelToken) -> Any:
    """Do the task that a job names.

    Raises:
        MyoScarSegError: there is no such task, or it failed.
        Cancelled: the token was set.
    """
    name = job.get("task")
    if name not in TASKS:
        raise MyoScarSegError(f"There is no task {name!r}; there are {', '.join(TASKS)}.")
    module, _, function = TASKS[name].partition(":")
    task: Callable[[dict[str, Any], Progress, CancelToken], Any] = getattr(importlib.import_module(module), function)
    return task(job["arguments"], progress, cancel)


def library_add(arguments: dict[str, Any], progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """Add the study in the file ``study`` (:mod:`~.datasets.handover`) to ``library``, which must be there; ``patient``,
    ``case``, ``reviewer``, ``reviewed``, ``tags``, ``added_by``, ``source``, ``wall_known`` and ``replace`` as
    :meth:`~.library.Library.add` has them.

    Returns:
        The case's record.
    """
    from MyoScarSegLib.training.datasets.handover import read_handover
    from MyoScarSegLib.training.datasets.training_library import Library

    library = Library.open(arguments["library"])
    patient, case = str(arguments["patient"]), arguments.get("case") or None
    progress(0, 1, f"Adding {case or patient}")
    study, labels = read_handover(Path(arguments["study"]), case or patient)
    added = library.add(
        study,
        labels,
        patient=patient,
        case=case,
        source=str(arguments.get("source", "")),
        reviewer=str(arguments.get("reviewer", "")),
        wall_known=arguments.get("wall_known"),
        reviewed=arguments.get("reviewed"),
        tags=arguments.get("tags", ()),
        added_by=str(arguments.get("added_by", "")),
        replace=bool(arguments.get("replace", False)),
        cancel=cancel,
    )
    progress(1, 1, f"Added {added.case}")
    return added.to_json()


def library_import(arguments: dict[str, Any], progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """Add the cases of ``paths`` to ``library``; ``patient_pattern``, ``labels``, ``reviewer``, ``added_by``, ``tags``.

    If nothing says what the labels of some mean, a picture of them is written to ``preview``.

    Returns:
        :meth:`~.imports.ImportReport.to_json`; ``cancelled`` says whether it stopped before the last one.
    """
    from MyoScarSegLib.training.datasets.imports import ImportReport, import_cases
    from MyoScarSegLib.training.datasets.label_pictures import write_label_preview
    from MyoScarSegLib.training.datasets.labelmaps import parse_label_map
    from MyoScarSegLib.training.datasets.training_library import Library

    labels = arguments.get("labels")
    report, cancelled = ImportReport(), False
    try:
        import_cases(
            Library.open(arguments["library"]),
            [Path(path) for path in arguments["paths"]],
            patient_pattern=arguments.get("patient_pattern") or None,
            label_map=parse_label_map(labels) if labels else None,
            reviewer=str(arguments.get("reviewer", "")),
            added_by=str(arguments.get("added_by", "")),
            tags=arguments.get("tags", ()),
            progress=progress,
            cancel=cancel,
            report=report,
        )
    except Cancelled:  # what is done stays, and is told
        cancelled = True
    if report.unnamed is not None and report.unnamed.example is not None and arguments.get("preview"):
        write_label_preview(Path(arguments["preview"]), *report.unnamed.example, report.unnamed.values)
    return {**report.to_json(), "cancelled": cancelled}


def library_changes(arguments: dict[str, Any], progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """Cases of ``library`` whose files are not those that were added: ``changed``, name to sentence."""
    from MyoScarSegLib.training.datasets.library_state import LibraryState
    from MyoScarSegLib.training.datasets.training_library import Library

    return {"changed": LibraryState(Library.open(arguments["library"])).changed_files()}


def library_accept(arguments: dict[str, Any], progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """Take the case ``case`` of ``library`` as its files are now."""
    from MyoScarSegLib.training.datasets.training_library import Library

    return Library.open(arguments["library"]).accept(str(arguments["case"]), cancel=cancel).to_json()


def library_remove(arguments: dict[str, Any], progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """Take ``cases`` out of ``library``: ``removed``. One that another program took out meanwhile is none of these."""
    from MyoScarSegLib.training.datasets.training_library import Library

    library, names, removed = Library.open(arguments["library"]), list(arguments["cases"]), []
    for done, name in enumerate(names):
        cancel.raise_if_cancelled()
        progress(done, len(names), f"Removing {name}")
        try:
            library.remove(str(name), cancel=cancel)
        except StudyError:
            library.check_there()
            if str(name) in library.folders():
                raise
            continue
        removed.append(name)
    return {"removed": removed}


def library_export(arguments: dict[str, Any], progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """Copy ``cases`` of ``library`` into ``folder`` as a library of their own, which can be imported again: ``exported``."""
    from MyoScarSegLib.training.datasets.exports import export_cases
    from MyoScarSegLib.training.datasets.training_library import Library

    library = Library.open(arguments["library"])
    return {"exported": export_cases(library, list(arguments["cases"]), Path(arguments["folder"]), progress, cancel)}


def library_split(arguments: dict[str, Any], progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """Draw a split of ``library`` by ``seed``, in ``folds``, or ``extend`` the one that there is: the manifest."""
    from MyoScarSegLib.training.datasets.training_library import Library

    library = Library.open(arguments["library"])
    extend = bool(arguments.get("extend", False)) and library.split_manifest() is not None
    patients = len({case.patient for case in library.scan()[0]})
    # With fewer patients than folds, one of them validates.
    folds = max(2, min(int(arguments.get("folds", 5)), patients))
    split = library.split(
        seed=int(arguments.get("seed", 0)), folds=folds, extend=extend, replace=not extend, progress=progress, cancel=cancel
    )
    return split.to_json()


def split_write(arguments: dict[str, Any], progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """Check a ``split`` made by hand and write it into ``library``: ``notes``."""
    from MyoScarSegLib.training.datasets.training_library import Library
    from MyoScarSegLib.training.splits import Split

    told = arguments["split"]
    split = Split(tuple(sorted(told["training"])), tuple(sorted(told["validation"])))
    return {"notes": Library.open(arguments["library"]).write_split(split, progress=progress, cancel=cancel)}


def library_read(arguments: dict[str, Any], progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """Read the case ``case`` of ``library`` as its files are now, and write it to ``out`` (:mod:`~.datasets.handover`).

    Returns:
        ``wall_known``, and the grey values ``window`` between which a picture of it shows most.
    """
    import numpy as np

    from MyoScarSegLib.training.datasets.handover import write_handover
    from MyoScarSegLib.training.datasets.training_library import Library

    library, name = Library.open(arguments["library"]), str(arguments["case"])
    case = next((case for case in library.scan()[0] if case.case == name), None)
    if case is None:
        raise StudyError(f"{library.folder} has no readable case {name!r}.")
    progress(0, 1, f"Reading {name}")
    labeled = library.load(case, edited=True)
    cancel.raise_if_cancelled()
    write_handover(Path(arguments["out"]), labeled.study, labeled.labels)
    low, high = np.percentile(labeled.study.voxels, (1.0, 99.5))
    return {"wall_known": labeled.wall_known, "window": [float(low), float(high)]}


def augmentation_preview(arguments: dict[str, Any], progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """Draw what the augmentation ``preset`` does to slices of ``library``, into the PNG ``out``: ``picture``."""
    from MyoScarSegLib.training.augmentation.preview import preview
    from MyoScarSegLib.training.datasets.training_library import Library

    library = Library.open(arguments["library"])
    cases = sorted(library.cases(), key=lambda case: -case.slices_with_scar)[:4]
    studies = []
    for done, case in enumerate(cases):
        cancel.raise_if_cancelled()
        progress(done, len(cases), f"Reading {case.case}")
        studies.append(library.load(case))
    out = Path(arguments["out"])
    slices = [labeled for one in studies for labeled in one.slices()]
    preview(slices, out, preset=str(arguments["preset"]), seed=int(arguments.get("seed", 0)), rows=3, columns=4)
    return {"picture": str(out)}


if __name__ == "__main__":
    serve(carry_out)
