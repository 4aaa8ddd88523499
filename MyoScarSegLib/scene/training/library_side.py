"""The library as the training tab shows it: its cases, its split, and what was changed on disk meanwhile."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.scene.notices import Notices, TrainChange
from MyoScarSegLib.scene.text import _
from MyoScarSegLib.scene.training.task_queue import QueuedTask, TaskQueue
from MyoScarSegLib.training.datasets.imports import next_code
from MyoScarSegLib.training.datasets.library_state import (
    PROBLEM,
    TRAINING,
    VALIDATION,
    CaseRow,
    LibraryState,
    Signature,
    signature,
)
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.splits import Split

_LOOK_S = 1.0
_AGAIN_S = 20.0
"""After the comparison of checksums has failed, when it is tried again."""
_LOOK_AT_ONCE_S = 0.002
"""For how long one turn waits for a look, which goes on in a thread; threads get little time in the application else."""
_ANSWERS_S = 3.0
"""A library that takes longer to be looked at does not answer: a network share that is gone."""


class _Look:
    """One look at a library's files, in a thread: a network share that is gone answers after minutes, or never."""

    def __init__(self, folder: Path, library: Library | None) -> None:
        self._outcome: tuple[Library, Signature] | Exception | None = None
        self._there = threading.Event()
        threading.Thread(target=self._run, args=(folder, library), daemon=True, name="look at library").start()

    def outcome(self, seconds: float) -> tuple[Library, Signature] | None:
        """The library and its files' signature, None if they are not known within ``seconds``. Raises what was raised there."""
        self._there.wait(seconds)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def _run(self, folder: Path, library: Library | None) -> None:
        try:
            library = library or Library.open(folder)
            self._outcome = library, signature(library)
        except Exception as error:
            self._outcome = error
        self._there.set()


