"""Which files may be used, and how far they may be opened: those that the user trusted by hand, what a model without a published
checksum was at first, and pickles.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models.entry import Sha256
from MyoScarSegLib.utils.files import cache_folder
from MyoScarSegLib.utils.json_fields import load, save
from MyoScarSegLib.utils.locks import locked

_VERSION = 1
_OLDEST_SAFE_TORCH = (2, 6)
"""Before, a file could make torch's restricted unpickler run code (CVE-2025-32434)."""


@dataclass(frozen=True)
class _Trusted:
    """SHA-256 to ``why`` (on whose word) and ``when``, for whoever reads the file."""

    trusted: dict[Sha256, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class FirstUse:
    """What a model without a published checksum was when it was first fetched, or imported (``origin``: a URL, or ``import``)."""

    sha256: Sha256
    size: int
    origin: str
    when: str


def trust_file() -> Path:
    """Where the hashes are recorded that the user has trusted."""
    return cache_folder() / "trusted.json"


def is_trusted(sha256: str) -> bool:
    """Whether the user has explicitly trusted the file with this SHA-256; ModelError if the record cannot be read."""
    return sha256.lower() in _trusted()


def trust(sha256: str, why: str) -> None:
    """Record that the user trusts the file with this SHA-256; ``why`` says on whose word, for whoever reads the record.

    Raises:
        ModelError: ``sha256`` is none, or the record cannot be read.
        OutputError: the record cannot be written.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", sha256.lower()):
        raise ModelError(f"{sha256!r} is not a SHA-256: give 64 hexadecimal digits.")
    with locked(trust_file().with_suffix(".lock")):
        known = _trusted()
        if sha256.lower() not in known:
            known[sha256.lower()] = {"why": why, "when": _now()}
            save(trust_file(), _Trusted(known), version=_VERSION)


def opens_pickles_safely() -> bool:
    """Whether this torch opens a file of tensors without running what else is in it."""
    import torch
    from packaging.version import Version

    return Version(torch.__version__).release >= _OLDEST_SAFE_TORCH


def numbers_in_pickles() -> list[Any]:
    """What a scalar of numpy, such as a training checkpoint's best loss, is pickled with: no more than its type and bytes."""
    import numpy as np

    kinds = (np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.bool_)
    core = np._core if hasattr(np, "_core") else np.core  # numpy 2, numpy 1
    scalar = core.multiarray.scalar
    aliases = [(scalar, f"numpy.{package}.multiarray.scalar") for package in ("core", "_core")]
    return [np.dtype, *aliases, *{type(np.dtype(kind)) for kind in kinds}]


def read_first_use(folder: Path) -> FirstUse | None:
    """The record of the first use in a model's ``folder``, or None if it was never used.

    Raises:
        ModelError: there is a record, but it cannot be understood; it is not safe to go on as if there were none.
    """
    path = folder / "first-use.json"
    if not path.exists():
        return None
    try:
        return load(FirstUse, path, ModelError, version=_VERSION)
    except ModelError as error:
        raise ModelError(f"{path.name} is damaged: {error} Delete its folder and fetch or import the model again.") from error


def write_first_use(folder: Path, sha256: str, size: int, origin: str) -> None:
    """Record in a model's ``folder`` what it was at its first use; ``origin`` is the URL, or the word ``import``."""
    save(folder / "first-use.json", FirstUse(sha256, size, origin, _now()), version=_VERSION)


def _trusted() -> dict[str, dict[str, str]]:
    path = trust_file()
    if not path.exists():
        return {}
    try:
        return load(_Trusted, path, ModelError, version=_VERSION).trusted
    except ModelError as error:
        raise ModelError(f"{error} It is not a record of trusted files. Delete it and trust your files again.") from error


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
