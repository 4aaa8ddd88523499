"""An LGE study in memory: the slice stack, its geometry, and what is known about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

import numpy as np

from MyoScarSegLib.errors import StudyError

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
"""From the frame of NIfTI and MRML to that of DICOM and SimpleITK, and back."""


class Reconstruction(str, Enum):
    """How an LGE image was reconstructed."""

    PSIR = "PSIR"
    MAGNITUDE = "magnitude"


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of an array ``[k, j, i]`` lie, in LPS millimeters (DICOM's and SimpleITK's frame).

    Attributes:
        spacing_mm: ``(i, j, k)`` distances between neighboring columns, rows and slices; ``k`` is the nominal distance
            *between slice centers* (not the slice thickness). None if the input carries no spacing.
        origin_mm: ``(x, y, z)`` of the center of voxel (0, 0, 0).
        direction: 3 x 3; its columns are the unit vectors of i, j and k. They need not be orthogonal.
        slice_positions_mm: position of each slice center along the stack's normal, in slice order, if the slices are
            unevenly spaced; None if they are even (then ``spacing_mm[2]`` says all).
        slice_origins_mm: ``(slices, 3)`` center of voxel (i=0, j=0) of each slice, given with ``slice_positions_mm``.
    """

    spacing_mm: tuple[float, float, float] | None
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: np.ndarray = field(default_factory=lambda: np.eye(3))
    slice_positions_mm: np.ndarray | None = None
    slice_origins_mm: np.ndarray | None = None

    @property
    def pixel_spacing_mm(self) -> tuple[float, float] | None:
        """``(row spacing, column spacing)`` as DICOM orders it: the distance between rows (j), then columns (i)."""
        return None if self.spacing_mm is None else (self.spacing_mm[1], self.spacing_mm[0])

    @property
    def pixel_area_mm2(self) -> float | None:
        """Area of one pixel of a slice (right also where rows and columns are not orthogonal)."""
        if self.spacing_mm is None:
            return None
        i, j = self.direction[:, 0] * self.spacing_mm[0], self.direction[:, 1] * self.spacing_mm[1]
        return float(np.linalg.norm(np.cross(i, j)))

    @property
    def normal(self) -> np.ndarray:
        """Unit vector perpendicular to the slices, right-handed with rows and columns."""
        normal = np.cross(self.direction[:, 0], self.direction[:, 1])
        return np.asarray(normal / np.linalg.norm(normal))

    @property
    def slice_distance_mm(self) -> float | None:
        """Nominal distance between slice planes along their normal; below ``spacing_mm[2]`` in a sheared stack."""
        if self.spacing_mm is None:
            return None
        return float(abs(np.dot(self.normal, self.direction[:, 2])) * self.spacing_mm[2])

    def positions_mm(self, slices: int) -> np.ndarray | None:
        """Position of each of ``slices`` slice centers along the stack's normal; None without spacing."""
        if self.slice_positions_mm is not None:
            return np.asarray(self.slice_positions_mm)
        distance = self.slice_distance_mm
        return None if distance is None else distance * np.arange(slices)

    def origins_mm(self, slices: int) -> np.ndarray:
        """``[slices, 3]`` center of the first pixel of each of ``slices`` slices; 1 mm apart without spacing."""
        if self.slice_origins_mm is not None:
            return np.asarray(self.slice_origins_mm, dtype=float)
        along = self.direction[:, 2]
        if self.slice_positions_mm is None:
            steps = np.arange(slices) * (1.0 if self.spacing_mm is None else self.spacing_mm[2])
        else:
            # Positions are along the normal; a sheared stack goes further.
            steps = np.abs(np.asarray(self.slice_positions_mm) - self.slice_positions_mm[0]) / abs(along @ self.normal)
        return np.asarray(self.origin_mm, dtype=float) + np.outer(steps, along)

    def even(self, spacing_mm: tuple[float, float, float] | None) -> Geometry:
        """The same with another spacing, even between slices."""
        return replace(self, spacing_mm=spacing_mm, slice_positions_mm=None, slice_origins_mm=None)

    def transposed(self, axes: Sequence[int]) -> Geometry:
        """That of the array ``[k, j, i]`` transposed by ``axes``; the origin stays. Uneven slices stay only where the axes do."""
        if tuple(axes) == (0, 1, 2):
            return self
        columns = [2 - axis for axis in reversed(axes)]
        spacing = self.spacing_mm
        turned = None if spacing is None else (spacing[columns[0]], spacing[columns[1]], spacing[columns[2]])
        return Geometry(turned, self.origin_mm, self.direction[:, columns])

    def slice_extents_mm(self, slices: int) -> np.ndarray | None:
        """Length along the stack's normal that each of ``slices`` slices stands for; None without spacing.

        An even stack gives the distance between slices, whatever the slice thickness. In an uneven stack a slice reaches
        half way to each neighbor, and an end slice as far outwards as inwards.
        """
        if self.spacing_mm is None:
            return None
        if self.slice_positions_mm is None:
            return np.full(slices, self.slice_distance_mm)
        gaps = np.abs(np.diff(self.slice_positions_mm))
        return (np.concatenate([gaps[:1], gaps]) + np.concatenate([gaps, gaps[-1:]])) / 2


