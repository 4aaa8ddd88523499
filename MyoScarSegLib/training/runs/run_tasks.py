"""What is done with runs in a process of its own because it reads, copies or deletes large files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.utils.files import atomic_path
from MyoScarSegLib.utils.progress import CancelToken, Progress


def command_task(arguments: dict[str, Any], progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """Have the run in the folder ``run`` do ``command``: ``state``, as it is then."""
    run = Run.open(arguments["run"])
    run.send(str(arguments["command"]))
    return {"state": str(run.status().state)}


def remove_task(arguments: dict[str, Any], progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """Delete the run in the folder ``run``: ``removed``, its name."""
    run = Run.open(arguments["run"])
    run.remove()
    return {"removed": run.name}


def export_task(arguments: dict[str, Any], progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """:func:`export_models` of the run in the folder ``run`` into ``folder``: ``files``."""
    files = export_models(Run.open(arguments["run"]), Path(arguments["folder"]), progress, cancel)
    return {"files": [str(file) for file in files]}


def export_models(run: Run, folder: Path, progress: Progress, cancel: CancelToken) -> list[Path]:
    """Copy the models that a run has made into a folder, each with its card; what is there is not replaced.

    Returns:
        The models' files there, named after run and part.

    Raises:
        StudyError: the run has no model, or there is such a file already. Nothing is copied then.
        OutputError: the folder cannot be written.
        Cancelled: ``cancel`` was set; models that were copied as a whole stay.
    """
    made = {folder / f"{run.name}-{file.name}": file for file in run.models().values()}
    if not made:
        raise StudyError(f"The training {run.name} has no model that could be exported.")
    for target in made:
        if target.exists():
            raise StudyError(f"{target} exists already. Choose another folder.")
    for done, (target, file) in enumerate(made.items()):
        cancel.raise_if_cancelled()
        progress(done, len(made), f"Exporting {file.name}")
        # The model itself comes last: a card without its model is harmless, the other way round it would seem complete.
        for one in (file.with_suffix(".md"), file.with_suffix(".json"), file):
            if not one.is_file():
                continue
            with atomic_path(target.with_suffix(one.suffix)) as temporary:
                try:
                    shutil.copyfile(one, temporary)
                except FileNotFoundError as error:
                    raise OutputError(f"{one} was deleted while it was copied.") from error
    return list(made)
