"""Fine-tuning a real LiteMedSAM made small in each mode: what learns, what does not, and what is written."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from MyoScarSegLib.errors import Cancelled, ModelError
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.segmentation import SegmenterImage, context, load_segmenter
from MyoScarSegLib.segmentation.answers import Answers
from MyoScarSegLib.segmentation.context import ContextNetwork
from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.finetune.fine_tuning import Outcome, Patients, Training, fine_tune, segmenter_of
from MyoScarSegLib.training.finetune.network import drawn_back, save_model
from MyoScarSegLib.training.finetune.prompts_phase import prompts_loss
from MyoScarSegLib.training.finetune.training_slices import sam_window, training_slices
from MyoScarSegLib.training.loop.phase_training import Session
from MyoScarSegLib.training.loop.training_processes import Processes, open_accelerator
from MyoScarSegLib.training.train_job import MODES, Hooks
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.tiny_models import SEGMENTER_SIDE, write_segmenter
from Testing.support.tiny_training import (
    SETTINGS,
    SIDE,
    WIDTHS,
    WINDOW_MM,
    entries,
    network_of,
    slices_of,
    tensors_of,
    write_start,
)

QUICK = replace(SETTINGS, context_epochs=1, epochs=2, encoder_rate=5e-4, decoder_rate=2e-3, context_rate=1e-2)
SAM_ALONE = replace(QUICK, context_epochs=0)
PATIENTS = Patients(slices_of("a", 1), slices_of("b", 2))


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    return write_start(tmp_path_factory.mktemp("start") / "start.safetensors")


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    """A start model without context network."""
    return write_start(tmp_path_factory.mktemp("bare") / "bare.safetensors", context=False)


@pytest.fixture(scope="module")
def module_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYOSCARSEG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def processes() -> Processes:
    return Processes(open_accelerator("cpu", "no"))


EACH_MODE = [pytest.param(mode, marks=[] if mode == "decoder" else pytest.mark.slow) for mode in MODES]


@dataclass
class Finished:
    """A training that nobody stopped: what it gave, and the last network that it wrote, as it was in memory."""

    outcome: Outcome
    network: torch.nn.ModuleDict

    @property
    def folder(self) -> Path:
        return self.outcome.model.parent


@pytest.fixture(scope="module")
def trained(start, tmp_path_factory, module_cache):
    """A finished training in each mode, made once."""
    made: dict[str, Finished] = {}

    def of(mode: str) -> Finished:
        if mode not in made:
            saved = []

            def save(path, network, *rest) -> None:
                saved.append(network)
                save_model(path, network, *rest)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("MyoScarSegLib.training.finetune.fine_tuning.save_model", save)
                settings = replace(QUICK, mode=mode)
                outcome = fine_tune(start, PATIENTS, settings, tmp_path_factory.mktemp(mode), device="cpu", license="CC0-1.0")
            made[mode] = Finished(outcome, saved[-1])
        return made[mode]

    return of


def stop_at(step: int, phase: str = "prompts") -> Hooks:
    token = CancelToken()

    def progress(done: int, total: int, message: str) -> None:
        if message.startswith(phase) and done == step:
            token.cancel()

    return Hooks(progress, token)


def differing(first: Path, second: Path) -> set[str]:
    """Names of the tensors that differ between two models, beyond half precision."""
    a, b = tensors_of(first), tensors_of(second)
    assert a.keys() == b.keys()
    return {key for key in a if not torch.equal(a[key].half(), b[key].half())}


def loss_of(model: Path, side: int = SIDE, window_mm: float = WINDOW_MM) -> float:
    """On the training patient's windows and prompts that are always the same."""
    augmenter = Augmenter("none", side)
    samples = training_slices(PATIENTS.training)
    items = [sam_window(sample, augmenter, window_mm, (0,)) for sample in samples]
    with torch.inference_mode():
        loss = prompts_loss(network_of(model), items, QUICK, [(1, n) for n in range(len(items))], "myoscarseg-1")
    return float(loss.total) / len(items)


@pytest.mark.parametrize("mode", EACH_MODE)
def test_it_learns(trained, start, mode):
    epochs = trained(mode).outcome.epochs
    assert [(epoch["phase"], epoch["epoch"]) for epoch in epochs] == [
        ("context", 1),
        ("asked", 1),
        ("prompts", 1),
        ("prompts", 2),
    ]
    assert loss_of(trained(mode).outcome.model) < 0.95 * loss_of(start)


