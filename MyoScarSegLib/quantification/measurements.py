"""All numbers of scar burden of one study, from a scar mask and, for most of them, the left ventricle around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.aha import (
    LEVELS,
    InsertionPoints,
    Level,
    angles_of,
    angles_of_axes,
    is_short_axis,
    levels_of,
    map_of,
)
from MyoScarSegLib.quantification.burden import Extent, check_mask, voxel_volumes_ml
from MyoScarSegLib.quantification.grey_zone import GreyZone, grey_zone
from MyoScarSegLib.quantification.mass_interval import MassInterval, percent_interval
from MyoScarSegLib.quantification.planes import Planes
from MyoScarSegLib.quantification.scar_lesions import Lesion, measured_lesions
from MyoScarSegLib.quantification.segment_values import SegmentMeasurement, segment_values
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.quantification.wall import Chords, Transmurality, chords, transmurality_of
from MyoScarSegLib.study.study import Geometry


@dataclass(frozen=True)
class SliceMeasurement:
    """One slice.

    Attributes:
        slice: index ``k``.
        extent_mm: length along the normal that it stands for; None without spacing.
        scar: scar and no-reflow, wherever they lie.
        scar_in_wall: those within the wall.
        no_reflow: the no-reflow alone.
        myocardium, cavity: None without a ventricle.
        percent_of_myocardium: scar in the wall over the slice's wall; None without wall in the slice.
        transmurality_percent: mean over the slice's chords; None where chords are not drawn.
        level: of the segments; None if the slice has no part in them.
        wall: ``closed``, ``open`` (partial), ``solid`` (no cavity), ``none``; empty without a ventricle.
    """

    slice: int
    extent_mm: float | None
    scar: Extent
    scar_in_wall: Extent | None
    no_reflow: Extent
    myocardium: Extent | None
    cavity: Extent | None
    percent_of_myocardium: float | None
    transmurality_percent: float | None
    level: Level | None
    wall: str


@dataclass(frozen=True, eq=False)
class Measurements:
    """What is measured on one study. What could not be measured is None, and ``missing`` has a sentence why.

    Attributes:
        scar: scar and no-reflow, wherever they lie.
        no_reflow: the no-reflow in it.
        scar_in_wall: scar and no-reflow within the wall; None without a ventricle.
        scar_outside_wall: the rest of ``scar``: it is in no percentage.
        myocardium: the wall, with the scar in it and without papillary muscles, all slices (partial ones too).
        cavity: the blood pool with papillary muscles.
        percent_of_myocardium: ``scar_in_wall`` over ``myocardium``, by mass.
        percent_low, percent_high: ends of its interval; None where the model's errors are unknown.
        slices: one for each slice of the stack.
        lesions: largest first.
        segments: 17, in order of their numbers.
        transmurality: of the whole ventricle.
        chords: what it was measured on, for profiles and pictures.
        ventricle: that was measured: of a proposed one the wall with the scar at its borders; None without one.
        grey_zone: core and grey zone; needs the image and the wall.
        segment_map: uint8 ``[k, j, i]``, segment of each pixel of the wall, 0 elsewhere.
        levels: slice index to level, of the slices that have a part in the segments.
        insertions: that were used.
        missing: name of a field above to the sentence why it is None.
        notes: sentences on what a reader should look at.
    """

    scar: Extent
    no_reflow: Extent
    slices: tuple[SliceMeasurement, ...]
    lesions: tuple[Lesion, ...] = ()
    scar_in_wall: Extent | None = None
    scar_outside_wall: Extent | None = None
    myocardium: Extent | None = None
    cavity: Extent | None = None
    percent_of_myocardium: float | None = None
    percent_low: float | None = None
    percent_high: float | None = None
    segments: tuple[SegmentMeasurement, ...] | None = None
    transmurality: Transmurality | None = None
    chords: Chords | None = None
    ventricle: Ventricle | None = None
    grey_zone: GreyZone | None = None
    segment_map: np.ndarray | None = None
    levels: Mapping[int, Level] = field(default_factory=dict)
    insertions: InsertionPoints | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def measure(
    scar: np.ndarray,
    geometry: Geometry,
    *,
    ventricle: Ventricle | None = None,
    no_reflow: np.ndarray | None = None,
    insertions: InsertionPoints | None = None,
    levels: Mapping[int, Level] | None = None,
    voxels: np.ndarray | None = None,
    interval: MassInterval | None = None,
) -> Measurements:
    """Measure scar burden.

    Scar is ``scar`` and ``no_reflow`` together. Volume is area times the length along the normal for which a slice stands; an end
    slice stands for its own length and nothing beyond it is guessed; gaps between slices are filled by their neighbors. Partial
    slices at the base count in every amount and percentage, and have no part in segments and transmurality.

    Args:
        scar: bool ``[k, j, i]``, with or without the no-reflow.
        ventricle: wall and cavity; without it only scar's own amounts are measured.
        no_reflow: bool ``[k, j, i]``.
        insertions: ends of the septum; without them there are no segments.
        levels: slice index to level, as a reader set them; None takes :func:`~MyoScarSegLib.quantification.aha.levels_of`.
        voxels: ``[k, j, i]``, raw, for the grey zone.

    Raises:
        StudyError: a mask is no boolean stack, its shape or the geometry's number of slices is another, or a level is for a slice
            that is not there.
    """
    scar, no_reflow = _checked(scar, no_reflow, geometry, ventricle, voxels)
    infarct = scar | no_reflow
    missing: dict[str, str] = {}
    notes: list[str] = []
    planes = None if geometry.spacing_mm is None else Planes.of(geometry, len(scar))
    amounts = {"scar": _counts(infarct), "no_reflow": _counts(no_reflow)}
    inside = infarct
    if ventricle is not None and ventricle.source == "model":
        proposed, ventricle = ventricle, ventricle.with_scar(infarct)
        if ventricle is not proposed:
            added = np.count_nonzero(ventricle.myocardium) - np.count_nonzero(proposed.myocardium)
            notes.append(f"{added} pixels of scar at the borders of the proposed wall count as wall.")
    if ventricle is not None:
        inside = infarct & ventricle.myocardium
        amounts |= {
            "scar_in_wall": _counts(inside),
            "myocardium": _counts(ventricle.myocardium),
            "cavity": _counts(ventricle.cavity),
        }
        amounts["scar_outside_wall"] = amounts["scar"] - amounts["scar_in_wall"]
    voxel_ml = voxel_volumes_ml(geometry, len(scar))
    whole = {name: Extent.of_slices(counts, voxel_ml) for name, counts in amounts.items()}
    outside, wall = whole.get("scar_outside_wall"), whole.get("myocardium")
    walled = ventricle is not None and bool(ventricle.walls)
    if not walled:
        missing["percent_of_myocardium"] = NO_WALL
    elif outside is not None and outside.pixels:
        notes.append(f"{outside.pixels} pixels of scar lie outside the myocardium. They are in the mass, and in no percentage.")
    if planes is None:
        notes.append("The image carries no spacing: there are pixels and percentages of pixels, slices taken for evenly spaced.")

    found = segments = numbers = depth = None
    if ventricle is None or not walled or planes is None:
        reason = NO_WALL if planes is not None else "The image carries no spacing, which chords across the wall need."
        missing |= {"transmurality": reason, "chords": reason, "segments": reason, "segment_map": reason}
        levels = {}
    else:
        levels = levels_of(ventricle, planes) if levels is None else _checked_levels(levels, ventricle)
        axes = angles_of_axes(ventricle, planes)
        frame = axes if insertions is None else angles_of(insertions, ventricle, planes)
        if frame.turn != axes.turn:
            notes.append(EXCHANGED)
        if insertions is not None and insertions.source != "reader" and not is_short_axis(planes):
            notes.append(NO_AXES)
        left_out = [k for k in ventricle.walls if k not in levels]
        if left_out:
            notes.append(
                f"{_slices_of(left_out)} in mass and percentage and not in segments and transmurality: "
                "the wall does not go all round the cavity there, or the reader set it to no level."
            )
        found = chords(inside, ventricle, planes, frame, levels, numbered=insertions is not None)
        depth = None if found is None else transmurality_of(found, planes.extents_mm)
        if depth is None:
            missing |= dict.fromkeys(("transmurality", "chords"), NOT_CLOSED)
            found = None
        if not levels:
            missing |= dict.fromkeys(("segments", "segment_map"), NOT_CLOSED)
        elif insertions is None:
            missing |= dict.fromkeys(("segments", "segment_map"), NO_INSERTIONS)
        else:
            numbers = map_of(ventricle, planes, frame, levels)
            segments = segment_values(numbers, inside, found, voxel_ml, planes.extents_mm)
    grey = None
    if voxels is None or ventricle is None or not walled:
        missing["grey_zone"] = NO_WALL if voxels is not None else "Core and grey zone need the image."
    else:
        try:
            grey = grey_zone(voxels, inside, no_reflow, ventricle.myocardium, voxel_ml)
        except StudyError as error:
            missing["grey_zone"] = str(error)
    low, high = percent_interval(interval, outside, wall)
    return Measurements(
        scar=whole["scar"],
        no_reflow=whole["no_reflow"],
        slices=_slices(amounts, geometry, ventricle, found, levels),
        lesions=measured_lesions(infarct, geometry, planes, numbers),
        scar_in_wall=whole.get("scar_in_wall"),
        scar_outside_wall=outside,
        myocardium=wall,
        cavity=whole.get("cavity"),
        percent_of_myocardium=whole["scar_in_wall"].percent_of(wall) if "scar_in_wall" in whole else None,
        percent_low=low,
        percent_high=high,
        segments=segments,
        transmurality=depth,
        chords=found,
        ventricle=ventricle,
        grey_zone=grey,
        segment_map=numbers,
        levels=dict(levels),
        insertions=insertions,
        missing=missing,
        notes=tuple(notes),
    )


NO_WALL = "The left ventricular myocardium is not segmented. Propose or draw it first."
NOT_CLOSED = "In no slice does the myocardium go all round the cavity. Complete the wall, or set the slices' levels."
NO_INSERTIONS = "The insertion points of the right ventricle are not set. Propose or place them."
EXCHANGED = (
    "The insertion points contradict the patient's axes: the anterior and the inferior one are exchanged, or the file has lost "
    "or mirrored the patient's orientation. Segments follow the points; check the bullseye against the image."
)
NO_AXES = (
    "The file does not say how the patient lay, so the picture is taken for upright: right ventricle on the left, anterior wall "
    "up. If it is turned or mirrored, the segments are wrong: check the bullseye against the image, or set the insertion points."
)


def _checked(
    scar: np.ndarray, no_reflow: np.ndarray | None, geometry: Geometry, ventricle: Ventricle | None, voxels: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    no_reflow = np.zeros_like(scar) if no_reflow is None else no_reflow
    check_mask(scar, "scar mask", geometry)
    check_mask(no_reflow, "no-reflow mask", geometry)
    for array, name in ((no_reflow, "no-reflow mask"), (voxels, "image")):
        if array is not None and array.shape != scar.shape:
            raise StudyError(f"The {name} has the shape {array.shape}, the scar mask {scar.shape}.")
    if ventricle is not None and ventricle.myocardium.shape != scar.shape:
        raise StudyError(f"The ventricle has the shape {ventricle.myocardium.shape}, the scar mask {scar.shape}.")
    return scar, no_reflow


def _checked_levels(levels: Mapping[int, Level], ventricle: Ventricle) -> dict[int, Level]:
    count = len(ventricle.myocardium)
    for k, level in levels.items():
        if not 0 <= k < count or level not in LEVELS:
            raise StudyError(f"Slice {k} cannot be {level!r}: slices are 0 to {count - 1}, levels {', '.join(LEVELS)}.")
    return {k: level for k, level in sorted(levels.items()) if k in ventricle.walls}


def _counts(mask: np.ndarray) -> np.ndarray:
    return np.count_nonzero(mask, axis=(1, 2))


def _slices_of(indices: Sequence[int]) -> str:
    """The beginning of a sentence on what counts."""
    return f"Slice {indices[0]} counts" if len(indices) == 1 else f"Slices {', '.join(map(str, indices))} count"


def _slices(
    amounts: dict[str, np.ndarray],
    geometry: Geometry,
    ventricle: Ventricle | None,
    found: Chords | None,
    levels: Mapping[int, Level],
) -> tuple[SliceMeasurement, ...]:
    count = len(amounts["scar"])
    extents_mm = geometry.slice_extents_mm(count)
    kinds: dict[int, str] = {}
    if ventricle is not None:
        kinds = dict.fromkeys(range(count), "none")
        for kind, members in (("closed", ventricle.closed), ("open", ventricle.open_), ("solid", ventricle.solid)):
            kinds |= dict.fromkeys(members, kind)
    depths: dict[int, float] = {}
    if found is not None:
        there = ~np.isnan(found.transmurality)
        depths = {k: float(100 * found.transmurality[n][there[n]].mean()) for n, k in enumerate(found.slices) if there[n].any()}
    voxel_ml = voxel_volumes_ml(geometry, count)
    measured = []
    for k in range(count):
        volume_ml = None if voxel_ml is None else float(voxel_ml[k])
        of = {name: Extent.of_pixels(int(counts[k]), volume_ml) for name, counts in amounts.items()}
        measured.append(
            SliceMeasurement(
                slice=k,
                extent_mm=None if extents_mm is None else float(extents_mm[k]),
                scar=of["scar"],
                scar_in_wall=of.get("scar_in_wall"),
                no_reflow=of["no_reflow"],
                myocardium=of.get("myocardium"),
                cavity=of.get("cavity"),
                percent_of_myocardium=of["scar_in_wall"].percent_of(of["myocardium"]) if "myocardium" in of else None,
                transmurality_percent=depths.get(k),
                level=levels.get(k),
                wall=kinds.get(k, ""),
            )
        )
    return tuple(measured)
