"""What is known of a model that a training starts from, without loading it."""

from __future__ import annotations

from pathlib import Path

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models import DEFAULT_DETECTOR, DEFAULT_SEGMENTER, path_of, registry
from MyoScarSegLib.models.entry import Entry
from MyoScarSegLib.models.safetensors_header import read_header

OWN_PREPROCESSING = "myoscarseg"
"""What the names of the preprocessings begin with with which models have learned scar."""
_DEFAULTS = {"segmenter": DEFAULT_SEGMENTER, "detector": DEFAULT_DETECTOR}


def start_model_of(part: str, start: str | None) -> Entry | Path:
    """The registered model or the file that a training of the ``segmenter`` or ``detector`` starts from, None for the default.

    Raises:
        ModelError: there is no such model, or it is of the other kind.
    """
    path = None if start is None else path_of(start)
    if path is not None:
        if not path.is_file():
            raise ModelError(f"There is no model {start} to start from.")
        return path

    entry = registry().entry(start or _DEFAULTS[part])
    kind = "segmenter" if entry.task == "segment" else "detector"
    if kind != part:
        raise ModelError(f"{start} is a {kind}; a {part}'s training starts from a {part}.")
    return entry


def knows_scar(start: str | None) -> bool:
    """Whether a segmenter to start from has learned scar already; the default one has."""
    return _said("segmenter", start, "preprocessing").startswith(OWN_PREPROCESSING)


def start_license(part: str, start: str | None) -> str:
    """The license of a start model, as the registry or its file says it; empty if neither does."""
    return _said(part, start, "licence")


def _said(part: str, start: str | None, what: str) -> str:
    found = start_model_of(part, start)
    if isinstance(found, Entry):
        return str(getattr(found, what))
    return read_header(found).metadata.get(what, "") if found.suffix == ".safetensors" else ""


def start_names(part: str, start: str | None) -> str:
    """What to call the start model in a sentence; the default one's name for None."""
    if start is None:
        return _DEFAULTS[part]
    path = path_of(start)
    return start if path is None else path.name
