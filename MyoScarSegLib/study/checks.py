"""What every study's voxels must satisfy, whatever file they came from."""

from __future__ import annotations

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.study import Reconstruction

#: A picture of tissue has hundreds of grey levels; a label map a handful.
_MOST_LABELS = 8

LIKE_LABELS = "The image has only a few whole-number values, as a label map has; is this really the LGE image?"
"""The note on a study that :func:`looks_like_labels`."""

#: Noise and interpolation leave a few values below zero in magnitude images.
_NEGATIVE_SHARE_OF_PSIR = 0.001


#: What a short-axis stack of a heart can have, in mm: side of a slice, pixel, distance between slices. The limits lie well
#: beyond any protocol, cropping or interpolation; they tell units that were mistaken (cm or m for mm).
_FIELD_MM, _PIXEL_MM, _DISTANCE_MM = (40.0, 1000.0), (0.25, 15.0), (0.2, 50.0)

#: Smaller pictures than this are parts of one, whose size says nothing of the unit.
_WHOLE_PICTURE_PX = 48


def check_intensities(case: str, array: np.ndarray, bad_slices: dict[int, str]) -> tuple[np.ndarray, dict[int, str], list[str]]:
    """Finite float32 voxels ``[k, j, i]``, the unusable slices, which become zero, with the reason, and notes.

    Args:
        case: for messages.
        array: ``[k, j, i]`` of a real type.
        bad_slices: slices known to be unusable already; those that hold NaN or infinite values are added.

    Raises:
        StudyError: the values are complex, no slice is usable, or the whole image is constant.
    """
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating) or array.dtype == np.bool_):
        raise StudyError(
            f"{case}: the voxels are of type {array.dtype}; an LGE image has real numbers. Export the magnitude or the PSIR."
        )
    with np.errstate(over="ignore"):
        voxels = np.array(array, dtype=np.float32, order="C")
    bad = dict(bad_slices)
    for index, image in enumerate(voxels):
        count = int((~np.isfinite(image)).sum())
        if count and index not in bad:
            bad[index] = f"{count} of its {voxels[index].size} pixels are NaN or infinite"
    for index in bad:
        voxels[index] = 0
    good = [index for index in range(len(voxels)) if index not in bad]
    if not good:
        reasons = "; ".join(sorted(set(bad.values())))
        none = f"none of its {len(voxels)} slices can" if len(voxels) > 1 else "its only slice cannot"
        raise StudyError(f"{case}: {none} be used: {reasons}.")
    usable = voxels[good]
    if usable.min() == usable.max():
        raise StudyError(f"{case}: every pixel has the same value ({usable.flat[0]:g}); this is no image. Check the export.")
    notes = []
    if bad:
        notes.append(f"{len(bad)} of {len(voxels)} slices could not be used ({_list(sorted(bad))}); they count as free of scar.")
    constant = [index for index in good if voxels[index].min() == voxels[index].max()]
    if constant:
        notes.append(f"Slice {_list(constant)} has the same value everywhere: nothing can be found there.")
    if looks_like_labels(usable):
        notes.append(LIKE_LABELS)
    return voxels, dict(sorted(bad.items())), notes


def implausible_size(shape: tuple[int, ...], pixel_mm: tuple[float, float], distance_mm: float) -> str:
    """Why a stack of this size cannot be one of a heart, as the rest of a sentence; empty if it can.

    Args:
        shape: ``(slices, rows, columns)``.
        pixel_mm: ``(row, column)`` spacing.
        distance_mm: between slices.
    """
    rows_mm, columns_mm = (count * mm for count, mm in zip(shape[1:], pixel_mm, strict=True))
    side_mm = max(rows_mm, columns_mm)
    if side_mm > _FIELD_MM[1] or (side_mm < _FIELD_MM[0] and max(shape[1:]) >= _WHOLE_PICTURE_PX):
        return f"its field of view would be {columns_mm:.3g} x {rows_mm:.3g} mm"
    if not all(_PIXEL_MM[0] <= mm <= _PIXEL_MM[1] for mm in pixel_mm):
        return f"its pixels would be {pixel_mm[1]:.3g} x {pixel_mm[0]:.3g} mm"
    if shape[0] > 1 and not _DISTANCE_MM[0] <= distance_mm <= _DISTANCE_MM[1]:
        return f"its slices would be {distance_mm:.3g} mm apart"
    return ""


def recognize_reconstruction(voxels: np.ndarray) -> tuple[Reconstruction, str]:
    """PSIR or magnitude by the values alone, and why. Magnitude cannot be negative; PSIR's nulled tissue is.

    Args:
        voxels: ``[k, j, i]``, finite.
    """
    share = float((voxels < 0).mean())
    if share > _NEGATIVE_SHARE_OF_PSIR:
        return Reconstruction.PSIR, f"{100 * share:.1f}% of the voxels are negative"
    if share > 0:
        return Reconstruction.MAGNITUDE, f"hardly any voxel is negative ({100 * share:.2g}%)"
    return Reconstruction.MAGNITUDE, (
        "no voxel is negative and the file does not say; a PSIR stored with an offset would look the same and is processed alike"
    )


def looks_like_labels(voxels: np.ndarray) -> bool:
    """Whether an image has only a few whole-number values, as a label map has."""
    if voxels.max() - voxels.min() > 255 or not np.array_equal(voxels, np.round(voxels)):
        return False
    return len(np.unique(voxels)) <= _MOST_LABELS


def _list(indices: list[int]) -> str:
    return ", ".join(str(index) for index in indices)
