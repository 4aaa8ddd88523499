"""The field's thresholds, on images whose scar is known."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.overlap import dice
from MyoScarSegLib.quantification.reference import METHODS, SOURCES, otsu_threshold, reference_masks, reference_table
from MyoScarSegLib.quantification.remote import remote_myocardium
from MyoScarSegLib.study.study import Geometry

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


def radius_and_angle() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:80, :80] - 40
    return np.hypot(y, x), np.degrees(np.arctan2(y, x))


def test_remote_myocardium_is_wall_away_from_scar_and_from_borders(ring):
    image, wall, cavity, scar = ring
    remote = remote_myocardium(image, wall, cavity)
    assert not (remote & scar).any() and not (remote & ~wall).any()
    radius, _ = radius_and_angle()
    assert radius[remote[0]].min() >= 16 and radius[remote[0]].max() < 24
    assert np.count_nonzero(remote[0]) == pytest.approx(np.count_nonzero(wall[0]) / 6, rel=0.25)


def test_remote_myocardium_is_not_the_no_reflow(ring):
    image, wall, cavity, scar = ring
    radius, angle = radius_and_angle()
    dark = scar & ((radius < 20) & (np.abs(angle) < 25))[None]
    remote = remote_myocardium(np.where(dark, 40.0, image), wall, cavity)
    assert not (remote & scar).any()


@pytest.mark.parametrize("turn", [lambda a: a[:, ::-1], lambda a: a[:, :, ::-1], lambda a: np.rot90(a, axes=(1, 2))])
def test_turned_and_mirrored_images_have_the_same_remote_myocardium_and_scar(ring, turn):
    image, wall, cavity, _ = ring
    there, here = reference_masks(turn(image), turn(wall), turn(cavity)), reference_masks(image, wall, cavity)
    for method in METHODS:
        assert np.array_equal(there[method].mask, turn(here[method].mask)), method
    assert np.array_equal(there["2 SD"].remote.region, turn(here["2 SD"].remote.region))


def test_thresholds_are_where_their_names_say(ring):
    image, wall, cavity, _ = ring
    found = reference_masks(image, wall, cavity)
    assert tuple(found) == METHODS
    for n in (2, 3, 4, 5, 6):
        assert found[f"{n} SD"].thresholds == pytest.approx(REMOTE + n * SPREAD, abs=0.35 * n + 2)
    brightest = np.percentile(image[wall], 99.5)
    assert found["FWHM"].thresholds == pytest.approx(brightest / 2)
    assert found["FWHM from remote"].thresholds == pytest.approx((brightest + REMOTE) / 2, abs=2)
    assert 110 < found["Otsu"].thresholds[0] < 290
    assert 115 < found["Mixture"].thresholds[0] < 285


def test_each_method_says_what_it_rests_on(ring):
    image, wall, cavity, _ = ring
    for one in reference_masks(image, wall, cavity).values():
        assert not one.why
        assert one.remote.mean == pytest.approx(REMOTE, abs=2) and one.remote.sd == pytest.approx(SPREAD, abs=1)
        assert (one.remote.pixels == np.count_nonzero(one.remote.region, axis=(1, 2))).all()


def test_clear_scar_is_found_by_all_and_only_in_the_wall(ring):
    image, wall, cavity, scar = ring
    bright_outside = np.where(wall, image, 1000.0)
    for method, found in reference_masks(bright_outside, wall, cavity).items():
        assert not (found.mask & ~wall).any(), method
        assert dice(found.mask, scar) > 0.95, method


def test_half_of_the_maximum_hangs_on_the_images_zero_and_from_remote_does_not(ring):
    image, wall, cavity, scar = ring
    plain, lifted = reference_masks(image, wall, cavity), reference_masks(image + 1000, wall, cavity)
    for method in ("FWHM from remote", "5 SD", "Otsu", "Mixture"):
        assert np.array_equal(plain[method].mask, lifted[method].mask), method
    assert dice(plain["FWHM"].mask, scar) > 0.95
    assert lifted["FWHM"].mask is None and "zero" in lifted["FWHM"].why


def test_half_of_the_maximum_has_no_answer_in_psir(ring):
    image, wall, cavity, scar = ring
    found = reference_masks(image, wall, cavity, scar=scar, psir=True)
    assert found["FWHM"].mask is None and "PSIR" in found["FWHM"].why
    assert all(found[method].mask is not None for method in METHODS if method != "FWHM")


def test_a_readers_own_remote_region_is_used(ring):
    image, wall, cavity, scar = ring
    found = reference_masks(image, wall, cavity, remote=scar | (wall & (np.arange(2) == 1)[:, None, None]))
    assert found["2 SD"].thresholds[0] == pytest.approx(SCAR + 2 * SPREAD, abs=2)
    assert not found["2 SD"].warnings


def test_a_slice_without_remote_myocardium_of_its_own_takes_the_studys_and_says_so(ring):
    image, wall, cavity, _ = ring
    drawn = remote_myocardium(image, wall, cavity)
    drawn[1] = False
    drawn[1, 40, 18:25] = True  # 7 pixels
    found = reference_masks(image, wall, cavity, remote=drawn)
    remote = found["5 SD"].remote
    assert list(remote.of_study) == [False, True]
    assert remote.mean[1] == remote.study_mean and remote.mean[0] != remote.study_mean
    assert "Slice 1 has less remote myocardium than 50 pixels" in found["5 SD"].warnings[0]
    assert found["FWHM from remote"].warnings == found["5 SD"].warnings
    assert not found["FWHM"].warnings and not found["Otsu"].warnings  # which need none


def test_without_remote_myocardium_the_methods_that_need_it_say_so(ring):
    image, wall, cavity, scar = ring
    found = reference_masks(image, wall, cavity, remote=np.zeros_like(wall), scar=scar)
    for method in ("2 SD", "6 SD", "FWHM from remote"):
        assert found[method].mask is None and np.isnan(found[method].thresholds).all()
        assert found[method].why == f"{method} has no answer: remote myocardium has 0 pixels, and 8 are needed."
    for method in ("FWHM", "Otsu", "Mixture"):
        assert dice(found[method].mask, scar) > 0.95
    # Without a mask, either, nothing says that there is scar.
    assert "nothing says that there is scar" in reference_masks(image, wall, remote=np.zeros_like(wall))["FWHM"].why


def test_a_wall_without_scar_has_no_half_maximum_and_no_mixture_unless_someone_sees_scar(ring):
    image, wall, cavity, scar = ring
    plain = np.where(scar, image - (SCAR - REMOTE), image)
    found = reference_masks(plain, wall, cavity)
    for method in ("FWHM", "FWHM from remote"):
        assert found[method].mask is None
        assert "there is no scar: the brightest wall is" in found[method].why
    assert "SD of the lower one apart" in found["Mixture"].why
    assert found["5 SD"].mask is not None and not found["5 SD"].mask.any()  # none is an answer
    assert reference_masks(plain, wall, cavity, scar=scar)["FWHM from remote"].mask is not None


def test_a_wall_of_one_value_has_no_threshold(ring):
    _, wall, cavity, _ = ring
    for method, found in reference_masks(np.full(wall.shape, 7.0), wall, cavity).items():
        assert found.mask is None and found.why, method


def test_specks_go_unless_they_are_wanted(ring):
    image, wall, cavity, _ = ring
    image = image.copy()
    image[0, 38:41, 18:21] = SCAR  # 9 pixels far from scar
    image[1, 38:41, 18:21] = image[1, 41, 21] = SCAR  # 10 pixels, of which one touches at a corner
    cleaned, raw = (reference_masks(image, wall, cavity, specks_px=least)["6 SD"].mask for least in (10, 0))
    assert not cleaned[0, 39, 19] and raw[0, 39, 19]
    assert cleaned[1, 39, 19] and cleaned[1, 41, 21]


def test_enclosed_no_reflow_counts_as_scar_and_is_shown_apart(ring):
    image, wall, cavity, scar = ring
    radius, angle = radius_and_angle()
    alone = wall & (np.hypot(radius - 20, np.radians(angle) * 20) < 3)[None] & scar
    against_blood = scar & ((radius < 19) & (np.abs(angle - 40) < 12))[None]
    open_outwards = scar & ((radius > 21) & (np.abs(angle + 40) < 12))[None]
    dark = np.where(alone | against_blood | open_outwards, 90.0, image)
    found = reference_masks(dark, wall, cavity)["5 SD"]
    assert np.array_equal(found.no_reflow[0], (alone | against_blood)[0])
    assert (found.mask & alone).sum() == alone.sum() and not (found.mask & open_outwards).any()
    without = reference_masks(dark, wall, cavity, fill_no_reflow=False)["5 SD"]
    assert np.array_equal(without.mask, found.mask & ~found.no_reflow) and not without.no_reflow.any()
    # One that a reader drew takes the place of the enclosed.
    drawn = reference_masks(dark, wall, cavity, no_reflow=open_outwards)["5 SD"]
    assert np.array_equal(drawn.no_reflow, open_outwards)
    # Without the cavity only scar itself encloses.
    assert np.array_equal(reference_masks(dark, wall)["5 SD"].no_reflow[0], alone[0])


def test_the_table_has_mass_share_and_the_difference_to_the_models_mask(ring):
    image, wall, cavity, scar = ring
    geometry = Geometry((1.5, 2.0, 10.0))
    found = reference_masks(image, wall, cavity)
    model = scar.copy()
    model[0, 40:] = False  # half of it
    rows = {row.method: row for row in reference_table(found, geometry, wall, model)}
    assert tuple(rows) == METHODS
    row, mask = rows["FWHM"], found["FWHM"].mask
    assert row.source == SOURCES["FWHM"]
    assert row.mass_g == pytest.approx(mask.sum() * 1.5 * 2 * 10 / 1000 * 1.05)
    assert row.percent_of_myocardium == pytest.approx(100 * mask.sum() / wall.sum())
    assert row.mass_difference_g == pytest.approx((int(mask.sum()) - int(model.sum())) * 0.03 * 1.05)
    assert row.dice == pytest.approx(dice(mask, model))
    assert row.threshold_low == row.threshold_high == pytest.approx(np.percentile(image[wall], 99.5) / 2)
    unsized = reference_table(found, Geometry(None), wall)[0]
    assert unsized.mass_g is None and unsized.dice is None and unsized.percent_of_myocardium > 0


def test_the_table_has_words_where_there_is_no_number(ring):
    _, wall, cavity, _ = ring
    found = reference_masks(np.full(wall.shape, 7.0), wall, cavity)
    row = reference_table(found, Geometry((1, 1, 10)), wall)[0]
    assert row.mass_g is None and row.pixels is None and row.why.startswith("2 SD has no answer")


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
