"""The table of boxes, the nodes that show them, and the points: in the scene, through saving, and in the user's hands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
import vtk

from MyoScarSegLib.errors import PromptError
from MyoScarSegLib.prompts import BESIDE, FAINT, Box, BoxState, Point
from MyoScarSegLib.scene.attributes import nodes_by_class
from MyoScarSegLib.scene.box_views import COLORS, BoxViews
from MyoScarSegLib.scene.displayed_slice import DisplayedSlice
from MyoScarSegLib.scene.lge_volumes import study_of
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.point_lists import PointLists
from MyoScarSegLib.scene.prompt_steps import (
    add_box,
    add_point,
    apply_proposals,
    apply_suggestions,
    copy_box_to_next,
    nudge_box,
    remove_box,
    update_box,
)
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry
from Testing.support.session_factory import reload, save_folder, save_mrb
from Testing.support.volume_factory import add_transform, add_volume

SHAPE = (6, 30, 40)
PLACE = np.diag([-1.5, -1.25, 8.0, 1.0])
PROPOSED = Box(2, 5.5, 6, 20.25, 18, confidence=0.875, source="yolo")
OWN = Box(3, 8, 8, 16, 16, state=BoxState.ACCEPTED)


@pytest.fixture
def volume(scene):
    return add_volume(scene, SHAPE, PLACE)


@pytest.fixture
def geometry(volume) -> VolumeGeometry:
    return VolumeGeometry(volume)


def add(session: StudySession, *boxes: Box) -> list[int]:
    """Add boxes, without the scene's users seeing one after the other. Returns their ids."""
    with session.step("boxes"):
        return [add_box(session, box) for box in boxes]


def told_of(session: StudySession, what: Change = Change.BOXES) -> list[tuple]:
    """What the study held each time it told of a change."""
    told: list[tuple] = []
    session.notices.changed.connect(
        lambda change: told.append((session.state.boxes, session.state.points)) if change is what else None
    )
    return told


class Hands:
    """What the views tell of the user's edits, and a listener that makes them as the workflow does."""

    def __init__(self, session: StudySession) -> None:
        self.session = session
        self.edits: list[tuple] = []
        self.removed: list[int] = []
        self.views = BoxViews(session, on_edited=self._edited, on_removed=self._removed)

    def _edited(self, box_id, corners) -> None:
        self.edits.append(box_id)
        update_box(self.session, box_id, **dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True)))

    def _removed(self, box_id) -> None:
        self.removed.append(box_id)
        remove_box(self.session, box_id)

    def drag(self, box_id: int, *, size_mm: tuple[float, float, float] | None = None, shift_mm: float = 0.0) -> None:
        node, markups = self.views.node(box_id), slicer.vtkMRMLMarkupsNode
        node.InvokeEvent(markups.PointStartInteractionEvent)
        if size_mm is not None:
            node.SetSize(*size_mm)
        if shift_mm:
            center = np.array(node.GetCenter())
            node.SetCenter(center[0] + shift_mm, center[1], center[2])
        node.InvokeEvent(markups.PointEndInteractionEvent)


@pytest.fixture
def hands(session) -> Hands:
    return Hands(session)


def test_ids_are_never_given_twice(session):
    first = add_box(session, PROPOSED)
    remove_box(session, first)
    assert add_box(session, OWN) != first


def test_new_proposals_replace_old_ones_and_nothing_that_the_user_touched(session):
    add_box(session, PROPOSED)
    accepted = add_box(session, replace(PROPOSED, slice=3, state=BoxState.ACCEPTED))
    rejected = add_box(session, replace(PROPOSED, slice=4, state=BoxState.REJECTED))
    drawn = add_box(session, replace(OWN, slice=5, state=BoxState.PROPOSED))
    apply_proposals(session, [replace(PROPOSED, slice=1), replace(PROPOSED, slice=4, x0=5.75)])
    new = session.state.boxes[-1].id
    assert [row.id for row in session.state.boxes] == [accepted, rejected, drawn, new]
    assert session.state.box(new).slice == 1


