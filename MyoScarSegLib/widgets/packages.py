"""The packages that the networks need: whether they are here, and the window that installs what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from MyoScarSegLib.installation.requirements import missing_now
from MyoScarSegLib.widgets.install_dialog import InstallDialog


class Packages:
    """What one tab needs. Nothing is installed before the user has agreed.

    Attributes:
        missing: whether something was not installed when it was last looked for.
    """

    def __init__(self, tab: Any, installed: Callable[[], None], *, training: bool = False) -> None:
        """
        Args:
            tab: that needs them.
            installed: called after something was installed.
            training: also what training needs.
        """
        self._tab = tab
        self._after = installed
        self._training = training
        self._dialog: InstallDialog | None = None
        self._then: tuple[str, Callable[[], object] | None] = "", None
        self.missing = False

    def look(self) -> bool:
        """Look for them anew. Returns whether something is missing."""
        self.missing = bool(missing_now(training=self._training))
        return self.missing

    def ready(self, then: Callable[[], object] | None = None, action: str = "") -> bool:
        """Whether the networks can run; if packages are missing, the window that installs them is shown instead.

        Args:
            then: what to go on with once they are installed.
            action: its name, which is remembered if the installation is broken off.
        """
        if not self.look():
            return True
        self.go_on_with(then, action)
        self._tab.changed(self._tab.status.change)  # the invitation
        self.show()
        return False

    def go_on_with(self, then: Callable[[], object] | None, action: str) -> None:
        """Do this after the next installation."""
        self._then = action, then

    def show(self) -> None:
        """Show what is installed and what is missing, and offer to install it."""
        if self._dialog is None:
            self._dialog = InstallDialog(
                self._tab.form, before=self._tab.panel.engine.stop, after=self._installed, training=self._training
            )
        self._dialog.show(self._then[0])

    def close(self) -> None:
        """Stop what runs, and go."""
        if self._dialog is not None:
            self._dialog.close()

    def _installed(self, usable: bool) -> None:
        _action, then = self._then
        self._then = "", None
        self.look()
        self._tab.status.say_error("")
        self._after()
        if usable and then is not None:
            then()
