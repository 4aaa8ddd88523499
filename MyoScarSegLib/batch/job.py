"""What is to be done with many studies, and how each of them ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from MyoScarSegLib.result import DEFAULT_THRESHOLD
from MyoScarSegLib.study.names import case_name, case_names

DONE, INCOMPLETE, FAILED, CANCELLED, LEFT = "done", "incomplete", "failed", "cancelled", "left"
NOT_BEGUN = "Cancelled before it was begun."


@dataclass(frozen=True)
class Job:
    """What to do with a list of inputs.

    Attributes:
        inputs: files or folders, one study each.
        out: folder for the results.
        boxes: a file (for one input), or a folder with ``<case>/boxes.json``, where the case's folder is the one that belongs to
            the input, or has its name; None lets the detector propose.
        points: likewise with ``<case>/points.json``; None for none.
        threshold: probability from which on a pixel counts as scar.
        growth_mm: by which masks are grown, or below 0 shrunk, in the slice.
        formats: of the mask: ``seg.nrrd``, ``nii.gz`` or ``both``.
        series: key of the DICOM series to read; None picks.
        axis: the file's axis through the slices: ``auto``, ``i``, ``j`` or ``k``.
        spacing_mm: ``(i, j, k)`` spacing to use instead of the file's.
        overwrite: write also over prompts that were edited in the results folder.
        report: propose the left ventricle's wall, too, and write it and a report of scar burden.
        cohort: the inputs were found in a tree, not named one by one: what is no LGE stack is left, not failed, and what ends
            without a result has a record, too.
        resume: a study whose record says that nothing changed since is not run again.
    """

    inputs: Sequence[Path]
    out: Path
    boxes: Path | None = None
    points: Path | None = None
    threshold: float = DEFAULT_THRESHOLD
    growth_mm: float = 0.0
    formats: str = "both"
    series: str | None = None
    axis: str = "auto"
    spacing_mm: tuple[float, float, float] | None = None
    overwrite: bool = False
    report: bool = False
    cohort: bool = False
    resume: bool = False

    def items(self) -> list[Item]:
        """The inputs with the names that they would have in an empty results folder, in order.

        In a cohort an input is not known to be a study yet, so all of one name may have it: the first that is one gets it.
        """
        names = [case_name(path) for path in self.inputs] if self.cohort else case_names(self.inputs)
        return [Item(number, Path(path), name) for number, (path, name) in enumerate(zip(self.inputs, names, strict=True))]


@dataclass(frozen=True)
class Item:
    """One input of a job.

    Attributes:
        number: its place among the inputs, from 0.
        path: of the file or folder.
        wanted_name: the name that its case would have in an empty results folder.
    """

    number: int
    path: Path
    wanted_name: str


@dataclass(frozen=True)
class Outcome:
    """How one case ended.

    Attributes:
        case: its name, which is also that of its folder.
        status: ``done``; ``incomplete``: written, but a slice or a fact is missing; ``failed``: nothing to write, or it could
            not be written; ``cancelled``: what was finished before is written; ``left``: found in a cohort, but no LGE stack.
        message: why it is not ``done``.
        summary: JSON-able account of the result; empty if failed.
        written: a result was written in this run.
        before: it was as it is now already before this run.
        number: of the input among those of the job.
        why: the stack was taken, where the input holds several.
    """

    case: str
    status: str
    message: str = ""
    summary: dict[str, Any] = field(default_factory=dict)
    written: bool = False
    before: bool = False
    number: int = 0
    why: str = ""

    @property
    def not_begun(self) -> bool:
        """Whether this run did nothing with the study, as it was cancelled before."""
        return self.status == CANCELLED and not self.written
