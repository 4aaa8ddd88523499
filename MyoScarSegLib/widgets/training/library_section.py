"""The training library: its folder, what is put in and taken out, and the table of its cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt

from MyoScarSegLib.scene.notices import TrainChange
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.section import TrainingSection
from MyoScarSegLib.widgets.text import _
from MyoScarSegLib.widgets.training.add_dialog import AddDialog
from MyoScarSegLib.widgets.training.case_table import CaseLine, CaseTable, line_of
from MyoScarSegLib.widgets.training.confirm import confirm
from MyoScarSegLib.widgets.training.label_dialog import LabelDialog

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.training.training_tab import TrainingTab


SEGMENT = 0
"""The first tab."""


class LibrarySection(TrainingSection):
    """The section *Library*."""

    watches = frozenset({TrainChange.LIBRARY, TrainChange.SPLIT, TrainChange.STATE})

    def __init__(self, tab: TrainingTab) -> None:
        super().__init__(tab)
        ui = self.ui
        self.dialog: AddDialog | None = None
        self.labels: LabelDialog | None = None
        self._known: dict[str, tuple[Any, CaseLine]] = {}
        self.table = CaseTable(ui.caseTable, self._selected)
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

    def cleanup(self) -> None:  # noqa: D102
        for dialog in (self.dialog, self.labels):
            if dialog is not None:
                dialog.close()

    # ------------------------------------------------------------------ what buttons do

    def ask_for_library(self) -> None:
        """Let the user choose the library's folder; an empty or new one becomes a library."""
        now = self.workflow.library_folder
        folder = qt.QFileDialog.getExistingDirectory(
            self.tab.form, _("Folder of the training library (an empty one becomes a new library)"), str(now or "")
        )
        if folder:
            self.open_library(Path(str(folder)))

    def open_library(self, folder: Path) -> None:
        """Work on the library in this folder from now on; make it if there is none."""
        self.tab.status.say_error("")
        self.workflow.open_library(folder, create=True)
        if self.workflow.library_folder is not None:
            self.settings.keep("trainingLibrary", str(self.workflow.library_folder))

    def ask_and_add(self) -> None:
        """Ask what is to be known of the study, and add it."""
        if self.dialog is None:
            self.dialog = AddDialog(self.tab)
        self.dialog.show()

    def ask_and_import_folder(self) -> None:
        """Let the user choose a folder, and import what is in it."""
        folder = qt.QFileDialog.getExistingDirectory(
            self.tab.form, _("Folder with studies that are segmented already"), self.settings.text("importFolder")
        )
        if folder:
            self.settings.keep("importFolder", str(folder))
            self.workflow.cases.import_cases([Path(str(folder))])

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
        """Load the selected case into the scene, and show it in the first tab, ready to be corrected."""
        chosen = self.table.selected
        if len(chosen) != 1 or self.workflow.why_not("open_case"):
            return
        if self.workflow.cases.open_case(chosen[0]):
            self.panel.show_tab(SEGMENT)

    def accept(self) -> None:
        """Take the selected cases as they are on disk now."""
        for name in self.table.selected:
            if name in self._changed_cases():
                self.workflow.cases.accept(name)

    def ask_and_export(self) -> None:
        """Let the user choose a folder, and copy the selected cases there."""
        folder = qt.QFileDialog.getExistingDirectory(
            self.tab.form, _("Folder for the cases"), self.settings.text("caseExportFolder")
        )
        if folder:
            self.settings.keep("caseExportFolder", str(folder))
            self.workflow.cases.export(self.table.selected, Path(str(folder)))

    def ask_and_remove(self) -> None:
        """Ask, and delete the selected cases from the library."""
        chosen = self.table.selected
        if not chosen:
            return
        what = _("case {name}").format(name=chosen[0]) if len(chosen) == 1 else _("{n} cases").format(n=len(chosen))
        confirm(
            self.tab.form,
            _("Remove {what} from the library?").format(what=what),
            _("Volume and segmentation are deleted from the library's folder. Models trained with them stay as they are."),
            _("Remove"),
            lambda: self.workflow.cases.remove(chosen),
        )

    # ------------------------------------------------------------------ showing

    def refresh(self, changes: frozenset[TrainChange]) -> None:  # noqa: D102
        ui, training = self.ui, self.workflow
        folder = training.library_folder
        ui.libraryFolderLabel.text = folder.name if folder is not None else _("No library yet: choose a folder for it.")
        ui.libraryFolderLabel.toolTip = str(folder or "")
        rows = training.cases.rows if folder is not None else []
        if changes & {TrainChange.LIBRARY, TrainChange.SPLIT}:
            self.table.show(self._lines(rows))
        for name in ("libraryFilterEdit", "caseTable", "libraryCountLabel"):
            getattr(ui, name).visible = bool(rows)
        ui.libraryCountLabel.text = self._count(rows)
        style.mark_next_step(ui.chooseLibraryButton, folder is None)
        self.allow(ui.addStudyButton, "add_current")
        self.allow(ui.importButton, "import_cases")
        style.mark_next_step(ui.addStudyButton, bool(ui.addStudyButton.enabled) and not rows)
        self._allow_selected()
        if self.dialog is not None:
            self.dialog.refresh()
        self._ask_for_labels()

    def _ask_for_labels(self) -> None:
        """Ask what the labels of the last import mean, once."""
        question = self.workflow.cases.label_question
        if question is None or (self.labels is not None and self.labels.question is question):
            return
        if self.labels is not None:
            self.labels.close()
        self.labels = LabelDialog(self.tab, question)
        self.labels.dialog.show()

    def tick(self) -> bool:  # noqa: D102
        return self.tab.shown and self.table.go_on()

    def _lines(self, rows: Sequence[Any]) -> list[CaseLine]:
        """The rows as lines of the table; those of before are used again where nothing has changed."""
        before = self._known
        self._known = {}
        for row in rows:
            known = before.get(row.name)
            self._known[row.name] = known if known is not None and known[0] == row else (row, line_of(row))
        return [line for _row, line in self._known.values()]

    def _count(self, rows: Any) -> str:
        patients = len({row.case.patient for row in rows if row.case is not None})
        text = _("{cases} cases, {patients} patients").format(cases=len(rows), patients=patients)
        hidden = len(rows) - len(self.table.shown)
        return text if not hidden else _("{shown} of {text}").format(shown=len(self.table.shown), text=text)

    def _filter(self, text: str) -> None:
        self.table.filter(text)
        self.ui.libraryCountLabel.text = self._count(self.workflow.cases.rows)

    def _selected(self) -> None:
        self._allow_selected()

    def _allow_selected(self) -> None:
        ui, chosen = self.ui, self.table.selected
        rows = bool(self.workflow.cases.rows)
        none = "" if chosen else _("Select a case in the table first.")
        one = none or ("" if len(chosen) == 1 else _("Select one case only."))
        self.allow(ui.openCaseButton, "open_case", also=one)
        self.allow(ui.exportCasesButton, "export", also=none)
        self.allow(ui.removeCasesButton, "remove", also=none)
        changed = set(chosen) & self._changed_cases()
        self.allow(ui.acceptCaseButton, "accept")
        ui.acceptCaseButton.visible = bool(changed)
        for button in (ui.openCaseButton, ui.exportCasesButton, ui.removeCasesButton):
            button.visible = rows
        problems = [f"{row.name}: {row.problem}" for row in self.workflow.cases.rows if row.name in chosen and row.problem]
        ui.caseProblemLabel.text = "\n".join(problems[:3])
        ui.caseProblemLabel.visible = bool(problems)

    def _changed_cases(self) -> set[str]:
        """Cases whose files were changed outside of the library, and that can be taken as they are."""
        return {row.name for row in self.workflow.cases.rows if row.case is not None and row.state.startswith("problem")}


def _names(found: Any) -> list[str]:
    """File names, whether a binding gives them alone or with the filter that was chosen."""
    if isinstance(found, tuple) and len(found) == 2 and not isinstance(found[0], str):
        return list(found[0])
    return [found] if isinstance(found, str) else list(found)
