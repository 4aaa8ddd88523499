"""The numerical phantom: what is said to be true about it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.phantom import Infarct, PhantomSettings, make_phantom, phantom_slices
from MyoScarSegLib.phantom.heart import ANGLES, sector_area
from MyoScarSegLib.quantification.burden import scar_burden
from MyoScarSegLib.study.study import Reconstruction

BIG = (Infarct("LAD", transmurality=0.9, half_width_deg=55.0, half_length=0.4, no_reflow=True),)


COARSE = {"rows": 96, "columns": 96, "pixel_spacing_mm": (2.4, 2.4)}
"""Where pixels do not matter: what is true of a phantom does not come from them."""


def random_settings(seed: int) -> PhantomSettings:
    """Any rotation or reflection, oblong pixels, gaps, uneven and sheared stacks; at least one infarct."""
    rng = np.random.default_rng(1000 + seed)
    row_mm, column_mm = rng.uniform(0.9, 1.9, size=2)
    return PhantomSettings(
        slices=int(rng.integers(7, 14)),
        rows=int(np.ceil(260 / row_mm)),
        columns=int(np.ceil(240 / column_mm)),
        pixel_spacing_mm=(float(row_mm), float(column_mm)),
        slice_spacing_mm=float(rng.uniform(7.0, 13.0)),
        slice_jitter=float(rng.choice([0.0, rng.uniform(0.1, 0.7)])),
        shear=(float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.3, 0.3))) if seed % 3 == 0 else (0.0, 0.0),
        orientation="random",
        in_plane_rotation_deg=float(rng.uniform(0.0, 360.0)),
        mirrored=bool(rng.random() < 0.5),
        apex_first=bool(rng.random() < 0.5),
        infarct_counts=(0.0, 0.6, 0.3, 0.1),
    )


@pytest.mark.parametrize("seed", range(6))
def test_known_mass_is_measured_within_two_percent_in_any_geometry(seed):
    phantom = make_phantom(seed, settings=random_settings(seed))
    assert phantom.scar_mass_g > 0.5
    burden = scar_burden(phantom.scar, phantom.study.geometry)
    assert burden.mass_g == pytest.approx(phantom.scar_mass_g, rel=0.02)
    assert burden.volume_ml == pytest.approx(phantom.scar_volume_ml, rel=0.02)


def test_truth_does_not_come_from_pixels():
    """On pixels twice as fine the truth stays and the mask comes closer to it."""
    made = [
        make_phantom(5, settings=PhantomSettings(infarcts=BIG, rows=side, columns=side, pixel_spacing_mm=(364 / side,) * 2))
        for side in (130, 390)
    ]
    assert made[0].scar_mass_g == pytest.approx(made[1].scar_mass_g, rel=1e-12)
    assert scar_burden(made[1].scar, made[1].study.geometry).mass_g == pytest.approx(made[1].scar_mass_g, rel=2e-3)


def test_area_within_a_table_is_that_of_a_disc_and_of_an_ellipse():
    angle = np.linspace(0.0, 2 * np.pi, ANGLES + 1)
    ellipse = 20.0 * 10.0 / np.hypot(10.0 * np.cos(angle), 20.0 * np.sin(angle))
    assert sector_area(np.stack([np.full(ANGLES + 1, 12.0), ellipse])) == pytest.approx([np.pi * 144.0, np.pi * 200.0], rel=1e-5)


def test_slice_thickness_changes_nothing():
    thin, thick = (make_phantom(2, settings=PhantomSettings(infarcts=BIG, slice_thickness_mm=mm, **COARSE)) for mm in (4.0, 10.0))
    assert thin.scar_mass_g == thick.scar_mass_g
    assert scar_burden(thin.scar, thin.study.geometry) == scar_burden(thick.scar, thick.study.geometry)


def test_given_uneven_positions_are_in_the_geometry():
    positions = (0.0, 8.0, 20.0, 28.0, 45.0, 53.0, 61.0)
    phantom = make_phantom(1, settings=PhantomSettings(slices=7, slice_positions_mm=positions, infarcts=BIG))
    geometry = phantom.study.geometry
    assert np.diff(geometry.slice_positions_mm) == pytest.approx(np.diff(positions))
    steps = np.linalg.norm(np.diff(geometry.slice_origins_mm, axis=0), axis=1)
    assert steps == pytest.approx(np.diff(positions))
    assert scar_burden(phantom.scar, geometry).mass_g == pytest.approx(phantom.scar_mass_g, rel=0.02)


def test_sheared_stack_shows_the_heart_where_it_is_in_the_world():
    """The ventricle's axis is straight along the normal in the world, however the slices drift."""
    settings = PhantomSettings(infarcts=(), shear=(0.25, -0.1), orientation="random", slice_spacing_mm=9.0)
    phantom = make_phantom(3, settings=settings)
    geometry = phantom.study.geometry
    places = []
    for k in range(2, 7):
        row, column = np.argwhere(phantom.labels[k] > 0).mean(axis=0)
        places.append(np.array(geometry.origin_mm) + geometry.direction @ (np.array(geometry.spacing_mm) * [column, row, k]))
    normal = np.cross(geometry.direction[:, 0], geometry.direction[:, 1])
    across = np.array(places) - np.outer(np.array(places) @ normal, normal)
    assert np.ptp(across, axis=0).max() < 7.0  # its own lean and sway
    assert abs(normal @ geometry.direction[:, 2]) < 0.97  # and the stack is sheared indeed