@dataclass(frozen=True)
class SliceFile:
    """The DICOM image that a slice was read from. What its headers say of the patient is not kept, but read when it is needed.

    Attributes:
        path: of the file.
        frame: index of the frame in it; None if the file has one image only.
    """

    path: Path
    frame: int | None = None


@dataclass(frozen=True)
class Study:
    """One LGE slice stack.

    Attributes:
        case: short name of the case, from the file or folder name; never the patient's name.
        voxels: ``[k, j, i]`` (slice, row, column), raw values after DICOM rescale, real-valued and finite; bright scar.
        geometry: of ``voxels`` as they are ordered here.
        reconstruction: PSIR or magnitude.
        reconstruction_reason: why it was taken for that.
        file_axes: which axis of the input file's ``[k, j, i]`` array each axis of ``voxels`` was: ``(0, 1, 2)`` unless
            the slice axis of the acquisition was another than the file's. ``file_array`` undoes it.
        source: facts for the provenance record (format, series, ...), free of patient data.
        notes: sentences that a reader of the result should see (gaps, uneven spacing, missing spacing, ...).
        problems: sentences on what makes the study incomplete (a format that ought to carry spacing has none, ...). The
            rest is still processed, and the command line ends with status 1.
        bad_slices: slice index to reason, for slices whose pixels could not be used; they are zero in ``voxels``.
        files: the DICOM image of each slice, in slice order; empty if the study came from another format, or is not known to
            have come from DICOM (:func:`~MyoScarSegLib.study.dicom_sources.with_files` finds them again).
    """

    case: str
    voxels: np.ndarray
    geometry: Geometry
    reconstruction: Reconstruction
    reconstruction_reason: str = ""
    file_axes: tuple[int, int, int] = (0, 1, 2)
    source: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    bad_slices: dict[int, str] = field(default_factory=dict)
    files: tuple[SliceFile, ...] = ()

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3 or min(self.voxels.shape) < 1:
            raise StudyError(
                f"{self.case}: an LGE study is a stack of slices [k, j, i]; this array has the shape {self.voxels.shape}."
            )

    @property
    def slices(self) -> int:
        """Number of slices."""
        return int(self.voxels.shape[0])

    @property
    def slice_shape(self) -> tuple[int, int]:
        """``(rows, columns)`` of each slice."""
        return int(self.voxels.shape[1]), int(self.voxels.shape[2])

    def file_array(self, array: np.ndarray) -> np.ndarray:
        """An array shaped like ``voxels``, with its axes put back into the order of the input file."""
        return np.transpose(array, np.argsort(self.file_axes))

    @property
    def file_geometry(self) -> Geometry:
        """That of the input file, in its order of axes."""
        return self.geometry.transposed(tuple(int(axis) for axis in np.argsort(self.file_axes)))

    def with_spacing(self, spacing_mm: tuple[float, float, float]) -> Study:
        """A copy with ``(i, j, k)`` spacing in millimeters, even between slices."""
        return replace(self, geometry=self.geometry.even(spacing_mm))
