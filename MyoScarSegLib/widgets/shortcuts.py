"""The keys of the module, and the window behind "?" that lists them.

Keys work while the module is shown, wherever the focus is, and not while text is typed: a field keeps letters to itself, but Qt
gives Enter and Esc to a window's shortcut first, so these rest while a field has the focus. A field for a number has no use for
letters, and keeps the focus after a click on its arrows: it leaves them, and undo, to the module; they and Enter end its focus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import qt
import slicer

from MyoScarSegLib.scene.prompt_steps import remove_point
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.widgets.help_window import QUICK_START, TROUBLESHOOTING
from MyoScarSegLib.widgets.text import _

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.segment_tab import SegmentTab

_FIELD_KEYS = ("Return", "Enter", "Esc")


@dataclass(frozen=True)
class Key:
    """One line of the help.

    Attributes:
        shown: what the help calls it.
        what: it does.
        actions: key sequences, as Qt writes them and with a space between those that do the same, and what they do.
        repeats: whether holding it down repeats it.
    """

    shown: str
    what: str
    actions: dict[str, Callable[[], object]]
    repeats: bool = False


class Shortcuts:
    """Installs the keys on entering the module and takes them away on leaving it."""

    def __init__(self, tab: SegmentTab) -> None:
        self._tab = tab
        self._installed: list[Any] = []
        self._of_fields: list[Any] = []
        self._hold = _Hold(tab)
        self._number = _NumberField(tab.form)
        self._help: Any = None

    def install(self) -> None:
        """Make the keys work."""
        self.remove()
        parent = slicer.util.mainWindow() or self._tab.panel.form
        for line in self.table():
            for sequences, action in line.actions.items():
                for sequence in sequences.split(" "):
                    shortcut = qt.QShortcut(parent)
                    shortcut.setKey(qt.QKeySequence(sequence))
                    shortcut.setAutoRepeat(line.repeats)
                    shortcut.connect("activated()", action)
                    self._installed.append(shortcut)
                    if sequence in _FIELD_KEYS:
                        self._of_fields.append(shortcut)
        slicer.app.connect("focusChanged(QWidget*,QWidget*)", self._focus_changed)
        self._focus_changed(None, slicer.app.focusWidget())

    def remove(self) -> None:
        """Give the keys back."""
        self._hold.release()
        if self._installed:
            slicer.app.disconnect("focusChanged(QWidget*,QWidget*)", self._focus_changed)
            self._number.watch(None)
        self._of_fields = []
        for shortcut in self._installed:
            shortcut.setEnabled(False)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._installed = []

    def table(self) -> list[Key]:
        """All keys, in the order of the help."""
        tab = self._tab
        boxes, scar, review, attempt = tab.boxes, tab.scar, tab.review, tab.workflow.attempt

        def tool(name: str) -> Callable[[], None]:
            return lambda: tab.mouse.use(None if tab.mouse.tool == name else name)

        def nudge(right: int, up: int) -> Callable[[], None]:
            return lambda: boxes.nudge(*tab.panel.views.pixel_step(right, up))

        return [
            Key("D", _("draw a box: drag in a slice view"), {"D": tool("box")}),
            Key(
                _("N / Shift+N"), _("next / previous box that needs review"),
                {"N": lambda: boxes.review(1), "Shift+N": lambda: boxes.review(-1)}, repeats=True,
            ),
            Key(_("Enter"), _("accept the selected box, go to the next"), {"Return Enter": self.accept}),
            Key("Shift+R", _("reject the selected box, or restore it"), {"Shift+R": boxes.reject}),
            Key(_("Delete"), _("delete the point under the mouse, else the selected box"), {"Del": self.delete}),
            Key("C", _("copy the selected box to the next slice"), {"C": boxes.copy_on}),
            Key(
                _("Shift+arrows"), _("move the selected box by one pixel"),
                {"Shift+Left": nudge(-1, 0), "Shift+Right": nudge(1, 0), "Shift+Up": nudge(0, 1), "Shift+Down": nudge(0, -1)},
                repeats=True,
            ),
            Key("A / X", _("add a + point (scar) / − point (no scar)"), {"A": tool("positive"), "X": tool("negative")}),
            Key(
                "J / K", _("threshold down / up"),
                {"J": lambda: scar.step_threshold(-1), "K": lambda: scar.step_threshold(1)}, repeats=True,
            ),
            Key(
                "Shift+J / Shift+K", _("shrink / grow the scar"),
                {"Shift+J": lambda: scar.step_growth(-1), "Shift+K": lambda: scar.step_growth(1)}, repeats=True,
            ),
            Key(_("hold H"), _("hide boxes, points and scar"), {"H": self._hold.press}),
            Key("Shift+P", _("propose boxes"), {"Shift+P": boxes.propose}),
            Key("Shift+C", _("suggest boxes where the scar of this slice, once confirmed, goes on"), {"Shift+C": scar.suggest}),
            Key("Ctrl+Enter", _("segment this slice"), {"Ctrl+Return Ctrl+Enter": scar.segment_slice}),
            Key("Ctrl+Shift+Enter", _("segment all slices"), {"Ctrl+Shift+Return Ctrl+Shift+Enter": scar.segment_all}),
            Key(
                "Ctrl+Z / Ctrl+Y", _("undo / redo"),
                {"Ctrl+Z": lambda: attempt(StudySession.undo), "Ctrl+Y Ctrl+Shift+Z": lambda: attempt(StudySession.redo)},
                repeats=True,
            ),
            Key(
                _("PgDown / PgUp"), _("next / previous study of the cohort that waits for a review"),
                {"PgDown": review.next, "PgUp": review.previous},
            ),
            Key("Shift+A", _("accept the study of the cohort, go to the next"), {"Shift+A": review.accept}),
            Key("Esc", _("leave the tool; then cancel what runs"), {"Esc": self.escape}),
            Key("?", _("this help"), {"?": self.show_help}),
        ]  # fmt: skip

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
        if not _is_field(slicer.app.focusWidget()):
            self._tab.boxes.accept()

    def delete(self) -> None:
        """Remove the point under the mouse, else the selected box."""
        under, session = self._tab.mouse.point_under(), self._tab.workflow.session
        if under is None or session is None:
            self._tab.boxes.delete()
        elif (point := session.nodes.points.point(*under)) is not None:  # None would be the one that was placed last
            self._tab.workflow.attempt(remove_point, point)

    def show_help(self) -> None:
        """Show keys and workflow in a window that does not block."""
        if self._help is not None:
            self._help.close()
        dialog = self._help = qt.QDialog(self._tab.panel.form)
        dialog.name = "MyoScarSegHelp"
        dialog.windowTitle = _("MyoScarSeg: keys and workflow")
        layout = qt.QVBoxLayout(dialog)
        label = qt.QLabel(self.help_text())
        label.name = "MyoScarSegHelpText"
        label.textFormat = qt.Qt.RichText
        layout.addWidget(label)
        row = qt.QHBoxLayout()
        layout.addLayout(row)
        for title, name, page in ((_("Quick start"), "quickStartButton", QUICK_START),
                                  (_("Troubleshooting"), "troubleshootingButton", TROUBLESHOOTING)):  # fmt: skip
            button = qt.QPushButton(title)
            button.name = name
            button.toolTip = _("Opens a page that comes with the program")
            button.connect("clicked()", lambda page=page: self._tab.panel.help.show(page))
            row.addWidget(button)
        close = qt.QPushButton(_("Close"))
        close.toolTip = _("Close this window")
        close.connect("clicked()", dialog.close)
        row.addWidget(close)
        dialog.show()

    def help_text(self) -> str:
        """The steps, and the table of keys, as rich text."""
        steps = [
            _("Choose the LGE volume. Its slices are prepared in the background."),
            _("Propose boxes, and look through them: accept, move, delete, draw."),
            _("Segment all. Where it is wrong, move a box, add a + or − point, or paint by hand."),
            _("Read off volume and mass; save the scene, or export the results."),
        ]
        items = "".join(f"<li>{escape(step)}</li>" for step in steps)
        rows = "".join(
            "<tr><td style='padding-right: 14px; white-space: nowrap'>"
            f"<b>{escape(key.shown)}</b></td><td>{escape(key.what)}</td></tr>"
            for key in self.table()
        )
        title = escape(_("Keys while this module is shown:"))
        return f"<ol style='margin-left: -18px'>{items}</ol><p>{title}</p><table>{rows}</table>"

    def _focus_changed(self, _before: Any, now: Any) -> None:
        self._number.watch(now)
        for shortcut in self._of_fields:
            shortcut.setEnabled(not _is_field(now))


def _is_field(widget: Any) -> bool:
    """Whether a widget is one to type in."""
    return widget is not None and bool(widget.inherits("QLineEdit") or widget.inherits("QAbstractSpinBox"))


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


class _NumberField(qt.QObject):
    """Has the number field with the focus leave to the module the keys that mean nothing to it; they and Enter end its focus."""

    def __init__(self, form: Any) -> None:
        qt.QObject.__init__(self)
        self._form = form
        self._field: Any = None

    def watch(self, widget: Any) -> None:
        """The widget that has the focus now, None if none; only a number field of the form is watched."""
        if self._field:  # a deleted one is false
            self._field.removeEventFilter(self)
        ours = widget is not None and widget.inherits("QAbstractSpinBox") and self._form.isAncestorOf(widget)
        self._field = widget if ours else None
        if ours:
            widget.installEventFilter(self)

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        kind = event.type()
        if kind == qt.QEvent.KeyPress and event.key() in (qt.Qt.Key_Return, qt.Qt.Key_Enter):
            qt.QTimer.singleShot(0, self._leave)  # the field takes the number in first
        elif kind == qt.QEvent.ShortcutOverride and _is_ours(event.key(), event.modifiers()):
            qt.QTimer.singleShot(0, self._leave)  # for the Enter or Esc that follows
            event.ignore()  # which makes it a shortcut
            return True
        return False

    def _leave(self) -> None:
        if self._field:
            self._field.clearFocus()


def _is_ours(key: int, modifiers: Any) -> bool:
    """Whether a key is a letter, or undo or redo."""
    control, others = qt.Qt.ControlModifier, qt.Qt.AltModifier | qt.Qt.MetaModifier
    if modifiers & others:
        return False
    return key in (qt.Qt.Key_Z, qt.Qt.Key_Y) if modifiers & control else qt.Qt.Key_A <= key <= qt.Qt.Key_Z
