"""What is known of a model that a training starts from, without loading it."""

from __future__ import annotations

import json
from pathlib import Path

from MyoScarSegLib.errors import ModelError

OWN_PREPROCESSING = "myoscarseg"
"""What the names of the preprocessings begin with with which models have learnt scar."""
_LONGEST_HEADER = 100 << 20
_ENDINGS = (".pth", ".pt", ".safetensors", ".ckpt", ".bin")


def is_path(model: str) -> bool:
    """Whether a text means a file and not a registered name."""
    path = Path(model)
    return path.suffix in _ENDINGS or len(path.parts) > 1


def knows_scar(start: str | None) -> bool:
    """Whether a segmenter to start from has learnt scar already; the default one has.

    Raises:
        ModelError: there is no such model.
    """
    if start is None:
        return True
    if not is_path(start):
        from MyoScarSegLib.models import registry

        entry = registry().entry(start)
        if entry.task != "segment":
            raise ModelError(f"{start} is a detector; a segmenter's training starts from a segmenter.")
        return entry.preprocessing.startswith(OWN_PREPROCESSING)
    path = Path(start)
    if not path.is_file():
        raise ModelError(f"There is no model {path} to start from.")
    return safetensors_metadata(path).get("preprocessing", "").startswith(OWN_PREPROCESSING) if _is_ours(path) else False


def start_names(kind: str, start: str | None) -> str:
    """What to call the start model in a sentence; the default one's name for None."""
    from MyoScarSegLib.models import DEFAULT_DETECTOR, DEFAULT_SEGMENTER

    if start is None:
        return DEFAULT_SEGMENTER if kind == "segmenter" else DEFAULT_DETECTOR
    return Path(start).name if is_path(start) else start


def safetensors_metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself, read from its first bytes; no tensor is touched.

    Raises:
        ModelError: the file cannot be read or is not of this format.
    """
    not_one = f"{path.name} is damaged or is not a safetensors file."
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
                raise ModelError(not_one)
            header = json.loads(file.read(length))
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(not_one) from error
    told = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(told, dict):
        raise ModelError(not_one)
    return {str(key): str(value) for key, value in told.items()}


def _is_ours(path: Path) -> bool:
    return path.suffix == ".safetensors"
