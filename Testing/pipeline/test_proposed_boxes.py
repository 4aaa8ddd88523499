"""What a segmenter's map of tissues does to the boxes that the pipeline proposes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib import proposals
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.prompts import Box, BoxState, Point
from MyoScarSegLib.segmentation import Segmenter
from MyoScarSegLib.study.study import Study
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.pipeline_factory import RING, SCAR, SLICES, BrightestDetector

OVERLOOKED = (10, 12, 20, 16)


class MappedSegmenter(Segmenter):
    """A segmenter of ours whose map is told: scar where slices are brighter than 800, but for slice 1, and on slice 4."""

    fails_on: int | None = None

    def tissue(self, image, beside=None):
        assert image.center is not None, "the map is of the window around the heart"
        number = int(image.voxels[0, 0])
        if number == self.fails_on:
            raise ModelError("out of memory")
        scar = np.where(image.voxels > 800, 0.9, 0.0) if number != 1 else np.zeros(image.shape)
        if number == 4:
            x0, y0, x1, y1 = OVERLOOKED
            scar[y0:y1, x0:x1] = 0.8
        return np.stack([1 - scar, 0 * scar, 0 * scar, scar]).astype(np.float32)


@pytest.fixture
def segmenter(own_checkpoint) -> MappedSegmenter:
    return MappedSegmenter(own_checkpoint, device="cpu", precision="float32")


@pytest.fixture
def pipeline(segmenter) -> Pipeline:
    return Pipeline(detector=BrightestDetector(), segmenter=segmenter)


@pytest.fixture(autouse=True)
def little_is_enough(monkeypatch):
    """The rings are small."""
    monkeypatch.setattr(proposals, "LEAST_EVIDENCE_G", 0.01)
    monkeypatch.setattr(proposals, "LEAST_OF_A_PLACE_G", 0.0)


def test_proposals_say_where_the_heart_is(pipeline, study):
    found = pipeline.propose(study)
    assert found.heart == pipeline.networks.heart_center(study)
    assert found.heart is not None


def test_the_map_drops_boxes_and_adds_what_was_overlooked(pipeline, study):
    boxes = pipeline.propose(study)
    assert [(box.slice, box.source) for box in boxes] == [(0, "brightest"), (2, "brightest"), (3, "brightest"), (4, "own")]
    assert boxes[-1].xyxy == OVERLOOKED
    assert "own" in boxes.provenance["proposals"]
    assert not boxes.failed_slices and not boxes.cancelled


def test_a_slice_whose_map_fails_is_reported_and_costs_no_other(pipeline, study, segmenter):
    segmenter.fails_on = 2
    boxes = pipeline.propose(study)
    assert {box.slice for box in boxes} == {0, 3, 4}
    assert boxes.failed_slices == {2: "out of memory"}


def test_a_cancel_between_detector_and_map_is_told(pipeline, study):
    token = CancelToken()

    def progress(done, total, message):
        if message.startswith("Looking at tissue") and done == 2:
            token.cancel()

    boxes = pipeline.propose(study, progress=progress, cancel=token)
    assert boxes.cancelled
    assert {box.slice for box in boxes} <= {0, 1, 2}


@pytest.mark.parametrize(("least_g", "state"), [(1000.0, BoxState.REJECTED), (0.01, BoxState.PROPOSED)])
def test_what_is_too_little_is_shown_and_not_segmented(pipeline, study, monkeypatch, least_g, state):
    """The only scar is what the detector overlooks on slice 4."""
    monkeypatch.setattr(proposals, "LEAST_EVIDENCE_G", least_g)
    study = Study("case", np.where(study.voxels == SCAR, RING, study.voxels), study.geometry, study.reconstruction)
    boxes = pipeline.propose(study)
    assert [(box.slice, box.state) for box in boxes] == [(4, state)]
    remark = boxes.provenance.get("remark_on_proposals", "")
    assert (" g on slice 4)" in remark) == (state is BoxState.REJECTED)
    assert bool(pipeline.segment(study, boxes).scores) == (state is BoxState.PROPOSED)


@pytest.mark.parametrize(("wall_value", "state"), [(50, BoxState.PROPOSED), (RING, BoxState.REJECTED)])
def test_scar_is_compared_with_the_healthy_wall_in_the_picture(pipeline, study, segmenter, monkeypatch, wall_value, state):
    """What the detector overlooks on slice 4 has the intensity of a ring; it is scar if the wall around it is darker."""
    voxels = np.where(study.voxels == SCAR, RING, study.voxels)
    x0, y0, x1, y1 = OVERLOOKED
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 10, voxels[4].shape)
    voxels[4] = wall_value + noise
    voxels[4, y0:y1, x0:x1] = RING + noise[y0:y1, x0:x1]
    voxels[4, 0, 0] = 4
    study = Study("case", voxels, study.geometry, study.reconstruction)

    def with_wall(image, beside=None):
        scar = MappedSegmenter.tissue(segmenter, image, beside)[3]
        return np.stack([0 * scar, 0 * scar, 1 - scar, scar])

    monkeypatch.setattr(segmenter, "tissue", with_wall)
    boxes = pipeline.propose(study)
    assert {box.state for box in boxes if box.slice == 4} == {state}


def test_segmenting_what_was_proposed_encodes_no_slice_again(study, own_checkpoint):
    """The map comes with the embedding that the prompts need."""
    segmenter = Segmenter(own_checkpoint, device="cpu", precision="float32")
    pipeline = Pipeline(detector=BrightestDetector(), segmenter=segmenter)
    pipeline.propose(study)
    assert segmenter.cache.misses == SLICES
    pipeline.segment(study, BrightestDetector().detect_many([study.voxels[0]])[0])
    assert segmenter.cache.misses == SLICES


def test_a_segmenter_without_a_map_leaves_the_detectors_boxes(study, lite):
    boxes = Pipeline(detector=BrightestDetector(), segmenter=lite).propose(study)
    assert {box.slice for box in boxes} == {0, 1, 2, 3}
    assert "proposals" not in boxes.provenance


class Listening(MappedSegmenter):
    """Marks a pixel of each slice as scar, by slice and by who found it, and keeps what it was told of the slices beside."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.told, self.seen = {}, {}

    def scar_beside(self, image):
        return marked(image, 10)

    def scar_seen(self, image, beside):
        return marked(image, 20)

    def scar_answered(self, image, boxes, beside):
        assert np.array_equal(beside[0, :20], np.isin(np.arange(20), [number_of(image) + 9, number_of(image) + 11]))
        return marked(image, 30)

    def predict(self, image, boxes=(), points=(), *, beside=None, seen_beside=None):
        number = number_of(image)
        self.told[number] = np.flatnonzero(beside).tolist()
        self.seen[number] = None if seen_beside is None else np.flatnonzero(seen_beside).tolist()
        return super().predict(image, boxes, points, beside=beside, seen_beside=seen_beside)


