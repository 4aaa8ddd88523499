"""The training library: studies of the scene go in, cases come back to be corrected, and patients have their sides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError, SceneError, StudyError
from MyoScarSegLib.scene.session import StudySession
from MyoScarSegLib.scene.text import _
from MyoScarSegLib.scene.training.library_case import SegmentChoice, classes_of, hand_over, reviewed_slices, segments
from MyoScarSegLib.scene.training.opened_case import CASE, ReadCase, add_labels, add_volume, opened_volume
from MyoScarSegLib.scene.training.training_state import TrainingState
from MyoScarSegLib.training.datasets.case_record import Case, checked_code
from MyoScarSegLib.training.datasets.handover import read_handover
from MyoScarSegLib.training.datasets.library_state import CaseRow
from MyoScarSegLib.training.splits import Split

_PROBLEMS_TOLD, _CODES_TOLD = 3, 12
_DRAWN = object()


@dataclass(frozen=True)
class LabelQuestion:
    """Labels that were to be imported, and of which nothing says what they mean.

    Attributes:
        paths, patient_pattern, reviewer: of the import, which waits for the answer.
        values: that occur.
        preview: picture of a slice with the values in the colors of :data:`~.label_preview.COLORS`; None if there is none.
    """

    paths: tuple[Path, ...]
    patient_pattern: str | None
    reviewer: str
    values: tuple[int, ...]
    preview: Path | None


class LibraryActions:
    """What is done with cases and split.

    Attributes:
        label_question: what the last import asks the user; None if nothing.
    """

    def __init__(self, state: TrainingState) -> None:
        self._state = state
        self.label_question: LabelQuestion | None = None

    # ---- what is

    @property
    def rows(self) -> list[CaseRow]:
        """The library's cases."""
        return self._state.library.rows

    @property
    def split(self) -> Split | None:
        """Who trains and who validates; None if it was not drawn yet."""
        return self._state.library.split

    @property
    def opened_case(self) -> str:
        """Name of the case that the study in hand was opened from; empty if it is not in the library."""
        volume = self._state.workflow.volume_node
        name = "" if volume is None else volume.GetAttribute(CASE) or ""
        return name if self.case(name) is not None else ""

    @property
    def next_patient(self) -> str:
        """A code for a new patient: that of the case if the study in hand was opened from the library, else a free one."""
        case = self.case(self.opened_case)
        return self._state.library.next_patient if case is None else case.patient

    def case(self, name: str) -> Case | None:
        """A readable case by its name."""
        return next((row.case for row in self.rows if row.name == name), None) if name else None

    def segments(self, segmentation_node: Any) -> list[SegmentChoice]:
        """The segments of a segmentation node, with what each seems to be."""
        return segments(segmentation_node)

    def reviewed_slices(self) -> list[int]:
        """Slices of the study in hand that the reader has settled; none if nothing was decided or painted yet."""
        session = self._state.workflow.session
        return [] if session is None else reviewed_slices(session)

    # ---- cases

    def add_current(
        self,
        patient: str,
        *,
        reviewer: str = "",
        reviewed: Iterable[int] | None = None,
        tags: Iterable[str] = (),
        segment_ids: Mapping[str, str] | None = None,
        case: str | None = None,
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
            case: name of the case; the patient's code if None.
            replace: put it in the place of what the library has of it.
            volume_node, segmentation_node: of another study than the one in hand.

        Returns:
            Whether it was begun; :attr:`error` says why not.
        """
        if self._state.refuse("add_current" if volume_node is None else "import_cases"):
            return False
        study = self._state.file("study.npz")
        try:
            checked_code(patient, "patient code")
            wall_known = self._hand_over(study, volume_node, segmentation_node, segment_ids)
        except MyoScarSegError as error:
            return self._state.failed(error)
        arguments = {
            "study": str(study), "patient": patient, "case": case, "reviewer": reviewer, "added_by": reviewer, "tags": list(tags),
            "reviewed": None if reviewed is None else sorted(int(k) for k in reviewed), "wall_known": wall_known,
            "source": "Slicer", "replace": replace,
        }  # fmt: skip

        def done(record: Any) -> None:
            self._state.library.look(at_once=True)
            self._state.notices.say_only(note=_("{case} is in the library.").format(case=record["case"]))
            self._state.library.take_in([str(record["patient"])])

        return self._state.do("library_add", arguments, "add", done, lambda: study.unlink(missing_ok=True))

    def import_cases(
        self, paths: Sequence[Path], patient_pattern: str | None = None, *, labels: str | None = None, reviewer: str = ""
    ) -> bool:
        """Add the cases of folders and saved scenes; see :func:`~MyoScarSegLib.training.datasets.imports.import_cases`."""
        if self._state.refuse("import_cases"):
            return False

        preview = self._state.file("labels.png")
        self.label_question = None

        def done(report: Any) -> None:
            self._state.library.look(at_once=True)
            if asked := report.get("unnamed_labels"):
                self.label_question = LabelQuestion(
                    tuple(paths), patient_pattern, reviewer, tuple(asked["values"]), preview if preview.is_file() else None
                )
            text = _("{added} added, {same} were there already, {problem} not added.").format(**report)
            codes = [(case["source"], case["patient"]) for case in report["cases"] if case["status"] == "added"]
            if renamed := [f"{source}: {code}" for source, code in codes if code not in source]:
                more = len(renamed) - _CODES_TOLD
                text += " " + _("Codes given: {codes}.").format(codes=", ".join(renamed[:_CODES_TOLD]))
                text += _(" And {n} more.").format(n=more) if more > 0 else ""
            told = [case for case in report["cases"] if case["status"] == "problem"]
            if asked:  # in a window of its own, not as an error, which names an option of the command line
                told = [case for case in told if case["message"] != asked["message"]]
            problems = [f"{case['source']}: {case['message']}" for case in told]
            more = len(problems) - _PROBLEMS_TOLD
            rest = _(" And {n} more.").format(n=more) if more > 0 else ""
            self._state.notices.say_only(note=text, error=" ".join(problems[:_PROBLEMS_TOLD]) + rest)
            self._state.library.take_in([str(case["patient"]) for case in report["cases"] if case["status"] == "added"])

        arguments = {
            "paths": [str(path) for path in paths], "patient_pattern": patient_pattern, "labels": labels, "reviewer": reviewer,
            "added_by": reviewer, "preview": str(preview),
        }  # fmt: skip
        return self._state.do("library_import", arguments, "import", done)

    def remove(self, names: Sequence[str]) -> bool:
        """Take cases out of the library, with their files."""
        return not self._state.refuse("remove") and self._state.do("library_remove", {"cases": list(names)}, "remove")

    def export(self, names: Sequence[str], folder: Path) -> bool:
        """Copy cases into a folder as a library of their own."""
        if self._state.refuse("export"):
            return False

        def done(result: Any) -> None:
            self._state.notices.say_only(note=_("{n} cases are in {folder}.").format(n=len(result["exported"]), folder=folder))

        return self._state.do("library_export", {"cases": list(names), "folder": str(folder)}, "export", done)

    def accept(self, name: str) -> bool:
        """Take a case as its files are now."""
        return not self._state.refuse("accept") and self._state.do("library_accept", {"case": name}, "accept")

    def open_case(self, name: str) -> bool:
        """Put a case into the scene, to be corrected as the study in hand. One that is in the scene already is taken as it is.

        Returns:
            Whether it was begun; the study is there when :attr:`busy` has ended.
        """
        if self._state.refuse("open_case"):
            return False
        case = self.case(name)
        if case is None:
            return self._state.failed(_("The library has no readable case {name}.").format(name=name))
        volume = opened_volume(self._state.scene, case)
        if volume is not None and StudySession.open(volume).segmentation.existing_node is not None:
            self._state.workflow.select(volume)
            self._state.notices.say_only(note=_("{name} is open already.").format(name=name), error=self._state.workflow.error)
            return True
        return self.read(case, self._place)

    def read(self, case: Case, then: Callable[[ReadCase], Iterator[None]]) -> bool:
        """Have a case read by a process, and go on with ``then(read)``, an iterator of steps."""
        file = self._state.file("case.npz")

        def done(told: Any) -> None:
            try:
                study, labels = read_handover(file, case.case)
            except StudyError as error:
                self._state.failed(error)
                return
            low, high = told["window"]
            self._state.steps.append(then(ReadCase(case, study, labels, bool(told["wall_known"]), (low, high))))

        return self._state.do(
            "library_read", {"case": case.case, "out": str(file)}, "open", done, lambda: file.unlink(missing_ok=True)
        )

    # ---- the split

    def draw_split(self, seed: int = 0, folds: int = 5) -> bool:
        """Draw anew who trains and who validates."""
        return not self._state.refuse("draw_split") and self._state.do("library_split", {"seed": seed, "folds": folds}, "split")

    def move(self, patient: str, side: str) -> bool:
        """Put a patient on a side (``training``, ``validation``, or none). Returns whether that is possible."""
        if self._state.refuse("move"):
            return False
        try:
            split = self._state.library.moved(patient, side)
        except MyoScarSegError as error:
            return self._state.failed(error)
        self._state.notices.say_only()
        self._state.library.write(split)
        return True

    # ---- inside

    def _hand_over(self, path: Path, volume_node: Any, segmentation_node: Any, segment_ids: Mapping[str, str] | None) -> bool:
        """Write a study of the scene for the process that adds it. Returns whether its wall was drawn."""
        session = self._state.workflow.session
        other = volume_node is not None and volume_node is not self._state.workflow.volume_node
        if other:
            session = StudySession(volume_node, watch=False)
        if session is None:
            raise SceneError(_("Choose a volume first."))
        try:
            classes, wall_known = classes_of(session, segmentation_node, segment_ids)
            hand_over(path, session, classes)
        finally:
            if other:
                session.close()
        return wall_known

    def _place(self, read: ReadCase) -> Iterator[None]:
        volume = opened_volume(self._state.scene, read.case) or add_volume(self._state.scene, read)
        yield
        labels = add_labels(volume, read)
        while volume.GetScene() is not None:  # the user may delete it meanwhile
            if next(labels, _DRAWN) is _DRAWN:
                self._state.workflow.select(volume)
                self._state.notices.say_only(error=self._state.workflow.error)
                return
            yield
