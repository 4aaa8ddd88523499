"""The boxes of a study: a table node is the truth, everything else shows it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import vtk

from MyoScarSegLib.errors import PromptError
from MyoScarSegLib.prompts import FAINT, USER, Box, BoxState, check_box, set_by_reader
from MyoScarSegLib.scene.attributes import make_node, node_of
from MyoScarSegLib.scene.observers import Observers
from MyoScarSegLib.scene.text import _

ROLE_BOXES = "boxes"
COLUMNS = ("id", "slice", "x0", "y0", "x1", "y1", "label", "confidence", "source", "state")
# What a saved table does not bring back as it was: MRML writes text without quoting it.
_UNSAFE = re.compile(r'[%"#\x00-\x1f\x7f]')
_ESCAPED = re.compile(r"%([0-9A-F]{2})")


@dataclass(frozen=True)
class BoxRow:
    """A box and its number, which it keeps for life."""

    id: int
    box: Box


@dataclass(frozen=True)
class _Reading:
    """What a table held at one moment.

    Attributes:
        stamp: the table's modification time.
        rows: its boxes.
        problems: a sentence for each row that is no box.
        places: box id to row of the table.
        strange: rows of the table that are no boxes.
    """

    stamp: int
    rows: list[BoxRow] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    strange: list[int] = field(default_factory=list)


class BoxTable:
    """The boxes of one volume, in a ``vtkMRMLTableNode`` that is saved with the scene.

    All cells are text, because that is what survives every way of saving a table. A table that was edited by hand, or came from
    elsewhere, is read with care: a row that is no box is left out and named in :attr:`problems`. It stays in the table, behind
    the boxes, and so do columns that are not ours.

    Attributes:
        volume_node: whose boxes these are.
        shape: ``(slices, rows, columns)`` of its study; boxes are clipped to it.
    """

    def __init__(self, volume_node: Any, shape: tuple[int, int, int]) -> None:
        self.volume_node = volume_node
        self.shape = shape
        self._node: Any = None
        self._observers = Observers()
        self._read: _Reading | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._writing = 0

    @property
    def node(self) -> Any:
        """The table node; made anew if the user deleted it."""
        if self._node is None or self._node.GetScene() is None:
            self._forget_node()
            node = node_of(self.volume_node, ROLE_BOXES)
            if node is None:
                node = make_node(self.volume_node, "vtkMRMLTableNode", ROLE_BOXES, _("Scar boxes"))
                _add_columns(node)
            self._node = node
            self._observers.add(node, vtk.vtkCommand.ModifiedEvent, self._changed)
        return self._node

    @property
    def problems(self) -> list[str]:
        """Sentences on rows of the table that are no boxes."""
        return list(self._reading().problems)

    def rows(self) -> list[BoxRow]:
        """All boxes, in the order of the table."""
        return list(self._reading().rows)

    def all_boxes(self) -> list[Box]:
        """All boxes without their numbers."""
        return [row.box for row in self.rows()]

    def box(self, box_id: int) -> Box:
        """One box.

        Raises:
            PromptError: there is no such box.
        """
        for row in self.rows():
            if row.id == box_id:
                return row.box
        raise PromptError(_("There is no box {id} any more.").format(id=box_id))

    def add(self, box: Box) -> int:
        """Add a box, clipped to the image. Returns its id.

        Raises:
            PromptError: it is empty or outside the image.
        """
        return self.add_many([box])[0]

    def add_many(self, boxes: Iterable[Box]) -> list[int]:
        """Add boxes in one change. Returns their ids; errors as of :meth:`add`, and then none is added."""
        checked = [check_box(box, self.shape) for box in boxes]
        rows = self.rows()
        first = max((row.id for row in rows), default=0) + 1
        first = max(first, _whole(self.node.GetAttribute("MyoScarSeg.NextId") or ""))
        added = [BoxRow(first + n, box) for n, box in enumerate(checked)]
        self.write([*rows, *added])
        return [row.id for row in added]

    def update(self, box_id: int, **changes: Any) -> Box:
        """Change fields of a box; one that is moved or resized is the reader's from then on.

        Returns it as it is now, clipped to the image; errors as of :meth:`add` and :meth:`box`.
        """
        before = self.box(box_id)
        changed = check_box(replace(before, **changes), self.shape)
        if changed.place != before.place:
            changed = set_by_reader(changed)
        self.write([BoxRow(row.id, changed) if row.id == box_id else row for row in self.rows()])
        return changed

    def set_state(self, box_id: int, state: BoxState) -> None:
        """Accept or reject a box, or make it a proposal again."""
        self.update(box_id, state=state)

    def remove(self, box_id: int) -> None:
        """Delete a box; errors as of :meth:`box`."""
        self.box(box_id)
        self.write([row for row in self.rows() if row.id != box_id])

    def replace_proposals(self, boxes: Iterable[Box]) -> list[int]:
        """Put new proposals in place of the old ones.

        Boxes that the user accepted, rejected or drew stay, and a proposal that is nearly one of these is left out. Those that
        were proposed as rejected are proposals still.

        Returns:
            The ids of the new boxes.
        """
        kept = [row for row in self.rows() if not _is_proposal(row.box)]
        checked = [check_box(box, self.shape) for box in boxes]
        new = [box for box in checked if not any(_alike(box, row.box) for row in kept)]
        first = max((row.id for row in self.rows()), default=0) + 1
        first = max(first, _whole(self.node.GetAttribute("MyoScarSeg.NextId") or ""))
        added = [BoxRow(first + n, box) for n, box in enumerate(new)]
        self.write([*kept, *added])
        return [row.id for row in added]

    def copy_to_next(self, box_id: int) -> int:
        """Copy a box to the next slice, as the user's own. Returns the copy's id.

        Raises:
            PromptError: there is no such box, or no next slice.
        """
        box = self.box(box_id)
        if box.slice + 1 >= self.shape[0]:
            raise PromptError(_("Slice {slice} is the last one; there is none to copy the box to.").format(slice=box.slice))
        return self.add(replace(set_by_reader(box, slice=box.slice + 1), state=BoxState.ACCEPTED))

    def write(self, rows: Iterable[BoxRow]) -> None:
        """Put these rows into the table, in one change; those that are already there as they are, are not touched."""
        rows = list(rows)
        reading = self._reading()
        if rows == reading.rows:
            return
        node = self.node
        table = node.GetTable()
        following = max([_whole(node.GetAttribute("MyoScarSeg.NextId") or "1"), *(row.id + 1 for row in rows)])
        places = [*(reading.places.get(row.id) for row in rows), *reading.strange]
        self._writing += 1
        changing = node.StartModify()
        try:
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
            node.SetAttribute("MyoScarSeg.NextId", str(following))
            table.Modified()
            node.Modified()
        finally:
            self._read = None
            node.EndModify(changing)
            self._writing -= 1
        self._reading()  # what a later edit of the table itself is compared with
        self._tell()

    def observe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback()`` after every change of the boxes. Returns the function that ends this."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None

    def close(self) -> None:
        """Observe nothing any more; the node stays."""
        self._callbacks.clear()
        self._forget_node()

    def _reading(self) -> _Reading:
        node = self.node
        stamp = max(node.GetTable().GetMTime(), node.GetMTime())
        if self._read is None or self._read.stamp != stamp:
            following = _whole(node.GetAttribute("MyoScarSeg.NextId") or "1")
            self._read = _read_table(node.GetTable(), self.shape, stamp, following)
        return self._read

    def _changed(self, _node: Any) -> None:
        if self._writing:
            return
        before = {} if self._read is None else {row.id: row.box for row in self._read.rows}
        self._read = None
        rows = self.rows()
        moved = [replace(row, box=set_by_reader(row.box)) if _moved(row.box, before.get(row.id)) else row for row in rows]
        if moved == rows:
            self._tell()
        else:  # the reader edited the table itself
            self.write(moved)  # which tells

    def _tell(self) -> None:
        for callback in list(self._callbacks):
            callback()

    def _forget_node(self) -> None:
        self._observers.clear()
        self._node = self._read = None


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


def _read_table(table: Any, shape: tuple[int, int, int], stamp: int, following: int) -> _Reading:
    reading = _Reading(stamp)
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
    """The number of each row. One that has none, or one that an earlier row has, gets a number that no row has or had.

    Numbers that rows have stay theirs, and the fresh ones are the same at every reading: views hold on to them.

    Args:
        texts: what the rows have for it.
        following: the first number that no box of this table ever had.
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


def _moved(box: Box, before: Box | None) -> bool:
    return before is not None and box.place != before.place and box.source == before.source != USER


def _is_proposal(box: Box) -> bool:
    """Whether a box is as the program proposed it: the reader has neither drawn nor judged it."""
    if box.state is BoxState.REJECTED:
        return box.source.endswith(FAINT)
    return box.state is BoxState.PROPOSED and not box.by_reader


def _alike(one: Box, other: Box) -> bool:
    """Whether two boxes of a slice are nearly the same (IoU above 0.7)."""
    if one.slice != other.slice or one.label != other.label:
        return False
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    if width <= 0 or height <= 0:
        return False
    return width * height / (one.area_px + other.area_px - width * height) > 0.7
