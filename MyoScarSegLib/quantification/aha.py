"""The 17 segments of the left ventricle: their names, territories, and which pixel lies in which.

Cerqueira et al., Circulation 2002, 105, 539: standardized myocardial segmentation of the American Heart Association.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from MyoScarSegLib.quantification.planes import Planes
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.study.study import Study

Level = Literal["base", "mid", "apex", "tip"]
"""Which third of the ventricle a slice belongs to; the tip is wall without cavity beyond the apical third."""
LEVELS: tuple[Level, ...] = get_args(Level)
"""From base to tip."""

NO_LEVEL: Literal["none"] = "none"
"""What a reader says of a slice that is to have no part in the segments."""
ReadersLevel = Literal["base", "mid", "apex", "tip", "none"]
"""A level, or :data:`NO_LEVEL`."""
BY_HAND = ("reader", "rotation")
"""Sources of :class:`InsertionPoints` that a reader has set, and no proposal replaces."""

Artery = Literal["LAD", "RCA", "LCX"]


@dataclass(frozen=True)
class InsertionPoints:
    """Where the right ventricle's wall meets the left one: the ends of the septum.

    The line of the anterior one is the border of segments 1 and 2, that of the inferior one the border of 3 and 4. They are
    points of the world, so they mean the same however the stack is turned, flipped or stored.

    Attributes:
        anterior_mm, inferior_mm: LPS millimeters, each in or near any slice of the stack.
        source: ``reader`` (set or moved by hand), ``image`` (proposed from the right ventricle in the image), ``axes`` (proposed
            from patient axes alone), ``rotation`` (set by an angle).
    """

    anterior_mm: tuple[float, float, float]
    inferior_mm: tuple[float, float, float]
    source: Literal["reader", "image", "axes", "rotation"] = "reader"


@dataclass(frozen=True)
class Segment:
    """One of the 17 segments.

    Attributes:
        number: 1 to 17.
        name: of the standard.
        level: in which it lies.
        artery: whose territory it usually is; 17 varies most.
        page_deg: its middle on the bullseye, anticlockwise from the right of the page; anterior is up, septum left. None for 17.
        width_deg: its width; None for 17.
    """

    number: int
    name: str
    level: Level
    artery: Artery
    page_deg: float | None
    width_deg: float | None


def _ring(first: int, level: Level, place: str) -> list[Segment]:
    parts: tuple[tuple[str, Artery], ...] = (
        ("anterior", "LAD"), ("anteroseptal", "LAD"), ("inferoseptal", "RCA"),
        ("inferior", "RCA"), ("inferolateral", "LCX"), ("anterolateral", "LCX"),
    )  # fmt: skip
    return [
        Segment(first + n, f"{place} {name}", level, artery, (90.0 + 60.0 * n) % 360, 60.0)
        for n, (name, artery) in enumerate(parts)
    ]


SEGMENTS: tuple[Segment, ...] = (
    *_ring(1, "base", "basal"),
    *_ring(7, "mid", "mid"),
    Segment(13, "apical anterior", "apex", "LAD", 90.0, 90.0),
    Segment(14, "apical septal", "apex", "LAD", 180.0, 90.0),
    Segment(15, "apical inferior", "apex", "RCA", 270.0, 90.0),
    Segment(16, "apical lateral", "apex", "LCX", 0.0, 90.0),
    Segment(17, "apex", "tip", "LAD", None, None),
)
"""In order of their numbers."""


# The ventricle's tip points to the patient's left, front and feet; the septum's outer side to the right and front. LPS.
_TOWARDS_APEX = np.array([1.0, -1.0, -0.7]) / np.linalg.norm([1.0, -1.0, -0.7])
_TOWARDS_SEPTUM = np.array([-1.0, -1.0, 0.0]) / np.sqrt(2)
_SHORT_AXIS_COSINE = 0.6
_CLEAR_TAPER_RATIO = 0.85


@dataclass(frozen=True)
class WallAngles:
    """How angles around the ventricle run in the planes of a stack.

    Attributes:
        start_rad: direction of the middle of the septum, from u to v.
        turn: 1 if the segments' numbers rise from u to v, -1 if the other way.
    """

    start_rad: float
    turn: int

    def degrees(self, uv: np.ndarray) -> np.ndarray:
        """Angle from the middle of the septum, 0 to 360, of offsets ``[..., 2]`` from the ventricle's center."""
        return np.asarray(np.degrees(self.turn * (np.arctan2(uv[..., 1], uv[..., 0]) - self.start_rad)) % 360.0)

    def directions(self, degrees: np.ndarray) -> np.ndarray:
        """Unit vectors ``[..., 2]`` at such angles."""
        radians = self.start_rad + self.turn * np.radians(degrees)
        return np.stack([np.cos(radians), np.sin(radians)], axis=-1)


