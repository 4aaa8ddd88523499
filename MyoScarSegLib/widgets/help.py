"""The window behind "?"."""

from __future__ import annotations

from html import escape
from typing import Any

import qt

from MyoScarSegLib.widgets.text import _

_open: list[Any] = []


def show_help(parent: Any) -> Any:
    """Show keys and workflow in a window that does not block. Returns it."""
    for dialog in _open:
        dialog.close()
    _open.clear()
    dialog = qt.QDialog(parent)
    dialog.name = "MyoScarSegHelp"
    dialog.windowTitle = _("MyoScarSeg: keys and workflow")
    layout = qt.QVBoxLayout(dialog)
    label = qt.QLabel(help_text())
    label.name = "MyoScarSegHelpText"
    label.textFormat = qt.Qt.RichText
    layout.addWidget(label)
    close = qt.QPushButton(_("Close"))
    close.connect("clicked()", dialog.close)
    layout.addWidget(close)
    dialog.show()
    _open.append(dialog)
    return dialog


def help_text() -> str:
    """The steps, and the table of keys, as rich text."""
    from MyoScarSegLib.widgets.shortcuts import key_list

    steps = [
        _("Choose the LGE volume. Its slices are prepared in the background."),
        _("Propose boxes, and look through them: accept, move, delete, draw."),
        _("Segment all. Where it is wrong, move a box, add a + or − point, or paint by hand."),
        _("Read off volume and mass; save the scene, or export the results."),
    ]
    keys = "".join(
        f"<tr><td style='padding-right: 14px; white-space: nowrap'><b>{escape(key)}</b></td><td>{escape(what)}</td></tr>"
        for key, what in key_list()
    )
    items = "".join(f"<li>{escape(step)}</li>" for step in steps)
    return (
        f"<ol style='margin-left: -18px'>{items}</ol><p>{escape(_('Keys while this module is shown:'))}</p><table>{keys}</table>"
    )
