"""Where a pipeline looks: the heart is found once a study, whatever the prompts and whatever fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.errors import Cancelled, ModelError, StudyError
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.segmentation import Segmenter
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from Testing.support.pipeline_factory import SLICES, BrightestDetector, Told, tiny_checkpoint, voxels_of_rings
from Testing.support.sam_factory import litemedsam_state


@pytest.fixture
def study() -> Study:
    return Study("case", voxels_of_rings(), Geometry((1.5, 1.25, 8.0)), Reconstruction.MAGNITUDE)


@pytest.fixture(scope="module")
def vit() -> Segmenter:
    return Segmenter(tiny_checkpoint(), device="cpu", precision="float32")


@pytest.fixture(scope="module")
def lite() -> Segmenter:
    checkpoint = tiny_checkpoint(
        state=litemedsam_state(),
        architecture="litemedsam",
        preprocessing="myoscarseg-1",
        side=32,
        window_mm=40.0,
        sha256="c" * 64,
    )
    return Segmenter(checkpoint, device="cpu", precision="float32")


@pytest.fixture
def detector() -> BrightestDetector:
    return BrightestDetector()


@pytest.fixture
def pipeline(detector, vit) -> Pipeline:
    vit.cache.clear()
    return Pipeline(detector=detector, segmenter=vit)


def test_the_hearts_center_is_that_of_the_left_ventricle_whatever_the_prompts(detector, lite, study):
    pipeline = Pipeline(detector=detector, segmenter=lite)
    assert pipeline.networks.heart_center(study) == (30.0, 18.0)
    views = set()
    encode = lite.encode

    def encode_seen(image, prompts=()):
        embedding = encode(image, prompts)
        views.add(embedding.frame.region)
        return embedding

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lite, "encode", encode_seen)
        pipeline.segment(study, [Box(0, 36, 10, 42, 25)])
        pipeline.segment(study, [Box(3, 25, 10, 42, 25)], [Point(1, 20, 10)])
    assert len(views) == 1


def test_the_heart_is_looked_for_once_per_study(detector, lite, study):
    pipeline = Pipeline(detector=detector, segmenter=lite)
    for _ in range(3):
        pipeline.segment(study, [Box(0, 36, 10, 42, 25)])
    assert [call for call in detector.calls if "lv" in call[1]] == [(k, ("lv",), 0.25) for k in range(SLICES)]
    moved = replace(study, voxels=np.roll(study.voxels, 5, axis=2))
    assert pipeline.networks.heart_center(moved) == (35.0, 18.0)
    assert pipeline.networks.heart_center(study) == (30.0, 18.0)


def test_a_slice_on_which_the_heart_cannot_be_looked_for_costs_no_other(lite, study):
    failing = BrightestDetector(fails_on={0.0: RuntimeError("odd"), 2.0: StudyError("bad")})
    result = Pipeline(detector=failing, segmenter=lite).segment(study, [Box(0, 36, 10, 42, 25)])
    assert result.complete
    assert result.provenance["heart_centre_px"] == "30.00 18.00"


def test_a_detector_that_fails_on_every_slice_is_told(lite, study):
    failing = BrightestDetector(fails_on={float(k): RuntimeError("odd") for k in range(SLICES)})
    with pytest.raises(ModelError, match="brightest could not look for the heart on any slice: odd"):
        Pipeline(detector=failing, segmenter=lite).segment(study, [Box(0, 36, 10, 42, 25)])


def test_without_a_heart_the_middle_of_the_slice_is_looked_at_and_that_is_recorded(detector, lite, study):
    dark = replace(study, voxels=study.voxels * 0.1)
    result = Pipeline(detector=detector, segmenter=lite).segment(dark, [Box(0, 20, 10, 32, 25)])
    assert result.provenance["heart_centre_px"] == "not found; the middle of the slice"
    assert list(result.scores) == [0]


def test_cancelling_while_the_heart_is_looked_for_ends_the_work(detector, lite, study):
    told = Told(2)
    result = Pipeline(detector=detector, segmenter=lite).segment(
        study, [Box(0, 36, 10, 42, 25)], progress=told, cancel=told.token
    )
    assert result.cancelled
    assert len(result.scores) == 0
    assert len(detector.calls) == 2
    with pytest.raises(Cancelled):
        Pipeline(detector=detector, segmenter=lite).networks.heart_center(study, cancel=told.token)


def test_a_segmenter_of_whole_slices_needs_no_heart(pipeline, detector, study):
    result = pipeline.segment(study, [Box(0, 36, 10, 42, 25)])
    assert detector.calls == []
    assert "heart_centre_px" not in result.provenance
