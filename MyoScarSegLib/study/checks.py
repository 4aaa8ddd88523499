"""What every study's voxels must satisfy, whatever file they came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.study import Reconstruction

#: A picture of tissue has hundreds of grey levels; a label map a handful.
_MOST_LABELS = 8

#: Noise and interpolation leave a few values below zero in magnitude images.
_NEGATIVE_SHARE_OF_PSIR = 0.001


@dataclass(frozen=True)
class CheckedVoxels:
    """Voxels fit for processing, and what was found on the way."""

    voxels: np.ndarray
    bad_slices: dict[int, str]
    notes: tuple[str, ...]


def check_intensities(case: str, array: np.ndarray, bad_slices: dict[int, str]) -> CheckedVoxels:
    """Finite float32 voxels ``[k, j, i]``; slices that hold NaN or infinite values become zero and are listed.

    Args:
        case: for messages.
        array: ``[k, j, i]`` of a real type.
        bad_slices: slices known to be unusable already.

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
        raise StudyError(f"{case}: none of its {len(voxels)} slices can be used: {reasons}.")
    usable = voxels[good]
    if usable.min() == usable.max():
        raise StudyError(f"{case}: every pixel has the same value ({usable.flat[0]:g}); this is no image. Check the export.")
    notes = []
    if bad:
        notes.append(f"{len(bad)} of {len(voxels)} slices could not be used ({_list(sorted(bad))}); they count as free of scar.")
    constant = [index for index in good if voxels[index].min() == voxels[index].max()]
    if constant:
        notes.append(f"Slice {_list(constant)} has the same value everywhere: nothing can be found there.")
    if _looks_like_labels(usable):
        notes.append("The image has only a few whole-number values, as a label map has; is this really the LGE image?")
    return CheckedVoxels(voxels, dict(sorted(bad.items())), tuple(notes))


def recognise_reconstruction(voxels: np.ndarray) -> tuple[Reconstruction, str]:
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


def _looks_like_labels(voxels: np.ndarray) -> bool:
    if voxels.max() - voxels.min() > 255 or not np.array_equal(voxels, np.round(voxels)):
        return False
    return len(np.unique(voxels)) <= _MOST_LABELS


def _list(indices: list[int]) -> str:
    return ", ".join(str(index) for index in indices)
