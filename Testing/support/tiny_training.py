"""Trainings made tiny: a few labeled slices, start models of the real architectures, and a phase of seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from MyoScarSegLib.segmentation.context import ContextNetwork
from MyoScarSegLib.segmentation.prompt_maps import prompt_maps
from MyoScarSegLib.training.augmentation.augmenter import Augmenter
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.finetune.context_phase import context_loss
from MyoScarSegLib.training.finetune.training_slices import context_window, training_slices
from MyoScarSegLib.training.loop.gradients import StepLoss
from MyoScarSegLib.training.loop.phase_training import Phase, PhaseTraining, Session, checkpoint_path
from MyoScarSegLib.training.loop.step_log import StepLog
from MyoScarSegLib.training.loop.training_processes import Processes, open_accelerator
from MyoScarSegLib.training.model_settings import SegmenterSettings
from MyoScarSegLib.training.train_job import Hooks
from MyoScarSegLib.utils.progress import CancelToken
from Testing.support.labeled_factory import labels
from Testing.support.sam_factory import litemedsam_state
from Testing.support.tiny_models import OWN_METADATA

SIDE = 32
WINDOW_MM = 45.0
WIDTHS = (4, 6, 8, 8, 8)
ANSWERS = '{"sam_share": 0.5, "alone": [1.0, 2.0], "asked": [1.0, 2.0]}'
"""Of start models: random networks must mark something, or all figures of a run would be 0."""
SETTINGS = SegmenterSettings(
    mode="full",
    context_epochs=0,
    epochs=2,
    phantoms=0,
    batch=2,
    prompts=1,
    corrections=1,
    copies=2,
)
_GREY = np.array([0, 160, 30, 260, 60])  # of background, cavity, myocardium, infarct and no-reflow


def slices_of(patient: str, seed: int, count: int = 3, *, scar: bool = True) -> list[LabeledSlice]:
    """A patient whose tissues can be told by their grey values; the last slice is free of scar."""
    tissue = labels(seed, (count, 40, 48), scar=scar)
    images = np.random.default_rng(seed).normal(100, 20, tissue.shape) + _GREY[tissue]
    return [LabeledSlice(patient, k, images[k].astype(np.float32), tissue[k], (1.4, 1.4)) for k in range(count)]


def own_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Tensors of a model of ours for 32 x 32 windows: LiteMedSAM's, and those of a narrow context network; all random."""
    return litemedsam_state(seed) | {
        f"context.{key}": value for key, value in context_network(seed)["context"].state_dict().items()
    }


def write_start(path: Path, *, context: bool = True, seed: int = 0, **more: str) -> Path:
    """A LiteMedSAM with random weights that looks at 32 x 32 windows, with a narrow context network or without.

    ``more`` goes into the file's metadata.
    """
    from safetensors.torch import save_file

    state = own_state(seed) if context else litemedsam_state(seed)
    metadata = {**OWN_METADATA, "input_side": str(SIDE), "window_mm": str(WINDOW_MM), "answers": ANSWERS, **more}
    save_file({key: value.contiguous() for key, value in state.items()}, str(path), metadata)
    return path


def network_of(path: Path) -> nn.ModuleDict:
    """The network in a file."""
    from MyoScarSegLib.segmentation.architectures import build
    from MyoScarSegLib.segmentation.sam_checkpoint import read_checkpoint

    checkpoint = read_checkpoint(path)
    return build(checkpoint.state, checkpoint.side)


def context_network(seed: int = 0) -> nn.ModuleDict:
    """A narrow context network alone, which learns in milliseconds."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.ModuleDict({"image_encoder": nn.Identity(), "context": ContextNetwork(WIDTHS)})


def tensors_of(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in a model file."""
    from safetensors.torch import load_file

    return load_file(str(path))


Loss = Callable[[nn.ModuleDict, Sequence[Any], Sequence[Sequence[int]]], StepLoss]