def test_same_seed_makes_the_same_phantom_and_another_seed_another():
    first, again, other = make_phantom(11), make_phantom(11), make_phantom(12)
    assert np.array_equal(first.study.voxels, again.study.voxels)
    assert np.array_equal(first.labels, again.labels)
    assert first.scar_mass_g == again.scar_mass_g
    assert not np.array_equal(first.study.voxels, other.study.voxels)
    assert first.scar_mass_g != other.scar_mass_g


def test_noise_and_reconstruction_leave_anatomy_and_truth_alone():
    signed = make_phantom(4)
    magnitude = make_phantom(4, settings=PhantomSettings(reconstruction=Reconstruction.MAGNITUDE, noise=0.2, bias=0.4))
    assert np.array_equal(signed.labels, magnitude.labels)
    assert signed.scar_mass_g == magnitude.scar_mass_g


def test_clinical_defaults():
    phantom = make_phantom(0)
    assert phantom.study.voxels.shape == phantom.labels.shape == (10, 256, 208)
    assert phantom.study.geometry.spacing_mm == pytest.approx((1.4, 1.4, 10.0))
    assert phantom.study.voxels.dtype == np.int16 and phantom.labels.dtype == np.uint8
    direction = phantom.study.geometry.direction
    assert direction.T @ direction == pytest.approx(np.eye(3))
    assert np.abs(direction).max() < 0.99  # oblique
    assert np.linalg.det(direction) == pytest.approx(1.0) or np.linalg.det(direction) == pytest.approx(-1.0)


@pytest.mark.parametrize("seed", range(3))
def test_labels_are_nested(seed):
    phantom = make_phantom(seed, settings=PhantomSettings(infarcts=BIG))
    labels = phantom.labels
    assert {0, 1, 2, 3, 4} == set(np.unique(labels))
    assert np.array_equal(phantom.scar, labels >= 3)
    for index, image in enumerate(labels):
        filled = ndimage.binary_fill_holes(image >= 2) | (image == 1)
        outline = ndimage.binary_dilation(image >= 1, iterations=1)
        assert not (image[~outline] >= 3).any()
        # Dark core: every pixel of it touches infarct or core only, but for the odd corner.
        touching = ndimage.binary_dilation(image == 4, structure=np.ones((3, 3))) & (image != 4)
        assert np.isin(image[touching], [1, 2, 3]).all()
        if (image == 4).any():
            assert (image[touching] == 3).mean() > 0.6, index
        # Wall and cavity are one piece without holes.
        assert ndimage.label(filled | (image > 0))[1] <= 1


def test_ventricle_has_an_adults_size_and_narrows_to_the_apex():
    for seed in range(3):
        labels = make_phantom(seed).labels
        diameters = 2 * np.sqrt((labels > 0).sum(axis=(1, 2)) * 1.4**2 / np.pi)
        assert 55 < diameters[2] < 85
        assert diameters[8] < 0.85 * diameters[2]


