"""A training that is repeated from a model's card."""

from __future__ import annotations

import json

import pytest

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models import DEFAULT_DETECTOR, DEFAULT_SEGMENTER
from MyoScarSegLib.models.registry import registry
from MyoScarSegLib.training.card import recipe
from MyoScarSegLib.training.finetune.segmenter_job import segmenter_settings
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_job import TrainJob
from MyoScarSegLib.training.yolo.detector_job import detector_settings
from MyoScarSegLib.utils.json_fields import to_json

CARD = {
    "name": "mine",
    "task": "segment",
    "started_from": {"name": DEFAULT_SEGMENTER, "sha256": None},
    "split": {"training": ["A", "B"], "validation": ["C"]},
    "job": {"kind": "segmenter", "start": None, "mode": "decoder", "augmentation": "light", "epochs": 3, "batch": None, "seed": 4,
            "labels": "scar=1", "name": "mine", "device": "cpu", "options": {"copies": "2", "loss.divergence": 0.0}},
}  # fmt: skip


def write(tmp_path, **changes):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(CARD | changes))
    return path


def test_the_card_gives_all_but_data_and_folder(tmp_path):
    card = write(tmp_path)
    expected = {
        "mode": "decoder", "augmentation": "light", "epochs": 3, "seed": 4, "labels": "scar=1", "start": DEFAULT_SEGMENTER,
        "options": {"copies": "2", "loss.divergence": 0.0}, "split": card,
    }  # fmt: skip
    assert recipe(card, "segmenter") == expected
    (tmp_path / "mine.safetensors").write_bytes(b"")
    assert recipe(tmp_path / "mine.safetensors", "segmenter") == expected
    job = TrainJob("segmenter", tmp_path, tmp_path / "out", **recipe(card, "segmenter"))
    settings = segmenter_settings(job, further=True)
    assert (settings.epochs, settings.copies, settings.seed, settings.loss.divergence) == (3, 2, 4, 0.0)
    assert Split.read(job.split).training == ("A", "B")


def test_another_start_may_be_said(tmp_path):
    card = write(tmp_path, started_from={"name": "gone-1", "sha256": "0" * 64})
    assert recipe(card, "segmenter", start="other.safetensors")["start"] == "other.safetensors"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"job": None}, "does not say by which training"),
        ({"task": "detect"}, "not by `train segmenter`"),
        ({"started_from": {"name": "gone-1"}}, "trained from gone-1. There is no model called 'gone-1'"),
        ({"started_from": None}, "one that it does not name"),
        ({"started_from": {"name": DEFAULT_SEGMENTER, "sha256": "0" * 64}}, "another " + DEFAULT_SEGMENTER),
    ],
    ids=str,
)
def test_what_cannot_be_repeated_is_said(tmp_path, changes, said):
    with pytest.raises(ModelError) as raised:
        recipe(write(tmp_path, **changes), "segmenter")
    assert said in str(raised.value)


def test_the_last_of_several_trainings_is_not_taken_for_all(tmp_path):
    with pytest.raises(ModelError, match="several trainings"):
        recipe(write(tmp_path, stages=["one", "another"]), "segmenter")


@pytest.mark.weights
def test_our_segmenter_has_a_recipe(real_cache, tmp_path):
    fields = recipe("myoscarseg-sam-8", "segmenter")
    settings = segmenter_settings(TrainJob("segmenter", tmp_path, tmp_path / "out", **fields), further=False)
    assert fields["start"] == "litemedsam"
    assert (settings.mode, settings.epochs, settings.batch) == ("full", 8, 4)


def test_a_missing_or_broken_card_is_said(tmp_path):
    with pytest.raises(ModelError, match="no card"):
        recipe(tmp_path / "none.json", "segmenter")
    with pytest.raises(ModelError, match="no model called"):
        recipe("no-such-model", "segmenter")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ModelError, match="not valid JSON"):
        recipe(tmp_path / "bad.json", "segmenter")


def test_our_detector_has_a_recipe_that_still_means_what_its_card_says(tmp_path):
    card = json.loads(registry().path(DEFAULT_DETECTOR).with_suffix(".json").read_text())
    job = TrainJob("detector", tmp_path, tmp_path / "out", **recipe(DEFAULT_DETECTOR, "detector"))
    assert job.start == "fresh" and Split.read(job.split).to_json() == card["split"]
    assert to_json(detector_settings(job, None)) == card["settings"]
