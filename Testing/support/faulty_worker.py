"""The real worker with a pipeline of numpy alone, and with faults to order: for tests that need what goes wrong, not networks.

``ENGINE_FAULTS`` names a folder. A file in it called like a request (``segment``, ``propose``, ``suggest``, ``encode``,
``ventricle``, ``models``) or ``start`` holds the name of a fault, which strikes when that is next done; the file is removed
first, so that it strikes once. A file called ``REQUEST.always`` stays.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.engine import work, worker
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.prompts import BESIDE, Box, box_of_mask
from MyoScarSegLib.result import Boxes, Encoded, ProposedVentricle, Result

FAULTS = Path(os.environ["ENGINE_FAULTS"])


class NumpyPipeline:
    """Finds the pixels above 200, in no time."""

    confidence: float | None = None

    def encode(self, study, slices=None, *, progress=None, cancel=None):
        for k in slices:
            (FAULTS / "log").open("a").write(f"encode {k}\n")
        return Encoded(list(slices))

    def propose(self, study, *, progress, cancel):
        found = Boxes([Box(k, 2, 2, 8, 8, source="numpy") for k in range(study.slices) if k not in study.bad_slices])
        found.provenance["detector"] = "numpy"
        return found

    def suggest(self, study, confirmed, *, progress, cancel):
        (FAULTS / "log").open("a").write(f"suggest beside {sorted(confirmed)}\n")
        beside = {k for n in confirmed if confirmed[n].any() for k in (n - 1, n + 1)} - confirmed.keys()
        boxes = [box_of_mask(confirmed[n], k, source=f"numpy{BESIDE}") for k in beside for n in (k - 1, k + 1) if n in confirmed]
        found = Boxes([box for box in boxes if box is not None and box.slice in range(study.slices)])
        found.provenance["suggestions"] = "numpy"
        return found

    def ventricle(self, study, *, progress, cancel):
        wall = study.voxels > 200
        return ProposedVentricle(wall, np.zeros_like(wall), "model", {}, {"wall": "numpy"})

    def segment(self, study, boxes, points, *, slices, threshold, progress, cancel):
        (FAULTS / "log").open("a").write(f"segment {sorted({b.slice for b in boxes} & {*slices})}\n")
        (FAULTS / "boxes").write_text(f"{sorted(box.slice for box in boxes)}")
        slices = sorted(({box.slice for box in boxes} | {point.slice for point in points}) & {*slices})
        probability = np.zeros(study.voxels.shape, dtype=np.float32)
        for done, k in enumerate(slices):
            progress(done, len(slices), f"Segmenting scar: slice {k}")
            cancel.raise_if_cancelled()
            probability[k] = study.voxels[k] > 200
        return Result(
            study,
            probability,
            threshold,
            tuple(boxes),
            tuple(points),
            dict.fromkeys(slices, 0.9),
            {},
            False,
            {"threshold": "0.5"},
        )


def strike(name: str, frames: int) -> None:
    """The fault called for, if any."""
    once, always = FAULTS / name, FAULTS / f"{name}.always"
    if always.is_file():
        fault = always.read_text()
    elif once.is_file():
        fault = once.read_text()
        once.unlink()
    else:
        return
    (FAULTS / "struck").write_text(fault)
    if fault == "crash":
        sys.stderr.write("a library's last words\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGSEGV)
    elif fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "quit":
        sys.stderr.write("ImportError: nothing works\n")
        os._exit(3)
    elif fault == "hang":
        time.sleep(600)
    elif fault == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif fault == "garbage":
        os.write(frames, b"Downloading model: 100%|#####|\r\n" * 100)
        time.sleep(600)
    elif fault == "half a frame":
        os.write(frames, b"\x40\x00\x00\x00\x00\x00\x00\x00{")
        time.sleep(600)
    elif fault == "nonsense":
        os.write(frames, worker.protocol.pack({"type": "done", "id": "seven"}))
        time.sleep(600)
    elif fault == "print":
        print("a library prints", flush=True)  # noqa: T201
        os.write(1, b"and so does native code\n")
    elif fault == "too large":
        worker.protocol.MOST_BODY_BYTES = 1000
    elif fault == "memory":
        raise MemoryError
    elif fault == "unexpected":
        raise ZeroDivisionError("division by zero in the network")
    elif fault == "no model":
        raise ModelError("There is no model called 'heart'.")
    elif fault == "no package":
        raise ModuleNotFoundError("No module named 'torch'", name="torch")
    elif fault.startswith("sleep "):
        time.sleep(float(fault.split()[1]))
    else:
        raise SystemExit(f"no such fault: {fault}")


def main() -> None:
    frames = os.dup(1)
    strike("start", frames)
    pipeline: Any = NumpyPipeline()
    step = work.Work.step

    def faulty_step(self, asked, queue, report):
        strike(asked.what, frames)
        return step(self, asked, queue, report)

    work.Work._ready = lambda self, report, total: pipeline
    work.Work.step = faulty_step
    worker.main()


if __name__ == "__main__":
    main()
