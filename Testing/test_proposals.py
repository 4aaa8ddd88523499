"""The detector's boxes and the segmenter's map of scar, made into one set of boxes."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.prompts import Box
from MyoScarSegLib.proposals import reconcile


def scar_map(*regions: tuple[int, int, int, int, float]) -> np.ndarray:
    scar = np.full((40, 50), 0.02, dtype=np.float32)
    for x0, y0, x1, y1, probability in regions:
        scar[y0:y1, x0:x1] = probability
    return scar


def propose(boxes, scar, **more):
    return reconcile(boxes, scar, slice_index=3, map_name="map", pixel_spacing_mm=(1.5, 1.5), **more)


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
    assert reconcile([], scar, slice_index=0, map_name="map", pixel_spacing_mm=(1.5, 1.5)) == []
    assert len(reconcile([], scar, slice_index=0, map_name="map", pixel_spacing_mm=(2.0, 2.0))) == 1


def test_a_wanted_confidence_leaves_out_the_doubtful():
    scar = scar_map((5, 5, 12, 12, 0.6), (30, 20, 40, 30, 0.95))
    assert [b.confidence > 0.9 for b in propose([], scar)] == [True, False]
    assert len(propose([], scar, least_confidence=0.8)) == 1
