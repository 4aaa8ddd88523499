"""One study of a scene: its state, what can be done with it, and one signal of what has changed."""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from MyoScarSegLib import __version__
from MyoScarSegLib.engine.client import Engine
from MyoScarSegLib.errors import MyoScarSegError, SceneError
from MyoScarSegLib.quantification.burden import ScarBurden
from MyoScarSegLib.quantification.mass_interval import MassInterval
from MyoScarSegLib.quantification.measurements import Measurements
from MyoScarSegLib.result import Result
from MyoScarSegLib.scene.attributes import volumes_with
from MyoScarSegLib.scene.engine_requests import Automatic, EngineRequests
from MyoScarSegLib.scene.history import History
from MyoScarSegLib.scene.lge_volumes import content_hash, study_of
from MyoScarSegLib.scene.notices import Change, Notices
from MyoScarSegLib.scene.observers import Writing, weakly
from MyoScarSegLib.scene.saved_study import ROLE_STUDY
from MyoScarSegLib.scene.slice_prompts import PendingMasks
from MyoScarSegLib.scene.study_nodes import StudyNodes
from MyoScarSegLib.scene.study_numbers import StudyNumbers
from MyoScarSegLib.scene.study_state import StudyState, bytes_between, prompts_label
from MyoScarSegLib.scene.tissue_segment import TissueSegment
from MyoScarSegLib.scene.translation import _

_log = logging.getLogger(__name__)
_open: weakref.WeakValueDictionary[tuple[str, str], StudySession] = weakref.WeakValueDictionary()
_TOLD = {
    "boxes": Change.BOXES, "points": Change.POINTS, "slices": Change.MASK, "ventricle": Change.VENTRICLE,
    "threshold": Change.SETTINGS, "growth_mm": Change.SETTINGS,
}  # fmt: skip
"""Fields of a state, and what is told when they have changed."""
_RESTS_S = 0.3
"""After so long without a new value of a slider the surface of the scar, which takes long, is made anew; likewise the tables of
burden after an edit."""


