"""Bad checkpoints: status 1, the reason, and nothing in them is executed."""

from __future__ import annotations

import os
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from Testing.support.command import table, write_image
from Testing.support.tiny_models import OWN_METADATA, write_segmenter


@pytest.fixture
def image(tmp_path):
    return write_image(tmp_path / "one.nii.gz")


@pytest.fixture
def refused(command, image, tmp_path, tiny_segmenter, tiny_detector):
    """Runs ``segment`` with one model replaced, asserts that it fails, and returns the message."""

    def run(*, segmenter=None, detector=None, options=()):
        ran = command(
            "segment", image, "-o", tmp_path / "out", "--segmenter", segmenter or tiny_segmenter,
            "--detector", detector or tiny_detector, "--device", "cpu", *options,
        )  # fmt: skip
        assert ran.status == 1, ran.err
        assert table(tmp_path / "out" / "results.csv")[0]["status"] == "failed"
        message = next(line for line in ran.err.splitlines() if line.startswith("one: failed: "))
        assert "Unexpected" not in message and len(message) < 600
        return message

    return run


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("role", ["segmenter", "detector"])
@pytest.mark.parametrize("layout", ["torch", "plain", "old torch"])
def test_a_malicious_pickle_is_refused_and_not_executed(refused, tmp_path, role, layout):
    fuse = tmp_path / "executed"
    path = tmp_path / "evil.pt"
    document = {"model_state_dict": {"image_encoder": {}}, "model": Bomb(fuse)}
    if layout == "plain":
        path.write_bytes(pickle.dumps(document))
    else:
        torch.save(document, path, _use_new_zipfile_serialization=layout == "torch")
    message = refused(**{role: path})
    assert not fuse.exists()
    assert "evil.pt" in message and "--trust" in message


def test_the_malicious_pickle_of_these_tests_would_execute(tmp_path):
    """So that the test above does not pass for want of a working bomb."""
    torch.save({"model": Bomb(tmp_path / "executed")}, tmp_path / "evil.pt")
    torch.load(tmp_path / "evil.pt", weights_only=False)
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("role", ["segmenter", "detector"])
def test_a_checkpoint_that_is_missing_is_named(refused, tmp_path, role):
    assert "gone.pt" in refused(**{role: tmp_path / "gone.pt"})


