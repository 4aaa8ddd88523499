"""The boxes of a study as a table node: how they are saved with the scene, and what users may edit in Slicer's own tables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import slicer
import vtk

from MyoScarSegLib.errors import PromptError
from MyoScarSegLib.prompts import USER, Box, BoxState, check_box, set_by_reader
from MyoScarSegLib.scene.attributes import make_node, node_of
from MyoScarSegLib.scene.observers import Observers, Writing
from MyoScarSegLib.scene.study_state import BoxRow
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.utils.signal import Signal

ROLE_BOXES = "boxes"
COLUMNS = ("id", "slice", "x0", "y0", "x1", "y1", "label", "confidence", "source", "state")
_NEXT_ID = "MyoScarSeg.NextId"
# What a saved table does not bring back as it was: MRML writes text without quoting it.
_UNSAFE = re.compile(r'[%"#\x00-\x1f\x7f]')
_ESCAPED = re.compile(r"%([0-9A-F]{2})")


@dataclass(frozen=True)
class BoxReading:
    """What a table holds: its boxes, with the row of each by its id (``places``); and the rows that are no boxes (``strange``),
    with a sentence on each."""

    rows: list[BoxRow] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    strange: list[int] = field(default_factory=list)


class BoxTable:
    """The boxes of one volume, in a ``vtkMRMLTableNode`` that is saved with the scene; made when there is a box to keep.

    All cells are text, because that is what survives every way of saving a table. What others wrote stays in the table: a row
    that is no box, which is left out and named, stands behind the boxes; and columns that are not ours.

    Attributes:
        volume_node: whose boxes these are.
        shape: ``(slices, rows, columns)`` of its study; boxes are clipped to it.
        changed: emitted without arguments when the table was changed by others.
    """

    def __init__(self, volume_node: Any, shape: tuple[int, int, int]) -> None:
        self.volume_node = volume_node
        self.shape = shape
        self.changed = Signal()
        self._node: Any = None
        self._observers = Observers()
        self._writing = Writing()

    @property
    def node(self) -> Any:
        """The table node, None if there is none yet or the user deleted it."""
        if self._node is not None and self._node.GetScene() is None:
            self._use(None)
        if self._node is None:
            self._use(node_of(self.volume_node, ROLE_BOXES))
        return self._node

    @property
    def next_id(self) -> int:
        """A number that no box of this table has or had."""
        return 1 if self.node is None else max([self._following, *(row.id + 1 for row in self.read().rows)])

    @property
    def _following(self) -> int:
        """The first number that no box ever had, as far as the node says."""
        return _whole(self._node.GetAttribute(_NEXT_ID) or "1")

    def read(self) -> BoxReading:
        """All boxes, in the order of the table."""
        return BoxReading() if self.node is None else _read_table(self._node.GetTable(), self.shape, self._following)

    def write(self, rows: Iterable[BoxRow]) -> None:
        """Put these rows into the table, in one change."""
        rows, node = list(rows), self.node
        if node is None:
            if not rows:
                return
            node = make_node(self.volume_node, "vtkMRMLTableNode", ROLE_BOXES, _("Scar boxes"))
            self._use(node)
        table, reading = node.GetTable(), self.read()
        places = [*(reading.places.get(row.id) for row in rows), *reading.strange]
        with self._writing, slicer.util.NodeModify(node):
            _add_columns(node)
            for index in range(table.GetNumberOfColumns()):
                column = table.GetColumn(index)
                old = [vtk.vtkVariant() if place is None else column.GetVariantValue(place) for place in places]
                column.SetNumberOfTuples(len(places))
                for place, value in enumerate(old):
                    if place < len(rows) and column.GetName() in COLUMNS:
                        column.SetValue(place, _cells(rows[place])[COLUMNS.index(column.GetName())])
                    else:
                        column.SetVariantValue(place, value)
            node.SetAttribute(_NEXT_ID, str(max([self._following, *(row.id + 1 for row in rows)])))
            table.Modified()
            node.Modified()

    def close(self) -> None:
        """Observe nothing any more; the node stays."""
        self.changed.clear()
        self._use(None)

    def _use(self, node: Any) -> None:
        self._observers.clear()
        self._node = node
        if node is not None:
            self._observers.add(node, vtk.vtkCommand.ModifiedEvent, self._on_modified)

    def _on_modified(self, _node: Any) -> None:
        if not self._writing:
            self.changed.emit()


def taken_over(rows: Iterable[BoxRow], before: Iterable[BoxRow]) -> tuple[BoxRow, ...]:
    """The rows of a table that others have edited: a proposal that was moved there is the reader's from then on."""
    known = {row.id: row.box for row in before}

    def moved(box: Box, was: Box | None) -> bool:
        return was is not None and box.place != was.place and box.source == was.source != USER

    return tuple(replace(row, box=set_by_reader(row.box)) if moved(row.box, known.get(row.id)) else row for row in rows)


