"""What asks for scar on one slice, and the slices whose edit waits for its mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from MyoScarSegLib.prompts import Box, Point

_SCAR = "scar"


@dataclass(frozen=True)
class SlicePrompts:
    """What asks for scar on one slice, free of order, names and states, so that two can be compared: the corners of boxes and
    whether the reader set them, and points with their sign."""

    boxes: frozenset[tuple[float, float, float, float, bool]] = frozenset()
    points: frozenset[tuple[float, float, bool]] = frozenset()

    @property
    def ask(self) -> bool:
        """Whether there is anything to segment: negative points alone take nothing away where nothing was found."""
        return bool(self.boxes) or any(positive for _x, _y, positive in self.points)

    def adds_to(self, other: SlicePrompts) -> bool:
        """Whether it holds a box or point that ``other`` lacks."""
        return bool(self.boxes - other.boxes or self.points - other.points)


NO_PROMPTS = SlicePrompts()


def asks(prompts: Mapping[int, SlicePrompts]) -> bool:
    """Whether there is anything to segment on any slice."""
    return any(of_slice.ask for of_slice in prompts.values())


def prompts_by_slice(boxes: Iterable[Box], points: Iterable[Point]) -> dict[int, SlicePrompts]:
    """The prompts that count, per slice: boxes of another label do not, nor those of :attr:`Box.counts`."""
    of_boxes: dict[int, set[tuple[float, float, float, float, bool]]] = {}
    of_points: dict[int, set[tuple[float, float, bool]]] = {}
    for box in boxes:
        if box.counts and box.label == _SCAR:
            of_boxes.setdefault(box.slice, set()).add((*box.xyxy, box.by_reader))
    for point in points:
        of_points.setdefault(point.slice, set()).add((point.x, point.y, point.positive))
    return {
        k: SlicePrompts(frozenset(of_boxes.get(k, ())), frozenset(of_points.get(k, ())))
        for k in sorted(of_boxes.keys() | of_points.keys())
    }


class PendingMasks:
    """The slices for which an edit asked a new mask that is not there yet.

    Attributes:
        missing: these slices, also those whose segmenting failed.
    """

    def __init__(self) -> None:
        self.missing: set[int] = set()
        self._asked: set[int] = set()

    @property
    def slices(self) -> list[int]:
        """The slices whose mask is still to be asked for or on its way."""
        return sorted(self._asked)

    def ask(self, slices: Iterable[int]) -> None:
        """An edit asks for new masks."""
        self._asked.update(slices)
        self.missing |= self._asked

    def arrived(self, slices: Iterable[int]) -> None:
        """The masks of these slices are in the scene."""
        self.missing.difference_update(slices)
        self._asked &= self.missing

    def give_up(self, slices: Iterable[int]) -> None:
        """Segmenting these slices failed: they are missing until the next edit or run, and not asked for again by themselves."""
        self._asked.difference_update(slices)

    def forget(self) -> None:
        """Prompts came back together with their masks: nothing is to be segmented."""
        self.missing.clear()
        self._asked.clear()
