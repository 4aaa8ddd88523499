"""Late enhancement drawn over cine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.study.tissue import CAVITY, INFARCT, MYOCARDIUM
from MyoScarSegLib.training.datasets.labeled import LabeledSlice, by_stack
from MyoScarSegLib.training.finetune.late_enhancement import enhanced

COPIES = 12


def cine(patient: str = "p") -> list[LabeledSlice]:
    """Three slices with a ring of muscle around blood, brighter than muscle; the last one shows no ventricle."""
    y, x = np.ogrid[:64, :72]
    away = np.hypot(y - 30.5, x - 36.5)
    labels = np.select([away < 11, away < 18], [CAVITY, MYOCARDIUM], 0).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 4, labels.shape)
    image = np.select([labels == CAVITY, labels == MYOCARDIUM], [200, 60], 90) + noise
    none = np.zeros_like(labels)
    return [
        LabeledSlice(patient, k, image.astype(np.float32), none if k == 2 else labels, (1.4, 1.4), slice_spacing_mm=8.0)
        for k in range(3)
    ]


@pytest.fixture(scope="module")
def drawn() -> list[LabeledSlice]:
    return enhanced(cine(), COPIES)


def test_scar_is_drawn_in_the_wall_alone_and_most_copies_have_some(drawn):
    stacks = by_stack(drawn).values()
    assert len(stacks) == COPIES
    assert all(one.patient == "p-enhanced" for one in drawn)
    before = {one.index: one.labels for one in cine()}
    for one in drawn:
        scar = one.labels == INFARCT
        np.testing.assert_array_equal(np.where(scar, MYOCARDIUM, one.labels), before[one.index])
    with_scar = [any((one.labels == INFARCT).any() for one in stack) for stack in stacks]
    assert COPIES / 2 <= sum(with_scar) < COPIES


def test_scar_is_as_bright_as_late_enhancement_has_it_and_healthy_wall_is_dark(drawn):
    shares = []
    for one in drawn:
        scar, wall, blood = (one.image[one.labels == tissue] for tissue in (INFARCT, MYOCARDIUM, CAVITY))
        if scar.size > 60 and wall.size > 60:
            shares.append((np.median(scar) - np.median(wall)) / (np.median(blood) - np.median(wall)))
    assert len(shares) > 5
    assert min(shares) > 0.3
    assert max(shares) < 2.2
    assert np.ptp(shares) > 0.2, "contrast differs from copy to copy"


def test_scar_begins_at_the_cavity(drawn):
    y, x = np.ogrid[:64, :72]
    depth = np.hypot(y - 30.5, x - 36.5) - 11
    inner = [depth[one.labels == INFARCT].mean() < 3.5 for one in drawn if (one.labels == INFARCT).any()]
    assert all(depth[one.labels == INFARCT].min() < 2 for one in drawn if (one.labels == INFARCT).any())
    assert np.mean(inner) > 0.5


def test_the_seed_decides_all():
    first, again, other = (enhanced(cine(), 1, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.image, b.image) and np.array_equal(a.labels, b.labels) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].image, other[0].image)


def test_a_picture_of_one_value_gives_finite_pictures():
    flat = [replace(one, image=np.full_like(one.image, 7)) for one in cine()]
    assert all(np.isfinite(one.image).all() for one in enhanced(flat, 2))
