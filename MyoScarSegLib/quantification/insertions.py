"""Proposals of the right ventricle's insertion points, from patient axes and from the right ventricle's blood in the image."""

from __future__ import annotations

from typing import Literal

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.aha import (
    InsertionPoints,
    WallAngles,
    angles_of,
    angles_of_axes,
    center_of,
    levels_of,
    towards_apex,
)
from MyoScarSegLib.quantification.planes import Planes
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.quantification.wall import along
from MyoScarSegLib.study.study import Geometry

HALF_SEPTUM_DEG = 60.0
"""Proposed points lie this far to both sides of the septum's middle, on the borders of the segments."""

_DIRECTIONS = 120
_BAND_MM = (2.0, 18.0)
_HALF_CONTACT_DEG = 54.0
_SOFT_DEG = 5.0
_AXES_WEIGHT = 0.3
_LEAST_MATCH = 0.5


def propose_insertions(voxels: np.ndarray, ventricle: Ventricle, geometry: Geometry) -> InsertionPoints:
    """Insertion points without a reader.

    The patient's axes say roughly where the septum is (:func:`~MyoScarSegLib.quantification.aha.angles_of_axes`). In the image,
    blood beside the wall says it better: in the basal and mid slices, the band from 2 to 18 mm outside the epicardium is
    compared with the ventricle's own blood and wall, the slices are averaged around their centers, and the septum is the arc of
    108 degrees (mean over 100 cine exams: half of it 54 +- 7) whose band is most like blood where the rest is not; the patient's
    axes count three tenths of a perfect match. If no arc matches (correlation under 0.5: poor contrast, or no right ventricle
    in sight), the axes decide alone, and ``source`` says so.

    Args:
        voxels: ``[k, j, i]``, raw.

    Returns:
        Points on the epicardium of a slice in the middle, 60 degrees to each side of the septum's middle.

    Raises:
        StudyError: the image's shape is another, it carries no spacing, or no slice has wall all round the cavity.
    """
    if voxels.shape != ventricle.myocardium.shape:
        raise StudyError(f"The image has the shape {voxels.shape}, the ventricle {ventricle.myocardium.shape}.")
    planes, frame, slices = usual = _usual(ventricle, geometry)
    seen = np.mean([_blood_beside(voxels[k], ventricle, planes, k, frame) for k in slices], axis=0)
    turned = np.arange(_DIRECTIONS) * (360 / _DIRECTIONS)
    away = np.abs((turned[None] - turned[:, None] + 180) % 360 - 180)
    arcs = 1 / (1 + np.exp((away - _HALF_CONTACT_DEG) / _SOFT_DEG))
    arcs -= arcs.mean(axis=1, keepdims=True)
    spread = float(seen.std())
    if spread < 1e-6:
        return _points(0.0, "axes", ventricle, usual)
    match = arcs @ seen / (np.linalg.norm(arcs, axis=1) * spread * np.sqrt(_DIRECTIONS))
    best = int(np.argmax(match + _AXES_WEIGHT * np.cos(np.radians(turned))))
    if match[best] < _LEAST_MATCH:
        return _points(0.0, "axes", ventricle, usual)
    return _points(float(turned[best]), "image", ventricle, usual)


def insertions_at(rotation_deg: float, ventricle: Ventricle, geometry: Geometry) -> InsertionPoints:
    """Insertion points by an angle alone.

    Args:
        rotation_deg: from where the patient's axes have the septum, rising as the segments' numbers do: positive turns it towards
            the inferior wall.

    Raises:
        StudyError: it carries no spacing, or no slice has wall all round the cavity.
    """
    return _points(rotation_deg, "rotation", ventricle, _usual(ventricle, geometry))


def rotation_of(insertions: InsertionPoints, ventricle: Ventricle, geometry: Geometry) -> float:
    """The angle, -180 to 180, that :func:`insertions_at` would need for the same middle of the septum."""
    planes, frame, _ = _usual(ventricle, geometry)
    middle = angles_of(insertions, ventricle, planes).directions(np.zeros(()))
    return float((frame.degrees(middle) + 180) % 360 - 180)


def _usual(ventricle: Ventricle, geometry: Geometry) -> tuple[Planes, WallAngles, list[int]]:
    """Planes, the frame of the patient's axes, and basal and mid slices; all with wall around if there are none such."""
    planes = Planes.of(geometry, len(ventricle.myocardium))
    if not ventricle.closed:
        raise StudyError("In no slice does the myocardium go all round the cavity, so there is no septum to find.")
    levels = levels_of(ventricle, planes)
    slices = [k for k in ventricle.closed if levels[k] in ("base", "mid")]
    return planes, angles_of_axes(ventricle, planes), slices or list(ventricle.closed)


def _points(
    turned: float, source: Literal["image", "axes", "rotation"], ventricle: Ventricle, usual: tuple[Planes, WallAngles, list[int]]
) -> InsertionPoints:
    planes, frame, slices = usual
    apex = towards_apex(ventricle, planes)
    k = sorted(slices, key=lambda one: apex * planes.positions_mm[one])[len(slices) // 2]
    ways = frame.directions(np.array([turned - HALF_SEPTUM_DEG, turned + HALF_SEPTUM_DEG]))
    center = center_of(ventricle, planes, k)
    radii = _epicardium_mm(ventricle, planes, k, ways)
    (a, b, c), (x, y, z) = planes.world(k, center + radii[:, None] * ways).tolist()
    return InsertionPoints((a, b, c), (x, y, z), source)


def _epicardium_mm(ventricle: Ventricle, planes: Planes, k: int, ways: np.ndarray) -> np.ndarray:
    """Distance of the epicardium from the slice's center in directions ``[n, 2]``."""
    heart = ventricle.myocardium[k] | ventricle.cavity[k]
    rows, columns = ventricle.window
    sides_mm = planes.to_mm @ np.array([columns.stop - columns.start, rows.stop - rows.start])
    steps = np.arange(0.0, float(np.abs(sides_mm).sum()), 0.5)
    (inside,) = along(center_of(ventricle, planes, k), ways[None], steps, planes, heart[None].astype(np.float32))
    return np.asarray(steps[len(steps) - 1 - np.argmax(inside[0, :, ::-1] >= 0.5, axis=1)])


def _blood_beside(image: np.ndarray, ventricle: Ventricle, planes: Planes, k: int, frame: WallAngles) -> np.ndarray:
    """How much the tissue just outside of the wall is like blood, 0..1 for each direction.

    Between wall and blood it rises from 0 to 1; fat, much brighter than blood, has 0 again.
    """
    ways = frame.directions(np.arange(_DIRECTIONS) * (360 / _DIRECTIONS))
    blood = float(np.median(image[ventricle.cavity[k]]))
    wall = float(np.percentile(image[ventricle.myocardium[k]], 30))
    if blood <= wall:
        return np.zeros(_DIRECTIONS)
    radii = _epicardium_mm(ventricle, planes, k, ways)
    steps = radii[:, None] + np.arange(*_BAND_MM)
    (values,) = along(center_of(ventricle, planes, k), ways[None], steps, planes, image[None].astype(np.float32))
    height = (values[0] - wall) / (blood - wall)
    return np.asarray((np.clip((height - 0.3) / 0.4, 0, 1) * np.clip((2.2 - height) / 0.6, 0, 1)).mean(axis=1))
