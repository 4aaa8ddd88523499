"""What the panel does, without the panel: one study at a time, from its volume to its scar.

Nothing here blocks. Slow work goes to the engine, whose answers arrive when :meth:`Workflow.pump` is called (by a timer in the
application, by a loop in a script); every answer is checked against what the scene has become meanwhile, and one that comes
too late is dropped. What the user cannot do gives a sentence, :attr:`Workflow.error`, and leaves the scene as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from MyoScarSegLib.engine.client import Engine, EngineSettings
from MyoScarSegLib.errors import MyoScarSegError, SceneError
from MyoScarSegLib.prompts import BoxState
from MyoScarSegLib.quantification.burden import ScarBurden
from MyoScarSegLib.scene.actions import FAILED, Action
from MyoScarSegLib.scene.box_views import BoxViews
from MyoScarSegLib.scene.edits import QuickEdits
from MyoScarSegLib.scene.following import SliceFollower
from MyoScarSegLib.scene.guidance import Situation, next_step
from MyoScarSegLib.scene.notices import Change, Notices
from MyoScarSegLib.scene.session import StudySession, sessions
from MyoScarSegLib.scene.study_work import StudyWork
from MyoScarSegLib.scene.text import _
from MyoScarSegLib.scene.volumes import describe, likely_lge
from MyoScarSegLib.scene.watching import SceneWatcher, VolumeWatcher

__all__ = ["Action", "Change", "Workflow"]

# A node for a box takes 60 ms in the application: one at a turn keeps it live, and a dozen boxes are there within a second.
_VIEWS_AT_ONCE_S = 0.02


class Workflow(QuickEdits):
    """The study in hand, and everything that can be done with it.

    Attributes:
        scene: the MRML scene.
        engine: that does the slow work.
        settings: models, device and confidence, as of :meth:`configure`.
        fit: whether a study's first proposals bring views and grey scale to the heart.
    """

    def __init__(self, scene: Any, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            scene: the MRML scene.
            engine: its caller starts and stops it.
            clock: seconds, for the latencies.
        """
        self.scene = scene
        self.engine = engine
        self.settings = EngineSettings()
        self.fit = True
        self._clock = clock
        self._notices = Notices()
        self._live = True
        self._waits = False
        self._work: StudyWork | None = None
        self._follower: SliceFollower | None = None
        self._volume_watcher: VolumeWatcher | None = None
        self._views: BoxViews | None = None
        self._sessions: dict[str, StudySession] = {}  # by id of the volume: undo survives a look at another study
        self._deferred: list[Callable[[], None]] = []
        self._pumping = False
        self._watcher = SceneWatcher(
            scene, removed=self._on_removed, closing=self._on_closing, closed=self._on_closed, imported=self._on_imported
        )
        engine.state_changed.connect(self._on_engine)

    def on_changed(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``callback(what)`` after every change; it must be quick. Returns the function that ends this."""
        return self._notices.on_changed(callback)

    def pump(self) -> bool:
        """Take in what the engine has answered, and what the scene's events asked for. Call it when :meth:`Engine.wake` tells.

        It may be called from within itself (an application's ``processEvents`` does that), which does nothing.

        Returns:
            Whether to call it again soon, in 10 to 50 ms; if not, there is nothing to do until the engine tells.
        """
        if self._pumping:
            return True
        self._pumping = True
        try:
            self.engine.pump()
            deferred, self._deferred = self._deferred, []
            for work in deferred:
                work()
            if self._work is not None:
                self._work.notice()
            if self._views is not None and self._views.pending:
                self._views.refresh()
        finally:
            self._pumping = False
        more = self._views is not None and self._views.pending
        if self._work is not None:
            more = self._work.sliding or self._work.touched or more
        return more or self.engine.busy or bool(self._deferred)

    def close(self) -> None:
        """Let go of scene and engine: cancel what runs, stop watching. The scene stays as it is."""
        self._leave(_("The module was closed."))
        self._forget_sessions()
        self._watcher.stop()
        self._notices.close()

    # What is

    @property
    def session(self) -> StudySession | None:
        """Of the chosen volume, None without one. Ask it for boxes, points, segmentation; change it through the workflow."""
        return None if self._work is None else self._work.session

    @property
    def views(self) -> BoxViews | None:
        """The study's boxes in the slice views, None without a study: to select, show and hide them."""
        return self._views

    @property
    def volume_node(self) -> Any:
        """The chosen volume node, None without a usable one."""
        return None if self._work is None else self._work.session.volume_node

    @property
    def error(self) -> str:
        """Sentence on what went wrong last; empty once something else was begun."""
        return self._notices.error

    @property
    def note(self) -> str:
        """Sentence on what the last step left out: slices kept because the user painted in them, slices that failed."""
        return self._notices.note

    @property
    def status(self) -> str:
        """Where the work stands, and what to do next."""
        return next_step(self._situation())

    @property
    def facts(self) -> str:
        """One line on the study: slices, spacing, gap, PSIR or magnitude. Empty without one."""
        return "" if self._work is None else describe(self._work.session.study)

    @property
    def busy(self) -> str:
        """``"propose"``, ``"segment"``, ``"process"``, or empty. Live edits and background encoding do not count."""
        return "" if self._work is None or self._work.action is None else self._work.action.name

    @property
    def progress(self) -> tuple[int, int, str, float | None]:
        """``(done, total, message, seconds left)`` of the running action; zeros without one."""
        if self._work is None or self._work.request is None:
            return 0, 0, "", None
        done, total, message, left = self._work.request.progress
        return done, total, message, left

    @property
    def encoded(self) -> tuple[int, int]:
        """``(done, total)`` slices of the study that the background encoding is through with."""
        if self._work is None or self._work.encoding is None:
            return 0, 0
        request, slices = self._work.encoding, self._work.session.study.slices
        return (slices if request.state == "done" else int(request.progress[0])), slices

    @property
    def displayed_slice(self) -> int | None:
        """The slice of the study that a slice view shows, None if none does."""
        return None if self._follower is None else self._follower.displayed

    @property
    def burden(self) -> ScarBurden | None:
        """Area, volume and mass of the scar segment as it is now, None without a study."""
        return None if self._work is None else self._work.burden

    @property
    def behind(self) -> list[int]:
        """Slices whose mask does not answer to their boxes and points any more."""
        return [] if self._work is None else self._work.edits.behind

    @property
    def waiting(self) -> list[int]:
        """Slices whose new mask is on its way after an edit, or will be once the running action has ended."""
        return [] if self._work is None else list(self._work.edits.waiting)

    @property
    def latencies_ms(self) -> list[float]:
        """Milliseconds from edits to their masks in the scene, the latest 200 of this study."""
        return [] if self._work is None else self._work.edits.latencies_ms

    @property
    def live(self) -> bool:
        """Whether an edit of a box or point segments its slice again at once."""
        return self._live

    @live.setter
    def live(self, on: bool) -> None:
        self._live = on
        if self._work is not None:
            self._work.live = on
            self._work.segment_behind()

    @property
    def waits(self) -> bool:
        """Whether nothing is begun that was not asked for: set it while the networks' packages are not installed yet."""
        return self._waits

    @waits.setter
    def waits(self, on: bool) -> None:
        if on == self._waits:
            return
        self._waits = on
        if self._work is not None:
            self._work.waits = on
            self._work.encode(self.displayed_slice)
            self._work.segment_behind()

    def why_not(self, action: str) -> str:
        """Why something is not possible now, as a sentence for a tooltip; empty if it is.

        Args:
            action: ``"propose"``, ``"segment"``, ``"segment_slice"``, ``"process"``, ``"edit"``, ``"undo"``, ``"redo"``,
                ``"clear"``, ``"export"`` or ``"cancel"``.
        """
        work = self._work
        if action == "cancel":
            return "" if self.busy else _("Nothing is running.")
        if work is None:
            return _("Choose an LGE volume first.")
        if action in ("propose", "segment", "segment_slice", "process") and work.action is not None:
            return _("Wait until the running step has ended, or cancel it.")
        if action == "segment" and not (work.edits.any_ask or work.segmented):
            return _("There is no box and no + point yet: propose boxes, or draw one.")
        if action == "segment_slice" and self.displayed_slice is None:
            return _("No slice view shows a slice of this volume.")
        if action == "undo" and not work.session.history.can_undo:
            return _("There is nothing to undo.")
        if action == "redo" and not work.session.history.can_redo:
            return _("There is nothing to redo.")
        if action == "export" and not work.session.segmented:
            return _("There is nothing to export yet: segment a study first.")
        return ""

    # Choosing a study

    def select(self, volume_node: Any) -> bool:
        """Choose the volume to work on, or None; what was begun on another is cancelled, its nodes stay in the scene.

        The study's nodes are found if the scene has them. Its slices are encoded in the background from now on, the displayed
        one first.

        Returns:
            Whether there is a study now; if not, :attr:`error` says what is wrong with the volume.
        """
        if volume_node is not None and volume_node is self.volume_node:
            return True
        self._leave(_("Another volume was chosen."), hide=True)
        self._notices.begin_step()
        found = volume_node is not None and self._enter(volume_node)
        self._notices.tell(Change.VOLUME, Change.STATUS)
        return found

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
        """Use other models, device or confidence from now on; the slices are encoded anew where that matters."""
        self.settings = settings
        self.engine.configure(settings)
        if self._work is not None:
            self._work.encode(self.displayed_slice)

    # Slow work

    def propose(self) -> Action:
        """Propose boxes on all slices. They replace earlier proposals; accepted, rejected and the user's own boxes stay.

        Result: the number of boxes proposed.
        """
        return self._start("propose", lambda work, action: work.propose(action, fit=self.fit))

    def segment(self, slices: Iterable[int] | None = None, *, overwrite_edited: bool = False) -> Action:
        """Segment scar on these slices, on all if None, with the boxes and points they have now.

        A slice without prompts loses what the model wrote there before. Slices in which the user painted are kept, unless
        ``overwrite_edited``. Slices whose prompts change while this runs are left to live editing.

        Result: the slices that were kept because they are hand-edited.
        """
        return self._start("segment", lambda work, action: work.segment(action, slices, overwrite_edited))

    def process(self) -> Action:
        """:meth:`propose`, then :meth:`segment` on all slices, as one action with one cancel. Result as of segment."""
        return self._start("process", lambda work, action: work.propose(action, then_segment=True, fit=self.fit))

    def forget_error(self) -> None:
        """What :attr:`error` said has been mended elsewhere."""
        self._notices.say(error="")

    def cancel(self) -> None:
        """Cancel the running action; nothing of it comes into the scene. It ends at once, the engine's work within a second."""
        if self._work is not None:
            self._work.abandon(_("Cancelled."))

    def export(self, folder: Path) -> list[Path]:
        """Write the results of all studies in the scene; see :func:`~MyoScarSegLib.scene.export.export_sessions`.

        Unlike the other methods this raises: a script and the panel both want to know what was written.

        Raises:
            MyoScarSegError: nothing was segmented yet, or the folder cannot be written.
        """
        from MyoScarSegLib.scene.export import export_sessions

        return export_sessions(sessions(self.scene), folder)

    def _start(self, name: str, begin: Callable[[StudyWork, Action], None]) -> Action:
        """A new action in hand; one that has failed, with the sentence said, if it is not possible now."""
        action = Action(name)
        refusal = self.why_not(name)
        self._notices.begin_step()
        if self._work is None or refusal:
            self._notices.say(error=refusal)
            action.end(FAILED, error=refusal, cause=SceneError(refusal))
            return action
        begin(self._work, action)
        return action

    # The scene around

    def _on_engine(self, state: str) -> None:
        if state == "restarting" and self.engine.error:
            self._notices.say(note=self.engine.error)
        self._notices.tell(Change.ENGINE, Change.STATUS)

    def _enter(self, volume_node: Any) -> bool:
        try:
            session = StudySession.open(volume_node)
            work = StudyWork(session, self.engine, self._notices, live=self._live, waits=self._waits, clock=self._clock)
        except MyoScarSegError as error:
            self._notices.say(error=str(error))
            return False
        self._sessions[volume_node.GetID()] = session
        self._notices.say(note=session.problem)
        self._work = work
        self._volume_watcher = VolumeWatcher(volume_node, lambda: self._defer(self._reread))
        self._follower = SliceFollower(self.scene, session.geometry, self._on_displayed, self._on_turned)
        self._views = BoxViews(
            session.boxes,
            session.geometry,
            on_edited=self._on_box_dragged,
            on_removed=self._on_box_removed,
            at_once_s=_VIEWS_AT_ONCE_S,
        )
        self._views.show_in(self._follower.along)
        session.take_up()
        self._work.encode(self.displayed_slice)
        return True

    def _leave(self, why: str, *, hide: bool = False) -> None:
        """Let go of the study in hand; its nodes stay, and its history until the volume goes.

        ``hide`` its prompts: over another volume, of the same patient perhaps, they would look like that one's.
        """
        work, self._work = self._work, None
        for watcher in (self._follower, self._volume_watcher):
            if watcher is not None:
                watcher.stop()
        if self._views is not None:
            self._views.close(hide=hide)
        if work is not None and hide:
            work.session.points.set_visible(False)
        self._follower = self._volume_watcher = self._views = None
        if work is not None:
            work.close(why)

    def _forget_sessions(self) -> None:
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    def _on_box_dragged(self, box_id: int, _k: int, corners: tuple[float, float, float, float]) -> None:
        self.update_box(box_id, **dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True)))

    def _on_box_removed(self, box_id: int) -> None:
        def remove() -> None:
            if self.session is not None and any(row.id == box_id for row in self.session.boxes.rows()):
                self.remove_box(box_id)

        self._defer(remove)

    def _on_removed(self, node: Any) -> None:
        session = self.session
        if session is not None and node is session.volume_node:
            self._leave(_("The volume was deleted."), hide=True)
            self._notices.say(error=_("The volume was deleted. Choose another one."))
            self._notices.tell(Change.VOLUME)
        elif session is not None and session.owns(node):
            self._defer(self._part_deleted)
        parked = self._sessions.pop(node.GetID() or "", None)
        if parked is not None:
            parked.close()

    def _part_deleted(self) -> None:
        """A node of the study was deleted: go on with what is left; what is missing is made anew when it is needed."""
        if self._work is not None:
            self._work.restore(self._work.session.refresh)
            if self._views is not None:
                self._views.refresh()  # a table that was deleted does not say so
            self._notices.tell(Change.BOXES, Change.POINTS, Change.HISTORY, Change.STATUS)

    def _reread(self) -> None:
        """The volume's voxels or its place changed; often neither did in truth."""
        if self.session is not None and not self.session.is_current():
            volume_node = self.session.volume_node
            self._leave(_("The volume was changed."))
            self._enter(volume_node)
            self._notices.tell(Change.VOLUME, Change.STATUS)

    def _on_closing(self) -> None:
        self._leave(_("The scene was closed."))
        self._forget_sessions()
        self._deferred.clear()

    def _on_closed(self) -> None:
        self._notices.begin_step()
        self._notices.tell(Change.VOLUME, Change.STATUS)

    def _on_imported(self) -> None:
        self._defer(self._continue_loaded)

    def _continue_loaded(self) -> None:
        """Take up the study of a scene that was loaded which was in hand last, if none is now."""
        if self._work is not None:
            self._work.session.take_up()  # what came with the scene is hidden beside it
            self._work.look()
            return
        for session in sorted(sessions(self.scene), key=lambda session: -session.turn):
            if self.select(session.volume_node):
                return

    def _on_displayed(self, k: int) -> None:
        if self._work is not None:
            self.engine.prefer(self._work.session.study, k)
        self._notices.tell(Change.SLICE)

    def _on_turned(self) -> None:
        if self._views is not None and self._follower is not None:
            self._views.show_in(self._follower.along)

    def _defer(self, work: Callable[[], None]) -> None:
        if work not in self._deferred:
            self._deferred.append(work)
        self.engine.wake()

    def _situation(self) -> Situation:
        work = self._work
        if work is None:
            return Situation(engine=self.engine.state)
        boxes = [box for box in work.session.boxes.all_boxes() if box.state is not BoxState.REJECTED]
        burden = work.burden
        return Situation(
            volume=True,
            busy=self.busy,
            progress=self.progress[2],
            engine=self.engine.state,
            proposed=work.session.proposed,
            boxes=len(boxes),
            box_slices=len({box.slice for box in boxes}),
            to_review=sum(box.state is BoxState.PROPOSED and not box.by_reader for box in boxes),
            masks=len(work.segmented),
            behind=tuple(work.edits.behind),
            volume_ml=burden.volume_ml,
            mass_g=burden.mass_g,
            pixels=burden.pixels,
        )
