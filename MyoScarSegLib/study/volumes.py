"""Reading NIfTI, NRRD and MetaImage volumes through SimpleITK."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.headers import HeaderFacts, copy_without_spacing, non_finite, read_header
from MyoScarSegLib.study.itk import itk_reason, quiet_itk
from MyoScarSegLib.study.stack import FileStack, numbers, usable_spacing
from MyoScarSegLib.study.study import Geometry

_FORMATS = {".nii": "NIfTI", ".gz": "NIfTI", ".nrrd": "NRRD", ".nhdr": "NRRD", ".mha": "MetaImage", ".mhd": "MetaImage"}

#: Relative difference of spacings that is more than float32 rounding.
_SAME_SPACING = 1e-3


def read_volume(path: Path) -> FileStack:
    """The 3D image in ``path``, with its spacing if the header really has one.

    Raises:
        StudyError: the file is damaged, cut short, not 3D, in colour, or of several channels.
    """
    file_format = _FORMATS[path.suffix.lower()]
    try:
        facts = read_header(path)
    except OSError as error:
        raise StudyError(f"Cannot read {path}: {error.strerror or error}.") from error
    spacing_problem = _spacing_problem(path, facts)
    if spacing_problem and file_format != "NIfTI":
        with tempfile.TemporaryDirectory() as folder:
            image = _read(path, copy_without_spacing(path, Path(folder)))
    else:
        image = _read(path, path)
    geometry = geometry_of(image)
    notes: list[str] = []
    if file_format == "NIfTI" and not spacing_problem:
        geometry, notes = _nifti_geometry(geometry, facts)
    if spacing_problem:
        geometry = Geometry(None, geometry.origin_mm, geometry.direction)
    array = _array(path, image)
    broken = non_finite(path, facts, array.shape)
    if broken is not None and broken.any():
        array[broken] = np.nan
    return FileStack(
        array=array,
        geometry=geometry,
        format=file_format,
        spacing_problem=spacing_problem,
        source={"file": path.name},
        notes=tuple(notes),
    )


def geometry_of(image: Any) -> Geometry:
    """The geometry of a 3D SimpleITK image."""
    return Geometry(image.GetSpacing(), image.GetOrigin(), np.reshape(image.GetDirection(), (3, 3)))


def _read(path: Path, file: Path) -> Any:
    """The image in ``file``, as a 3D SimpleITK image of one channel; ``path`` is what the user calls it."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    with quiet_itk():
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise StudyError(
                f"{path} cannot be read: {itk_reason(error)}. The file is damaged or of another format than its name says."
            ) from error
        size = reader.GetSize()
        channels = reader.GetNumberOfComponents()
        if channels != 1:
            raise StudyError(
                f"{path} has {channels} values per voxel (size {_shape(size)}): a colour or vector image. "
                "Export the LGE image in grey, one value per voxel."
            )
        if len(size) > 3 and any(count > 1 for count in size[3:]):
            raise StudyError(
                f"{path} is {len(size)}D, of size {_shape(size)}: several volumes in one file (phases, or PSIR and magnitude). "
                "Save the one to measure as a 3D volume."
            )
        if len(size) < 3:
            raise StudyError(
                f"{path} has only one slice (size {_shape(size)}); scar is measured on a stack. Give the whole stack."
            )
        try:
            if len(size) > 3:
                reader.SetExtractSize([*size[:3], *[0] * (len(size) - 3)])
            return reader.Execute()
        except RuntimeError as error:
            raise StudyError(
                f"{path} cannot be read: {itk_reason(error)}. The file is damaged or cut short; copy or export it again."
            ) from error


def _array(path: Path, image: Any) -> np.ndarray:
    import SimpleITK as sitk

    if "complex" in image.GetPixelIDTypeAsString():
        raise StudyError(f"{path} holds complex numbers. Export the magnitude or the phase-sensitive (PSIR) image.")
    return sitk.GetArrayFromImage(image)


def _spacing_problem(path: Path, facts: HeaderFacts) -> str:
    """What is wrong with the spacing in the header; empty if nothing is."""
    if facts.spacing is None:
        return f"{path.name} has no spacing in its header ({facts.where} is missing)."
    # A fourth axis (time, one entry) has no say.
    spatial = facts.spacing[:3]
    if not usable_spacing(spatial):
        return f"{path.name} has no usable spacing in its header ({facts.where} is {numbers(spatial)})."
    return ""


def _nifti_geometry(geometry: Geometry, facts: HeaderFacts) -> tuple[Geometry, list[str]]:
    """The geometry with what SimpleITK makes of odd NIfTI headers put right, and notes on it."""
    if facts.sform is None or facts.spacing is None or geometry.spacing_mm is None:
        return geometry, []
    vectors = np.asarray(facts.sform[:, :3], dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=0)
    if not np.isfinite(facts.sform).all() or not np.allclose(lengths, facts.spacing, rtol=_SAME_SPACING):
        return geometry, [
            f"The NIfTI header's sform has other scales ({numbers(lengths)}) than its pixdim ({numbers(facts.spacing)} mm); "
            "pixdim is used."
        ]
    cosines = vectors / lengths
    if np.allclose(cosines.T @ cosines, np.eye(3), atol=1e-3):
        return geometry, []
    # SimpleITK falls back to the qform, which cannot hold a shear and so would overstate the distance between the slices.
    to_lps = np.diag([-1.0, -1.0, 1.0])
    origin = to_lps @ facts.sform[:, 3]
    return Geometry(geometry.spacing_mm, (float(origin[0]), float(origin[1]), float(origin[2])), to_lps @ cosines), []


def _shape(size: tuple[int, ...]) -> str:
    return re.sub(r"[(),]", "", str(tuple(size))).replace(" ", " x ")
