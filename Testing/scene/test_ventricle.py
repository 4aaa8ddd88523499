"""The left ventricle of a study in its scene: wall, blood pool and no-reflow beside the scar, and the insertion points."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.quantification.aha import InsertionPoints
from MyoScarSegLib.scene.attributes import node_of
from MyoScarSegLib.scene.landmark_points import ROLE_LANDMARKS
from MyoScarSegLib.scene.mask_steps import apply_masks, clear_study, use_method
from MyoScarSegLib.scene.saved_study import IDLE_S, StudyRecord
from MyoScarSegLib.scene.study_numbers import insertion_points, landmarks_of
from MyoScarSegLib.scene.study_session import StudySession, sessions
from MyoScarSegLib.scene.training import case_nodes
from MyoScarSegLib.scene.ventricle_state import BY_READER, Landmarks
from MyoScarSegLib.scene.ventricle_steps import apply_ventricle, draw_remote, set_level, turn_septum
from MyoScarSegLib.study.tissue import BLOOD_POOL, INFARCT, MVO, REMOTE, SCAR, WALL
from Testing.support.scene_ventricle_factory import paint_segment, ring_wall, segment_mask, set_landmarks
from Testing.support.session_factory import fresh_scene, masks, paint, save_folder, save_mrb
from Testing.support.training_workflow_factory import idle_workflow
from Testing.support.volume_factory import add_transform, add_volume, random_matrix

SHAPE = (6, 40, 48)
LANDMARKS = Landmarks((10.5, 12.25, 2.0), (9.0, 28.0, 2.0), "image")


@pytest.fixture
def volume(scene):
    return add_volume(scene, SHAPE, random_matrix(4, (1.4, 1.4, 10.0)))


def test_a_proposed_wall_is_three_segments_beside_the_scar_and_one_undo_entry(session):
    apply_masks(session, masks(1, 2))
    scar, found = session.mask(), ring_wall()
    assert apply_ventricle(session, found) == []
    assert np.array_equal(segment_mask(session, WALL.name), found.myocardium)
    assert np.array_equal(segment_mask(session, BLOOD_POOL.name), found.cavity)
    assert not segment_mask(session, MVO.name).any()
    assert np.array_equal(segment_mask(session, SCAR.name), scar), "which overlaps the wall"
    node = session.segmentation.node
    terms = {node.GetSegmentation().GetSegment(i).GetTerminology() for i in node.GetSegmentation().GetSegmentIDs()}
    assert {WALL.terminology, BLOOD_POOL.terminology, MVO.terminology, SCAR.terminology} == terms
    assert session.provenance["wall"] == "tiny"
    assert session.state.ventricle.edited == []
    assert session.undo() == "Propose the wall"
    assert not segment_mask(session, WALL.name).any() and np.array_equal(session.mask(), scar)
    assert not session.state.ventricle.has_wall
    session.redo()
    assert np.array_equal(segment_mask(session, WALL.name), found.myocardium)


def test_a_wall_that_nobody_has_touched_is_no_label_to_learn_from(session):
    apply_masks(session, masks(1, 2))
    apply_ventricle(session, ring_wall())
    classes, known = case_nodes.classes_of(session, None, None)
    assert not known and set(np.unique(classes)) == {0, INFARCT}
    wall = segment_mask(session, WALL.name)
    wall[1, 0, 0] = True
    paint_segment(session, WALL.name, wall)
    classes, known = case_nodes.classes_of(session, None, None)
    assert known and np.array_equal(classes >= 2, wall | session.mask())


def test_a_wall_that_comes_with_the_masks_is_undone_with_them(session):
    apply_masks(session, masks(1, 2))
    apply_ventricle(session, ring_wall(), with_latest=True)
    assert session.history.labels == ["Segment scar"]
    session.undo()
    assert not session.state.ventricle.has_wall and not session.state.has_masks


def test_a_painted_wall_is_one_entry_and_wins_over_a_new_proposal(session):
    apply_ventricle(session, ring_wall())
    painted = segment_mask(session, WALL.name)
    painted[2, 0:3, 0:3] = True
    paint_segment(session, WALL.name, painted)
    assert session.history.undo_label == "Edit the wall on slice 2"
    assert session.state.ventricle.edited == [2]
    wider = ring_wall(radius=12.0)
    assert apply_ventricle(session, wider) == [2]
    now = segment_mask(session, WALL.name)
    assert np.array_equal(now[2], painted[2])
    assert np.array_equal(now[1], wider.myocardium[1])
    assert session.state.ventricle.ventricle(SHAPE).source == "edited"


def test_wall_and_blood_pool_share_no_pixel_what_was_painted_last_has_it(session):
    found = ring_wall()
    apply_ventricle(session, found)
    wall = found.myocardium.copy()
    wall[2, 18:22, 22:26] = True  # a papillary muscle, in the blood pool
    paint_segment(session, WALL.name, wall)
    assert np.array_equal(segment_mask(session, WALL.name), wall)
    assert np.array_equal(segment_mask(session, BLOOD_POOL.name), found.cavity & ~wall)
    pool = segment_mask(session, BLOOD_POOL.name)
    pool[3, 20, 10:14] = True  # through the wall
    paint_segment(session, BLOOD_POOL.name, pool)
    assert np.array_equal(segment_mask(session, BLOOD_POOL.name), pool)
    assert np.array_equal(segment_mask(session, WALL.name), wall & ~pool)


def test_no_reflow_is_drawn_by_the_reader_and_no_proposal_takes_it(session):
    apply_ventricle(session, ring_wall())
    dark = np.zeros(SHAPE, dtype=bool)
    dark[2, 20, 35:37] = True
    paint_segment(session, MVO.name, dark)
    assert session.state.ventricle.edited == [], "the wall is as it was proposed"
    apply_ventricle(session, ring_wall(radius=12.0))
    assert np.array_equal(session.state.ventricle.no_reflow(SHAPE), dark)
    assert session.measurements.no_reflow.pixels == 2


def test_the_remote_region_is_proposed_as_a_segment_and_counts_as_corrected(session):
    with pytest.raises(SceneError, match="propose that first"):
        draw_remote(session)
    apply_ventricle(session, ring_wall())
    options = {"specks_px": 0, "fill_no_reflow": False}
    proposed = session.numbers.methods(session.state, **options)["5 SD"].remote
    draw_remote(session)
    assert session.history.undo_label == "Draw the remote region"
    region = segment_mask(session, REMOTE.name)
    assert region.any() and not (region & ~ring_wall().myocardium).any()
    assert session.state.ventricle.edited == []
    region[2:] = False
    paint_segment(session, REMOTE.name, region)
    corrected = session.numbers.methods(session.state, **options)["5 SD"].remote
    assert corrected.region[:2].any() and not corrected.region[2:].any() and proposed.region[2:].any()
    with pytest.raises(SceneError, match="already"):
        draw_remote(session)


def test_a_deleted_wall_is_taken_up_and_comes_back_with_undo(session):
    apply_masks(session, masks(1))
    apply_ventricle(session, ring_wall())
    segmentation = session.segmentation.node.GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetSegmentIdBySegmentName(WALL.name))
    session.pump()
    assert session.history.undo_label == "Delete the wall" and not session.state.ventricle.has_wall
    assert session.state.has_masks
    session.undo()
    assert np.array_equal(segment_mask(session, WALL.name), ring_wall().myocardium)


def test_a_deleted_segmentation_is_one_step_with_its_wall(session, scene):
    apply_masks(session, masks(1))
    apply_ventricle(session, ring_wall())
    set_landmarks(session, LANDMARKS)
    before = session.history.labels
    scene.RemoveNode(session.segmentation.node)
    session.refresh()
    assert session.history.labels == [*before, "Delete the segmentation"]
    assert not session.state.has_masks and not session.state.ventricle.has_wall
    assert session.state.ventricle.landmarks is not None, "a node of its own"
    session.undo()
    assert np.array_equal(segment_mask(session, WALL.name), ring_wall().myocardium)
    assert np.array_equal(segment_mask(session, SCAR.name), session.mask()) and session.mask().any()


def test_insertion_points_are_shown_in_views_along_the_slices_alone_and_in_all_where_there_is_none(scene):
    volume = add_volume(scene, SHAPE)
    workflow = idle_workflow(scene)
    workflow.select(volume)
    red, green = (scene.GetNodeByID(f"vtkMRMLSliceNode{name}") for name in ("Red", "Green"))

    def shown() -> set[str]:
        display = node_of(volume, ROLE_LANDMARKS).GetDisplayNode()
        return {name for name in ("Red", "Yellow", "Green") if display.IsDisplayableInView(f"vtkMRMLSliceNode{name}")}

    set_landmarks(workflow.session, LANDMARKS)
    assert shown() == {"Red"}
    green.SetOrientation("Axial")
    assert shown() == {"Red", "Green"}
    scene.RemoveNode(node_of(volume, ROLE_LANDMARKS))
    workflow.session.refresh()
    workflow.session.undo()
    assert shown() == {"Red", "Green"}, "in a list that was made anew, too"
    for node in (red, green):
        node.SetOrientation("Coronal")
    assert shown() == {"Red", "Yellow", "Green"}
    workflow.close()


def test_clear_takes_the_proposed_wall_and_leaves_the_painted(session):
    apply_ventricle(session, ring_wall())
    set_landmarks(session, LANDMARKS)
    painted = segment_mask(session, WALL.name)
    painted[2, 0:3, 0:3] = True
    paint_segment(session, WALL.name, painted)
    clear_study(session)
    wall = segment_mask(session, WALL.name)
    assert np.array_equal(wall[2], painted[2]) and not np.delete(wall, 2, axis=0).any()
    assert session.state.ventricle.landmarks is None, "a proposal of the program"


def test_scar_moves_to_another_segmentation_with_its_wall(session, scene):
    apply_masks(session, masks(1))
    apply_ventricle(session, ring_wall())
    scar, other = session.mask(), scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    other.GetSegmentation().AddEmptySegment("", "Aorta")
    session.use_segmentation(other)
    assert session.segmentation.node is other
    assert np.array_equal(segment_mask(session, WALL.name), ring_wall().myocardium)
    assert np.array_equal(segment_mask(session, SCAR.name), scar)


@pytest.mark.parametrize("save", [save_mrb, save_folder])
def test_a_wall_survives_saving_with_what_was_edited_and_the_landmarks(session, scene, tmp_path, tmp_path_factory, save):
    apply_masks(session, masks(1, 2))
    apply_ventricle(session, ring_wall())
    painted = segment_mask(session, WALL.name)
    painted[3, 0:3, 0:3] = True
    paint_segment(session, WALL.name, painted)
    set_landmarks(session, LANDMARKS)
    set_level(session, 1, "base")
    before = session.state.ventricle
    load, into = save(scene, tmp_path), fresh_scene(tmp_path_factory)
    load(into)
    (again,) = (StudySession.open(one.volume_node) for one in sessions(into))
    now = again.state.ventricle
    assert (now.slices, now.edited, now.source) == (before.slices, [3], "model")
    assert now.levels == {1: "base"} and now.provenance["wall"] == "tiny"
    assert now.landmarks.source == "image"
    assert np.allclose([now.landmarks.anterior, now.landmarks.inferior], [LANDMARKS.anterior, LANDMARKS.inferior])


def drag(session: StudySession, number: int, place: tuple[float, float, float]) -> None:
    """As the mouse does it: the point moves, and at the end the list says so."""
    node = node_of(session.volume_node, ROLE_LANDMARKS)
    node.SetNthControlPointPositionWorld(number, *session.geometry.to_world(np.array([place]))[0])
    node.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent)


def test_a_dragged_landmark_is_one_entry_and_the_readers_from_then_on(session):
    set_landmarks(session, LANDMARKS)
    drag(session, 1, (12.0, 30.0, 3.0))
    landmarks = session.state.ventricle.landmarks
    assert landmarks.source == BY_READER
    assert np.allclose(landmarks.inferior, (12.0, 30.0, 3.0)) and np.allclose(landmarks.anterior, LANDMARKS.anterior)
    assert session.history.labels == ["Set the insertion points", "Move an insertion point"]
    session.undo()
    assert session.state.ventricle.landmarks == LANDMARKS
    world = np.zeros(3)
    node_of(session.volume_node, ROLE_LANDMARKS).GetNthControlPointPositionWorld(1, world)
    assert np.allclose(session.geometry.from_world(world)[0], LANDMARKS.inferior)


def test_a_deleted_landmark_takes_both_and_comes_back_with_undo(session):
    set_landmarks(session, LANDMARKS)
    node_of(session.volume_node, ROLE_LANDMARKS).RemoveNthControlPoint(0)
    assert session.state.ventricle.landmarks is None
    assert session.history.undo_label == "Delete the insertion points"
    session.undo()
    assert node_of(session.volume_node, ROLE_LANDMARKS).GetNumberOfControlPoints() == 2


def test_the_septum_is_turned_by_an_angle_as_one_entry_and_a_new_proposal_leaves_it(session):
    with pytest.raises(SceneError, match="propose that first"):
        turn_septum(session, 10.0)
    apply_ventricle(session, ring_wall())
    proposed = session.state.ventricle.landmarks
    turn_septum(session, 40.0)
    assert session.history.undo_label == "Turn the insertion points"
    assert session.numbers.rotation(session.state) == pytest.approx(40.0, abs=0.5)
    places = session.geometry.from_world(
        slicer.util.arrayFromMarkupsControlPoints(node_of(session.volume_node, ROLE_LANDMARKS), world=True)
    )
    turned = session.state.ventricle.landmarks
    assert np.allclose(places, [turned.anterior, turned.inferior]) and turned.source == "rotation"
    apply_ventricle(session, ring_wall(radius=12.0))
    assert session.state.ventricle.landmarks == turned, "the reader's"
    clear_study(session)
    assert session.state.ventricle.landmarks == turned
    for _ in range(3):
        session.undo()
    assert session.state.ventricle.landmarks == proposed
    with pytest.raises(SceneError, match="not nan"):
        turn_septum(session, float("nan"))


def test_angles_of_one_turn_are_one_entry_and_a_dragged_point_begins_another(session):
    apply_ventricle(session, ring_wall())
    for degrees in (5.0, 6.0, 7.0):
        turn_septum(session, degrees, join=True)
    assert session.history.labels == ["Propose the wall", "Turn the insertion points"]
    drag(session, 1, (12.0, 30.0, 3.0))
    turn_septum(session, 8.0, join=True)
    assert len(session.history.labels) == 4
    assert session.numbers.rotation(session.state) == pytest.approx(8.0, abs=0.5)


@pytest.mark.parametrize("hardened", [False, True])
def test_landmarks_stay_on_their_pixels_when_the_volume_is_moved(session, scene, hardened):
    set_landmarks(session, LANDMARKS)
    volume = session.volume_node
    session.close()
    volume.SetAndObserveTransformNodeID(add_transform(scene, 3).GetID())
    if hardened:
        volume.HardenTransform()
    again = StudySession.open(volume)
    places = again.geometry.from_world(slicer.util.arrayFromMarkupsControlPoints(node_of(volume, ROLE_LANDMARKS), world=True))
    assert np.allclose(places, [LANDMARKS.anterior, LANDMARKS.inferior], atol=1e-6)
    assert again.state.ventricle.landmarks == LANDMARKS


def test_landmarks_are_points_of_the_world_and_back(session):
    points = insertion_points(session.geometry, LANDMARKS)
    assert isinstance(points, InsertionPoints) and points.source == "image"
    back = landmarks_of(session.geometry, points)
    assert np.allclose([back.anterior, back.inferior], [LANDMARKS.anterior, LANDMARKS.inferior])
    geometry = session.study.geometry
    column, row = (
        np.array(geometry.direction)[:, 0] * geometry.spacing_mm[0],
        np.array(geometry.direction)[:, 1] * geometry.spacing_mm[1],
    )
    along = np.array(geometry.direction)[:, 2] * geometry.spacing_mm[2]
    x, y, k = LANDMARKS.anterior
    assert np.allclose(points.anterior_mm, np.array(geometry.origin_mm) + (x - 0.5) * column + (y - 0.5) * row + k * along)


def test_a_methods_mask_counts_as_edited_and_is_one_entry(session):
    apply_masks(session, masks(1, 2))
    before = session.mask()
    method = np.zeros(SHAPE, dtype=bool)
    method[1:4, 5:9, 5:9] = True
    use_method(session, method, "5 SD")
    assert np.array_equal(session.mask(), method)
    assert session.state.edited == [1, 2, 3]
    assert session.provenance["method"] == "5 SD"
    assert apply_masks(session, masks(1, 2)) == [1, 2], "and is not replaced by the model's"
    assert session.undo() == "Use 5 SD"
    assert np.array_equal(session.mask(), before) and "method" not in session.provenance


def test_numbers_follow_the_scar_and_the_wall(session):
    apply_masks(session, masks(1, 2))
    assert session.measurements.percent_of_myocardium is None
    apply_ventricle(session, ring_wall())
    m = session.measurements
    assert m.myocardium.pixels == ring_wall().myocardium.sum()
    inside = session.mask() & ring_wall().myocardium
    assert m.percent_of_myocardium == pytest.approx(100 * inside.sum() / ring_wall().myocardium.sum())
    assert session.measurements is m, "measured once"
    paint(session, 2)
    assert session.measurements is not m


def test_time_counts_signs_of_the_reader_and_is_kept(session, scene):
    now = [0.0]
    record = StudyRecord(session.volume_node, lambda: now[0])
    for second in (0.0, 10.0, 10.0 + IDLE_S, 100.0, 101.0):
        now[0] = second
        record.sign()
    assert record.reader_s == 10.0 + IDLE_S + 1.0
    session.nodes.record.reader_s = 75.0
    apply_masks(session, masks(1))
    assert session.provenance["reader_s"] == "75"
    session.close()
    again = StudySession.open(session.volume_node)
    assert again.nodes.record.reader_s == 75.0