def state_of(finished: Finished, phase: str, kind: str = "network") -> dict[str, torch.Tensor]:
    """The network as a phase left it."""
    state: dict[str, torch.Tensor] = torch.load(finished.folder / f"{phase}.checkpoint", weights_only=True)["state"][kind]
    return state


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {key for key in before if not torch.equal(before[key], after[key])}


@pytest.mark.parametrize("mode", EACH_MODE)
@pytest.mark.parametrize("kind", ["network", "averaged"])
def test_only_what_phase_and_mode_name_learns(trained, start, mode, kind):
    """What is frozen stays to the last bit."""
    begun = tensors_of(start)
    begun |= {key.replace("context.", "asked.unrolled."): value for key, value in begun.items() if key.startswith("context.")}
    between = state_of(trained(mode), "asked", "averaged")
    assert {key.split(".")[0] for key in changed(begun, state_of(trained(mode), "context", kind))} == {"context"}
    twins = changed(state_of(trained(mode), "context", "averaged"), state_of(trained(mode), "asked", kind))
    assert {key.split(".")[0] for key in twins} == {"asked"}
    learned = changed(between, state_of(trained(mode), "prompts", kind))
    sam = {"prompt_encoder", "mask_decoder"}
    assert {key.split(".")[0] for key in learned} == (sam if mode == "decoder" else sam | {"image_encoder"})
    encoder = {key.removeprefix("image_encoder.") for key in learned if key.startswith("image_encoder.")}
    assert not any("running_" in key or "num_batches" in key for key in encoder), "the statistics of batch normalization stay"
    if mode == "full":
        assert {"patch_embed.seq.0.c.weight", "neck.0.weight"} <= encoder


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "step"), [("decoder", 2), ("full", 1)])
def test_a_stopped_training_goes_on_to_the_same_model(trained, start, tmp_path, module_cache, mode, step):
    """In the middle of an epoch, and between two."""
    settings = replace(QUICK, mode=mode)
    with pytest.raises(Cancelled) as stopped:
        fine_tune(start, PATIENTS, settings, tmp_path, device="cpu", hooks=stop_at(step))
    model = tmp_path / "segmenter.safetensors"
    assert str(stopped.value) == f"Cancelled. {model} is the best model so far; the training can be resumed in {tmp_path}."
    assert load_segmenter(tmp_path / "segmenter.safetensors", device="cpu").knows_tissue
    found = fine_tune(start, PATIENTS, settings, tmp_path, device="cpu", resume=True)
    assert not differing(found.model, trained(mode).outcome.model)
    assert entries(tmp_path / "log.jsonl") == entries(trained(mode).folder / "log.jsonl")


@pytest.mark.parametrize("mode", EACH_MODE)
def test_the_file_predicts_what_the_network_predicted(trained, mode):
    done = trained(mode)
    before, after = segmenter_of(done.network, done.outcome.start, "cpu"), load_segmenter(done.outcome.model, device="cpu")
    assert after.window is not None and after.window.side_px == SIDE
    image, box = SegmenterImage(PATIENTS.validation[0].image, (1.4, 1.4), (24.0, 20.0)), Box(0, 14, 8, 28, 16)
    expected, found = before.predict(image, [box]), after.predict(image, [box])
    np.testing.assert_allclose(found.logits, expected.logits, atol=0.05)
    assert np.abs(expected.logits).max() > 1
    np.testing.assert_allclose(after.tissue(image), before.tissue(image), atol=0.01)


@pytest.mark.slow
def test_a_sam_alone_gets_a_context_network_that_learns_ventricles_first(tmp_path, module_cache, monkeypatch):
    """And a training that is stopped in any of the phases goes on to the same model."""
    bare = write_segmenter(tmp_path / "vit.safetensors", window_mm="60.0")
    monkeypatch.setattr(context, "ContextNetwork", lambda widths=WIDTHS: ContextNetwork(widths))
    patients = replace(PATIENTS, anatomy=slices_of("c", 3, 2, scar=False))
    settings = replace(QUICK, mode="decoder", anatomy_epochs=1, epochs=1)
    whole = fine_tune(bare, patients, settings, tmp_path / "whole", device="cpu")
    assert [(e["phase"], "validation_scar_dice" in e) for e in whole.epochs] == [
        ("anatomy", False), ("context", True), ("asked", False), ("prompts", False),
    ]  # fmt: skip
    for phase in ("anatomy", "context", "asked", "prompts"):
        with pytest.raises(Cancelled):
            fine_tune(bare, patients, settings, tmp_path / "stopped", device="cpu", resume=True, hooks=stop_at(1, phase))
        assert load_segmenter(tmp_path / "stopped" / "segmenter.safetensors", device="cpu").knows_tissue
    found = fine_tune(bare, patients, settings, tmp_path / "stopped", device="cpu", resume=True)
    assert not differing(found.model, whole.model)
    assert entries(tmp_path / "stopped" / "log.jsonl") == entries(tmp_path / "whole" / "log.jsonl")


