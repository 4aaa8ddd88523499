"""Which study is in hand, and how its session lives with the scene, the slice views and the engine.

Nothing here blocks. Slow work goes to the engine, whose answers arrive when :meth:`Workflow.pump` is called (by a timer in the
application, by a loop in a script). What is done with a study is done by its session, :attr:`Workflow.session`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import slicer

from MyoScarSegLib.engine.client import Engine, EngineSettings
from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.scene.attributes import volumes_with
from MyoScarSegLib.scene.box_views import BoxViews
from MyoScarSegLib.scene.displayed_slice import DisplayedSlice
from MyoScarSegLib.scene.engine_requests import Automatic, EngineRequests
from MyoScarSegLib.scene.guidance import next_step, why_not
from MyoScarSegLib.scene.lge_volumes import describe, images_in, likely_lge
from MyoScarSegLib.scene.notices import Change, Notices
from MyoScarSegLib.scene.observers import Observers
from MyoScarSegLib.scene.prompt_steps import remove_box, update_box
from MyoScarSegLib.scene.saved_study import ROLE_STUDY, StudyRecord
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.utils.signal import Signal
from MyoScarSegLib.utils.task import TaskProgress

P = ParamSpec("P")
T = TypeVar("T")
# A node for a box takes 60 ms in the application: one at a turn keeps it live, and a dozen boxes are there within a second.
_VIEWS_AT_ONCE_S = 0.02


class Workflow:
    """The study in hand.

    Attributes:
        scene: the MRML scene.
        engine: that does the slow work.
        session: of the chosen volume, None without one.
        views: the study's boxes in the slice views, None without a study: to select, show and hide them.
        automatic: what happens without being asked for; changed by :meth:`set_automatic`.
        notices: tell each :class:`Change`: those of the study in hand, and that it is another one.
    """

    def __init__(self, scene: Any, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        """The caller starts and stops the engine."""
        self.scene = scene
        self.engine = engine
        self.session: StudySession | None = None
        self.views: BoxViews | None = None
        self.automatic = Automatic()
        self.notices = Notices()
        self._clock = clock
        self._displayed: DisplayedSlice | None = None
        self._of_volume = Observers()
        self._disconnect: Callable[[], None] = lambda: None
        self._sessions: dict[str, StudySession] = {}  # by id of the volume: undo survives a look at another study
        self._deferred: list[Callable[[], None]] = []
        self._pumping = False
        self._closing = False
        self._of_scene = Observers()
        events = slicer.vtkMRMLScene
        self._of_scene.add(scene, events.StartCloseEvent, self._on_closing)
        self._of_scene.add(scene, events.EndCloseEvent, self._on_closed)
        self._of_scene.add(scene, events.EndImportEvent, self._on_imported)
        self._of_scene.add(scene, events.NodeRemovedEvent, self._on_removed, with_node=True)
        engine.state_changed.connect(self._on_engine)

    def pump(self) -> bool:
        """Take in what the engine has answered, and what the scene's events asked for. Call it when :meth:`Engine.wake` tells.

        It may be called from within itself (an application's ``processEvents`` does that), which does nothing.

        Returns:
            Whether to call it again soon, in 10 to 50 ms; if not, there is nothing to do until the engine tells.
        """
        if self._pumping:
            return True
        self._pumping, more = True, False
        try:
            self.engine.pump()
            deferred, self._deferred = self._deferred, []
            for call in deferred:
                call()
            if self.session is not None:
                more = self.session.pump()
            if self.views is not None and self.views.pending:
                self.views.refresh()
                more = self.views.pending or more
        finally:
            self._pumping = False
        return more or self.engine.busy or bool(self._deferred)

    def close(self) -> None:
        """Let go of scene and engine: cancel what runs, stop watching. The scene stays as it is."""
        self._leave(_("The module was closed."))
        self._forget_sessions()
        self._of_scene.clear()
        self.notices.close()

    @property
    def changed(self) -> Signal:
        """Emits each :class:`Change`."""
        return self.notices.changed

    @property
    def settings(self) -> EngineSettings:
        """Models, device and confidence, as of :meth:`configure`."""
        return self.engine.settings

    @property
    def requests(self) -> EngineRequests | None:
        """What the session asks of the engine, None without a session."""
        return None if self.session is None else self.session.requests

    @property
    def volume_node(self) -> Any:
        """The chosen volume node, None without a usable one."""
        return None if self.session is None else self.session.volume_node

    @property
    def error(self) -> str:
        """Sentence on what went wrong last; empty once something else was begun."""
        return self._said.error

    @property
    def note(self) -> str:
        """Sentence on what the last step left out; slices kept because the user painted in them, slices that failed."""
        return self._said.note

    @property
    def _said(self) -> Notices:
        return self.notices if self.session is None else self.session.notices

    @property
    def status(self) -> str:
        """Where the work stands, and what to do next."""
        others = images_in(self.scene) if self.session is None and likely_lge(self.scene) is None else 0
        doing = (self.progress[2] or _("Working ...")) if self.busy else ""
        return next_step(self.session, engine=self.engine.state, doing=doing, others=others)

    @property
    def facts(self) -> str:
        """One line on the study: slices, spacing, gap, PSIR or magnitude. Empty without one."""
        return "" if self.session is None else describe(self.session.study)

    @property
    def busy(self) -> str:
        """As of :attr:`EngineRequests.busy`; empty without a study."""
        return "" if self.requests is None else self.requests.busy

    @property
    def progress(self) -> TaskProgress:
        """As of :attr:`EngineRequests.progress`; zeros without a study."""
        return TaskProgress() if self.requests is None else self.requests.progress

    @property
    def displayed_slice(self) -> int | None:
        """The slice of the study that a slice view shows, None if none does."""
        return None if self._displayed is None else self._displayed.index

    def set_automatic(self, **changes: bool) -> None:
        """Change fields of :attr:`automatic`, and begin what is due then."""
        waited = self.automatic.waits
        for name, on in changes.items():
            setattr(self.automatic, name, on)
        if self.requests is not None:
            if self.automatic.waits != waited:
                self.requests.encode(self.displayed_slice)
            self.requests.update_masks()

    def why_not(self, verb: str) -> str:
        """As of :func:`~MyoScarSegLib.scene.guidance.why_not`, of the study in hand and the displayed slice."""
        return why_not(verb, self.session, self.displayed_slice)

    def attempt(self, verb: Callable[Concatenate[StudySession, P], T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Do something with the study in hand: ``attempt(add_box, box)``, with any function of a session.

        Returns:
            What it returns; None if it cannot be done, and then :attr:`error` says why.
        """
        if self.session is None:
            self.notices.say(error=self.why_not("segment"))
            return None
        self.session.notices.begin_step()
        self.session.nodes.record.sign()
        try:
            return verb(self.session, *args, **kwargs)
        except MyoScarSegError as error:
            self._said.say(error=str(error))
            return None

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
        self.notices.begin_step()
        found = volume_node is not None and self._enter(volume_node)
        self.notices.tell(Change.VOLUME, Change.STATUS)
        return found

    def select_likely(self) -> str:
        """Choose the volume that looks most like an LGE stack. Returns why it was chosen; empty if there is none."""
        found = likely_lge(self.scene)
        if found is None:
            return ""
        node, reason = found
        return reason if self.select(node) else ""

    def configure(self, settings: EngineSettings) -> None:
        """Use other models, device or confidence from now on; the slices are encoded anew where that matters."""
        self.engine.configure(settings)
        if self.requests is not None:
            self.requests.encode(self.displayed_slice)

    def cancel(self) -> None:
        """Cancel the running action of the study in hand, see :meth:`EngineRequests.cancel`."""
        if self.requests is not None:
            self.requests.cancel()

    def forget_error(self) -> None:
        """What :attr:`error` said has been mended elsewhere."""
        self._said.say(error="")

    def _enter(self, volume_node: Any) -> bool:
        try:
            session = StudySession.open(volume_node)
            session.attach(self.engine, self.automatic, self._clock)
        except MyoScarSegError as error:
            self.notices.say(error=str(error))
            return False
        self._sessions[volume_node.GetID()] = self.session = session
        session.notices.error, session.notices.note = "", session.nodes.problem
        self._disconnect = session.notices.changed.connect(self.changed.emit)
        for event in (slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, slicer.vtkMRMLTransformableNode.TransformModifiedEvent):
            self._of_volume.add(volume_node, event, self._on_volume_changed)
        self._displayed = DisplayedSlice(self.scene, session.geometry, self._on_displayed, self._on_turned)
        self.views = BoxViews(
            session, on_edited=self._on_box_dragged, on_removed=self._on_box_removed, at_once_s=_VIEWS_AT_ONCE_S
        )
        self._on_turned()
        session.nodes.bring_to_front()
        session.requests.encode(self.displayed_slice)
        return True

    def _leave(self, why: str, *, hide: bool = False) -> None:
        """Let go of the study in hand; its nodes stay, and its history until the volume goes.

        ``hide`` what the views show of it: over another volume, of the same patient perhaps, it would look like that one's.
        """
        session, self.session = self.session, None
        self._of_volume.clear()
        if self._displayed is not None:
            self._displayed.stop()
        if self.views is not None:
            self.views.close(hide=hide)
        self._displayed = self.views = None
        if session is not None:
            session.nodes.record.keep_time()
            if hide:
                session.nodes.set_visible(False)
            session.detach(why)
            self.notices.tell(Change.PROGRESS, Change.STATUS)
            self._disconnect()

    def _forget_sessions(self) -> None:
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    def _on_engine(self, state: str) -> None:
        if state == "restarting" and self.engine.error and self.session is not None:
            self.session.notices.note = self.engine.error
        self.notices.tell(Change.ENGINE, Change.STATUS)

    def _on_box_dragged(self, box_id: int, corners: tuple[float, float, float, float]) -> None:
        self.attempt(update_box, box_id, **dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True)))

    def _on_box_removed(self, box_id: int) -> None:
        def remove() -> None:
            if self.session is not None and any(row.id == box_id for row in self.session.state.boxes):
                self.attempt(remove_box, box_id)

        self._defer(remove)

    def _on_removed(self, node: Any) -> None:
        if node is None or self._closing:
            return
        session = self.session
        if session is not None and node is session.volume_node:
            self._leave(_("The volume was deleted."), hide=True)
            self.notices.say(error=_("The volume was deleted. Choose another one."))
            self.notices.tell(Change.VOLUME, Change.STATUS)
        elif session is not None:
            session.node_removed(node)
        parked = self._sessions.pop(node.GetID() or "", None)
        if parked is not None:
            parked.close()

    def _on_volume_changed(self, _volume: Any) -> None:
        self._defer(self._reread)

    def _reread(self) -> None:
        """The volume's voxels or its place changed; often neither did in truth."""
        if self.session is not None and not self.session.is_current():
            volume_node = self.session.volume_node
            self._leave(_("The volume was changed."))
            self._enter(volume_node)
            self.notices.tell(Change.VOLUME, Change.STATUS)

    def _on_closing(self, _scene: Any) -> None:
        self._closing = True
        self._leave(_("The scene was closed."))
        self._forget_sessions()
        self._deferred.clear()

    def _on_closed(self, _scene: Any) -> None:
        self._closing = False
        self.notices.begin_step()
        self.notices.tell(Change.VOLUME, Change.STATUS)

    def _on_imported(self, _scene: Any) -> None:
        self._defer(self._continue_loaded)

    def _continue_loaded(self) -> None:
        """Take up the study of a scene that was loaded which was in hand last, if none is now."""
        if self.session is not None:
            self.session.nodes.bring_to_front()  # what came with the scene is hidden beside it
            self.session.refresh()
            return
        for volume in sorted(volumes_with(self.scene, ROLE_STUDY), key=lambda volume: -StudyRecord(volume).order):
            if self.select(volume):
                return
        self.forget_error()  # nobody asked for it

    def _on_displayed(self, k: int) -> None:
        if self.session is not None:
            self.session.nodes.record.sign()
            self.engine.prefer(self.session.study, k)
        self.notices.tell(Change.SLICE)

    def _on_turned(self) -> None:
        if self.views is not None and self.session is not None and self._displayed is not None:
            self.views.show_in(self._displayed.along)
            self.session.nodes.landmarks.show_in(self._displayed.along)

    def _defer(self, call: Callable[[], None]) -> None:
        if call not in self._deferred:
            self._deferred.append(call)
        self.engine.wake()
