"""All that is measured on one case: its slices, its lesions and the whole of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.lesions import lesions, lesions_of_stack
from MyoScarSegLib.quantification.burden import MM3_PER_ML, MYOCARDIAL_DENSITY_G_PER_ML
from MyoScarSegLib.quantification.overlap import dice, surface_distances
from MyoScarSegLib.study.study import Geometry
from MyoScarSegLib.training.evaluation.statistics import mean_known
from MyoScarSegLib.utils.windows import window_of

THRESHOLDS = tuple(round(0.05 * n, 2) for n in range(1, 20))
"""Probabilities at which the Dice-threshold curve is measured."""
POSITIONS = ("basal", "mid", "apical")
"""Thirds of the slices that hold myocardium or scar."""
LEAST_OVERLAP = 0.1
"""A lesion counts as found (or a predicted one as right) if at least this share of its pixels lies in the other mask."""


class LesionCounts(NamedTuple):
    """Lesions of two masks that meet; see :data:`LEAST_OVERLAP`.

    Attributes:
        true: lesions of the reference; found: of these, those that the predicted mask meets.
        predicted: lesions of the predicted mask; right: of these, those that the reference meets.
    """

    true: int
    found: int
    predicted: int
    right: int


@dataclass(frozen=True)
class Grid:
    """The sizes that turn pixels into millimeters and grams.

    Attributes:
        pixel_spacing_mm: ``(row, column)``.
        pixel_area_mm2: of one pixel.
        extents_mm: ``[k]``, the length along the stack's normal that each slice stands for.
        assumed: the data has lost its spacing, and this is a convention.
    """

    pixel_spacing_mm: tuple[float, float]
    pixel_area_mm2: float
    extents_mm: np.ndarray
    assumed: bool = False

    @classmethod
    def of(cls, geometry: Geometry, slices: int) -> Grid | None:
        """Of a study's geometry; None if it carries no spacing."""
        area, extents, spacing = geometry.pixel_area_mm2, geometry.slice_extents_mm(slices), geometry.pixel_spacing_mm
        if area is None or extents is None or spacing is None:
            return None
        return cls((float(spacing[0]), float(spacing[1])), area, np.asarray(extents, dtype=np.float64))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """``(slice, row, column)``, for distances in 3D; of an uneven stack the median distance between slices."""
        return float(np.median(self.extents_mm)), *self.pixel_spacing_mm

    def volume_ml(self, pixels: np.ndarray) -> float:
        """Of as many ``pixels`` in each slice, ``[k]``; as :func:`~MyoScarSegLib.quantification.burden.scar_burden` has it."""
        return float(np.dot(pixels, self.extents_mm)) * self.pixel_area_mm2 / MM3_PER_ML


@dataclass(frozen=True, kw_only=True)
class SliceScore:
    """One slice. What needs spacing is None without it; distances also where either mask is empty.

    Attributes:
        slice: number of the slice in its data set.
        truth_px, predicted_px: scar pixels.
        dice: 2D; 1 if both masks are empty.
        hd95_mm, assd_mm: 2D.
        truth_area_mm2, predicted_area_mm2: scar areas.
        truth_mass_g, predicted_mass_g: scar masses.
        position: one of :data:`POSITIONS`; None beyond the ventricle, and where the wall was not drawn.
    """

    slice: int
    truth_px: int
    predicted_px: int
    dice: float
    hd95_mm: float | None = None
    assd_mm: float | None = None
    truth_area_mm2: float | None = None
    predicted_area_mm2: float | None = None
    truth_mass_g: float | None = None
    predicted_mass_g: float | None = None
    position: str | None = None


