"""The detector's boxes and the segmenter's map of scar, made into one set of boxes."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.prompts import FAINT, Box, BoxState
from MyoScarSegLib.proposals import LEAST_EVIDENCE_G, LEAST_OF_A_PLACE_G, Proposal, accept_or_reject, findings, reconcile


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


def test_specks_are_left_out_by_their_area_in_millimetres():
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


def lesion(mass_g: float, slice_index: int = 1, left: float = 2, confidence: float = 0.8) -> Proposal:
    """On a slice of 10 mm."""
    return Proposal(Box(slice_index, left, 3, left + 7, 9, confidence=confidence), mass_g * 100 / 1.05)


def judged(*proposals: Proposal) -> list[BoxState]:
    boxes, faint = accept_or_reject(proposals, slice_distance_mm=10)
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


def test_lesions_over_each_other_on_neighboring_slices_are_one_place():
    places = findings([lesion(1, 1), lesion(1, 2, left=5), lesion(1, 3, left=8), lesion(1, 3, left=30), lesion(1, 5)], 10)
    assert sorted(len(place.proposals) for place in places) == [1, 1, 3]
    assert max(place.mass_g for place in places) == pytest.approx(3)
    assert max(place.evidence_g for place in places) == pytest.approx(2.4)


def test_thin_slices_hold_less_scar():
    assert accept_or_reject([lesion(MUCH)], slice_distance_mm=2)[1]
    assert not accept_or_reject([lesion(MUCH)])[1]


def test_nothing_proposed_is_not_faint():
    assert accept_or_reject([]) == ([], [])
