"""A training workflow that plays what a test tells it to: for how the tab looks in states that take long to reach in truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from MyoScarSegLib.models import DEFAULT_DETECTOR, DEFAULT_SEGMENTER, registry
from MyoScarSegLib.scene.training.training_state import FIELDS, TrainingState
from MyoScarSegLib.training.runs.run_status import RunState, RunStatus
from MyoScarSegLib.training.train_settings import TrainSettings
from MyoScarSegLib.utils.signal import Signal


class PlayedTraining:
    """Has a state that tests set; what the panel asks of it is in ``asked``."""

    advice = "Choose a folder for the training library."
    in_use = (DEFAULT_SEGMENTER, DEFAULT_DETECTOR)
    next_patient, opened_case = "P001", ""

    def __init__(self) -> None:
        self.state = TrainingState()
        self.changed = Signal()
        self.kept_folder: Path | None = None
        self.watching = False
        self.refusals: dict[str, str] = {}
        self.asked: list[tuple[Any, ...]] = []
        self.refresh()

    def set(self, *, refusals: dict[str, str] | None = None, status: RunStatus | None = None, **values: Any) -> None:
        """Change the state, and tell that everything may have changed. ``status`` is that of the shown run."""
        self.refusals = self.refusals if refusals is None else refusals
        state = replace(
            self.state, **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        )
        statuses = {run.name: run.status() for run in state.runs}
        if status is not None and state.run is not None:
            statuses[state.run.name] = status
        self.state = replace(state, statuses=statuses)
        for name in FIELDS:
            self.changed.emit(name)

    update = set

    @property
    def cases(self) -> PlayedTraining:
        """The parts of the workflow are played by the one object."""
        return self

    trainings = models = cases

    def refresh(self) -> None:
        self.set(models=registry().entries(), in_use=self.in_use)

    def why_not(self, action: str) -> str:
        return self.refusals.get(action, "")

    def reviewed_slices(self) -> list[int]:
        return []

    def pump(self) -> None:
        pass

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def ask(*args: Any, **named: Any) -> bool:
            self.asked.append((name, *args, *([named] if named else [])))
            return True

        return ask


def played_run(name: str, status: RunStatus, settings: TrainSettings | None = None) -> Any:
    """A run with a status."""
    return SimpleNamespace(
        name=name,
        folder=Path("runs") / name,
        settings=settings or TrainSettings(),
        status=lambda: status,
        models=lambda: {} if status.state is RunState.FAILED else {"segmenter": Path("segmenter.safetensors")},
        record=SimpleNamespace(created=f"{name[:10]}T09:12:00+00:00"),
    )


def played_case(name: str, **changes: Any) -> Any:
    """A row of the library."""
    values: dict[str, Any] = {
        "case": name, "patient": name, "tags": (), "slices": 10, "reviewed": None, "mass_g": 12.3, "added_by": "",
        "reviewer": "AB", "date": "2026-11-20T10:00:00+00:00", "slices_with_scar": 5, "source": "",
    }  # fmt: skip
    row = {"name": name, "state": "complete", "problem": "", "thumbnail": None}
    for key, value in changes.items():
        (row if key in row else values)[key] = value
    return SimpleNamespace(case=SimpleNamespace(**values), **row)


RUNNING = RunStatus(
    state=RunState.RUNNING, stage="steps", part="segmenter", done=30, total=80, epoch=7, epochs=20, seconds=190.0,
    seconds_left=9.0, device="cpu (2 cores)", memory_bytes=1_340_000_000, pid=1,
    best={"segmenter": {"epoch": 5, "end_to_end_dice": 0.612, "oracle_dice": 0.81, "score": 0.6}},
)  # fmt: skip
