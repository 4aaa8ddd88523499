"""What is known of a model that a training starts from, without loading it."""

from __future__ import annotations

from pathlib import Path

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models import DEFAULT_DETECTOR, DEFAULT_SEGMENTER, registry
from MyoScarSegLib.models.entry import CHECKPOINT_ENDINGS, Entry
from MyoScarSegLib.models.safetensors_header import read_header

OWN_PREPROCESSING = "myoscarseg"
"""What the names of the preprocessings begin with with which models have learned scar."""


def is_path(model: str) -> bool:
    """Whether a text means a file and not a registered name."""
    path = Path(model)
    return path.suffix in CHECKPOINT_ENDINGS["segment"] or len(path.parts) > 1


def start_model_of(part: str, start: str) -> Entry | Path:
    """The registered model or the file that a training of the ``segmenter`` or ``detector`` starts from.

    Raises:
        ModelError: there is no such model, or it is of the other kind.
    """
    if is_path(start):
        if not Path(start).is_file():
            raise ModelError(f"There is no model {start} to start from.")
        return Path(start)

    entry = registry().entry(start)
    kind = "segmenter" if entry.task == "segment" else "detector"
    if kind != part:
        raise ModelError(f"{start} is a {kind}; a {part}'s training starts from a {part}.")
    return entry


def knows_scar(start: str | None) -> bool:
    """Whether a segmenter to start from has learned scar already; the default one has."""
    if start is None:
        return True
    found = start_model_of("segmenter", start)
    if isinstance(found, Entry):
        return found.preprocessing.startswith(OWN_PREPROCESSING)
    ours = found.suffix == ".safetensors"
    return ours and read_header(found).metadata.get("preprocessing", "").startswith(OWN_PREPROCESSING)


def start_license(kind: str, start: str | None) -> str:
    """The license of a start model, as the registry or its file says it; empty if neither does. ``kind`` as of
    :func:`start_names`.
    """
    if start is None or not is_path(start):
        from MyoScarSegLib.models import registry

        return registry().entry(start or start_names(kind, None)).licence
    path = Path(start)
    return read_header(path).metadata.get("licence", "") if path.suffix == ".safetensors" else ""


def start_names(kind: str, start: str | None) -> str:
    """What to call the start model in a sentence; the default one's name for None."""
    if start is None:
        return DEFAULT_SEGMENTER if kind == "segmenter" else DEFAULT_DETECTOR
    return Path(start).name if is_path(start) else start
