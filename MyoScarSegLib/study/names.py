"""Which file formats an input may have, and the name of a case."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

VOLUME_EXTENSIONS = (".nii.gz", ".nii", ".hdr", ".hdr.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
DETACHED_HEADERS = (".hdr", ".hdr.gz", ".nhdr", ".mhd")
"""Of volumes whose voxels may lie in a file beside."""
PICTURE_EXTENSIONS = (".png", ".jpg", ".jpeg")
DICOM_EXTENSIONS = (".dcm", ".dicom", ".ima")
ARCHIVE_EXTENSIONS = (".zip", ".7z", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".rar")

_LONGEST_NAME = 100
_RESERVED_ON_WINDOWS = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}


def has_extension(path: Path, extensions: tuple[str, ...]) -> bool:
    """Whether the file's name ends with one of ``extensions``, whatever the case of its letters."""
    return path.name.lower().endswith(extensions)


def case_name(path: Path | str) -> str:
    """The name of a case: that of its file or folder without the extensions, fit for a folder name on every system.

    ``a.nii.gz`` and ``a.seg.nrrd`` give ``a``; a folder keeps its full name. Never empty.
    """
    path = Path(path)
    name = path.name if path.name not in ("", "..") else path.resolve().name
    if not path.is_dir():
        for extension in (*VOLUME_EXTENSIONS, *PICTURE_EXTENSIONS, *DICOM_EXTENSIONS):
            if name.lower().endswith(extension):
                name = name[: -len(extension)]
                break
        if name.lower().endswith(".seg"):
            name = name[: -len(".seg")]
    name = re.sub(r"[^\w.\-]+", "_", name)[:_LONGEST_NAME].strip("._")
    if name.split(".")[0].lower() in _RESERVED_ON_WINDOWS:
        name = f"case_{name}"
    return name or "case"


def case_names(inputs: Sequence[Path]) -> list[str]:
    """The folder name that each input would have in an empty results folder, in order.

    Inputs of one name get ``-2``, ``-3``, ... appended.

    Names that differ only in upper and lower case count as one, because they would share a folder on some systems.
    """
    taken: set[str] = set()
    names = []
    for path in inputs:
        plain = name = case_name(path)
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which ``slice_2`` comes before ``slice_10``."""
    pieces = re.split(r"(\d+)", name.lower())
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces if piece]
