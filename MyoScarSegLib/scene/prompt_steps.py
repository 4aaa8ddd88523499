"""What a reader can do with a study's boxes and points: each is one undo entry, and its slice asks for a new mask."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import PromptError, SceneError
from MyoScarSegLib.prompts import Box, BoxState, Point, check_box, check_point, set_by_reader
from MyoScarSegLib.scene.study_state import BoxRow, same_place
from MyoScarSegLib.scene.translation import _

if TYPE_CHECKING:
    from MyoScarSegLib.scene.study_session import StudySession


def add_box(session: StudySession, box: Box) -> int:
    """Add a box, clipped to the image; returns its id. Raises PromptError if it is empty or outside the image."""
    with session.step(_("Add a box")):
        row = BoxRow(session.nodes.boxes.next_id, check_box(box, session.geometry.shape))
        session.become(replace(session.state, boxes=(*session.state.boxes, row)))
    return row.id


def update_box(session: StudySession, box_id: int, **changes: Any) -> Box:
    """Change fields of a box, its state too; one that is moved or resized is the reader's from then on.

    Returns it as it is now, clipped to the image; raises PromptError as :func:`add_box` and :meth:`StudyState.box`.
    """
    labels = {BoxState.ACCEPTED: _("Accept a box"), BoxState.REJECTED: _("Reject a box")}
    with session.step(labels.get(changes.get("state", BoxState.PROPOSED), _("Change a box"))):
        before = session.state.box(box_id)
        box = check_box(replace(before, **changes), session.geometry.shape)
        if box.place != before.place:
            box = set_by_reader(box)
        rows = tuple(replace(row, box=box) if row.id == box_id else row for row in session.state.boxes)
        session.become(replace(session.state, boxes=rows))
    return box


def nudge_box(session: StudySession, box_id: int, dx: float, dy: float) -> Box:
    """Move a box by pixels; as :func:`update_box`."""
    box = session.state.box(box_id)
    return update_box(session, box_id, x0=box.x0 + dx, x1=box.x1 + dx, y0=box.y0 + dy, y1=box.y1 + dy)


def remove_box(session: StudySession, box_id: int) -> Box:
    """Delete a box; returns it."""
    with session.step(_("Delete a box")):
        box = session.state.box(box_id)
        session.become(replace(session.state, boxes=tuple(row for row in session.state.boxes if row.id != box_id)))
    return box


def copy_box_to_next(session: StudySession, box_id: int) -> int:
    """Copy a box to the next slice, as the user's own. Returns the copy's id. Raises PromptError if there is no next one."""
    with session.step(_("Copy a box")):
        box = session.state.box(box_id)
        if box.slice + 1 >= session.study.slices:
            raise PromptError(_("Slice {slice} is the last one; there is none to copy the box to.").format(slice=box.slice))
        return add_box(session, replace(set_by_reader(box, slice=box.slice + 1), state=BoxState.ACCEPTED))


def add_point(session: StudySession, *points: Point) -> Point:
    """Add a + or - point, or those of a scribble as one step; returns the last. Raises PromptError outside the image."""
    with session.step(_("Add a + point") if points[-1].positive else _("Add a - point")):
        checked = [check_point(point, session.geometry.shape) for point in points]
        session.become(replace(session.state, points=(*session.state.points, *checked)))
    return checked[-1]


def remove_point(session: StudySession, point: Point | None = None) -> Point:
    """Take a point away, the one that was placed last if None; returns it. Raises SceneError if it is not there."""
    with session.step(_("Remove a point")):
        near = [p for p in session.state.points if point is None or same_place(p, point)]
        if not near:
            raise SceneError(_("There is no point to remove."))
        session.become(replace(session.state, points=tuple(p for p in session.state.points if p is not near[-1])))
    return near[-1]
