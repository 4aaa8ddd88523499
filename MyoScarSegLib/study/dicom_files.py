"""Finding DICOM files: by what is in them, since scanners and archives name them as they like."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def is_dicom(path: Path) -> bool:
    """Whether the file starts as a DICOM file does: with the standard's prefix, or (old files) with group 0008 at once."""
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:
        return False
    if head[128:132] == b"DICM":
        return True
    # Without the prefix: group 0008 first, with an element number and either a known two-letter type or a small length.
    if len(head) < 16 or head[:2] != b"\x08\x00" or head[3] != 0:
        return False
    return head[4:6] in (b"UL", b"CS", b"UI", b"SH", b"LO", b"DA") or int.from_bytes(head[4:8], "little") < 128


def dicom_files(folder: Path) -> Iterator[Path]:
    """Every DICOM file below ``folder``, in a fixed order; hidden files and directories are left out."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and name.upper() != "DICOMDIR" and path.is_file() and is_dicom(path):
                yield path


def has_dicom(folder: Path) -> bool:
    """Whether there is any DICOM file below ``folder``."""
    return next(dicom_files(folder), None) is not None
