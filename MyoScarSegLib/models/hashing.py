"""SHA-256 of large checkpoints: with progress, and not computed again while a file stays as it was."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import ModelError, OutputError
from MyoScarSegLib.utils.files import read_json, write_json
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

_VERSION = 1
_BLOCK = 1 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stamp:
    """What tells without reading it whether a file may have changed: writing, replacing or touching it changes some of these.

    The time of the last change of the inode is there because the time of the last writing can be set back by anyone.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """The stamp of the file ``path`` as it is now."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


_memory: dict[Path, tuple[Stamp, str]] = {}


def hash_file(path: Path, progress: Progress = no_progress, cancel: CancelToken | None = None, message: str = "Checking") -> str:
    """SHA-256 of ``path`` in lower-case hexadecimal digits; ``progress`` counts bytes.

    Raises:
        Cancelled: ``cancel`` was set.
        ModelError: the file cannot be read.
    """
    digest = hashlib.sha256()
    done = 0
    try:
        with path.open("rb") as file:
            total = path.stat().st_size
            while block := file.read(_BLOCK):
                if cancel is not None:
                    cancel.raise_if_cancelled()
                digest.update(block)
                done += len(block)
                progress(done, total, message)
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}.") from error
    return digest.hexdigest()


def checksum_of(path: Path) -> str:
    """SHA-256 of any file; asked again in the same process, a file that stayed as it was is not read again.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        path = path.resolve()
        stamp = Stamp.of(path)
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}.") from error
    known = _memory.get(path)
    if known is not None and known[0] == stamp:
        return known[1]
    sha256 = hash_file(path)
    _memory[path] = (stamp, sha256)
    return sha256


def recorded_checksum(path: Path, record: Path) -> str:
    """SHA-256 of ``path``: from the file ``record`` while its stamp still fits ``path``, else computed and recorded."""
    stamp = Stamp.of(path)
    document = _read(record)
    if document == {**_document(path, stamp), "sha256": document.get("sha256")} and isinstance(document["sha256"], str):
        return document["sha256"]
    sha256 = hash_file(path)
    write_record(path, record, stamp, sha256)
    return sha256


def write_record(path: Path, record: Path, stamp: Stamp, sha256: str) -> None:
    """Record that ``path``, as it was at ``stamp``, has this hash. ``stamp`` must be taken before hashing."""
    try:
        write_json(record, {**_document(path, stamp), "sha256": sha256})
    except OutputError as error:  # a read-only cache costs time at the next use, nothing else
        _log.info("The checksum is not recorded and will be computed again: %s", error)


def _document(path: Path, stamp: Stamp) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "path": str(path),
        "size": stamp.size,
        "mtime_ns": stamp.mtime_ns,
        "ctime_ns": stamp.ctime_ns,
        "inode": stamp.inode,
    }


def _read(record: Path) -> dict[str, Any]:
    if not record.exists():
        return {}
    try:
        document = read_json(record, ModelError)
    except ModelError as error:
        _log.info("The checksum is computed again: %s", error)
        return {}
    return document if isinstance(document, dict) else {}
