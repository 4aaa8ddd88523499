"""Augmentation: presets, geometry against analytic positions, reproducibility, and what comes in badly."""

from __future__ import annotations

import json
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from MyoScarSegLib.errors import ModelError, MyoScarSegError, StudyError
from MyoScarSegLib.training.augmentation import PRESETS, Augmenter, Preset, preset
from MyoScarSegLib.training.augmentation.geometry import window_matrix

pytest.importorskip("monai")

SIDE = 96
NONE = PRESETS["none"]
GEOMETRY = replace(
    NONE, name="geometry", rotation_degrees=40, quarter_turns=True, flip=0.5, scale=(0.8, 1.3), stretch=1.5, off_centre=0.3
)


def disc(shape: tuple[int, int], x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


def middle(mask) -> np.ndarray:
    """Centroid (x, y) in pixel edges."""
    rows, columns = np.nonzero(np.asarray(mask))
    return np.array([columns.mean() + 0.5, rows.mean() + 0.5])


def texture(shape: tuple[int, int] = (100, 110), seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).random((1, 1, 12, 12), dtype=np.float32)
    smooth = torch.nn.functional.interpolate(torch.from_numpy(values), shape, mode="bilinear", align_corners=False)
    return smooth[0, 0].numpy()


# Presets


def test_the_four_presets_exist_and_can_be_recorded_as_json():
    assert list(PRESETS) == ["none", "light", "standard", "heavy"]
    for name, settings in PRESETS.items():
        assert preset(name) is settings
        record = json.loads(json.dumps(settings.to_json(), allow_nan=False))
        assert Preset(**{key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}) == settings


def test_presets_go_from_light_to_heavy():
    light, standard, heavy = PRESETS["light"], PRESETS["standard"], PRESETS["heavy"]
    for name in ("rotation_degrees", "stretch", "off_centre", "elastic", "psir", "magnitude", "bias", "noise", "ghosts", "blur"):
        assert getattr(light, name) <= getattr(standard, name) <= getattr(heavy, name), name
    for name in ("scale", "gamma_exponent", "noise_deviation", "window_low"):
        widths = [np.ptp(getattr(p, name)) for p in (light, standard, heavy)]
        assert widths == sorted(widths), name


def test_an_unknown_preset_is_named_with_those_there_are():
    with pytest.raises(ModelError, match=r"'strong'.*none, light, standard, heavy"):
        Augmenter("strong", SIDE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"flip": 1.5},
        {"noise": -0.1},
        {"scale": (1.2, 0.8)},
        {"scale": (0.0, 1.0)},
        {"stretch": 0.5},
        {"stretch": float("nan")},
        {"rotation_degrees": float("inf")},
        {"noise_deviation": (-0.1, 0.1)},
        {"window_low": (0.0, 0.9)},
        {"low_resolution_zoom": (0.5, 2.0)},
        {"elastic_points": 1},
        {"gamma_exponent": (float("nan"), 1.0)},
    ],
)
def test_senseless_ranges_are_refused_by_name(wrong):
    with pytest.raises(ModelError, match=next(iter(wrong))):
        replace(NONE, **wrong)


# Geometry


def test_none_is_the_plain_centred_window():
    image = texture()
    targets = np.stack([disc(image.shape, 60, 50, 9), disc(image.shape, 50, 40, 5)]).astype(np.int16) * 7
    window, classes = Augmenter("none", 40)(image, targets, (56, 51), seed=3, window_px=(40, 40))
    assert window.shape == (1, 40, 40) and window.dtype == torch.float32
    assert classes.shape == (2, 40, 40) and classes.dtype == torch.int64
    np.testing.assert_allclose(window[0].numpy(), image[31:71, 36:76], atol=1e-5)
    np.testing.assert_array_equal(classes.numpy(), targets[:, 31:71, 36:76])


def test_the_window_of_a_call_goes_before_the_default_and_one_number_means_a_square():
    image, targets = texture(), np.zeros((1, 100, 110), dtype=np.int16)
    default = Augmenter("none", 40, 40)
    plain, _ = default(image, targets, (56, 51), seed=0)
    np.testing.assert_allclose(plain[0].numpy(), image[31:71, 36:76], atol=1e-5)
    double, _ = default(image, targets, (56, 51), seed=0, window_px=(80, 80))
    assert not torch.allclose(plain, double)


