"""A study of bright rings, and what pipelines for it are made of."""

from __future__ import annotations

import pytest

from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.segmentation import EmbeddingCache, Segmenter
from MyoScarSegLib.segmentation.sam_checkpoint import Checkpoint
from MyoScarSegLib.study.study import Study
from Testing.support.pipeline_factory import BrightestDetector, ring_study
from Testing.support.sam_factory import litemedsam_state
from Testing.support.segmenter_factory import tiny_checkpoint
from Testing.support.tiny_training import own_state


@pytest.fixture
def study() -> Study:
    return ring_study()


@pytest.fixture
def detector() -> BrightestDetector:
    return BrightestDetector()


@pytest.fixture(scope="module")
def vit() -> Segmenter:
    return Segmenter(tiny_checkpoint(), device="cpu", precision="float32")


@pytest.fixture(scope="module")
def lite() -> Segmenter:
    """LiteMedSAM's architecture that looks at 40 mm around the heart in 32 x 32 pixels."""
    lite = {"architecture": "litemedsam", "preprocessing": "myoscarseg-1", "side": 32, "window_mm": 40.0, "sha256": "c" * 64}
    return Segmenter(tiny_checkpoint(state=litemedsam_state(), **lite), device="cpu", precision="float32")


@pytest.fixture
def own_checkpoint() -> Checkpoint:
    """The same, with a context network."""
    return Checkpoint("own", "d" * 64, own_state(), "litemedsam", "myoscarseg-1", 32, window_mm=40.0)


@pytest.fixture
def pipeline(detector, vit) -> Pipeline:
    vit.cache = EmbeddingCache()
    return Pipeline(detector=detector, segmenter=vit)
