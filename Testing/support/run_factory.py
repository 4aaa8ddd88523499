"""Training runs made tiny: a library of rings, a start model of the real architecture, and settings of seconds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.loop.step_log import LogReader
from MyoScarSegLib.training.runs.comparison_files import read_comparison
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_settings import TrainSettings
from Testing.conftest import REPOSITORY
from Testing.support.ring_factory import ring, ring_study
from Testing.support.tiny_training import tensors_of, write_start

QUICK = {
    "context_epochs": 1,
    "phantoms": 0,
    "copies": 1,
    "prompts": 1,
    "corrections": 1,
    "batch": 2,
    "prompting.ventricle": 0.0,
    "prompting.empty": 0.0,
}
SPLIT = Split(("P001", "P002", "P003"), ("N004", "P005"))


def write_library(folder: Path, *, slices: int = 2, size: int = 64) -> Library:
    """Five patients: ``P001``, ``P002``, ``P003``, ``P005`` with scar and ``N004`` without."""
    library = Library.create(folder)
    for number, patient in enumerate(("P001", "P002", "P003", "N004", "P005")):
        add_case(library, patient, number, slices=slices, size=size)
    return library


def add_case(library: Library, patient: str, number: int, *, slices: int = 2, size: int = 64, **more: Any) -> None:
    """One more patient."""
    stack = [
        ring(size, scar=patient.startswith("P"), center=(size / 2 - 3 + number, size / 2 - 2 + 4 * k)) for k in range(slices)
    ]
    library.add(*ring_study(patient, stack), patient=patient, **more)


def settings(start: Path, **changes: Any) -> TrainSettings:
    """A segmenter's training of two epochs of some steps."""
    options = {**QUICK, **changes.pop("options", {})}
    usual: dict[str, Any] = {"start_segmenter": str(start), "device": "cpu", "epochs": 2, "augmentation": "none"}
    return TrainSettings(**{**usual, **changes}, options=options)


def tiny_run(folder: Path, **changes: Any) -> Run:
    """A planned run in a new library ``folder/library``."""
    library = write_library(folder / "library")
    return Run.create(library.folder, settings(write_start(folder / "start.safetensors"), **changes), SPLIT, name="run")


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Of a run's process: one thread, a cache of its own."""
    return {
        **os.environ, "OMP_NUM_THREADS": "1", "MYOSCARSEG_CACHE": str(folder / "cache"), "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": str(REPOSITORY), **more,
    }  # fmt: skip


_MAIN = """
import os, sys
from MyoScarSegLib.training.runs.run_process import main
status = main(sys.argv[1:])
sys.stderr.flush()
os._exit(status)
"""


def run_process(run: Run, folder: Path, *arguments: str, code: str = "", **more: str) -> subprocess.Popen[str]:
    """The process of a run, with some Python ``code`` executed before."""
    program = f"{code}\n{_MAIN}"
    return subprocess.Popen(
        [sys.executable, "-c", program, str(run.folder), *arguments],
        env=environment(folder, **more), cwd=REPOSITORY, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def copy_of(run: Run, to: Path) -> Run:
    """The same run in a copy of its library."""
    shutil.copytree(run.folder.parent.parent, to / "library")
    return Run.open(to / "library" / "runs" / run.name)


def log_entries(run: Run, part: str = "segmenter") -> list[dict]:
    """The log without times."""
    kept = [e for e in LogReader(run.logs()[part]).new() if e["event"] in ("step", "epoch")]
    return [{k: v for k, v in e.items() if k not in ("time", "seconds_left", "seconds")} for e in kept]


def assert_same_result(found: Run, expected: Run) -> None:
    """Model, figures and log are those of the other run."""
    ours, theirs = (tensors_of(run.models()["segmenter"]) for run in (found, expected))
    assert ours.keys() == theirs.keys()
    assert all(bool((ours[name] == theirs[name]).all()) for name in ours)
    figures = [json.loads((run.part("segmenter") / "result.json").read_text())["metrics"] for run in (found, expected)]
    assert figures[0] == figures[1]
    assert log_entries(found) == log_entries(expected)
    tables = [read_comparison(run.comparison)["cases"] for run in (found, expected)]
    assert tables[0] == tables[1]
