"""What the worker does for each kind of request: the one place where frames meet the pipeline."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.engine.burden_messages import burden_job_of
from MyoScarSegLib.engine.burden_work import draw_picture, write_report_of
from MyoScarSegLib.engine.messages import masks_of, proposals_message, read_message
from MyoScarSegLib.engine.request_queue import Asked, RequestQueue
from MyoScarSegLib.engine_settings import EngineSettings
from MyoScarSegLib.errors import EngineError, ModelError
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.progress import Progress

if TYPE_CHECKING:
    from MyoScarSegLib.pipeline import Pipeline
    from MyoScarSegLib.segmentation import EmbeddingCache, Segmenter

_LOADING = "Loading the models"
_TEST_SIDE_PX = 256
_TEST_PASSES = 3


class Work:
    """The pipeline of this process, made for the settings when it is first needed and kept.

    Attributes:
        studies: by key.
        settings: to work with; set by another thread at any time, they hold from the next step on.
    """

    def __init__(self, loading: Callable[[bool], None]) -> None:
        """
        Args:
            loading: called with True before libraries or models are loaded, and with False after.
        """
        self.studies: dict[str, Study] = {}
        self.settings = EngineSettings()
        self._told_loading = loading
        self._made_for: EngineSettings | None = None
        self._pipeline: Pipeline | None = None
        self._detector: Any = None
        self._segmenter: Segmenter | None = None
        self._cache: EmbeddingCache | None = None

    def step(self, asked: Asked, queue: RequestQueue, report: Progress) -> dict[str, Any] | None:
        """Do what is asked, or one slice of it where it is ``encode``. Returns the answer, None if there is more to do.

        Raises:
            MyoScarSegError: it cannot be done.
            Cancelled: its token was set.
        """
        asked.token.raise_if_cancelled()
        if asked.what == "models":
            return {"value": list_models()}
        if asked.what == "device_test":
            return {"value": self._device_test(report)}
        study = self.studies.get(asked.key)
        if study is None:
            raise EngineError("The study was closed before its turn came.")
        if asked.what == "encode":
            return self._encode(asked, study, queue, report)
        verbs = {
            "propose": self._propose,
            "suggest": self._suggest,
            "segment": self._segment,
            "ventricle": self._ventricle,
            "picture": self._picture,
            "report": self._report,
        }
        return verbs[asked.what](asked, study, report)

    def facts(self) -> dict[str, Any]:
        """What is loaded now; quick, and safe to ask from another thread."""
        torch = sys.modules.get("torch")
        segmenter, cache = self._segmenter, self._cache
        facts: dict[str, Any] = {"torch": getattr(torch, "__version__", "")}  # empty while it is being imported
        if segmenter is not None and torch is not None:
            facts["segmenter"], facts["knows_tissue"] = segmenter.name, segmenter.knows_tissue
            facts["device"] = _in_words(torch, segmenter.device)
        if self._detector is not None:
            facts["detector"] = self._detector.name
        if cache is not None:
            facts["embeddings"] = len(cache)
        return facts

    # ------------------------------------------------------------------ the verbs

    def _encode(self, asked: Asked, study: Study, queue: RequestQueue, report: Progress) -> dict[str, Any] | None:
        done = asked.encoded
        total = len(asked.left) + len(done.slices) + len(done.failed_slices)
        if asked.left:
            pipeline = self._ready(report, total)
            k = queue.next_slice(asked)
            report(total - len(asked.left) - 1, total, f"Encoding: slice {k}")
            encoded = pipeline.encode(study, [k], cancel=asked.token)
            done.slices.extend(encoded.slices)
            done.failed_slices.update(encoded.failed_slices)
            report(total - len(asked.left), total, "Encoding")
        return None if asked.left else to_json(done)

    def _propose(self, asked: Asked, study: Study, report: Progress) -> dict[str, Any]:
        pipeline = self._ready(report, study.slices)
        found = pipeline.propose(study, progress=report, cancel=asked.token)
        asked.token.raise_if_cancelled()
        _raise_if_none_went_well(found.failed_slices, study.slices - len(study.bad_slices))
        return proposals_message(found)

    def _suggest(self, asked: Asked, study: Study, report: Progress) -> dict[str, Any]:
        pipeline = self._ready(report, study.slices)
        confirmed = read_message(dict[int, np.ndarray], asked.fields["confirmed"])
        found = pipeline.suggest(study, confirmed, progress=report, cancel=asked.token)
        asked.token.raise_if_cancelled()
        return proposals_message(found)

    def _ventricle(self, asked: Asked, study: Study, report: Progress) -> dict[str, Any]:
        pipeline = self._ready(report, study.slices)
        found = pipeline.ventricle(study, progress=report, cancel=asked.token)
        _raise_if_none_went_well(found.failed_slices, study.slices - len(study.bad_slices))
        answer: dict[str, Any] = to_json(found)
        return answer

    def _segment(self, asked: Asked, study: Study, report: Progress) -> dict[str, Any]:
        boxes, points = read_message(list[Box], asked.fields["boxes"]), read_message(list[Point], asked.fields["points"])
        slices, threshold = read_message(list[int], asked.fields["slices"]), float(asked.fields["threshold"])
        pipeline = self._ready(report, study.slices)
        result = pipeline.segment(study, boxes, points, slices=slices, threshold=threshold, progress=report, cancel=asked.token)
        asked.token.raise_if_cancelled()
        _raise_if_none_went_well(result.failed_slices, len(result.failed_slices) + len(result.scores))
        answer: dict[str, Any] = to_json(masks_of(result))
        return answer

    def _picture(self, asked: Asked, study: Study, report: Progress) -> dict[str, Any]:
        job = burden_job_of(asked.fields["job"], study)
        png = draw_picture(job, str(asked.fields["name"]), int(asked.fields["width_px"]))
        return {"png": np.frombuffer(png, dtype=np.uint8)}

    def _report(self, asked: Asked, study: Study, report: Progress) -> dict[str, Any]:
        report(0, 1, "Writing the report")
        return {"value": str(write_report_of(burden_job_of(asked.fields["job"], study), Path(asked.fields["folder"])))}

    # ------------------------------------------------------------------ models

    def _ready(self, report: Progress, total: int) -> Pipeline:
        """The pipeline with its models loaded, for the settings as they are now."""
        settings = self.settings
        made_for = self._made_for
        loaded = (
            made_for is not None
            and replace(made_for, confidence=settings.confidence, prompts_at_once=settings.prompts_at_once) == settings
        )
        if loaded and self._pipeline is not None and self._segmenter is not None:
            self._made_for = settings
            self._pipeline.confidence, self._pipeline.prompts_at_once = settings.confidence, settings.prompts_at_once
            return self._pipeline
        report(0, total, _LOADING)
        self._told_loading(True)
        try:
            return self._made(settings)
        finally:
            self._told_loading(False)

    def _made(self, settings: EngineSettings) -> Pipeline:
        """The pipeline for these settings, of the models that were loaded for others where they are the same."""
        importlib.invalidate_caches()  # what was missing before may have been installed meanwhile
        before = self._made_for or settings
        if self._cache is None or (before.cache_folder, before.cache_mib) != (settings.cache_folder, settings.cache_mib):
            self._cache, self._segmenter = settings.cache(), None
        if (before.device, before.trust) != (settings.device, settings.trust):
            self._detector = self._segmenter = None
        if before.detector != settings.detector:
            self._detector = None
        if before.segmenter != settings.segmenter:
            self._segmenter = None
        self._made_for, self._pipeline = settings, None
        pipeline = settings.pipeline(detector=self._detector, segmenter=self._segmenter, cache=self._cache)
        self._segmenter = pipeline.networks.segmenter
        if self._segmenter.window is not None or self._segmenter.knows_tissue:
            self._detector = pipeline.networks.detector
        self._pipeline = pipeline
        return pipeline

    def _device_test(self, report: Progress) -> dict[str, Any]:
        """How long the chosen segmenter takes for a slice of noise on the chosen device."""
        import torch

        from MyoScarSegLib.segmentation import SegmenterImage

        pipeline = self._ready(report, _TEST_PASSES)
        segmenter = pipeline.networks.segmenter
        rng = np.random.default_rng(0)
        seconds = []
        for n in range(_TEST_PASSES):
            report(n, _TEST_PASSES, "Testing the device")
            start = time.perf_counter()
            segmenter.encode(SegmenterImage(rng.normal(100, 20, (_TEST_SIDE_PX, _TEST_SIDE_PX)).astype(np.float32)))
            seconds.append(time.perf_counter() - start)
        milliseconds = 1000 * min(seconds)
        device = _in_words(torch, segmenter.device)
        precision = str(segmenter.precision).removeprefix("torch.")
        return {
            "device": segmenter.device.type,
            "name": device,
            "torch": torch.__version__,
            "precision": precision,
            "threads": torch.get_num_threads(),
            "segmenter": segmenter.name,
            "encode_ms": milliseconds,
            "sentence": f"{device} works: {segmenter.name} encodes a slice in {milliseconds:.0f} ms ({precision}).",
        }


def list_models() -> list[dict[str, Any]]:
    """All models of the registry, with whether each is installed; files are read only if they changed."""
    from MyoScarSegLib.models import DEFAULT_DETECTOR, DEFAULT_SEGMENTER, registry
    from MyoScarSegLib.models.registry import described

    known, defaults = registry(), (DEFAULT_DETECTOR, DEFAULT_SEGMENTER)
    return [{**described(entry, known.status(entry.name)), "default": entry.name in defaults} for entry in known.entries()]


def _raise_if_none_went_well(failed: Mapping[int, str], tried: int) -> None:
    """One sentence in place of the same one for every slice; ModelError if all that was tried failed, for the same reason."""
    reasons = set(failed.values())
    if failed and len(failed) >= tried and len(reasons) == 1:
        raise ModelError(f"All slices that were tried failed: {reasons.pop()}")


def _in_words(torch: Any, device: Any) -> str:
    if device.type == "cuda":
        return f"GPU ({torch.cuda.get_device_name(device)})"
    if device.type == "mps":
        return "GPU (Apple)"
    return f"processor ({torch.get_num_threads()} threads)"
