"""A library's folder, looked at again and again: its cases, its split, and what other programs have changed in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.scene.training.task_queue import TrainingTask
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.training.datasets.import_export import next_code
from MyoScarSegLib.training.datasets.library_state import PROBLEM, CaseRow, LibraryState, Signature, signature
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.utils.folder_calls import ANSWERS_S, AT_ONCE_S, in_thread
from MyoScarSegLib.utils.task import DONE, FAILED

if TYPE_CHECKING:
    from MyoScarSegLib.scene.training.training_workflow import TrainingWorkflow

_LOOK_S = 1.0
_AGAIN_S = 20.0
"""After the comparison of checksums has failed, when it is tried again."""


def _signed(folder: Path, library: Library | None) -> tuple[Library, Signature]:
    """The library of a folder, opened if it was not yet, and its files as they are."""
    found = library or Library.open(folder)
    return found, signature(found)


class LibraryWatch:
    """Keeps ``rows`` and ``split`` of the state as they are on disk.

    Attributes:
        split_problem: sentence on a split that cannot be read; empty if all is well.
    """

    def __init__(self, training: TrainingWorkflow, clock: Callable[[], float]) -> None:
        self.split_problem = ""
        self._training, self._clock = training, clock
        self._library: Library | None = None
        self._rows: LibraryState | None = None
        self._signature: Signature | None = None
        self._changed_files: dict[str, str] = {}
        self._look: Future[tuple[Library, Signature]] | None = None
        self._looked = self._began = 0.0
        self._checking: TrainingTask | None = None
        self._check_again = math.inf
        self._writes = 0  # of splits, that are not done yet

    def open(self, folder: Path, *, create: bool) -> None:
        """Take a library.

        Raises:
            StudyError: there is none in ``folder``, or the folder holds something else.
            OutputError: it cannot be made.
        """
        library = Library.create(folder) if create else Library.open(folder)
        self._library, self._rows = library, LibraryState(library)
        self._changed_files, self._signature, self._look = {}, None, None
        self.close()
        self._training.update(folder=library.folder, gone=False, rows=(), split=None)
        self.look(at_once=True)

    def close(self) -> None:
        """Compare no checksums any more."""
        checking, self._checking = self._checking, None
        if checking is not None:
            checking.kill()

    def poll(self) -> None:
        """Take over what the comparison of checksums has found."""
        if self._checking is not None:
            self._checking.poll()

    @property
    def looking(self) -> bool:
        """Whether a look goes on that will soon be answered."""
        return self._look is not None and self._clock() - self._began < ANSWERS_S

    @property
    def next_patient(self) -> str:
        """The first of ``P001``, ``P002``, ... that is free."""
        return "P001" if self._library is None else next_code(self._library)

    def look(self, *, at_once: bool = False) -> bool:
        """See whether the folder has changed, once a second, and read it anew if so.

        With ``at_once`` now and to the end; else for a moment only, and the next look goes on with it.

        Returns:
            Whether the disk has just answered: only then is anything else on it to be looked at in this thread.
        """
        folder = self._training.state.folder
        if folder is None or (not at_once and self._look is None and self._clock() - self._looked < _LOOK_S):
            return False
        try:
            if self._look is None or at_once:
                self._look, self._began = in_thread(partial(_signed, folder, self._library)), self._clock()
            look = self._look
            wait([look], ANSWERS_S if at_once else AT_ONCE_S)
            if not look.done():
                return False
            self._looked, self._look = self._clock(), None
            self._read(*look.result())
        except (StudyError, OSError) as error:
            self._looked, self._look = self._clock(), None
            if self._library is not None:
                self._library = self._rows = self._signature = None
                self._training.update(gone=True, rows=(), split=None)
                self._training.say(error=str(error))
        return True

    def _read(self, library: Library, found: Signature) -> None:
        if found == self._signature:
            if self._clock() >= self._check_again:
                self._check_files()
            return
        if self._library is None or self._rows is None:
            self._library, self._rows = library, LibraryState(library)
            self._training.say(note=_("The training library is there again."))
        self._signature = found
        rows = tuple(self._with_change(row) for row in self._rows.rows(sums=False))
        self._training.update(gone=False, rows=rows)
        before, self.split_problem = self.split_problem, ""
        try:
            split = library.split_manifest()
        except StudyError as error:
            split, self.split_problem = None, str(error)
            if before != self.split_problem:
                self._training.say(error=self.split_problem)
        if not self._writes:
            self._training.update(split=split)
        self._check_files()

    def _with_change(self, row: CaseRow) -> CaseRow:
        change = self._changed_files.get(row.name)
        return row if change is None or row.state == PROBLEM else replace(row, state=PROBLEM, problem=change)

    def _check_files(self) -> None:
        """Have the files' checksums compared beside all else: that takes long, and nobody waits for it. A failure is no matter of
        the user's."""
        library, checked = self._library, self._signature
        if library is None or self._checking is not None:
            return

        def ended(_task: Any) -> None:
            if self._checking is not task:
                return  # another library was opened meanwhile
            if task.state == DONE and library is self._library and task.result["changed"] != self._changed_files:
                self._changed_files = dict(task.result["changed"])
                self._read_again()
            self._checking = None
            self._check_again = self._clock() + _AGAIN_S if task.state == FAILED else math.inf
            if checked != self._signature and self._signature is not None:
                self._check_files()

        task = self._checking = TrainingTask("library_changes", {"library": str(library.folder)})
        task.on_done(ended)
        task.start(**self._training.processes)

    def _read_again(self) -> None:
        self._signature = None
        self.look(at_once=True)

    def write_split(self, split: Split) -> None:
        """Show a split, and have it checked and written; what is refused is taken back, with a sentence."""
        training = self._training
        self._writes += 1
        training.update(split=split)

        def done(result: Any) -> None:
            training.say(error=training.state.error, note=" ".join(filter(None, (training.state.note, *result["notes"]))))

        def ended() -> None:
            self._writes -= 1
            self._read_again()

        told = {"training": list(split.training), "validation": list(split.validation)}
        arguments = {"library": str(training.state.folder), "split": told}
        training.tasks.add(TrainingTask("split_write", arguments, "split", done, ended))

    def let_train(self, patients: Iterable[str]) -> None:
        """Let patients who were just added train, if there is a split that does not know them."""
        state = self._training.state
        new = [patient for patient in dict.fromkeys(patients) if patient in state.patients and not state.side_of(patient)]
        if state.split is not None and new:
            self.write_split(state.split.extended(new))
