"""The training library: its folder, what is put in and taken out, and the table of its cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt

from MyoScarSegLib.scene.training.training_state import LabelQuestion
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.section import TrainingSection, show_text
from MyoScarSegLib.widgets.text import _
from MyoScarSegLib.widgets.training import dialogs
from MyoScarSegLib.widgets.training.add_dialog import AddDialog
from MyoScarSegLib.widgets.training.case_table import CaseTable, line_of

SEGMENT = 0
"""The first tab."""


class LibrarySection(TrainingSection):
    """The section *Library*."""

    watches = frozenset({"folder", "gone", "rows", "split", "busy", "question", "study"})

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        self.dialog: AddDialog | None = None
        self._asked: LabelQuestion | None = None
        self.table = CaseTable(ui.caseTable, self._allow_selected)
        self.menu = qt.QMenu(ui.importButton)
        for name, text, slot in (
            ("importFolderAction", _("Folder of volumes and segmentations, or YoloSAM's images ..."), self.ask_and_import_folder),
            ("importScenesAction", _("Slicer scenes (.mrb, .mrml) ..."), self.ask_and_import_scenes),
        ):
            action = self.menu.addAction(text)
            action.name = name
            action.connect("triggered()", slot)
        ui.importButton.setMenu(self.menu)
        ui.chooseLibraryButton.connect("clicked()", self.ask_for_library)
        ui.addStudyButton.connect("clicked()", self.ask_and_add)
        ui.openCaseButton.connect("clicked()", self.open)
        ui.acceptCaseButton.connect("clicked()", self.accept)
        ui.exportCasesButton.connect("clicked()", self.ask_and_export)
        ui.removeCasesButton.connect("clicked()", self.ask_and_remove)
        ui.libraryFilterEdit.connect("textChanged(QString)", lambda text: self._filter(str(text)))
        ui.caseTable.connect("cellDoubleClicked(int,int)", lambda _row, _column: self.open())

    def cleanup(self) -> None:  # noqa: D102 (the base class describes it)
        if self.dialog is not None:
            self.dialog.close()

    def ask_for_library(self) -> None:
        """Let the user choose the library's folder; an empty or new one becomes a library."""
        folder = qt.QFileDialog.getExistingDirectory(
            self.tab.form,
            _("Folder of the training library (an empty one becomes a new library)"),
            str(self.workflow.state.folder or ""),
        )
        if not folder:
            return
        self.tab.status.say_error("")
        if self.workflow.open_library(str(folder), create=True):
            self.settings.keep("trainingLibrary", str(self.workflow.state.folder))

    def ask_and_add(self) -> None:
        """Ask what is to be known of the study, and add it."""
        if self.dialog is None:
            self.dialog = AddDialog(self.tab)
        self.dialog.show()

    def ask_and_import_folder(self) -> None:
        """Let the user choose a folder, and import what is in it."""
        if folder := self.ask_for_folder(_("Folder with studies that are segmented already"), "importFolder"):
            self.workflow.cases.import_cases([folder])

    def ask_and_import_scenes(self) -> None:
        """Let the user choose scenes, and import the studies in them."""
        paths = qt.QFileDialog.getOpenFileNames(
            self.tab.form, _("Slicer scenes"), self.settings.text("importFolder"), _("Slicer scenes (*.mrb *.mrml)")
        )
        chosen = [Path(str(path)) for path in _names(paths)]
        if chosen:
            self.settings.keep("importFolder", str(chosen[0].parent))
            self.workflow.cases.import_cases(chosen)

    def open(self) -> None:
        """Put the selected case into the scene, to be corrected in the first tab."""
        chosen = self.table.selected
        if len(chosen) == 1 and not self.workflow.why_not("open_case") and self.workflow.cases.open_case(chosen[0]):
            self.panel.show_tab(SEGMENT)

    def accept(self) -> None:
        """Take the selected cases as they are on disk now."""
        for name in self.table.selected:
            if name in self._changed_cases():
                self.workflow.cases.accept(name)

    def ask_and_export(self) -> None:
        """Let the user choose a folder, and copy the selected cases there."""
        if folder := self.ask_for_folder(_("Folder for the cases"), "caseExportFolder"):
            self.workflow.cases.export(self.table.selected, folder)

    def ask_and_remove(self) -> None:
        """Ask, and delete the selected cases from the library."""
        chosen = self.table.selected
        if not chosen:
            return
        what = _("case {name}").format(name=chosen[0]) if len(chosen) == 1 else _("{n} cases").format(n=len(chosen))
        dialogs.confirm(
            self.tab.form,
            _("Remove {what} from the library?").format(what=what),
            _("Volume and segmentation are deleted from the library's folder. Models trained with them stay as they are."),
            _("Remove"),
            lambda: self.workflow.cases.remove(chosen),
        )

    def refresh(self, changes: frozenset[str]) -> None:  # noqa: D102 (the base class describes it)
        ui, state = self.ui, self.workflow.state
        ui.libraryFolderLabel.text = (
            state.folder.name if state.folder is not None else _("No library yet: choose a folder for it.")
        )
        ui.libraryFolderLabel.toolTip = str(state.folder or "")
        if changes & {"rows", "split"}:
            self.table.show([line_of(row, state.side_of) for row in state.rows])
        for name in ("libraryFilterEdit", "caseTable", "libraryCountLabel", "openCaseButton", "exportCasesButton",
                     "removeCasesButton"):  # fmt: skip
            getattr(ui, name).visible = bool(state.rows)
        self._count()
        style.mark_next_step(ui.chooseLibraryButton, state.folder is None)
        self.allow(ui.addStudyButton, "add_current")
        self.allow(ui.importButton, "import_cases")
        style.mark_next_step(ui.addStudyButton, bool(ui.addStudyButton.enabled) and not state.rows)
        self._allow_selected()
        if self.dialog is not None:
            self.dialog.refresh()
        if state.question is not None and state.question is not self._asked:
            self._asked = state.question
            self._ask_labels(state.question)

    def tick(self) -> bool:  # noqa: D102 (the base class describes it)
        return self.table.go_on()

    def _ask_labels(self, question: LabelQuestion) -> None:
        """Ask what the labels of the last import mean, and go on with it."""

        def go_on(labels: str) -> None:
            self.workflow.cases.import_cases(
                list(question.paths), question.patient_pattern, labels=labels, reviewer=question.reviewer
            )

        dialogs.ask_labels(self.tab.form, question, go_on)

    def _count(self) -> None:
        state = self.workflow.state
        text = _("{cases} cases, {patients} patients").format(cases=len(state.rows), patients=len(state.patients))
        shown = len(self.table.shown)
        self.ui.libraryCountLabel.text = (
            text if shown == len(state.rows) else _("{shown} of {text}").format(shown=shown, text=text)
        )

    def _filter(self, text: str) -> None:
        self.table.filter(text)
        self._count()

    def _allow_selected(self) -> None:
        ui, chosen = self.ui, self.table.selected
        none = "" if chosen else _("Select a case in the table first.")
        one = none or ("" if len(chosen) == 1 else _("Select one case only."))
        self.allow(ui.openCaseButton, "open_case", also=one)
        self.allow(ui.exportCasesButton, "export", also=none)
        self.allow(ui.removeCasesButton, "remove", also=none)
        self.allow(ui.acceptCaseButton, "accept")
        ui.acceptCaseButton.visible = bool(set(chosen) & self._changed_cases())
        problems = [f"{row.name}: {row.problem}" for row in self.workflow.state.rows if row.name in chosen and row.problem]
        show_text(ui.caseProblemLabel, "\n".join(problems[:3]))

    def _changed_cases(self) -> set[str]:
        """Cases whose files were changed outside of the library, and that can be taken as they are."""
        return {row.name for row in self.workflow.state.rows if row.case is not None and row.state.startswith("problem")}


def _names(found: Any) -> list[str]:
    """File names, whether a binding gives them alone or with the filter that was chosen."""
    if isinstance(found, tuple) and len(found) == 2 and not isinstance(found[0], str):
        return list(found[0])
    return [found] if isinstance(found, str) else list(found)
