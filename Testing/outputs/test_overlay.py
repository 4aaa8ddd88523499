"""The overlay picture: which slices are shown, and that it shows what it should."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from MyoScarSegLib.outputs.overlay import _chosen_slices, _headline, write_overlay
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.result import MASS_ERROR, Result
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study


def study(slices: int) -> Study:
    voxels = np.random.default_rng(0).normal(100, 10, (slices, 40, 50)).astype(np.float32)
    return Study("case", voxels, Geometry((1.4, 1.4, 10.0)), Reconstruction.MAGNITUDE)


def test_every_slice_of_a_usual_stack_is_shown():
    assert _chosen_slices(60, [], [], []) == list(range(60))


def test_large_stack_shows_all_slices_with_something_on_them_first():
    mask = np.zeros((200, 4, 4), dtype=bool)
    mask[150, 1, 1] = True
    chosen = _chosen_slices(200, [Box(7, 0, 0, 2, 2)], [Point(33, 1, 1)], [mask])
    assert {7, 33, 150} <= set(chosen)
    assert len(chosen) == 60
    assert chosen == sorted(set(chosen))
    full = np.ones((200, 1, 1), dtype=bool)
    assert len(_chosen_slices(200, [], [], [full])) == 60


@pytest.mark.parametrize("slices", [2, pytest.param(75, marks=pytest.mark.slow)])
def test_scar_is_drawn_in_its_color(slices, tmp_path):
    probability = np.zeros((slices, 40, 50), dtype=np.float32)
    empty = tmp_path / "empty.png"
    write_overlay(empty, Result(study(slices), probability, 0.5))
    probability[1, 10:20, 10:20] = 1
    write_overlay(tmp_path / "scar.png", Result(study(slices), probability, 0.5, (Box(1, 8, 8, 22, 22),)))

    def red(path) -> int:
        pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
        return int(((pixels[..., 0] > 200) & (pixels[..., 1] < 130) & (pixels[..., 2] < 120)).sum())

    assert red(tmp_path / "scar.png") > red(empty) + 100


def test_headline_tells_the_interval_of_the_mass_where_it_is_known():
    probability = np.zeros((3, 40, 50), dtype=np.float32)
    probability[1, 5:35, 5:45] = 0.6
    title, subtitle = _headline(Result(study(3), probability, 0.5), None)
    assert title == "case: scar 24.7 g, 23.5 mL" and "WRONG" not in subtitle
    title, subtitle = _headline(Result(study(3), probability, 0.5, provenance={MASS_ERROR: "1 0.25 0.9"}), None)
    assert title == "case: scar 24.7 g (18 to 32), 23.5 mL"
    assert subtitle.startswith("LIKELY TO BE WRONG")
