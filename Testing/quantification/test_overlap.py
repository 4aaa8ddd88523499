"""Dice and surface distances, against values worked out by hand and MONAI's."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.quantification.overlap import dice, surface_distances


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


def test_two_pixels_are_their_distance_apart_in_millimeters():
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


@pytest.mark.slow
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