@pytest.mark.parametrize("role", ["segmenter", "detector"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_truncated_or_empty_checkpoint_is_refused(refused, tmp_path, role, suffix, tiny_segmenter):
    path = tmp_path / f"cut{suffix}"
    if suffix == ".pt":
        write_segmenter(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes(tiny_segmenter.read_bytes()[: tiny_segmenter.stat().st_size // 2])
    assert path.name in refused(**{role: path})
    path.write_bytes(b"")
    assert path.name in refused(**{role: path})


def test_a_detector_is_no_segmenter(refused, tiny_detector):
    message = refused(segmenter=tiny_detector)
    assert "tiny-yolo.safetensors" in message and "segmenter" in message


def test_a_segmenter_is_no_detector(refused, tiny_segmenter):
    message = refused(detector=tiny_segmenter)
    assert "tiny-sam.safetensors" in message and "not a detector" in message


def test_a_torch_segmenter_is_no_detector(refused, tmp_path):
    message = refused(detector=write_segmenter(tmp_path / "sam.pt"))
    assert "sam.pt" in message and "--segmenter" in message


def test_another_architecture_is_refused(refused, tmp_path):
    state = {
        "conv1.weight": torch.zeros(64, 3, 7, 7),
        "layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1),
        "fc.weight": torch.zeros(9, 9),
    }
    torch.save(state, tmp_path / "resnet.pth")
    message = refused(segmenter=tmp_path / "resnet.pth")
    assert "resnet.pth" in message and "image_encoder" in message and "not a SAM checkpoint" in message


def test_a_sam_that_lacks_tensors_or_has_them_in_another_shape_is_refused(refused, tmp_path, tiny_segmenter):
    state = load_file(str(tiny_segmenter))
    lacking = dict(state)
    lacking.pop("mask_decoder.iou_token.weight")
    save_file(lacking, str(tmp_path / "lacking.safetensors"), metadata=OWN_METADATA)
    assert "lacks the tensor mask_decoder.iou_token.weight" in refused(segmenter=tmp_path / "lacking.safetensors")
    state["mask_decoder.iou_token.weight"] = torch.zeros(1, 128)
    save_file(state, str(tmp_path / "other.safetensors"), metadata=OWN_METADATA)
    assert "another shape" in refused(segmenter=tmp_path / "other.safetensors")


def test_a_segmenter_of_an_unknown_preprocessing_is_refused(refused, tmp_path):
    message = refused(segmenter=write_segmenter(tmp_path / "new.safetensors", preprocessing="myoscarseg-9"))
    assert "myoscarseg-9" in message and "myoscarseg-1" in message


def test_a_segmenter_of_another_normalization_is_refused(refused, tmp_path):
    message = refused(segmenter=write_segmenter(tmp_path / "new.safetensors", high_percentile="99.0"))
    assert "normalization" in message and "99.0" in message and "99.8" in message


def test_preprocessing_that_contradicts_the_checkpoint_is_refused(refused):
    message = refused(options=("--preprocessing", "sam"))
    assert "myoscarseg-1" in message and "'sam'" in message


def test_a_detector_of_another_normalization_is_refused(refused, tmp_path):
    from MyoScarSegLib.detection.architecture import build_network
    from MyoScarSegLib.detection.detector_checkpoint import DetectorRecord, save_checkpoint
    from MyoScarSegLib.study.normalization import Normalization

    record = DetectorRecord("yolo11n", ("scar",), 64, 0.5, 0.5, normalisation=Normalization(high_percentile=90.0))
    save_checkpoint(tmp_path / "other.safetensors", build_network("yolo11n", channels=1, classes=1), record)
    message = refused(detector=tmp_path / "other.safetensors")
    assert "90.0" in message and "99.8" in message


def test_a_tampered_checkpoint_is_refused_by_its_checksum(command, image, tmp_path, tiny_detector, own_cache):
    """An installed model whose file was changed afterwards, by a single bit, without changing its size."""
    from MyoScarSegLib.models import registry

    source = write_segmenter(tmp_path / "best_model.pth")
    assert command("models", "import", "yolosam-sam", source).status == 0
    installed = registry().path("yolosam-sam")
    data = bytearray(installed.read_bytes())
    data[len(data) // 2] ^= 1
    installed.write_bytes(data)
    ran = command("segment", image, "-o", tmp_path / "out", "--segmenter", "yolosam-sam", "--detector", tiny_detector)
    assert ran.status == 1
    message = next(line for line in ran.err.splitlines() if line.startswith("one: failed: "))
    assert "yolosam-sam" in message and "SHA-256" in message
    ran = command("models", "verify", "yolosam-sam")
    assert ran.status == 1 and "yolosam-sam" in ran.err


def test_a_model_that_is_not_installed_says_how_to_get_it(refused):
    message = refused(segmenter="sam-vit-b")
    assert "models fetch sam-vit-b" in message


def test_a_segmenter_named_as_detector_and_the_other_way_round(refused):
    assert "--segmenter" in refused(detector="litemedsam")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_segmenter_with_weights_that_are_not_finite_is_refused(refused, tmp_path, tiny_segmenter, suffix, value):
    state = load_file(str(tiny_segmenter))
    state["mask_decoder.iou_token.weight"].view(-1)[3] = value
    path = tmp_path / f"broken{suffix}"
    if suffix == ".pt":
        torch.save(state, path)
    else:
        save_file(state, str(path), metadata=OWN_METADATA)
    message = refused(segmenter=path)
    assert path.name in message and "mask_decoder.iou_token.weight are not finite" in message
