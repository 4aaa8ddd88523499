"""What becomes of a study's boxes and points, by the reader or by what models propose. Each is one undo entry; after a reader's
the slice asks for a new mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import PromptError, SceneError
from MyoScarSegLib.prompts import Box, BoxState, Point, check_box, check_point, set_by_reader
from MyoScarSegLib.scene.study_state import BoxRow, same_place
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.scene.view_settings import current_view, fit_to_heart

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


def apply_proposals(
    session: StudySession,
    boxes: Iterable[Box],
    provenance: Mapping[str, str] | None = None,
    *,
    heart: tuple[float, float] | None = None,
    fit: bool = False,
) -> None:
    """Put proposed boxes in place of earlier proposals; accepted, rejected and the user's own boxes stay.

    With ``fit`` views and gray scale show the heart, of which ``heart`` is the middle ``(x, y)`` if it is known, if these are the
    study's first proposals: later the reader may have chosen others. Undone with the proposals.
    """
    found = [check_box(box, session.geometry.shape) for box in boxes]
    fit = fit and not session.state.proposals
    if fit:
        session.state = replace(session.state, view=current_view(session.volume_node))  # what undo goes back to
    with session.step(_("Propose boxes"), segment=False):
        proposed = session.state.with_proposals(found, session.nodes.boxes.next_id)
        session.become(replace(proposed, proposals=dict(provenance or {})))
        if fit:
            view = fit_to_heart(session.volume_node, session.geometry, session.study.voxels, found, heart)
            session.state = replace(session.state, view=view)


def apply_suggestions(session: StudySession, boxes: Iterable[Box], provenance: Mapping[str, str]) -> list[int]:
    """Add boxes that were suggested on neighbors, as an offer: nothing that exists changes, and none is segmented before it is
    accepted, moved or resized (:attr:`Box.counts <MyoScarSegLib.prompts.Box.counts>`).

    Returns:
        The slice of each box that was added; those that overlap a box that is there were not.
    """
    found = [check_box(box, session.geometry.shape) for box in boxes]
    with session.step(_("Suggest boxes"), segment=False):
        before = len(session.state.boxes)
        session.become(session.state.with_suggestions(found, provenance, session.nodes.boxes.next_id))
        added = session.state.boxes[before:]
    return sorted(row.box.slice for row in added)
