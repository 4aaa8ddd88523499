"""Reading masks that were drawn or edited on a study: by this program, by 3D Slicer, or by others."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.itk import itk_reason, quiet_itk
from MyoScarSegLib.study.names import DICOM_EXTENSIONS, VOLUME_EXTENSIONS, has_extension, natural_order
from MyoScarSegLib.study.segments import Segment, check_cover, scar_of
from MyoScarSegLib.study.stack import numbers
from MyoScarSegLib.study.study import Geometry, Study
from MyoScarSegLib.study.tissue import class_of_segment
from MyoScarSegLib.study.uneven import mean_grid, regular_grid
from MyoScarSegLib.study.volumes import geometry_of, read_volume

#: Programs round coordinates: a mask that lies off by less than this share of a voxel is one of the same grid.
_SAME_PLACE_SHARE = 0.1
#: Modalities of DICOM files that hold masks.
_KINDS = ("SEG", "RTSTRUCT")


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
    """A mask drawn on ``study``, from ``.seg.nrrd``, NIfTI, NRRD, MetaImage, DICOM SEG or RTSTRUCT.

    Returns:
        bool ``[k, j, i]``, shaped like ``study.voxels``. Of a segmentation, the segments called or coded scar, and no-reflow
        (microvascular obstruction: infarct that no contrast reaches). The only segment, or the only value beside 0, of a file
        that says nothing of it is taken for what the caller says it is: the mask.

    Raises:
        StudyError: the file cannot be read, lies on another grid, has several values, or several segments and none is scar.
    """
    labels = read_labels(path, study)
    if len(labels.segments) == 1 and labels.segments[0].number is None:
        return check_cover(labels.segments[0].mask, str(path))
    if labels.segments:
        return check_cover(scar_of(labels.segments, str(path)), str(path))
    if labels.values is None:
        raise StudyError(f"{path} has several values per voxel and names no segments: it is no mask.")
    values = np.unique(labels.values)
    if np.count_nonzero(values) > 1:
        raise StudyError(f"{path} has the values {numbers(values[:12].tolist())}, and which of them is the mask is not said.")
    return check_cover(labels.values != 0, str(path))


def read_labels(path: Path | str, study: Study) -> StoredLabels:
    """The label values, and the named segments, of a file drawn on ``study``: ``.seg.nrrd``, NIfTI, NRRD, MetaImage, DICOM SEG or
    RTSTRUCT.

    Where Slicer stored only the part of the grid that is drawn on, the rest is zero.

    Raises:
        StudyError: the file cannot be read, or lies on another grid.
    """
    path = Path(path)
    if not path.is_file():
        raise StudyError(f"{path} is a folder: give the mask file in it." if path.is_dir() else f"There is no mask file {path}.")
    if is_dicom_mask(path):
        return StoredLabels(None, tuple(_of_dicom(path, study)))
    if not has_extension(path, VOLUME_EXTENSIONS):
        raise StudyError(f"{path} is no mask file: give .seg.nrrd, NIfTI, NRRD, MHA, DICOM SEG or RTSTRUCT.")
    stored, geometry, fields = read_stored(path)
    grids = _grids(study)
    grid = grids[0]
    if is_blank(stored, geometry, grid.shape):
        stored, start = np.zeros((*grid.shape, *stored.shape[3:]), dtype=stored.dtype), (0, 0, 0)
    else:
        as_stored, placed = (stored, geometry), None
        for grid in grids:
            stored, geometry = _turned(*as_stored, grid.geometry.direction)
            placed = grid.start_of(stored.shape[:3], geometry)
            if placed is not None:
                break
        else:
            raise _elsewhere(path, as_stored[0].shape, as_stored[1], study, grids[0])
        start = placed
    window = tuple(slice(first, first + size) for first, size in zip(start, stored.shape[:3], strict=True))

    def on_grid(part: np.ndarray) -> np.ndarray:
        whole = np.zeros(grid.shape, dtype=part.dtype)
        whole[window] = part
        return np.ascontiguousarray(grid.to_study(whole))

    segments = tuple(replace(segment, mask=on_grid(segment.mask)) for segment in _segments(path, stored, fields))
    return StoredLabels(on_grid(stored) if stored.ndim == 3 else None, segments)


def is_dicom_mask(path: Path) -> bool:
    """Whether a file that is given as a mask is DICOM, by its name or how it begins."""
    from MyoScarSegLib.study.dicom_files import is_dicom

    return not has_extension(path, VOLUME_EXTENSIONS) and (has_extension(path, DICOM_EXTENSIONS) or is_dicom(path))


def dicom_masks_in(folder: Path) -> list[Path]:
    """The DICOM segmentations and structure sets in a folder, whatever their names, in natural order; not those below it."""
    from MyoScarSegLib.study.pydicom_guard import import_pydicom, parsing_errors

    found = []
    for path in sorted(folder.iterdir(), key=lambda p: natural_order(p.name)):
        if path.name.startswith(".") or not path.is_file() or not is_dicom_mask(path):
            continue
        try:
            header = import_pydicom().dcmread(path, force=True, stop_before_pixels=True, specific_tags=["Modality"])
            kind = str(header.get("Modality") or "").upper()
        except parsing_errors():
            continue
        if kind in _KINDS:
            found.append(path)
    return found


def _of_dicom(path: Path, study: Study) -> list[Segment]:
    """The segments of a DICOM file; StudyError if it is damaged, of another kind, or was not drawn on this study."""
    from MyoScarSegLib.study.dicom_rtstruct import read_structure_set
    from MyoScarSegLib.study.dicom_seg import read_dicom_segmentation
    from MyoScarSegLib.study.pydicom_guard import import_pydicom, parsing_errors

    try:
        dataset = import_pydicom().dcmread(path, force=True)
        kind = str(dataset.get("Modality") or "").upper()
    except parsing_errors() as error:
        raise StudyError(f"{path} cannot be read as DICOM ({error}).") from error
    if kind == "SEG":
        return read_dicom_segmentation(path, dataset, study)
    if kind == "RTSTRUCT":
        return read_structure_set(path, dataset, study)
    raise StudyError(f"{path} is a DICOM file of the kind {kind or 'unknown'}; masks are read from SEG and RTSTRUCT.")


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
    if not fields and image.GetNumberOfComponentsPerPixel() == 1:
        stack = read_volume(path)  # a plain label map, whose header may need what images' headers need
        return stack.array, stack.geometry, {}
    return sitk.GetArrayFromImage(image), geometry_of(image), fields


def _turned(labels: np.ndarray, geometry: Geometry, direction: np.ndarray) -> tuple[np.ndarray, Geometry]:
    """A mask with its axes in the order of those of ``direction``, and turned round where they run against them, so that only its
    place may differ.

    Slicer reverses the slices of a left-handed image when it loads it, and saves what was drawn on it so. Other programs write
    masks with their axes near to the patient's, whatever the image's are.
    """
    spacing = _spacing_mm(geometry)
    order = [int(nearest) for nearest in np.abs(geometry.direction.T @ direction).argmax(axis=0)]
    if order != [0, 1, 2] and set(order) == {0, 1, 2}:
        first, second, third = (spacing[axis] for axis in order)
        spacing = first, second, third
        sized = None if geometry.spacing_mm is None else spacing
        geometry = replace(geometry, spacing_mm=sized, direction=geometry.direction[:, order])
        labels = np.transpose(labels, [*(2 - axis for axis in order[::-1]), *range(3, labels.ndim)])
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


@dataclass(frozen=True)
class _Grid:
    """A grid on which a study's masks are drawn.

    Attributes:
        shape: ``[k, j, i]``.
        geometry: of its voxels.
        to_study: from an array on it to one shaped like the study's voxels.
    """

    shape: tuple[int, ...]
    geometry: Geometry
    to_study: Callable[[np.ndarray], np.ndarray]

    def start_of(self, shape: tuple[int, ...], mask: Geometry) -> tuple[int, int, int] | None:
        """The ``[k, j, i]`` index of a mask's first voxel, for Slicer may crop what it saves; None if it lies elsewhere."""
        spacing = _spacing_mm(self.geometry)
        steps, mask_steps = self.geometry.direction * spacing, mask.direction * _spacing_mm(mask)
        shift = np.linalg.solve(steps, np.subtract(mask.origin_mm, self.geometry.origin_mm))
        offset = np.round(shift).astype(int)
        apart = np.abs(steps @ (shift - offset)).max() + np.abs((mask_steps - steps) @ np.asarray(shape[::-1], dtype=float)).max()
        start = (int(offset[2]), int(offset[1]), int(offset[0]))
        inside = all(first >= 0 and first + size <= whole for first, size, whole in zip(start, shape, self.shape, strict=True))
        return start if inside and apart <= _SAME_PLACE_SHARE * min(spacing) else None


