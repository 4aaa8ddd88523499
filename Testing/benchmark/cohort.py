"""Seconds a study in one run of ``batch`` against ``segment`` on each by hand, each as a command from start to exit.

``python -m Testing.benchmark.cohort`` prints it alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from MyoScarSegLib.phantom import make_phantom
from MyoScarSegLib.phantom.phantom_settings import PhantomSettings
from MyoScarSegLib.study import write_volume

STUDIES, SLICES = 6, 10


def measure(studies: int = STUDIES, slices: int = SLICES) -> dict[str, float]:
    """Seconds a study both ways, and how many times faster one run is.

    Args:
        studies: phantoms of 256 x 208 pixels.
        slices: of each.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, inputs = Path(name), []
        (folder / "in").mkdir()
        for seed in range(studies):
            study = make_phantom(seed, settings=PhantomSettings(slices=slices)).study
            inputs.append(folder / f"in/P{seed}.nrrd")
            write_volume(inputs[-1], study.voxels.astype(np.float32), study)
        by_hand = sum(_seconds("segment", path, "-o", folder / "by_hand") for path in inputs) / studies
        batch = _seconds("batch", folder / "in", "-o", folder / "batch") / studies
    return {"studies": studies, "slices": slices, "segment_each_s": by_hand, "batch_s": batch, "ratio": by_hand / batch}


def _seconds(*arguments: object) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "MyoScarSegLib", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmark.cohort", description=__doc__)
    parser.add_argument("--studies", type=int, default=STUDIES)
    parser.add_argument("--slices", type=int, default=SLICES)
    args = parser.parse_args()
    sys.stdout.write(json.dumps(measure(args.studies, args.slices), indent=2) + "\n")
