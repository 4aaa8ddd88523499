"""A lock between threads and processes that frees itself when its holder dies."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.utils.files import cache_folder
from MyoScarSegLib.utils.progress import CancelToken, check_cancel

_POLL_S = 0.1

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _taken(handle: int, path: Path) -> bool:
    """Take the lock, if it is free. Returns whether it was."""
    try:
        _try_lock(handle)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        raise _error("lock", path, error) from error
    return True


def _error(verb: str, path: Path, error: OSError) -> OutputError:
    own = " (MYOSCARSEG_CACHE sets the program's own)" if path.is_relative_to(cache_folder()) else ""
    do = f"Free some space, or choose another folder{own} on a disk that can be written and that has locks."
    return OutputError(f"Cannot {verb} {path}: {error.strerror}. {do}")


@contextmanager
def locked(path: Path, cancel: CancelToken | None = None) -> Iterator[None]:
    """Hold the lock file ``path``; while another thread or process holds it, wait until it is free or ``cancel`` is set.

    The lock belongs to the open file, so the system frees it even if the holder is killed. The empty file stays.

    Raises:
        Cancelled: ``cancel`` was set while waiting.
        OutputError: the file cannot be made, or its file system has no locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _error("write", path, error) from error
    try:
        check_cancel(cancel)
        while not _taken(handle, path):
            time.sleep(_POLL_S)
            check_cancel(cancel)
        yield
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Whether a living thread or process holds the lock file ``path``. It is asked by trying: whoever wants the lock must wait
    for it a moment and not give up at once.

    Raises:
        OutputError: the file cannot be opened, or its file system has no locks.
    """
    try:
        handle = os.open(path, os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise OutputError(f"Cannot open {path}: {error.strerror}. You need the right to write in its folder.") from error
    try:
        return not _taken(handle, path)
    finally:
        os.close(handle)