@pytest.mark.parametrize("reconstruction", list(Reconstruction))
@pytest.mark.parametrize("seed", range(2))
def test_scar_is_bright_myocardium_dark_and_core_between(seed, reconstruction):
    phantom = make_phantom(seed, settings=PhantomSettings(infarcts=BIG, reconstruction=reconstruction))
    blood, muscle, scar, core = (float(np.median(phantom.study.voxels[phantom.labels == label])) for label in (1, 2, 3, 4))
    assert scar - muscle > 0.3 * blood
    assert 0.6 * blood < scar < 1.6 * blood
    assert muscle < core < 0.85 * scar


def test_psir_is_signed_and_magnitude_is_rician():
    signed = make_phantom(8)
    assert signed.study.reconstruction is Reconstruction.PSIR
    assert (signed.study.voxels < -20).mean() > 0.05
    magnitude = make_phantom(8, settings=PhantomSettings(reconstruction=Reconstruction.MAGNITUDE, bias=0.0, noise=0.1))
    assert magnitude.study.voxels.min() >= 0
    air = magnitude.study.voxels[:, 2:30, 2:14].astype(float)
    # Without signal Rician noise is Rayleigh's: its mean is 1.253 and its deviation 0.655 of the noise's deviation.
    assert air.mean() / air.std() == pytest.approx(1.253 / 0.655, rel=0.05)


def test_normal_heart_has_no_scar():
    phantom = make_phantom(6, settings=PhantomSettings(infarcts=()))
    assert phantom.scar_mass_g == phantom.scar_volume_ml == 0.0
    assert not phantom.scar.any() and phantom.infarcts == ()


def test_transmurality_and_extent_set_the_mass():
    def mass(**changes: float) -> float:
        infarct = replace(Infarct("RCA", transmurality=0.5, half_width_deg=35.0, half_length=0.25), **changes)
        return make_phantom(9, settings=PhantomSettings(infarcts=(infarct,), **COARSE)).scar_mass_g

    usual = mass()
    assert usual < mass(transmurality=0.9)
    assert usual < mass(half_width_deg=55.0)
    assert usual < mass(half_length=0.45)


@pytest.mark.parametrize(("territory", "side"), [("LAD", (-1, 0)), ("RCx", (0, 1)), ("RCA", (1, 0))])
def test_infarct_lies_in_its_territory(territory, side):
    """Anterior is above, lateral to the right, inferior below, as a short-axis slice is displayed."""
    phantom = make_phantom(3, settings=PhantomSettings(infarcts=(Infarct(territory, half_width_deg=30.0),)))
    shift = np.argwhere(phantom.scar.any(axis=0)).mean(axis=0) - np.argwhere((phantom.labels > 0).any(axis=0)).mean(axis=0)
    assert shift @ np.array(side) > 5


def test_drawn_infarcts_follow_the_probabilities():
    coarse = PhantomSettings(slices=2, slice_spacing_mm=30.0, **COARSE)
    numbers = {len(make_phantom(seed, settings=coarse).infarcts) for seed in range(30)}
    assert {0, 1, 2} <= numbers <= {0, 1, 2, 3}


def test_training_slices_are_reproducible_and_varied():
    slices = list(phantom_slices(3, 12))
    again = list(phantom_slices(3, 12))
    assert len(slices) == 12
    for (image, labels), (image_again, labels_again) in zip(slices, again, strict=True):
        assert image.dtype == np.float32 and labels.dtype == np.uint8 and image.shape == labels.shape
        assert np.array_equal(image, image_again) and np.array_equal(labels, labels_again)
    assert any((labels >= 3).any() for _, labels in slices)
    assert np.std([image.mean() for image, _ in slices]) > 0


def test_heart_that_does_not_fit_is_refused():
    with pytest.raises(MyoScarSegError, match="beyond"):
        make_phantom(0, settings=PhantomSettings(rows=64, columns=64, pixel_spacing_mm=(0.8, 0.8)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"slices": 0},
        {"pixel_spacing_mm": (0.0, 1.0)},
        {"slices": 3, "slice_positions_mm": (0.0, 5.0, 5.0)},
        {"slices": 3, "slice_positions_mm": (0.0, 5.0)},
        {"slice_jitter": 1.0},
        {"infarct_counts": ()},
        {"orientation": "sideways"},
        {"infarcts": ("LAD",)},
    ],
)
def test_contradictory_settings_are_refused(wrong):
    with pytest.raises(MyoScarSegError):
        PhantomSettings(**wrong)
