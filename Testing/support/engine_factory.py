"""Engines for tests: over the real worker, or over the faulty one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.engine.client import Engine, Timeouts
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.utils.transport import SubprocessTransport
from Testing.support.until import until

FAULTY_WORKER = Path(__file__).with_name("faulty_worker.py")
SHORT = Timeouts(start_s=20.0, silence_s=1.5, loading_s=20.0, step_s=20.0, cancel_s=0.5)


class FaultyEngine(Engine):
    """An engine over the faulty worker; :meth:`order` says what shall go wrong."""

    def __init__(self, faults: Path, timeouts: Timeouts = SHORT) -> None:
        super().__init__(self._transport, timeouts=timeouts)
        self.faults = faults
        self.transports: list[SubprocessTransport] = []
        self.states: list[str] = []
        self.state_changed.connect(self.states.append)

    def command(self) -> list[str]:
        program, _m, _module, *rest = super().command()
        return [program, str(FAULTY_WORKER), *rest]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "ENGINE_FAULTS": str(self.faults)}

    def _transport(self, command: list[str], environment: dict[str, str]) -> SubprocessTransport:
        self.transports.append(SubprocessTransport(command, environment))
        return self.transports[-1]

    def order(self, when: str, fault: str) -> None:
        (self.faults / when).write_text(fault)

    def done(self) -> list[str]:
        """What the pipeline did, in order, over all workers."""
        log = self.faults / "log"
        return log.read_text().splitlines() if log.is_file() else []

    def until_struck(self) -> None:
        pump_until(self, lambda: (self.faults / "struck").is_file())


def pump_until(engine: Engine, condition: Any) -> None:
    """Pump until the condition holds."""
    until(condition, engine.status, turn=engine.pump)


def bright_study(slices: int = 4, **fields: Any) -> Study:
    """Noise of about 100 with a bright square on each slice."""
    voxels = np.random.default_rng(0).normal(100, 10, (slices, 64, 48)).astype(np.float32)
    voxels[:, 10:20, 12:24] = 300
    return Study("name", voxels, Geometry((1.4, 1.4, 8.0)), Reconstruction.MAGNITUDE, **fields)
