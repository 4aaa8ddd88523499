"""Which slices' masks are behind their boxes and points, and how long they have been."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from MyoScarSegLib.prompts import Box, BoxState, Point

SCAR = "scar"


@dataclass(frozen=True)
class SlicePrompts:
    """What asks for scar on one slice, free of order, names and states, so that two can be compared."""

    boxes: frozenset[tuple[float, float, float, float]] = frozenset()
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
    """The prompts that count, per slice: rejected boxes and boxes of another label do not."""
    of_boxes: dict[int, set[tuple[float, float, float, float]]] = {}
    of_points: dict[int, set[tuple[float, float, bool]]] = {}
    for box in boxes:
        if box.state is not BoxState.REJECTED and box.label == SCAR:
            of_boxes.setdefault(box.slice, set()).add(box.xyxy)
    for point in points:
        of_points.setdefault(point.slice, set()).add((point.x, point.y, point.positive))
    return {
        k: SlicePrompts(frozenset(of_boxes.get(k, ())), frozenset(of_points.get(k, ())))
        for k in sorted(of_boxes.keys() | of_points.keys())
    }


class LiveEdits:
    """Compares the prompts with those of the masks, and measures from an edit to its mask.

    A slice is *behind* when its prompts changed after its mask was made, or when a prompt was added to a slice without mask.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._prompts: dict[int, SlicePrompts] = {}
        self._since: dict[int, float] = {}
        self._latencies_ms: deque[float] = deque(maxlen=200)

    @property
    def behind(self) -> dict[int, SlicePrompts]:
        """The slices that are behind, with what they shall be segmented with."""
        return {k: self.of(k) for k in sorted(self._since)}

    @property
    def latencies_ms(self) -> list[float]:
        """Milliseconds from an edit to its mask in the scene, the latest 200."""
        return list(self._latencies_ms)

    @property
    def median_ms(self) -> float | None:
        """Median of :attr:`latencies_ms`; None before the first."""
        return median(self._latencies_ms) if self._latencies_ms else None

    def of(self, k: int) -> SlicePrompts:
        """The prompts on a slice now."""
        return self._prompts.get(k, NO_PROMPTS)

    def prompts(self) -> dict[int, SlicePrompts]:
        """All prompts now, per slice."""
        return dict(self._prompts)

    def note(self, prompts: Mapping[int, SlicePrompts], segmented: Iterable[int]) -> set[int]:
        """Take notice of the prompts after an edit of the user.

        Args:
            prompts: of the whole study, now.
            segmented: slices that have a mask of the model.

        Returns:
            The slices that are behind because of this edit.
        """
        before, self._prompts = self._prompts, dict(prompts)
        segmented = set(segmented)
        changed = set()
        for k in before.keys() | prompts.keys():
            old, new = before.get(k, NO_PROMPTS), self.of(k)
            if old != new and (k in segmented or new.adds_to(old)):
                self._since[k] = self._clock()
                changed.add(k)
        return changed

    def accept(self, prompts: Mapping[int, SlicePrompts]) -> None:
        """Take notice of prompts that came with their masks, or that ask for none: proposals, undo, a scene that was loaded."""
        self._prompts = dict(prompts)
        self._since.clear()

    def done(self, k: int, made_with: SlicePrompts) -> bool:
        """A mask of slice ``k`` is in the scene. Returns whether the slice has caught up with its prompts."""
        if self.of(k) != made_with:
            return False
        since = self._since.pop(k, None)
        if since is not None:
            self._latencies_ms.append((self._clock() - since) * 1000)
        return True

    def give_up(self, slices: Iterable[int]) -> None:
        """These slices will not be segmented now: that failed, or was cancelled. The next edit of one counts anew."""
        for k in slices:
            self._since.pop(k, None)
