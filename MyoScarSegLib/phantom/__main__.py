"""Writes a phantom's study to a file for a panel that must not wait: the process of a background task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.phantom import make_phantom
from MyoScarSegLib.study.handover import write_handover
from MyoScarSegLib.utils.background_task import serve
from MyoScarSegLib.utils.progress import CancelToken, Progress


def _write(job: dict[str, Any], _progress: Progress, _cancel: CancelToken) -> None:
    """Hand the phantom of a ``seed`` over in the file ``path``."""
    study = make_phantom(job["seed"]).study
    write_handover(Path(job["path"]), replace(study, voxels=study.voxels.astype(np.float32)))


if __name__ == "__main__":
    serve(_write)
