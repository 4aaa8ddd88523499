"""A small cohort that was run, for tests of its review."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.job import Job
from MyoScarSegLib.batch.runner import segment_all
from Testing.support.quick_pipeline import Quick, small_study

CASES = ("P0", "P1", "P2")


def run_cohort(
    folder: Path,
    patch: pytest.MonkeyPatch,
    *,
    write: Callable[[Path, int], Path] = small_study,
    pipeline: Quick | None = None,
    overlays: bool = False,
) -> Cohort:
    """Three small studies in ``folder/in``, segmented into ``folder/out``; without ``overlays``, with pictures that are none."""
    (folder / "in").mkdir()
    inputs = [write(folder / "in" / f"{case}.nrrd", n) for n, case in enumerate(CASES)]
    if not overlays:
        patch.setattr("MyoScarSegLib.outputs.case_files.write_overlay", lambda file, *_: file.write_bytes(b"png"))
    cohort = Cohort(folder / "out")
    found = cohort.find(inputs, resume=False)
    job = Job(inputs, cohort.out, cohort=True)
    cohort.run(found, job, lambda job, _ended: segment_all(job, pipeline or Quick()), lambda _outcome: None)
    return cohort
