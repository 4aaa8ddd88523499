"""Writes a phantom's study to a file for a panel that must not wait: the process of a background task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.phantom import make_phantom
from MyoScarSegLib.utils.background_task import serve
from MyoScarSegLib.utils.files import atomic_path
from MyoScarSegLib.utils.progress import CancelToken, Progress


def _write(job: dict[str, Any], _progress: Progress, _cancel: CancelToken) -> None:
    """Write ``voxels``, ``spacing_mm``, ``origin_mm`` and ``direction`` of phantom ``seed`` to ``path``."""
    study = make_phantom(job["seed"]).study
    geometry = study.geometry
    with atomic_path(Path(job["path"])) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            voxels=study.voxels.astype(np.float32),
            spacing_mm=np.asarray(geometry.spacing_mm),
            origin_mm=np.asarray(geometry.origin_mm),
            direction=np.asarray(geometry.direction),
        )


if __name__ == "__main__":
    serve(_write)
