"""Stacks whose slices lie unevenly, on the even grids that image files have.

A file knows one distance between slices. So what is drawn on an uneven stack is written on a finer even grid: every slice is
repeated over the length that it stands for (half way to each neighbor), at its true place, and voxels times their volume give
what was measured. 3D Slicer reads uneven DICOM with the mean distance, unless it is told to correct the geometry; what was drawn
on that is understood too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.study.study import Geometry

#: A slice's share of the volume may differ by this much on the grid; and how many layers a slice may have on average.
_SHARE, _MOST_LAYERS = 0.01, 64


@dataclass(frozen=True)
class RegularGrid:
    """An even grid on which the slices of an uneven stack lie at their true places.

    Attributes:
        geometry: of its voxels.
        shape: ``(layers, rows, columns)``.
        slice_of: ``[layers]``, the slice that each layer repeats.
        corners: ``[slices, 2]``, row and column of each slice's first pixel; in plane, slices may be shifted by whole pixels.
        slice_shape: ``(rows, columns)`` of a slice.
    """

    geometry: Geometry
    shape: tuple[int, int, int]
    slice_of: np.ndarray
    corners: np.ndarray
    slice_shape: tuple[int, int]

    def spread(self, array: np.ndarray) -> np.ndarray:
        """``[slice, row, column]`` on the grid, 0 where there is no slice."""
        whole = np.zeros(self.shape, dtype=array.dtype)
        for layer, k in enumerate(self.slice_of.tolist()):
            whole[self._window(layer, k)] = array[k]
        return whole

    def gathered(self, whole: np.ndarray) -> np.ndarray:
        """``[slice, row, column]`` of labels on the grid: of each pixel the greatest value that at least half its layers have."""
        slices = np.zeros((len(self.corners), *self.slice_shape), dtype=whole.dtype)
        for k in range(len(slices)):
            layers = np.stack([whole[self._window(layer, k)] for layer in np.flatnonzero(self.slice_of == k).tolist()])
            for value in np.unique(layers):
                slices[k][2 * (layers == value).sum(axis=0) >= len(layers)] = value
        return slices

    def _window(self, layer: int, k: int) -> tuple[int, slice, slice]:
        row, column = self.corners[k].tolist()
        return layer, slice(row, row + self.slice_shape[0]), slice(column, column + self.slice_shape[1])


def regular_grid(geometry: Geometry, shape: tuple[int, ...]) -> RegularGrid | None:
    """The grid for a stack of ``shape`` (slices, rows, columns); None for an even one, which needs none."""
    slices = shape[0]
    extents = geometry.slice_extents_mm(slices)
    if geometry.slice_positions_mm is None or geometry.spacing_mm is None or extents is None or slices < 2:
        return None
    origins, normal = _places(geometry)
    heights = (origins - origins[0]) @ normal
    bounds = np.concatenate([[0.0], np.cumsum(extents)])
    layers, length = _layers(bounds), float(bounds[-1])
    counts = np.diff(np.round(bounds / length * layers).astype(int))
    steps = geometry.direction[:, :2] * np.asarray(geometry.spacing_mm[:2])
    shifts = np.linalg.lstsq(steps, (origins - origins[0] - np.outer(heights, normal)).T, rcond=None)[0].T
    corners = np.round(shifts[:, ::-1]).astype(int)
    first = -corners.min(axis=0)  # where the first slice, which is not shifted against itself, comes to lie
    corners = corners + first
    rows, columns = (int(size) for size in corners.max(axis=0) + np.asarray(shape[1:]))
    x, y, z = origins[0] - steps @ first[::-1] + normal * (length / layers - extents[0]) / 2
    even = Geometry(
        (geometry.spacing_mm[0], geometry.spacing_mm[1], length / layers),
        (float(x), float(y), float(z)),
        np.column_stack([geometry.direction[:, :2], normal]),
    )
    return RegularGrid(
        even, (layers, rows, columns), np.repeat(np.arange(slices), counts), corners, (int(shape[1]), int(shape[2]))
    )


def mean_grid(geometry: Geometry) -> Geometry | None:
    """The even geometry as which ITK's reader of DICOM series, and so Slicer, takes an uneven stack; None for an even one."""
    if geometry.slice_positions_mm is None or geometry.spacing_mm is None or len(geometry.slice_positions_mm) < 2:
        return None
    origins, normal = _places(geometry)
    distance = float(np.linalg.norm(origins[-1] - origins[0])) / (len(origins) - 1)
    return Geometry(
        (geometry.spacing_mm[0], geometry.spacing_mm[1], distance),
        (float(origins[0, 0]), float(origins[0, 1]), float(origins[0, 2])),
        np.column_stack([geometry.direction[:, :2], normal]),
    )


def _places(geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """``[slices, 3]`` of the first pixel of each slice, and the unit normal towards the last slice."""
    origins = geometry.origins_mm(len(geometry.slice_positions_mm))  # type: ignore[arg-type] # uneven stacks have positions
    return origins, geometry.normal * np.sign((origins[-1] - origins[0]) @ geometry.normal)


def _layers(bounds: np.ndarray) -> int:
    """The fewest layers that share the volume out as the slices do."""
    extents = np.diff(bounds)
    best, least = len(extents), np.inf
    for layers in range(len(extents), _MOST_LAYERS * len(extents) + 1):
        shares = np.diff(np.round(bounds / bounds[-1] * layers)) * bounds[-1] / layers
        worst = float(np.abs(shares / extents - 1).max())
        if worst < least:
            best, least = layers, worst
        if least <= _SHARE:
            break
    return best
