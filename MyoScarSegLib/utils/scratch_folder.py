"""A temporary folder for as long as its process lives, also if that is killed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.utils.files import os_errors_as
from MyoScarSegLib.utils.locks import is_held, locked

_LOCK = ".lock"


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """A new folder of that prefix in the system's temporary folder, deleted at the end.

    Those of killed processes, whose locks are free, are deleted first.

    Raises:
        OutputError: it cannot be made.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OutputError):  # another user's
            if (left / _LOCK).is_file() and not is_held(left / _LOCK):
                shutil.rmtree(left, ignore_errors=True)
    with os_errors_as(OutputError, f"Cannot make a folder in {tempfile.gettempdir()}", "Free some space."):
        # A process that was just killed may still write there; then the next one deletes it.
        folder = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    with folder as name, locked(Path(name, _LOCK)):
        yield Path(name)
