"""What a detector learns from: slices at its scale, windows, batches, the tissue map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.lesions import boxes_of
from MyoScarSegLib.training.augmentation.augmenter import Augmenter, window_matrix
from MyoScarSegLib.training.augmentation.variations import DETECTOR_VARIATIONS
from MyoScarSegLib.training.datasets.labeled import labeled_phantoms
from MyoScarSegLib.training.model_settings import DetectorSettings
from MyoScarSegLib.training.train_job import with_options
from MyoScarSegLib.training.yolo.boxes_phase import tissue_loss
from MyoScarSegLib.training.yolo.detector_samples import (
    LEFT_VENTRICLE,
    NOT_SCAR,
    SCAR,
    TISSUE,
    DetectorSample,
    detector_batch,
    detector_order,
    detector_samples,
    detector_window,
)
from Testing.support.ring_factory import ring

STANDARD = DETECTOR_VARIATIONS["standard"]


# ---- samples


def test_slice_is_prepared_at_the_scale_of_the_input_and_round_again():
    """Pixels twice as tall as wide: what is a circle in the body is one in the sample, and labels stay on the picture."""
    wide = ring(96)
    oblong = replace(wide, image=wide.image[::2], labels=wide.labels[::2], pixel_spacing_mm=(2.0, 1.0))
    sample = DetectorSample.of(oblong, 64)
    assert sample.image.shape == sample.raw.shape == sample.targets.shape[1:] == (64, 64)
    (box,) = boxes_of(sample.targets[LEFT_VENTRICLE].astype(int))
    assert (box[2] - box[0]) == pytest.approx(box[3] - box[1], abs=2)
    assert sample.image[sample.targets[SCAR] > 0].mean() > 3 * sample.image[sample.targets[TISSUE] == 2].mean()
    assert sample.center == pytest.approx((32, 32), abs=1)


def test_where_only_scar_is_labeled_the_ventricle_is_the_given_box_and_its_tissue_unknown():
    known = ring(64, center=(32, 32))
    unknown = replace(known, labels=np.where(known.labels == 3, 3, 0).astype(np.uint8), wall_known=False)
    sample = DetectorSample.of(unknown, 64, ventricle=(14.0, 14.0, 50.0, 50.0))
    assert boxes_of(sample.targets[LEFT_VENTRICLE].astype(int)).tolist() == [[14, 14, 50, 50]]
    assert sample.targets[LEFT_VENTRICLE, 14, 14] == 0, "an ellipse, not a box"
    assert set(np.unique(sample.targets[TISSUE])) == {0, 3, NOT_SCAR}
    assert (sample.targets[TISSUE] == 3).sum() == (known.labels == 3).sum()
    none = DetectorSample.of(unknown, 64)
    assert not none.targets[LEFT_VENTRICLE].any() and NOT_SCAR not in none.targets[TISSUE]


class Finder:
    """A detector that finds the ventricle on the slices it is told to."""

    def __init__(self, boxes):
        self.boxes, self.asked = boxes, []

    def detect_many(self, images, *, pixel_spacing_mm, confidence, labels):
        from MyoScarSegLib.prompts import Box

        self.asked.append((len(images), labels))
        found = self.boxes[: len(images)]
        return [[] if b is None else [Box(0, *b, label="lv", confidence=0.9)] for b in found]


def test_slices_without_wall_take_the_detectors_ventricle_or_the_stacks_median():
    scar_only = [
        replace(s, patient="A", labels=np.where(s.labels == 3, 3, 0).astype(np.uint8), wall_known=False, index=n)
        for n, s in enumerate([ring(64), ring(64), ring(64), ring(64, scar=False)])
    ]
    with_wall = ring(64, patient="B")
    finder = Finder([(10.0, 10.0, 40.0, 40.0), (14.0, 12.0, 44.0, 42.0), None, None])
    samples = detector_samples([*scar_only, with_wall], 64, finder)
    boxes = [boxes_of(s.targets[LEFT_VENTRICLE].astype(int)).tolist() for s in samples]
    assert boxes[0] == [[10, 10, 40, 40]] and boxes[1] == [[14, 12, 44, 42]]
    assert boxes[2] == [[12, 11, 42, 41]], "scar where none was found: the median"
    assert boxes[3] == [], "no scar and none found: none"
    assert finder.asked == [(4, ("lv",))], "slices with a labeled wall are not looked at"
    blind = detector_samples([*scar_only, with_wall], 64, Finder([None] * 4))
    assert len(blind) == 2, "scar in a stack without any ventricle is left out"


# ---- windows


def test_plain_windows_show_the_slice_and_in_the_second_look_the_heart_normalized_by_itself():
    sample = DetectorSample.of(ring(), 96)
    for share in (0.0, 1.0):
        batch = detector_batch([detector_window(sample, Augmenter("none", 64), (1, 2), share)])
        if share == 0.0:
            assert torch.allclose(batch["img"][0, 0], torch.from_numpy(sample.image[16:80, 16:80]), atol=1e-5)
        else:
            assert float((batch["tissue"] > 0).any(dim=1).sum()) == pytest.approx(0.625 * 64, abs=2)
            scar, blood = (batch["img"][0, 0][batch["tissue"][0] == number].median() for number in (3, 1))
            assert scar > blood + 0.1


def test_boxes_follow_the_picture_through_any_window():
    """After the warp the reference boxes are tight around what is painted, also in a second look."""
    sample = DetectorSample.of(ring(), 96)
    windows = Augmenter(replace(STANDARD, anywhere=0.0), 96)
    for number in range(20):
        batch = detector_batch([detector_window(sample, windows, (5, number), number % 2)])
        assert {0.0, 1.0} == set(batch["cls"][:, 0].tolist())
        for label, box in zip(batch["cls"][:, 0], batch["bboxes"] * 96, strict=True):
            x, y, w, h = box.tolist()
            painted = batch["tissue"][0] == 3 if label == 0 else batch["tissue"][0] > 0
            rows, columns = painted.nonzero(as_tuple=True)
            expected = [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]
            assert np.allclose([x - w / 2, y - h / 2, x + w / 2, y + h / 2], expected, atol=1e-3)
        assert float(batch["img"].min()) >= 0.0 and float(batch["img"].max()) <= 1.0


def test_second_look_shows_the_ventricle_at_the_share_that_use_shows_it_at():
    """At use the region is 1.6 times the ventricle's longer side: a share of 0.625, in the middle of those trained."""
    shares = []
    for seed in range(100):
        matrix = window_matrix(
            np.random.default_rng(seed), STANDARD, (256, 256), (50.0, 60.0), 128, (128.0, 128.0), heart_px=(40.0, 30.0)
        )
        turned = np.linalg.inv(matrix[:, :2]) @ np.diag([40.0, 30.0])
        shares.append(np.linalg.norm(turned, axis=1).max() / 128)
        place = np.linalg.solve(matrix[:, :2], np.array([50.0, 60.0]) - matrix[:, 2]) / 128
        assert np.abs(place - 0.5).max() <= STANDARD.heart_shift + 1e-6
    low, high = STANDARD.heart_share
    assert low - 0.01 <= min(shares) < 0.55 and 0.7 < max(shares) <= high + 0.01
    assert low < 1 / 1.6 < high


