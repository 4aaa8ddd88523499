"""All numbers of scar burden of one study, from a scar mask and, for most of them, the left ventricle around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.aha import InsertionPoints, Level
from MyoScarSegLib.quantification.burden import Extent
from MyoScarSegLib.quantification.mass_interval import MassInterval, percent_interval
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.quantification.wall import Chords, Transmurality
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


@dataclass(frozen=True)
class Lesion:
    """One connected scar (:mod:`MyoScarSegLib.lesions`: gaps of up to 3 mm in a slice, lying over each other between slices).

    Attributes:
        number: from 1, the largest first.
        slices: that it lies in.
        extent: of it.
        percent_of_scar: its share of all scar's volume.
        diameter_mm: its largest distance across in any one slice, between pixel centers and one pixel more; None without spacing.
        length_mm: along the stack's normal, from its first slice to its last, each with its whole length; None without spacing.
        segments: the segments that it touches; empty if they are not known.
    """

    number: int
    slices: tuple[int, ...]
    extent: Extent
    percent_of_scar: float
    diameter_mm: float | None
    length_mm: float | None
    segments: tuple[int, ...]


@dataclass(frozen=True)
class SegmentMeasurement:
    """One of the 17 segments. All but the first two are None if no slice shows it: not imaged, which is not 0.

    Attributes:
        number: 1 to 17; name, artery and place on the bullseye are ``aha.SEGMENTS[number - 1]``.
        imaged: whether any slice shows it.
        myocardium: its wall.
        scar: scar and no-reflow in it.
        burden_percent: scar over wall, by mass.
        transmurality_percent: mean over its chords, those without scar too; None for segment 17, which has no chords.
        transmurality_scar_percent: mean over its chords with scar; None without scar.
        maximum_percent: its deepest chord.
        grade: 0 (none), 1 (to 25%), 2 (to 50%), 3 (to 75%), 4: classes of ``transmurality_percent``, of 17 of ``burden_percent``
            (Kim et al., N Engl J Med 2000, 343, 1445). ``GRADES`` has them in words.
    """

    number: int
    imaged: bool
    myocardium: Extent | None
    scar: Extent | None
    burden_percent: float | None
    transmurality_percent: float | None
    transmurality_scar_percent: float | None
    maximum_percent: float | None
    grade: int | None


GRADES = ("0%", "1-25%", "26-50%", "51-75%", "76-100%")
"""Classes of transmurality, in order."""


@dataclass(frozen=True)
class GreyZone:
    """Scar parted into its core and the grey zone around it.

    Attributes:
        definition: in words.
        core, grey: amounts; no-reflow is core.
        core_percent, grey_percent: of the myocardium.
        lower, upper: intensities between which a pixel is grey; ``lower`` is None where the scar's own border is it.
    """

    definition: str
    core: Extent
    grey: Extent
    core_percent: float | None
    grey_percent: float | None
    lower: float | None
    upper: float


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
        grey_zone: core and grey zone; needs the image.
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
    slice stands for its own length and nothing beyond it is guessed; gaps between slices are filled by their neighbors.

    Args:
        scar: bool ``[k, j, i]``, with or without the no-reflow.
        geometry: of the study.
        ventricle: wall and cavity; without it only scar's own amounts are measured.
        no_reflow: bool ``[k, j, i]``.
        insertions: ends of the septum; without them there are no segments.
        levels: slice index to level, as a reader set them; None takes :func:`~MyoScarSegLib.quantification.aha.levels_of`.
        voxels: ``[k, j, i]``, raw, for the grey zone.
        interval: of the scar's mass.

    Raises:
        StudyError: a mask is no boolean stack, or its shape or the geometry's number of slices is another.
    """
    scar, no_reflow = _checked(scar, no_reflow, geometry, ventricle, voxels)
    infarct = scar | no_reflow
    missing: dict[str, str] = {}
    amounts = {"scar": _counts(infarct), "no_reflow": _counts(no_reflow)}
    if ventricle is not None:
        amounts["scar_in_wall"] = _counts(infarct & ventricle.myocardium)
        amounts["myocardium"], amounts["cavity"] = _counts(ventricle.myocardium), _counts(ventricle.cavity)
    whole = {name: Extent.of_slices(counts, geometry) for name, counts in amounts.items()}
    outside = None
    if ventricle is not None:
        outside = Extent.of_slices(amounts["scar"] - amounts["scar_in_wall"], geometry)
    percent = _percent(whole.get("scar_in_wall"), whole.get("myocardium"))
    if percent is None:
        missing["percent_of_myocardium"] = (
            "There is no percentage: the left ventricular myocardium is not segmented. Propose or draw it first."
        )
    low, high = percent_interval(interval, outside, whole.get("myocardium"))
    slices = tuple(_slice(k, amounts, geometry, ventricle) for k in range(len(infarct)))
    return Measurements(
        scar=whole["scar"],
        no_reflow=whole["no_reflow"],
        slices=slices,
        scar_in_wall=whole.get("scar_in_wall"),
        scar_outside_wall=outside,
        myocardium=whole.get("myocardium"),
        cavity=whole.get("cavity"),
        percent_of_myocardium=percent,
        percent_low=low,
        percent_high=high,
        insertions=insertions,
        missing=missing,
    )


