"""MyoScarSeg's own detector checkpoints: half-precision safetensors that say how they were trained; no code inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from MyoScarSegLib import __version__
from MyoScarSegLib.detection.architecture import build_network
from MyoScarSegLib.detection.detector import CLASSES
from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models.safetensors_header import read_header
from MyoScarSegLib.study.normalization import NORMALIZATION, Normalization
from MyoScarSegLib.utils.files import atomic_path
from MyoScarSegLib.utils.json_fields import Limits, Share, read, to_json

if TYPE_CHECKING:
    import torch
    from torch import nn

PREPROCESSING = "myoscarseg-1"
_KEY = "myoscarseg"
_FORMAT = "myoscarseg-detector"
_VERSION = 1
_Side = Annotated[int, Limits(32, 4096, multiple_of=32)]


@dataclass(frozen=True)
class SecondLook:
    """How a detector looks again, at the heart alone, after it found the left ventricle in the whole slice.

    Scar differs little from what surrounds the heart, and much from what it lies in: the region is normalized by itself.

    Attributes:
        size: side of the square input, pixels.
        margin: side of the square region as a multiple of the ventricle's longer side.
        confidence: least confidence of the ventricle to look there.
    """

    size: _Side
    margin: Annotated[float, Limits(1, 10)]
    confidence: Share


@dataclass(frozen=True)
class DetectorRecord:
    """What a checkpoint says of itself.

    Attributes:
        architecture: of ultralytics, such as ``"yolo11n"``.
        classes: names, in the order of the network's classes.
        image_size: longest side of the input, pixels.
        confidence: threshold chosen on the validation patients.
        iou: overlap above which the less confident of two boxes is dropped.
        second_look: None for a detector that finds scar at first sight.
        channels: of the input.
        normalisation: of the voxel values (a key in files, hence its spelling).
        program: version of MyoScarSeg that wrote it.
        training: summary for provenance.
    """

    architecture: str
    classes: tuple[str, ...]
    image_size: Annotated[int, Limits(32, 4096)]
    confidence: Share
    iou: Share
    second_look: SecondLook | None = None
    channels: int = 1
    normalisation: Normalization = NORMALIZATION
    program: str = __version__
    training: Mapping[str, Any] = field(default_factory=dict)


def save_checkpoint(path: Path, network: nn.Module, record: DetectorRecord) -> None:
    """Write a detection network atomically, in half precision.

    The same weights and record give the same bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    from safetensors.torch import save

    tensors = {}
    for name, value in sorted(network.state_dict().items()):
        tensor = value.detach().cpu().contiguous()
        tensors[name] = tensor.half() if tensor.is_floating_point() else tensor
    document = {"format": _FORMAT, "version": _VERSION, "task": "detect", **to_json(record)}
    data = save(tensors, metadata={_KEY: json.dumps(document, sort_keys=True, allow_nan=False)})
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def read_record(path: Path) -> DetectorRecord:
    """What a checkpoint says of itself; its weights are not read.

    Raises:
        ModelError: it is no detector of MyoScarSeg, damaged, or made for another normalization.
    """
    try:
        document = json.loads(read_header(path).metadata[_KEY])
        if not isinstance(document, dict):
            raise TypeError("its record is not an object")
    except KeyError as error:
        raise ModelError(f"{path} is not a detector of MyoScarSeg: it has no record of how it was trained.") from error
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path} is damaged: its record cannot be read ({error}).") from error
    return _record(document, path)


def check_finite(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Refuse weights that are NaN or infinite: a network of them finds nothing anywhere, which looks like a heart without scar.

    Raises:
        ModelError: one is not finite.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ModelError(f"{path} is damaged: the weights {name} are not finite (NaN or infinite). Get it again.")


def load_checkpoint(path: Path) -> tuple[nn.Module, DetectorRecord]:
    """The network of a checkpoint, on the CPU, in evaluation mode and single precision, and its record.

    Raises:
        ModelError: as :func:`read_record`, or its weights do not fit its architecture or are not finite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    record = read_record(path)
    network = build_network(record.architecture, channels=record.channels, classes=len(record.classes))
    try:
        tensors = load_file(str(path))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged ({error}). Get it again.") from error
    wanted = network.state_dict()
    strange = sorted(
        name
        for name in wanted.keys() | tensors.keys()
        if getattr(wanted.get(name), "shape", 0) != getattr(tensors.get(name), "shape", 1)
    )
    if strange:
        raise ModelError(
            f"{path} does not fit its architecture {record.architecture}: {len(strange)} tensors are missing, unknown or "
            f"of another shape, such as {strange[0]}."
        )
    check_finite(tensors, path)
    network.load_state_dict(tensors)
    return network.float().eval(), record


def _record(document: dict[str, Any], path: Path) -> DetectorRecord:
    if document.get("format") != _FORMAT:
        raise ModelError(f"{path} is a checkpoint of MyoScarSeg, but not a detector: its format is {document.get('format')!r}.")
    if document.get("version") != _VERSION:
        raise ModelError(f"{path} is a detector of version {document.get('version')!r}; this program reads version {_VERSION}.")
    if document.get("task") != "detect":
        raise ModelError(f"{path} was trained for the task {document.get('task')!r}, not for detection.")
    said = {name: value for name, value in document.items() if name not in ("format", "version", "task")}
    if missing := [f.name for f in fields(DetectorRecord) if f.name not in said]:
        raise ModelError(f"{path} is damaged: its record lacks {', '.join(missing)}. Get it again.")
    record = read(DetectorRecord, said, ModelError, f"{path} is damaged")
    if not record.classes or len(set(record.classes)) != len(record.classes):
        raise ModelError(f"{path} is damaged: its classes make no sense.")
    if record.second_look is not None and not set(CLASSES) <= set(record.classes):
        raise ModelError(f"{path} is damaged: it looks again at the ventricle, which is none of its classes.")
    if record.channels != 1:
        raise ModelError(f"{path} takes {record.channels} channels; this program gives a detector one slice.")
    if record.normalisation != NORMALIZATION:
        raise ModelError(
            f"{path} was trained with {record.normalisation}, but this program normalizes with {NORMALIZATION}. "
            f"Use MyoScarSeg {record.program}, or train the detector again."
        )
    return record
