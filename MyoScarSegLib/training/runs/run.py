"""A training run on disk: planned by a panel or a command, worked on by a process of its own, and kept with what came of it.

::

    LIBRARY/runs/<name>/run.json          settings, and fingerprints of the cases used
    LIBRARY/runs/<name>/split.json        who trains and who validates
    LIBRARY/runs/<name>/status.json       where it stands, written by its process
    LIBRARY/runs/<name>/control.json      the last command to it
    LIBRARY/runs/<name>/output.txt        what its process printed
    LIBRARY/runs/<name>/segmenter/        model, card, log and checkpoints; detector/ likewise
    LIBRARY/runs/<name>/examples/         pictures of validation slices, epoch by epoch
    LIBRARY/runs/<name>/comparison.json   new and used model on the validation patients
    LIBRARY/runs/<name>/data/             a library of the cases used, if the run is to be done on another computer
    LIBRARY/runs/<name>/start/            the models that it starts from, likewise

All paths in it are relative: the folder can be moved. Whether a process works on it, a lock tells that frees itself.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import Cancelled, EngineError, OutputError, StudyError
from MyoScarSegLib.training.card import mend_card
from MyoScarSegLib.training.datasets.labeled import noted_in
from MyoScarSegLib.training.datasets.places import REMOVING
from MyoScarSegLib.training.datasets.training_library import Library, is_library
from MyoScarSegLib.training.runs.record import RunRecord, cases_of, copy_cases
from MyoScarSegLib.training.runs.run_commands import CANCEL, COMMANDS, HEARTBEAT_S, PAUSE, STOP, clear_command, write_command
from MyoScarSegLib.training.runs.run_status import STARTING, RunState, RunStatus, read_status, write_status
from MyoScarSegLib.training.runs.transfer import new_folder, put, with_start_models
from MyoScarSegLib.training.splits import SPLIT, Split
from MyoScarSegLib.training.train_settings import TrainSettings
from MyoScarSegLib.utils.background_task import environment_with_us
from MyoScarSegLib.utils.files import move, os_errors_as
from MyoScarSegLib.utils.locks import is_held, locked
from MyoScarSegLib.utils.progress import CancelToken

RUNS, DATA, LOCK, OUTPUT, EXAMPLES, COMPARISON = "runs", "data", ".lock", "output.txt", "examples", "comparison.json"
_STARTING_S = 30.0
"""How long a process may take from its start to its lock."""
_FRESH_S = 4 * HEARTBEAT_S
"""How old the status of a process that lives may be."""
_DETACHED = ("DETACHED_PROCESS", "CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class Run:
    """A training run on disk. Make one with :meth:`create` or :meth:`open`.

    Attributes:
        folder: its own.
        record: what it is to do.
    """

    def __init__(self, folder: Path, record: RunRecord) -> None:
        self.folder = folder
        self.record = record

    @classmethod
    def create(
        cls,
        library: Path | str,
        settings: TrainSettings,
        split: Split,
        *,
        name: str | None = None,
        with_data: bool = False,
        expected: Mapping[str, float] | None = None,
        compare_with: Mapping[str, str] | None = None,
    ) -> Run:
        """Plan a run on the cases of a library's folder; nothing is started. Without a name it is called by the date.

        Args:
            with_data: copy the cases that are used into the run's folder, to be trained on another computer.
            expected: estimated seconds of the stages, to be shown beside what they really take.
            compare_with: the models in use now, ``segmenter`` and ``detector``, which the new one is compared with.

        Raises:
            StudyError: there is no library, a patient of the split is not in it, or the name is taken.
            ModelError: a start model does not exist.
            OutputError: the folder cannot be written.
        """
        opened = Library.open(library)
        cases = cases_of(opened, split)
        root = opened.folder / RUNS
        created = datetime.now(timezone.utc)
        if name is not None and (not _NAME.fullmatch(name) or name.endswith(".")):
            raise StudyError(
                f"{name!r} is no name for a run: use 1 to 80 letters without accents, digits, dots, hyphens and underscores, "
                "with a letter or digit first."
            )
        place = root / (name or f"{created:%Y-%m-%d-%H%M%S}-{settings.what}")
        with new_folder(root) as making:
            split.write(making / SPLIT)
            for part in settings.parts:  # that there is what it starts from
                settings.job(part, opened.folder, making, making / SPLIT, len(split.training))
            if with_data:
                copy_cases(opened, cases, making / DATA)
                settings = with_start_models(settings, making)
            record = RunRecord(
                id=uuid.uuid4().hex,
                name=place.name,
                created=created.isoformat(timespec="seconds"),
                program=f"MyoScarSeg {__version__}",
                settings=settings,
                cases=cases,
                expected_seconds=expected or {},
                compare_with=compare_with or {},
            )
            record.write(making)
            if name is not None and place.exists():
                raise StudyError(f"There is a run {place.name} in {root} already. Give another name.")
            return cls(put(making, place), record)

    @classmethod
    def open(cls, folder: Path | str) -> Run:
        """The run in ``folder``; StudyError if there is none, or its record is damaged."""
        folder = Path(folder)
        return cls(folder, RunRecord.read(folder))

    # ---- what it is

    @property
    def name(self) -> str:
        """Name of the run: that of its folder."""
        return self.folder.name

    @property
    def settings(self) -> TrainSettings:
        """What was chosen for it, to be used again; start models that came with it are in its folder."""
        chosen = self.record.settings
        brought = {
            f"start_{part}": str(self.folder / start)
            for part in chosen.parts
            if (start := chosen.start(part)) is not None and (self.folder / start).is_file()
        }
        return replace(chosen, **brought)  # type: ignore[arg-type]  # fields by name

    @property
    def parts(self) -> tuple[str, ...]:
        """What is trained: ``segmenter``, ``detector`` or both."""
        return self.record.settings.parts

    @property
    def split(self) -> Split:
        """Who trains and who validates; StudyError if the manifest is damaged."""
        return Split.read(self.folder / SPLIT)

    def data(self, library: Path | str | None = None) -> Path:
        """The library that it trains on: the one given, the copy in its folder, or the one that it is in; else StudyError."""
        if library is not None:
            return Library.open(library).folder
        if (self.folder / DATA).is_dir():
            return self.folder / DATA
        around = self.folder.resolve().parent.parent
        if self.folder.resolve().parent.name == RUNS and is_library(around):
            return around
        raise StudyError(
            f"The run {self.folder} has no data with it and is in no library. Give the library (--data), or make the run with "
            "its data (--with-data)."
        )

    def part(self, part: str) -> Path:
        """The folder of the ``segmenter`` or of the ``detector``."""
        return self.folder / part

    def models(self) -> dict[str, Path]:
        """The models that there are by now: part to file. Each has its card beside it."""
        files = {part: self.part(part) / f"{self.record.settings.model_name(part)}.safetensors" for part in self.parts}
        return {part: file for part, file in files.items() if file.is_file() and file.with_suffix(".json").is_file()}

    def logs(self) -> dict[str, Path]:
        """Where each part's log is, or will be."""
        return {part: self.part(part) / "log.jsonl" for part in self.parts}

    def examples(self) -> list[Path]:
        """Pictures of validation slices, by epoch and name."""
        return sorted((self.folder / EXAMPLES).glob("*.png"))

    @property
    def comparison(self) -> Path:
        """Where the comparison of the new model with the one in use is, or will be."""
        return self.folder / COMPARISON

    # ---- where it stands

    @property
    def lock(self) -> Path:
        """The file that the run's process holds locked."""
        return self.folder / LOCK

    def alive(self) -> bool:
        """Whether a process works on it now.

        Where its lock cannot be asked (no right to write there, a file system without locks) it counts as long as its status
        is fresh, which its process sees to every few seconds.
        """
        try:
            return is_held(self.lock)
        except OutputError:
            status = read_status(self.folder)
            return status is not None and status.state is RunState.RUNNING and abs(time.time() - status.updated) < _FRESH_S

    def status(self) -> RunStatus:
        """Where it stands. Quick enough to be asked several times a second."""
        status = read_status(self.folder)
        started = STARTED.get(self.folder)
        if started is not None:
            started.poll()  # one that has ended and that nobody asks stays behind as a zombie
        if status is None:
            # Its process locks before it writes; a moved folder may have lost the file.
            return RunStatus(RunState.RUNNING, STARTING) if self.alive() else RunStatus()
        if status.state is not RunState.RUNNING or self.alive() or _is_starting(self.folder, status):
            return status
        again = read_status(self.folder) or status  # it may have ended between the two looks
        if again.state is not RunState.RUNNING:
            return again
        told = replace(again, state=RunState.INTERRUPTED, message=_INTERRUPTED, seconds_left=None, memory_bytes=None)
        return replace(told, error=_last_words(self.folder)) if again.stage == STARTING else told

    # ---- what can be done

    def why_not(self, action: str) -> str:
        """Why ``start``, ``pause``, ``stop`` or ``cancel`` makes no sense now; empty if it does."""
        status = self.status()
        state = status.state
        if action == "start":
            if state is RunState.RUNNING:
                where = f" (on {status.host})" if status.host and status.host != socket.gethostname() else ""
                return f"The run {self.name} is running already{where}."
            return self.why_over(state)
        if action not in COMMANDS:
            return f"There is no command {action!r}; there are {', '.join(COMMANDS)}."
        if state is RunState.RUNNING:
            return ""
        if state in (RunState.FINISHED, RunState.CANCELLED) or (state is RunState.STOPPED and action != CANCEL):
            return f"The run {self.name} is {state} already."
        if action == PAUSE:
            return f"The run {self.name} is {state}; it does not run."
        if action == STOP and not self.models():
            return f"The run {self.name} has no model yet that could be kept."
        return ""

    def why_over(self, state: RunState) -> str:
        """Why nobody can go on with a run in that state; empty if somebody can."""
        if state is RunState.FINISHED:
            return f"The run {self.name} is finished. Repeat it as a new run to train again."
        if state is RunState.CANCELLED:
            return f"The run {self.name} was cancelled, and its models are removed. Repeat it as a new run."
        return ""

    def start(
        self,
        *,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        processes: int = 1,
        library: Path | str | None = None,
    ) -> None:
        """Start a planned run, or go on with a paused, stopped, failed or interrupted one, in a process of its own that outlives
        whoever started it. Returns at once.

        Args:
            python, environment: of the process: interpreter with torch, and variables; this process's own if None.
            processes: that train together, by ``torch.distributed.run``; only the segmenter's training makes use of them.
            library: the data, where it is neither in the run nor around it.

        Raises:
            StudyError: it is running, or there is nothing to go on with.
            EngineError: the interpreter cannot be started.
            OutputError: the run's folder cannot be written.
        """
        if reason := self.why_not("start"):
            raise StudyError(reason)
        data = self.data(library)
        clear_command(self.folder)
        before = read_status(self.folder) or RunStatus()
        write_status(self.folder, before.starting(pid=0, host=socket.gethostname(), memory_bytes=None, updated=time.time()))
        interpreter = python or sys.executable
        command = self.process_arguments(None if library is None else data)
        if processes > 1:
            command = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", *command]
        environment = {**environment_with_us(environment), "PYTHONUNBUFFERED": "1"}
        detached: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            detached = {"creationflags": sum(getattr(subprocess, name, 0) for name in _DETACHED), "close_fds": True}
        try:
            with (self.folder / OUTPUT).open("ab") as output:
                process = subprocess.Popen(  # noqa: S603 - our own module
                    [interpreter, *command],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, **detached,
                )  # fmt: skip
        except OSError as error:
            write_status(self.folder, before)
            if isinstance(error, FileNotFoundError) and not self.folder.is_dir():
                raise OutputError(f"The folder {self.folder} of the run is gone.") from error
            raise EngineError(f"Python cannot be started for the training ({interpreter}): {error.strerror}.") from error
        for folder in [folder for folder, one in STARTED.items() if one.poll() is not None]:
            del STARTED[folder]
        STARTED[self.folder] = process

    def process_arguments(self, library: Path | str | None) -> list[str]:
        """Of the Python that is to work on it, with its data where it is neither in the run nor around it."""
        data = [] if library is None else ["--data", str(library)]
        return ["-m", "MyoScarSegLib.training.runs", str(self.folder), "--launched", *data]

    def send(self, command: str) -> None:
        """Have a run ``pause``, ``stop`` or ``cancel``.

        A running run's process does it after the step in hand; see :data:`~.run_commands.SAFE_PLACE_S`. Of one that does not run
        it is done here and now: ``stop`` keeps its best model, ``cancel`` removes its models and keeps its record.

        Raises:
            StudyError: it makes no sense now; the message says why.
            OutputError: the run's folder cannot be written.
        """
        if reason := self.why_not(command):
            raise StudyError(reason)
        if self.status().state is RunState.RUNNING:
            write_command(self.folder, command)
            return
        try:
            with locked(self.lock, CancelToken(timeout_s=1.0)):
                changes = self.end_by(command)
                ended = {**changes, "seconds_left": None, "memory_bytes": None, "updated": time.time()}
                write_status(self.folder, replace(read_status(self.folder) or RunStatus(), **ended))
                clear_command(self.folder)
        except Cancelled:
            raise StudyError(f"The run {self.name} is just starting or ending. Try again in a moment.") from None

    def end_by(self, command: str) -> dict[str, Any]:
        """Leave what a run has made, whose lock is held, as a command says. Returns the changes of its status."""
        if command == CANCEL:
            self.clear()
        models = self.models()
        for model in models.values():
            mend_card(model)
        state, message = _ENDED_BY[command]
        if command == STOP and not models:
            message = "Stopped before there was a model to keep."
        return {"state": state, "message": message, **({"best": {}, "error": ""} if command == CANCEL else {})}

    def clear(self) -> None:
        """Remove models, checkpoints, examples and comparison; record, split and logs stay."""
        try:
            for part in self.parts:
                for path in self.part(part).glob("*"):
                    if path.name != "log.jsonl":
                        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            for folder in (EXAMPLES, "predictions"):
                shutil.rmtree(self.folder / folder, ignore_errors=True)
            for path in self.folder.glob("comparison.*"):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot remove {error.filename}: {error.strerror}. Close what has it open.") from error

    def add_notes(self, notes: Iterable[str]) -> None:
        """Have the status of a run that nobody works on say more."""
        status = read_status(self.folder) or RunStatus()
        if new := [note for note in notes if note not in status.notes]:
            write_status(self.folder, replace(status, notes=(*status.notes, *new)))

    def remove(self) -> None:
        """Remove the run with all that came of it. Models that were kept under a name of their own stay.

        Raises:
            StudyError: it is running.
            OutputError: it cannot be removed.
        """
        if self.status().state is RunState.RUNNING:
            raise StudyError(f"The run {self.name} is running. Cancel it first.")
        away = self.folder.with_name(f"{REMOVING}{uuid.uuid4().hex}")
        with os_errors_as(OutputError, f"Cannot remove {self.folder}", "Close what has it open."):
            move(self.folder, away)
        shutil.rmtree(away, ignore_errors=True)


