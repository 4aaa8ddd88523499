"""The segment "Scar" on real MRML: where its voxels land, and that nothing else in its node changes."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.scene.tissue_segment import TissueSegment
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry
from MyoScarSegLib.study.tissue import SCAR
from Testing.support.volume_factory import add_transform, add_volume, random_matrix

SHAPE = (6, 20, 24)


@pytest.fixture
def volume(scene):
    return add_volume(scene, SHAPE, random_matrix(1, (1.3, 1.5, 9.0)))


@pytest.fixture
def scar(volume) -> TissueSegment:
    return TissueSegment(volume, VolumeGeometry(volume), "study-a")


def some_mask(seed: int = 0, shape: tuple[int, int] = SHAPE[1:]) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) > 0.6


def as_slicer_sees_it(volume, node, segment_id) -> np.ndarray:
    """The segment in the world, on the volume's voxels, by Slicer's own function."""
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume) > 0


def user_segmentation(scene, volume, **segments: np.ndarray):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Manual")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for name, mask in segments.items():
        segment_id = node.GetSegmentation().AddEmptySegment(name, name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, segment_id, volume)
    return node


def test_nothing_is_made_before_there_is_something_to_write(scene, scar):
    assert not scar.mask().any()
    scar.write_slices({2: np.zeros(SHAPE[1:], dtype=bool)})
    assert scar.node is None
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_segment_says_what_it_is(scar, volume):
    scar.write_slices({2: some_mask()})
    segment = scar.node.GetSegmentation().GetSegment(scar.segment_id)
    assert segment.GetName() == "Scar"
    assert segment.GetTerminology() == SCAR.terminology
    assert scar.node.GetNodeReference("referenceImageGeometryRef") is volume
    assert scar.node.GetDisplayNode() is not None


@pytest.mark.parametrize("seed", range(12))
def test_slices_land_on_their_voxels_at_any_angle(scene, seed):
    rng = np.random.default_rng(seed)
    slice_axis = int(rng.integers(3))
    spacing = [1.2, 1.5, 1.4]
    spacing[2 - slice_axis] = 8.0
    axes = (slice_axis, *(axis for axis in range(3) if axis != slice_axis))
    volume = add_volume(scene, (7, 11, 13), random_matrix(seed, tuple(spacing), flip=bool(seed % 2)))
    if seed % 3:
        volume.SetAndObserveTransformNodeID(add_transform(scene, seed + 50).GetID())
    geometry = VolumeGeometry(volume, axes)
    scar = TissueSegment(volume, geometry, "t")
    wanted = np.zeros(geometry.shape, dtype=bool)
    for k in rng.choice(geometry.shape[0], 3, replace=False):
        wanted[k] = some_mask(seed, geometry.shape[1:])
    scar.write_slices({int(k): wanted[k] for k in np.flatnonzero(wanted.any(axis=(1, 2)))})
    assert np.array_equal(scar.mask(), wanted)
    assert np.array_equal(geometry.to_study(as_slicer_sees_it(volume, scar.node, scar.segment_id)), wanted)


def test_slice_can_be_emptied_and_filled_again(scar):
    scar.write_slices({3: some_mask()})
    scar.write_slices({3: np.zeros(SHAPE[1:], dtype=bool)})
    assert not scar.mask().any()
    scar.write_slices({3: some_mask(5), 0: some_mask(6)})
    assert np.array_equal(scar.mask()[3], some_mask(5))


@pytest.mark.parametrize("overlapping", [False, True])
def test_other_segments_of_the_node_stay(scene, volume, overlapping):
    myocardium, pool = np.zeros(SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool)
    myocardium[:, 4:16, 4:20] = True
    pool[:, 6:14, 6:18] = True
    if not overlapping:
        myocardium &= ~pool
    node = user_segmentation(scene, volume, Myocardium=myocardium, Pool=pool)
    scar = TissueSegment(volume, VolumeGeometry(volume), "t", node)
    for seed in range(3):
        scar.write_slices({k: some_mask(seed + k) for k in range(seed, 6)})
    assert np.array_equal(as_slicer_sees_it(volume, node, "Myocardium"), myocardium)
    assert np.array_equal(as_slicer_sees_it(volume, node, "Pool"), pool)
    assert np.array_equal(scar.mask()[5], some_mask(7))


def test_segment_that_shares_a_label_map_is_written_alone(scene, volume):
    """Collapsing puts segments that do not overlap into one label map, as loading a file does."""
    left = np.zeros(SHAPE, dtype=bool)
    left[:, :, :10] = True
    node = user_segmentation(scene, volume, Left=left)
    scar = TissueSegment(volume, VolumeGeometry(volume), "t", node)
    scar.write_slices({k: ~left[k] for k in range(6)})
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    assert np.array_equal(scar.mask(), ~left)
    scar.write_slices({2: np.ones(SHAPE[1:], dtype=bool)})
    assert scar.mask()[2].all()
    assert np.array_equal(scar.mask()[3], ~left[3])
    assert np.array_equal(as_slicer_sees_it(volume, node, "Left"), left)
    scar.write_slices({k: np.zeros(SHAPE[1:], dtype=bool) for k in range(6)})
    scar.write_slices({4: ~left[4]})
    assert np.array_equal(as_slicer_sees_it(volume, node, scar.segment_id)[4], ~left[4])
    assert np.array_equal(as_slicer_sees_it(volume, node, "Left"), left)


def test_surfaces_that_are_shown_follow(scene, volume):
    node = user_segmentation(scene, volume, Lv=np.pad(np.ones((4, 10, 10), dtype=bool), ((1, 1), (5, 5), (7, 7))))
    node.CreateClosedSurfaceRepresentation()
    scar = TissueSegment(volume, VolumeGeometry(volume), "t", node)
    scar.write_slices({2: np.pad(np.ones((8, 8), dtype=bool), ((6, 6), (8, 8)))})
    for segment_id in ("Lv", scar.segment_id):
        assert node.GetSegmentation().GetSegment(segment_id).GetRepresentation("Closed surface").GetNumberOfPoints() > 50


def test_users_own_segment_of_the_same_name_is_not_ours(scene, volume):
    manual = np.zeros(SHAPE, dtype=bool)
    manual[3, 5:9, 5:9] = True
    node = user_segmentation(scene, volume, Scar=manual)
    scar = TissueSegment(volume, VolumeGeometry(volume), "t", node)
    assert not scar.mask().any()
    scar.write_slices({3: some_mask()})
    assert np.array_equal(as_slicer_sees_it(volume, node, "Scar"), manual)
    assert node.GetSegmentation().GetSegment(scar.segment_id).GetName() == "Scar 2"


def test_two_studies_may_share_a_node(scene, volume):
    node = user_segmentation(scene, volume)
    one, other = (TissueSegment(volume, VolumeGeometry(volume), tag, node) for tag in ("a", "b"))
    one.write_slices({1: some_mask(1)})
    other.write_slices({1: some_mask(2)})
    assert np.array_equal(one.mask()[1], some_mask(1))
    assert np.array_equal(other.mask()[1], some_mask(2))


def test_version_tells_that_someone_painted(scar, volume):
    scar.write_slices({1: some_mask(1)})
    before = scar.version
    assert scar.version == before
    array = scar.mask().astype(np.uint8)
    array[1, :3] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, scar.node, scar.segment_id, volume)
    assert scar.version != before


def refused(node, scar, words: str) -> None:
    with pytest.raises(SceneError, match=words):
        scar.check(node)


def test_node_that_cannot_be_written_is_refused_in_words(scene, volume, scar):
    refused(volume, scar, "no segmentation")
    refused(None, scar, "no segmentation")
    node = user_segmentation(scene, volume, Lv=np.ones(SHAPE, dtype=bool))
    scar.check(node)
    node.SetHideFromEditors(True)
    refused(node, scar, "Manual is locked")
    node.SetHideFromEditors(False)
    node.SetSelectable(False)
    refused(node, scar, "Manual is locked")
    node.SetSelectable(True)
    node.CreateClosedSurfaceRepresentation()
    scar.check(node)
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    refused(node, scar, "made of closed surface")


def test_segmentation_on_another_grid_is_refused(scene, volume, scar):
    finer = add_volume(scene, (12, 40, 48), random_matrix(1, (0.65, 0.75, 4.5)))
    refused(user_segmentation(scene, finer, Lv=np.ones((12, 40, 48), dtype=bool)), scar, "another grid")


def test_part_of_the_volumes_grid_is_the_volumes_grid(scene, volume, scar):
    matrix = random_matrix(1, (1.3, 1.5, 9.0))
    matrix[:3, 3] = (matrix @ [3, 2, 1, 1])[:3]
    part = add_volume(scene, (4, 10, 12), matrix)
    node = user_segmentation(scene, part, Lv=np.ones((4, 10, 12), dtype=bool))
    scar.check(node)
    moved = TissueSegment(volume, VolumeGeometry(volume), "t", node)
    moved.write_slices({0: some_mask(1), 5: some_mask(2)})
    assert np.array_equal(moved.mask()[0], some_mask(1)) and np.array_equal(moved.mask()[5], some_mask(2))
    assert np.array_equal(as_slicer_sees_it(part, node, "Lv"), np.ones((4, 10, 12), dtype=bool))


def test_segmentation_under_another_linear_transform_is_written_in_its_own_coordinates(scene, volume):
    volume.SetAndObserveTransformNodeID(add_transform(scene, 3).GetID())
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "World")
    scar = TissueSegment(volume, VolumeGeometry(volume), "t", node)
    scar.write_slices({2: some_mask(1)})
    assert node.GetTransformNodeID() is None
    assert np.array_equal(scar.mask()[2], some_mask(1))
    assert np.array_equal(as_slicer_sees_it(volume, node, scar.segment_id)[2], some_mask(1))


def test_non_linear_transform_between_volume_and_segmentation_is_refused(scene, volume, scar):
    grid = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "Acquisition")
    volume.SetAndObserveTransformNodeID(grid.GetID())
    warp = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for point in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (50, 50, 50)):
        source.InsertNextPoint(point)
        target.InsertNextPoint(point[0] + point[1] * point[2] / 200, *point[1:])
    warp.SetSourceLandmarks(source)
    warp.SetTargetLandmarks(target)
    grid.SetAndObserveTransformToParent(warp)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "World")
    refused(node, scar, "non-linear transform")
    node.SetAndObserveTransformNodeID(grid.GetID())
    scar.check(node)
