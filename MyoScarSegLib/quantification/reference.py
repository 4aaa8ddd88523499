"""The field's intensity thresholds for scar in a known wall: n-SD, full width at half maximum, Otsu.

They need what a segmenter of scar does not: the contours of the left ventricle. Intensities are raw values, as in
``Study.voxels``; half of a maximum means something only where zero means no signal, so FWHM also comes measured from remote
myocardium, which does not hang on where an image's zero lies (PSIR, rescaled pictures).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.errors import StudyError

SECTORS = 6
"""Parts into which a slice's wall is cut in search of remote myocardium."""

LEAST_REMOTE_PX = 8
_OTSU_BINS = 128

METHODS = ("2 SD", "3 SD", "4 SD", "5 SD", "6 SD", "FWHM", "FWHM from remote", "Otsu")


@dataclass(frozen=True)
class ReferenceMask:
    """What a threshold finds.

    Attributes:
        method: one of :data:`METHODS`.
        mask: bool ``[k, j, i]``, the wall's pixels at or above their slice's threshold.
        thresholds: ``[k]`` intensities; NaN where the slice has no wall.
    """

    method: str
    mask: np.ndarray
    thresholds: np.ndarray


def reference_masks(
    voxels: np.ndarray, wall: np.ndarray, cavity: np.ndarray | None = None, remote: np.ndarray | None = None
) -> dict[str, ReferenceMask]:
    """Scar by each of :data:`METHODS`.

    - *n SD*: mean and n standard deviations of remote myocardium, of each slice its own (Kim et al., Circulation 1999, 100,
      1992; Bondarenko et al., J Cardiovasc Magn Reson 2005, 7, 481).
    - *FWHM*: half of the brightest wall of the study (Amado et al., J Am Coll Cardiol 2004, 44, 2383, there of the infarct). The
      study's maximum and not each slice's, or slices without scar would be half scar.
    - *FWHM from remote*: half way from the mean of remote myocardium to that maximum.
    - *Otsu*: the threshold that parts the study's wall into two classes best (Otsu, IEEE Trans Syst Man Cybern 1979, 9, 62).

    The maximum is the 99.5th percentile of the wall, so that one noisy pixel does not set it. Where a slice has too little
    remote myocardium, the study's is used. None of them fills in no-reflow, which is dark.

    Args:
        voxels: ``[k, j, i]``, raw.
        wall: bool ``[k, j, i]``, left-ventricular myocardium with whatever scar there is.
        cavity: bool ``[k, j, i]``, for the center of the sectors; None takes the wall's own.
        remote: bool ``[k, j, i]``, remote myocardium as a reader drew it; None for :func:`remote_myocardium`.

    Raises:
        StudyError: the arrays' shapes differ, or there is no wall.
    """
    for array, name in ((wall, "wall"), (cavity, "cavity"), (remote, "remote myocardium")):
        if array is not None and array.shape != voxels.shape:
            raise StudyError(f"The {name} has the shape {array.shape}, the image {voxels.shape}.")
    if not wall.any():
        raise StudyError("There is no left-ventricular wall, in which alone thresholds find scar.")
    remote = (remote_myocardium(voxels, wall, cavity) if remote is None else remote) & wall
    if np.count_nonzero(remote) < LEAST_REMOTE_PX:
        raise StudyError(f"There are fewer than {LEAST_REMOTE_PX} pixels of remote myocardium.")
    mean, spread = _remote_statistics(voxels, remote)
    brightest = float(np.percentile(voxels[wall], 99.5))
    slices = len(voxels)
    thresholds = {f"{n} SD": mean + n * spread for n in (2, 3, 4, 5, 6)}
    thresholds["FWHM"] = np.full(slices, brightest / 2)
    thresholds["FWHM from remote"] = (mean + brightest) / 2
    thresholds["Otsu"] = np.full(slices, otsu_threshold(voxels[wall]))
    walled = wall.any(axis=(1, 2))
    return {
        method: ReferenceMask(method, wall & (voxels >= value[:, None, None]), np.where(walled, value, np.nan))
        for method, value in thresholds.items()
    }


def remote_myocardium(voxels: np.ndarray, wall: np.ndarray, cavity: np.ndarray | None = None) -> np.ndarray:
    """The wall far from scar, found without a reader: in each slice the darkest of six sectors around the cavity's center.

    A reader picks a region that looks normal; so does this. Being the darkest, its mean lies a little low in a slice without
    scar.

    Args:
        voxels: ``[k, j, i]``, raw.
        wall: bool ``[k, j, i]``.
        cavity: bool ``[k, j, i]``; None takes the wall's own center.

    Returns:
        bool ``[k, j, i]``; empty in slices whose sectors all have fewer than :data:`LEAST_REMOTE_PX` pixels.
    """
    remote = np.zeros(wall.shape, dtype=bool)
    for k in np.flatnonzero(wall.any(axis=(1, 2))):
        core = wall[k] if cavity is None or not cavity[k].any() else cavity[k]
        middle = np.argwhere(core).mean(axis=0)
        rows, columns = np.nonzero(wall[k])
        angle = np.arctan2(rows - middle[0], columns - middle[1])
        sector = np.floor((angle + np.pi) / (2 * np.pi) * SECTORS).astype(int) % SECTORS
        values = voxels[k][rows, columns]
        means = [
            values[sector == n].mean() if np.count_nonzero(sector == n) >= LEAST_REMOTE_PX else np.inf for n in range(SECTORS)
        ]
        if np.isfinite(min(means)):
            chosen = sector == int(np.argmin(means))
            remote[k][rows[chosen], columns[chosen]] = True
    return remote


def otsu_threshold(values: np.ndarray) -> float:
    """Otsu's threshold of ``values`` (of any shape); their one value if they are all the same.

    Raises:
        StudyError: there are none.
    """
    import SimpleITK as sitk

    if values.size == 0:
        raise StudyError("Otsu's threshold needs at least one value.")
    if values.min() == values.max():
        return float(values.flat[0])
    find = sitk.OtsuThresholdImageFilter()
    find.SetNumberOfHistogramBins(_OTSU_BINS)
    find.Execute(sitk.GetImageFromArray(np.ascontiguousarray(values, dtype=np.float64).reshape(1, -1)))
    return float(find.GetThreshold())


def _remote_statistics(voxels: np.ndarray, remote: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of remote myocardium, ``[k]`` each."""
    of_study = voxels[remote].astype(np.float64)
    mean = np.full(len(voxels), of_study.mean())
    spread = np.full(len(voxels), of_study.std(ddof=1))
    for k in range(len(voxels)):
        values = voxels[k][remote[k]].astype(np.float64)
        if values.size >= LEAST_REMOTE_PX:
            mean[k], spread[k] = values.mean(), values.std(ddof=1)
    return mean, spread
