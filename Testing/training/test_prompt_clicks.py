"""Clicks in training and evaluation: deepest in what is wrong, of the kind that mends it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from MyoScarSegLib.training.reader_prompts import clicks, correction


def area(*rectangles: tuple[int, int, int, int]) -> np.ndarray:
    """bool ``[40, 40]`` with rectangles of (row, rows, column, columns)."""
    mask = np.zeros((40, 40), dtype=bool)
    for row, rows, column, columns in rectangles:
        mask[row : row + rows, column : column + columns] = True
    return mask


SQUARE = (10, 11, 10, 11)


@pytest.mark.parametrize(
    ("predicted", "target", "click"),
    [
        (area(), area(SQUARE), (15.5, 15.5, 1)),
        (area(SQUARE, (28, 9, 2, 9)), area(SQUARE), (6.5, 32.5, 0)),
        # The deeper error, not the one of more pixels.
        (area((0, 4, 0, 40)), area((20, 7, 20, 7)), (23.5, 23.5, 1)),
        # Missed and false are measured apart, also where they touch: each is 10 x 10, so the click is positive.
        (area((10, 10, 15, 10)), area((10, 10, 5, 10)), (9.5, 14.5, 1)),
        (area((10, 14, 15, 14)), area((10, 9, 5, 10)), (21.5, 16.5, 0)),
        # The first of the deepest pixels in row order; beyond the picture nothing is wrong.
        (area(), area((0, 5, 0, 40)), (2.5, 2.5, 1)),
        (area(), area((30, 4, 5, 20)), (6.5, 31.5, 1)),
    ],
)
def test_evaluations_click_is_deepest_in_the_largest_error(predicted, target, click):
    assert [tuple(one) for one in correction(None, predicted, target)] == [click]


def test_nothing_wrong_is_not_clicked():
    for generator in (None, np.random.default_rng(0)):
        assert correction(generator, area(SQUARE), area(SQUARE)).shape == (0, 3)


def test_trainings_clicks_are_among_the_deepest_or_at_least_in_the_middle_and_drawn_by_the_seed():
    target = area((10, 11, 5, 30))
    depth = ndimage.distance_transform_edt(target)
    drawn = [tuple(correction(np.random.default_rng(seed), area(), target)[0]) for seed in range(200)]
    depths = np.array([depth[int(y), int(x)] for x, y, _ in drawn]) / depth.max()
    assert depths.min() >= 0.6
    assert 0.5 < np.mean(depths == 1) < 0.8
    assert len(set(drawn)) > 50 and {positive for _, _, positive in drawn} == {1.0}
    assert drawn[3] == tuple(correction(np.random.default_rng(3), area(), target)[0])


@pytest.mark.parametrize("seed", [None, 9])
def test_correcting_again_and_again_mends_everything(seed):
    """As a reader does: each click's region is set right; in the end nothing is left to click."""
    generator = None if seed is None else np.random.default_rng(seed)
    noise = np.random.default_rng(9).normal(size=(2, 48, 48))
    target, predicted = ndimage.gaussian_filter(noise, (0, 2, 2)) > 0.1
    for _ in range(200):
        click = correction(generator, predicted, target)
        if len(click) == 0:
            break
        x, y, positive = click[0]
        wrong = (target & ~predicted) if positive else (predicted & ~target)
        regions, _ = ndimage.label(wrong)
        assert regions[int(y), int(x)]
        predicted = predicted ^ (regions == regions[int(y), int(x)])
    assert np.array_equal(predicted, target)


def test_clicks_on_nothing_are_none():
    assert clicks(np.random.default_rng(0), np.zeros((4, 4), bool), 3, True).shape == (0, 3)
