"""What a training library holds and what is wrong with it: quickly for a list, by the files' sums, or by reading everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.training.datasets.case_record import THUMBNAIL, Case, content_digest
from MyoScarSegLib.training.datasets.labeled import LabeledSlice, LabeledStudy, slices_of
from MyoScarSegLib.training.datasets.places import ADDING, CASES, REMOVING, REPLACED, replaced_case
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.splits import SPLIT, check_leakage, check_split
from MyoScarSegLib.utils.files import sha256_of
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress, steps
from MyoScarSegLib.utils.words import counted, listed

COMPLETE, UNREVIEWED, PROBLEM = "complete", "unreviewed", "problem"

Signature = tuple[tuple[str, int, int], ...]
"""Names, times (ns) and sizes of the library's files."""


@dataclass(frozen=True)
class CaseRow:
    """One case in a list.

    Attributes:
        case: its record; None if it cannot be read.
        name: of the case.
        state: ``complete``, ``unreviewed`` (some slices are not reviewed and therefore not used) or ``problem``.
        problem: sentence that says what is wrong and what to do; empty if nothing is.
        thumbnail: PNG, if there is one.
    """

    case: Case | None
    name: str
    state: str
    problem: str
    thumbnail: Path | None


class LibraryState:
    """The rows of a library, looked at again and again: a file is only summed anew when its time or size has changed."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._sums: dict[Path, tuple[int, int, str]] = {}

    def rows(self, *, sums: bool = True) -> list[CaseRow]:
        """All cases, sorted by name; an unreadable one too. With ``sums`` files are compared that were not yet: some 5 ms for
        each case, so not in an application's main thread.
        """
        cases, damaged = self.library.scan()
        folders = self.library.folders()
        known = {case.case: case for case in cases}
        return [self._row(name, folders[name], known.get(name), damaged.get(name, ""), sums) for name in sorted(folders)]

    def changed_files(self) -> dict[str, str]:
        """Case to the sentence that says which of its files is not the one that was added; reads what is not summed yet."""
        return {row.name: row.problem for row in self.rows() if row.case is not None and row.state == PROBLEM}

    def _row(self, name: str, folder: Path, case: Case | None, damage: str, sums: bool) -> CaseRow:
        problem = damage if case is None else case.difference(folder, lambda file: self._sum(file, sums))
        state = PROBLEM if problem else COMPLETE
        if case is not None and case.unreviewed and not problem:
            word = "Slice" if len(case.unreviewed) == 1 else "Slices"
            state, problem = UNREVIEWED, f"{word} {listed(case.unreviewed, 12)} not reviewed, and so not used."
        thumbnail = folder / THUMBNAIL if (folder / THUMBNAIL).is_file() else None
        return CaseRow(case, name, state, problem, thumbnail)

    def _sum(self, file: Path, sums: bool) -> str | None:
        """The SHA-256 of a file; None if it would have to be read, and ``sums`` are not wanted."""
        facts = file.stat()
        known = self._sums.get(file)
        if known is None or known[:2] != (facts.st_mtime_ns, facts.st_size):
            if not sums:
                return None
            known = self._sums[file] = (facts.st_mtime_ns, facts.st_size, sha256_of(file))
        return known[2]


def signature(library: Library) -> Signature:
    """What differs when a case or the split was added, removed or changed, no file being read; StudyError without library."""
    library.check_there()
    found = []
    for pattern in (SPLIT, f"{REPLACED}*", f"{CASES}/*/*"):
        for name in glob(pattern, root_dir=library.folder):  # noqa: PTH207 - Path.glob raises where a case is just removed
            with suppress(OSError):  # just removed
                facts = (library.folder / name).stat()
                found.append((name, facts.st_mtime_ns, facts.st_size))
    return tuple(sorted(found))


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes:
        level: ``"error"`` (training would go wrong or stop) or ``"warning"``.
        case: empty for the library as a whole.
        message: what it is and what to do.
    """

    level: str
    case: str
    message: str


def check_library(library: Library, *, progress: Progress = no_progress, cancel: CancelToken | None = None) -> list[Finding]:
    """Read everything in a library and say what is wrong; an empty list if nothing is."""
    cases, damaged = library.scan()
    findings = [Finding("error", case, reason) for case, reason in damaged.items()]
    studies: list[LabeledStudy] = []
    for case in steps(cases, lambda case: f"Checking {case.case}", progress, cancel):
        try:
            labeled = library.load(case)
        except StudyError as error:
            findings.append(Finding("error", case.case, str(error)))
            continue
        studies.append(labeled)
        if content_digest(labeled) != case.content_sha256:
            message = "Image, geometry or labels are not what the record is about. Remove the case and add it again."
            findings.append(Finding("error", case.case, message))
        findings += [Finding("warning", case.case, message) for message in _remarks(labeled)]
    if not cases and not damaged:
        findings.append(Finding("warning", "", "The library has no case yet."))
    return findings + _leftovers(library) + _of_split(library, slices_of(studies))


def _remarks(labeled: LabeledStudy) -> Iterator[str]:
    study = labeled.study
    if not labeled.slices_with_scar:
        yield "No pixel is labeled as scar. Right for an exam without scar; else draw it and add the case with --replace."
    if study.geometry.spacing_mm is None:
        yield "The image has no spacing, so nothing can be said in mm or g."
    if study.bad_slices:
        yield f"{counted(len(study.bad_slices), 'slice')} could not be read when the case was added, and left out."


def _leftovers(library: Library) -> list[Finding]:
    """Folders of runs that were killed (or are at work), and what does not belong here."""
    read = set(library.folders().values())
    findings = []
    for path in sorted(library.folder.iterdir()):
        if path.name.startswith((ADDING, REMOVING, REPLACED)) and path not in read:
            message = f"{path.name} was left by a run that was stopped, or is being written now. If none is at work, delete it."
            findings.append(Finding("warning", "", message))
        elif path in read and path.parent == library.folder:
            message = "A run was stopped while it replaced this case; the old one is used. The next change puts it in its place."
            findings.append(Finding("warning", replaced_case(path), message))
    cases = library.folder / CASES
    for path in sorted(cases.iterdir()) if cases.is_dir() else ():
        if path not in read:
            findings.append(Finding("warning", "", f"{path} is no case; move it elsewhere."))
    return findings


def _of_split(library: Library, slices: list[LabeledSlice]) -> list[Finding]:
    try:
        split = library.split_manifest()
        if split is None or not slices:
            return []
        warnings = check_split(split, slices)
        check_leakage(split.extended({s.patient for s in slices}), slices)
    except StudyError as error:
        return [Finding("error", "", f"{SPLIT}: {error}")]
    return [Finding("warning", "", f"{SPLIT}: {message}") for message in warnings]
