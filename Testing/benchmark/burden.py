"""What a reader waits for in the section *Burden*: the numbers after an edit, and the pictures that the worker draws.

``python -m Testing.benchmark.burden`` prints it alone. Aims: numbers within 100 ms, a picture within half a second.
Filling the cells of the panel's tables is not in it: that is Qt's.
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import replace
from typing import Any

import numpy as np

from MyoScarSegLib.engine.burden_messages import BurdenJob
from MyoScarSegLib.engine.burden_work import draw_picture
from MyoScarSegLib.outputs.burden_pictures import PICTURES
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.quantification.measurements import measure as measure_burden
from MyoScarSegLib.quantification.reference import reference_masks, reference_table
from MyoScarSegLib.result import Result
from Testing.support.ventricle_factory import round_ventricle

SLICES, EDITS, WIDTH_PX = 12, 20, 500
_BEYOND = ((0, 0), (0, 136), (0, 176))
"""Rows and columns that make slices of 208 x 256 pixels."""


def measure() -> dict[str, Any]:
    """Milliseconds on a round ventricle of twelve slices.

    Returns:
        ``numbers_ms``: of all numbers after an edit of the scar: median, longest, and the very first, which imports;
        ``methods_ms``: of the reference methods, which a changed wall makes anew, and their table; ``pictures_ms``: median of
        each picture by name.
    """
    study, ventricle, scar, insertions = round_ventricle(SLICES)
    study = replace(study, voxels=np.pad(study.voxels, _BEYOND, mode="edge"))
    wall, cavity, scar = (np.pad(mask, _BEYOND) for mask in (ventricle.myocardium, ventricle.cavity, scar))
    ventricle = replace(ventricle, myocardium=wall, cavity=cavity)
    numbers = []
    for edit in range(EDITS + 1):
        edited = scar.copy()
        edited[edit % SLICES] = False
        began = time.perf_counter()
        measure_burden(edited, study.geometry, ventricle=ventricle, insertions=insertions, voxels=study.voxels)
        numbers.append((time.perf_counter() - began) * 1000)
    methods = []
    for _ in range(4):
        began = time.perf_counter()
        reference_table(reference_masks(study.voxels, wall, cavity, None, scar=scar), study.geometry, wall, scar)
        methods.append((time.perf_counter() - began) * 1000)
    result = Result(study, scar.astype(np.float32), 0.5)
    job = BurdenJob(result, Anatomy(ventricle, None, insertions))
    draw_picture(job, "bars", WIDTH_PX)  # imports what draws
    pictures = {}
    for name in PICTURES:
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            draw_picture(job, name, WIDTH_PX)
            taken.append((time.perf_counter() - began) * 1000)
        pictures[name] = statistics.median(taken)
    return {
        "numbers_ms": {"median": statistics.median(numbers[1:]), "longest": max(numbers[1:]), "first": numbers[0]},
        "methods_ms": statistics.median(methods[1:]),
        "pictures_ms": pictures,
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))  # noqa: T201
