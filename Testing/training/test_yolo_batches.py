"""What a detector learns from: slices at its scale, windows, batches, the tissue map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.lesions import boxes_of
from MyoScarSegLib.training.options import with_options
from MyoScarSegLib.training.yolo.batches import Batches, BatchLoader, training_batch
from MyoScarSegLib.training.yolo.samples import NOT_SCAR, DetectorSample, phantom_slices_of, samples_of
from MyoScarSegLib.training.yolo.settings import LEFT_VENTRICLE, SCAR, TISSUE, DetectorSettings, Variation
from MyoScarSegLib.training.yolo.tissue import tissue_loss
from MyoScarSegLib.training.yolo.variations import VARIATIONS, variation
from MyoScarSegLib.training.yolo.ventricles import prepare
from MyoScarSegLib.training.yolo.windows import heart_window, random_window, vary_intensity, warp
from Testing.support.ring_factory import ring, rings

STILL = VARIATIONS["none"]


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
    assert sample.centre == pytest.approx((32, 32), abs=1)


def test_where_only_scar_is_labeled_the_ventricle_is_the_given_box_and_its_tissue_unknown():
    known = ring(64, centre=(32, 32))
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
    samples = prepare([*scar_only, with_wall], 64, finder)
    boxes = [boxes_of(s.targets[LEFT_VENTRICLE].astype(int)).tolist() for s in samples]
    assert boxes[0] == [[10, 10, 40, 40]] and boxes[1] == [[14, 12, 44, 42]]
    assert boxes[2] == [[12, 11, 42, 41]], "scar where none was found: the median"
    assert boxes[3] == [], "no scar and none found: none"
    assert finder.asked == [(4, ("lv",))], "slices with a labeled wall are not looked at"
    blind = prepare([*scar_only, with_wall], 64, Finder([None] * 4))
    assert len(blind) == 2, "scar in a stack without any ventricle is left out"


# ---- windows


def test_still_window_shows_the_slice_as_it_is():
    sample = DetectorSample.of(ring(), 96)
    matrix = np.array([[1.0, 0.0, 16.0], [0.0, 1.0, 16.0]])[None]
    seen = warp(torch.from_numpy(sample.image)[None, None], matrix, 64, mode="bilinear")
    assert torch.allclose(seen[0, 0], torch.from_numpy(sample.image[16:80, 16:80]), atol=1e-5)
    assert torch.allclose(vary_intensity(np.random.default_rng(0), seen, STILL), seen, atol=1e-4)


def test_boxes_follow_the_picture_through_any_window():
    """After the warp the reference boxes are tight around what is painted, also in a second look."""
    sample = DetectorSample.of(ring(), 96)
    generator = np.random.default_rng(5)
    how = replace(Variation(), window_low=(0, 0), window_high=(1, 1), gamma=(1, 1), bias=0.0, noise=0.0, anywhere=0.0)
    for share in [0.0, 1.0] * 10:
        batch = training_batch([sample], generator, size=96, how=how, second_look_share=share)
        assert {0.0, 1.0} == set(batch["cls"][:, 0].tolist())
        for label, box in zip(batch["cls"][:, 0], batch["bboxes"] * 96, strict=True):
            x, y, w, h = box.tolist()
            painted = batch["tissue"][0] == 3 if label == 0 else batch["tissue"][0] > 0
            rows, columns = painted.nonzero(as_tuple=True)
            expected = [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]
            assert np.allclose([x - w / 2, y - h / 2, x + w / 2, y + h / 2], expected, atol=1e-3)
    assert float(batch["img"].min()) >= 0.0 and float(batch["img"].max()) <= 1.0


def test_windows_vary_stretch_and_place_but_keep_the_heart_in_view():
    generator = np.random.default_rng(0)
    how = Variation(anywhere=0.0)
    matrices = [random_window(generator, (256, 256), (120.0, 140.0), 160, how) for _ in range(300)]
    places = np.array([np.linalg.solve(m[:, :2], np.array([120.0, 140.0]) - m[:, 2]) for m in matrices])
    assert places.min() >= 0 and places.max() <= 160 and places.std(axis=0).min() > 15
    zooms = np.array([1 / np.sqrt(abs(np.linalg.det(m[:, :2]))) for m in matrices])
    assert how.scale[0] - 1e-6 <= zooms.min() < 0.85 and 1.25 < zooms.max() <= how.scale[1] + 1e-6
    assert {np.sign(np.linalg.det(m[:, :2])) for m in matrices} == {-1.0, 1.0}


def test_second_look_shows_the_ventricle_at_the_share_that_use_shows_it_at():
    """At use the region is 1.6 times the ventricle's longer side: a share of 0.625, in the middle of those trained."""
    generator, shares = np.random.default_rng(0), []
    for _ in range(100):
        window = heart_window(generator, (30.0, 40.0, 70.0, 80.0), 128, Variation(rotation_degrees=0.0, stretch=1.0))
        shares.append(40 / np.sqrt(abs(np.linalg.det(window[:, :2]))) / 128)
    low, high = Variation().heart_share
    assert low - 0.01 <= min(shares) < 0.55 and 0.7 < max(shares) <= high + 0.01
    assert low < 1 / 1.6 < high


