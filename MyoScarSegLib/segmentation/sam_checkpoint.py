"""Reading segmenter checkpoints: ours as safetensors, others as torch files that are never unpickled beyond tensors."""

from __future__ import annotations

import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib import models
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models.trust import numbers_in_pickles, opens_pickles_safely
from MyoScarSegLib.segmentation.architectures import architecture_of, input_side
from MyoScarSegLib.segmentation.preprocessing import check_normalization, preprocessing

if TYPE_CHECKING:
    import torch

_WRAPPERS = ("model_state_dict", "state_dict", "model", "sam")
_PREFIXES = ("module.", "_orig_mod.", "sam.", "model.")
_PARTS = ("image_encoder", "prompt_encoder", "mask_decoder")


@dataclass(frozen=True)
class Checkpoint:
    """A segmenter's weights and what is known about them.

    Attributes:
        name: the registry's name, else the file's name.
        sha256: of the file.
        state: float32 tensors by segment-anything's names.
        architecture: see :func:`~MyoScarSegLib.segmentation.architectures.architecture_of`.
        preprocessing: id.
        side: rows and columns of the network's square input.
        window_mm: side of the window around the heart that it was trained on; None for whole slices.
        metadata: what the file says of itself (ours only).
        notes: sentences for the reader of a result, such as what had to be assumed.
    """

    name: str
    sha256: str
    state: Mapping[str, torch.Tensor] = field(repr=False)
    architecture: str
    preprocessing: str
    side: int
    window_mm: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_checkpoint(model: str | Path, *, trust: bool = False, preprocessing_id: str | None = None) -> Checkpoint:
    """Read a segmenter by its name in the registry or by its path.

    Args:
        model: name or path.
        trust: unpickle the file even if it holds more than tensors. Only for a file from someone you trust: a pickle can
            run any program.
        preprocessing_id: the preprocessing that a foreign file was trained with, where it is not known otherwise.

    Raises:
        ModelError: not installed, damaged (also by weights that are NaN or infinite), untrusted, of another architecture or of
            an unknown preprocessing.
    """

    path = models.path_of(model)
    if path is not None:
        if not path.is_file():
            raise ModelError(f"There is no checkpoint {path}.")
        entry, name, sha256 = models.registry().identify(path), path.name, models.checksum_of(path)
    else:
        entry, name = models.registry().entry(str(model)), str(model)
        path, sha256 = models.registry().path(name), models.registry().checksum(name)
    if entry is not None and entry.task != "segment":
        raise ModelError(f"{name} is a detector, not a segmenter. Give it to --detector.")

    vouched = entry is not None and entry.pinned  # it is the very file that the index describes
    metadata, tensors, nested = _read(path, trust, vouched)
    state = _flatten(tensors)
    broken = next((key for key, value in state.items() if value.is_floating_point() and not bool(value.isfinite().all())), None)
    if broken is not None:
        raise ModelError(f"{path.name} is damaged: the weights {broken} are not finite (NaN or infinite). Get it again.")
    try:
        architecture = architecture_of(state)
    except ModelError as error:
        raise ModelError(f"{path.name} cannot be used as a segmenter. {error}") from error
    if entry is not None and entry.architecture != architecture:
        raise ModelError(f"{path.name} should be a {entry.architecture}, but its tensors are those of a {architecture}.")

    notes: tuple[str, ...] = ()
    known = metadata.get("preprocessing") or (entry.preprocessing if entry is not None else None)
    if known and preprocessing_id and known != preprocessing_id:
        raise ModelError(f"{name} was trained with the preprocessing {known!r}, so it cannot be run with {preprocessing_id!r}.")
    chosen = known or preprocessing_id
    if chosen is None:
        chosen = "litemedsam" if architecture == "litemedsam" else "yolosam" if nested else "sam"
        notes = (
            f"{name} does not say which preprocessing it was trained with; {chosen!r} was taken because of its layout. "
            "Say --preprocessing if that is wrong.",
        )
    recipe = preprocessing(chosen)
    if chosen == metadata.get("preprocessing") or "normalisation_version" in metadata:  # it is one of ours
        check_normalization(metadata)
    side = _side(state, metadata, recipe.side, name)
    return Checkpoint(name, sha256, state, architecture, chosen, side, _window_mm(metadata, name), metadata, notes)


def _side(state: Mapping[str, torch.Tensor], metadata: Mapping[str, str], usual: int | None, name: str) -> int:
    fixed = input_side(state)
    if fixed is not None:
        return fixed
    text = metadata.get("input_side", str(usual) if usual else "")
    if not text.isdigit() or not 32 <= int(text) <= 2048:
        raise ModelError(f"{name} does not say the side of its input ('input_side' is {text!r}).")
    return int(text)


