"""Pixels of a study and the world, on oblique, flipped and gapped volumes under all kinds of transforms."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk

from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.scene.lge_volumes import study_of
from MyoScarSegLib.scene.point_lists import PointLists
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry
from Testing.support.volume_factory import KINDS, add_volume, random_matrix, random_parents

GEOMETRIES = 200


def world_of_voxel(volume, i: float, j: float, k: float) -> np.ndarray:
    """RAS of voxel indices by MRML alone, without anything of ours."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    local = matrix.MultiplyPoint((i, j, k, 1.0))[:3]
    world = [0.0, 0.0, 0.0]
    volume.TransformPointToWorld(local, world)
    return np.array(world)


def random_volume(scene, number: int):
    """A volume whose slices lie along any of its axes, and the generator to go on with."""
    generator = np.random.default_rng(number)
    kind = KINDS[number % len(KINDS)]
    thick = 2 if kind == "gaps" else int(generator.integers(3))
    sizes, spacing = [int(generator.integers(20, 40)) for _ in range(3)], list(generator.uniform(0.8, 2.0, 3))
    sizes[thick], spacing[thick] = int(generator.integers(3, 7)), float(generator.uniform(6, 12))
    array = generator.normal(100, 20, sizes[::-1]).astype(np.float32)
    volume = add_volume(scene, array, random_matrix(generator, tuple(spacing), flip=bool(generator.integers(2))))
    random_parents(scene, volume, kind, generator)
    return volume, generator, thick


def test_boxes_points_and_masks_land_on_the_right_voxels(scene):
    """Error under a hundredth of a pixel, on 200 geometries."""
    for number in range(GEOMETRIES):
        volume, generator, thick = random_volume(scene, number)
        study = study_of(volume)
        geometry = VolumeGeometry(volume, study.file_axes)
        array = slicer.util.arrayFromVolume(volume)
        scaled = KINDS[number % len(KINDS)] == "scaled"  # scaling may make another axis the coarsest
        through = 2 - study.file_axes[0]  # which of I, J, K runs through the slices
        assert scaled or through == thick
        assert geometry.shape == study.voxels.shape
        slices, rows, columns = geometry.shape

        # A voxel of the study is the voxel of the volume that MRML has at its place.
        k, row, column = int(generator.integers(slices)), int(generator.integers(rows)), int(generator.integers(columns))
        ras = geometry.to_world(np.array([[column + 0.5, row + 0.5, k]]))[0]
        ijk = [0, 0, 0]
        ijk[through], ijk[2 - study.file_axes[1]], ijk[2 - study.file_axes[2]] = k, row, column
        assert np.abs(ras - world_of_voxel(volume, *ijk)).max() < 1e-3
        assert study.voxels[k, row, column] == array[ijk[2], ijk[1], ijk[0]]

        # And back, for positions between voxels, too.
        anywhere = np.column_stack([generator.uniform(0, n, 5) for n in (columns, rows, slices - 1)])
        assert np.abs(geometry.from_world(geometry.to_world(anywhere)) - anywhere).max() < 0.01

        # A box as an ROI and back.
        x0, y0 = (generator.uniform(0, max(n - 6, 0.5)) for n in (columns, rows))
        box = Box(k, x0, y0, x0 + generator.uniform(2, 6), y0 + generator.uniform(2, 6))
        matrix, size = geometry.roi_of(box)
        assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1, abs=1e-6)
        found, corners = geometry.box_of(matrix, size)
        assert found == k
        if not scaled:  # a box in a sheared world is no box
            assert np.abs(np.array(corners) - box.xyxy).max() < 0.01

        # A mask of the study in the volume's order.
        mask = generator.random(geometry.shape) > 0.5
        of_volume = geometry.to_volume(mask)
        assert of_volume.shape == array.shape
        assert of_volume[ijk[2], ijk[1], ijk[0]] == mask[k, row, column]
        assert np.array_equal(geometry.to_study(of_volume), mask)
        scene.RemoveNode(volume)


