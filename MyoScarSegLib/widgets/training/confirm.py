"""Asking before something is destroyed, in a window that does not block the application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

from MyoScarSegLib.widgets.text import _

_open: list[Any] = []


def confirm(parent: Any, question: str, consequence: str, agree: str, then: Callable[[], object]) -> Any:
    """Ask, and do ``then()`` if the user agrees. Escape, and closing the window, mean no.

    Args:
        parent: widget that the window belongs to.
        question: one sentence.
        consequence: what is lost, and what stays.
        agree: text of the button that agrees: the verb, not "Yes".
        then: what to do.

    Returns:
        The window.
    """
    box = qt.QMessageBox(parent)
    box.name = "MyoScarSegConfirm"
    box.setIcon(qt.QMessageBox.Warning)
    box.windowTitle = "MyoScarSeg"
    box.text = question
    box.informativeText = consequence
    box.setStandardButtons(qt.QMessageBox.Cancel)
    button = box.addButton(agree, qt.QMessageBox.AcceptRole)
    button.name = "confirmButton"
    # Enter does not destroy: the way back is what it presses.
    box.setDefaultButton(qt.QMessageBox.Cancel)
    cancel = box.button(qt.QMessageBox.Cancel)
    cancel.text = _("Keep")
    button.connect("clicked()", then)
    box.connect("finished(int)", lambda _result: _forget(box))
    _open.append(box)
    box.windowModality = qt.Qt.WindowModal
    box.show()  # not exec(): the application, and the training's progress, go on behind it
    return box


def open_window() -> Any:
    """The window that asks now; None if none does."""
    return _open[-1] if _open else None


def close_all() -> None:
    """Ask no more: the panel goes."""
    for box in list(_open):
        box.close()


def _forget(box: Any) -> None:
    if box in _open:
        _open.remove(box)
        # Not at once: its own signal is being sent.
        qt.QTimer.singleShot(0, lambda: box.deleteLater())
