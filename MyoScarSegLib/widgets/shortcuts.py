"""The keys of the module. They work while it is shown, wherever the focus is, and not while text is typed.

A field keeps letters to itself, but Qt gives Enter and Esc to a window's shortcut first: these rest while a field has the focus.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
import slicer

from MyoScarSegLib.widgets.help import show_help
from MyoScarSegLib.widgets.text import _

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.segment_tab import SegmentTab


_FIELD_KEYS = ("Return", "Enter", "Esc")


class Shortcuts:
    """Installs the keys on entering the module and takes them away on leaving it."""

    def __init__(self, tab: SegmentTab) -> None:
        self._tab = tab
        self._installed: list[Any] = []
        self._of_fields: list[Any] = []
        self._hold = _Hold(tab)

    def install(self) -> None:
        """Make the keys work."""
        self.remove()
        parent = slicer.util.mainWindow() or self._tab.panel.form
        for keys, action, repeats in self._actions():
            for key in keys.split(" "):
                shortcut = qt.QShortcut(parent)
                shortcut.setKey(qt.QKeySequence(key))
                shortcut.setAutoRepeat(repeats)
                shortcut.connect("activated()", action)
                self._installed.append(shortcut)
                if key in _FIELD_KEYS:
                    self._of_fields.append(shortcut)
        slicer.app.connect("focusChanged(QWidget*,QWidget*)", self._focus_changed)
        self._focus_changed(None, slicer.app.focusWidget())

    def remove(self) -> None:
        """Give the keys back."""
        self._hold.release()
        if self._installed:
            slicer.app.disconnect("focusChanged(QWidget*,QWidget*)", self._focus_changed)
        self._of_fields = []
        for shortcut in self._installed:
            shortcut.setEnabled(False)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._installed = []

    def _focus_changed(self, _before: Any, now: Any) -> None:
        typing = now is not None and (now.inherits("QLineEdit") or now.inherits("QAbstractSpinBox"))
        for shortcut in self._of_fields:
            shortcut.setEnabled(not typing)

    def escape(self) -> None:
        """Leave the tool or brush in hand; without one, cancel what runs."""
        if self._tab.mouse.tool is not None:
            self._tab.mouse.use(None)
        elif self._tab.scar.editor.painting:
            self._tab.scar.editor.rest()
        else:
            self._tab.workflow.cancel()

    def accept(self) -> None:
        """Accept the selected box, unless Enter ends the typing of a number or a text."""
        focus = slicer.app.focusWidget()
        if focus is None or not (focus.inherits("QAbstractSpinBox") or focus.inherits("QLineEdit")):
            self._tab.boxes.accept()

    def delete(self) -> None:
        """Remove the point under the mouse, else the selected box."""
        point = self._tab.mouse.point_under()
        session = self._tab.workflow.session
        if point is not None and session is not None:
            positive, number = point
            session.points.node(positive).RemoveNthControlPoint(number)
        else:
            self._tab.boxes.delete()

    def _actions(self) -> list[tuple[str, Callable[[], None], bool]]:
        """Keys, what they do, and whether holding them down repeats it."""
        tab = self._tab
        boxes, scar, mouse, workflow = tab.boxes, tab.scar, tab.mouse, tab.workflow

        def toggle(tool: str) -> Callable[[], None]:
            return lambda: mouse.use(None if mouse.tool == tool else tool)

        return [
            ("D", toggle("box"), False),
            ("A", toggle("positive"), False),
            ("X", toggle("negative"), False),
            ("N", lambda: boxes.review(1), True),
            ("Shift+N", lambda: boxes.review(-1), True),
            ("Return Enter", self.accept, False),
            ("Shift+R", boxes.reject, False),
            ("Del", self.delete, False),
            ("C", boxes.copy_on, False),
            ("Shift+Left", lambda: tab.nudge(-1, 0), True),
            ("Shift+Right", lambda: tab.nudge(1, 0), True),
            ("Shift+Up", lambda: tab.nudge(0, 1), True),
            ("Shift+Down", lambda: tab.nudge(0, -1), True),
            ("J", lambda: scar.step_threshold(-1), True),
            ("K", lambda: scar.step_threshold(1), True),
            ("Shift+J", lambda: scar.step_growth(-1), True),
            ("Shift+K", lambda: scar.step_growth(1), True),
            ("H", self._hold.press, False),
            ("Shift+P", boxes.propose, False),
            ("Ctrl+Return Ctrl+Enter", scar.segment_slice, False),
            ("Ctrl+Shift+Return Ctrl+Shift+Enter", scar.segment_all, False),
            ("Ctrl+Z", workflow.undo, True),
            ("Ctrl+Y Ctrl+Shift+Z", workflow.redo, True),
            ("Esc", self.escape, False),
            ("?", lambda: show_help(tab.panel.form), False),
        ]


def key_list() -> list[tuple[str, str]]:
    """Keys and what they do, for the help."""
    return [
        ("D", _("draw a box: drag in a slice view")),
        (_("N / Shift+N"), _("next / previous box that needs review")),
        (_("Enter"), _("accept the selected box, go to the next")),
        ("Shift+R", _("reject the selected box, or restore it")),
        (_("Delete"), _("delete the point under the mouse, else the selected box")),
        ("C", _("copy the selected box to the next slice")),
        (_("Shift+arrows"), _("move the selected box by one pixel")),
        ("A / X", _("add a + point (scar) / − point (no scar)")),
        ("J / K", _("threshold down / up")),
        ("Shift+J / Shift+K", _("shrink / grow the scar")),
        (_("hold H"), _("hide boxes, points and scar")),
        ("Shift+P", _("propose boxes")),
        ("Ctrl+Enter", _("segment this slice")),
        ("Ctrl+Shift+Enter", _("segment all slices")),
        ("Ctrl+Z / Ctrl+Y", _("undo / redo")),
        ("Esc", _("leave the tool; then cancel what runs")),
        ("?", _("this help")),
    ]


class _Hold(qt.QObject):
    """Hides everything from the press of a key to its release, which only an event filter sees."""

    def __init__(self, tab: SegmentTab) -> None:
        qt.QObject.__init__(self)
        self._tab = tab
        self._held = False

    def press(self) -> None:
        if not self._held and self._tab.workflow.session is not None:
            self._held = True
            self._tab.scar.hide_all(True)
            slicer.app.installEventFilter(self)

    def release(self) -> None:
        if self._held:
            self._held = False
            slicer.app.removeEventFilter(self)
            self._tab.scar.hide_all(False)

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        kind = event.type()
        released = kind == qt.QEvent.KeyRelease
        if released and hasattr(event, "key"):  # if it is not given as a key event, any release has to do
            released = event.key() == qt.Qt.Key_H and not event.isAutoRepeat()
        if released or kind == qt.QEvent.ApplicationDeactivate or kind == qt.QEvent.WindowDeactivate:
            self.release()
        return False