def test_what_was_proposed_as_rejected_does_not_stand_in_the_way_of_a_new_proposal(session):
    faint = replace(PROPOSED, state=BoxState.REJECTED, source=PROPOSED.source + FAINT)
    apply_proposals(session, [faint])
    apply_proposals(session, [PROPOSED])
    assert [row.box for row in session.state.boxes] == [PROPOSED]


def test_suggestions_come_beside_what_is_there_and_nothing_else_changes(session):
    accepted = add_box(session, replace(PROPOSED, state=BoxState.ACCEPTED))
    rejected = add_box(session, replace(PROPOSED, slice=1, state=BoxState.REJECTED))
    before, entries, pending = session.state, len(session.history.labels), session.pending.slices
    part = replace(PROPOSED, x1=PROPOSED.x0 + 0.4 * (PROPOSED.x1 - PROPOSED.x0))  # an offer there says nothing new
    beside = replace(PROPOSED, x0=PROPOSED.x0 + 8, x1=PROPOSED.x1 + 8)
    offers = (beside, replace(part, slice=3), part, replace(PROPOSED, slice=1, x0=6))
    suggested = [replace(box, source="sam" + BESIDE) for box in offers]
    assert apply_suggestions(session, suggested, {"suggestions": "sam"}) == [2, 3]
    assert [row.id for row in session.state.boxes[:2]] == [accepted, rejected]
    assert [row.box for row in session.state.boxes[2:]] == suggested[:2]
    assert session.state.prompts == before.prompts and session.pending.slices == pending, "an offer asks for no mask"
    assert session.provenance["suggestions"] == "sam"
    assert apply_suggestions(session, suggested, {"suggestions": "sam"}) == [], "they are there already"
    assert len(session.history.labels) == entries + 1
    session.undo()
    assert session.state.boxes == before.boxes


def test_a_suggestion_counts_once_it_is_accepted_or_moved(session):
    offer = replace(PROPOSED, source="sam" + BESIDE)
    apply_suggestions(session, [offer, replace(offer, slice=3)], {})
    first, second = session.state.review_order()
    assert session.state.prompts == {}
    update_box(session, first, state=BoxState.ACCEPTED)
    assert session.state.box(first).asks, "it is answered as what the reader asked for"
    nudge_box(session, second, 1, 0)
    assert set(session.state.prompts) == {2, 3} and session.pending.slices == [2, 3]


def test_boxes_are_clipped_to_the_image_and_refused_outside(session):
    number = add_box(session, replace(PROPOSED, x0=-4))
    assert session.state.box(number).x0 == 0
    with pytest.raises(PromptError, match="outside"):
        add_box(session, replace(PROPOSED, x0=50, x1=60))
    with pytest.raises(PromptError, match="slice"):
        add_box(session, replace(PROPOSED, slice=6))
    assert len(session.state.boxes) == 1


def test_a_copy_on_the_next_slice_is_the_users_own(session):
    number = copy_box_to_next(session, add_box(session, PROPOSED))
    copy = session.state.box(number)
    assert (copy.slice, copy.source, copy.confidence, copy.xyxy) == (3, "user", None, PROPOSED.xyxy)
    last = add_box(session, replace(PROPOSED, slice=5))
    with pytest.raises(PromptError, match="last"):
        copy_box_to_next(session, last)


@pytest.mark.parametrize("change", [{"x1": 19.5}, {"x0": 6.5, "x1": 21.25}, {"slice": 3}])
def test_a_box_that_is_moved_or_resized_is_the_readers(session, change):
    number = add_box(session, PROPOSED)
    assert update_box(session, number, **change) == replace(PROPOSED, **change, source="user", confidence=None)


def test_a_box_that_is_accepted_rejected_or_moved_to_where_it_is_stays_the_detectors(session):
    number = add_box(session, PROPOSED)
    for state in (BoxState.ACCEPTED, BoxState.REJECTED, BoxState.PROPOSED):
        update_box(session, number, state=state)
        assert session.state.box(number) == replace(PROPOSED, state=state)
    update_box(session, number, x0=PROPOSED.x0)
    assert session.state.box(number) == PROPOSED


