"""What the parts of the panel have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.scene.notices import Change

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.panel import Panel


class Part:
    """One section of the panel.

    Attributes:
        panel: that it is part of.
        ui: the widgets of the form by name.
        workflow: that does the work.
        watches: changes after which :meth:`refresh` is wanted.
    """

    watches: frozenset[Change] = frozenset()

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.ui: Any = panel.ui
        self.workflow = panel.workflow

    @property
    def session(self) -> Any:
        """Of the chosen volume, None without one."""
        return self.workflow.session

    def refresh(self, changes: frozenset[Change]) -> None:
        """Show what is now. Called soon after some of :attr:`watches` have changed, many changes at a time."""

    def enter(self) -> None:
        """The module is shown."""

    def exit(self) -> None:
        """Another module is shown: leave nothing of ours active."""

    def cleanup(self) -> None:
        """The panel goes: take back what was connected outside of the form."""

    def allow(self, widget: Any, action: str, tip: str) -> None:
        """Enable a widget if an action is possible; if not, its tooltip says why."""
        why = self.workflow.why_not(action)
        widget.enabled = not why
        widget.toolTip = f"{tip}\n{why}" if why else tip


def quietly(widget: Any, change: Callable[[], None]) -> None:
    """Do ``change()`` without the widget's signals."""
    before = widget.blockSignals(True)
    try:
        change()
    finally:
        widget.blockSignals(before)
