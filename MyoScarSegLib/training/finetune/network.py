"""The network that is trained: from a start model, with our own context network added where it lacks it, and back into a file."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from MyoScarSegLib import __version__
from MyoScarSegLib.errors import ModelError, OutputError
from MyoScarSegLib.segmentation.answers import METADATA_KEY, Answers
from MyoScarSegLib.segmentation.architectures import build, input_side
from MyoScarSegLib.segmentation.context import ContextNetwork
from MyoScarSegLib.segmentation.polar import PolarNetwork
from MyoScarSegLib.segmentation.sam_checkpoint import Checkpoint, read_checkpoint
from MyoScarSegLib.study.normalization import NORMALIZATION
from MyoScarSegLib.training.model_settings import SegmenterSettings
from MyoScarSegLib.utils.files import atomic_path
from MyoScarSegLib.utils.json_fields import to_json

_SIDE_PX, _WINDOW_MM = 96, 124.8
"""Of the window around the heart where the start model has none: 1.3 mm a pixel, a little finer than most LGE studies."""
_LARGEST_CONTEXT_SIDE_PX = 256
"""A context network on larger inputs would cost more than SAM's encoder."""
_PREPROCESSING = {
    "myoscarseg-1": "myoscarseg-1",
    "litemedsam": "myoscarseg-1",
    "medsam": "myoscarseg-1",
    "sam": "myoscarseg-1-sam",
    "myoscarseg-1-sam": "myoscarseg-1-sam",
}
"""Which of our preprocessings keeps the intensities that a start model's encoder knows."""


@dataclass(frozen=True)
class StartModel:
    """What a training starts from.

    Attributes:
        checkpoint: of the start model.
        side, window_mm: of the windows that the new model looks at.
        preprocessing: id of the new model's.
        answers: of the new model.
    """

    checkpoint: Checkpoint
    side: int
    window_mm: float
    preprocessing: str
    answers: Answers


def start_model(model: str | Path, settings: SegmenterSettings) -> tuple[nn.ModuleDict, StartModel]:
    """Load a start model and build the network to be trained, with a context network if the settings ask for one."""
    checkpoint = read_checkpoint(model)
    preprocessing = _PREPROCESSING.get(checkpoint.preprocessing)
    if preprocessing is None:
        raise ModelError(
            f"{checkpoint.name} was trained with the preprocessing {checkpoint.preprocessing!r}, from which no training starts. "
            f"Start from a model with one of {', '.join(_PREPROCESSING)}."
        )
    fixed = input_side(checkpoint.state)
    side = fixed or (checkpoint.side if checkpoint.window_mm is not None else _SIDE_PX)
    window_mm = checkpoint.window_mm or _WINDOW_MM
    network = build(checkpoint.state, side)
    small = side <= _LARGEST_CONTEXT_SIDE_PX and side % 16 == 0 and preprocessing == "myoscarseg-1"
    if "context" not in network and settings.context_epochs and small:
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            network["context"] = ContextNetwork()
    if "context" in network and "asked" not in network and settings.context_epochs:
        context: Any = network["context"]
        network["asked"] = PolarNetwork(context.widths)
        learn_from_context(network)
    answers = settings.answers
    if answers == Answers():
        # How far masses are off was measured for the start model; of the new one it is not known.
        unknown = Answers()
        answers = replace(Answers.of(checkpoint.metadata), alone_error=unknown.alone_error, asked_error=unknown.asked_error)
    return network, StartModel(checkpoint, side, window_mm, preprocessing, answers)


def learn_from_context(network: nn.ModuleDict) -> None:
    """Let the twin begin with what the context network knows: what edges and textures are is the same around the ventricle."""
    twin: Any = network["asked"]
    twin.unrolled.load_state_dict(network["context"].state_dict())


def drawn_back(network: nn.ModuleDict, start: Mapping[str, torch.Tensor], share: float) -> nn.ModuleDict:
    """A copy of a trained network, its weights drawn back by a share of their way from those that it started from; what is new in
    it, and not among these, stays.

    So it keeps most of what it knew, and most of what it has learned (Wortsman et al., CVPR 2022, 7959).
    """
    drawn = copy.deepcopy(network)
    state = drawn.state_dict()
    for name, before in start.items():
        if before.is_floating_point():
            state[name] = state[name].lerp(before.to(state[name]), share)
    drawn.load_state_dict(state)
    return drawn


def checksum(network: nn.Module) -> str:
    """SHA-256 of a network's kind and tensors, wherever they came from."""
    digest = hashlib.sha256(type(network).__name__.encode())
    for name, value in sorted(network.state_dict().items()):
        values = value.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.flatten().numpy().tobytes())
    return digest.hexdigest()


def as_checkpoint(network: nn.ModuleDict, start: StartModel, name: str) -> Checkpoint:
    """The network as a checkpoint in memory, to be looked at as a segmenter. Its checksum is that of its tensors."""
    return replace(
        start.checkpoint,
        name=name,
        sha256=checksum(network),
        state={key: value.detach().cpu().clone() for key, value in network.state_dict().items()},
        preprocessing=start.preprocessing,
        side=start.side,
        window_mm=start.window_mm,
        metadata={METADATA_KEY: json.dumps(to_json(start.answers))},
        notes=(),
    )


def save_model(path: Path, network: nn.ModuleDict, start: StartModel, license: str) -> None:
    """Write a network as half-precision safetensors with what loading needs to know, atomically."""
    tensors = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for key, value in network.state_dict().items()
    }
    metadata = {
        "preprocessing": start.preprocessing,
        "normalisation_version": str(NORMALIZATION.version),
        "low_percentile": str(NORMALIZATION.low_percentile),
        "high_percentile": str(NORMALIZATION.high_percentile),
        "input_side": str(start.side),
        "window_mm": str(start.window_mm),
        METADATA_KEY: json.dumps(to_json(start.answers)),
        "program": __version__,
        "licence": license,
    }
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, str(temporary), metadata)
        except SafetensorError as error:  # how safetensors reports a full disk
            raise OutputError(f"Cannot write {path}: {error}. Free some space, or choose another folder.") from error
