"""A reader's way through the studies of a cohort: one in the scene, the next one read ahead, a word on each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.review_list import GONE, LEASE_S, Entry, Mode, ReviewList, next_waiting
from MyoScarSegLib.batch.reviews import Review, Verdict
from MyoScarSegLib.engine.review_case import case_file, case_of, entries_of, list_task, read_task
from MyoScarSegLib.engine.review_pictures import pictures_task
from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.outputs.edited import Edited
from MyoScarSegLib.scene.reviewed_study import ReviewedStudy
from MyoScarSegLib.scene.workflow import Workflow
from MyoScarSegLib.utils.background_task import BackgroundTask
from MyoScarSegLib.utils.folder_calls import FolderCalls, Steps
from MyoScarSegLib.utils.scratch_folder import scratch_folder
from MyoScarSegLib.widgets.text import _

_RENEWED_AFTER_S = LEASE_S / 3
"""A reader who works on a study keeps it; one who has gone home loses it."""
_AT_THE_END_S = 1.0
"""For how long it is waited for a results folder that is let go of."""


class ReviewSession:
    """What the section *Review* does, without its widgets. Nothing here blocks: studies are read by processes of their own, and
    what is asked of the results folder, or written there, is so in a thread.

    A study with a word on it leaves the scene when the reader goes on. One with edits that were not accepted stays there, and is
    found as it was left, also when the cohort is opened again.

    Attributes:
        entries: case to what the list says of it, in the list's order.
        case: name of the study in hand; empty without one.
        wanted: name of the study that will be in hand as soon as it is read; empty if none is awaited.
        listing: whether a cohort is being opened.
        late: whether the results folder does not answer.
        error: what went wrong last, as a sentence; note: what was done last.
    """

    def __init__(self, workflow: Workflow, processes: Mapping[str, Any], changed: Callable[[], None]) -> None:
        """
        Args:
            workflow: whose study in hand is the one to be reviewed.
            processes: what a background task is started with.
            changed: called when anything here has changed.
        """
        self._workflow, self._processes, self._changed = workflow, processes, changed
        self._list: ReviewList | None = None
        self._tasks: dict[str, BackgroundTask] = {}  # by case, read or being read
        # By folder, reader and case; also edited studies of lists that were open before.
        self._in_scene: dict[tuple[Path, str, str], ReviewedStudy] = {}
        self._opened_as = Path(), ""  # folder and reader
        self._leaving: list[ReviewedStudy] = []  # the scene, once the panel shows another volume
        self._opening: BackgroundTask | None = None
        self._pictures: BackgroundTask | None = None
        self._calls = FolderCalls()
        self._giving = False  # a word on the study in hand is being written
        self._held = ExitStack()
        self._folder: Path | None = None  # for files of an open cohort on this computer
        self._files = 0
        self._taken_at = 0.0
        self.late = False
        self.entries: dict[str, Entry] = {}
        self.case = self.wanted = self.error = self.note = ""
        self._at = ""  # where the reader is in the list: also at a study that could not be read

    @property
    def out(self) -> Path | None:
        """The results folder; None before one was opened."""
        return None if self._list is None else self._list.cohort.out

    @property
    def listing(self) -> bool:  # noqa: D102 (see the class)
        return self._opening is not None

    @property
    def pictures(self) -> tuple[Path | None, int]:
        """Where pictures of the list are made, and of how many entries, from the first, they are; see
        :func:`~MyoScarSegLib.engine.review_pictures.picture_files`. Each opening of a cohort has another folder."""
        return self._folder, 0 if self._pictures is None else self._pictures.progress.done

    @property
    def waiting(self) -> int:
        """How many studies wait for this reader."""
        return sum(entry.waits for entry in self.entries.values())

    @property
    def study(self) -> ReviewedStudy | None:
        """The study in hand; None if there is none, or another volume was chosen meanwhile."""
        study = self._in_scene.get(self._key(self.case))
        return study if study is not None and study.there and study.volume_node is self._workflow.volume_node else None

    def is_edited(self, case: str) -> bool:
        """Whether a study has edits in the scene that were not accepted."""
        study = self._in_scene.get(self._key(case))
        return study is not None and study.edited

    # ------------------------------------------------------------------ what a reader does

    def open(self, out: Path, reader: str, mode: Mode) -> None:
        """Open the results folder of a cohort as this reader. Studies of another one leave the scene, unless they were edited."""
        self._say()
        try:
            found = ReviewList(Cohort(out), reader, mode)
        except MyoScarSegError as error:
            self._say(error=str(error))
            return
        self.close()

        def listed(task: BackgroundTask) -> None:
            if self._opening is not task:
                return
            self._opening = None
            try:
                self.entries = {entry.case: entry for entry in entries_of(task)}
                self._folder = self._held.enter_context(scratch_folder("myoscarseg-review-"))
            except MyoScarSegError as error:
                self._say(error=str(error))
                return
            self._list = found
            self._opened_as = out.resolve(), reader
            self._draw_pictures(out)
            self._say()

        self._opening = list_task(out, reader, mode)
        self._opening.on_done(listed)
        self._opening.start(**self._processes)
        self._changed()

    def go(self, back: bool = False) -> None:
        """Go to the next study that waits, or to the one before."""
        if self._list is not None:
            self._say()
            self._begin(self._go(self._list, back))

    def show(self, case: str) -> None:
        """Have a study in hand, whatever was said of it before."""
        if self._list is not None and case in self.entries and case not in (self.wanted, self.case if self.study else ""):
            self._begin(self._take(self._list, case))

    def accept(self) -> None:
        """Accept the study in hand as it is, with the reader's edits if there are any, and go on."""
        study = self._ready()
        if study is not None:
            left = study.left_by_reader()
            self._give(study, "accept" if left is None else "edit", edited=left)

    def reject(self, reason: str, written: Callable[[], None] = lambda: None) -> None:
        """Reject the study in hand, and go on; ``written()`` is called when that is written."""
        if not reason.strip():
            self._say(error=_("Say why the study is rejected: motion, no scar visible, another series, ..."))
            return
        study = self._ready()
        if study is not None:
            self._give(study, "reject", comment=reason.strip(), written=written)

    def keep(self) -> None:
        """The reader does something to the study in hand: it stays his for another while."""
        if self._list is not None and self.study is not None and time.monotonic() - self._taken_at >= _RENEWED_AFTER_S:
            self._taken_at = time.monotonic()
            self._begin(self._try(partial(self._list.open, self.case)))

    def close(self) -> None:
        """Let go of the cohort: what is read is ended, the study in hand given back. Edited studies stay in the scene."""
        self._calls.finish(_AT_THE_END_S)
        if self._opening is not None:
            opening, self._opening = self._opening, None
            opening.kill()
        if self._pictures is not None:
            self._pictures.kill()
            self._pictures = None
        for case in list(self._tasks):
            self._forget(case)
        self._give_back(self.case, self.wanted)
        self._calls.finish(_AT_THE_END_S)
        self.case = self.wanted = self._at = ""
        for key, study in list(self._in_scene.items()):
            study.session.refresh()
            if not study.edited:
                self._leaving.append(self._in_scene.pop(key))
        self._list, self.entries = None, {}
        self._held.close()
        self._folder = None

    def poll(self) -> bool:
        """Take what processes have said, and out of the scene what is done with. Returns whether to call it again soon."""
        self._clear_scene()
        tasks = [*self._tasks.values(), self._opening, self._pictures]
        running = [task for task in tasks if task is not None and not task.poll()]
        asking = self._calls.poll()
        if self.late != self._calls.late:
            self.late = self._calls.late
            self._changed()
        return bool(running or asking or self._leaving)

    # ------------------------------------------------------------------ inside

    def _draw_pictures(self, out: Path) -> None:
        assert self._folder is not None  # noqa: S101 (the cohort was opened)
        self._pictures = pictures_task(out, list(self.entries), self._folder)
        self._pictures.on_progress(lambda *_: self._changed())
        self._pictures.start(**self._processes)  # if it cannot be: a list without pictures is as good to work with

    def _ready(self) -> ReviewedStudy | None:
        """The study in hand, if a word can be said on it now."""
        study = self.study
        if study is None:
            self._say(error=_("Open a study of the list first."))
            return None
        if self._giving:
            self._say(error=_("Wait until the results folder has answered."))
            return None
        if self._workflow.busy or study.session.pending.slices:
            self._say(error=_("Wait until the first tab has done its work."))
            return None
        return study

    def _key(self, case: str) -> tuple[Path, str, str]:
        return (*self._opened_as, case)

    def _begin(self, steps: Steps[Any]) -> None:
        """Do something with the results folder, at the next turn."""
        self._calls.begin(steps)
        self._changed()

    def _try(self, call: Callable[[], object]) -> Steps[None]:
        """Make a call, and say why it fails."""
        try:
            yield call
        except MyoScarSegError as error:
            self._say(error=str(error))

    def _give(
        self,
        study: ReviewedStudy,
        verdict: Verdict,
        *,
        comment: str = "",
        edited: Edited | None = None,
        written: Callable[[], None] = lambda: None,
    ) -> None:
        assert self._list is not None  # noqa: S101 (a study is in hand)
        among, state, self._giving = self._list, study.session.state, True

        def give() -> Steps[None]:
            try:
                review: Review = yield partial(among.give, study.case, verdict, comment=comment, edited=edited, basis=study.basis)
            except MyoScarSegError as error:
                yield from self._refresh_entry(among, study.case, error)
                return
            finally:
                self._giving = False
            study.accepted(state)
            written()
            yield from self._refresh_entry(among, study.case)
            said = {"accept": _("{case}: accepted."), "edit": _("{case}: edited, {mass} g."), "reject": _("{case}: rejected.")}[
                verdict
            ]
            done = said.format(case=study.case, mass="?" if review.mass_g is None else f"{review.mass_g:.1f}")
            self._say()
            yield from self._go(among, back=False)
            self._say(error=self.error, note=f"{done} {self.note}".strip())

        self._begin(give())

    def _go(self, among: ReviewList, back: bool) -> Steps[None]:
        tried = self._at
        for _attempt in range(len(self.entries)):
            following = next_waiting(self.entries.values(), tried, back=back)
            if following is None:
                break
            if (yield from self._take(among, following)):
                return
            tried = following
        self._say(error=self.error, note=_("No other study waits for a review."))

    def _take(self, among: ReviewList, case: str) -> Steps[bool]:
        """Have a case for this reader, and in hand as soon as it is read. Returns whether he can have it."""
        try:
            yield partial(among.open, case)
        except MyoScarSegError as error:
            yield from self._refresh_entry(among, case, error)
            return False
        self._taken_at = time.monotonic()
        if self.wanted and self.wanted != case:
            self._give_back(self.wanted)
        self.wanted = self._at = case
        self._say()
        study = self._in_scene.get(self._key(case))
        if study is not None and study.there:
            self._arrive(study)
        else:
            self._in_scene.pop(self._key(case), None)
            self._read(case)
            self._take_up(case)
        return True

    def _read(self, case: str) -> None:
        """Begin to read a case, unless that has begun."""
        if case in self._tasks or self._list is None or self._folder is None:
            return
        self._files += 1
        file = self._folder / f"{self._files}.npz"
        task = read_task(self._list.cohort.out, self._list.reader, self._list.mode, case, file)
        self._tasks[case] = task
        task.on_done(lambda *_: self._take_up(case))
        task.start(**self._processes)

    def _take_up(self, case: str) -> None:
        """Put a case that was read into the scene, if it is awaited."""
        if case != self.wanted or case not in self._tasks:
            return
        if not self._tasks[case].finished:
            return
        try:
            study = ReviewedStudy(self._workflow.scene, case_of(self._tasks[case]))
        except MyoScarSegError as error:
            self._failed(case, error)
            return
        self._forget(case)
        self._in_scene[self._key(case)] = study
        self._arrive(study)

    def _failed(self, case: str, error: MyoScarSegError) -> None:
        self._forget(case)
        self._give_back(case)
        self.wanted = ""
        self._say(error=str(error))
        if self._list is not None:
            self._begin(self._refresh_entry(self._list, case, error))

    def _arrive(self, study: ReviewedStudy) -> None:
        before, self.case, self.wanted = self.case, study.case, ""
        self._workflow.select(study.volume_node)
        if before and before != self.case:
            self._leave(before)
        following = next_waiting(self.entries.values(), self.case)
        for case in [case for case in self._tasks if case != following]:
            self._forget(case)
        if following and self._key(following) not in self._in_scene:
            self._read(following)
        self._changed()

    def _leave(self, case: str) -> None:
        """The reader goes on: a study that was edited, but not accepted, stays his and in the scene."""
        study = self._in_scene.get(self._key(case))
        if study is not None:
            study.session.refresh()
            if study.edited:
                return
        self._give_back(case)
        if study is not None:
            del self._in_scene[self._key(case)]
            self._leaving.append(study)

    def _clear_scene(self) -> None:
        """Take out the studies that the reader is done with.

        Not before the panel has shown the change to another one: its list of volumes chooses for itself when the one that it
        shows is deleted.
        """
        leaving, self._leaving = self._leaving, []
        for study in leaving:
            if study.there and study.volume_node is self._workflow.volume_node:
                self._workflow.select(None)
                self._leaving.append(study)
            else:
                study.remove()

    def _give_back(self, *cases: str) -> None:
        for case in cases:
            if case and self._list is not None:
                self._begin(self._try(partial(_close, self._list, case)))  # if that fails, the lease runs out by itself

    def _forget(self, case: str) -> None:
        task = self._tasks.pop(case)
        task.kill()
        case_file(task).unlink(missing_ok=True)

    def _refresh_entry(self, among: ReviewList, case: str, error: MyoScarSegError | None = None) -> Steps[None]:
        """List a study as it is now; ``error`` is what went wrong with it."""
        try:
            self.entries[case] = yield partial(among.entry, case)
        except MyoScarSegError as gone:
            if (yield among.cohort.out.is_dir):
                self.entries[case] = replace(self.entries[case], state=GONE)
            error = error or gone
        if error is not None:
            self._say(error=str(error))

    def _say(self, *, error: str = "", note: str = "") -> None:
        self.error, self.note = error, note
        self._changed()


def _close(among: ReviewList, case: str) -> None:
    """Give a study back, if its folder is still there."""
    if among.cohort.out.is_dir():
        among.close(case)
