"""The packages that training needs on top of what segmentation does; asked for when they are first needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from MyoScarSegLib.installation.requirements import missing_now
from MyoScarSegLib.widgets.install_dialog import InstallDialog

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.training.training_tab import TrainingTab


class Packages:
    """Whether training can run here, and the window that installs what lacks."""

    def __init__(self, tab: TrainingTab) -> None:
        self._tab = tab
        self._missing: bool | None = None
        self._dialog: InstallDialog | None = None
        self._then: Callable[[], object] | None = None

    @property
    def missing(self) -> bool:
        """Whether a package is not installed, as far as was looked; nothing is looked for before training is asked for."""
        return bool(self._missing)

    def ready(self, then: Callable[[], object] | None = None) -> bool:
        """Whether training can run; if packages are missing, the window that installs them is shown instead.

        Args:
            then: what to go on with once they are installed.
        """
        self._missing = bool(missing_now(training=True))
        if not self._missing:
            return True
        self._then = then
        self._tab.changed("error")
        self.show()
        return False

    def show(self) -> None:
        """Show what is installed and what is missing, and offer to install it."""
        if self._dialog is None:
            self._dialog = InstallDialog(self._tab.form, before=self._tab.panel.engine.stop, after=self._installed, training=True)
        self._dialog.show("train")

    def close(self) -> None:
        """Stop what runs, and go."""
        if self._dialog is not None:
            self._dialog.close()

    def _installed(self, action: str) -> None:
        self._missing = None
        self._tab.status.say_error("")
        self._tab.panel.segment.advanced.packages_changed()
        then, self._then = self._then, None
        if action and then is not None:
            then()
