"""The import of pydicom, guarded: without network."""

from __future__ import annotations

import struct
import sys
import threading
import zlib
from types import ModuleType
from typing import cast

_lock = threading.Lock()


def import_pydicom() -> ModuleType:
    """The ``pydicom`` package.

    For downloads of its own example files it imports ``requests`` where that is installed, whose import opens a socket to see
    whether IPv6 is there. pydicom does without it, so it does not get it. Idempotent and thread-safe; import submodules after
    calling it.
    """
    with _lock:
        if "pydicom" not in sys.modules and "requests" not in sys.modules:
            sys.modules["requests"] = cast("ModuleType", None)  # what Python takes for "there is no such package"
            try:
                import pydicom
                import pydicom.data
            finally:
                del sys.modules["requests"]
        import pydicom

        return pydicom


def parsing_errors() -> tuple[type[Exception], ...]:
    """What pydicom raises on damaged files: it parses lazily, and each layer fails in its own way."""
    import_pydicom()
    from pydicom.errors import BytesLengthException, InvalidDicomError

    ours = (OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError, ArithmeticError)
    return (InvalidDicomError, BytesLengthException, struct.error, zlib.error, RecursionError, *ours)
