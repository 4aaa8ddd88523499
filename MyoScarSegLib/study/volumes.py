"""Reading NIfTI, NRRD and MetaImage volumes: what the readers of the three formats share."""

from __future__ import annotations

import bz2
import io
import math
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.names import has_extension
from MyoScarSegLib.study.stack import FileStack, numbers, usable_spacing
from MyoScarSegLib.study.study import Geometry
from MyoScarSegLib.utils.files import os_errors_as

#: Sines of the angle by which axes may miss the right angle. Below the first nothing is to be said; up to the second it is
#: rounding of the numbers in the header, and the axes are set straight; beyond, the stack is sheared, and stays so.
_STRAIGHT, _ROUNDED = 1e-5, 1e-2

#: Volume that three unit vectors must span to be three directions at all.
_FLAT = 0.01

_MM_PER_UNIT = {
    **dict.fromkeys(("", "?", "mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"), 1e-3),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1000.0),
}


def read_volume(path: Path) -> FileStack:
    """The 3D image in ``path``, with its spacing if the header really has one.

    Raises:
        StudyError: the file is damaged, cut short, not 3D, in color, or of several channels.
    """
    if has_extension(path, (".nrrd", ".nhdr")):
        from MyoScarSegLib.study.nrrd_file import read_nrrd as read
    elif has_extension(path, (".mha", ".mhd")):
        from MyoScarSegLib.study.metaimage import read_metaimage as read
    else:
        from MyoScarSegLib.study.nifti import read_nifti as read
    with os_errors_as(StudyError, f"Cannot read {path}"):
        stack = read(path)
    if np.iscomplexobj(stack.array):
        raise StudyError(f"{path} holds complex numbers. Export the magnitude or the phase-sensitive (PSIR) image.")
    return stack


def placed(
    path: Path,
    file_format: str,
    array: np.ndarray,
    spacing_mm: Sequence[float] | None,
    cosines: np.ndarray,
    origin_mm: np.ndarray,
    where: str,
    notes: Sequence[str] = (),
) -> FileStack:
    """The stack that a file holds, its geometry checked.

    Args:
        path, file_format: of the file.
        array: ``[k, j, i]``, after the format's own scaling of values.
        spacing_mm: along i, j, k as the header has it (may be zero, negative or NaN); None if the header has none.
        cosines: 3 x 3, whose columns are the directions of i, j, k in LPS; NaN where the header has none.
        origin_mm: LPS, of voxel (0, 0, 0).
        where: the header's name for its spacing, for messages.
        notes: sentences on what was found.
    """
    x, y, z = (float(value) for value in np.nan_to_num(origin_mm, posinf=0.0, neginf=0.0))
    direction, found = _directions(cosines)
    geometry, problem = Geometry(None, (x, y, z), direction), ""
    if spacing_mm is None:
        problem = f"{path.name} has no spacing in its header ({where} is missing)."
    elif not usable_spacing(spacing_mm):
        problem = f"{path.name} has no usable spacing in its header ({where} is {numbers(spacing_mm)})."
    else:
        geometry = geometry.even((float(spacing_mm[0]), float(spacing_mm[1]), float(spacing_mm[2])))
    said = (*notes, *(() if problem else found))
    return FileStack(array, geometry, file_format, spacing_problem=problem, source={"file": path.name}, notes=said)


def geometry_of(image: Any) -> Geometry:
    """The geometry of a 3D SimpleITK image."""
    return Geometry(image.GetSpacing(), image.GetOrigin(), np.reshape(image.GetDirection(), (3, 3)))


def mm_per_unit(unit: str) -> float | None:
    """Millimeters in a header's unit of length; None if it is not known."""
    return _MM_PER_UNIT.get(unit.strip().lower())


def three_axes(path: Path, shape: tuple[int, ...]) -> None:
    """Check ``(i, j, k, ...)``, with axes of one entry behind the third left out.

    Raises:
        StudyError: these are fewer or more than three axes.
    """
    size = " x ".join(str(count) for count in shape)
    if len(shape) > 3:
        raise StudyError(
            f"{path} is {len(shape)}D, of size {size}: several volumes in one file (phases, or PSIR and magnitude). "
            "Save the one to measure as a 3D volume."
        )
    if len(shape) < 3:
        raise StudyError(f"{path} has only one slice (size {size}); scar is measured on a stack. Give the whole stack.")


def one_value_per_voxel(path: Path, channels: int, shape: tuple[int, ...]) -> None:
    """Refuse color and vector images; StudyError if there are several values per voxel."""
    if channels != 1:
        size = " x ".join(str(count) for count in shape)
        raise StudyError(
            f"{path} has {channels} values per voxel (size {size}): a color or vector image. "
            "Export the LGE image in gray, one value per voxel."
        )