# ---- batches


def test_a_window_depends_on_the_seed_alone_and_a_batch_on_its_windows():
    sample = DetectorSample.of(ring(), 64)
    first, again, other = (detector_window(sample, Augmenter(STANDARD, 64), seed) for seed in ((0, 2, 1), (0, 2, 1), (0, 3, 1)))
    assert torch.equal(first.image, again.image) and torch.equal(first.targets, again.targets)
    assert not torch.equal(first.image, other.image)
    assert detector_batch([first, other])["img"].shape == (2, 1, 64, 64)


def test_an_epoch_shows_each_slice_once_but_for_the_share_of_phantoms():
    assert sorted(detector_order(12, 0, 0, 0)) == list(range(12))
    drawn = np.array(detector_order(12, 5, 0, 0))
    assert len(drawn) == 12 and (drawn >= 12).sum() == 2 and len(set(drawn[drawn < 12])) == 10
    assert detector_order(12, 5, 0, 1) != drawn.tolist() != detector_order(12, 5, 1, 0)


def test_phantom_slices_have_both_classes():
    samples = detector_samples(labeled_phantoms(1, 12), 256)
    assert len(samples) == 12
    assert all(len(boxes_of(s.targets[LEFT_VENTRICLE].astype(int))) == 1 for s in samples)
    assert sum(s.has_scar for s in samples) >= 4


# ---- the tissue map


def test_tissue_loss_is_near_zero_when_right_and_pays_for_a_missed_pixel():
    wanted = torch.zeros(1, 8, 8, dtype=torch.long)
    wanted[0, :4] = 3
    right = torch.nn.functional.one_hot(wanted[:, ::2, ::2], 4).permute(0, 3, 1, 2) * 20.0
    assert tissue_loss(right, wanted) < 1e-6
    wrong = right.clone()
    wrong[0, :, 0, 0] = torch.tensor([20.0, 0, 0, 0])
    wrong.requires_grad_()
    loss = tissue_loss(wrong, wanted)
    assert loss > 0.5
    loss.backward()
    assert wrong.grad[0, 3, 0, 0] < 0 < wrong.grad[0, 0, 0, 0]


def test_unlabeled_wall_may_be_painted_as_anything_but_scar():
    wanted = torch.full((1, 2, 2), NOT_SCAR)
    for healthy in range(3):
        painted = torch.zeros(1, 4, 2, 2)
        painted[:, healthy] = 20.0
        assert tissue_loss(painted, wanted) < 1e-6
    painted = torch.zeros(1, 4, 2, 2)
    painted[:, 3] = 20.0
    assert tissue_loss(painted, wanted) > 10


# ---- settings


def test_settings_are_changed_by_name_and_checked():
    settings = with_options(DetectorSettings(), {"rate": "1e-3", "batch": "8", "augmentation": "light"})
    assert (settings.rate, settings.batch, settings.augmentation) == (1e-3, 8, "light")
    for options, said in [
        ({"speed": 1}, "no setting 'speed'"),
        ({"batch": "many"}, "batch must be a whole number"),
        ({"batch.x": 1}, "no setting 'batch.x'"),
        ({"augmentation": "wild"}, "one of none, light"),
        ({"window": 100}, "multiples of 32"),
        ({"rate": 0}, "above 0"),
    ]:
        with pytest.raises(ModelError, match=said):
            with_options(DetectorSettings(), options)
