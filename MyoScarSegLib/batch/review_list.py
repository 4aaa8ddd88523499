"""The studies of a cohort as readers go through them: together, each study once, or each reader all of them and blind."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal, get_args

from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.reviews import (
    READER,
    Review,
    Verdict,
    basis_sha256,
    read_left,
    read_reviews,
    write_review,
)
from MyoScarSegLib.batch.study_record import StudyRecord, read_study_record
from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.outputs.edited import Edited
from MyoScarSegLib.quantification.agreement import Agreement, agreement
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.json_fields import load_if_whole, save
from MyoScarSegLib.utils.locks import locked

Mode = Literal["shared", "double"]
LEASE_S = 30 * 60.0
"""How long a study that a reader has opened is his: then another may have it, as the first may have gone home."""
GONE = "gone"
"""State of a study in a list that was read before its folder went."""
_LEASES = ".leases"
_NOTHING_TO_SEE = ("failed", "cancelled", GONE)


@dataclass(frozen=True)
class Lease:
    """Who has a study open, until when (seconds since 1970)."""

    reader: str
    until: float


@dataclass(frozen=True)
class Entry:
    """A study as the list shows it.

    Attributes:
        case: its name.
        state: of its record: ``done``, ``incomplete``, ``failed``, ...
        mass_g: of the scar as the program found it, or as the reader of ``by`` left it; None where it is not known.
        flags: why to look: ``likely wrong``, ``faint places``, ``incomplete``, ``failed``.
        verdict: of the reader whose list it is, or in the mode ``shared`` of any; empty if there is none yet.
        by: the reader who gave it.
        open_by: another reader who has it open now; empty if none.
    """

    case: str
    state: str
    mass_g: float | None
    flags: Sequence[str]
    verdict: str = ""
    by: str = ""
    open_by: str = ""

    @property
    def waits(self) -> bool:
        """Whether it is to be reviewed, and free."""
        return not self.verdict and not self.open_by and self.state not in _NOTHING_TO_SEE


def next_waiting(entries: Iterable[Entry], after: str | None = None, *, back: bool = False) -> str | None:
    """The next study of a list that waits, behind ``after`` and then from the start; None if no other does."""
    turned = list(entries)[:: -1 if back else 1]
    start = next((n + 1 for n, entry in enumerate(turned) if entry.case == after), 0)
    return next((entry.case for entry in turned[start:] + turned[:start] if entry.waits and entry.case != after), None)


class ReviewList:
    """One reader's view of a cohort.

    Attributes:
        cohort: the results folder.
        reader: who reads.
        mode: ``shared``: each study is reviewed once, by whoever opens it first; ``double``: each reader reviews all and does not
            see what the others say.
    """

    def __init__(self, cohort: Cohort, reader: str, mode: Mode = "shared") -> None:
        """
        Raises:
            OutputError: no good name of a reader, or no such mode.
        """
        if not READER.allow(reader):
            raise OutputError(f"{reader!r} is no name for a reader: it must be {READER.words}, at most 40.")
        if mode not in get_args(Mode):
            raise OutputError(f"The mode must be {' or '.join(get_args(Mode))}, not {mode!r}.")
        self.cohort, self.reader, self.mode = cohort, reader, mode

    def entries(self) -> list[Entry]:
        """All studies, in natural order of their names."""
        return [self._entry(record) for record in self.cohort.records()]

    def record(self, case: str) -> StudyRecord:
        """What the cohort has of a study.

        Raises:
            OutputError: nothing, or the results folder is not to be reached.
        """
        if not self.cohort.out.is_dir():
            raise OutputError(f"The folder {self.cohort.out} is not to be reached. Connect its drive or server, and try again.")
        record = read_study_record(self.cohort.out / case)
        if record is None:
            raise OutputError(f"{self.cohort.out / case} has no record of a study. Run the cohort again with --resume.")
        return record

    def entry(self, case: str) -> Entry:
        """One study as it is now; OutputError if it has no record, or the results folder is not to be reached."""
        return self._entry(self.record(case))

    def next(self, after: str | None = None, *, back: bool = False) -> str | None:
        """The next study that waits for this reader; see :func:`next_waiting`."""
        return next_waiting(self.entries(), after, back=back)

    def open(self, case: str, lease_s: float = LEASE_S) -> StudyRecord:
        """Take a study for this reader; again, to keep it for longer. In the mode ``double`` nobody is kept out.

        Raises:
            OutputError: another reader has it open, or has reviewed it; or it has no record.
        """
        record = self.record(case)
        if self.mode == "double":
            return record
        with self._alone(case):
            self._check_free(case, record)
            save(self._lease_file(case), Lease(self.reader, time.time() + lease_s), version=1)
        return record

    def close(self, case: str) -> None:
        """Give a study back without a word on it. In the mode ``double`` nobody has it for himself."""
        if self.mode == "double":
            return
        with self._alone(case):
            lease = self._lease(case)
            if lease is not None and lease.reader == self.reader:
                self._lease_file(case).unlink(missing_ok=True)

    def give(
        self,
        case: str,
        verdict: Verdict,
        *,
        comment: str = "",
        edited: Edited | None = None,
        basis: str | None = None,
    ) -> Review:
        """Write this reader's word on a study and close it; see :func:`~MyoScarSegLib.batch.reviews.write_review`.

        Args:
            case, verdict, comment, edited: what is said.
            basis: :func:`~MyoScarSegLib.batch.reviews.basis_sha256` of the result that was looked at; None for the one of now.

        Raises:
            OutputError: in the mode ``shared`` another reader was given the study meanwhile; it was run again meanwhile; or the
                word cannot be written.
        """
        record = self.record(case)
        with self._alone(case):
            if self.mode == "shared":
                self._check_free(case, record)
            if basis is not None and basis != basis_sha256(record):
                raise OutputError(f"{case} was run again since you opened it: delete its volume, and open it again.")
            review = write_review(self.cohort.out / case, record, self.reader, verdict, comment=comment, edited=edited)
            self._lease_file(case).unlink(missing_ok=True)
        return review

    def left_of(self, case: str, study: Study) -> Edited | None:
        """What this reader left of a study; None if he changed nothing. StudyError if a mask is damaged, or of another study."""
        return read_left(self.cohort.out / case, self.reader, study)

    def _entry(self, record: StudyRecord) -> Entry:
        reviews = read_reviews(self.cohort.out / record.case)
        seen = [r for r in reviews if r.is_of(record) and (self.mode == "shared" or r.reader == self.reader)]
        lease = self._lease(record.case) if self.mode == "shared" else None
        other = lease is not None and lease.reader != self.reader and lease.until > time.time()
        return Entry(
            record.case,
            record.state,
            seen[0].mass_g if seen and seen[0].verdict == "edit" else record.results.get("scar_mass_g"),
            tuple(flags_of(record)),
            seen[0].verdict if seen else "",
            seen[0].reader if seen else "",
            lease.reader if lease is not None and other else "",
        )

    def _check_free(self, case: str, record: StudyRecord) -> None:
        lease = self._lease(case)
        if lease is not None and lease.reader != self.reader and lease.until > time.time():
            raise OutputError(f"{case} is open at {lease.reader}'s. Take the next one.")
        others = [r for r in read_reviews(self.cohort.out / case) if r.is_of(record) and r.reader != self.reader]
        if others:
            raise OutputError(f"{case} was reviewed by {others[0].reader} meanwhile. Take the next one.")

    def _alone(self, case: str) -> AbstractContextManager[None]:
        return locked(self.cohort.out / _LEASES / f"{case}.lock")

    def _lease_file(self, case: str) -> Path:
        return self.cohort.out / _LEASES / f"{case}.json"

    def _lease(self, case: str) -> Lease | None:
        return load_if_whole(Lease, self._lease_file(case), version=1)


def flags_of(record: StudyRecord) -> list[str]:
    """Why a reader should look at a study."""
    results = record.results
    flags = [record.state] if record.state in ("failed", "incomplete", "cancelled") else []
    if results.get("likely_wrong"):
        flags.append("likely wrong")
    if results.get("faint_places"):
        flags.append("faint places")
    return flags


@dataclass(frozen=True)
class ReaderAgreement:
    """Two readers of a cohort in the mode ``double``.

    Attributes:
        readers: their names.
        cases: studies that both reviewed.
        same_verdict: share of those on which both say the same (accept, edit, reject); None without a study.
        mass: agreement of the masses that they left, where neither rejected; None without such a study.
    """

    readers: tuple[str, str]
    cases: int
    same_verdict: float | None
    mass: Agreement | None


def reader_agreements(cohort: Cohort) -> list[ReaderAgreement]:
    """Every pair of readers, on the studies as they are now."""
    words: dict[str, Mapping[str, Review]] = {}
    for record in cohort.records():
        words[record.case] = {r.reader: r for r in read_reviews(cohort.out / record.case) if r.is_of(record)}
    readers = sorted({reader for by_reader in words.values() for reader in by_reader})
    found = []
    for a, b in combinations(readers, 2):
        both = [(by[a], by[b]) for by in words.values() if a in by and b in by]
        masses = [(x.mass_g, y.mass_g) for x, y in both if x.mass_g is not None and y.mass_g is not None]
        same = sum(x.verdict == y.verdict for x, y in both) / len(both) if both else None
        mass = agreement([x for x, _ in masses], [y for _, y in masses]) if masses else None
        found.append(ReaderAgreement((a, b), len(both), same, mass))
    return found