def test_a_start_model_of_ventricles_alone_has_no_twin_so_that_the_next_training_makes_one_of_what_knows_scar(tmp_path):
    start, alone = write_start(tmp_path / "start.safetensors"), Patients([], (), slices_of("c", 3, 2, scar=False))
    done = fine_tune(start, alone, replace(QUICK, anatomy_epochs=1, epochs=0), tmp_path / "out", device="cpu")
    names = {key.split(".")[0] for key in load_file(done.model)}
    assert "context" in names
    assert "asked" not in names


def test_anatomy_is_learned_from_cine_and_twice_from_late_enhancement_drawn_over_it(tmp_path, processes):
    cine = slices_of("c", 3, 2, scar=False)
    start = write_start(tmp_path / "start.safetensors")
    training = Training(start, replace(PATIENTS, anatomy=cine), QUICK, Session(processes, tmp_path))
    assert sorted(training.anatomy().order(0)) == list(range(3 * len(cine)))


def test_a_model_keeps_how_its_answers_are_put_together(tmp_path, processes):
    said = Answers(0.2, (1.5, -0.1), (0.9, 0.3))
    measured = replace(said, alone_error=(1.0, 0.5, 2.0), asked_error=(2.0, 0.25, 1.0))
    start = write_start(tmp_path / "start.safetensors", answers=json.dumps(to_json(measured)))
    # How far masses are off was measured for the start model alone.
    for settings, kept in ((QUICK, said), (replace(QUICK, answers=Answers(0.7)), Answers(0.7))):
        training = Training(start, PATIENTS, settings, Session(processes, tmp_path))
        save_model(tmp_path / "saved.safetensors", training.network, training.start, "")
        assert load_segmenter(tmp_path / "saved.safetensors", device="cpu").answers == kept
        assert segmenter_of(training.network, training.start, "cpu").answers == kept


@pytest.mark.parametrize("mode", EACH_MODE)
def test_a_sam_alone_trains(tmp_path, module_cache, mode):
    start = write_segmenter(tmp_path / "vit.safetensors", window_mm="60.0")
    settings = replace(SAM_ALONE, mode=mode, epochs=3)
    outcome = fine_tune(start, PATIENTS, settings, tmp_path / "out", device="cpu")
    segmenter = load_segmenter(outcome.model, device="cpu")
    assert not segmenter.knows_tissue
    assert segmenter.window is not None and segmenter.window.side_mm == 60.0
    # Not by the epochs' losses: which windows have a prompt at all differs from epoch to epoch.
    assert loss_of(outcome.model, SEGMENTER_SIDE, 60.0) < 0.97 * loss_of(start, SEGMENTER_SIDE, 60.0)
    encoder = {key for key in differing(start, outcome.model) if key.startswith("image_encoder.")}
    assert bool(encoder) == (mode != "decoder")


@pytest.mark.slow
def test_the_best_epoch_end_to_end_is_kept_and_the_training_stops_early(start, tmp_path):
    scores, seen = [0.3, 0.6, 0.5, 0.4, 0.9], []

    def look(epoch, segmenter) -> dict[str, float]:
        seen.append({key: value.clone() for key, value in segmenter.checkpoint.state.items()})
        return {"score": scores[len(seen) - 1], "dice": scores[len(seen) - 1]}

    settings = replace(SAM_ALONE, mode="decoder", epochs=5, evaluate_every=1, patience=2, batch=6)
    outcome = fine_tune(start, PATIENTS, settings, tmp_path, look=look, device="cpu")
    assert len(seen) == 4 and outcome.best_epoch == 2
    assert [e["validation_score"] for e in outcome.epochs] == scores[:4]
    kept = tensors_of(outcome.model)
    assert all(torch.equal(kept[key], seen[1][key].half().to(kept[key])) for key in kept)
    again = fine_tune(start, PATIENTS, settings, tmp_path, look=look, device="cpu", resume=True)
    assert len(seen) == 4 and again.best_epoch == 2

    outcome.model.unlink()
    with pytest.raises(ModelError, match="the best of the training so far, is gone"):
        fine_tune(start, PATIENTS, settings, tmp_path, look=look, device="cpu", resume=True)


