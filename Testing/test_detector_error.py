"""How a detector's boxes err: measured on slices where it is known, kept in files, and drawn from again."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from MyoScarSegLib.detection import load_detector
from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.lesions import boxes_of, lesions
from MyoScarSegLib.progress import CancelToken
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.training.datasets.labelled import LabelledSlice
from MyoScarSegLib.training.datasets.reading import read_dataset
from MyoScarSegLib.training.detector_error import BoxErrors, iou, matched, measure_box_errors


class ScriptedDetector:
    """Answers each slice, known by its top left value, with boxes written down for it."""

    name, checksum, preprocessing = "scripted", "0" * 64, "none"
    image_size, class_names, labels, confidence = 64, ("scar",), ("scar",), 0.3

    def __init__(self, boxes: dict[int, list[tuple[float, ...]]]) -> None:
        self.boxes = boxes
        self.asked: list[tuple[int, object, object]] = []

    def detect(self, image, *, slice_index, **options):
        return self.detect_many([image], slice_indices=[slice_index], **options)[0]

    def detect_many(self, images, *, slice_indices=None, pixel_spacing_mm=None, confidence=None, iou=None, labels=("scar",)):
        self.asked.append((len(images), pixel_spacing_mm, confidence))
        found = [[Box(0, *corners, confidence=1 - n / 100) for n, corners in enumerate(self.boxes[int(i[0, 0])])] for i in images]
        return [[b for b in boxes if b.confidence > confidence] for boxes in found]


def labelled(number: int, *scars: tuple[int, int, int, int], wall=(10, 10, 50, 50), **fields) -> LabelledSlice:
    """A slice with a box-shaped ventricle and box-shaped scars."""
    labels = np.zeros((64, 64), dtype=np.uint8)
    if wall is not None:
        labels[wall[1] : wall[3], wall[0] : wall[2]] = 2
    for x0, y0, x1, y1 in scars:
        labels[y0:y1, x0:x1] = 3
    return LabelledSlice("P1", number, np.full((64, 64), number), labels, wall_known=wall is not None, **fields)


LEFT, RIGHT = (12, 20, 22, 40), (36, 20, 46, 40)
"""Two lesions, each 10 x 20 in a ventricle of 40 x 40."""


def measured(boxes: dict[int, list[tuple[float, ...]]], *slices: LabelledSlice, **options) -> BoxErrors:
    return measure_box_errors(ScriptedDetector(boxes), slices, **options)


# ---- measuring


def test_edge_errors_are_outward_shares_of_the_lesions_sides():
    errors = measured({0: [(11, 22, 25, 36)]}, labelled(0, LEFT))
    assert errors.edges.tolist() == pytest.approx(np.array([[0.1, -0.1, 0.3, -0.2]]))
    assert errors.sizes == pytest.approx([math.sqrt(10 * 20) / 40])
    assert (errors.missed, errors.split, errors.merged, errors.false_per_slice) == (0, 0, 0, 0)
    assert (errors.slices, errors.lesions, errors.boxes, errors.boxes_among_several) == (1, 1, 1, 0)
    assert (errors.detector, errors.checksum, errors.confidence) == ("scripted", "0" * 64, 0.3)


def test_missed_lesions_and_false_boxes_are_counted():
    boxes = {0: [LEFT], 1: [(25, 25, 35, 45), (12, 12, 16, 17)], 2: []}
    errors = measured(boxes, labelled(0, LEFT, RIGHT), labelled(1), labelled(2, LEFT))
    assert errors.missed == pytest.approx(2 / 3)
    assert errors.false_per_slice == pytest.approx(2 / 3)
    assert errors.false_boxes == pytest.approx(np.array([[0.0, 0.125, 0.25, 0.5], [-0.4, -0.3875, 0.1, 0.125]]))


def test_two_boxes_within_a_lesion_are_a_split_and_not_false():
    errors = measured({0: [(12, 20, 22, 31), (12, 31, 22, 40)], 1: [LEFT]}, labelled(0, LEFT), labelled(1, LEFT))
    assert errors.split == pytest.approx(0.5)
    assert errors.missed == errors.false_per_slice == 0
    assert len(errors.edges) == 2


def test_box_far_too_small_or_large_for_a_lesion_misses_it_and_yet_is_not_false():
    """For its right answer is not nothing, as a false box's is."""
    small = labelled(0, LEFT), [(14, 22, 17, 25)]
    large = labelled(1, (20, 20, 24, 24)), [(5, 5, 55, 55)]
    found = labelled(2, LEFT), [LEFT]
    errors = measured({n: boxes for n, (_, boxes) in enumerate((small, large, found))}, small[0], large[0], found[0])
    assert errors.missed == pytest.approx(2 / 3)
    assert errors.false_per_slice == 0


