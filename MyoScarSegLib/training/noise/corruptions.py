"""Label noise made on purpose: what readers do to masks, one kind at a time, at a strength that can be measured.

Three kinds, all acting on lesions (:func:`~MyoScarSegLib.lesions.lesions`) slice by slice:

- *boundary*: each lesion's border is displaced along its normal by a smooth random distance (standard deviation ``strength``
  in mm, correlated over :data:`SMOOTH_MM`), as a hand that is not quite sure.
- *size*: each lesion is grown or shrunk all around by ``strength`` mm, a coin deciding which, as readers with another idea of
  where scar ends.
- *missed*: each lesion is left out with the probability ``strength``.

The labels stay those of a heart. Scar that is taken away becomes normal myocardium. Scar that grows stays within the labelled
epicardium: it replaces normal myocardium, and blood where it bulges into the cavity (the commonest error of readers, as both are
bright), but neither the background nor the epicardial border; so the ventricle as a whole, around which the network's window
lies, is the same before and after. Where the wall is not labelled, scar is bounded by nothing and leaves background behind. New
scar is infarct; no-reflow remains what it is as long as it is scar.

The kinds do not mix: however strong, displacing and shrinking leave each lesion its core, so that only *missed* loses lesions.
All that is random is drawn anew for every stack and slice from the seed, and not from the strength: at a greater strength the
same border moves further, the same lesions shrink more, and the lesions missed before are missed again.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.lesions import lesions
from MyoScarSegLib.training.datasets.labelled import BACKGROUND, INFARCT, MYOCARDIUM, LabelledSlice
from MyoScarSegLib.training.evaluation.metrics import dice
from MyoScarSegLib.training.finetune.samples import USUAL_PIXEL_MM

BOUNDARY, SIZE, MISSED = "boundary", "size", "missed"
SMOOTH_MM = 5.0
"""Standard deviation of the Gaussian that smooths the border's displacement: some waves around a lesion, no fringe."""
_CORE = 0.9
"""Displacing and shrinking reach this share of the way to a lesion's innermost pixel, at most."""


@dataclass(frozen=True)
class Kind:
    """A kind of label noise.

    Attributes:
        title: for tables and pictures.
        unit: of the strength: ``"mm"``, or empty for a probability.
        strengths: those of the study, rising.
    """

    title: str
    unit: str
    strengths: tuple[float, ...]


KINDS = {
    BOUNDARY: Kind("Boundary jitter", "mm", (1.0, 2.0, 3.0)),
    SIZE: Kind("Grown or shrunk", "mm", (1.0, 2.0, 3.0)),
    MISSED: Kind("Missed lesions", "", (0.1, 0.25, 0.5)),
}
"""The kinds by name, with the study's strengths."""


@dataclass(frozen=True)
class Corruption:
    """One kind of label noise at one strength.

    Attributes:
        kind: one of :data:`KINDS`.
        strength: in mm (``boundary``: standard deviation; ``size``: distance), or the probability (``missed``); 0 spoils nothing.

    Raises:
        ModelError: there is no such kind, or the strength is negative, not finite, or no probability.
    """

    kind: str
    strength: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ModelError(f"There is no kind of label noise {self.kind!r}; choose from {', '.join(KINDS)}.")
        most = 1.0 if self.kind == MISSED else math.inf
        if not (math.isfinite(self.strength) and 0 <= self.strength <= most):
            allowed = "from 0 to 1" if self.kind == MISSED else "a finite number of millimetres from 0 up"
            raise ModelError(f"The strength of the label noise {self.kind!r} must be {allowed}, not {self.strength}.")

    @property
    def shown_strength(self) -> str:
        """For readers: ``2 mm`` or ``30%``."""
        return f"{self.strength:g} {KINDS[self.kind].unit}" if KINDS[self.kind].unit else f"{self.strength:.0%}"

    @property
    def key(self) -> str:
        """For files: ``boundary-2``."""
        return f"{self.kind}-{self.strength:g}"


def all_corruptions() -> list[Corruption]:
    """Every kind at each of the study's strengths."""
    return [Corruption(kind, strength) for kind, how in KINDS.items() for strength in how.strengths]


def corrupted(slices: Iterable[LabelledSlice], corruption: Corruption, seed: int) -> list[LabelledSlice]:
    """The same slices with spoilt labels; those without scar are handed through.

    Args:
        slices: with good labels. They are not changed.
        corruption: what is done to them.
        seed: of the noise, 0 or more. A slice's noise depends on it, on kind, stack and number of the slice, and on nothing
            else: not on which other slices there are.
    """
    return [_corrupted(one, corruption, seed) for one in slices]


def _corrupted(labelled: LabelledSlice, corruption: Corruption, seed: int) -> LabelledSlice:
    scar = labelled.scar
    if not scar.any() or corruption.strength == 0:
        return labelled
    stack = zlib.crc32(f"{labelled.patient}\n{labelled.stack}".encode())
    generator = np.random.default_rng([seed, list(KINDS).index(corruption.kind), stack, labelled.index])
    numbered = lesions(scar, smallest_px=1)
    if corruption.kind == MISSED:
        missed = np.flatnonzero(generator.random(numbered.max()) < corruption.strength) + 1
        wanted = scar & ~np.isin(numbered, missed)
    else:
        pixel_mm = labelled.pixel_spacing_mm or (USUAL_PIXEL_MM, USUAL_PIXEL_MM)
        wanted = _moved(numbered, corruption, pixel_mm, generator)
    return replace(labelled, labels=_relabelled(labelled, wanted))


