"""Left ventricles whose numbers follow from a formula: rings with scar between two depths and two angles."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from MyoScarSegLib.quantification.aha import InsertionPoints
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.study.study import Geometry

INNER_MM, WALL_MM = 20.0, 8.0

_APEX = np.array([1.0, -1.0, -0.7]) / np.linalg.norm([1.0, -1.0, -0.7])
_SEPTUM = np.array([-1.0, -1.0, 0.0]) / np.sqrt(2)
SHORT_AXIS = np.stack([_SEPTUM, np.cross(_APEX, _SEPTUM), _APEX], axis=1)
"""Columns: towards the septum, across it, towards the apex; a usual patient's, right-handed."""


@dataclass(frozen=True, eq=False)
class Rings:
    """A stack of rings.

    Attributes:
        ventricle: wall and cavity.
        scar: bool ``[k, j, i]``.
        geometry: of the stack.
        insertions: at 60 degrees to both sides of the middle of the septum.
    """

    ventricle: Ventricle
    scar: np.ndarray
    geometry: Geometry
    insertions: InsertionPoints


def rings(
    *,
    slices: int = 9,
    pixel_mm: tuple[float, float] = (1.5, 1.5),
    distance_mm: float = 8.0,
    positions_mm: tuple[float, ...] | None = None,
    depth: tuple[float, float] = (0.0, 0.5),
    angles: tuple[float, float] = (0.0, 360.0),
    scarred: tuple[int, ...] | None = None,
    septum_deg: float = 17.0,
    tilt: np.ndarray | None = None,
    shear: tuple[float, float] = (0.0, 0.0),
    solid: int = 0,
    inner_mm: float = INNER_MM,
    wall_mm: float = WALL_MM,
    stretch: float = 1.0,
    sway_mm: float = 0.7,
    gap: tuple[float, float] | None = None,
    opened: tuple[int, ...] = (),
) -> Rings:
    """Make one; slice 0 is the base.

    Args:
        slices, pixel_mm, distance_mm: of the stack; ``pixel_mm`` is rows, columns.
        positions_mm: of an uneven stack.
        depth: of the scar, as parts of the wall from the endocardium.
        angles: of the scar, from the middle of the septum as the segments' numbers rise.
        scarred: slices with scar; None for all.
        septum_deg: direction of the septum in the plane, from u to v of the patient's frame.
        tilt: rotation of the stack, 3 x 3; columns are u, v and the direction to the apex. :data:`SHORT_AXIS` if None.
        shear: drift of the slices in mm per mm.
        solid: slices of wall without cavity added at the apex.
        inner_mm, wall_mm: radius of the cavity, thickness of the wall.
        stretch: of the ring along u, which makes it oval.
        sway_mm: how far the rings' centers stray from slice to slice, so that each slice's pixels sample the ring elsewhere.
        gap: angles between which the wall is missing in the slices ``opened``.
        opened: those.
    """
    tilt = SHORT_AXIS if tilt is None else tilt
    count = slices + solid
    side = [int(2 * (stretch * (inner_mm + wall_mm) + 12) / mm) for mm in pixel_mm]
    middle = np.array([(side[1] - 1) / 2 * pixel_mm[1], (side[0] - 1) / 2 * pixel_mm[0]])
    centers = middle + sway_mm * np.random.default_rng(3).uniform(-1, 1, (count, 2))
    rows, columns = np.mgrid[: side[0], : side[1]]
    walls, cavities, scars = (np.zeros((count, *rows.shape), dtype=bool) for _ in range(3))
    for k in range(count):
        u, v = columns * pixel_mm[1] - centers[k, 0], rows * pixel_mm[0] - centers[k, 1]
        radius = np.hypot(u / stretch, v)
        turned = (np.degrees(np.arctan2(v, u)) - septum_deg) % 360
        part = (radius - inner_mm) / wall_mm
        if k < slices:
            walls[k], cavities[k] = (part >= 0) & (part < 1), part < 0
        else:
            walls[k] = radius < inner_mm / 2
        if gap is not None and k in opened:
            walls[k] &= (turned - gap[0]) % 360 >= gap[1] - gap[0]
        if scarred is None or k in scarred:
            deep = (part >= depth[0]) & (part < depth[1]) if k < slices else np.ones_like(walls[k])
            scars[k] = walls[k] & deep & ((turned - angles[0]) % 360 < angles[1] - angles[0])

    along = tilt @ np.array([*shear, 1.0])
    direction = tilt.copy()
    direction[:, 2] = along / np.linalg.norm(along)
    origin = np.array([10.0, -30.0, 50.0])
    spacing = (pixel_mm[1], pixel_mm[0], distance_mm * float(np.linalg.norm(along)))
    geometry = Geometry(spacing, tuple(origin.tolist()), direction)
    if positions_mm is not None:
        places = np.array(positions_mm)
        geometry = replace(geometry, slice_positions_mm=places, slice_origins_mm=origin + np.outer(places - places[0], along))
    places = np.arange(count) * distance_mm if positions_mm is None else np.array(positions_mm) - positions_mm[0]
    at = places[count // 2]
    points = []
    for turn in (-60.0, 60.0):
        angle = np.radians(septum_deg + turn)
        flat = centers[count // 2] + (inner_mm + wall_mm) * np.array([stretch * np.cos(angle), np.sin(angle)])
        points.append(tuple((origin + tilt[:, :2] @ flat + at * along).tolist()))
    return Rings(Ventricle(walls, cavities, "labels"), scars, geometry, InsertionPoints(points[0], points[1]))
