"""Colours and sizes that the form cannot say by itself, made from the theme so that they suit a light and a dark one."""

from __future__ import annotations

from typing import Any

import qt

from MyoScarSegLib.prompts import BoxState
from MyoScarSegLib.scene.box_views import COLORS
from MyoScarSegLib.utils.resources import resources_folder

_NEXT = """
QPushButton {{ background: {fill}; color: {text}; border: 1px solid {edge}; border-radius: 4px;
  padding: 6px 10px; font-weight: 600; }}
QPushButton:hover {{ background: {hover}; }}
QPushButton:pressed {{ background: {edge}; }}
QPushButton:disabled {{ background: {off}; color: {off_text}; border-color: {off}; }}
"""
_TABLE_ROW_PX = 22
THIN_BAR = (
    "QProgressBar { border: none; background: palette(midlight); border-radius: 2px; }"
    "QProgressBar::chunk { background: palette(highlight); border-radius: 2px; }"
)
"""Style sheet of a progress bar that is a few pixels high."""


def is_dark(widget: Any) -> bool:
    """Whether the theme is a dark one."""
    palette = widget.palette
    return palette.color(qt.QPalette.Window).lightness() < palette.color(qt.QPalette.WindowText).lightness()


_ICONS = {
    "proposeButton": "Propose", "segmentAllButton": "Segment", "drawBoxButton": "DrawBox", "acceptBoxButton": "Accept",
    "rejectBoxButton": "Reject", "deleteBoxButton": "Delete", "copyBoxButton": "CopyToNext", "addPositiveButton": "PointAdd",
    "addNegativeButton": "PointRemove", "undoButton": "Undo", "redoButton": "Redo", "helpButton": "Help",
}  # fmt: skip


def dress(ui: Any) -> None:
    """Set icons, and what depends on the theme."""
    for name, picture in _ICONS.items():
        getattr(ui, name).icon = qt.QIcon(str(resources_folder() / "Icons" / f"{picture}.svg"))
    small = f"color: {muted(ui.statusFrame)};"
    for name in ("reasonLabel", "progressLabel", "reviewLabel", "detectorInfo", "segmenterInfo", "deviceInfo", "cautionLabel"):
        getattr(ui, name).styleSheet = small
    for name in ("volumeCaption", "massCaption"):
        getattr(ui, name).styleSheet = small
    for name in ("volumeMlLabel", "massLabel"):
        getattr(ui, name).styleSheet = "font-size: 20pt; font-weight: 600;"
    ui.encodedBar.styleSheet = THIN_BAR
    for table in (ui.boxTable, ui.sliceTable):
        dress_table(table)
    ui.boxTable.horizontalHeader().setSectionResizeMode(ui.boxTable.columnCount - 1, qt.QHeaderView.ResizeToContents)
    for column in range(1, ui.sliceTable.columnCount - 1):
        ui.sliceTable.horizontalHeaderItem(column).setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)


def dress_table(table: Any, row_px: int = _TABLE_ROW_PX) -> None:
    """No row numbers, rows of one height, headings to the left; the first column is as wide as it needs, the others share."""
    header = table.verticalHeader()
    header.setVisible(False)
    header.setDefaultSectionSize(row_px)
    across = table.horizontalHeader()
    across.setHighlightSections(False)
    across.setDefaultAlignment(qt.Qt.AlignLeft | qt.Qt.AlignVCenter)
    across.setMinimumSectionSize(28)
    across.setSectionResizeMode(qt.QHeaderView.Stretch)
    across.setSectionResizeMode(0, qt.QHeaderView.ResizeToContents)


def mark_next(button: Any, on: bool) -> None:
    """Make a button stand out as the next step, or look like any other."""
    style = ""
    if on:
        palette = button.palette
        fill = palette.color(qt.QPalette.Highlight)
        style = _NEXT.format(
            fill=fill.name(),
            text=palette.color(qt.QPalette.HighlightedText).name(),
            hover=fill.lighter(112).name(),
            edge=fill.darker(115).name(),
            off=palette.color(qt.QPalette.Midlight).name(),
            off_text=muted(button),
        )
    if button.styleSheet != style:
        button.styleSheet = style
        button.iconSize = qt.QSize(0, 0) if on else qt.QSize(16, 16)  # on the accent colour an icon is noise


def state_icon(state: BoxState) -> Any:
    """A dot in the colour that boxes of this state have in the slice views; rejected ones have a ring."""
    pixmap = qt.QPixmap(14, 14)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    red, green, blue = (round(255 * part) for part in COLORS[state])
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    painter.setPen(qt.QPen(qt.QColor(red, green, blue), 2))
    painter.setBrush(qt.QBrush(qt.QColor(red, green, blue, 0 if state is BoxState.REJECTED else 255)))
    painter.drawEllipse(3, 3, 8, 8)
    painter.end()
    icon = qt.QIcon(pixmap)
    icon.addPixmap(pixmap, qt.QIcon.Selected)  # or a selected row would tint it, and the colour means something
    return icon


def muted(widget: Any) -> str:
    """The text's colour, half way to the background."""
    palette = widget.palette
    text, ground = palette.color(qt.QPalette.WindowText), palette.color(qt.QPalette.Window)
    mixed = [
        round(0.62 * a + 0.38 * b)
        for a, b in ((text.red(), ground.red()), (text.green(), ground.green()), (text.blue(), ground.blue()))
    ]
    return qt.QColor(*mixed).name()


def error_colors(dark: bool) -> tuple[str, str, str]:
    """Ground, edge and text of the card with an error."""
    return ("#4a2a24", "#b0563f", "#ffe3da") if dark else ("#fdeee9", "#e0a392", "#6d2413")


def invitation_colors(dark: bool) -> tuple[str, str, str]:
    """Ground, edge and text of the same card when it asks for the first step and nothing went wrong."""
    return ("#26384a", "#4d759c", "#dbe9f8") if dark else ("#eef4fb", "#a9c4e4", "#1d3f66")


def show_card(frame: Any, label: Any, error: str, invitation: str) -> None:
    """Let a card say what went wrong, else what to do first; hide it if there is neither."""
    label.text = error or invitation
    frame.visible = bool(error or invitation)
    ground, edge, text = (error_colors if error else invitation_colors)(is_dark(frame.parentWidget()))
    style = (
        f"QFrame#{frame.name} {{ background: {ground}; border: 1px solid {edge}; border-radius: 4px; }}"
        f"QFrame#{frame.name} QLabel {{ color: {text}; }}"
    )
    if frame.styleSheet != style:
        frame.styleSheet = style
