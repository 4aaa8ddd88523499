"""Wall and cavity from a model's map, from labels and from drawn curves; which slices are whole."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.contours import ventricle_of_contours
from MyoScarSegLib.quantification.measurements import measure
from MyoScarSegLib.quantification.ventricle import Ventricle, ventricle_of_labels, ventricle_of_tissue
from MyoScarSegLib.study.study import Geometry
from Testing.support.analytic_ventricle import Rings, rings

GEOMETRY = Geometry((1.5, 1.5, 8.0))


def tissue_of(made: Rings, sure: float = 0.9) -> np.ndarray:
    """The map of a model that is this sure of each pixel."""
    scar = made.scar & made.ventricle.myocardium
    masks = [~(made.ventricle.myocardium | made.ventricle.cavity), made.ventricle.cavity, made.ventricle.myocardium & ~scar, scar]
    return np.where(np.stack(masks, axis=1), sure, (1 - sure) / 3).astype(np.float32)


def circle(radius: float, center: tuple[float, float] = (30.0, 30.0), points: int = 200) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([center[0] + radius * np.cos(turn), center[1] + radius * np.sin(turn)], axis=1)


def test_labels_give_the_wall_with_scar_and_no_reflow():
    labels = np.arange(5, dtype=np.uint8).reshape(1, 1, 5)
    found = ventricle_of_labels(labels)
    assert found.myocardium.tolist() == [[[False, False, True, True, True]]]
    assert found.cavity.tolist() == [[[False, True, False, False, False]]]


def test_scar_that_touches_neither_wall_nor_cavity_is_no_wall():
    """A stray stroke, or a label on the chest; scar over scar of the next slice is the tip."""
    labels = np.zeros((3, 8, 8), dtype=np.uint8)
    labels[0, 1:5, 1:5], labels[0, 2:4, 2:4] = 2, 1
    labels[1, 2:4, 2:4] = labels[2, 3, 3] = 3
    labels[1, 7, 7] = 3
    found = ventricle_of_labels(labels).myocardium
    assert found[1, 2:4, 2:4].all() and found[2, 3, 3] and not found[1, 7, 7]
    numbers = measure(labels == 3, GEOMETRY, ventricle=ventricle_of_labels(labels))
    assert numbers.scar_outside_wall.pixels == 1 and numbers.percent_of_myocardium == pytest.approx(100 * 5 / 17)


def test_slices_are_closed_open_or_solid():
    made = rings(slices=4, gap=(0.0, 40.0), opened=(0,), solid=1)
    found = made.ventricle
    assert (found.closed, found.open_, found.solid, found.walls) == ((1, 2, 3), (0,), (4,), (0, 1, 2, 3, 4))


def test_wall_that_lacks_a_pixel_is_closed_still():
    made = rings(slices=1, gap=(0.0, 3.0), opened=(0,))
    assert made.ventricle.closed == (0,)


def test_cavity_that_leaks_out_of_the_wall_leaves_it_open():
    made = rings(slices=1)
    cavity = made.ventricle.cavity.copy()
    cavity[0, 0, 0] = True
    assert Ventricle(made.ventricle.myocardium, cavity, "edited").closed == ()


def test_masks_that_share_pixels_or_differ_in_shape_are_refused():
    mask = np.ones((1, 2, 2), dtype=bool)
    with pytest.raises(StudyError, match="both myocardium and cavity"):
        Ventricle(mask, mask, "edited")
    with pytest.raises(StudyError, match="one shape"):
        Ventricle(mask, np.zeros((1, 2, 3), dtype=bool), "edited")


def test_clean_map_gives_the_ventricle_that_it_shows():
    made = rings(gap=(10.0, 60.0), opened=(0,))
    found = ventricle_of_tissue(tissue_of(made), made.geometry)
    assert np.array_equal(found.myocardium, made.ventricle.myocardium)
    assert np.array_equal(found.cavity, made.ventricle.cavity)
    assert found.source == "model" and found.open_ == (0,)


def test_islands_holes_and_papillary_muscles_are_cleaned():
    made = rings()
    tissue = tissue_of(made)
    background, cavity, muscle = np.eye(4, dtype=np.float32)[[0, 1, 2]]
    middle = made.scar.shape[1] // 2
    tissue[2, :, middle : middle + 3, middle : middle + 3] = muscle[:, None, None]
    tissue[3, :, middle + 15 : middle + 17, middle] = background[:, None]
    tissue[4, :, :4, :4] = muscle[:, None, None]
    tissue[5, :, -5:, -5:] = cavity[:, None, None]
    found = ventricle_of_tissue(tissue, made.geometry)
    assert np.array_equal(found.myocardium, made.ventricle.myocardium)
    assert np.array_equal(found.cavity, made.ventricle.cavity)


def test_of_two_rings_the_one_over_the_neighbors_is_kept():
    made = rings(slices=5)
    tissue = tissue_of(made)
    far = np.zeros((5, 4, made.scar.shape[1], 80), dtype=np.float32)
    far[:, 0] = 1.0
    tissue = np.concatenate([tissue, far], axis=3)
    rows, columns = np.mgrid[: tissue.shape[2], : tissue.shape[3]]
    radius = np.hypot(columns - tissue.shape[3] + 36, rows - 36)
    larger = (radius < 34) & (columns > made.scar.shape[2])
    tissue[1][:, larger] = np.array([0, 0, 1, 0], dtype=np.float32)[:, None]
    found = ventricle_of_tissue(tissue, made.geometry)
    assert np.array_equal(found.myocardium[:, :, : made.scar.shape[2]], made.ventricle.myocardium)
    assert not found.myocardium[:, :, made.scar.shape[2] :].any()


def test_slices_beyond_base_and_apex_are_dropped_and_the_tip_is_kept():
    made = rings(slices=6, solid=1)
    tissue = np.concatenate([tissue_of(made)[:1], tissue_of(made)])
    middle = made.scar.shape[1] // 2
    tissue[0] = np.array([1, 0, 0, 0], dtype=np.float32)[:, None, None]
    tissue[0, :, middle - 8 : middle + 8, middle : middle + 8] = np.array([0, 0, 1, 0], dtype=np.float32)[:, None, None]
    # The ring before the tip is smaller, so that the stack has a narrower end.
    small = rings(slices=1, inner_mm=8.0)
    tissue[6] = np.array([1, 0, 0, 0], dtype=np.float32)[:, None, None]
    side = small.scar.shape[1]
    corner = middle - side // 2
    tissue[6, :, corner : corner + side, corner : corner + side] = tissue_of(small)[0]
    found = ventricle_of_tissue(tissue, made.geometry)
    assert found.walls == (1, 2, 3, 4, 5, 6, 7)
    assert found.solid == (7,)


def test_empty_map_is_an_empty_ventricle():
    tissue = np.zeros((3, 4, 8, 8), dtype=np.float32)
    tissue[:, 0] = 1
    found = ventricle_of_tissue(tissue, GEOMETRY)
    assert found.walls == found.closed == ()


def test_map_of_another_shape_is_refused():
    with pytest.raises(StudyError, match="map of tissues"):
        ventricle_of_tissue(np.zeros((3, 8, 8), dtype=np.float32), GEOMETRY)


def test_curves_fill_the_pixels_whose_centers_they_enclose():
    square = np.array([[2.0, 1.0], [5.0, 1.0], [5.0, 3.0], [2.0, 3.0]])
    found = ventricle_of_contours({}, {0: square}, (1, 6, 8), GEOMETRY)
    expected = np.zeros((1, 6, 8), dtype=bool)
    expected[0, 1:3, 2:5] = True
    assert np.array_equal(found.myocardium, expected) and found.source == "contours"


def test_drawn_circles_have_their_area():
    found = ventricle_of_contours({0: circle(14.0)}, {0: circle(20.0)}, (1, 60, 60), GEOMETRY)
    assert found.cavity.sum() == pytest.approx(np.pi * 14**2, rel=0.01)
    assert found.myocardium.sum() == pytest.approx(np.pi * (20**2 - 14**2), rel=0.02)
    assert found.closed == (0,)


def test_slices_between_drawn_ones_are_interpolated_and_no_others():
    endo, epi = {1: circle(10.0), 5: circle(18.0)}, {1: circle(16.0), 5: circle(24.0)}
    found = ventricle_of_contours(endo, epi, (7, 60, 60), GEOMETRY)
    assert found.walls == (1, 2, 3, 4, 5)
    for k, radius in ((2, 12.0), (3, 14.0), (4, 16.0)):
        assert found.cavity[k].sum() == pytest.approx(np.pi * radius**2, rel=0.03)
        assert (found.cavity | found.myocardium)[k].sum() == pytest.approx(np.pi * (radius + 6) ** 2, rel=0.03)


def test_interpolation_goes_by_millimeters_in_an_uneven_stack():
    geometry = Geometry((1.0, 1.0, 8.0), slice_positions_mm=np.array([0.0, 3.0, 12.0]))
    found = ventricle_of_contours({}, {0: circle(10.0), 2: circle(22.0)}, (3, 60, 60), geometry)
    assert found.myocardium[1].sum() == pytest.approx(np.pi * 13**2, rel=0.03)


def test_epicardium_alone_is_the_tip_and_touching_borders_are_open():
    half = circle(14.0)
    half[half[:, 0] > 36] = circle(20.0)[half[:, 0] > 36] + [1.0, 0.0]
    found = ventricle_of_contours({0: half, 1: circle(14.0)}, {k: circle(20.0) for k in range(3)}, (3, 60, 60), GEOMETRY)
    assert (found.open_, found.closed, found.solid) == ((0,), (1,), (2,))


@pytest.mark.parametrize(
    ("endo", "epi", "words"),
    [
        ({0: circle(5.0)}, {}, "no epicardial one"),
        ({}, {0: circle(5.0)[:2]}, "three points"),
        ({}, {4: circle(5.0)}, "in no slice"),
        ({}, {0: circle(5.0, (300.0, 300.0))}, "encloses no pixel"),
    ],
)
def test_curves_that_give_no_wall_are_refused(endo, epi, words):
    with pytest.raises(StudyError, match=words):
        ventricle_of_contours(endo, epi, (2, 60, 60), GEOMETRY)


def test_measured_volume_of_drawn_rings_is_that_of_the_rings():
    endo, epi = {0: circle(14.0), 4: circle(14.0)}, {0: circle(20.0), 4: circle(20.0)}
    found = ventricle_of_contours(endo, epi, (5, 60, 60), GEOMETRY)
    numbers = measure(np.zeros_like(found.cavity), GEOMETRY, ventricle=found)
    assert numbers.myocardium.volume_ml == pytest.approx(np.pi * (20**2 - 14**2) * 1.5**2 * 40 / 1000, rel=0.02)
