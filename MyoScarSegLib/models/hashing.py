"""SHA-256 of large checkpoints: with progress, and not computed again while a file stays as it was."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from MyoScarSegLib.errors import ModelError, OutputError
from MyoScarSegLib.utils.files import os_errors_as
from MyoScarSegLib.utils.json_fields import load, save
from MyoScarSegLib.utils.progress import CancelToken, Progress, check_cancel, no_progress

_VERSION = 1
_BLOCK_BYTES = 1 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fingerprint:
    """What tells without reading it whether a file may have changed: writing, replacing or touching it changes some of these.

    The time of the last change of the inode is there because the time of the last writing can be set back by anyone.
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sha256: str = ""

    @classmethod
    def of(cls, path: Path) -> Fingerprint:
        """Of the file ``path`` as it is now, without its checksum. OSError if it cannot be asked."""
        status = path.stat()
        return cls(str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


_known: dict[Fingerprint, str] = {}


def blocks_of(file: IO[bytes], total: int, message: str, progress: Progress, cancel: CancelToken | None) -> Iterator[bytes]:
    """The content of ``file``, ``total`` bytes, piece by piece; ``progress`` counts the bytes that were worked on."""
    done = 0
    while block := file.read(_BLOCK_BYTES):
        check_cancel(cancel)
        yield block
        done += len(block)
        progress(done, total, message)


def hash_file(path: Path, progress: Progress = no_progress, cancel: CancelToken | None = None, message: str = "Checking") -> str:
    """SHA-256 of ``path`` in lower-case hexadecimal digits; ``progress`` counts bytes. ModelError if the file cannot be read."""
    digest = hashlib.sha256()
    with os_errors_as(ModelError, f"Cannot read {path}"), path.open("rb") as file:
        for block in blocks_of(file, path.stat().st_size, message, progress, cancel):
            digest.update(block)
    return digest.hexdigest()


def copy_hashed(source: Path, target: Path, progress: Progress = no_progress, cancel: CancelToken | None = None) -> str:
    """Copy a file, and return its SHA-256; ``progress`` counts bytes. The copy is on the disk when this returns.

    Raises:
        ModelError: ``source`` cannot be read.
        OSError: ``target`` cannot be written.
    """
    digest = hashlib.sha256()
    with os_errors_as(ModelError, f"Cannot read {source}"):
        file = source.open("rb")
    with file, target.open("wb") as out:
        for block in blocks_of(file, source.stat().st_size, f"Copying {source.name}", progress, cancel):
            digest.update(block)
            out.write(block)
        out.flush()
        os.fsync(out.fileno())  # a card or record must not outlive the weights in a power cut
    return digest.hexdigest()


def checksum_of(path: Path) -> str:
    """SHA-256 of any file; asked again in the same process, a file that stayed as it was is not read again.

    Raises:
        ModelError: the file cannot be read.
    """
    with os_errors_as(ModelError, f"Cannot read {path}"):
        now = Fingerprint.of(path.resolve())
    if now not in _known:
        _known[now] = hash_file(path)
    return _known[now]


def recorded_checksum(path: Path, record: Path) -> str:
    """SHA-256 of ``path``: from the file ``record`` while ``path`` is as it was then, else computed and recorded.

    Raises:
        ModelError: the file cannot be read.
    """
    now = Fingerprint.of(path)
    try:
        then = load(Fingerprint, record, ModelError, version=_VERSION)
        if then.sha256 and replace(then, sha256="") == now:
            return then.sha256
    except ModelError as error:
        _log.info("The checksum is computed: %s", error)
    sha256 = hash_file(path)
    record_checksum(record, now, sha256)
    return sha256


def record_checksum(record: Path, fingerprint: Fingerprint, sha256: str) -> None:
    """Keep in ``record`` the hash of the file whose ``fingerprint`` was taken before it was read."""
    try:
        save(record, replace(fingerprint, sha256=sha256), version=_VERSION)
    except OutputError as error:  # a read-only cache costs time at the next use, nothing else
        _log.info("The checksum is not recorded and will be computed again: %s", error)
