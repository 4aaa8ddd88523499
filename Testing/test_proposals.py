"""The detector's boxes and the segmenter's map of scar, made into one set of boxes."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.prompts import FAINT, Box, BoxState
from MyoScarSegLib.proposals import (
    LARGE_G,
    LEAST_CONTRAST_SD,
    LEAST_EVIDENCE_G,
    LEAST_OF_A_PLACE_G,
    Proposal,
    above_healthy,
    accept_or_reject,
    findings,
    reconcile,
    wall_and_healthy,
)


def scar_map(*regions: tuple[int, int, int, int, float]) -> np.ndarray:
    scar = np.full((40, 50), 0.02, dtype=np.float32)
    for x0, y0, x1, y1, probability in regions:
        scar[y0:y1, x0:x1] = probability
    return scar


def tissues(scar: np.ndarray) -> np.ndarray:
    """The left half of what is no scar is healthy wall, the rest background."""
    healthy = (1 - scar) * (np.arange(scar.shape[1]) < 25)
    return np.stack([1 - scar - healthy, 0 * scar, healthy, scar])


def facts(boxes, scar, *, spacing=(1.5, 1.5), **more) -> list[Proposal]:
    return reconcile(boxes, tissues(scar), slice_index=3, map_name="map", pixel_spacing_mm=spacing, **more)


def propose(boxes, scar, **more) -> list[Box]:
    return [p.box for p in facts(boxes, scar, **more)]


def yolo(x0, y0, x1, y1) -> Box:
    return Box(3, x0, y0, x1, y1, confidence=0.1, source="yolo")


def test_scar_that_the_detector_overlooked_gets_a_box():
    (box,) = propose([], scar_map((10, 12, 20, 16, 0.9)))
    assert box.xyxy == (10, 12, 20, 16)
    assert (box.slice, box.source, box.label) == (3, "map", "scar")
    assert box.confidence == pytest.approx(0.9, abs=1e-3)


def test_a_box_without_any_scar_in_the_map_is_dropped():
    assert propose([yolo(5, 5, 20, 20)], scar_map()) == []


def test_doubtful_scar_needs_a_box_of_the_detector():
    scar = scar_map((10, 12, 20, 16, 0.35))
    assert propose([], scar) == []
    (box,) = propose([yolo(9, 10, 21, 18)], scar)
    assert box.xyxy == (10, 12, 20, 16)
    assert box.source == "yolo"


def test_two_boxes_on_one_lesion_become_one():
    assert len(propose([yolo(8, 10, 16, 18), yolo(14, 10, 22, 18)], scar_map((10, 12, 20, 16, 0.8)))) == 1


def test_specks_are_left_out_by_their_area_in_millimeters():
    scar = scar_map((10, 12, 12, 14, 0.9))  # 4 pixels
    assert propose([], scar) == []
    assert len(propose([], scar, spacing=(2.0, 2.0))) == 1


def test_a_wanted_confidence_leaves_out_the_doubtful():
    scar = scar_map((5, 5, 12, 12, 0.6), (30, 20, 40, 30, 0.95))
    assert [b.confidence > 0.9 for b in propose([], scar)] == [True, False]
    assert len(propose([], scar, least_confidence=0.8)) == 1


def test_the_area_of_a_lesion_is_told():
    (proposal,) = facts([], scar_map((10, 12, 20, 16, 0.9)))
    assert proposal.area_mm2 == pytest.approx(40 * 1.5 * 1.5)


SHAPE = (8, 40, 50)


def lesion(mass_g: float, slice_index: int = 1, left: float = 2, confidence: float = 0.8) -> Proposal:
    """On a slice of 10 mm."""
    box = Box(slice_index, left, 3, left + 7, 9, confidence=confidence)
    pixels = np.zeros(SHAPE[1:], dtype=bool)
    pixels[3:9, int(left) : int(left) + 7] = True
    return Proposal(box, mass_g * 100 / 1.05, pixels)


def judged(*proposals: Proposal, contrast_sd: np.ndarray | None = None) -> list[BoxState]:
    boxes, faint = accept_or_reject(proposals, contrast_sd, slice_distance_mm=10)
    assert sum(box.state is BoxState.REJECTED for box in boxes) == sum(len(place.proposals) for place in faint)
    assert all(box.source.endswith(FAINT) == (box.state is BoxState.REJECTED) for box in boxes), (
        "nobody takes it for the reader's"
    )
    return [box.state for box in boxes]


LITTLE, MUCH = 0.5 * LEAST_EVIDENCE_G, 2 * LEAST_EVIDENCE_G


def test_where_all_is_little_all_is_proposed_as_rejected():
    assert judged(lesion(LITTLE)) == [BoxState.REJECTED]
    assert judged(lesion(MUCH, confidence=0.3)) == [BoxState.REJECTED], "what the map is less sure of is less evidence"


def test_where_there_is_much_a_little_beside_it_stays_proposed():
    assert judged(lesion(MUCH), lesion(LITTLE, left=20)) == [BoxState.PROPOSED] * 2
    assert judged(lesion(LITTLE * 1.3, 1), lesion(LITTLE * 1.3, 2)) == [BoxState.PROPOSED] * 2, "one place on two slices"
    assert judged(lesion(LITTLE * 1.3), lesion(LITTLE * 1.3, left=20)) == [BoxState.REJECTED] * 2, "scattered"


def test_a_very_little_place_is_rejected_also_beside_much():
    assert judged(lesion(MUCH), lesion(0.9 * LEAST_OF_A_PLACE_G, left=20)) == [BoxState.PROPOSED, BoxState.REJECTED]


@pytest.mark.parametrize(("above", "state"), [(-0.1, BoxState.REJECTED), (0.1, BoxState.PROPOSED)])
def test_much_that_is_not_clearly_brighter_than_healthy_wall_is_rejected(above, state):
    contrast = np.full(SHAPE, LEAST_CONTRAST_SD + above, dtype=np.float32)
    assert judged(lesion(MUCH), lesion(LITTLE, left=20), contrast_sd=contrast) == [state] * 2


def test_a_large_place_is_an_infarct_whatever_its_contrast():
    assert judged(lesion(1.3 * LARGE_G), contrast_sd=np.zeros(SHAPE, dtype=np.float32)) == [BoxState.PROPOSED]


def test_what_is_much_and_what_is_bright_must_be_one_place():
    contrast = np.zeros(SHAPE, dtype=np.float32)
    contrast[..., 20:] = 2 * LEAST_CONTRAST_SD
    assert judged(lesion(MUCH), lesion(LITTLE, left=20), contrast_sd=contrast) == [BoxState.REJECTED] * 2


@pytest.mark.parametrize(("columns", "state"), [(1, BoxState.REJECTED), (2, BoxState.PROPOSED)])
def test_a_place_is_as_bright_as_its_brightest_fifth(columns, state):
    contrast = np.zeros(SHAPE, dtype=np.float32)
    contrast[..., 2 : 2 + columns] = 2 * LEAST_CONTRAST_SD
    assert judged(lesion(MUCH), contrast_sd=contrast) == [state], f"{columns} of 7 columns are bright"


def uneven_wall() -> tuple[np.ndarray, np.ndarray]:
    """A slice whose wall gets slowly brighter, with a place of scar, and what of it is healthy."""
    voxels = np.tile(np.linspace(90, 110, 50), (1, 40, 1))
    healthy = np.ones(voxels.shape, dtype=bool)
    voxels[0, 10:20, 20:30], healthy[0, 5:25, 15:35] = 140, False
    return voxels, healthy


def test_each_slice_is_compared_with_its_own_healthy_wall():
    voxels, healthy = (np.repeat(of, 2, axis=0) for of in uneven_wall())
    voxels[1] = voxels[1] * 3 + 400
    contrast = above_healthy(voxels, np.ones(voxels.shape, dtype=bool), healthy)
    assert contrast is not None
    assert contrast[:, 15, 25] == pytest.approx([40 / 6] * 2, rel=0.15)
    assert np.allclose(contrast[0], contrast[1], atol=1e-4)


def test_noise_of_single_pixels_lowers_contrast_little():
    voxels, healthy = uneven_wall()
    noisy = voxels + np.random.default_rng(0).normal(0, 10, voxels.shape)
    clean, measured = (above_healthy(of, np.ones(of.shape, dtype=bool), healthy) for of in (voxels, noisy))
    assert clean is not None and measured is not None
    place = np.s_[0, 12:18, 22:28]
    assert measured[place].mean() == pytest.approx(clean[place].mean(), rel=0.2), "10 of noise beside 6 of spread would halve it"


def test_contrast_is_that_of_millimeters_not_of_pixels():
    voxels, healthy = uneven_wall()
    noisy = voxels + np.random.default_rng(0).normal(0, 10, voxels.shape)
    coarse = above_healthy(noisy, np.ones(noisy.shape, dtype=bool), healthy, (1.5, 1.5))
    twice = [np.kron(of, np.ones((1, 2, 2), of.dtype)) for of in (noisy, healthy)]
    fine = above_healthy(twice[0], np.ones(twice[0].shape, dtype=bool), twice[1], (0.75, 0.75))
    assert coarse is not None and fine is not None
    assert fine[0, 30:34, 50:54].mean() == pytest.approx(coarse[0, 15:17, 25:27].mean(), rel=0.1)


def test_without_healthy_wall_there_is_no_contrast():
    wall = np.ones((2, 40, 50), dtype=bool)
    assert above_healthy(np.zeros(wall.shape), wall, ~wall) is None
    assert above_healthy(np.zeros(wall.shape), wall, wall) is None, "wall of one value has no spread"


def test_wall_that_may_be_scar_is_not_surely_healthy():
    scar = scar_map((5, 5, 10, 10, 0.9), (15, 5, 20, 10, 0.2))
    wall, healthy = wall_and_healthy(tissues(scar))
    assert wall[7, 7] and not healthy[7, 7]
    assert wall[7, 17] and not healthy[7, 17]
    assert wall[20, 10] and healthy[20, 10]
    assert not wall[20, 40] and not healthy[20, 40]


def test_lesions_of_the_map_know_their_pixels():
    (proposal,) = facts([], scar_map((10, 12, 20, 16, 0.9)))
    assert np.array_equal(proposal.lesion, scar_map((10, 12, 20, 16, 0.9)) > 0.5)


def test_lesions_over_each_other_on_neighboring_slices_are_one_place():
    lesions = [lesion(1, 1), lesion(1, 2, left=5), lesion(1, 3, left=8), lesion(1, 3, left=30), lesion(1, 5)]
    places = findings(lesions, None, 10)
    assert sorted(len(place.proposals) for place in places) == [1, 1, 3]
    assert max(place.mass_g for place in places) == pytest.approx(3)
    assert max(place.evidence_g for place in places) == pytest.approx(2.4)


def test_a_faint_place_is_said_with_all_slices_of_its_mass():
    _boxes, faint = accept_or_reject(
        [lesion(LITTLE / 2, 7), lesion(LITTLE / 2, 8), lesion(LITTLE / 2, 3)], None, slice_distance_mm=10
    )
    assert sorted(place.slices_in_words for place in faint) == ["slice 3", "slices 7, 8"]


def test_thin_slices_hold_less_scar():
    assert accept_or_reject([lesion(MUCH)], None, slice_distance_mm=2)[1]
    assert not accept_or_reject([lesion(MUCH)], None)[1]


def test_nothing_proposed_is_not_faint():
    assert accept_or_reject([], None) == ([], [])
