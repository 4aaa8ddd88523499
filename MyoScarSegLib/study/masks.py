"""Reading masks that were drawn or edited on a study: by this program, by 3D Slicer, or by others."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.itk import itk_reason, quiet_itk
from MyoScarSegLib.study.names import VOLUME_EXTENSIONS, has_extension
from MyoScarSegLib.study.stack import numbers
from MyoScarSegLib.study.study import Geometry, Study
from MyoScarSegLib.study.volumes import geometry_of, read_volume
from MyoScarSegLib.study.writer import NO_REFLOW_NAME, SEGMENT_NAME, file_geometry

#: Written coordinates and a file's own may differ by what float32 headers (NIfTI) round off.
_SAME_PLACE_MM = 1e-2


@dataclass(frozen=True)
class Segment:
    """One segment of a stored segmentation.

    Attributes:
        name: as the user reads it.
        code: ``scheme^value`` of its type in the terminology (``"SCT^12402003"``); empty if it has none.
        mask: bool ``[k, j, i]``, shaped like the study's voxels. Segments may overlap.
    """

    name: str
    code: str
    mask: np.ndarray


@dataclass(frozen=True)
class StoredLabels:
    """What a label file holds, on a study's grid.

    Attributes:
        values: ``[k, j, i]`` as stored, shaped like the study's voxels; None if the file has several values per voxel.
        segments: the named segments, in order; empty in a plain label volume.
    """

    values: np.ndarray | None
    segments: tuple[Segment, ...] = ()


def read_mask(path: Path | str, study: Study) -> np.ndarray:
    """A mask drawn on ``study``, from ``.seg.nrrd``, NIfTI, NRRD or MetaImage.

    Returns:
        bool ``[k, j, i]``, shaped like ``study.voxels``. Of a segmentation with several segments, the one named Scar, and with
        it one named No-reflow (microvascular obstruction: infarct that no contrast reaches).

    Raises:
        StudyError: the file cannot be read, lies on another grid, or has several segments and none named Scar.
    """
    labels = read_labels(path, study)
    if labels.segments:
        return _scar_of(Path(path), labels.segments)
    if labels.values is None:
        raise StudyError(f"{path} has several values per voxel and names no segments: it is no mask.")
    return labels.values != 0


def read_labels(path: Path | str, study: Study) -> StoredLabels:
    """The label values, and the named segments, of a file drawn on ``study``: ``.seg.nrrd``, NIfTI, NRRD or MetaImage.

    Where Slicer stored only the part of the grid that is drawn on, the rest is zero.

    Raises:
        StudyError: the file cannot be read, or lies on another grid.
    """
    path = Path(path)
    if not path.is_file():
        raise StudyError(f"There is no mask file {path}.")
    if not has_extension(path, VOLUME_EXTENSIONS):
        raise StudyError(f"{path} is no mask file: give .seg.nrrd, NIfTI, NRRD or MHA.")
    stored, geometry, fields = read_stored(path)
    stored, geometry = _turned(stored, geometry, file_geometry(study)[1])
    whole_shape = study.file_array(study.voxels).shape
    start = _place_on_grid(path, stored.shape[:3], geometry, study, whole_shape)
    window = tuple(slice(first, first + size) for first, size in zip(start, stored.shape[:3], strict=True))

    def on_grid(part: np.ndarray) -> np.ndarray:
        whole = np.zeros(whole_shape, dtype=part.dtype)
        whole[window] = part
        return np.ascontiguousarray(np.transpose(whole, study.file_axes))

    segments = tuple(Segment(name, code, on_grid(mask)) for name, code, mask in _segments(path, stored, fields))
    return StoredLabels(on_grid(stored) if stored.ndim == 3 else None, segments)


def read_stored(path: Path) -> tuple[np.ndarray, Geometry, dict[str, str]]:
    """Stored values ``[k, j, i]`` (or ``[k, j, i, layer]``), their geometry, and the header's fields on segments.

    Raises:
        StudyError: the file cannot be read.
    """
    if not has_extension(path, (".nrrd", ".nhdr")):
        stack = read_volume(path)
        return stack.array, stack.geometry, {}
    import SimpleITK as sitk

    with quiet_itk():
        try:
            image = sitk.ReadImage(str(path))
        except RuntimeError as error:
            raise StudyError(f"{path} cannot be read: {itk_reason(error)}.") from error
    if image.GetDimension() != 3:
        raise StudyError(f"{path} is no 3D mask (size {numbers(image.GetSize())}).")
    fields = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.startswith("Segment")}
    return sitk.GetArrayFromImage(image), geometry_of(image), fields


def _turned(labels: np.ndarray, geometry: Geometry, direction: np.ndarray) -> tuple[np.ndarray, Geometry]:
    """A mask with its axes turned round where they run against ``direction``, so that only its place may differ.

    Slicer reverses the slices of a left-handed image when it loads it, and saves what was drawn on it so.
    """
    spacing = geometry.spacing_mm or (1.0, 1.0, 1.0)
    for column in range(3):
        if geometry.direction[:, column] @ direction[:, column] >= 0:
            continue
        step = geometry.direction[:, column] * spacing[column]
        origin = np.asarray(geometry.origin_mm) + step * (labels.shape[2 - column] - 1)
        turned = geometry.direction.copy()
        turned[:, column] *= -1
        geometry = replace(geometry, origin_mm=(float(origin[0]), float(origin[1]), float(origin[2])), direction=turned)
        labels = np.flip(labels, axis=2 - column)
    return labels, geometry


def _place_on_grid(
    path: Path, shape: tuple[int, ...], geometry: Geometry, study: Study, whole_shape: tuple[int, ...]
) -> tuple[int, int, int]:
    """The ``[k, j, i]`` index in the input file's grid of a mask's first voxel; Slicer may crop what it saves."""
    spacing, direction = file_geometry(study)
    steps = direction * np.asarray(spacing)
    mask_spacing = geometry.spacing_mm or (1.0, 1.0, 1.0)
    mask_steps = geometry.direction * np.asarray(mask_spacing)
    shift = np.linalg.solve(steps, np.subtract(geometry.origin_mm, study.geometry.origin_mm))
    offset = np.round(shift).astype(int)
    apart = np.abs(steps @ (shift - offset)).max() + np.abs((mask_steps - steps) @ np.asarray(shape[::-1], dtype=float)).max()
    start = (int(offset[2]), int(offset[1]), int(offset[0]))
    inside = all(first >= 0 and first + size <= whole for first, size, whole in zip(start, shape, whole_shape, strict=True))
    if apart > _SAME_PLACE_MM or not inside:
        raise StudyError(
            f"{path} lies on another grid than the study {study.case}: its size is {numbers(shape[::-1])}, spacing "
            f"{numbers(mask_spacing)} mm, origin ({', '.join(f'{v:.4g}' for v in geometry.origin_mm)}); the study's is "
            f"{numbers(whole_shape[::-1])}, {numbers(spacing)} mm, ({', '.join(f'{v:.4g}' for v in study.geometry.origin_mm)})."
        )
    return start


def _segments(path: Path, stored: np.ndarray, fields: dict[str, str]) -> list[tuple[str, str, np.ndarray]]:
    """Name, code of the type, and voxels of each segment that the header's fields name."""
    keys = sorted({key.split("_")[0] for key in fields if key[7:8].isdigit()}, key=lambda name: int(name[7:]))
    found = []
    for key in keys:
        try:
            layer, value = int(fields.get(f"{key}_Layer", "0")), int(fields.get(f"{key}_LabelValue", "1"))
            values = stored[..., layer] if stored.ndim == 4 else stored
        except (ValueError, IndexError) as error:
            raise StudyError(f"{path} is damaged: the header's fields on {key} make no sense ({error}).") from error
        found.append((fields.get(f"{key}_Name", key), _type_code(fields.get(f"{key}_Tags", "")), values == value))
    return found


def _type_code(tags: str) -> str:
    """``scheme^value`` of the type in a segment's terminology entry (context ~ category ~ type ~ ...)."""
    entry = re.search(r"TerminologyEntry:([^|]*)", tags)
    parts = entry[1].split("~") if entry else []
    return "^".join(parts[2].split("^")[:2]) if len(parts) > 2 and parts[2].count("^") >= 2 else ""


def _scar_of(path: Path, segments: tuple[Segment, ...]) -> np.ndarray:
    """The voxels of the one segment, or of those named Scar and No-reflow."""
    wanted = [s for s in segments if s.name.lower() == SEGMENT_NAME.lower()] or list(segments)
    if len(wanted) > 1:
        names = ", ".join(s.name for s in segments)
        raise StudyError(f"{path} has {len(segments)} segments ({names}); name the one to use {SEGMENT_NAME!r}.")
    mask = wanted[0].mask
    for segment in segments:
        if segment.name.lower() == NO_REFLOW_NAME.lower():
            mask = mask | segment.mask
    return mask
