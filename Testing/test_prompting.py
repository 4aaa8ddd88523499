"""Training prompts: boxes that err like real ones, and corrections where the error is."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.training.prompting import Prompting, clicks, correction, draw_prompt, jittered


@pytest.fixture
def numbered() -> np.ndarray:
    slice_ = np.zeros((64, 64), dtype=np.int32)
    slice_[10:20, 30:34] = 1
    slice_[40:46, 20:30] = 2
    return slice_


@pytest.fixture
def wall() -> np.ndarray:
    y, x = np.mgrid[:64, :64]
    return (x - 30) ** 2 + (y - 30) ** 2 < 28**2


def test_jittered_box_errs_by_the_share_of_its_side_asked_for():
    generator = np.random.default_rng(0)
    how = Prompting(jitter=0.1, jitter_px=0, care=(1, 1))
    boxes = np.array([jittered(generator, (20, 20, 40, 30), (64, 64), how) for _ in range(4000)])
    assert boxes.mean(0) == pytest.approx([20, 20, 40, 30], abs=0.15)
    assert boxes.std(0) == pytest.approx([2, 1, 2, 1], rel=0.08)


def test_jittered_box_stays_in_the_image_and_keeps_an_area():
    generator = np.random.default_rng(1)
    for _ in range(500):
        x0, y0, x1, y1 = jittered(generator, (0, 60, 3, 64), (64, 64), Prompting(jitter=1.0, jitter_px=5))
        assert 0 <= x0 < x1 <= 64
        assert 0 <= y0 < y1 <= 64
        assert min(x1 - x0, y1 - y0) >= 2 - 1e-9


def test_targets_hold_the_prompted_lesion_and_points_are_of_their_kind(numbered, wall):
    generator = np.random.default_rng(2)
    kinds = set()
    for _ in range(300):
        prompt = draw_prompt(generator, numbered, wall, Prompting())
        if prompt is None:
            continue
        assert not prompt.target[numbered == 0].any()
        for x, y, positive in prompt.points:
            assert prompt.target[int(y), int(x)] == bool(positive)
        kinds.add((prompt.box is None, bool(prompt.target.any()), len(np.unique(numbered[prompt.target]))))
    assert (True, True, 1) in kinds, "no prompt of clicks alone"
    assert (False, False, 0) in kinds, "no empty prompt"
    assert (False, True, 2) in kinds, "no merged box"


def test_slice_without_scar_gives_empty_prompts_and_without_ventricle_none(wall):
    generator = np.random.default_rng(3)
    nothing = np.zeros((64, 64), dtype=np.int32)
    prompts = [draw_prompt(generator, nothing, wall, Prompting()) for _ in range(20)]
    assert all(p is not None and p.box is not None and not p.target.any() for p in prompts)
    assert draw_prompt(generator, nothing, np.zeros_like(wall), Prompting()) is None


def test_correction_clicks_the_middle_of_the_largest_error():
    generator = np.random.default_rng(4)
    target = np.zeros((40, 40), dtype=bool)
    target[10:21, 10:21] = True
    (click,) = correction(generator, np.zeros_like(target), target)
    assert tuple(click) == (15.5, 15.5, 1.0)
    predicted = target.copy()
    predicted[28:39, 2:13] = True
    (click,) = correction(generator, predicted, target)
    assert tuple(click) == (7.5, 33.5, 0.0)
    assert correction(generator, target, target).shape == (0, 3)


def test_clicks_on_nothing_are_none():
    assert clicks(np.random.default_rng(0), np.zeros((4, 4), bool), 3, True).shape == (0, 3)
