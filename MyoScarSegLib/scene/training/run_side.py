"""The trainings as the tab shows them: their list, and one of them followed while it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.scene.training.curves import CurveReader
from MyoScarSegLib.scene.training.notices import TrainChange, TrainNotices
from MyoScarSegLib.training.runs.compare import read_comparison
from MyoScarSegLib.training.runs.run import Run, runs_of
from MyoScarSegLib.training.runs.status import RunState, RunStatus

_LOOK_S = 0.25


class RunSide:
    """Trainings of a library.

    Attributes:
        runs: newest first; damaged: folders that are none, name to reason.
        run: the one that is shown; status: where it stands.
        curve_values, examples, comparison: of the shown one.
        curves_changed: whether the curves grew since somebody set it to False.
    """

    def __init__(self, notices: TrainNotices, clock: Callable[[], float]) -> None:
        self.runs: list[Run] = []
        self.damaged: dict[str, str] = {}
        self.run: Run | None = None
        self.status: RunStatus | None = None
        self.curve_values: dict[str, list[tuple[float, float]]] = {}
        self.examples: list[Path] = []
        self.comparison: dict[str, Any] | None = None
        self.curves_changed = False
        self._notices, self._clock = notices, clock
        self._folder: Path | None = None
        self._looked = 0.0
        self._readers: dict[str, CurveReader] = {}
        self._examples_at: int | None = None
        self._compared_at: tuple[int, int] | None = None

    def open(self, folder: Path | None) -> None:
        """Take the trainings of a library; the one that runs is shown, else the newest."""
        self._folder = folder
        self.show(None)
        self.list_anew()

    def list_anew(self) -> None:
        """Read which trainings there are."""
        self.runs, self.damaged = ([], {}) if self._folder is None else runs_of(self._folder)
        shown = self.run
        if shown is not None and shown.name not in {run.name for run in self.runs}:
            self.show(None)
        if self.run is None and self.runs:
            running = next((run for run in self.runs if run.status().state is RunState.RUNNING), None)
            self.show(running or self.runs[0])
        self._notices.tell(TrainChange.RUNS)

    def show(self, run: Run | None) -> None:
        """Follow a training, or none."""
        self.run, self.status = run, None
        self.curve_values, self.examples, self.comparison = {}, [], None
        self._readers = {} if run is None else {part: CurveReader(path) for part, path in run.logs().items()}
        self._examples_at = self._compared_at = None
        self.curves_changed = True
        self.look(at_once=True)
        self._notices.tell(TrainChange.RUN, TrainChange.CURVES, TrainChange.STATE)

    def look(self, *, at_once: bool = False) -> None:
        """See how far the shown training is, four times a second."""
        now = self._clock()
        if self.run is None or (not at_once and now - self._looked < _LOOK_S):
            return
        self._looked = now
        before, self.status = self.status, self.run.status()
        if before != self.status:
            self._notices.tell(TrainChange.RUN)
            if before is None or before.state is not self.status.state:
                self._notices.tell(TrainChange.RUNS, TrainChange.STATE)
        curves = self._read_curves()
        examples = self._read_examples(self.run)
        if curves or examples:
            self.curves_changed = self.curves_changed or curves
            self._notices.tell(TrainChange.CURVES)
        self._read_comparison(self.run)

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
        try:
            at = (run.folder / "examples").stat().st_mtime_ns
        except OSError:
            at = None
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
            self._notices.say(error=str(error))
        self._notices.tell(TrainChange.RUN, TrainChange.STATE)
