"""Number and size of scars."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.quantification.measurements import measure
from MyoScarSegLib.study.study import Geometry

GEOMETRY = Geometry((1.0, 2.0, 8.0))


def empty() -> np.ndarray:
    return np.zeros((5, 40, 60), dtype=bool)


def test_scars_over_each_other_in_neighboring_slices_are_one_lesion():
    scar = empty()
    scar[0, 5:10, 5:15] = scar[1, 8:12, 12:20] = True
    scar[3, 8:12, 12:20] = True
    lesions = measure(scar, GEOMETRY).lesions
    assert [(lesion.number, lesion.slices) for lesion in lesions] == [(1, (0, 1)), (2, (3,))]
    assert [lesion.extent.pixels for lesion in lesions] == [82, 32]
    assert [lesion.percent_of_scar for lesion in lesions] == pytest.approx([100 * 82 / 114, 100 * 32 / 114])
    assert lesions[0].extent.volume_ml == pytest.approx(82 * 16 / 1000)


def test_lesions_have_their_size_in_millimeters():
    scar = empty()
    scar[1:4, 10, 10:20] = True
    (lesion,) = measure(scar, GEOMETRY).lesions
    assert lesion.diameter_mm == pytest.approx(np.hypot(10, 2), rel=0.01)
    assert lesion.length_mm == pytest.approx(24)
    assert lesion.segments == ()


def test_length_is_along_the_normal_of_an_uneven_stack():
    scar = empty()
    scar[2:4, 10:15, 10:20] = True
    geometry = replace(GEOMETRY, slice_positions_mm=np.array([0.0, 8.0, 16.0, 30.0, 38.0]))
    (lesion,) = measure(scar, geometry).lesions
    assert lesion.length_mm == pytest.approx((8 + 14) / 2 + (14 + 8) / 2)


def test_pieces_within_three_millimeters_are_one_and_specks_are_none():
    scar = empty()
    scar[0, 5:10, 5:10] = scar[0, 5:10, 13:18] = True
    scar[4, 30, 30] = True
    assert [lesion.extent.pixels for lesion in measure(scar, GEOMETRY).lesions] == [50]
