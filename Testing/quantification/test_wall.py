"""Transmurality, extent and thickness along chords, against rings whose answer is a formula."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from MyoScarSegLib.quantification.measurements import measure
from Testing.support.analytic_ventricle import INNER_MM, WALL_MM, Rings, rings

PIXELS_MM = ((0.9, 0.9), (1.5, 1.5), (1.5, 1.1))
DEPTHS = {(0.0, 0.25): 0.21, (0.0, 0.5): 0.45, (0.0, 0.75): 0.71, (0.75, 1.0): 0.29, (0.5, 1.0): 0.55, (0.25, 1.0): 0.79}
"""Depths, and what share of a wall of 10 mm around a radius of 20 mm such layers are."""


def measured(made: Rings, **arguments):
    return measure(made.scar, made.geometry, ventricle=made.ventricle, **arguments)


@pytest.mark.parametrize("pixel_mm", PIXELS_MM)
@pytest.mark.parametrize("depth", [(0.0, 0.5), (0.0, 0.75), (0.25, 1.0), (0.5, 1.0), (0.0, 1.0)])
def test_volume_and_mean_transmurality_of_shells_are_right(pixel_mm, depth):
    made = rings(depth=depth, pixel_mm=pixel_mm)
    numbers = measured(made)
    inner, outer = (INNER_MM + part * WALL_MM for part in depth)
    assert numbers.scar.volume_ml == pytest.approx(np.pi * (outer**2 - inner**2) * 9 * 8 / 1000, rel=0.02)
    depths = numbers.transmurality
    assert depths.mean_all_percent == pytest.approx(100 * (depth[1] - depth[0]), abs=3)
    assert depths.mean_scar_percent == pytest.approx(100 * (depth[1] - depth[0]), abs=3)
    assert depths.wall_thickness_mm == pytest.approx(WALL_MM, rel=0.03)
    assert depths.endocardial_extent_percent == pytest.approx(100 if depth[0] == 0 else 0, abs=3)


@pytest.mark.parametrize(("depth", "share"), DEPTHS.items())
def test_share_of_chords_and_share_of_area_are_both_given_and_differ(depth, share):
    numbers = measured(rings(depth=depth, wall_mm=10.0, pixel_mm=(1.25, 1.25)))
    assert numbers.percent_of_myocardium == pytest.approx(100 * share, abs=1.5)
    assert numbers.transmurality.mean_all_percent == pytest.approx(100 * (depth[1] - depth[0]), abs=1.5)


@pytest.mark.parametrize("pixel_mm", PIXELS_MM)
@pytest.mark.parametrize(
    ("angles", "depth"), [((20.0, 110.0), (0.0, 1.0)), ((200.0, 320.0), (0.0, 0.6)), ((0.0, 60.0), (0.0, 0.4))]
)
def test_sectors_have_the_mean_over_all_chords_and_over_those_with_scar(pixel_mm, angles, depth):
    depths = measured(rings(angles=angles, depth=depth, pixel_mm=pixel_mm)).transmurality
    share = (angles[1] - angles[0]) / 360
    assert depths.mean_all_percent == pytest.approx(100 * depth[1] * share, abs=3)
    # Chords along the sector's two borders are scar in part.
    assert depths.mean_scar_percent == pytest.approx(100 * depth[1], abs=4)
    assert depths.endocardial_extent_percent == pytest.approx(100 * share, abs=3)
    for border, value in ((0.25, depths.above_25_percent), (0.5, depths.above_50_percent), (0.75, depths.above_75_percent)):
        if abs(depth[1] - border) > 0.15:
            assert value == pytest.approx(100 * share if depth[1] > border else 0, abs=3)


def test_scar_in_the_middle_of_the_wall_does_not_reach_the_endocardium():
    depths = measured(rings(depth=(0.35, 0.7), angles=(0.0, 180.0))).transmurality
    assert depths.endocardial_extent_percent == pytest.approx(0, abs=1)
    assert depths.mean_scar_percent == pytest.approx(35, abs=3)


def test_chords_cross_an_oval_wall_perpendicularly():
    """Rays from the center would read a wall of even thickness up to a quarter too thick."""
    pixel_mm, wall_mm = 0.5, 7.75
    rows, columns = np.mgrid[:160, :160]
    made = rings(slices=1, pixel_mm=(pixel_mm, pixel_mm))
    inside = np.hypot((columns - 80) / 48, (rows - 80) / 24) < 1
    wall = (ndimage.distance_transform_edt(~inside) * pixel_mm < wall_mm + pixel_mm / 2) & ~inside
    ventricle = type(made.ventricle)(wall[None], inside[None], "labels")
    thickness = measure(np.zeros_like(wall[None]), made.geometry, ventricle=ventricle).chords.thickness_mm
    assert np.nanmean(thickness) == pytest.approx(wall_mm, rel=0.02)
    assert np.nanmax(thickness) == pytest.approx(wall_mm, rel=0.08)


def test_slices_are_weighted_by_the_length_for_which_they_stand():
    positions = (0.0, 6.0, 12.0, 18.0, 38.0)
    made = rings(slices=5, positions_mm=positions, depth=(0.0, 1.0), scarred=(4,))
    numbers = measured(made)
    assert numbers.transmurality.mean_all_percent == pytest.approx(100 * 20 / (6 + 6 + 6 + 13 + 20), abs=1)
    assert numbers.percent_of_myocardium == pytest.approx(100 * 20 / (6 + 6 + 6 + 13 + 20), abs=1)
    assert [round(entry.transmurality_percent) for entry in numbers.slices] == [0, 0, 0, 0, 100]


def test_ends_of_chords_lie_on_the_borders_of_the_wall():
    made = rings(slices=3, sway_mm=0.0)
    ends = measured(made).chords.ends
    middle = np.array(made.scar.shape[:0:-1]) / 2
    radius_mm = np.linalg.norm(ends - middle, axis=-1) * 1.5
    assert np.allclose(radius_mm[:, :, 0].mean(), INNER_MM, atol=0.3)
    assert np.allclose(radius_mm[:, :, 1].mean(), INNER_MM + WALL_MM, atol=0.3)


def test_without_scar_nothing_is_deep():
    made = rings(depth=(0.0, 0.0))
    numbers = measured(made)
    depths = numbers.transmurality
    assert (depths.mean_all_percent, depths.maximum_percent, depths.endocardial_extent_percent) == (0, 0, 0)
    assert depths.mean_scar_percent is None and numbers.lesions == ()


def test_where_the_wall_is_missing_there_is_no_chord():
    made = rings(slices=5, depth=(0.0, 1.0), gap=(100.0, 160.0), opened=(2,))
    numbers = measured(made)
    gaps = np.isnan(numbers.chords.transmurality)
    assert abs(gaps[2].sum() - 20) <= 2 and not gaps[[0, 1, 3, 4]].any()
    assert numbers.transmurality.mean_all_percent == pytest.approx(100)
