"""The training loop: it goes on as if never stopped, stops within a step, survives crashes, and works in little memory."""

from __future__ import annotations

import errno
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from MyoScarSegLib.errors import Cancelled, ModelError, OutputError
from MyoScarSegLib.training.loop import phase_training
from MyoScarSegLib.training.loop.phase_training import rate_factor
from MyoScarSegLib.utils.device import is_out_of_memory
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.tiny_training import TinyPhase, assert_learned_alike, context_network, entries, phase_loss, weights


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Weights, averaged weights and log of a training that nobody stopped."""
    tiny = TinyPhase(tmp_path_factory.mktemp("uninterrupted"))
    done = tiny.run()
    return weights(done.network), weights(done.averaged), entries(tiny.log)


def assert_same(tiny: TinyPhase, outcome, uninterrupted) -> None:
    assert torch.equal(weights(outcome.network), uninterrupted[0])
    assert torch.equal(weights(outcome.averaged), uninterrupted[1])
    assert entries(tiny.log) == uninterrupted[2]


def losses_in(log) -> list[float]:
    return [value for entry in log for value in (entry["loss"], entry["tissue"])]


@pytest.mark.parametrize("stop_at", [1, 2, 3, 5, 8, 9])
def test_a_stopped_training_goes_on_to_the_same_result(tmp_path, uninterrupted, stop_at):
    tiny = TinyPhase(tmp_path)
    with pytest.raises(Cancelled):
        tiny.run(stop_at=stop_at)
    assert len(tiny.messages) == stop_at, "not one step more"
    assert torch.equal(tiny.kept[-1], averaged_in(tiny)), "the best so far is what was reached"
    assert_same(tiny, tiny.run(resume=True), uninterrupted)
    assert torch.equal(tiny.kept[-1], uninterrupted[1])


def averaged_in(tiny: TinyPhase) -> torch.Tensor:
    state = torch.load(tiny.checkpoint, weights_only=True)["state"]["averaged"]
    return torch.cat([value.flatten() for value in state.values()])


def test_a_token_that_is_set_already_stops_before_the_first_step(tmp_path):
    tiny = TinyPhase(tmp_path)
    with pytest.raises(Cancelled):
        tiny.run(cancel=CancelToken(0))
    assert tiny.messages == [] and len(tiny.kept) == 1


def test_cancel_while_the_validation_patients_are_looked_at(tmp_path):
    looks: list[int] = []

    def look(stop: bool):
        def validate(epoch, averaged):
            looks.append(epoch)
            if stop and epoch == 2:
                raise Cancelled()
            return {"score": float(weights(averaged).abs().mean())}

        return validate

    reference = TinyPhase(tmp_path / "whole", validate=look(False))
    expected = reference.run()
    tiny = TinyPhase(tmp_path / "stopped", validate=look(True))
    with pytest.raises(Cancelled):
        tiny.run()
    assert len(tiny.kept) == 1, "the best so far is that of the epoch before"
    looks.clear()
    tiny.phase = replace(tiny.phase, validate=look(False))
    found = tiny.run(resume=True)
    assert looks == [2, 3], "the epoch that was not looked at is looked at now, and not trained again"
    assert torch.equal(weights(found.network), weights(expected.network))
    assert entries(tiny.log) == entries(reference.log)


def test_a_finished_training_is_not_done_again(tmp_path, uninterrupted):
    tiny = TinyPhase(tmp_path)
    tiny.run()
    tiny.messages.clear()
    again = tiny.run(resume=True)
    assert tiny.messages == []
    assert torch.equal(weights(again.averaged), uninterrupted[1])


def full_disk(*args: object, **kwargs: object) -> None:
    raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")


def no_rename(*args: object, **kwargs: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


class PowerCut(BaseException):
    """Nothing catches this."""


def torn(document: object, path: Path) -> None:
    path.write_bytes(b"half a file")
    raise PowerCut


@pytest.mark.parametrize(
    ("place", "name", "crash", "seen"),
    [(torch, "save", full_disk, OutputError), (Path, "replace", no_rename, OutputError), (torch, "save", torn, PowerCut)],
)
def test_a_crash_while_the_checkpoint_is_written_leaves_the_last_one(
    tmp_path, uninterrupted, monkeypatch, place, name, crash, seen
):
    tiny = TinyPhase(tmp_path)
    with pytest.raises(Cancelled):
        tiny.run(stop_at=2)
    before = tiny.checkpoint.read_bytes()
    with monkeypatch.context() as broken, pytest.raises(seen):
        # The log is opened first; what is renamed then is the checkpoint.
        tiny.phase = replace(tiny.phase, validate=lambda epoch, averaged: broken.setattr(place, name, crash))
        tiny.run(resume=True)
    assert tiny.checkpoint.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"context.checkpoint", "log.jsonl"}, "nothing half written is left"
    tiny.phase = replace(tiny.phase, validate=None)
    assert_same(tiny, tiny.run(resume=True), uninterrupted)


NO_MEMORY = RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried")


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (NO_MEMORY, True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory: you tried to"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"), True),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), False),
        (ValueError("memory of a shape"), False),
    ],
)
def test_lack_of_memory_is_known_by_what_torch_says(error, meant):
    assert is_out_of_memory(error) is meant


def test_when_memory_runs_out_the_step_is_divided(tmp_path, uninterrupted):
    asked: list[int] = []

    def small_memory(network, items, seeds):
        asked.append(len(items))
        loss = phase_loss(network, items, seeds)
        if len(items) > 1:
            loss.total.backward()  # what an attempt has left in the gradients must not count
            raise NO_MEMORY
        return loss

    tiny = TinyPhase(tmp_path, loss=small_memory)
    network = tiny.run().network
    assert asked[:3] == [3, 2, 1] and set(asked[2:]) == {1}, "once divided it stays so"
    assert_learned_alike(weights(network), uninterrupted[0])
    assert losses_in(entries(tiny.log)) == pytest.approx(losses_in(uninterrupted[2]), rel=1e-3)


def test_memory_that_does_not_suffice_for_one_window_is_an_error(tmp_path):
    def no_memory(network, items, seeds):
        raise NO_MEMORY

    with pytest.raises(ModelError, match="too little memory to train with, even for one window at a time"):
        TinyPhase(tmp_path, loss=no_memory).run()


def test_other_errors_are_not_taken_for_a_lack_of_memory(tmp_path):
    def broken(network, items, seeds):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        TinyPhase(tmp_path, loss=broken).run()


def test_without_averaging_the_last_network_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(phase_training, "AVERAGING", 0.0)
    tiny = TinyPhase(tmp_path)
    done = tiny.run()
    assert torch.equal(weights(done.averaged), weights(done.network))
    assert torch.equal(tiny.kept[-1], weights(done.network))


def test_averaged_weights_follow_the_network(uninterrupted):
    last, averaged, _ = uninterrupted
    start = weights(context_network())
    assert not torch.equal(last, averaged)
    assert (averaged - last).norm() < (start - last).norm()


SCORES = [0.1, 0.5, 0.4, 0.5, 0.9, 0.9]


def look(seen: dict[int, torch.Tensor]):
    def validate(epoch, averaged):
        seen[epoch] = weights(averaged)
        return {"score": SCORES[epoch - 1], "dice": 0.25}

    return validate


def test_training_stops_when_the_score_gets_no_better_and_the_best_is_kept(tmp_path):
    seen: dict[int, torch.Tensor] = {}
    tiny = TinyPhase(tmp_path, epochs=6, patience=2, validate=look(seen))
    done = tiny.run()
    assert sorted(seen) == [1, 2, 3, 4]
    assert done.best_epoch == 2 and torch.equal(tiny.kept[-1], seen[2])
    logged = [e for e in entries(tiny.log) if e["event"] == "epoch"]
    assert [e["validation_score"] for e in logged] == SCORES[:4] and logged[0]["validation_dice"] == 0.25
    again = tiny.run(resume=True)
    assert sorted(seen) == [1, 2, 3, 4] and again.best_epoch == 2, "stopped for good"


def test_patience_survives_a_stop(tmp_path):
    seen: dict[int, torch.Tensor] = {}
    tiny = TinyPhase(tmp_path, epochs=6, patience=2, validate=look(seen))
    with pytest.raises(Cancelled):
        tiny.run(stop_at=8)
    assert len(tiny.kept) == 2, "what was reached when it stopped is not better than the best"
    again = tiny.run(resume=True)
    assert sorted(seen) == [1, 2, 3, 4] and again.best_epoch == 2


def test_without_patience_all_epochs_are_done(tmp_path):
    seen: dict[int, torch.Tensor] = {}
    tiny = TinyPhase(tmp_path, epochs=6, validate=look(seen))
    done = tiny.run()
    assert sorted(seen) == [1, 2, 3, 4, 5, 6] and done.best_epoch == 5
    assert torch.equal(tiny.kept[-1], seen[5])


def test_where_the_score_does_not_choose_the_last_network_is_kept(tmp_path):
    seen: dict[int, torch.Tensor] = {}
    tiny = TinyPhase(tmp_path, validate=look(seen), choose=False)
    tiny.run()
    assert torch.equal(tiny.kept[-1], seen[3])


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    steps: list[int] = []

    def breaks(network, items, seeds):
        loss = phase_loss(network, items, seeds)
        steps.append(1)
        return replace(loss, total=loss.total * math.inf) if len(steps) > 4 else loss

    tiny = TinyPhase(tmp_path, loss=breaks)
    with pytest.raises(ModelError, match="epoch 2 of the phase context: the loss is not finite"):
        tiny.run()
    assert len(tiny.kept) == 1 and tiny.checkpoint.is_file(), "what the first epoch gave is left"


def test_bfloat16_learns_on_a_processor(tmp_path):
    tiny = TinyPhase(tmp_path, epochs=6)
    seen: set[torch.dtype] = set()

    def loss(network, items, seeds):
        network["context"].tissue.register_forward_hook(lambda module, given, made: seen.add(made.dtype))
        return phase_loss(network, items, seeds)

    tiny.phase = replace(tiny.phase, loss=loss)
    tiny.run(precision="bf16")
    losses = [e["loss"] for e in entries(tiny.log) if e["event"] == "epoch"]
    assert seen == {torch.bfloat16}
    assert losses[-1] < 0.85 * losses[0]


def test_two_trainings_of_one_process_may_differ_in_precision(tmp_path):
    seen: list[torch.dtype] = []

    def loss(network, items, seeds):
        seen.append(network["context"].tissue(torch.ones(1, 4, 2, 2)).dtype)
        return phase_loss(network, items, seeds)

    for precision in ("bf16", "no"):
        TinyPhase(tmp_path / precision, epochs=1, batch=7, loss=loss).run(precision=precision)
    assert seen == [torch.bfloat16, torch.float32]


def test_precisions_that_the_device_cannot_do_are_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot train in fp16"):
        TinyPhase(tmp_path).run(precision="fp16")


def test_rates_rise_and_fall():
    shares = [n / 200 for n in range(200)]
    rates = [rate_factor(share) for share in shares]
    assert rates[0] < 0.03 and rates[8] == pytest.approx(1)
    assert rates[:8] == sorted(rates[:8]) and rates[8:] == sorted(rates[8:], reverse=True)
    assert rates[-1] == pytest.approx(0.02, abs=1e-3)
