"""Many cases into a training library at once, from folders in any layout and saved scenes, and out of it into another.

One bad case never stops the import of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import StudyError, UnnamedLabelsError
from MyoScarSegLib.study.names import case_name
from MyoScarSegLib.study.reader import read_study
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.training.datasets.case_record import Case, image_digest
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.datasets.labeled import LabeledStudy
from MyoScarSegLib.training.datasets.labelmaps import LabelMap
from MyoScarSegLib.training.datasets.patients import PatientRule, may_be_a_persons
from MyoScarSegLib.training.datasets.scenes import SceneCase, is_scene, opened_scene, scenes_in
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel, no_progress, steps

ADDED, SAME, PROBLEM = "added", "same", "problem"

_CODED = ("library", "emidec")
"""Kinds of data whose patients have codes for certain."""


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
    """What became of all; see :class:`Imported`.

    Attributes:
        cases: in order.
        unnamed: the first labels whose meaning nothing says, if there were some.
    """

    cases: list[Imported] = field(default_factory=list)
    unnamed: UnnamedLabelsError | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object, with counts."""
        counts = {status: sum(case.status == status for case in self.cases) for status in (ADDED, SAME, PROBLEM)}
        unnamed = self.unnamed
        asked = unnamed and {"values": list(unnamed.values), "fitting": unnamed.fitting, "message": str(unnamed)}
        return {"version": 1, **counts, "cases": [asdict(case) for case in self.cases], "unnamed_labels": asked}


def import_cases(
    library: Library,
    paths: Sequence[Path],
    *,
    patient_pattern: str | None = None,
    label_map: LabelMap | None = None,
    reviewer: str = "",
    added_by: str = "",
    tags: Iterable[str] = (),
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
    report: ImportReport | None = None,
) -> ImportReport:
    """Add the cases of scenes (``.mrb``, ``.mrml``), of folders of scenes, and of folders that
    :func:`~.dataset_reader.read_dataset` reads. What is done stays when it is cancelled; a ``report`` that is given tells of it.

    A ``patient_pattern`` finds the patient's code in file names, see :class:`~.patients.PatientRule`. Without one, scenes get
    the codes that :func:`next_code` gives, one per scene: their names may be those of persons. So do patients in folders whose
    names :func:`~.patients.may_be_a_persons`; the report says who got which.

    Raises:
        StudyError: the pattern is none.
        OutputError: the library cannot be written.
    """
    PatientRule(patient_pattern)  # before anything is read
    library.check_there()
    facts = {"reviewer": reviewer, "added_by": added_by, "tags": tuple(tags)}
    importer = _Importer(library, patient_pattern or None, label_map, facts, progress, cancel, report or ImportReport())
    for done, path in enumerate(paths):
        importer.take(Path(path), done, len(paths))
    return importer.report


def next_code(library: Library, others: Iterable[str] = ()) -> str:
    """The first of ``P001``, ``P002``, ... that no patient of the library has, and none of ``others``."""
    taken = {case.patient.upper() for case in library.scan()[0]} | {name.upper() for name in library.folders()}
    taken |= {code.upper() for code in others}
    return next(code for code in (f"P{n:03d}" for n in range(1, 100_000)) if code not in taken)


