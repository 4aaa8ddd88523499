"""A segmenter's training as a job: from data to a model that is measured, described and usable, stopped or not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from MyoScarSegLib.errors import Cancelled
from MyoScarSegLib.segmentation import load_segmenter
from MyoScarSegLib.training.finetune import segmenter_job
from MyoScarSegLib.training.finetune.fine_tuning import Outcome
from MyoScarSegLib.training.finetune.network import start_model
from MyoScarSegLib.training.model_settings import SegmenterSettings
from MyoScarSegLib.training.train_job import TrainJob, run
from MyoScarSegLib.utils.files import sha256_of
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.ring_factory import rings, write_rings
from Testing.support.run_factory import QUICK
from Testing.support.tiny_models import write_detector
from Testing.support.tiny_training import write_start


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_start(folder / "start.safetensors")
    write_detector(folder / "detector.safetensors")
    write_rings(folder / "data", rings(6))
    return folder


@pytest.fixture
def job(tmp_path, models, monkeypatch) -> TrainJob:
    """Two patients train, one validates."""
    from MyoScarSegLib import detection

    real = detection.load_detector
    monkeypatch.setattr(detection, "load_detector", lambda *_, **more: real(models / "detector.safetensors", **more))
    split = {"seed": 0, "folds": 3, "held_out": 0, "training": ["P001", "N002"], "validation": ["P003"]}
    (tmp_path / "split.json").write_text(json.dumps(split))
    return TrainJob(
        "segmenter", models / "data", tmp_path / "out", start=str(models / "start.safetensors"), split=tmp_path / "split.json",
        epochs=2, batch=1, device="cpu", name="mine", options={**QUICK, "batch": 1, "prompting.empty": 0.1},
    )  # fmt: skip


@pytest.fixture
def played(monkeypatch) -> list[Path]:
    """Models that trainings gave which take no time, since they learn nothing."""
    made: list[Path] = []

    def fine_tune(start: str, patients: Any, settings: SegmenterSettings, out: Path, **more: Any) -> Outcome:
        made.append(out / f"{more['name']}.safetensors")
        shutil.copy(start, made[0])
        epochs = [{"phase": "prompts", "epoch": 1, "loss": 0.5}]
        outcome = Outcome(made[0], start_model(start, settings)[1], epochs=epochs)
        more["kept"](outcome)
        return outcome

    monkeypatch.setattr(segmenter_job, "fine_tune", fine_tune)
    return made


def stop_at(message: str) -> dict[str, Any]:
    token = CancelToken()

    def progress(done: int, total: int, said: str) -> None:
        if message in said:
            token.cancel()

    return {"progress": progress, "cancel": token}


def card_of(job: TrainJob) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((job.out / "mine.json").read_text())
    assert card["sha256"] == sha256_of(job.out / "mine.safetensors"), "the card is of this very file"
    return card


@pytest.mark.slow
def test_trained_model_is_measured_before_and_after_described_and_usable(job):
    result = run(job)
    card = card_of(job)
    assert set(card["metrics"]) == {"validation", "validation, start model"}
    assert "end_to_end dice_mean" in card["metrics"]["validation"]
    assert [(e["phase"], e["epoch"]) for e in card["losses"]] == [("context", 1), ("asked", 1), ("prompts", 1), ("prompts", 2)]
    assert not any("stopped" in limit for limit in card["limits"])
    assert set(card["split"]["training"]).isdisjoint(card["split"]["validation"])
    assert result["card"] == str(job.out / "mine.json")
    assert load_segmenter(result["model"], device="cpu").checkpoint.sha256 == result["sha256"] == card["sha256"]


def test_a_training_stopped_while_its_model_is_measured_has_a_card(job, played):
    with pytest.raises(Cancelled):
        run(job, **stop_at("evaluating"))
    card = card_of(job)
    assert "was stopped" in card["limits"][0] and [e["epoch"] for e in card["losses"]] == [1]


def test_a_training_stopped_before_it_has_a_model_does_not_describe_an_older_one(job):
    job.out.mkdir()
    (job.out / "mine.safetensors").write_bytes(b"an older model")
    with pytest.raises(Cancelled):
        run(replace(job, options={**job.options, "context_epochs": 0}), **stop_at("Preparing the training windows"))
    assert not (job.out / "mine.json").exists()


def test_a_training_from_a_model_that_knows_scar_keeps_half_of_it_unless_told_otherwise(job):
    assert segmenter_job.segmenter_settings(job, further=True).start_share == 0.5
    assert segmenter_job.segmenter_settings(job, further=False).start_share == 0.0
    told = replace(job, options={**job.options, "start_share": 0.25})
    assert segmenter_job.segmenter_settings(told, further=True).start_share == 0.25
