"""Left ventricles whose numbers follow from a formula: rings with scar between two depths and two angles."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from MyoScarSegLib.quantification.aha import InsertionPoints
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.study.study import Geometry

INNER_MM, WALL_MM = 20.0, 8.0


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
    center: tuple[float, float] = (0.3, -0.4),
) -> Rings:
    """Make one; slice 0 is the base.

    Args:
        slices, pixel_mm, distance_mm: of the stack; ``pixel_mm`` is rows, columns.
        positions_mm: of an uneven stack.
        depth: of the scar, as parts of the wall from the endocardium.
        angles: of the scar, from the middle of the septum as the segments' numbers rise.
        scarred: slices with scar; None for all.
        septum_deg: direction of the septum in the plane, from u to v of the patient's frame.
        tilt: rotation of the stack, 3 x 3; columns are u, v and the direction to the apex.
        shear: drift of the slices in mm per mm.
        solid: slices of wall without cavity added at the apex.
        inner_mm, wall_mm: radius of the cavity, thickness of the wall.
        stretch: of the ring along u, which makes it oval.
        center: of the ring in the plane, mm from the image's middle.
    """
    tilt = np.eye(3) if tilt is None else tilt
    count = slices + solid
    side = [int(2 * (stretch * (inner_mm + wall_mm) + 12) / mm) for mm in pixel_mm]
    rows, columns = np.mgrid[: side[0], : side[1]]
    u = (columns - (side[1] - 1) / 2) * pixel_mm[1] - center[0]
    v = (rows - (side[0] - 1) / 2) * pixel_mm[0] - center[1]
    radius = np.hypot(u / stretch, v)
    turned = (np.degrees(np.arctan2(v, u)) - septum_deg) % 360
    part = (radius - inner_mm) / wall_mm
    wall = (part >= 0) & (part < 1)
    within = (turned - angles[0]) % 360 < angles[1] - angles[0]
    scar = wall & (part >= depth[0]) & (part < depth[1]) & within
    walls = np.stack([wall] * slices + [radius < inner_mm / 2] * solid)
    cavities = np.stack([radius < inner_mm] * slices + [np.zeros_like(wall)] * solid)
    scars = np.zeros_like(walls)
    for k in range(slices) if scarred is None else scarred:
        scars[k] = (scar if k < slices else within) & walls[k]

    along = tilt @ np.array([*shear, 1.0])
    direction = tilt.copy()
    direction[:, 2] = along / np.linalg.norm(along)
    origin = np.array([10.0, -30.0, 50.0])
    spacing = (pixel_mm[1], pixel_mm[0], distance_mm * float(np.linalg.norm(along)))
    geometry = Geometry(spacing, tuple(origin.tolist()), direction)
    if positions_mm is not None:
        places = np.array(positions_mm)
        geometry = replace(geometry, slice_positions_mm=places, slice_origins_mm=origin + np.outer(places - places[0], along))
    middle = np.array([((side[1] - 1) / 2) * pixel_mm[1] + center[0], ((side[0] - 1) / 2) * pixel_mm[0] + center[1]])
    places = np.arange(count) * distance_mm if positions_mm is None else np.array(positions_mm) - positions_mm[0]
    at = places[count // 2]
    points = []
    for turn in (-60.0, 60.0):
        angle = np.radians(septum_deg + turn)
        flat = middle + (inner_mm + wall_mm) * np.array([stretch * np.cos(angle), np.sin(angle)])
        points.append(tuple((origin + tilt[:, :2] @ flat + at * along).tolist()))
    return Rings(Ventricle(walls, cavities, "labels"), scars, geometry, InsertionPoints(points[0], points[1]))
