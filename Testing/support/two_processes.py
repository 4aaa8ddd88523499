"""What one of two processes does in the test of several processes; run with the variables that ``torchrun`` sets."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.training.finetune.fine_tuning import Patients, fine_tune
from MyoScarSegLib.utils import device
from Testing.support.tiny_training import SETTINGS, TinyPhase, phase_loss, slices_of, weights

NO_MEMORY = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
PATIENTS = Patients(slices_of("a", 1), slices_of("b", 2))
DECODER = replace(SETTINGS, mode="decoder", epochs=1, batch=3)
# One window a step, and a third of them have no prompt.
UNPROMPTED = replace(DECODER, batch=1, prompting=replace(DECODER.prompting, empty=0.0, ventricle=0.0))


def same(folder: Path, rank: int) -> Any:
    done = TinyPhase(folder).run()
    torch.save((weights(done.network), weights(done.averaged)), folder / f"weights-{rank}")


def cancelled(folder: Path, rank: int) -> Any:
    """Only the second process is asked to stop; what it then goes on from, the first one has written."""
    tiny = TinyPhase(folder)
    failure = said(lambda: tiny.run(stop_at=4 if rank == 1 else None))
    done = TinyPhase(folder).run(resume=True)
    torch.save(weights(done.network), folder / f"weights-{rank}")
    return {"said": failure, "steps": len(tiny.messages)}


def memory(folder: Path, rank: int) -> Any:
    """Only the second process runs out of memory."""
    asked: list[int] = []

    def loss(network: Any, items: Any, seeds: Any) -> Any:
        asked.append(len(items))
        if rank == 1 and len(items) > 2:
            raise RuntimeError(NO_MEMORY)
        return phase_loss(network, items, seeds)

    done = TinyPhase(folder, batch=7, loss=loss).run()
    torch.save(weights(done.network), folder / f"weights-{rank}")
    return asked


def no_memory(folder: Path, rank: int) -> Any:
    def loss(network: Any, items: Any, seeds: Any) -> Any:
        if rank == 1:
            raise RuntimeError(NO_MEMORY)
        return phase_loss(network, items, seeds)

    return said(TinyPhase(folder, loss=loss).run)


def failure(folder: Path, rank: int) -> Any:
    def item(*place: int) -> Any:
        if rank == 1 and place[0] == 1:
            raise ValueError("a broken slice")
        return tiny._item(*place)

    tiny = TinyPhase(folder)
    tiny.phase = replace(tiny.phase, item=item)
    return said(tiny.run)


def full_disk(folder: Path, rank: int) -> Any:
    real = torch.save

    def save(*args: Any) -> None:
        raise RuntimeError("file write failed")

    torch.save = save
    try:
        return said(TinyPhase(folder).run)
    finally:
        torch.save = real


def looks(folder: Path, rank: int) -> Any:
    """The first process alone looks, and all stop early."""
    seen: list[int] = []

    def validate(epoch: int, averaged: Any) -> dict[str, float]:
        seen.append(epoch)
        return {"score": -float(epoch)}

    tiny = TinyPhase(folder, epochs=4, patience=1, validate=validate)
    done = tiny.run()
    return {"seen": seen, "best": done.best_epoch, "steps": len(tiny.messages), "kept": len(tiny.kept)}


def whole(folder: Path, rank: int) -> Any:
    """A whole training with cached embeddings, of which each process makes a part."""
    outcome = fine_tune(folder.parent / "vit.safetensors", PATIENTS, DECODER, folder, device="cpu")
    return {"main": outcome.main_process, "epochs": outcome.epochs, "model": outcome.model.is_file()}


def unprompted(folder: Path, rank: int) -> Any:
    """Steps of a single window, of which the second process has none, and some windows have no prompt."""
    outcome = fine_tune(folder.parent / "vit.safetensors", PATIENTS, UNPROMPTED, folder, device="cpu")
    return outcome.epochs


def killed(folder: Path, rank: int) -> Any:
    """The second process dies in the middle of a step; the first one must not wait for it."""

    def loss(network: Any, items: Any, seeds: Any) -> Any:
        if rank == 1:
            os._exit(7)
        return phase_loss(network, items, seeds)

    began = time.monotonic()
    return {"said": said(TinyPhase(folder, loss=loss).run), "seconds": time.monotonic() - began}


def said(work: Callable[[], Any]) -> str:
    try:
        work()
    except (MyoScarSegError, ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def main() -> None:
    """Everything, one after the other; what each gave is written as soon as it is known."""
    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    device._native_format = lambda _: torch.float32  # accelerate keeps one precision as long as several processes live
    torch.set_num_threads(1)
    for scene in (same, cancelled, memory, no_memory, failure, full_disk, looks, whole, unprompted, killed):
        own = folder / scene.__name__
        own.mkdir(exist_ok=True)
        result = scene(own, rank)
        (own / f"result-{rank}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
