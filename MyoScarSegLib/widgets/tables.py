"""Filling a small table of the form."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import qt

from MyoScarSegLib.widgets.section import quietly


def fill_table(
    table: Any, rows: Sequence[Sequence[str]], *, numbers: Collection[int] = (), tips: Sequence[str] | None = None
) -> None:
    """Show these cells; only those that have changed are touched, so that a table can follow every edit.

    Args:
        table: a ``QTableWidget``.
        rows: a text for each column.
        numbers: columns that are aligned to the right.
        tips: a tooltip for each row.
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
