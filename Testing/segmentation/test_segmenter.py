"""What a segmenter answers equals what segment-anything's own parts answer, in the project's frame, from any prompts."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from MyoScarSegLib.errors import ModelError, PromptError, StudyError
from MyoScarSegLib.pipeline import sigmoid
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.segmentation import Segmenter, SegmenterImage
from MyoScarSegLib.segmentation.heart_window import HeartWindow
from MyoScarSegLib.segmentation.prompted_objects import prompted_objects
from MyoScarSegLib.segmentation.segmenter import OUTSIDE_LOGIT
from Testing.support.sam_factory import SIDE, tiny_sam
from Testing.support.segmenter_factory import (
    ALONE,
    ALONE_NOT,
    BESIDE,
    BOX,
    INSIDE,
    INSIDE_NOT,
    OTHER_BOX,
    SHAPE,
    slice_image,
    tiny_checkpoint,
    unbounded,
)


@pytest.fixture(scope="module")
def lite(lite_checkpoint) -> Segmenter:
    return Segmenter(lite_checkpoint, device="cpu", precision="float32")


def _reference(image, *, box=None, points=(), multimask=False):
    """SamPredictor's logits and scores for prompts in our frame.

    SamPredictor adds half a pixel of its *input* to coordinates that count pixel centers, so that a native edge
    coordinate ``e`` is what it calls ``e - 0.5`` where nothing is resized.
    """
    from segment_anything import SamPredictor

    predictor = SamPredictor(tiny_sam())
    predictor.set_image(np.repeat(image.voxels[:, :, None], 3, axis=2))
    logits, scores, _ = predictor.predict(
        box=None if box is None else np.array(box.xyxy) - 0.5,
        point_coords=np.array([(p.x, p.y) for p in points]) - 0.5 if points else None,
        point_labels=np.array([int(p.positive) for p in points]) if points else None,
        multimask_output=multimask,
        return_logits=True,
    )
    best = int(scores.argmax())
    return logits[best], float(scores[best])


def _close(prediction, reference) -> None:
    logits, score = reference
    assert np.ptp(logits) > 0.01
    assert np.abs(prediction.logits - logits).max() < 1e-4 * max(1.0, np.abs(logits).max())
    assert prediction.score == pytest.approx(min(max(score, 0), 1), abs=1e-4)


@pytest.mark.parametrize(
    "image", [slice_image(), slice_image(SHAPE[::-1]), slice_image((64, 64))], ids=["wide", "high", "square"]
)
def test_a_box_is_answered_as_by_sam_predictor(vit, image):
    _close(unbounded(vit, image, [BOX]), _reference(image, box=BOX))


def test_a_box_with_points_is_answered_as_by_sam_predictor(vit):
    points = [INSIDE, INSIDE_NOT]
    _close(unbounded(vit, slice_image(), [BOX], points), _reference(slice_image(), box=BOX, points=points))


def test_points_are_answered_as_by_sam_predictor(vit):
    points = [INSIDE, ALONE, INSIDE_NOT]
    _close(unbounded(vit, slice_image(), points=points), _reference(slice_image(), points=[INSIDE, ALONE, INSIDE_NOT]))


def test_a_single_click_is_ambiguous_and_sams_own_score_chooses_among_three(vit):
    _close(unbounded(vit, slice_image(), points=[INSIDE]), _reference(slice_image(), points=[INSIDE], multimask=True))


def test_a_fine_tuned_model_answers_a_single_click_with_its_one_mask():
    fine_tuned = Segmenter(tiny_checkpoint(preprocessing="yolosam", side=SIDE), device="cpu", precision="float32")
    other = Segmenter(tiny_checkpoint(preprocessing="yolosam"), device="cpu", precision="float32")
    image = slice_image((64, 64))
    one = unbounded(fine_tuned, image, points=[INSIDE])
    features = other.encode(image)
    with torch.inference_mode():
        sam = tiny_sam()
        xy = torch.tensor([[[INSIDE.x - 0.5, INSIDE.y - 0.5]]])
        sparse, dense = sam.prompt_encoder(points=(xy, torch.ones(1, 1)), boxes=None, masks=None)
        logits, _ = sam.mask_decoder(features, sam.prompt_encoder.get_dense_pe(), sparse, dense, multimask_output=False)
    expected = torch.nn.functional.interpolate(logits, (SIDE, SIDE), mode="bilinear")[0, 0].numpy()
    assert np.abs(one.logits - expected).max() < 1e-4


def test_a_resized_oblong_slice_is_answered_at_the_right_place(vit):
    """By hand: coordinates scaled by input size over slice size, encoder and decoder of segment-anything."""
    image = slice_image((90, 131))
    box, point = Box(0, 20.5, 10.0, 77.0, 61.25, source="yolo"), Point(0, 50.0, 33.0)
    rows, columns = 44, 64  # 90 * 64 / 131 = 43.97
    prediction = unbounded(vit, image, [box], [point])
    sam = tiny_sam()
    scale = np.array([columns / 131, rows / 90])
    corners = torch.tensor(np.array(box.xyxy).reshape(2, 2) * scale - 0.5, dtype=torch.float32).reshape(1, 4)
    xy = torch.tensor(np.array([[[point.x, point.y]]]) * scale - 0.5, dtype=torch.float32)
    with torch.inference_mode():
        features = vit.encode(image)
        sparse, dense = sam.prompt_encoder(points=(xy, torch.ones(1, 1)), boxes=corners, masks=None)
        low, scores = sam.mask_decoder(features, sam.prompt_encoder.get_dense_pe(), sparse, dense, multimask_output=False)
        full = torch.nn.functional.interpolate(low, (64, 64), mode="bilinear")[:, :, :rows, :columns]
        expected = torch.nn.functional.interpolate(full, (90, 131), mode="bilinear", antialias=True)[0, 0].numpy()
    assert prediction.logits.shape == (90, 131)
    assert np.abs(prediction.logits - expected).max() < 1e-4
    assert prediction.score == pytest.approx(min(max(float(scores), 0), 1), abs=1e-5)


def test_moving_image_and_prompts_together_moves_the_answer(lite):
    """In a window, where the heart lies in the slice does not matter."""
    big = np.random.default_rng(2).gamma(2, 100, (100, 120))
    box = Box(0, 30, 35, 50, 52, source="yolo")
    first = lite.predict(SegmenterImage(big[:80, :90], (1.0, 1.0), (42.0, 44.0)), [box]).logits
    # The percentiles that normalize a slice must stay: the same pixels, rolled.
    rolled = SegmenterImage(np.roll(big[:80, :90], (7, 11), axis=(0, 1)), (1.0, 1.0), (53.0, 51.0))
    second = lite.predict(rolled, [Box(0, 41, 42, 61, 59, source="yolo")]).logits
    assert np.abs(second[7 + 24 : 7 + 64, 11 + 22 : 11 + 62] - first[24:64, 22:62]).max() < 1e-4
    assert np.ptp(first[24:64, 22:62]) > 0.01


# ---- combining prompts


def test_several_boxes_are_a_union(vit):
    image = slice_image()
    each = [vit.predict(image, [box]) for box in (BOX, OTHER_BOX)]
    both = vit.predict(image, [BOX, OTHER_BOX])
    union = np.maximum(each[0].logits, each[1].logits)
    # The larger is taken on the decoder's grid, before resampling: it may only exceed where the two objects meet.
    assert (both.logits >= union - 1e-5).all()
    assert np.abs(both.logits - union).max() < 0.1 * np.ptp(union)
    assert (each[0].logits > each[1].logits + 0.01).any()
    assert (each[1].logits > each[0].logits + 0.01).any()
    assert both.score == pytest.approx(min(e.score for e in each), abs=1e-5)


READERS = Box(0, 20.25, 12.0, 40.0, 30.0)
WITHIN_A_PIXEL = (slice(11, 31), slice(19, 41))


def _exceeds(logits: np.ndarray, rows: slice, columns: slice) -> bool:
    """Whether any pixel beyond a rectangle may be scar at some threshold."""
    beyond = np.ones(logits.shape, bool)
    beyond[rows, columns] = False
    return bool((sigmoid(logits)[beyond] > 0).any())


@pytest.mark.parametrize("points", [[], [Point(0, 30.0, 20.0)], [ALONE_NOT]])
def test_the_readers_box_bounds_the_mask_with_a_pixel_of_grace_and_the_detectors_with_a_quarter_of_its_side(vit, points):
    image, detectors = slice_image(), replace(READERS, source="yolo")
    bounded, free = vit.predict(image, [READERS], points), vit.predict(image, [detectors], points)
    assert not _exceeds(bounded.logits, *WITHIN_A_PIXEL)
    assert _exceeds(free.logits, *WITHIN_A_PIXEL) and not _exceeds(free.logits, slice(7, 35), slice(15, 45))
    assert np.array_equal(bounded.logits[WITHIN_A_PIXEL], free.logits[WITHIN_A_PIXEL])


@pytest.mark.parametrize(
    ("point", "rows", "columns"),
    [
        (Point(0, 42.0, 20.0), slice(11, 31), slice(19, None)),
        (Point(0, 18.0, 20.0), slice(11, 31), slice(None, 41)),
        (Point(0, 30.0, 33.0), slice(11, None), slice(19, 41)),
        (Point(0, 42.0, 9.0), slice(None, 31), slice(19, None)),
    ],
    ids=["right", "left", "below", "corner"],
)
def test_a_positive_click_beyond_a_side_of_the_readers_box_opens_that_side_alone(vit, point, rows, columns):
    logits = vit.predict(slice_image(), [READERS], [point]).logits
    assert not _exceeds(logits, rows, columns)
    assert _exceeds(logits, *WITHIN_A_PIXEL)


def test_a_positive_click_far_from_the_readers_box_is_an_object_of_its_own(vit):
    assert _exceeds(vit.predict(slice_image(), [READERS], [ALONE]).logits, *WITHIN_A_PIXEL)


def test_of_two_boxes_each_bounds_its_own_object(vit):
    image, other = slice_image(), replace(OTHER_BOX, source="user", x0=50.0)
    both = vit.predict(image, [READERS, other]).logits
    each = np.maximum(vit.predict(image, [READERS]).logits, vit.predict(image, [other]).logits)
    assert np.allclose(both, each, atol=1e-4)
    assert _exceeds(vit.predict(image, [READERS, OTHER_BOX]).logits, slice(11, 45), slice(19, 62))


def test_the_order_of_prompts_does_not_matter(vit):
    image = slice_image()
    boxes, points = [BOX, OTHER_BOX], [INSIDE, INSIDE_NOT, ALONE, ALONE_NOT]
    first = vit.predict(image, boxes, points)
    for some in itertools.islice(itertools.permutations(points), 0, 24, 5):
        again = vit.predict(image, boxes[::-1], some)
        assert np.allclose(again.logits, first.logits, atol=1e-4)
        assert again.score == pytest.approx(first.score, abs=1e-5)


@pytest.mark.parametrize(
    ("boxes", "points", "groups"),
    [
        ([BOX], [], [(BOX, set())]),
        ([BOX, OTHER_BOX], [], [(BOX, set()), (OTHER_BOX, set())]),
        ([BOX], [INSIDE], [(BOX, {INSIDE})]),
        ([BOX, OTHER_BOX], [INSIDE], [(BOX, {INSIDE}), (OTHER_BOX, set())]),
        ([BOX, OTHER_BOX], [INSIDE_NOT], [(BOX, {INSIDE_NOT}), (OTHER_BOX, {INSIDE_NOT})]),
        ([BOX], [ALONE], [(BOX, set()), (None, {ALONE})]),
        ([BOX, OTHER_BOX], [BESIDE], [(BOX, {BESIDE}), (OTHER_BOX, set())]),
        ([BOX], [ALONE_NOT], [(BOX, {ALONE_NOT})]),
        ([BOX], [ALONE, INSIDE_NOT, ALONE_NOT], [(BOX, {INSIDE_NOT, ALONE_NOT}), (None, {ALONE, INSIDE_NOT, ALONE_NOT})]),
        ([], [ALONE, INSIDE], [(None, {ALONE, INSIDE})]),
        ([], [ALONE, ALONE_NOT], [(None, {ALONE, ALONE_NOT})]),
    ],
)
def test_each_point_goes_to_the_objects_that_it_concerns(boxes, points, groups):
    assert [(p.box, set(p.points)) for p in prompted_objects(boxes, points)] == groups


def test_prompts_are_decoded_a_few_at_a_time_to_the_same_answer(vit, monkeypatch):
    image, boxes, points = slice_image(), [BOX, OTHER_BOX], [INSIDE, ALONE]
    together = vit.predict(image, boxes, points)
    monkeypatch.setattr(vit.sam, "prompts_at_once", 1)
    one_by_one = vit.predict(image, boxes, points)
    np.testing.assert_allclose(one_by_one.logits, together.logits, atol=1e-4)
    assert one_by_one.score == pytest.approx(together.score, abs=1e-5)


@pytest.mark.parametrize(("with_box", "with_points"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shape", [(47, 61), (33, 90)])
def test_every_combination_gives_finite_logits_on_the_native_grid(lite, shape, with_box, with_points):
    image = SegmenterImage(np.random.default_rng(0).normal(0, 100, shape))
    boxes = [Box(0, 15, 5, 30, 25)] if with_box else []
    points = [Point(0, 20, 12), Point(0, 40, 20, False)] if with_points else []
    prediction = lite.predict(image, boxes, points)
    assert prediction.logits.shape == shape
    assert prediction.logits.dtype == np.float32
    assert np.isfinite(prediction.logits).all()
    assert 0 <= prediction.score <= 1


# ---- what is refused


@pytest.mark.parametrize("points", [[], [ALONE_NOT], [ALONE_NOT, INSIDE_NOT]])
def test_nothing_to_segment_is_refused(vit, points):
    with pytest.raises(PromptError, match="There is nothing to segment"):
        vit.predict(slice_image(), points=points)


@pytest.mark.parametrize(
    ("boxes", "points", "message"),
    [
        ([Box(0, 70, 1, 80, 9)], [], "lies outside the image"),
        ([Box(0, 9, 9, 9, 20)], [], "has no area"),
        ([BOX], [Point(0, 65, 3)], "lies outside the image"),
        ([], [Point(0, np.nan, 3)], "not a finite number"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_refused(vit, boxes, points, message):
    with pytest.raises(PromptError, match=message):
        vit.predict(slice_image(), boxes, points)


def test_a_box_that_reaches_beyond_the_slice_counts_as_clipped(vit):
    beyond, clipped = Box(5, 30, -9, 99, 30), Box(5, 30, 0, 64, 30)
    assert np.array_equal(vit.predict(slice_image(), [beyond]).logits, vit.predict(slice_image(), [clipped]).logits)


@pytest.mark.parametrize("image", [np.zeros((3, 48, 64)), np.zeros((1, 64)), np.full(SHAPE, np.inf)])
def test_an_image_that_is_no_slice_is_refused(image):
    with pytest.raises(StudyError, match=r"is no slice|not finite"):
        SegmenterImage(image)


@pytest.mark.parametrize("message", ["MPS backend out of memory", "DefaultCPUAllocator: can't allocate memory"])
def test_want_of_memory_is_told_with_a_remedy(vit, monkeypatch, message):
    def full(*arguments):
        raise RuntimeError(message)

    monkeypatch.setattr(vit._model["image_encoder"], "forward", full)
    with pytest.raises(ModelError, match="cpu has too little memory for tiny"):
        vit.encode(slice_image(seed=99))


# ---- views


def test_a_vit_looks_at_whole_slices_only():
    with pytest.raises(ModelError, match="looks at whole slices only"):
        Segmenter(tiny_checkpoint(), device="cpu", view="heart")
    assert Segmenter(tiny_checkpoint(), device="cpu", view="slice").window is None


def test_a_model_trained_on_windows_looks_at_its_window_only(lite):
    assert lite.window == HeartWindow(40.0, 32)
    with pytest.raises(ModelError, match="cannot look at whole slices"):
        Segmenter(lite.checkpoint, device="cpu", view="slice")


def test_an_unknown_view_is_refused():
    with pytest.raises(ModelError, match=r"There is no view called 'lungs'. Choose one of auto, heart, slice"):
        Segmenter(tiny_checkpoint(), device="cpu", view="lungs")


def test_foreign_litemedsam_looks_at_the_window_unless_told_otherwise(lite_state):
    foreign = tiny_checkpoint(state=lite_state, architecture="litemedsam", preprocessing="litemedsam", side=64)
    assert Segmenter(foreign, device="cpu").window == HeartWindow(180.0, 128)
    whole = Segmenter(foreign, device="cpu", view="slice")
    assert (whole.window, whole.side) == (None, 64)


def test_what_the_window_does_not_show_is_surely_no_scar(lite):
    image = SegmenterImage(np.random.default_rng(0).gamma(2, 100, (100, 120)), (1.0, 1.0), (60, 50))
    logits = unbounded(lite, image, [Box(0, 50, 45, 65, 60, source="yolo")]).logits
    assert (logits[:, :40] == OUTSIDE_LOGIT).all()
    assert (logits[:30] == OUTSIDE_LOGIT).all()
    assert (logits[30:70, 40:80] != OUTSIDE_LOGIT).all()
    assert (logits[70:] == OUTSIDE_LOGIT).all()


def test_the_window_has_its_size_in_millimeters_whatever_the_pixels():
    window = HeartWindow(40.0, 32)
    assert window.region((100, 120), (1.0, 1.0), (60, 50)) == (40, 30, 80, 70)
    assert window.region((100, 120), (2.0, 0.5), (60, 50)) == (20, 40, 100, 60)
    assert window.region((100, 120), (1.0, 1.0), None) == (40, 30, 80, 70)  # the middle of the slice
    assert window.region((30, 30), (1.0, 1.0), (3, 3)) == (-17, -17, 23, 23)  # beyond the slice


def test_the_window_stays_where_it_is_while_prompts_lie_in_it():
    window = HeartWindow(40.0, 32)
    still = window.region((100, 120), (1.0, 1.0), (60, 50))
    assert window.region((100, 120), (1.0, 1.0), (60, 50), [(40, 30, 80, 70)]) == still
    assert window.region((100, 120), (1.0, 1.0), (60, 50), [(41, 31, 42, 32), (79, 69, 79, 69)]) == still


@pytest.mark.parametrize(
    "prompts",
    [[(10, 10, 30, 30)], [(39, 30, 41, 32)], [(5, 5, 6, 6), (110, 90, 119, 99)], [(0, 0, 120, 100)], [(81, 50, 81, 50)]],
)
def test_the_window_moves_and_grows_to_hold_all_prompts(prompts):
    x0, y0, x1, y1 = HeartWindow(40.0, 32).region((100, 120), (1.0, 1.0), (60, 50), prompts)
    corners = np.array(prompts)
    assert x0 <= corners[:, 0].min()
    assert y0 <= corners[:, 1].min()
    assert x1 >= corners[:, 2].max()
    assert y1 >= corners[:, 3].max()
    assert x1 - x0 == y1 - y0 >= 40


def test_a_map_that_is_not_finite_is_an_error_and_not_a_slice_without_scar():
    segmenter = Segmenter(tiny_checkpoint(sha256="2" * 64), device="cpu", precision="float32")
    for parameter in segmenter._model["mask_decoder"].output_upscaling.parameters():
        parameter.data.fill_(3e38)  # finite, but their sums are not
    with pytest.raises(ModelError, match="not finite"):
        segmenter.predict(slice_image(), [BOX])
