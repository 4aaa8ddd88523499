"""A training workflow on a real scene: studies of rings as a reader has corrected them, and waiting for what is begun."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from MyoScarSegLib.engine_settings import EngineSettings
from MyoScarSegLib.utils.signal import Signal
from Testing.support.ring_factory import ring, ring_study
from Testing.support.until import until


def add_ring_study(scene: Any, number: int, *, scar: bool = True, slices: int = 3, size: int = 64) -> tuple[Any, np.ndarray]:
    """A volume of rings with a segmentation of them, drawn by hand. Returns the volume node and its classes ``[k, j, i]``."""
    from MyoScarSegLib.scene.lge_volumes import add_study
    from MyoScarSegLib.scene.plain_segments import add_segment
    from MyoScarSegLib.scene.study_session import StudySession

    stack = [ring(size, scar=scar, center=(size / 2 - 3 + number, size / 2 - 2 + 4 * k)) for k in range(slices)]
    study, labels = ring_study("rings", stack)
    volume = add_study(scene, study, f"LGE {number}")
    session = StudySession.open(volume)
    session.segmentation.write_slices({k: labels[k] >= 3 for k in range(slices)})
    node = session.segmentation.ensure_node()
    for name, mask in (("Myocardium", labels >= 2), ("Blood pool", labels == 1)):
        add_segment(node, session.geometry, mask, name, (1.0, 1.0, 1.0))
    session.refresh()
    return volume, labels


class Pumped:
    """Pumps a training workflow as the application's timer does."""

    def __init__(self, training: Any) -> None:
        self.training = training

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float = 120.0) -> None:
        """Pump until something is so."""
        until(
            condition,
            lambda: f"{what} (error {self.training.state.error!r})",
            turn=self.training.pump,
            timeout_s=timeout_s,
        )

    def done(self, begun: Any = True) -> None:
        """Wait for what was begun, which must go well."""
        assert begun, self.training.state.error
        self.until(lambda: not self.training.state.busy, "what was begun")
        task = self.training.last_task
        assert task is None or task.state == "done", (task.name, task.error)


def idle_workflow(scene: Any) -> Any:
    """A workflow of the first tab whose engine does nothing."""
    from MyoScarSegLib.scene.workflow import Workflow

    return Workflow(scene, IdleEngine())  # type: ignore[arg-type]


class IdleEngine:
    """The first tab's engine where no network is wanted: it takes every wish and does nothing."""

    state = "stopped"

    def __init__(self) -> None:
        self.state_changed = Signal()
        self.settings = EngineSettings()

    def configure(self, settings: EngineSettings) -> None:
        self.settings = settings

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_args, **_named: IdleRequest()


class IdleRequest:
    state, error, result, progress, id = "pending", "", None, (0, 0, "", None), 0

    def on_done(self, _callback):
        return self

    on_progress = on_done

    def cancel(self):
        pass
