"""What a form cannot say by itself: colors, made from the theme so that they suit a light and a dark one; tables, their cells."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any

import qt

from MyoScarSegLib.widgets.section import quietly

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

_GREEN, _AMBER, _RED, _BLUE, GREY = "#3f9b4f", "#d08a1d", "#c8503a", "#2f7fc4", "#8a8a8a"
STATE_COLORS = {
    "complete": _GREEN, "unreviewed": _AMBER, "problem": _RED,
    "planned": GREY, "running": _BLUE, "paused": _AMBER, "stopped": _GREEN, "finished": _GREEN, "cancelled": GREY,
    "failed": _RED, "interrupted": _AMBER,
    "better": _GREEN, "worse": _RED, "undecided": _AMBER, "same": GREY, "unknown": GREY,
}  # fmt: skip
"""Of a case's state, of a training's, and of the verdict on a model."""


def is_dark(widget: Any) -> bool:
    """Whether the theme is a dark one."""
    palette = widget.palette
    return palette.color(qt.QPalette.Window).lightness() < palette.color(qt.QPalette.WindowText).lightness()


def set_table_style(table: Any, row_px: int = _TABLE_ROW_PX) -> None:
    """No row numbers, rows of one height, headings to the left; the first column is as wide as it needs, the others share."""
    header = table.verticalHeader()
    header.setVisible(False)
    if header.defaultSectionSize != row_px:  # or all rows get it again, also those that are higher
        header.setDefaultSectionSize(row_px)
    across = table.horizontalHeader()
    across.setHighlightSections(False)
    across.setDefaultAlignment(qt.Qt.AlignLeft | qt.Qt.AlignVCenter)
    across.setMinimumSectionSize(28)
    across.setSectionResizeMode(qt.QHeaderView.Stretch)
    across.setSectionResizeMode(0, qt.QHeaderView.ResizeToContents)


def align_right(table: Any, columns: Iterable[int]) -> None:
    """Have the headings of columns of numbers on the right, as the numbers are."""
    for column in columns:
        table.horizontalHeaderItem(column).setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)


def fit_height(table: Any, rows: int, most: int) -> None:
    """As high as its rows, so that a short table leaves no hole; with more than ``most`` it scrolls."""
    header = int(table.horizontalHeader().sizeHint.height())
    table.setFixedHeight(header + max(min(rows, most), 1) * int(table.verticalHeader().defaultSectionSize) + 4)


def fill_table(
    table: Any, rows: Sequence[Sequence[str]], *, numbers: Collection[int] = (), tips: Sequence[str] | None = None
) -> None:
    """Show these cells in a ``QTableWidget``, with a tooltip for each row; columns of ``numbers`` are aligned to the right.

    Only cells that have changed are touched, so that a table can follow every edit.
    """
    quietly(table, lambda: _fill(table, rows, numbers, tips))


def _fill(table: Any, rows: Sequence[Sequence[str]], numbers: Collection[int], tips: Sequence[str] | None) -> None:
    if table.rowCount != len(rows):
        table.setRowCount(len(rows))
    for number, row in enumerate(rows):
        for column, text in enumerate(row):
            item: Any = table.item(number, column)
            if item is None:
                item = qt.QTableWidgetItem(text)
                if column in numbers:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                table.setItem(number, column, item)
            elif item.text() != text:
                item.setText(text)
            if tips is not None:
                item.setToolTip(tips[number])


def mark_next_step(button: Any, on: bool) -> None:
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
        button.iconSize = qt.QSize(0, 0) if on else qt.QSize(16, 16)  # on the accent color an icon is noise


def dot(color: Any, *, filled: bool = True) -> Any:
    """A circle as an icon that a selected row does not tint: its color means something.

    Args:
        color: a ``QColor``, or its name.
        filled: or a ring only.
    """
    pixmap = qt.QPixmap(14, 14)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    edge = qt.QColor(color)
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    painter.setPen(qt.QPen(edge, 2))
    painter.setBrush(qt.QBrush(edge if filled else qt.QColor(0, 0, 0, 0)))
    painter.drawEllipse(3, 3, 8, 8)
    painter.end()
    return untinted(pixmap)


def untinted(pixmap: Any) -> Any:
    """A pixmap as an icon that a selected row does not tint."""
    icon = qt.QIcon(pixmap)
    icon.addPixmap(pixmap, qt.QIcon.Selected)
    return icon


@cache
def state_icon(state: str) -> Any:
    """A dot in the color of a case's or a training's state."""
    return dot(STATE_COLORS.get(state, GREY))


def badge(label: Any, text: str, color: str) -> None:
    """A word on a color."""
    label.text = text
    label.visible = bool(text)
    label.styleSheet = f"background: {color}; color: white; border-radius: 7px; padding: 1px 8px; font-weight: 600;"


def muted(widget: Any) -> str:
    """The text's color, half way to the background."""
    palette = widget.palette
    text, ground = palette.color(qt.QPalette.WindowText), palette.color(qt.QPalette.Window)
    mixed = [
        round(0.62 * a + 0.38 * b)
        for a, b in ((text.red(), ground.red()), (text.green(), ground.green()), (text.blue(), ground.blue()))
    ]
    return qt.QColor(*mixed).name()


def mute(frame: Any, labels: Iterable[Any]) -> None:
    """Have labels in the small print's color on the ground of a frame."""
    style = f"color: {muted(frame)};"
    for label in labels:
        label.styleSheet = style


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
