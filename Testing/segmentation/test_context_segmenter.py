"""Our own segmenter: SAM beside a network that sees three slices and the prompts, and what it promises about prompts."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from MyoScarSegLib.errors import ModelError, PromptError
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.prompts import BESIDE, FAINT, Box, Point
from MyoScarSegLib.segmentation import Segmenter, SegmenterImage
from MyoScarSegLib.segmentation.answers import METADATA_KEY, Answers
from MyoScarSegLib.segmentation.architectures import TISSUES, build
from MyoScarSegLib.segmentation.context import scar_logits
from MyoScarSegLib.segmentation.context_looks import ContextLooks
from MyoScarSegLib.segmentation.mask_decoder import decode
from MyoScarSegLib.segmentation.preprocessing import heart_contrast
from MyoScarSegLib.segmentation.prompt_maps import PROMPT_MAPS, prompt_maps
from MyoScarSegLib.segmentation.prompted_objects import changed_by_click
from MyoScarSegLib.segmentation.sam_checkpoint import Checkpoint
from MyoScarSegLib.study.image_quality import quieted
from MyoScarSegLib.study.normalization import normalize
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from Testing.support.pipeline_factory import BrightestDetector
from Testing.support.sam_factory import litemedsam_state
from Testing.support.segmenter_factory import unbounded
from Testing.support.tiny_training import context_network, own_state

SIDE = 32
ROWS, COLUMNS = 48, 40
X0, Y0 = 4, 8
"""Of the window of 32 mm around the heart, in a slice of 1 mm a pixel."""
READERS, DETECTORS = Box(0, 9.0, 12.0, 25.0, 30.0), Box(0, 9.0, 12.0, 25.0, 30.0, source="detector")
CLICKS = [Point(0, 14.0, 15.0, True), Point(0, 20.0, 28.0, False)]
KEPT = 2
"""Of a slice: SAM's features, and the context network's first look."""
THRESHOLDS = (0.01, 0.1, 0.5, 0.9, 0.99)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return seeing(own_state(3), "context")


def seeing(state: dict[str, torch.Tensor], network: str) -> dict[str, torch.Tensor]:
    """Random weights that find some scar, by the last layer's bias."""
    bias = f"{network}.tissue.bias"
    return state | {bias: state[bias] + torch.tensor([0.0, 0.0, 0.0, 1.1])}


def checkpoint(state: dict[str, torch.Tensor], **answers: object) -> Checkpoint:
    metadata = {METADATA_KEY: json.dumps(answers)}
    return Checkpoint("own", "0" * 64, state, "litemedsam", "myoscarseg-1", SIDE, window_mm=32.0, metadata=metadata)


@pytest.fixture(scope="module")
def segmenter(state) -> Segmenter:
    return Segmenter(checkpoint(state, sam_share=0.3), device="cpu", precision="float32")


@pytest.fixture(scope="module")
def context(state) -> Segmenter:
    """The context network alone, since SAM counts nothing."""
    return Segmenter(checkpoint(state), device="cpu", precision="float32")


@pytest.fixture(scope="module")
def voxels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 900, (3, ROWS, COLUMNS)).astype(np.int16)


@pytest.fixture(scope="module")
def image(voxels) -> SegmenterImage:
    return SegmenterImage(voxels[1], (1.0, 1.0), (20.0, 24.0), voxels[0], voxels[2])


@pytest.fixture
def looks(monkeypatch) -> list:
    """One entry for each look of the context network at a slice, from now on."""
    found, look = [], ContextLooks.tissues
    monkeypatch.setattr(ContextLooks, "tissues", lambda self, *given: (found.append(given), look(self, *given))[1])
    return found


def in_window(native: np.ndarray) -> np.ndarray:
    return native[..., Y0 : Y0 + SIDE, X0 : X0 + SIDE]


def context_answer(network, stack, boxes=(), points=(), hint=None, beside=None, looks=((), (3,)), center=None) -> torch.Tensor:
    """Logarithms of the tissues' probabilities, put together from the parts that training uses; a twin's around a center."""
    beside = None if beside is None else torch.from_numpy(in_window(beside).astype(np.float32))
    slices = torch.stack([torch.from_numpy(in_window(normalize(quieted(one)))) for one in stack])[None]
    placed = [(b.x0 - X0, b.y0 - Y0, b.x1 - X0, b.y1 - Y0) for b in boxes]
    maps = prompt_maps(SIDE, placed, [(p.x - X0, p.y - Y0, float(p.positive)) for p in points], hint, beside)[None]
    seen = []
    for axes in looks:
        x, y = (0, 0) if center is None else center
        mirrored = torch.tensor([[SIDE - x if 3 in axes else x, SIDE - y if 2 in axes else y]])
        with torch.inference_mode():
            answer = network(heart_contrast(slices).flip(axes), maps.flip(axes), *([] if center is None else [mirrored]))
        seen.append(answer.softmax(1).flip(axes))
    return torch.stack(seen).mean(0)[0].log()


