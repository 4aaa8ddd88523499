"""Training a detector through ultralytics: it learns, stops, goes on, and survives what goes wrong."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from MyoScarSegLib.detection.detector_checkpoint import load_checkpoint, read_record
from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.training.datasets.labeled import DataSet
from MyoScarSegLib.training.model_settings import DetectorSettings
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_job import Hooks, TrainJob
from MyoScarSegLib.training.yolo import detector_job, detector_scores
from MyoScarSegLib.training.yolo.boxes_phase import PAINTER, boxes_phase
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.progress import CancelToken, no_progress
from Testing.support.ring_factory import rings

SLICES = rings(6, 1)
SPLIT = Split(("N000", "N002", "P001", "P003"), ("N004", "P005"), 0, 3, 0)
# 4 training slices: two steps an epoch.
TINY = DetectorSettings(size=64, window=64, batch=2, epochs=2, phantoms=0, warmup=1.0)
STEPS = 4


def make_small(patch: pytest.MonkeyPatch) -> None:
    """Networks of five convolutions before the real head, and two phantoms to evaluate on."""
    from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics

    import_ultralytics()
    from ultralytics.utils import YAML

    load = YAML.load

    def shallow(file, *more):
        definition = load(file, *more)
        if "backbone" in definition:
            definition["backbone"] = [[-1, 1, "Conv", [channels, 3, 2]] for channels in (64, 128, 256, 256, 256)]
            definition["head"] = [[[2, 3, 4], 1, "Detect", ["nc"]]]
        return definition

    patch.setattr(YAML, "load", shallow)
    patch.setattr(detector_scores, "TEST_PHANTOMS", 2)
    patch.setattr(detector_scores, "labeled_phantoms", _phantoms)


_phantoms = functools.cache(detector_scores.labeled_phantoms)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    make_small(monkeypatch)


def training(folder: Path, settings: DetectorSettings = TINY, *, slices=SLICES, split=SPLIT, start="fresh") -> tuple:
    folder.mkdir(parents=True, exist_ok=True)
    split.write(folder / "split.json")
    options = to_json(settings)
    job = TrainJob("detector", folder, folder, start=str(start), split=folder / "split.json", device="cpu", options=options)
    return job, DataSet("volumes", slices)


def train_detector(given: tuple, *, resume: bool = False, progress=no_progress, cancel=None) -> dict:
    """Train, and give the card."""
    job, data = given
    detector_job.train_detector(replace(job, resume=resume), Hooks(progress, cancel, data=lambda *_: data))
    return json.loads((job.out / "detector.json").read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted training: its folder and what is known of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYOSCARSEG_CACHE", str(tmp_path_factory.mktemp("cache")))
        make_small(patch)
        folder = tmp_path_factory.mktemp("whole")
        told = []
        known = train_detector(training(folder), progress=lambda *step: told.append(step))
    return folder, known, told


def weights(folder: Path) -> bytes:
    return (folder / "detector.safetensors").read_bytes()


class At:
    """Cancels, or does something else, when the n-th step is reported."""

    def __init__(self, step, act=None):
        self.token, self.step, self.act, self.steps = CancelToken(), step, act or self.cancel, 0

    def cancel(self):
        self.token.cancel()

    def __call__(self, done, total, message):
        if message.startswith("boxes"):
            self.steps += 1
            if self.steps == self.step:
                self.act()


# ---- what it leaves


def test_training_leaves_model_card_split_and_log_and_tells_each_step(whole):
    folder, known, told = whole
    assert sorted(p.name for p in folder.iterdir()) == [
        "detector.json", "detector.md", "detector.safetensors", "log.jsonl", "split.json",
    ]  # fmt: skip
    steps = [(done, total) for done, total, message in told if message.startswith("boxes")]
    assert steps == [(n, STEPS) for n in range(1, STEPS + 1)]
    assert any("boxes: epoch 2 of 2, loss " in message for *_, message in told)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [e["step"] for e in lines if e["event"] == "step"] == list(range(1, STEPS + 1))
    epochs = [e for e in lines if e["event"] == "epoch"]
    assert [e["epoch"] for e in epochs] == [1, 2]
    assert {"loss", "box_loss", "cls_loss", "dfl_loss", "tissue_loss"} <= epochs[0].keys()
    card = json.loads((folder / "detector.json").read_text())
    assert card["sha256"] == known["sha256"] and card["split"] == SPLIT.to_json()
    assert card["losses"][-1]["epoch"] == 2
    assert set(card["metrics"]) == {"validation", "training", "phantoms"}
    assert (card["metrics"]["validation"]["slices"], card["metrics"]["training"]["slices"]) == (2, 4)


def test_model_is_a_detector_without_the_painter(whole):
    folder, known, _ = whole
    from MyoScarSegLib.detection import load_detector

    network, record = load_checkpoint(folder / "detector.safetensors")
    assert not hasattr(network, PAINTER)
    assert (record.image_size, record.second_look.size, record.classes) == (64, 64, ("scar", "lv"))
    loaded = load_detector(folder / "detector.safetensors", device="cpu")
    assert (loaded.checksum, loaded.confidence) == (known["sha256"], known["confidence"])
    loaded.detect_many([SLICES[0].image])


def test_loss_falls(tmp_path):
    settings = replace(TINY, epochs=16, batch=4, augmentation="none", rate=4e-3)
    losses = train_detector(training(tmp_path, settings))["losses"]
    assert losses[-1]["cls_loss"] < 0.6 * losses[0]["cls_loss"], losses
    assert losses[-1]["tissue_loss"] < 0.9 * losses[0]["tissue_loss"], losses


def test_same_seed_gives_the_same_model_whatever_was_drawn_before_and_another_seed_another(whole, tmp_path):
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - it is the global state that must not matter
    train_detector(training(tmp_path / "again"))
    assert weights(tmp_path / "again") == weights(whole[0])
    train_detector(training(tmp_path / "other", replace(TINY, seed=1)))
    assert weights(tmp_path / "other") != weights(whole[0])


def test_rates_rise_step_by_step_and_fall_epoch_by_epoch():
    network, _ = detector_job._network(TINY, None)
    phase = boxes_phase(network, [], [], replace(TINY, epochs=10, warmup=2.0))
    shares = [phase.rate(done, 5, 50) for done in range(50)]
    assert shares[0] == 0 and shares[:10] == sorted(shares[:10]) and shares[9] > 0.8
    assert shares[10:] == sorted(shares[10:], reverse=True) and len(set(shares[10:15])) == 1
    assert shares[-1] == pytest.approx(0.034, abs=1e-3)


def test_statistics_are_averaged_like_weights_and_the_heads_projection_stays(whole):
    state = load_checkpoint(whole[0] / "detector.safetensors")[0].state_dict()
    (projection,) = (value for name, value in state.items() if ".dfl." in name)
    assert projection.flatten().tolist() == list(range(16))
    means = [value for name, value in state.items() if name.endswith("running_mean")]
    assert all(bool(mean.any()) for mean in means)


# ---- stopping and going on


@pytest.mark.parametrize("step", [1, 2])
def test_cancelled_at_any_step_it_keeps_the_model_so_far_and_goes_on_to_the_same_result(whole, tmp_path, step):
    at = At(step)
    with pytest.raises(Cancelled) as caught:
        train_detector(training(tmp_path), progress=at, cancel=at.token)
    assert at.steps == step, "it did not stop within one step"
    model = tmp_path / "detector.safetensors"
    assert str(caught.value) == f"Cancelled. {model} is the best model so far; the training can be resumed in {tmp_path}."
    assert read_record(model).confidence == detector_job.UNCALIBRATED
    assert "was stopped" in json.loads((tmp_path / "detector.json").read_text())["limits"][0]
    if step == 2:
        with pytest.raises(ModelError, match="was stopped in"):
            train_detector(training(tmp_path))
    on = At(0)
    known = train_detector(training(tmp_path), resume=True, progress=on)
    assert on.steps == STEPS - step
    assert weights(tmp_path) == weights(whole[0])
    assert not (tmp_path / "boxes.checkpoint").exists()
    assert known | {"seconds": 0} == whole[1] | {"seconds": 0}
    steps = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [e["step"] for e in steps if e["event"] == "step"] == list(range(1, STEPS + 1))


@pytest.mark.slow
def test_end_to_end_networks_go_on_to_the_same_result_too(tmp_path):
    """Their loss shifts weight from one head to the other by epoch, which must not begin anew."""
    settings = replace(TINY, architecture="yolo26n", epochs=2)
    train_detector(training(tmp_path / "whole", settings))
    at = At(3)
    with pytest.raises(Cancelled):
        train_detector(training(tmp_path / "parts", settings), progress=at, cancel=at.token)
    train_detector(training(tmp_path / "parts", settings), resume=True)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


def test_another_training_is_not_gone_on_with(tmp_path):
    at = At(3)
    with pytest.raises(Cancelled):
        train_detector(training(tmp_path), progress=at, cancel=at.token)
    brighter = [replace(s, image=s.image + 1) for s in SLICES]
    for other in (training(tmp_path, replace(TINY, rate=1e-3)), training(tmp_path, slices=brighter)):
        with pytest.raises(ModelError, match="with other settings, data or start model"):
            train_detector(other, resume=True)
    with pytest.raises(ModelError, match="no stopped training"):
        train_detector(training(tmp_path / "elsewhere"), resume=True)


# ---- what goes wrong


def test_what_cannot_be_trained_is_said_at_once(tmp_path, monkeypatch, tiny_detector, whole):
    with pytest.raises(ModelError, match="training patient of the split"):
        train_detector(training(tmp_path, split=Split(("X1",), ())))
    with pytest.raises(ModelError, match="has scar to learn from"):
        train_detector(training(tmp_path, split=Split(("N000", "N002"), ("P001",))))
    with pytest.raises(ModelError, match="cannot start a yolo11s"):
        train_detector(training(tmp_path, replace(TINY, architecture="yolo11s"), start=whole[0] / "detector.safetensors"))
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ModelError, match="in one process"):
        train_detector(training(tmp_path))


def test_training_starts_from_a_detector_and_asks_it_for_unlabeled_ventricles(whole, tmp_path):
    start = whole[0] / "detector.safetensors"
    known = train_detector(training(tmp_path / "a", replace(TINY, epochs=1, rate=1e-9), start=start))
    assert known["started_from"] == {"name": "detector", "sha256": whole[1]["sha256"]}
    before, after = (load_checkpoint(p)[0].state_dict() for p in (start, tmp_path / "a" / "detector.safetensors"))
    names = [n for n, t in before.items() if t.is_floating_point() and "running" not in n]
    assert all(torch.allclose(before[n], after[n], atol=2e-3) for n in names)


# ---- the threshold


def test_threshold_is_never_chosen_on_validation_patients(tmp_path, monkeypatch):
    asked = []

    def choose(findings):
        asked.append({f.labeled.patient for f in findings})
        return 0.37

    monkeypatch.setattr(detector_job, "choose_confidence", choose)
    known = train_detector(training(tmp_path / "a", replace(TINY, epochs=1)))
    assert asked == [set(SPLIT.training)]
    assert known["confidence"] == read_record(tmp_path / "a" / "detector.safetensors").confidence == 0.37
    assert known["confidence_chosen_on"] == "4 training patients that also trained"


@pytest.mark.slow
def test_no_socket_is_opened(tmp_path):
    """In a process of its own, where ultralytics has not been imported yet."""
    import subprocess
    import sys

    from Testing.cli.test_offline import FORBIDDING
    from Testing.support.command import REPOSITORY
    from Testing.support.ring_factory import write_rings

    data = write_rings(tmp_path / "data", rings())
    sets = [word for setting in ("size=64", "window=64", "phantoms=0") for word in ("--set", setting)]
    options = ["--start", "fresh", "--epochs", "1", "--device", "cpu", *sets]
    for name in ("home", "temporary", "work"):
        (tmp_path / name).mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "YOLO", "MPL", "TORCH"))}
    environment |= {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", FORBIDDING, "train", "detector", "--data", str(data), "-o", str(tmp_path / "out"), *options]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path / "work", env=environment, timeout=300)
    assert ran.returncode == 0, ran.stderr
    for name in ("home", "temporary", "work"):
        assert [p for p in (tmp_path / name).rglob("*") if p.is_file()] == [], name
    assert "Ultralytics" not in ran.stdout + ran.stderr
