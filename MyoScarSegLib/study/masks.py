"""Reading masks that were drawn or edited on a study: by this program, by 3D Slicer, or by others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.itk import itk_reason, quiet_itk
from MyoScarSegLib.study.names import VOLUME_EXTENSIONS, has_extension
from MyoScarSegLib.study.stack import numbers
from MyoScarSegLib.study.study import Geometry, Study
from MyoScarSegLib.study.volumes import geometry_of, read_volume
from MyoScarSegLib.study.writer import SEGMENT_NAME, file_geometry

#: Written coordinates and a file's own may differ by what float32 headers (NIfTI) round off.
_SAME_PLACE_MM = 1e-2


def read_mask(path: Path | str, study: Study) -> np.ndarray:
    """A mask drawn on ``study``, from ``.seg.nrrd``, NIfTI, NRRD or MetaImage.

    Returns:
        bool ``[k, j, i]``, shaped like ``study.voxels``. Of a segmentation with several segments, the one named Scar.

    Raises:
        StudyError: the file cannot be read, lies on another grid, or has several segments and none named Scar.
    """
    path = Path(path)
    if not path.is_file():
        raise StudyError(f"There is no mask file {path}.")
    if not has_extension(path, VOLUME_EXTENSIONS):
        raise StudyError(f"{path} is no mask file: give .seg.nrrd, NIfTI, NRRD or MHA.")
    labels, geometry, fields = _labels(path)
    labels, geometry = _turned(labels, geometry, file_geometry(study)[1])
    whole_shape = study.file_array(study.voxels).shape
    start = _place_on_grid(path, labels.shape[:3], geometry, study, whole_shape)
    mask = np.zeros(whole_shape, dtype=bool)
    window = tuple(slice(first, first + size) for first, size in zip(start, labels.shape[:3], strict=True))
    mask[window] = _of_segment(path, labels, fields)
    return np.ascontiguousarray(np.transpose(mask, study.file_axes))


def _labels(path: Path) -> tuple[np.ndarray, Geometry, dict[str, str]]:
    """Stored values ``[k, j, i]`` (or ``[k, j, i, layer]``), their geometry, and the header's fields on segments."""
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


def _of_segment(path: Path, labels: np.ndarray, fields: dict[str, str]) -> np.ndarray:
    """The voxels of the one segment, or of the one named Scar."""
    segments = sorted({key.split("_")[0] for key in fields if key[7:8].isdigit()}, key=lambda name: int(name[7:]))
    if not segments:
        if labels.ndim == 4:
            raise StudyError(f"{path} has {labels.shape[3]} values per voxel and names no segments: it is no mask.")
        return labels != 0
    names = [fields.get(f"{segment}_Name", segment) for segment in segments]
    wanted = [s for s, name in zip(segments, names, strict=True) if name.lower() == SEGMENT_NAME.lower()] or segments
    if len(wanted) > 1:
        raise StudyError(f"{path} has {len(segments)} segments ({', '.join(names)}); name the one to use {SEGMENT_NAME!r}.")
    layer = int(fields.get(f"{wanted[0]}_Layer", "0"))
    values = labels[..., layer] if labels.ndim == 4 else labels
    return values == int(fields.get(f"{wanted[0]}_LabelValue", "1"))
