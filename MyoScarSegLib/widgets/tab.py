"""What both tabs have in common: a form, its sections, and one refresh for many changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.widgets.packages import Packages
from MyoScarSegLib.widgets.section import Section, load_form

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.panel import Panel


class Tab:
    """Binds a form to a workflow. Shown or not, the form stays right.

    Attributes:
        panel: around both tabs.
        form: the widget to be shown; ui: its children by name.
        workflow: that everything in it acts on.
        packages: what it needs to be installed.
        sections: of the form, in the order of their refreshes.
        shown: whether this tab is the one in front.
    """

    workflow: Any
    packages: Packages

    def __init__(self, panel: Panel, form: str, workflow: Any, changes: Iterable[Any]) -> None:
        """Of a ``.ui`` file, by its name without ending; ``changes`` are all that the workflow's signal ``changed`` may tell."""
        self.panel = panel
        self.form, self.ui = load_form(form)
        self.workflow = workflow
        self.sections: tuple[Section, ...] = ()
        self.shown = False
        self._changes: set[Any] = set(changes)
        self._unobserve: list[Callable[[], None]] = [
            workflow.changed.connect(self._changes.add),
            panel.backend.after_tick(self.flush),
        ]

    def flush(self) -> bool:
        """Show what has changed since the last time. Returns whether there is more to be shown soon."""
        changes = frozenset(self._changes)
        self._changes.clear()
        for section in self.sections:
            if section.watches & changes:
                section.refresh(changes)
        more = [section.tick() for section in self.sections]
        return any(more) or bool(self._changes)

    def changed(self, *changes: Any) -> None:
        """Have the sections show something anew at the next turn."""
        self._changes.update(changes)
        self.panel.backend.wake()

    def show(self, on: bool) -> None:
        """The tab comes to the front, or another one does."""
        self.shown = self.form.visible = on

    def cleanup(self) -> None:
        """Let go of application and workflow; the form goes with the panel."""
        self.shown = False
        for remove in self._unobserve:
            remove()
        for section in self.sections:
            section.cleanup()

    def restore_collapsed(self, *names: str, closed: tuple[str, ...] = ()) -> None:
        """Open and close the form's sections as the user left them, and keep what the user does from now on.

        Args:
            names: of the sections.
            closed: those that are closed at the first use.
        """
        for name in names:
            button: Any = getattr(self.ui, f"{name}Section")
            button.collapsed = self.panel.settings.flag(f"{name}Collapsed", name in closed)
            button.connect(
                "contentsCollapsed(bool)", lambda on, name=name: self.panel.settings.keep(f"{name}Collapsed", bool(on))
            )
