"""A training workflow that plays what a test tells it to: for how the tab looks in states that take long to reach in truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from MyoScarSegLib.models import DEFAULT_SEGMENTER, registry
from MyoScarSegLib.scene.notices import TrainChange
from MyoScarSegLib.training.runs.run_status import RunState, RunStatus
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_settings import TrainSettings


@dataclass
class PlayedTraining:
    """Has the attributes of the workflow; what the panel asks of it is in ``asked``."""

    library_folder: Path | None = None
    kept_folder: Path | None = None
    watching: bool = False
    rows: list[Any] = field(default_factory=list)
    split: Split | None = None
    busy: str = ""
    progress: tuple[int, int, str, float | None] = (0, 0, "", None)
    error: str = ""
    note: str = ""
    advice: str = "Choose a folder for the training library."
    run: Any = None
    status: RunStatus | None = None
    runs: list[Any] = field(default_factory=list)
    examples: list[Path] = field(default_factory=list)
    curve_values: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    comparison: dict[str, Any] | None = None
    estimate_result: Any = None
    preview_picture: Path | None = None
    in_use: str = DEFAULT_SEGMENTER
    refusals: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    next_patient: str = "P001"
    opened_case: str = ""
    label_question: Any = None

    def __post_init__(self) -> None:
        self._callbacks: list[Callable[[TrainChange], None]] = []

    def on_changed(self, callback: Callable[[TrainChange], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def set(self, **values: Any) -> None:
        """Change what is, and tell that everything may have changed."""
        for name, value in values.items():
            assert hasattr(self, name), name
            setattr(self, name, value)
        for change in TrainChange:
            for callback in self._callbacks:
                callback(change)

    @property
    def cases(self) -> PlayedTraining:
        """The parts of the workflow are played by the one object."""
        return self

    trainings = models = cases

    @property
    def entries(self) -> list[Any]:
        return list(registry().entries())

    def why_not(self, action: str) -> str:
        return self.refusals.get(action, "")

    def segments(self, _node: Any) -> list[Any]:
        return [SimpleNamespace(id="scar", name="scar", role="scar")]

    def reviewed_slices(self) -> list[int]:
        return []

    def pump(self) -> None:
        pass

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def ask(*args: Any, **named: Any) -> None:
            self.asked.append((name, *args, *([named] if named else [])))

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
    row = {"name": name, "state": "complete", "problem": "", "thumbnail": None, "part": ""}
    for key, value in changes.items():
        (row if key in row else values)[key] = value
    return SimpleNamespace(case=SimpleNamespace(**values), **row)


RUNNING = RunStatus(
    state=RunState.RUNNING, stage="steps", part="segmenter", done=30, total=80, epoch=7, epochs=20, seconds=190.0,
    seconds_left=9.0, device="cpu (2 cores)", memory_bytes=1_340_000_000, pid=1,
    best={"segmenter": {"epoch": 5, "end_to_end_dice": 0.612, "oracle_dice": 0.81, "score": 0.6}},
)  # fmt: skip
