"""Cached embeddings of a frozen encoder: made once, and made anew when anything that they depend on changes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.segmentation.preprocessing import encoder_input, preprocessing
from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.augmentation.variations import VARIATIONS
from MyoScarSegLib.training.finetune import cached_windows
from MyoScarSegLib.training.finetune.cached_windows import CachedWindows
from MyoScarSegLib.training.finetune.training_slices import training_slices
from MyoScarSegLib.training.loop.training_processes import Processes, open_accelerator
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.tiny_training import SIDE, WINDOW_MM, slices_of

SLICES = training_slices(slices_of("a", 1))
COPIES = 2


class CountingEncoder(torch.nn.Module):
    """A convolution that counts what it encodes."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layer = torch.nn.Conv2d(3, 4, 4, stride=4)
        self.encoded = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.encoded += len(images)
        return self.layer(images)


@pytest.fixture(scope="module")
def processes() -> Processes:
    return Processes(open_accelerator("cpu", "no"))


@pytest.fixture()
def made(tmp_path, processes):
    """How many embeddings are made where they are filled from the folder of the ones before."""

    def fill(samples=SLICES, **changes: Any) -> int:
        windows = windows_of(tmp_path, samples, **changes)
        windows.fill(processes)
        encoder: Any = windows._encoder
        assert encoder.encoded == windows.cache.misses
        return encoder.encoded

    assert fill() == len(SLICES) * COPIES
    return fill


def windows_of(
    folder: Path | None, samples=SLICES, *, variation="light", side: int = SIDE, weights: int = 0, **changes: Any
) -> CachedWindows:
    usual: dict[str, Any] = {
        "copies": COPIES, "seed": 3, "window_mm": WINDOW_MM, "preprocessing_id": "myoscarseg-1",
        "folder": folder,
    }  # fmt: skip
    return CachedWindows(samples, CountingEncoder(weights), Augmenter(variation, side), **usual | changes)


def test_nothing_is_made_twice(made):
    assert made() == 0


def test_another_epoch_makes_nothing(tmp_path, processes):
    windows = windows_of(tmp_path)
    windows.fill(processes)
    before = windows.cache.misses
    for number in range(len(SLICES)):
        for copy in range(COPIES):
            windows.item(number, copy)
    assert windows.cache.misses == before


