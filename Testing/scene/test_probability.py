"""Masks from probabilities: threshold, growth in millimeters; and the node that keeps the probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from scipy import ndimage

from MyoScarSegLib.result import SliceMasks, mask_of
from MyoScarSegLib.scene.mask_steps import apply_masks
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry
from Testing.support.volume_factory import add_volume, random_matrix


def test_pixel_of_exactly_the_threshold_counts_as_scar():
    assert mask_of(np.array([[0.49, 0.5, 0.51]], dtype=np.float32), 0.5).tolist() == [[False, True, True]]


@pytest.mark.parametrize("spacing", [(1.4, 1.4), (0.8, 2.0)])
@pytest.mark.parametrize("growth", [0.5, 1.4, 3.0, 7.9, 20.0])
def test_growth_is_by_distance_in_millimeters(spacing, growth):
    probability = ndimage.gaussian_filter(np.random.default_rng(3).random((60, 70)), 3)
    mask = probability >= (threshold := float(np.quantile(probability, 0.8)))
    grown = ndimage.distance_transform_edt(~mask, sampling=spacing) <= growth + 1e-6
    shrunk = ndimage.distance_transform_edt(mask, sampling=spacing) > growth + 1e-6
    assert np.array_equal(mask_of(probability, threshold, growth, spacing), grown)
    assert np.array_equal(mask_of(probability, threshold, -growth, spacing), shrunk)


def test_nothing_grows_from_nothing_and_a_full_slice_has_no_edge_to_shrink_from():
    assert not mask_of(np.zeros((9, 9)), 0.5, 5.0, (1.0, 1.0)).any()
    assert mask_of(np.ones((9, 9)), 0.5, -5.0, (1.0, 1.0)).all()


@pytest.fixture
def volume(scene):
    return add_volume(scene, (5, 12, 16), random_matrix(4, (1.2, 1.5, 8.0)))


def test_slices_lie_on_the_volumes_voxels_and_stay_out_of_the_way(session, volume):
    assert session.nodes.probability.node is None
    given = np.random.default_rng(0).random((12, 16)).astype(np.float32)
    apply_masks(session, SliceMasks(probability={3: given}))
    node = session.nodes.probability.node
    assert np.array_equal(slicer.util.arrayFromVolume(node)[3], given)
    assert np.allclose(VolumeGeometry(node).ijk_to_ras(), VolumeGeometry(volume).ijk_to_ras())
    assert node.GetHideFromEditors() and node.GetDisplayNode() is None
    assert np.array_equal(session.state.models[3].probability, given)


def test_what_is_hidden_is_so_before_lists_of_nodes_hear_of_it(session, scene):
    """A list asks once, when a node is added: the probabilities were offered as a volume to segment."""
    heard = {}

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def added(_scene, _event, node):
        heard[node.GetName()] = bool(node.GetHideFromEditors())

    tag = scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, added)
    apply_masks(session, SliceMasks(probability={3: np.zeros((12, 16), dtype=np.float32)}))
    scene.RemoveObserver(tag)
    assert heard["LGE scar probability"] and heard["LGE scar study"]
    assert not heard["LGE scar"]


def test_later_change_of_the_given_array_does_not_reach_what_was_kept(session):
    given = np.full((12, 16), 0.75, dtype=np.float32)
    apply_masks(session, SliceMasks(probability={1: given}))
    given[:] = 0
    kept = session.state.models[1].probability
    assert kept.min() == 0.75
    assert not kept.flags.writeable
