"""The state of a training on disk: all that is needed to go on, written atomically, and read without running anything."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from MyoScarSegLib.errors import ModelError, OutputError
from MyoScarSegLib.utils.files import atomic_path

_FORMAT = 1


def write_state(path: Path, recipe: str, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and plain containers of those in one go: a crash in between leaves the old file."""
    with atomic_path(path) as temporary:
        try:
            torch.save({"format": _FORMAT, "recipe": recipe, "state": state}, temporary)
        except RuntimeError as error:  # how torch reports a full disk
            raise OutputError(f"Cannot write {path}: {error}. Free some space, or choose another folder.") from error
        # Without this a computer that loses power may have the new name and not yet what is in the file.
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())


def read_state(path: Path, recipe: str) -> dict[str, Any]:
    """Read what :func:`write_state` wrote, with the same ``recipe``.

    Raises:
        ModelError: it is damaged, holds more than tensors and plain containers, or is of another recipe.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            whole = archive.testzip() is None  # torch itself does not compare the checksums that it writes
        document = torch.load(path, map_location="cpu", weights_only=True) if whole else None
        if not isinstance(document, dict):
            raise damaged(path)
        known = document["format"] == _FORMAT
        state, made_with = document["state"], document["recipe"]
    except (MemoryError, ModelError):
        raise
    except Exception as error:  # what torch raises for bytes that are no checkpoint of its own depends on the bytes
        raise damaged(path) from error
    if not known or made_with != recipe:
        raise ModelError(
            f"{path} belongs to a training with other settings, data or start model. Give the same again to go on with it, or "
            "train anew into another folder."
        )
    if not isinstance(state, dict):
        raise damaged(path)
    return state


def damaged(path: Path) -> ModelError:
    """The error to raise for a state that is not whole."""
    return ModelError(f"{path} is damaged and cannot be gone on from. Train anew into another folder.")
