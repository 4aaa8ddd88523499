"""The first tab: find and draw scar in a study, correct it, measure it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import qt

from MyoScarSegLib.engine.review_pictures import ROW_PX
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.workflow import Workflow
from MyoScarSegLib.utils.resources import resources_folder
from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.advanced_section import AdvancedSection
from MyoScarSegLib.widgets.boxes_section import BoxesSection
from MyoScarSegLib.widgets.burden_section import BurdenSection
from MyoScarSegLib.widgets.methods_section import MethodsSection
from MyoScarSegLib.widgets.mouse import Mouse
from MyoScarSegLib.widgets.numbers_section import NumbersSection
from MyoScarSegLib.widgets.packages import Packages
from MyoScarSegLib.widgets.panel_settings import VIEW_WIDGETS, ViewSettings, fill_form, on_edit, read_form
from MyoScarSegLib.widgets.picture_section import PictureSection
from MyoScarSegLib.widgets.review_section import ReviewSection
from MyoScarSegLib.widgets.scar_section import ScarSection
from MyoScarSegLib.widgets.shortcuts import Shortcuts
from MyoScarSegLib.widgets.status_section import SegmentStatus
from MyoScarSegLib.widgets.study_section import StudySection
from MyoScarSegLib.widgets.tab import Tab

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.panel import Panel

_ICONS = {
    "proposeButton": "Propose", "segmentAllButton": "Segment", "drawBoxButton": "DrawBox", "acceptBoxButton": "Accept",
    "rejectBoxButton": "Reject", "deleteBoxButton": "Delete", "copyBoxButton": "CopyToNext", "addPositiveButton": "PointAdd",
    "addNegativeButton": "PointRemove", "undoButton": "Undo", "redoButton": "Redo", "helpButton": "Help",
}  # fmt: skip
_SMALL = (
    "reasonLabel", "progressLabel", "reviewLabel", "detectorInfo", "segmenterInfo", "deviceInfo", "cautionLabel", "volumeCaption",
    "massCaption", "examLabel", "wallLabel", "missingLabel", "methodLabel", "levelLabel",
    "septumLabel", "cohortLabel", "outsideLabel", "exportLabel", "reportLabel",
)  # fmt: skip
_CONFIDENCE_PX = 84


class SegmentTab(Tab):
    """Keys and mouse are ours only while it is shown.

    Attributes:
        mouse: drawing of boxes and points in the slice views.
        shortcuts: the keys.
        active: whether keys and mouse are ours.
        view: how it shows and answers, as the user wants it.
        status, study, boxes, scar, numbers, burden, methods, picture, review, advanced: its sections.
    """

    workflow: Workflow

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel, "MyoScarSeg", panel.workflow, Change)
        self.active = False
        self.view = panel.settings.load(ViewSettings)
        self.mouse = Mouse(self)
        self._set_style()
        self.packages = Packages(self, lambda: self.advanced.packages_changed())
        self.status = SegmentStatus(self)
        self.study = StudySection(self)
        self.boxes = BoxesSection(self)
        self.scar = ScarSection(self)
        self.numbers = NumbersSection(self)
        self.burden = BurdenSection(self)
        self.methods = MethodsSection(self)
        self.picture = PictureSection(self)
        self.review = ReviewSection(self)
        self.advanced = AdvancedSection(self)
        self.boxes.show_confidence()
        fill_form(self.ui, VIEW_WIDGETS, self.view)
        on_edit(self.ui, VIEW_WIDGETS, self._view_edited)
        of_burden = (self.burden, self.methods, self.picture)
        self.sections = (self.status, self.study, self.boxes, self.scar, self.numbers, *of_burden, self.review, self.advanced)
        self.shortcuts = Shortcuts(self)
        self.restore_collapsed("study", "boxes", "scar", "numbers", "burden", "review", "advanced", closed=("review", "advanced"))
        self._apply_view()
        self.flush()

    def show(self, on: bool) -> None:  # noqa: D102 (the base class describes it)
        super().show(on)
        if on:
            self._set_style()  # the theme may have been changed meanwhile
            self.changed(Change.STATUS)
        self.activate(self.panel.entered and on)

    def enter(self) -> None:
        """The module is shown."""
        for section in self.sections:
            section.enter()

    def exit(self) -> None:
        """Another module is shown."""
        self.activate(False)
        for section in self.sections:
            section.exit()

    def activate(self, on: bool) -> None:
        """Take keys and mouse, or leave them: Delete in a table of cases must not delete a box."""
        if on == self.active:
            return
        self.active = on
        if on:
            self.shortcuts.install()
            self.mouse.start()
        else:
            self.scar.editor.rest()
            self.mouse.stop()
            self.shortcuts.remove()

    def _view_edited(self) -> None:
        before, self.view = self.view, read_form(self.ui, VIEW_WIDGETS, self.view)
        self.panel.settings.save(self.view, before)
        self._apply_view()

    def _apply_view(self) -> None:
        self.workflow.set_automatic(live=self.view.live, fit=self.view.fit)
        self.boxes.apply_view()
        self.scar.apply_view()

    def _set_style(self) -> None:
        """Set icons, and what depends on the theme."""
        ui = self.ui
        for name, picture in _ICONS.items():
            getattr(ui, name).icon = qt.QIcon(str(resources_folder() / "Icons" / f"{picture}.svg"))
        style.mute(ui.statusFrame, [getattr(ui, name) for name in _SMALL])
        for label in (ui.volumeMlLabel, ui.massLabel):
            label.styleSheet = "font-size: 20pt; font-weight: 600;"
        ui.encodedBar.styleSheet = style.THIN_BAR
        for table in (ui.boxTable, ui.sliceTable, ui.burdenTable, ui.segmentTable, ui.methodTable):
            style.set_table_style(table)
        style.set_table_style(ui.cohortTable, ROW_PX + 4)
        header = ui.boxTable.horizontalHeader()
        header.setSectionResizeMode(1, qt.QHeaderView.Interactive)
        header.resizeSection(1, _CONFIDENCE_PX)  # the state, in words, has the rest
        header.setSectionResizeMode(ui.boxTable.columnCount - 1, qt.QHeaderView.ResizeToContents)
        style.align_right(ui.sliceTable, range(1, ui.sliceTable.columnCount - 1))
        style.align_right(ui.segmentTable, range(2, 5))
        for table, columns in ((ui.segmentTable, range(2, 5)), (ui.methodTable, range(1, 4)), (ui.cohortTable, (1, 2, 4))):
            for column in columns:  # the name has the rest
                table.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        ui.methodTable.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        style.align_right(ui.methodTable, range(1, 4))
        style.align_right(ui.cohortTable, (2,))
        ui.cohortTable.iconSize = qt.QSize(2 * ROW_PX, ROW_PX)
