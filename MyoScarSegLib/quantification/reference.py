"""The field's intensity thresholds for scar in a known wall: n-SD, full width at half maximum, Otsu, Gaussian mixture.

They need what a segmenter of scar does not: the contours of the left ventricle. Intensities are raw values, as in
``Study.voxels``; half of a maximum means something only where zero means no signal, so FWHM also comes measured from remote
myocardium, which does not hang on where an image's zero lies (PSIR, rescaled pictures).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.quantification.burden import Extent, voxel_volumes_ml
from MyoScarSegLib.quantification.mixture import fit_mixture
from MyoScarSegLib.quantification.overlap import dice
from MyoScarSegLib.quantification.remote import Remote, measure_remote, remote_myocardium
from MyoScarSegLib.study.study import Geometry
from MyoScarSegLib.utils.windows import window_of

SOURCES = {
    "2 SD": "Bondarenko et al., J Cardiovasc Magn Reson 2005, 7, 481",
    "3 SD": "Bondarenko et al., J Cardiovasc Magn Reson 2005, 7, 481",
    "4 SD": "Bondarenko et al., J Cardiovasc Magn Reson 2005, 7, 481",
    "5 SD": "Bondarenko et al., J Cardiovasc Magn Reson 2005, 7, 481",
    "6 SD": "Harrigan et al., Radiology 2011, 258, 128",
    "FWHM": "Amado et al., J Am Coll Cardiol 2004, 44, 2383",
    "FWHM from remote": "Engblom et al., J Cardiovasc Magn Reson 2016, table 1",
    "Otsu": "Otsu, IEEE Trans Syst Man Cybern 1979, 9, 62",
    "Mixture": "two Gaussian curves by EM, Dempster et al., J R Stat Soc B 1977, 39, 1",
}
METHODS = tuple(SOURCES)

SPECKS_PX = 10
"""Smaller parts of a slice (8 neighbors) are noise of a threshold; the field's usual number."""
SCAR_SD = 5.0
"""There is scar if the wall's maximum is more standard deviations than this above remote myocardium."""
_MAXIMUM_PERCENTILE = 99.5
_OTSU_BINS = 128


@dataclass(frozen=True, eq=False)
class ReferenceMask:
    """What a method finds, or why it finds nothing out.

    Attributes:
        method: one of :data:`METHODS`.
        mask: bool ``[k, j, i]``, the wall's pixels at or above their slice's threshold, without specks and with
            ``no_reflow``; None if the method has no answer.
        thresholds: ``[k]`` intensities; NaN where the slice has no wall or the method no answer.
        no_reflow: bool ``[k, j, i]``, the part of ``mask`` below the threshold that counts as scar; None without an answer.
        remote: remote myocardium with its mean, standard deviation and size.
        why: a sentence why there is no answer; empty if there is one.
        warnings: sentences on the answer.
    """

    method: str
    mask: np.ndarray | None
    thresholds: np.ndarray
    no_reflow: np.ndarray | None
    remote: Remote
    why: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReferenceRow:
    """A method's numbers. All but the words are None without an answer, and what needs spacing without it.

    Attributes:
        method, why, warnings: as of :class:`ReferenceMask`; source: who published it.
        pixels, volume_ml, mass_g: of its mask.
        percent_of_myocardium: its volume over the wall's.
        no_reflow_g: the part of the mass that is no-reflow.
        dice: with the model's mask; mass_difference_g: its mass less the model's. None without a model's mask.
        threshold_low, threshold_high: the slices' least and greatest threshold.
    """

    method: str
    source: str
    why: str
    warnings: tuple[str, ...]
    pixels: int | None = None
    volume_ml: float | None = None
    mass_g: float | None = None
    percent_of_myocardium: float | None = None
    no_reflow_g: float | None = None
    dice: float | None = None
    mass_difference_g: float | None = None
    threshold_low: float | None = None
    threshold_high: float | None = None


