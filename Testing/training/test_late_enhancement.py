"""Late enhancement drawn over cine: where scar lies, and that wall, blood and scar look as they do in LGE."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.study.tissue import CAVITY, INFARCT, MYOCARDIUM
from MyoScarSegLib.training.augmentation.late_enhancement import enhanced
from MyoScarSegLib.training.datasets.labeled import LabeledSlice

SLICES, SIDE, MIDDLE = 6, 64, 32


def cine(patient: str = "a", *, slices: int = SLICES) -> list[LabeledSlice]:
    """A round ventricle with bright blood, gray wall and gray surroundings; the wall is brighter than LGE would have it."""
    y, x = np.mgrid[:SIDE, :SIDE]
    radius = np.hypot(y - MIDDLE, x - MIDDLE)
    labels = np.where(radius < 12, CAVITY, np.where(radius < 19, MYOCARDIUM, 0)).astype(np.uint8)
    image = np.where(radius < 12, 300.0, np.where(radius < 19, 120.0, 160.0))
    noise = np.random.default_rng(3).normal(0, 5, (slices, SIDE, SIDE))
    return [LabeledSlice(patient, k, image + noise[k], labels, (1.4, 1.4), 8.0) for k in range(slices)]


@pytest.fixture(scope="module")
def drawn() -> list[LabeledSlice]:
    return enhanced(cine(), 24)


def test_scar_lies_in_the_wall_and_cavity_and_wall_stay_where_they_are(drawn):
    before = cine()[0].labels
    for one in drawn:
        assert set(np.unique(one.labels)) <= {0, CAVITY, MYOCARDIUM, INFARCT}
        np.testing.assert_array_equal(np.where(one.labels == INFARCT, MYOCARDIUM, one.labels), before)


def test_most_copies_have_scar_and_some_have_none(drawn):
    scarred = [any(one.scar.any() for one in drawn[n : n + SLICES]) for n in range(0, len(drawn), SLICES)]
    assert len(scarred) // 2 < sum(scarred) < len(scarred)


def test_scar_begins_at_the_cavity(drawn):
    """Infarcts spread from the inner border outward."""
    y, x = np.mgrid[:SIDE, :SIDE]
    inner_half = np.hypot(y - MIDDLE, x - MIDDLE) < 15.5
    inner, outer = (sum(int((one.scar & place).sum()) for one in drawn) for place in (inner_half, ~inner_half))
    assert inner > outer > 0


def test_wall_is_dark_and_scar_and_blood_are_bright(drawn):
    def mean(of) -> float:
        return float(np.mean(np.concatenate([one.image[of(one.labels)] for one in drawn])))

    wall, blood, scar = (mean(lambda labels, n=n: labels == n) for n in (MYOCARDIUM, CAVITY, INFARCT))
    assert wall < (wall + blood) / 2 < scar


def test_each_copy_is_a_stack_of_its_own_and_the_seed_decides_all(drawn):
    assert len({one.stack for one in drawn}) == 24
    again = enhanced(cine(), 24)
    assert all(np.array_equal(a.image, b.image) and a.case == b.case for a, b in zip(drawn, again, strict=True))
    assert not np.array_equal(enhanced(cine(), 1, seed=1)[0].image, drawn[0].image)


def test_slices_without_ventricle_are_drawn_without_scar():
    bare = [LabeledSlice("b", 0, np.full((32, 32), 7.0), np.zeros((32, 32), np.uint8), (1.4, 1.4), 8.0)]
    assert not any(one.scar.any() or not np.isfinite(one.image).all() for one in enhanced(bare, 4))


def test_a_picture_of_one_value_gives_finite_pictures():
    flat = [replace(one, image=np.full_like(one.image, 7)) for one in cine()]
    assert all(np.isfinite(one.image).all() for one in enhanced(flat, 2))
