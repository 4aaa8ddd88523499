"""Filling a small table of the form at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt

from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.section import quietly


def fill_table(table: Any, rows: Sequence[tuple[Sequence[str], str]], *, most: int, numbers_from: int | None = None) -> None:
    """Write all rows of a table, and make it as high as they need.

    Args:
        table: the widget.
        rows: texts of a row's cells, and its tooltip.
        most: rows that are seen without scrolling.
        numbers_from: the columns from this one on stand on the right; None for none.
    """
    quietly(table, lambda: _write(table, rows, numbers_from))
    style.fit_height(table, len(rows), most)


def _write(table: Any, rows: Sequence[tuple[Sequence[str], str]], numbers_from: int | None) -> None:
    table.setRowCount(len(rows))
    for row, (cells, tip) in enumerate(rows):
        for column, text in enumerate(cells):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(tip)
            if numbers_from is not None and column >= numbers_from:
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            table.setItem(row, column, item)
