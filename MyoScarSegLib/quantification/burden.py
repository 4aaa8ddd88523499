"""How much a mask holds, in pixels, mm², mL and g: of any tissue (:class:`Extent`), and of scar per slice (:class:`ScarBurden`).

What needs the left ventricle's wall beside the scar (percent, segments, transmurality) is in ``measurements.py``, on top of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.study import Geometry

MYOCARDIAL_DENSITY_G_PER_ML = 1.05
"""Density of myocardium; the field's convention for turning a volume of wall or scar into a mass."""

MM3_PER_ML = 1000.0


@dataclass(frozen=True)
class Extent:
    """How much of a tissue there is.

    Attributes:
        pixels: number of its pixels.
        volume_ml: their volume; None without spacing.
        mass_g: volume times :data:`MYOCARDIAL_DENSITY_G_PER_ML`; None without spacing.
    """

    pixels: int
    volume_ml: float | None
    mass_g: float | None

    @classmethod
    def of_slices(cls, pixels: Sequence[int] | np.ndarray, voxel_ml: np.ndarray | None) -> Extent:
        """Of so many pixels on each slice of the stack, in slice order.

        Args:
            pixels: ``[k]``.
            voxel_ml: ``[k]``, of :func:`voxel_volumes_ml`.
        """
        count = int(np.sum(pixels))
        if voxel_ml is None:
            return cls(count, None, None)
        volume_ml = float(np.dot(pixels, voxel_ml))
        return cls(count, volume_ml, volume_ml * MYOCARDIAL_DENSITY_G_PER_ML)

    @classmethod
    def of_mask(cls, mask: np.ndarray, voxel_ml: np.ndarray | None) -> Extent:
        """Of the pixels of a mask ``[k, j, i]``."""
        return Extent.of_slices(np.count_nonzero(mask, axis=(1, 2)), voxel_ml)

    @classmethod
    def of_pixels(cls, pixels: int, voxel_ml: float | None) -> Extent:
        """Of so many pixels on one slice."""
        volume_ml = None if voxel_ml is None else pixels * voxel_ml
        return cls(pixels, volume_ml, None if volume_ml is None else volume_ml * MYOCARDIAL_DENSITY_G_PER_ML)

    def percent_of(self, whole: Extent | None) -> float | None:
        """Its share of a larger extent, by volume; without spacing by pixels, slices being taken for evenly spaced.

        None if there is no larger extent, or it is empty.
        """
        if whole is None or whole.pixels == 0:
            return None
        if self.volume_ml is None or whole.volume_ml is None:
            return 100 * self.pixels / whole.pixels
        return 100 * self.volume_ml / whole.volume_ml


@dataclass(frozen=True)
class SliceBurden(Extent):
    """Scar in one slice. What needs spacing is None if the study carries none.

    Attributes:
        slice: index ``k`` of the slice.
        area_mm2: of its pixels.
        extent_mm: length along the stack's normal that the slice stands for: the distance *between slices*, not the
            slice thickness, so that the gaps between slices count.
    """

    slice: int
    area_mm2: float | None
    extent_mm: float | None


@dataclass(frozen=True)
class ScarBurden(Extent):
    """Scar in a whole study, which needs no wall.

    Attributes:
        slices: one entry per slice of the stack, in slice order, also for slices without scar.
    """

    slices: tuple[SliceBurden, ...]


def voxel_volumes_ml(geometry: Geometry, slices: int) -> np.ndarray | None:
    """Volume for which a pixel of each slice stands, ``[k]``: its area times its slice's length; None without spacing."""
    extents_mm, area_mm2 = geometry.slice_extents_mm(slices), geometry.pixel_area_mm2
    if extents_mm is None or area_mm2 is None:
        return None
    return np.asarray(extents_mm * area_mm2 / MM3_PER_ML)


def mass_of_pixels_g(pixels: Sequence[float] | np.ndarray, geometry: Geometry) -> float | None:
    """Mass of so many pixels on each slice of the stack, in slice order; None without spacing."""
    voxel_ml = voxel_volumes_ml(geometry, len(pixels))
    return None if voxel_ml is None else float(np.dot(pixels, voxel_ml)) * MYOCARDIAL_DENSITY_G_PER_ML


def scar_burden(mask: np.ndarray, geometry: Geometry) -> ScarBurden:
    """Measure a scar mask.

    The volume of a slice is the area of its scar pixels times the distance along the stack's normal for which the slice
    stands. This holds for oblique, flipped and sheared stacks (a sheared voxel's volume is its base times its height) and
    for unevenly spaced ones, where a slice reaches half way to each neighbor.

    Args:
        mask: ``[k, j, i]``, bool.

    Raises:
        StudyError: the mask is not a boolean stack, or the geometry describes another number of slices.
    """
    mask = check_mask(mask, "scar mask", geometry)
    area_mm2, extents_mm = geometry.pixel_area_mm2, geometry.slice_extents_mm(len(mask))
    voxel_ml = voxel_volumes_ml(geometry, len(mask))
    counts = np.count_nonzero(mask, axis=(1, 2))
    slices = []
    for k, count in enumerate(counts.tolist()):
        one = Extent.of_pixels(count, None if voxel_ml is None else float(voxel_ml[k]))
        area, length = None if area_mm2 is None else count * area_mm2, None if extents_mm is None else float(extents_mm[k])
        slices.append(SliceBurden(one.pixels, one.volume_ml, one.mass_g, k, area, length))
    total = Extent.of_slices(counts, voxel_ml)
    return ScarBurden(total.pixels, total.volume_ml, total.mass_g, tuple(slices))


def check_mask(mask: np.ndarray, name: str, geometry: Geometry) -> np.ndarray:
    """A mask as it is, if it can be measured.

    Raises:
        StudyError: it is not a boolean stack, or the geometry describes another number of slices.
    """
    mask = np.asarray(mask)
    if mask.ndim != 3 or mask.dtype != np.bool_:
        raise StudyError(
            f"A {name} is a boolean array [slice, row, column]; this one has the shape {mask.shape} and the type "
            f"{mask.dtype}. Threshold probabilities or compare labels first."
        )
    positions = geometry.slice_positions_mm
    if positions is not None and len(positions) != len(mask):
        raise StudyError(f"The mask has {len(mask)} slices, but its geometry gives positions for {len(positions)}.")
    return mask
