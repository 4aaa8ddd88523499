"""``python -m Testing.benchmark.estimate``: how long a small training takes, and how long it was estimated to take.

The tiny start model and library of the tests, on this computer's processor; a good estimate is within a factor of two.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from MyoScarSegLib.training.runs.estimate import estimate
from MyoScarSegLib.training.train_job import Hooks, run
from Testing.support.run_factory import SPLIT, settings, write_library
from Testing.support.tiny_training import write_start


def main() -> int:
    """Measure and print both. Returns the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        library = write_library(place / "library").folder
        SPLIT.write(place / "split.json")
        chosen = settings(write_start(place / "start.safetensors"))
        began = time.monotonic()
        told = estimate(chosen, library, SPLIT)
        estimating = time.monotonic() - began
        job = chosen.job("segmenter", library, place / "out", place / "split.json", len(SPLIT.training))
        began = time.monotonic()
        run(job, hooks=Hooks(of_run=True))
        really = time.monotonic() - began
    expected = told.seconds - told.parts["comparing"]  # a job alone compares nothing
    print(f"estimated {expected:.1f} s, took {really:.1f} s, estimating took {estimating:.1f} s")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
