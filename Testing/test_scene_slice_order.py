"""Left-handed volumes, whose slices come back in reverse order from a file: boxes, points and masks stay on theirs."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.engine.client import SliceMasks
from MyoScarSegLib.prompts import Box, Point
from Testing.workflow_factory import scar_in_scene

pytest.importorskip("slicer", reason="slicer-core is not installed")

SHAPE = (5, 30, 24)


@pytest.fixture
def volume(scene):
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "LGE")
    slicer.util.updateVolumeFromArray(node, np.random.default_rng(0).normal(100, 20, SHAPE).astype(np.float32))
    matrix = np.diag([1.5, 1.5, -8.0, 1.0])
    matrix[:3, 3] = (10, 20, 30)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return node


def reload(scene, path):
    import slicer

    assert scene.WriteToMRB(str(path))
    scene.Clear(0)
    assert scene.ReadFromMRB(str(path), True, slicer.vtkMRMLMessageCollection())
    return scene.GetFirstNodeByName("LGE")


def test_study_on_a_left_handed_volume_survives_save_and_load(scene, volume, tmp_path):
    import slicer

    from MyoScarSegLib.scene.session import StudySession

    voxels = slicer.util.arrayFromVolume(volume).copy()
    session = StudySession.open(volume)
    probability = np.zeros(SHAPE, dtype=np.float32)
    probability[0, 5:12, 4:9], probability[3, 20:25, 10:20] = 0.9, 0.8
    session.add_box(Box(0, 3, 4, 10, 13))
    session.add_point(Point(3, 12.5, 21.5))
    session.apply_masks(SliceMasks({0: probability[0], 3: probability[3]}), {"segmenter": "a"})
    session.close()
    for turn in range(2):  # a second time, because what was put back must be noted as such
        volume = reload(scene, tmp_path / f"{turn}.mrb")
        session = StudySession.open(volume)
        assert np.array_equal(slicer.util.arrayFromVolume(volume), voxels)
        assert [box.slice for box in session.boxes.all_boxes()] == [0]
        assert [(p.slice, round(p.x, 3), round(p.y, 3)) for p in session.points.points()] == [(3, 12.5, 21.5)]
        assert np.array_equal(session.mask(), probability > 0.5)
        assert np.array_equal(scar_in_scene(volume, session.segmentation.node), probability > 0.5)
        assert np.allclose(session.probability.array(), probability)
        assert session.edited_slices == []
        session.add_box(Box(turn + 1, 3, 4, 10, 13))
        assert session.undo()
        session.close()


def test_volume_whose_slices_are_where_they_were_is_not_touched(scene, volume):
    import slicer

    from MyoScarSegLib.scene.session import StudySession
    from MyoScarSegLib.scene.slice_order import put_slices_back

    session = StudySession.open(volume)
    session.add_box(Box(0, 3, 4, 10, 13))
    before = slicer.util.arrayFromVolume(volume).copy()
    assert not put_slices_back(volume)
    volume.SetOrigin(0, 0, 0)  # moved by the user: that is no reversal
    assert not put_slices_back(volume)
    assert np.array_equal(slicer.util.arrayFromVolume(volume), before)
