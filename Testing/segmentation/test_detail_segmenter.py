"""Our own segmenter: SAM with a branch that sees every pixel and a refiner that draws the mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.segmentation import Segmenter, SegmenterImage
from MyoScarSegLib.segmentation.architectures import build
from MyoScarSegLib.segmentation.detail import DetailBranch, Refiner
from MyoScarSegLib.segmentation.mask_decoder import decode
from MyoScarSegLib.segmentation.preprocessing import heart_contrast
from MyoScarSegLib.segmentation.prompt_maps import PROMPT_MAPS, prompt_maps
from MyoScarSegLib.segmentation.sam_checkpoint import Checkpoint
from MyoScarSegLib.study.normalization import normalize
from Testing.support.sam_factory import litemedsam_state

_SIDE = 32


@pytest.fixture(scope="module")
def own_state() -> dict[str, torch.Tensor]:
    state = litemedsam_state()
    torch.manual_seed(3)
    branch = DetailBranch(8)
    parts = {"detail": branch, "refiner": Refiner(branch.channels, 8)}
    torch.nn.init.normal_(parts["refiner"].leave.weight)
    return state | {f"{part}.{key}": value for part, module in parts.items() for key, value in module.state_dict().items()}


@pytest.fixture(scope="module")
def segmenter(own_state) -> Segmenter:
    checkpoint = Checkpoint("own", "0" * 64, own_state, "litemedsam", "myoscarseg-1", _SIDE, window_mm=32.0)
    return Segmenter(checkpoint, device="cpu", precision="float32")


@pytest.fixture()
def image() -> SegmenterImage:
    return SegmenterImage(np.random.default_rng(0).integers(0, 900, (48, 40)).astype(np.int16), (1.0, 1.0), (20.0, 24.0))


def test_prediction_is_what_training_sees(segmenter, own_state, image):
    """The same window, prompt and previous mask give the same logits in use and in training."""
    hint = np.full(image.shape, -5, dtype=np.float32)
    hint[10:30, 10:30] = np.random.default_rng(1).normal(0, 3, (20, 20))
    box, points = Box(0, 9.0, 12.0, 25.0, 30.0, source="detector"), [Point(0, 14.0, 15.0, True), Point(0, 20.0, 28.0, False)]
    found = segmenter.predict(image, [box], points, hint)

    network = build(own_state, _SIDE)
    x0, y0 = 4, 8  # of the window of 32 mm around the center
    window = normalize(image.voxels)[y0 : y0 + _SIDE, x0 : x0 + _SIDE]
    seen = hint[y0 : y0 + _SIDE, x0 : x0 + _SIDE]
    prompt = (box.x0 - x0, box.y0 - y0, box.x1 - x0, box.y1 - y0)
    clicks = np.array([(p.x - x0, p.y - y0, float(p.positive)) for p in points])
    with torch.inference_mode():
        tensor = torch.from_numpy(window)[None, None]
        features = network["image_encoder"](tensor.expand(-1, 3, -1, -1))
        logits, _ = decode(network, features, [0], [prompt], [clicks], [None])
        maps = prompt_maps(_SIDE, [prompt], [clicks], torch.from_numpy(seen)[None])
        expected = network["refiner"](network["detail"](heart_contrast(tensor)), logits, maps)[0].numpy()
    np.testing.assert_allclose(found.logits[y0 : y0 + _SIDE, x0 : x0 + _SIDE], expected, atol=1e-4)
    assert (found.logits[:y0] == -20).all()


def test_two_boxes_are_the_union_of_each(segmenter, image):
    first, second = Box(0, 8.0, 10.0, 18.0, 20.0), Box(0, 22.0, 22.0, 34.0, 36.0)
    both = segmenter.predict(image, [first, second]).logits
    alone = [segmenter.predict(image, [box]).logits for box in (first, second)]
    np.testing.assert_allclose(both, np.maximum(*alone), atol=1e-4)


def test_an_edit_does_not_encode_again(segmenter, image):
    segmenter.predict(image, [Box(0, 8.0, 10.0, 18.0, 20.0)])
    misses = segmenter.cache.misses
    segmenter.predict(image, [Box(0, 9.0, 10.0, 20.0, 20.0)], [Point(0, 12.0, 13.0, True)])
    segmenter.tissue(image)
    assert segmenter.cache.misses == misses


def test_tissues_are_probabilities_on_the_native_grid(segmenter, image):
    tissue = segmenter.tissue(image)
    assert tissue.shape == (4, *image.shape)
    np.testing.assert_allclose(tissue.sum(axis=0), 1, atol=1e-5)
    assert (tissue[0, :8] > 0.999).all(), "where the network does not look there is background"


def test_score_is_the_overlap_to_be_expected(segmenter, image):
    prediction = segmenter.predict(image, [Box(0, 9.0, 12.0, 25.0, 30.0, source="detector")])
    probability = 1 / (1 + np.exp(-prediction.logits[8:40, 4:36].astype(float)))
    inside = probability >= 0.5
    expected = probability[inside].sum() / (inside.sum() + probability[~inside].sum())
    assert prediction.score == pytest.approx(expected, abs=1e-3)


def test_a_segmenter_without_the_branch_has_no_tissue_map(image):
    checkpoint = Checkpoint("lite", "1" * 64, litemedsam_state(), "litemedsam", "myoscarseg-1", _SIDE, window_mm=32.0)
    plain = Segmenter(checkpoint, device="cpu", precision="float32")
    assert not plain.knows_tissue
    with pytest.raises(ModelError, match="no map of tissues"):
        plain.tissue(image)


def test_a_torn_branch_is_refused(own_state):
    torn = {key: value for key, value in own_state.items() if key != "detail.up.0.first.weight"}
    with pytest.raises(ModelError, match=r"lacks the tensor detail\.up\.0\.first\.weight"):
        build(torn, _SIDE)


def test_maps_show_the_prompt():
    clicks = np.array([[4.5, 6.5, 1.0], [10.5, 2.5, 0.0]])
    maps = prompt_maps(16, [(2.5, 3.0, 8.0, 9.25), None], [clicks, np.zeros((0, 3))])
    names = dict(zip(PROMPT_MAPS, maps[0], strict=True))
    assert names["box"].sum() == pytest.approx((8 - 2.5) * (9.25 - 3))
    assert names["box"][5, 2] == 0.5 and names["box"][9, 5] == 0.25
    assert names["positive"].argmax() == 6 * 16 + 4 and names["negative"].argmax() == 2 * 16 + 10
    assert names["has_box"].all() and not names["has_hint"].any()
    assert not maps[1].any()


def test_a_branch_without_refiner_leaves_the_masks_to_sam(own_state, image):
    """And still has its map, which is what boxes are proposed from."""
    half = {key: value for key, value in own_state.items() if not key.startswith("refiner.")}
    sam = {key: value for key, value in half.items() if not key.startswith("detail.")}
    answers = []
    for number, state in enumerate((half, sam)):
        checkpoint = Checkpoint("s", str(number) * 64, state, "litemedsam", "myoscarseg-1", _SIDE, window_mm=32.0)
        segmenter = Segmenter(checkpoint, device="cpu", precision="float32")
        assert segmenter.knows_tissue == (state is half)
        answers.append(segmenter.predict(image, [Box(0, 9.0, 12.0, 25.0, 30.0, source="detector")], [Point(0, 14.0, 15.0, True)]))
    np.testing.assert_allclose(answers[0].logits, answers[1].logits, atol=1e-5)
    assert answers[0].score == pytest.approx(answers[1].score, abs=1e-5)


def test_contrast_is_the_hearts_and_not_the_fats():
    window = torch.full((1, 1, 64, 64), 0.98)
    y, x = torch.meshgrid(torch.arange(64) + 0.5 - 32, torch.arange(64) + 0.5 - 32, indexing="ij")
    heart = (y**2 + x**2) < 20**2
    window[0, 0][heart] = 0.30
    window[0, 0][heart & (x > 0)] = 0.34
    seen = heart_contrast(window)[0, 0]
    assert seen[heart & (x < 0)].max() < 0.06 and seen[heart & (x > 0)].min() > 0.94
    assert heart_contrast(torch.full((1, 1, 32, 32), 0.4)).eq(0.4).all(), "a blank window stays as it is"
