"""A segmenter's training as a job: from data to a model that is calibrated, measured, described and usable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from MyoScarSegLib.segmentation import load_segmenter
from MyoScarSegLib.training.finetune import calibration
from MyoScarSegLib.training.train_job import TrainJob, run
from Testing.support.ring_factory import rings, write_rings
from Testing.support.run_factory import QUICK
from Testing.support.tiny_training import tensors_of, write_start


@pytest.fixture
def job(tmp_path, monkeypatch) -> TrainJob:
    monkeypatch.setenv("MYOSCARSEG_CACHE", str(tmp_path / "cache"))
    write_rings(tmp_path / "data", rings(6))
    start = write_start(tmp_path / "start.safetensors")
    return TrainJob(
        kind="sam",
        data=tmp_path / "data",
        out=tmp_path / "out",
        start=str(start),
        name="mine",
        device="cpu",
        epochs=1,
        options=QUICK,
    )


def test_trained_model_is_measured_before_and_after_described_and_usable(job):
    result = run(job)
    card = json.loads(Path(result["card"]).read_text())
    assert {"validation", "validation, start model"} <= set(card["metrics"])
    assert "end_to_end dice_mean" in card["metrics"]["validation"]
    assert card["calibration"] is None  # two validation patients are too few to choose a threshold on
    assert set(card["split"]["training"]).isdisjoint(card["split"]["validation"])
    assert load_segmenter(result["model"], device="cpu").checkpoint.sha256 == result["sha256"] == card["sha256"]


def test_threshold_is_calibrated_where_there_are_patients_enough_to_choose_it_on(job, monkeypatch):
    monkeypatch.setattr(calibration, "FEWEST_PATIENTS", 1)
    moved = []
    shift = calibration.shift_threshold
    monkeypatch.setattr(
        "MyoScarSegLib.training.finetune.calibration.shift_threshold",
        lambda path, by: (moved.append(tensors_of(path)), shift(path, by)),
    )
    result = run(job)
    card = json.loads(Path(result["card"]).read_text())
    chosen = card["calibration"]
    assert chosen["patients"] >= 1 and 0.1 <= chosen["threshold"] <= 0.9
    assert chosen["dice_after"] >= chosen["dice_before"]
    (before,) = moved
    bias = tensors_of(Path(result["model"]))["refiner.leave.bias"] - before["refiner.leave.bias"]
    assert (float(bias[0]) < 0) == (chosen["threshold"] > 0.5)
    assert card["metrics"]["validation"]["jittered dice_mean"] == pytest.approx(chosen["dice_after"], abs=0.02)


def test_calibration_can_be_left_out(job, monkeypatch):
    from dataclasses import replace

    monkeypatch.setattr(calibration, "FEWEST_PATIENTS", 1)
    result = run(replace(job, options={**QUICK, "calibrate": False}))
    assert json.loads(Path(result["card"]).read_text())["calibration"] is None
