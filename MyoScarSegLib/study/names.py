"""Which file formats an input may have, and the name of a case."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from pathlib import Path

VOLUME_EXTENSIONS = (".nii.gz", ".nii", ".hdr", ".hdr.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
DETACHED_HEADERS = (".hdr", ".hdr.gz", ".nhdr", ".mhd")
"""Of volumes whose voxels may lie in a file beside."""
PICTURE_EXTENSIONS = (".png", ".jpg", ".jpeg")
DICOM_EXTENSIONS = (".dcm", ".dicom", ".ima")
ARCHIVE_EXTENSIONS = (".zip", ".7z", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".rar")

_LONGEST_NAME_LETTERS = 100
_RESERVED_ON_WINDOWS = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}


def has_extension(path: Path, extensions: tuple[str, ...]) -> bool:
    """Whether the file's name ends with one of ``extensions``, whatever the case of its letters."""
    return path.name.lower().endswith(extensions)


def is_segmentation(path: Path) -> bool:
    """Whether a file is named like a segmentation of 3D Slicer."""
    return has_extension(path, (".seg.nrrd", ".seg.nhdr"))


def stem(path: Path) -> str:
    """A file's name without the extension of an image, and without ``.seg`` before it; a folder's whole name."""
    name = path.name
    if path.is_dir():
        return name
    extensions = (*VOLUME_EXTENSIONS, *PICTURE_EXTENSIONS, *DICOM_EXTENSIONS)
    name = name[: -len(next((one for one in extensions if name.lower().endswith(one)), "")) or None]
    return name[: -len(".seg")] if name.lower().endswith(".seg") else name


def case_name(path: Path | str) -> str:
    """The name of a case: that of its file or folder without the extensions, fit for a folder name on every system.

    ``a.nii.gz`` and ``a.seg.nrrd`` give ``a``; a folder keeps its full name. Never empty.
    """
    path = Path(path)
    name = stem(path.resolve() if path.name in ("", "..") else path)
    name = re.sub(r"[^\w.\-]+", "_", name)[:_LONGEST_NAME_LETTERS].strip("._")
    if name.split(".")[0].lower() in _RESERVED_ON_WINDOWS:
        name = f"case_{name}"
    return name or "case"


def without_folders(text: str, path: Path) -> str:
    """A text with the name of an input in the place of its path, whose folders may have patients' names; see :func:`spelled`."""
    text = spelled(text)
    return text.replace(spelled(str(path)), spelled(path.name)) if path.name else text  # "." has none, and is in every text


def spelled(text: str) -> str:
    """A text with what cannot be written as UTF-8 spelled out, such as the umlauts of an old file server's names."""
    return text.encode(errors="backslashreplace").decode()


def case_names(inputs: Sequence[Path]) -> list[str]:
    """The folder name that each input would have in an empty results folder, in order: :func:`free_name` of each."""
    taken: set[str] = set()
    names = []
    for path in inputs:
        names.append(free_name(case_name(path), taken))
        taken.add(folder_key(names[-1]))
    return names


def free_name(wanted: str, taken: Collection[str]) -> str:
    """A name, or the first of ``name-2``, ``name-3``, ... whose :func:`folder_key` is not ``taken``."""
    name, number = wanted, 1
    while folder_key(name) in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def folder_key(name: str) -> str:
    """The same for names that would share a folder on some systems: those that differ only in upper and lower case."""
    return unicodedata.normalize("NFC", name).casefold()


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which ``slice_2`` comes before ``slice_10``."""
    pieces = re.split(r"(\d+)", name.lower())
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces if piece]
