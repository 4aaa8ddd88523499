"""Bad checkpoints: status 1, the reason in one line, and nothing in them is executed.

What can be wrong with a checkpoint is in ``Testing/segmentation`` and ``Testing/detection``; here it comes to the user.
"""

from __future__ import annotations

import pytest
import torch

from Testing.support.command import table, write_image
from Testing.support.odd_checkpoints import Touch
from Testing.support.tiny_models import write_segmenter


@pytest.fixture
def refused(command, tmp_path, tiny_segmenter, tiny_detector):
    """Runs ``segment`` with one model replaced, asserts that it fails, and returns the message."""
    image = write_image(tmp_path / "one.nii.gz")

    def run(*options: object, **model: object) -> str:
        models = {"segmenter": tiny_segmenter, "detector": tiny_detector, **model}
        given = [word for role, path in models.items() for word in (f"--{role}", path)]
        ran = command("segment", image, "-o", tmp_path / "out", *given, "--device", "cpu", *options)
        assert ran.status == 1, ran.err
        assert table(tmp_path / "out" / "results.csv")[0]["status"] == "failed"
        message = next(line for line in ran.err.splitlines() if line.startswith("one: failed: "))
        assert "Unexpected" not in message and len(message) < 600
        return str(message)

    return run


@pytest.mark.parametrize("role", ["segmenter", "detector"])
def test_a_malicious_pickle_is_refused_and_not_executed(refused, tmp_path, role):
    fuse, path = tmp_path / "executed", tmp_path / "evil.pt"
    torch.save({"model_state_dict": {"image_encoder": {}}, "model": Touch(fuse)}, path)
    message = refused(**{role: path})
    assert not fuse.exists()
    assert "evil.pt" in message and "--trust" in message
    torch.load(path, weights_only=False)
    assert fuse.exists(), "the bomb would work"


def test_a_model_of_the_other_kind_is_said_to_be_so(refused, tmp_path, tiny_segmenter, tiny_detector):
    message = refused(segmenter=tiny_detector)
    assert "tiny-yolo.safetensors" in message and "segmenter" in message
    message = refused(detector=tiny_segmenter)
    assert "tiny-sam.safetensors" in message and "not a detector" in message
    message = refused(detector=write_segmenter(tmp_path / "sam.pt"))
    assert "sam.pt" in message and "--segmenter" in message
    assert "--segmenter" in refused(detector="litemedsam")