def reference_masks(
    voxels: np.ndarray,
    wall: np.ndarray,
    cavity: np.ndarray | None = None,
    remote: np.ndarray | None = None,
    *,
    scar: np.ndarray | None = None,
    no_reflow: np.ndarray | None = None,
    psir: bool = False,
    specks_px: int = SPECKS_PX,
    fill_no_reflow: bool = True,
) -> dict[str, ReferenceMask]:
    """Scar by each of :data:`METHODS`.

    - *n SD*: mean and n standard deviations of remote myocardium, of each slice its own.
    - *FWHM*: half of the brightest wall of the study. The study's maximum and not each slice's, or slices without scar would be
      half scar. No answer in PSIR, whose values have a sign, nor where that is no more than remote myocardium, as in rescaled
      pictures.
    - *FWHM from remote*: half way from the mean of remote myocardium, of each slice its own, to that maximum.
    - *Otsu*: the threshold that parts the study's wall into two classes best.
    - *Mixture*: where two Gaussian curves fitted to the study's wall cross (:mod:`~MyoScarSegLib.quantification.mixture`).

    The maximum is the 99.5th percentile of the wall, so that one noisy pixel does not set it. FWHM finds half of something in
    every wall; so it has an answer only if ``scar`` says that there is scar, or the maximum lies more than :data:`SCAR_SD`
    standard deviations above remote myocardium.

    No-reflow is dark, and readers add it to every threshold by hand. Here it is ``no_reflow``, or without that the wall's pixels
    below the threshold that scar encloses, alone or with the cavity.

    Args:
        voxels: ``[k, j, i]``, raw.
        wall: bool ``[k, j, i]``, left-ventricular myocardium with whatever scar there is.
        cavity: bool ``[k, j, i]``, for the center of the proposed region and for enclosed no-reflow; None if unknown.
        remote: bool ``[k, j, i]``, remote myocardium as a reader drew it, on one slice or more; None for
            :func:`~MyoScarSegLib.quantification.remote.remote_myocardium`.
        scar: bool ``[k, j, i]``, scar as a reader or a model sees it, of which only whether there is any counts.
        no_reflow: bool ``[k, j, i]``, as a reader or a model sees it; left out of the mixture.
        psir: whether the picture is phase sensitive.
        specks_px: 2D parts (8 neighbors) under this many pixels are dropped; 0 for none.
        fill_no_reflow: whether no-reflow counts as scar.

    Raises:
        StudyError: the arrays' shapes differ, or there is no wall.
    """
    given = ((wall, "wall"), (cavity, "cavity"), (remote, "remote myocardium"), (scar, "scar"), (no_reflow, "no-reflow"))
    for array, name in given:
        if array is not None and array.shape != voxels.shape:
            raise StudyError(f"The {name} has the shape {array.shape}, the image {voxels.shape}.")
    if not wall.any():
        raise StudyError("There is no left-ventricular wall, in which alone thresholds find scar.")
    measured = measure_remote(voxels, wall, remote_myocardium(voxels, wall, cavity) if remote is None else remote)
    said = scar is not None and bool((scar & wall).any())
    thresholds = _thresholds(voxels, wall, measured, said, no_reflow, psir)
    walled = wall.any(axis=(1, 2))
    window = (slice(None), *window_of(np.any(wall, axis=0), margin=1))
    found = {}
    for method, (value, why, warnings) in thresholds.items():
        if why:
            nothing = np.full(len(voxels), np.nan)
            found[method] = ReferenceMask(method, None, nothing, None, measured, f"{method} has no answer: {why}.")
            continue
        mask, dark = np.zeros(wall.shape, dtype=bool), np.zeros(wall.shape, dtype=bool)
        part = _without_specks(wall[window] & (voxels[window] >= value[:, None, None]), specks_px)
        if fill_no_reflow:
            inside = None if cavity is None else cavity[window]
            known = None if no_reflow is None else no_reflow[window]
            dark[window] = (_enclosed(part, inside) if known is None else known) & wall[window] & ~part
        mask[window] = part
        found[method] = ReferenceMask(method, mask | dark, np.where(walled, value, np.nan), dark, measured, warnings=warnings)
    return found


def reference_table(
    found: dict[str, ReferenceMask], geometry: Geometry, wall: np.ndarray, model: np.ndarray | None = None
) -> tuple[ReferenceRow, ...]:
    """Each method's numbers, in the order of ``found``.

    Args:
        found: of :func:`reference_masks`.
        wall: bool ``[k, j, i]``, as it was given there.
        model: bool ``[k, j, i]``, the mask to compare with; None for no comparison.
    """
    voxel_ml = voxel_volumes_ml(geometry, len(wall))
    of_wall, of_model = Extent.of_mask(wall, voxel_ml), None if model is None else Extent.of_mask(model, voxel_ml)
    rows = []
    for method, one in found.items():
        row = ReferenceRow(method, SOURCES[method], one.why, one.warnings)
        if one.mask is not None and one.no_reflow is not None:
            scar = Extent.of_mask(one.mask, voxel_ml)
            masses = scar.mass_g, None if of_model is None else of_model.mass_g
            row = replace(
                row,
                pixels=scar.pixels,
                volume_ml=scar.volume_ml,
                mass_g=scar.mass_g,
                percent_of_myocardium=scar.percent_of(of_wall),
                no_reflow_g=Extent.of_mask(one.no_reflow, voxel_ml).mass_g,
                dice=None if model is None else dice(one.mask, model),
                mass_difference_g=None if masses[0] is None or masses[1] is None else masses[0] - masses[1],
                threshold_low=float(np.nanmin(one.thresholds)),
                threshold_high=float(np.nanmax(one.thresholds)),
            )
        rows.append(row)
    return tuple(rows)


