"""What is done with a training library: studies are added, cases opened to be corrected, patients put on their sides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import MyoScarSegError, SceneError, StudyError
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.training.case_nodes import CASE, ReadCase, add_labels, add_volume, classes_of, opened_volume, reviewed
from MyoScarSegLib.scene.training.training_state import LabelQuestion
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.study.handover import read_handover, write_handover
from MyoScarSegLib.training.datasets.case_record import Case, checked_code
from MyoScarSegLib.training.splits import TRAINING, VALIDATION, Split

if TYPE_CHECKING:
    from MyoScarSegLib.scene.training.training_workflow import TrainingWorkflow

_PROBLEMS_TOLD, _CODES_TOLD = 3, 12
_DRAWN = object()


class LibraryCases:
    """The verbs of cases and split."""

    def __init__(self, training: TrainingWorkflow) -> None:
        self._training = training

    def case(self, name: str) -> Case | None:
        """A readable case by its name."""
        return next((row.case for row in self._training.state.rows if row.name == name), None) if name else None

    @property
    def opened_case(self) -> str:
        """Name of the case that the study in hand was opened from; empty if it is not in the library."""
        volume = self._training.workflow.volume_node
        name = "" if volume is None else volume.GetAttribute(CASE) or ""
        return name if self.case(name) is not None else ""

    @property
    def next_patient(self) -> str:
        """A code for a new patient: that of the case if the study in hand was opened from the library, else a free one."""
        case = self.case(self.opened_case)
        return self._training.library.next_patient if case is None else case.patient

    def reviewed_slices(self) -> list[int]:
        """Slices of the study in hand that the reader has settled; none if nothing was decided or painted yet."""
        session = self._training.workflow.session
        return [] if session is None else reviewed(session)

    def why_no_study(self) -> str:
        """Why there is no study in hand that could be added; empty if there is one."""
        workflow = self._training.workflow
        if workflow.session is None:
            return _("Choose a volume in the first tab.")
        if workflow.session.segmentation.node is None:
            return _("Segment the study in the first tab, and correct it, before it is added.")
        return _("Wait until the first tab has done its work.") if workflow.busy else ""

    def add_current(
        self,
        patient: str,
        *,
        reviewer: str = "",
        reviewed: Iterable[int] | None = None,
        tags: Iterable[str] = (),
        segment_ids: Mapping[str, str] | None = None,
        replace: bool = False,
        volume_node: Any = None,
        segmentation_node: Any = None,
    ) -> bool:
        """Add a study with its labels to the library, as they are now.

        Args:
            patient: code of the patient, never the name.
            reviewer: code of the reader.
            reviewed: numbers of the slices that are right; None for all.
            tags: words to find it by.
            segment_ids: role (``scar``, ``myocardium``, ``blood_pool``, ``no_reflow``) to segment; None for what they are called.
            replace: put it in the place of what the library has of it.
            volume_node, segmentation_node: of another study than the one in hand.

        Returns:
            Whether it was begun; the state's ``error`` says why not.
        """
        training = self._training
        if training.refuses("add_current" if volume_node is None else "import_cases"):
            return False
        study = training.new_file("study.npz")
        try:
            checked_code(patient, "patient code")
            wall_known = self._write_study(study, volume_node, segmentation_node, segment_ids)
        except MyoScarSegError as error:
            return training.failed(error)
        arguments = {
            "study": str(study), "patient": patient, "case": None, "reviewer": reviewer, "added_by": reviewer, "tags": list(tags),
            "reviewed": None if reviewed is None else sorted(int(k) for k in reviewed), "wall_known": wall_known,
            "source": "Slicer", "replace": replace,
        }  # fmt: skip

        def done(record: Any) -> None:
            training.library.look(at_once=True)
            training.say(note=_("{case} is in the library.").format(case=record["case"]))
            training.library.let_train([str(record["patient"])])

        return training.begin("library_add", arguments, "add", done, lambda: study.unlink(missing_ok=True))

    def import_cases(
        self, paths: Sequence[Path], patient_pattern: str | None = None, *, labels: str | None = None, reviewer: str = ""
    ) -> bool:
        """Add the cases of folders and saved scenes; see :func:`~MyoScarSegLib.training.datasets.import_export.import_cases`."""
        training = self._training
        if training.refuses("import_cases"):
            return False
        preview = training.new_file("labels.png")
        training.update(question=None)

        def done(report: Any) -> None:
            training.library.look(at_once=True)
            if asked := report.get("unnamed_labels"):
                picture = preview if preview.is_file() else None
                question = LabelQuestion(tuple(paths), patient_pattern, reviewer, tuple(asked["values"]), picture)
                training.update(question=question)
            note, error = _sentences(report)
            training.say(note=note, error=error)
            training.library.let_train([str(case["patient"]) for case in report["cases"] if case["status"] == "added"])

        arguments = {
            "paths": [str(path) for path in paths], "patient_pattern": patient_pattern, "labels": labels, "reviewer": reviewer,
            "added_by": reviewer, "preview": str(preview),
        }  # fmt: skip
        return training.begin("library_import", arguments, "import", done)

    def remove(self, names: Sequence[str]) -> bool:
        """Take cases out of the library, with their files."""
        return not self._training.refuses("remove") and self._training.begin("library_remove", {"cases": list(names)}, "remove")

    def export(self, names: Sequence[str], folder: Path) -> bool:
        """Copy cases into a folder as a library of their own."""
        if self._training.refuses("export"):
            return False

        def done(result: Any) -> None:
            exported = len(result["exported"])
            said = _("1 case is in {folder}.") if exported == 1 else _("{n} cases are in {folder}.")
            self._training.say(note=said.format(n=exported, folder=folder))

        return self._training.begin("library_export", {"cases": list(names), "folder": str(folder)}, "export", done)

    def accept(self, name: str) -> bool:
        """Take a case as its files are now."""
        return not self._training.refuses("accept") and self._training.begin("library_accept", {"case": name}, "accept")

    def open_case(self, name: str) -> bool:
        """Put a case into the scene, to be corrected as the study in hand. One that is in the scene already is taken as it is.

        Returns:
            Whether it was begun; the study is there when the state's ``busy`` has ended.
        """
        training = self._training
        if training.refuses("open_case"):
            return False
        case = self.case(name)
        if case is None:
            return training.failed(_("The library has no readable case {name}.").format(name=name))
        volume = opened_volume(training.scene, case)
        if volume is not None and StudySession.open(volume).segmentation.node is not None:
            training.workflow.select(volume)
            training.say(note=_("{name} is open already.").format(name=name), error=training.workflow.error)
            return True
        return self.read(case, self._add_to_scene)

    def read(self, case: Case, then: Callable[[ReadCase], Iterator[None]]) -> bool:
        """Have a case read by a process, and go on with ``then(read)``, an iterator of steps. Always True."""
        training = self._training
        file = training.new_file("case.npz")

        def done(told: Any) -> None:
            try:
                study, labels = read_handover(file, case.case, "labels")
            except StudyError as error:
                training.failed(error)
                return
            low, high = told["window"]
            training.do_in_steps(then(ReadCase(case, study, labels, bool(told["wall_known"]), (low, high))))

        arguments = {"case": case.case, "out": str(file)}
        return training.begin("library_read", arguments, "open", done, lambda: file.unlink(missing_ok=True))

    def draw_split(self, seed: int = 0, folds: int = 5, then: Callable[[], object] = lambda: None) -> bool:
        """Draw anew who trains and who validates; ``then()`` is called once there is a split."""

        def done(_result: Any) -> None:
            self._training.library.look(at_once=True)
            if self._training.state.split is not None:
                then()

        if self._training.refuses("draw_split"):
            return False
        return self._training.begin("library_split", {"seed": seed, "folds": folds}, "split", done)

    def move(self, patients: Iterable[str], side: str) -> bool:
        """Put patients on a side (``training``, ``validation``, or none). Returns whether that is possible for all of them."""
        if self._training.refuses("move"):
            return False
        try:
            split = _moved(self._training.state.split, self._training.state.patients, set(patients), side)
        except MyoScarSegError as error:
            return self._training.failed(error)
        self._training.say()
        self._training.library.write_split(split)
        return True

    def _write_study(self, path: Path, volume: Any, segmentation_node: Any, segment_ids: Mapping[str, str] | None) -> bool:
        """Write a study of the scene for the process that adds it. Returns whether its wall was drawn."""
        session = self._training.workflow.session
        if volume is not None:
            session = StudySession.open(volume)
        if session is None:
            raise SceneError(_("Choose a volume first."))
        session.refresh()  # what was painted since the last turn belongs to it
        classes, wall_known = classes_of(session, segmentation_node, segment_ids)
        write_handover(path, session.study, labels=classes)
        return wall_known

    def _add_to_scene(self, read: ReadCase) -> Iterator[None]:
        training = self._training
        volume = opened_volume(training.scene, read.case) or add_volume(training.scene, read)
        yield
        labels = add_labels(volume, read)
        while volume.GetScene() is not None:  # the user may delete it meanwhile
            if next(labels, _DRAWN) is _DRAWN:
                training.workflow.select(volume)
                training.say(error=training.workflow.error)
                return
            yield


def _sentences(report: Mapping[str, Any]) -> tuple[str, str]:
    """What an import has done, and what its problems are."""
    asked = report.get("unnamed_labels")
    text = _("{added} added, {same} were there already, {problem} not added.").format(**report)
    codes = [(case["source"], case["patient"]) for case in report["cases"] if case["status"] == "added"]
    if renamed := [f"{source}: {code}" for source, code in codes if code not in source]:
        text += " " + _("Codes given: {codes}.").format(codes=", ".join(renamed[:_CODES_TOLD])) + _more(renamed, _CODES_TOLD)
    told = [case for case in report["cases"] if case["status"] == "problem"]
    if asked:  # in a window of its own, not as an error, which names an option of the command line
        told = [case for case in told if case["message"] != asked["message"]]
    problems = [f"{case['source']}: {case['message']}" for case in told]
    return text, " ".join(problems[:_PROBLEMS_TOLD]) + _more(problems, _PROBLEMS_TOLD)


def _more(texts: Sequence[str], told: int) -> str:
    return _(" And {n} more.").format(n=len(texts) - told) if len(texts) > told else ""


def _moved(split: Split | None, patients: Collection[str], chosen: set[str], side: str) -> Split:
    """The split with some patients on another side.

    Raises:
        StudyError: there is no such patient or side, or a side would have nobody.
    """
    before = split or Split(tuple(patient for patient in patients if patient not in chosen), ())
    # Who is gone may be taken off their side.
    known = set(patients) if side else {*patients, *before.training, *before.validation}
    if unknown := sorted(chosen - known):
        raise StudyError(_("The library has no patient {patient}.").format(patient=unknown[0]))
    if side not in (TRAINING, VALIDATION, ""):
        raise StudyError(_("There is no side {side}; there are training and validation.").format(side=side))
    training = set(before.training) - chosen | (chosen if side == TRAINING else set())
    validation = set(before.validation) - chosen | (chosen if side == VALIDATION else set())
    if not training & set(patients):
        raise StudyError(_("Somebody has to train. Put another patient there first."))
    if not validation & set(patients):
        raise StudyError(_("Somebody has to validate, to show how good the model is. Put another patient there first."))
    return Split(tuple(sorted(training)), tuple(sorted(validation)))
