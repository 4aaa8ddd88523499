"""Boxes and points, in the one frame of the project, and the JSON files that hold them.

A box is ``(x0, y0, x1, y1)`` in float pixel *edges* of its slice's native grid, x along columns: the box of pixels
3..5 spans 3 to 6. A point is ``(x, y)`` in the same frame, so the centre of pixel (0, 0) is (0.5, 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import PromptError
from MyoScarSegLib.utils.files import read_json, write_json

FORMAT_VERSION = 1
USER = "user"
"""The source of a box that the reader drew, moved or resized."""
FAINT = " (faint)"
"""Ends the source of a box that was proposed as rejected: the program rejected it, not the reader."""


class BoxState(str, Enum):
    """What the reader made of a box. Rejected boxes are kept, and never segmented."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Box:
    """A rectangle on one slice; see the module's docstring for the frame.

    Attributes:
        source: who made it: a detector's name, or ``user`` for a box that the reader drew, moved or resized.
    """

    slice: int
    x0: float
    y0: float
    x1: float
    y1: float
    label: str = "scar"
    confidence: float | None = None
    source: str = USER
    state: BoxState = BoxState.PROPOSED

    @property
    def by_reader(self) -> bool:
        """Whether the reader set its sides, which then bound the mask; a detector's box may be exceeded."""
        return self.source == USER

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """``(x0, y0, x1, y1)``."""
        return self.x0, self.y0, self.x1, self.y1

    @property
    def place(self) -> tuple[int, float, float, float, float]:
        """Slice and corners: ``(slice, x0, y0, x1, y1)``."""
        return self.slice, *self.xyxy

    @property
    def area_px(self) -> float:
        """Area in pixels."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)


@dataclass(frozen=True)
class Point:
    """A click on one slice: ``positive`` says scar is here, negative that it is not."""

    slice: int
    x: float
    y: float
    positive: bool = True


def box_of_mask(mask: Any, slice_index: int, **fields: Any) -> Box | None:
    """The tight box, in pixel edges, around the non-zero pixels of ``mask`` [rows, columns]; None if there are none."""
    import numpy as np

    rows, columns = np.nonzero(np.asarray(mask))
    if rows.size == 0:
        return None
    return Box(slice_index, float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1), **fields)


def check_box(box: Box, shape: Sequence[int]) -> Box:
    """``box`` clipped to a stack of ``shape`` (slices, rows, columns).

    Raises:
        PromptError: the slice does not exist, a coordinate is not finite, the area is zero (or the corners are swapped),
            or the box lies wholly outside the image.
    """
    slices, rows, columns = shape
    where = f"box {_numbers(box.xyxy)} on slice {box.slice}"
    _check_slice(box.slice, slices, where)
    if not all(math.isfinite(v) for v in box.xyxy):
        raise PromptError(f"{where}: a coordinate is not a finite number.")
    if box.x1 <= box.x0 or box.y1 <= box.y0:
        raise PromptError(f"{where} has no area: x1 must be greater than x0, and y1 greater than y0.")
    x0, x1 = max(box.x0, 0.0), min(box.x1, float(columns))
    y0, y1 = max(box.y0, 0.0), min(box.y1, float(rows))
    if x1 <= x0 or y1 <= y0:
        raise PromptError(f"{where} lies outside the image, which has {columns} columns and {rows} rows.")
    return Box(**{**asdict(box), "x0": x0, "y0": y0, "x1": x1, "y1": y1, "state": box.state})


def check_point(point: Point, shape: Sequence[int]) -> Point:
    """``point`` if it lies in a stack of ``shape`` (slices, rows, columns).

    Raises:
        PromptError: the slice does not exist, a coordinate is not finite, or the point is outside the image.
    """
    slices, rows, columns = shape
    where = f"point {_numbers((point.x, point.y))} on slice {point.slice}"
    _check_slice(point.slice, slices, where)
    if not (math.isfinite(point.x) and math.isfinite(point.y)):
        raise PromptError(f"{where}: a coordinate is not a finite number.")
    if not (0 <= point.x <= columns and 0 <= point.y <= rows):
        raise PromptError(f"{where} lies outside the image, which has {columns} columns and {rows} rows.")
    return point


def write_boxes(path: Path, case: str, boxes: Iterable[Box]) -> None:
    """Write ``boxes.json`` atomically.

    Raises:
        PromptError: a coordinate is not a finite number.
        OutputError: the file cannot be written.
    """
    entries = []
    for box in boxes:
        numbers = _plain(box, ("x0", "y0", "x1", "y1", *(() if box.confidence is None else ("confidence",))))
        entries.append({**asdict(box), "slice": int(box.slice), **numbers, "state": box.state.value})
    write_json(path, {"version": FORMAT_VERSION, "case": case, "boxes": entries})


def write_points(path: Path, case: str, points: Iterable[Point]) -> None:
    """Write ``points.json`` atomically.

    Raises:
        PromptError: a coordinate is not a finite number.
        OutputError: the file cannot be written.
    """
    entries = [{"slice": int(p.slice), **_plain(p, ("x", "y")), "positive": bool(p.positive)} for p in points]
    write_json(path, {"version": FORMAT_VERSION, "case": case, "points": entries})


def read_boxes(path: Path) -> list[Box]:
    """Read ``boxes.json``; of each box only ``slice`` and the coordinates are required. A box without a source is the reader's.

    Raises:
        PromptError: the file is no such JSON, of a newer version, or a box lacks a coordinate.
    """
    boxes = []
    for where, entry in _entries(path, "boxes"):
        state = _text(entry, "state", BoxState.PROPOSED.value, where)
        if state not in {s.value for s in BoxState}:
            raise PromptError(f"{where}: state {state!r} is none of {', '.join(s.value for s in BoxState)}.")
        confidence = entry.get("confidence")
        boxes.append(
            Box(
                slice=_integer(entry, "slice", where),
                **{name: _number(entry, name, where) for name in ("x0", "y0", "x1", "y1")},
                label=_text(entry, "label", "scar", where),
                confidence=None if confidence is None else _number(entry, "confidence", where),
                source=_text(entry, "source", USER, where),
                state=BoxState(state),
            )
        )
    return boxes


def set_by_reader(box: Box, **place: Any) -> Box:
    """``box`` with another ``slice`` or other coordinates, as the reader's: no detector's confidence is left in it."""
    return replace(box, **place, source=USER, confidence=None)


def read_points(path: Path) -> list[Point]:
    """Read ``points.json``; of each point only ``slice``, ``x`` and ``y`` are required (positive unless it says otherwise).

    Raises:
        PromptError: the file is no such JSON, of a newer version, or a point lacks a coordinate.
    """
    points = []
    for where, entry in _entries(path, "points"):
        positive = entry.get("positive", True)
        if not isinstance(positive, bool):
            raise PromptError(f"{where}: 'positive' must be true or false, not {positive!r}.")
        points.append(Point(_integer(entry, "slice", where), _number(entry, "x", where), _number(entry, "y", where), positive))
    return points


def _entries(path: Path, key: str) -> list[tuple[str, dict[str, Any]]]:
    document = read_json(path, PromptError)
    if not isinstance(document, dict) or not isinstance(document.get(key), list):
        raise PromptError(f"{path} is not a {key} file: it needs an object with a list {key!r}.")
    version = document.get("version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        raise PromptError(f"{path} has version {version!r}; this program reads version {FORMAT_VERSION}.")
    entries = []
    for number, entry in enumerate(document[key]):
        where = f"{path}, {key}[{number}]"
        if not isinstance(entry, dict):
            raise PromptError(f"{where} is not an object.")
        entries.append((where, entry))
    return entries


def _number(entry: dict[str, Any], name: str, where: str) -> float:
    if name not in entry:
        raise PromptError(f"{where} lacks {name!r}.")
    value = entry[name]
    if not isinstance(value, bool) and isinstance(value, (int, float)):
        try:
            number = float(value)
        except OverflowError:  # JSON's whole numbers have no limit
            number = math.inf
        if math.isfinite(number):
            return number
    raise PromptError(f"{where}: {name!r} must be a finite number, not {str(value)[:40]!r}.")


def _text(entry: dict[str, Any], name: str, usual: str, where: str) -> str:
    value = entry.get(name, usual)
    if not isinstance(value, str) or not value:
        raise PromptError(f"{where}: {name!r} must be a text, not {value!r}.")
    return value


def _plain(prompt: Box | Point, names: Iterable[str]) -> dict[str, float]:
    """Python's own numbers, which JSON can hold, also where numpy's were given."""
    numbers = {name: float(getattr(prompt, name)) for name in names}
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise PromptError(
                f"A {type(prompt).__name__.lower()} on slice {prompt.slice} cannot be written: its {name} is {value}."
            )
    return numbers


def _integer(entry: dict[str, Any], name: str, where: str) -> int:
    value = _number(entry, name, where)
    if value != int(value):
        raise PromptError(f"{where}: {name!r} must be a whole number, not {value!r}.")
    return int(value)


def _check_slice(index: int, slices: int, where: str) -> None:
    if not 0 <= index < slices:
        raise PromptError(f"{where}: the study has slices 0 to {slices - 1}.")


def _numbers(values: Iterable[float]) -> str:
    return "(" + ", ".join(f"{v:g}" for v in values) + ")"