def test_spacing_is_respected_a_disc_in_millimetres_stays_one_whatever_the_rotation():
    # Rows are 2 mm and columns 1 mm apart: 40 rows and 80 columns cover 80 mm each way.
    rows, columns = np.mgrid[:60, :120] + 0.5
    target = ((columns - 60) ** 2 + ((rows - 30) * 2) ** 2 < 20**2)[None].astype(np.int16)
    turned = Augmenter(replace(NONE, rotation_degrees=180.0), SIDE)
    for seed in range(6):
        _, classes = turned(target[0].astype(np.float32), target, (60, 30), seed=seed, window_px=(40, 80))
        found = disc((SIDE, SIDE), SIDE / 2, SIDE / 2, 20 * SIDE / 80)
        overlap = 2 * (found & (classes[0].numpy() > 0)).sum() / (found.sum() + (classes[0].numpy() > 0).sum())
        assert overlap > 0.96


@pytest.mark.parametrize("seed", range(8))
def test_image_and_target_lie_where_the_matrix_says(seed):
    shape, place, centre, window_px = (90, 130), np.array([70.0, 40.0]), (66.0, 44.0), (80.0, 100.0)
    mask = disc(shape, *place, 6)
    window, classes = Augmenter(GEOMETRY, SIDE)(
        mask.astype(np.float32), mask[None].astype(np.int16), centre, seed=seed, window_px=window_px
    )
    matrix = window_matrix(np.random.default_rng([0, seed]), GEOMETRY, shape, centre, SIDE, window_px)
    expected = np.linalg.solve(matrix[:, :2], place - matrix[:, 2])
    np.testing.assert_allclose(middle(classes[0]), expected, atol=0.5)
    np.testing.assert_allclose(middle(window[0] > 0.5), expected, atol=0.5)
    area = np.pi * 36 / abs(np.linalg.det(matrix[:, :2]))
    assert float(classes.sum()) == pytest.approx(area, rel=0.12)


@pytest.mark.parametrize("seed", range(5))
def test_an_elastic_deformation_moves_image_and_target_alike(seed):
    elastic = replace(GEOMETRY, elastic=1.0, elastic_shift=0.03)
    mask = disc((90, 130), 66, 44, 14)
    centre = (66.0, 44.0)
    arguments = (mask.astype(np.float32), mask[None].astype(np.int16), centre)
    window, classes = Augmenter(elastic, SIDE)(*arguments, seed=seed, window_px=(96, 96))
    _, rigid = Augmenter(GEOMETRY, SIDE)(*arguments, seed=seed, window_px=(96, 96))
    differing = ((window[0] > 0.5) != (classes[0] > 0)).sum()
    assert differing <= 0.05 * classes.sum()
    assert 5 < (classes != rigid).sum() < 0.6 * rigid.sum()  # deformed, but mildly


def marks(preset: Preset, seed: int, window_px: tuple[float, float] = (96, 96)) -> np.ndarray:
    """Where three marks land: the heart's centre, one 20 pixels to its right, one 20 below it."""
    shape, centre = (140, 140), (70.0, 70.0)
    targets = np.stack([disc(shape, 70, 70, 3), disc(shape, 90, 70, 3), disc(shape, 70, 90, 3)]).astype(np.int16)
    _, classes = Augmenter(preset, SIDE)(np.zeros(shape, np.float32), targets, centre, seed=seed, window_px=window_px)
    return np.array([middle(c) for c in classes])


def test_rotation_keeps_distances_and_handedness_and_stays_in_its_range():
    angles = []
    for seed in range(30):
        heart, right, below = marks(replace(NONE, rotation_degrees=30), seed)
        np.testing.assert_allclose(heart, SIDE / 2, atol=0.5)
        across, down = right - heart, below - heart
        np.testing.assert_allclose([np.hypot(*across), np.hypot(*down)], 20, atol=0.8)
        assert np.linalg.det([across, down]) > 0
        angles.append(np.degrees(np.arctan2(across[1], across[0])))
    assert np.abs(angles).max() < 32 and min(angles) < -10 and max(angles) > 10


def test_quarter_turns_and_flips_give_all_eight_orientations():
    seen = set()
    for seed in range(60):
        heart, right, below = marks(replace(NONE, quarter_turns=True, flip=0.5), seed)
        seen.add((*np.round((right - heart) / 20).astype(int), *np.round((below - heart) / 20).astype(int)))
    assert len(seen) == 8


def test_scale_zooms_about_the_heart_within_its_range():
    lengths = []
    for seed in range(30):
        heart, right, below = marks(replace(NONE, scale=(0.8, 1.5)), seed)
        np.testing.assert_allclose(heart, SIDE / 2, atol=0.5)
        assert np.hypot(*(right - heart)) == pytest.approx(np.hypot(*(below - heart)), abs=1.2)
        lengths.append(np.hypot(*(right - heart)) / 20)
    assert 0.75 < min(lengths) < 0.95 and 1.3 < max(lengths) < 1.55


