"""Asking for a model's name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import qt

from MyoScarSegLib.widgets.text import _

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class NameDialog:
    """A window that does not block."""

    def __init__(self, parent: Any) -> None:
        self._then: Callable[[str], Any] | None = None
        dialog = self.dialog = qt.QDialog(parent)
        dialog.name = "MyoScarSegModelName"
        dialog.windowTitle = _("Keep the model")
        dialog.minimumWidth = 320
        column = qt.QVBoxLayout(dialog)
        label = qt.QLabel(_("Name by which the model is chosen later:"))
        column.addWidget(label)
        self.edit = qt.QLineEdit()
        self.edit.name = "modelNameEdit"
        self.edit.maxLength = 64
        self.edit.toolTip = _("Lower-case letters, digits, dots, hyphens and underscores")
        column.addWidget(self.edit)
        self.problem = qt.QLabel(_("Use lower-case letters, digits, dots, hyphens and underscores."))
        self.problem.wordWrap = True
        column.addWidget(self.problem)
        row = qt.QHBoxLayout()
        column.addLayout(row)
        row.addStretch(1)
        cancel = qt.QPushButton(_("Cancel"))
        self.keep_button = qt.QPushButton(_("Keep"))
        self.keep_button.name = "keepNameButton"
        self.keep_button.default = True
        row.addWidget(cancel)
        row.addWidget(self.keep_button)
        cancel.connect("clicked()", dialog.hide)
        self.keep_button.connect("clicked()", self.accept)
        self.edit.connect("textChanged(QString)", lambda _text: self._check())

    def show(self, proposed: str, then: Callable[[str], Any]) -> None:
        """Ask; ``then(name)`` is called if the user agrees."""
        self._then = then
        self.edit.text = proposed
        self._check()
        self.dialog.show()
        self.dialog.raise_()
        self.edit.setFocus()
        self.edit.selectAll()

    def accept(self) -> None:
        """Take the name."""
        name, then = str(self.edit.text).strip(), self._then
        if then is not None and _NAME.fullmatch(name):
            self.dialog.hide()
            then(name)

    def close(self) -> None:
        """Go."""
        self.dialog.close()
        self.dialog.deleteLater()

    def _check(self) -> None:
        fits = bool(_NAME.fullmatch(str(self.edit.text).strip()))
        self.keep_button.enabled = fits
        self.problem.visible = not fits