def test_box_over_two_lesions_is_merged_and_a_share_of_the_boxes_that_could_be():
    both = (12, 20, 46, 40)
    slices = [labelled(0, LEFT, RIGHT), labelled(1, LEFT, RIGHT), labelled(2, LEFT)]
    errors = measured({0: [both], 1: [LEFT, RIGHT], 2: [LEFT]}, *slices)
    assert errors.merged == pytest.approx(1 / 3)
    assert errors.boxes_among_several == 3
    assert errors.missed == pytest.approx(1 / 5), "a merged box is the box of one of its lesions"
    assert errors.false_per_slice == 0


def test_more_confident_box_is_the_lesions_box():
    errors = measured({0: [(12, 20, 22, 30), LEFT]}, labelled(0, LEFT))
    assert errors.edges.tolist() == [[0, 0, 0, -0.5]]


def test_sizes_are_unknown_where_the_ventricle_is_not_labelled():
    errors = measured({0: [LEFT, (30, 30, 40, 40)]}, labelled(0, LEFT, wall=None))
    assert np.isnan(errors.sizes).all()
    assert errors.false_per_slice == 1
    assert errors.false_boxes.shape == (0, 4)


def test_slices_are_asked_in_batches_of_one_spacing_with_the_confidence_given():
    detector = ScriptedDetector({n: [LEFT] for n in range(40)})
    slices = [labelled(n, LEFT, pixel_spacing_mm=(1.5, 1.5) if n % 2 else None) for n in range(40)]
    told = []
    errors = measure_box_errors(detector, slices, confidence=0.05, progress=lambda *step: told.append(step))
    assert {(spacing, confidence) for _, spacing, confidence in detector.asked} == {((1.5, 1.5), 0.05), (None, 0.05)}
    assert sum(count for count, _, _ in detector.asked) == 40
    assert max(count for count, _, _ in detector.asked) < 40
    assert (told[0][0], told[-1][0], told[-1][1]) == (0, 40, 40)
    assert (errors.slices, errors.confidence) == (40, 0.05)


def test_cancel_stops_before_the_next_batch():
    token = CancelToken()
    detector = ScriptedDetector({n: [LEFT] for n in range(40)})
    with pytest.raises(Cancelled):
        measure_box_errors(
            detector, [labelled(n, LEFT) for n in range(40)], cancel=token, progress=lambda done, *_: done and token.cancel()
        )
    assert len(detector.asked) < 3


def test_detector_that_finds_nothing_has_no_errors_to_draw_from(blind_detector):
    with pytest.raises(ModelError, match="none of 1 lesions"):
        measure_box_errors(load_detector(blind_detector), [labelled(0, LEFT)])
    with pytest.raises(ModelError, match="none of 0 lesions"):
        measured({0: [LEFT]}, labelled(0))


def test_default_detector_on_real_slices_errs_as_its_figures_say(emidec_folder):
    slices = [s for s in read_dataset(emidec_folder).slices if s.patient in ("P004", "P007", "P008", "N006")]
    strict, lax = (measure_box_errors(load_detector(), slices, confidence=c) for c in (0.3, 0.02))
    assert lax.missed < strict.missed <= 1
    assert lax.false_per_slice > strict.false_per_slice
    assert np.abs(np.median(lax.edges)) < 0.3
    assert (lax.edges > -1).all()
    assert ((lax.sizes > 0.05) & (lax.sizes < 1.5)).all()
    assert lax.slices == strict.slices == len(slices)
    assert lax.lesions == sum(len(boxes_of(lesions(s.scar))) for s in slices)