@pytest.mark.parametrize("kind", KINDS)
def test_a_point_list_holds_the_point_that_was_added(scene, kind):
    volume, _, _ = random_volume(scene, 5 + KINDS.index(kind))
    geometry = VolumeGeometry(volume, study_of(volume).file_axes)
    prompts = PointLists(volume, geometry)
    point = Point(1, 7.25, 9.5, positive=False)
    prompts.write([point])
    (found,) = prompts.read()
    assert (found.slice, found.positive) == (1, False)
    assert (found.x, found.y) == pytest.approx((7.25, 9.5), abs=0.01)
    world = [0.0, 0.0, 0.0]
    prompts.node(False).GetNthControlPointPositionWorld(0, world)
    assert np.array(world) == pytest.approx(geometry.to_world(np.array([[7.25, 9.5, 1.0]]))[0], abs=1e-2)


@pytest.mark.parametrize("number", range(0, 20, 3))
def test_an_aligned_view_shows_the_slices_one_by_one(scene, number):
    volume, _, _ = random_volume(scene, number)
    geometry = VolumeGeometry(volume, study_of(volume).file_axes)
    view = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    geometry.align_view(view)
    assert geometry.shows_slices(view)
    for k in range(geometry.shape[0]):
        geometry.show_slice(view, k)
        assert geometry.slice_of_view(view) == k
        # Panning in the plane shows the same slice.
        view.SetXYZOrigin(30, -20, 0)
        assert geometry.slice_of_view(view) == k
        view.SetXYZOrigin(0, 0, 0)


@pytest.mark.parametrize("color", ["Red", "Green", "Yellow"])
@pytest.mark.parametrize("rows", [1.5, -1.5])
def test_whichever_view_is_aligned_has_the_front_of_the_body_on_top(scene, color, rows):
    volume = add_volume(scene, np.random.default_rng(0).normal(size=(5, 30, 30)), np.diag([-1.5, rows, 9.0, 1.0]))
    view = scene.GetNodeByID(f"vtkMRMLSliceNode{color}")
    VolumeGeometry(volume).align_view(view)
    to_ras = view.GetSliceToRAS()
    assert [to_ras.GetElement(0, 0), to_ras.GetElement(1, 1)] == pytest.approx([-1.0, 1.0])


def test_a_view_across_the_slices_shows_none_of_them(scene):
    volume = add_volume(scene, np.random.default_rng(0).normal(size=(5, 30, 30)), np.diag([1.5, 1.5, 9.0, 1.0]))
    geometry = VolumeGeometry(volume)
    assert geometry.shows_slices(scene.GetNodeByID("vtkMRMLSliceNodeRed"))
    assert not geometry.shows_slices(scene.GetNodeByID("vtkMRMLSliceNodeGreen"))


def test_a_view_beyond_the_stack_shows_no_slice(scene):
    volume = add_volume(scene, np.random.default_rng(0).normal(size=(5, 30, 30)), np.diag([1.5, 1.5, 9.0, 1.0]))
    geometry = VolumeGeometry(volume)
    view = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    view.SetSliceOffset(36 + 4.4)
    assert geometry.slice_of_view(view) == 4
    view.SetSliceOffset(36 + 4.6)
    assert geometry.slice_of_view(view) is None


def test_a_position_in_a_view_is_the_pixel_that_is_drawn_there(scene):
    volume = add_volume(scene, np.random.default_rng(0).normal(size=(5, 30, 40)), np.diag([-1.5, -1.5, 9.0, 1.0]))
    geometry = VolumeGeometry(volume)
    view = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    geometry.align_view(view)
    geometry.show_slice(view, 2)
    ras = geometry.to_world(np.array([[12.25, 20.75, 2.0]]))[0]
    to_xy = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(view.GetXYToRAS(), to_xy)
    x, y = to_xy.MultiplyPoint((*ras, 1.0))[:2]
    assert geometry.position_in_view(view, x, y) == (2, pytest.approx(12.25), pytest.approx(20.75))
