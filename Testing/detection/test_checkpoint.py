"""MyoScarSeg's own detector checkpoints: what they hold, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from MyoScarSegLib.detection import load_detector
from MyoScarSegLib.detection.architecture import build_network
from MyoScarSegLib.detection.detector_checkpoint import DetectorRecord, SecondLook, load_checkpoint, read_record, save_checkpoint
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.study.normalization import Normalization

RECORD = DetectorRecord("yolo11n", ("scar", "lv"), 256, 0.3, 0.5, SecondLook(128, 1.6, 0.05), training={"seed": 0})


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network("yolo11n", channels=1, classes=2).eval()


@pytest.fixture
def saved(network, tmp_path):
    path = tmp_path / "detector.safetensors"
    save_checkpoint(path, network, RECORD)
    return path


def rewritten(path, **changes):
    """The checkpoint with other fields in its record."""
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        document = json.loads(file.metadata()["myoscarseg"])
    document.update(changes)
    save_file(load_file(str(path)), str(path), metadata={"myoscarseg": json.dumps(document)})
    return path


def test_round_trip_keeps_record_and_weights(network, saved):
    loaded, record = load_checkpoint(saved)
    assert record == RECORD
    for name, value in network.state_dict().items():
        assert torch.allclose(loaded.state_dict()[name].float(), value.float(), rtol=1e-3, atol=1e-4), name


def test_same_weights_give_same_bytes(network, saved, tmp_path):
    save_checkpoint(tmp_path / "again.safetensors", network, RECORD)
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()


def test_file_is_small_enough_to_ship(saved):
    assert saved.stat().st_size < 6_500_000


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"normalisation": {"version": 2, "low_percentile": 0.5, "high_percentile": 99.8}}, "normalizes"),
        ({"normalisation": {"version": 1, "low_percentile": 1.0, "high_percentile": 99.8}}, "normalizes"),
        ({"task": "segment"}, "segment"),
        ({"format": "myoscarseg-segmenter"}, "not a detector"),
        ({"version": 99}, "version"),
        ({"architecture": "yolo11s"}, "does not fit"),
        ({"architecture": "../../evil"}, "no detection architecture"),
        ({"architecture": "yolo11n-seg"}, "no detection architecture"),
        ({"classes": ["scar", "lv", "rv"]}, "does not fit"),
        ({"classes": []}, "no sense"),
        ({"channels": 3}, "channels"),
        ({"image_size": 100000}, "image_size must be a whole number from 32 to 4096"),
        ({"confidence": 7}, "confidence must be a number from 0 to 1"),
        ({"second_look": {"size": 100, "margin": 1.6, "confidence": 0.05}}, "second_look.size must be"),
        ({"second_look": {"size": 128}}, "second_look lacks"),
        ({"normalisation": {"edition": 1}}, "normalisation has 'edition'"),
    ],
)
def test_unfit_record_is_refused(saved, changes, word):
    with pytest.raises(ModelError, match=word):
        load_checkpoint(rewritten(saved, **changes))


def test_other_normalization_says_what_to_do(network, tmp_path):
    path = tmp_path / "old.safetensors"
    save_checkpoint(path, network, replace(RECORD, normalisation=Normalization(version=7), program="9.9"))
    with pytest.raises(ModelError, match=r"Use MyoScarSeg 9\.9, or train"):
        read_record(path)


def test_other_peoples_safetensors_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(2)}, str(path))
    with pytest.raises(ModelError, match="no record"):
        load_detector(path)


def test_truncated_file_is_refused(saved):
    saved.write_bytes(saved.read_bytes()[:100_000])
    with pytest.raises(ModelError, match="Get it again"):
        load_detector(saved)


def test_weights_that_are_not_finite_are_refused(saved):
    tensors = load_file(str(saved))
    next(t for t in tensors.values() if t.is_floating_point()).view(-1)[0] = float("nan")
    from safetensors import safe_open

    with safe_open(str(saved), framework="pt") as file:
        metadata = file.metadata()
    save_file(tensors, str(saved), metadata=metadata)
    with pytest.raises(ModelError, match="not finite"):
        load_detector(saved)


def test_definition_in_the_working_folder_is_ignored(tmp_path, monkeypatch):
    marker = tmp_path / "executed"
    call = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    evil = f'nc: 2\nscales: {{n: [0.5, 0.25, 1024]}}\nbackbone:\n  - [-1, 1, "{call}", []]\nhead: []\n'
    for name in ("yolo11.yaml", "yolo11n.yaml"):
        (tmp_path / name).write_text(evil)
    monkeypatch.chdir(tmp_path)
    assert build_network("yolo11n", channels=1, classes=2) is not None
    assert not marker.exists()
