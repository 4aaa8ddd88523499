"""What the segmenter learns from: slices with their neighbors, and windows of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from MyoScarSegLib.segmentation.preprocessing import heart_contrast
from MyoScarSegLib.study.image_quality import quieted
from MyoScarSegLib.study.normalization import normalize
from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.finetune.training_slices import (
    BESIDE,
    LESIONS,
    TISSUE,
    VENTRICLE,
    TrainingSlice,
    context_window,
    epoch_order,
    sam_window,
    training_slices,
)
from Testing.support.tiny_training import SIDE, WINDOW_MM, slices_of

PLAIN = Augmenter("none", SIDE)


def stack(count: int, spacing_mm: float | None, **changes: object) -> list[LabeledSlice]:
    return [replace(s, slice_spacing_mm=spacing_mm, **changes) for s in slices_of("a", 1, count)]


def neighbors_of(prepared: TrainingSlice, of: list[LabeledSlice]) -> tuple[int | None, ...]:
    """Numbers of the slices whose images a slice has beside it."""
    images = [normalize(quieted(s.image)) for s in of]
    found = []
    for one in (prepared.below, prepared.above):
        found.append(None if one is None else next(s.index for s, i in zip(of, images, strict=True) if np.array_equal(one, i)))
    return tuple(found)


@pytest.mark.parametrize(
    ("spacing_mm", "expected"),
    [(10.0, [(None, 1), (0, 2), (1, 3), (2, None)]), (5.0, [(None, 2), (0, 3), (0, 3), (1, None)]), (20.0, 4 * [(None, None)])],
)
def test_each_slice_has_the_neighbors_that_it_will_have_in_use(spacing_mm, expected):
    of = stack(4, spacing_mm)
    assert [neighbors_of(one, of) for one in training_slices(of)] == expected


def test_without_distance_the_next_slices_count_and_none_of_another_stack_or_shape_does():
    of = stack(4, None)
    assert [neighbors_of(one, of) for one in training_slices(of)] == [(None, 1), (0, 2), (1, 3), (2, None)]
    gap = [of[0], of[2], of[3]]  # the one between was bad, or nobody has reviewed it
    assert [neighbors_of(one, gap) for one in training_slices(gap)] == [(None, None), (None, 3), (2, None)]
    other_case = [*of[:2], *(replace(s, case="second") for s in of[2:])]
    assert [neighbors_of(one, other_case) for one in training_slices(other_case)] == [(None, 1), (0, None), (None, 3), (2, None)]
    smaller = replace(of[1], image=of[1].image[:-2], labels=of[1].labels[:-2])
    prepared = training_slices([of[0], smaller, of[2]])
    assert all(one.below is None and one.above is None for one in prepared)


def test_targets_are_lesions_ventricle_tissue_and_scar_beside():
    of = stack(4, 10.0)
    for one, labeled in zip(training_slices(of), of, strict=True):
        assert ((one.targets[LESIONS] > 0) == labeled.scar).all() and one.has_scar == labeled.scar.any()
        assert (one.targets[VENTRICLE] == labeled.left_ventricle).all()
        assert (one.targets[TISSUE] == np.minimum(labeled.labels, 3)).all()
        beside = np.any([of[k].scar for k in (one.index - 1, one.index + 1) if 0 <= k < len(of)], axis=0)
        assert (one.targets[BESIDE] == beside).all()


@pytest.fixture(scope="module")
def middle() -> TrainingSlice:
    return training_slices(stack(3, 10.0))[1]


def test_a_context_window_is_the_three_slices_with_the_hearts_contrast(middle):
    item = context_window(middle, PLAIN, WINDOW_MM, (1,), vary=False)
    windows = [
        sam_window(replace(middle, image=one), PLAIN, WINDOW_MM, (1,)) for one in (middle.image, middle.below, middle.above)
    ]
    expected = heart_contrast(torch.cat([one.image for one in windows])[None])[0]
    torch.testing.assert_close(item.image, expected, atol=1e-5, rtol=0)
    assert torch.equal(item.targets, windows[0].targets) and item.targets.shape == (4, SIDE, SIDE)


def test_neighbors_change_places_or_are_missing_now_and_then(middle):
    usual = context_window(middle, PLAIN, WINDOW_MM, (0,), vary=False).image
    seen = {"as they are": 0, "changed": 0, "missing": 0}
    for seed in range(120):
        slices = context_window(middle, PLAIN, WINDOW_MM, (seed,)).image
        assert torch.equal(slices, context_window(middle, PLAIN, WINDOW_MM, (seed,)).image)
        if torch.equal(slices[1], slices[0]) and torch.equal(slices[2], slices[0]):
            seen["missing"] += 1
        else:
            assert torch.equal(slices[0], usual[0])
            order = [next(n for n in (1, 2) if torch.equal(slices[k], usual[n])) for k in (1, 2)]
            seen["as they are" if order == [1, 2] else "changed"] += 1
    assert 6 < seen["missing"] < 36 and seen["as they are"] > 30 and seen["changed"] > 30


def test_a_slice_alone_stands_for_its_neighbors(middle):
    item = context_window(replace(middle, below=None, above=None), PLAIN, WINDOW_MM, (0,), vary=False)
    assert torch.equal(item.image[1], item.image[0]) and torch.equal(item.image[2], item.image[0])


@pytest.mark.parametrize(("share", "free"), [(0.0, 0), (0.5, 2), (1.0, 4), (9.0, 4)])
def test_an_epoch_has_all_scar_some_slices_without_and_phantoms(share, free):
    samples = training_slices([*slices_of("a", 1, 5), *slices_of("n", 2, 3, scar=False)])
    orders = [epoch_order(samples, 6, scar_free_share=share, phantom_share=0.25, seed=(1, epoch, 3)) for epoch in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    for order in orders:
        scarred = [n for n in order if n < len(samples) and samples[n].has_scar]
        assert sorted(scarred) == [n for n, s in enumerate(samples) if s.has_scar]
        assert len({n for n in order if n < len(samples)} - set(scarred)) == free
        assert sum(n >= len(samples) for n in order) == round(0.25 * (4 + free)) and max(order) < len(samples) + 6
