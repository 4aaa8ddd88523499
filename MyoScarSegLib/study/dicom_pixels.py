"""Pixels of DICOM images: decoded, without padding, after rescale."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.study.dicom_headers import DicomImage, as_number
from MyoScarSegLib.study.itk import itk_reason, quiet_itk
from MyoScarSegLib.study.pydicom_guard import import_pydicom, parsing_errors
from MyoScarSegLib.utils.words import first_line

_MULTI_FRAME_GRAY = {8: "1.2.840.10008.5.1.4.1.1.7.2", 16: "1.2.840.10008.5.1.4.1.1.7.3"}
_PIXEL_ATTRIBUTES = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation", "NumberOfFrames")
#: Where pixels may be, with the attributes of the padding value and of the other end of its range.
_PIXELS = {
    "PixelData": ("PixelPaddingValue", "PixelPaddingRangeLimit"),
    "FloatPixelData": ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    "DoubleFloatPixelData": ("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
}


class CannotDecode(Exception):
    """The pixels of one image cannot be had; the text says why in a few words."""


@dataclass(frozen=True)
class _Frames:
    """All frames of a file.

    Attributes:
        stored: ``[frame, row, column]``, before rescale, MONOCHROME1 inverted; fewer than announced if the file is cut short.
        padding: where the header's padding value is; None if there is none.
        limits: padding value and range limit, each None if missing.
    """

    stored: np.ndarray
    padding: np.ndarray | None
    limits: list[float | None]


def pixels_of(image: DicomImage) -> tuple[np.ndarray, np.ndarray | None]:
    """float32 ``[rows, columns]`` after rescale, with bright scar whatever the photometric interpretation; and its padding.

    Raises:
        CannotDecode: the pixels are missing, cut short, in color, or compressed in a way that cannot be read.
    """
    frames = _frames_of(image.file)
    frame = image.frame or 0
    if frame >= len(frames.stored):
        raise CannotDecode("the file is cut short")
    values = frames.stored[frame].astype(np.float64) * image.slope + image.intercept
    padding = None if frames.padding is None else frames.padding[frame]
    if padding is None and (image.slope, image.intercept) != (1, 0):
        # Some writers give the value after rescale. It is believed only if it lies outside all others, as it may be tissue's.
        padding = _padding(values, frames.limits)
        if not padding.any() or padding.all() or values[~padding].min() < values[padding].max() < values[~padding].max():
            padding = None
    return values.astype(np.float32), padding


def forget_frames() -> None:
    """Release the last file's frames."""
    _frames_of.cache_clear()


@lru_cache(maxsize=1)
def _frames_of(file: Path) -> _Frames:
    pydicom = import_pydicom()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _decoded(pydicom.dcmread(file, force=True))
        except parsing_errors() as error:
            raise CannotDecode(first_line(error)) from error


def _decoded(dataset: Any) -> _Frames:
    where = next((name for name in _PIXELS if name in dataset), None)
    if where is None:
        raise CannotDecode("its pixel data are missing or cut short")
    if int(dataset.get("SamplesPerPixel") or 1) != 1 or dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        raise CannotDecode("it is in color")
    inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1"
    padding = [as_number(dataset.get(name)) for name in _PIXELS[where]]
    if where != "PixelData":
        raw = stored = _native(dataset, dataset[where].value, "f4" if where == "FloatPixelData" else "f8")
        lowest = highest = 0
    else:
        allocated, bits = int(dataset.BitsAllocated), int(dataset.get("BitsStored") or dataset.BitsAllocated)
        signed = dataset.get("PixelRepresentation") == 1
        syntax = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
        if syntax is not None and not syntax.is_private and syntax.is_compressed and not syntax.is_deflated:
            raw = stored = _decompressed(dataset)
        else:
            if allocated not in (8, 16, 32):
                raise CannotDecode(f"it has {allocated} bits a pixel; 8, 16 and 32 can be read")
            raw = _native(dataset, dataset.PixelData, f"{'i' if signed else 'u'}{allocated // 8}")
            stored = _within_bits(raw, bits, int(dataset.get("HighBit") or bits - 1))
        lowest, highest = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    mask = _padding(raw, padding) if raw is stored else _padding(raw, padding) | _padding(stored, padding)
    if inverted:
        stored = lowest + highest - (stored if where != "PixelData" else stored.astype(np.int64))
    return _Frames(stored, mask if mask.any() else None, padding)


