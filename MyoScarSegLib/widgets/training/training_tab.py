"""The training tab: its form and its sections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt

from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.training.training_state import FIELDS
from MyoScarSegLib.scene.training.training_workflow import TrainingWorkflow
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.packages import Packages
from MyoScarSegLib.widgets.status_section import TrainingStatus
from MyoScarSegLib.widgets.tab import Tab
from MyoScarSegLib.widgets.training import dialogs
from MyoScarSegLib.widgets.training.case_table import THUMBNAIL_PX
from MyoScarSegLib.widgets.training.comparison_section import ComparisonSection
from MyoScarSegLib.widgets.training.library_section import LibrarySection
from MyoScarSegLib.widgets.training.progress_section import ProgressSection
from MyoScarSegLib.widgets.training.runs_section import RunsSection
from MyoScarSegLib.widgets.training.split_section import SplitSection
from MyoScarSegLib.widgets.training.train_section import TrainSection

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.panel import Panel

_LAID_OUT_MS = 60
_TWO_LINES_PX = 36
_SECTIONS = ("library", "split", "train", "progress", "runs")
_SMALL = (
    "trainNoteLabel", "trainProgressLabel", "libraryCountLabel", "caseProblemLabel", "splitNoteLabel", "leftOutLabel", "modeInfo",
    "presetInfo", "trainExplainLabel", "lossesLabel", "runDetailLabel", "curveKeyLabel", "examplesLabel", "comparedLabel",
    "patientHintLabel", "trainingPatientsLabel", "validationPatientsLabel",
)  # fmt: skip


class TrainingTab(Tab):
    """Binds the form of the second tab to the training workflow.

    Attributes:
        status, library, split, train, progress, runs, comparison: its sections.
        ready: whether the panel around is complete.
    """

    workflow: TrainingWorkflow

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel, "Training", panel.backend.training, FIELDS)
        self.ready = False
        self.workflow.watching = False
        self._set_style()
        self.packages = Packages(self, panel.segment.advanced.packages_changed, training=True)
        self.status = TrainingStatus(self)
        self.library = LibrarySection(self)
        self.split = SplitSection(self)
        self.train = TrainSection(self)
        self.progress = ProgressSection(self)
        self.runs = RunsSection(self)
        self.comparison = ComparisonSection(self)
        self.sections = (self.status, self.library, self.split, self.train, self.progress, self.runs, self.comparison)
        self._unobserve.append(panel.workflow.changed.connect(self._first_tab_changed))
        self.restore_collapsed(*_SECTIONS)
        for name in _SECTIONS:  # what is opened shows all its rows
            getattr(self.ui, f"{name}Section").connect("contentsCollapsed(bool)", lambda _on: self.changed(*FIELDS))
        if kept := panel.settings.text("trainingLibrary"):
            self.workflow.kept_folder = Path(kept)
        self.flush()
        self.ready = True

    def show(self, on: bool) -> None:  # noqa: D102 (the base class describes it)
        super().show(on)
        self.workflow.watching = on
        if on:
            self._open_kept()
            self.workflow.models.refresh()
            self._set_style()  # the theme may have been changed meanwhile
            self.changed(*FIELDS)

    def bring_into_sight(self, widget: Any) -> None:
        """Scroll the panel so far that a widget is seen, once it has its place."""
        qt.QTimer.singleShot(_LAID_OUT_MS, lambda: self._scroll_to(widget))

    def cleanup(self) -> None:
        """Let go of application and workflow; the training itself goes on."""
        super().cleanup()
        dialogs.close_all()
        self.packages.close()

    def _first_tab_changed(self, change: Change) -> None:
        """Whether the study in hand can be added depends on it, and which model is in use."""
        if self.shown and change in (Change.VOLUME, Change.MASK, Change.STATUS):
            self._changes.add("study")
            self.workflow.update(in_use=self.workflow.models.in_use)

    def _scroll_to(self, widget: Any) -> None:
        area = widget if self.shown else None
        while area is not None and not area.inherits("QScrollArea"):
            area = area.parentWidget()
        if area is not None:
            area.ensureWidgetVisible(widget)

    def _open_kept(self) -> None:
        """Open the library of the last time: not before it is to be seen, for it may lie on a disk that does not answer."""
        kept = self.workflow.kept_folder
        if kept is not None and self.workflow.state.folder is None:
            self.workflow.open_library(kept)

    def _set_style(self) -> None:
        """Set what depends on the theme, and what the form cannot say."""
        ui = self.ui
        style.mute(ui.trainStatusFrame, [getattr(ui, name) for name in _SMALL])
        ui.runTitleLabel.styleSheet = "font-weight: 600;"
        ui.runBar.styleSheet = style.THIN_BAR
        style.set_table_style(ui.caseTable, THUMBNAIL_PX + 6)
        style.set_table_style(ui.summaryTable, _TWO_LINES_PX)
        for table in (ui.runTable, ui.patientTable):
            style.set_table_style(table)
        # Columns as wide as the rows in sight need: to ask hundreds of rows takes longer than to fill them.
        ui.caseTable.horizontalHeader().setResizeContentsPrecision(0)
        ui.caseTable.wordWrap = False  # two lines are given, and more have no room
        ui.caseTable.iconSize = qt.QSize(THUMBNAIL_PX, THUMBNAIL_PX)
        for table, wide in ((ui.caseTable, 0), (ui.runTable, 1), (ui.summaryTable, 0)):
            across = table.horizontalHeader()
            for column in range(table.columnCount):
                mode = qt.QHeaderView.Stretch if column == wide else qt.QHeaderView.ResizeToContents
                across.setSectionResizeMode(column, mode)
        ui.caseTable.horizontalHeader().setSectionsClickable(True)
        for table in (ui.summaryTable, ui.patientTable):
            style.align_right(table, range(1, table.columnCount))
