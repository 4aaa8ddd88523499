"""Which slices' masks are behind their boxes and points, and how long they have been."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from MyoScarSegLib.prompts import Box, BoxState, Point

SCAR = "scar"


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
    """The prompts that count, per slice: rejected boxes and boxes of another label do not."""
    of_boxes: dict[int, set[tuple[float, float, float, float, bool]]] = {}
    of_points: dict[int, set[tuple[float, float, bool]]] = {}
    for box in boxes:
        if box.state is not BoxState.REJECTED and box.label == SCAR:
            of_boxes.setdefault(box.slice, set()).add((*box.xyxy, box.by_reader))
    for point in points:
        of_points.setdefault(point.slice, set()).add((point.x, point.y, point.positive))
    return {
        k: SlicePrompts(frozenset(of_boxes.get(k, ())), frozenset(of_points.get(k, ())))
        for k in sorted(of_boxes.keys() | of_points.keys())
    }


class LiveEdits:
    """Compares the prompts with those of the masks, and measures from an edit to its mask.

    A slice is *behind* when its prompts are not those of its mask any more. It also *waits* when an edit of the user brought
    that about, which asks for a new mask at once; new proposals on a slice with a mask leave it behind without waiting.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._prompts: dict[int, SlicePrompts] = {}
        self._behind: set[int] = set()
        self._since: dict[int, float] = {}
        self._latencies_ms: deque[float] = deque(maxlen=200)

    @property
    def behind(self) -> list[int]:
        """The slices that are behind."""
        return sorted(self._behind)

    @property
    def waiting(self) -> dict[int, SlicePrompts]:
        """The slices that wait for a new mask, with what they shall be segmented with."""
        return {k: self.of(k) for k in sorted(self._since)}

    @property
    def latencies_ms(self) -> list[float]:
        """Milliseconds from an edit to its mask in the scene, the latest 200."""
        return list(self._latencies_ms)

    @property
    def any_ask(self) -> bool:
        """Whether any slice has something to segment."""
        return any(prompts.ask for prompts in self._prompts.values())

    def of(self, k: int) -> SlicePrompts:
        """The prompts on a slice now."""
        return self._prompts.get(k, NO_PROMPTS)

    def edited(self, prompts: Mapping[int, SlicePrompts], segmented: Iterable[int]) -> set[int]:
        """Take notice of the prompts after an edit of the user.

        Args:
            prompts: of the whole study, now.
            segmented: slices that have a mask of the model.

        Returns:
            The slices that wait because of this edit: those with a mask, and those that got a prompt.
        """
        segmented = set(segmented)
        waiting = {k for k, old in self._replace(prompts).items() if k in segmented or self.of(k).adds_to(old)}
        self._behind |= waiting
        self._since |= dict.fromkeys(waiting, self._clock())
        return waiting

    def proposed(self, prompts: Mapping[int, SlicePrompts], segmented: Iterable[int]) -> None:
        """Take notice of the prompts after new proposals: slices with a mask are behind, and none waits for it."""
        self._behind |= self._replace(prompts).keys() & set(segmented)

    def restored(self, prompts: Mapping[int, SlicePrompts], behind: Iterable[int] = ()) -> None:
        """Take notice of prompts that came back with their masks: after undo, or with a scene that was loaded.

        ``behind`` are slices whose mask was behind already then. None waits: a new mask would cost the user the redo.
        """
        self._prompts = dict(prompts)
        self._behind = set(behind)
        self._since.clear()

    def done(self, k: int, made_with: SlicePrompts, *, live: bool = True) -> bool:
        """A mask of slice ``k`` is in the scene. Returns whether the slice has caught up with its prompts.

        The time since the edit counts only where the mask was made because of it (``live``).
        """
        if self.of(k) != made_with:
            return False
        self._behind.discard(k)
        since = self._since.pop(k, None)
        if since is not None and live:
            self._latencies_ms.append((self._clock() - since) * 1000)
        return True

    def give_up(self, slices: Iterable[int]) -> None:
        """These slices wait no longer, because segmenting failed; they stay behind until the next edit or run."""
        for k in slices:
            self._since.pop(k, None)

    def _replace(self, prompts: Mapping[int, SlicePrompts]) -> dict[int, SlicePrompts]:
        """Take the prompts. Returns those before, of the slices on which they differ."""
        before, self._prompts = self._prompts, dict(prompts)
        return {
            k: before.get(k, NO_PROMPTS)
            for k in sorted(before.keys() | prompts.keys())
            if before.get(k, NO_PROMPTS) != self.of(k)
        }
