"""Number and size of a study's scars."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from MyoScarSegLib.lesions import lesions_of_stack
from MyoScarSegLib.quantification.burden import Extent, voxel_volumes_ml
from MyoScarSegLib.quantification.planes import Planes
from MyoScarSegLib.study.study import Geometry
from MyoScarSegLib.utils.windows import window_of

_DIRECTIONS = 36


@dataclass(frozen=True)
class Lesion:
    """One connected scar (:mod:`MyoScarSegLib.lesions`: gaps of up to 3 mm in a slice, lying over each other between slices).

    Attributes:
        number: from 1, the largest first.
        slices: that it lies in.
        extent: of it.
        percent_of_scar: its share of all scar's volume.
        diameter_mm: its largest distance across in any one slice, from pixel edge to pixel edge; None without spacing.
        length_mm: along the stack's normal, from its first slice to its last, each with its whole length; None without spacing.
        segments: in which at least a twentieth of it lies, the one with most of it first; empty if they are not known.
    """

    number: int
    slices: tuple[int, ...]
    extent: Extent
    percent_of_scar: float
    diameter_mm: float | None
    length_mm: float | None
    segments: tuple[int, ...]


def measured_lesions(
    infarct: np.ndarray, geometry: Geometry, planes: Planes | None, segments: np.ndarray | None
) -> tuple[Lesion, ...]:
    """The lesions of a stack, largest first; what is smaller than 8 mm² on all slices together is none.

    Args:
        infarct: bool ``[k, j, i]``, scar and no-reflow.
        planes: of the stack; None without spacing.
        segments: uint8 ``[k, j, i]`` map of the 17 segments, if known.
    """
    if not infarct.any():
        return ()
    window = (slice(None), *window_of(np.any(infarct, axis=0)))
    numbers = lesions_of_stack(infarct[window], geometry.pixel_spacing_mm)
    voxel_ml = voxel_volumes_ml(geometry, len(infarct))
    total = Extent.of_mask(infarct, voxel_ml)
    found = []
    for number in range(1, int(numbers.max()) + 1):
        mask = numbers == number
        extent = Extent.of_mask(mask, voxel_ml)
        slices = tuple(np.flatnonzero(mask.any(axis=(1, 2))).tolist())
        within = () if segments is None else _segments(segments[window][mask])
        across = None if planes is None else max(_diameter_mm(mask[k], planes) for k in slices)
        long = None if planes is None else float(planes.extents_mm[slices[0] : slices[-1] + 1].sum())
        share = extent.percent_of(total)
        found.append(Lesion(0, slices, extent, 0.0 if share is None else share, across, long, within))
    found.sort(key=lambda lesion: (-lesion.percent_of_scar, lesion.slices))
    return tuple(replace(lesion, number=place) for place, lesion in enumerate(found, 1))


def _segments(numbers: np.ndarray) -> tuple[int, ...]:
    pixels = np.bincount(numbers)
    pixels[0] = 0
    order = np.argsort(-pixels, kind="stable")
    return tuple(int(n) for n in order if pixels[n] and pixels[n] >= len(numbers) / 20)


def _diameter_mm(mask: np.ndarray, planes: Planes) -> float:
    """The largest width of the pixels in 36 directions."""
    rows, columns = np.nonzero(mask)
    angles = np.arange(_DIRECTIONS) * (np.pi / _DIRECTIONS)
    ways = np.stack([np.cos(angles), np.sin(angles)]).T @ planes.to_mm
    along = ways[:, :1] * columns + ways[:, 1:] * rows
    return float((np.ptp(along, axis=1) + np.abs(ways).sum(axis=1)).max())