def _grids(study: Study) -> list[_Grid]:
    """The input file's own grid; and of an uneven stack that which Slicer makes of it, and that which this program writes."""
    own = study.file_geometry, lambda whole: np.transpose(whole, study.file_axes)
    grids = [_Grid(study.file_array(study.voxels).shape, *own)]
    mean, regular = mean_grid(study.geometry), regular_grid(study.geometry, study.voxels.shape)
    if mean is not None:
        grids.append(_Grid(study.voxels.shape, mean, lambda whole: whole))
    if regular is not None:
        grids.append(_Grid(regular.shape, regular.geometry, regular.gathered))
    return grids


def _spacing_mm(geometry: Geometry) -> tuple[float, float, float]:
    """Files without spacing count as 1 mm."""
    return geometry.spacing_mm or (1.0, 1.0, 1.0)


def _elsewhere(path: Path, shape: tuple[int, ...], geometry: Geometry, study: Study, grid: _Grid) -> StudyError:
    def place(one: Geometry) -> str:
        return f"({', '.join(f'{v:.4g}' for v in one.origin_mm)})"

    return StudyError(
        f"{path} lies on another grid than the study {study.case}: its size is {numbers(shape[2::-1])}, spacing "
        f"{numbers(_spacing_mm(geometry))} mm, origin {place(geometry)}; the study's is {numbers(grid.shape[::-1])}, "
        f"{numbers(_spacing_mm(grid.geometry))} mm, {place(grid.geometry)}. "
        "Resample it to the study's image, in Slicer with Resample Image (BRAINS) or as a segmentation of that image."
    )