@dataclass(frozen=True, kw_only=True)
class CaseScore:
    """One case. What needs spacing is None without it.

    Attributes:
        case: its name; patient: whose it is (patients are what intervals are drawn from).
        slices: number of slices; scar_slices: those with scar in the reference.
        truth_px, predicted_px: scar pixels.
        dice_3d: over all voxels; 1 if both masks are empty.
        dice_2d: mean over the slices with scar in the reference; None if there are none.
        hd95_3d_mm, assd_3d_mm: between the borders in 3D; None where either mask is empty.
        hd95_2d_mm, assd_2d_mm: mean over the slices that have scar in both masks; None if none has.
        truth_volume_ml, predicted_volume_ml, truth_mass_g, predicted_mass_g: of the scar.
        wall_mass_g: of the reference's left-ventricular myocardium, scar included; None if it is not known.
        truth_share, predicted_share: scar as a share of that myocardium, 0 to 1; the predicted one may exceed 1.
        lesions_2d, lesions_3d: counted slice by slice, and through the stack.
        scar_free_slices: slices without scar in the reference; false_slices: of these, with predicted scar.
        false_area_mm2, false_mass_g: predicted scar on the scar-free slices.
        spacing_assumed: millimeters and grams rest on a convention, because the data has lost its spacing.
        by_slice: each slice.
        curve: int ``[thresholds, 2]``: overlap and predicted pixels at each of :data:`THRESHOLDS`; None without probabilities.
        myocardium_dice, cavity_dice: of a model's map of tissues, the myocardium with its scar; over all voxels, None without.
        volume_error_ml, mass_error_g, share_error: predicted less true.
    """

    case: str
    patient: str
    slices: int
    scar_slices: int
    truth_px: int
    predicted_px: int
    dice_3d: float
    dice_2d: float | None
    hd95_3d_mm: float | None = None
    assd_3d_mm: float | None = None
    hd95_2d_mm: float | None
    assd_2d_mm: float | None
    truth_volume_ml: float | None = None
    predicted_volume_ml: float | None = None
    truth_mass_g: float | None = None
    predicted_mass_g: float | None = None
    wall_mass_g: float | None = None
    truth_share: float | None = None
    predicted_share: float | None = None
    lesions_2d: LesionCounts
    lesions_3d: LesionCounts
    scar_free_slices: int
    false_slices: int
    false_area_mm2: float | None = None
    false_mass_g: float | None = None
    spacing_assumed: bool = False
    by_slice: tuple[SliceScore, ...] = field(repr=False)
    curve: np.ndarray | None = field(default=None, repr=False, compare=False)
    myocardium_dice: float | None = None
    cavity_dice: float | None = None
    volume_error_ml: float | None = None
    mass_error_g: float | None = None
    share_error: float | None = None

    @property
    def has_scar(self) -> bool:
        """Whether the reference has scar."""
        return self.truth_px > 0

    def row(self) -> dict[str, Any]:
        """Its numbers as one flat row: what the CSV table and the JSON file hold."""
        row: dict[str, Any] = {}
        for name, value in self.__dict__.items():
            if isinstance(value, LesionCounts):
                row |= {f"{name}_{key}": count for key, count in value._asdict().items()}
            elif name not in ("by_slice", "curve"):
                row[name] = value
        return row


def score_case(
    predicted: np.ndarray,
    truth: np.ndarray,
    grid: Grid | None,
    *,
    case: str,
    patient: str | None = None,
    wall: np.ndarray | None = None,
    probability: np.ndarray | None = None,
    slice_numbers: tuple[int, ...] | None = None,
) -> CaseScore:
    """Compare two masks of one case, bool ``[k, j, i]``; of unknown sizes (no ``grid``) in pixels alone.

    Args:
        predicted, truth, grid, case: the masks, their sizes, the name.
        patient: whose it is; the case's own name if None.
        wall: bool, the reference's left-ventricular myocardium with its scar; None if unknown.
        probability: float, behind ``predicted``, for the Dice-threshold curve.
        slice_numbers: what the data set calls the slices; 0, 1, ... if None.
    """
    for other, name in ((predicted, "predicted mask"), (wall, "wall"), (probability, "probability map")):
        if other is not None and other.shape != truth.shape:
            raise StudyError(f"{case}: the {name} has the shape {other.shape} and the reference {truth.shape}.")
    numbers = slice_numbers or tuple(range(len(truth)))
    positions = _positions(wall, truth)
    slices = tuple(_score_slice(predicted[k], truth[k], grid, k, number, positions[k]) for k, number in enumerate(numbers))
    true_px, predicted_px = (np.count_nonzero(mask, axis=(1, 2)) for mask in (truth, predicted))
    free = true_px == 0
    # Without spacing the shares still mean something: slices stand for the same length then.
    parts = [float(true_px.sum()), float(predicted_px.sum())]
    whole: float | None = None
    wall_px = np.zeros(len(truth)) if wall is None else np.count_nonzero(wall | truth, axis=(1, 2))
    if wall is not None and wall_px.any():
        whole = float(wall_px.sum())
    sized: dict[str, Any] = {}
    if grid is not None:
        volumes = [grid.volume_ml(pixels) for pixels in (true_px, predicted_px, np.where(free, predicted_px, 0), wall_px)]
        *parts, false_g, wall_g = (volume * MYOCARDIAL_DENSITY_G_PER_ML for volume in volumes)
        whole = None if whole is None else wall_g
        sized = {
            **_distances(predicted, truth, grid.spacing_mm, "_3d_mm"),
            "truth_volume_ml": volumes[0],
            "predicted_volume_ml": volumes[1],
            "volume_error_ml": volumes[1] - volumes[0],
            "truth_mass_g": parts[0],
            "predicted_mass_g": parts[1],
            "mass_error_g": parts[1] - parts[0],
            "wall_mass_g": whole,
            "false_area_mm2": float(predicted_px[free].sum()) * grid.pixel_area_mm2,
            "false_mass_g": false_g,
            "spacing_assumed": grid.assumed,
        }
    shares = (None, None) if whole is None else (parts[0] / whole, parts[1] / whole)
    rows, columns = window_of((predicted | truth).any(axis=0))  # lesions are numbered faster there
    masks = predicted[:, rows, columns], truth[:, rows, columns]
    pixel_spacing = None if grid is None else grid.pixel_spacing_mm
    curve: np.ndarray | None = None
    if probability is not None:
        at_least = [(probability[truth] >= t, probability >= t) for t in THRESHOLDS]
        curve = np.array([[np.count_nonzero(mask) for mask in pair] for pair in at_least], dtype=np.int64)
    by_slice = [_counts(lesions, *pair, pixel_spacing) for pair in zip(*masks, strict=True)]
    return CaseScore(
        case=case,
        patient=patient or case,
        slices=len(truth),
        scar_slices=int(np.count_nonzero(true_px)),
        truth_px=int(true_px.sum()),
        predicted_px=int(predicted_px.sum()),
        dice_3d=dice(predicted, truth),
        dice_2d=mean_known(s.dice for s in slices if s.truth_px > 0),
        hd95_2d_mm=mean_known(s.hd95_mm for s in slices),
        assd_2d_mm=mean_known(s.assd_mm for s in slices),
        truth_share=shares[0],
        predicted_share=shares[1],
        share_error=None if shares[0] is None or shares[1] is None else shares[1] - shares[0],
        lesions_2d=LesionCounts(*map(sum, zip(*by_slice, strict=True))),
        lesions_3d=_counts(lesions_of_stack, *masks, pixel_spacing),
        scar_free_slices=int(free.sum()),
        false_slices=int(np.count_nonzero(free & (predicted_px > 0))),
        by_slice=slices,
        curve=curve,
        **sized,
    )


