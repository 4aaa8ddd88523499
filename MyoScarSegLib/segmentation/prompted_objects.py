"""What boxes and clicks mean: the objects that they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.errors import PromptError
from MyoScarSegLib.prompts import Box, Point

if TYPE_CHECKING:
    import torch

_GRACE_PX = 1.0
"""How far a mask may reach beyond a box that the reader set."""
_CLICK_REACH_PX = 2.0
"""How near scar must be to a click outside all boxes to be the scar that is meant."""
_BORDER_REACH = 2.0
"""How far a click changes the mask, in ways from the click to the border of the scar."""
_ELSEWHERE = 0.3
"""How much of the answer to a click counts beyond its own place; with more of it too many clicks make their slice worse."""
_REACH = 0.25
"""How far beyond its box, as a share of the box's longer side, a positive click still speaks of the box's object."""


@dataclass(frozen=True)
class PromptedObject:
    """One object: at most one box, with the points that belong to it."""

    box: Box | None
    points: tuple[Point, ...]

    @property
    def asks(self) -> bool:
        """Whether it says more than the model sees by itself."""
        return self.box is None or self.box.asks or bool(self.points)

    def allowed(self, scar: np.ndarray) -> np.ndarray:
        """bool ``[rows, columns]``: the pixels that the object may reach.

        A box that the reader set is kept to within a pixel, a detector's to within a quarter of its longer side, but for the
        sides beyond which there is a positive click. Clicks alone ask for the pieces of scar that they are on, and for what is
        around them.

        Args:
            scar: bool ``[rows, columns]``: what the network takes for scar.
        """
        if self.box is None:
            return self._clicked(scar)
        shape = scar.shape
        x0, y0, x1, y1 = self.box.xyxy
        grace = _GRACE_PX if self.box.by_reader else _REACH * max(x1 - x0, y1 - y0)
        clicks = [point for point in self.points if point.positive]
        kept = []
        for size, low, high, at in ((shape[0], y0, y1, [p.y for p in clicks]), (shape[1], x0, x1, [p.x for p in clicks])):
            low = -np.inf if min(at, default=low) < low else low - grace
            high = np.inf if max(at, default=high) > high else high + grace
            centers = np.arange(size) + 0.5
            kept.append((centers > low) & (centers < high))
        return kept[0][:, None] & kept[1]

    def _clicked(self, scar: np.ndarray) -> np.ndarray:
        from scipy import ndimage

        clicks = [point for point in self.points if point.positive]
        y, x = np.ogrid[: scar.shape[0], : scar.shape[1]]
        near = np.zeros(scar.shape, dtype=bool)
        for point in clicks:
            near |= np.hypot(y + 0.5 - point.y, x + 0.5 - point.x) <= _CLICK_REACH_PX
        pieces, _ = ndimage.label(scar, structure=np.ones((3, 3)))
        return near | np.isin(pieces, np.setdiff1d(pieces[near], 0))


def prompted_objects(boxes: Sequence[Box], points: Sequence[Point]) -> list[PromptedObject]:
    """Share the points out among the objects.

    Each box is one object. A point inside a box refines that box's object, and so does a positive point a little beyond the
    nearest box (by at most a quarter of its longer side): a reader clicks there on scar that the box cut off. Positive points
    farther from all boxes are together one more object, from which all negative points take away; negative points outside all
    boxes count for every object.

    Args:
        boxes, points: of one slice.

    Raises:
        PromptError: there is nothing, or there are only negative points.
    """
    if not boxes and not any(p.positive for p in points):
        raise PromptError("There is nothing to segment: give a box or a positive point.")
    inside = [[_outside(box, p) <= 0 for p in points] for box in boxes]
    for n, point in enumerate(points):
        if point.positive and boxes and not any(row[n] for row in inside):
            nearest = min(range(len(boxes)), key=lambda m: _outside(boxes[m], point))
            inside[nearest][n] = _outside(boxes[nearest], point) <= _REACH
    loose = [not any(row[n] for row in inside) for n in range(len(points))]
    negative_anywhere = [p for n, p in enumerate(points) if loose[n] and not p.positive]
    objects = [
        PromptedObject(box, (*(p for n, p in enumerate(points) if row[n]), *negative_anywhere))
        for box, row in zip(boxes, inside, strict=True)
    ]
    positive_alone = [p for n, p in enumerate(points) if loose[n] and p.positive]
    if positive_alone:
        objects.append(PromptedObject(None, (*positive_alone, *(p for p in points if not p.positive))))
    return objects


def changed_by_click(before: torch.Tensor, after: torch.Tensor, click: tuple[float, float, bool]) -> torch.Tensor:
    """What a click changes: the piece of scar that comes, or goes, where it is; elsewhere less, and in its direction alone.

    How large the piece is, the click says, too: nothing is wrong between it and the border of the scar, so what is wrong there is
    hardly wider than the way to the border. A click at the border asks for a pixel or two, one far from all scar for a whole
    lesion. Elsewhere it says less: where scar is missed in one place it is more often missed in others, so a positive click
    adds there, and a negative one takes away, what the network changes its mind about most.

    Args:
        before, after: logits ``[side, side]`` of the answers without the click and with it.
        click: x and y in pixel edges, and whether it is positive.
    """
    import torch
    from scipy import ndimage

    at_x, at_y, positive = click
    old, new = (logits.numpy(force=True) > 0 for logits in (before, after))
    y, x = np.ogrid[: old.shape[0], : old.shape[1]]
    distance = np.hypot(y + 0.5 - at_y, x + 0.5 - at_x)
    border = distance[old if positive else ~old]
    reach = _CLICK_REACH_PX + _BORDER_REACH * border.min() if border.size else np.inf
    pieces, _ = ndimage.label(new & ~old if positive else old & ~new, structure=np.ones((3, 3)))
    changed = np.isin(pieces, np.setdiff1d(pieces[distance <= _CLICK_REACH_PX], 0)) & (distance <= reach)
    bound = torch.maximum if positive else torch.minimum
    return torch.where(torch.from_numpy(changed).to(after.device), after, bound(before, before.lerp(after, _ELSEWHERE)))


def _outside(box: Box, point: Point) -> float:
    """How far a point lies outside a box, as a share of the box's longer side; not positive inside."""
    outside = max(box.x0 - point.x, point.x - box.x1, box.y0 - point.y, point.y - box.y1)
    return outside / max(box.x1 - box.x0, box.y1 - box.y0)
