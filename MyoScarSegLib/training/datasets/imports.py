"""Many cases into a training library at once: folders in any layout, and saved scenes. One bad case never stops the others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError, StudyError
from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.study.names import case_name
from MyoScarSegLib.study.reader import read_study
from MyoScarSegLib.training.datasets.labelmaps import LabelMap
from MyoScarSegLib.training.datasets.library import Library
from MyoScarSegLib.training.datasets.library_record import Case, image_digest
from MyoScarSegLib.training.datasets.reading import read_dataset
from MyoScarSegLib.training.datasets.scenes import SceneCase, is_scene, opened_scene, scenes_in

ADDED, SAME, PROBLEM = "added", "same", "problem"


@dataclass(frozen=True)
class Imported:
    """What became of one case.

    Attributes:
        source: where it came from: the name of a file, or of a case in a folder.
        status: ``added``, ``same`` (the library had it already) or ``problem``.
        case, patient: in the library; empty where there was a problem.
        message: the problem, as a sentence.
    """

    source: str
    status: str
    case: str = ""
    patient: str = ""
    message: str = ""


@dataclass
class ImportReport:
    """What became of all; see :class:`Imported`."""

    cases: list[Imported] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object, with counts."""
        counts = {status: sum(case.status == status for case in self.cases) for status in (ADDED, SAME, PROBLEM)}
        return {"version": 1, **counts, "cases": [asdict(case) for case in self.cases]}


def import_cases(
    library: Library,
    paths: Sequence[Path],
    *,
    patient_pattern: str | None = None,
    label_map: LabelMap | None = None,
    source: str = "",
    reviewer: str = "",
    added_by: str = "",
    tags: Iterable[str] = (),
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> ImportReport:
    """Add the cases of files and folders.

    Args:
        library: to add to.
        paths: scenes (``.mrb``, ``.mrml``), folders of scenes, and folders that
            :func:`~MyoScarSegLib.training.datasets.reading.read_dataset` reads.
        patient_pattern: regular expression that finds the patient's code in file names. Without one, scenes get the codes
            that :func:`next_code` gives, one per scene: their names may be those of persons.
        label_map: what the values in label files mean.
        source, reviewer, added_by, tags: for the records.
        progress: called before each case.
        cancel: honoured between cases; what is done stays.

    Returns:
        What became of each.

    Raises:
        StudyError: the pattern is none.
        OutputError: the library cannot be written.
        Cancelled: ``cancel`` was set.
    """
    try:
        pattern = re.compile(patient_pattern) if patient_pattern else None
    except re.error as error:
        raise StudyError(f"{patient_pattern!r} is no pattern: {error}.") from error
    importer = _Importer(library, pattern, label_map, source, reviewer, added_by, tuple(tags), progress, cancel)
    for path in paths:
        importer.take(Path(path))
    return importer.report


def next_code(library: Library) -> str:
    """The first of ``P001``, ``P002``, ... that no patient of the library has."""
    taken = {case.patient.upper() for case in library.scan()[0]} | {name.upper() for name in library.folders()}
    return next(code for code in (f"P{n:03d}" for n in range(1, 100_000)) if code not in taken)


class _Importer:
    def __init__(
        self,
        library: Library,
        pattern: re.Pattern[str] | None,
        label_map: LabelMap | None,
        source: str,
        reviewer: str,
        added_by: str,
        tags: tuple[str, ...],
        progress: Progress,
        cancel: CancelToken | None,
    ) -> None:
        self.report = ImportReport()
        self._library, self._pattern, self._label_map = library, pattern, label_map
        self._facts: dict[str, Any] = {"reviewer": reviewer, "added_by": added_by, "tags": tags}
        self._source, self._progress, self._cancel = source, progress, cancel
        self._known = {case.case for case in library.scan()[0]}

    def take(self, path: Path) -> None:
        try:
            if is_scene(path):
                self._scene(path)
            elif path.is_dir():
                scenes = scenes_in(path)
                for scene in scenes:
                    self.take(scene)
                if not scenes:
                    self._folder(path)
            else:
                raise StudyError(f"{path.name} is neither a folder nor a scene (.mrb, .mrml).")
        except StudyError as error:
            self._problem(path.name, error)

    def _scene(self, path: Path) -> None:
        self._step(path.name)
        with opened_scene(path, self._cancel) as cases:
            if not cases:
                raise StudyError("There is no segmentation in this scene.")
            patient = ""
            for case in cases:
                where = path.name if len(cases) == 1 else f"{path.name}, segmentation {case.number}"
                self._step(where)
                try:
                    patient = patient or self._patient_of(path)
                    self._add_scene_case(case, patient, where)
                except StudyError as error:
                    self._problem(where, error)

    def _add_scene_case(self, case: SceneCase, patient: str, where: str) -> None:
        if case.problem or case.volume is None or case.segmentation is None:
            raise StudyError(case.problem)
        study = read_study(case.volume)
        twin = next((other for other in self._library.scan()[0] if other.image_sha256 == image_digest(study)), None)
        if twin is not None:  # it was imported before: whoever numbers anew would only be refused
            patient = twin.patient
        taken = {other.case for other in self._library.scan()[0]}
        name = None if patient not in taken or twin is not None else f"{patient}-{case.number}"
        added = self._library.add(
            study, case.segmentation, patient=patient, case=name, source=self._source or "scene", label_map=self._label_map,
            cancel=self._cancel, **self._facts,
        )  # fmt: skip
        self._done(where, added)

    def _patient_of(self, path: Path) -> str:
        if self._pattern is None:
            return next_code(self._library)
        found = self._pattern.search(path.stem)
        if found is None:
            raise StudyError(f"The pattern {self._pattern.pattern!r} finds no patient in this name.")
        return found.group(1) if found.groups() else found.group()

    def _folder(self, path: Path) -> None:
        data = read_dataset(
            path,
            label_map=self._label_map,
            patient_pattern=None if self._pattern is None else self._pattern.pattern,
            progress=self._progress,
            cancel=self._cancel,
        )
        for name, reason in data.skipped.items():
            self._problem(name, StudyError(reason))
        studies, failed = data.studies()
        for name, reason in failed.items():
            self._problem(name, StudyError(reason))
        for done, one in enumerate(studies):
            self._step(one.case, done, len(studies))
            try:
                added = self._library.add(
                    one.study, one.labels, patient=one.patient, case=None if one.case == one.patient else case_name(one.case),
                    source=self._source or data.kind, wall_known=one.wall_known, reviewed=one.reviewed, cancel=self._cancel,
                    **self._facts,
                )  # fmt: skip
            except StudyError as error:
                self._problem(one.case, error)
                continue
            self._done(one.case, added)

    def _step(self, name: str, done: int = 0, total: int = 0) -> None:
        if self._cancel is not None:
            self._cancel.raise_if_cancelled()
        self._progress(done, total, f"Adding {name}")

    def _done(self, source: str, case: Case) -> None:
        self.report.cases.append(Imported(source, SAME if case.case in self._known else ADDED, case.case, case.patient))
        self._known.add(case.case)

    def _problem(self, source: str, error: MyoScarSegError) -> None:
        self.report.cases.append(Imported(source, PROBLEM, message=str(error)))
