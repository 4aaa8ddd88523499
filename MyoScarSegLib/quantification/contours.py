"""The left ventricle from its two borders, drawn as closed curves in some slices."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.study.polygons import filled_curve
from MyoScarSegLib.study.study import Geometry


def ventricle_of_contours(
    endocardium: Mapping[int, np.ndarray], epicardium: Mapping[int, np.ndarray], shape: tuple[int, int, int], geometry: Geometry
) -> Ventricle:
    """Wall and cavity between and within drawn borders.

    A curve is closed from its last point to its first; a pixel is inside if its center is. Slices between two drawn ones are
    interpolated, each border by itself: the signed distances to the two borders are mixed by how near the slices are (Raya and
    Udupa, IEEE Trans Med Imaging 1990, 9, 32). Nothing is added beyond the first and the last slice that is drawn. A slice with
    an epicardium alone is wall without cavity, the tip. Where both borders lie on each other the wall is open.

    Args:
        endocardium, epicardium: slice index to float ``[points, 2]``, ``(x, y)`` in pixel edges.
        shape: of the study, slices, rows, columns.
        geometry: of the study, for the distances between slices and between pixels.

    Raises:
        StudyError: a curve has fewer than three points, encloses no pixel, lies in no slice of the study, or is an endocardium in
            a slice that has no epicardium, drawn or interpolated.
    """
    outside, inside = _filled(epicardium, shape, geometry, "epicardial"), _filled(endocardium, shape, geometry, "endocardial")
    for k in inside:
        if k not in outside:
            raise StudyError(f"Slice {k} has an endocardial contour and no epicardial one. Draw both, or delete it.")
    wall, cavity = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for k, heart in outside.items():
        if k in inside:
            cavity[k] = inside[k]
        wall[k] = heart & ~cavity[k]
    return Ventricle(wall, cavity, "contours")


def _filled(
    curves: Mapping[int, np.ndarray], shape: tuple[int, int, int], geometry: Geometry, name: str
) -> dict[int, np.ndarray]:
    """The inside of one border in each drawn slice and in those between."""
    drawn: dict[int, np.ndarray] = {}
    for k in sorted(curves):
        points = np.asarray(curves[k], dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
            raise StudyError(f"The {name} contour of slice {k} is no closed curve: it needs three points or more.")
        if not 0 <= k < shape[0]:
            raise StudyError(f"The {name} contour of slice {k} lies in no slice: the study has slices 0 to {shape[0] - 1}.")
        drawn[k] = filled_curve(points, shape[1:])
        if not drawn[k].any():
            raise StudyError(f"The {name} contour of slice {k} encloses no pixel of the image.")
    found = dict(drawn)
    places = geometry.positions_mm(shape[0])
    places = np.arange(shape[0]) if places is None else places
    for below, above in pairwise(drawn):
        if above - below < 2:
            continue
        first, second = (_signed_mm(drawn[k], geometry) for k in (below, above))
        for k in range(below + 1, above):
            part = (places[k] - places[below]) / (places[above] - places[below])
            found[k] = (1 - part) * first + part * second > 0
    return found


def _signed_mm(mask: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Distance to the border, positive inside."""
    from scipy import ndimage

    spacing = geometry.pixel_spacing_mm or (1.0, 1.0)
    inside, outside = (ndimage.distance_transform_edt(part, sampling=spacing) for part in (mask, ~mask))
    return np.asarray(inside - outside)
