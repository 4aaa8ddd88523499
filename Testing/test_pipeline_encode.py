"""Encoding ahead of the prompts: exactly what proposing and segmenting will ask for, and the heart once per study."""

from __future__ import annotations

import pytest

from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.segmentation import EmbeddingCache, Segmenter
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from Testing.support.pipeline_factory import BrightestDetector, voxels_of_rings
from Testing.test_pipeline_proposals import own_checkpoint

BOX = Box(1, 18, 10, 28, 18)  # within the window around the heart


class CountingDetector(BrightestDetector):
    """Counts how often it was asked for the left ventricle."""

    def __init__(self) -> None:
        super().__init__()
        self.hearts = 0

    def detect_many(self, images, **options):
        self.hearts += ("lv" in options.get("labels", ())) * len(images)
        return super().detect_many(images, **options)


def make_study(offset: float = 0.0) -> Study:
    return Study("case", voxels_of_rings() + offset, Geometry((1.5, 1.25, 8.0)), Reconstruction.MAGNITUDE)


@pytest.fixture
def detector() -> CountingDetector:
    return CountingDetector()


@pytest.fixture
def cache() -> EmbeddingCache:
    return EmbeddingCache()


@pytest.fixture
def pipeline(detector, cache) -> Pipeline:
    segmenter = Segmenter(own_checkpoint(), device="cpu", precision="float32", cache=cache)
    return Pipeline(detector=detector, segmenter=segmenter)


def test_what_was_encoded_is_all_that_proposing_and_segmenting_need(pipeline, cache):
    study = make_study()
    assert pipeline.encode(study).slices == list(range(study.slices))
    kept = 2 * study.slices  # SAM's features, and the context network's first look
    assert len(cache) == kept
    before = cache.misses
    pipeline.propose(study)
    pipeline.segment(study, [BOX], [Point(2, 25, 18)])
    assert cache.misses == before
    assert len(cache) == kept


def test_segmenting_one_slice_looks_for_no_heart_again_whichever_study_is_in_hand(pipeline, detector):
    one, other = make_study(), make_study(3.0)
    pipeline.encode(one, [0])
    pipeline.encode(other, [0])
    looked = detector.hearts
    assert looked == one.slices + other.slices
    for study in (one, other, one):
        pipeline.segment(study, [BOX])
    assert detector.hearts == looked


def test_memory_that_runs_out_on_a_slice_is_said_in_words(pipeline, monkeypatch):
    def predict(*_args, **_options):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 3.00 GiB total capacity)")

    monkeypatch.setattr(pipeline.networks.segmenter, "predict", predict)
    result = pipeline.segment(make_study(), [BOX])
    assert result.failed_slices[1].startswith("segmenting scar failed: there is too little memory. Close other programs")
