"""The table of the library's cases: sorted, filtered, with a picture of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import qt

from MyoScarSegLib.widgets import style
from MyoScarSegLib.widgets.section import quietly
from MyoScarSegLib.widgets.text import _
from MyoScarSegLib.widgets.training.training_pictures import picture_of

THUMBNAIL_PX = 40
_AT_ONCE_S = 0.008
"""At one turn: the panel is to stay live while hundreds of rows are written and their pictures read."""
_CASE, _SCAR, _ADDED, _STATE = range(4)


@dataclass(frozen=True)
class CaseLine:
    """One case as the table shows it: ``keys`` are what the columns are sorted by, ``text`` is what a filter looks at beside the
    cells, ``row`` is what it was made of."""

    name: str
    cells: tuple[str, ...]
    keys: tuple[Any, ...]
    text: str
    state: str
    thumbnail: Path | None
    row: Any = field(compare=False)

    def matches(self, words: Sequence[str]) -> bool:
        """Whether each of some lower-case words is somewhere in it."""
        text = f"{' '.join(self.cells)} {self.text}".lower()
        return all(word in text for word in words)


class CaseTable:
    """Shows lines in a ``QTableWidget``; what is selected stays selected, whatever comes and goes around it."""

    def __init__(self, table: Any, selected: Callable[[], None]) -> None:
        """``selected()`` is called after the selection has changed."""
        self._table = table
        self._selected = selected
        self._lines: list[CaseLine] = []
        self._shown: list[CaseLine] = []
        self._words: list[str] = []
        self._column, self._down = _CASE, False
        self._unwritten: list[int] = []  # rows whose texts are not in the widget yet
        self._waiting: list[int] = []  # rows whose pictures were not looked for yet
        header = table.horizontalHeader()
        header.setSortIndicatorShown(True)
        header.setSortIndicator(self._column, qt.Qt.AscendingOrder)
        header.connect("sectionClicked(int)", self._sort)
        table.connect("itemSelectionChanged()", selected)

    @property
    def selected(self) -> list[str]:
        """Names of the selected cases, from the top."""
        rows = sorted({int(item.row()) for item in self._table.selectedItems()})
        return [self._shown[row].name for row in rows if row < len(self._shown)]

    @property
    def shown(self) -> list[str]:
        """Names of the cases that the filter lets through, from the top."""
        return [line.name for line in self._shown]

    @property
    def complete(self) -> bool:
        """Whether all rows are written."""
        return not self._unwritten

    def show(self, lines: Sequence[CaseLine]) -> None:
        """Show these cases."""
        self._lines = list(lines)
        self._fill()

    def filter(self, text: str) -> None:
        """Show only cases that have all words of a text."""
        self._words = text.lower().split()
        self._fill()

    def select(self, name: str) -> None:
        """Select one case, and have it in sight."""
        if name in self.shown:
            row = self.shown.index(name)
            quietly(self._table, lambda: self._write(row))
            self._table.selectRow(row)
            self._table.scrollToItem(self._table.item(row, _CASE))

    def go_on(self) -> bool:
        """Write some rows, and put in some pictures, that are not there yet. Returns whether there are more."""
        end = time.monotonic() + _AT_ONCE_S
        if self._unwritten:
            quietly(self._table, lambda: self._write_some(end))
        while self._waiting and time.monotonic() < end:
            row = self._waiting.pop(0)
            if row >= len(self._shown):
                continue
            picture = picture_of(self._shown[row].thumbnail, THUMBNAIL_PX)
            item = self._table.item(row, _CASE)
            if picture is not None and item is not None:
                item.setIcon(style.untinted(picture))
        return bool(self._unwritten or self._waiting)

    def _sort(self, column: int) -> None:
        self._down = not self._down if column == self._column else False
        self._column = column
        order = qt.Qt.DescendingOrder if self._down else qt.Qt.AscendingOrder
        self._table.horizontalHeader().setSortIndicator(column, order)
        self._fill()

    def _fill(self) -> None:
        lines = [line for line in self._lines if line.matches(self._words)]
        lines.sort(key=lambda line: (line.keys[self._column], line.name), reverse=self._down)
        if lines == self._shown and int(self._table.rowCount) == len(lines):
            self._waiting = list(range(len(lines)))  # a picture may have come meanwhile
            return
        unwritten = {self._shown[row] for row in self._unwritten}
        chosen = set(self.selected)
        before = self._shown
        self._shown = lines
        self._unwritten = [
            row for row, line in enumerate(lines) if row >= len(before) or before[row] != line or line in unwritten
        ]
        rows = [row for row, line in enumerate(lines) if line.name in chosen]
        quietly(self._table, lambda: self._begin(rows))
        self._waiting = list(range(len(lines)))
        self._selected()

    def _begin(self, chosen: Sequence[int]) -> None:
        """Make room for the rows, and write those that are to be selected; the others come a few at a time."""
        table = self._table
        table.clearSelection()
        table.setRowCount(len(self._shown))
        for row in chosen:
            self._write(row)
            for column in range(int(table.columnCount)):
                table.item(row, column).setSelected(True)
        self._write_some(time.monotonic() + _AT_ONCE_S)

    def _write_some(self, end: float) -> None:
        while self._unwritten and time.monotonic() < end:
            self._write(self._unwritten[0])

    def _write(self, row: int) -> None:
        if row not in self._unwritten:
            return
        self._unwritten.remove(row)
        line = self._shown[row]
        tip = _tip(line.row)
        for column, text in enumerate(line.cells):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(tip)
            if column == _STATE:
                item.setIcon(style.state_icon(line.state))
            self._table.setItem(row, column, item)


def line_of(row: Any, side_of: Callable[[str], str]) -> CaseLine:
    """A row of the library's state as the table shows it; ``side_of(patient)`` is that of the split."""
    case, state, problem = row.case, str(row.state), str(row.problem)
    words = {"complete": _("complete"), "unreviewed": _("unreviewed"), "problem": _("problem")}.get(state, state)
    if case is None:
        cells, keys = (row.name, "", "", words), (row.name.lower(), -1.0, "", words)
        return CaseLine(row.name, cells, keys, problem, state, None, row)
    part = {"training": _("trains"), "validation": _("validates")}.get(side_of(case.patient), "")
    patient = "" if case.patient == case.case else case.patient
    second = " · ".join(text for text in (patient, part, *case.tags) if text)
    reviewed = _reviewed(case)
    whole = _("1 slice") if case.slices == 1 else _("{n} slices")
    slices = whole if reviewed == case.slices else _("{reviewed} of {n} slices")
    mass = "–" if case.mass_g is None else _("{mass} g").format(mass=f"{case.mass_g:.1f}")
    by = case.added_by or case.reviewer
    return CaseLine(
        name=row.name,
        cells=(
            f"{case.case}\n{second}" if second else case.case,
            f"{mass}\n{slices.format(reviewed=reviewed, n=case.slices)}",
            f"{case.date[:10]}\n{by}" if by else case.date[:10],
            words,
        ),
        keys=(case.case.lower(), case.mass_g or 0.0, case.date, words),
        text=f"{case.patient} {case.source} {problem}",
        state=state,
        thumbnail=row.thumbnail,
        row=row,
    )


def _reviewed(case: Any) -> int:
    return int(case.slices) if case.reviewed is None else len(case.reviewed)


def _tip(row: Any) -> str:
    """All that is known of a case, in lines."""
    case, problem = row.case, [str(row.problem)] if row.problem else []
    if case is None:
        return "\n".join(problem)
    lines = [
        _("Case {case} of patient {patient}").format(case=case.case, patient=case.patient),
        _("{reviewed} of {all} slices reviewed; scar on {n}").format(
            reviewed=_reviewed(case), all=case.slices, n=case.slices_with_scar
        ),
    ]
    if case.source:
        lines.append(_("From {source}").format(source=case.source))
    if case.tags:
        lines.append(_("Tags: {tags}").format(tags=", ".join(case.tags)))
    return "\n".join([*lines, *problem])
