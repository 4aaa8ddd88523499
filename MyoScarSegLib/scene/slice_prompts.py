"""What asks for scar on one slice, and the slices whose edit waits for its mask."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
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
    """The slices for which an edit asked a new mask that is not there yet, and how long edits took.

    Attributes:
        missing: these slices, also those whose segmenting failed.
        latencies_ms: milliseconds from an edit to its mask in the scene, the latest 200.
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.missing: set[int] = set()
        self.latencies_ms: deque[float] = deque(maxlen=200)
        self.clock = clock
        self._asked_s: dict[int, float] = {}

    @property
    def slices(self) -> list[int]:
        """The slices whose mask is still to be asked for or on its way."""
        return sorted(self._asked_s)

    def ask(self, slices: Iterable[int]) -> None:
        """An edit asks for new masks."""
        for k in slices:
            self.missing.add(k)
            self._asked_s[k] = self.clock()

    def arrived(self, k: int, *, live: bool) -> None:
        """The mask of a slice is in the scene; the time since the edit counts only if it was made because of it (``live``)."""
        self.missing.discard(k)
        since = self._asked_s.pop(k, None)
        if since is not None and live:
            self.latencies_ms.append((self.clock() - since) * 1000)

    def give_up(self, slices: Iterable[int]) -> None:
        """Segmenting these slices failed: they are missing until the next edit or run, and not asked for again by themselves."""
        for k in slices:
            self._asked_s.pop(k, None)

    def forget(self) -> None:
        """Prompts came back together with their masks: nothing is to be segmented."""
        self.missing.clear()
        self._asked_s.clear()
