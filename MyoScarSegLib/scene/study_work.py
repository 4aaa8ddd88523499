"""The engine's work for the study in hand: proposing, segmenting, live masks, encoding, and what becomes of late answers."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from MyoScarSegLib.engine.client import Engine
from MyoScarSegLib.errors import Cancelled, MyoScarSegError, PromptError
from MyoScarSegLib.quantification.burden import ScarBurden
from MyoScarSegLib.result import Result, SliceMasks
from MyoScarSegLib.scene.actions import CANCELLED, DONE, FAILED, Action
from MyoScarSegLib.scene.following import nearest_first
from MyoScarSegLib.scene.live import NO_PROMPTS, LiveEdits, SlicePrompts, prompts_by_slice
from MyoScarSegLib.scene.notices import Change, Notices
from MyoScarSegLib.scene.session import StudySession
from MyoScarSegLib.scene.text import _, slice_list

T = TypeVar("T")
_SLIDER_RESTS_S = 0.3


class StudyWork:
    """One study's requests to the engine, and their answers' way into the scene.

    At most one action runs (propose, segment, process), at most one live request beside the background encoding. An answer is
    written only where it is still wanted: not after a cancel, and not on slices whose prompts have changed meanwhile.

    Attributes:
        session: the study's.
        live: whether slices that are behind their prompts are segmented at once.
        waits: whether nothing is begun that was not asked for: neither encoding nor live masks.
        edits: which slices are behind, and how long edits took.
        touched: whether the scar's node was changed since :meth:`notice` has looked at it.
    """

    def __init__(
        self,
        session: StudySession,
        engine: Engine,
        notices: Notices,
        *,
        live: bool,
        waits: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        engine.open_study(session.study)
        self.session = session
        self.live = live
        self.waits = waits
        self.edits = LiveEdits(clock)
        self.action: Action | None = None
        self.request: Any = None  # of the action
        self.encoding: Any = None
        self._engine = engine
        self._notices = notices
        self._live_request: Any = None
        self._quiet = 0
        self._burden: ScarBurden | None = None
        self._made_with: dict[int, tuple[weakref.ref[np.ndarray], SlicePrompts]] = {}  # by the id of a probability array
        self._stamp = session.segmentation.stamp
        self._closed = False
        self.touched = False
        self._slid: float | None = None  # when a slider was moved whose surface is still to be made
        self._clock = clock
        self.edits.restored(self._prompts())
        self._unobserve = [
            session.boxes.observe(lambda *_: self._on_prompts(Change.BOXES)),
            session.points.observe(lambda *_: self._on_prompts(Change.POINTS)),
            session.on_segment_touched(self.look),
        ]

    def close(self, why: str) -> None:
        """Let go of the study: cancel what runs, and follow its nodes no longer. ``why`` is told to the running action."""
        if self._closed:
            return
        self.abandon(why)
        self._closed = True
        self.session.segmentation.make_surface()
        for request in (self.encoding, self._live_request):
            if request is not None:
                request.cancel()
        self.encoding = self._live_request = None
        for remove in self._unobserve:
            remove()
        self._engine.close_study(self.session.study)

    @property
    def segmented(self) -> set[int]:
        """Slices that hold a mask of the model."""
        return set(self.session.probability.slices)

    @property
    def burden(self) -> ScarBurden:
        """Of the scar segment as it is; measured when it is first asked for after a change."""
        if self._burden is None:
            self._burden = self.session.burden()
        return self._burden

    def mask_changed(self) -> None:
        """The segment was changed: the numbers are to be measured anew."""
        self._burden = None
        self._stamp = self.session.segmentation.stamp
        self._notices.tell(Change.MASK)

    def slide(self) -> None:
        """A slider is being moved: the surface follows once it rests."""
        self._slid = self._clock()
        self.session.segmentation.surface_rests = True

    @property
    def sliding(self) -> bool:
        """Whether a slider was moved just now; when it rests the surface is made."""
        if self._slid is not None and self._clock() - self._slid >= _SLIDER_RESTS_S:
            self._slid = None
            self.session.segmentation.make_surface()
        return self._slid is not None

    def look(self) -> None:
        """Look at the scar's node at the next turn: something has happened to it."""
        self.touched = True
        self._engine.wake()

    def notice(self) -> None:
        """Take in what was done outside since: painting in the Segment Editor, nodes that were deleted."""
        if self._closed or self._quiet or not self.touched:
            return
        self.touched = False
        stamp = self.session.segmentation.stamp
        if stamp != self._stamp:
            self._stamp = stamp  # also if what follows fails: it would fail again at every turn
            self.session.refresh()
            self._stamp = self.session.segmentation.stamp
            self.mask_changed()
            self._notices.tell(Change.HISTORY, Change.STATUS)

    # ------------------------------------------------------------------ actions

    def encode(self, displayed: int | None) -> None:
        """Encode all slices in the background, the displayed one first, then its neighbours outwards."""
        if self.encoding is not None:
            self.encoding.cancel()
            self.encoding = None
        if self.waits:
            return
        slices = self.session.study.slices
        order = [
            k
            for k in nearest_first(slices // 2 if displayed is None else displayed, slices)
            if k not in self.session.study.bad_slices
        ]
        self.encoding = self._engine.encode(self.session.study, order)
        self.encoding.on_progress(lambda *_: self._notices.tell(Change.ENCODED))
        self.encoding.on_done(self._encoded)

    def _encoded(self, request: Any) -> None:
        if request is not self.encoding:
            return
        if request.state == "failed" and self.action is None:
            # Better said now than when the user has gone through the boxes: there is no segmenting without the model.
            self._notices.say(error=request.error)
        self._notices.tell(Change.ENCODED)

    def propose(self, action: Action, then_segment: bool = False, fit: bool = False) -> None:
        """Propose boxes for ``action``, which is in hand from now on; with ``fit`` views and grey scale show the heart then."""
        self.action = action
        self._send(
            self._engine.propose(self.session.study), lambda request: self._proposals_arrived(action, request, then_segment, fit)
        )
        self._notices.tell(Change.PROGRESS, Change.STATUS)

    def segment(self, action: Action, slices: Iterable[int] | None, overwrite_edited: bool = False) -> None:
        """Segment these slices, all if None, for ``action``."""
        self.action = action
        study = self.session.study
        wanted = set(range(study.slices)) if slices is None else {int(k) for k in slices}
        outside = [k for k in wanted if not 0 <= k < study.slices]
        if outside:
            sentence = _("The study has slices 0 to {last}; there is no slice {slices}.")
            self._fail(action, PromptError(sentence.format(last=study.slices - 1, slices=slice_list(outside))))
            return
        made_with = {k: self.edits.of(k) for k in wanted}
        prompted = sorted(k for k in wanted if made_with[k].ask)
        boxes, points = self.session.prompts(prompted)
        self._send(
            self._engine.segment(self.session.study, boxes, points, slices=prompted),
            lambda request: self._masks_arrived(action, request, made_with, overwrite_edited),
        )
        self._notices.tell(Change.PROGRESS, Change.STATUS)

    def abandon(self, why: str) -> None:
        """End the running action now; its answer will not be wanted any more."""
        action, request = self.action, self.request
        self.action = self.request = None
        if request is not None:
            request.cancel()
        if action is not None:
            action.end(CANCELLED, error=why)
            self._notices.tell(Change.PROGRESS, Change.STATUS)
            self.segment_behind()

    def _send(self, request: Any, arrived: Callable[[Any], None]) -> None:
        self.request = request
        request.on_progress(lambda *_: self._notices.tell(Change.PROGRESS))
        request.on_done(lambda *_: arrived(request))

    def _finish(self, action: Action, result: Any) -> None:
        self._end(action, DONE, result=result)

    def _fail(self, action: Action, cause: MyoScarSegError) -> None:
        self._end(action, FAILED, error=str(cause), cause=cause)

    def _end(self, action: Action, state: str, **outcome: Any) -> None:
        if self.action is action:
            self.action = self.request = None
        self._notices.say(error=outcome.get("error", ""))
        self._notices.tell(Change.PROGRESS)
        action.end(state, **outcome)
        self.segment_behind()

    def _answers(self, action: Action, request: Any) -> bool:
        """Whether a finished request is the running action's and went well; if it failed, the action is ended."""
        if self.action is not action or self.request is not request:
            return False
        if request.state == "done":
            return True
        try:
            request.value()
        except Cancelled:
            self._end(action, CANCELLED, error=_("Cancelled."))
        except MyoScarSegError as error:
            self._fail(action, error)
        return False

    def _proposals_arrived(self, action: Action, request: Any, then_segment: bool, fit: bool = False) -> None:
        if not self._answers(action, request):
            return
        found = request.result
        try:
            with self._quietly():
                self.session.apply_proposals(found, found.provenance, heart=found.heart, fit=fit)
        except MyoScarSegError as error:
            self._fail(action, error)
            return
        self.edits.proposed(self._prompts(), self.segmented)
        remark = found.provenance.get("remark_on_proposals", "")
        self._notices.say(note=_sentences(_asked_again(request), remark, _failures(found.failed_slices)))
        self._notices.tell(Change.BOXES, Change.HISTORY)
        if then_segment:
            self.segment(action, None)
        else:
            self._finish(action, len(found))

    def _masks_arrived(self, action: Action, request: Any, made_with: Mapping[int, SlicePrompts], overwrite_edited: bool) -> None:
        if not self._answers(action, request):
            return
        masks = request.result
        both = action.name == "process"
        try:
            kept = self._write(masks, made_with, overwrite_edited=overwrite_edited, same_step=both)
        except MyoScarSegError as error:
            self._fail(action, error)
            return
        before = self._notices.note if both else ""
        self._notices.note = _sentences(before, _asked_again(request), _failures(masks.failed_slices), kept_sentence(kept))
        self._finish(action, kept)

    # ------------------------------------------------------------------ prompts and their masks

    def restore(self, operation: Callable[[], T]) -> T:
        """Do what brings prompts and masks back together, as undo does: nothing is to be segmented after it."""
        with self._quietly():
            result = operation()
        prompts = self._prompts()
        self.edits.restored(prompts, (k for k in self.segmented if self._made_for(k) not in (None, prompts.get(k, NO_PROMPTS))))
        self.mask_changed()
        return result

    def segment_behind(self) -> None:
        """Segment the slices that are behind, unless that is off or something is under way; the latest prompts win."""
        if self._closed or not self.live or self.waits or self._live_request is not None or self.action is not None:
            return
        made_with = self.edits.waiting
        if not made_with:
            return
        asking = [k for k, prompts in made_with.items() if prompts.ask]
        boxes, points = self.session.prompts(asking)
        request = self._live_request = self._engine.segment(self.session.study, boxes, points, slices=asking)
        request.on_done(lambda *_: self._live_arrived(request, made_with))

    def _on_prompts(self, what: Change) -> None:
        if self._closed or self._quiet:
            return
        self.edits.edited(self._prompts(), self.segmented)
        self._notices.tell(what, Change.HISTORY, Change.STATUS)
        self.segment_behind()

    def _live_arrived(self, request: Any, made_with: Mapping[int, SlicePrompts]) -> None:
        if self._closed or self._live_request is not request:
            return
        self._live_request = None
        if request.state == "done":
            try:
                kept = self._write(request.result, made_with, live=True, same_step=True)
                failures = _failures(request.result.failed_slices)
                self._notices.say(note=_sentences(_asked_again(request), failures, kept_sentence(kept)))
            except MyoScarSegError as error:
                self.edits.give_up(made_with)
                self._notices.say(error=str(error))
        else:
            self.edits.give_up(made_with)
            self._notices.say(error=request.error)
        self.segment_behind()

    def _write(
        self,
        result: Result,
        made_with: Mapping[int, SlicePrompts],
        *,
        live: bool = False,
        overwrite_edited: bool = False,
        same_step: bool = False,
    ) -> Sequence[int]:
        """Write masks into the scene where the prompts are still those they were made with.

        A slice that has no prompts left gets an empty mask, if it has one of the model at all.

        Returns:
            The slices that were kept because the user painted in them.
        """
        current = {k for k, prompts in made_with.items() if self.edits.of(k) == prompts}
        wanted = {k: result.probability[k].copy() for k in sorted(current) if k in result.scores}
        nothing = np.zeros(self.session.study.slice_shape, dtype=np.float32)
        wanted |= {k: nothing for k in sorted(current & self.segmented) if not made_with[k].ask}
        kept: Sequence[int] = ()
        if wanted:
            scores = {k: score for k, score in result.scores.items() if k in wanted}
            # The threshold is the scene's: the probabilities are what is written.
            provenance = {key: value for key, value in result.provenance.items() if key != "threshold"}
            masks = SliceMasks(wanted, scores, provenance=provenance)
            kept = self.session.apply_masks(masks, overwrite_edited=overwrite_edited, same_step=same_step)
        failed = current & result.failed_slices.keys()
        self.edits.give_up(failed)
        for k in current - failed:
            self.edits.done(k, made_with[k], live=live)
            probability = self.session.probability.of(k)
            if probability is not None:
                self._made_with[id(probability)] = weakref.ref(probability), made_with[k]
        self.mask_changed()
        self._notices.tell(Change.HISTORY)
        return kept

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def _made_for(self, k: int) -> SlicePrompts | None:
        """What the mask that slice ``k`` has was made with; None if it was not made here."""
        probability = self.session.probability.of(k)
        known = self._made_with.get(id(probability))
        return known[1] if known is not None and known[0]() is probability else None

    def _prompts(self) -> dict[int, SlicePrompts]:
        return prompts_by_slice(*self.session.prompts())


def _sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _asked_again(request: Any) -> str:
    """What the user is to know of an answer that a first worker did not live to give."""
    if not request.repeated:
        return ""
    return _("The calculation process ended unexpectedly; it was started again, and asked again.")


def _failures(failed: Mapping[int, str]) -> str:
    return " ".join(_("Slice {slice}: {why}").format(slice=k, why=why) for k, why in sorted(failed.items()))


def kept_sentence(slices: Sequence[int]) -> str:
    """That these slices were left alone because the user painted in them; empty if there are none."""
    if not slices:
        return ""
    return _("Slices {slices} were kept as you painted them.").format(slices=slice_list(slices))
