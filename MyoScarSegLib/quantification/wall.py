"""Chords across the wall: how deep scar reaches, and how thick the wall is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.quantification.aha import Level, WallAngles, center_of, segments_at
from MyoScarSegLib.quantification.planes import Planes
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.utils.windows import window_of

CHORDS = 120
"""Per slice: one every 3 degrees, 20 in a segment of 60 degrees and 30 in one of 90."""


@dataclass(frozen=True, eq=False)
class Chords:
    """The wall of some slices along chords from endo- to epicardium.

    Chord ``c`` stands at ``3 * c + 1.5`` degrees: from the middle of the septum (the border of segments 2 and 3), rising as the
    segments' numbers do: to the inferior, lateral and anterior wall. On a bullseye it is at 180 degrees more. Without insertion
    points the angles start at the patient's right and front, and turn the same way.

    Attributes:
        slices: ``k`` of each of n slices.
        transmurality: ``[n, 120]``, 0..1: length of scar and no-reflow over the wall's length; NaN where there is no wall.
        endocardial: bool ``[n, 120]``, scar within the inner tenth of the wall.
        thickness_mm: ``[n, 120]`` length of wall; NaN where there is none.
        segments: uint8 ``[n, 120]``, segment in which the chord lies; 0 where it lies in none or insertion points are missing.
        ends: ``[n, 120, 2, 2]`` inner and outer end, each ``(x, y)`` in pixel edges of the slice; NaN where there is no wall.
        inner_mm: ``[n, 120]`` distance of the inner end from the slice's center.
    """

    slices: tuple[int, ...]
    transmurality: np.ndarray
    endocardial: np.ndarray
    thickness_mm: np.ndarray
    segments: np.ndarray
    ends: np.ndarray
    inner_mm: np.ndarray


@dataclass(frozen=True)
class Transmurality:
    """How deep scar reaches, of all chords of the slices whose wall is whole. Shares are of their chords, each slice weighted by
    its length along the normal. All in percent.

    Attributes:
        mean_all_percent: mean over all chords: how much of the wall, on the average.
        mean_scar_percent: mean over chords with scar: how deep it is where it is; None without scar.
        maximum_percent: deepest chord.
        above_25_percent, above_50_percent, above_75_percent: share of chords with a transmurality above that.
        endocardial_extent_percent: share of the endocardium's length under which the inner tenth of the wall is scar.
        wall_thickness_mm: mean length of the chords.
    """

    mean_all_percent: float
    mean_scar_percent: float | None
    maximum_percent: float
    above_25_percent: float
    above_50_percent: float
    above_75_percent: float
    endocardial_extent_percent: float
    wall_thickness_mm: float


#: Distance between samples along a chord.
_STEP_MM = 0.4
#: A chord with less scar than this only touches the corner of a pixel.
LEAST_SHARE = 0.05
#: The inner part of the wall in which scar counts as endocardial.
ENDOCARDIAL_SHARE = 0.1


def chords(
    infarct: np.ndarray, ventricle: Ventricle, planes: Planes, frame: WallAngles, levels: Mapping[int, Level], *, numbered: bool
) -> Chords | None:
    """Lay chords across the wall of all slices that have a level above the tip.

    In each slice 120 points are put on the wall's middle line, one every 3 degrees around the center; a chord goes through each,
    perpendicular to the middle line, so that it is the wall's thickness in oval and thinned ventricles, too (centerline method:
    Sheehan et al., Circulation 1986, 74, 293). Along it wall and scar are interpolated between pixels and added up, in mm; scar
    is where it fills at least half of what is wall. A chord ends where the wall first ends.

    Args:
        infarct: bool ``[k, j, i]``, scar and no-reflow.
        levels: slice index to level.
        numbered: whether the frame is that of the septum, so that chords lie in segments.

    Returns:
        None if no slice has a level above the tip.
    """
    slices = tuple(k for k, level in levels.items() if level != "tip" and ventricle.myocardium[k].any())
    if not slices:
        return None
    angles = (np.arange(CHORDS) + 0.5) * (360 / CHORDS)
    centers = np.stack([center_of(ventricle, planes, k) for k in slices])
    rows, columns = window_of(np.any(ventricle.myocardium[list(slices)], axis=0), margin=2)
    corner = np.array([columns.start, rows.start], dtype=float)
    wall = ventricle.myocardium[list(slices)][:, rows, columns].astype(np.float32)
    scar = infarct[list(slices)][:, rows, columns].astype(np.float32) * wall
    rays = np.broadcast_to(frame.directions(angles), (len(slices), CHORDS, 2))
    starts = np.broadcast_to(centers[:, None], rays.shape)
    steps = np.arange(0.0, _reach_mm(wall, centers, planes, corner) + 1.0, _STEP_MM)
    (seen,) = along(starts, rays, steps, planes, wall, corner=corner)
    inside = seen >= 0.5
    met = inside.any(axis=2)
    inner = np.argmax(inside, axis=2) * _STEP_MM
    outer = (len(steps) - 1 - np.argmax(inside[:, :, ::-1], axis=2)) * _STEP_MM
    middle = np.where(met, (inner + outer) / 2, np.nan)
    points = centers[:, None] + middle[..., None] * rays
    normals = _normals(middle, rays)

    half = float(np.nanmax(np.where(met, outer - inner, np.nan))) if met.any() else 0.0
    steps = (np.arange(2 * int(np.ceil(half / _STEP_MM)) + 9) - int(np.ceil(half / _STEP_MM)) - 4) * _STEP_MM
    walls, scars = along(np.nan_to_num(points), normals, steps, planes, wall, scar, corner=corner)
    zero = int(np.argmin(np.abs(steps)))
    run = walls > 0.02
    run[:, :, zero:] = np.logical_and.accumulate(run[:, :, zero:], axis=2)
    run[:, :, zero::-1] = np.logical_and.accumulate(run[:, :, zero::-1], axis=2)
    scars = np.where(2 * scars >= walls, walls, 0)
    walls, scars = walls * run * _STEP_MM, scars * run * _STEP_MM
    length = walls.sum(axis=2)
    there = met & (length > 0)
    safe = np.where(there, length, 1.0)
    share = np.where(there, scars.sum(axis=2) / safe, np.nan)
    skin = (np.cumsum(walls, axis=2) - walls) < ENDOCARDIAL_SHARE * safe[..., None]
    shallow = (scars * skin).sum(axis=2) >= 0.5 * np.maximum((walls * skin).sum(axis=2), 1e-9)
    below = walls[:, :, :zero].sum(axis=2) + walls[:, :, zero] / 2
    ends = np.stack([points - below[..., None] * normals, points + (length - below)[..., None] * normals], axis=2)
    ends[~there] = np.nan
    segments = np.zeros(share.shape, dtype=np.uint8)
    if numbered:
        for n, k in enumerate(slices):
            segments[n] = np.where(there[n], segments_at(angles, levels[k]), 0)
    return Chords(
        slices=slices,
        transmurality=share,
        endocardial=shallow & there & (np.nan_to_num(share) >= LEAST_SHARE),
        thickness_mm=np.where(there, length, np.nan),
        segments=segments,
        ends=planes.pixels(ends),
        inner_mm=np.linalg.norm(ends[:, :, 0] - centers[:, None], axis=-1),
    )


def transmurality_of(found: Chords, extents_mm: np.ndarray) -> Transmurality | None:
    """Summarize chords; None if none crosses a wall."""
    there = ~np.isnan(found.transmurality)
    if not there.any():
        return None
    weight = np.broadcast_to(extents_mm[list(found.slices)][:, None], there.shape) * there
    share = np.nan_to_num(found.transmurality)

    def percent(values: np.ndarray, weights: np.ndarray = weight) -> float:
        return float(100 * (values * weights).sum() / weights.sum())

    scarred = share >= LEAST_SHARE
    return Transmurality(
        mean_all_percent=percent(share),
        mean_scar_percent=percent(share, weight * scarred) if scarred.any() else None,
        maximum_percent=float(100 * share.max()),
        above_25_percent=percent(share > 0.25),
        above_50_percent=percent(share > 0.50),
        above_75_percent=percent(share > 0.75),
        endocardial_extent_percent=percent(found.endocardial, weight * np.nan_to_num(found.inner_mm)),
        wall_thickness_mm=percent(np.nan_to_num(found.thickness_mm)) / 100,
    )


def _reach_mm(wall: np.ndarray, centers: np.ndarray, planes: Planes, corner: np.ndarray) -> float:
    """How far from its slice's center any wall lies."""
    far = 0.0
    for one, center in zip(wall, centers, strict=True):
        rows, columns = np.nonzero(one)
        uv = (np.stack([columns, rows], axis=-1) + corner) @ planes.to_mm.T - center
        far = max(far, float(np.hypot(uv[:, 0], uv[:, 1]).max()))
    return far


