"""The section *Burden*: wall and landmarks, the numbers of scar burden, AHA segments, reference methods, pictures, the report."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.quantification.aha import LEVELS, NO_LEVEL, ReadersLevel
from MyoScarSegLib.scene.dicom_origin import database, exam_line, instance_uids
from MyoScarSegLib.scene.notices import MEASURED, Change
from MyoScarSegLib.scene.ventricle_steps import set_level, take_curves, take_wall, turn_septum
from MyoScarSegLib.utils.task import DONE
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.burden_words import burden_rows, segment_rows, wall_sentence
from MyoScarSegLib.widgets.section import SegmentSection, link, quietly, show_text
from MyoScarSegLib.widgets.text import UNKNOWN, _

if TYPE_CHECKING:
    from MyoScarSegLib.quantification.measurements import Measurements

_LEVELS: tuple[ReadersLevel | None, ...] = (None, *LEVELS, NO_LEVEL)
"""What the entries of the level's box stand for, in their order."""
_SAME_TURN_S = 1.0
_REPORT = "report.pdf"
"""Of the files of a report the one that opens in one window everywhere; what writes it is not loaded in the application."""


class BurdenSection(SegmentSection):
    """Wall, numbers, segments and report. Methods and pictures are sections of their own within it."""

    watches = MEASURED | {Change.STATUS, Change.PROGRESS, Change.SLICE}

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        self._turned_s = -math.inf  # when the insertion points were turned last
        ui.wallSelector.setMRMLScene(self.workflow.scene)
        ui.proposeWallButton.connect("clicked()", self.propose_wall)
        ui.takeWallButton.connect("clicked()", self.take_wall)
        ui.takeCurvesButton.connect("clicked()", lambda: self.workflow.attempt(take_curves))
        ui.levelCombo.connect("activated(int)", self._level_chosen)
        ui.rotationSpinBox.connect("valueChanged(int)", self._turned)
        ui.reportButton.connect("clicked()", self.ask_and_report)
        ui.dicomCheckBox.connect("toggled(bool)", lambda _on: self._allow_dicom())
        ui.patientNameCheckBox.connect("toggled(bool)", lambda _on: self._allow_dicom())
        ui.burdenTable.horizontalHeader().setVisible(False)
        ui.burdenTable.setWordWrap(True)
        # Told in the middle of its resizing, when the heights that the rows need are still those of before.
        ui.burdenTable.horizontalHeader().connect(
            "sectionResized(int,int,int)", lambda *_: qt.QTimer.singleShot(0, self._fit_rows)
        )

    def propose_wall(self) -> None:
        """Propose wall, blood pool and insertion points."""
        if self.tab.advanced.ready(self.propose_wall, "propose_wall"):
            self.tab.advanced.configure()
            self.workflow.attempt(lambda session: session.requests.propose_wall())

    def take_wall(self) -> None:
        """Take the wall of the chosen segmentation or label map."""
        self.workflow.attempt(take_wall, self.ui.wallSelector.currentNode())

    def ask_and_report(self) -> None:
        """Ask for a folder, and have the report written there."""
        ui = self.ui
        dicom = bool(ui.dicomCheckBox.enabled and ui.dicomCheckBox.checked)
        pseudonym = bool(ui.pseudonymCheckBox.enabled and ui.pseudonymCheckBox.checked)
        title = _("Folder for the report")
        if dicom:
            title = _("Folder for the report. Its DICOM files carry the name and ID of the patient, so that they can be archived")
        if pseudonym:
            title = _("Folder for the report. Its DICOM files carry the case name instead of the patient")
        folder = self.ask_for_folder(title, "reportFolder")
        if folder is None:
            return
        show_text(ui.reportLabel, "")
        asked = {"with_name": bool(ui.patientNameCheckBox.checked), "dicom": dicom, "pseudonym": pseudonym}
        task = self.workflow.attempt(lambda session: session.requests.report(folder, **asked))
        if task is not None:
            session = self.session
            task.on_done(lambda *_: self._reported(session, task))

    def _reported(self, session: Any, task: Any) -> None:
        if task.state == DONE and self.session is session:
            folder = Path(task.result)
            said = _("Written: {report} in {folder}").format(report=link(folder / _REPORT), folder=link(folder))
            show_text(self.ui.reportLabel, said)

    def _level_chosen(self, number: int) -> None:
        k = self.workflow.displayed_slice
        if k is not None:
            self.workflow.attempt(set_level, k, _LEVELS[int(number)])

    def _turned(self, degrees: int) -> None:
        """Turn the insertion points; angles that follow each other at once, as from an arrow that is held, are one step."""
        joined, self._turned_s = time.monotonic() - self._turned_s <= _SAME_TURN_S, time.monotonic()
        self.workflow.attempt(turn_septum, int(degrees), join=joined)
        self.tab.changed(Change.VENTRICLE)  # if it failed, the box goes back to what holds

    def refresh(self, changes: frozenset[Change]) -> None:  # noqa: D102 (the base class describes it)
        ui, session = self.ui, self.session
        self.allow(ui.proposeWallButton, "propose_wall")
        self.allow(ui.reportButton, "report")
        self._allow_dicom()
        for widget in (ui.takeWallButton, ui.takeCurvesButton, ui.wallSelector):
            widget.enabled = session is not None
        if changes & (MEASURED | {Change.SLICE}):
            self._show_level()
        if changes & {Change.VOLUME, Change.VENTRICLE}:
            self._show_rotation()
        if Change.VOLUME in changes:
            show_text(ui.examLabel, "" if session is None else exam_line(session.volume_node))
        if changes & MEASURED:
            show_text(ui.reportLabel, "")  # it would lead to numbers of before
            self._show_numbers()

    def _allow_dicom(self) -> None:
        ui, session = self.ui, self.session
        why = ""
        if session is not None and (database() is None or not instance_uids(session.volume_node)):
            why = _("This volume did not come from Slicer's DICOM database.")
        self.allow(ui.dicomCheckBox, "dicom", also=why)
        if not ui.dicomCheckBox.enabled or not ui.dicomCheckBox.checked:
            why = why or _("It is for DICOM files; the report itself has the case name unless you ask for the patient's.")
        elif ui.patientNameCheckBox.checked:
            why = _("The report is to have the patient's name.")
        self.allow(ui.pseudonymCheckBox, "dicom", also=why)

    def _show_numbers(self) -> None:
        ui, session = self.ui, self.session
        measured: Measurements | None = None
        problem = ""
        if session is not None and (session.state.has_masks or session.state.ventricle.has_wall):
            try:
                measured = session.measurements
            except MyoScarSegError as error:
                problem = str(error)
        show_text(ui.wallLabel, "" if session is None else wall_sentence(session.state, measured))
        missing = [] if measured is None else [*dict.fromkeys(measured.missing.values()), *measured.notes]
        show_text(ui.missingLabel, problem or " ".join(missing))
        rows = [] if measured is None or session is None else burden_rows(measured, session.mass_interval)
        style.fill_table(ui.burdenTable, rows)
        ui.burdenTable.visible = bool(rows)
        self._fit_rows()
        segments = [] if measured is None else segment_rows(measured)
        style.fill_table(ui.segmentTable, segments, numbers=(2, 3, 4))
        ui.segmentsGroup.visible = bool(segments)
        style.fit_height(ui.segmentTable, len(segments), 17)

    def _fit_rows(self) -> None:
        """Make room for all words, in a panel of this width."""
        table = self.ui.burdenTable
        table.resizeRowsToContents()
        table.setFixedHeight(max(sum(int(table.rowHeight(n)) for n in range(table.rowCount)), 1) + 4)

    def _show_rotation(self) -> None:
        box, session = self.ui.rotationSpinBox, self.session
        rotation = None if session is None else session.numbers.rotation(session.state)
        box.enabled = session is not None and session.state.ventricle.has_wall

        def show() -> None:
            box.minimum = -180 if rotation is not None else -1  # below 0 stands what holds before there are points
            box.specialValueText = "" if rotation is not None else UNKNOWN
            box.value = box.minimum if rotation is None else round(rotation)

        quietly(box, show)

    def _show_level(self) -> None:
        combo, session, k = self.ui.levelCombo, self.session, self.workflow.displayed_slice
        combo.enabled = session is not None and k is not None and session.state.ventricle.has_wall
        level = None if session is None or k is None else session.state.ventricle.levels.get(k)
        number = _LEVELS.index(level)
        quietly(combo, lambda: combo.setCurrentIndex(number))
