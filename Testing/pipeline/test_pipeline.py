"""Boxes, masks and numbers of a whole study: what is done, what is reported, and what a cancel or a bad slice costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import ModelError, MyoScarSegError, PromptError, StudyError
from MyoScarSegLib.pipeline import Pipeline, sigmoid
from MyoScarSegLib.prompts import BESIDE, FAINT, Box, BoxState, Point
from MyoScarSegLib.segmentation import EmbeddingCache, Segmenter, SegmenterImage
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.pipeline_factory import BrightestDetector, Told, voxels_of_rings
from Testing.support.segmenter_factory import tiny_checkpoint

# ---- propose


def test_boxes_are_proposed_on_every_slice_that_shows_scar(pipeline, study):
    boxes = pipeline.propose(study)
    assert [box.slice for box in boxes] == [0, 1, 2, 3]
    assert {(box.label, box.source, box.state) for box in boxes} == {("scar", "brightest", BoxState.PROPOSED)}
    assert (boxes.failed_slices, boxes.cancelled) == ({}, False)
    assert boxes.provenance == {
        "detector": "brightest",
        "detector_sha256": "b" * 64,
        "detector_preprocessing": "none",
        "detector_confidence": "0.5",
    }


def test_the_callers_confidence_is_handed_on_and_recorded(detector, vit, study):
    boxes = Pipeline(detector=detector, segmenter=vit, confidence=0.95).propose(study)
    assert boxes == []
    assert boxes.provenance["detector_confidence"] == "0.95"


class Mapped(Segmenter):
    """A segmenter with a map of tissues: what is bright is scar, on slice 0 with a probability of 0.7 and else of 0.4."""

    knows_tissue = True

    def scar_beside(self, image):
        return np.zeros(image.shape, dtype=bool)

    def tissue(self, image, beside=None):
        voxels = image.voxels
        scar = np.where(voxels > 800, 0.7 if np.array_equal(voxels, voxels_of_rings()[0]) else 0.4, 0.0)
        return np.stack([1 - scar, 0 * scar, 0 * scar, scar])


@pytest.mark.parametrize(("confidence", "slices"), [(None, [0, 1, 2, 3]), (0.05, [0, 1, 2, 3]), (0.5, [0]), (0.95, [])])
def test_confidence_is_that_of_the_proposed_box_and_leaves_the_detectors_own_alone(detector, study, confidence, slices):
    segmenter = Mapped(tiny_checkpoint(), device="cpu", precision="float32")
    boxes = Pipeline(detector=detector, segmenter=segmenter, confidence=confidence).propose(study)
    assert [box.slice for box in boxes] == slices
    assert boxes.provenance["detector_confidence"] == "0.5"
    assert boxes.provenance.get("proposals_confidence") == (None if confidence is None else f"{confidence:g}")


def test_progress_counts_slices_and_ends_at_the_total(pipeline, study):
    told = Told()
    pipeline.propose(study, progress=told)
    assert [(done, total) for done, total, _ in told.calls] == [(n, 5) for n in range(6)]
    assert "slice 3" in told.calls[3][2]


def test_a_slice_on_which_the_detector_fails_costs_no_other(vit, study):
    failing = BrightestDetector(
        fails_on={1.0: StudyError("It is odd."), 2.0: RuntimeError("shape mismatch"), 3.0: AssertionError()}
    )
    boxes = Pipeline(detector=failing, segmenter=vit).propose(study)
    assert [box.slice for box in boxes] == [0]
    assert boxes.failed_slices == {
        1: "It is odd.",
        2: "proposing boxes failed: shape mismatch",
        3: "proposing boxes failed: AssertionError",
    }


def test_bad_slices_are_left_out(pipeline, detector, study):
    boxes = pipeline.propose(replace(study, bad_slices={1: "it holds no finite value"}))
    assert [box.slice for box in boxes] == [0, 2, 3]
    assert 1 not in [call[0] for call in detector.calls]


@pytest.mark.parametrize(("cancel_at", "done"), [(1, [0]), (3, [0, 1, 2]), (5, [0, 1, 2, 3])])
def test_cancelling_ends_proposing_within_one_slice_and_keeps_what_was_found(pipeline, study, cancel_at, done):
    told = Told(cancel_at)
    boxes = pipeline.propose(study, progress=told, cancel=told.token)
    assert [box.slice for box in boxes] == done
    assert boxes.cancelled is (cancel_at < 5)  # at the fifth call the last slice was already begun


def test_a_cancel_before_the_start_loads_nothing(study):
    token = CancelToken()
    token.cancel()
    pipeline = Pipeline(detector="no such model", segmenter="no such model")
    assert pipeline.propose(study, cancel=token).cancelled
    assert pipeline.segment(study, [Box(0, 1, 1, 9, 9)], cancel=token).cancelled
    assert pipeline.run(study, cancel=token).cancelled


# ---- segment


def test_probabilities_are_those_of_the_segmenters_logits(pipeline, vit, study):
    boxes = pipeline.propose(study)
    points = [Point(0, 40, 20), Point(0, 20, 20, False)]
    result = pipeline.segment(study, boxes, points)
    spacing = study.geometry.pixel_spacing_mm
    for index, of_points in ((0, points), (2, [])):
        expected = vit.predict(SegmenterImage(study.voxels[index], spacing), [boxes[index]], of_points)
        assert np.allclose(result.probability[index], 1 / (1 + np.exp(-expected.logits.astype(float))), atol=1e-6)
        assert result.scores[index] == expected.score
    assert result.probability.dtype == np.float32
    assert not result.probability[4].any()
    assert sorted(result.scores) == [0, 1, 2, 3]
    assert np.array_equal(result.mask, result.probability >= 0.5)


def test_sigmoid_does_not_overflow():
    with np.errstate(all="raise"):
        assert sigmoid(np.array([-1e4, -2.0, 0.0, 2.0, 1e4], np.float32)).tolist() == pytest.approx(
            [0, 0.1192, 0.5, 0.8808, 1], abs=1e-4
        )


def test_several_boxes_and_points_on_a_slice_go_together(pipeline, vit, study):
    boxes = [Box(1, 30, 8, 45, 20), Box(1, 20, 15, 30, 28)]
    result = pipeline.segment(study, boxes, [Point(1, 5, 5)])
    expected = vit.predict(SegmenterImage(study.voxels[1]), boxes, [Point(1, 5, 5)])
    assert np.allclose(result.probability[1], sigmoid(expected.logits), atol=1e-6)
    assert list(result.scores) == [1]


def test_rejected_boxes_and_other_labels_are_kept_but_not_segmented(pipeline, study):
    boxes = [
        Box(0, 30, 8, 45, 20, state=BoxState.REJECTED),
        Box(1, 30, 8, 45, 20, label="lv"),
        Box(2, 30, 8, 45, 20, state=BoxState.ACCEPTED),
    ]
    result = pipeline.segment(study, boxes)
    assert list(result.scores) == [2]
    assert result.boxes == tuple(boxes)
    assert not result.probability[:2].any()


def test_faint_places_and_suggestions_count_once_they_are_accepted_and_the_result_tells_of_the_faint_ones(pipeline, study):
    place = {"x0": 30, "y0": 8, "x1": 45, "y1": 20}
    faint = [Box(k, **place, source="net" + FAINT, state=BoxState.REJECTED) for k in (3, 0)]
    offer = Box(1, **place, source="net" + BESIDE)
    result = pipeline.segment(study, [*faint, offer])
    assert not result.scores and not result.mask.any()
    assert result.summary()["notes"] == [*study.notes, "2 faint places not counted: slices 0, 3."]
    through = [*faint, Box(2, **place, source="net" + FAINT, state=BoxState.REJECTED)]
    notes = pipeline.segment(study, through).summary()["notes"]
    assert notes[-1] == "2 faint places not counted: slices 0, 2, 3.", "boxes that overlap on neighbors are one place"
    accepted = [replace(box, state=BoxState.ACCEPTED) for box in (faint[0], offer)]
    result = pipeline.segment(study, [faint[1], *accepted])
    assert list(result.scores) == [1, 3]
    assert result.summary()["notes"] == [*study.notes, "1 faint place not counted: slice 0."]


def test_a_rejected_box_need_not_even_fit(pipeline, study):
    assert pipeline.segment(study, [Box(99, 1, 1, 2, 2, state=BoxState.REJECTED)]).complete


def test_nothing_prompted_loads_no_segmenter(study, detector):
    result = Pipeline(detector=detector, segmenter="no such model").segment(study, [])
    assert result.complete
    assert result.provenance["segmenter"] == "not used: nothing was prompted"
    assert result.burden.mass_g == 0


@pytest.mark.parametrize(
    ("boxes", "points", "message"),
    [
        ([Box(5, 1, 1, 9, 9)], [], "the study has slices 0 to 4"),
        ([Box(0, 60, 1, 70, 9)], [], "lies outside the image, which has 52 columns and 40 rows"),
        ([Box(0, 9, 9, 9, 12)], [], "has no area"),
        ([], [Point(0, 1, 41)], "lies outside the image"),
        ([], [Point(-1, 1, 1, False)], "the study has slices"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused_before_anything_runs(pipeline, vit, study, boxes, points, message):
    good = Box(0, 30, 8, 45, 20)
    before = vit.cache.misses
    with pytest.raises(PromptError, match=message):
        pipeline.segment(study, [good, *boxes], points)
    assert vit.cache.misses == before


@pytest.mark.parametrize("threshold", [0, 1, -0.5, 50, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(pipeline, study, threshold):
    with pytest.raises(MyoScarSegError, match="The threshold is a probability between 0 and 1"):
        pipeline.segment(study, [], threshold=threshold)
    with pytest.raises(MyoScarSegError, match="The threshold"):
        pipeline.segment(study, []).with_threshold(threshold)


def test_prompts_on_a_bad_slice_are_reported_and_the_others_done(pipeline, study):
    study = replace(study, bad_slices={1: "it holds no finite value", 4: "it is empty"})
    result = pipeline.segment(study, [Box(0, 30, 8, 45, 20), Box(1, 30, 8, 45, 20)])
    assert result.failed_slices == {1: "it has prompts, but it holds no finite value"}
    assert result.all_failures() == {1: "it has prompts, but it holds no finite value", 4: "it is empty"}
    assert list(result.scores) == [0]
    assert not result.probability[1].any()
    assert not result.complete


def test_a_slice_on_which_the_segmenter_fails_costs_no_other(pipeline, vit, study, monkeypatch):
    predict = vit.predict

    def failing(image, *arguments, **named):
        failure = {1.0: ModelError("cpu has too little memory."), 2.0: IndexError("index 7")}.get(float(image.voxels[0, 0]))
        if failure is not None:
            raise failure
        return predict(image, *arguments, **named)

    monkeypatch.setattr(vit, "predict", failing)
    result = pipeline.segment(study, [Box(k, 30, 8, 45, 20) for k in range(4)])
    assert result.failed_slices == {1: "cpu has too little memory.", 2: "segmenting scar failed: index 7"}
    assert list(result.scores) == [0, 3]
    assert not result.cancelled
    assert not result.complete
    assert [p for p in result.summary()["problems"] if p.startswith("Slice 2")] == ["Slice 2: segmenting scar failed: index 7"]


@pytest.mark.parametrize(("cancel_at", "done"), [(1, [0]), (2, [0, 1]), (4, [0, 1, 2, 3])])
def test_cancelling_ends_segmenting_within_one_slice_and_keeps_what_was_done(pipeline, study, cancel_at, done):
    told = Told(cancel_at)
    result = pipeline.segment(study, pipeline.propose(study), progress=told, cancel=told.token)
    assert list(result.scores) == done
    assert all(result.probability[k].any() for k in done)
    assert not result.probability[done[-1] + 1 :].any()
    assert result.cancelled is (len(done) < 4)
    assert result.provenance["segmenter"] == "tiny"


def test_editing_one_slice_encodes_no_slice_again(pipeline, vit, study):
    pipeline.segment(study, pipeline.propose(study))
    misses = vit.cache.misses
    pipeline.segment(study, [Box(2, 31, 9, 44, 19, source="net")], [Point(2, 40, 18)])
    assert vit.cache.misses == misses


# ---- threshold and numbers


def test_another_threshold_uses_the_probabilities_again(pipeline, vit, study):
    result = pipeline.segment(study, [Box(2, 31, 9, 44, 19, source="net")])
    asked = vit.cache.hits + vit.cache.misses
    middle = float(np.median(result.probability[2, 9:19, 31:44]))
    other = result.with_threshold(middle)
    assert other.probability is result.probability
    assert np.array_equal(other.mask, result.probability >= middle)
    assert other.mask.sum() != result.mask.sum()
    assert other.provenance == {**result.provenance, "threshold": f"{middle:g}"}
    assert vit.cache.hits + vit.cache.misses == asked


# ---- run


def test_run_records_where_everything_came_from(detector, lite, study):
    result = Pipeline(detector=detector, segmenter=lite).run(study, threshold=0.4)
    assert dict(result.provenance) == {
        "program": f"MyoScarSeg {__version__}",
        "threshold": "0.4",
        "detector": "brightest",
        "detector_sha256": "b" * 64,
        "detector_preprocessing": "none",
        "detector_confidence": "0.5",
        "segmenter": "tiny",
        "segmenter_sha256": "c" * 64,
        "architecture": "litemedsam",
        "preprocessing": "myoscarseg-1",
        "normalisation": "1",
        "view": "heart window 40 mm",
        "precision": "float32",
        "device": "cpu",
        "heart_detector": "brightest",
        "heart_detector_sha256": "b" * 64,
        "heart_centre_px": "30.00 18.00",
    }


def test_what_had_to_be_assumed_of_a_checkpoint_is_in_the_record(detector, study):
    segmenter = Segmenter(tiny_checkpoint(notes=("It was assumed.",)), device="cpu", precision="float32")
    assert Pipeline(detector=detector, segmenter=segmenter).run(study).provenance["remark"] == "It was assumed."


@pytest.mark.parametrize(("cancel_at", "boxes", "done"), [(2, 2, []), (5, 4, []), (8, 4, [0, 1]), (11, 4, [0, 1, 2, 3])])
def test_cancelling_a_run_keeps_boxes_and_masks_that_were_done(pipeline, study, cancel_at, boxes, done):
    """Five slices to propose on and a call at the end, then four to segment and a call at the end."""
    told = Told(cancel_at)
    result = pipeline.run(study, progress=told, cancel=told.token)
    assert len(result.boxes) == boxes
    assert list(result.scores) == done
    assert result.cancelled is (cancel_at < 10)
    assert result.complete is (cancel_at >= 10)


def test_run_learns_of_a_missing_segmenter_before_the_detector_has_worked(detector, study):
    with pytest.raises(ModelError, match="There is no model called 'no such model'"):
        Pipeline(detector=detector, segmenter="no such model").run(study)
    assert detector.calls == []


# ---- loading


def test_models_are_loaded_on_first_use_with_the_callers_choices(tmp_path, study):
    from Testing.support.tiny_models import write_detector, write_segmenter

    cache = EmbeddingCache()
    pipeline = Pipeline(
        detector=write_detector(tmp_path / "detector.safetensors"),
        segmenter=write_segmenter(tmp_path / "segmenter.safetensors"),
        device="cpu",
        precision="float32",
        cache=cache,
    )
    result = pipeline.run(study)
    assert result.provenance["segmenter"] == "segmenter.safetensors"
    assert result.provenance["device"] == "cpu"
    assert pipeline.networks.segmenter.cache is cache
    assert pipeline.networks.segmenter is pipeline.networks.segmenter
    assert pipeline.networks.detector is pipeline.networks.detector
