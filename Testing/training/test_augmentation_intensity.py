"""Augmentation: each change of intensity does what it says, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from MyoScarSegLib.study.normalise import normalise
from MyoScarSegLib.training.augmentation import PRESETS, Augmenter, Preset
from MyoScarSegLib.training.augmentation.intensity import magnitude_look, motion_ghosts, signed_look

pytest.importorskip("monai")

NONE = PRESETS["none"]
SIDE = 112


def changed(preset: Preset, image: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return Augmenter(preset, SIDE).intensity(image, seed=seed)


def flat(value: float) -> torch.Tensor:
    return torch.full((1, SIDE, SIDE), value)


def edge() -> torch.Tensor:
    image = flat(0.2)
    image[:, :, SIDE // 2 :] = 0.7
    return image


def noise(seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((1, SIDE, SIDE), dtype=np.float32))


def heart(air: float, muscle: float, blood: float, scar: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """A large body with a heart in it, blurred by nothing, and where its parts are."""
    rows, columns = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    radius = torch.hypot(rows - SIDE / 2, columns - SIDE / 2)
    parts = {"air": radius > 50, "blood": radius < 12, "muscle": (radius >= 12) & (radius < 22) & (columns < SIDE / 2)}
    parts["scar"] = (radius >= 12) & (radius < 22) & (columns >= SIDE / 2)
    image = torch.full((1, SIDE, SIDE), 0.4)
    for name, value in (("air", air), ("muscle", muscle), ("blood", blood), ("scar", scar)):
        image[0][parts[name]] = value
    return image, parts


def test_none_changes_nothing():
    image = noise()
    assert torch.equal(changed(NONE, image), image)


def test_bias_is_a_smooth_factor_of_limited_size():
    shaded = replace(NONE, bias=1.0, bias_coefficient=0.15)
    spans = []
    for seed in range(10):
        factor = changed(shaded, flat(0.5), seed)[0] / 0.5
        assert factor.min() > 0.5 and factor.max() < 2.0
        assert factor.diff(dim=0).abs().max() < 0.08 and factor.diff(dim=1).abs().max() < 0.08
        spans.append(float(factor.max() - factor.min()))
    assert max(spans) > 0.1
    # A factor: what is twice as bright changes twice as much.
    twice = changed(shaded, flat(0.25), 3) * 2
    assert torch.allclose(twice, changed(shaded, flat(0.5), 3), atol=1e-5)


def test_noise_of_a_magnitude_is_rician():
    noisy = replace(NONE, noise=1.0, noise_deviation=(0.05, 0.05))
    background = changed(noisy, flat(0.0))
    assert background.min() >= 0
    assert float(background.mean()) == pytest.approx(0.05 * np.sqrt(np.pi / 2), rel=0.03)  # Rayleigh, never below 0
    assert float(background.std()) == pytest.approx(0.05 * np.sqrt(2 - np.pi / 2), rel=0.05)
    bright = changed(noisy, flat(0.6))
    assert float(bright.mean()) == pytest.approx(0.6, abs=0.005)
    assert float(bright.std()) == pytest.approx(0.05, rel=0.05)


def test_noise_of_a_signed_image_is_symmetric_about_its_grey_air():
    noisy = replace(NONE, psir=1.0, psir_shift=(0.5, 0.5), noise=1.0, noise_deviation=(0.05, 0.05))
    grey = 0.5 / 1.5
    residual = changed(noisy, flat(0.0)) - grey
    assert float(residual.mean()) == pytest.approx(0, abs=0.002)
    assert float(residual.std()) == pytest.approx(0.05, rel=0.05)


def test_blur_and_low_resolution_soften_edges_and_leave_flat_areas_and_borders():
    for soft in (
        replace(NONE, blur=1.0, blur_px=(1.0, 1.0)),
        replace(NONE, low_resolution=1.0, low_resolution_zoom=(0.5, 0.5)),
    ):
        assert torch.allclose(changed(soft, flat(0.6)), flat(0.6), atol=1e-3)
        across = changed(soft, edge())[0, SIDE // 2]
        assert across.diff().abs().max() < 0.35  # 0.5 in one step before
        assert abs(float(across[0]) - 0.2) < 0.01 and abs(float(across[-1]) - 0.7) < 0.01
        assert changed(soft, noise()).std() < 0.8 * noise().std()


def test_ringing_overshoots_at_an_edge():
    across = changed(replace(NONE, ringing=1.0, ringing_radius=(0.35, 0.35)), edge())[0, SIDE // 2]
    near = across[SIDE // 2 : SIDE // 2 + 8]
    assert near.max() > 0.72 and near.min() < 0.69


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
    ramp = torch.linspace(0, 1, SIDE).expand(1, SIDE, SIDE)
    window = changed(replace(NONE, window=1.0, window_low=(0.1, 0.1), window_high=(0.9, 0.9)), ramp)[0, 0]
    assert torch.allclose(window, ((ramp[0, 0] - 0.1) / 0.8).clamp(0, 1), atol=1e-5)
    for exponent in (0.6, 1.7):
        bent = changed(replace(NONE, gamma=1.0, gamma_exponent=(exponent, exponent)), ramp)[0, 0]
        assert torch.allclose(bent, ramp[0, 0] ** exponent, atol=1e-3)
        assert (bent.diff() >= 0).all()


def test_a_window_never_leaves_more_white_than_allowed():
    bright = 0.7 + 0.3 * noise()
    harsh = replace(NONE, window=1.0, window_low=(0.0, 0.0), window_high=(0.6, 0.6), window_white=0.1)
    assert float((changed(harsh, bright) >= 1).float().mean()) == pytest.approx(0.1, abs=0.01)


def test_a_stored_polarity_is_the_whole_range_upside_down():
    image = noise()
    assert torch.allclose(changed(replace(NONE, polarity=1.0), image), 1 - image)


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


def test_intensity_alone_is_what_a_whole_call_does():
    image = np.random.default_rng(1).random((SIDE, SIDE), dtype=np.float32)
    strong = replace(PRESETS["heavy"], name="still", rotation_degrees=0, quarter_turns=False, flip=0, scale=(1, 1), stretch=1,
                     off_centre=0, anywhere=0, elastic=0)  # fmt: skip
    augmenter = Augmenter(strong, SIDE)
    for seed in range(6):
        window, _ = augmenter(image, np.zeros((0, SIDE, SIDE), np.int16), (SIDE / 2, SIDE / 2), seed=seed, window_px=(SIDE, SIDE))
        assert torch.allclose(window, augmenter.intensity(torch.from_numpy(image)[None], seed=seed), atol=1e-4)


@pytest.mark.data
def test_scar_can_still_be_told_from_muscle_on_real_slices(emidec_folder):
    """A reader could still do it: as a rule the scar stays brighter, and the heart is neither all white nor all black."""
    from MyoScarSegLib.training.datasets.dataset_reader import read_dataset

    slices = [s for s in read_dataset(emidec_folder).slices if (s.labels == 3).sum() > 40][::20]
    for name, least in (("standard", 0.8), ("heavy", 0.7)):
        augmenter, brighter = Augmenter(name, SIDE), []
        for number, labeled in enumerate(slices):
            rows, columns = np.nonzero(labeled.labels)
            centre = (columns.mean() + 0.5, rows.mean() + 0.5)
            for copy in range(2):
                window, classes = augmenter(
                    normalise(labeled.image), labeled.labels[None], centre, seed=(number, copy), window_px=(112, 112)
                )
                grey, labels = window[0].numpy(), classes[0].numpy()
                if (labels == 2).sum() > 20 and (labels == 3).sum() > 20:
                    muscle = np.sort(grey[labels == 2])
                    brighter.append(np.mean(np.searchsorted(muscle, grey[labels == 3]) / muscle.size))
                assert (grey[labels > 0] >= 0.999).mean() < 0.75
                assert (grey[labels > 0] <= 0.001).mean() < 0.75
        assert len(brighter) > 10 and np.mean(brighter) > least