def test_a_box_edited_in_the_table_itself_is_the_readers(session):
    _number, other = add(session, PROPOSED, replace(PROPOSED, slice=4))
    told = told_of(session)
    session.nodes.boxes.node.GetTable().GetColumnByName("x0").SetValue(0, "7.5")
    session.nodes.boxes.node.Modified()
    assert [boxes[0].box for boxes, _points in told] == [replace(PROPOSED, x0=7.5, source="user", confidence=None)]
    assert session.nodes.boxes.read().rows == list(session.state.boxes)
    assert session.state.box(other).source == "yolo"


def test_one_change_is_told_once(session):
    told = told_of(session)
    (number, _other) = add(session, PROPOSED, OWN)
    assert len(told) == 1
    update_box(session, number, x0=PROPOSED.x0)  # nothing new
    assert len(told) == 1


@pytest.mark.parametrize("save", [save_mrb, save_folder])
def test_boxes_and_points_survive_saving_and_loading_the_scene(scene, session, hands, tmp_path, save):
    ids = add(session, PROPOSED, OWN, replace(PROPOSED, slice=5, state=BoxState.REJECTED))
    wanted = [add_point(session, Point(1, 10.5, 11.5)), add_point(session, Point(4, 20.25, 3.5, positive=False))]
    rows = session.state.boxes
    rois = scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode")
    hands.views.close()
    session.close()
    reload(scene, tmp_path, save)
    again = StudySession.open(scene.GetFirstNodeByName("LGE"))
    assert again.state.boxes == rows
    assert [(p.slice, p.positive) for p in again.state.points] == [(p.slice, p.positive) for p in wanted]
    assert [(p.x, p.y) for p in again.state.points] == [pytest.approx((p.x, p.y), abs=1e-3) for p in wanted]
    views = Hands(again).views
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == rois  # the saved nodes were taken up, none made
    assert views.corners(ids[0])[1] == pytest.approx(PROPOSED.xyxy, abs=1e-3)


def test_each_box_has_a_node_on_its_slice_in_the_color_of_its_state(session, hands):
    proposed, accepted = add(session, PROPOSED, OWN)
    for number, box in ((proposed, PROPOSED), (accepted, OWN)):
        k, corners = hands.views.corners(number)
        assert (k, corners) == (box.slice, pytest.approx(box.xyxy, abs=1e-3))
        display = hands.views.node(number).GetDisplayNode()
        assert display.GetSelectedColor() == pytest.approx(COLORS[box.state])
        assert display.GetVisibility()
        assert not display.GetVisibility3D()
    assert hands.views.node(proposed).GetSize()[2] == pytest.approx(8.0)


@pytest.mark.parametrize("blank", ["", "0", "-3", "none", "7"], ids=["empty", "zero", "negative", "text", "taken"])
def test_row_without_an_id_of_its_own_gets_a_fresh_one_and_displaces_nothing(session, blank):
    """As rows typed by hand, or from older files, may be; the first one stands before the row whose number it must not take."""
    numbers = add(session, PROPOSED, OWN)
    vtk_table = session.nodes.boxes.node.GetTable()
    vtk_table.SetValueByName(0, "id", blank)
    vtk_table.SetValueByName(1, "id", "7")
    for column in range(vtk_table.GetNumberOfColumns()):
        vtk_table.GetColumn(column).InsertNextValue(vtk_table.GetColumn(column).GetValue(0))
    vtk_table.SetValueByName(2, "id", "1007.0")  # what max + 1000 used to give
    vtk_table.Modified()
    session.nodes.boxes.node.Modified()
    first, own, last = session.state.boxes
    expected = {"7": 7}.get(blank)
    assert last.id == 1007 and (own.id == 7) == (expected is None)
    assert (first.id == 7) == (expected == 7)
    assert len({first.id, own.id, last.id}) == 3 and numbers
    assert [row.box.xyxy for row in (first, own, last)] == [PROPOSED.xyxy, OWN.xyxy, PROPOSED.xyxy]
    before = [row.id for row in session.state.boxes]
    new = add_box(session, replace(PROPOSED, slice=4))
    assert [row.id for row in session.state.boxes] == [*before, new], "they keep it"


