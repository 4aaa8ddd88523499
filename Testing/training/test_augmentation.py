"""Augmentation: variations, geometry against analytic positions, grey values, reproducibility, and what comes in badly."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.study.normalization import normalize
from MyoScarSegLib.training.augmentation import augmenter, intensity
from MyoScarSegLib.training.augmentation.augmenter import window_matrix
from MyoScarSegLib.training.augmentation.intensity import (
    coil_shading,
    gibbs_ringing,
    low_resolution,
    magnitude_look,
    motion_ghosts,
    noisy,
    signed_look,
    smooth,
)
from MyoScarSegLib.training.augmentation.variations import DETECTOR_VARIATIONS, VARIATIONS, Variation

SIDE, WIDE = 96, 112
NONE = VARIATIONS["none"]
GEOMETRY = replace(NONE, rotation_degrees=40, turned=True, scale=(0.8, 1.3), stretch=1.5, off_center=0.3)


class Augmenter(augmenter.Augmenter):
    """One that is called as trainings use it: geometry, then grey values, by one seed."""

    def __call__(self, *slice_, seed, window_px):
        window, seen, inside = self.geometry(*slice_, seed=seed, window_px=window_px)
        return self.intensity(window, seed=seed, inside=inside), seen


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


# Variations


@pytest.mark.parametrize("variations", [VARIATIONS, DETECTOR_VARIATIONS])
def test_both_networks_have_the_same_four_variations_from_none_to_heavy(variations):
    assert list(variations) == ["none", "light", "standard", "heavy"]
    light, standard, heavy = (variations[name] for name in ("light", "standard", "heavy"))
    for name in ("rotation_degrees", "stretch", "off_center", "elastic", "psir", "magnitude", "bias", "noise", "ghosts"):
        assert getattr(light, name) <= getattr(standard, name) <= getattr(heavy, name), name
    for name in ("scale", "gamma", "window_low", "window_high", "heart_share"):
        widths = [np.ptp(getattr(p, name)) for p in (light, standard, heavy)]
        assert widths == sorted(widths), name


def test_an_unknown_variation_is_named_with_those_there_are():
    with pytest.raises(ModelError, match=r"'strong'.*none, light, standard, heavy"):
        Augmenter("strong", SIDE)


# Geometry


def test_none_is_the_plain_centerd_window():
    image = texture()
    targets = np.stack([disc(image.shape, 60, 50, 9), disc(image.shape, 50, 40, 5)]).astype(np.int16) * 7
    window, classes = Augmenter("none", 40)(image, targets, (56, 51), seed=3, window_px=(40, 40))
    assert window.shape == (1, 40, 40) and window.dtype == torch.float32
    assert classes.shape == (2, 40, 40) and classes.dtype == torch.int64
    np.testing.assert_allclose(window[0].numpy(), image[31:71, 36:76], atol=1e-5)
    np.testing.assert_array_equal(classes.numpy(), targets[:, 31:71, 36:76])


def test_spacing_is_respected_a_disc_in_millimeters_stays_one_whatever_the_rotation():
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
    shape, place, center, window_px = (90, 130), np.array([70.0, 40.0]), (66.0, 44.0), (80.0, 100.0)
    mask = disc(shape, *place, 6)
    window, classes = Augmenter(GEOMETRY, SIDE)(
        mask.astype(np.float32), mask[None].astype(np.int16), center, seed=seed, window_px=window_px
    )
    matrix = window_matrix(np.random.default_rng([0, seed]), GEOMETRY, shape, center, SIDE, window_px)
    expected = np.linalg.solve(matrix[:, :2], place - matrix[:, 2])
    np.testing.assert_allclose(middle(classes[0]), expected, atol=0.5)
    np.testing.assert_allclose(middle(window[0] > 0.5), expected, atol=0.5)
    area = np.pi * 36 / abs(np.linalg.det(matrix[:, :2]))
    assert float(classes.sum()) == pytest.approx(area, rel=0.12)


def test_neighbors_of_a_slice_are_drawn_like_the_slice():
    stack = np.stack([texture(seed=n) for n in range(3)])
    targets = disc(stack.shape[1:], 60, 50, 9)[None].astype(np.int16)
    augmenter = Augmenter("heavy", SIDE)
    together, classes, inside = augmenter.geometry(stack, targets, (56, 51), seed=5, window_px=(60, 60))
    assert together.shape == (3, SIDE, SIDE) and inside.shape == (1, SIDE, SIDE)
    for channel in range(3):
        alone, same_classes, _ = augmenter.geometry(stack[channel], targets, (56, 51), seed=5, window_px=(60, 60))
        assert torch.equal(together[channel], alone[0]) and torch.equal(classes, same_classes)
    for seed in range(8):
        doubled = augmenter.intensity(together[:1].expand(3, -1, -1), seed=seed, inside=inside)
        assert doubled.shape == (3, SIDE, SIDE) and 0 <= doubled.min() <= doubled.max() <= 1
        assert not doubled[:, ~inside[0]].any()


def test_an_elastic_deformation_moves_image_and_target_alike(monkeypatch):
    monkeypatch.setattr(augmenter, "_ELASTIC_SHIFT", 0.03)
    mask = disc((90, 130), 66, 44, 14)
    arguments = (mask.astype(np.float32), mask[None].astype(np.int16), (66.0, 44.0))
    moved = []
    for seed in range(6):
        window, classes = Augmenter(replace(GEOMETRY, elastic=1.0), SIDE)(*arguments, seed=seed, window_px=(96, 96))
        _, rigid = Augmenter(GEOMETRY, SIDE)(*arguments, seed=seed, window_px=(96, 96))
        assert ((window[0] > 0.5) != (classes[0] > 0)).sum() <= 0.05 * classes.sum()
        moved.append(float((classes != rigid).sum() / rigid.sum()))
    assert 0.05 < max(moved) < 0.6  # deformed, but mildly


def marks(variation: Variation, seed: int, window_px: tuple[float, float] = (96, 96)) -> np.ndarray:
    """Where three marks land: the heart's center, one 20 pixels to its right, one 20 below it."""
    shape, center = (140, 140), (70.0, 70.0)
    targets = np.stack([disc(shape, 70, 70, 3), disc(shape, 90, 70, 3), disc(shape, 70, 90, 3)]).astype(np.int16)
    _, classes = Augmenter(variation, SIDE)(np.zeros(shape, np.float32), targets, center, seed=seed, window_px=window_px)
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
        heart, right, below = marks(replace(NONE, turned=True), seed)
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