class StudySession:
    """Everything of one volume's study, found in the scene or made when it is needed.

    :attr:`state` is the truth, and the nodes of the scene are its projection. What others change there (a box that is dragged, a
    point that is placed, painting in the Segment Editor, a deleted node) is read back when the nodes tell, at the latest before
    the next step, and becomes an undo entry of its own. Asking changes nothing, neither here nor in the scene.

    What is done to it are functions: of boxes and points in ``prompt_steps``, of masks in ``mask_steps``, of the ventricle in
    ``ventricle_steps``. Each is one entry of :attr:`history`, and leaves everything as it was if it raises. The user's edits win:
    a slice that was painted in by hand is not touched by the model, a threshold or a growth, unless told so.

    With an engine (:meth:`attach`) a study is also proposed boxes for and segmented, see :attr:`requests`.

    Attributes:
        volume_node: the LGE volume; never changed.
        study: its voxels and geometry.
        geometry: pixels and world.
        state: boxes, points, masks, settings.
        nodes: the scene's nodes that show and keep the state.
        numbers: measure a state.
        history: what can be undone; it begins when the session is opened.
        notices: tell each :class:`Change`, and hold a sentence on what went wrong in the last step, and one on what it left out:
            slices kept because the user painted in them, slices that failed.
        pending: the slices whose edit waits for its mask.
    """

    def __init__(self, volume_node: Any) -> None:
        """Use :meth:`open`."""
        self.volume_node = volume_node
        self.study = study_of(volume_node)
        self.notices = Notices()
        self._requests: EngineRequests | None = None
        self._clock: Callable[[], float] = time.monotonic
        self._hash = content_hash(volume_node)
        self._key = _key(volume_node)
        self._closed = False
        self._writing = Writing()
        self._touched = self._deleted = False
        self._slid_s: float | None = None  # when a slider was moved whose surface is still to be made
        self._edited_s: float | None = None  # when something changed that the tables of burden do not say yet
        self._more_to_come = False  # the step in hand is of a drag, an edit or its mask, which a reader waits for
        with self._writing:  # what it puts where the volume is now is no news
            self.nodes = StudyNodes(volume_node, self.study, touched=weakly(self._on_touched))
        self.geometry = self.nodes.geometry
        self.state = self.nodes.load()
        self.history: History[StudyState] = History(size=bytes_between)
        self.pending = PendingMasks()
        self.numbers = StudyNumbers(self.study, self.geometry)
        self._masks_version: tuple[Any, ...] | None = self.nodes.masks_version
        for prompts in (self.nodes.boxes, self.nodes.points, self.nodes.landmarks):
            prompts.changed.connect(weakly(self.refresh))
        # Or the nodes, which hold on to what observes them, would serve a session that was dropped without a word for ever.
        weakref.finalize(self, self.nodes.close)

    @classmethod
    def open(cls, volume_node: Any) -> StudySession:
        """The session of a volume: the one that is open already, or a new one on what the scene holds.

        Raises:
            StudyError: the volume is no LGE stack; the message says why.
        """
        opened = None if volume_node is None or volume_node.GetScene() is None else _open.get(_key(volume_node))
        if opened is not None and opened.is_current():
            return opened
        if opened is not None:
            opened.close()  # the volume is another one now: two sessions would both answer to each edit
        session = cls(volume_node)
        _open[session._key] = session
        return session

    def close(self) -> None:
        """Follow the scene no longer, and forget the history; the nodes stay."""
        if self._closed:
            return
        self.detach(_("The study was closed."))
        self._closed = True
        self.nodes.close()
        self.history.clear()
        self.notices.close()
        if _open.get(self._key) is self:
            del _open[self._key]

    def attach(self, engine: Engine, automatic: Automatic, clock: Callable[[], float] = time.monotonic) -> None:
        """Have an engine do the slow work; ``automatic`` as of :class:`EngineRequests`.

        Raises:
            StudyError: the study is too large for it.
        """
        self._requests = EngineRequests(self, engine, automatic)
        self._clock = clock

    def detach(self, why: str) -> None:
        """Let go of the engine, and cancel what runs there; ``why`` is told to the running action."""
        if self._requests is not None:
            requests, self._requests = self._requests, None
            requests.close(why)
            self._make_surface()
            self._keep_burden_if_stale()

    def is_current(self) -> bool:
        """Whether the volume still is what it was when the session was opened, voxels and place alike."""
        node = self.volume_node
        return not self._closed and node.GetScene() is not None and content_hash(node) == self._hash

    @property
    def requests(self) -> EngineRequests:
        """What it asks of the engine.

        Raises:
            SceneError: it has none, because the study is not in hand.
        """
        if self._requests is None:
            raise SceneError(_("Choose this volume first: the study of another one is in hand."))
        return self._requests

    @property
    def segmentation(self) -> TissueSegment:
        """The scar's segment; another object after :meth:`use_segmentation`."""
        return self.nodes.segmentation

    @property
    def stale_slices(self) -> list[int]:
        """Slices whose mask does not answer to their boxes and points any more."""
        return sorted(self.state.stale | self.pending.missing)

    @property
    def provenance(self) -> dict[str, str]:
        """Where boxes and masks come from, with the settings they have now: the keys of every file that the program writes."""
        return {"program": f"MyoScarSeg {__version__}", **self.state.provenance, "reader_s": f"{self.nodes.record.reader_s:.0f}"}

    @property
    def case(self) -> str:
        """What files and reports call the study: as its volume is called now, which a reader may have renamed."""
        return self.volume_node.GetName() or self.study.case

    def mask(self) -> np.ndarray:
        """bool ``[k, row, column]`` of the scar."""
        return self.state.masks(self.geometry.shape)

    @property
    def burden(self) -> ScarBurden:
        """Area, volume and mass of the scar; measured once after a change of the masks."""
        return self.numbers.burden(self.state)

    @property
    def mass_interval(self) -> MassInterval | None:
        """The interval of the mass; None where spacing is unknown, or how far the model's masses are off."""
        return self.numbers.mass_interval(self.state)

    @property
    def measurements(self) -> Measurements:
        """All numbers of scar burden; measured once after a change."""
        return self.numbers.measurements(self.state)

    def follow_methods(self, options: Mapping[str, Any] | None) -> None:
        """Measure the reference methods with each change from now on, and keep their table with it; no longer if None.

        ``options`` are those of :meth:`StudyNumbers.methods`.
        """
        if options != self.numbers.method_options:
            self.numbers.method_options = options
            if options is not None:
                self._keep_burden()

    def to_result(self) -> Result:
        """The study as the command line's result: probabilities, and the mask as it is."""
        boxes, points = self.state.boxes_and_points()
        return Result(
            study=self.study,
            probability=self.state.probabilities(self.geometry.shape),
            threshold=self.state.threshold,
            boxes=tuple(boxes),
            points=tuple(points),
            scores=self.state.scores,
            failed_slices=dict(self.state.failed),
            provenance=self.provenance,
            drawn=self.mask(),
            painted=tuple(self.state.edited),
        )

    def use_segmentation(self, node: Any) -> Any:
        """Put the scar into this segmentation node from now on, and return it; its other segments stay.

        The scar as it is moves there. If the node has a scar of this study already, that one is taken, and the present one stays
        in its node.

        Raises:
            SceneError: the node cannot take it (locked, another grid, surfaces only); nothing has changed then.
        """
        self.refresh()
        if node is None or node is not self.segmentation.node:
            with self._writing:
                self.nodes.move_segmentation(node, self.state)
            self._masks_version = None
            self._deleted = True  # the masks that come with the node are not to be segmented again
            self.refresh()
            self.notices.tell(Change.MASK, Change.STATUS)
        return node

    def undo(self) -> str:
        """Take the latest action back, whatever it changed: boxes, points, masks and settings go together. Returns its name.

        Raises:
            SceneError: there is nothing to undo. Actions before the session was opened (a scene that was loaded) stay.
        """
        return self._travel(self.history.undo)

    def redo(self) -> str:
        """Do again what undo took back. Raises SceneError if there is nothing to redo."""
        return self._travel(self.history.redo)

    def _travel(self, go: Callable[[Callable[[StudyState], None]], str]) -> str:
        self.refresh()
        before = self.state

        def restore(target: StudyState) -> None:
            with self._all_or_nothing():
                self.become(target)

        label = go(restore)
        self.pending.forget()
        self._tell(before)
        return label

    def node_removed(self, node: Any) -> None:
        """A node was deleted. If it was of this study, the next :meth:`pump` takes that up; what is missing is made anew then."""
        if self.nodes.owns(node):
            self._deleted = True
            self._wake()

    def pump(self) -> bool:
        """Take up what others have changed. Returns whether to call it again soon."""
        if self._touched or self._deleted:
            try:
                self.refresh()
            finally:
                self._touched = self._deleted = False  # also if it failed: it would fail again at every turn
        if self._slid_s is not None and self._clock() - self._slid_s >= _RESTS_S:
            self._make_surface()
        if self._edited_s is not None and self._clock() - self._edited_s >= _RESTS_S:
            self._keep_burden_if_stale()
        return self._slid_s is not None or self._edited_s is not None or self._touched or self._deleted

    def refresh(self) -> None:
        """Take up what was changed outside: hand edits, boxes and points, deleted nodes. Each kind becomes an entry."""
        if self._writing or self._closed or self.volume_node.GetScene() is None:
            return
        before, deleted = self.state, self._deleted
        self._touched = self._deleted = False
        with self._writing:
            if self.state.models and self.nodes.probability.node is None:
                self.nodes.probability.write(self.state.models, ())
            self._read_masks()
            drawn = self.state
            self.state = self.nodes.read_prompts(drawn)
            if self.state is not drawn:
                self.history.push(prompts_label(drawn, self.state), drawn, self.state)
            if self.state is not before:
                self._keep()
        if deleted:
            self.pending.forget()
        elif self.state is not before:
            self.pending.ask(self.state.changed_prompts(before))
        if self.state is not before or deleted:
            self._tell(before)
        if not deleted and self._requests is not None:
            self._requests.update_masks()

    def _read_masks(self) -> None:
        if self.nodes.masks_version != self._masks_version:
            for label, after in self.nodes.read_masks(self.state):
                self.history.push(label, self.state, after)
                self.state = after
            self._masks_version = self.nodes.masks_version

    def _on_touched(self) -> None:
        if not self._writing:
            self.nodes.record.sign()
            self._touched = True
            self._wake()

    def _wake(self) -> None:
        if self._requests is not None:
            self._requests.engine.wake()

    def let_surface_rest(self) -> None:
        """A slider is dragged: the surface of the scar, which takes long, is made anew when it rests."""
        self.segmentation.surface_rests = True
        self._slid_s = self._clock()

    def _make_surface(self) -> None:
        self._slid_s = None
        if self.volume_node.GetScene() is not None:
            with self._writing:
                self.segmentation.make_surface()

    @contextmanager
    def step(
        self, label: str, *, key: str = "", join: bool = False, segment: bool = True, with_latest: bool = False
    ) -> Iterator[None]:
        """What happens within is one step: one entry of the history if it changes anything; if it fails, all is as before.

        Args:
            label: of the entry. A step within a step belongs to the outer one.
            key, join: whether it belongs to the step just before, if that has the same key, see :meth:`History.push`.
            segment: whether prompts that it changes ask for a new mask of their slice.
            with_latest: it belongs to the latest entry, unless something was taken up in between.
        """
        if self._writing:
            yield
            return
        if self.volume_node.GetScene() is None:
            raise SceneError(_("The volume was deleted. Choose another one."))
        latest = self.history.labels
        self.refresh()
        with_latest = with_latest and self.history.labels == latest
        before = self.state
        self._more_to_come = join or with_latest or segment
        try:
            with self._all_or_nothing():
                yield
        finally:
            self._more_to_come = False
        if self.state != before and not (with_latest and self.history.extend(self.state)):
            self.history.push(label, before, self.state, key, join=join)
        if segment:
            self.pending.ask(self.state.changed_prompts(before))
        self._tell(before)
        if segment and self._requests is not None:
            self._requests.update_masks()

    def change(
        self,
        label: str,
        to: Callable[[StudyState], StudyState],
        *,
        key: str = "",
        join: bool = False,
        with_latest: bool = False,
    ) -> None:
        """Make the study what ``to`` makes of its state, as a step that asks for no mask; see :meth:`step`."""
        with self.step(label, key=key, join=join, segment=False, with_latest=with_latest):
            self.become(to(self.state))

    def become(self, target: StudyState) -> None:
        """Make the scene say what ``target`` says; only within a :meth:`step`."""
        self.nodes.write(self.state, target)
        self.state = target

    def _keep(self) -> None:
        self.nodes.keep(self.state, self.numbers, self.provenance)
        if self._more_to_come and self._requests is not None:
            self._edited_s = self._clock()
            self._wake()
        else:
            self._keep_burden()

    def _keep_burden(self) -> None:
        self._edited_s = None
        with self._writing:
            self.nodes.keep_burden(self.state, self.numbers)

    def _keep_burden_if_stale(self) -> None:
        scene = self.volume_node.GetScene()
        if self._edited_s is not None and scene is not None and not scene.IsClosing():
            self._keep_burden()

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        before = self.state
        with self._writing:
            try:
                yield
                if self.state is not before:
                    self._keep()
            except BaseException:
                try:
                    self.become(before)
                    self._keep()
                except MyoScarSegError:
                    _log.exception("A step failed, and what it had changed could not all be put back")
                raise
            finally:
                self._masks_version = self.nodes.masks_version

    def _tell(self, before: StudyState) -> None:
        """Emit what differs between a state and the one of now."""
        changed = {name: getattr(self.state, name) != getattr(before, name) for name in _TOLD}
        self.notices.tell(*dict.fromkeys(_TOLD[name] for name in _TOLD if changed[name]), Change.HISTORY, Change.STATUS)


def sessions(scene: Any) -> list[StudySession]:
    """The studies of a scene, opened; those that nobody else has open are followed as long as they are held."""
    found = []
    for volume_node in volumes_with(scene, ROLE_STUDY):
        try:
            found.append(StudySession.open(volume_node))
        except MyoScarSegError:  # said without its name: the application keeps its log in the folder for temporary files
            _log.warning("A study of the scene is left out: its volume is no LGE stack any more")
    return found


def _key(volume_node: Any) -> tuple[str, str]:
    return volume_node.GetScene().GetAddressAsString(""), volume_node.GetID()
