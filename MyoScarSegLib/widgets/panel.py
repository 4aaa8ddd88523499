"""The panel: the form, its parts, and what they share."""

from __future__ import annotations

import logging
from typing import Any

import qt
import slicer

from MyoScarSegLib.errors import SceneError
from MyoScarSegLib.scene import terminology
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.utils.resources import resources_folder
from MyoScarSegLib.widgets import looks
from MyoScarSegLib.widgets.advanced_part import AdvancedPart
from MyoScarSegLib.widgets.backend import Backend
from MyoScarSegLib.widgets.boxes_part import BoxesPart
from MyoScarSegLib.widgets.mouse import Mouse
from MyoScarSegLib.widgets.numbers_part import NumbersPart
from MyoScarSegLib.widgets.part import Part
from MyoScarSegLib.widgets.scar_part import ScarPart
from MyoScarSegLib.widgets.settings import Settings
from MyoScarSegLib.widgets.shortcuts import Shortcuts
from MyoScarSegLib.widgets.status_part import StatusPart
from MyoScarSegLib.widgets.study_part import StudyPart
from MyoScarSegLib.widgets.text import _
from MyoScarSegLib.widgets.training.tab import TrainingTab
from MyoScarSegLib.widgets.unexpected import Unexpected
from MyoScarSegLib.widgets.views import Views

_log = logging.getLogger(__name__)
SEGMENT, TRAIN = 0, 1
"""The tabs."""


