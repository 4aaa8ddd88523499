"""Windows of a frozen image encoder: augmented copies of each slice whose embeddings are made once and kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.segmentation.cache import EmbeddingCache, EmbeddingKey, content_hash
from MyoScarSegLib.segmentation.preprocessing import encoder_input, preprocessing
from MyoScarSegLib.study.normalise import NORMALISATION
from MyoScarSegLib.training.finetune.samples import Item, TrainingSlice, windowed

if TYPE_CHECKING:
    import torch
    from torch import nn

    from MyoScarSegLib.training.augmentation import Augmenter


class EmbeddingBank:
    """``copies`` augmented windows of every slice with their embeddings.

    An embedding is found again by the slice's content, the encoder's checksum, the preprocessing with the normalisation's
    version, and the augmentation with its seed; if any of them changes, it is made anew.

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
        model_sha256: str,
        preprocessing_id: str,
        folder: Path | None,
        memory_bytes: int = 3 << 30,
    ) -> None:
        """Prepare; nothing is computed yet.

        Args:
            samples: the slices.
            encoder: the frozen image encoder.
            augmenter: with the preset and the window's side.
            copies: windows per slice.
            seed: of the augmentation.
            window_mm: size of the window.
            model_sha256: of the checkpoint that the encoder is from.
            preprocessing_id: of that checkpoint's successor.
            folder: where embeddings are kept on disk; None for memory alone.
            memory_bytes: most that is held in memory.
        """
        self.cache = EmbeddingCache(memory_bytes, folder, disk_budget_bytes=16 << 30)
        self.copies = copies
        self._samples = samples
        self._encoder = encoder
        self._augmenter = augmenter
        self._seed = seed
        self._window_mm = window_mm
        self._model_sha256 = model_sha256
        self._preprocessing = preprocessing(preprocessing_id)
        self._recipe = f"{preprocessing_id} {NORMALISATION}"
        preset = json.dumps(asdict(augmenter.preset), sort_keys=True, default=str)
        self._view = f"{augmenter.side} {window_mm} {hashlib.sha256(preset.encode()).hexdigest()}"
        # Labels are no part of it: corrected ones do not cost the embeddings.
        self._contents = [content_hash(s.image) for s in samples]
        self._windows: dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]] = {}

    def fill(self, progress: Progress = no_progress, cancel: CancelToken | None = None) -> None:
        """Make all embeddings that are not there yet.

        Raises:
            Cancelled: the token was set; what was made is kept.
        """
        total = len(self._samples) * self.copies
        for done in range(total):
            if cancel is not None:
                cancel.raise_if_cancelled()
            progress(done, total, "Preparing the training windows")
            self.item(done % len(self._samples), done // len(self._samples))
        progress(total, total, "Preparing the training windows")

    def item(self, number: int, copy: int) -> Item:
        """Window ``copy`` of slice ``number`` with its embedding."""
        import torch

        sample = self._samples[number]
        held = self._windows.get((number, copy))
        if held is None:
            made = windowed(sample, self._augmenter, self._window_mm, (self._seed, number, copy))
            held = made.image.half(), made.targets.to(torch.int16)
            self._windows[number, copy] = held
        # What is kept in half precision is what is encoded, so that the first pass sees the very same as later ones.
        image = held[0].float()
        view = f"{self._view} {sample.centre} {sample.pixel_mm} {self._seed} {number} {copy}"
        key = EmbeddingKey(self._contents[number], self._model_sha256, self._recipe, view)
        features: Any = self.cache.get(key)
        if features is None:
            device = next(self._encoder.parameters()).device
            with torch.inference_mode():
                features = self._encoder(encoder_input(image[None].to(device), self._preprocessing))[0].half().cpu()
            self.cache.put(key, features)
        # A copy that autograd may keep: inference tensors cannot be saved for a backward pass.
        return Item(image, held[1].long(), sample.wall_known, features.clone())
