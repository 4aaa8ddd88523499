"""Reading NRRD files: the header by pynrrd, the voxels also from several files."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.stack import FileStack
from MyoScarSegLib.study.volumes import data_names, mm_per_unit, one_value_per_voxel, placed, stored_values, three_axes

#: What is read of a header; the many other fields that programs add say nothing of voxels and their places.
_FIELDS = {
    "type", "dimension", "sizes", "space", "space dimension", "space directions", "space origin", "space units", "spacings",
    "units", "kinds", "endian", "encoding", "byte skip", "line skip", "data file",
}  # fmt: skip
_SPELLINGS = {"byteskip": "byte skip", "lineskip": "line skip", "datafile": "data file"}
_ENCODINGS = {
    "raw": "raw", "ascii": "text", "text": "text", "txt": "text", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2",
}  # fmt: skip
_REQUIRED = ("type", "dimension", "sizes", "encoding")

#: By what factors x, y, z of a space become LPS; others say nothing of the patient and are taken as they are, as ITK does.
_TO_LPS = {
    "ras": (-1, -1, 1), "right-anterior-superior": (-1, -1, 1),
    "las": (1, -1, 1), "left-anterior-superior": (1, -1, 1),
    "lps": (1, 1, 1), "left-posterior-superior": (1, 1, 1),
    "scanner-xyz": (1, 1, 1), "3d-right-handed": (1, 1, 1), "3d-left-handed": (1, 1, 1), "": (1, 1, 1),
}  # fmt: skip


def read_nrrd(path: Path) -> FileStack:
    """The volume in a ``.nrrd`` or ``.nhdr`` file, whose voxels may lie in one other file or in several.

    Raises:
        StudyError: the header is damaged or lacks a field, a file is missing or cut short, it is not 3D, or in color.
        OSError: a file cannot be read.
    """
    with path.open("rb") as file:
        header = _header(path, file)
        sizes = [int(size) for size in header["sizes"]]
        spatial = _spatial_axes(path, header, sizes)
        array = _array(path, header, file).reshape(sizes[::-1])
    # Axis n of the header is axis -1 - n of the array. The others have one entry each.
    order = [len(sizes) - 1 - n for n in (*[n for n in range(len(sizes)) if n not in spatial], *spatial[::-1])]
    array = np.transpose(array, order).reshape([sizes[n] for n in spatial[::-1]])
    return placed(path, "NRRD", array, *_place(path, header, spatial))


def _header(path: Path, file: IO[bytes]) -> dict[str, Any]:
    """The fields; the file stands behind them, and before a LIST of data files."""
    import nrrd

    magic = file.readline(80).decode("latin-1").strip()
    if not re.fullmatch(r"NRRD000[1-5]", magic):
        raise StudyError(f"{path} is no NRRD file, or its header is damaged.")
    lines = [magic]
    for raw in file:
        line = raw.decode("utf-8", "replace").strip()
        if not line:
            break
        name, colon, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        name = _SPELLINGS.get(name, name)
        if line.startswith("#") or not colon or value.startswith("=") or name not in _FIELDS:
            continue
        if name in ("space directions", "space origin"):
            value = re.sub(r"\s*([(,])\s*|\s+(?=\))", lambda found: found[1] or "", value).replace(")(", ") (")
            value = re.sub(r"(?<=[\w)])\(", " (", value)
        lines.append(f"{name}: {value}")
        if name == "data file" and value.upper().startswith("LIST"):
            break
    try:
        header = dict(nrrd.read_header(lines))
        missing = [name for name in _REQUIRED if name not in header]
        if not missing and (len(header["sizes"]) != header["dimension"] or min(header["sizes"]) < 1):
            raise ValueError(f"{header['dimension']} axes of the sizes {' '.join(map(str, header['sizes']))}")
        if not missing and header["dimension"] > 2 and len(header.get("space origin", (0, 0, 0))) < 3:
            raise ValueError("its space origin has fewer than three numbers")
    except (nrrd.NRRDError, ValueError, IndexError, TypeError) as error:
        raise StudyError(f"{path}: the NRRD header is damaged ({error}). Export it again.") from error
    if missing:
        raise StudyError(f"{path}: the NRRD header lacks {', '.join(missing)}. Export it again, or add what is missing.")
    return header


def _spatial_axes(path: Path, header: Mapping[str, Any], sizes: list[int]) -> list[int]:
    """Which of the header's axes are i, j and k."""
    count = len(sizes)
    along = header.get("space directions", header.get("spacings"))
    kinds = [kind.lower() for kind in header.get("kinds", [])]
    kinds = kinds if len(kinds) == count else ["???"] * count
    if along is not None and len(along) == count:
        vectors = np.reshape(np.asarray(along, dtype=float), (count, -1))
        spatial = [n for n in range(count) if np.isfinite(vectors[n]).all()]
    else:
        spatial = [n for n in range(count) if kinds[n] in ("???", "none", "domain", "space")]
    if len(spatial) != 3:  # nothing tells the axes apart but their sizes: one slice position too few is a spacing too few
        spatial = [n for n in range(count) if sizes[n] > 1] if count > 3 else list(range(count))
    rest = [n for n in range(count) if n not in spatial and sizes[n] > 1]
    if rest and kinds[rest[0]] not in ("list", "time", "???", "none", "domain", "space"):
        one_value_per_voxel(path, math.prod(sizes[n] for n in rest), tuple(sizes))
    three_axes(path, tuple(sizes[n] for n in (*spatial, *rest)))
    return spatial


