"""What is wrong with a training library: damaged files, empty masks, leftovers, a split that no longer fits."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.training.datasets.case_record import content_digest
from MyoScarSegLib.training.datasets.labeled import INFARCT, LabeledStudy
from MyoScarSegLib.training.datasets.places import ADDING, CASES, REMOVING, REPLACED, replaced_case
from MyoScarSegLib.training.datasets.training_library import SPLIT, Library
from MyoScarSegLib.training.splits import check_leakage, check_split
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress, steps


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes:
        level: ``"error"`` (training would go wrong or stop) or ``"warning"``.
        case: which case; empty for the library as a whole.
        message: what it is and what to do.
    """

    level: str
    case: str
    message: str

    def to_json(self) -> dict[str, str]:
        """The finding as a JSON object."""
        return asdict(self)


def check_library(library: Library, *, progress: Progress = no_progress, cancel: CancelToken | None = None) -> list[Finding]:
    """Read everything in a library and say what is wrong; an empty list if nothing is.

    Raises:
        Cancelled: ``cancel`` was set.
    """
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
    return findings + _leftovers(library) + _of_split(library, studies)


def _remarks(labeled: LabeledStudy) -> list[str]:
    study = labeled.study
    remarks = []
    if not (labeled.labels >= INFARCT).any():
        remarks.append(
            "No pixel is labeled as scar. Right for an exam without scar; else draw it and add the case with --replace."
        )
    if study.geometry.spacing_mm is None:
        remarks.append("The image has no spacing, so nothing can be said in mm or g.")
    if study.bad_slices:
        remarks.append(f"{len(study.bad_slices)} slices could not be read when the case was added; they are left out.")
    return remarks


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


def _of_split(library: Library, studies: list[LabeledStudy]) -> list[Finding]:
    slices = [labeled for one in studies for labeled in one.slices()]
    try:
        split = library.split_manifest()
        if split is None or not slices:
            return []
        warnings = check_split(split, slices)
        check_leakage(split.extended({s.patient for s in slices}), slices)
    except StudyError as error:
        return [Finding("error", "", f"{SPLIT}: {error}")]
    return [Finding("warning", "", f"{SPLIT}: {message}") for message in warnings]