def test_validation_every_few_epochs_and_after_the_last(start, processes, tmp_path):
    seen: list[int] = []
    training = Training(start, PATIENTS, replace(QUICK, epochs=5, evaluate_every=2), Session(processes, tmp_path))
    phase = training.prompts(look=lambda epoch, segmenter: seen.append(epoch) or {"score": 0.5})
    looked = [phase.validate(epoch, training.network) is not None for epoch in range(1, 6)]
    assert seen == [2, 4, 5] and looked == [False, True, False, True, True]


def test_cancel_while_the_embeddings_are_made(start, tmp_path, processes):
    token = CancelToken()
    seen: list[str] = []

    def progress(done: int, total: int, message: str) -> None:
        seen.append(message)
        if done == 2:
            token.cancel()

    settings = replace(SAM_ALONE, mode="decoder", epochs=1)
    with pytest.raises(Cancelled):
        fine_tune(start, PATIENTS, settings, tmp_path, device="cpu", hooks=Hooks(progress, token))
    assert seen == ["Preparing the training windows"] * 3
    assert embeddings_made(start, processes) == 3, "of six; three were kept"


def embeddings_made(model: Path, processes: Processes) -> int:
    """How many a training from a model makes before its first step."""
    log: list[dict] = []
    session = Session(processes, model.parent, SimpleNamespace(event=lambda **entry: log.append(entry)))
    Training(model, PATIENTS, replace(QUICK, mode="decoder"), session).prompts()
    return log[0]["made"]


def test_cancel_while_hearts_are_looked_for(start, tmp_path):
    token, asked = CancelToken(), []

    def heart_of(stack):
        asked.append(stack[0].patient)
        token.cancel()

    scar_only = [replace(s, labels=np.where(s.labels >= 3, s.labels, 0), wall_known=False) for s in PATIENTS.training]
    more = [replace(s, patient="c") for s in scar_only]
    with pytest.raises(Cancelled):
        fine_tune(start, Patients(scar_only + more, heart_of=heart_of), QUICK, tmp_path, device="cpu", hooks=Hooks(cancel=token))
    assert asked == ["a"]


def copy_of(finished: Finished, folder: Path) -> Path:
    """Links: what is there is only ever replaced as a whole."""
    shutil.copytree(finished.folder, folder, copy_function=os.link)
    return folder


CHANGES = {
    "settings": lambda s, p: (replace(s, context_rate=2e-2), p),
    "labels": lambda s, p: (s, Patients([*p.training[:-1], replace(p.training[-1], labels=p.training[0].labels)], p.validation)),
    "patients": lambda s, p: (s, Patients([*p.training, *slices_of("c", 3)], p.validation)),
}


@pytest.mark.parametrize("change", [*CHANGES, "start model"])
def test_a_checkpoint_of_another_training_is_refused(trained, start, bare, tmp_path, module_cache, change):
    folder = copy_of(trained("decoder"), tmp_path / "out")
    settings, patients = CHANGES[change](QUICK, PATIENTS) if change in CHANGES else (QUICK, PATIENTS)
    model = write_start(tmp_path / "other.safetensors", seed=5) if change == "start model" else start
    with pytest.raises(ModelError, match="belongs to a training with other settings, data or start model"):
        fine_tune(model, patients, replace(settings, mode="decoder"), folder, device="cpu", resume=True)


@pytest.mark.slow
def test_a_new_training_finds_nothing_of_the_old_one_and_leaves_nothing_of_it_when_stopped(
    trained, start, tmp_path, module_cache
):
    folder = copy_of(trained("decoder"), tmp_path / "out")
    settings = replace(SAM_ALONE, mode="decoder", epochs=1)
    with pytest.raises(Cancelled):
        fine_tune(start, PATIENTS, settings, folder, device="cpu", hooks=stop_at(0, ""))
    assert not list(folder.glob("*.checkpoint"))
    outcome = fine_tune(start, PATIENTS, settings, folder, device="cpu", resume=True)
    assert [e["epoch"] for e in outcome.epochs] == [1]
    assert len(entries(folder / "log.jsonl")) == 3
    assert len(entries(trained("decoder").folder / "log.jsonl")) == 10


def test_training_without_scar_is_refused(start, tmp_path):
    with pytest.raises(ModelError, match="None of the training slices has scar"):
        fine_tune(start, Patients(slices_of("n", 3, scar=False)), QUICK, tmp_path, device="cpu")


