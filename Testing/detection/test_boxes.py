"""Where the boxes of a detector lie, and that they depend on nothing but the slice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from MyoScarSegLib.detection.detector import detect_slices
from MyoScarSegLib.detection.detector_checkpoint import DetectorRecord, SecondLook
from MyoScarSegLib.detection.heart_center import heart_center
from MyoScarSegLib.detection.yolo import YoloDetector
from MyoScarSegLib.errors import ModelError, StudyError
from MyoScarSegLib.prompts import Box, BoxState
from MyoScarSegLib.utils.progress import CancelToken


class BrightSpot(torch.nn.Module):
    """Answers like a YOLO network of two classes: class 0 is around all that is bright, class 1 one pixel wider."""

    stride = torch.tensor([8.0, 16.0, 32.0])
    end2end = False

    def fuse(self, verbose=False):
        return self

    def forward(self, batch):
        self.seen = batch
        answers = []
        for image in batch:
            rows, columns = (image[0] > 0.7).nonzero(as_tuple=True)
            x0, x1, y0, y1 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
            box = [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]
            answers.append(
                torch.tensor(
                    [
                        [float(v) for v in box] + [0.9, 0.0],
                        [float(v) for v in box] + [0.5, 0.0],
                        [float(box[0]), float(box[1]), float(box[2]) + 2, float(box[3]) + 2, 0.0, 0.6],
                    ]
                    + [[1.0, 1.0, 1.0, 1.0, 0.0, 0.0]] * 20
                ).T
            )
        return torch.stack(answers)


def spot(size=256, preprocessing="myoscarseg-1", channels=1):
    return YoloDetector(
        BrightSpot(),
        DetectorRecord("yolo", ("scar", "lv"), size, 0.25, 0.5, channels=channels),
        name="spot",
        checksum="0" * 64,
        preprocessing=preprocessing,
        device="cpu",
    )


def found_on(detector, image, *, slice_index=0, **options):
    return detector.detect_many([image], slice_indices=[slice_index], **options)[0]


def slice_with_spot(rows, columns, box):
    image = np.random.default_rng(0).normal(0, 0.02, (rows, columns)) - 5.0
    x0, y0, x1, y1 = box
    image[y0:y1, x0:x1] += 4.0
    return image


@pytest.mark.parametrize("preprocessing", ["myoscarseg-1", "ultralytics"])
@pytest.mark.parametrize("spacing", [None, (1.4, 1.4), (2.0, 1.0), (0.8, 1.6)])
@pytest.mark.parametrize(("rows", "columns"), [(256, 256), (148, 246), (512, 400), (61, 190)])
def test_box_is_in_native_pixel_edges(rows, columns, spacing, preprocessing):
    box = (columns // 3, rows // 4, columns // 3 + columns // 5, rows // 4 + rows // 3)
    image = slice_with_spot(rows, columns, box)
    found = found_on(spot(preprocessing=preprocessing), image, slice_index=7, pixel_spacing_mm=spacing)
    assert len(found) == 1
    tolerance = 1.1 * max(rows, columns) / 256 * max((1.0,) if spacing is None else (max(spacing) / min(spacing),)) + 0.01
    assert np.allclose(found[0].xyxy, box, atol=tolerance)
    assert (found[0].slice, found[0].source, found[0].label, found[0].state) == (7, "spot", "scar", BoxState.PROPOSED)
    assert found[0].confidence == pytest.approx(0.9)


def test_box_is_exact_where_nothing_is_resized():
    found = found_on(spot(), slice_with_spot(256, 192, (20, 30, 77, 81)))
    assert found[0].xyxy == (20.0, 30.0, 77.0, 81.0)


def test_labels_are_asked_for_by_name():
    image = slice_with_spot(256, 256, (20, 30, 77, 81))
    assert [b.label for b in found_on(spot(), image, labels=("lv",))] == ["lv"]
    both = found_on(spot(), image, labels=("scar", "lv"))
    assert [b.label for b in both] == ["scar", "lv"]
    assert [b.confidence for b in both] == sorted((b.confidence for b in both), reverse=True)
    with pytest.raises(ModelError, match="finds scar, lv; it cannot look for liver"):
        found_on(spot(), image, labels=("liver",))


def test_thresholds_are_honored_and_checked():
    image = slice_with_spot(256, 256, (20, 30, 77, 81))
    assert found_on(spot(), image, confidence=0.95) == []
    detector = spot()
    detector.record = replace(detector.record, iou=1.0)
    assert len(found_on(detector, image)) == 2
    with pytest.raises(ModelError, match="from 0 to 1"):
        found_on(spot(), image, confidence=1.5)


def test_box_is_clipped_to_the_slice():
    found = found_on(spot(), slice_with_spot(100, 80, (0, 0, 80, 50)), labels=("lv",))
    assert found[0].x0 == 0.0
    assert found[0].y0 == 0.0
    assert found[0].x1 == 80.0


def test_input_is_the_projects_normalization_padded_to_the_stride():
    detector = spot()
    image = slice_with_spot(100, 200, (20, 30, 77, 81))
    found_on(detector, image)
    seen = detector._network.seen
    assert seen.shape == (1, 1, 128, 256)
    assert 0.98 < float(seen.max()) <= 1.0
    assert float(seen[..., 128:, :].abs().sum()) == 0.0
    found_on(detector, image * 37.0 + 1200.0)
    assert torch.allclose(detector._network.seen, seen, atol=1e-3)


def test_ultralytics_input_has_three_equal_channels_and_centerd_grey_padding():
    detector = spot(preprocessing="ultralytics", channels=3, size=640)
    found_on(detector, slice_with_spot(150, 200, (20, 30, 77, 81)))
    seen = detector._network.seen
    assert seen.shape == (1, 3, 480, 640)
    assert torch.equal(seen[:, 0], seen[:, 2])
    found_on(detector, slice_with_spot(151, 200, (20, 30, 77, 81)))
    seen = detector._network.seen
    assert seen.shape == (1, 3, 512, 640)
    assert torch.all(seen[:, :, :14] == 114 / 255)
    assert torch.all(seen[:, :, -14:] == 114 / 255)


def test_many_slices_of_several_shapes_give_what_each_gives_alone():
    images = [slice_with_spot(*shape, (10 + n, 12, 30 + n, 40)) for n, shape in enumerate([(96, 96), (120, 80), (96, 96)] * 7)]
    detector = spot()
    together = detector.detect_many(images, slice_indices=range(5, 26))
    alone = [found_on(detector, image, slice_index=5 + n) for n, image in enumerate(images)]
    assert together == alone
    assert detector.detect_many([]) == []


@pytest.mark.parametrize("image", [np.zeros((3, 10, 10)), np.zeros((10, 1)), np.full((10, 10), np.nan)])
def test_what_is_no_slice_is_refused(image):
    with pytest.raises(StudyError, match="Slice 3"):
        found_on(spot(), image, slice_index=3)


def test_unknown_device_is_refused():
    from MyoScarSegLib.detection.yolo import resolve_device

    with pytest.raises(ModelError, match="abacus"):
        resolve_device("abacus")


class TwoLooks(BrightSpot):
    """In a whole slice it sees a grey ventricle, in the small square of the second look a white scar."""

    def forward(self, batch):
        self.seen = batch
        second = batch.shape[-2:] == (64, 64)
        answers = []
        for image in batch:
            rows, columns = ((image[0] > 0.9) if second else (image[0] > 0.3) & (image[0] < 0.7)).nonzero(as_tuple=True)
            scores = [0.8, 0.0] if second else [0.9, 0.6]
            box = [0.0] * 4
            if rows.numel():
                x0, x1, y0, y1 = (int(v) for v in (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1))
                box = [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]
            else:
                scores = [0.0, 0.0]
            answers.append(torch.tensor([box + scores] + [[1.0, 1.0, 1.0, 1.0, 0.0, 0.0]] * 20).T)
        return torch.stack(answers)


def two_looks():
    return YoloDetector(
        TwoLooks(),
        DetectorRecord("yolo", ("scar", "lv"), 256, 0.25, 0.5, SecondLook(64, 1.6, 0.05)),
        name="two",
        checksum="0" * 64,
        preprocessing="myoscarseg-1",
        device="cpu",
    )


def heart(rows=256, columns=256, at=(100, 90), scar=True):
    """Fat of 100, a ventricle of 50 from ``at`` on, 40 wide, in it scar of 60: hardly brighter, seen from afar."""
    image = np.zeros((rows, columns))
    image[:, :12] = 100.0
    x, y = at
    image[y : y + 40, x : x + 40] = 50.0
    if scar:
        image[y + 10 : y + 25, x + 4 : x + 20] = 60.0
    return image


@pytest.mark.parametrize("spacing", [None, (1.5, 1.5), (1.0, 1.25)])
@pytest.mark.parametrize("at", [(100, 90), (214, 2), (60, 214)])
def test_scar_is_found_in_a_second_look_at_the_heart_normalized_by_itself(at, spacing):
    detector = two_looks()
    found = found_on(detector, heart(at=at), slice_index=2, pixel_spacing_mm=spacing)
    assert [(b.label, b.slice) for b in found] == [("scar", 2)]
    assert found[0].confidence == pytest.approx(0.8)
    x, y = at
    assert np.allclose(found[0].xyxy, (x + 4, y + 10, x + 20, y + 25), atol=1.6)
    assert detector._network.seen.shape == (1, 1, 64, 64)


def test_without_a_ventricle_there_is_no_scar():
    image = np.zeros((256, 256))
    image[:, :40] = 100.0
    assert found_on(two_looks(), image) == []


def test_second_look_is_left_out_where_only_the_ventricle_is_asked_for():
    detector = two_looks()
    assert [b.label for b in found_on(detector, heart(), labels=("lv",))] == ["lv"]
    assert detector._network.seen.shape == (1, 1, 256, 256)
    both = found_on(detector, heart(), labels=("scar", "lv"))
    assert [b.label for b in both] == ["scar", "lv"]
    assert found_on(detector, heart(), labels=("scar", "lv"), confidence=0.7) == both[:1]


def test_second_looks_of_many_slices_give_what_each_gives_alone():
    images = [heart(at=(60 + 7 * n, 50 + 9 * n)) for n in range(9)] + [np.zeros((80, 100)), heart(200, 240)]
    detector = two_looks()
    together = detector.detect_many(images, labels=("scar", "lv"))
    assert together == [found_on(detector, image, slice_index=n, labels=("scar", "lv")) for n, image in enumerate(images)]
    assert [len(boxes) for boxes in together] == [2] * 9 + [0, 2]


def test_a_slice_on_which_the_detector_fails_costs_no_other():
    images = {3: heart(), 5: np.zeros((3, 3, 3)), 8: heart(at=(60, 50))}
    for at_once in (1, 16):
        detector = two_looks()
        detector.slices_at_once = at_once
        found = detect_slices(detector, images)
        assert [list(found.boxes), list(found.failed), found.cancelled] == [[3, 8], [5], False]
        assert found.boxes[8] == found_on(detector, images[8], slice_index=8)


def test_a_cancelled_search_keeps_what_it_has():
    cancel, told = CancelToken(), []

    def progress(done, total, message):
        told.append((done, total, message))
        if done == 1:
            cancel.cancel()

    found = detect_slices(two_looks(), {k: heart() for k in range(4)}, progress=progress, cancel=cancel)
    assert (found.cancelled, list(found.boxes)) == (True, [0, 1])
    assert told == [(0, 4, "Proposing boxes: slice 0"), (1, 4, "Proposing boxes: slice 1")]


def test_the_heart_is_the_median_of_the_most_confident_ventricles():
    boxes = [[Box(0, x, 0, x + 2, 4, "lv", 0.9), Box(0, 50, 0, 52, 4, "lv", 0.5)] for x in (1, 2, 9)]
    assert heart_center([*boxes, [Box(3, 90, 0, 92, 4, "lv", 0.2)], [Box(4, 90, 0, 92, 4, "scar", 0.9)], []]) == (3.0, 2.0)
    assert heart_center([]) is None
