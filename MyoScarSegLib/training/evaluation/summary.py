"""Figures over patients, each with its interval, and the evaluation that they belong to: of masks, models or thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from MyoScarSegLib import __version__
from MyoScarSegLib.quantification.agreement import LIMITS_SD
from MyoScarSegLib.quantification.burden import MM3_PER_ML
from MyoScarSegLib.training.evaluation.scores import POSITIONS, THRESHOLDS, CaseScore
from MyoScarSegLib.training.evaluation.statistics import interval, ratio, rounded
from MyoScarSegLib.utils.words import counted

MOST_FALSE_SCAR_G = 1.0
"""A patient without scar counts as read rightly up to this mass."""


def summarize(cases: Sequence[CaseScore]) -> dict[str, Any]:
    """Figures over the patients of ``cases``, JSON-ready; None where there is nothing to measure.

    Keys ending in ``_interval_95`` are patient-bootstrap intervals of the key before them. Of a patient with several cases
    means are taken over the cases, sums over all. Agreement (Dice, distances, mass, share of the myocardium) is measured
    on patients whose reference has scar; false scar on the other patients, and on every patient's scar-free slices.
    Dice of a third of the ventricle (:data:`~.scores.POSITIONS`) is over all its slices, on patients with scar there. That of
    myocardium and cavity is over all patients. ``emidec`` holds that challenge's own figures: over *all* patients, Dice 1
    where both masks are empty, absolute volume difference, and that difference as a share of the reference's myocardium (here
    of scar with no-reflow).
    """
    patients = _by_patient(cases)
    scarred = {p: [c for c in of if c.has_scar] for p, of in patients.items() if any(c.has_scar for c in of)}
    normal = {p: of for p, of in patients.items() if p not in scarred}
    dices = _means(scarred, "dice_3d")
    figures: dict[str, Any] = {
        "patients": len(scarred),
        "scar_free_patients": len(normal),
        "slices": sum(c.slices for c in cases),
        "scar_slices": sum(c.scar_slices for c in cases),
        "spacing_assumed": any(c.spacing_assumed for c in cases),
        **_with_interval("dice_mean", dices),
        "dice_median": rounded(np.median(dices)) if dices else None,
        **_mean_figures(scarred, "dice_2d"),
        **_positions(scarred),
        **_mean_figures(patients, "myocardium_dice", "cavity_dice"),
        **_mean_figures(scarred, "hd95_3d_mm", "assd_3d_mm", "hd95_2d_mm", "assd_2d_mm"),
        "patients_with_nothing_predicted": sum(all(c.predicted_px == 0 for c in of) for of in scarred.values()),
        **_mass(scarred),
        **_with_interval("share_bias_percent_points", [100 * v for v in _means(scarred, "share_error")]),
        "share_mean_absolute_error_percent_points": _mean([100 * v for v in _means(scarred, "share_error", size=True)]),
        **_lesions(patients),
        **_false_scar(patients, normal),
        "emidec": _emidec(patients),
        "per_patient_dice": {p: rounded(d) for p, d in zip(scarred, dices, strict=True)},
    }
    curve = threshold_curve(cases)
    return figures if curve is None else {**figures, "dice_by_threshold": curve}


def threshold_curve(cases: Sequence[CaseScore]) -> dict[str, Any] | None:
    """Mean per-patient Dice of the patients with scar, and mass bias, at each threshold; None without probabilities."""
    pixels = [(c, c.curve) for c in cases if c.has_scar and c.curve is not None]
    if not pixels:
        return None
    dices: dict[str, list[np.ndarray]] = {}
    for case, curve in sorted(pixels, key=lambda pair: pair[0].patient):
        dices.setdefault(case.patient, []).append(2 * curve[:, 0] / (curve[:, 1] + case.truth_px))
    per_patient = np.stack([np.mean(of, axis=0) for of in dices.values()])
    predicted, truth = sum(curve[:, 1] for _, curve in pixels), sum(case.truth_px for case, _ in pixels)
    return {
        "threshold": list(THRESHOLDS),
        "dice_mean": rounded(per_patient.mean(axis=0)),
        "dice_interval_95": [rounded(interval(column)) for column in per_patient.T],
        "pixel_bias_percent": rounded(100 * (predicted / truth - 1)),
    }


def _by_patient(cases: Iterable[CaseScore]) -> dict[str, list[CaseScore]]:
    patients: dict[str, list[CaseScore]] = {}
    for case in sorted(cases, key=lambda c: (c.patient, c.case)):
        patients.setdefault(case.patient, []).append(case)
    return patients


def _means(patients: dict[str, list[CaseScore]], name: str, *, size: bool = False) -> list[float]:
    """Per patient the mean of an attribute of the scores over the cases; patients without it are left out. With ``size`` of each
    without its sign: errors of several scans would cancel if they were averaged first.
    """
    found = ([v for c in cases if (v := getattr(c, name)) is not None] for cases in patients.values())
    return [float(np.mean(np.abs(values) if size else values)) for values in found if values]


def _mean(values: Sequence[float] | np.ndarray) -> float | None:
    return rounded(np.mean(values)) if len(values) else None


def _with_interval(name: str, values: Sequence[float] | np.ndarray) -> dict[str, Any]:
    """The mean by its name, and the interval beside it."""
    return {name: _mean(values), f"{name.removesuffix('_mean')}_interval_95": rounded(interval(values))}


def _mean_figures(patients: dict[str, list[CaseScore]], *names: str) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name in names:
        figures |= _with_interval(f"{name}_mean", _means(patients, name))
    return figures


def _ratio_with_interval(name: str, table: np.ndarray) -> dict[str, Any]:
    """Of ``[patients, 2]`` parts and wholes; fewer than two patients with a whole have no interval."""
    several = np.count_nonzero(table[:, 1]) > 1
    return {
        name: rounded(ratio(table)) if table[:, 1].sum() > 0 else None,
        f"{name}_interval_95": rounded(interval(table, ratio)) if several else None,
    }


def _sums(patients: dict[str, list[CaseScore]], *of: Callable[[CaseScore], float]) -> np.ndarray:
    """Per patient the sums of some numbers over the cases, ``[patients, numbers]``."""
    return np.array([[sum(one(c) for c in cases) for one in of] for cases in patients.values()]).reshape(-1, len(of))


def _positions(scarred: dict[str, list[CaseScore]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for position in POSITIONS:
        dices = []
        for cases in scarred.values():
            of = [s for c in cases for s in c.by_slice if s.position == position]
            if any(s.truth_px for s in of):
                pixels = [s.truth_px + s.predicted_px for s in of]
                dices.append(float(np.average([s.dice for s in of], weights=pixels)))
        figures |= {f"dice_{position}_patients": len(dices), **_with_interval(f"dice_{position}_mean", dices)}
    return figures


def _mass(scarred: dict[str, list[CaseScore]]) -> dict[str, Any]:
    measured = {p: of for p, of in scarred.items() if all(c.mass_error_g is not None for c in of)}
    table = _sums(measured, lambda c: c.mass_error_g or 0.0, lambda c: c.truth_mass_g or 0.0)
    known = [c for of in scarred.values() for c in of if c.has_scar and c.mass_error_g is not None]
    truth, predicted = np.array([(c.truth_mass_g, c.predicted_mass_g) for c in known]).reshape(-1, 2).T
    errors, limits, pearson = predicted - truth, None, None
    if len(known) > 1:  # Bland and Altman, Lancet 1986, 1, 307
        spread = LIMITS_SD * errors.std(ddof=1)
        limits = rounded((errors.mean() - spread, errors.mean() + spread))
    if len(known) > 2 and np.ptp(truth) and np.ptp(predicted):
        pearson = rounded(np.corrcoef(truth, predicted)[0, 1])
    return {
        "truth_mass_g_mean": _mean(table[:, 1]),
        **_with_interval("mass_bias_g", table[:, 0]),
        "mass_bias_percent": rounded(100 * ratio(table)) if len(table) else None,
        "mass_bias_percent_interval_95": rounded(interval(table * (100, 1), ratio)),
        "mass_limits_of_agreement_g": limits,
        "mass_pearson_r": pearson,
        **_with_interval("mass_mean_absolute_error_g", _means(scarred, "mass_error_g", size=True)),
        "volume_bias_ml": _mean(_means(scarred, "volume_error_ml")),
        "volume_mean_absolute_error_ml": _mean(_means(scarred, "volume_error_ml", size=True)),
    }


def _lesions(patients: dict[str, list[CaseScore]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for kind in ("3d", "2d"):
        counts = np.array([np.sum([getattr(c, f"lesions_{kind}") for c in of], axis=0) for of in patients.values()])
        true, found, predicted, right = counts.reshape(-1, 4).T
        figures |= _ratio_with_interval(f"lesion_recall_{kind}", np.stack([found, true], axis=1))
        figures |= _ratio_with_interval(f"lesion_precision_{kind}", np.stack([right, predicted], axis=1))
        figures[f"lesions_{kind}"] = int(true.sum())
    return figures


def _false_scar(patients: dict[str, list[CaseScore]], normal: dict[str, list[CaseScore]]) -> dict[str, Any]:
    slices = _sums(patients, lambda c: c.false_slices, lambda c: c.scar_free_slices)
    areas = _sums(patients, lambda c: c.false_area_mm2 or 0.0, lambda c: c.scar_free_slices)
    known = all(c.false_area_mm2 is not None for of in patients.values() for c in of)
    some = slices[:, 1].sum() > 0
    grams = {p: max(c.predicted_mass_g for c in of if c.predicted_mass_g is not None) for p, of in normal.items() if known}
    clean = [float(g <= MOST_FALSE_SCAR_G) for g in grams.values()]
    return {
        "scar_free_slices": int(slices[:, 1].sum()),
        "scar_free_slices_with_false_scar": int(slices[:, 0].sum()),
        **_ratio_with_interval("scar_free_slices_with_false_scar_share", slices),
        "false_area_mm2_per_scar_free_slice": rounded(ratio(areas)) if some and known else None,
        "scar_free_patients_at_most_1_g": int(sum(clean)) if known else None,
        **_with_interval("scar_free_patients_at_most_1_g_share", clean),
        "false_mass_g_per_scar_free_patient": _mean(list(grams.values())),
        "per_scar_free_patient_g": {p: rounded(g) for p, g in grams.items()},
    }


def _emidec(patients: dict[str, list[CaseScore]]) -> dict[str, Any]:
    return {
        "cases": sum(len(of) for of in patients.values()),
        **_mean_figures(patients, "dice_3d"),
        "volume_difference_mm3_mean": _mean([MM3_PER_ML * v for v in _means(patients, "volume_error_ml", size=True)]),
        "ratio_difference_mean": _mean(_means(patients, "share_error", size=True)),
    }


FORMAT_VERSION = 2
"""Version 1 had a box for each lesion, with normal errors: its figures are not to be compared with today's."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of cases in one or several settings.

    Attributes:
        settings: name of the setting to the score of each case.
        failures: what could not be done, and why.
        provenance: models, checksums, versions, as of a result.
        how: what was chosen (threshold, seed, ...).
        notes: sentences for the reader.
    """

    settings: dict[str, tuple[CaseScore, ...]]
    failures: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    how: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def figures(self) -> dict[str, dict[str, Any]]:
        """Setting to its figures; see :func:`summarize`."""
        return {setting: summarize(cases) for setting, cases in self.settings.items()}

    def document(self, name: str = "") -> dict[str, Any]:
        """The content of ``evaluation.json``, from which tables and pictures are made, too. Legends call it ``name``."""
        return {
            "version": FORMAT_VERSION,
            "name": name,
            "program": f"MyoScarSeg {__version__}",
            "how": self.how,
            "provenance": self.provenance,
            "failures": self.failures,
            "notes": list(self.notes),
            "settings": {
                setting: {"figures": figures, "cases": [case.row() for case in self.settings[setting]]}
                for setting, figures in self.figures().items()
            },
        }

    def merged(self, other: Evaluation) -> Evaluation:
        """Both, the other's settings last; of equal keys the other's."""
        return Evaluation(
            {**self.settings, **other.settings},
            {**self.failures, **other.failures},
            {**self.provenance, **other.provenance},
            {**self.how, **other.how},
            self.notes + other.notes,
        )


def setting_name(name: str) -> str:
    """A setting's name as people read it."""
    if name.startswith("clicks_"):
        return f"+ {counted(int(name.removeprefix('clicks_')), 'click')}"
    return {"oracle": "reference box", "jittered": "jittered box", "end_to_end": "end to end"}.get(name, name)
