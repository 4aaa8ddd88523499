"""What the headers of NIfTI, NRRD and MetaImage files say that SimpleITK does not pass on.

SimpleITK fills missing spacing with 1 mm, reads a NIfTI file that was cut short without a word, and makes zeros of a NIfTI
file's NaN and infinite values. All matter here: invented spacing gives a wrong mass, and the others look like slices without
scar.
"""

from __future__ import annotations

import gzip
import math
import re
import shutil
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from MyoScarSegLib.errors import StudyError

#: NIfTI's codes of real floating-point types: 32 and 64 bits. (SimpleITK reads no longer ones.)
_NIFTI_FLOATS = (16, 64)


@dataclass(frozen=True)
class HeaderFacts:
    """What a volume's header says about spacing.

    Attributes:
        spacing: one number per stored axis, as written (may be zero, negative or NaN); None if the header has none.
        sform: 3 x 4, RAS millimetres, if a NIfTI header says that it is valid; else None.
        where: the header's name for its spacing, for messages.
        floats: numpy's name for the type of a NIfTI file's voxels and the byte at which they begin, if they are real floats.
    """

    spacing: tuple[float, ...] | None
    sform: np.ndarray | None = None
    where: str = "spacing"
    floats: tuple[str, int] | None = None


def read_header(path: Path) -> HeaderFacts:
    """The facts in the header of a ``.nii``, ``.nii.gz``, ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file.

    Raises:
        StudyError: the header is damaged, or a NIfTI or MetaImage file is shorter than its header says.
        OSError: the file cannot be read.
    """
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return _nifti(path)
    if name.endswith((".nrrd", ".nhdr")):
        return _nrrd(path)
    return _metaimage(path)


def _nifti(path: Path) -> HeaderFacts:
    try:
        with _opened(path) as file:
            head = file.read(540)
            facts, needed = _nifti_header(path, head)
            length = len(head)
            while length < needed:
                block = file.read(min(1 << 22, needed - length))
                if not block:
                    break
                length += len(block)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise StudyError(
            f"{path} is cut short or damaged: its compressed data cannot be unpacked. Copy or export it again."
        ) from error
    if length < needed:
        raise StudyError(f"{path} is cut short: {length} bytes of {needed}. Copy or export it again.")
    return facts