def number_of(image) -> int:
    return int(image.voxels[0, 0])


def marked(image, first: int) -> np.ndarray:
    return np.arange(image.voxels.size).reshape(image.shape) == first + number_of(image)


@pytest.fixture
def listening(own_checkpoint) -> Listening:
    return Listening(own_checkpoint, device="cpu", precision="float32")


READERS = Box(3, 8.0, 8.0, 20.0, 20.0)
THEIRS = replace(READERS, slice=1, source="detector")


def test_masks_that_nobody_asked_for_are_told_of_scar_that_was_seen_on_the_neighbors(listening, study):
    pipeline = Pipeline(detector=BrightestDetector(), segmenter=listening)
    pipeline.segment(study, [THEIRS, READERS])
    assert listening.seen == {1: [20, 22], 3: None}, "a reader is answered by what he asked"
    pipeline.segment(study, [THEIRS, replace(READERS, slice=1), READERS], [Point(3, 12.0, 12.0)])
    assert listening.seen == {1: [20, 22], 3: None}


def test_what_a_reader_is_answered_tells_the_neighbors_instead_of_a_first_look(listening, study):
    pipeline = Pipeline(detector=BrightestDetector(), segmenter=listening)
    boxes = [THEIRS, replace(READERS, slice=2), READERS]
    pipeline.segment(study, boxes)
    assert listening.told == {1: [10, 32], 2: [11, 33], 3: [14, 32]}
    assert listening.seen == {1: [20, 32], 2: None, 3: None}
    alone = Listening(listening.checkpoint, device="cpu", precision="float32")
    Pipeline(detector=BrightestDetector(), segmenter=alone).segment(study, boxes, slices=[2])
    assert alone.told == {2: [11, 33]}, "boxes on other slices tell it, too"
    pipeline.segment(study, [THEIRS, replace(READERS, slice=2), replace(READERS, state=BoxState.REJECTED)], slices=[2])
    assert listening.told[2] == [11, 13], "a rejected one does not"
