"""The sample study: a phantom with known scar, made in a process of its own so that the panel stays live."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.scene.demo_scene import add_study
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.utils.exit_status import died
from MyoScarSegLib.widgets.process import QProcessTransport
from MyoScarSegLib.widgets.text import _

SAMPLE_SEED = 11


class SampleMaker:
    """Makes the phantom and puts it into a scene."""

    def __init__(self, scene: Any, python: str, environment: dict[str, str]) -> None:
        self._scene = scene
        self._python = python
        self._environment = environment
        self._process: QProcessTransport | None = None

    @property
    def busy(self) -> bool:
        """Whether one is being made."""
        return self._process is not None

    def start(self, done: Callable[[Any, str], None]) -> None:
        """Begin; ``done(volume_node, "")`` or ``done(None, sentence)`` is called once it has ended."""
        if not self.busy:
            self._begin(done, again=True)

    def _begin(self, done: Callable[[Any, str], None], *, again: bool) -> None:
        """``again``: if the process dies, make it once more."""
        folder = tempfile.TemporaryDirectory(prefix="myoscarseg-")
        path = Path(folder.name) / "phantom.npz"
        process = QProcessTransport([self._python, "-m", "MyoScarSegLib.phantom", str(path), str(SAMPLE_SEED)], self._environment)

        def ended(code: int, log: str) -> None:
            self._process = None
            with folder:
                if again and died(code, log):
                    self._begin(done, again=False)
                    return
                if code != 0 or not path.is_file():
                    why = log.strip().splitlines()[-1:] or [str(code)]
                    done(None, _("The sample study cannot be made: {why}").format(why=why[0]))
                    return
                study = _read(path)
            done(add_study(self._scene, study, "LGE PSIR phantom"), "")

        process.on_exit = ended
        self._process = process
        process.start()

    def stop(self) -> None:
        """Give up what is being made."""
        if self._process is not None:
            self._process.on_exit = lambda _code, _log: None
            self._process.kill()
            self._process = None


def _read(path: Path) -> Study:
    with np.load(path, allow_pickle=False) as file:
        return Study(
            case="phantom",
            voxels=file["voxels"],
            geometry=Geometry(tuple(file["spacing_mm"].tolist()), tuple(file["origin_mm"].tolist()), file["direction"]),
            reconstruction=Reconstruction.PSIR,
        )
