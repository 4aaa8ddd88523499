"""The networks of a run over many studies, as each of its processes makes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.utils.files import cache_folder
from MyoScarSegLib.utils.locks import locked
from MyoScarSegLib.utils.memory import keep_freed_memory

_CACHE_BYTES = 64 << 20
"""Embeddings serve within a study, and are dropped at its end."""


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

    def for_worker(self, number: int) -> NetworksChoice:
        """The choice of one of several processes: where there are several GPUs they take them in turn."""
        import torch

        gpus = torch.cuda.device_count() if self.device in ("auto", "cuda") and torch.cuda.is_available() else 0
        return replace(self, device=f"cuda:{number % gpus}") if gpus else self

    @contextmanager
    def turn(self) -> Iterator[None]:
        """While a process works on a GPU, others of this computer that share it wait; reading and writing go on meanwhile."""
        if not self.device.startswith("cuda"):
            yield
            return
        with locked(cache_folder() / f"{self.device.replace(':', '-')}.lock"):
            yield

    def pipeline(self) -> Pipeline:
        """A pipeline with these networks; they are loaded when they are first needed."""
        import torch

        from MyoScarSegLib.segmentation import EmbeddingCache

        keep_freed_memory()
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
