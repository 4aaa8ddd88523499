"""The overlay picture: which slices are shown, and that it shows what it should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from MyoScarSegLib.outputs.montage import shown_slices
from MyoScarSegLib.outputs.overlay import _headline
from MyoScarSegLib.result import MASS_ERROR, Result
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study


def study(slices: int) -> Study:
    voxels = np.random.default_rng(0).normal(100, 10, (slices, 40, 50)).astype(np.float32)
    return Study("case", voxels, Geometry((1.4, 1.4, 10.0)), Reconstruction.MAGNITUDE)


def test_large_stack_shows_all_slices_with_something_on_them_first():
    large = replace(study(1), voxels=np.zeros((200, 4, 4), dtype=np.float32))
    mask = np.zeros((200, 4, 4), dtype=bool)
    mask[[7, 33, 150], 1, 1] = True
    chosen = shown_slices(large, [mask], 60, filled=True)
    assert {7, 33, 150} <= set(chosen)
    assert len(chosen) == 60
    assert chosen == sorted(set(chosen))
    assert len(shown_slices(large, [np.ones((200, 1, 1), dtype=bool)], 60, filled=True)) == 60
    assert shown_slices(large, [mask], 200) == list(range(200)), "not so large"


def test_headline_tells_the_interval_of_the_mass_where_it_is_known():
    probability = np.zeros((3, 40, 50), dtype=np.float32)
    probability[1, 5:35, 5:45] = 0.6
    title, subtitle = _headline(Result(study(3), probability, 0.5), None)
    assert title == "case: scar 24.7 g, 23.5 mL" and "WRONG" not in subtitle
    title, subtitle = _headline(Result(study(3), probability, 0.5, provenance={MASS_ERROR: "1 0.25 0.9"}), None)
    assert title == "case: scar 24.7 g (18 to 32), 23.5 mL"
    assert subtitle.startswith("LIKELY TO BE WRONG")
