"""Clicks in training: in the middle of what is wrong, of the kind that mends it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from MyoScarSegLib.training.prompt_clicks import clicks, correction


def test_correction_clicks_the_middle_of_the_largest_error():
    generator = np.random.default_rng(4)
    target = np.zeros((40, 40), dtype=bool)
    target[10:21, 10:21] = True
    (click,) = correction(generator, np.zeros_like(target), target)
    assert tuple(click) == (15.5, 15.5, 1.0)
    predicted = target.copy()
    predicted[28:39, 2:13] = True
    (click,) = correction(generator, predicted, target)
    assert tuple(click) == (7.5, 33.5, 0.0)
    assert correction(generator, target, target).shape == (0, 3)


def test_correction_is_of_the_kind_that_mends_where_missed_and_false_scar_touch():
    target, predicted = np.zeros((2, 40, 40), dtype=bool)
    target[10:20, 5:20] = True
    predicted[10:20, 15:30] = True
    kinds = set()
    for seed in range(40):
        ((x, y, positive),) = correction(np.random.default_rng(seed), predicted, target)
        assert target[int(y), int(x)] == bool(positive) != predicted[int(y), int(x)]
        assert 14 <= y <= 16
        kinds.add(positive)
    assert kinds == {0.0, 1.0}, "both regions are as large, so either may be clicked"


def test_ties_of_corrections_are_drawn_by_the_seed():
    target = np.zeros((40, 40), dtype=bool)
    target[10:14, 5:30] = True
    empty = np.zeros_like(target)
    drawn = [tuple(correction(np.random.default_rng(seed), empty, target)[0]) for seed in range(30)]
    assert len(set(drawn)) > 10
    assert {y for _, y, _ in drawn} == {11.5, 12.5}
    assert drawn[3] == tuple(correction(np.random.default_rng(3), empty, target)[0])


def test_correction_knows_the_border_of_the_picture():
    target = np.zeros((20, 20), dtype=bool)
    target[:5, :] = True
    ((_, y, _),) = correction(np.random.default_rng(0), np.zeros_like(target), target)
    assert y == 2.5


def test_correcting_again_and_again_mends_everything():
    """As a reader does: each click's region is set right; in the end nothing is left to click."""
    generator = np.random.default_rng(9)
    target, predicted = ndimage.gaussian_filter(generator.normal(size=(2, 48, 48)), (0, 2, 2)) > 0.1
    largest = np.inf
    for _ in range(200):
        click = correction(generator, predicted, target)
        if len(click) == 0:
            break
        x, y, positive = click[0]
        wrong = (target & ~predicted) if positive else (predicted & ~target)
        regions, _ = ndimage.label(wrong)
        region = regions == regions[int(y), int(x)]
        assert region[int(y), int(x)]
        assert region.sum() <= largest
        largest = region.sum()
        predicted = predicted ^ region
    assert np.array_equal(predicted, target)


def test_clicks_on_nothing_are_none():
    assert clicks(np.random.default_rng(0), np.zeros((4, 4), bool), 3, True).shape == (0, 3)
