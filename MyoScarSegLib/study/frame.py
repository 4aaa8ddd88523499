"""The one geometry between a slice's native pixels and a network's input: crop, resize, pad, and back.

All coordinates are continuous pixel *edges*: x runs along columns from 0 at the left edge of the first pixel to the
number of columns at the right edge of the last. The mapping is a scale and a shift per axis, so boxes, points and
masks go both ways exactly; the only rounding is that of the resized size to whole pixels, which the scale accounts for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Frame:
    """Where a slice lies in a network's input.

    Attributes:
        shape: ``(rows, columns)`` of the native slice.
        region: ``(x0, y0, x1, y1)`` native pixels, whole numbers, that the network sees; the whole slice or a crop.
            It may reach beyond the slice; what is there is padding.
        content: ``(rows, columns)`` of the region after resizing; it starts at the input's top left corner.
        size: ``(rows, columns)`` of the network's input; the rest is padding.
    """

    shape: tuple[int, int]
    region: tuple[int, int, int, int]
    content: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def fit(
        cls,
        shape: tuple[int, int],
        size: tuple[int, int],
        *,
        region: tuple[int, int, int, int] | None = None,
        pixel_spacing_mm: tuple[float, float] | None = None,
        stretch: bool = False,
    ) -> Frame:
        """The frame that fits a slice (or a region of it) into ``size``, longest side first, padded right and below.

        Args:
            shape: ``(rows, columns)`` of the slice.
            size: ``(rows, columns)`` of the network's input.
            region: ``(x0, y0, x1, y1)`` to look at, in native pixels; None for the whole slice.
            pixel_spacing_mm: ``(row, column)`` spacing. If given, the *physical* aspect ratio is kept, so that a round
                ventricle stays round in a slice with oblong pixels; else that of the pixels.
            stretch: fill ``size`` in both directions. Only for foreign checkpoints that were trained so.
        """
        x0, y0, x1, y1 = region or (0, 0, shape[1], shape[0])
        if stretch:
            content = size
        else:
            row_mm, column_mm = pixel_spacing_mm or (1.0, 1.0)
            height, width = (y1 - y0) * row_mm, (x1 - x0) * column_mm
            scale = min(size[0] / height, size[1] / width)
            content = (min(size[0], max(1, round(height * scale))), min(size[1], max(1, round(width * scale))))
        return cls(shape, (x0, y0, x1, y1), content, size)

    @property
    def scale(self) -> tuple[float, float]:
        """``(x, y)`` input pixels per native pixel."""
        x0, y0, x1, y1 = self.region
        return self.content[1] / (x1 - x0), self.content[0] / (y1 - y0)

    def to_input(self, points: np.ndarray) -> np.ndarray:
        """Native ``(..., 2)`` points (x, y) to the network's input, both in pixel edges."""
        return (np.asarray(points, dtype=np.float64) - self.region[:2]) * self.scale

    def to_native(self, points: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`to_input`."""
        return np.asarray(points, dtype=np.float64) / self.scale + self.region[:2]

    def box_to_input(self, box: tuple[float, float, float, float]) -> np.ndarray:
        """Native ``(x0, y0, x1, y1)`` to the network's input."""
        return self.to_input(np.reshape(box, (2, 2))).reshape(4)

    def box_to_native(self, box: tuple[float, float, float, float]) -> np.ndarray:
        """The inverse of :meth:`box_to_input`."""
        return self.to_native(np.reshape(box, (2, 2))).reshape(4)

    def image_to_input(self, image: np.ndarray) -> torch.Tensor:
        """Resample a native slice to the network's input (bilinear, anti-aliased where it shrinks).

        Args:
            image: ``[rows, columns]``, native.

        Returns:
            float32 tensor ``[rows, columns]`` of :attr:`size`; padding is 0.
        """
        import torch
        from torch.nn import functional

        x0, y0, x1, y1 = self.region
        crop = np.zeros((y1 - y0, x1 - x0), dtype=np.float32)
        in_slice, in_region = self._shared
        crop[in_region] = image[in_slice]
        tensor = torch.from_numpy(crop)[None, None]
        if self.content != crop.shape:
            tensor = functional.interpolate(tensor, self.content, mode="bilinear", antialias=True)
        padding = (0, self.size[1] - self.content[1], 0, self.size[0] - self.content[0])
        return functional.pad(tensor[0, 0], padding)

    def logits_to_native(self, logits: torch.Tensor, outside: float) -> np.ndarray:
        """Resample a network's output back to the native slice.

        Args:
            logits: ``[rows, columns]`` covering the whole input, at any resolution.
            outside: value of the native pixels that the network did not see.

        Returns:
            float32 ``[rows, columns]``, native.
        """
        import torch
        from torch.nn import functional

        logits = logits.to(torch.float32)
        if tuple(logits.shape) != self.size:
            logits = functional.interpolate(logits[None, None], self.size, mode="bilinear", antialias=False)[0, 0]
        x0, y0, x1, y1 = self.region
        logits = logits[: self.content[0], : self.content[1]]
        if self.content != (y1 - y0, x1 - x0):
            logits = functional.interpolate(logits[None, None], (y1 - y0, x1 - x0), mode="bilinear", antialias=True)[0, 0]
        native = np.full(self.shape, outside, dtype=np.float32)
        in_slice, in_region = self._shared
        native[in_slice] = logits.cpu().numpy()[in_region]
        return native

    @property
    def _shared(self) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Rows and columns of the part of the region that lies in the slice: those of the slice, and of the region."""
        x0, y0, x1, y1 = self.region
        top, bottom, left, right = max(y0, 0), min(y1, self.shape[0]), max(x0, 0), min(x1, self.shape[1])
        return (slice(top, bottom), slice(left, right)), (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
