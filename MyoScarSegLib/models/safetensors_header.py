"""What a safetensors file holds, from its first bytes: no tensor is read, and no package is needed.

Format: https://huggingface.co/docs/safetensors/index#format, a length in 8 bytes, a JSON object of that length, the tensors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import ModelError

_LONGEST_BYTES = 32 << 20
_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1,
    "BOOL": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        metadata: texts by name.
        tensors: shape of each tensor by its name.
    """

    metadata: Mapping[str, str]
    tensors: Mapping[str, tuple[int, ...]]


def read_header(path: Path) -> Header:
    """Read the header of a safetensors file, and check that the tensors that it names fit into the file.

    Raises:
        ModelError: the file cannot be read, is cut off, or is of another format.
    """
    not_one = f"{Path(path).name} is damaged, cut off, or not a safetensors file. Get it again."
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_LONGEST_BYTES, size - 8):
                raise ModelError(not_one)
            document = json.loads(file.read(length))
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(not_one) from error
    if not isinstance(document, dict):
        raise ModelError(not_one)
    metadata = document.pop("__metadata__", {})
    try:
        tensors = {name: _shape(told, size - 8 - length) for name, told in document.items()}
        return Header({str(key): str(value) for key, value in metadata.items()}, tensors)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(not_one) from error


def _shape(told: Any, room: int) -> tuple[int, ...]:
    """The shape of a tensor whose bytes lie within the file."""
    shape, (begin, end) = tuple(int(n) for n in told["shape"]), told["data_offsets"]
    if not 0 <= begin <= end <= room or end - begin != math.prod(shape) * _BYTES[told["dtype"]]:
        raise ValueError(told)
    return shape
