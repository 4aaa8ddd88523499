"""What goes out of a library's runs and comes in: runs that are done on another computer, and exported models."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.models import OwnSource, registry
from MyoScarSegLib.training.datasets.places import REMOVING
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.runs.record import CaseFingerprint
from MyoScarSegLib.training.splits import SPLIT
from MyoScarSegLib.training.start_models import start_model_of
from MyoScarSegLib.training.train_job import FRESH, KINDS
from MyoScarSegLib.training.train_settings import TrainSettings
from MyoScarSegLib.utils.files import atomic_path, folder_aside, move, os_errors_as, read_json, sha256_of
from MyoScarSegLib.utils.progress import CancelToken, Progress, steps

if TYPE_CHECKING:
    from MyoScarSegLib.training.runs.run import Run

START = "start"
_FILES = ("run.json", SPLIT, "status.json", "output.txt", "comparison.json", "comparison.csv", "comparison.png")
_FOLDERS = (*KINDS, "examples", "predictions", START)


def with_start_models(settings: TrainSettings, folder: Path) -> TrainSettings:
    """The settings with copies in a run's folder, relative to it, of the start models that another computer would not have;
    others come with the program or are fetched.
    """
    copied = {}
    for part in settings.parts:
        source = _own_file(part, settings.start(part))
        if source is None:
            continue
        place = folder / START / source.name
        with os_errors_as(OutputError, f"Cannot copy {source} to {place.parent}", "Free some space."):
            place.parent.mkdir(exist_ok=True)
            for path in (source, source.with_suffix(".json"), source.with_suffix(".md")):
                if path.is_file():
                    shutil.copyfile(path, place.with_suffix(path.suffix))
        copied[f"start_{part}"] = place.relative_to(folder).as_posix()
    return replace(settings, **copied)  # type: ignore[arg-type]  # fields by name


def _own_file(part: str, start: str | None) -> Path | None:
    """The file of a start model that only this computer has."""
    if start == FRESH:
        return None
    found = start_model_of(part, start)
    if isinstance(found, Path):
        return found
    return registry().path(found.name) if isinstance(found.source, OwnSource) else None


def import_run(folder: Path | str, library: Path | str) -> Run:
    """Take a run that was done elsewhere, and is in ``folder`` as it came back, into a library; its data stays where it is.

    If the library has the same run, as it was planned or begun here, the one that got further stays under its name.

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
    with new_folder(root) as making:
        _copy(given.folder, making)
        notes = _differences(given.record.cases, opened)
        place = put(making, own.folder if own is not None else root / given.name, replaces=own is not None)
    run = Run.open(place)
    run.add_notes(notes)
    return run


def export_models(run: Run, folder: Path, progress: Progress, cancel: CancelToken) -> list[Path]:
    """Copy the models that a run has made into a folder, named after run and part, each whole with its card; none if there is
    such a file already. Returns their files there.
    """
    made = {folder / f"{run.name}-{file.name}": file for file in run.models().values()}
    if not made:
        raise StudyError(f"The training {run.name} has no model that could be exported.")
    for target in made:
        if target.exists():
            raise StudyError(f"{target} exists already. Choose another folder.")
    for target, file in steps(made.items(), lambda pair: f"Exporting {pair[1].name}", progress, cancel):
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


@contextmanager
def new_folder(root: Path) -> Iterator[Path]:
    """A folder to fill among the runs, which is to be :func:`put` to its place; else nothing of it stays."""
    what, do = f"Cannot write the run into {root}", "Free some space, or check the folder's rights."
    with os_errors_as(OutputError, what, do), folder_aside(root, ".creating-", parents=True) as making:
        yield making


def put(making: Path, place: Path, *, replaces: bool = False) -> Path:
    """Give a complete folder its name ``place`` beside it, or that name with a number behind it, or with ``replaces`` that of the
    run that is there. Returns where it is now.
    """
    old, wanted, number = place.with_name(f"{REMOVING}{uuid.uuid4().hex}"), place, 1
    if replaces:
        move(place, old)
    while wanted.exists():
        number += 1
        wanted = place.with_name(f"{place.name}_{number}")
    try:
        move(making, wanted)
    except OSError:
        if replaces:
            move(old, place)
        raise
    shutil.rmtree(old, ignore_errors=True)
    return wanted


def check_whole(run: Run) -> None:
    """Whether a run's models are those that their cards are of."""
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


def _differences(fingerprints: Mapping[str, CaseFingerprint], library: Library) -> tuple[str, ...]:
    """What is to be said of cases that the library does not have as they were trained on."""
    here = {case.case: CaseFingerprint.of(case) for case in library.scan()[0]}
    missing = sorted(name for name in fingerprints if name not in here)
    other = sorted(name for name, fingerprint in fingerprints.items() if name in here and here[name] != fingerprint)
    notes = []
    if missing:
        notes.append(f"The run used cases that this library does not have: {', '.join(missing)}.")
    if other:
        notes.append(f"The run used cases that differ from those of this library: {', '.join(other)}.")
    return tuple(notes)
