"""The folders of a library's trainings, looked at again and again: which there are, where each stands, what the shown one has."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.scene.training.training_curves import CurveReader
from MyoScarSegLib.training.runs.comparison_files import read_comparison
from MyoScarSegLib.training.runs.run import EXAMPLES, RUNS, Run, runs_of
from MyoScarSegLib.training.runs.run_status import STATUS, RunState

if TYPE_CHECKING:
    from MyoScarSegLib.scene.training.training_workflow import TrainingWorkflow


class RunWatch:
    """Keeps ``runs``, ``statuses`` and what is shown of a training in the state as they are on disk."""

    def __init__(self, training: TrainingWorkflow) -> None:
        self._training = training
        self._damaged: dict[str, str] = {}
        self._status_times: dict[str, tuple[int, int] | None] = {}
        self._readers: dict[str, CurveReader] = {}
        self._examples_time: Any = None
        self._comparison_time: Any = None

    def open(self, folder: Path | None) -> None:
        """Take the trainings of the library in ``folder``; the one that runs is shown, else the newest."""
        self._training.update(folder=folder)
        self.show(None)
        self.list_anew()

    def refresh(self) -> None:
        """Read which trainings there are, how all stand, and the shown one."""
        self.list_anew()
        self._look_at_shown()

    def list_anew(self) -> None:
        """Read which trainings there are."""
        state = self._training.state
        before = {run.name: run for run in state.runs}
        found, self._damaged = ([], {}) if state.folder is None else runs_of(state.folder)
        # The same objects for the same trainings, for whoever holds one.
        runs = [old if (old := before.get(run.name)) is not None and old.record == run.record else run for run in found]
        names = {run.name for run in runs}
        self._status_times = {name: time for name, time in self._status_times.items() if name in names}
        kept = {name: status for name, status in state.statuses.items() if name in names}
        self._training.update(runs=tuple(runs), statuses=kept)
        self._look_at_others()
        state = self._training.state
        if state.run is not None and state.run.name not in names:
            self.show(None)
        if self._training.state.run is None and runs:
            self.show(next((run for run in runs if run.name == state.name_of_running), runs[0]))

    def take_up(self, run: Run) -> Run:
        """List and show a training that was just made. Returns it as it is in the list."""
        self.list_anew()
        listed = next((one for one in self._training.state.runs if one.name == run.name), run)
        self.show(listed)
        return listed

    def show(self, run: Run | None) -> None:
        """Follow a training, or none."""
        self._readers = {} if run is None else {part: CurveReader(path) for part, path in run.logs().items()}
        self._examples_time = self._comparison_time = None
        self._training.update(run=run, curves=MappingProxyType({}), examples=(), comparison=None)
        self._look_at_shown()

    def look(self) -> None:
        """See which trainings there are, how they stand, and how far the shown one is."""
        folder = self._training.state.folder
        if folder is None:
            return
        try:
            names = {entry.name for entry in os.scandir(folder / RUNS) if entry.is_dir() and not entry.name.startswith(".")}
        except OSError:
            names = set()
        if names != {run.name for run in self._training.state.runs} | set(self._damaged):
            self.list_anew()
        else:
            self._look_at_others()
        self._look_at_shown()

    def _look_at_shown(self) -> None:
        run = self._training.state.run
        if run is None:
            return
        self._training.update(statuses={**self._training.state.statuses, run.name: run.status()})
        self._read_curves()
        self._read_examples(run)
        self._read_comparison(run)

    def _look_at_others(self) -> None:
        """See how the others stand: another Slicer or a command may have begun some."""
        state = self._training.state
        statuses = dict(state.statuses)
        for run in state.runs:
            time = _time_of(run.folder / STATUS)
            known = statuses.get(run.name)
            if run is state.run and known is not None:
                continue  # it is looked at with its curves and its comparison
            # Of one that runs the file alone does not say when its process is gone.
            if known is None or self._status_times.get(run.name) != time or known.state is RunState.RUNNING:
                self._status_times[run.name] = time
                statuses[run.name] = run.status()
        self._training.update(statuses=statuses)

    def _read_curves(self) -> None:
        # Of a run that trains both, the part in hand is shown; of one that has ended, the segmenter.
        if not [part for part, reader in self._readers.items() if reader.read()]:
            return
        status = self._training.state.status
        part = status.part if status is not None and status.part in self._readers else ""
        if not part:
            part = next((name for name, reader in self._readers.items() if reader.values), next(iter(self._readers)))
        self._training.update(curves=self._readers[part].values)

    def _read_examples(self, run: Run) -> None:
        time = _time_of(run.folder / EXAMPLES)
        if time != self._examples_time:
            self._examples_time = time
            self._training.update(examples=tuple(run.examples()))

    def _read_comparison(self, run: Run) -> None:
        time = _time_of(run.comparison)
        if time == self._comparison_time:
            return
        self._comparison_time = time
        try:
            self._training.update(comparison=None if time is None else read_comparison(run.comparison))
        except StudyError as error:
            self._training.update(comparison=None)
            self._training.say(error=str(error))


def _time_of(path: Path) -> tuple[int, int] | None:
    """When a file or folder was changed last, and its size; None if there is none."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size
