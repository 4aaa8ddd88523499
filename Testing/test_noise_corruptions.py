"""Label noise does what it says, as strongly as it says, and leaves the labels those of a heart."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.lesions import lesions
from MyoScarSegLib.training.datasets.labelled import BACKGROUND, CAVITY, INFARCT, MYOCARDIUM, NO_REFLOW, LabelledSlice
from MyoScarSegLib.training.noise.corruptions import (
    BOUNDARY,
    KINDS,
    MISSED,
    SIZE,
    Corruption,
    agreement,
    all_corruptions,
    corrupted,
)

_SIDE = 96
_MIDDLE = _SIDE / 2 - 0.5
_IMAGE = np.zeros((_SIDE, _SIDE), dtype=np.int16)


def _radius() -> np.ndarray:
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    return np.hypot(rows - _MIDDLE, columns - _MIDDLE)


def heart(index: int = 0, patient: str = "P1", **changes) -> LabelledSlice:
    """A thick wall around a cavity, with three lesions of different sizes, the largest with no-reflow in it."""
    radius = _radius()
    labels = np.where(radius < 14, CAVITY, np.where(radius < 38, MYOCARDIUM, BACKGROUND)).astype(np.uint8)
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    for row, column, size in ((22, 40, 7), (48, 76, 5), (72, 44, 3)):
        labels[(np.hypot(rows - row, columns - column) < size) & (labels == MYOCARDIUM)] = INFARCT
    labels[20:23, 38:41] = NO_REFLOW
    return replace(LabelledSlice(patient, index, _IMAGE, labels, (1.0, 1.0), 10.0), **changes)


def disc(radius_px: float = 25.0, index: int = 0, spacing: tuple[float, float] = (1.0, 1.0)) -> LabelledSlice:
    """Scar alone, with nothing labelled around it that would stop it."""
    labels = np.where(_radius() < radius_px, INFARCT, BACKGROUND).astype(np.uint8)
    return LabelledSlice("P1", index, _IMAGE, labels, spacing, wall_known=False)


def radii(mask: np.ndarray) -> np.ndarray:
    """Of a mask around the middle, in 48 directions."""
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    sector = ((np.arctan2(rows - _MIDDLE, columns - _MIDDLE) / (2 * np.pi) + 0.5) * 48).astype(int).clip(0, 47)
    area = np.bincount(sector[mask], minlength=48)
    whole = np.bincount(sector[_radius() < 40], minlength=48)
    return 40 * np.sqrt(area / whole)


@pytest.mark.parametrize("strength", [1.0, 3.0])
def test_border_is_displaced_by_the_strength_smoothly_and_without_bias(strength):
    moved = [radii(corrupted([disc(index=n)], Corruption(BOUNDARY, strength), 0)[0].scar) for n in range(40)]
    away = np.array(moved) - radii(disc().scar)
    assert away.std() == pytest.approx(strength, rel=0.2)
    assert abs(away.mean()) < 0.2 * strength
    neighbours = np.mean(away * np.roll(away, 1, axis=1)) / np.mean(away**2)
    opposite = np.mean(away * np.roll(away, 24, axis=1)) / np.mean(away**2)
    assert neighbours > 0.6 and abs(opposite) < 0.25


def test_lesions_grow_or_shrink_by_the_strength_about_as_often():
    sizes = [radii(corrupted([disc(index=n)], Corruption(SIZE, 4.0), 0)[0].scar) for n in range(40)]
    away = np.array([one.mean() for one in sizes]) - radii(disc().scar).mean()
    np.testing.assert_allclose(np.abs(away), 4.0, atol=0.5)
    assert 10 < (away > 0).sum() < 30
    assert max(one.std() for one in sizes) < 1.0, "all around"


def test_strength_is_in_millimetres():
    across = replace(disc(index=3), pixel_spacing_mm=(2.0, 1.0))
    fine = [corrupted([disc(index=n)], Corruption(SIZE, 4.0), 0)[0].scar for n in range(6)]
    coarse = [corrupted([replace(across, index=n)], Corruption(SIZE, 4.0), 0)[0].scar for n in range(6)]
    for one, other in zip(fine, coarse, strict=True):
        grown = 1 if one.sum() > disc().scar.sum() else -1
        rows, columns = (np.ptp(np.nonzero(other)[axis]) + 1 for axis in (0, 1))
        assert rows - 50 == pytest.approx(grown * 4, abs=1.1) and columns - 50 == pytest.approx(grown * 8, abs=1.1)


def test_lesions_are_missed_with_the_given_probability_and_the_others_untouched():
    slices = [heart(n) for n in range(150)]
    numbered = lesions(heart().scar, smallest_px=1)
    missed_before: set[tuple[int, int]] = set()
    for strength in (0.1, 0.25, 0.5):
        missed = set()
        for one in corrupted(slices, Corruption(MISSED, strength), 0):
            for lesion in (1, 2, 3):
                left = one.scar[numbered == lesion]
                assert left.all() or not left.any()
                if not left.any():
                    missed.add((one.index, lesion))
        assert len(missed) / 450 == pytest.approx(strength, abs=0.06)
        assert missed_before <= missed
        missed_before = missed


@pytest.mark.parametrize("corruption", [*all_corruptions(), Corruption(SIZE, 60.0), Corruption(BOUNDARY, 30.0)], ids=str)
def test_labels_stay_those_of_a_heart(corruption):
    true = [heart(n) for n in range(8)]
    spoilt = corrupted(true, corruption, 1)
    assert any((a.labels != b.labels).any() for a, b in zip(true, spoilt, strict=True))
    for before, after in zip(true, spoilt, strict=True):
        np.testing.assert_array_equal(after.left_ventricle, before.left_ventricle)
        assert (after.labels[before.scar & ~after.scar] == MYOCARDIUM).all()
        assert (after.labels[after.scar & ~before.scar] == INFARCT).all()
        unchanged = before.scar == after.scar
        np.testing.assert_array_equal(after.labels[unchanged], before.labels[unchanged])
        assert after.labels.dtype == np.uint8 and after.image is before.image
    np.testing.assert_array_equal(true[0].labels, heart().labels, "the true masks are not touched")


def test_only_missing_loses_lesions():
    true = [heart(n) for n in range(8)]
    for corruption in (Corruption(BOUNDARY, 30.0), Corruption(SIZE, 60.0)):
        assert agreement(true, corrupted(true, corruption, 0)).lesions_found == 1
    nothing = agreement(true, corrupted(true, Corruption(MISSED, 1.0), 0))
    assert (nothing.lesions_found, nothing.slices_emptied, nothing.dice_mean) == (0, 1, 0)


def test_growing_scar_bulges_into_the_cavity_and_not_through_the_epicardium():
    grown = [one for one in corrupted([heart(n) for n in range(8)], Corruption(SIZE, 60.0), 0) if one.scar.sum() > 300]
    assert grown
    assert all((one.labels[_radius() < 10] == INFARCT).all() and not one.scar[_radius() > 38.5].any() for one in grown)


def test_without_a_labelled_wall_lost_scar_is_background():
    bare = [disc(index=n) for n in range(10)]
    for corruption in all_corruptions():
        spoilt = corrupted(bare, corruption, 0)
        assert {int(value) for one in spoilt for value in np.unique(one.labels)} <= {BACKGROUND, INFARCT}


@pytest.mark.parametrize("kind", KINDS)
def test_noise_depends_on_seed_patient_and_slice_alone(kind):
    corruption = Corruption(kind, KINDS[kind].strengths[-1])
    slices = [heart(index, patient) for patient in ("P1", "P2") for index in range(10)]
    first = [one.labels for one in corrupted(slices, corruption, 0)]
    reversed_ = [one.labels for one in corrupted(slices[::-1], corruption, 0)][::-1]
    alone = [corrupted([one], corruption, 0)[0].labels for one in slices]
    other = [one.labels for one in corrupted(slices, corruption, 1)]
    assert all(np.array_equal(a, b) and np.array_equal(a, c) for a, b, c in zip(first, reversed_, alone, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
    assert any((a != b).any() for a, b in zip(first[:10], first[10:], strict=True)), "another patient"
    assert any((a != first[0]).any() for a in first[1:10]), "another slice"


@pytest.mark.parametrize("kind", KINDS)
def test_stronger_noise_is_further_from_the_truth(kind):
    true = [heart(n) for n in range(12)]
    dice = [agreement(true, corrupted(true, Corruption(kind, strength), 0)).dice_mean for strength in (0, *KINDS[kind].strengths)]
    assert dice[0] == 1
    assert all(a > b + 0.02 for a, b in itertools.pairwise(dice)), dice


def test_slices_without_scar_are_handed_through():
    empty = replace(heart(), labels=np.where(heart().scar, MYOCARDIUM, heart().labels).astype(np.uint8))
    assert all(corrupted([empty], corruption, 0)[0] is empty for corruption in all_corruptions())


def test_agreement_is_counted_per_patient_over_the_stack():
    def slice_of(patient: str, index: int, pixels: int) -> LabelledSlice:
        labels = np.zeros((4, 10), dtype=np.uint8)
        labels[1, :pixels] = INFARCT
        return LabelledSlice(patient, index, labels, labels)

    true = [slice_of("A", 0, 6), slice_of("A", 1, 2), slice_of("B", 0, 4), slice_of("C", 0, 0)]
    spoilt = [slice_of("A", 0, 3), slice_of("A", 1, 0), slice_of("B", 0, 8), slice_of("C", 0, 0)]
    found = agreement(true, spoilt)
    assert found.dice == {"A": pytest.approx(6 / 11), "B": pytest.approx(8 / 12)}
    assert found.area_ratio == pytest.approx(11 / 12)
    assert (found.lesions_found, found.slices_emptied) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    with pytest.raises(ValueError, match="not of the same slices"):
        agreement(true, spoilt[::-1])


@pytest.mark.parametrize(
    ("kind", "strength", "message"),
    [("blur", 1.0, "no kind of label noise 'blur'"), (SIZE, -1.0, "from 0 up"), (MISSED, 1.5, "from 0 to 1"),
     (BOUNDARY, float("nan"), "finite")],
)  # fmt: skip
def test_noise_that_makes_no_sense_is_refused(kind, strength, message):
    with pytest.raises(ModelError, match=message):
        Corruption(kind, strength)
