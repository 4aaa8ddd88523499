"""The state of a training on disk: damaged, foreign and dangerous files are refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.training.loop.phase_state import read_state, write_state
from Testing.support.tiny_training import TinyPhase


@pytest.fixture()
def stopped(tmp_path) -> TinyPhase:
    tiny = TinyPhase(tmp_path)
    with pytest.raises(Cancelled):
        tiny.run(stop_at=2)
    return tiny


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[:64] = bytes(64)
    path.write_bytes(data)


def one_bit(path: Path) -> None:
    """In the middle of a tensor."""
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def someone_elses(path: Path) -> None:
    torch.save({"model": torch.zeros(3), "epoch": 4}, path)


def bare_tensor(path: Path) -> None:
    torch.save(torch.zeros(3), path)


@pytest.mark.parametrize("damage", [truncated, flipped, one_bit, emptied, someone_elses, bare_tensor])
def test_a_damaged_checkpoint_is_refused(stopped, damage):
    damage(stopped.checkpoint)
    with pytest.raises(ModelError, match=r"context\.checkpoint is damaged and cannot be gone on from\. Train anew"):
        stopped.run(resume=True)


@pytest.mark.parametrize("missing", ["network", "averaged", "optimizer", "course"])
def test_a_checkpoint_without_a_part_is_refused(stopped, missing):
    document = torch.load(stopped.checkpoint, weights_only=True)
    del document["state"][missing]
    torch.save(document, stopped.checkpoint)
    with pytest.raises(ModelError, match="is damaged"):
        stopped.run(resume=True)


def test_a_checkpoint_of_another_network_is_refused(stopped):
    document = torch.load(stopped.checkpoint, weights_only=True)
    document["state"]["network"] = {"image_encoder.weight": torch.zeros(3)}
    torch.save(document, stopped.checkpoint)
    with pytest.raises(ModelError, match="is damaged"):
        stopped.run(resume=True)


def test_a_checkpoint_of_other_settings_is_refused(stopped):
    with pytest.raises(ModelError, match=r"with other settings, data or start model\. Give the same again to go on with it"):
        stopped.run(resume=True, recipe="another")


def test_a_checkpoint_of_a_later_format_is_refused(stopped):
    document = torch.load(stopped.checkpoint, weights_only=True)
    torch.save(document | {"format": 2}, stopped.checkpoint)
    with pytest.raises(ModelError, match="belongs to a training with other settings"):
        stopped.run(resume=True)


class Dangerous:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return (os.mkdir, (str(self.folder),))


@pytest.mark.parametrize("save", [torch.save, lambda document, path: path.write_bytes(pickle.dumps(document))])
def test_nothing_in_a_checkpoint_is_run(tmp_path, save):
    save({"format": 1, "recipe": "this", "state": Dangerous(tmp_path / "ran")}, tmp_path / "context.checkpoint")
    with pytest.raises(ModelError, match="is damaged"):
        read_state(tmp_path / "context.checkpoint", "this")
    assert not (tmp_path / "ran").exists()


def test_a_state_is_read_as_it_was_written(tmp_path):
    state = {"weights": {"a": torch.arange(3.0)}, "step": 3, "best": float("-inf"), "sums": {"loss": 0.1}, "done": False}
    write_state(tmp_path / "deep" / "context.checkpoint", "recipe", state)
    found = read_state(tmp_path / "deep" / "context.checkpoint", "recipe")
    assert torch.equal(found.pop("weights")["a"], state.pop("weights")["a"])
    assert found == state