def _positions(wall: np.ndarray | None, truth: np.ndarray) -> list[str | None]:
    """Of each slice its position. The base is the end with more blood within the wall: so it is in all of EMIDEC."""
    from scipy import ndimage

    found: list[str | None] = [None] * len(truth)
    if wall is None or not wall.any():
        return found
    held = np.flatnonzero((wall | truth).any(axis=(1, 2)))
    third = len(held) // 3
    rows, columns = window_of(np.asarray(wall.any(axis=0)))
    cropped = (wall | truth)[:, rows, columns]
    blood = [np.count_nonzero(ndimage.binary_fill_holes(cropped[k])) - np.count_nonzero(cropped[k]) for k in held]
    first, last = sum(blood[:third]), sum(blood[len(held) - third :])
    if first == last:
        return found
    for position, of in zip(POSITIONS, np.array_split(held if first > last else held[::-1], 3), strict=True):
        for k in of:
            found[k] = position
    return found


def _score_slice(
    predicted: np.ndarray, truth: np.ndarray, grid: Grid | None, k: int, number: int, position: str | None
) -> SliceScore:
    true_px, predicted_px = int(np.count_nonzero(truth)), int(np.count_nonzero(predicted))
    sized: dict[str, Any] = {}
    if grid is not None:
        sized = _distances(predicted, truth, grid.pixel_spacing_mm, "_mm")
        for name, pixels in (("truth", true_px), ("predicted", predicted_px)):
            sized[f"{name}_area_mm2"] = area = pixels * grid.pixel_area_mm2
            sized[f"{name}_mass_g"] = float(area * grid.extents_mm[k] / MM3_PER_ML) * MYOCARDIAL_DENSITY_G_PER_ML
    found = dice(predicted, truth)
    return SliceScore(slice=number, truth_px=true_px, predicted_px=predicted_px, dice=found, position=position, **sized)


def _distances(predicted: np.ndarray, truth: np.ndarray, spacing_mm: tuple[float, ...], ending: str) -> dict[str, float]:
    found = surface_distances(predicted, truth, spacing_mm)
    return {} if found is None else {f"hd95{ending}": found.hd95_mm, f"assd{ending}": found.assd_mm}


def _counts(
    number: Callable[..., np.ndarray], predicted: np.ndarray, truth: np.ndarray, pixel_spacing_mm: tuple[float, float] | None
) -> LesionCounts:
    """Of two masks whose lesions are numbered by :func:`~MyoScarSegLib.lesions.lesions` or ``lesions_of_stack``."""
    counts = []
    for mask, other in ((truth, predicted), (predicted, truth)):
        numbers = number(mask, pixel_spacing_mm)
        sizes = np.bincount(numbers.ravel())[1:]
        shared = np.bincount(numbers[other], minlength=len(sizes) + 1)[1:]
        counts += [len(sizes), int(np.count_nonzero(shared >= LEAST_OVERLAP * sizes))]
    return LesionCounts(*counts)
