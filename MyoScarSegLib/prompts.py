"""Boxes and points, in the one frame of the project, and the JSON files that hold them.

A box is ``(x0, y0, x1, y1)`` in float pixel *edges* of its slice's native grid, x along columns: the box of pixels
3..5 spans 3 to 6. A point is ``(x, y)`` in the same frame, so the center of pixel (0, 0) is (0.5, 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from numbers import Integral
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import PromptError
from MyoScarSegLib.utils.files import write_json
from MyoScarSegLib.utils.json_fields import Text, load, read, to_json

FORMAT_VERSION = 1
USER = "user"
"""The source of a box that the reader drew, moved or resized."""
FAINT = " (faint)"
"""Ends the source of a box that was proposed as rejected: the program rejected it, not the reader."""
BESIDE = " (beside)"
"""Ends the source of a box that was suggested because of scar which the reader confirmed on a neighbor. It is an offer: while it
is proposed, it is not segmented."""
PROMPTS_AT_ONCE = 16
"""Boxes and points of a slice that a segmenter takes together: more is faster on a graphics card, and needs more memory."""


class BoxState(str, Enum):
    """What the reader made of a box. Rejected boxes are kept, and never segmented; see also :attr:`Box.counts`."""

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
    label: Text = "scar"
    confidence: float | None = None
    source: Text = USER
    state: BoxState = BoxState.PROPOSED

    @property
    def by_reader(self) -> bool:
        """Whether the reader set its sides, which then bound the mask; a detector's box may be exceeded."""
        return self.source == USER

    @property
    def asks(self) -> bool:
        """Whether the box says more than the model sees by itself: the reader drew it, or kept it on the program's hint."""
        return self.by_reader or self.source.endswith((FAINT, BESIDE))

    @property
    def counts(self) -> bool:
        """Whether the box is segmented: not if it was rejected, and a suggestion on a neighbor only if it was accepted."""
        return self.state is BoxState.ACCEPTED or (self.state is BoxState.PROPOSED and not self.source.endswith(BESIDE))

    @property
    def faint(self) -> bool:
        """Whether the program itself rejected it as too little and too faint, for the reader to look at and to accept."""
        return self.state is BoxState.REJECTED and self.source.endswith(FAINT)

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
    from MyoScarSegLib.utils.windows import window_of

    rows, columns = window_of(mask != 0)
    x0, y0, x1, y1 = (float(edge) for edge in (columns.start, rows.start, columns.stop, rows.stop))
    return Box(slice_index, x0, y0, x1, y1, **fields) if rows.stop else None


def places_of(boxes: Sequence[Box]) -> list[list[int]]:
    """Boxes put together across slices: those of neighboring slices that overlap are of one place.

    Returns:
        Of each place the numbers of its boxes in ``boxes``, by slice.
    """
    groups: list[list[int]] = []
    for n in sorted(range(len(boxes)), key=lambda n: boxes[n].slice):
        touching = [group for group in groups if any(_over(boxes[one], boxes[n]) for one in group)]
        groups = [group for group in groups if group not in touching] + [[*(one for group in touching for one in group), n]]
    return groups


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
    return replace(box, x0=x0, y0=y0, x1=x1, y1=y1)


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


def set_by_reader(box: Box, **place: Any) -> Box:
    """``box`` with another ``slice`` or other coordinates, as the reader's: no detector's confidence is left in it."""
    return replace(box, **place, source=USER, confidence=None)


@dataclass(frozen=True)
class _BoxFile:
    """``boxes.json``."""

    boxes: list[Box]


@dataclass(frozen=True)
class _PointFile:
    """``points.json``."""

    points: list[Point]


def write_boxes(path: Path, case: str, boxes: Iterable[Box]) -> None:
    """Write ``boxes.json`` atomically.

    Raises:
        PromptError: a coordinate is not a finite number.
        OutputError: the file cannot be written.
    """
    write_json(path, {"version": FORMAT_VERSION, "case": case, "boxes": [_written(box) for box in boxes]})


def write_points(path: Path, case: str, points: Iterable[Point]) -> None:
    """Write ``points.json`` atomically.

    Raises:
        PromptError: a coordinate is not a finite number.
        OutputError: the file cannot be written.
    """
    write_json(
        path,
        {"version": FORMAT_VERSION, "case": case, "points": [_written(replace(p, positive=bool(p.positive))) for p in points]},
    )


def read_boxes(path: Path) -> list[Box]:
    """Read ``boxes.json``; of each box only ``slice`` and the coordinates are required. A box without a source is the reader's.

    Raises:
        PromptError: the file is no such JSON, of another version, or a box lacks a coordinate.
    """
    return load(_BoxFile, path, PromptError, version=FORMAT_VERSION, ignore=True).boxes


def read_points(path: Path) -> list[Point]:
    """Read ``points.json``; of each point only ``slice``, ``x`` and ``y`` are required (positive unless it says otherwise).

    Raises:
        PromptError: the file is no such JSON, of another version, or a point lacks a coordinate.
    """
    return load(_PointFile, path, PromptError, version=FORMAT_VERSION, ignore=True).points


def _written(prompt: Box | Point) -> Any:
    """A prompt as JSON, with Python's own numbers also where numpy's were given."""
    where = f"A {type(prompt).__name__.lower()} on slice {prompt.slice} cannot be written"
    return to_json(read(type(prompt), vars(prompt), PromptError, where))


def _over(one: Box, other: Box) -> bool:
    return abs(one.slice - other.slice) == 1 and (
        min(one.x1, other.x1) > max(one.x0, other.x0) and min(one.y1, other.y1) > max(one.y0, other.y0)
    )


def _check_slice(index: int, slices: int, where: str) -> None:
    if not isinstance(index, Integral):
        raise PromptError(f"{where}: the slice must be a whole number, not {index!r}.")
    if not 0 <= index < slices:
        raise PromptError(f"{where}: the study has slices 0 to {slices - 1}.")


def _numbers(values: Iterable[float]) -> str:
    return "(" + ", ".join(f"{v:g}" for v in values) + ")"