def _place(
    path: Path, header: Mapping[str, Any], spatial: list[int]
) -> tuple[tuple[float, ...] | None, np.ndarray, np.ndarray, str]:
    """Spacing, cosines, origin and the name of the field, as :func:`placed` takes them."""
    no_origin = np.zeros(3)
    if "space directions" in header:
        where, units = "space directions", header.get("space units", [])
        vectors = np.full((3, 3), np.nan)
        for column, n in enumerate(spatial):
            vector = np.asarray(header["space directions"][n], dtype=float)[:3]
            vectors[: len(vector), column] = vector
        origin = np.asarray(header.get("space origin", no_origin), dtype=float)[:3]
    elif "spacings" in header:
        where, units = "spacings", header.get("units", [])
        units = [units[n] for n in spatial] if len(units) > max(spatial) else []
        spacings = [float(header["spacings"][n]) if n < len(header["spacings"]) else math.nan for n in spatial]
        vectors, origin = np.eye(3), no_origin
    else:
        return None, np.eye(3), no_origin, "space directions"
    scales = [mm_per_unit(unit) for unit in (*units, "", "", "")[:3]]
    unknown = next((unit for unit, mm in zip(units, scales, strict=False) if mm is None), None)
    if unknown is not None:
        where = f"the unit {unknown!r} of {where} is not known; it"
    factors = np.array([math.nan if mm is None else mm for mm in scales])
    if where == "spacings":
        return tuple(float(s * mm) for s, mm in zip(spacings, factors, strict=True)), vectors, origin, where
    name = re.sub(r"[-\s]?time$", "", str(header.get("space", "")).lower())
    if name not in _TO_LPS:
        raise StudyError(f"{path}: the NRRD header's space {header['space']!r} is none that the format has. Export it again.")
    to_lps = np.diag(_TO_LPS[name]).astype(float)
    vectors = to_lps @ (factors[:, None] * vectors)
    lengths = np.linalg.norm(vectors, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = vectors / lengths
    return tuple(float(length) for length in lengths), cosines, to_lps @ (factors * origin), where


def _array(path: Path, header: dict[str, Any], file: IO[bytes]) -> np.ndarray:
    """The values in the order of the file, one after the other."""
    import nrrd

    said, skip = str(header["encoding"]).lower(), int(header.get("byte skip", 0))
    encoding = _ENCODINGS.get(said)
    plain = {"type": header["type"], "encoding": "raw"}
    if "endian" in header or encoding == "text":
        plain["endian"] = str(header.get("endian", "little")).lower()
    try:
        # Only tells the type, as its number of bytes is needed before the voxels are read.
        kind = nrrd.read_data({**plain, "dimension": 1, "sizes": np.array([1])}, io.BytesIO(bytes(64)), index_order="C").dtype
    except (nrrd.NRRDError, KeyError, TypeError, ValueError) as error:
        raise StudyError(f"{path}: the NRRD header does not say of what type the voxels are ({error}).") from error
    if encoding is None:
        raise StudyError(f"{path}: its encoding {said!r} cannot be read. Save it as raw or gzip.")
    names = data_names(str(header["data file"]), file) if header.get("data file") else None
    skips = {"raw": {"skip": skip}, "text": {}}.get(encoding, {"unpacked_skip": skip})
    return stored_values(path, file, names, header["sizes"], kind, encoding, lines=int(header.get("line skip", 0)), **skips)
