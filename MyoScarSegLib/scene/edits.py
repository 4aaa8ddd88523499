"""What the user does to a study in an instant: boxes, points, settings, undo. Each is one undo entry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.scene.notices import Change, Notices
from MyoScarSegLib.scene.session import StudySession
from MyoScarSegLib.scene.study_work import StudyWork, kept_sentence

T = TypeVar("T")


class QuickEdits(ABC):
    """Edits of the study in hand. What cannot be done gives a sentence, and leaves the scene as it was."""

    _work: StudyWork | None
    _notices: Notices

    @abstractmethod
    def why_not(self, action: str) -> str:
        """Why something is not possible now, as a sentence; empty if it is."""

    def add_box(self, box: Box) -> int | None:
        """Add a box of the user. Returns its id, None if it cannot be added (:attr:`error` says why)."""
        return self._edit(lambda session: session.add_box(box))

    def update_box(self, box_id: int, **changes: Any) -> bool:
        """Move, resize or relabel a box (fields of :class:`~MyoScarSegLib.prompts.Box`)."""
        return self._do(lambda session: session.update_box(box_id, **changes))

    def nudge_box(self, box_id: int, dx: float, dy: float) -> bool:
        """Move a box by pixels."""

        def nudge(session: StudySession) -> None:
            box = session.boxes.box(box_id)
            session.update_box(box_id, x0=box.x0 + dx, x1=box.x1 + dx, y0=box.y0 + dy, y1=box.y1 + dy)

        return self._do(nudge)

    def remove_box(self, box_id: int) -> bool:
        """Delete a box."""
        return self._do(lambda session: session.remove_box(box_id))

    def set_box_state(self, box_id: int, state: BoxState) -> bool:
        """Accept or reject a box, or make it a proposal again."""
        return self._do(lambda session: session.set_box_state(box_id, state))

    def copy_box_to_next(self, box_id: int) -> int | None:
        """Copy a box to the next slice. Returns the copy's id."""
        return self._edit(lambda session: session.copy_box_to_next(box_id))

    def add_point(self, point: Point) -> bool:
        """Add a + or - point."""
        return self._do(lambda session: session.add_point(point))

    def remove_last_point(self) -> bool:
        """Take the latest point away."""
        return self._do(lambda session: session.remove_last_point())

    def set_threshold(self, threshold: float, *, same_step: bool = False) -> bool:
        """Probability from which on a pixel counts as scar; applied to the kept probabilities at once.

        ``same_step`` joins it to the latest action: all but the first value of a slider that is being dragged.
        """
        return self._set(lambda session: session.set_threshold(threshold, same_step), same_step)

    def set_growth_mm(self, growth_mm: float, *, same_step: bool = False) -> bool:
        """Grow (or, below 0, shrink) the mask by millimetres in the slice; reversible. As :meth:`set_threshold`."""
        return self._set(lambda session: session.set_growth_mm(growth_mm, same_step), same_step)

    def clear(self) -> bool:
        """Take away boxes, points and the model's masks of the study; what the user painted stays."""
        return self._restore(lambda session: session.clear())

    def undo(self) -> bool:
        """Undo the last action; boxes, points, masks and settings go back together."""
        return not self.why_not("undo") and self._restore(lambda session: session.undo())

    def redo(self) -> bool:
        """Do again what was undone."""
        return not self.why_not("redo") and self._restore(lambda session: session.redo())

    def _edit(self, operation: Callable[[StudySession], T]) -> T | None:
        self._notices.begin_step()
        if self._work is None:
            self._notices.say(error=self.why_not("edit"))
            return None
        try:
            result = operation(self._work.session)
        except MyoScarSegError as error:
            self._notices.say(error=str(error))
            return None
        self._notices.tell(Change.HISTORY, Change.STATUS)
        return result

    def _do(self, operation: Callable[[StudySession], Any]) -> bool:
        def done(session: StudySession) -> bool:
            operation(session)
            return True

        return self._edit(done) is True

    def _set(self, operation: Callable[[StudySession], Sequence[int]], same_step: bool) -> bool:
        """A setting that redraws the masks."""
        if same_step and self._work is not None:
            self._work.slide()
        kept = self._edit(operation)
        if kept is None or self._work is None:
            return False
        self._work.mask_changed()
        if same_step:
            self._work.slide()  # the time counts from now: in a large study a value takes a while
        self._notices.say(note=kept_sentence(kept))
        self._notices.tell(Change.SETTINGS)
        return True

    def _restore(self, operation: Callable[[StudySession], Any]) -> bool:
        """An operation that brings prompts and masks together, so that nothing is to be segmented."""
        work = self._work
        if work is None or not self._do(lambda session: work.restore(lambda: operation(session))):
            return False
        self._notices.tell(Change.BOXES, Change.POINTS, Change.SETTINGS, Change.STATUS)
        return True
