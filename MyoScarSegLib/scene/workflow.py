"""What the panel does, without the panel: one study at a time, from its volume to its scar.

Nothing here blocks. Slow work goes to the engine, whose answers arrive when :meth:`Workflow.pump` is called (by a timer in the
application, by a loop in a script); every answer is checked against what the scene has become meanwhile, and one that comes
too late is dropped. What the user cannot do gives a sentence, :attr:`Workflow.error`, and leaves the scene as it was.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from MyoScarSegLib.engine.client import Engine, EngineSettings
from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.quantification.burden import ScarBurden
from MyoScarSegLib.scene.actions import CANCELLED, DONE, FAILED, Action
from MyoScarSegLib.scene.following import SliceFollower, nearest_first
from MyoScarSegLib.scene.guidance import Situation, next_step
from MyoScarSegLib.scene.live import LiveEdits, SlicePrompts, prompts_by_slice
from MyoScarSegLib.scene.session import StudySession, sessions
from MyoScarSegLib.scene.text import _, slice_list
from MyoScarSegLib.scene.volumes import describe, likely_lge
from MyoScarSegLib.scene.watching import SceneWatcher, VolumeWatcher

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Change(str, Enum):
    """What ``on_changed`` callbacks are told has changed."""

    VOLUME = "volume"  # another study, or none: show everything anew
    BOXES = "boxes"
    POINTS = "points"
    MASK = "mask"  # also the numbers
    SETTINGS = "settings"  # threshold, growth
    HISTORY = "history"  # what undo and redo would do
    SLICE = "slice"  # the displayed slice
    ENCODED = "encoded"  # background encoding went on
    PROGRESS = "progress"
    STATUS = "status"  # status, error, note, busy
    ENGINE = "engine"


class Workflow:
    """The study in hand, and everything that can be done with it.

    Attributes:
        live: whether an edit of a box or point segments its slice again at once.
        error: sentence on what went wrong last, empty once something else was done.
        note: sentence on what the last action left out (slices kept because the user painted in them, failed ones, ...).
        session: of the chosen volume; None without one. Ask it for boxes, points, segmentation, numbers; change it through
            the workflow, so that errors become sentences.
    """

    def __init__(self, scene: Any, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            scene: the MRML scene.
            engine: started when it is first needed.
            clock: seconds, for the latencies.
        """
        self.scene = scene
        self.engine = engine
        self.live = True
        self.error = ""
        self.note = ""
        self.session: StudySession | None = None
        self.settings = EngineSettings()
        self._clock = clock
        self._callbacks: list[Callable[[Change], None]] = []
        self._edits = LiveEdits(clock)
        self._action: Action | None = None
        self._request: Any = None  # of the action
        self._encoding: Any = None
        self._live_request: Any = None
        self._key = ""
        self._studies = 0
        self._follower: SliceFollower | None = None
        self._volume_watcher: VolumeWatcher | None = None
        self._unobserve: list[Callable[[], None]] = []
        self._own_change = 0
        self._deferred: list[Callable[[], None]] = []
        self._pumping = False
        self._burden: ScarBurden | None = None
        self._proposed = False
        self._watcher = SceneWatcher(
            scene, removed=self._on_removed, closing=self._on_closing, closed=self._on_closed, imported=self._on_imported
        )
        self._engine_observed = engine.on_state(self._on_engine_state)

    # ------------------------------------------------------------------ telling

    def on_changed(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``callback(what)`` after every change; it must be quick. Returns the function that ends this."""
        self._callbacks.append(callback)

        def remove() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return remove

    def pump(self) -> None:
        """Take in what the engine has answered, and what the scene's events asked for. Call it every 10 to 50 ms.

        It may be called from within itself (an application's ``processEvents`` does that), which does nothing.
        """
        if self._pumping:
            return
        self._pumping = True
        try:
            self.engine.pump()
            deferred, self._deferred = self._deferred, []
            for work in deferred:
                work()
        finally:
            self._pumping = False

    def close(self) -> None:
        """Let go of scene and engine: cancel what runs, stop watching. The scene stays as it is."""
        self._leave(_("The module was closed."))
        self._watcher.stop()
        self._callbacks.clear()

    # ------------------------------------------------------------------ state

    @property
    def volume_node(self) -> Any:
        """The chosen volume node, None without a usable one."""
        return None if self.session is None else self.session.volume_node

    @property
    def busy(self) -> str:
        """``"propose"``, ``"segment"``, ``"process"``, or empty. Live edits and background encoding do not count."""
        return "" if self._action is None else self._action.name

    @property
    def progress(self) -> tuple[int, int, str, float | None]:
        """``(done, total, message, seconds left)`` of the running action; zeros without one."""
        if self._request is None:
            return 0, 0, "", None
        done, total, message, left = self._request.progress
        return done, total, message, left

    @property
    def encoding(self) -> tuple[int, int]:
        """``(done, total)`` slices of the study that were encoded in the background."""
        if self._encoding is None:
            return 0, 0
        if self._encoding.state == "done":
            return self.session.study.slices if self.session else 0, self.session.study.slices if self.session else 0
        done, total, _message, _left = self._encoding.progress
        return done, total

    @property
    def displayed_slice(self) -> int | None:
        """The slice of the study that a slice view shows, None if none does."""
        return None if self._follower is None else self._follower.displayed

    @property
    def facts(self) -> str:
        """One line on the study: slices, spacing, gap, PSIR or magnitude. Empty without one."""
        return "" if self.session is None else describe(self.session.study)

    @property
    def status(self) -> str:
        """What to do next."""
        return next_step(self._situation())

    @property
    def behind(self) -> list[int]:
        """Slices whose mask does not yet answer to their boxes and points."""
        return list(self._edits.behind)

    @property
    def latencies_ms(self) -> list[float]:
        """Milliseconds from edits to their masks in the scene, the latest 200."""
        return self._edits.latencies_ms

    @property
    def burden(self) -> ScarBurden | None:
        """Area, volume and mass of the scar segment as it is now, None without a study."""
        if self.session is None:
            return None
        if self._burden is None:
            self._burden = self.session.burden()
        return self._burden

    def why_not(self, action: str) -> str:
        """Why ``"propose"``, ``"segment"``, ``"segment_slice"``, ``"edit"``, ``"undo"``, ``"redo"`` or ``"cancel"`` is not
        possible now, as a sentence for a tooltip; empty if it is."""
        if action == "cancel":
            return "" if self._action is not None else _("Nothing is running.")
        if self.session is None:
            return _("Choose an LGE volume first.")
        if action in ("propose", "segment", "segment_slice", "process") and self._action is not None:
            return _("Wait until the running step has ended, or cancel it.")
        if action == "segment" and not any(p.ask for p in self._edits.prompts().values()) and not self._segmented():
            return _("There is no box and no + point yet: propose boxes, or draw one.")
        if action == "segment_slice" and self.displayed_slice is None:
            return _("No slice view shows a slice of this volume.")
        if action == "undo" and not self.session.history.can_undo:
            return _("There is nothing to undo.")
        if action == "redo" and not self.session.history.can_redo:
            return _("There is nothing to redo.")
        return ""

    # ------------------------------------------------------------------ choosing a study

    def select(self, volume_node: Any) -> bool:
        """Choose the volume to work on, or None; what was begun on another is cancelled, its nodes stay in the scene.

        The study's nodes are found if the scene has them. Its slices are encoded in the background from now on, the displayed
        one first.

        Returns:
            Whether there is a study now; if not, :attr:`error` says why the volume is none.
        """
        if self.session is not None and volume_node is not None and volume_node is self.session.volume_node:
            return True
        self._leave(_("Another volume was chosen."))
        self._begin_step()
        if volume_node is None:
            self._tell(Change.VOLUME, Change.STATUS)
            return False
        return self._enter(volume_node)

    def select_likely(self) -> str:
        """Choose the volume that looks most like an LGE stack. Returns why it was chosen; empty if there is none."""
        found = likely_lge(self.scene)
        if found is None:
            return ""
        node, reason = found
        return reason if self.select(node) else ""

    def use_segmentation(self, segmentation_node: Any) -> bool:
        """Put the scar of the study into this segmentation node from now on; its other segments stay."""
        return self._restore(lambda session: session.use_segmentation(segmentation_node))

    def configure(self, settings: EngineSettings) -> None:
        """Use other models, device or confidence from now on; the slices are encoded again where that matters."""
        self.settings = settings
        self.engine.configure(settings)
        if self.session is not None:
            self._encode()

    # ------------------------------------------------------------------ slow work

    def propose(self) -> Action:
        """Propose boxes on all slices. They replace earlier proposals; accepted, rejected and the user's own boxes stay.

        Result: the number of boxes proposed.
        """
        action = self._start("propose", "propose")
        if not action.finished:
            self._request = self.engine.propose(self._key)
            self._follow(self._request, lambda request: self._proposals_arrived(action, request))
        return action

    def segment(self, slices: Iterable[int] | None = None, *, overwrite_edited: bool = False) -> Action:
        """Segment scar on these slices, on all if None, with the boxes and points they have now.

        A slice without prompts loses what the model wrote there before. Slices in which the user painted are kept, unless
        ``overwrite_edited``. Slices whose prompts change while this runs are left to live editing.

        Result: the slices that were kept because they are hand-edited.
        """
        action = self._start("segment", "segment")
        if not action.finished:
            self._segment_for(action, slices, overwrite_edited)
        return action

    def process(self) -> Action:
        """:meth:`propose`, then :meth:`segment` on all slices, as one action with one cancel. Result as of segment."""
        action = self._start("process", "propose")
        if not action.finished:
            self._request = self.engine.propose(self._key)
            self._follow(self._request, lambda request: self._proposals_arrived(action, request, then_segment=True))
        return action

    def cancel(self) -> None:
        """Cancel the running action; nothing of it comes into the scene. The action ends at once, the engine within a second."""
        if self._action is not None:
            self._abandon(_("Cancelled."))
            self._tell(Change.PROGRESS, Change.STATUS)

    def export(self, folder: Path) -> list[Path]:
        """Write the results of all studies in the scene; see :func:`~MyoScarSegLib.scene.export.export_sessions`.

        Unlike the other methods this raises: a script and the panel both want to know what was written.

        Raises:
            MyoScarSegError: nothing was segmented yet, or the folder cannot be written.
        """
        from MyoScarSegLib.scene.export import export_sessions

        return export_sessions(sessions(self.scene), folder)

    # ------------------------------------------------------------------ quick edits, one undo entry each

    def add_box(self, box: Box) -> int | None:
        """Add a box of the user. Returns its id, None if it cannot be added (see :attr:`error`)."""
        return self._edit(lambda session: session.add_box(box))

    def update_box(self, box_id: int, **changes: Any) -> bool:
        """Move, resize or relabel a box (fields of :class:`~MyoScarSegLib.prompts.Box`)."""
        return self._edit(lambda session: (session.update_box(box_id, **changes), True)[1]) or False

    def remove_box(self, box_id: int) -> bool:
        """Delete a box."""
        return self._edit(lambda session: (session.remove_box(box_id), True)[1]) or False

    def set_box_state(self, box_id: int, state: BoxState) -> bool:
        """Accept or reject a box, or make it a proposal again."""
        return self._edit(lambda session: (session.set_box_state(box_id, state), True)[1]) or False

    def copy_box_to_next(self, box_id: int) -> int | None:
        """Copy a box to the next slice. Returns the copy's id."""
        return self._edit(lambda session: session.copy_box_to_next(box_id))

    def nudge_box(self, box_id: int, dx: float, dy: float) -> bool:
        """Move a box by pixels."""

        def nudge(session: StudySession) -> bool:
            box = session.boxes.box(box_id)
            session.update_box(box_id, x0=box.x0 + dx, x1=box.x1 + dx, y0=box.y0 + dy, y1=box.y1 + dy)
            return True

        return self._edit(nudge) or False

    def add_point(self, point: Point) -> bool:
        """Add a + or - point."""
        return self._edit(lambda session: (session.add_point(point), True)[1]) or False

    def remove_last_point(self) -> bool:
        """Take the latest point away."""
        return self._edit(lambda session: (session.remove_last_point(), True)[1]) or False

    def set_threshold(self, threshold: float) -> bool:
        """Probability from which on a pixel counts as scar; applied to the kept probabilities at once."""
        return self._edit(lambda session: (session.set_threshold(threshold), True)[1], Change.SETTINGS) or False

    def set_growth_mm(self, growth_mm: float) -> bool:
        """Grow (or, below 0, shrink) the mask by millimetres in the slice; reversible."""
        return self._edit(lambda session: (session.set_growth_mm(growth_mm), True)[1], Change.SETTINGS) or False

    def clear(self) -> bool:
        """Take away boxes, points and the model's masks of the study; what the user painted stays."""
        return self._restore(lambda session: session.clear())

    def undo(self) -> bool:
        """Undo the last action; boxes, points, masks and settings go back together."""
        return self._restore(lambda session: session.undo())

    def redo(self) -> bool:
        """Do again what was undone."""
        return self._restore(lambda session: session.redo())

    # ------------------------------------------------------------------ a study comes and goes

    def _enter(self, volume_node: Any) -> bool:
        try:
            session = StudySession.open(volume_node)
        except MyoScarSegError as error:
            self._say(error=str(error))
            self._tell(Change.VOLUME, Change.STATUS)
            return False
        self.session = session
        self._studies += 1
        self._key = f"study-{self._studies}"
        self._burden = None
        self._proposed = bool(session.boxes.all_boxes())
        self._edits.accept(prompts_by_slice(*session.prompts()))
        self._volume_watcher = VolumeWatcher(volume_node, lambda: self._defer(self._volume_changed))
        self._follower = SliceFollower(self.scene, session.geometry, self._on_displayed)
        self._unobserve = [
            session.boxes.observe(lambda *_: self._on_prompts(Change.BOXES)),
            session.points.observe(lambda *_: self._on_prompts(Change.POINTS)),
        ]
        self.engine.open_study(self._key, session.study)
        self._encode()
        self._tell(Change.VOLUME, Change.STATUS)
        return True

    def _leave(self, why: str) -> None:
        """Let go of the study in hand; its nodes stay."""
        self._abandon(why)
        if self.session is None:
            return
        for request in (self._encoding, self._live_request):
            if request is not None:
                request.cancel()
        self._encoding = self._live_request = None
        for remove in self._unobserve:
            remove()
        self._unobserve = []
        for watcher in (self._follower, self._volume_watcher):
            if watcher is not None:
                watcher.stop()
        self._follower = self._volume_watcher = None
        self.session, session = None, self.session
        session.close()
        self.engine.close_study(self._key)
        self._key = ""
        self._burden = None
        self._edits.accept({})

    def _abandon(self, why: str) -> None:
        """End the running action, whose answer will not be wanted any more."""
        action, request = self._action, self._request
        self._action = self._request = None
        if request is not None:
            request.cancel()
        if action is not None:
            action.end(CANCELLED, error=why)

    def _encode(self) -> None:
        session = self.session
        assert session is not None  # noqa: S101 (called with a study in hand)
        if self._encoding is not None:
            self._encoding.cancel()
        slices = session.study.slices
        displayed = self.displayed_slice
        request = self.engine.encode(self._key, nearest_first(slices // 2 if displayed is None else displayed, slices))
        self._encoding = request
        request.on_progress(lambda *_: self._tell(Change.ENCODED))
        self._follow(request, lambda request: self._tell(Change.ENCODED))

    # ------------------------------------------------------------------ actions

    def _start(self, name: str, needs: str) -> Action:
        """A new action in hand; an ended one, with the sentence said, if it is not possible now."""
        action = Action(name)
        refusal = self.why_not(needs)
        self._begin_step()
        if refusal:
            self._say(error=refusal)
            action.end(FAILED, error=refusal)
            return action
        self._action = action
        self._tell(Change.PROGRESS, Change.STATUS)
        return action

    def _finish(self, action: Action, state: str, *, result: Any = None, error: str = "") -> None:
        if self._action is action:
            self._action = self._request = None
        self._say(error=error)
        self._tell(Change.PROGRESS, Change.STATUS)
        action.end(state, result=result, error=error)
        self._segment_behind()

    def _proposals_arrived(self, action: Action, request: Any, then_segment: bool = False) -> None:
        if not self._answers(action, request):
            return
        found = request.result
        if found["cancelled"]:
            self._finish(action, CANCELLED, error=_("Cancelled."))
            return
        try:
            self._own(lambda session: session.apply_proposals(found["boxes"], found["provenance"]))
        except MyoScarSegError as error:
            self._finish(action, FAILED, error=str(error))
            return
        self._proposed = True
        self.note = _failures(found["failed"])
        self._tell(Change.BOXES, Change.HISTORY)
        if not then_segment:
            self._finish(action, DONE, result=len(found["boxes"]))
        else:
            self._segment_for(action, None, overwrite_edited=False)

    def _segment_for(self, action: Action, slices: Iterable[int] | None, overwrite_edited: bool) -> None:
        assert self.session is not None  # noqa: S101 (the action was started)
        study = self.session.study
        wanted = set(range(study.slices)) if slices is None else {int(k) for k in slices}
        outside = sorted(k for k in wanted if not 0 <= k < study.slices)
        if outside:
            self._finish(
                action, FAILED, error=_("The study has slices 0 to {last}, not {slices}.").format(
                    last=study.slices - 1, slices=slice_list(outside)
                ),
            )  # fmt: skip
            return
        made_with = {k: self._edits.of(k) for k in wanted}
        prompted = sorted(k for k in wanted if made_with[k].ask)
        boxes, points = self.session.prompts(prompted)
        self._request = self.engine.segment(self._key, boxes, points, slices=prompted)
        self._follow(self._request, lambda request: self._masks_arrived(action, request, made_with, overwrite_edited))

    def _masks_arrived(self, action: Action, request: Any, made_with: dict[int, SlicePrompts], overwrite_edited: bool) -> None:
        if not self._answers(action, request):
            return
        try:
            kept = self._apply(request.result, made_with, overwrite_edited, same_step=action.name == "process")
        except MyoScarSegError as error:
            self._finish(action, FAILED, error=str(error))
            return
        failed = _failures(request.result.failed)
        self.note = " ".join(part for part in (self.note if action.name == "process" else "", failed, _kept(kept)) if part)
        self._finish(action, DONE, result=kept)

    def _apply(
        self, masks: Any, made_with: dict[int, SlicePrompts], overwrite_edited: bool = False, same_step: bool = False
    ) -> list[int]:
        """Write masks into the scene, of the slices whose prompts are still those they were made with. Returns those kept."""
        assert self.session is not None  # noqa: S101 (the caller checked)
        current = {k for k, prompts in made_with.items() if self._edits.of(k) == prompts}
        nothing = np.zeros(self.session.study.slice_shape, dtype=np.float32)
        segmented = self._segmented()
        wanted = {k: masks.probability[k] for k in current if k in masks.probability}
        wanted |= {k: nothing for k in current if not made_with[k].ask and k in segmented}
        kept = list(self._own(lambda session: session.apply_masks(
            masks.with_slices(wanted), masks.provenance, overwrite_edited=overwrite_edited, same_step=same_step
        )))  # fmt: skip
        for k in current:
            self._edits.done(k, made_with[k])
        self._tell(Change.MASK, Change.HISTORY, Change.STATUS)
        return kept

    def _answers(self, action: Action, request: Any) -> bool:
        """Whether a finished request is the running action's and went well; if it failed, the action is ended."""
        if self._action is not action or self._request is not request:
            return False
        if request.state == "cancelled":
            self._finish(action, CANCELLED, error=_("Cancelled."))
            return False
        if request.state != "done":
            self._finish(action, FAILED, error=request.error)
            return False
        return True

    def _follow(self, request: Any, done: Callable[[Any], None]) -> None:
        request.on_progress(lambda *_: self._tell(Change.PROGRESS))
        request.on_done(lambda *_: done(request))

    # ------------------------------------------------------------------ edits and their masks

    def _edit(self, operation: Callable[[StudySession], T], what: Change = Change.HISTORY) -> T | None:
        self._begin_step()
        if self.session is None:
            self._say(error=_("Choose an LGE volume first."))
            return None
        try:
            result = operation(self.session)
        except MyoScarSegError as error:
            self._say(error=str(error))
            return None
        if what is Change.SETTINGS:
            self._tell(Change.MASK)
        self._tell(what, Change.HISTORY, Change.STATUS)
        return result

    def _restore(self, operation: Callable[[StudySession], Any]) -> bool:
        """An operation that brings prompts and masks together, so that nothing is to be segmented."""
        self._begin_step()
        if self.session is None:
            self._say(error=_("Choose an LGE volume first."))
            return False
        try:
            self._own(operation)
        except MyoScarSegError as error:
            self._say(error=str(error))
            return False
        self._edits.accept(prompts_by_slice(*self.session.prompts()))
        self._tell(Change.BOXES, Change.POINTS, Change.MASK, Change.SETTINGS, Change.HISTORY, Change.STATUS)
        return True

    def _own(self, operation: Callable[[StudySession], T]) -> T:
        """Do what changes prompts without asking for new masks."""
        assert self.session is not None  # noqa: S101 (the caller checked)
        self._own_change += 1
        try:
            result = operation(self.session)
        finally:
            self._own_change -= 1
        self._burden = None
        return result

    def _on_prompts(self, what: Change) -> None:
        if self.session is None or self._own_change:
            return
        self._edits.note(prompts_by_slice(*self.session.prompts()), self._segmented())
        self._tell(what, Change.HISTORY, Change.STATUS)
        self._segment_behind()

    def _segment_behind(self) -> None:
        """Segment the slices that are behind, unless that is off or under way; the latest prompts win."""
        if not self.live or self.session is None or self._live_request is not None or self._action is not None:
            return
        made_with = self._edits.behind
        if not made_with:
            return
        asking = [k for k, prompts in made_with.items() if prompts.ask]
        boxes, points = self.session.prompts(asking)
        request = self._live_request = self.engine.segment(self._key, boxes, points, slices=asking)
        request.on_done(lambda *_: self._live_arrived(request, made_with))

    def _live_arrived(self, request: Any, made_with: dict[int, SlicePrompts]) -> None:
        if self._live_request is not request:
            return
        self._live_request = None
        if request.state == "done":
            try:
                self.note = _kept(self._apply(request.result, made_with, same_step=True))
            except MyoScarSegError as error:
                self._edits.give_up(made_with)
                self._say(error=str(error))
        else:
            self._edits.give_up(made_with)
            self._say(error=request.error)
        self._segment_behind()

    def _segmented(self) -> set[int]:
        return set() if self.session is None else set(self.session.probability.slices)

    # ------------------------------------------------------------------ the scene around

    def _on_removed(self, node: Any) -> None:
        session = self.session
        if session is None:
            return
        if node is session.volume_node:
            self._leave(_("The volume was deleted."))
            self._say(error=_("The volume was deleted. Choose another one."))
            self._tell(Change.VOLUME, Change.STATUS)
        elif session.owns(node):
            self._defer(self._reopen)

    def _reopen(self) -> None:
        """A node of the study was deleted: go on with what is left, and make anew what is missing."""
        session = self.session
        if session is not None:
            self._leave(_("A part of the study was deleted."))
            self._enter(session.volume_node)

    def _volume_changed(self) -> None:
        session = self.session
        if session is not None and not session.is_current():
            self._leave(_("The volume was changed."))
            self._begin_step()
            self._enter(session.volume_node)

    def _on_closing(self) -> None:
        self._leave(_("The scene was closed."))
        self._deferred.clear()

    def _on_closed(self) -> None:
        self._begin_step()
        self._tell(Change.VOLUME, Change.STATUS)

    def _on_imported(self) -> None:
        self._defer(self._continue_loaded)

    def _continue_loaded(self) -> None:
        """Take up the study of a scene that was loaded, if none is in hand."""
        if self.session is None:
            for volume_node in sessions(self.scene):
                if self.select(volume_node):
                    return

    def _on_displayed(self, k: int) -> None:
        self.engine.prefer(self._key, k)
        self._tell(Change.SLICE)

    def _on_engine_state(self, *_state: Any) -> None:
        self._tell(Change.ENGINE, Change.STATUS)

    def _defer(self, work: Callable[[], None]) -> None:
        if work not in self._deferred:
            self._deferred.append(work)

    # ------------------------------------------------------------------ sentences

    def _begin_step(self) -> None:
        self.error = self.note = ""

    def _say(self, *, error: str) -> None:
        self.error = error
        self._tell(Change.STATUS)

    def _tell(self, *changes: Change) -> None:
        for change in changes:
            if change is Change.MASK:
                self._burden = None
            for callback in list(self._callbacks):
                callback(change)

    def _situation(self) -> Situation:
        session = self.session
        if session is None:
            return Situation(engine=self.engine.state)
        boxes = [b for b in session.boxes.all_boxes() if b.state is not BoxState.REJECTED]
        burden = self.burden
        return Situation(
            volume=True,
            busy=self.busy,
            progress=self.progress[2],
            engine=self.engine.state,
            proposed=self._proposed,
            boxes=len(boxes),
            box_slices=len({b.slice for b in boxes}),
            to_review=sum(b.state is BoxState.PROPOSED and b.source != "user" for b in boxes),
            masks=len(self._segmented()),
            behind=tuple(self.behind),
            volume_ml=None if burden is None else burden.volume_ml,
            mass_g=None if burden is None else burden.mass_g,
            pixels=0 if burden is None else burden.pixels,
        )


def _failures(failed: dict[int, str]) -> str:
    return " ".join(_("Slice {slice}: {why}").format(slice=k, why=why) for k, why in sorted(failed.items()))


def _kept(slices: Sequence[int]) -> str:
    if not slices:
        return ""
    return _("Slices {slices} were kept as you painted them.").format(slices=slice_list(slices))