@pytest.mark.parametrize(
    "change",
    [
        {"weights": 1},
        {"preprocessing_id": "myoscarseg-1-sam"},
        {"variation": "standard"},
        {"variation": replace(VARIATIONS["light"], scale=(0.5, 0.6))},
        {"side": 64},
        {"window_mm": 50.0},
        {"seed": 4},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_an_embedding_depends_on_makes_it_anew(made, change):
    assert made(**change) == len(SLICES) * COPIES
    assert made() == 0, "and the old ones are still there"


def test_one_weight_of_the_encoder_is_enough_to_make_them_anew(tmp_path, processes):
    first, second = windows_of(tmp_path), windows_of(None)
    second._encoder.layer.weight.data[0, 0, 0, 0] += 1e-3
    second = CachedWindows(
        SLICES, second._encoder, Augmenter("light", SIDE),
        copies=COPIES, seed=3, window_mm=WINDOW_MM, preprocessing_id="myoscarseg-1", folder=tmp_path,
    )  # fmt: skip
    for windows in (first, second):
        windows.fill(processes)
        assert windows.cache.misses == len(SLICES) * COPIES


def test_another_version_of_the_normalization_makes_them_anew(made, monkeypatch):
    monkeypatch.setattr(cached_windows, "NORMALIZATION", replace(cached_windows.NORMALIZATION, version=99))
    assert made() == len(SLICES) * COPIES


def test_another_way_of_augmenting_makes_them_anew(made, monkeypatch):
    """Even if no version says so: an embedding of other pixels than the window's would be worse than none."""
    real = cached_windows.sam_window

    def darker(*args: Any):
        item = real(*args)
        return item._replace(image=item.image * 0.9)

    monkeypatch.setattr(cached_windows, "sam_window", darker)
    assert made() == len(SLICES) * COPIES


def test_a_changed_picture_is_made_anew_and_the_others_are_not(made):
    brighter = replace(SLICES[0], image=SLICES[0].image * np.float32(0.5))
    assert made([brighter, *SLICES[1:]]) == COPIES


def test_corrected_labels_make_nothing(made):
    corrected = [replace(s, targets=np.zeros_like(s.targets)) for s in SLICES]
    assert made(corrected) == 0


def test_more_patients_or_another_order_do_not_cost_what_is_there(made):
    more = training_slices(slices_of("b", 2))
    assert made([*more, *reversed(SLICES)]) == len(more) * COPIES


def test_one_more_copy_makes_that_one(made):
    assert made(copies=COPIES + 1) == len(SLICES)


def test_windows_carry_the_corrected_labels(tmp_path, processes):
    windows_of(tmp_path).fill(processes)
    corrected = [replace(s, targets=np.ones_like(s.targets)) for s in SLICES]
    item = windows_of(tmp_path, corrected).item(0, 0)
    assert set(item.targets.unique().tolist()) <= {0, 1} and item.targets.any()


def test_the_embedding_is_that_of_its_window(tmp_path):
    windows = windows_of(tmp_path, preprocessing_id="myoscarseg-1-sam")
    for again in range(2):
        item = windows.item(1, 1)
        with torch.inference_mode():
            expected = CountingEncoder()(encoder_input(item.image[None], preprocessing("myoscarseg-1-sam")))[0]
        torch.testing.assert_close(item.features.float(), expected, atol=2e-3, rtol=2e-3)
        assert item.targets.dtype == torch.int64 and item.image.dtype == torch.float32, f"pass {again}"


def test_copies_differ(tmp_path):
    windows = windows_of(tmp_path)
    assert not torch.equal(windows.item(0, 0).image, windows.item(0, 1).image)


def test_little_memory_costs_time_and_nothing_else(tmp_path, monkeypatch):
    plain = windows_of(tmp_path / "a")
    of_plain = {place: plain.item(*place) for place in itertools.product(range(len(SLICES)), range(COPIES))}
    monkeypatch.setattr(cached_windows, "_MEMORY_BYTES", 1)
    monkeypatch.setattr(cached_windows, "_WINDOW_BYTES", 1)
    tight = windows_of(tmp_path / "b")
    for _ in range(2):
        for number in range(len(SLICES)):
            for copy in range(COPIES):
                expected, found = of_plain[number, copy], tight.item(number, copy)
                assert torch.equal(expected.image, found.image) and torch.equal(expected.targets, found.targets)
                assert torch.equal(expected.features, found.features)
    assert tight._window.cache_info().currsize == 0 and len(tight.cache) == 0
    assert tight.cache.misses == len(SLICES) * COPIES, "from disk the second time"


def test_features_can_be_learned_from(tmp_path):
    features = windows_of(tmp_path).item(0, 0).features.float()
    weight = torch.ones(1, requires_grad=True)
    (features * weight).sum().backward()
    assert weight.grad is not None


def test_cancel_keeps_what_was_made(tmp_path, processes):
    token = CancelToken()

    def progress(done: int, total: int, message: str) -> None:
        if done == 3:
            token.cancel()

    with pytest.raises(Cancelled):
        windows_of(tmp_path).fill(processes, progress, token)
    windows = windows_of(tmp_path)
    windows.fill(processes)
    assert windows.cache.misses == len(SLICES) * COPIES - 4


def test_a_window_that_does_not_fit_into_memory_is_an_error(tmp_path, processes, monkeypatch):
    def no_memory(self, images):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(CountingEncoder, "forward", no_memory)
    with pytest.raises(ModelError, match="too little memory"):
        windows_of(tmp_path).fill(processes)


def test_threads_do_not_change_the_windows(tmp_path, processes):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        windows_of(tmp_path, variation="heavy").fill(processes)
        torch.set_num_threads(2)
        windows = windows_of(tmp_path, variation="heavy")
        windows.fill(processes)
    finally:
        torch.set_num_threads(threads)
    assert windows.cache.misses == 0
