"""Which slices are looked at beside one: those that a reader would look at, whatever the stack's spacing."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.networks import image_of
from MyoScarSegLib.segmentation.neighbors import neighbors
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study

SHEARED = np.array([[1.0, 0.0, 0.6], [0.0, 1.0, 0.0], [0.0, 0.0, 0.8]])


def even(distance: float, count: int = 20) -> np.ndarray:
    return distance * np.arange(count)


@pytest.mark.parametrize("distance", [8.0, 10.0, 13.0, 16.0])
def test_slices_of_usual_distance_have_the_next_ones(distance):
    assert neighbors(even(distance), 5, range(20)) == (4, 6)


@pytest.mark.parametrize(("distance", "steps"), [(1.0, 10), (2.0, 5), (3.0, 3), (4.0, 2), (5.0, 2), (6.0, 2), (7.0, 1)])
def test_of_thin_slices_the_ones_nearest_to_a_centimeter_away_are_taken(distance, steps):
    assert neighbors(even(distance, 40), 20, range(40)) == (20 - steps, 20 + steps)


def test_a_slice_beyond_a_wide_gap_is_none(distance=16.5):
    assert neighbors(even(distance), 5, range(20)) == (None, None)
    assert neighbors([0.0, 8.0, 16.0, 36.0, 44.0], 2, range(5)) == (1, None)


def test_the_ends_have_one_neighbor():
    assert neighbors(even(10.0, 3), 0, range(3)) == (None, 1)
    assert neighbors(even(10.0, 3), 2, range(3)) == (1, None)
    assert neighbors([0.0], 0, [0]) == (None, None)
    assert neighbors(even(2.0, 4), 0, range(4)) == (None, 3), "the farthest there is, where none is a centimeter away"


def test_bad_slices_are_passed_over_as_far_as_others_are_near():
    assert neighbors(even(8.0), 5, [3, 4, 5, 7, 8]) == (4, 7)
    assert neighbors(even(10.0), 5, [3, 5, 7]) == (None, None)
    assert neighbors(even(2.0), 10, [n for n in range(20) if n != 15]) == (5, 14)


def test_without_positions_the_next_slices_count():
    assert neighbors(None, 3, range(6)) == (2, 4)
    assert neighbors(None, 0, range(6)) == (None, 1)
    assert neighbors(None, 3, [1, 3, 4]) == (None, 4)


def test_before_and_after_are_of_the_stacks_order_whether_positions_rise_or_fall():
    positions = np.array([0.0, 7.0, 19.0, 28.0, 43.0])
    for k, expected in enumerate([(None, 1), (0, 2), (1, 3), (2, 4), (3, None)]):
        assert neighbors(positions, k, range(5)) == neighbors(-positions, k, range(5)) == expected
    assert neighbors(list(100 - even(2.0)), 10, range(20)) == (5, 15)


def test_slices_out_of_order_or_at_the_same_place_are_judged_by_their_distance():
    assert neighbors([0.0, 30.0, 10.0], 0, range(3)) == (None, 2)
    assert neighbors([0.0, 0.0, 10.0, 10.0], 1, range(4)) == (None, 2)


def test_positions_of_an_even_stack_follow_from_its_spacing():
    np.testing.assert_allclose(Geometry((1.4, 1.4, 8.0)).positions_mm(3), [0, 8, 16])
    np.testing.assert_allclose(Geometry((1.4, 1.4, 10.0), direction=SHEARED).positions_mm(3), [0, 8, 16])


def test_positions_of_an_uneven_stack_are_its_own():
    own = np.array([30.0, 22.0, 5.0])
    np.testing.assert_allclose(Geometry((1.4, 1.4, 10.0), slice_positions_mm=own).positions_mm(3), own)


def test_without_spacing_there_are_no_positions():
    assert Geometry(None).positions_mm(3) is None


def study(geometry: Geometry, bad: dict[int, str] | None = None) -> Study:
    voxels = np.random.default_rng(0).normal(100, 20, (6, 8, 9)).astype(np.float32)
    return Study("case", voxels, geometry, Reconstruction.PSIR, bad_slices=bad or {})


@pytest.mark.parametrize(
    ("made", "below", "above"),
    [
        (study(Geometry((1.4, 1.3, 10.0))), 1, 3),
        (study(Geometry((1.4, 1.3, 5.0))), 0, 4),
        (study(Geometry((1.4, 1.3, 20.0))), None, None),
        (study(Geometry(None)), 1, 3),
        (study(Geometry((1.4, 1.3, 10.0)), {1: "torn"}), None, 3),
        (study(Geometry((1.4, 1.3, 10.0), slice_positions_mm=np.array([0, 9, 20, 40, 50, 60.0]))), 1, None),
    ],
    ids=["usual", "thin", "far", "no spacing", "bad slice", "uneven"],
)
def test_a_segmenter_is_given_a_slice_with_its_neighbors(made, below, above):
    image = image_of(made, 2, (4.0, 5.0))
    assert image.voxels is not None and (image.voxels == made.voxels[2]).all()
    assert (image.pixel_spacing_mm, image.center) == (made.geometry.pixel_spacing_mm, (4.0, 5.0))
    for found, expected in ((image.below, below), (image.above, above)):
        assert found is None if expected is None else (found == made.voxels[expected]).all()