def _segments(path: Path, stored: np.ndarray, fields: dict[str, str]) -> list[Segment]:
    """The segments that the header's fields name, on the file's grid.

    Slicer before 4.11 wrote a component for each segment, and neither its layer nor its value.
    """
    keys = sorted({key.split("_")[0] for key in fields if key[7:8].isdigit()}, key=lambda name: int(name[7:]))
    layers = stored.shape[3] if stored.ndim == 4 else 1
    found = []
    for number, key in enumerate(keys):
        name = fields.get(f"{key}_Name", key).strip()
        layer, value = fields.get(f"{key}_Layer"), fields.get(f"{key}_LabelValue")
        if layer is None and (layers > 1 or value is None):
            if layers != len(keys):
                raise StudyError(
                    f"{path} does not say which voxels are its segment {name!r}: it has {len(keys)} segments without layers and "
                    f"{layers} components. Open it in Slicer and save it again."
                )
            layer = str(number)
        try:
            values = stored[..., _index(layer or "0", layers)] if stored.ndim == 4 else stored
            mask = values > 0 if value is None else values == int(value)
        except (ValueError, IndexError) as error:
            raise StudyError(f"{path} is damaged: the header's fields on {key} make no sense ({error}).") from error
        entry = re.search(r"TerminologyEntry:([^|]*)", fields.get(f"{key}_Tags", ""))
        try:
            tissue = class_of_segment(name, entry[1] if entry else "")
        except StudyError as error:
            raise StudyError(f"{path}: {error}") from error
        found.append(Segment(name, tissue, number + 1 if stored.ndim == 4 else int(value or 1), mask))
    return found


def _index(text: str, count: int) -> int:
    index = int(text)
    if not 0 <= index < count:
        raise IndexError(f"layer {index} of {count}")
    return index


def is_blank(stored: np.ndarray, geometry: Geometry, shape: tuple[int, ...]) -> bool:
    """Whether nothing is drawn in a file whose place says nothing: a single voxel, or one of this shape without geometry.

    Slicer saves an empty segmentation as one voxel, wherever, and may save a blank label map without its geometry.
    """
    if stored.any():
        return False
    no_place = (
        geometry.spacing_mm in (None, (1.0, 1.0, 1.0))
        and geometry.origin_mm == (0.0, 0.0, 0.0)
        and np.array_equal(np.abs(geometry.direction), np.eye(3))
    )
    return stored.shape[:3] == (1, 1, 1) or (no_place and stored.shape[:3] == shape)
