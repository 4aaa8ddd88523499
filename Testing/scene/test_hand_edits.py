"""What users do to boxes and points behind the module's back: in tables, in the Data and Transforms modules, in a file's text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
import vtk

from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.scene.attributes import nodes_by_class
from MyoScarSegLib.scene.box_table import BoxTable
from MyoScarSegLib.scene.box_views import BoxViews
from MyoScarSegLib.scene.point_lists import PointLists
from MyoScarSegLib.scene.prompt_steps import add_box, add_point, remove_box
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.study_state import BoxRow
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry
from Testing.support.session_factory import reload
from Testing.support.training_workflow_factory import idle_workflow
from Testing.support.volume_factory import add_gaps, add_transform, add_volume

SHAPE = (6, 30, 40)
PLACE = np.diag([-1.5, -1.25, 8.0, 1.0])
BOX = Box(2, 5.5, 6, 20.25, 18, confidence=0.875, source="yolo")
TURN = np.array([[0.0, -1, 0, 5], [1, 0, 0, 7], [0, 0, 1, 33], [0, 0, 0, 1]])
PUSH = np.array([[1.0, 0, 0, 6], [0, 1, 0, -5], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.fixture
def volume(scene):
    return add_volume(scene, SHAPE, PLACE)


def add(session: StudySession, *boxes: Box) -> list[int]:
    return [add_box(session, box) for box in boxes]


def written(volume, *boxes: Box) -> BoxTable:
    """A table as a session has left it."""
    table = BoxTable(volume, SHAPE)
    table.write(BoxRow(number + 1, box) for number, box in enumerate(boxes))
    return table


@pytest.fixture
def points(volume) -> PointLists:
    prompts = PointLists(volume, VolumeGeometry(volume))
    prompts.write([Point(1, 5.5, 6.5), Point(4, 30.25, 20.5), Point(2, 7.5, 6.5, positive=False)])
    return prompts


def type_into(node, row: int, column: str, text: str) -> None:
    """As the Tables module does it."""
    node.SetCellText(row, node.GetColumnIndex(column), text)


def cells(session: StudySession, column: str) -> list[str]:
    node = session.nodes.boxes.node.GetTable()
    return [node.GetValueByName(row, column).ToString() for row in range(node.GetNumberOfRows())]


@pytest.mark.parametrize("text", ['a "quoted" name', '"first', "#5", "two\nlines", "a\ttab", "50%", "50%22", "a,b|c", "é 漢"])
def test_any_label_survives_saving_the_scene(scene, session, tmp_path, text):
    rows = add(session, replace(BOX, label=text, source=text), BOX) and session.state.boxes
    session.close()
    reload(scene, tmp_path)
    assert StudySession.open(scene.GetFirstNodeByName("LGE")).state.boxes == rows


@pytest.mark.parametrize(
    ("column", "text"),
    [("slice", "inf"), ("slice", "2.5"), ("slice", "99"), ("x0", "nine"), ("x1", "nan"), ("y1", "0"), ("state", "maybe")],
)
def test_a_row_that_is_no_box_is_named_kept_and_counts_again_when_it_is_mended(session, column, text):
    first, second, third = add(session, BOX, replace(BOX, slice=3), replace(BOX, slice=4))
    before = cells(session, column)[1]
    type_into(session.nodes.boxes.node, 1, column, text)
    assert [row.id for row in session.state.boxes] == [first, third]
    (problem,) = session.nodes.boxes.read().problems
    assert "Row 2" in problem

    remove_box(session, first)
    assert cells(session, "id") == [str(third), str(second)]
    assert cells(session, column)[1] == text
    new = add_box(session, replace(BOX, slice=5))
    assert new > third

    type_into(session.nodes.boxes.node, 2, column, before)
    assert session.nodes.boxes.read().problems == []
    assert session.state.box(second) == replace(BOX, slice=3)


def test_a_column_of_the_users_own_stays_with_its_boxes(session):
    first, _second, _third = add(session, BOX, replace(BOX, slice=3), replace(BOX, slice=4))
    remarks, sizes = vtk.vtkStringArray(), vtk.vtkDoubleArray()
    for column, name, values in ((remarks, "remark", ("one", "two", "three")), (sizes, "size", (1.5, 2.5, 3.5))):
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        session.nodes.boxes.node.AddColumn(column)
    remove_box(session, first)
    add_box(session, replace(BOX, slice=5))
    assert cells(session, "remark") == ["two", "three", ""]
    assert cells(session, "size")[:2] == ["2.5", "3.5"]


def test_a_table_without_the_columns_of_a_box_keeps_its_rows(session):
    add(session, BOX, replace(BOX, slice=3))
    session.nodes.boxes.node.GetTable().RemoveColumnByName("x0")
    session.nodes.boxes.node.Modified()
    assert session.state.boxes == ()
    assert "x0" in session.nodes.boxes.read().problems[0]
    add_box(session, replace(BOX, slice=4))
    assert [row.box for row in session.state.boxes] == [replace(BOX, slice=4)]
    assert cells(session, "slice") == ["4", "2", "3"]


def views_of(session: StudySession) -> BoxViews:
    return BoxViews(session, on_edited=lambda *_: None, on_removed=lambda *_: None)


def test_a_box_shows_in_its_own_slice_alone_in_an_uneven_stack(scene, volume):
    add_gaps(volume, np.array([0.0, 0.0, 60.0, 60.0, 60.0, 60.0]))
    geometry = VolumeGeometry(volume)
    for k in range(SHAPE[0]):
        matrix, size = geometry.roi_of(replace(BOX, slice=k))
        reach = [abs((geometry.middle(other) - matrix[:3, 3]) @ matrix[:3, 2]) for other in range(SHAPE[0])]
        assert [other for other in range(SHAPE[0]) if reach[other] < size[2] / 2 - 1e-3] == [k]


def test_a_copied_node_of_a_loaded_scene_does_not_show_as_a_box(scene, session):
    number = add_box(session, BOX)
    views = views_of(session)
    original = views.node(number)
    views.close()
    copy = slicer.vtkMRMLMarkupsROINode()
    copy.Copy(original)
    scene.AddNode(copy)
    display = scene.AddNewNodeByClass("vtkMRMLMarkupsROIDisplayNode")
    copy.SetAndObserveDisplayNodeID(display.GetID())
    views = views_of(session)
    assert original.GetDisplayVisibility()
    assert not copy.GetDisplayVisibility()
    assert views.node(number) is original


def places(points: PointLists) -> list[tuple[int, float, float, bool]]:
    return [(p.slice, round(p.x, 3), round(p.y, 3), p.positive) for p in points.read()]


@pytest.mark.parametrize("matrix", [TURN, PUSH], ids=["turned", "pushed in the plane"])
@pytest.mark.parametrize("together", [False, True], ids=["the volume's", "a whole folder's in the Data module"])
def test_points_stay_on_their_pixels_when_a_transform_is_applied_for_good(scene, volume, points, matrix, together):
    before = places(points)
    transform = add_transform(scene, matrix)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert places(points) == before
    for node in [volume, *([points.node(True), points.node(False)] if together else [])]:
        node.HardenTransform()
    assert places(points) == before
    assert places(PointLists(volume, VolumeGeometry(volume))) == before
    assert points.node(True).GetTransformNodeID() is None


@pytest.mark.parametrize("matrix", [TURN, PUSH], ids=["turned", "pushed in the plane"])
def test_points_are_found_on_their_pixels_when_nobody_watched_the_transform(scene, volume, points, matrix):
    before = places(points)
    points.close()
    volume.SetAndObserveTransformNodeID(add_transform(scene, matrix).GetID())
    volume.HardenTransform()
    assert places(PointLists(volume, VolumeGeometry(volume))) == before


def test_points_follow_a_volume_whose_origin_is_set(volume, points):
    before = places(points)
    volume.SetOrigin(100.0, -50.0, 21.0)
    assert places(points) == before


def test_points_on_the_edge_of_the_image_count(points):
    edges = [Point(0, 0.0, 0.0), Point(5, 40.0, 30.0), Point(3, 40.0, 0.0), Point(3, 0.0, 30.0)]
    points.write(edges)
    assert [(p.slice, p.x, p.y) for p in points.read()] == [(p.slice, pytest.approx(p.x), pytest.approx(p.y)) for p in edges]
    assert all(0 <= p.x <= 40 and 0 <= p.y <= 30 for p in points.read())


def test_a_point_placed_beside_the_image_is_hidden_and_goes_with_the_next_change(volume, points):
    before = places(points)
    node = points.node(True)
    beside = VolumeGeometry(volume).to_world(np.array([[80.0, 5.0, 2.0]]))[0]
    node.AddControlPointWorld(vtk.vtkVector3d(*beside))
    assert places(points) == before
    assert [node.GetNthControlPointVisibility(n) for n in range(3)] == [True, True, False]
    points.write(points.read()[:1])
    assert node.GetNumberOfControlPoints() == 1


def test_the_preview_of_a_point_that_is_being_placed_does_not_count(points):
    before = places(points)
    node = points.node(True)
    number = node.AddControlPoint(vtk.vtkVector3d(0, 0, 0), "")
    node.SetNthControlPointPosition(number, 0, 0, 0, slicer.vtkMRMLMarkupsNode.PositionPreview)
    assert places(points) == before


def test_a_box_of_a_study_is_not_one_of_the_volumes_copy(scene, volume, session):
    add_box(session, replace(BOX, state=BoxState.ACCEPTED))
    add_point(session, Point(1, 5.5, 6.5))
    copy = slicer.vtkMRMLScalarVolumeNode()
    copy.Copy(volume)
    scene.AddNode(copy)
    assert StudySession.open(copy).state.boxes_and_points() == ([], [])
    volume.SetName("Another name")
    session.close()
    assert StudySession.open(volume).state.boxes == session.state.boxes


@pytest.fixture
def workflow(scene):
    workflow = idle_workflow(scene)
    yield workflow
    workflow.close()


def visible(scene) -> int:
    return sum(bool(node.GetDisplayVisibility()) for node in nodes_by_class(scene, "vtkMRMLMarkupsNode"))


def test_prompts_of_another_study_are_not_shown_over_this_one(scene, volume, workflow):
    other = add_volume(scene, SHAPE, PLACE, "LGE 2", seed=1)
    workflow.select(volume)
    add_box(workflow.session, BOX)
    add_point(workflow.session, Point(2, 7.5, 6.5))
    assert visible(scene) == 2
    workflow.select(other)
    assert visible(scene) == 0
    workflow.select(volume)
    assert visible(scene) == 2
    scene.RemoveNode(volume)
    workflow.pump()
    assert visible(scene) == 0


def test_boxes_of_a_deleted_table_are_not_shown_any_more_and_come_back_with_undo(scene, volume, workflow):
    workflow.select(volume)
    add_box(workflow.session, BOX)
    scene.RemoveNode(workflow.session.nodes.boxes.node)
    workflow.pump()
    assert visible(scene) == 0
    assert workflow.session.undo()
    assert [row.box for row in workflow.session.state.boxes] == [BOX]
    assert visible(scene) == 1


def test_a_box_whose_display_node_was_deleted_can_be_removed(scene, session):
    number = add_box(session, BOX)
    views = views_of(session)
    scene.RemoveNode(views.node(number).GetDisplayNode())
    remove_box(session, number)
    add_box(session, replace(BOX, slice=4))
    assert visible(scene) == 1


def test_rows_that_are_no_boxes_are_told_when_the_study_is_opened(scene, volume, workflow):
    table = written(volume, BOX, replace(BOX, slice=3))
    type_into(table.node, 0, "x0", "nine")
    table.close()
    assert workflow.select(volume)
    assert "Row 1" in workflow.note
