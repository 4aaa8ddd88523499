"""Finding DICOM files: by what is in them, since scanners and archives name them as they like; and those that are damaged."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from MyoScarSegLib.study.names import ARCHIVE_EXTENSIONS, DICOM_EXTENSIONS, has_extension
from MyoScarSegLib.utils.files import visible_files

#: How an old file without the standard's prefix begins: group 0002 or 0008, or 0008 in the other byte order.
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
_FIRST_TYPES = (b"UL", b"CS", b"UI", b"SH", b"LO", b"DA", b"OB", b"TM")


def is_dicom(path: Path) -> bool:
    """Whether the file starts as a DICOM file does: with the standard's prefix, or (old files) with a first group at once."""
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:
        return False
    if head[128:132] == b"DICM" or len(head) < 16:
        return head[128:132] == b"DICM"
    # Group, element number, and either a known two-letter type or a small length.
    known = head[4:6] in _FIRST_TYPES
    if head[:2] == b"\x00\x08" and head[2] == 0:
        return known
    return head[:2] in _FIRST_GROUPS and head[3] == 0 and (known or int.from_bytes(head[4:8], "little") < 128)


def dicom_files(folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """The DICOM files below ``folder``, in a fixed order, and files that ought to be such and are not, with the reason.

    A file that does not begin as DICOM ought to be one if it has a DICOM extension, or is named like DICOM files beside it but
    for its numbers. Hidden files and directories are left out.
    """
    found: list[Path] = []
    others: list[Path] = []
    patterns: dict[Path, set[str]] = defaultdict(set)
    for path in _files(folder):
        if is_dicom(path):
            found.append(path)
            patterns[path.parent] |= _patterns(path.name)
        else:
            others.append(path)
    damaged = {}
    for path in others:
        packed = has_extension(path, ARCHIVE_EXTENSIONS)
        name = path.stem if packed else path.name
        if name.lower().endswith(DICOM_EXTENSIONS) or _patterns(name) & patterns[path.parent]:
            damaged[path] = f"it is packed ({path.suffix}); unpack it" if packed else _what_it_holds(path)
    return found, damaged


def has_dicom(folder: Path) -> bool:
    """Whether there is any file below ``folder`` that is DICOM or ought to be."""
    if any(is_dicom(path) for path in _files(folder)):
        return True
    return bool(dicom_files(folder)[1])


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in visible_files(folder) if path.name.upper() != "DICOMDIR" and path.is_file())


def _patterns(name: str) -> set[str]:
    """What names of one series share: all but the numbers (of which UIDs have more or fewer); and the length of a bare code."""
    name = re.sub(r"(?<![a-z0-9])[0-9a-f]{8,}(?![a-z0-9])", "#", name.lower())
    patterns = {re.sub(r"(#[._-]?)+", "#", re.sub(r"\d+", "#", name))}
    if re.fullmatch(r"(?=.*\d)[a-z0-9_]{5,}", name):
        patterns.add(str(len(name)))
    return patterns


def _what_it_holds(path: Path) -> str:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        return f"it cannot be opened ({error.strerror})"
    if size == 0:
        return "it is empty"
    return "it holds only zeros" if not start.strip(b"\0") else "it does not begin as DICOM does"
