"""Windows of a frozen image encoder: augmented copies of each slice whose embeddings are made once and kept on disk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch import nn

from MyoScarSegLib.segmentation.embedding_cache import EmbeddingCache, EmbeddingKey, content_hash
from MyoScarSegLib.segmentation.preprocessing import encoder_input, preprocessing
from MyoScarSegLib.study.normalization import NORMALIZATION
from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.finetune.network import checksum
from MyoScarSegLib.training.finetune.training_slices import TrainingSlice, sam_window
from MyoScarSegLib.training.loop.gradients import Item, too_little_memory
from MyoScarSegLib.training.loop.training_processes import Processes
from MyoScarSegLib.utils.device import is_out_of_memory
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

_Window = tuple[torch.Tensor, torch.Tensor, EmbeddingKey]
PREPARING = "Preparing the training windows"
_SEED_DIGITS = 12
_MEMORY_BYTES, _WINDOW_BYTES = 3 << 30, 1 << 30
"""Of embeddings and of windows that are held in memory, at most; other windows are drawn again. A laptop has room for both."""
_PIXEL_BYTES = 10
"""Of a window: its image and four targets, in two bytes each."""
_DISK_BYTES = 16 << 30
"""Of embeddings on disk, at most: some forty thousand windows of LiteMedSAM."""


class CachedWindows:
    """``copies`` augmented windows of every slice with their embeddings.

    A window is drawn by the seed, the slice's content and the copy's number, whatever other slices there are. Its embedding is
    found again by the pixels of the window itself, the encoder's own tensors, and the preprocessing with the normalization: so
    whatever changes the window makes a new embedding, and corrected labels or more patients do not; nor does another model
    with the same encoder, such as one that this kind of training gave.

    Attributes:
        cache: of the embeddings; its ``misses`` count those that were made.
    """

    def __init__(
        self,
        samples: Sequence[TrainingSlice],
        encoder: nn.Module,
        augmenter: Augmenter,
        *,
        copies: int,
        seed: int,
        window_mm: float,
        preprocessing_id: str,
        folder: Path | None,
    ) -> None:
        """Prepare ``copies`` windows, of the augmenter's side, of each slice for a frozen ``encoder``; nothing is computed yet.
        Embeddings are kept in ``folder``, None for memory alone.
        """
        self.cache = EmbeddingCache(_MEMORY_BYTES, folder, disk_budget_bytes=_DISK_BYTES)
        self.copies = copies
        self._samples = samples
        self._encoder = encoder
        self._augmenter = augmenter
        self._seed = seed
        self._window_mm = window_mm
        self._encoder_sha256 = checksum(encoder)
        self._preprocessing = preprocessing(preprocessing_id)
        self._recipe = f"{preprocessing_id} {NORMALIZATION}"
        self._seeds = [int(content_hash(s.image)[:_SEED_DIGITS], 16) for s in samples]
        self._window = lru_cache(_WINDOW_BYTES // (_PIXEL_BYTES * augmenter.side**2))(self._drawn)

    def fill(self, processes: Processes, progress: Progress = no_progress, cancel: CancelToken | None = None) -> None:
        """Make all embeddings that are not there yet, each process its share of them. A cancel keeps what is made."""
        total = len(self._samples) * self.copies
        for first in range(0, total, processes.count):
            processes.check(cancel)
            progress(first, total, PREPARING)
            number = first + processes.index
            processes.together(partial(self._make, number))
        progress(total, total, PREPARING)

    def _make(self, number: int) -> None:
        copy, of_slice = divmod(number, len(self._samples))
        if copy >= self.copies:
            return  # there are fewer left than processes
        try:
            self.item(of_slice, copy)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise too_little_memory(next(self._encoder.parameters()).device) from error
            raise

    def item(self, number: int, copy: int) -> Item:
        """Window ``copy`` of slice ``number`` with its embedding."""
        half, targets, key = self._window(number, copy)
        # What is kept in half precision is what is encoded, so that the first pass sees the very same as later ones.
        image = half.float()
        features = self.cache.get(key)
        if features is None:
            device = next(self._encoder.parameters()).device
            with torch.inference_mode():
                features = self._encoder(encoder_input(image[None].to(device), self._preprocessing))[0].half().cpu()
            self.cache.put(key, features)
        # A copy that autograd may keep: inference tensors cannot be saved for a backward pass.
        return Item(image, targets.long(), self._samples[number].wall_known, features.clone())

    def _drawn(self, number: int, copy: int) -> _Window:
        """A window and its targets, in small numbers, and what its embedding is found by."""
        made = sam_window(self._samples[number], self._augmenter, self._window_mm, (self._seed, self._seeds[number], copy))
        image = made.image.half()
        key = EmbeddingKey(content_hash(image.numpy()), self._encoder_sha256, self._recipe, "training window")
        return image, made.targets.to(torch.int16), key
