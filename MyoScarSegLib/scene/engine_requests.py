"""What a study asks of the engine: proposals, masks, walls, embeddings, and the masks of edits."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.engine.burden_messages import BurdenJob
from MyoScarSegLib.engine.client import Engine, Request
from MyoScarSegLib.errors import Cancelled, MyoScarSegError, PromptError, SceneError
from MyoScarSegLib.result import Result, SliceMasks
from MyoScarSegLib.scene.dicom_origin import image_files, patient_of
from MyoScarSegLib.scene.displayed_slice import nearest_first
from MyoScarSegLib.scene.guidance import why_not
from MyoScarSegLib.scene.mask_steps import apply_masks
from MyoScarSegLib.scene.notices import Change, kept_as_painted
from MyoScarSegLib.scene.prompt_steps import apply_proposals, apply_suggestions
from MyoScarSegLib.scene.slice_prompts import SlicePrompts, asks
from MyoScarSegLib.scene.translation import _, slice_list
from MyoScarSegLib.scene.ventricle_steps import apply_ventricle
from MyoScarSegLib.utils.task import CANCELLED, DONE, FAILED, RUNNING, Task, TaskProgress

if TYPE_CHECKING:
    from MyoScarSegLib.scene.study_session import StudySession

_Steps = Generator[Request, Request, Any]
"""An action as it goes on: it yields what it asks of the engine, is sent that when it has ended, and returns its result."""


@dataclass
class Automatic:
    """What happens without being asked for.

    Attributes:
        live: whether an edit of a box or point segments its slice again at once.
        waits: whether nothing is begun that was not asked for: neither encoding nor live masks.
        fit: whether a study's first proposals bring views and gray scale to the heart.
    """

    live: bool = True
    waits: bool = False
    fit: bool = True


class EngineRequests:
    """The requests of one study.

    At most one action runs, and beside the background encoding one request for the masks of slices whose prompts the user has
    edited. An answer is written only where it is still wanted: not after a cancel, and not on slices whose prompts have changed
    meanwhile.

    Attributes:
        automatic: what happens without being asked for.
        action: that runs, None if none does.
        encoding: the request of the background encoding, None if there is none.
    """

    def __init__(self, session: StudySession, engine: Engine, automatic: Automatic) -> None:
        """The caller starts and stops the engine. Raises StudyError if the study is too large for it."""
        engine.open_study(session.study)
        self.session = session
        self.engine = engine
        self.automatic = automatic
        self.action: Task | None = None
        self.encoding: Request | None = None
        self._request: Request | None = None  # of the action
        self._live_request: Request | None = None

    def close(self, why: str) -> None:
        """Cancel what runs; ``why`` is told to the running action."""
        self._abandon(why)
        for request in (self.encoding, self._live_request):
            if request is not None:
                request.cancel()
        self.encoding = self._live_request = None
        self.engine.close_study(self.session.study)

    @property
    def busy(self) -> str:
        """``"propose"``, ``"suggest"``, ``"segment"``, ``"process"``, or empty; without live edits and background encoding."""
        return "" if self.action is None else self.action.what

    @property
    def progress(self) -> TaskProgress:
        """Of the running action; zeros without one."""
        return TaskProgress() if self._request is None else self._request.progress

    @property
    def encoded(self) -> tuple[int, int]:
        """``(done, total)`` slices of the study that the background encoding is through with."""
        if self.encoding is None:
            return 0, 0
        slices = self.session.study.slices
        return (slices if self.encoding.state == DONE else int(self.encoding.progress[0])), slices

    def propose(self) -> Task:
        """Propose boxes on all slices. They replace earlier proposals; accepted, rejected and the user's own boxes stay.

        Result: the number of boxes proposed.
        """
        return self._begin("propose", self._propose())

    def suggest(self, k: int) -> Task:
        """Suggest boxes where the scar of slice ``k`` continues, which the reader has confirmed, and likewise beside all other
        slices that he has: see :attr:`StudyState.confirmed`. They are added as of
        :func:`~MyoScarSegLib.scene.prompt_steps.apply_suggestions`.

        Result: the slice of each box that was suggested.
        """
        return self._begin("suggest", self._suggest(k), k)

    def segment(self, slices: Iterable[int] | None = None, *, overwrite_edited: bool = False) -> Task:
        """Segment scar on these slices, on all if None, with the boxes and points they have now.

        A slice without prompts loses what the model wrote there before. Slices in which the user painted are kept, unless
        ``overwrite_edited``. Slices whose prompts change while this runs are left to live editing.

        Result: the slices that were kept because they are hand-edited.
        """
        return self._begin("segment", self._segment(slices, overwrite_edited=overwrite_edited))

    def process(self) -> Task:
        """:meth:`propose`, then :meth:`segment` on all slices, as one action with one cancel. Result as of segment."""
        return self._begin("process", self._process())

    def propose_wall(self) -> Task:
        """Propose the left ventricle's wall and the insertion points. What the reader drew and set stays, see
        :func:`~MyoScarSegLib.scene.ventricle_steps.apply_ventricle`.

        Result: the slices that were kept because they are the reader's.
        """
        return self._begin("propose_wall", self._propose_wall())

    def report(self, folder: Path, *, with_name: bool = False, dicom: bool = False, pseudonym: str | bool = False) -> Task:
        """Write the report of the study's scar burden into a folder. Result: the study's own folder in it, a text.

        ``with_name`` prints patient and dates, as the scene says them; without it the report has the case's name alone.
        ``dicom`` adds a DICOM segmentation and a structured report, which carry the patient of the source images, or the
        ``pseudonym`` (True for the case's name). Where these cannot be written, the rest is, and the error says so.
        """
        return self._begin("report", self._report(folder, with_name, dicom, pseudonym))

    def cancel(self) -> None:
        """Cancel the running action; nothing of it comes into the scene. It ends at once, the engine's work within a second."""
        self._abandon(_("Cancelled."))
        self.update_masks()

    def encode(self, displayed: int | None) -> None:
        """Encode all slices in the background, the displayed one first, then its neighbors outwards."""
        if self.encoding is not None:
            self.encoding.cancel()
            self.encoding = None
        if self.automatic.waits:
            return
        order = nearest_first(self.session.study.slices // 2 if displayed is None else displayed, self.session.study.slices)
        self.encoding = self.engine.encode(self.session.study, [k for k in order if k not in self.session.study.bad_slices])
        self.encoding.on_progress(lambda *_: self.session.notices.tell(Change.ENCODED))
        self.encoding.on_done(self._on_encoded)

    def update_masks(self) -> None:
        """Segment the slices whose edit waits for its mask, unless that is off or something runs; the latest prompts win."""
        if not self.automatic.live or self.automatic.waits or self._live_request is not None or self.action is not None:
            return
        prompts = {k: self.session.state.prompts_on(k) for k in self.session.pending.slices}
        if prompts:
            request = self._live_request = self._segment_with(prompts)
            request.on_done(lambda *_: self._on_live_masks(request, prompts))

    def _begin(self, name: str, steps: _Steps, k: int | None = None) -> Task:
        self.session.refresh()
        action, refusal = Task(name, RUNNING), why_not(name, self.session, k)
        self.session.notices.say(error=refusal, note="")
        if refusal:
            action.finish(FAILED, error=SceneError(refusal))
        else:
            self.action = action
            self._go_on(action, steps)
            self.session.notices.tell(Change.PROGRESS, Change.STATUS)
        return action

    def _go_on(self, action: Task, steps: _Steps, ended: Request | None = None) -> None:
        """Bring an action to its next request, or to its end; an error of the request that has ended, or of going on, ends it."""
        try:
            request = steps.send(ended)  # type: ignore[arg-type]  # None begins it
        except StopIteration as end:
            self._end(action, result=end.value)
        except MyoScarSegError as error:
            self._end(action, error)
        else:
            if self.action is not action:  # it was cancelled by who was told of the step
                request.cancel()
                return
            self._request = request
            request.on_progress(lambda *_: self.session.notices.tell(Change.PROGRESS))
            request.on_done(lambda *_: self._go_on(action, steps, request) if self._request is request else None)

    def _propose(self) -> _Steps:
        request = yield self.engine.propose(self.session.study)
        found = request.value()
        apply_proposals(self.session, found, found.provenance, heart=found.heart, fit=self.automatic.fit)
        remark = found.provenance.get("remark_on_proposals", "")
        self.session.notices.say(note=_sentences(_asked_again(request), remark, _failures(found.failed_slices)))
        return len(found)

    def _suggest(self, k: int) -> _Steps:
        masks = self.session.mask()
        request = yield self.engine.suggest(self.session.study, {n: masks[n] for n in self.session.state.confirmed})
        found = request.value()
        slices = apply_suggestions(self.session, found, found.provenance)
        remark = _suggested(slices) or _("Nothing continues beside slice {slice} where there is no box yet.").format(slice=k)
        self.session.notices.say(note=_sentences(_asked_again(request), remark, _failures(found.failed_slices)))
        return slices

    def _process(self) -> _Steps:
        yield from self._propose()
        return (yield from self._segment(None, with_latest=True))

    def _segment(self, slices: Iterable[int] | None, *, overwrite_edited: bool = False, with_latest: bool = False) -> _Steps:
        wanted = set(range(self.session.study.slices)) if slices is None else {int(k) for k in slices}
        outside = [k for k in wanted if not 0 <= k < self.session.study.slices]
        if outside:
            sentence = _("The study has slices 0 to {last}; there is no {slices}.")
            raise PromptError(sentence.format(last=self.session.study.slices - 1, slices=slice_list(outside)))
        prompts = {k: self.session.state.prompts_on(k) for k in wanted}
        if not (self._is_all(prompts) or prompts.keys() & self.session.state.models.keys() or asks(prompts)):
            sentence = _("There is no box that counts and no + point on {slices}: accept or draw one first.")
            raise PromptError(sentence.format(slices=slice_list(prompts)))
        request = yield self._segment_with(prompts)
        kept = self._take_masks(request.value(), prompts, overwrite_edited=overwrite_edited, with_latest=with_latest)
        self._note(_remarks(request, kept), with_latest=with_latest)
        # The map of tissues that the wall is made of has been looked at for boxes and masks: it comes with them.
        if self._is_all(prompts) and self.engine.status().knows_tissue and not self.session.state.ventricle.has_wall:
            try:
                yield from self._propose_wall(with_latest=True)
            except Cancelled:
                raise
            except MyoScarSegError as error:  # the masks are there all the same
                self._note(str(error), with_latest=True)
        return kept

    def _propose_wall(self, *, with_latest: bool = False) -> _Steps:
        request = yield self.engine.ventricle(self.session.study)
        kept = apply_ventricle(self.session, request.value(), with_latest=with_latest)
        self._note(_remarks(request, kept), with_latest=with_latest)
        return kept

    def _report(self, folder: Path, with_name: bool, dicom: bool, pseudonym: str | bool) -> _Steps:
        job = burden_job(self.session, with_name=with_name, dicom=dicom, pseudonym=pseudonym)
        request = yield self.engine.report(job, folder)
        return request.value()

    def _note(self, sentence: str, *, with_latest: bool) -> None:
        """Note what came of a step, beside what was noted of the one before if it belongs to that."""
        before = self.session.notices.note if with_latest else ""
        self.session.notices.note = _sentences(before, sentence)

    def _is_all(self, prompts: Mapping[int, SlicePrompts]) -> bool:
        """Whether they are those of all slices."""
        return len(prompts) == self.session.study.slices

    def _segment_with(self, prompts: Mapping[int, SlicePrompts]) -> Request:
        asking = sorted(k for k, of_slice in prompts.items() if of_slice.ask)
        return self.engine.segment(self.session.study, *self.session.state.boxes_and_points(), slices=asking)

    def _on_encoded(self, request: Request) -> None:
        if request is not self.encoding:
            return
        if request.state == FAILED and self.action is None:
            # Better said now than when the user has gone through the boxes: there is no segmenting without the model.
            self.session.notices.say(error=request.error)
        self.session.notices.tell(Change.ENCODED)

    def _on_live_masks(self, request: Request, prompts: Mapping[int, SlicePrompts]) -> None:
        if self._live_request is not request:
            return
        # Until its masks are written it counts as running: writing looks at the nodes, which would ask for the same slices again.
        try:
            kept = self._take_masks(request.value(), prompts, with_latest=True)
            self.session.notices.say(note=_remarks(request, kept))
        except MyoScarSegError as error:
            self.session.pending.give_up(prompts)
            self.session.notices.say(error="" if isinstance(error, Cancelled) else str(error))
        finally:
            self._live_request = None
        self.update_masks()

    def _take_masks(
        self,
        result: Result,
        prompts: Mapping[int, SlicePrompts],
        *,
        overwrite_edited: bool = False,
        with_latest: bool = False,
    ) -> Sequence[int]:
        """Write masks into the scene where the prompts are still those they were made with; a slice that has none left gets an
        empty mask, if it has one of the model at all. Where nothing in the whole study asks for scar every slice gets one: that
        there is no scar is a result, too. Returns the slices that were kept because the user painted in them."""
        with self.session.step(_("Segment scar"), segment=False, with_latest=with_latest):  # reads the scene before it begins
            current = {k for k, of_slice in prompts.items() if self.session.state.prompts_on(k) == of_slice}
            wanted = {k: result.probability[k].copy() for k in sorted(current) if k in result.scores}
            nothing = np.zeros(self.session.study.slice_shape, dtype=np.float32)
            known = current if self._is_all(prompts) and not asks(prompts) else current & self.session.state.models.keys()
            wanted |= {k: nothing for k in sorted(known) if not prompts[k].ask}
            kept: Sequence[int] = ()
            if wanted:
                # The threshold is the scene's: the probabilities are what is written.
                provenance = {key: value for key, value in result.provenance.items() if key != "threshold"}
                scores = {k: score for k, score in result.scores.items() if k in wanted}
                masks = SliceMasks(wanted, scores, provenance=provenance)
                kept = apply_masks(self.session, masks, overwrite_edited=overwrite_edited, prompts=prompts)
        failed = current & result.failed_slices.keys()
        self.session.pending.give_up(failed)
        self.session.pending.arrived(current - failed)
        self.session.notices.tell(Change.STATUS)
        return kept

    def _end(self, action: Task, cause: MyoScarSegError | None = None, *, result: Any = None) -> None:
        """End the running action, which failed (or was cancelled) if there is a ``cause``."""
        if self.action is action:
            self.action = self._request = None
        cancelled = isinstance(cause, Cancelled)
        error = _("Cancelled.") if cancelled else str(cause or "")
        self.session.notices.say(error=error)
        self.session.notices.tell(Change.PROGRESS)
        if cancelled:
            action.finish(CANCELLED, error=error)
        else:
            action.finish(DONE if cause is None else FAILED, result=result, error=cause or "")
        self.update_masks()

    def _abandon(self, why: str) -> None:
        """End the running action now; its answer will not be wanted any more."""
        action, request, self.action, self._request = self.action, self._request, None, None
        if request is not None:
            request.cancel()
        if action is not None:
            action.finish(CANCELLED, error=why)
            self.session.notices.tell(Change.PROGRESS, Change.STATUS)


def burden_job(
    session: StudySession, *, with_name: bool = False, dicom: bool = False, pseudonym: str | bool = False
) -> BurdenJob:
    """A study as it is, as what the engine draws and reports of its scar burden.

    ``with_name`` has along what the scene says of the patient, ``dicom`` the paths of the volume's DICOM images, for a report
    with DICOM files; ``pseudonym`` as of :class:`~MyoScarSegLib.engine.burden_messages.BurdenJob`.
    """
    return BurdenJob(
        session.to_result(),
        session.numbers.anatomy(session.state),
        patient_of(session.volume_node) if with_name else None,
        session.nodes.record.reader_s,
        image_files(session.volume_node) if dicom else None,
        pseudonym,
        session.case,
    )


def _sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _remarks(request: Request, kept: Sequence[int]) -> str:
    """What the user is to know of an answer that was written, but for the slices ``kept``."""
    return _sentences(_asked_again(request), _failures(request.result.failed_slices), kept_as_painted(kept))


def _asked_again(request: Request) -> str:
    """What the user is to know of an answer that a first worker did not live to give."""
    if not request.repeated:
        return ""
    return _("The calculation process ended unexpectedly; it was started again, and asked again.")


def _suggested(slices: Sequence[int]) -> str:
    """What became of a question for suggestions; empty if there are none."""
    if not slices:
        return ""
    if len(slices) == 1:
        return _("1 box suggested, on {slices}. It counts once you accept it.").format(slices=slice_list(slices))
    return _("{boxes} boxes suggested, on {slices}. They count once you accept them.").format(
        boxes=len(slices), slices=slice_list(set(slices))
    )


def _failures(failed: Mapping[int, str]) -> str:
    return " ".join(_("Slice {slice}: {why}").format(slice=k, why=why) for k, why in sorted(failed.items()))