def along(
    starts: np.ndarray, ways: np.ndarray, steps: np.ndarray, planes: Planes, *stacks: np.ndarray, corner: np.ndarray | None = None
) -> list[np.ndarray]:
    """Values ``[n, ways, steps]`` of stacks ``[n, row, column]`` along lines in their planes.

    Args:
        starts, ways: ``[n, ways, 2]`` first points and directions, ``(u, v)`` in mm.
        steps: how far along, in mm; the same for all, or ``[n, ways, steps]``.
        corner: ``(x, y)`` of the stacks' first pixel in the slice; None for (0, 0).
    """
    to_pixels = np.linalg.inv(planes.to_mm).T
    first, way = starts @ to_pixels - (0.0 if corner is None else corner), ways @ to_pixels
    x, y = ((first[..., n, None] + way[..., n, None] * steps).astype(np.float32) for n in (0, 1))
    return _interpolated(x, y, *stacks)


def _interpolated(x: np.ndarray, y: np.ndarray, *stacks: np.ndarray) -> list[np.ndarray]:
    """Bilinear values of stacks ``[n, row, column]`` at columns x and rows y, ``[n, ...]``; 0 outside."""
    left, top = np.floor(x), np.floor(y)
    right_part, lower_part = x - left, y - top
    count, rows, columns = stacks[0].shape
    # Two pixels of zeros all round take what lies outside.
    column = np.clip(left.astype(np.int32) + 2, 0, columns + 2)
    row = np.clip(top.astype(np.int32) + 2, 0, rows + 2)
    number = np.arange(count, dtype=np.int32).reshape(-1, *[1] * (x.ndim - 1))
    width = columns + 4
    index = (number * (rows + 4) + row) * width + column
    found = []
    for stack in stacks:
        flat = np.pad(stack, ((0, 0), (2, 2), (2, 2))).ravel()
        upper = flat[index] * (1 - right_part) + flat[index + 1] * right_part
        lower = flat[index + width] * (1 - right_part) + flat[index + width + 1] * right_part
        found.append(upper * (1 - lower_part) + lower * lower_part)
    return found


def _normals(middle: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Outward unit vectors ``[n, 120, 2]`` perpendicular to the smoothed middle line; gaps in it are bridged."""
    chord = np.arange(CHORDS)
    smooth = np.empty_like(middle)
    for n, radii in enumerate(middle):
        known = np.isfinite(radii)
        smooth[n] = np.interp(chord, chord[known], radii[known], period=CHORDS) if known.any() else 1.0
    # A window of 21 degrees: pixels' corners vanish in it, the curve of an oval wall does not.
    weights = np.hanning(9)[1:-1]
    smooth = sum(w * np.roll(smooth, shift, axis=1) for w, shift in zip(weights, range(-3, 4), strict=True)) / weights.sum()
    line = smooth[..., None] * rays
    tangent = np.roll(line, -1, axis=1) - np.roll(line, 1, axis=1)
    normal = np.stack([tangent[..., 1], -tangent[..., 0]], axis=-1)
    normal *= np.sign((normal * rays).sum(axis=-1, keepdims=True))
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    return np.where(length > 0, normal / np.maximum(length, 1e-12), rays)