def center_of(network, stack) -> tuple[float, float]:
    """``(x, y)`` in the window of what the context network takes for the ventricle, by the mean of its four looks."""
    seen = context_answer(network["context"], stack, looks=((), (3,), (2,), (2, 3)))
    rows, columns = np.nonzero(seen[0].exp().numpy() < 0.5)
    return columns.mean() + 0.5, rows.mean() + 0.5


def agreed(state, stack, beside=None, seen_beside=None) -> torch.Tensor:
    """Logits of scar ``[side, side]`` where nobody asked, from the parts, too: the map's, and the answer to the program's box."""
    network = build(state, SIDE)
    twin, center = (network["asked"], center_of(network, stack)) if "asked" in network else (network["context"], None)
    mapped = scar_logits(context_answer(network["context"], stack, beside=beside, looks=((), (3,), (2,), (2, 3))))
    seen = mapped if seen_beside is None else agreed(state, stack, beside)
    rows, columns = np.nonzero(seen.numpy() > 0)
    box = Box(0, columns.min() - 1.0 + X0, rows.min() - 1.0 + Y0, columns.max() + 2.0 + X0, rows.max() + 2.0 + Y0)
    told, looks = (beside, ((),)) if seen_beside is None else (seen_beside, ((), (3,)))
    return (mapped + scar_logits(context_answer(twin, stack, [box], beside=told, looks=looks, center=center))) / 2


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_prediction_is_what_training_sees(state, image, share, monkeypatch):
    """The same window, neighbors and prompts give the same logits in use and in training."""
    segmenter = Segmenter(checkpoint(state, sam_share=share), device="cpu", precision="float32")
    monkeypatch.setattr("MyoScarSegLib.segmentation.reader_answers.changed_by_click", lambda before, after, click: after)
    asked, corrected = (in_window(segmenter.predict(image, [READERS], points).logits) for points in ((), CLICKS))

    network = build(state, SIDE)
    own = scar_logits(context_answer(network["context"], image.stack, [READERS]))
    with torch.inference_mode():
        features = network["image_encoder"](
            torch.from_numpy(in_window(normalize(quieted(image.voxels))))[None, None].expand(-1, 3, -1, -1)
        )
        box = (READERS.x0 - X0, READERS.y0 - Y0, READERS.x1 - X0, READERS.y1 - Y0)
        sam = decode(network, features, [0], [box], [np.zeros((0, 3))], [None])[0][0]
    inside = np.s_[12 - Y0 : 30 - Y0, 9 - X0 : 25 - X0]
    np.testing.assert_allclose(asked[inside], (share * sam + (1 - share) * own).numpy()[inside], atol=1e-4)
    for count in range(1, len(CLICKS) + 1):
        own = scar_logits(context_answer(network["context"], image.stack, [READERS], CLICKS[:count], own.sigmoid()))
    wrong = np.abs(corrected[inside] - own.numpy()[inside]) > 1e-4
    assert wrong.sum() == 2, "all pixels but those that were clicked on; of corrections the context network alone decides"


def test_answers_are_calibrated_as_the_checkpoint_says(state, context, image):
    lines = {"mapped": [3.0, 0.5], "alone": [2.0, -0.5], "asked": [0.5, 1.0]}
    calibrated = Segmenter(checkpoint(state, **lines), device="cpu", precision="float32")
    on_map = [np.log(scar / (1 - scar)) for scar in (one.tissue(image)[3] for one in (context, calibrated))]
    np.testing.assert_allclose(in_window(on_map[1]), 3.0 * in_window(on_map[0]) + 0.5, atol=1e-3)
    for box, slope, shift in ((DETECTORS, 2.0, -0.5), (READERS, 0.5, 1.0)):
        plain, found = (in_window(unbounded(one, image, [box]).logits) for one in (context, calibrated))
        np.testing.assert_allclose(found, slope * plain + shift, atol=1e-4)


