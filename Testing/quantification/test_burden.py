"""Scar burden on masks whose volume is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.burden import MYOCARDIAL_DENSITY_G_PER_ML, scar_burden
from MyoScarSegLib.study.study import Geometry


def rotation(rng: np.random.Generator) -> np.ndarray:
    """A random orthogonal matrix; half of them are mirrored."""
    matrix, upper = np.linalg.qr(rng.normal(size=(3, 3)))
    return matrix * np.sign(np.diag(upper))


def mask_of(shape: tuple[int, int, int], counts: list[int]) -> np.ndarray:
    """The first ``counts[k]`` pixels of slice k."""
    mask = np.zeros((shape[0], shape[1] * shape[2]), dtype=bool)
    for row, count in zip(mask, counts, strict=True):
        row[:count] = True
    return mask.reshape(shape)


def test_one_litre_cube_weighs_1050_grams():
    burden = scar_burden(np.ones((10, 50, 100), dtype=bool), Geometry(spacing_mm=(1.0, 2.0, 10.0)))
    assert burden.pixels == 50_000
    assert burden.volume_ml == pytest.approx(1000.0)
    assert burden.mass_g == pytest.approx(1050.0)
    assert MYOCARDIAL_DENSITY_G_PER_ML == 1.05


def test_uneven_stack_weighs_each_slice_by_the_way_to_its_neighbors():
    positions = np.array([0.0, 10.0, 30.0, 36.0])
    origins = np.outer(positions, [0.0, 0.0, 1.0])
    geometry = Geometry(spacing_mm=(1.0, 1.0, 10.0), slice_positions_mm=positions, slice_origins_mm=origins)
    burden = scar_burden(mask_of((4, 10, 10), [100, 100, 100, 100]), geometry)
    assert [entry.extent_mm for entry in burden.slices] == pytest.approx([10.0, 15.0, 13.0, 6.0])
    assert burden.volume_ml == pytest.approx(4.4)


def test_slices_listed_from_far_to_near_weigh_the_same():
    positions = np.array([0.0, 7.0, 19.0])
    mask = mask_of((3, 6, 6), [5, 9, 20])
    forward = scar_burden(mask, Geometry((1.0, 1.0, 9.5), slice_positions_mm=positions))
    backward = scar_burden(mask[::-1], Geometry((1.0, 1.0, 9.5), slice_positions_mm=positions[::-1]))
    assert backward.mass_g == pytest.approx(forward.mass_g)


def test_without_spacing_only_pixels_are_told():
    burden = scar_burden(mask_of((2, 4, 4), [3, 2]), Geometry(spacing_mm=None))
    assert burden.pixels == 5
    assert burden.volume_ml is None and burden.mass_g is None
    for entry in burden.slices:
        assert (entry.area_mm2, entry.extent_mm, entry.volume_ml, entry.mass_g) == (None, None, None, None)


def test_empty_mask_has_no_mass():
    burden = scar_burden(np.zeros((3, 4, 4), dtype=bool), Geometry((1.0, 1.0, 8.0)))
    assert (burden.pixels, burden.volume_ml, burden.mass_g) == (0, 0.0, 0.0)


@pytest.mark.parametrize("mask", [np.zeros((4, 4), dtype=bool), np.zeros((2, 4, 4), dtype=np.uint8), np.full((2, 4, 4), 0.7)])
def test_what_is_not_a_boolean_stack_is_refused(mask):
    with pytest.raises(StudyError, match="boolean"):
        scar_burden(mask, Geometry((1.0, 1.0, 8.0)))


def test_mask_of_another_stack_is_refused():
    with pytest.raises(StudyError, match="3 slices"):
        scar_burden(np.zeros((3, 4, 4), dtype=bool), Geometry((1.0, 1.0, 8.0), slice_positions_mm=np.array([0.0, 8.0])))


@given(
    seed=st.integers(0, 2**32 - 1),
    spacing=st.tuples(st.floats(0.3, 4.0), st.floats(0.3, 4.0), st.floats(0.5, 20.0)),
    shear=st.tuples(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8), st.floats(-0.3, 0.3)),
)
def test_even_stack_of_any_direction_has_the_volume_of_its_parallelepipeds(seed, spacing, shear):
    rng = np.random.default_rng(seed)
    skew = np.array([[1.0, shear[2], shear[0]], [0.0, 1.0, shear[1]], [0.0, 0.0, 1.0]])
    direction = rotation(rng) @ skew
    direction = direction / np.linalg.norm(direction, axis=0)
    mask = rng.random((4, 6, 5)) < 0.4
    voxel_mm3 = abs(np.linalg.det(direction * np.array(spacing)))
    burden = scar_burden(mask, Geometry(spacing, direction=direction))
    assert burden.volume_ml == pytest.approx(mask.sum() * voxel_mm3 / 1000)
    assert burden.mass_g == pytest.approx(1.05 * burden.volume_ml)
    assert sum(entry.volume_ml for entry in burden.slices) == pytest.approx(burden.volume_ml)
