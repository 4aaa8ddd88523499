"""What a stopped training needs to go on as if it had not stopped: tensors and numbers in one file, no pickles.

ultralytics would write its own checkpoint as a pickle of whole objects, with the optimiser in half precision; from that
a run neither resumes exactly nor can it be opened without running what is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.utils.files import atomic_path

if TYPE_CHECKING:
    import torch

_KEY = "myoscarseg"
_FORMAT = "myoscarseg-detector-training"
_VERSION = 1


@dataclass(frozen=True)
class TrainingState:
    """A training after some whole epochs.

    Attributes:
        epochs: that are done.
        batch: slices per step in use, which may be fewer than were asked for.
        updates: of the averaged weights.
        tensors: ``network.*``, ``average.*`` and ``optimiser.<parameter>.*``.
        identity: what must be the same to go on: settings, data, split, start.
        history: losses of each epoch.
    """

    epochs: int
    batch: int
    updates: int
    tensors: Mapping[str, torch.Tensor]
    identity: Mapping[str, Any]
    history: tuple[Mapping[str, float], ...] = field(default=())

    def part(self, name: str) -> dict[str, torch.Tensor]:
        """The tensors of ``network``, ``average`` or ``optimiser``."""
        return {key.removeprefix(f"{name}."): value for key, value in self.tensors.items() if key.startswith(f"{name}.")}


def write_state(path: Path, state: TrainingState) -> None:
    """Write a state atomically: a crash while writing leaves the one before.

    Raises:
        OutputError: the file cannot be written.
    """
    from safetensors.torch import save

    document = {
        "format": _FORMAT,
        "version": _VERSION,
        "epochs": state.epochs,
        "batch": state.batch,
        "updates": state.updates,
        "identity": dict(state.identity),
        "history": [dict(row) for row in state.history],
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
    data = save(tensors, metadata={_KEY: json.dumps(document, allow_nan=False)})
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def read_state(path: Path) -> TrainingState:
    """Read what :func:`write_state` wrote.

    Raises:
        ModelError: the file is missing, damaged, or something else.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    advice = "Start the training anew, without resuming."
    try:
        with safe_open(str(path), framework="numpy") as file:
            document = json.loads((file.metadata() or {})[_KEY])
        if (document["format"], document["version"]) != (_FORMAT, _VERSION):
            raise ModelError(f"{path} is no state of a detector's training that this program can read. {advice}")
        return TrainingState(
            epochs=int(document["epochs"]),
            batch=int(document["batch"]),
            updates=int(document["updates"]),
            tensors=load_file(str(path)),
            identity=dict(document["identity"]),
            history=tuple(dict(row) for row in document["history"]),
        )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as the state of a training ({error}). {advice}") from error


def differences(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Which parts of two identities differ, in words."""
    return [
        f"{name}: {saved.get(name)!r} then, {wanted.get(name)!r} now"
        for name in sorted(saved.keys() | wanted.keys())
        if json.dumps(saved.get(name), sort_keys=True) != json.dumps(wanted.get(name), sort_keys=True)
    ]
