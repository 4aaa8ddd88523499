"""What the sections of a tab have in common."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer

from MyoScarSegLib.utils.resources import resources_folder

if TYPE_CHECKING:
    from MyoScarSegLib.scene.training.training_workflow import TrainingWorkflow
    from MyoScarSegLib.scene.workflow import Workflow
    from MyoScarSegLib.widgets.segment_tab import SegmentTab
    from MyoScarSegLib.widgets.training.training_tab import TrainingTab


class Section:
    """One section of a tab.

    Attributes:
        tab: that it is part of.
        panel: around both tabs.
        ui: the widgets of the tab's form by name.
        workflow: that does the tab's work.
        settings: what outlives the application.
        watches: changes after which :meth:`refresh` is wanted.
    """

    watches: frozenset[Any] = frozenset()

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.panel = tab.panel
        self.ui: Any = tab.ui
        self.workflow = tab.workflow
        self.settings = tab.panel.settings
        self._tips: dict[str, str] = {}
        self.bind()

    def bind(self) -> None:
        """Connect the section's widgets; called once, when it is made."""

    def refresh(self, changes: frozenset[Any]) -> None:
        """Show what is now. Called soon after some of :attr:`watches` have changed, many changes at a time."""

    def tick(self) -> bool:
        """Called at each turn, for what is done a little at a time. Returns whether there is more."""
        return False

    def enter(self) -> None:
        """The module is shown."""

    def exit(self) -> None:
        """Another module is shown: leave nothing of ours active."""

    def cleanup(self) -> None:
        """The panel goes: take back what was connected outside of the form."""

    def allow(self, widget: Any, action: str, tip: str = "", *, also: str = "") -> None:
        """Enable a widget if the workflow's action is possible; if not, its tooltip says why.

        ``tip`` is the tooltip when it can be pressed, that of the form if empty; ``also`` a reason of the panel's own against it.
        """
        self.enable(widget, also or self.workflow.why_not(action), tip)

    def enable(self, widget: Any, why_not: str, tip: str = "") -> None:
        """Enable a widget if there is no reason why not; else its tooltip says the reason below ``tip``, or that of the form."""
        tip = tip or self._tips.setdefault(widget.name, widget.toolTip)
        widget.enabled = not why_not
        widget.toolTip = f"{tip}\n{why_not}" if why_not else tip

    def ask_for_folder(self, title: str, kept: str) -> Path | None:
        """The folder that the user chooses, None if none. ``kept`` names the setting that has the one of the last time."""
        folder = qt.QFileDialog.getExistingDirectory(self.tab.form, title, self.settings.text(kept))
        if not folder:
            return None
        self.settings.keep(kept, str(folder))
        return Path(str(folder))

    def ask_for_file(self, title: str, kept: str, file_filter: str) -> Path | None:
        """Likewise a file; its folder is kept."""
        path = qt.QFileDialog.getOpenFileName(self.tab.form, title, self.settings.text(kept), file_filter)
        if not path:
            return None
        self.settings.keep(kept, str(Path(str(path)).parent))
        return Path(str(path))


class SegmentSection(Section):
    """One section of the first tab."""

    tab: SegmentTab
    workflow: Workflow

    @property
    def session(self) -> Any:
        """Of the chosen volume, None without one."""
        return self.workflow.session


class TrainingSection(Section):
    """One section of the training tab."""

    tab: TrainingTab
    workflow: TrainingWorkflow


def load_form(name: str) -> tuple[Any, Any]:
    """A form of ``Resources/UI`` by its name without ending, and its widgets by their names."""
    form = slicer.util.loadUI(str(resources_folder() / "UI" / f"{name}.ui"))
    return form, slicer.util.childWidgetVariables(form)


def show_text(label: Any, text: str) -> None:
    """Show a text, or hide the label where there is none."""
    label.text = text
    label.visible = bool(text)


def link(path: Path) -> str:
    """A file or folder in a label's rich text, by its name; a click opens it in the computer's program for it."""
    return f'<a href="{escape(path.absolute().as_uri())}">{escape(path.name)}</a>'


def quietly(widget: Any, change: Callable[[], None]) -> None:
    """Do ``change()`` without the widget's signals."""
    before = widget.blockSignals(True)
    try:
        change()
    finally:
        widget.blockSignals(before)