# ---- matching


def test_each_box_is_matched_to_one_free_lesion_that_it_overlaps_most():
    reference = np.array([LEFT, RIGHT], dtype=float)
    boxes = np.array([(12, 20, 22, 38), (12, 20, 46, 40), LEFT], dtype=float)
    assert matched(reference, boxes, 0.1) == [(0, 0), (1, 1)]
    assert matched(reference, boxes, 0.5) == [(0, 0)]
    assert matched(reference, boxes[:0], 0.1) == matched(reference[:0], boxes, 0.1) == []
    assert iou(reference, boxes)[0] == pytest.approx([0.9, 200 / 680, 1.0])


# ---- files


@pytest.fixture
def errors() -> BoxErrors:
    boxes = {0: [(11, 22, 25, 36), (30, 12, 36, 18)], 1: [(12, 20, 46, 41)], 2: [LEFT]}
    return measured(boxes, labelled(0, LEFT), labelled(1, LEFT, RIGHT), labelled(2, LEFT, wall=None))


def test_errors_survive_their_file(errors, tmp_path):
    errors.write(tmp_path / "errors.json")
    again = BoxErrors.read(tmp_path / "errors.json")
    assert again.to_json() == errors.to_json()
    assert again.edges == pytest.approx(errors.edges, abs=1e-4)
    assert np.isnan(again.sizes).tolist() == [False, False, True]
    json.dumps(errors.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2"),
        ({"edges": [[0, 0, 0]]}, "four edges"),
        ({"edges": [[0, 0, 0, "wide"]] * 3}, "cannot|can be used"),
        ({"edges": [[0, 0, 0, math.nan]] * 3}, "finite"),
        ({"edges": [[-0.5, 0, -0.6, 0]] * 3}, "without area"),
        ({"edges": [], "sizes": []}, "none of"),
        ({"sizes": [0.5]}, "one size"),
        ({"sizes": [0.5, -1, None]}, "one size"),
        ({"missed": 1.2}, "missed"),
        ({"split": math.nan}, "split"),
        ({"merged": None}, "can be used"),
        ({"false_per_slice": -1}, "false boxes per slice"),
        ({"false_boxes": [[0, 0, 0, 1]]}, "size above 0"),
        ({"lesions": 1}, "contradict"),
        ({"slices": -3}, "contradict"),
        ({"detector": None, "boxes": "many"}, "can be used"),
    ],
)
def test_file_whose_values_make_no_sense_is_refused_with_its_name(errors, tmp_path, change, message):
    (tmp_path / "errors.json").write_text(json.dumps(errors.to_json() | change))
    with pytest.raises(ModelError, match=rf"errors\.json.*({message})"):
        BoxErrors.read(tmp_path / "errors.json")


@pytest.mark.parametrize("text", ["[]", "{}", "3", "not JSON", '{"version": 1}'])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "errors.json").write_text(text)
    with pytest.raises(ModelError, match=r"errors\.json"):
        BoxErrors.read(tmp_path / "errors.json")
    with pytest.raises(ModelError, match="Cannot read"):
        BoxErrors.read(tmp_path / "none.json")


def test_joined_measurements_are_one_over_all_slices(errors):
    boxes = {0: [LEFT], 1: [LEFT, RIGHT], 2: [], 3: [(30, 30, 40, 40)]}
    slices = [labelled(0, LEFT), labelled(1, LEFT, RIGHT), labelled(2, LEFT), labelled(3)]
    parts = [measured(boxes, *slices[:2]), measured(boxes, *slices[1:])]
    joined, whole = BoxErrors.joined(parts), measured(boxes, *slices, slices[1])
    assert sorted(joined.edges.tolist()) == sorted(whole.edges.tolist())
    for name in ("missed", "split", "merged", "false_per_slice", "slices", "lesions", "boxes", "boxes_among_several"):
        assert getattr(joined, name) == pytest.approx(getattr(whole, name)), name
    assert (joined.detector, joined.confidence) == ("scripted", 0.3)
    assert BoxErrors.joined([errors, replace(errors, confidence=0.1)]).confidence is None
    with pytest.raises(ModelError, match="no box errors to join"):
        BoxErrors.joined([])
