"""What the context network sees on a slice: at first, told of scar on the neighbors, and asked with prompts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch

from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.segmentation.context import scar_logits
from MyoScarSegLib.segmentation.embedding_cache import EmbeddingCache, content_hash
from MyoScarSegLib.segmentation.neighbors import SLICES
from MyoScarSegLib.segmentation.polar import ventricle_centers
from MyoScarSegLib.segmentation.preprocessing import Preprocessing, heart_contrast
from MyoScarSegLib.segmentation.prompt_maps import prompt_maps
from MyoScarSegLib.segmentation.segmenter_image import View

_ALONE: tuple[tuple[int, ...], ...] = ((), (3,), (2,), (2, 3))
_PROMPTED: tuple[tuple[int, ...], ...] = ((), (3,))
"""Axes along which the window is mirrored for each look, when a slice is taken in and when it is asked."""
_LATER_LOOKS_BYTES = 64 << 20
"""Most that is kept of later looks: some 220 KiB a slice."""
_OWN_BOX_PX = 4
"""Fewest pixels of scar that the program draws a box round for itself."""


class ContextLooks:
    """The context network of a segmenter, and what it has seen. Whoever asks holds the segmenter's lock."""

    def __init__(self, model: Any, recipe: Preprocessing, cache: EmbeddingCache, device: torch.device) -> None:
        """Of a model with ``context`` and perhaps ``asked``, on its device; first looks are kept in ``cache``."""
        self._model, self._recipe, self._cache, self._device = model, recipe, cache, device
        # Of a model without a twin, the network that looks at slices also answers.
        self._asked = "asked" if "asked" in model else "context"
        self._later = EmbeddingCache(min(_LATER_LOOKS_BYTES, cache.budget_bytes // 2))

    def forget(self) -> None:
        """Drop the later looks."""
        self._later.clear()

    def first(self, view: View) -> tuple[torch.Tensor, torch.Tensor]:
        """What the network looks at, ``[1, 3, side, side]``, and the tissues that it sees there without prompts."""
        key = view.key_of("seen")
        seen = self._cache.get(key)
        if seen is None:
            stack = [view.frame.image_to_input(self._recipe.intensities(one)) for one in view.image.stack]
            slices = heart_contrast(torch.stack(stack)[None].to(self._device))
            seen = torch.cat([slices, self.tissues("context", slices, prompt_maps(slices.shape[-1]), _ALONE)], dim=1)
            self._cache.put(key, seen)
        seen = seen.to(self._device)
        return seen[:, : len(SLICES)], seen[:, len(SLICES) :]

    def told(self, view: View, beside: np.ndarray | None) -> torch.Tensor:
        """Tissues without prompts, but told of scar on the neighbors; made once for all that need it."""
        slices, first = self.first(view)
        if beside is None:
            return first

        def look() -> torch.Tensor:
            return self.tissues("context", slices, prompt_maps(slices.shape[-1], beside=view.drawn(beside)), _ALONE)

        return self._once(view, f"told {content_hash(beside)}", look)

    def agreed(self, view: View, beside: np.ndarray | None, seen_beside: np.ndarray | None = None) -> torch.Tensor:
        """Logits of scar ``[1, side, side]`` that both networks agree on where nobody asked: the mean of the map's and of the
        answer to a box, as a reader would draw it, round all scar on it. The answering network knows that there is some. With
        ``seen_beside``, scar that was so found on the neighbors, it is asked once more, about a box round what was agreed on.
        """
        again = seen_beside is not None

        def look() -> torch.Tensor:
            mapped = scar_logits(self.told(view, beside))
            box = _box_round(self.agreed(view, beside) if again else mapped)
            if box is None:
                return mapped
            scar = view.drawn(seen_beside if again else beside)
            looks = _PROMPTED if again else _PROMPTED[:1]
            maps = prompt_maps(mapped.shape[-1], [box], beside=scar)
            return (mapped + scar_logits(self._ask(view, maps, looks))) / 2

        shown = [of for of in (beside, seen_beside) if of is not None]
        return self._once(view, " ".join(["agreed", str(again), *map(content_hash, shown)]), look)

    def answered(self, view: View, boxes: Sequence[Box], beside: np.ndarray | None) -> torch.Tensor:
        """Logits of scar ``[1, side, side]`` that one look finds in a reader's boxes; made once for both neighbors."""

        def look() -> torch.Tensor:
            places = [view.frame.box_to_input(box.xyxy) for box in boxes]
            maps = prompt_maps(view.frame.size[0], places, beside=view.drawn(beside))
            return scar_logits(self._ask(view, maps, _PROMPTED[:1]))

        told = "" if beside is None else content_hash(beside)
        return self._once(view, f"answered {[box.xyxy for box in boxes]} {told}", look)

    def prompted(
        self,
        view: View,
        boxes: Iterable[Box],
        points: Iterable[Point],
        hint: torch.Tensor | None = None,
        beside: np.ndarray | None = None,
    ) -> torch.Tensor:
        """Logits of scar ``[side, side]``, asked with all prompts at once; ``hint`` are those of the answer before."""
        frame = view.frame
        clicks = [(*frame.to_input(np.array([p.x, p.y])), p.positive) for p in points]
        shown = None if hint is None else hint.sigmoid()
        maps = prompt_maps(frame.size[0], [frame.box_to_input(box.xyxy) for box in boxes], clicks, shown, view.drawn(beside))
        return scar_logits(self._ask(view, maps, _PROMPTED))[0]

    def _ask(self, view: View, maps: torch.Tensor, looks: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """Of the network that answers, as :meth:`tissues`; it sees the window around the ventricle that a first look found."""
        slices, seen = self.first(view)
        centers = ventricle_centers(seen) if self._asked == "asked" else None
        return self.tissues(self._asked, slices, maps, looks, centers)

    def tissues(
        self,
        network: str,
        slices: torch.Tensor,
        maps: torch.Tensor,
        looks: Sequence[tuple[int, ...]],
        centers: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Logarithms of the tissues' probabilities ``[1, 4, side, side]``, the mean of looks at the mirrored window; ``centers``
        as :class:`.PolarNetwork` has them, which needs them.
        """
        x = torch.cat([torch.cat([slices, maps[None].to(slices)], dim=1).flip(axes) for axes in looks])
        inputs = [x[:, : slices.shape[1]], x[:, slices.shape[1] :]]
        if centers is not None:
            side = slices.shape[-1]
            mirrored = [[axis in axes for axis in (3, 2)] for axes in looks]
            inputs.append(torch.where(torch.tensor(mirrored, device=centers.device), side - centers, centers))
        answers = self._model[network](*inputs).log_softmax(1)
        back = torch.stack([answer.flip([axis - 1 for axis in axes]) for answer, axes in zip(answers, looks, strict=True)])
        return (back.logsumexp(0) - math.log(len(looks)))[None]

    def _once(self, view: View, what: str, look: Callable[[], torch.Tensor]) -> torch.Tensor:
        key = view.key_of(what)
        found = self._later.get(key)
        if found is None:
            found = look()
            self._later.put(key, found)
        return found.to(self._device)


def _box_round(scar: torch.Tensor) -> tuple[float, float, float, float] | None:
    """Round all scar of logits ``[1, side, side]``, a pixel wider, as readers draw it; None of next to none."""
    rows, columns = torch.nonzero(scar[0] > 0, as_tuple=True)
    if len(rows) < _OWN_BOX_PX:
        return None
    return float(columns.min() - 1), float(rows.min() - 1), float(columns.max() + 2), float(rows.max() + 2)
