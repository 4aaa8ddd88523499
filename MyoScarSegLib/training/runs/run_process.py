"""What the process of a run does: the trainings, then the comparison, always ready to be paused, stopped or killed.

Whatever ends it, what is on disk is right: each model that is kept has its card, each epoch its checkpoint, and all files
take their places in one go. So a process that does not end in time can be ended hard.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import Cancelled, MyoScarSegError, OutputError, StudyError
from MyoScarSegLib.training import train_job
from MyoScarSegLib.training.datasets.labeled import DataSet, LabeledSlice
from MyoScarSegLib.training.runs import run_commands
from MyoScarSegLib.training.runs.model_comparison import compare_run
from MyoScarSegLib.training.runs.record import RECORD, read_cases
from MyoScarSegLib.training.runs.run import EXAMPLES, Run
from MyoScarSegLib.training.runs.run_commands import CANCEL, PAUSE, CommandWatch, clear_command
from MyoScarSegLib.training.runs.run_report import RunReport, device_name
from MyoScarSegLib.training.runs.run_status import COMPARING, EMBEDDING, READING, STARTING, RunState, RunStatus, read_status
from MyoScarSegLib.training.runs.validation_pictures import draw
from MyoScarSegLib.training.splits import SPLIT
from MyoScarSegLib.training.train_job import DETECTOR, SEGMENTER, Hooks, TrainJob
from MyoScarSegLib.utils.files import remove_unfinished, write_json
from MyoScarSegLib.utils.locks import locked
from MyoScarSegLib.utils.processes import on_interrupt
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

RESULT = "result.json"
"""In a part's folder when its training is complete."""
_LOCK_TIMEOUT_S, _FILES_TIMEOUT_S = 10.0, 30.0
_OF_SEVERAL = (
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK", "ROLE_WORLD_SIZE", "GROUP_WORLD_SIZE",
    "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT",
)  # fmt: skip
"""Variables by which several processes find each other."""


def carry_out(
    run: Run,
    *,
    library: Path | str | None = None,
    launched: bool = False,
    progress: Progress = no_progress,
    end: Callable[[int], None] = os._exit,
) -> RunStatus:
    """Work on a run until it is finished, fails, or is asked to end. Returns how it ended, which is also in the run's status.

    Under ``accelerate launch`` or ``torchrun`` every process calls this; they train the segmenter together, and what is to be
    done after that the first one does alone.

    Args:
        library: the data, where it is neither in the run nor around it.
        launched: a command that is there already is meant for this process, not left from an earlier one.
        progress: called as the run's status is.
        end: ends this process where the training does not end in time.

    Raises:
        StudyError: another process works on it, or there is nothing to go on with.
    """
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if rank > 0:
        return _help(run, library)
    try:
        with locked(run.lock, CancelToken(timeout_s=_LOCK_TIMEOUT_S)):
            if reason := run.why_over((read_status(run.folder) or RunStatus()).state):
                raise StudyError(reason)
            if not launched:
                clear_command(run.folder)
            return _Work(run, library, progress, end, together=count > 1).carry_out()
    except Cancelled:
        raise StudyError(f"Another process works on the run {run.name}.") from None


