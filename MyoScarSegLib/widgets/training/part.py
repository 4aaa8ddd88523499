"""What the parts of the training tab have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from MyoScarSegLib.scene.training.notices import TrainChange

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.training.tab import TrainingTab


class TrainingPart:
    """One section of the training tab.

    Attributes:
        tab: that it is part of.
        panel: that the tab is part of.
        ui: the widgets of the tab's form by name.
        training: the workflow that does the work.
        settings: what outlives the application.
        watches: changes after which :meth:`refresh` is wanted.
    """

    watches: frozenset[TrainChange] = frozenset()

    def __init__(self, tab: TrainingTab) -> None:
        self.tab = tab
        self.panel = tab.panel
        self.ui: Any = tab.ui
        self.training: Any = tab.training
        self.settings = tab.panel.settings

    def refresh(self, changes: frozenset[TrainChange]) -> None:
        """Show what is now. Called soon after some of :attr:`watches` have changed, many changes at a time."""

    def tick(self) -> bool:
        """Called at each turn while the tab is shown, for what is done a little at a time. Returns whether there is more."""
        return False

    def cleanup(self) -> None:
        """The panel goes: take back what was connected outside of the form."""

    def allow(self, widget: Any, action: str, tip: str, *, also: str = "") -> None:
        """Enable a widget if an action is possible; if not, its tooltip says why.

        Args:
            widget: the button.
            action: as the workflow calls it.
            tip: of the button when it can be pressed.
            also: a reason of the panel's own against it; empty for none.
        """
        why = also or self.training.why_not(action)
        widget.enabled = not why
        widget.toolTip = f"{tip}\n{why}" if why else tip
