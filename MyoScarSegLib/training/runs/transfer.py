"""Runs that are done on another computer: what they take with them, and how they come back."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from MyoScarSegLib.errors import ModelError, OutputError, StudyError
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.runs.record import CaseFingerprint
from MyoScarSegLib.training.start_models import is_path
from MyoScarSegLib.training.train_job import FRESH
from MyoScarSegLib.training.train_settings import DETECTOR, SEGMENTER, TrainSettings
from MyoScarSegLib.utils.files import move, read_json, sha256_of

if TYPE_CHECKING:
    from MyoScarSegLib.training.runs.run import Run

START = "start"
REMOVING = ".removing-"
"""Before the name of what is on its way out."""
_FILES = ("run.json", "split.json", "status.json", "output.txt", "comparison.json", "comparison.csv", "comparison.png")
_FOLDERS = (SEGMENTER, DETECTOR, "examples", "predictions", START)


def with_start_models(settings: TrainSettings, folder: Path) -> TrainSettings:
    """Copy the start models that another computer would not have into a run's folder.

    Those that come with the program or are fetched by it are left out.

    Returns:
        The settings with the copies' paths, relative to the folder.

    Raises:
        ModelError: a model cannot be read.
        OutputError: it cannot be copied.
    """
    copied = {}
    for part in settings.parts:
        source = _own_file(settings.start(part))
        if source is None:
            continue
        place = folder / START / source.name
        try:
            place.parent.mkdir(exist_ok=True)
            for path in (source, source.with_suffix(".json"), source.with_suffix(".md")):
                if path.is_file():
                    shutil.copyfile(path, place.with_suffix(path.suffix))
        except OSError as error:
            raise OutputError(f"Cannot copy {source} to {place.parent}: {error.strerror}. Free some space.") from error
        copied[f"start_{part}"] = place.relative_to(folder).as_posix()
    return replace(settings, **copied)  # type: ignore[arg-type]  # fields by name


def _own_file(start: str | None) -> Path | None:
    """The file of a start model that only this computer has."""
    if start is None or start == FRESH:
        return None
    if is_path(start):
        if not Path(start).is_file():
            raise ModelError(f"There is no model {start} to start from.")
        return Path(start)
    from MyoScarSegLib.models import OwnSource, registry

    return registry().path(start) if isinstance(registry().entry(start).source, OwnSource) else None


def import_run(folder: Path | str, library: Path | str) -> Run:
    """Take a run that was done elsewhere into a library; its data stays where it is.

    If the library has the same run, as it was planned or begun here, the one that got further stays under its name.

    Args:
        folder: of the run, as it came back.
        library: where it belongs.

    Raises:
        StudyError: there is no run, it is running, it came back incomplete, or the library's own is further on.
        OutputError: the library cannot be written.
    """
    from MyoScarSegLib.training.runs.run import RUNS, Run, RunState, runs_of

    given, opened = Run.open(folder), Library.open(library)
    root = opened.folder / RUNS
    if given.folder.resolve().parent == root.resolve():
        return given
    status = given.status()
    if status.state is RunState.RUNNING:
        raise StudyError(f"The run {given.folder} is running. Import it when it has ended.")
    check_whole(given)
    own = next((run for run in runs_of(opened.folder)[0] if run.record.id == given.record.id), None)
    if own is not None:
        before = own.status()
        if before.state is RunState.RUNNING:
            raise StudyError(f"The run {own.name} is running in {opened.folder}. Pause or cancel it there first.")
        if before.state is RunState.FINISHED or before.seconds > status.seconds:
            raise StudyError(f"The library has the run {own.name} already, and it is further on than the one in {given.folder}.")
    making = root / f".creating-{uuid.uuid4().hex}"
    try:
        making.mkdir(parents=True)
        _copy(given.folder, making)
        notes = _differences(given.record.cases, opened)
        place = put(making, own.folder if own is not None else root / given.name, replaces=own is not None)
    except OSError as error:
        raise OutputError(f"Cannot copy the run to {root}: {error.strerror or error}. Free some space.") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    run = Run.open(place)
    run.add_notes(notes)
    return run


def put(making: Path, place: Path, *, replaces: bool = False) -> Path:
    """Give a complete folder its name among the runs, or that name with a number behind it.

    Args:
        making: the folder, beside its place.
        place: what it is to be.
        replaces: in the place of the run that is there.

    Returns:
        Where it is now.

    Raises:
        OSError: it cannot be renamed.
    """
    old = place.with_name(f"{REMOVING}{uuid.uuid4().hex}")
    if replaces and place.exists():
        move(place, old)
    wanted, number = place, 1
    while True:
        try:
            if not wanted.exists():  # an empty folder would be replaced without a word
                move(making, wanted)
                break
        except OSError:
            if not wanted.exists():
                if old.exists():
                    move(old, place)
                raise
        number += 1
        wanted = place.with_name(f"{place.name}_{number}")
    shutil.rmtree(old, ignore_errors=True)
    return wanted


def check_whole(run: Run) -> None:
    """Whether a run's models are those that their cards are of.

    Raises:
        StudyError: a file is missing or was damaged on the way.
    """
    for part, model in run.models().items():
        card = read_json(model.with_suffix(".json"), StudyError)
        if not isinstance(card, dict) or card.get("sha256") != sha256_of(model):
            raise StudyError(f"The {part} {model} is not the one that its card is of: copy the run again, when it has ended.")


def _copy(source: Path, to: Path) -> None:
    """The files of a run, and nothing else that is in its folder; links are not followed."""
    for name in _FILES:
        if (source / name).is_file() and not (source / name).is_symlink():
            shutil.copyfile(source / name, to / name)
    for name in _FOLDERS:
        for path in sorted((source / name).glob("*")):
            if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                (to / name).mkdir(exist_ok=True)
                shutil.copyfile(path, to / name / path.name)


def _differences(marks: Mapping[str, CaseFingerprint], library: Library) -> tuple[str, ...]:
    """What is to be said of cases that the library does not have as they were trained on."""
    here = {case.case: CaseFingerprint.of(case) for case in library.scan()[0]}
    missing = sorted(name for name in marks if name not in here)
    other = sorted(name for name, mark in marks.items() if name in here and here[name] != mark)
    notes = []
    if missing:
        notes.append(f"The run used cases that this library does not have: {', '.join(missing)}.")
    if other:
        notes.append(f"The run used cases that differ from those of this library: {', '.join(other)}.")
    return tuple(notes)
