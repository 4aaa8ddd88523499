"""Insertion points proposed from the image and the patient's axes, and set by an angle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.phantom import Infarct, PhantomSettings, make_phantom
from MyoScarSegLib.quantification.aha import angles_of, center_of
from MyoScarSegLib.quantification.insertions import insertions_at, propose_insertions, rotation_of
from MyoScarSegLib.quantification.measurements import NO_AXES, measure
from MyoScarSegLib.quantification.planes import Planes
from MyoScarSegLib.quantification.ventricle import ventricle_of_labels
from Testing.support.analytic_ventricle import rings

COUNT = 9


def image_of(made, start_deg: float, half_deg: float = 54.0, blood: float = 100.0) -> np.ndarray:
    """Bright cavity, dark wall; beside the wall blood around an angle from where the axes have the septum, elsewhere lung."""
    planes = Planes.of(made.geometry, COUNT)
    frame = angles_of(insertions_at(start_deg, made.ventricle, made.geometry), made.ventricle, planes)
    rows, columns = np.mgrid[: made.scar.shape[1], : made.scar.shape[2]]
    image = np.zeros(made.scar.shape, dtype=np.float32)
    for k in range(COUNT):
        heart = made.ventricle.myocardium[k] | made.ventricle.cavity[k]
        uv = np.stack([columns, rows], axis=-1) @ planes.to_mm.T - center_of(made.ventricle, planes, k)
        away = np.abs((frame.degrees(uv) + 180) % 360 - 180)
        image[k] = np.where(made.ventricle.cavity[k], 100.0, np.where(heart, 10.0, np.where(away < half_deg, blood, 0.0)))
    return image + np.random.default_rng(0).normal(0, 5, image.shape).astype(np.float32)


@pytest.mark.parametrize("turned", [-50.0, -20.0, 0.0, 35.0])
def test_septum_is_found_where_the_right_ventricle_lies(turned):
    made = rings()
    found = propose_insertions(image_of(made, turned), made.ventricle, made.geometry)
    assert found.source == "image"
    assert rotation_of(found, made.ventricle, made.geometry) == pytest.approx(turned, abs=6)


def test_fat_beside_the_wall_is_not_taken_for_blood():
    made = rings()
    image = image_of(made, 0.0)
    fat = image_of(made, 130.0, blood=300.0)
    image[fat > 200] = 300.0
    found = propose_insertions(image, made.ventricle, made.geometry)
    assert rotation_of(found, made.ventricle, made.geometry) == pytest.approx(0, abs=9)


def test_where_the_image_shows_nothing_the_axes_decide_and_say_so():
    made = rings()
    found = propose_insertions(np.zeros(made.scar.shape), made.ventricle, made.geometry)
    assert found.source == "axes"
    assert rotation_of(found, made.ventricle, made.geometry) == pytest.approx(0, abs=1e-6)


def test_points_lie_on_the_epicardium():
    made = rings(sway_mm=0.0)
    found = propose_insertions(image_of(made, 0.0), made.ventricle, made.geometry)
    planes = Planes.of(made.geometry, COUNT)
    k = COUNT // 2
    for point in (found.anterior_mm, found.inferior_mm):
        offset = planes.in_plane(k, np.array(point)) - center_of(made.ventricle, planes, k)
        assert np.linalg.norm(offset) == pytest.approx(28.0, abs=1.0)


@pytest.mark.parametrize("turned", [-170.0, -30.0, 0.0, 90.0])
def test_angle_that_was_set_is_read_back(turned):
    made = rings()
    found = insertions_at(turned, made.ventricle, made.geometry)
    assert found.source == "rotation"
    assert rotation_of(found, made.ventricle, made.geometry) == pytest.approx(turned)


def test_anterior_point_lies_in_front_of_the_inferior_one_and_above():
    made = rings()
    found = insertions_at(0.0, made.ventricle, made.geometry)
    front, up = -1, 1
    assert front * (found.anterior_mm[1] - found.inferior_mm[1]) > 0
    assert up * (found.anterior_mm[2] - found.inferior_mm[2]) > 0


@pytest.mark.parametrize("seed", [1, 4])
def test_scar_of_a_phantom_lies_in_the_segments_of_its_artery(seed):
    for territory, expected in (("LAD", {1, 2, 7, 8, 13, 14}), ("RCx", {5, 6, 11, 12, 16}), ("RCA", {3, 4, 9, 10, 15})):
        settings = PhantomSettings(infarcts=(Infarct(territory, half_width_deg=35.0),), rows=160, columns=160)
        phantom = make_phantom(seed, settings=settings)
        ventricle = ventricle_of_labels(phantom.labels)
        geometry = phantom.study.geometry
        points = propose_insertions(phantom.study.voxels, ventricle, geometry)
        numbers = measure(phantom.scar, geometry, ventricle=ventricle, insertions=points)
        masses = {value.number: value.scar.mass_g for value in numbers.segments if value.imaged}
        assert sum(masses[n] for n in expected if n in masses) > 0.7 * sum(masses.values())


def test_without_a_whole_slice_or_with_another_image_there_is_no_proposal():
    made = rings(gap=(0.0, 90.0), opened=tuple(range(COUNT)))
    with pytest.raises(StudyError, match="all round"):
        propose_insertions(np.zeros(made.scar.shape), made.ventricle, made.geometry)
    with pytest.raises(StudyError, match="image has the shape"):
        propose_insertions(np.zeros((1, 2, 3)), made.ventricle, made.geometry)


def test_file_that_lost_its_orientation_is_read_as_the_page_of_a_report():
    """Septum left, anterior up, numbers anticlockwise: x runs to the right, y down."""
    made = rings(tilt=np.eye(3), septum_deg=180.0)
    found = insertions_at(0.0, made.ventricle, made.geometry)
    planes = Planes.of(made.geometry, COUNT)
    middle = planes.world(COUNT // 2, center_of(made.ventricle, planes, COUNT // 2))
    anterior, inferior = np.array(found.anterior_mm) - middle, np.array(found.inferior_mm) - middle
    assert anterior[0] < 0 and inferior[0] < 0 and anterior[1] < 0 < inferior[1]
    numbers = measure(made.scar, made.geometry, ventricle=made.ventricle, insertions=found)
    assert numbers.notes == (NO_AXES,)  # for it may be mirrored, which nothing shows
    drawn = measure(made.scar, made.geometry, ventricle=made.ventricle, insertions=replace(found, source="reader"))
    assert not drawn.notes
    rows, columns = np.nonzero(numbers.segment_map[COUNT // 2] == 7)
    assert rows.mean() < made.scar.shape[1] / 2 - 10
    rows, columns = np.nonzero(numbers.segment_map[COUNT // 2] == 8)
    assert columns.mean() < made.scar.shape[2] / 2 - 10