def _native(dataset: Any, data: bytes, kind: str) -> np.ndarray:
    """Uncompressed pixels ``[frame, row, column]``; only the whole frames of a file that is cut short."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    encoding = getattr(dataset, "original_encoding", None) or (dataset.is_implicit_VR, dataset.is_little_endian)
    little = encoding[1] is not False
    dtype = np.dtype(("<" if little else ">") + kind)
    if dtype.itemsize == 1 and not little and dataset["PixelData"].VR == "OW":
        data = np.frombuffer(data[: len(data) // 2 * 2], dtype=np.uint16).byteswap().tobytes()
    frames = min(int(as_number(dataset.get("NumberOfFrames")) or 1), len(data) // (rows * columns * dtype.itemsize))
    if frames == 0:
        raise CannotDecode("the file is cut short")
    values = np.frombuffer(data, dtype=dtype, count=frames * rows * columns)
    return values.reshape(frames, rows, columns).astype(dtype.newbyteorder("="))


def _within_bits(raw: np.ndarray, bits: int, high_bit: int) -> np.ndarray:
    """The stored values in words that may hold more than they: at the lower end, or where ``high_bit`` says.

    Headers with a wrong HighBit are common, so it is believed only if the values need it.
    """
    unused = 8 * raw.itemsize - bits
    if unused <= 0:
        return raw
    at_lower_end = (raw << unused) >> unused
    shift = high_bit + 1 - bits
    if shift > 0 and not np.array_equal(at_lower_end, raw):
        above = unused - shift
        return (raw << above) >> unused
    return at_lower_end


def _padding(values: np.ndarray, limits: list[float | None]) -> np.ndarray:
    """Where ``values`` are between padding value and range limit; either may be written signed or unsigned."""
    value, limit = limits[0], limits[1] if limits[1] is not None else limits[0]
    if value is None or limit is None:
        return np.zeros(values.shape, dtype=bool)
    if values.dtype.kind in "iu":
        info = np.iinfo(values.dtype)
        turn = 1 << info.bits
        value, limit = ((number - info.min) % turn + info.min for number in (value, limit))
    return (values >= min(value, limit)) & (values <= max(value, limit))


def _decompressed(dataset: Any) -> np.ndarray:
    """Stored values of compressed pixels, by GDCM, from a copy that holds the pixels and nothing else for it to stumble on."""
    import tempfile

    import SimpleITK as sitk

    pydicom = import_pydicom()
    copy = pydicom.dataset.Dataset()
    copy.file_meta = pydicom.dataset.FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    copy.SOPClassUID = _MULTI_FRAME_GRAY.get(int(dataset.BitsAllocated), _MULTI_FRAME_GRAY[16])
    copy.SOPInstanceUID = "1.2.3"
    copy.file_meta.MediaStorageSOPClassUID, copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPClassUID, copy.SOPInstanceUID
    for name in _PIXEL_ATTRIBUTES:
        if name in dataset:
            setattr(copy, name, int(as_number(dataset.get(name)) or 0))
    copy.HighBit, copy.PhotometricInterpretation = copy.BitsStored - 1, "MONOCHROME2"
    copy.add(dataset["PixelData"])
    with tempfile.TemporaryDirectory() as folder, quiet_itk():
        file = Path(folder, "frames.dcm")
        copy.save_as(file, enforce_file_format=True)
        try:
            array = sitk.GetArrayFromImage(sitk.ReadImage(str(file), imageIO="GDCMImageIO"))
        except RuntimeError as error:
            raise CannotDecode(itk_reason(error)) from error
    array = array[None] if array.ndim == 2 else array
    if array.shape[-2:] != (dataset.Rows, dataset.Columns):
        raise CannotDecode(f"it has {array.shape[-2]} x {array.shape[-1]} pixels, not {dataset.Rows} x {dataset.Columns}")
    return array
