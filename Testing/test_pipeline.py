"""Boxes, masks and numbers of a whole study: what is done, what is reported, and what a cancel or a bad slice costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib import __version__
from MyoScarSegLib.detection import Detector
from MyoScarSegLib.errors import Cancelled, ModelError, MyoScarSegError, PromptError, StudyError
from MyoScarSegLib.pipeline import Pipeline, sigmoid
from MyoScarSegLib.progress import CancelToken
from MyoScarSegLib.prompts import Box, BoxState, Point, box_of_mask
from MyoScarSegLib.segmentation import EmbeddingCache, Segmenter
from MyoScarSegLib.segmentation.checkpoint import Checkpoint
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from Testing.sam_factory import SIDE, litemedsam_state, tiny_state

SLICES, ROWS, COLUMNS = 5, 40, 52
SCAR, RING = 900.0, 400.0


class BrightestDetector:
    """A detector without a network: ``scar`` is what is brighter than 800, ``lv`` what is brighter than 300.

    It can be told to fail on a slice, and counts its calls.
    """

    name = "brightest"
    checksum = "b" * 64
    preprocessing = "none"
    image_size = 64
    class_names = labels = ("scar", "lv")
    confidence = 0.5

    def __init__(self, *, fails_on: dict[float, Exception] | None = None) -> None:
        self.fails_on = fails_on or {}
        self.calls: list[tuple[int, tuple[str, ...], float | None]] = []

    def detect(
        self,
        image: np.ndarray,
        *,
        slice_index: int,
        pixel_spacing_mm: tuple[float, float] | None = None,
        confidence: float | None = None,
        iou: float | None = None,
        labels: Sequence[str] = ("scar",),
    ) -> list[Box]:
        self.calls.append((slice_index, tuple(labels), confidence))
        failure = self.fails_on.get(float(image[0, 0]))
        if failure is not None:
            raise failure
        found = []
        for label in labels:
            box = box_of_mask(image > {"scar": 800, "lv": 300}[label], slice_index, label=label, confidence=0.9, source=self.name)
            if box is not None and (self.confidence if confidence is None else confidence) <= 0.9:
                found.append(box)
        return found

    def detect_many(self, images, *, slice_indices=None, **named):
        indices = range(len(images)) if slice_indices is None else slice_indices
        return [self.detect(image, slice_index=index, **named) for image, index in zip(images, indices, strict=True)]


_: Detector = BrightestDetector()  # mypy sees that it is one


def _voxels() -> np.ndarray:
    """A bright ring with a brighter piece on all slices but the last, which is empty. Pixel (0, 0) tells the slices apart."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    radius = np.hypot(x - 29.5, y - 17.5)
    voxels = np.random.default_rng(0).uniform(0, 50, (SLICES, ROWS, COLUMNS))
    voxels[:4, (radius > 6) & (radius < 11)] = RING
    voxels[:4, (radius > 6) & (radius < 11) & (x > 36)] = SCAR
    voxels[:, 0, 0] = np.arange(SLICES)
    return voxels


@pytest.fixture
def study() -> Study:
    return Study("case", _voxels(), Geometry((1.5, 1.25, 8.0)), Reconstruction.MAGNITUDE)


def _checkpoint(**changes) -> Checkpoint:
    fields = {"name": "tiny", "sha256": "a" * 64, "architecture": "sam-vit-32x2", "preprocessing": "sam", "side": SIDE}
    return Checkpoint(**{"state": tiny_state(), **fields, **changes})


@pytest.fixture(scope="module")
def vit() -> Segmenter:
    return Segmenter(_checkpoint(), device="cpu", precision="float32")


