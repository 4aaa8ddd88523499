"""Answers of our own models to the prompts of a slice: what is seen without being asked, and what a reader asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.segmentation.answers import Answers
from MyoScarSegLib.segmentation.context import scar_logits
from MyoScarSegLib.segmentation.context_looks import ContextLooks
from MyoScarSegLib.segmentation.prompted_objects import PromptedObject, changed_by_click
from MyoScarSegLib.segmentation.segmenter_image import View

SamLogits = Callable[[View, Sequence[PromptedObject]], torch.Tensor]
"""SAM's logits ``[objects, side, side]``."""


@dataclass(frozen=True)
class _Answered:
    """The answers to a slice's boxes and to some of its clicks.

    Attributes:
        points: the clicks, in the order in which they were made.
        logits: ``[side, side]`` of each box, calibrated; of None for clicks beyond all boxes.
        context: the context network's own logits of scar, which the next click corrects; None if nothing was asked for.
    """

    points: tuple[Point, ...]
    logits: dict[Box | None, torch.Tensor]
    context: torch.Tensor | None


class ReaderAnswers:
    """The answers to the slice that was asked about last are remembered. Whoever asks holds the segmenter's lock."""

    def __init__(self, looks: ContextLooks, sam: SamLogits) -> None:
        self._looks, self._sam = looks, sam
        self._last: tuple[Any, list[_Answered]] | None = None

    def forget(self) -> None:
        """Drop what is remembered."""
        self._last = None

    def logits(
        self,
        answers: Answers,
        view: View,
        objects: Sequence[PromptedObject],
        points: Sequence[Point],
        beside: np.ndarray | None,
        seen_beside: np.ndarray | None,
    ) -> torch.Tensor:
        """Logits ``[objects, side, side]``, put together by ``answers``; the rest as :meth:`.Segmenter.predict` has it.

        Clicks are answered one after the other, as they were made, each by correcting the answer before
        (:func:`~MyoScarSegLib.segmentation.prompted_objects.changed_by_click`). One more click costs one answer more: those to
        the clicks before it are remembered.
        """
        boxes = tuple(one.box for one in objects)
        told = (answers, view.key, boxes, *(None if of is None else of.tobytes() for of in (beside, seen_beside)))
        steps: list[_Answered] = []
        if self._last is not None and self._last[0] == told:
            steps = list(self._last[1])
            while steps and steps[-1].points != tuple(points[: len(steps) - 1]):
                steps.pop()
        before = steps[-1] if steps else self._unasked(answers, view, boxes, beside, seen_beside)
        for count in range(len(steps), len(points) + 1):
            before = self._answer(answers, view, objects, tuple(points[:count]), before, beside)
            steps.append(before)
        self._last = told, steps
        return torch.stack([before.logits[box] for box in boxes])

    def _unasked(
        self, answers: Answers, view: View, boxes: Sequence[Box | None], beside: np.ndarray | None, seen_beside: np.ndarray | None
    ) -> _Answered:
        """What is seen in each box before anybody asks."""
        unasked = any(box is not None and not box.asks for box in boxes)
        seen = self._looks.agreed(view, beside, seen_beside) if unasked else scar_logits(self._looks.first(view)[1])
        return _Answered((), {box: answers.seen(seen[0]) for box in boxes}, seen[0] if any(boxes) else None)

    def _answer(
        self,
        answers: Answers,
        view: View,
        objects: Sequence[PromptedObject],
        points: tuple[Point, ...],
        before: _Answered,
        beside: np.ndarray | None,
    ) -> _Answered:
        """The answer to boxes and so many clicks, by the answer to one click less."""
        now = [replace(one, points=tuple(p for p in one.points if p in points)) for one in objects]
        asking = [one for one in now if one.asks and (one.box or any(p.positive for p in one.points))]
        if not asking:
            return replace(before, points=points)
        first = not points or before.context is None
        boxes, clicks = [one.box for one in asking if one.box], dict.fromkeys(point for one in asking for point in one.points)
        context = self._looks.prompted(view, boxes, clicks, None if first else before.context, beside)
        # Corrections are the context network's alone: with them it is better without SAM, with a box better together.
        sam = self._sam(view, asking) if answers.sam_share > 0 and first else None
        logits = dict(before.logits)
        for one, answer in zip(asking, answers.asked_for(context.expand(len(asking), -1, -1), sam), strict=True):
            if points and points[-1] not in one.points:
                continue
            if one.box is None or not points:
                logits[one.box] = answer
            else:
                x, y = view.frame.to_input(np.array([points[-1].x, points[-1].y]))
                logits[one.box] = changed_by_click(logits[one.box], answer, (x, y, points[-1].positive))
        return _Answered(points, logits, context)