def test_a_dragged_handle_becomes_an_edit_of_its_box_alone(session, hands):
    number, other = add(session, PROPOSED, OWN)
    hands.drag(number, size_mm=(30.0, 10.0, 8.0))
    assert hands.edits == [number] and session.state.box(number).slice == 2
    x0, y0, x1, y1 = session.state.box(number).xyxy
    assert (x1 - x0, y1 - y0) == pytest.approx((20.0, 8.0), abs=1e-3)
    assert session.state.box(other) == OWN


def test_a_drag_that_ends_where_it_began_is_no_edit(session, hands):
    number = add_box(session, PROPOSED)
    hands.drag(number)
    assert hands.edits == []


def test_a_box_dragged_over_the_edge_is_clipped_and_its_node_follows(session, hands):
    number = add_box(session, PROPOSED)
    hands.drag(number, shift_mm=15.0)  # towards x = 0: the volume's i axis points to negative R
    assert session.state.box(number).x0 == 0
    assert hands.views.corners(number)[1] == pytest.approx(session.state.box(number).xyxy, abs=1e-3)


def test_deleting_a_node_deletes_its_box(scene, session, hands):
    number, other = add(session, PROPOSED, OWN)
    scene.RemoveNode(hands.views.node(number))
    assert hands.removed == [number]
    assert [row.id for row in session.state.boxes] == [other]


def test_nodes_of_deleted_boxes_are_used_again(scene, session, hands):
    numbers = add(session, PROPOSED, OWN)
    made = scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode")
    remove_box(session, numbers[0])
    hidden = [node for node in nodes_by_class(scene, "vtkMRMLMarkupsROINode") if not node.GetDisplayNode().GetVisibility()]
    assert len(hidden) == 1
    again = add_box(session, replace(PROPOSED, slice=4))
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == made
    assert hands.views.corners(again)[0] == 4


def test_other_rois_in_the_scene_are_left_alone(scene, session, hands):
    own = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "mine")
    own.SetSize(1, 2, 3)
    add_box(session, PROPOSED)
    remove_box(session, session.state.boxes[0].id)
    scene.RemoveNode(own)
    assert hands.removed == []


def test_boxes_follow_the_volume_when_it_is_moved(scene, volume, session, hands):
    number = add_box(session, PROPOSED)
    before = np.array(hands.views.node(number).GetCenterWorld())
    matrix = np.eye(4)
    matrix[:3, 3] = [10, -20, 5]
    volume.SetAndObserveTransformNodeID(add_transform(scene, matrix).GetID())
    assert np.array(hands.views.node(number).GetCenterWorld()) - before == pytest.approx([10, -20, 5])
    assert session.state.box(number) == PROPOSED


def counted(node, event=None) -> list[str]:
    """A list that gets longer with each modification of a node."""
    events: list[str] = []
    node.AddObserver(vtk.vtkCommand.ModifiedEvent if event is None else event, lambda _caller, name: events.append(name))
    return events


