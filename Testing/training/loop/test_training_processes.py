"""Two processes that train together give what one gives, and none waits for ever for the other."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from MyoScarSegLib.segmentation import load_segmenter
from MyoScarSegLib.training.finetune.fine_tuning import fine_tune
from MyoScarSegLib.utils import device
from Testing.conftest import REPOSITORY
from Testing.support.tiny_models import write_segmenter
from Testing.support.tiny_training import TinyPhase, assert_learned_alike, entries, tensors_of, weights
from Testing.support.two_processes import DECODER, PATIENTS, UNPROMPTED

# Two more processes that load torch are slow, and how processes agree rarely changes.
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def float32(monkeypatch) -> None:
    """As in the two processes: half precision would hide what differs."""
    monkeypatch.setattr(device, "_native_format", lambda _: torch.float32)


class Together:
    """What two processes left."""

    def __init__(self, folder: Path, statuses: tuple[int, int], errors: tuple[str, str]) -> None:
        self.folder, self.statuses, self.errors = folder, statuses, errors

    def results(self, scene: str) -> list[Any]:
        files = [self.folder / scene / f"result-{rank}.json" for rank in (0, 1)]
        assert all(file.is_file() for file in files), self.errors
        return [json.loads(file.read_text()) for file in files]

    def weights(self, scene: str) -> list[Any]:
        self.results(scene)
        return [torch.load(self.folder / scene / f"weights-{rank}", weights_only=True) for rank in (0, 1)]


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Together:
    folder = tmp_path_factory.mktemp("together")
    write_segmenter(folder / "vit.safetensors", window_mm="60.0")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {
        **os.environ, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1", "MYOSCARSEG_CACHE": str(folder / "cache"), "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "Testing.support.two_processes", str(folder)],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        errors = tuple(process.communicate(timeout=240)[1] for process in started)
    finally:
        for process in started:
            process.kill()
    return Together(folder, tuple(process.returncode for process in started), errors)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same in one process."""
    tiny = TinyPhase(tmp_path_factory.mktemp("alone"))
    done = tiny.run()
    return weights(done.network), weights(done.averaged), entries(tiny.log)


def assert_near(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=5e-4, rtol=2e-3)


def test_two_processes_compute_what_one_computes(together, alone):
    first, second = together.weights("same")
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    assert_learned_alike(first[0], alone[0])
    assert_learned_alike(first[1], alone[1])


def test_they_write_one_log(together, alone):
    log = entries(together.folder / "same" / "log.jsonl")
    assert [(e["event"], e["step"]) for e in log] == [(e["event"], e["step"]) for e in alone[2]]
    assert [e["loss"] for e in log] == pytest.approx([e["loss"] for e in alone[2]], rel=1e-3)


def test_if_one_is_asked_to_stop_both_stop_at_the_same_step_and_go_on(together, alone):
    first, second = together.results("cancelled")
    assert first == second == {"said": "Cancelled: Cancelled.", "steps": 4}
    first, second = together.weights("cancelled")
    assert torch.equal(first, second)
    assert_learned_alike(first, alone[0])
    log = entries(together.folder / "cancelled" / "log.jsonl")
    assert [(e["event"], e["step"]) for e in log] == [(e["event"], e["step"]) for e in alone[2]]


def test_if_one_runs_out_of_memory_both_divide_the_step(together, tmp_path):
    first, second = together.results("memory")
    assert second[:3] == [3, 2, 1] and first[:3] == [4, 2, 2], "of seven windows"
    network = TinyPhase(tmp_path, batch=7).run().network
    found = together.weights("memory")
    assert torch.equal(*found)
    assert_learned_alike(found[0], weights(network))


def test_if_memory_does_not_suffice_in_one_both_say_so(together):
    first, second = together.results("no_memory")
    assert first == second and first.startswith("ModelError: cpu") and "too little memory" in first


def test_if_one_fails_the_other_does_not_wait(together):
    first, second = together.results("failure")
    assert second == "ValueError: a broken slice"
    assert first == "ModelError: Another process of this training failed; its own message says why."


def test_if_the_first_cannot_write_the_other_does_not_wait(together):
    first, second = together.results("full_disk")
    assert first.startswith("OutputError: Cannot write") and "file write failed" in first
    assert second == "ModelError: Another process of this training failed; its own message says why."


def test_one_looks_at_the_validation_patients_for_both(together):
    first, second = together.results("looks")
    assert first == {"seen": [1, 2], "best": 1, "steps": 6, "kept": 1}
    assert second == {"seen": [], "best": 1, "steps": 6, "kept": 0}


def test_each_makes_its_share_of_the_embeddings(together, tmp_path):
    first, second = together.results("whole")
    assert first["main"] and not second["main"] and first["model"]
    made = [json.loads(line) for line in (together.folder / "whole" / "log.jsonl").read_text().splitlines()]
    assert [e["made"] for e in made if e["event"] == "embeddings"] == [DECODER.copies * len(PATIENTS.training)]
    outcome = fine_tune(together.folder / "vit.safetensors", PATIENTS, DECODER, tmp_path, device="cpu")
    assert first["epochs"][0]["loss"] == pytest.approx(outcome.epochs[0]["loss"], rel=1e-3)
    model = together.folder / "whole" / "segmenter.safetensors"
    assert load_segmenter(model, device="cpu").window is not None
    assert_near(*(torch.cat([v.flatten().float() for v in tensors_of(file).values()]) for file in (model, outcome.model)))


def test_steps_without_any_prompt_are_the_same_in_two_processes(together, tmp_path):
    outcome = fine_tune(together.folder / "vit.safetensors", PATIENTS, UNPROMPTED, tmp_path, device="cpu")
    steps = [e["loss"] for e in entries(tmp_path / "log.jsonl") if e["event"] == "step"]
    assert steps.count(0.0) == 1 and len(steps) == 3
    assert together.results("unprompted")[0][0]["loss"] == pytest.approx(outcome.epochs[0]["loss"], rel=1e-3)
    model = together.folder / "unprompted" / "segmenter.safetensors"
    assert_near(*(torch.cat([v.flatten().float() for v in tensors_of(file).values()]) for file in (model, outcome.model)))


def test_if_one_is_killed_the_other_ends(together):
    assert together.statuses[1] == 7
    result = json.loads((together.folder / "killed" / "result-0.json").read_text())
    assert result["said"] != "nothing" and result["seconds"] < 60
