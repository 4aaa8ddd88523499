"""Fine-tuning the segmenter, on a real LiteMedSAM made small: it learns, repeats, stops, and its file can be used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.progress import CancelToken
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.training.detector_data import SCAR, phantom_samples
from MyoScarSegLib.training.segmenter import save_segmenter
from MyoScarSegLib.training.segmenter_loop import SegmenterSettings, fine_tune

SETTINGS = SegmenterSettings(side=32, window_mm=180.0, epochs=1, batch=2, prompts=2, phantom_share=0.0)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """A LiteMedSAM with random weights."""
    from torch import nn

    from MyoScarSegLib.segmentation.architectures import _mask_decoder, _prompt_encoder, _tiny_vit

    torch.manual_seed(0)
    encoder, stride = _tiny_vit(32)
    parts = {"image_encoder": encoder, "prompt_encoder": _prompt_encoder(32, stride), "mask_decoder": _mask_decoder()}
    return nn.ModuleDict(parts).state_dict()


@pytest.fixture(scope="module")
def samples():
    return [s for s in phantom_samples(5, 15) if s.targets[SCAR].sum() > 60][:4]


def weights(network) -> torch.Tensor:
    return torch.cat([p.detach().flatten()[:50] for p in network.parameters()])


def test_training_lowers_the_loss_and_repeats_with_its_seed(state, samples):
    losses: list[float] = []
    settings = replace(SETTINGS, epochs=6, encoder_rate=1e-3, decoder_rate=1e-3, seed=3)
    first = fine_tune(state, samples, [], settings, each_epoch=lambda e, n, f: losses.append(f["loss"]))
    assert min(losses[3:]) < 0.8 * losses[0]
    again = fine_tune(state, samples, [], replace(settings, epochs=1))
    once_more = fine_tune(state, samples, [], replace(settings, epochs=1))
    assert torch.equal(weights(again), weights(once_more))
    assert not torch.equal(weights(again), weights(first))


def test_cancel_is_honoured_at_the_next_step(state, samples):
    token = CancelToken()
    steps: list[int] = []

    def report(done: int, total: int, message: str) -> None:
        steps.append(done)
        token.cancel()

    with pytest.raises(Cancelled):
        fine_tune(state, samples, [], replace(SETTINGS, epochs=3), progress=report, cancel=token)
    assert steps == [1]


def test_training_without_scar_is_refused(state, samples):
    bare = [replace(s, targets=np.stack([np.zeros_like(s.targets[SCAR]), s.targets[1]])) for s in samples]
    with pytest.raises(ModelError, match="None of the training slices has scar"):
        fine_tune(state, bare, [], SETTINGS)


def test_saved_model_is_used_with_its_own_window_and_normalisation(state, samples, tmp_path):
    from MyoScarSegLib.segmentation import load_segmenter

    network = fine_tune(state, samples, [], SETTINGS)
    path = tmp_path / "ours.safetensors"
    save_segmenter(path, network, SETTINGS)
    segmenter = load_segmenter(path, device="cpu")
    assert segmenter.checkpoint.preprocessing == "myoscarseg-1"
    assert segmenter.window is not None
    assert (segmenter.window.side_px, segmenter.window.side_mm) == (32, 180.0)
    logits = segmenter.predict(samples[0].image, [Box(0, 60, 60, 90, 90)]).logits
    assert logits.shape == samples[0].image.shape
    assert np.isfinite(logits).all()
    with pytest.raises(ModelError, match="windows around the heart"):
        load_segmenter(path, device="cpu", view="slice")