def test_windows_without_prompt_cost_nothing(start):
    """Slices without scar mostly have none."""
    network = network_of(start).requires_grad_(True)
    samples = [s for s in training_slices(PATIENTS.training) if not s.has_scar]
    items = [sam_window(sample, Augmenter("none", SIDE), WINDOW_MM, (n,)) for n, sample in enumerate(samples * 2)]
    settings = replace(QUICK, prompting=replace(QUICK.prompting, empty=0.0, ventricle=0.0))
    loss = prompts_loss(network, items, settings, [(n,) for n in range(len(items))], "myoscarseg-1")
    assert loss.total == loss.parts["mask"] == loss.parts["corrected"] == 0
    assert not loss.total.requires_grad


def test_cached_embeddings_are_learned_from_in_half_precision_too(start):
    """As on processors that compute in bfloat16, while embeddings are kept in float16."""
    network = network_of(start).requires_grad_(True)
    items = [sam_window(s, Augmenter("none", SIDE), WINDOW_MM, (0,)) for s in training_slices(PATIENTS.training)]
    with torch.inference_mode():
        features = network["image_encoder"](torch.stack([i.image for i in items]).expand(-1, 3, -1, -1)).half()
    cached = [i._replace(features=f.clone()) for i, f in zip(items, features, strict=True)]
    seeds = [(1, n) for n in range(len(items))]
    exact = prompts_loss(network, cached, QUICK, seeds, "myoscarseg-1")
    with torch.autocast("cpu", torch.bfloat16):
        rough = prompts_loss(network, cached, QUICK, seeds, "myoscarseg-1")
    assert float(rough.total.detach()) == pytest.approx(float(exact.total.detach()), rel=0.05)


@pytest.mark.parametrize("mode", EACH_MODE)
def test_steps_in_which_no_window_has_a_prompt_are_taken(bare, tmp_path, mode):
    settings = replace(
        SAM_ALONE, mode=mode, epochs=1, batch=1,
        prompting=replace(QUICK.prompting, empty=0.0, ventricle=0.0),
    )  # fmt: skip
    outcome = fine_tune(bare, PATIENTS, settings, tmp_path, device="cpu")
    steps = [entry["loss"] for entry in entries(tmp_path / "log.jsonl") if entry["event"] == "step"]
    assert len(steps) == 3 and steps.count(0.0) == 1
    assert np.isfinite(outcome.epochs[0]["loss"])
    assert all(torch.isfinite(value).all() for value in tensors_of(outcome.model).values())


def test_models_with_the_same_encoder_share_their_embeddings(trained, start, processes, tmp_path, monkeypatch):
    """So a training goes on from a model that it gave without another hour of embeddings."""
    model = trained("decoder").outcome.model
    monkeypatch.setenv(
        "MYOSCARSEG_CACHE", str(tmp_path)
    )  # without those of the training, if this test is the first to ask for it
    assert start.read_bytes() != model.read_bytes()
    # The start model of this test has single precision, and what is saved has half of it.
    assert [embeddings_made(one, processes) for one in (start, model, model)] == [6, 6, 0]


def test_the_start_models_share_is_in_every_weight_and_in_what_is_looked_at(start, tmp_path, monkeypatch):
    monkeypatch.setenv("MYOSCARSEG_CACHE", str(tmp_path / "cache"))
    looked = []

    def look(_epoch, segmenter):
        looked.append({k: v.clone() for k, v in segmenter.checkpoint.state.items()})
        return {"score": float(len(looked))}

    made = {}
    for share in (0.0, 0.5):
        settings = replace(SAM_ALONE, epochs=1, start_share=share, evaluate_every=1)
        outcome = fine_tune(start, PATIENTS, settings, tmp_path / str(share), look=look, device="cpu")
        made[share] = {k: v.float() for k, v in tensors_of(outcome.model).items()}
        assert all(torch.equal(v.half().float(), looked[-1][k].half().float()) for k, v in made[share].items())
    begun = {k: v.half().float() for k, v in tensors_of(start).items()}
    assert any(not torch.allclose(made[0.0][k], v, atol=1e-3) for k, v in begun.items()), "it has learned"
    for k, v in begun.items():
        assert torch.allclose(made[0.5][k], (made[0.0][k] + v) / 2, atol=2e-3), k


def test_what_is_new_in_a_network_is_not_drawn_back():
    network, start = torch.nn.ModuleDict({"old": torch.nn.Linear(2, 1), "new": torch.nn.Linear(2, 1)}), torch.nn.Linear(2, 1)
    drawn = drawn_back(network, {f"old.{name}": value for name, value in start.state_dict().items()}, 0.25)
    assert torch.allclose(drawn["old"].weight, 0.75 * network["old"].weight + 0.25 * start.weight)
    assert torch.equal(drawn["new"].weight, network["new"].weight)