def test_a_detectors_box_without_clicks_is_answered_by_what_is_seen_unasked(state, context, image):
    beside, seen_beside = np.zeros((2, *image.shape), bool)
    beside[14:22, 12:20] = seen_beside[18:26, 12:20] = True
    for told in ({}, {"beside": beside}, {"beside": beside, "seen_beside": seen_beside}, {"seen_beside": seen_beside}):
        found = context.predict(image, [DETECTORS], **told).logits
        where = found > -20
        assert where[12:30, 9:25].all()
        expected = agreed(state, image.stack, **told).numpy()
        np.testing.assert_allclose(in_window(found)[in_window(where)], expected[in_window(where)], atol=1e-4)
    found = context.predict(image, [DETECTORS]).logits
    kept_on_a_hint = [[replace(DETECTORS, source=f"detector{hint}")] for hint in (FAINT, BESIDE)]
    for boxes in ([READERS], *kept_on_a_hint):
        assert np.abs(context.predict(image, boxes).logits - found)[13:27, 15:24].max() > 1e-3, "it was asked"


def test_two_boxes_of_the_reader_are_asked_for_together(state, context, image):
    first, second = Box(0, 8.0, 10.0, 18.0, 20.0), Box(0, 22.0, 22.0, 34.0, 36.0)
    expected = scar_logits(context_answer(build(state, SIDE)["context"], image.stack, [first, second])).numpy()
    found = in_window(context.predict(image, [first, second]).logits)
    for box in (first, second):
        inside = np.s_[int(box.y0) - Y0 : int(box.y1) - Y0, int(box.x0) - X0 : int(box.x1) - X0]
        np.testing.assert_allclose(found[inside], expected[inside], atol=1e-4)
    assert (
        np.abs(context.predict(image, [first]).logits - context.predict(image, [first, second]).logits)[10:20, 8:18].max() > 1e-4
    )


def test_a_detectors_box_beside_the_readers_is_still_answered_unasked(context, image):
    theirs = replace(DETECTORS, x0=26.0, x1=34.0)
    alone, both = (context.predict(image, boxes).logits for boxes in ([theirs], [theirs, replace(READERS, x1=22.0)]))
    np.testing.assert_allclose(both[12:30, 26:34], alone[12:30, 26:34], atol=1e-5)


def test_an_edit_does_not_encode_again(segmenter, image):
    segmenter.predict(image, [READERS])
    misses = segmenter.cache.misses
    segmenter.predict(image, [replace(READERS, x1=27.0)], [Point(0, 12.0, 13.0, True)])
    segmenter.tissue(image)
    assert segmenter.cache.misses == misses


@pytest.mark.parametrize("neighbor", ["below", "above"])
def test_a_changed_neighbor_makes_another_embedding(segmenter, image, neighbor):
    segmenter.encode(image)
    misses = segmenter.cache.misses
    segmenter.encode(replace(image))
    assert segmenter.cache.misses == misses
    segmenter.encode(replace(image, **{neighbor: getattr(image, neighbor)[::-1].copy()}))
    segmenter.encode(replace(image, **{neighbor: None}))
    assert segmenter.cache.misses == misses + 2 * KEPT


