"""How library, trainings and models of the training tab stand: one value, which is replaced and never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from MyoScarSegLib.models import Entry
from MyoScarSegLib.training.datasets.library_state import PROBLEM, CaseRow
from MyoScarSegLib.training.runs.estimate import Estimate
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.run_status import RunState, RunStatus
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_settings import TrainSettings

Curves = Mapping[str, Sequence[tuple[float, float]]]
"""Name of a curve (``loss``, ``end_to_end``, ``reference_boxes``) to its points ``(epoch, value)``."""


@dataclass(frozen=True)
class LabelQuestion:
    """Labels that were to be imported, and of which nothing says what they mean.

    Attributes:
        paths, patient_pattern, reviewer: of the import, which waits for the answer.
        values: that occur.
        preview: picture of a slice with the values in the colors of :data:`~.label_pictures.COLORS`; None if there is none.
    """

    paths: tuple[Path, ...]
    patient_pattern: str | None
    reviewer: str
    values: tuple[int, ...]
    preview: Path | None


@dataclass(frozen=True)
class Measured:
    """An estimate, and the training that it is of."""

    settings: TrainSettings
    split: Split
    estimate: Estimate


@dataclass(frozen=True)
class TrainingState:
    """All that the training tab shows.

    Attributes:
        folder: of the chosen library; None before one is chosen.
        gone: whether that folder has vanished.
        rows: the library's cases.
        split: who trains and who validates; None if it was not drawn yet.
        runs: trainings of the library, newest first.
        statuses: where each of them stood when it was last looked at, by its name.
        run: the training that is shown.
        curves, examples, comparison: of the shown training: curves, pictures of validation slices with truth and answer, and
            its model against the one in use (None if not compared).
        busy: what is done for the application (``estimate``, ``add``, ...); empty if nothing is. A training is not that.
        progress: ``(done, total, message, seconds left or None)`` of what ``busy`` names.
        error: sentence on what went wrong last; empty once something else was begun.
        note: sentence on what the user should know of the last step.
        measured: the last estimate; None before one.
        preview: PNG of the last preview of the augmentation; None before one.
        question: what the last import asks the user; None if nothing.
        models: that can be started from or used.
        in_use: names or paths of the segmenter and of the detector in use.
    """

    folder: Path | None = None
    gone: bool = False
    rows: tuple[CaseRow, ...] = ()
    split: Split | None = None
    runs: tuple[Run, ...] = ()
    statuses: Mapping[str, RunStatus] = field(default_factory=lambda: MappingProxyType({}))
    run: Run | None = None
    curves: Curves = field(default_factory=lambda: MappingProxyType({}))
    examples: tuple[Path, ...] = ()
    comparison: Mapping[str, Any] | None = None
    busy: str = ""
    progress: tuple[int, int, str, float | None] = (0, 0, "", None)
    error: str = ""
    note: str = ""
    measured: Measured | None = None
    preview: Path | None = None
    question: LabelQuestion | None = None
    models: tuple[Entry, ...] = ()
    in_use: tuple[str, str] = ("", "")

    @property
    def patients(self) -> list[str]:
        """Codes of all patients, sorted."""
        return sorted({row.case.patient for row in self.rows if row.case is not None})

    @property
    def problems(self) -> int:
        """How many cases have a problem."""
        return sum(row.state == PROBLEM for row in self.rows)

    @property
    def left_out(self) -> list[str]:
        """Patients who are on neither side of the split; none without one."""
        return [] if self.split is None else [patient for patient in self.patients if not self.side_of(patient)]

    def side_of(self, patient: str) -> str:
        """``training``, ``validation``, or empty."""
        return "" if self.split is None else self.split.side_of(patient)

    @property
    def status(self) -> RunStatus | None:
        """Where the shown training stands; None without one."""
        return None if self.run is None else self.statuses.get(self.run.name)

    @property
    def name_of_running(self) -> str:
        """Name of a training that runs, the shown one before others; empty if none does."""
        names = [name for name, status in self.statuses.items() if status.state is RunState.RUNNING]
        return self.run.name if self.run is not None and self.run.name in names else next(iter(names), "")

    @property
    def running(self) -> bool:
        """Whether the shown training runs, as far as is known."""
        return self.status is not None and self.status.state is RunState.RUNNING


FIELDS = frozenset({*(one.name for one in fields(TrainingState)), "study"})
"""What may change: the fields of the state, and ``study``, the one of the first tab that could be added."""