def test_stretch_acts_along_the_axes_of_the_slice_whatever_the_rotation():
    stretched = replace(NONE, stretch=1.6, rotation_degrees=45)
    ratios = []
    for seed in range(30):
        heart, right, below = marks(stretched, seed)
        across, down = right - heart, below - heart
        # Only along the slice's own axes do stretched axes stay at right angles.
        assert abs(across @ down) < 0.06 * np.hypot(*across) * np.hypot(*down)
        ratios.append(np.hypot(*down) / np.hypot(*across))
    assert 1 / 1.7 < min(ratios) < 0.8 and 1.25 < max(ratios) < 1.7


def test_off_centre_moves_the_heart_within_its_share():
    places = np.array([marks(replace(NONE, off_centre=0.4), seed)[0] for seed in range(40)]) / SIDE - 0.5
    assert np.abs(places).max() < 0.21
    assert (np.ptp(places, axis=0) > 0.25).all()


def test_anywhere_looks_at_any_part_of_the_slice():
    image = np.broadcast_to(np.arange(200, dtype=np.float32) / 200, (200, 200))
    augmenter = Augmenter(replace(NONE, anywhere=1.0), 16)
    seen = [
        float(augmenter(image, np.zeros((0, 200, 200), np.int16), (20, 20), seed=s, window_px=(4, 4))[0].mean())
        for s in range(30)
    ]
    assert min(seen) < 0.2 and max(seen) > 0.8


def test_outside_the_slice_everything_is_zero():
    shape = (40, 50)
    ones = np.ones((2, *shape), dtype=np.int16)
    for name in ("none", "heavy"):
        window, classes = Augmenter(name, SIDE)(np.full(shape, 0.6, np.float32), ones, (2, 2), seed=1, window_px=(120, 120))
        outside = classes[0] == 0
        assert outside.float().mean() > 0.4
        inner = torch.nn.functional.max_pool2d((~outside).float()[None], 3, 1, 1)[0] == 0  # but for ties on the very edge
        assert not window[0][inner].any()
        assert (window[0][~outside] > 0).float().mean() > 0.9


def test_a_window_of_small_pixels_is_smoothed_before_it_is_sampled_coarsely():
    stripes = np.tile(np.array([0.0, 1.0], np.float32), (256, 128))
    window, _ = Augmenter("none", 64)(stripes, np.zeros((0, 256, 256), np.int16), (128, 128), seed=0, window_px=(192, 192))
    assert window.std() < 0.15  # aliased, it would be 0.35 and more


def test_that_smoothing_leaves_the_edge_of_the_slice_as_bright_as_it_is():
    flat = np.full((200, 200), 0.8, np.float32)
    window, _ = Augmenter("none", 64)(flat, np.zeros((0, 200, 200), np.int16), (100, 100), seed=0, window_px=(200, 200))
    assert torch.allclose(window, torch.full_like(window, 0.8), atol=1e-3)


def test_numbered_targets_keep_their_numbers():
    targets = np.zeros((2, 80, 80), dtype=np.int32)
    targets[0, 20:40, 20:40], targets[0, 45:60, 45:60], targets[1, 30:50, 30:50] = 3, 1001, 2
    _, classes = Augmenter("heavy", SIDE)(texture((80, 80)), targets, (40, 40), seed=4, window_px=(80, 80))
    assert set(classes[0].unique().tolist()) == {0, 3, 1001}
    assert set(classes[1].unique().tolist()) == {0, 2}


# Reproducible


def draw(augmenter: Augmenter, seed) -> tuple[torch.Tensor, torch.Tensor]:
    image = texture()
    return augmenter(image, (image[None] > 0.6).astype(np.int16), (55, 50), seed=seed, window_px=(90, 90))


def test_the_seed_decides_everything():
    for name in ("light", "standard", "heavy"):
        for seed in (5, (5, 6), [0, 2, 9]):
            first, second = draw(Augmenter(name, SIDE), seed), draw(Augmenter(name, SIDE), seed)
            assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
        assert not torch.equal(draw(Augmenter(name, SIDE), 1)[0], draw(Augmenter(name, SIDE), 2)[0])
        assert not torch.equal(draw(Augmenter(name, SIDE), (1, 2))[0], draw(Augmenter(name, SIDE), (2, 1))[0])


def test_neither_order_nor_threads_nor_pickling_nor_global_state_matter():
    augmenter = Augmenter("heavy", SIDE)
    np.random.seed(1)  # noqa: NPY002 - the global state is what is tested
    torch.manual_seed(1)
    expected = [draw(augmenter, seed)[0] for seed in range(12)]
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(2)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    for seed in reversed(range(12)):
        assert torch.equal(draw(augmenter, seed)[0], expected[seed])
    with ThreadPoolExecutor(4) as pool:
        for got, wanted in zip(pool.map(lambda seed: draw(augmenter, seed)[0], range(12)), expected, strict=True):
            assert torch.equal(got, wanted)
    assert torch.equal(draw(pickle.loads(pickle.dumps(augmenter)), 3)[0], expected[3])  # noqa: S301 - our own
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