def _checked(
    scar: np.ndarray, no_reflow: np.ndarray | None, geometry: Geometry, ventricle: Ventricle | None, voxels: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    no_reflow = np.zeros_like(scar) if no_reflow is None else no_reflow
    for mask, name in ((scar, "scar mask"), (no_reflow, "no-reflow mask")):
        if mask.ndim != 3 or mask.dtype != np.bool_:
            raise StudyError(
                f"A {name} is a boolean array [slice, row, column]; this one has the shape {mask.shape} and the type "
                f"{mask.dtype}."
            )
    for array, name in ((no_reflow, "no-reflow mask"), (voxels, "image")):
        if array is not None and array.shape != scar.shape:
            raise StudyError(f"The {name} has the shape {array.shape}, the scar mask {scar.shape}.")
    if ventricle is not None and ventricle.myocardium.shape != scar.shape:
        raise StudyError(f"The ventricle has the shape {ventricle.myocardium.shape}, the scar mask {scar.shape}.")
    positions = geometry.slice_positions_mm
    if positions is not None and len(positions) != len(scar):
        raise StudyError(f"The mask has {len(scar)} slices, but its geometry gives positions for {len(positions)}.")
    return scar, no_reflow


def _counts(mask: np.ndarray) -> np.ndarray:
    return np.count_nonzero(mask, axis=(1, 2))


def _percent(part: Extent | None, whole: Extent | None) -> float | None:
    """By volume; by pixels where there is no spacing, and slices are taken for evenly spaced."""
    if part is None or whole is None or whole.pixels == 0:
        return None
    if part.volume_ml is None or whole.volume_ml is None:
        return 100 * part.pixels / whole.pixels
    return 100 * part.volume_ml / whole.volume_ml


def _slice(k: int, amounts: dict[str, np.ndarray], geometry: Geometry, ventricle: Ventricle | None) -> SliceMeasurement:
    slices = len(amounts["scar"])
    extents_mm = geometry.slice_extents_mm(slices)

    def amount(name: str) -> Extent | None:
        if name not in amounts:
            return None
        alone = np.zeros(slices, dtype=np.int64)
        alone[k] = amounts[name][k]
        return Extent.of_slices(alone, geometry)

    scar, no_reflow, wall, inside = amount("scar"), amount("no_reflow"), amount("myocardium"), amount("scar_in_wall")
    assert scar is not None and no_reflow is not None  # noqa: S101 (for the type checker)
    kind = ""
    if ventricle is not None:
        kinds = (("closed", ventricle.closed), ("open", ventricle.open_), ("solid", ventricle.solid))
        kind = next((name for name, members in kinds if k in members), "none")
    return SliceMeasurement(
        slice=k,
        extent_mm=None if extents_mm is None else float(extents_mm[k]),
        scar=scar,
        scar_in_wall=inside,
        no_reflow=no_reflow,
        myocardium=wall,
        cavity=amount("cavity"),
        percent_of_myocardium=_percent(inside, wall),
        transmurality_percent=None,
        level=None,
        wall=kind,
    )
