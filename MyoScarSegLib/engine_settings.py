"""What the networks work with, chosen in the panel or by a command: names, bounds, and the pipeline that is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from MyoScarSegLib.errors import EngineError
from MyoScarSegLib.prompts import PROMPTS_AT_ONCE
from MyoScarSegLib.utils import json_fields
from MyoScarSegLib.utils.device import DeviceName
from MyoScarSegLib.utils.json_fields import Limits

if TYPE_CHECKING:
    from MyoScarSegLib.detection import Detector
    from MyoScarSegLib.pipeline import Pipeline
    from MyoScarSegLib.segmentation import EmbeddingCache, Segmenter


@dataclass(frozen=True)
class EngineSettings:
    """The same for the worker, for :meth:`processFolder`, for each process of a cohort and for the panel's form.

    Attributes:
        detector: name in the registry, or path; the default model if None.
        segmenter: likewise.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        confidence: least confidence of a proposed box, as the box tells it; the models' own if None.
        trust: unpickle foreign checkpoints that hold more than tensors.
        threads: of the processor; torch's own choice if None.
        cache_folder: where embeddings are also kept on disk, so that they outlive the worker; None for memory alone.
        cache_mib: most mebibytes of embeddings in memory.
        prompts_at_once: how many boxes or points of a slice the segmenter takes together; fewer need less memory.
        precision: of the segmenter's encoder.

    Raises:
        EngineError: a value is not what its field allows.
    """

    detector: str | Path | None = None
    segmenter: str | Path | None = None
    device: DeviceName = "auto"
    confidence: Annotated[float, Limits(above=0, below=1)] | None = None
    trust: bool = False
    threads: Annotated[int, Limits(1, 1024)] | None = None
    cache_folder: str | Path | None = None
    cache_mib: Annotated[int, Limits(64, 65536, step=128)] = 1024
    prompts_at_once: Annotated[int, Limits(1, 64)] = PROMPTS_AT_ONCE
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    def __post_init__(self) -> None:
        json_fields.check(self, EngineError, "The settings of the calculation")

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; paths are text."""
        document: dict[str, Any] = json_fields.to_json(self)
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> EngineSettings:
        """The inverse of :meth:`to_json`; EngineError if a field is unknown, or a value is not what its field allows."""
        return json_fields.read(cls, document, EngineError, "The settings of the calculation")

    def cache(self) -> EmbeddingCache:
        """A cache of embeddings as these settings have it."""
        from MyoScarSegLib.segmentation import EmbeddingCache

        return EmbeddingCache(self.cache_mib << 20, None if self.cache_folder is None else Path(self.cache_folder))

    def pipeline(
        self, *, detector: Detector | None = None, segmenter: Segmenter | None = None, cache: EmbeddingCache | None = None
    ) -> Pipeline:
        """A pipeline as these settings have it; ``detector``, ``segmenter`` and ``cache`` are there already, if given."""
        import torch

        from MyoScarSegLib.pipeline import Pipeline

        if self.threads:
            torch.set_num_threads(self.threads)
        return Pipeline(
            detector=detector or self.detector,
            segmenter=segmenter or self.segmenter,
            device=self.device,
            precision=self.precision,
            trust=self.trust,
            confidence=self.confidence,
            prompts_at_once=self.prompts_at_once,
            cache=self.cache() if cache is None else cache,
        )
