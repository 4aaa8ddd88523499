"""Files: atomic writing, checksums, JSON, and the one folder where the program keeps what it caches."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError, OutputError

_HELD = (5, 32, 33)
"""Windows' errors (access denied, sharing and lock violation) for a file that a virus scanner or a reader has open just now."""
_UNFINISHED = ".writing-"
_RETRY_AFTER_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28)


def cache_folder() -> Path:
    """Where downloaded models, trust records and libraries' settings go: ``$MYOSCARSEG_CACHE`` or the system's cache folder."""
    return users_folder("MYOSCARSEG_CACHE", "Cache", "Caches/MyoScarSeg", "XDG_CACHE_HOME", ".cache", "myoscarseg")


def users_folder(variable: str, windows: str, mac: str, xdg: str, usual: str, linux: str) -> Path:
    """The folder that an environment variable names, or else the system's own place: on Windows ``windows`` among the program's
    local data, on a Mac ``mac`` in the library, elsewhere ``linux`` in the folder of the variable ``xdg``, usually ``usual``.
    """
    if chosen := os.environ.get(variable):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "MyoScarSeg" / windows
    if sys.platform == "darwin":
        return Path.home() / "Library" / mac
    return Path(os.environ.get(xdg, Path.home() / usual)) / linux


def visible_files(folder: Path) -> Iterator[Path]:
    """What is below a folder and no folder, in order of names: no hidden files, and none in hidden folders."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root, name) for name in sorted(names) if not name.startswith("."))


def move(source: Path, target: Path) -> None:
    """Rename a file or folder in one go; a file replaces the one that is there. Waits up to 2.5 s for one that Windows holds.

    Raises:
        OSError: it cannot be renamed.
    """
    for wait_s in _RETRY_AFTER_S:
        try:
            Path(source).replace(target)
            return
        except OSError as error:
            if getattr(error, "winerror", None) not in _HELD:
                raise
        time.sleep(wait_s)
    Path(source).replace(target)


EMBEDDINGS, TRAINING_EMBEDDINGS = "embeddings", "training-embeddings"
"""In the cache folder: slices that were encoded for the panel, and for trainings. They are made anew when they are needed."""


def embeddings_bytes() -> int:
    """What the encoded slices take on disk, those of trainings included."""
    return sum(_size(file) for file in _embeddings())


def clear_embeddings() -> int:
    """Delete the encoded slices on disk. Returns the bytes freed; a file in use (on Windows) stays."""
    freed = 0
    for file in _embeddings():
        size = _size(file)
        try:
            file.unlink()
            freed += size
        except OSError:
            continue
    return freed


def _embeddings() -> list[Path]:
    return [file for name in (EMBEDDINGS, TRAINING_EMBEDDINGS) for file in (cache_folder() / name).rglob("*") if file.is_file()]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # a training has just removed it
        return 0


@contextmanager
def os_errors_as(error: type[MyoScarSegError], what: str, do: str = "") -> Iterator[None]:
    """Say what the system refuses in the block in a sentence.

    Raises:
        error: ``WHAT: the system's reason. DO``.
    """
    try:
        yield
    except OSError as reason:
        raise error(f"{what}: {reason.strerror or reason}. {do}".rstrip()) from reason


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, with its extensions, that replaces ``path`` when the block ends well.

    Raises:
        OutputError: the folder cannot be made or written, or the disk is full.
    """
    path = Path(path)
    suffix = "".join(path.suffixes[-2:])
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        name = path.parent / f".writing-{uuid.uuid4().hex}{suffix}"
        # Not tempfile's: its files are the owner's alone, and the umask cannot be asked for without setting it for all threads.
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        temporary = name
        yield temporary
        move(temporary, path)
    except OSError as error:
        raise OutputError(
            f"Cannot write {path}: {error.strerror or error}. Choose another folder, or free some space."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def folder_aside(parent: Path, prefix: str, *, parents: bool = False) -> Iterator[Path]:
    """A new folder in ``parent``, to be filled and then moved to its place; deleted at the end if it is still there.

    With ``parents`` missing parents are made, too; else a folder that somebody deleted meanwhile stays so.

    Raises:
        OutputError: it cannot be made.
    """
    aside = parent / f"{prefix}{uuid.uuid4().hex}"
    with os_errors_as(OutputError, f"Cannot write into {parent}", "Choose another folder, or free some space."):
        aside.mkdir(parents=parents)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def remove(stale: Path) -> None:
    """Take away a file, if it is there, that would contradict what is written now; OutputError if it cannot be removed."""
    with os_errors_as(OutputError, f"Cannot replace {stale}"):
        stale.unlink(missing_ok=True)


def is_unfinished(file: Path) -> bool:
    """Whether a file is one that is being written, or was when its writer was killed."""
    return file.name.startswith(_UNFINISHED)


def remove_unfinished(folder: Path) -> None:
    """Remove what writers left in a folder who were killed; to be called by whoever alone writes there."""
    for file in folder.iterdir():
        if is_unfinished(file):
            with suppress(OSError):
                file.unlink()


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, document: Any) -> None:
    """Write ``document`` to ``path`` as readable JSON, atomically."""
    write_bytes(path, (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path, error: type[MyoScarSegError]) -> Any:
    """The JSON document in ``path``.

    Raises:
        error: the file cannot be read or is not JSON.
    """
    with os_errors_as(error, f"Cannot read {path}"):
        text = Path(path).read_bytes()
    return parse_json(text, error, str(path))


def parse_json(text: str | bytes, error: type[MyoScarSegError], where: str) -> Any:
    """The JSON document ``text``.

    Raises:
        error: it is none; the message begins with ``where``.
    """
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text  # some editors put a byte order mark first
        return json.loads(text)
    except (ValueError, RecursionError) as reason:  # also of the decoder, and for numbers of thousands of digits
        raise error(f"{where} is not valid JSON: {reason}.") from reason


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as lower-case hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