def otsu_threshold(values: np.ndarray) -> float:
    """Otsu's threshold of ``values`` (of any shape); their one value if they are all the same. StudyError if there are none."""
    import SimpleITK as sitk

    if values.size == 0:
        raise StudyError("Otsu's threshold needs at least one value.")
    if values.min() == values.max():
        return float(values.flat[0])
    find = sitk.OtsuThresholdImageFilter()
    find.SetNumberOfHistogramBins(_OTSU_BINS)
    find.Execute(sitk.GetImageFromArray(np.ascontiguousarray(values, dtype=np.float64).reshape(1, -1)))
    return float(find.GetThreshold())


def _thresholds(
    voxels: np.ndarray, wall: np.ndarray, remote: Remote, said: bool, no_reflow: np.ndarray | None, psir: bool
) -> dict[str, tuple[np.ndarray, str, tuple[str, ...]]]:
    """Of each method the thresholds ``[k]``, why there are none (empty if there are), and warnings on them."""
    values = voxels[wall].astype(np.float64)
    found: dict[str, tuple[np.ndarray, str, tuple[str, ...]]] = {}
    for n in (2, 3, 4, 5, 6):
        found[f"{n} SD"] = remote.mean + n * remote.sd, remote.missing, remote.warnings
    maximum = float(np.percentile(values, _MAXIMUM_PERCENTILE))
    no_scar = ""
    if not said:
        if remote.missing:
            no_scar = f"nothing says that there is scar, and {remote.missing}"
        elif maximum <= remote.study_mean + SCAR_SD * remote.study_sd:
            above = (maximum - remote.study_mean) / remote.study_sd
            no_scar = (
                f"there is no scar: the brightest wall is {above:.1f} SD above remote myocardium, and {SCAR_SD:g} are needed"
            )
    no_zero = ""
    if psir:
        no_zero = "in a PSIR picture half of the maximum is not half of the signal; FWHM from remote is made for it"
    elif maximum <= 0:
        no_zero = "the wall has no signal"
    elif not remote.missing and maximum / 2 <= remote.study_mean:
        no_zero = (
            "half of the maximum is no more than remote myocardium: the scar is hardly brighter, or this picture's zero is not "
            "where there is no signal"
        )
    found["FWHM"] = np.full(len(voxels), maximum / 2), no_scar or no_zero, ()
    found["FWHM from remote"] = (remote.mean + maximum) / 2, no_scar or remote.missing, remote.warnings
    even = "the wall has one value throughout" if values.min() == values.max() else ""
    otsu = otsu_threshold(values)
    found["Otsu"] = np.full(len(voxels), otsu), even, ()
    without = values if no_reflow is None else voxels[wall & ~no_reflow].astype(np.float64)
    crossing, refusal = np.nan, even
    if not refusal:
        try:
            mixture = fit_mixture(without, otsu)
            crossing, refusal = mixture.crossing or np.nan, mixture.refusal
        except StudyError as error:
            refusal = str(error).rstrip(".")
    found["Mixture"] = np.full(len(voxels), crossing), refusal, ()
    return found


def _without_specks(mask: np.ndarray, least_px: int) -> np.ndarray:
    """``mask`` without its 2D parts of fewer pixels."""
    from scipy import ndimage

    if least_px <= 1 or not mask.any():
        return mask
    in_plane = np.zeros((3, 3, 3))
    in_plane[1] = 1
    parts, _ = ndimage.label(mask, structure=in_plane)
    large = np.bincount(parts.ravel()) >= least_px
    large[0] = False
    return np.asarray(large[parts])


def _enclosed(scar: np.ndarray, cavity: np.ndarray | None) -> np.ndarray:
    """What scar, alone or with the cavity, encloses in each slice, diagonal neighbors closing the border."""
    from scipy import ndimage

    inside = np.zeros_like(scar)
    for k in np.flatnonzero(scar.any(axis=(1, 2))):
        border = scar[k] if cavity is None else scar[k] | cavity[k]
        inside[k] = ndimage.binary_fill_holes(border) & ~border
    return inside