def is_short_axis(planes: Planes) -> bool:
    """Whether the patient's axes are believable: the slices lie within 53 degrees of across a usual ventricle's axis.

    Slices of the short axis never lie straight across the body. A file says so when it has lost the patient's orientation.
    """
    return abs(float(planes.normal @ _TOWARDS_APEX)) > _SHORT_AXIS_COSINE


def towards_apex(ventricle: Ventricle, planes: Planes) -> int:
    """1 if the apex lies along the stack's normal, -1 if against it.

    The ventricle's shape says it, which narrows to the apex; where it hardly narrows, as in a stack of few slices, the patient's
    axes do: the apex lies to the left, front and feet.
    """
    slices = sorted({*ventricle.closed, *ventricle.solid}, key=lambda k: planes.positions_mm[k])
    areas = [np.count_nonzero(ventricle.myocardium[k] | ventricle.cavity[k]) for k in slices]
    third = max(1, len(areas) // 3)
    first, last = (float(np.mean(areas[:third])), float(np.mean(areas[-third:]))) if areas else (1.0, 1.0)
    along = float(planes.normal @ _TOWARDS_APEX)
    narrow = min(first, last) / max(first, last)
    if first == last or (narrow > _CLEAR_TAPER_RATIO and is_short_axis(planes)):
        return _sign(along)
    return _sign(first - last)


def levels_of(ventricle: Ventricle, planes: Planes) -> dict[int, Level]:
    """Which level each slice belongs to.

    The length from the first to the last slice whose wall is whole, each with the length for which it stands, is cut into
    thirds; a slice belongs to the third of its center. Partial slices outside that length (the outflow tract) have no level; one
    inside it is a gap in the drawing, and takes part. A slice with wall and without cavity beyond the apical third is the tip.

    Returns:
        Slice index to level, in slice order; slices without level are left out, all if no slice is closed.
    """
    if not ventricle.closed:
        return {}
    apex = towards_apex(ventricle, planes)
    along = apex * planes.positions_mm
    half = planes.extents_mm / 2
    first = min(along[k] - half[k] for k in ventricle.closed)
    last = max(along[k] + half[k] for k in ventricle.closed)
    levels: dict[int, Level] = {}
    thirds: tuple[Level, Level, Level] = ("base", "mid", "apex")
    for k in ventricle.walls:
        if first < along[k] < last and k not in ventricle.solid:
            levels[k] = thirds[min(int(3 * (along[k] - first) / (last - first)), 2)]
        elif along[k] >= last and k in ventricle.solid:
            levels[k] = "tip"
    return levels


def known_levels(ventricle: Ventricle | None, study: Study, by_reader: Mapping[int, ReadersLevel]) -> dict[int, Level] | None:
    """The levels of :func:`levels_of`, with those that a reader has set; None if he has set none, or without wall or spacing.

    Args:
        by_reader: slice index to level, or to :data:`NO_LEVEL`.
    """
    if ventricle is None or not by_reader or study.geometry.spacing_mm is None:
        return None
    levels = {**levels_of(ventricle, Planes.of(study.geometry, study.slices)), **by_reader}
    return {k: level for k, level in levels.items() if level != NO_LEVEL}


def angles_of_axes(ventricle: Ventricle, planes: Planes) -> WallAngles:
    """Angles from patient axes: the septum lies to the right and front; seen from the apex the numbers rise anticlockwise.

    A file that has lost the patient's orientation (:func:`is_short_axis`) is taken for the page of a report, x to the right and y
    down: septum on the left, anterior wall up, numbers anticlockwise.
    """
    if is_short_axis(planes):
        start, turn = planes.flat(_TOWARDS_SEPTUM), towards_apex(ventricle, planes)
    else:
        page = abs(planes.normal[2]) > 0.5
        start = planes.flat(np.array([-1.0, 0.0, 0.0]) if page else np.array([0.0, 0.0, -1.0]))
        turn = -_sign(planes.normal[2]) if page else towards_apex(ventricle, planes)
    return WallAngles(float(np.arctan2(start[1], start[0])), turn)


def angles_of(insertions: InsertionPoints, ventricle: Ventricle, planes: Planes) -> WallAngles:
    """Angles from insertion points.

    Each point's angle is taken around the center of wall and cavity in the slice nearest to it. The septum is the shorter way
    from one to the other, its middle the start; segments are 60 degrees wide from there, whatever the septum's own width. As the
    numbers run from the anterior point over the septum to the inferior one, the points say which way round they run, also in a
    stack whose file has lost or mirrored its orientation. A turn other than
    that of :func:`angles_of_axes` comes of points that were exchanged, or of such a file.

    Args:
        ventricle: with at least one slice that has a wall.
    """
    angles = []
    for point in (insertions.anterior_mm, insertions.inferior_mm):
        k = planes.nearest(np.array(point), ventricle.closed or ventricle.walls)
        offset = planes.in_plane(k, np.array(point)) - center_of(ventricle, planes, k)
        angles.append(float(np.arctan2(offset[1], offset[0])))
    septum = (angles[1] - angles[0] + np.pi) % (2 * np.pi) - np.pi
    return WallAngles(angles[0] + septum / 2, _sign(septum))


def center_of(ventricle: Ventricle, planes: Planes, k: int) -> np.ndarray:
    """``(u, v)`` of the center around which angles run: the middle of wall and cavity together."""
    return np.asarray(planes.to_mm @ ventricle.middles[k])


def segments_at(degrees: np.ndarray, level: Level) -> np.ndarray:
    """uint8 numbers of the segments at angles from the middle of the septum."""
    if level == "tip":
        return np.full(np.shape(degrees), 17, dtype=np.uint8)
    if level == "apex":
        return np.array([14, 15, 16, 13], dtype=np.uint8)[((degrees + 45) // 90).astype(int) % 4]
    first = 0 if level == "base" else 6
    return np.array([3, 4, 5, 6, 1, 2], dtype=np.uint8)[(degrees // 60).astype(int) % 6] + np.uint8(first)


def map_of(ventricle: Ventricle, planes: Planes, frame: WallAngles, levels: Mapping[int, Level]) -> np.ndarray:
    """The segment of each pixel of the wall: uint8 ``[k, j, i]``, 1 to 17, 0 outside the wall and in slices without level."""
    numbers = np.zeros(ventricle.myocardium.shape, dtype=np.uint8)
    window = ventricle.window
    for k, level in levels.items():
        rows, columns = np.nonzero(ventricle.myocardium[k][window])
        if len(rows):
            rows, columns = rows + window[0].start, columns + window[1].start
            uv = np.stack([columns, rows], axis=-1) @ planes.to_mm.T - center_of(ventricle, planes, k)
            numbers[k][rows, columns] = segments_at(frame.degrees(uv), level)
    return numbers


def _sign(value: float) -> int:
    return 1 if value >= 0 else -1