def _relabelled(labelled: LabelledSlice, wanted: np.ndarray) -> np.ndarray:
    """Labels whose scar is ``wanted``, as far as it lies within the epicardium where that is known."""
    scar, labels = labelled.scar, labelled.labels.copy()
    if labelled.wall_known:
        wanted = wanted & labelled.left_ventricle
    labels[wanted & ~scar] = INFARCT
    labels[scar & ~wanted] = MYOCARDIUM if labelled.wall_known else BACKGROUND
    return labels


def _moved(
    numbered: np.ndarray, corruption: Corruption, pixel_mm: tuple[float, float], generator: np.random.Generator
) -> np.ndarray:
    """Bool ``[rows, columns]``: the lesions with their borders moved outwards by a distance that may vary from place to place."""
    from scipy import ndimage

    count = int(numbered.max())
    if corruption.kind == BOUNDARY:
        outwards = corruption.strength * _smooth_noise(generator, numbered.shape, pixel_mm)
    else:
        signs = np.where(generator.random(count) < 0.5, -1.0, 1.0) * corruption.strength
    # Beyond four deviations nothing is moved; distances are only measured where they matter.
    reach = 4 * corruption.strength
    margin = [math.ceil(reach / mm) + 2 for mm in pixel_mm]
    moved = np.zeros(numbered.shape, dtype=bool)
    for number, found in enumerate(ndimage.find_objects(numbered), start=1):
        window = tuple(
            slice(max(0, part.start - m), min(size, part.stop + m))
            for part, m, size in zip(found, margin, numbered.shape, strict=True)
        )
        depth = _depth(numbered[window] == number, pixel_mm)
        distance: Any = signs[number - 1] if corruption.kind == SIZE else outwards[window]
        # The border is where the depth is 0; a core always remains.
        moved[window] |= depth + np.clip(distance, -_CORE * depth.max(), reach) > 0
    return moved


def _depth(mask: np.ndarray, pixel_mm: tuple[float, float]) -> np.ndarray:
    """Distance in mm from each pixel's centre to the mask's border, positive within and negative outside."""
    from scipy import ndimage

    # From pixel centre to pixel centre; the border runs half way between the two.
    half = sum(pixel_mm) / 4
    within = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=pixel_mm)[1:-1, 1:-1]
    outside = ndimage.distance_transform_edt(~mask, sampling=pixel_mm)
    return np.where(mask, within - half, half - outside)


def _smooth_noise(generator: np.random.Generator, shape: tuple[int, ...], pixel_mm: tuple[float, float]) -> np.ndarray:
    """Gaussian noise of mean 0 and standard deviation 1, correlated over :data:`SMOOTH_MM`."""
    from scipy import ndimage

    width = [SMOOTH_MM / mm for mm in pixel_mm]
    noise = generator.standard_normal(shape)
    deviation = 1.0
    for sigma in width:
        impulse = np.zeros(2 * math.ceil(4 * sigma) + 3)
        impulse[len(impulse) // 2] = 1
        deviation *= math.sqrt(float((ndimage.gaussian_filter1d(impulse, sigma) ** 2).sum()))
    return np.asarray(ndimage.gaussian_filter(noise, width, mode="wrap")) / deviation


@dataclass(frozen=True)
class Agreement:
    """How far spoilt masks are from the true ones: the honest measure of a corruption's strength.

    Attributes:
        dice: of each patient with scar, over the whole stack; by patient.
        area_ratio: all spoilt scar over all true scar, in pixels: 1 if the noise is no bias.
        lesions_found: share of the true lesions of which any pixel is left.
        slices_emptied: share of the slices with scar that have none any more.
    """

    dice: dict[str, float]
    area_ratio: float
    lesions_found: float
    slices_emptied: float

    @property
    def dice_mean(self) -> float:
        """Mean over the patients."""
        return float(np.mean(list(self.dice.values())))

    def to_json(self) -> dict[str, Any]:
        """All of it, rounded."""
        return {
            "dice_mean": round(self.dice_mean, 4),
            "dice": {patient: round(value, 4) for patient, value in self.dice.items()},
            "area_ratio": round(self.area_ratio, 4),
            "lesions_found": round(self.lesions_found, 4),
            "slices_emptied": round(self.slices_emptied, 4),
        }


def agreement(true: Sequence[LabelledSlice], spoilt: Sequence[LabelledSlice]) -> Agreement:
    """Compare spoilt with true labels.

    Args:
        true: slices with good labels, some of them with scar.
        spoilt: the same slices in the same order.

    Raises:
        ValueError: the slices are not the same, or have no scar.
    """
    if [(one.stack, one.index) for one in true] != [(one.stack, one.index) for one in spoilt]:
        raise ValueError("true and spoilt labels are not of the same slices")
    masks: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    left = scars = found = total = emptied = with_scar = 0
    for good, bad in zip(true, spoilt, strict=True):
        of_patient = masks.setdefault(good.patient, ([], []))
        of_patient[0].append(good.scar.ravel())
        of_patient[1].append(bad.scar.ravel())
        left += int(bad.scar.sum())
        scars += int(good.scar.sum())
        if good.scar.any():
            numbered = lesions(good.scar, smallest_px=1)
            total += int(numbered.max())
            found += len(np.unique(numbered[(numbered > 0) & bad.scar]))
            with_scar += 1
            emptied += not bad.scar.any()
    if not scars:
        raise ValueError("the slices have no scar")
    joined = {patient: (np.concatenate(a), np.concatenate(b)) for patient, (a, b) in masks.items()}
    each = {patient: dice(b, a) for patient, (a, b) in joined.items() if a.any()}
    return Agreement(each, left / scars, found / total, emptied / with_scar)