@pytest.fixture(scope="module")
def lite() -> Segmenter:
    checkpoint = _checkpoint(
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


class Told:
    """Remembers progress, and cancels when told the given number of times."""

    def __init__(self, cancel_at: int | None = None) -> None:
        self.calls: list[tuple[int, int, str]] = []
        self.token = CancelToken()
        self._cancel_at = cancel_at

    def __call__(self, done: int, total: int, message: str) -> None:
        self.calls.append((done, total, message))
        if len(self.calls) == self._cancel_at:
            self.token.cancel()


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
        expected = vit.predict(study.voxels[index], [boxes[index]], of_points, pixel_spacing_mm=spacing)
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
    expected = vit.predict(study.voxels[1], boxes, [Point(1, 5, 5)])
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


def test_a_rejected_box_need_not_even_fit(pipeline, study):
    assert pipeline.segment(study, [Box(99, 1, 1, 2, 2, state=BoxState.REJECTED)]).complete


def test_negative_points_alone_are_no_prompt(pipeline, study):
    result = pipeline.segment(study, [], [Point(0, 5, 5, positive=False)])
    assert not result.probability.any()
    assert result.points == (Point(0, 5, 5, positive=False),)


def test_positive_points_alone_are_prompts(pipeline, study):
    assert list(pipeline.segment(study, [], [Point(3, 40, 18)]).scores) == [3]


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
        failure = {1.0: ModelError("cpu has too little memory."), 2.0: IndexError("index 7")}.get(float(image[0, 0]))
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
    pipeline.segment(study, [Box(2, 31, 9, 44, 19)], [Point(2, 40, 18)])
    assert vit.cache.misses == misses


# ---- threshold and numbers


def test_another_threshold_uses_the_probabilities_again(pipeline, vit, study):
    result = pipeline.segment(study, [Box(2, 31, 9, 44, 19)])
    asked = vit.cache.hits + vit.cache.misses
    middle = float(np.median(result.probability[2]))
    other = result.with_threshold(middle)
    assert other.probability is result.probability
    assert np.array_equal(other.mask, result.probability >= middle)
    assert other.mask.sum() != result.mask.sum()
    assert other.provenance == {**result.provenance, "threshold": f"{middle:g}"}
    assert vit.cache.hits + vit.cache.misses == asked


def test_volume_and_mass_follow_from_mask_and_geometry(pipeline, study):
    result = pipeline.segment(study, [Box(2, 31, 9, 44, 19)])
    result = result.with_threshold(float(np.quantile(result.probability[2], 0.9)))
    pixels = int(result.mask.sum())
    assert pixels > 0
    assert result.burden.volume_ml == pytest.approx(pixels * 1.5 * 1.25 * 8.0 / 1000)
    assert result.burden.mass_g == pytest.approx(1.05 * result.burden.volume_ml)


def test_the_summary_is_plain_json(pipeline, study):
    summary = json.loads(json.dumps(pipeline.run(study).summary(), allow_nan=False))
    assert summary["case"] == "case"
    assert [s["slice"] for s in summary["slices"]] == list(range(SLICES))
    assert summary["slices"][4]["score"] is None


# ---- run


def test_run_proposes_and_segments(pipeline, study):
    result = pipeline.run(study, points=[Point(4, 20, 20)], threshold=0.4)
    alone = pipeline.segment(study, pipeline.propose(study), [Point(4, 20, 20)], threshold=0.4)
    assert np.array_equal(result.probability, alone.probability)
    assert result.boxes == alone.boxes
    assert result.threshold == 0.4
    assert result.complete


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
    segmenter = Segmenter(_checkpoint(notes=("It was assumed.",)), device="cpu", precision="float32")
    assert Pipeline(detector=detector, segmenter=segmenter).run(study).provenance["remark"] == "It was assumed."


def test_run_reports_failures_of_both_steps(vit, study, monkeypatch):
    failing = BrightestDetector(fails_on={1.0: RuntimeError("odd")})
    result = Pipeline(detector=failing, segmenter=vit).run(replace(study, bad_slices={2: "it is empty"}))
    assert result.failed_slices == {1: "proposing boxes failed: odd"}
    assert result.all_failures() == {1: "proposing boxes failed: odd", 2: "it is empty"}
    assert list(result.scores) == [0, 3]


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


# ---- the heart


def test_the_hearts_centre_is_that_of_the_left_ventricle_whatever_the_prompts(detector, lite, study):
    pipeline = Pipeline(detector=detector, segmenter=lite)
    assert pipeline.heart_centre(study) == (30.0, 18.0)
    views = set()
    encode = lite.encode
    lite_frames = lambda image, frame: views.add(frame.region) or encode(image, frame)  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lite, "encode", lite_frames)
        pipeline.segment(study, [Box(0, 36, 10, 42, 25)])
        pipeline.segment(study, [Box(3, 25, 10, 42, 25)], [Point(1, 20, 10)])
    assert len(views) == 1


def test_the_heart_is_looked_for_once_per_study(detector, lite, study):
    pipeline = Pipeline(detector=detector, segmenter=lite)
    for _ in range(3):
        pipeline.segment(study, [Box(0, 36, 10, 42, 25)])
    assert [call for call in detector.calls if "lv" in call[1]] == [(k, ("lv",), 0.25) for k in range(SLICES)]
    moved = replace(study, voxels=np.roll(study.voxels, 5, axis=2))
    assert pipeline.heart_centre(moved) == (35.0, 18.0)
    assert pipeline.heart_centre(study) == (30.0, 18.0)


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
        Pipeline(detector=detector, segmenter=lite).heart_centre(study, cancel=told.token)


def test_a_segmenter_of_whole_slices_needs_no_heart(pipeline, detector, study):
    result = pipeline.segment(study, [Box(0, 36, 10, 42, 25)])
    assert detector.calls == []
    assert "heart_centre_px" not in result.provenance


# ---- loading


def test_models_are_loaded_on_first_use_with_the_callers_choices(tmp_path, study):
    from Testing.tiny_models import write_detector, write_segmenter

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
    assert pipeline.segmenter.cache is cache
    assert pipeline.segmenter is pipeline.segmenter
    assert pipeline.detector is pipeline.detector


def test_a_study_without_spacing_gives_pixels_only(pipeline, study):
    result = pipeline.run(replace(study, geometry=Geometry(None)))
    assert (result.burden.volume_ml, result.burden.mass_g) == (None, None)
    assert result.complete
