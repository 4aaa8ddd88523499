"""What a list of a training library shows of each case, and whether the library has changed. Quick: images are not read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.training.datasets.case_record import THUMBNAIL, Case
from MyoScarSegLib.training.datasets.places import CASES, REPLACED
from MyoScarSegLib.training.datasets.training_library import SPLIT, Library
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.utils.files import sha256_of

COMPLETE, UNREVIEWED, PROBLEM = "complete", "unreviewed", "problem"
TRAINING, VALIDATION = "training", "validation"

Signature = tuple[tuple[str, int, int], ...]
"""Names, times (ns) and sizes of the library's files; see :func:`signature`."""


@dataclass(frozen=True)
class CaseRow:
    """One case in a list.

    Attributes:
        case: its record; None if it cannot be read.
        name: of the case.
        state: ``complete``, ``unreviewed`` (some slices are not reviewed and therefore not used) or ``problem``.
        problem: sentence that says what is wrong and what to do; empty if nothing is.
        thumbnail: PNG, if there is one.
        part: ``training``, ``validation``, or empty if the patient is on neither side of the split.
    """

    case: Case | None
    name: str
    state: str
    problem: str
    thumbnail: Path | None
    part: str


class LibraryState:
    """The rows of a library, looked at again and again: a file is only summed anew when its time or size has changed."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._sums: dict[Path, tuple[int, int, str]] = {}

    def rows(self, *, sums: bool = True) -> list[CaseRow]:
        """All cases, sorted by name; an unreadable one too.

        Args:
            sums: compare checksums of files that were not compared yet; some 5 ms for each case, so not in an application's
                main thread.
        """
        cases, damaged = self.library.scan()
        folders = self.library.folders()
        split = _split(self.library)
        known = {case.case: case for case in cases}
        return [self._row(name, folders[name], known.get(name), damaged.get(name, ""), split, sums) for name in sorted(folders)]

    def changed_files(self) -> dict[str, str]:
        """Case to the sentence that says which of its files is not the one that was added; reads what is not summed yet."""
        return {row.name: row.problem for row in self.rows() if row.case is not None and row.state == PROBLEM}

    def _row(self, name: str, folder: Path, case: Case | None, damage: str, split: Split | None, sums: bool) -> CaseRow:
        problem = damage if case is None else self._difference(folder, case, sums)
        state = PROBLEM if problem else COMPLETE
        if case is not None and case.unreviewed and not problem:
            numbers = ", ".join(str(k) for k in case.unreviewed[:12]) + (" ..." if len(case.unreviewed) > 12 else "")
            word = "Slice" if len(case.unreviewed) == 1 else "Slices"
            state, problem = UNREVIEWED, f"{word} {numbers} not reviewed, and so not used."
        thumbnail = folder / THUMBNAIL if (folder / THUMBNAIL).is_file() else None
        part = "" if split is None or case is None else _part(split, case.patient)
        return CaseRow(case, name, state, problem, thumbnail, part)

    def _difference(self, folder: Path, case: Case, sums: bool) -> str:
        for name, digest in case.files.items():
            path = folder / name
            try:
                facts = path.stat()
                before = self._sums.get(path)
                if before is None or before[:2] != (facts.st_mtime_ns, facts.st_size):
                    if not sums:
                        continue
                    before = self._sums[path] = (facts.st_mtime_ns, facts.st_size, sha256_of(path))
            except OSError as error:
                return f"{name} cannot be read: {error.strerror}. Put it back, or remove the case and add it again."
            if before[2] != digest:
                return f"{name} was changed since it was added. Accept the change, or add the case again."
        return ""


def signature(library: Library) -> Signature:
    """What differs when a case was added, removed or changed, or the split was; without reading any file.

    Raises:
        StudyError: the library is gone.
    """
    folder = library.folder
    library.check_there()
    found = [_facts(folder, path) for path in (folder / SPLIT, *folder.glob(f"{REPLACED}*"))]
    for case in _inside(folder / CASES):
        found += [_facts(folder, path) for path in _inside(case)]
    return tuple(sorted(facts for facts in found if facts is not None))


def _inside(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder)]
    except OSError:  # a file, or just removed
        return []


def _facts(folder: Path, path: Path) -> tuple[str, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return str(path.relative_to(folder)), facts.st_mtime_ns, facts.st_size


def _split(library: Library) -> Split | None:
    try:
        return library.split_manifest()
    except StudyError:
        return None  # whoever needs the split is told; the cases are listed all the same


def _part(split: Split, patient: str) -> str:
    return TRAINING if patient in split.training else VALIDATION if patient in split.validation else ""
