"""A slice's embedding: made once, found again, shared by threads, and computed in half precision."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from MyoScarSegLib.prompts import Box, Point
from MyoScarSegLib.segmentation import EmbeddingCache, Segmenter, SegmenterImage
from Testing.support.sam_factory import tiny_state
from Testing.support.segmenter_factory import (
    ALONE,
    BOX,
    OTHER_BOX,
    slice_image,
    tiny_checkpoint,
)


@pytest.fixture
def lite(lite_checkpoint) -> Segmenter:
    return Segmenter(lite_checkpoint, device="cpu", precision="float32")


def noise() -> SegmenterImage:
    """A slice whose heart is at (60, 50), made anew each time."""
    return SegmenterImage(np.random.default_rng(0).gamma(2, 100, (100, 120)), (1.0, 1.0), (60.0, 50.0))


def test_editing_prompts_within_the_window_does_not_encode_again(lite):
    image = noise()
    lite.predict(image, [Box(0, 50, 45, 65, 60)])
    assert (lite.cache.hits, lite.cache.misses) == (0, 1)
    lite.predict(image, [Box(0, 45, 40, 70, 65), Box(0, 41, 31, 44, 33)])
    lite.predict(image, [Box(0, 50, 45, 65, 60)], [Point(0, 79, 69), Point(0, 55, 50, False)])
    assert (lite.cache.hits, lite.cache.misses) == (2, 1)
    lite.predict(image, [Box(0, 10, 10, 30, 30)])  # beyond the window
    assert (lite.cache.hits, lite.cache.misses) == (2, 2)


def test_an_embedding_made_beforehand_is_the_one_that_is_used(lite):
    lite.encode(noise())
    lite.predict(noise(), [Box(0, 50, 45, 65, 60)])
    assert (lite.cache.hits, lite.cache.misses) == (1, 1)


def test_whole_slices_are_encoded_once_whatever_the_prompts(vit):
    image = slice_image(seed=7)
    before = vit.cache.misses
    for box in (BOX, OTHER_BOX, Box(0, 0, 0, 64, 48)):
        vit.predict(image, [box])
    assert vit.cache.misses == before + 1


def test_segmenters_that_share_a_cache_do_not_mistake_each_others_embeddings(lite_state):
    cache = EmbeddingCache()
    image = slice_image((64, 64))
    one = Segmenter(tiny_checkpoint(), device="cpu", precision="float32", cache=cache)
    others = [
        tiny_checkpoint(sha256="2" * 64, state=tiny_state(seed=3)),
        tiny_checkpoint(preprocessing="medsam"),
    ]
    one.predict(image, [BOX])
    for checkpoint in others:
        answer = Segmenter(checkpoint, device="cpu", precision="float32", cache=cache).predict(image, [BOX])
        alone = Segmenter(checkpoint, device="cpu", precision="float32").predict(image, [BOX])
        assert np.array_equal(answer.logits, alone.logits)
    Segmenter(tiny_checkpoint(), device="cpu", precision="bfloat16", cache=cache).predict(image, [BOX])
    assert (cache.hits, cache.misses) == (0, 4)


def test_an_embedding_from_disk_gives_the_same_answer(tmp_path):
    answers = []
    for _ in range(2):
        cache = EmbeddingCache(folder=tmp_path)
        answers.append(
            Segmenter(tiny_checkpoint(), device="cpu", precision="float32", cache=cache).predict(slice_image(), [BOX]).logits
        )
    assert cache.hits == 1
    assert np.array_equal(*answers)


def test_threads_take_turns_and_get_the_same_answers(vit):
    images = [slice_image(seed=n) for n in range(4)]
    expected = [vit.predict(image, [BOX], [ALONE]).logits for image in images]
    vit.cache = EmbeddingCache()
    answers: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        answers[number] = vit.predict(images[number % 4], [BOX], [ALONE]).logits

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.allclose(answers[n], expected[n % 4], atol=1e-5) for n in range(8))


def test_half_precision_of_the_encoder_changes_the_logits_little(vit):
    half = Segmenter(tiny_checkpoint(), device="cpu", precision="bfloat16")
    one, other = (s.predict(slice_image(), [BOX]).logits for s in (vit, half))
    assert 0 < np.abs(one - other).max() < 0.1 * np.ptp(one) + 0.05


def test_litemedsam_runs_in_half_precision_too(lite_state):
    checkpoint = tiny_checkpoint(state=lite_state, architecture="litemedsam", preprocessing="litemedsam", side=32)
    answers = [
        Segmenter(checkpoint, device="cpu", precision=precision, view="slice").predict(slice_image(), [BOX]).logits
        for precision in ("float32", "bfloat16")
    ]
    assert np.abs(answers[0] - answers[1]).max() < 0.1 * np.ptp(answers[0]) + 0.05


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("seed", [1, 2])
def test_bf16_changes_litemedsams_mask_by_a_percent_at_most(real_cache, seed):
    from MyoScarSegLib.phantom import make_phantom
    from MyoScarSegLib.prompts import box_of_mask
    from MyoScarSegLib.segmentation import load_segmenter

    phantom = make_phantom(seed)
    study = phantom.study
    index = int(phantom.scar.sum(axis=(1, 2)).argmax())
    box = box_of_mask(phantom.scar[index], index)
    masks = []
    for precision in ("float32", "bfloat16"):
        segmenter = load_segmenter("litemedsam", device="cpu", precision=precision)
        image = SegmenterImage(study.voxels[index], study.geometry.pixel_spacing_mm)
        masks.append(segmenter.predict(image, [box]).logits >= 0)
    assert masks[0].sum() > 100
    dice = 2 * (masks[0] & masks[1]).sum() / (masks[0].sum() + masks[1].sum())
    assert dice > 0.985
