"""Write a phantom's study to a file: ``python -m MyoScarSegLib.phantom OUT.npz SEED``.

A process of its own, because making one takes longer than an application's window may stand still.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from MyoScarSegLib.phantom import make_phantom
from MyoScarSegLib.utils.files import atomic_path


def main(out: Path, seed: int) -> None:
    """Write ``voxels``, ``spacing_mm``, ``origin_mm`` and ``direction`` of phantom ``seed`` to ``out``."""
    study = make_phantom(seed).study
    geometry = study.geometry
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            voxels=study.voxels.astype(np.float32),
            spacing_mm=np.asarray(geometry.spacing_mm),
            origin_mm=np.asarray(geometry.origin_mm),
            direction=np.asarray(geometry.direction),
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