def test_moving_one_of_nine_boxes_is_one_update_of_its_node_and_none_of_another(session, hands):
    numbers = add(session, *(replace(PROPOSED, slice=k % 6, x0=4.0 + k) for k in range(9)))
    nodes = [hands.views.node(number) for number in numbers]
    moved, displays, boxes = (
        [counted(n) for n in nodes],
        [counted(n.GetDisplayNode()) for n in nodes],
        counted(session.nodes.boxes.node),
    )
    update_box(session, numbers[3], x1=24.0)
    assert [len(events) for events in moved] == [0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert [bool(events) for number, events in enumerate(displays) if number != 3] == [False] * 8
    assert len(boxes) == 1
    displays[3].clear()
    update_box(session, numbers[3], state=BoxState.ACCEPTED)
    assert len(moved[3]) == 1  # a color is none of the node's business
    assert [len(events) for events in displays] == [0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_a_box_that_was_dragged_into_place_is_not_placed_again(session, hands):
    number = add_box(session, PROPOSED)
    hands.drag(number, size_mm=(24.0, 12.0, 8.0))
    events = counted(hands.views.node(number))
    update_box(session, number, label="scar", state=BoxState.ACCEPTED)
    hands.views.refresh()
    assert events == []
    before = session.state.box(number)
    hands.drag(number, size_mm=(27.0, 12.0, 8.0))
    assert session.state.box(number) != before
    assert len(events) == 1  # the reader's own


@pytest.fixture
def follower(scene, geometry, hands):
    made: list[DisplayedSlice] = []
    made.append(DisplayedSlice(scene, geometry, lambda k: None, lambda: made and hands.views.show_in(made[0].along)))
    hands.views.show_in(made[0].along)
    yield made[0]
    made[0].stop()


def views_of(hands, number) -> set[str]:
    """Where a box is shown: names of the views; empty if it is hidden."""
    display = hands.views.node(number).GetDisplayNode()
    names = {"Red", "Yellow", "Green"}
    return {name for name in names if display.GetVisibility() and display.IsDisplayableInView(f"vtkMRMLSliceNode{name}")}


def test_boxes_are_shown_in_views_along_the_slices_alone_however_these_are_turned(scene, session, hands, follower):
    number = add_box(session, PROPOSED)
    red, green = (scene.GetNodeByID(f"vtkMRMLSliceNode{name}") for name in ("Red", "Green"))
    assert views_of(hands, number) == {"Red"}
    assert not hands.views.node(number).GetDisplayNode().IsDisplayableInView("vtkMRMLViewNode1")
    green.SetOrientation("Axial")
    assert views_of(hands, number) == {"Red", "Green"}
    red.SetOrientation("Sagittal")
    assert views_of(hands, number) == {"Green"}
    green.SetOrientation("Coronal")
    assert views_of(hands, number) == set()
    late = add_box(session, OWN)
    assert views_of(hands, late) == set()
    red.SetOrientation("Axial")
    assert views_of(hands, number) == views_of(hands, late) == {"Red"}
    hands.views.set_visible(False)
    assert views_of(hands, number) == set()


def test_a_view_that_another_layout_brings_shows_boxes_if_it_lies_along_the_slices(scene, session, hands, follower):
    number = add_box(session, PROPOSED)
    node = scene.CreateNodeByClass("vtkMRMLSliceNode")
    node.UnRegister(None)
    node.SetName("Compare1")
    node.SetLayoutName("Compare1")
    node = scene.AddNode(node)
    node.SetOrientation("Axial")
    assert hands.views.node(number).GetDisplayNode().IsDisplayableInView(node.GetID())


def test_closing_the_scene_is_no_edit(scene, session, hands):
    add_box(session, PROPOSED)
    scene.Clear(0)
    assert hands.removed == []
    assert hands.edits == []


@pytest.fixture
def points(volume, geometry) -> PointLists:
    return PointLists(volume, geometry)


def test_a_placed_point_is_put_onto_its_slice(points, geometry):
    points.write([Point(2, 5, 5)])
    node = points.node(True)
    node.RemoveAllControlPoints()
    told = []
    points.changed.connect(lambda: told.append(points.read()))
    ras = geometry.to_world(np.array([[12.5, 7.5, 2.3]]))[0]
    node.AddControlPointWorld(vtk.vtkVector3d(*ras))
    (point,) = told[-1]
    assert (point.slice, point.positive) == (2, True)
    world = [0.0, 0.0, 0.0]
    node.GetNthControlPointPositionWorld(0, world)
    assert geometry.from_world(np.array([world]))[0] == pytest.approx([12.5, 7.5, 2.0], abs=1e-3)


def test_a_point_removed_by_the_user_is_told(points):
    points.write([Point(2, 5, 5)])
    told = []
    points.changed.connect(lambda: told.append(points.read()))
    points.node(True).RemoveNthControlPoint(0)
    assert told[-1] == []


def test_writing_points_to_a_volume_that_has_none_makes_no_nodes(scene, points):
    points.write([])
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 0


def test_slices_of_a_transposed_volume_are_counted_in_the_study(scene):
    node = add_volume(scene, np.random.default_rng(0).normal(size=(30, 6, 40)), np.diag([1.5, 9.0, 1.25, 1.0]))
    study = study_of(node)
    session = StudySession.open(node)
    assert session.geometry.shape == study.voxels.shape
    number = add_box(session, replace(PROPOSED, slice=5))
    views = Hands(session).views
    assert views.corners(number) == (5, pytest.approx(PROPOSED.xyxy, abs=1e-3))
