"""Figures of a detector's boxes, and the threshold chosen from them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.lesions import boxes_of, lesions
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.training.yolo.detector_scores import (
    SliceFindings,
    choose_confidence,
    find_on,
    iou,
    matches,
    measure,
    own_detector,
    table,
)
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.ring_factory import ring


def found(labeled, *boxes):
    return SliceFindings.of(labeled, boxes)


def test_each_lesion_is_matched_once():
    reference = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    on_first = Box(0, 0, 0, 10, 10, confidence=0.9)
    again = Box(0, 0, 0, 10, 9, confidence=0.8)
    assert matches(reference, [on_first, again], 0.3) == 1
    assert matches(reference, [on_first, again, Box(0, 21, 0, 31, 10)], 0.3) == 2
    assert matches(np.zeros((0, 4)), [on_first], 0.3) == 0
    assert iou(np.array([[0.0, 0, 4, 4]]), np.array([[2.0, 0, 6, 4]]))[0, 0] == pytest.approx(1 / 3)


def test_figures_count_what_they_say():
    infarct, normal = ring(patient="A"), ring(scar=False, patient="B")
    (box,) = boxes_of(lesions(infarct.scar, infarct.pixel_spacing_mm)).tolist()
    (heart,) = boxes_of(infarct.left_ventricle.astype(int)).tolist()
    right = Box(0, *box, confidence=0.8)
    wrong = Box(0, 0.0, 0.0, 8.0, 8.0, confidence=0.4)
    ventricle = Box(0, *heart, label="lv", confidence=0.1)
    figures = measure([found(infarct, right, wrong, ventricle), found(normal, wrong), found(normal)], 0.3)
    assert figures["recall_iou_0.5"] == figures["recall_iou_0.3"] == figures["scar_area_covered"] == 1.0
    assert figures["false_boxes_per_slice_with_scar"] == 1.0
    assert figures["false_boxes_per_slice_of_normal_patients"] == 0.5
    assert (figures["infarct_patients_found"], figures["normal_patients_with_a_box"]) == ("1 of 1", "1 of 1")
    assert figures["lv_recall_iou_0.5"] == pytest.approx(1 / 3, abs=1e-3), "also below the threshold for scar"
    assert measure([found(infarct, right, wrong)], 0.5)["false_boxes_per_slice"] == 0.0
    assert measure([found(infarct, right)], 0.85)["recall_iou_0.3"] == 0.0
    assert "| recall iou 0.5 | 1.000 |" in table({"validation": figures})
    assert "interval" not in table({"validation": figures})
    json.dumps(figures, allow_nan=False)


def test_intervals_are_over_patients_not_slices():
    """Ten slices of one patient found and ten of another missed: anything from 0 to 1 is possible with other patients."""
    infarct = [ring(patient=p, index=n) for p in "AB" for n in range(10)]
    (box,) = boxes_of(lesions(infarct[0].scar, infarct[0].pixel_spacing_mm)).tolist()
    findings = [found(s, *([Box(0, *box, confidence=0.8)] if s.patient == "A" else [])) for s in infarct]
    figures = measure(findings, 0.3)
    assert figures["recall_iou_0.3"] == 0.5
    assert figures["recall_iou_0.3_interval_95"] == [0.0, 1.0]
    assert measure(findings[:10], 0.3)["recall_iou_0.3_interval_95"] is None


def test_a_wall_that_nobody_labeled_says_nothing_of_the_ventricle():
    from dataclasses import replace

    unknown = replace(ring(), wall_known=False)
    assert measure([found(unknown, Box(0, 0, 0, 5, 5, label="lv", confidence=0.9))], 0.3)["lv_mean_iou"] is None


def test_threshold_is_set_between_right_and_false_boxes():
    infarct, normal = ring(), ring(scar=False)
    (box,) = boxes_of(lesions(infarct.scar, infarct.pixel_spacing_mm)).tolist()
    findings = [found(infarct, Box(0, *box, confidence=0.42)), found(normal, Box(0, 0, 0, 9, 9, confidence=0.21))]
    assert 0.2 < choose_confidence(findings) < 0.42


def test_of_thresholds_that_are_nearly_as_good_the_lowest_is_taken():
    """One false box in 41 slices weighs less than a hundredth of the lesions, which is chance: it does not move the threshold."""
    infarct, normal = ring(), ring(scar=False)
    (box,) = boxes_of(lesions(infarct.scar, infarct.pixel_spacing_mm)).tolist()
    false = found(normal, Box(0, 0, 0, 9, 9, confidence=0.21))
    findings = [found(infarct, Box(0, *box, confidence=0.42)), *[found(normal)] * 39]
    assert choose_confidence([*findings, false]) == 0.03
    assert choose_confidence([*findings[:10], *[false] * 2]) == 0.21, "two in twelve are more than chance"
    assert choose_confidence([false]) == 0.21, "not one with a false box on every slice"


def test_no_threshold_with_too_many_false_boxes_is_taken_whatever_it_finds():
    infarct = ring()
    (box,) = boxes_of(lesions(infarct.scar, infarct.pixel_spacing_mm)).tolist()
    right, wrong = Box(0, *box, confidence=0.105), Box(0, 0, 0, 9, 9, confidence=0.295)
    assert choose_confidence([found(infarct, right)] * 7 + [found(infarct, right, wrong)] * 3) == 0.03
    assert choose_confidence([found(infarct, right)] * 5 + [found(infarct, right, wrong)] * 5) == 0.3, (
        "and so finds none of the ten"
    )
    always = Box(0, 0, 0, 9, 9, confidence=0.99)
    assert choose_confidence([found(infarct, always)] * 3) == 0.94


def test_detector_is_run_with_each_slices_spacing_and_stops_when_cancelled(tiny_detector, monkeypatch):
    detector = own_detector(tiny_detector)
    slices = [ring(), ring(pixel_spacing_mm=(1.0, 2.0)), ring(), ring(scar=False)]
    asked = []
    detect = detector.detect_many

    def spy(images, **more):
        asked.append((len(images), more["pixel_spacing_mm"]))
        return detect(images, **more)

    monkeypatch.setattr(detector, "detect_many", spy)
    findings = find_on(detector, slices)
    assert [f.labeled for f in findings] == slices
    assert sorted(asked, key=str) == [(1, (1.0, 2.0)), (3, None)]
    with pytest.raises(Cancelled):
        find_on(detector, slices, cancel=CancelToken(0))


def test_only_detectors_of_scar_and_ventricle_are_evaluated(tmp_path):
    from Testing.support.tiny_models import write_detector

    other = write_detector(tmp_path / "other.safetensors", classes=("scar",))
    with pytest.raises(ModelError, match="finds scar, not scar and lv"):
        own_detector(other)
