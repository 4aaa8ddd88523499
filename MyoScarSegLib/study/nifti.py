"""Reading NIfTI-1 and -2 files, alone or as a pair of header and image, by nibabel."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.pydicom_guard import import_pydicom
from MyoScarSegLib.study.stack import FileStack, numbers, usable_spacing
from MyoScarSegLib.study.study import RAS_TO_LPS
from MyoScarSegLib.study.volumes import (
    cut_short,
    data_file,
    one_value_per_voxel,
    placed,
    read_bytes,
    three_axes,
    unpacks_badly,
)

#: Relative difference of spacings that is more than float32 rounding.
_SAME_SPACING = 1e-3

#: Sine of the angle from which on axes are sheared, and not only rounded.
_SHEARED = 1e-2

#: Millimeters in the unit of length that ``xyzt_units`` names; 0 is unknown, for which millimeters are usual.
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}


def read_nifti(path: Path) -> FileStack:
    """The volume in a ``.nii`` or ``.nii.gz`` file (packed or not, whatever its name says), or a ``.hdr`` with its ``.img``.

    Raises:
        StudyError: the file is no NIfTI file, damaged or cut short, not 3D, or in color.
        OSError: it cannot be read.
    """
    try:
        with _opened(path) as file:
            header = _header(path, file)
            shape = tuple(int(size) for size in header["dim"][1 : int(header["dim"][0]) + 1])
            _check_shape(path, shape, header)
            if header["magic"].item().startswith(b"n+"):
                return _volume(path, header, shape, path, file)
            image = data_file(path, _image_name(path))
            with _opened(image) as data:
                return _volume(path, header, shape, image, data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise unpacks_badly(path) from error


def _opened(path: Path) -> IO[bytes]:
    """The file, unpacked if it is compressed, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path, "rb")) if packed else path.open("rb")


def _image_name(path: Path) -> str:
    """Of the pair's other file."""
    packed = path.name.lower().endswith(".gz")
    stem = path.name[:-3] if packed else path.name
    beside = [f"{Path(stem).stem}{ending}" for ending in (".img", ".IMG", ".img.gz")]
    return next((name for name in beside if (path.parent / name).is_file()), beside[0])


def _header(path: Path, file: IO[bytes]) -> Any:
    import_pydicom()  # nibabel imports it, and not quietly
    from nibabel import Nifti1Header, Nifti2Header
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    head = file.read(540)
    file.seek(0)
    for kind in (Nifti1Header, Nifti2Header):
        if kind.may_contain_header(head):
            try:
                return kind.from_fileobj(file, check=False)
            except (HeaderDataError, WrapStructError, ValueError) as error:
                raise StudyError(f"{path}: the NIfTI header is damaged ({error}).") from error
    if len(head) < 348:
        raise StudyError(f"{path} is cut short or no NIfTI file: {len(head)} bytes. Copy or export it again.")
    if head[:4] in ((348).to_bytes(4, "little"), (348).to_bytes(4, "big")):
        raise StudyError(f"{path} is an Analyze 7.5 header, which does not say how the image lies. Convert it to NIfTI.")
    raise StudyError(f"{path} is no NIfTI file, or its header is damaged.")