def phase_loss(network: nn.ModuleDict, items: Sequence[Any], seeds: Sequence[Sequence[int]]) -> StepLoss:
    """The loss of the context phase."""
    return context_loss(network, items, SETTINGS, seeds)


class TinyPhase:
    """A context phase of three epochs of three steps, the last of them with a single window.

    Attributes:
        kept: scores or numbers of the weights that were kept, in order.
        messages: of the progress.
    """

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        self.kept: list[torch.Tensor] = []
        self.messages: list[str] = []
        self._samples = training_slices(slices_of("a", 1, 4) + slices_of("b", 2))
        self._augmenter = Augmenter("none", SIDE)
        usual: dict[str, Any] = {"epochs": 3, "batch": 3, "seed": 4, "rates": {"context": 1e-2}, "loss": phase_loss}
        self.phase = Phase(name="context", order=self._order, item=self._item, **usual | changes)
        self.steps = 3 * self.phase.epochs

    def _order(self, epoch: int) -> list[int]:
        return [int(n) for n in np.random.default_rng(epoch).permutation(len(self._samples))]

    def _item(self, epoch: int, place: int, number: int) -> Any:
        return context_window(self._samples[number], self._augmenter, WINDOW_MM, (epoch, place))

    def run(
        self,
        *,
        stop_at: int | None = None,
        resume: bool = False,
        recipe: str = "this",
        precision: str = "no",
        cancel: CancelToken | None = None,
    ) -> PhaseTraining:
        """Train a fresh network; ``stop_at`` cancels when that step is reported."""
        token = cancel or CancelToken()
        network = context_network()

        def progress(done: int, total: int, message: str) -> None:
            self.messages.append(f"{done}/{total} {message}")
            if done == stop_at:
                token.cancel()

        processes = Processes(open_accelerator("cpu", precision))
        log = StepLog(self.log, keep=resume) if processes.main else None
        session = Session(processes, self.folder, log, Hooks(progress, token))
        training = PhaseTraining(network, self.phase, session, recipe, self._keep)
        training.run(resume=resume)
        return training

    def _keep(self, averaged: nn.ModuleDict) -> None:
        self.kept.append(weights(averaged))

    @property
    def log(self) -> Path:
        """Its log."""
        return self.folder / "log.jsonl"

    @property
    def checkpoint(self) -> Path:
        """Its checkpoint."""
        return checkpoint_path(self.folder, self.phase.name)


def weights(network: nn.Module) -> torch.Tensor:
    """All tensors of a network in one."""
    return torch.cat([value.detach().flatten().float() for value in network.state_dict().values()])


def assert_learned_alike(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Two context networks, by their :func:`weights`, learned the same from the same start, in sums of another order.

    Not by the weights themselves: those that hardly count have gradients of nothing but rounding, which AdamW makes as large as
    others.
    """
    learned = answers(expected) - answers(weights(context_network()))
    assert (
        answers(found) - answers(expected)
    ).norm() < 0.03 * learned.norm()  # measured: 0.0215 between steps of three windows and of one


def answers(of: torch.Tensor) -> torch.Tensor:
    """What the context network with these :func:`weights` says of some noise."""
    network = context_network()["context"].requires_grad_(False)
    torch.nn.utils.vector_to_parameters(of, network.parameters())
    generator = torch.Generator().manual_seed(0)
    slices = torch.rand(4, 3, SIDE, SIDE, generator=generator)
    return network(slices, prompt_maps(SIDE, [(8, 8, 20, 22)], [(12, 12, 1), (24, 20, 0)])[None].expand(4, -1, -1, -1))


def entries(log: Path) -> list[dict[str, Any]]:
    """The log's lines on steps and epochs, without times."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [
        {key: value for key, value in line.items() if key not in ("time", "seconds_left")}
        for line in lines
        if line["event"] in ("step", "epoch")
    ]