def data_names(said: str, file: IO[bytes]) -> list[str]:
    """The data files that a header tells of: one, a pattern with its numbers, or a LIST, whose names follow in ``file``."""
    if said.upper().startswith("LIST"):
        return [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    counted = re.fullmatch(r"(.*%0?\d*d.*?)\s+(-?\d+)\s+(-?\d+)(?:\s+(-?\d+))?(?:\s+\d+)?", said)
    if counted is None:
        return [said]
    first, last, step = int(counted[2]), int(counted[3]), int(counted[4] or 1) or 1
    return [counted[1] % number for number in range(first, last + (1 if step > 0 else -1), step)]


def stored_values(
    path: Path,
    file: IO[bytes],
    data: Sequence[str] | None,
    shape: Sequence[int],
    kind: np.dtype,
    encoding: str = "raw",
    *,
    lines: int = 0,
    skip: int = 0,
    unpacked_skip: int = 0,
) -> np.ndarray:
    """The values of a volume in the order of its file, one after the other, in native byte order.

    Args:
        path: of the header.
        file: it, open behind the header.
        data: names of the files that hold the voxels in equal parts; None if they follow the header.
        shape, kind: of the volume, and of a value as it is stored.
        encoding: ``raw``, ``text``, ``gzip`` (zlib's frame or gzip's) or ``bzip2``.
        lines, skip: what to leave out first of each file, in lines and then in bytes; -1 is all but the voxels at its end.
        unpacked_skip: the same of what is unpacked.

    Raises:
        StudyError: a file is missing, cut short or damaged.
    """

    def read(one: Path, opened: IO[bytes], wanted: int) -> bytes:
        for _ in range(lines):
            opened.readline()
        opened.seek(*((max(0, opened.seek(0, io.SEEK_END) - wanted),) if skip < 0 else (skip, io.SEEK_CUR)))
        values = read_bytes(opened, wanted) if encoding == "raw" else _unpacked(path, opened.read(), kind, encoding)
        values = values[-wanted:] if unpacked_skip < 0 else values[unpacked_skip:]
        if len(values) < wanted:
            raise cut_short(path, one, len(values), wanted)
        return values[:wanted]

    whole = math.prod(int(size) for size in shape) * kind.itemsize
    if data is None:
        found = read(path, file, whole)
    else:
        files = [data_file(path, name) for name in data]
        if not files or whole % len(files):
            size = " x ".join(map(str, shape))
            raise StudyError(f"{path}: its {len(files)} data files cannot hold {size} voxels in equal parts.")
        parts = []
        for one in files:
            with one.open("rb") as opened:
                parts.append(read(one, opened, whole // len(files)))
        found = b"".join(parts)
    return np.frombuffer(found, kind).astype(kind.newbyteorder("="), copy=False)


def _unpacked(path: Path, packed: bytes, kind: np.dtype, encoding: str) -> bytes:
    try:
        if encoding == "text":
            return np.array(packed.split(), dtype=np.float64).astype(kind).tobytes()
        unpacker: Any = bz2.BZ2Decompressor() if encoding == "bzip2" else zlib.decompressobj(zlib.MAX_WBITS | 32)
        return bytes(unpacker.decompress(packed))
    except ValueError as error:
        raise StudyError(f"{path}: its text is no list of numbers ({error}). Export it again.") from error
    except (zlib.error, OSError, EOFError) as error:
        raise unpacks_badly(path) from error


def read_bytes(file: IO[bytes], wanted: int) -> bytes:
    """At most ``wanted`` bytes, in blocks: a damaged header may ask for more than there is memory."""
    parts, left = [], wanted
    while left > 0 and (part := file.read(min(left, 1 << 24))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def cut_short(path: Path, data: Path, there: int, wanted: int) -> StudyError:
    """The error of a file with too few bytes. ``data`` is the file that has them, ``path`` the one that the user named."""
    of = "" if data == path else f" (its data file {data.name})"
    return StudyError(f"{path}{of} is cut short: {there} bytes of voxels instead of {wanted}. Copy or export it again.")


def unpacks_badly(path: Path) -> StudyError:
    """The error of a file whose compressed data cannot be unpacked."""
    return StudyError(f"{path} is cut short or damaged: its compressed data cannot be unpacked. Copy or export it again.")


def data_file(path: Path, name: str) -> Path:
    """The file that a header in ``path`` names as that of its voxels; StudyError if it is not there."""
    file = path.parent / name.strip().strip('"')
    if not file.is_file():
        raise StudyError(
            f"{path} keeps its voxels in {name}, which is not there. Copy that file too, into the folder of the header."
        )
    return file


def _directions(cosines: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Unit vectors along i, j, k as columns, and notes on what had to be done to them."""
    lengths = np.linalg.norm(cosines, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        units = cosines / lengths
    if not np.isfinite(units).all() or abs(np.linalg.det(units)) < _FLAT:
        return np.eye(3), ["The header gives no valid directions of the axes: sizes are right, the place in the body is unknown."]
    off = float(np.abs(units.T @ units - np.eye(3)).max())
    if off <= _STRAIGHT or off > _ROUNDED:
        return units, []
    left, _, right = np.linalg.svd(units)
    return left @ right, [
        f"The axes in the header are not quite at right angles (by up to {np.degrees(np.arcsin(off)):.2g} degrees), as after "
        "rounding; they were set straight."
    ]
