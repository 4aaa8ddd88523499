"""The networks of a run over many studies, as each of its processes makes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from MyoScarSegLib.pipeline import Pipeline

_CACHE_BYTES = 128 << 20
"""Embeddings serve within a study: more of them would only be memory that fills up."""


@dataclass(frozen=True)
class NetworksChoice:
    """What a process loads once; it can be sent to another one.

    Attributes:
        detector, segmenter, device, precision, trust: as of :class:`~MyoScarSegLib.networks.Networks`.
        confidence: as of :class:`~MyoScarSegLib.pipeline.Pipeline`.
        threads: of the processor, for each process; torch's own choice if None.
    """

    detector: str | Path | None = None
    segmenter: str | Path | None = None
    device: str = "auto"
    precision: str = "auto"
    confidence: float | None = None
    trust: bool = False
    threads: int | None = None

    def pipeline(self) -> Pipeline:
        """A pipeline with these networks; they are loaded when they are first needed."""
        import torch

        from MyoScarSegLib.segmentation import EmbeddingCache

        if self.threads:
            torch.set_num_threads(self.threads)
        return Pipeline(
            detector=self.detector,
            segmenter=self.segmenter,
            device=self.device,
            precision=self.precision,
            confidence=self.confidence,
            trust=self.trust,
            cache=EmbeddingCache(_CACHE_BYTES),
        )