_INTERRUPTED = "The training's process has ended unexpectedly. Resume it: at most one epoch is done again."
_ENDED_BY = {
    PAUSE: (RunState.PAUSED, "Paused. Resume it to go on."),
    STOP: (RunState.STOPPED, "Stopped; the best model so far is kept."),
    CANCEL: (RunState.CANCELLED, "Cancelled; its models are removed."),
}


def runs_of(library: Path | str) -> tuple[list[Run], dict[str, str]]:
    """The runs of a library, newest first; and of folders that are none, name to reason."""
    root = Path(library) / RUNS
    runs: list[Run] = []
    damaged: dict[str, str] = {}
    try:
        folders = [p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")]
    except OSError:
        folders = []
    for folder in folders:
        with noted_in(damaged, folder.name):
            runs.append(Run.open(folder))
    return sorted(runs, key=lambda run: (run.record.created, run.name), reverse=True), dict(sorted(damaged.items()))


STARTED: dict[Path, subprocess.Popen[bytes]] = {}
"""Processes that this one started, by the folder of their run."""


def _is_starting(folder: Path, status: RunStatus) -> bool:
    process = STARTED.get(folder)
    if process is not None and process.poll() is not None:
        return False
    return status.stage == STARTING and 0 <= time.time() - status.updated < _STARTING_S


def _last_words(folder: Path) -> str:
    """The last line of what the process printed."""
    try:
        with (folder / OUTPUT).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].strip() if lines else ""