class Panel:
    """Binds the forms to a backend. Shown or not, they stay right; keys and mouse are ours only while the first tab is shown.

    Attributes:
        form: the widget to be put into the module's place: the tabs' headings, and under them the form of one tab.
        tabs: the headings.
        ui: the first tab's widgets by name.
        training: the second tab.
        workflow: what the first tab acts on.
        settings: what outlives the application.
        views: the slice views.
        mouse: drawing of boxes and points in them.
        unexpected: what was raised and reached nobody.
        entered: whether the module is shown.
        active: whether keys and mouse are ours.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.workflow = backend.workflow
        self.engine = backend.engine
        self.segment_form = slicer.util.loadUI(str(resources_folder() / "UI" / "MyoScarSeg.ui"))
        self.ui = slicer.util.childWidgetVariables(self.segment_form)
        self.settings = Settings()
        self.views = Views(self.workflow)
        self.mouse = Mouse(self)
        self.entered = self.active = False
        self.unexpected = Unexpected(self._say_unexpected)
        looks.dress(self.ui)
        _register_terms()
        self.status = StatusPart(self)
        self.study = StudyPart(self)
        self.boxes = BoxesPart(self)
        self.scar = ScarPart(self)
        self.numbers = NumbersPart(self)
        self.advanced = AdvancedPart(self)
        self.boxes.show_confidence()
        self.parts: tuple[Part, ...] = (self.status, self.study, self.boxes, self.scar, self.numbers, self.advanced)
        self.shortcuts = Shortcuts(self)
        self._changes: set[Change] = set(Change)
        self._unobserve = [
            self.workflow.on_changed(self._changes.add),
            backend.after_tick(self.flush),
            backend.after_tick(self._fit_height),
        ]
        self._restore_sections()
        self._build_tabs()
        self.flush()

    def flush(self) -> bool:
        """Show what has changed since the last time. Returns whether there is news already."""
        if not self._changes:
            return False
        changes = frozenset(self._changes)
        self._changes.clear()
        for part in self.parts:
            if part.watches & changes:
                part.refresh(changes)
        return bool(self._changes)

    def changed(self, *changes: Change) -> None:
        """Have the parts show something anew at the next turn."""
        self._changes.update(changes)
        self.backend.wake()

    def nudge(self, right: int, up: int) -> None:
        """Move the selected box by one pixel, in the direction that the view shows."""
        self.boxes.nudge(*self.views.pixel_step(right, up))

    def enter(self) -> None:
        """The module is shown: keys and mouse are ours, and the likely volume is chosen if none is."""
        if self.entered:
            return
        self.entered = self.backend.attended = True
        self.backend.wake()
        self.show_tab(int(self.tabs.currentIndex))
        for part in self.parts:
            part.enter()

    def exit(self) -> None:
        """Another module is shown."""
        if not self.entered:
            return
        self.entered = self.backend.attended = False
        self.training.show(False)
        self._activate(False)
        for part in self.parts:
            part.exit()

    def show_tab(self, index: int) -> None:
        """Show a tab, :data:`SEGMENT` or :data:`TRAIN`."""
        if self.tabs.currentIndex != index:
            self.tabs.setCurrentIndex(index)  # which calls this again
            return
        self.segment_form.visible = index == SEGMENT
        self.training.show(index == TRAIN)
        if index == SEGMENT:
            self.backend.training.trainings.hide_compared()
            looks.dress(self.ui)  # the theme may have been changed meanwhile
            self.changed(Change.STATUS)
        self._activate(self.entered and index == SEGMENT)

    def title_train_tab(self, title: str) -> None:
        """Have the training tab's heading say how far a training is."""
        if self.tabs.tabText(TRAIN) != title:
            self.tabs.setTabText(TRAIN, title)

    def cleanup(self) -> None:
        """Let go of application and workflow; the form goes with the module's place."""
        self.exit()
        self.unexpected.close()
        for remove in self._unobserve:
            remove()
        for part in self.parts:
            part.cleanup()
        self.training.cleanup()
        self.form.deleteLater()

    def _say_unexpected(self, why: str) -> None:
        sentence = _("Unexpected error: {why}. What you did last may not be complete. Copy log has what a report needs.")
        (self.training.status if self.training.shown else self.status).say_error(sentence.format(why=why))

    def _build_tabs(self) -> None:
        """The headings, and under them both forms, of which one is shown: so the panel is as high as that one needs."""
        self.form = qt.QWidget()
        self.form.name = "MyoScarSegPanel"
        column = qt.QVBoxLayout(self.form)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        self.tabs = qt.QTabBar()
        self.tabs.name = "panelTabs"
        self.tabs.setExpanding(True)
        self.tabs.addTab(_("Segment"))
        self.tabs.addTab(_("Train"))
        self.tabs.setTabToolTip(SEGMENT, _("Find and draw scar in a study, correct it, measure it"))
        self.tabs.setTabToolTip(TRAIN, _("Teach the models with corrected studies, and choose the better one"))
        self.training = TrainingTab(self)
        for widget in (self.tabs, self.segment_form, self.training.form):
            column.addWidget(widget)
        self.training.show(False)
        self.tabs.connect("currentChanged(int)", self.show_tab)

    def _fit_height(self) -> None:
        """Ask for the height that wrapped texts need at this width.

        A minimum that Qt makes by itself counts one line of each, and a panel that is made as low as that cuts texts off and lays
        buttons over tables.
        """
        if self.form.visible:
            needed = self.form.heightForWidth(self.form.width)
            if needed > 0 and self.form.minimumHeight != needed:
                self.form.minimumHeight = needed

    def _activate(self, on: bool) -> None:
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

    def _restore_sections(self) -> None:
        for name in ("study", "boxes", "scar", "numbers", "advanced"):
            section: Any = getattr(self.ui, f"{name}Section")
            section.collapsed = self.settings.flag(f"{name}Collapsed", name == "advanced")
            section.connect("contentsCollapsed(bool)", lambda on, name=name: self.settings.keep(f"{name}Collapsed", bool(on)))


def _register_terms() -> None:
    """Have the terms for scar and its surroundings in the application's selector; the panel works without them."""
    logic = getattr(slicer.modules, "terminologies", None)
    if logic is not None:
        try:
            terminology.register(logic.logic())
        except SceneError as error:
            _log.warning("%s", error)