class LibrarySide:
    """A library, or none.

    Attributes:
        library: that is open; None before one is chosen, and while its folder is gone.
        folder: of the chosen library, also while it is gone.
        rows: its cases.
        split: who trains and who validates; None if it was not drawn yet.
        split_problem: sentence on a split that cannot be read; empty if all is well.
    """

    def __init__(self, tasks: TaskQueue, notices: Notices, clock: Callable[[], float]) -> None:
        self.library: Library | None = None
        self.folder: Path | None = None
        self.rows: list[CaseRow] = []
        self.split: Split | None = None
        self._tasks, self._notices, self._clock = tasks, notices, clock
        self._state: LibraryState | None = None
        self._signature: Any = None
        self.split_problem = ""
        self._changed: dict[str, str] = {}
        self._looking: _Look | None = None
        self._looked = self._began = 0.0
        self._watching: QueuedTask | None = None
        self._watch_again = math.inf
        self._writing: QueuedTask | None = None
        self._next_split: Split | None = None

    def open(self, folder: Path, *, create: bool) -> None:
        """Take a library.

        Raises:
            StudyError: there is none in ``folder``, or the folder holds something else.
            OutputError: it cannot be made.
        """
        library = Library.create(folder) if create else Library.open(folder)
        self.library, self.folder, self._state = library, library.folder, LibraryState(library)
        self._changed, self._signature, self._looking = {}, None, None
        self._writing = self._next_split = self._watching = None
        self.look(at_once=True)

    @property
    def looking(self) -> bool:
        """Whether a look goes on that will soon be answered."""
        return self._looking is not None and self.answers

    @property
    def answers(self) -> bool:
        """Whether the library's disk answers, as far as is known: if not, nothing of it is to be looked at in this thread."""
        return self._looking is None or self._clock() - self._began < _ANSWERS_S

    def look(self, *, at_once: bool = False) -> bool:
        """See whether the folder has changed, once a second. Returns whether rows and split were read anew.

        Args:
            at_once: see it now and to the end; else a look goes on for a moment only, and the next one continues it.
        """
        if self.folder is None or (not at_once and self._looking is None and self._clock() - self._looked < _LOOK_S):
            return False
        try:
            if self._looking is None or at_once:
                self._looking, self._began = _Look(self.folder, self.library), self._clock()
            outcome = self._looking.outcome(_ANSWERS_S if at_once else _LOOK_AT_ONCE_S)
            if outcome is None:
                return False
            library, found = outcome
            self._looked, self._looking = self._clock(), None
            if found == self._signature:
                if self._clock() >= self._watch_again:
                    self._watch()
                return False
            if self.library is None or self._state is None:
                self.library, self._state = library, LibraryState(library)
                self._notices.say_only(note=_("The training library is there again."))
            self._signature = found
            self._read(library, self._state)
            self._watch()
        except (StudyError, OSError) as error:
            self._looked, self._looking = self._clock(), None
            if self.library is None:
                return False
            self.library, self._state, self._signature = None, None, None
            self.rows, self.split = [], None
            self._notices.say_only(error=str(error))
        self._notices.tell(TrainChange.LIBRARY, TrainChange.SPLIT, TrainChange.RUNS, TrainChange.STATE)
        return True

    def _read(self, library: Library, state: LibraryState) -> None:
        rows = state.rows(sums=False)
        self.rows = [self._with_change(row) for row in rows]
        before, self.split_problem = self.split_problem, ""
        try:
            split = library.split_manifest()
        except StudyError as error:
            split, self.split_problem = None, str(error)
            if before != self.split_problem:
                self._notices.say_only(error=self.split_problem)
        if self._writing is None:
            self.split = split

    def _with_change(self, row: CaseRow) -> CaseRow:
        change = self._changed.get(row.name)
        return row if change is None or row.state == PROBLEM else replace(row, state=PROBLEM, problem=change)

    def _watch(self) -> None:
        """Have the files' checksums compared, which takes too long for the application."""
        if self.library is None or self._watching is not None:
            return
        seen = self._signature

        library = self.library

        def done(result: Any) -> None:
            if library is self.library and result["changed"] != self._changed:
                self._changed = dict(result["changed"])
                self._signature = None  # show them at the next look
                self.look(at_once=True)

        def ended() -> None:
            if self._watching is not task:
                return  # another library was opened meanwhile
            self._watching = None
            self._watch_again = self._clock() + _AGAIN_S if task.state == "failed" else math.inf
            if seen != self._signature and self._signature is not None:
                self._watch()

        arguments = {"library": str(self.library.folder)}
        task = QueuedTask("library_changes", arguments, "", done, ended, silent=True)
        self._watching = task
        self._tasks.add(task)

    # ---- patients and sides

    @property
    def patients(self) -> list[str]:
        """Codes of all patients, sorted."""
        return sorted({row.case.patient for row in self.rows if row.case is not None})

    @property
    def left_out(self) -> list[str]:
        """Patients who are on neither side of the split; none without one."""
        return [] if self.split is None else [patient for patient in self.patients if not self.side_of(patient)]

    @property
    def next_patient(self) -> str:
        """The first of ``P001``, ``P002``, ... that is free."""
        return "P001" if self.library is None else next_code(self.library)

    def side_of(self, patient: str) -> str:
        """``training``, ``validation``, or empty."""
        if self.split is None:
            return ""
        return TRAINING if patient in self.split.training else VALIDATION if patient in self.split.validation else ""

    def moved(self, patient: str, side: str) -> Split:
        """The split with a patient on another side.

        Raises:
            StudyError: there is no such patient or side, or a side would have nobody.
        """
        known = self.split is not None and patient in (*self.split.training, *self.split.validation)
        if patient not in self.patients and (side or not known):  # who is gone may be taken off their side
            raise StudyError(_("The library has no patient {patient}.").format(patient=patient))
        if side not in (TRAINING, VALIDATION, ""):
            raise StudyError(_("There is no side {side}; there are training and validation.").format(side=side))
        before = self.split or Split(tuple(p for p in self.patients if p != patient), ())
        training = set(before.training) - {patient} | ({patient} if side == TRAINING else set())
        validation = set(before.validation) - {patient} | ({patient} if side == VALIDATION else set())
        if not training & set(self.patients):
            raise StudyError(_("Somebody has to train. Put another patient there first."))
        if not validation & set(self.patients):
            raise StudyError(_("Somebody has to validate, to show how good the model is. Put another patient there first."))
        return Split(tuple(sorted(training)), tuple(sorted(validation)))

    def write(self, split: Split) -> None:
        """Show a split, and have it checked and written; what is refused is taken back, with a sentence."""
        library = self.library
        if library is None:
            return
        before, self.split = self.split, split
        self._notices.tell(TrainChange.SPLIT)
        if self._writing is not None:
            self._next_split = split
            return

        def done(result: Any) -> None:
            self._notices.say_only(note=" ".join(result["notes"]))

        def ended() -> None:
            failed = task.state != "done"
            if self._writing is not task:
                return  # another library was opened meanwhile
            self._writing = None
            following, self._next_split = self._next_split, None
            if failed:
                self.split = before
            elif following is not None and following != split:
                self.write(following)
            self._signature = None
            self.look(at_once=True)
            self._notices.tell(TrainChange.SPLIT)

        told = {"training": list(split.training), "validation": list(split.validation)}
        task = QueuedTask("split_write", {"library": str(library.folder), "split": told}, "split", done, ended)
        self._writing = task
        self._tasks.add(task)

    def take_in(self, patients: Iterable[str]) -> None:
        """Let patients who were just added train, if there is a split that does not know them."""
        new = [patient for patient in dict.fromkeys(patients) if patient in self.patients and not self.side_of(patient)]
        if self.split is not None and new:
            self.write(self.split.extended(new))
