"""Dice, surface distances and lesions, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.training.evaluation import bootstrap
from MyoScarSegLib.training.evaluation.bootstrap import interval, ratio
from MyoScarSegLib.training.evaluation.metrics import LesionCounts, dice, lesions_2d, lesions_3d, surface_distances
from MyoScarSegLib.training.evaluation.paired import paired


def cube(shape: tuple[int, ...], low: tuple[int, ...], high: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


def test_dice_of_half_an_overlap_and_of_empty_masks():
    a, b, none = cube((8, 8), (0, 0), (4, 4)), cube((8, 8), (2, 0), (6, 4)), np.zeros((8, 8), dtype=bool)
    assert dice(a, b) == pytest.approx(2 * 8 / 32)
    assert dice(a, a) == 1.0
    assert dice(none, none) == 1.0  # nothing to find, and nothing found
    assert dice(a, none) == dice(none, a) == 0.0


def test_two_pixels_are_their_distance_apart_in_millimetres():
    a, b = cube((9, 9), (1, 1), (2, 2)), cube((9, 9), (4, 5), (5, 6))
    found = surface_distances(a, b, (2.0, 0.5))
    assert found is not None
    assert found.hd95_mm == found.assd_mm == pytest.approx(np.hypot(3 * 2.0, 4 * 0.5))


def test_distances_in_3d_know_the_distance_between_slices():
    a, b = cube((4, 6, 6), (0, 2, 2), (1, 3, 3)), cube((4, 6, 6), (2, 2, 2), (3, 3, 3))
    found = surface_distances(a, b, (10.0, 1.4, 1.4))
    assert found is not None
    assert found.hd95_mm == pytest.approx(20.0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shifted_cube_has_the_shift_as_its_hd95(axis):
    spacing = (3.0, 1.5, 0.7)
    low, moved = [2, 2, 2], [2, 2, 2]
    moved[axis] += 2
    a = cube((16, 16, 16), tuple(low), tuple(v + 9 for v in low))
    b = cube((16, 16, 16), tuple(moved), tuple(v + 9 for v in moved))
    found = surface_distances(a, b, spacing)
    assert found is not None
    # The face that lags behind is more than a tenth of the border, and its nearest border is the other's same face.
    assert found.hd95_mm == pytest.approx(2 * spacing[axis])
    assert 0 < found.assd_mm < found.hd95_mm


def test_a_smaller_square_inside_has_known_distances():
    """Borders of 5 x 5 and 1 x 1 about one center: 16 border pixels against one."""
    outer, inner = cube((9, 9), (2, 2), (7, 7)), cube((9, 9), (4, 4), (5, 5))
    there = [np.hypot(r, c) for r in range(-2, 3) for c in range(-2, 3) if max(abs(r), abs(c)) == 2]
    found = surface_distances(outer, inner, (1.0, 1.0))
    assert found is not None
    assert found.hd95_mm == pytest.approx(np.percentile(there, 95))
    assert found.assd_mm == pytest.approx((sum(there) + 2.0) / 17)


def test_there_is_no_distance_to_nothing():
    a, none = cube((5, 5), (1, 1), (3, 3)), np.zeros((5, 5), dtype=bool)
    assert surface_distances(a, none, (1, 1)) is None
    assert surface_distances(none, a, (1, 1)) is None
    assert surface_distances(none, none, (1, 1)) is None


def test_a_mask_at_the_edge_of_the_image_has_a_border_there():
    a, b = cube((6, 6), (0, 0), (6, 3)), cube((6, 6), (0, 0), (6, 6))
    found = surface_distances(a, b, (1, 1))
    assert found is not None
    assert found.hd95_mm == pytest.approx(3.0)


def test_distances_agree_with_monai():
    metrics = pytest.importorskip("monai.metrics")
    import torch

    generator = np.random.default_rng(4)
    a = np.zeros((6, 20, 20), dtype=bool)
    a[1:4, 5:15, 4:12] = True
    b = np.roll(a, (1, 2, 3), axis=(0, 1, 2)) & (generator.random(a.shape) > 0.1)
    one, other = (torch.from_numpy(m[None, None].astype(np.float32)) for m in (a, b))
    hd95 = metrics.compute_hausdorff_distance(one, other, include_background=True, percentile=95)
    assert surface_distances(a, b, (1, 1, 1)).hd95_mm == pytest.approx(float(hd95), rel=1e-5)
    assd = metrics.compute_average_surface_distance(one, other, include_background=True, symmetric=True)
    assert surface_distances(a, b, (1, 1, 1)).assd_mm == pytest.approx(float(assd), rel=1e-5)


def test_lesions_in_2d_count_each_slice_and_in_3d_the_whole():
    truth, predicted = np.zeros((3, 30, 30), dtype=bool), np.zeros((3, 30, 30), dtype=bool)
    truth[0:2, 2:6, 2:6] = True  # one infarct through two slices
    truth[2, 20:24, 20:24] = True  # another, missed
    predicted[0, 3:6, 3:6] = True  # found in one slice only
    predicted[1, 15:18, 2:6] = True  # a false one
    assert lesions_2d(predicted, truth, (1.0, 1.0)) == LesionCounts(true=3, found=1, predicted=2, right=1)
    assert lesions_3d(predicted, truth, (1.0, 1.0)) == LesionCounts(true=2, found=1, predicted=2, right=1)


def test_a_lesion_needs_a_tenth_of_its_pixels_to_be_found():
    truth, predicted = np.zeros((1, 30, 30), dtype=bool), np.zeros((1, 30, 30), dtype=bool)
    truth[0, 5:15, 5:15] = True
    predicted[0, 14, 5:14] = predicted[0, 15:17, 5:14] = True
    assert lesions_3d(predicted, truth, (1.0, 1.0)).found == 0  # 9 of 100
    predicted[0, 14, 14] = True
    assert lesions_3d(predicted, truth, (1.0, 1.0)).found == 1


def test_pieces_a_gap_apart_are_one_lesion_and_specks_are_none():
    mask = np.zeros((1, 20, 20), dtype=bool)
    mask[0, 4:6, 4:6] = mask[0, 8:10, 4:6] = True  # two pixels between them
    mask[0, 15, 15] = True
    assert lesions_2d(mask, mask, (1.0, 1.0)).true == lesions_3d(mask, mask, (1.0, 1.0)).true == 1


def test_intervals_cover_the_truth_about_as_often_as_they_say(monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 400)
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        low, high = interval(generator.normal(0.7, 0.1, 40))
        hits += low <= 0.7 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_intervals_repeat_and_need_two_patients():
    values = np.random.default_rng(1).random(12)
    assert interval(values) == interval(list(values))
    assert interval(values[:1]) is None
    assert interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


def test_a_ratio_weighs_patients_by_their_size():
    table = np.array([[1, 2], [30, 40]])
    assert ratio(table) == pytest.approx(31 / 42)
    low, high = interval(table, ratio)
    assert (low, high) == (pytest.approx(0.5), pytest.approx(0.75))
    # Draws of nothing but patients without a whole say nothing about the ratio.
    assert interval([[0, 0], [1, 2], [1, 2]], ratio) == (0.5, 0.5)


def test_a_paired_difference_is_surer_than_two_intervals():
    generator = np.random.default_rng(2)
    first = generator.uniform(0.3, 0.9, 20)
    found = paired(first + generator.normal(0.02, 0.005, 20), first)
    mean, (low, high) = found.difference, found.interval_95
    assert mean == pytest.approx(0.02, abs=0.005)
    assert 0 < low < mean < high
    assert high - low < 0.1 * (interval(first)[1] - interval(first)[0])
