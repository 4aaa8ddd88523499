"""Image embeddings, kept between edits: bounded in bytes, counted, and on disk if wanted."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.utils.files import atomic_path

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)
_ENDING = ".safetensors"


@dataclass(frozen=True)
class EmbeddingKey:
    """What an embedding depends on: the slice's content, the model, the preprocessing, and the part of the slice seen."""

    content: str
    model_sha256: str
    preprocessing: str
    view: str

    @property
    def digest(self) -> str:
        """One SHA-256 for all of it; the file's name on disk."""
        return hashlib.sha256("\n".join((self.content, self.model_sha256, self.preprocessing, self.view)).encode()).hexdigest()


def content_hash(image: np.ndarray) -> str:
    """SHA-256 of a slice's values, shape and type; the same for equal arrays whatever their memory layout."""
    values = np.ascontiguousarray(image)
    digest = hashlib.sha256(f"{values.dtype.str}{values.shape}".encode())
    digest.update(values.data)
    return digest.hexdigest()


class EmbeddingCache:
    """Keeps the least recently used embeddings out when their bytes exceed a budget. Safe to use from several threads.

    Attributes:
        budget_bytes: most that is held in memory.
        folder: where embeddings are also kept on disk; None for memory alone.
        disk_budget_bytes: most that is kept on disk; the oldest go first.
        hits, misses: how often :meth:`get` found an embedding, or did not.
    """

    def __init__(self, budget_bytes: int = 1 << 30, folder: Path | None = None, disk_budget_bytes: int = 8 << 30) -> None:
        self.budget_bytes = budget_bytes
        self.folder = folder
        self.disk_budget_bytes = disk_budget_bytes
        self.hits = 0
        self.misses = 0
        self._held: OrderedDict[str, torch.Tensor] = OrderedDict()
        self._bytes = 0
        self._disk_bytes: int | None = None  # as far as known; None before the folder was first looked at
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """Bytes of the embeddings now in memory."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: EmbeddingKey) -> torch.Tensor | None:
        """The embedding, or None. One found on disk alone is taken into memory."""
        digest = key.digest
        with self._lock:
            found = self._held.get(digest)
            if found is not None:
                self._held.move_to_end(digest)
                self.hits += 1
                return found
        found = self._read(digest)
        with self._lock:
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._hold(digest, found)
        return found

    def put(self, key: EmbeddingKey, embedding: torch.Tensor) -> None:
        """Keep an embedding, on the CPU."""
        embedding = embedding.detach().to("cpu")
        with self._lock:
            self._hold(key.digest, embedding)
        if self.folder is not None:
            self._write(self.folder, key.digest, embedding)

    def clear(self) -> None:
        """Drop what is in memory; what is on disk stays."""
        with self._lock:
            self._held.clear()
            self._bytes = 0

    def _hold(self, digest: str, embedding: torch.Tensor) -> None:
        old = self._held.pop(digest, None)
        if old is not None:
            self._bytes -= old.nbytes
        if embedding.nbytes > self.budget_bytes:
            return
        self._held[digest] = embedding
        self._bytes += embedding.nbytes
        while self._bytes > self.budget_bytes:
            _, dropped = self._held.popitem(last=False)
            self._bytes -= dropped.nbytes

    def _read(self, digest: str) -> torch.Tensor | None:
        path = None if self.folder is None else self.folder / f"{digest}{_ENDING}"
        if path is None or not path.is_file():
            return None
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            embedding = load_file(str(path))["embedding"]
        except (SafetensorError, OSError, KeyError) as error:
            _log.warning("A cached embedding was damaged and is made again: %s", error)
            _remove(path)
            return None
        with contextlib.suppress(OSError):  # on a read-only disk the order of use is not kept
            path.touch()
        return embedding

    def _write(self, folder: Path, digest: str, embedding: torch.Tensor) -> None:
        """A full or read-only disk costs speed, not the result: it is logged, and the memory cache goes on."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        try:
            with atomic_path(folder / f"{digest}{_ENDING}") as temporary:
                try:
                    save_file({"embedding": embedding.contiguous()}, str(temporary))
                except SafetensorError as error:  # how safetensors reports a full disk
                    raise OutputError(str(error)) from error
                size = temporary.stat().st_size
        except OutputError as error:
            _log.warning("Embeddings are not kept on disk: %s", error)
            return
        with self._lock:
            # The folder is looked at only when it may be over its budget: it can hold thousands of files.
            if self._disk_bytes is not None:
                self._disk_bytes += size
            if self._disk_bytes is None or self._disk_bytes > self.disk_budget_bytes:
                self._disk_bytes = self._trim(folder)

    def _trim(self, folder: Path) -> int:
        """Remove the longest unused embeddings from an overfull disk store; returns the bytes that are left."""
        files = []
        for file in folder.glob(f"*{_ENDING}"):
            with contextlib.suppress(OSError):  # another process has just removed it
                status = file.stat()
                files.append((status.st_mtime, status.st_size, file))
        total = sum(size for _, size, _ in files)
        for _, size, file in sorted(files):
            if total <= self.disk_budget_bytes:
                break
            _remove(file)
            total -= size
        return total


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:  # in use (Windows) or read-only: it costs space, nothing else
        _log.info("A cached embedding could not be removed: %s", error)