@dataclass
class _Importer:
    """One import under way; ``facts`` go into each record, ``known`` are the cases that the library has."""

    library: Library
    pattern: str | None
    label_map: LabelMap | None
    facts: dict[str, Any]
    progress: Progress
    cancel: CancelToken | None
    report: ImportReport

    def __post_init__(self) -> None:
        self.known = {case.case for case in self.library.scan()[0]}

    def take(self, path: Path, done: int, total: int) -> None:
        """Add what is in ``path``, the one after ``done`` of ``total``."""
        try:
            if is_scene(path):
                self._scene(path, done, total)
            elif path.is_dir():
                scenes = scenes_in(path)
                for number, scene in enumerate(scenes):
                    self.take(scene, number, len(scenes))
                if not scenes:
                    self._folder(path)
            else:
                raise StudyError(f"{path.name} is neither a folder nor a scene (.mrb, .mrml).")
        except StudyError as error:
            self._problem(path.name, error)
        except OSError as error:  # a folder that may not be read, a stick that was pulled out
            self._problem(path.name, f"{path.name} cannot be read: {error.strerror or error}.")

    def _scene(self, path: Path, done: int, total: int) -> None:
        self._step(path.name, done, total)
        with opened_scene(path, self.cancel) as cases:
            if not cases:
                raise StudyError("There is no segmentation in this scene.")
            patient = ""
            for number, case in enumerate(cases, start=1):
                where = path.name if len(cases) == 1 else f"{path.name}, segmentation {number}"
                self._step(where, done, total)
                try:
                    patient = self._add_scene_case(case, patient or self._patient_of(path), where)
                except StudyError as error:
                    self._problem(where, error)

    def _add_scene_case(self, case: SceneCase, patient: str, where: str) -> str:
        """Add one segmentation of a scene. Returns the patient's code."""
        if case.problem or case.volume is None or case.segmentation is None:
            raise StudyError(case.problem)
        study = read_study(case.volume)
        twin = self._twin(study)
        if twin is not None and self.pattern is None:  # imported before: whoever numbers anew would only be refused
            patient = twin.patient
        name = None if twin is not None else self._free_name(patient)
        self._add(where, study, case.segmentation, patient, name, source="scene", label_map=self.label_map)
        return patient

    def _patient_of(self, path: Path) -> str:
        return next_code(self.library) if self.pattern is None else PatientRule(self.pattern).of_stack(path.stem)

    def _twin(self, study: Study) -> Case | None:
        """The case in the library with the same image."""
        digest = image_digest(study)
        return next((other for other in self.library.scan()[0] if other.image_sha256 == digest), None)

    def _free_name(self, patient: str) -> str | None:
        """A name for one more case of a patient; None (the patient's code) for the first."""
        taken = {name.lower() for name in self.library.folders()}
        if patient.lower() not in taken:
            return None
        return next(name for name in (f"{patient}-{n}" for n in range(2, 100_000)) if name.lower() not in taken)

    def _folder(self, path: Path) -> None:
        how: dict[str, Any] = {"label_map": self.label_map, "patient_pattern": self.pattern}
        data = read_dataset(path, **how, progress=self.progress, cancel=self.cancel)
        studies, failed = data.studies()
        for name, reason in (*data.skipped.items(), *failed.items()):
            self._problem(name, reason)
        codes = self._codes(data.kind, studies)
        for done, one in enumerate(studies):
            self._step(one.case, done, len(studies))
            patient, known = codes[one.patient], {"wall_known": one.wall_known, "reviewed": one.reviewed}
            try:
                called = self._name(one, patient, data.kind)
                self._add(one.case, one.study, one.labels, patient, called, source=data.kind, **known)
            except StudyError as error:
                self._problem(one.case, error)

    def _codes(self, kind: str, studies: Sequence[LabeledStudy]) -> dict[str, str]:
        """Patient in the folder to code in the library."""
        known = self.pattern is not None or kind in _CODED
        codes = {one.patient: one.patient for one in studies if known or not may_be_a_persons(one.patient)}
        unnamed = [one for one in studies if one.patient not in codes]
        here = {case.image_sha256: case.patient for case in self.library.scan()[0]} if unnamed else {}
        for one in unnamed:  # whoever was imported before keeps the code
            if (image := image_digest(one.study)) in here:
                codes[one.patient] = here[image]
        for one in unnamed:
            if one.patient not in codes:
                codes[one.patient] = next_code(self.library, codes.values())
        return codes

    def _name(self, one: LabeledStudy, patient: str, kind: str) -> str | None:
        """The name of a case from a folder; None for the patient's code."""
        name = case_name(one.case)
        if one.case == one.patient or (kind not in _CODED and may_be_a_persons(name)):
            return None if patient == one.patient == one.case or self._twin(one.study) else self._free_name(patient)
        return name

    def _step(self, name: str, done: int, total: int) -> None:
        check_cancel(self.cancel)
        self.progress(done, total, f"Adding {name}")

    def _add(self, where: str, study: Study, labels: np.ndarray | Path, patient: str, name: str | None, **facts: Any) -> None:
        case = self.library.add(study, labels, patient=patient, case=name, cancel=self.cancel, **self.facts, **facts)
        self.report.cases.append(Imported(where, SAME if case.case in self.known else ADDED, case.case, case.patient))
        self.known.add(case.case)

    def _problem(self, source: str, error: StudyError | str) -> None:
        if isinstance(error, UnnamedLabelsError) and self.report.unnamed is None:
            self.report.unnamed = error
        self.report.cases.append(Imported(source, PROBLEM, message=str(error)))


def export_cases(
    library: Library,
    names: Sequence[str],
    folder: Path,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> list[str]:
    """Copy cases into a folder that is missing, empty, or a library; each whole or not at all. Returns their names. What is
    copied when it is cancelled stays.

    Raises:
        StudyError: there is no such case, it is damaged, or the folder holds something else or a case of that name.
        OutputError: a file cannot be written.
    """
    library.check_there()
    records = [library.record(name) for name in names]
    target = Library.create(folder)
    there = target.folders()
    for name in names:
        if name in there:
            raise StudyError(f"{folder} has a case {name} already. Choose another folder.")
    for case in steps(records, lambda case: f"Exporting {case.case}", progress, cancel):
        target.add_copy(case, library.folder_of(case.case), cancel=cancel)
    return list(names)
