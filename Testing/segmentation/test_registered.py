"""Segmenter checkpoints that the registry knows: found by name and by path, trusted as far as their checksum goes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from MyoScarSegLib import models
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models.trust import is_trusted
from MyoScarSegLib.segmentation.sam_checkpoint import read_checkpoint
from Testing.support.sam_factory import SIDE, save, tiny_state


@pytest.fixture(scope="module")
def state():
    return tiny_state()


def _registered(monkeypatch, path: Path, architecture: str, preprocessing: str = "medsam", task: str = "segment"):
    """A registry that knows the file, published with its checksum, and has it installed."""
    from dataclasses import replace

    from MyoScarSegLib.models.registry import Registry

    known = Registry.load().entry("medsam-vit-b")
    entry = replace(
        known,
        name="tiny",
        task=task,
        architecture=architecture,
        preprocessing=preprocessing,
        sha256=models.checksum_of(path),
        size=path.stat().st_size,
    )
    registry = Registry([entry])
    registry.import_file("tiny", path)
    monkeypatch.setattr(models, "registry", lambda: registry)
    return registry


def test_a_registered_model_brings_its_preprocessing_by_name_and_by_path(tmp_path, state, monkeypatch):
    path = save(tmp_path / "model.pth", state)
    _registered(monkeypatch, path, "sam-vit-32x2")
    by_name, by_path = read_checkpoint("tiny"), read_checkpoint(path)
    assert (by_name.name, by_name.preprocessing, by_name.notes) == ("tiny", "medsam", ())
    assert (by_path.name, by_path.preprocessing, by_path.notes) == ("model.pth", "medsam", ())
    with pytest.raises(ModelError, match="cannot be run with 'sam'"):
        read_checkpoint("tiny", preprocessing_id="sam")


def test_a_registered_model_needs_no_trust_with_an_old_torch(tmp_path, state, monkeypatch):
    path = save(tmp_path / "model.pth", state)
    _registered(monkeypatch, path, "sam-vit-32x2")
    monkeypatch.setattr(torch, "__version__", "2.5.1")
    assert read_checkpoint("tiny").side == read_checkpoint(path).side == SIDE
    assert not is_trusted(models.checksum_of(path))


def test_a_tampered_registered_model_is_refused(tmp_path, state, monkeypatch):
    path = save(tmp_path / "model.pth", state)
    registry = _registered(monkeypatch, path, "sam-vit-32x2")
    installed = registry.path("tiny")
    save(installed, {**state, "image_encoder.pos_embed": state["image_encoder.pos_embed"] + 1e-3})
    with pytest.raises(ModelError, match="damaged or was changed: its SHA-256 is"):
        read_checkpoint("tiny", trust=True)


def test_a_registered_model_of_another_architecture_is_refused(tmp_path, state, monkeypatch):
    path = save(tmp_path / "model.pth", state)
    _registered(monkeypatch, path, "litemedsam")
    with pytest.raises(ModelError, match=r"should be a litemedsam, but its tensors are those of a sam-vit-32x2"):
        read_checkpoint("tiny")


def test_a_detector_is_not_taken_for_a_segmenter(tmp_path, state, monkeypatch):
    path = save(tmp_path / "model.pth", state)
    _registered(monkeypatch, path, "yolo", task="detect")
    with pytest.raises(ModelError, match=r"is a detector, not a segmenter. Give it to --detector"):
        read_checkpoint("tiny")


def test_an_unknown_name_is_refused():
    with pytest.raises(ModelError, match=r"There is no model called 'litemedsan'. Did you mean litemedsam"):
        read_checkpoint("litemedsan")
