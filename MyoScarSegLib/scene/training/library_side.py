"""The library as the training tab shows it: its cases, its split, and what was changed on disk meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError, StudyError
from MyoScarSegLib.scene.text import _
from MyoScarSegLib.scene.training.chores import Chore, Chores
from MyoScarSegLib.scene.training.notices import TrainChange, TrainNotices
from MyoScarSegLib.training.datasets.imports import next_code
from MyoScarSegLib.training.datasets.library import Library
from MyoScarSegLib.training.datasets.library_state import PROBLEM, TRAINING, VALIDATION, CaseRow, LibraryState, signature
from MyoScarSegLib.training.splits import Split

_LOOK_S = 1.0


class LibrarySide:
    """A library, or none.

    Attributes:
        library: that is open; None before one is chosen, and while its folder is gone.
        folder: of the chosen library, also while it is gone.
        rows: its cases.
        split: who trains and who validates; None if it was not drawn yet.
    """

    def __init__(self, chores: Chores, notices: TrainNotices, clock: Callable[[], float]) -> None:
        self.library: Library | None = None
        self.folder: Path | None = None
        self.rows: list[CaseRow] = []
        self.split: Split | None = None
        self._chores, self._notices, self._clock = chores, notices, clock
        self._state: LibraryState | None = None
        self._signature: Any = None
        self._changed: dict[str, str] = {}
        self._looked = 0.0
        self._watching: Chore | None = None
        self._writing: Chore | None = None
        self._next_split: Split | None = None

    def open(self, folder: Path, *, create: bool) -> None:
        """Take a library.

        Raises:
            StudyError: there is none in ``folder``, or the folder holds something else.
            OutputError: it cannot be made.
        """
        library = Library.create(folder) if create else Library.open(folder)
        self.library, self.folder, self._state = library, library.folder, LibraryState(library)
        self._changed, self._signature = {}, None
        self.look(at_once=True)

    def look(self, *, at_once: bool = False) -> bool:
        """See whether the folder has changed, once a second. Returns whether rows and split were read anew."""
        now = self._clock()
        if self.folder is None or (not at_once and now - self._looked < _LOOK_S):
            return False
        self._looked = now
        try:
            library = Library.open(self.folder) if self.library is None else self.library
            found = signature(library)
            if found == self._signature:
                return False
            if self.library is None or self._state is None:
                self.library, self._state = library, LibraryState(library)
                self._notices.say(note=_("The training library is there again."))
            self._signature = found
            self._read(library, self._state)
            self._watch()
        except (StudyError, OSError) as error:
            if self.library is None:
                return False
            self.library, self._state, self._signature = None, None, None
            self.rows, self.split = [], None
            self._notices.say(error=str(error))
        self._notices.tell(TrainChange.LIBRARY, TrainChange.SPLIT, TrainChange.RUNS)
        return True

    def _read(self, library: Library, state: LibraryState) -> None:
        rows = state.rows(sums=False)
        self.rows = [self._with_change(row) for row in rows]
        try:
            split = library.split_manifest()
        except StudyError as error:
            split = None
            self._notices.say(error=str(error))
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

        def done(result: Any) -> None:
            if result["changed"] != self._changed:
                self._changed = dict(result["changed"])
                self._signature = None  # show them at the next look
                self.look(at_once=True)

        def ended() -> None:
            self._watching = None
            if seen != self._signature and self._signature is not None:
                self._watch()

        arguments = {"library": str(self.library.folder)}
        self._watching = self._chores.add(Chore("library_changes", arguments, "", done, ended, silent=True))

    # ---- patients and sides

    @property
    def patients(self) -> list[str]:
        """Codes of all patients, sorted."""
        return sorted({row.case.patient for row in self.rows if row.case is not None})

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
        if patient not in self.patients:
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
        if self.library is None:
            return
        before, self.split = self.split, split
        self._notices.tell(TrainChange.SPLIT)
        if self._writing is not None:
            self._next_split = split
            return

        def done(result: Any) -> None:
            self._notices.say(note=" ".join(result["notes"]))

        def ended() -> None:
            failed = chore.state != "done"
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
        chore = Chore("split_write", {"library": str(self.library.folder), "split": told}, "split", done, ended)
        self._writing = self._chores.add(chore)

    def take_in(self, patient: str) -> None:
        """Let a patient who was just added train, if there is a split that does not know them."""
        if self.split is not None and not self.side_of(patient) and patient in self.patients:
            self.write(self.split.extended([patient]))

    def failed(self, error: MyoScarSegError) -> bool:
        """Say why something was refused; always False."""
        self._notices.say(error=str(error))
        return False
