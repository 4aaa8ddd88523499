"""The training tab: its form, its parts, and what they share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer

from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.scene.training.notices import TrainChange
from MyoScarSegLib.utils.resources import resources_folder
from MyoScarSegLib.widgets.text import _
from MyoScarSegLib.widgets.training import confirm, looks
from MyoScarSegLib.widgets.training.comparison_part import ComparisonPart
from MyoScarSegLib.widgets.training.library_part import LibraryPart
from MyoScarSegLib.widgets.training.packages import Packages
from MyoScarSegLib.widgets.training.part import TrainingPart
from MyoScarSegLib.widgets.training.progress_part import ProgressPart
from MyoScarSegLib.widgets.training.runs_part import RunsPart
from MyoScarSegLib.widgets.training.split_part import SplitPart
from MyoScarSegLib.widgets.training.status_part import TrainingStatusPart
from MyoScarSegLib.widgets.training.train_part import TrainPart

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.panel import Panel

_LAID_OUT_MS = 60
_SECTIONS = ("library", "split", "train", "progress", "runs")


class TrainingTab:
    """Binds the form of the second tab to the training workflow.

    Attributes:
        panel: that it is part of.
        form: the widget to be shown.
        ui: its children by name.
        training: what everything acts on.
        packages: what training needs to be installed.
        shown: whether the user sees the tab.
        ready: whether the panel around is complete.
    """

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.training = panel.backend.training
        self.form = slicer.util.loadUI(str(resources_folder() / "UI" / "Training.ui"))
        self.ui = slicer.util.childWidgetVariables(self.form)
        self.shown = self.ready = False
        self.training.watching = False
        looks.dress(self.ui)
        self.packages = Packages(self)
        self.status = TrainingStatusPart(self)
        self.library = LibraryPart(self)
        self.split = SplitPart(self)
        self.train = TrainPart(self)
        self.progress = ProgressPart(self)
        self.runs = RunsPart(self)
        self.comparison = ComparisonPart(self)
        self.parts: tuple[TrainingPart, ...] = (
            self.status, self.library, self.split, self.train, self.progress, self.runs, self.comparison,
        )  # fmt: skip
        self._changes: set[TrainChange] = set(TrainChange)
        self._unobserve = [
            self.training.on_changed(self._changes.add),
            panel.workflow.on_changed(self._first_tab_changed),
            panel.backend.after_tick(self.flush),
        ]
        self._restore()
        self.flush()
        self.ready = True

    def flush(self) -> bool:
        """Show what has changed since the last time. Returns whether there is more to be shown soon."""
        if self._changes:
            changes = frozenset(self._changes)
            self._changes.clear()
            for part in self.parts:
                if part.watches & changes:
                    part.refresh(changes)
        more = [part.tick() for part in self.parts] if self.shown else []
        return any(more) or bool(self._changes)

    def changed(self, *changes: TrainChange) -> None:
        """Have the parts show something anew at the next turn."""
        self._changes.update(changes)
        self.panel.backend.wake()

    @property
    def title(self) -> str:
        """What the tab is called: also whether a training runs, for whoever looks at the other one."""
        return _("Train") if not self.progress.short else _("Train · {how_far}").format(how_far=self.progress.short)

    def show(self, on: bool) -> None:
        """The tab is shown or not."""
        self.shown = self.training.watching = on
        self.form.visible = on
        if on:
            self._open_kept()
            looks.dress(self.ui)  # the theme may have been changed meanwhile
            self.changed(*TrainChange)

    def bring_into_sight(self, widget: Any) -> None:
        """Scroll the panel so far that a widget is seen, once it has its place."""
        qt.QTimer.singleShot(_LAID_OUT_MS, lambda: self._scroll_to(widget))

    def cleanup(self) -> None:
        """Let go of application and workflow; the training itself goes on."""
        self.shown = False
        confirm.close_all()
        for remove in self._unobserve:
            remove()
        for part in self.parts:
            part.cleanup()
        self.packages.close()

    def _first_tab_changed(self, change: Change) -> None:
        """Whether the study in hand can be added depends on it, and which model is in use."""
        if self.shown and change in (Change.VOLUME, Change.MASK, Change.STATUS):
            self._changes.add(TrainChange.STATE)

    def _scroll_to(self, widget: Any) -> None:
        area = widget if self.shown else None
        while area is not None and not area.inherits("QScrollArea"):
            area = area.parentWidget()
        if area is not None:
            area.ensureWidgetVisible(widget)

    def _collapsed(self, name: str, on: bool) -> None:
        self.panel.settings.keep(f"{name}Collapsed", on)
        self.changed(*TrainChange)

    def _restore(self) -> None:
        for name in _SECTIONS:
            section: Any = getattr(self.ui, f"{name}Section")
            section.collapsed = self.panel.settings.flag(f"{name}Collapsed", False)
            section.connect("contentsCollapsed(bool)", lambda on, name=name: self._collapsed(name, bool(on)))
        if kept := self.panel.settings.text("trainingLibrary"):
            self.training.kept_folder = Path(kept)

    def _open_kept(self) -> None:
        """Open the library of the last time: not before it is to be seen, for it may lie on a disk that does not answer."""
        kept = self.training.kept_folder
        if kept is not None and self.training.library_folder is None:
            self.training.open_library(kept)
