"""A cohort: finding its studies, running those that changed, and what the results folder says of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from MyoScarSegLib.batch.finding import RESULTS, Found, find_studies
from MyoScarSegLib.batch.job import LEFT, Job, Outcome
from MyoScarSegLib.batch.study_record import STUDY_RECORD, StudyRecord, read_study_record
from MyoScarSegLib.errors import Cancelled, OutputError, StudyError
from MyoScarSegLib.outputs.case_files import read_table, write_table
from MyoScarSegLib.outputs.case_folders import place_of
from MyoScarSegLib.study.names import natural_order
from MyoScarSegLib.utils.files import write_bytes
from MyoScarSegLib.utils.locks import locked
from MyoScarSegLib.utils.progress import CancelToken

INPUTS = "inputs.csv"
INPUT_COLUMNS = ("input", "taken", "why", "case", "status", "message", "place_sha256")
_LOCK = ".batch.lock"
_LOCK_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Cohort:
    """A results folder of many studies.

    Attributes:
        out: the folder.
    """

    out: Path

    @property
    def begun(self) -> bool:
        """Whether the folder has the record of a study."""
        return next(self.out.glob(f"*/{STUDY_RECORD}"), None) is not None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other run of a cohort out of the folder.

        Raises:
            OutputError: another run is at work there, or the folder cannot be written.
        """
        with ExitStack() as held:
            try:
                held.enter_context(locked(self.out / _LOCK, CancelToken(timeout_s=_LOCK_TIMEOUT_S)))
            except Cancelled:
                raise OutputError(f"Another run is at work in {self.out}. Wait for its end, or choose another folder.") from None
            write_bytes(self.out / RESULTS, b"")
            yield

    def records(self) -> list[StudyRecord]:
        """The records of all studies, in natural order of their names. A damaged one is none: its study will be run again."""
        folders = sorted((file.parent for file in self.out.glob(f"*/{STUDY_RECORD}")), key=lambda path: natural_order(path.name))
        found = [(folder, read_study_record(folder)) for folder in folders]
        # The user may have renamed the folder.
        return [replace(record, case=folder.name) for folder, record in found if record is not None]

    def find(self, roots: Sequence[Path], *, resume: bool) -> list[Found]:
        """Look for the studies, and list them in ``inputs.csv``.

        Raises:
            StudyError: a root is missing, or there is no study in any.
            OutputError: the folder has records of an earlier run that is not to be resumed, or cannot be written.
        """
        if not resume and self.begun:
            raise OutputError(
                f"{self.out} holds the studies of an earlier run. --resume goes on with it and runs what is missing or has "
                "changed; or choose another folder."
            )
        found = find_studies(roots, self.out)
        if not any(one.taken for one in found):
            reasons = "; ".join(f"{one.path}: {one.why}" for one in found[:5])
            raise StudyError(f"There is no study in {', '.join(map(str, roots))} ({reasons or 'nothing is there'}).")
        self.list_inputs(found, {})
        return found

    def list_inputs(self, found: Sequence[Found], outcomes: Mapping[Path, Outcome]) -> None:
        """Write ``inputs.csv``: each file and folder that was looked at, why it was taken or left, and which case it became.

        It alone names paths, which may hold patients' names. What it says of a study stays until the study ends, and of those of
        other runs, which were not looked at now, always.

        Raises:
            OutputError: it cannot be written.
        """
        listed = read_table(self.out / INPUTS)
        before = {row["place_sha256"]: row for row in listed if row.get("place_sha256") and row.get("case")}
        rows = []
        for one in found:
            outcome = outcomes.get(one.path)
            row: dict[str, str] = {"input": str(one.path.absolute()), "taken": "yes" if one.taken else "no", "why": one.why}
            if one.taken:
                row["place_sha256"] = place_of(one.path)
            if outcome is not None and not outcome.not_begun:
                row |= {"case": outcome.case, "status": outcome.status, "message": outcome.message}
                row["why"] += f"; {outcome.why}" if outcome.why else ""
            elif one.taken and row["place_sha256"] in before:
                row |= {name: before[row["place_sha256"]].get(name) or "" for name in ("why", "case", "status", "message")}
            elif outcome is not None:
                row |= {"status": outcome.status, "message": outcome.message}
            rows.append(row)
        places, cases = {row.get("place_sha256", "") for row in rows}, {row.get("case") for row in rows} - {None, ""}
        earlier = [
            row
            for row in listed
            if row.get("place_sha256", "") not in {*places, ""} and row.get("case") not in cases and row.get("status") != LEFT
        ]
        write_table(self.out / INPUTS, INPUT_COLUMNS, [*earlier, *rows])

    def run(
        self,
        found: Sequence[Found],
        job: Job,
        work: Callable[[Job, Callable[[Outcome], None]], list[Outcome]],
        ended: Callable[[Outcome], None],
    ) -> list[Outcome]:
        """Do the studies that were found.

        Args:
            found: as of :meth:`find`.
            job: what to do; its inputs are set here.
            work: called with the job and with what to call as each study ends; returns the outcomes.
            ended: called as each study ends.

        Returns:
            The outcomes, in the order of the inputs.
        """
        inputs = [one.path for one in found if one.taken]
        outcomes = work(replace(job, inputs=inputs, out=self.out, cohort=True), ended)
        self.list_inputs(found, {inputs[outcome.number]: outcome for outcome in outcomes})
        return outcomes