def with_twin(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A model with a twin, of other weights than its context network."""
    twin = {f"asked.unrolled.{key}": value for key, value in context_network(7)["context"].state_dict().items()}
    return state | seeing(twin, "asked.unrolled")


def test_the_twin_answers_the_reader_and_the_programs_own_box_around_the_ventricle(state, image):
    bias = "context.tissue.bias"
    state = state | {bias: state[bias] + torch.tensor([3.0, 0.0, 0.0, 2.1])}  # else it takes all for ventricle
    both = with_twin(state)
    other = Segmenter(checkpoint(both), device="cpu", precision="float32")
    alone = Segmenter(checkpoint(state), device="cpu", precision="float32")
    np.testing.assert_array_equal(other.tissue(image), alone.tissue(image))
    network, inside = build(both, SIDE), np.s_[12 - Y0 : 30 - Y0, 9 - X0 : 25 - X0]
    center = center_of(network, image.stack)
    assert np.abs(np.array(center) - SIDE / 2).max() > 0.2, "else it might as well be the window's"
    asked = scar_logits(context_answer(network["asked"], image.stack, [READERS], center=center)).numpy()
    found = in_window(other.predict(image, [READERS]).logits)
    np.testing.assert_allclose(found[inside], asked[inside], atol=1e-4)
    found = other.predict(image, [DETECTORS]).logits
    where = in_window(found > -20)
    np.testing.assert_allclose(in_window(found)[where], agreed(both, image.stack).numpy()[where], atol=1e-4)
    assert np.abs(found - alone.predict(image, [DETECTORS]).logits).max() > 0.1


def test_a_twin_of_a_former_version_is_refused(state):
    former = state | {f"asked.{key}": value for key, value in context_network(7)["context"].state_dict().items()}
    with pytest.raises(ModelError, match="former version"):
        Segmenter(checkpoint(former), device="cpu", precision="float32")


def test_without_scar_there_is_no_box_to_ask_about(state, image):
    """The bias of the last layer makes all of it background."""
    empty = {key: value.clone() for key, value in state.items()}
    empty["context.tissue.bias"][0] += 50
    segmenter = Segmenter(checkpoint(empty), device="cpu", precision="float32")
    first = context_answer(build(empty, SIDE)["context"], image.stack, looks=((), (3,), (2,), (2, 3)))
    found = segmenter.predict(image, [DETECTORS]).logits
    where = in_window(found > -20)
    np.testing.assert_allclose(in_window(found)[where], scar_logits(first).numpy()[where], atol=1e-4)
    assert not segmenter.scar_seen(image, None).any()


def test_neighbors_masks_are_told_of_what_both_networks_agree_on(state, context, image):
    beside = np.zeros(image.shape, bool)
    beside[14:22, 12:20] = True
    for told in (None, beside):
        expected = agreed(state, image.stack, told).numpy()
        sure = np.abs(expected) > 1e-3
        seen = in_window(context.scar_seen(image, told))
        assert seen.dtype == bool and np.array_equal(seen[sure], expected[sure] > 0) and seen.any() and not seen.all()


def test_sam_is_not_asked_about_what_no_reader_asked(segmenter, image, monkeypatch):
    slices = []
    encoder = type(segmenter._model["image_encoder"])
    monkeypatch.setattr(encoder, "forward", lambda self, x, forward=encoder.forward: (slices.append(x), forward(self, x))[1])
    other = replace(image, voxels=np.flip(image.voxels, 0).copy())
    segmenter.tissue(other)
    segmenter.scar_beside(other)
    segmenter.predict(other, [DETECTORS])
    assert not slices
    segmenter.predict(other, [READERS])
    assert len(slices) == 1


def test_neighbors_that_change_places_make_another_embedding(segmenter, image):
    segmenter.encode(image)
    misses = segmenter.cache.misses
    segmenter.encode(replace(image, below=image.above, above=image.below))
    assert segmenter.cache.misses == misses + KEPT


@pytest.mark.parametrize("missing", [("below",), ("above",), ("below", "above")])
def test_the_slice_itself_stands_for_a_missing_neighbor(context, image, missing):
    without = replace(image, **dict.fromkeys(missing))
    doubled = replace(image, **dict.fromkeys(missing, image.voxels))
    np.testing.assert_array_equal(context.tissue(without), context.tissue(doubled))
    np.testing.assert_array_equal(context.predict(without, [READERS]).logits, context.predict(doubled, [READERS]).logits)


def test_what_is_told_of_scar_beside_is_the_first_looks_from_its_own_threshold_on(state, context, image):
    told = in_window(context.scar_beside(image))
    first = context_answer(build(state, SIDE)["context"], image.stack, looks=((), (3,), (2,), (2, 3)))
    logits = scar_logits(first).numpy() - np.log(context.answers.first / (1 - context.answers.first))
    sure = np.abs(logits) > 1e-3
    assert told.dtype == bool and np.array_equal(told[sure], logits[sure] >= 0) and told.any() and not told.all()


def test_later_looks_are_made_once_for_map_and_mask_and_anew_for_other_scar_beside(context, image, looks):
    beside = np.zeros(image.shape, dtype=bool)
    beside[20:24, 10:14] = True
    context.forget()
    context.encode(image)
    looks.clear()
    first = context.tissue(image, beside)
    assert len(looks) == 1
    seen = context.scar_seen(image, beside)
    mask = context.predict(image, [DETECTORS], beside=beside, seen_beside=seen).logits
    assert len(looks) == 3, "at the neighbors' scar, at its own box, and at its box again"
    assert np.array_equal(context.tissue(image, beside), first)
    narrower = context.predict(image, [replace(DETECTORS, x1=24.0)], beside=beside, seen_beside=seen).logits
    assert np.array_equal(narrower[:, 9:24], mask[:, 9:24])
    assert len(looks) == 3
    context.tissue(image, np.roll(beside, 3, axis=0))
    assert len(looks) == 4
    context.predict(image, [DETECTORS], beside=beside, seen_beside=~seen)
    assert len(looks) == 5
    context.forget()
    assert len(context.cache) == 0
    context.encode(image)
    looks.clear()
    assert np.array_equal(context.tissue(image, beside), first) and len(looks) == 1, "made anew, and the same"


def test_what_a_slice_tells_its_neighbors_of_a_readers_box_is_one_answer_inside_it(state, context, image, looks):
    beside = np.zeros(image.shape, dtype=bool)
    beside[20:24, 10:14] = True
    context.forget()
    context.encode(image)
    looks.clear()
    told = context.scar_answered(image, [READERS], beside)
    assert np.array_equal(context.scar_answered(image, [READERS], beside), told) and len(looks) == 1
    network = build(state, SIDE)["context"]
    box = READERS.xyxy - np.array([X0, Y0, X0, Y0])
    logits = scar_logits(context_answer(network, image.stack, [READERS], beside=beside, looks=((),))).numpy()
    rows, columns = np.ogrid[:SIDE, :SIDE]
    inside = (columns + 0.5 > box[0] - 1) & (columns + 0.5 < box[2] + 1) & (rows + 0.5 > box[1] - 1) & (rows + 0.5 < box[3] + 1)
    sure = np.abs(logits) > 1e-3
    assert np.array_equal(in_window(told)[sure], (inside & (logits > 0))[sure]) and told.any()
    context.scar_answered(image, [replace(READERS, x1=24.0)], beside)
    assert len(looks) == 2


def test_other_answers_count_from_the_next_question_on(state, image):
    segmenter = Segmenter(checkpoint(state), device="cpu", precision="float32")
    before = segmenter.predict(image, [READERS]).logits
    segmenter.answers = replace(segmenter.answers, asked=(1.0, 0.5))
    after = segmenter.predict(image, [READERS]).logits
    inside = np.abs(before) < 10
    np.testing.assert_allclose(after[inside], before[inside] + 0.5, atol=1e-4)
    assert inside.any()


def test_scar_beside_has_the_shape_of_the_slice(context, image):
    beside = np.zeros(image.shape, bool)
    with pytest.raises(PromptError):
        context.predict(image, [READERS], beside=beside[1:])


def test_tissues_are_probabilities_on_the_native_grid(state, segmenter, image):
    tissue = segmenter.tissue(image)
    assert tissue.shape == (4, *image.shape)
    np.testing.assert_allclose(tissue.sum(axis=0), 1, atol=1e-5)
    assert (tissue[0, :Y0] > 0.999).all(), "where the network does not look there is background"
    expected = context_answer(build(state, SIDE)["context"], image.stack, looks=((), (3,), (2,), (2, 3))).exp()
    np.testing.assert_allclose(in_window(tissue), expected.numpy(), atol=1e-4)


def test_sam_alone_has_no_tissue_map(image):
    plain = Segmenter(replace(checkpoint(litemedsam_state()), sha256="1" * 64), device="cpu", precision="float32")
    assert not plain.knows_tissue
    with pytest.raises(ModelError, match="no map of tissues"):
        plain.tissue(image)


@pytest.mark.parametrize("lost", ["down.0.0.weight", "down.1.0.weight", "down.4.0.weight", "up.0.weight", "tissue.bias"])
def test_a_torn_network_is_refused(state, lost):
    torn = {key: value for key, value in state.items() if key != f"context.{lost}"}
    with pytest.raises(ModelError, match=r"tensors? "):
        build(torn, SIDE)


def test_maps_show_the_prompts():
    hint, beside = torch.rand(16, 16), torch.rand(16, 16)
    drawn = prompt_maps(16, [(2.5, 3.0, 8.0, 9.25), (6.0, 8.0, 12.0, 12.0)], [(4.5, 6.5, 1.0), (10.5, 2.5, 0.0)], hint, beside)
    maps = dict(zip(PROMPT_MAPS, drawn, strict=True))
    assert maps["box"][5, 2] == 0.5 and maps["box"][9, 5] == 0.25 and maps["box"][8, 7] == 1
    assert maps["box"].sum() == pytest.approx((8 - 2.5) * (9.25 - 3) + 6 * 4 - 2 * 1.25), "the union of both"
    assert maps["positive"].argmax() == 6 * 16 + 4 and maps["negative"].argmax() == 2 * 16 + 10
    assert maps["positive"].max() == maps["negative"].max() == 1
    assert maps["has_box"].all() and maps["has_hint"].all()
    assert torch.equal(maps["hint"], hint) and torch.equal(maps["beside"], beside)
    assert not prompt_maps(16).any(), "nothing is asked"


def test_a_checkpoint_without_context_network_leaves_the_masks_to_sam(state, image):
    sam = {key: value for key, value in state.items() if not key.startswith("context.")}
    found = Segmenter(replace(checkpoint(sam), sha256="1" * 64), device="cpu", precision="float32").predict(image, [READERS])
    expected = Segmenter(checkpoint(state, sam_share=1.0), device="cpu", precision="float32").predict(image, [READERS])
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-4)


def test_contrast_is_the_hearts_and_not_the_fats():
    window = torch.full((1, 3, 64, 64), 0.98)
    y, x = torch.meshgrid(torch.arange(64) + 0.5 - 32, torch.arange(64) + 0.5 - 32, indexing="ij")
    heart = (y**2 + x**2) < 24**2
    window[0, :, heart] = 0.30
    window[0, :, heart & (x > 0)] = 0.34
    seen = heart_contrast(window)[0]
    assert seen[:, heart & (x < 0)].max() == pytest.approx(0.1) and seen[:, heart & (x > 0)].min() == pytest.approx(0.8)
    assert (seen[:, ~heart] == 1).all(), "what is brighter than all the heart is white"
    window[0, 1] = 0.9
    assert heart_contrast(window)[0, 0][heart].max() < 0.3, "all slices have one scale"
    assert heart_contrast(torch.full((1, 3, 32, 32), 0.4)).eq(0.4).all(), "a blank window stays as it is"


# What is promised, on random weights: it follows from how answers are made and not from what was learned.


@pytest.fixture(scope="module")
def seeded() -> tuple[Segmenter, np.random.Generator]:
    """A segmenter whose random answers are sure of themselves, scar on a third of the pixels; and a source of prompts."""
    network = context_network(0)["context"].requires_grad_(False)
    network.tissue.weight *= 30
    network.tissue.bias[TISSUES.index("scar")] -= scar_logits(
        network(torch.rand(8, 3, SIDE, SIDE), torch.zeros(8, 7, SIDE, SIDE))
    ).quantile(0.65)
    state = own_state(0) | {f"context.{key}": value for key, value in network.state_dict().items()}
    made = Segmenter(replace(checkpoint(state), sha256="2" * 64), device="cpu", precision="float32")
    return made, np.random.default_rng(0)


def drawn_box(generator: np.random.Generator, source: str = "user") -> Box:
    x0, y0 = generator.uniform(0, COLUMNS - 4), generator.uniform(0, ROWS - 4)
    x1, y1 = x0 + generator.uniform(2, 20), y0 + generator.uniform(2, 20)
    return Box(0, x0, y0, min(x1, COLUMNS), min(y1, ROWS), source=source)


def drawn_points(generator: np.random.Generator, count: int) -> list[Point]:
    """On pixels of their own, some of them on the picture's border and in its corners."""
    pixels = generator.choice(ROWS * COLUMNS, count, replace=False)
    places = {(int(n) % COLUMNS, int(n) // COLUMNS) for n in pixels} | {
        (COLUMNS - 1, ROWS - 1),
        (0, int(generator.integers(ROWS))),
    }
    ends = {0: 0.0, COLUMNS - 1: float(COLUMNS)}
    return [
        Point(
            0, ends.get(x, x + 0.5), float(ROWS) if y == ROWS - 1 else y + generator.uniform(0, 0.99), bool(generator.integers(2))
        )
        for x, y in sorted(places)
    ]


def assert_as_clicked(mask: np.ndarray, points: list[Point]) -> None:
    for point in points:
        at = min(int(point.y), mask.shape[0] - 1), min(int(point.x), mask.shape[1] - 1)
        assert mask[at] == point.positive, point


def masks(logits: np.ndarray) -> list[np.ndarray]:
    return [1 / (1 + np.exp(-logits.astype(np.float64))) >= threshold for threshold in THRESHOLDS]


def test_score_is_the_overlap_to_be_expected(seeded, image):
    segmenter, _ = seeded
    prediction = unbounded(segmenter, image, [DETECTORS])
    probability = 1 / (1 + np.exp(-in_window(prediction.logits).astype(float)))
    inside = probability >= 0.5
    expected = probability[inside].sum() / (inside.sum() + probability[~inside].sum())
    assert 0 < prediction.score == pytest.approx(expected, abs=1e-3)
    assert segmenter.predict(image, [DETECTORS]).score == prediction.score


def test_nothing_lies_further_than_a_pixel_outside_the_readers_box(seeded, image):
    segmenter, generator = seeded
    y, x = np.mgrid[:ROWS, :COLUMNS] + 0.5
    kept_in = 0
    for _ in range(6):
        boxes = [drawn_box(generator) for _ in range(generator.integers(1, 3))]
        beyond = np.ones(image.shape, bool)
        for b in boxes:
            beyond &= (x < b.x0 - 1) | (x > b.x1 + 1) | (y < b.y0 - 1) | (y > b.y1 + 1)
        within = Point(0, (boxes[0].x0 + boxes[0].x1) / 2, (boxes[0].y0 + boxes[0].y1) / 2)
        negative = [replace(p, positive=False) for p in drawn_points(generator, 2)]
        for points in ([], [within, *negative]):
            kept_in += (unbounded(segmenter, image, boxes, points).logits > 0)[beyond].sum()
            for mask in masks(segmenter.predict(image, boxes, points).logits):
                assert not (mask & beyond).any()
    assert kept_in > 100, "there is something to be kept in"


def test_a_click_counts_at_any_threshold_with_boxes_and_without(seeded, image):
    segmenter, generator = seeded
    for _ in range(4):
        points = drawn_points(generator, 5)
        some_positive = [replace(points[0], positive=True), *points[1:]]
        for boxes in ([], [drawn_box(generator)], [drawn_box(generator), drawn_box(generator, "detector")]):
            for mask in masks(segmenter.predict(image, boxes, some_positive).logits):
                assert_as_clicked(mask, some_positive)


@pytest.mark.parametrize("threshold", THRESHOLDS[::2])
def test_a_click_counts_through_the_pipeline_at_any_threshold(seeded, voxels, threshold):
    segmenter, generator = seeded
    pipeline = Pipeline(detector=BrightestDetector(), segmenter=segmenter)
    study = Study("case", voxels.astype(np.float32), Geometry((1.0, 1.0, 10.0)), Reconstruction.MAGNITUDE)
    points = [replace(p, slice=1) for p in drawn_points(generator, 4)]
    points[0] = replace(points[0], positive=True)
    box = replace(drawn_box(generator), slice=1)
    for boxes in ([], [box]):
        result = pipeline.segment(study, boxes, points, threshold=threshold)
        assert result.complete
        assert_as_clicked(result.mask[1], points)


def test_clicks_alone_mark_only_the_scar_that_they_touch(seeded, image):
    segmenter, generator = seeded
    y, x = np.mgrid[:ROWS, :COLUMNS] + 0.5
    left_out = 0
    for count in (1, 1, 1, 2):
        points = [replace(p, positive=True) for p in drawn_points(generator, count)[:count]]
        near = np.any([np.hypot(x - p.x, y - p.y) <= 2 for p in points], axis=0)
        faint, usual, sure = masks(segmenter.predict(image, points=points).logits)[::2]
        pieces, found = ndimage.label(usual | near, structure=np.ones((3, 3)))
        assert all((near & (pieces == n + 1)).any() for n in range(found)), "each piece is connected with a click's surroundings"
        assert not (faint & ~usual & ~near).any() and not (sure & ~usual).any()
        left_out += ((unbounded(segmenter, image, [], points).logits > 0) & ~usual).sum()
    assert left_out > 20, "there is something to be left out"


def test_a_click_changes_its_own_place_and_others_less_and_in_its_direction_alone():
    before, after = torch.full((24, 24), -2.0), torch.full((24, 24), -1.0)
    before[2:6, 2:6] = 3.0  # goes everywhere in the second answer
    after[10:14, 10:14] = 4.0  # comes, and is clicked
    after[18:20, 18:20] = 4.0  # comes by itself
    changed = changed_by_click(before, after, (12.0, 12.0, True))
    assert (changed[10:14, 10:14] == 4).all() and torch.allclose(changed[18:20, 18:20], torch.tensor(-0.2))
    assert (changed[2:6, 2:6] == 3).all(), "a positive click takes nothing away"
    assert float(changed[0, 0]) == pytest.approx(-1.7)
    taken = changed_by_click(before, after, (4.0, 4.0, False))
    assert (taken[2:6, 2:6] == -1).all()
    assert (taken[10:14, 10:14] == -2).all() and taken[0, 0] == -2, "a negative click adds nothing"


def test_a_click_at_the_border_changes_little_and_one_far_from_it_a_whole_lesion():
    before, after = torch.full((40, 40), -2.0), torch.full((40, 40), -2.0)
    before[4:12, 4:12] = after[4:12, 4:12] = 3.0
    after[12:36, 4:12] = 1.0  # a large piece comes, from the border on
    near, far = (changed_by_click(before, after, (8.0, y, True)) for y in (12.5, 24.5))
    assert (near[12:14, 7:9] == 1).all() and (near[17:] < 0).all()
    assert (far[12:36, 4:12] == 1).all()
    alone = changed_by_click(torch.full((40, 40), -2.0), after, (8.0, 12.5, True))
    assert (alone[12:36, 4:12] == 1).all(), "without scar there is no border"


def test_the_first_click_after_a_box_costs_one_answer(context, image, monkeypatch):
    asked = []
    real = ContextLooks.prompted
    monkeypatch.setattr(ContextLooks, "prompted", lambda self, *given: asked.append(1) or real(self, *given))
    context.predict(image, [READERS])
    x, y = (READERS.x0 + READERS.x1) / 2, (READERS.y0 + READERS.y1) / 2
    for n in range(3):
        context.predict(image, [READERS], [Point(0, x + k, y) for k in range(n + 1)])
    assert len(asked) == 4


def test_a_click_in_one_box_leaves_the_other_boxs_mask(context, image, monkeypatch):
    def everywhere(self, view, boxes, clicks, *rest):
        return torch.full((SIDE, SIDE), 3.0 if clicks else -3.0)

    monkeypatch.setattr(ContextLooks, "prompted", everywhere)
    context._reader.forget()
    monkeypatch.setattr(context, "answers", Answers())
    other = replace(READERS, x0=READERS.x1 + 2, x1=READERS.x1 + 9)
    click = Point(0, (READERS.x0 + READERS.x1) / 2, (READERS.y0 + READERS.y1) / 2)
    found = context.predict(image, [READERS, other], [click]).logits > 0
    assert found[int(READERS.y0) + 2 : int(READERS.y1) - 2, int(READERS.x0) + 2 : int(READERS.x1) - 2].all()
    assert not found[int(other.y0) : int(other.y1), int(other.x0) : int(other.x1)].any()


def test_the_wall_costs_no_look_after_boxes_and_masks(context, voxels, looks):
    pipeline = Pipeline(detector=BrightestDetector(), segmenter=context)
    study = Study("case", voxels.astype(np.float32), Geometry((1.0, 1.0, 10.0)), Reconstruction.MAGNITUDE)
    pipeline.segment(study, pipeline.propose(study))
    looks.clear()
    found = pipeline.ventricle(study)
    assert found.myocardium.shape == study.voxels.shape and found.source == "model"
    assert found.provenance["wall_sha256"] == context.checkpoint.sha256 and found.failed_slices == {}
    assert looks == []


def test_sam_alone_sees_no_wall(voxels):
    alone = Segmenter(replace(checkpoint(litemedsam_state()), sha256="1" * 64), device="cpu", precision="float32")
    study = Study("case", voxels.astype(np.float32), Geometry((1.0, 1.0, 10.0)), Reconstruction.MAGNITUDE)
    with pytest.raises(ModelError, match="does not see the wall"):
        Pipeline(detector=BrightestDetector(), segmenter=alone).ventricle(study)


def test_a_click_in_a_box_leaves_the_scar_of_clicks_beyond_all_boxes(context, image, monkeypatch):
    beyond, inside = Point(0, 30.5, 30.5), Point(0, (READERS.x0 + READERS.x1) / 2, (READERS.y0 + READERS.y1) / 2)

    def answered(self, view, boxes, clicks, *rest):
        return torch.full((SIDE, SIDE), -3.0 if len(clicks) > 1 else 3.0)

    monkeypatch.setattr(ContextLooks, "prompted", answered)
    context._reader.forget()
    monkeypatch.setattr(context, "answers", Answers())
    before = context.predict(image, [READERS], [beyond]).logits > 0
    after = context.predict(image, [READERS], [beyond, inside]).logits > 0
    far = before.copy()
    far[: int(READERS.y1) + 2, : int(READERS.x1) + 2] = False
    assert far.any() and after[far].all()


def test_a_positive_click_on_a_detectors_box_keeps_all_that_the_reader_saw(context, image, monkeypatch):
    def two_places(self, view, boxes, clicks, *rest):
        logits = torch.full((SIDE, SIDE), -3.0)
        for x, y in ((14, 16), (21, 26)):
            logits[y - Y0 - 1 : y - Y0 + 2, x - X0 - 1 : x - X0 + 2] = 3.0
        return logits

    seen = context.predict(image, [DETECTORS]).logits > 0
    monkeypatch.setattr(ContextLooks, "prompted", two_places)
    context._reader.forget()
    monkeypatch.setattr(context, "answers", Answers())
    found = context.predict(image, [DETECTORS], [Point(0, 14.5, 16.5)]).logits > 0
    assert found[15:18, 13:16].all()
    other = np.s_[24:28, 19:23]
    assert found[seen].all() and seen[other].any(), "whatever the other answer says there"
