"""Walls that the user has already: segments, label maps, closed curves; by name and code, on the voxels of the study."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.scene.drawn_walls import CURVE
from MyoScarSegLib.scene.mask_steps import apply_masks
from MyoScarSegLib.scene.plain_segments import add_segment
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.ventricle_steps import take_curves, take_wall
from MyoScarSegLib.study.tissue import WALL
from Testing.support.scene_ventricle_factory import ring_wall, segment_mask
from Testing.support.session_factory import masks
from Testing.support.volume_factory import add_volume, random_matrix

SHAPE = (6, 40, 48)


@pytest.fixture
def volume(scene):
    return add_volume(scene, SHAPE, random_matrix(4, (1.4, 1.4, 10.0)))


def add_segments(session: StudySession, **named: np.ndarray):
    node = session.volume_node.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", "Theirs")
    node.SetReferenceImageGeometryParameterFromVolumeNode(session.volume_node)
    for name, mask in named.items():
        add_segment(node, session.geometry, mask, name.replace("_", " "), (1.0, 1.0, 1.0))
    return node


def test_a_segmentations_wall_is_taken_by_its_names_and_no_proposal_replaces_it(session):
    found = ring_wall()
    scar = np.zeros(SHAPE, dtype=bool)
    scar[2, 18:22, 36:38] = True
    take_wall(session, add_segments(session, LV_myocardium=found.myocardium & ~scar, LV_blood_pool=found.cavity, Scar=scar))
    assert np.array_equal(segment_mask(session, WALL.name), found.myocardium), "with the scar in it"
    ventricle = session.state.ventricle
    assert (ventricle.source, ventricle.edited) == ("labels", [1, 2, 3, 4])
    assert session.history.labels == ["Take the wall of Theirs"]
    assert not session.mask().any(), "the scar stays as it is"


def test_an_epicardium_that_was_drawn_as_a_whole_leaves_the_blood_pool(session):
    found = ring_wall()
    take_wall(session, add_segments(session, myocardium=found.myocardium | found.cavity, LV_blood_pool=found.cavity))
    ventricle = session.state.ventricle.ventricle(SHAPE)
    assert np.array_equal(ventricle.cavity, found.cavity) and np.array_equal(ventricle.myocardium, found.myocardium)


def test_a_label_map_is_taken_by_its_numbers(session):
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[ring_wall().myocardium], labels[ring_wall().cavity] = 2, 1
    labels[2, 20, 35:37] = 4
    node = session.volume_node.GetScene().AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(session.geometry.to_volume(labels)))
    node.CopyOrientation(session.volume_node)
    take_wall(session, node)
    assert np.array_equal(segment_mask(session, WALL.name), ring_wall().myocardium)
    assert session.state.ventricle.no_reflow(SHAPE).sum() == 2


def test_what_has_no_wall_is_refused_and_nothing_changes(session):
    with pytest.raises(SceneError, match="LV myocardium"):
        take_wall(session, add_segments(session, Scar=ring_wall().cavity))
    apply_masks(session, masks(1))
    with pytest.raises(SceneError, match="own segmentation"):
        take_wall(session, session.segmentation.node)
    with pytest.raises(SceneError, match="Choose"):
        take_wall(session, None)
    assert not session.state.ventricle.has_wall


def draw(session: StudySession, k: int, radius: float, name: str) -> None:
    node = session.volume_node.GetScene().AddNewNodeByClass(CURVE, name)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    places = np.stack([24 + radius * np.cos(angles), 20 + radius * np.sin(angles), np.full(24, float(k))], axis=1)
    slicer.util.updateMarkupsControlPointsFromArray(node, session.geometry.to_world(places), world=True)


def test_curves_make_a_wall_and_slices_between_are_interpolated(session):
    for k, name in ((1, "endo 1"), (4, "C")):
        draw(session, k, 10.0, name)
    for k, name in ((1, "epi 1"), (4, "C_1")):
        draw(session, k, 15.0, name)
    take_curves(session)
    ventricle = session.state.ventricle.ventricle(SHAPE)
    assert ventricle.source == "contours" and ventricle.walls == (1, 2, 3, 4)
    wanted = ring_wall()
    for k in (1, 2, 3, 4):
        wrong = np.count_nonzero(ventricle.myocardium[k] ^ wanted.myocardium[k])
        assert wrong < 0.05 * np.count_nonzero(wanted.myocardium[k])
    assert session.history.labels == ["Make the wall of curves"]


def test_curves_that_do_not_say_what_they_are_are_refused(session):
    with pytest.raises(SceneError, match="no closed curves"):
        take_curves(session)
    draw(session, 1, 10.0, "C")
    with pytest.raises(SceneError, match="not clear"):
        take_curves(session)
    draw(session, 2, 10.0, "endo")
    with pytest.raises(SceneError):
        take_curves(session)
