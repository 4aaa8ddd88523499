"""The 17 segments of the left ventricle: their names, territories, and which pixel lies in which.

Cerqueira et al., Circulation 2002, 105, 539: standardized myocardial segmentation of the American Heart Association.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["base", "mid", "apex", "tip"]
"""Which third of the ventricle a slice belongs to; the tip is wall without cavity beyond the apical third."""

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