class _Work:
    """One session of work on a run."""

    def __init__(
        self, run: Run, library: Path | str | None, progress: Progress, end: Callable[[int], None], *, together: bool
    ) -> None:
        self._run, self._library, self._end, self._together = run, library, end, together
        self._told = RunReport(run.folder, run.record.expected_seconds, progress)
        self._watch = CommandWatch(
            run.folder,
            self._hard_end,
            timeout_s=self._timeout_s,
            received=self._told.received,
            heartbeat=self._told.heartbeat,
        )
        self._files = threading.RLock()
        self._data: DataSet | None = None

    def carry_out(self) -> RunStatus:
        # What a process was writing when it was ended: nobody else works on the run now.
        for folder in filter(Path.is_dir, (self._run.folder, *map(self._run.part, self._run.parts))):
            remove_unfinished(folder)
        self._told.heartbeat()
        self._watch.start()
        # A computer that is shut down or a queue whose time is over lose nothing.
        with on_interrupt(lambda _number: self._watch.receive(PAUSE)):
            try:
                for part in self._run.parts:
                    self._train(part)
                self._compare()
                self._close(state=RunState.FINISHED, message="Finished")
            except Cancelled:
                self._close(**self._run.end_by(self._watch.command or PAUSE))
            except MyoScarSegError as error:
                self._failed(error)
            except Exception as error:  # a defect: whoever watches the run is to hear of it, and the output says where
                traceback.print_exc()
                self._failed(error)
            finally:
                self._watch.close()
        clear_command(self._run.folder)
        return self._told.status

    # ---- the parts

    def _train(self, part: str) -> None:
        out = self._run.part(part)
        if (out / RESULT).is_file():
            return
        if part == DETECTOR and self._together:
            self._go_on_alone()
        self._told.part(part)
        result = train_job.run(_job(self._run, part), self._told.progress, self._watch.cancel, self._hooks(part))
        kept = {key: result[key] for key in ("kind", "name", "sha256", "metrics")}
        write_json(out / RESULT, {"version": 1, **kept})
        for path in _state_files(self._run, part):  # large, and of no use any more
            path.unlink(missing_ok=True)

    def _hooks(self, part: str) -> Hooks:
        begun = _begun(self._run)

        def data(progress: Progress, cancel: CancelToken | None) -> DataSet:
            self._told.device(device_name(self._run.record.settings.device))  # said late: it takes torch
            if self._data is None:
                self._data = read_cases(self._run, self._library, begun=begun, progress=progress, cancel=cancel)
                for name, reason in self._run.record.left_out.items():
                    self._told.note(f"{name} was left out: {reason}")
            return self._data

        return Hooks(
            data=data,
            stage=self._told.stage,
            log=lambda entry: self._told.logged(part, entry),
            note=self._told.note,
            looked=self._looked,
            of_run=True,
            files=self._files,
        )

    def _timeout_s(self, command: str) -> float:
        """How long the training may take to end by itself."""
        nothing_to_keep = command == CANCEL or self._told.status.stage in (STARTING, READING, EMBEDDING)
        return run_commands.AT_ONCE_S if nothing_to_keep else run_commands.SAFE_PLACE_S

    def _compare(self) -> None:
        if not self._run.split.validation:
            self._told.note("Nobody validates in the split, so the new model is not compared with another one.")
            return
        if self._together:
            self._go_on_alone()
        self._told.part("")
        self._told.stage(COMPARING)

        try:
            compare_run(self._run, self._told.progress, self._watch.cancel, library=self._library)
        except Cancelled:
            raise
        except MyoScarSegError as error:
            if self._is_gone():
                raise
            # The models are complete and measured; that they cannot be compared now makes them no worse.
            self._told.note(f"The models could not be compared: {error} Compare them again.")

    def _looked(self, epoch: int, slices: Sequence[LabeledSlice], masks: Sequence[np.ndarray]) -> None:
        try:
            draw(self._run.folder / EXAMPLES, epoch, slices, masks)
        except OutputError as error:
            self._told.note(f"The pictures of epoch {epoch} could not be written: {error}")

    # ---- the end

    def _hard_end(self, command: str) -> None:
        """The training has not ended in time: end the process, between two files."""
        # A file of a model and its card go together; they take a moment, unless the disk hangs. A cancel removes both.
        self._files.acquire(timeout=0 if command == CANCEL else _FILES_TIMEOUT_S)
        try:
            self._close(**self._run.end_by(command))
            clear_command(self._run.folder)
        except MyoScarSegError as error:
            _say(str(error))
        finally:
            self._end(0)

    def _failed(self, error: Exception) -> None:
        sentence = str(error) if isinstance(error, MyoScarSegError) else f"The training ended with a defect: {error!r}."
        if self._is_gone():
            sentence = f"The run's folder {self._run.folder} was removed while it trained; nothing of it can be kept."
            self._sweep()
        _say(sentence)
        self._close(state=RunState.FAILED, error=sentence, message="Failed")

    def _close(self, **changes: Any) -> None:
        try:
            self._told.close(**changes)
        except OutputError as error:
            _say(str(error))

    def _is_gone(self) -> bool:
        return not (self._run.folder / RECORD).is_file()

    def _sweep(self) -> None:
        """Remove the folders that writing a file has made anew in a run that was removed."""
        for part in self._run.parts:
            for path in self._run.part(part).glob("*"):
                if path.is_file():
                    path.unlink(missing_ok=True)
            with suppress(OSError):
                self._run.part(part).rmdir()
        for folder in (self._run.folder, self._run.folder.parent, self._run.folder.parent.parent):
            with suppress(OSError):
                folder.rmdir()

    def _go_on_alone(self) -> None:
        """Become a process that is one of one: the others have done their part."""
        self._told.update(stage=STARTING, message="Going on in one process", now=True)
        alone = {name: value for name, value in os.environ.items() if name not in _OF_SEVERAL}
        command = [sys.executable, *self._run.process_arguments(self._library)]
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, command, alone)  # noqa: S606 - our own module; the lock goes with this program, and comes anew


def _help(run: Run, library: Path | str | None) -> RunStatus:
    """What the other processes of a training do: their share of the segmenter's."""
    status = read_status(run.folder) or RunStatus()
    if SEGMENTER not in run.parts or (run.part(SEGMENTER) / RESULT).is_file():
        return status
    begun = _begun(run)

    def data(progress: Progress, cancel: CancelToken | None) -> DataSet:
        return read_cases(run, library, begun=begun, write=False, progress=progress, cancel=cancel)

    token = CancelToken()
    with on_interrupt(lambda _number: token.cancel()), suppress(Cancelled):
        train_job.run(_job(run, SEGMENTER), no_progress, token, Hooks(data=data, of_run=True))
    return status


def _job(run: Run, part: str) -> TrainJob:
    """The training of a part, to be begun or gone on with."""
    job = run.settings.job(part, run.folder, run.part(part), run.folder / SPLIT, len(run.split.training))
    return replace(job, resume=part == SEGMENTER or bool(_state_files(run, part)))


def _state_files(run: Run, part: str) -> list[Path]:
    """What the training of a part goes on from, as far as it is there."""
    return sorted(run.part(part).glob("*.checkpoint"))


def _begun(run: Run) -> bool:
    """Whether anything has learned from the cases by now."""
    return any((run.part(part) / RESULT).is_file() or _state_files(run, part) for part in run.parts)


def _say(sentence: str) -> None:
    with suppress(OSError):
        sys.stderr.write(f"myoscarseg: {sentence}\n")
        sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m MyoScarSegLib.training.runs RUN``. Returns the exit status."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m MyoScarSegLib.training.runs", description="Work on a training run.")
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--data", type=Path, help="library with its cases, where it is neither in the run nor around it")
    parser.add_argument("--launched", action="store_true", help="a command that is there is meant for this process")
    args = parser.parse_args(arguments)
    try:
        status = carry_out(Run.open(args.run), library=args.data, launched=args.launched)
    except MyoScarSegError as error:
        _say(str(error))
        return 1
    return 1 if status.state is RunState.FAILED else 0
