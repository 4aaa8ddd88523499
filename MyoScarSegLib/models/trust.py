"""Which files may be used: those that the user trusted by hand, and what a model without a published checksum was at first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.utils.files import cache_folder, read_json, write_json
from MyoScarSegLib.utils.locks import locked

_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


def trust_file() -> Path:
    """Where the hashes are recorded that the user has trusted."""
    return cache_folder() / "trusted.json"


def is_trusted(sha256: str) -> bool:
    """Whether the user has explicitly trusted the file with this SHA-256.

    Raises:
        ModelError: the record cannot be read.
    """
    return sha256.lower() in _trusted()


def trust(sha256: str, why: str) -> None:
    """Record that the user trusts the file with this SHA-256; ``why`` says on whose word, for whoever reads the record.

    Raises:
        ModelError: ``sha256`` is none, or the record cannot be read.
        OutputError: the record cannot be written.
    """
    sha256 = _checked(sha256)
    with locked(trust_file().with_suffix(".lock")):
        known = _trusted()
        if sha256 not in known:
            known[sha256] = {"why": why, "when": _now()}
            write_json(trust_file(), {"version": _VERSION, "trusted": known})


@dataclass(frozen=True)
class FirstUse:
    """What a model without a published checksum was when it was first fetched or imported."""

    sha256: str
    size: int
    origin: str
    when: str


def read_first_use(folder: Path) -> FirstUse | None:
    """The record of the first use in a model's ``folder``, or None if it was never used.

    Raises:
        ModelError: there is a record, but it cannot be understood; it is not safe to go on as if there were none.
    """
    path = folder / "first-use.json"
    if not path.exists():
        return None
    document = read_json(path, ModelError)
    try:
        if document["version"] != _VERSION:
            raise ValueError(f"version {document['version']!r}")
        return FirstUse(_checked(document["sha256"]), int(document["size"]), str(document["origin"]), str(document["when"]))
    except (KeyError, TypeError, ValueError, ModelError) as error:
        raise ModelError(f"{path} is damaged ({error}). Delete that folder and fetch or import the model again.") from error


def write_first_use(folder: Path, sha256: str, size: int, origin: str) -> None:
    """Record in a model's ``folder`` what it was at its first use; ``origin`` is the URL, or the word ``import``."""
    document = {"version": _VERSION, "sha256": _checked(sha256), "size": size, "origin": origin, "when": _now()}
    write_json(folder / "first-use.json", document)


def _trusted() -> dict[str, Any]:
    path = trust_file()
    if not path.exists():
        return {}
    document = read_json(path, ModelError)
    trusted = document.get("trusted") if isinstance(document, dict) and document.get("version") == _VERSION else None
    if not isinstance(trusted, dict):
        raise ModelError(f"{path} is not a record of trusted files of version {_VERSION}. Delete it and trust your files again.")
    return trusted


def _checked(sha256: Any) -> str:
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256.lower()):
        raise ModelError(f"{sha256!r} is not a SHA-256: give 64 hexadecimal digits.")
    return sha256.lower()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