def test_off_center_moves_the_heart_within_its_share():
    places = np.array([marks(replace(NONE, off_center=0.4), seed)[0] for seed in range(40)]) / SIDE - 0.5
    assert np.abs(places).max() < 0.21
    assert (np.ptp(places, axis=0) > 0.25).all()


def test_anywhere_looks_at_any_part_of_the_slice():
    image = np.broadcast_to(np.arange(200, dtype=np.float32) / 200, (200, 200))
    windows = Augmenter(replace(NONE, anywhere=1.0), 16)
    seen = [
        float(windows(image, np.zeros((0, 200, 200), np.int16), (20, 20), seed=s, window_px=(4, 4))[0].mean()) for s in range(30)
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


def draw(windows: Augmenter, seed) -> tuple[torch.Tensor, torch.Tensor]:
    image = texture()
    return windows(image, (image[None] > 0.6).astype(np.int16), (55, 50), seed=seed, window_px=(90, 90))


def test_the_seed_decides_everything():
    for name in ("light", "standard", "heavy"):
        for seed in (5, (5, 6), [0, 2, 9]):
            first, second = draw(Augmenter(name, SIDE), seed), draw(Augmenter(name, SIDE), seed)
            assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
        assert not torch.equal(draw(Augmenter(name, SIDE), 1)[0], draw(Augmenter(name, SIDE), 2)[0])
        assert not torch.equal(draw(Augmenter(name, SIDE), (1, 2))[0], draw(Augmenter(name, SIDE), (2, 1))[0])


def test_neither_order_nor_threads_nor_pickling_nor_global_state_matter():
    windows = Augmenter("heavy", SIDE)
    np.random.seed(1)  # noqa: NPY002 - the global state is what is tested
    torch.manual_seed(1)
    expected = [draw(windows, seed)[0] for seed in range(12)]
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(2)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    for seed in reversed(range(12)):
        assert torch.equal(draw(windows, seed)[0], expected[seed])
    with ThreadPoolExecutor(4) as pool:
        for got, wanted in zip(pool.map(lambda seed: draw(windows, seed)[0], range(12)), expected, strict=True):
            assert torch.equal(got, wanted)
    assert torch.equal(draw(pickle.loads(pickle.dumps(windows)), 3)[0], expected[3])  # noqa: S301 - our own
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


def test_more_geometry_does_not_change_the_intensities_drawn():
    flat = np.full((100, 100), 0.5, np.float32)
    none = np.zeros((0, 100, 100), np.int16)
    shaded = replace(NONE, bias=0.3, gamma=(0.7, 1.3), noise=0.05)
    plain, _ = Augmenter(shaded, 64)(flat, none, (50, 50), seed=8, window_px=(50, 50))
    turned, _ = Augmenter(replace(shaded, rotation_degrees=30, scale=(1.1, 1.2)), 64)(
        flat, none, (50, 50), seed=8, window_px=(50, 50)
    )
    assert torch.allclose(plain, turned, atol=1e-5)


def test_the_input_is_left_as_it_is_and_may_be_read_only_or_mirrored_or_a_tensor():
    image, targets = texture(), (texture(seed=1)[None] > 0.5).astype(np.int16)
    windows = Augmenter("heavy", SIDE)
    kept, kept_targets = image.copy(), targets.copy()
    image.setflags(write=False)
    expected = windows(image, targets, (50, 50), seed=2, window_px=(90, 90))
    np.testing.assert_array_equal(image, kept)
    np.testing.assert_array_equal(targets, kept_targets)
    mirrored = windows(image[::-1, ::-1][::-1, ::-1], targets[:, ::-1][:, ::-1], (50, 50), seed=2, window_px=(90, 90))
    tensors = windows(torch.from_numpy(kept), torch.from_numpy(targets), (50, 50), seed=2, window_px=(90, 90))
    for other in (mirrored, tensors):
        assert torch.equal(other[0], expected[0]) and torch.equal(other[1], expected[1])
    assert type(expected[0]) is torch.Tensor and type(expected[1]) is torch.Tensor


# Limits


@pytest.mark.parametrize("name", list(VARIATIONS))
def test_values_are_finite_and_in_range_whatever_comes_in(name):
    generator = np.random.default_rng(0)
    windows = Augmenter(name, 48)
    images = [
        np.zeros((60, 60), np.float32),
        np.ones((60, 60), np.float32),
        generator.random((60, 60)).astype(np.float32),
        (generator.random((9, 120)) > 0.5).astype(np.float32),
        np.ones((1, 1), np.float32),
    ]
    for number, image in enumerate(images):
        for seed in range(6):
            center = (image.shape[1] / 2, image.shape[0] / 2)
            targets = np.ones((2, *image.shape), np.uint8)
            window, classes = windows(image, targets, center, seed=(number, seed), window_px=(50, 50))
            assert torch.isfinite(window).all() and window.min() >= 0 and window.max() <= 1
            assert set(classes.unique().tolist()) <= {0, 1}


# Grey values


def changed(variation: Variation, image: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return Augmenter(variation, WIDE).intensity(image, seed=seed)


def flat(value: float) -> torch.Tensor:
    return torch.full((1, WIDE, WIDE), value)


def edge() -> torch.Tensor:
    image = flat(0.2)
    image[:, :, WIDE // 2 :] = 0.7
    return image


def noise(seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((1, WIDE, WIDE), dtype=np.float32))


def heart(air: float, muscle: float, blood: float, scar: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """A large body with a heart in it, blurred by nothing, and where its parts are."""
    rows, columns = torch.meshgrid(torch.arange(WIDE) + 0.5, torch.arange(WIDE) + 0.5, indexing="ij")
    radius = torch.hypot(rows - WIDE / 2, columns - WIDE / 2)
    parts = {"air": radius > 50, "blood": radius < 12, "muscle": (radius >= 12) & (radius < 22) & (columns < WIDE / 2)}
    parts["scar"] = (radius >= 12) & (radius < 22) & (columns >= WIDE / 2)
    image = torch.full((1, WIDE, WIDE), 0.4)
    for name, value in (("air", air), ("muscle", muscle), ("blood", blood), ("scar", scar)):
        image[0][parts[name]] = value
    return image, parts


def test_bias_is_a_smooth_factor_of_limited_size():
    spans = []
    for seed in range(10):
        factor = coil_shading(np.random.default_rng(seed), 0.3, (WIDE, WIDE))[0]
        assert factor.min() > 0.5 and factor.max() < 2.0
        assert factor.diff(dim=0).abs().max() < 0.03 and factor.diff(dim=1).abs().max() < 0.03
        spans.append(float(factor.max() - factor.min()))
    assert max(spans) > 0.2
    shaded = replace(NONE, bias=0.3)
    assert torch.allclose(changed(shaded, flat(0.25), 3) * 2, changed(shaded, flat(0.5), 3), atol=1e-5)


def test_noise_of_a_magnitude_is_rician_and_that_of_a_signed_image_symmetric():
    generator = np.random.default_rng(0)
    background = noisy(generator, flat(0.0), 0.05, signed=False)
    assert background.min() >= 0
    assert float(background.mean()) == pytest.approx(0.05 * np.sqrt(np.pi / 2), rel=0.03)  # Rayleigh, never below 0
    assert float(background.std()) == pytest.approx(0.05 * np.sqrt(2 - np.pi / 2), rel=0.05)
    for image in (noisy(generator, flat(0.6), 0.05, signed=False), 0.6 + noisy(generator, flat(0.0), 0.05, signed=True)):
        assert float(image.mean()) == pytest.approx(0.6, abs=0.005)
        assert float(image.std()) == pytest.approx(0.05, rel=0.05)
    half = [changed(replace(NONE, noise=0.05), flat(0.6), seed).std() > 1e-4 for seed in range(40)]
    assert 10 < sum(half) < 30


@pytest.mark.parametrize("soften", [lambda image: smooth(image, (1.0, 1.0)), lambda image: low_resolution(image, 0.5)])
def test_blur_and_low_resolution_soften_edges_and_leave_flat_areas_and_borders(soften):
    assert torch.allclose(soften(flat(0.6)), flat(0.6), atol=1e-3)
    across = soften(edge())[0, WIDE // 2]
    assert across.diff().abs().max() < 0.35  # 0.5 in one step before
    assert abs(float(across[0]) - 0.2) < 0.01 and abs(float(across[-1]) - 0.7) < 0.01
    assert soften(noise()).std() < 0.8 * noise().std()


def test_ringing_overshoots_at_an_edge():
    across = gibbs_ringing(edge(), 0.35)[0, WIDE // 2]
    near = across[WIDE // 2 : WIDE // 2 + 8]
    assert near.max() > 0.72 and near.min() < 0.69


@pytest.mark.parametrize("name", ["ghosts", "low_resolution", "ringing", "blur_px", "psir", "magnitude"])
def test_each_number_of_a_variation_changes_the_picture(name):
    wanted = replace(NONE, **{name: (1.0, 1.0) if name == "blur_px" else 1.0})
    image, _ = heart(air=0.0, muscle=0.3, blood=0.5, scar=0.9)
    assert any(float((changed(wanted, image, seed) - image).abs().max()) > 0.02 for seed in range(4))


@pytest.mark.parametrize("axis", [1, 2])
def test_ghosts_are_copies_at_multiples_of_the_cycles_along_one_axis(axis):
    image = torch.zeros(1, 128, 128)
    image[:, 60:68, 60:68] = 1.0
    ghosts = motion_ghosts(image, 3.0, 20.0, 0.7, axis=axis)[0]
    if axis == 2:
        ghosts = ghosts.T
    assert ghosts[44:49, 62:66].mean() > 0.05 or ghosts[80:85, 62:66].mean() > 0.05  # 20 rows away
    assert ghosts[:, :58].abs().max() < 1e-4 and ghosts[:, 70:].abs().max() < 1e-4  # none beside
    assert torch.allclose(motion_ghosts(image, 0.0, 20.0, 0.7, axis=axis), image, atol=1e-5)


def test_window_is_linear_and_gamma_keeps_order():
    ramp = torch.linspace(0, 1, WIDE).expand(1, WIDE, WIDE)
    window = changed(replace(NONE, window_low=(0.1, 0.1), window_high=(0.9, 0.9)), ramp)[0, 0]
    assert torch.allclose(window, ((ramp[0, 0] - 0.1) / 0.8).clamp(0, 1), atol=1e-5)
    for exponent in (0.6, 1.7):
        bent = changed(replace(NONE, gamma=(exponent, exponent)), ramp)[0, 0]
        assert torch.allclose(bent, ramp[0, 0] ** exponent, atol=1e-3)
        assert (bent.diff() >= 0).all()


def test_a_window_never_leaves_more_white_than_allowed():
    harsh = replace(NONE, window_low=(0.0, 0.0), window_high=(0.6, 0.6))
    white = float((changed(harsh, 0.7 + 0.3 * noise()) >= 1).float().mean())
    assert white == pytest.approx(intensity._MOST_WHITE, abs=0.01)


def test_the_signed_look_has_grey_air_darkest_muscle_and_bright_scar():
    image, parts = heart(air=0.0, muscle=0.05, blood=0.5, scar=0.9)
    look = signed_look(image, 0.5)[0]
    mean = {name: float(look[where].mean()) for name, where in parts.items()}
    assert mean["muscle"] < 0.1 < 0.25 < mean["air"] < 0.45 < mean["scar"]
    assert mean["muscle"] < mean["blood"] < mean["scar"]
    assert mean["scar"] == pytest.approx(0.9, abs=0.02)


def test_the_signed_look_of_a_slice_with_grey_air_is_that_slice():
    image, _ = heart(air=0.4, muscle=0.3, blood=0.6, scar=0.8)
    assert torch.allclose(signed_look(image, 0.5), image, atol=1e-5)


def test_the_magnitude_look_has_its_null_black_and_what_is_below_folded_up():
    image, parts = heart(air=0.5, muscle=0.5, blood=0.65, scar=0.75)
    image[0, :8] = 0.3  # long T1: a negative signal
    look = magnitude_look(image, 0.5)[0]
    mean = {name: float(look[where].mean()) for name, where in parts.items()}
    assert mean["muscle"] < 0.01 < mean["blood"] < mean["scar"]
    assert float(look[:8].mean()) > 0.5
    inverted = magnitude_look(image, 0.6)[0]  # the inversion time is too short
    assert float(inverted[parts["muscle"]].mean()) > float(inverted[parts["blood"]].mean())


def test_the_magnitude_look_leaves_black_air_and_its_rim_black():
    image, parts = heart(air=0.0, muscle=0.5, blood=0.65, scar=0.75)
    smooth = torch.nn.functional.avg_pool2d(image, 3, 1, 1)  # the rim mixes air and body
    look = magnitude_look(smooth, 0.5)[0]
    assert float(look[parts["air"]].max()) < 0.01


@pytest.mark.data
def test_scar_can_still_be_told_from_muscle_on_real_slices(emidec_folder):
    """A reader could still do it: as a rule the scar stays brighter, and the heart is neither all white nor all black."""
    from MyoScarSegLib.training.datasets.dataset_reader import read_dataset

    slices = [s for s in read_dataset(emidec_folder).slices if (s.labels == 3).sum() > 40][::20]
    for name, least in (("standard", 0.8), ("heavy", 0.7)):
        windows, brighter = Augmenter(name, WIDE), []
        for number, labeled in enumerate(slices):
            rows, columns = np.nonzero(labeled.labels)
            center = (columns.mean() + 0.5, rows.mean() + 0.5)
            for copy in range(2):
                window, classes = windows(
                    normalize(labeled.image), labeled.labels[None], center, seed=(number, copy), window_px=(112, 112)
                )
                grey, labels = window[0].numpy(), classes[0].numpy()
                if (labels == 2).sum() > 20 and (labels == 3).sum() > 20:
                    muscle = np.sort(grey[labels == 2])
                    brighter.append(np.mean(np.searchsorted(muscle, grey[labels == 3]) / muscle.size))
                assert (grey[labels > 0] >= 0.999).mean() < 0.75
                assert (grey[labels > 0] <= 0.001).mean() < 0.75
        assert len(brighter) > 10 and np.mean(brighter) > least
