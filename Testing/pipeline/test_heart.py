"""Where a pipeline looks: the heart is found once a study, whatever the prompts and whatever fails; and encoding ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.errors import Cancelled, ModelError, StudyError
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.segmentation import Segmenter
from Testing.support.pipeline_factory import SLICES, BrightestDetector, Told


def test_the_hearts_center_is_that_of_the_left_ventricle_whatever_the_prompts(detector, lite, study):
    pipeline = Pipeline(detector=detector, segmenter=lite)
    assert pipeline.networks.heart_center(study) == (30.0, 18.0)
    views = set()
    look = lite._view

    def seen(image, prompts):
        view = look(image, prompts)
        views.add(view.frame.region)
        return view

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lite, "_view", seen)
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


def test_boxes_and_heart_are_found_in_one_look_at_each_slice(detector, lite, study):
    pipeline = Pipeline(detector=detector, segmenter=lite)
    boxes = pipeline.propose(study)
    assert [call[:2] for call in detector.calls] == [(k, ("scar", "lv")) for k in range(SLICES)]
    pipeline.segment(study, boxes)
    assert len(detector.calls) == SLICES
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


@pytest.fixture
def own(detector, own_checkpoint) -> Pipeline:
    return Pipeline(detector=detector, segmenter=Segmenter(own_checkpoint, device="cpu", precision="float32"))


ON_THE_HEART = Box(1, 18, 10, 28, 18)


def test_what_was_encoded_is_all_that_proposing_and_segmenting_need(own, study):
    cache = own.networks.segmenter.cache
    assert own.encode(study).slices == list(range(study.slices))
    kept = 2 * study.slices  # SAM's features, and the context network's first look
    assert len(cache) == kept
    before = cache.misses
    own.propose(study)
    own.segment(study, [ON_THE_HEART], [Point(2, 25, 18)])
    assert cache.misses == before
    assert len(cache) == kept


def test_segmenting_one_slice_looks_for_no_heart_again_whichever_study_is_in_hand(own, detector, study):
    other = replace(study, voxels=study.voxels + 3.0)
    own.encode(study, [0])
    own.encode(other, [0])
    assert [call[1] for call in detector.calls] == [("lv",)] * (study.slices + other.slices)
    for one in (study, other, study):
        own.segment(one, [ON_THE_HEART])
    assert len(detector.calls) == study.slices + other.slices


def test_memory_that_runs_out_on_a_slice_is_said_in_words(own, study, monkeypatch):
    def predict(*_args, **_options):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 3.00 GiB total capacity)")

    monkeypatch.setattr(own.networks.segmenter, "predict", predict)
    result = own.segment(study, [ON_THE_HEART])
    assert result.failed_slices[1].startswith("segmenting scar failed: there is too little memory. Close other programs")
