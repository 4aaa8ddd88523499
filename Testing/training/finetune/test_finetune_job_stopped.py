"""The card of a training that is stopped on the way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from MyoScarSegLib.errors import Cancelled
from MyoScarSegLib.training.train_job import TrainJob, run
from MyoScarSegLib.utils.files import sha256_of
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.ring_factory import rings, write_rings
from Testing.support.tiny_models import write_detector
from Testing.support.tiny_training import write_start


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_start(folder / "start.safetensors")
    write_detector(folder / "detector.safetensors")
    return folder


@pytest.fixture
def job(tmp_path, models, monkeypatch) -> TrainJob:
    """Two patients train, one validates."""
    from MyoScarSegLib import detection

    real = detection.load_detector
    monkeypatch.setattr(detection, "load_detector", lambda *_, **more: real(models / "detector.safetensors", **more))
    write_rings(tmp_path / "data", rings(6))
    split = {"seed": 0, "folds": 3, "held_out": 0, "training": ["P001", "N002"], "validation": ["P003"]}
    (tmp_path / "split.json").write_text(json.dumps(split))
    options: dict[str, Any] = {"phantoms": 0, "prompts": 1, "copies": 1, "prompting.empty": 0.1}
    return TrainJob(
        "sam", tmp_path / "data", tmp_path / "out", start=str(models / "start.safetensors"), split=tmp_path / "split.json",
        epochs=2, batch=1, device="cpu", name="mine", options=options,
    )  # fmt: skip


def stop_at(message: str, times: int = 1) -> dict[str, Any]:
    token, seen = CancelToken(), []

    def progress(done: int, total: int, said: str) -> None:
        if message in said:
            seen.append(said)
            if len(seen) == times:
                token.cancel()

    return {"progress": progress, "cancel": token}


def card_of(job: TrainJob) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((job.out / "mine.json").read_text())
    assert card["sha256"] == sha256_of(job.out / "mine.safetensors"), "the card is of this very file"
    return card


def test_a_training_that_is_not_stopped_has_figures_and_says_nothing_of_it(job):
    result = run(job)
    card = card_of(job)
    assert set(card["metrics"]) == {"validation", "validation, start model"}
    assert [e["epoch"] for e in card["losses"]] == [1, 2]
    assert not any("stopped" in limit for limit in card["limits"])
    assert result["card"] == str(job.out / "mine.json") and result["sha256"] == card["sha256"]


def test_a_stopped_training_leaves_a_card_with_its_model_and_goes_on(job):
    with pytest.raises(Cancelled):
        run(job, **stop_at("epoch 2 of 2"))
    card = card_of(job)
    assert [e["epoch"] for e in card["losses"]] == [1]
    assert card["metrics"] == {} and "was stopped" in card["limits"][0]
    readable = (job.out / "mine.md").read_text()
    assert "Not measured." in readable and "was stopped" in readable
    run(replace(job, resume=True))
    card = card_of(job)
    assert card["metrics"] and not any("stopped" in limit for limit in card["limits"])


def test_a_training_stopped_while_its_model_is_measured_has_a_card(job):
    token, said = CancelToken(), []

    def progress(done: int, total: int, message: str) -> None:
        if said and "epoch 2 of 2" in said[-1] and "epoch" not in message:
            token.cancel()
        said.append(message)

    with pytest.raises(Cancelled):
        run(job, progress=progress, cancel=token)
    card = card_of(job)
    assert "was stopped" in card["limits"][0] and [e["epoch"] for e in card["losses"]] == [1, 2]


def test_a_training_stopped_before_it_has_a_model_does_not_describe_an_older_one(job):
    job.out.mkdir()
    (job.out / "mine.safetensors").write_bytes(b"an older model")
    with pytest.raises(Cancelled):
        run(job, **stop_at("Preparing the training windows"))
    assert not (job.out / "mine.json").exists()
