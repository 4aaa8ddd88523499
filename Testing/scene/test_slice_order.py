"""Left-handed volumes, whose slices come back in reverse order from a file: boxes, points and masks stay on theirs."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.result import SliceMasks
from MyoScarSegLib.scene.mask_steps import apply_masks
from MyoScarSegLib.scene.prompt_steps import add_box, add_point
from MyoScarSegLib.scene.slice_order import reversed_axis
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry
from Testing.support.session_factory import reload
from Testing.support.volume_factory import add_volume
from Testing.support.workflow_factory import scar_in_scene

SHAPE = (5, 30, 24)


@pytest.fixture
def volume(scene):
    matrix = np.diag([1.5, 1.5, -8.0, 1.0])
    matrix[:3, 3] = (10, 20, 30)
    return add_volume(scene, SHAPE, matrix)


def matrix_of(node):
    return VolumeGeometry(node).ijk_to_ras()


def reloaded(scene, folder):
    reload(scene, folder)
    return scene.GetFirstNodeByName("LGE")


def test_study_on_a_left_handed_volume_survives_save_and_load(scene, volume, tmp_path):
    session = StudySession.open(volume)
    probability = np.zeros(SHAPE, dtype=np.float32)
    probability[0, 5:12, 4:9], probability[3, 20:25, 10:20] = 0.9, 0.8
    add_box(session, Box(0, 3, 4, 10, 13))
    add_point(session, Point(3, 12.5, 21.5))
    apply_masks(session, SliceMasks({0: probability[0], 3: probability[3]}, provenance={"segmenter": "a"}))
    session.close()
    probability = probability[::-1]  # the reader reverses the slices, so they are counted from the other end
    for turn in range(2):  # a second time, because they must not be counted anew again
        volume = reloaded(scene, tmp_path)
        as_read, matrix = slicer.util.arrayFromVolume(volume).copy(), matrix_of(volume)
        session = StudySession.open(volume)
        assert np.array_equal(slicer.util.arrayFromVolume(volume), as_read) and np.array_equal(matrix_of(volume), matrix)
        assert [row.box.slice for row in session.state.boxes] == [4]
        assert [(p.slice, round(p.x, 3), round(p.y, 3)) for p in session.state.points] == [(1, 12.5, 21.5)]
        assert np.array_equal(session.mask(), probability > 0.5)
        assert session.state.segmented == [1, 4]
        assert np.array_equal(scar_in_scene(volume, session.segmentation.node), probability > 0.5)
        assert np.allclose(session.state.probabilities(session.geometry.shape), probability)
        assert session.state.edited == []
        add_box(session, Box(turn + 1, 3, 4, 10, 13))
        assert session.undo()
        session.close()


def test_study_whose_rows_come_back_in_reverse_order_keeps_its_boxes_and_masks(scene, tmp_path):
    """Its slices run along another axis of the file, so what the reader reverses is an axis in their plane."""
    session = StudySession.open(add_volume(scene, (30, 24, 5), np.diag([8.0, 1.5, -1.4, 1.0])))
    probability = np.zeros(session.study.voxels.shape, dtype=np.float32)
    probability[1, 4:10, 5:12] = 0.9
    add_box(session, Box(1, 5, 4, 12, 10))
    apply_masks(session, SliceMasks({1: probability[1]}, provenance={"segmenter": "a"}))
    world = session.geometry.to_world(np.array([[5.0, 4.0, 1.0], [12.0, 10.0, 1.0]]))
    session.close()
    volume = reloaded(scene, tmp_path)
    as_read = slicer.util.arrayFromVolume(volume).copy()
    session = StudySession.open(volume)
    assert np.array_equal(slicer.util.arrayFromVolume(volume), as_read)
    (box,) = [row.box for row in session.state.boxes]
    corners = session.geometry.to_world(np.array([[box.x0, box.y0, 1.0], [box.x1, box.y1, 1.0]]))
    np.testing.assert_allclose(np.sort(corners, axis=0), np.sort(world, axis=0), atol=1e-3)
    assert (box.x0, box.y0) != (5, 4), "else nothing was reversed, and this shows nothing"
    assert session.state.edited == [] and session.mask()[1].sum() == 42


def test_volume_whose_slices_are_where_they_were_is_not_counted_anew(scene, volume):
    session = StudySession.open(volume)
    add_box(session, Box(0, 3, 4, 10, 13))
    before = slicer.util.arrayFromVolume(volume).copy()
    assert reversed_axis(volume, (0, 1, 2)) is None
    volume.SetOrigin(0, 0, 0)  # moved by the user: that is no reversal
    assert reversed_axis(volume, (0, 1, 2)) is None
    assert np.array_equal(slicer.util.arrayFromVolume(volume), before)
