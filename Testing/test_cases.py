"""Odd inputs that users report, made and judged by the generators of the development data (`cases/` beside it)."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.prompts import read_boxes
from MyoScarSegLib.study import read_study
from Testing.conftest import REPOSITORY

CASES = Path(os.environ.get("MYOSCARSEG_TEST_DATA", REPOSITORY.parent / "shared" / "data")).parent / "cases"
EXPECTED = CASES / "expected.txt"
LINES = EXPECTED.read_text().splitlines() if EXPECTED.is_file() else []
INPUTS = [line.split() for line in LINES if line.strip() and not line.startswith("#")]


@pytest.fixture(scope="module")
def judge(generated_cases) -> dict[str, Any]:
    """Names of `judge.py`, with the inputs generated; its measurement runs in this process."""
    kinds = {name.split("-")[0] for name, _ in INPUTS}
    folder = generated_cases(*sorted(p.name for p in CASES.glob("make_*.py") if p.name[5:7] in kinds))
    nothing = folder / "nothing.txt"
    nothing.write_text("")
    names: dict[str, Any] = {"__file__": str(CASES / "judge.py")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CASES", str(folder))
        patch.setenv("EXPECTED", str(nothing))
        patch.setattr(sys, "argv", ["judge.py"])
        with pytest.raises(SystemExit):
            exec(compile((CASES / "judge.py").read_text(), "judge.py", "exec"), names)  # noqa: S102
    pipeline = Pipeline(device="cpu")

    @cache
    def grams(path: Path) -> float:
        return pipeline.segment(read_study(path), read_boxes(path.parent / "boxes.json")).burden.mass_g

    names["grams"] = grams
    names["CASES"] = folder
    return names


@pytest.mark.data
@pytest.mark.skipif(not INPUTS, reason="the generators of odd inputs are not here (cases/ beside the development data)")
@pytest.mark.parametrize(
    ("name", "wanted"),
    # Those that are judged by a segmented mass take seconds each.
    [pytest.param(*given, marks=pytest.mark.slow if "mass" in given[1] else []) for given in INPUTS or [("none", "none")]],
)
def test_odd_input_is_read_right_or_refused(judge, name, wanted):
    assert judge["verdict"](judge["CASES"] / name, wanted) in wanted.split("|")
