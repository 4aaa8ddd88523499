"""A left ventricle of round slices whose numbers are known, with its study."""

from __future__ import annotations

import numpy as np

from MyoScarSegLib.quantification.aha import InsertionPoints
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study

SPACING = (1.5, 1.5, 10.0)
_CENTER = (40.0, 36.0)
_ENDO, _EPI = 12.0, 18.0


def round_ventricle(slices: int = 9, *, scar_deg: tuple[float, float] = (240.0, 300.0), seed: int = 0):
    """Rings of wall 6 pixels thick, the last slice solid; scar in a sector of two slices in the middle, through the whole wall.

    Slices are axial (rows run to the back, columns to the patient's left), the apex is the last slice. Angles are counted as on
    a page, anticlockwise from the right; so 90 is the front, taken for anterior.

    Returns:
        Study, ventricle, scar mask, and insertion points at 120 and 240 degrees.
    """
    rows, columns = np.mgrid[:72, :80] + 0.5
    x, y = columns - _CENTER[0], rows - _CENTER[1]
    radius, angle = np.hypot(x, y), np.degrees(np.arctan2(-y, x)) % 360
    wall = np.repeat(((radius >= _ENDO) & (radius < _EPI))[None], slices, axis=0)
    cavity = np.repeat((radius < _ENDO)[None], slices, axis=0)
    wall[-1], cavity[-1] = radius < 8, False
    scar = np.zeros_like(wall)
    first = slices // 3
    scar[first : first + 2] = wall[first : first + 2] & (angle >= scar_deg[0]) & (angle < scar_deg[1])
    voxels = np.random.default_rng(seed).normal(60, 8, wall.shape) + 120 * cavity + 40 * wall + 120 * scar
    # Towards the feet from slice to slice, so that the view is from below as in a usual short axis.
    geometry = Geometry(SPACING, direction=np.diag([1.0, 1.0, -1.0]))
    study = Study("round", voxels.astype(np.float32), geometry, Reconstruction.PSIR)

    def point(degrees: float) -> tuple[float, float, float]:
        column = _CENTER[0] + _EPI * np.cos(np.radians(degrees)) - 0.5
        row = _CENTER[1] - _EPI * np.sin(np.radians(degrees)) - 0.5
        return float(column * SPACING[0]), float(row * SPACING[1]), -float(slices // 2) * SPACING[2]

    return study, Ventricle(wall, cavity, "labels"), scar, InsertionPoints(point(120), point(240))
