"""The detector's boxes and the segmenter's map of scar, made into one set of boxes."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.prompts import FAINT, Box, BoxState
from MyoScarSegLib.proposals import FAINT_SD, LITTLE_G, Proposal, accept_or_reject, reconcile


def scar_map(*regions: tuple[int, int, int, int, float]) -> np.ndarray:
    scar = np.full((40, 50), 0.02, dtype=np.float32)
    for x0, y0, x1, y1, probability in regions:
        scar[y0:y1, x0:x1] = probability
    return scar


def tissues(scar: np.ndarray) -> np.ndarray:
    """The left half of what is no scar is healthy wall, the rest background."""
    healthy = (1 - scar) * (np.arange(scar.shape[1]) < 25)
    return np.stack([1 - scar - healthy, 0 * scar, healthy, scar])


def image_of(scar: np.ndarray, contrast_sd: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(100, 10, scar.shape)
    return np.where(scar >= 0.5, 100 + 10 * contrast_sd, noise)


def facts(boxes, scar, *, contrast_sd=5.0, spacing=(1.5, 1.5), **more) -> list[Proposal]:
    return reconcile(
        boxes, tissues(scar), image_of(scar, contrast_sd), slice_index=3, map_name="map", pixel_spacing_mm=spacing, **more
    )


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


def test_specks_are_left_out_by_their_area_in_millimetres():
    scar = scar_map((10, 12, 12, 14, 0.9))  # 4 pixels
    assert propose([], scar) == []
    assert len(propose([], scar, spacing=(2.0, 2.0))) == 1


def test_a_wanted_confidence_leaves_out_the_doubtful():
    scar = scar_map((5, 5, 12, 12, 0.6), (30, 20, 40, 30, 0.95))
    assert [b.confidence > 0.9 for b in propose([], scar)] == [True, False]
    assert len(propose([], scar, least_confidence=0.8)) == 1


@pytest.mark.parametrize("contrast_sd", [1.0, 4.0])
def test_the_contrast_of_a_lesion_is_told_in_standard_deviations_of_healthy_wall(contrast_sd):
    (proposal,) = facts([], scar_map((10, 12, 20, 16, 0.9)), contrast_sd=contrast_sd)
    assert proposal.contrast_sd == pytest.approx(contrast_sd, rel=0.15)
    assert proposal.area_mm2 == pytest.approx(40 * 1.5 * 1.5)


def test_without_healthy_wall_the_contrast_is_unknown():
    scar = scar_map((10, 12, 20, 16, 0.9))
    nowhere = np.stack([1 - scar, 0 * scar, 0 * scar, scar])
    (proposal,) = reconcile([], nowhere, image_of(scar, 5), slice_index=0, map_name="map")
    assert proposal.contrast_sd is None


def lesion(area_mm2: float, contrast_sd: float | None) -> Proposal:
    return Proposal(Box(1, 2, 3, 9, 9, confidence=0.8), area_mm2, contrast_sd)


LITTLE = 0.4 * LITTLE_G * 100 / 1.05  # mm2 of a slice of 10 mm
MUCH = 1.1 * LITTLE_G * 100 / 1.05


def test_little_and_faint_scar_is_proposed_as_rejected():
    boxes, faint = accept_or_reject([lesion(LITTLE, FAINT_SD - 0.5), lesion(LITTLE, 0.5)], slice_distance_mm=10)
    assert faint
    assert [box.state for box in boxes] == [BoxState.REJECTED] * 2
    assert boxes[0].xyxy == (2, 3, 9, 9)
    assert boxes[0].source.endswith(FAINT)  # so that nobody takes it for the reader's judgment


@pytest.mark.parametrize(
    "proposals",
    [
        [lesion(MUCH, 1.0)],
        [lesion(LITTLE, 1.0), lesion(LITTLE, FAINT_SD + 0.1)],
        [lesion(LITTLE, None)],
        [lesion(0.7 * MUCH, 1.0), lesion(0.7 * MUCH, 1.0)],
    ],
    ids=["much", "one clear", "contrast unknown", "much together"],
)
def test_scar_that_is_much_or_clear_stays_proposed(proposals):
    boxes, faint = accept_or_reject(proposals, slice_distance_mm=10)
    assert not faint
    assert {box.state for box in boxes} == {BoxState.PROPOSED}


def test_thin_slices_hold_less_scar():
    assert accept_or_reject([lesion(MUCH, 1.0)], slice_distance_mm=5)[1]
    assert not accept_or_reject([lesion(MUCH, 1.0)])[1]


def test_nothing_proposed_is_not_faint():
    assert accept_or_reject([]) == ([], False)
