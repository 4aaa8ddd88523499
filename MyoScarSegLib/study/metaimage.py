"""Reading MetaImage files (``.mha``, and ``.mhd`` with its data in one other file or several)."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import IO

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.stack import FileStack
from MyoScarSegLib.study.volumes import data_names, mm_per_unit, one_value_per_voxel, placed, stored_values, three_axes

_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "long": "i4", "ulong": "u4",
    "long_long": "i8", "ulong_long": "u8", "float": "f4", "double": "f8",
}  # fmt: skip
_LONGEST_LINE, _MOST_LINES = 4096, 1000


def read_metaimage(path: Path) -> FileStack:
    """The volume in a MetaImage file.

    Raises:
        StudyError: the header is damaged or lacks a field, a file is missing or cut short, it is not 3D, or in color.
        OSError: a file cannot be read.
    """
    with path.open("rb") as file:
        fields = _fields(path, file)
        sizes = _numbers(path, fields, "dimsize")
        if sizes is None or not all(size >= 1 and size.is_integer() for size in sizes):
            raise StudyError(f"{path} is no MetaImage file, or its header is damaged: it has no valid DimSize.")
        shape = tuple(int(size) for size in sizes)
        channels = fields.get("elementnumberofchannels", "1")
        if channels != "1":
            one_value_per_voxel(path, int(channels) if channels.isdigit() else 0, shape)
        array = _array(path, fields, shape, file)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    three_axes(path, shape)
    count = len(sizes)
    spacing = _numbers(path, fields, "elementspacing", "elementsize")
    scale = mm_per_unit(fields.get("distanceunits", ""))
    where = "ElementSpacing" if scale is not None else f"the unit {fields['distanceunits']!r} is not known; ElementSpacing"
    matrix = _numbers(path, fields, "transformmatrix", "rotation", "orientation")
    origin = _numbers(path, fields, "offset", "position", "origin")
    mm = math.nan if scale is None else scale
    return placed(
        path,
        "MetaImage",
        array.reshape(shape[::-1]),
        None if spacing is None else tuple(value * mm for value in (*spacing, math.nan, math.nan)[:3]),
        # Each row of the file's matrix is the direction of one axis.
        np.eye(3) if matrix is None or len(matrix) != count * count else np.reshape(matrix, (count, count))[:3, :3].T,
        np.zeros(3) if origin is None or len(origin) < 3 else np.array(origin[:3]) * mm,
        where,
    )


def _fields(path: Path, file: IO[bytes]) -> dict[str, str]:
    """The header's fields by their names in small letters; the file stands behind the last, the name of the data file."""
    fields: dict[str, str] = {}
    for _ in range(_MOST_LINES):
        raw = file.readline(_LONGEST_LINE)
        line = raw.decode("utf-8", "replace").strip()
        found = re.match(r"(\w+)\s*[=:]\s*(.*)", line)
        if found:
            fields[found[1].lower()] = found[2].strip()
            if found[1].lower() == "elementdatafile":
                return fields
        if not raw:
            break
    if "dimsize" in fields:
        raise StudyError(f"{path}: the MetaImage header has no ElementDataFile, which says where the voxels are.")
    raise StudyError(f"{path} is no MetaImage file, or its header is damaged.")


def _numbers(path: Path, fields: dict[str, str], *names: str) -> list[float] | None:
    """The numbers of the first of these fields that is there; None if none is."""
    text = next((fields[name] for name in names if name in fields), None)
    if text is None:
        return None
    try:
        return [float(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise StudyError(f"{path}: the MetaImage header is damaged: {names[0]} is {text!r}.") from error


def _array(path: Path, fields: dict[str, str], shape: tuple[int, ...], file: IO[bytes]) -> np.ndarray:
    """The values in the order of the file, one after the other."""
    said = fields.get("elementtype", "")
    name = _TYPES.get(said.lower().removeprefix("met_"))
    if name is None:
        raise StudyError(f"{path}: the MetaImage header's ElementType {said or 'is missing'} cannot be read.")
    high = next((fields[key] for key in ("elementbyteordermsb", "binarydatabyteordermsb") if key in fields), "false")
    kind = np.dtype((">" if high.lower() in ("true", "1") else "<") + name)
    packed, text = (fields.get(key, other).lower() for key, other in (("compresseddata", "false"), ("binarydata", "true")))
    encoding = "text" if text == "false" else "gzip" if packed == "true" else "raw"
    names = None
    if fields["elementdatafile"].lower() == "local":
        _skip_blank_lines(file, math.prod(shape) * kind.itemsize if packed != "true" else None)
    else:
        names = data_names(fields["elementdatafile"], file)
    skip = fields.get("headersize", "0")
    return stored_values(
        path, file, names, shape, kind, encoding, skip=-1 if skip == "-1" else int(skip) if skip.isdigit() else 0
    )


def _skip_blank_lines(file: IO[bytes], wanted: int | None) -> None:
    """Behind the header, where they are no voxels: so many more bytes than ``wanted`` lie there, or packed data begin later."""
    start, size = file.tell(), file.seek(0, 2)
    file.seek(start)
    read = file.read(16)
    count = len(read) - len(read.lstrip(b"\r\n"))
    file.seek(start + (count if wanted is None else max(0, min(count, size - start - wanted))))
