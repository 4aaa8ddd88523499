"""The trainings as the tab shows them: their list, and one of them followed while it runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.scene.notices import Notices, TrainChange
from MyoScarSegLib.scene.training.curves import CurveReader
from MyoScarSegLib.training.runs.model_comparison import read_comparison
from MyoScarSegLib.training.runs.run import EXAMPLES, RUNS, Run, runs_of
from MyoScarSegLib.training.runs.run_status import STATUS, RunState, RunStatus

_LOOK_S = 0.25
_LIST_S = 1.0


class RunSide:
    """Trainings of a library.

    Attributes:
        runs: newest first; damaged: folders that are none, name to reason.
        run: the one that is shown; status: where it stands.
        curve_values, examples, comparison: of the shown one.
    """

    def __init__(self, notices: Notices, clock: Callable[[], float]) -> None:
        self.runs: list[Run] = []
        self.damaged: dict[str, str] = {}
        self.run: Run | None = None
        self.status: RunStatus | None = None
        self.curve_values: dict[str, list[tuple[float, float]]] = {}
        self.examples: list[Path] = []
        self.comparison: dict[str, Any] | None = None
        self._notices, self._clock = notices, clock
        self._folder: Path | None = None
        self._looked = self._listed = 0.0
        self._states: dict[str, tuple[int, RunState]] = {}  # of the others: time of the status file, and what it says
        self._readers: dict[str, CurveReader] = {}
        self._examples_at: int | None = None
        self._compared_at: tuple[int, int] | None = None

    def open(self, folder: Path | None) -> None:
        """Take the trainings of a library; the one that runs is shown, else the newest."""
        self._folder = folder
        self.show(None)
        self.list_anew()

    @property
    def other_running(self) -> str:
        """Name of a training that runs and is not the one that is shown; empty if there is none."""
        shown = "" if self.run is None else self.run.name
        return next((name for name, (_at, state) in self._states.items() if state is RunState.RUNNING and name != shown), "")

    def state_of(self, run: Run) -> RunState | None:
        """Where a training stood when it was last looked at; None if it is not in the list."""
        if self.run is run and self.status is not None:
            return self.status.state
        known = self._states.get(run.name)
        return None if known is None else known[1]

    def list_anew(self) -> None:
        """Read which trainings there are."""
        self._listed = self._clock()
        before = {run.name: run for run in self.runs}
        found, self.damaged = ([], {}) if self._folder is None else runs_of(self._folder)
        # The same objects for the same trainings, for whoever holds one.
        self.runs = [old if (old := before.get(run.name)) is not None and old.record == run.record else run for run in found]
        self._states = {name: known for name, known in self._states.items() if name in {run.name for run in self.runs}}
        self._look_at_others()
        shown = self.run
        if shown is not None and shown.name not in {run.name for run in self.runs}:
            self.show(None)
        if self.run is None and self.runs:
            running = next((run for run in self.runs if self._states[run.name][1] is RunState.RUNNING), None)
            self.show(running or self.runs[0])
        self._notices.tell(TrainChange.RUNS)

    def take_up(self, run: Run) -> Run:
        """List and show a training that was just made. Returns it as it is in the list."""
        self.list_anew()
        listed = next((one for one in self.runs if one.name == run.name), run)
        self.show(listed)
        return listed

    def _look_at_others(self) -> bool:
        """See how all stand: another Slicer or a command may have begun some. Returns whether that has changed."""
        changed = False
        for run in self.runs:
            at = _time_of(run.folder / STATUS)
            known = self._states.get(run.name)
            # Of one that runs the file alone does not say when its process is gone.
            if known is None or known[0] != at or known[1] is RunState.RUNNING:
                self._states[run.name] = (at, run.status().state)
                changed = changed or known is None or known[1] is not self._states[run.name][1]
        return changed

    def _look_at_list(self) -> None:
        if self._folder is None or self._clock() - self._listed < _LIST_S:
            return
        self._listed = self._clock()
        try:
            names = {entry.name for entry in os.scandir(self._folder / RUNS) if entry.is_dir() and not entry.name.startswith(".")}
        except OSError:
            names = set()
        if names != {run.name for run in self.runs} | set(self.damaged):
            self.list_anew()
        elif self._look_at_others():
            self._notices.tell(TrainChange.RUNS, TrainChange.STATE)

    def show(self, run: Run | None) -> None:
        """Follow a training, or none."""
        self.run, self.status = run, None
        self.curve_values, self.examples, self.comparison = {}, [], None
        self._readers = {} if run is None else {part: CurveReader(path) for part, path in run.logs().items()}
        self._examples_at = self._compared_at = None
        self.look(at_once=True)
        self._notices.tell(TrainChange.RUN, TrainChange.CURVES, TrainChange.STATE)

    def refresh(self) -> None:
        """See now how all stand, and the shown one."""
        self.list_anew()
        self.look(at_once=True)

    def look(self, *, at_once: bool = False) -> bool:
        """See how far the shown training is, four times a second, and once a second what others there are.

        Returns:
            Whether the curves have changed.
        """
        self._look_at_list()
        now = self._clock()
        if self.run is None or (not at_once and now - self._looked < _LOOK_S):
            return False
        self._looked = now
        before, self.status = self.status, self.run.status()
        if before != self.status:
            self._notices.tell(TrainChange.RUN)
            if before is None or before.state is not self.status.state:
                self._notices.tell(TrainChange.RUNS, TrainChange.STATE)
        curves = self._read_curves()
        examples = self._read_examples(self.run)
        if curves or examples:
            self._notices.tell(TrainChange.CURVES)
        self._read_comparison(self.run)
        return curves

    def _read_curves(self) -> bool:
        # Of a run that trains both, the part in hand is shown; of one that has ended, the segmenter.
        changed = [part for part, reader in self._readers.items() if reader.read()]
        if not changed:
            return False
        part = self.status.part if self.status is not None and self.status.part in self._readers else ""
        if not part:
            part = next((name for name, reader in self._readers.items() if reader.values), next(iter(self._readers)))
        values = self._readers[part].values
        if values == self.curve_values:
            return False
        self.curve_values = values
        return True

    def _read_examples(self, run: Run) -> bool:
        at = _time_of(run.folder / EXAMPLES)
        if at == self._examples_at:
            return False
        self._examples_at = at
        self.examples = run.examples()
        return True

    def _read_comparison(self, run: Run) -> None:
        try:
            facts = run.comparison.stat()
            at: tuple[int, int] | None = (facts.st_mtime_ns, facts.st_size)
        except OSError:
            at = None
        if at == self._compared_at:
            return
        self._compared_at = at
        try:
            self.comparison = None if at is None else read_comparison(run.comparison)
        except StudyError as error:
            self.comparison = None
            self._notices.say_only(error=str(error))
        self._notices.tell(TrainChange.RUN, TrainChange.STATE)


def _time_of(path: Path) -> int:
    """When a file or folder was changed last; 0 if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
