"""Colours and sizes of the training tab, made from the theme so that they suit a light and a dark one."""

from __future__ import annotations

from typing import Any

import qt

from MyoScarSegLib.widgets import looks

THUMBNAIL_PX = 40
TWO_LINES_PX = 36
_GREEN, _AMBER, _RED, _BLUE, _GREY = "#3f9b4f", "#d08a1d", "#c8503a", "#2f7fc4", "#8a8a8a"

#: Colour of a case's state, and of a run's.
STATE_COLORS = {
    "complete": _GREEN, "unreviewed": _AMBER, "problem": _RED,
    "planned": _GREY, "running": _BLUE, "paused": _AMBER, "stopped": _GREEN, "finished": _GREEN, "cancelled": _GREY,
    "failed": _RED, "interrupted": _AMBER,
}  # fmt: skip
_SMALL = (
    "trainNoteLabel", "trainBusyLabel", "libraryCountLabel", "caseProblemLabel", "splitNoteLabel", "leftOutLabel", "modeInfo",
    "presetInfo", "trainExplainLabel", "lossesLabel", "runDetailLabel", "curveKeyLabel", "examplesLabel", "comparedLabel",
    "patientHintLabel", "trainingPatientsLabel", "validationPatientsLabel",
)  # fmt: skip
_VERDICTS = {"better": _GREEN, "worse": _RED, "undecided": _AMBER, "same": _GREY, "unknown": _GREY}


def dress(ui: Any) -> None:
    """Set what depends on the theme, and what the form cannot say."""
    small = f"color: {looks.muted(ui.trainStatusFrame)};"
    for name in _SMALL:
        getattr(ui, name).styleSheet = small
    ui.runTitleLabel.styleSheet = "font-weight: 600;"
    ui.runBar.styleSheet = looks.THIN_BAR
    looks.dress_table(ui.caseTable, THUMBNAIL_PX + 6)
    looks.dress_table(ui.summaryTable, TWO_LINES_PX)
    # Columns as wide as the rows in sight need: to ask hundreds of rows takes longer than to fill them.
    ui.caseTable.horizontalHeader().setResizeContentsPrecision(0)
    ui.caseTable.wordWrap = False  # two lines are given, and more have no room
    ui.caseTable.iconSize = qt.QSize(THUMBNAIL_PX, THUMBNAIL_PX)
    for table in (ui.runTable, ui.patientTable):
        looks.dress_table(table)
    for table, wide in ((ui.caseTable, 0), (ui.runTable, 1), (ui.summaryTable, 0)):
        across = table.horizontalHeader()
        for column in range(table.columnCount):
            mode = qt.QHeaderView.Stretch if column == wide else qt.QHeaderView.ResizeToContents
            across.setSectionResizeMode(column, mode)
    ui.caseTable.horizontalHeader().setSectionsClickable(True)
    for table in (ui.summaryTable, ui.patientTable):
        for column in range(1, table.columnCount):
            table.horizontalHeaderItem(column).setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)


def dot(color: str) -> Any:
    """A filled circle, as an icon that a selected row does not tint."""
    pixmap = qt.QPixmap(14, 14)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    painter.setPen(qt.QPen(qt.QColor(color), 1))
    painter.setBrush(qt.QBrush(qt.QColor(color)))
    painter.drawEllipse(3, 3, 8, 8)
    painter.end()
    icon = qt.QIcon(pixmap)
    icon.addPixmap(pixmap, qt.QIcon.Selected)
    return icon


_icons: dict[str, Any] = {}


def state_icon(state: str) -> Any:
    """A dot in the colour of a case's or run's state."""
    if state not in _icons:
        _icons[state] = dot(STATE_COLORS.get(state, _GREY))
    return _icons[state]


def badge(label: Any, text: str, state: str) -> None:
    """A word on the colour of a state."""
    label.text = text
    label.visible = bool(text)
    color = STATE_COLORS.get(state, _GREY)
    label.styleSheet = f"background: {color}; color: white; border-radius: 7px; padding: 1px 8px; font-weight: 600;"


def dress_verdict(ui: Any, kind: str) -> None:
    """The card of a comparison: a bar in the verdict's colour on its left.

    Args:
        ui: the form's widgets by name.
        kind: the word of the verdict: ``better``, ``worse``, ``undecided``, ``same`` or ``unknown``.
    """
    color = _VERDICTS.get(kind, _GREY)
    # Not the frame's own palette: a style sheet keeps that of the theme it was set in.
    ground = ui.trainStatusFrame.palette.color(qt.QPalette.Base).name()
    ui.verdictFrame.styleSheet = f"QFrame#verdictFrame {{ border: none; border-left: 4px solid {color}; background: {ground}; }}"


def fit_height(table: Any, rows: int, most: int) -> None:
    """As high as its rows, so that a short table leaves no hole; with more than ``most`` it scrolls."""
    header = int(table.horizontalHeader().sizeHint.height())
    table.setFixedHeight(header + max(min(rows, most), 1) * int(table.verticalHeader().defaultSectionSize) + 4)
