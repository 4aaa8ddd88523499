"""The pages that come with the program, in a window of their own: there may be no internet, and no browser."""

from __future__ import annotations

from typing import Any

import qt

from MyoScarSegLib.utils.resources import resources_folder
from MyoScarSegLib.widgets.text import _

QUICK_START, TROUBLESHOOTING = "quick-start", "troubleshooting"
_SIZE_PX = (760, 640)


class HelpWindow:
    """Made when it is first shown; it does not block."""

    def __init__(self, parent: Any) -> None:
        self._parent = parent
        self.dialog: Any = None
        self.browser: Any = None

    def show(self, page: str = QUICK_START, entry: str = "") -> None:
        """Show a page of ``Resources/Help``, by its name without ending, at one of its headings or at its beginning."""
        if self.dialog is None:
            self._build()
        self.dialog.show()
        self.dialog.raise_()
        address = qt.QUrl.fromLocalFile(str(resources_folder() / "Help" / f"{page}.html"))
        address.setFragment(entry.lower())
        self.browser.moveCursor(qt.QTextCursor.Start)
        self.browser.setSource(address)
        if entry:
            self.browser.find(entry)  # marked, for the last entries of a page cannot stand at the window's top

    def close(self) -> None:
        """Let go of the window."""
        if self.dialog is not None:
            self.dialog.close()
            self.dialog.deleteLater()
            self.dialog = self.browser = None

    def _build(self) -> None:
        self.dialog = qt.QDialog(self._parent)
        self.dialog.name = "MyoScarSegPages"
        self.dialog.windowTitle = _("MyoScarSeg: help")
        self.dialog.resize(*_SIZE_PX)
        layout = qt.QVBoxLayout(self.dialog)
        self.browser = qt.QTextBrowser()
        self.browser.name = "MyoScarSegPage"
        self.browser.setOpenLinks(True)
        layout.addWidget(self.browser)
        close = qt.QPushButton(_("Close"))
        close.toolTip = _("Close this window")
        close.connect("clicked()", self.dialog.close)
        layout.addWidget(close)