def test_more_geometry_does_not_change_the_intensities_drawn():
    flat = np.full((100, 100), 0.5, np.float32)
    none = np.zeros((0, 100, 100), np.int16)
    shaded = replace(NONE, bias=1.0, gamma=1.0, noise=1.0)
    plain, _ = Augmenter(shaded, 64)(flat, none, (50, 50), seed=8, window_px=(50, 50))
    turned, _ = Augmenter(replace(shaded, rotation_degrees=30, scale=(1.1, 1.2)), 64)(
        flat, none, (50, 50), seed=8, window_px=(50, 50)
    )
    assert torch.allclose(plain, turned, atol=1e-5)


def test_the_input_is_left_as_it_is_and_may_be_read_only_or_mirrored_or_a_tensor():
    image, targets = texture(), (texture(seed=1)[None] > 0.5).astype(np.int16)
    augmenter = Augmenter("heavy", SIDE)
    kept, kept_targets = image.copy(), targets.copy()
    image.setflags(write=False)
    expected = augmenter(image, targets, (50, 50), seed=2, window_px=(90, 90))
    np.testing.assert_array_equal(image, kept)
    np.testing.assert_array_equal(targets, kept_targets)
    mirrored = augmenter(image[::-1, ::-1][::-1, ::-1], targets[:, ::-1][:, ::-1], (50, 50), seed=2, window_px=(90, 90))
    tensors = augmenter(torch.from_numpy(kept), torch.from_numpy(targets), (50, 50), seed=2, window_px=(90, 90))
    for other in (mirrored, tensors):
        assert torch.equal(other[0], expected[0]) and torch.equal(other[1], expected[1])
    assert type(expected[0]) is torch.Tensor and type(expected[1]) is torch.Tensor  # no MONAI metadata


# Limits and bad input


@pytest.mark.parametrize("name", list(PRESETS))
def test_values_are_finite_and_in_range_whatever_comes_in(name):
    generator = np.random.default_rng(0)
    augmenter = Augmenter(name, 48)
    images = [
        np.zeros((60, 60), np.float32),
        np.ones((60, 60), np.float32),
        generator.random((60, 60)).astype(np.float32),
        (generator.random((9, 120)) > 0.5).astype(np.float32),
        np.ones((1, 1), np.float32),
    ]
    for number, image in enumerate(images):
        for seed in range(6):
            centre = (image.shape[1] / 2, image.shape[0] / 2)
            targets = np.ones((2, *image.shape), np.uint8)
            window, classes = augmenter(image, targets, centre, seed=(number, seed), window_px=(50, 50))
            assert torch.isfinite(window).all() and window.min() >= 0 and window.max() <= 1
            assert set(classes.unique().tolist()) <= {0, 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((50, 60), np.float32)}, "shapes"),
        ({"image": np.zeros((1, 60, 60), np.float32)}, "shapes"),
        ({"image": np.full((60, 60), np.nan, np.float32)}, "not finite"),
        ({"targets": np.zeros((1, 60, 60), np.float32)}, "whole numbers"),
        ({"centre": (float("nan"), 3.0)}, "centre"),
        ({"window_px": (0.0, 40.0)}, "positive"),
        ({"window_px": None}, "positive"),
        ({"seed": -1}, "negative"),
        ({"seed": (3, -1)}, "negative"),
    ],
)
def test_bad_input_is_refused_in_plain_words(change, message):
    good = {
        "image": np.zeros((60, 60), np.float32), "targets": np.zeros((1, 60, 60), np.int16), "centre": (30.0, 30.0),
        "seed": 0, "window_px": (40.0, 40.0),
    }  # fmt: skip
    arguments = good | change
    with pytest.raises(MyoScarSegError, match=message):
        Augmenter("none", 32)(
            arguments["image"],
            arguments["targets"],
            arguments["centre"],
            seed=arguments["seed"],
            window_px=arguments["window_px"],
        )


def test_a_window_for_intensity_alone_must_be_one_channel():
    with pytest.raises(StudyError, match=r"\[1, rows, columns\]"):
        Augmenter("light", 32).intensity(torch.zeros(32, 32), seed=0)


def test_without_monai_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai", None)
    monkeypatch.setitem(sys.modules, "monai.transforms", None)
    with pytest.raises(ModelError, match=r"MONAI.*pip install 'myoscarseg\[train\]'"):
        Augmenter("standard", 112)