# ---- batches


def _settings(**changes) -> DetectorSettings:
    return DetectorSettings(size=64, window=64, batch=4, phantoms=0, **changes)


def test_a_batch_depends_on_seed_epoch_and_number_alone():
    samples = samples_of(rings(), 64)
    first, second = (Batches(samples, samples[:3], _settings(phantom_share=0.25), 4) for _ in range(2))
    late = first.get(2, 1)
    for order in ((0, 0), (2, 1)):
        again = second.get(*order)
    assert all(torch.equal(late[name], again[name]) for name in late)
    assert not torch.equal(late["img"], first.get(3, 1)["img"])
    assert not torch.equal(late["img"], Batches(samples, [], _settings(seed=1), 4).get(2, 1)["img"])


def test_an_epoch_shows_each_slice_once_but_for_the_share_of_phantoms():
    samples = samples_of(rings(), 64)
    plain = Batches(samples, [], _settings(), 5)
    assert len(plain) == 3 and sorted(plain._draw(0)) == list(range(12))
    mixed = Batches(samples, samples[:5], _settings(phantom_share=0.25), 5)
    drawn = mixed._draw(0)
    assert len(drawn) == 12 and (drawn >= 12).sum() == 3 and len(set(drawn[drawn < 12])) == 9


def test_worker_processes_make_the_same_batches():
    samples = samples_of(rings(2), 64)
    batches = Batches(samples, [], _settings(), 2)
    for loader in (BatchLoader(batches, 4, 2, workers) for workers in (0, 1)):
        loader.epoch = 3
        for number, batch in enumerate(loader):
            expected = batches.get(3, number)
            assert all(torch.equal(batch[name], expected[name]) for name in expected)
        assert number == 1


def test_phantom_slices_have_both_classes():
    samples = samples_of(phantom_slices_of(1, 12), 256)
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
    settings = with_options(
        DetectorSettings(), {"rate": "1e-3", "batch": "8", "variation.scale": "0.9,1.1", "variation.turned": "no"}
    )
    assert (settings.rate, settings.batch, settings.variation.scale, settings.variation.turned) == (1e-3, 8, (0.9, 1.1), False)
    for options, said in [
        ({"speed": 1}, "no setting 'speed'"),
        ({"batch": "many"}, "batch cannot be 'many'"),
        ({"batch": 2.5}, "batch cannot be 2.5"),
        ({"rate": "nan"}, "rate cannot be"),
        ({"variation": "x"}, "has parts"),
        ({"batch.x": 1}, "no parts"),
        ({"variation.nothing": 1}, "no setting 'nothing'"),
        ({"variation.scale": "1"}, "0.75,1.4"),
        ({"window": 100}, "multiple of 32"),
        ({"epochs": 0}, "at least 1"),
        ({"phantom_share": 2}, "from 0 to 1"),
        ({"calibration": 0.8}, "half of the patients"),
        ({"rate": 0}, "greater than 0"),
    ]:
        with pytest.raises(ModelError, match=said):
            with_options(DetectorSettings(), options)


def test_presets_are_the_segmenters_by_name():
    from MyoScarSegLib.training.augmentation import PRESETS

    assert set(VARIATIONS) == set(PRESETS)
    assert variation("standard") == Variation()
    with pytest.raises(ModelError, match="choose from none, light"):
        variation("wild")