def _opened(path: Path) -> IO[bytes]:
    """The file, unpacked if it is compressed, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path, "rb")) if packed else path.open("rb")


def _nifti_header(path: Path, head: bytes) -> tuple[HeaderFacts, int]:
    """The facts, and how many bytes the file must have. Layouts: nifti1.h and nifti2.h of the NIfTI-1.1 and -2 standards."""
    if len(head) < 348:
        raise StudyError(f"{path} is cut short or no NIfTI file: {len(head)} bytes. Copy or export it again.")
    for order in "<>":
        size = struct.unpack_from(order + "i", head)[0]
        if size == 348:
            dim = struct.unpack_from(order + "8h", head, 40)
            kind, bits = struct.unpack_from(order + "2h", head, 70)
            pixdim = struct.unpack_from(order + "8f", head, 76)
            offset = struct.unpack_from(order + "f", head, 108)[0]
            code = struct.unpack_from(order + "h", head, 254)[0]
            rows = struct.unpack_from(order + "12f", head, 280)
            single = head[344:347] == b"n+1"
            break
        if size == 540 and len(head) >= 540:
            dim = struct.unpack_from(order + "8q", head, 16)
            kind, bits = struct.unpack_from(order + "2h", head, 12)
            pixdim = struct.unpack_from(order + "8d", head, 104)
            offset = struct.unpack_from(order + "q", head, 168)[0]
            code = struct.unpack_from(order + "i", head, 348)[0]
            rows = struct.unpack_from(order + "12d", head, 400)
            single = head[4:7] == b"n+2"
            break
    else:
        raise StudyError(f"{path} is no NIfTI file, or its header is damaged.")
    if not 1 <= dim[0] <= 7 or any(size < 1 for size in dim[1 : dim[0] + 1]) or not math.isfinite(offset):
        raise StudyError(f"{path}: the NIfTI header is damaged (dimensions {dim}).")
    needed = int(offset) + math.prod(dim[1 : dim[0] + 1]) * bits // 8 if single else 0
    sform = np.reshape(rows, (3, 4)) if code > 0 else None
    floats = (f"{order}f{bits // 8}", int(offset)) if single and kind in _NIFTI_FLOATS else None
    return HeaderFacts(tuple(float(value) for value in pixdim[1:4]), sform, "pixdim", floats), needed


def non_finite(path: Path, facts: HeaderFacts, shape: tuple[int, ...]) -> np.ndarray | None:
    """bool ``[k, j, i]``, where a NIfTI file has NaN or infinite values; None if its type has no such values.

    Args:
        path: the file.
        facts: of its header.
        shape: ``(slices, rows, columns)``.

    Raises:
        OSError: the file cannot be read.
    """
    if facts.floats is None:
        return None
    kind, offset = facts.floats
    with _opened(path) as file:
        file.seek(offset)
        values = np.frombuffer(file.read(math.prod(shape) * np.dtype(kind).itemsize), dtype=kind)
    return ~np.isfinite(values.reshape(shape))


def _nrrd(path: Path) -> HeaderFacts:
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        if not file.readline(80).startswith(b"NRRD"):
            raise StudyError(f"{path} is no NRRD file, or its header is damaged.")
        for line in file:
            text = line.decode("utf-8", "replace").strip()
            if not text:
                break
            if not text.startswith("#") and ":=" not in text and ":" in text:
                name, value = text.split(":", 1)
                fields[name.strip().lower()] = value.strip()
    if "space directions" in fields:
        vectors = re.findall(r"none|\([^)]*\)", fields["space directions"])
        lengths = tuple(math.nan if v == "none" else math.hypot(*(_number(n) for n in v[1:-1].split(","))) for v in vectors)
        return HeaderFacts(lengths, where="space directions")
    if "spacings" in fields:
        return HeaderFacts(tuple(_number(value) for value in fields["spacings"].split()), where="spacings")
    return HeaderFacts(None, where="space directions")


def _metaimage(path: Path) -> HeaderFacts:
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        for line in file:
            if b"=" not in line:
                raise StudyError(f"{path} is no MetaImage file, or its header is damaged.")
            name, value = line.decode("utf-8", "replace").split("=", 1)
            fields[name.strip().lower()] = value.strip()
            if name.strip().lower() == "elementdatafile":
                break
        start = file.tell()
        length = file.seek(0, 2)
    if "dimsize" not in fields or "elementdatafile" not in fields:
        raise StudyError(f"{path} is no MetaImage file, or its header is damaged.")
    if fields["elementdatafile"].lower() == "local":
        needed = _metaimage_bytes(fields)
        if needed is not None and length - start < needed:
            raise StudyError(
                f"{path} is cut short: {length - start} bytes of voxels instead of {needed}. Copy or export it again."
            )
    text = fields.get("elementspacing") or fields.get("elementsize")
    return HeaderFacts(None if text is None else tuple(_number(value) for value in text.split()), where="ElementSpacing")


def _metaimage_bytes(fields: dict[str, str]) -> int | None:
    if fields.get("compresseddata", "").lower() == "true":
        return int(fields["compresseddatasize"]) if fields.get("compresseddatasize", "").isdigit() else None
    sizes = {
        "char": 1,
        "uchar": 1,
        "short": 2,
        "ushort": 2,
        "int": 4,
        "uint": 4,
        "float": 4,
        "double": 8,
        "long_long": 8,
        "ulong_long": 8,
    }
    size = sizes.get(fields.get("elementtype", "").lower().removeprefix("met_"))
    counts = fields["dimsize"].split()
    if size is None or not all(count.isdigit() for count in counts) or fields.get("binarydata", "true").lower() != "true":
        return None
    return math.prod(int(count) for count in counts) * size * int(fields.get("elementnumberofchannels", "1"))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def copy_without_spacing(path: Path, folder: Path) -> Path:
    """A copy of an NRRD or MetaImage file whose header has no spacing, for SimpleITK refuses one that is zero.

    The voxels of a header with a data file of its own stay where they are.
    """
    nrrd = path.name.lower().endswith((".nrrd", ".nhdr"))
    dropped = ("space", "axis mins", "axis maxs") if nrrd else ("elementspacing", "elementsize")
    names = ("data file", "datafile") if nrrd else ("elementdatafile",)
    copy = folder / path.name
    with path.open("rb") as source, copy.open("wb") as target:
        for line in source:
            name, _, value = line.decode("utf-8", "replace").partition(":" if nrrd else "=")
            name, value = name.strip().lower(), value.strip()
            if name in names and value.lower() != "local":
                line = f"{name if nrrd else 'ElementDataFile'}{': ' if nrrd else ' = '}{path.parent.resolve() / value}\n".encode()
            if not name.startswith(dropped):
                target.write(line)
            if (nrrd and not line.strip()) or name == "elementdatafile":
                break
        shutil.copyfileobj(source, target)
    return copy
