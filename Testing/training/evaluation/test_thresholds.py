"""The field's thresholds, on images whose scar is known."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.phantom import Infarct, PhantomSettings, make_phantom
from MyoScarSegLib.quantification import otsu_threshold, reference_masks, remote_myocardium
from MyoScarSegLib.quantification.reference import METHODS
from MyoScarSegLib.training.datasets.labeled import CAVITY, LabeledSlice
from MyoScarSegLib.training.evaluation.metrics import dice
from MyoScarSegLib.training.evaluation.model_evaluation import evaluate_thresholds

REMOTE, SPREAD, SCAR = 100.0, 5.0, 300.0


@pytest.fixture(scope="module")
def ring() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Image, wall, cavity and scar of two slices; scar is a third of the first slice's wall."""
    y, x = np.mgrid[:80, :80] - 40
    radius, angle = np.hypot(y, x), np.degrees(np.arctan2(y, x))
    wall = np.repeat(((radius >= 15) & (radius < 25))[None], 2, axis=0)
    cavity = np.repeat((radius < 15)[None], 2, axis=0)
    scar = wall & (np.abs(angle) < 60)[None]
    scar[1] = False
    image = np.random.default_rng(0).normal(REMOTE, SPREAD, wall.shape) + (SCAR - REMOTE) * scar
    return image, wall, cavity, scar


def test_remote_myocardium_is_wall_away_from_scar(ring):
    image, wall, cavity, scar = ring
    remote = remote_myocardium(image, wall, cavity)
    assert not (remote & scar).any() and not (remote & ~wall).any()
    assert np.count_nonzero(remote[0]) == pytest.approx(np.count_nonzero(wall[0]) / 6, rel=0.1)


def test_thresholds_are_where_their_names_say(ring):
    image, wall, cavity, _ = ring
    found = reference_masks(image, wall, cavity)
    for n in (2, 3, 4, 5, 6):
        assert found[f"{n} SD"].thresholds == pytest.approx(REMOTE + n * SPREAD, abs=0.35 * n + 2)
    brightest = np.percentile(image[wall], 99.5)
    assert found["FWHM"].thresholds == pytest.approx(brightest / 2)
    assert found["FWHM from remote"].thresholds == pytest.approx((brightest + REMOTE) / 2, abs=2)
    assert 110 < found["Otsu"].thresholds[0] < 290


def test_clear_scar_is_found_by_all_and_only_in_the_wall(ring):
    image, wall, cavity, scar = ring
    bright_outside = np.where(wall, image, 1000.0)
    for method, found in reference_masks(bright_outside, wall, cavity).items():
        assert not (found.mask & ~wall).any(), method
        least = 0.9 if method == "2 SD" else 0.95
        assert dice(found.mask, scar) > least, method


def test_half_of_the_maximum_hangs_on_the_images_zero_and_from_remote_does_not(ring):
    image, wall, cavity, scar = ring
    plain, lifted = reference_masks(image, wall, cavity), reference_masks(image + 1000, wall, cavity)
    assert np.array_equal(plain["FWHM from remote"].mask, lifted["FWHM from remote"].mask)
    assert np.array_equal(plain["5 SD"].mask, lifted["5 SD"].mask)
    assert dice(lifted["FWHM"].mask, scar) < 0.5 < 0.95 < dice(plain["FWHM"].mask, scar)


def test_a_readers_own_remote_region_is_used(ring):
    image, wall, cavity, scar = ring
    found = reference_masks(image, wall, cavity, remote=scar | (wall & (np.arange(2) == 1)[:, None, None]))
    assert found["2 SD"].thresholds[0] == pytest.approx(SCAR + 2 * SPREAD, abs=2)


def test_otsu_parts_two_classes_and_takes_a_constant():
    values = np.concatenate([np.full(70, 10.0), np.full(30, 50.0)])
    assert 10 < otsu_threshold(values) <= 50
    assert otsu_threshold(np.full(5, 7.0)) == 7.0
    with pytest.raises(StudyError):
        otsu_threshold(np.zeros(0))


def test_without_a_wall_or_with_another_shape_there_is_no_threshold(ring):
    image, wall, cavity, _ = ring
    with pytest.raises(StudyError, match="no left-ventricular wall"):
        reference_masks(image, np.zeros_like(wall), cavity)
    with pytest.raises(StudyError, match="shape"):
        reference_masks(image, wall[:1])
    with pytest.raises(StudyError, match="fewer than 8 pixels of remote"):
        reference_masks(image, wall, remote=np.zeros_like(wall))


@pytest.fixture(scope="module")
def phantom_slices() -> list[LabeledSlice]:
    infarct = Infarct("LAD", transmurality=0.8, half_width_deg=45)
    settings = PhantomSettings(slices=4, rows=160, columns=160, infarcts=(infarct,), noise=0.03, bias=0.0)
    phantom = make_phantom(3, settings=settings)
    return [
        LabeledSlice("P1", k, image, labels, (1.4, 1.4), 10.0)
        for k, (image, labels) in enumerate(zip(phantom.study.voxels, phantom.labels, strict=True))
    ]


def test_a_phantoms_scar_is_found_and_scored_with_the_method_as_the_setting(phantom_slices):
    found = evaluate_thresholds(phantom_slices)
    assert list(found.settings) == list(METHODS)
    for method in ("5 SD", "FWHM from remote", "Otsu"):
        (case,) = found.settings[method]
        assert case.dice_3d > 0.7, method
        assert case.wall_mass_g > case.truth_mass_g > 0
        assert not case.spacing_assumed
    assert "expert's myocardium" in found.notes[0]


def test_cases_without_a_drawn_wall_are_reported(phantom_slices):
    from dataclasses import replace

    bare = [
        replace(s, patient="P2", wall_known=False, labels=np.where(s.labels > CAVITY + 1, s.labels, 0)) for s in phantom_slices
    ]
    found = evaluate_thresholds([*phantom_slices, *bare])
    assert [c.case for c in found.settings["Otsu"]] == ["P1"]
    assert found.failures == {"thresholds, P2": "its left-ventricular wall was not drawn"}