def _check_shape(path: Path, shape: tuple[int, ...], header: Any) -> None:
    if not 1 <= len(shape) <= 7 or min(shape) < 1:
        raise StudyError(f"{path}: the NIfTI header is damaged (dimensions {numbers(header['dim'])}).")
    channels = math.prod(shape[4:])
    if len(shape) > 4 and shape[3] == 1:
        one_value_per_voxel(path, channels, shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    three_axes(path, shape)


def _volume(path: Path, header: Any, shape: tuple[int, ...], data: Path, file: IO[bytes]) -> FileStack:
    from nibabel.spatialimages import HeaderDataError

    try:
        kind = header.get_data_dtype()
    except (HeaderDataError, KeyError) as error:
        raise StudyError(f"{path}: the NIfTI header is damaged (type {int(header['datatype'])} is unknown).") from error
    one_value_per_voxel(path, len(kind.fields or (None,)), shape)
    if kind.itemsize == 0:
        raise StudyError(f"{path} has voxels of single bits, which cannot be read. Save it with whole numbers.")
    wanted = math.prod(shape) * kind.itemsize
    offset = float(header["vox_offset"])
    if offset == 0 and data == path:
        offset = float(header.single_vox_offset)
    if not (int(header["sizeof_hdr"]) if data == path else 0) <= offset < 1 << 40:
        raise StudyError(f"{path}: the NIfTI header is damaged (the voxels begin at byte {offset:g}).")
    file.seek(int(offset))
    raw = read_bytes(file, wanted)
    if len(raw) < wanted:
        raise cut_short(path, data, len(raw), wanted)
    from nibabel.volumeutils import apply_read_scaling

    values = np.frombuffer(raw, kind).reshape(shape[2::-1])
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError:
        slope, intercept = None, None  # as the standard has it, and ITK does: no valid scaling is none
    if slope is not None:
        values = apply_read_scaling(values, slope, intercept)
    spacing, affine, notes = _forms(path, header)
    values = values.astype(values.dtype.newbyteorder("="))
    return placed(path, "NIfTI", values, spacing, affine[:, :3], affine[:, 3], "pixdim", notes)


def _forms(path: Path, header: Any) -> tuple[tuple[float, ...], np.ndarray, tuple[str, ...]]:
    """Spacing, 3 x 4 directions (LPS, of any length) and origin, and notes.

    Of the two forms the one that ITK and so 3D Slicer takes: the sform where its code is 1 or there is no qform, else the
    qform. Only a sheared sform always counts, for a qform cannot hold a shear and would overstate the distance of the slices.
    """
    unit = int(header["xyzt_units"]) & 7
    mm = _MM_PER_UNIT.get(unit, 1.0)
    notes: list[str] = []
    if unit not in _MM_PER_UNIT:
        notes.append(f"The NIfTI header's unit of length ({unit}) is unknown; millimeters were taken.")
    spacing = np.array(header["pixdim"][1:4], dtype=np.float64) * mm
    codes = int(header["qform_code"]), int(header["sform_code"])
    sform, sheared = np.zeros((3, 4)), False
    if codes[1] > 0:
        sform = np.array([header[f"srow_{axis}"] for axis in "xyz"], dtype=np.float64) * mm
    if spans := _spans(sform[:, :3]):
        cosines = sform[:, :3] / np.linalg.norm(sform[:, :3], axis=0)
        sheared = bool(np.abs(cosines.T @ cosines - np.eye(3)).max() > _SHEARED)
        spacing, more = _spacing(path, sform, spacing, mm, sheared)
        notes += more
    if spans and (sheared or codes[1] == 1 or codes[0] <= 0):
        affine = sform
    elif codes[0] > 0:
        affine, more = _qform(header, mm)
        notes += more
    elif codes[1] > 0:
        affine = np.full((3, 4), np.nan)  # an sform without three directions
    else:
        affine = np.column_stack([RAS_TO_LPS, np.zeros(3)])  # as ITK places a file without either form
    return tuple(float(value) for value in spacing), RAS_TO_LPS @ affine, tuple(notes)


def _spacing(path: Path, sform: np.ndarray, pixdim: np.ndarray, mm: float, sheared: bool) -> tuple[np.ndarray, list[str]]:
    """The sform's scales where pixdim agrees with them or says nothing, else pixdim; and notes.

    Raises:
        StudyError: they contradict each other in a sheared stack, where both cannot be right.
    """
    lengths = np.linalg.norm(sform[:, :3], axis=0)
    same = np.isclose(lengths, np.abs(pixdim), rtol=_SAME_SPACING)
    ours, theirs = numbers(lengths.tolist()), numbers(pixdim.tolist())
    never_filled_in, usable = bool((pixdim == mm)[~same].all()), usable_spacing(pixdim.tolist())
    if same.all():
        return lengths, []
    if not np.allclose(lengths, mm) and (not usable or never_filled_in):
        return lengths, [f"The NIfTI header's pixdim ({theirs}) says nothing; the sform's spacing {ours} mm is used."]
    if not usable:
        return pixdim, []
    if not sheared:
        return pixdim, [f"The NIfTI header's sform has other scales ({ours}) than its pixdim ({theirs} mm); pixdim is used."]
    if np.isclose(abs(np.linalg.det(sform[:, :3])), np.prod(pixdim), rtol=_SAME_SPACING):
        return lengths, []
    raise StudyError(
        f"{path}: the NIfTI header contradicts itself: its sform is sheared, with spacing {ours} mm, its "
        f"pixdim {theirs} mm. Export it again, or correct the header."
    )


def _spans(vectors: np.ndarray) -> bool:
    lengths = np.linalg.norm(vectors, axis=0)
    return bool(np.isfinite(vectors).all() and (lengths > 0).all() and abs(np.linalg.det(vectors / lengths)) > 1e-3)


def _qform(header: Any, mm: float) -> tuple[np.ndarray, list[str]]:
    """The 3 x 4 of the quaternion with unit steps, in RAS."""
    from nibabel.quaternions import quat2mat

    b, c, d = (float(header[f"quatern_{name}"]) for name in "bcd")
    notes = []
    rest = 1.0 - (b * b + c * c + d * d)
    if rest < 1e-7:  # half a turn, as the standard's own code has it
        if rest < -1e-3:
            notes.append("The NIfTI header's quaternion is longer than 1; its direction was kept.")
        length = math.sqrt(b * b + c * c + d * d)
        a, b, c, d = 0.0, b / length, c / length, d / length
    else:
        a = math.sqrt(rest)
    turned = np.asarray(quat2mat([a, b, c, d]), dtype=np.float64)
    if float(header["pixdim"][0]) < 0:
        turned[:, 2] *= -1
    return np.column_stack([turned, [float(header[f"qoffset_{axis}"]) * mm for axis in "xyz"]]), notes
