"""A slice as a segmenter is given it, and as its networks look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.segmentation.embedding_cache import EmbeddingKey, content_hash
from MyoScarSegLib.study.frame import Frame

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class SegmenterImage:
    """One slice, with what decides where a segmenter looks at it. Made once; prompts come with each question.

    Attributes:
        voxels: ``[rows, columns]``, raw values, finite. They must not be changed as long as this is in use.
        pixel_spacing_mm: ``(row, column)`` spacing, None if unknown.
        center: ``(x, y)`` of the heart in native pixel edges, for a segmenter that looks at a window; None for the middle of
            the slice.
        below, above: the neighbors of :func:`~MyoScarSegLib.segmentation.neighbors.neighbors`, like ``voxels``; None where
            there is none.

    Raises:
        StudyError: ``voxels`` or a neighbor is not one slice of finite values, or they differ in shape.
    """

    voxels: np.ndarray
    pixel_spacing_mm: tuple[float, float] | None = None
    center: tuple[float, float] | None = None
    below: np.ndarray | None = None
    above: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.voxels.ndim != 2 or min(self.voxels.shape) < 2:
            raise StudyError(f"An array of the shape {self.voxels.shape} is no slice; a segmenter needs [rows, columns].")
        if any(one.shape != self.voxels.shape for one in self.stack):
            raise StudyError("The slices above and below must have the shape of the slice itself.")
        if not all(np.isfinite(one).all() for one in self.stack):
            raise StudyError("The slice holds values that are not finite. Correct or leave out that slice.")

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, columns)``."""
        return int(self.voxels.shape[0]), int(self.voxels.shape[1])

    @property
    def stack(self) -> Sequence[np.ndarray]:
        """The slice, the one below and the one above; the slice itself in place of a missing one."""
        return [self.voxels, *(self.voxels if one is None else one for one in (self.below, self.above))]

    @cached_property
    def content(self) -> str:
        """Checksum of the voxels, by which an embedding is found again; where there are neighbors, of theirs too."""
        own = content_hash(self.voxels)
        if self.below is None and self.above is None:
            return own
        return " ".join([own, *("" if one is None else content_hash(one) for one in (self.below, self.above))])


@dataclass(frozen=True)
class View:
    """What of a slice the networks see.

    Attributes:
        image: the slice.
        frame: from it to the networks' input.
        key: by which SAM's embedding is found again.
    """

    image: SegmenterImage
    frame: Frame
    key: EmbeddingKey

    def key_of(self, what: str) -> EmbeddingKey:
        """Likewise of something else that was made of it."""
        return replace(self.key, view=self.key.view + what)

    def drawn(self, mask: np.ndarray | None) -> torch.Tensor | None:
        """A mask ``[rows, columns]`` of the slice in the input."""
        return None if mask is None else self.frame.image_to_input(mask.astype(np.float32))
