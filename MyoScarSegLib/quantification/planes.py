"""The planes of a stack in millimeters, in a right-handed frame, so that angles do not hang on rows and columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.study import Geometry


@dataclass(frozen=True, eq=False)
class Planes:
    """Where the pixels of a stack lie.

    In each plane ``(u, v)`` are millimeters from the center of its pixel (0, 0), along two orthonormal axes.

    Attributes:
        axes: ``[2, 3]``, the world directions of u and v.
        normal: ``[3]``, u cross v.
        to_mm: ``[2, 2]``, ``(u, v) = to_mm @ (x, y)`` for columns x and rows y from that center.
        origins_mm: ``[k, 3]``, LPS, center of pixel (0, 0) of each slice.
        positions_mm: ``[k]`` along the normal.
        extents_mm: ``[k]`` length along the normal for which each slice stands.
    """

    axes: np.ndarray
    normal: np.ndarray
    to_mm: np.ndarray
    origins_mm: np.ndarray
    positions_mm: np.ndarray
    extents_mm: np.ndarray

    @classmethod
    def of(cls, geometry: Geometry, slices: int) -> Planes:
        """The planes of a stack; StudyError if it carries no spacing."""
        spacing = geometry.spacing_mm
        extents = geometry.slice_extents_mm(slices)
        if spacing is None or extents is None:
            raise StudyError("The image carries no spacing, so there are no millimeters.")
        columns, rows = (np.asarray(geometry.direction, dtype=np.float64).T * np.array(spacing)[:, None])[:2]
        u, normal = columns / np.linalg.norm(columns), geometry.normal
        axes, origins = np.stack([u, np.cross(normal, u)]), geometry.origins_mm(slices)
        return cls(axes, normal, axes @ np.stack([columns, rows], axis=1), origins, origins @ normal, np.asarray(extents))

    def in_plane(self, k: int, world_mm: np.ndarray) -> np.ndarray:
        """``(u, v)`` of world points ``[..., 3]`` in slice ``k``, along the normal."""
        return np.asarray((np.asarray(world_mm, dtype=np.float64) - self.origins_mm[k]) @ self.axes.T)

    def world(self, k: int, uv: np.ndarray) -> np.ndarray:
        """World points ``[..., 3]`` of ``(u, v)`` in slice ``k``."""
        return np.asarray(self.origins_mm[k] + np.asarray(uv, dtype=np.float64) @ self.axes)

    def nearest(self, world_mm: np.ndarray, slices: tuple[int, ...]) -> int:
        """Which of ``slices`` is nearest to a world point along the normal."""
        away = np.abs(self.positions_mm[list(slices)] - np.asarray(world_mm) @ self.normal)
        return slices[int(np.argmin(away))]

    def pixels(self, uv: np.ndarray) -> np.ndarray:
        """``(x, y)`` in pixel edges of ``(u, v)``, ``[..., 2]``."""
        return np.asarray(uv @ np.linalg.inv(self.to_mm).T + 0.5)

    def flat(self, direction: np.ndarray) -> np.ndarray:
        """``(u, v)`` of a world direction laid into the planes, of length 1; StudyError if it is perpendicular to them."""
        uv = self.axes @ np.asarray(direction, dtype=np.float64)
        length = float(np.linalg.norm(uv))
        if length < 0.05:
            raise StudyError("The slices are perpendicular to the direction of the septum; they are no short-axis slices.")
        return np.asarray(uv / length)