def _add_columns(node: Any) -> None:
    """All columns as text, with what other columns of these names held."""
    table = node.GetTable()
    for name in COLUMNS:
        present = table.GetColumnByName(name)
        if isinstance(present, vtk.vtkStringArray):
            continue
        column = vtk.vtkStringArray()
        column.SetName(name)
        column.SetNumberOfValues(table.GetNumberOfRows())
        if present is not None:
            for row in range(table.GetNumberOfRows()):
                column.SetValue(row, table.GetValueByName(row, name).ToString())
            table.RemoveColumnByName(name)
        table.AddColumn(column)


def _cells(row: BoxRow) -> tuple[str, ...]:
    box = row.box
    confidence = "" if box.confidence is None else repr(float(box.confidence))
    corners = (repr(float(v)) for v in box.xyxy)
    return (str(row.id), str(box.slice), *corners, _escaped(box.label), confidence, _escaped(box.source), box.state.value)


def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def _read_table(table: Any, shape: tuple[int, int, int], following: int) -> BoxReading:
    reading = BoxReading()
    present = {table.GetColumnName(n) for n in range(table.GetNumberOfColumns())}
    missing = [name for name in ("slice", "x0", "y0", "x1", "y1") if name not in present]
    if missing:
        if table.GetNumberOfRows():
            reading.problems.append(_("The table of boxes has no column {names}.").format(names=", ".join(missing)))
        reading.strange.extend(range(table.GetNumberOfRows()))
        return reading
    rows = [
        {name: table.GetValueByName(number, name).ToString() for name in COLUMNS if name in present}
        for number in range(table.GetNumberOfRows())
    ]
    ids = _ids([text.get("id", "") for text in rows], following)
    for number, text in enumerate(rows):
        try:
            row = BoxRow(ids[number], _box(text, shape))
        except (ValueError, PromptError) as error:
            reading.problems.append(_("Row {row} of the table of boxes is no box: {why}").format(row=number + 1, why=error))
            reading.strange.append(number)
        else:
            reading.rows.append(row)
            reading.places[row.id] = number
    return reading


def _ids(texts: list[str], following: int) -> list[int]:
    """The number of each row, given what rows have for it, and the first number that no box of this table ever had.

    A row that has none, or one that an earlier row has, gets a number that no row has or had. Numbers that rows have stay
    theirs, and the fresh ones are the same at every reading: views hold on to them.
    """
    given = [_whole(text) for text in texts]
    fresh = max([following, *(number + 1 for number in given)])
    seen: set[int] = set()
    ids = []
    for row, number in enumerate(given):
        own = number > 0 and number not in seen
        seen.add(number)
        ids.append(number if own else fresh + row)
    return ids


def _whole(text: str) -> int:
    """A whole number above 0, also one that another program wrote as ``3.0``; else 0."""
    try:
        number = float(text)
    except ValueError:
        return 0
    return int(number) if number > 0 and number.is_integer() else 0


def _box(text: dict[str, str], shape: tuple[int, int, int]) -> Box:
    k, x0, y0, x1, y1 = (float(text[name]) for name in ("slice", "x0", "y0", "x1", "y1"))
    if not k.is_integer():  # nor is infinity
        raise PromptError(_("its slice is {slice}, which is no whole number.").format(slice=text["slice"]))
    confidence = float(text["confidence"]) if text.get("confidence") else None
    if confidence is not None and not math.isfinite(confidence):
        confidence = None
    box = Box(
        int(k),
        x0,
        y0,
        x1,
        y1,
        label=_unescaped(text.get("label") or "") or "scar",
        confidence=confidence,
        source=_unescaped(text.get("source") or "") or USER,
        state=BoxState(text.get("state") or BoxState.PROPOSED.value),
    )
    return check_box(box, shape)