def _window_mm(metadata: Mapping[str, str], name: str) -> float | None:
    text = metadata.get("window_mm")
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 20 <= value <= 1000:
        raise ModelError(f"{name} says that its window is {text!r} mm wide, which cannot be.")
    return value


def _read(path: Path, trust: bool, vouched: bool) -> tuple[dict[str, str], Mapping[str, Any], bool]:
    """Metadata, tensors (maybe nested by part), and whether they were nested in a training checkpoint."""
    if path.suffix == ".safetensors":
        return *_read_safetensors(path), False
    document = _read_torch(path, trust, vouched)
    nested = False
    for wrapper in _WRAPPERS:
        if isinstance(document, Mapping) and isinstance(document.get(wrapper), Mapping):
            document, nested = document[wrapper], wrapper == "model_state_dict"
            break
    if not isinstance(document, Mapping):
        raise ModelError(f"{path.name} holds a {type(document).__name__}, not a table of tensors: it is no SAM checkpoint.")
    return {}, document, nested


def _read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            return dict(file.metadata() or {}), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path.name} is damaged or is not a safetensors file: {error}.") from error


def _read_torch(path: Path, trust: bool, vouched: bool) -> Any:
    """Unpickle tensors, numbers and plain containers only, unless the file is trusted."""
    import torch

    damaged = f"{path.name} is damaged, cut off, or not a torch checkpoint. Get it again."
    if not opens_pickles_safely():
        refusal = f"cannot be opened safely by torch {torch.__version__} (version 2.6 and newer can)"
        cause = None
    else:
        try:
            with torch.serialization.safe_globals(numbers_in_pickles()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged or hostile file can make the unpickler fail in any way; it stays closed
            reason = _refusal(error)
            if reason is None or not _holds_whole_pickle(path):
                raise ModelError(damaged) from error
            refusal, cause = reason, error
    if not (trust or vouched or models.is_trusted(models.checksum_of(path))):
        raise ModelError(
            f"{path.name} {refusal}, and unpickling it could run any program. If you trust whoever made it, say --trust; "
            "better, ask them for a safetensors file."
        ) from cause
    try:
        document = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # whatever the pickle's own code raises
        raise ModelError(f"{path.name} cannot be unpickled here ({type(error).__name__}: {error}).") from error
    if trust:
        models.trust(models.checksum_of(path), "the user said --trust for a segmenter")
    return document


def _refusal(error: Exception) -> str | None:
    """Why a file was refused though it may be whole; None if the error tells of damage."""
    text = str(error)
    if not isinstance(error, pickle.UnpicklingError):
        return None
    found = re.search(r"GLOBAL ([\w.]+)", text)
    if found:
        hint = " It may be a detector; give that to --detector." if found.group(1).startswith("ultralytics.") else ""
        return f"holds more than tensors ({found.group(1)}).{hint} It was not opened"
    if re.search(r"Can only (create|build)|call reduce|must be imported|Unsupported operand", text):
        return "holds more than tensors"
    return None


def _holds_whole_pickle(path: Path) -> bool:
    """Whether the (first) pickle in the file can be followed to its end. It is not run."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
                with archive.open(name) as stream:
                    return any(operation.name == "STOP" for operation, _, _ in pickletools.genops(stream))
        with path.open("rb") as stream:
            return any(operation.name == "STOP" for operation, _, _ in pickletools.genops(stream))
    except (ValueError, StopIteration, OSError, EOFError, zipfile.BadZipFile, NotImplementedError):
        return False


def _flatten(tensors: Mapping[Any, Any]) -> dict[str, torch.Tensor]:
    """Tensors by segment-anything's names, whether the checkpoint nests them by part or prefixes them."""
    import torch

    flat: dict[str, torch.Tensor] = {}
    for key, value in tensors.items():
        name = _bare(str(key))
        if name in _PARTS and isinstance(value, Mapping):
            flat.update({f"{name}.{_bare(str(inner))}": tensor for inner, tensor in value.items()})
        else:
            flat[name] = value
    kept = {name: value for name, value in flat.items() if isinstance(value, torch.Tensor)}
    return {name: value.float() if value.is_floating_point() else value for name, value in kept.items()}


def _bare(name: str) -> str:
    """The name without what wrappers for several devices, compilation and training put before it."""
    while (prefix := next((p for p in _PREFIXES if name.startswith(p)), None)) is not None:
        name = name[len(prefix) :]
    return name
