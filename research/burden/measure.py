"""Scar burden on EMIDEC: our numbers against SimpleITK's, reference methods against the expert, burden of unseen patients.

python -m research.burden.measure check EMIDEC        volume and mass of the experts' labels, twice
python -m research.burden.measure references EMIDEC   each method in the expert's and in the model's wall
python -m research.burden.measure fit EMIDEC          which n of n-SD has the expert's amount of scar
python -m research.burden.measure wall EMIDEC         Dice of the model's wall and cavity, and their mass
python -m research.burden.measure burden EMIDEC       %LV and AHA burden of the model's masks against the expert's
python -m research.burden.measure corners EMIDEC      where the folds' pieces were cut (once; needs the networks)
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from MyoScarSegLib.quantification.agreement import bland_altman, icc
from MyoScarSegLib.quantification.aha import levels_of
from MyoScarSegLib.quantification.burden import scar_burden
from MyoScarSegLib.quantification.insertions import propose_insertions
from MyoScarSegLib.quantification.measurements import Measurements, measure
from MyoScarSegLib.quantification.overlap import dice
from MyoScarSegLib.quantification.planes import Planes
from MyoScarSegLib.quantification.reference import METHODS, reference_masks
from MyoScarSegLib.quantification.remote import measure_remote, remote_myocardium
from MyoScarSegLib.training.evaluation.statistics import interval, ratio
from research.burden.cohort import ALONE, SETTINGS, Exam, exams, find_corners


def check(data: Path) -> None:
    """The same volumes and masses, by SimpleITK's label statistics on the files themselves."""
    worst = largest = 0.0
    count = 0
    import SimpleITK as sitk

    for exam in exams(data):
        path = data / exam.case / "Contours" / f"{exam.case}.nii.gz"
        image = sitk.ReadImage(str(path))
        statistics = sitk.LabelShapeStatisticsImageFilter()
        statistics.Execute(image)
        theirs = {n: statistics.GetPhysicalSize(n) / 1000 for n in statistics.GetLabels()}
        wall_ml = sum(theirs.get(n, 0.0) for n in (2, 3, 4))
        scar_ml = sum(theirs.get(n, 0.0) for n in (3, 4))
        ours = measure(exam.scar, exam.geometry, ventricle=exam.expert)
        pairs = [
            (ours.scar.volume_ml, scar_ml),
            (ours.myocardium.volume_ml, wall_ml),
            (ours.cavity.volume_ml, theirs.get(1, 0.0)),
        ]
        pairs += [(ours.scar.mass_g, 1.05 * scar_ml), (ours.percent_of_myocardium, 100 * scar_ml / wall_ml)]
        for mine, other in pairs:
            worst = max(worst, abs(mine - other) / max(other, 1e-9) if other else abs(mine))
        largest, count = max(largest, wall_ml), count + 1
    print(f"{count} exams: volumes, masses and percentages differ by at most {worst:.1e} of themselves")


def references(data: Path) -> None:
    """Each method against the expert's scar."""
    _head(
        "wall", "method", "answers", "Dice (95%)", "bias %LV (95%)", "limits %LV", "bias g", "silent in normals", "%LV in others"
    )
    unseen = list(exams(data, folds=True))
    for whose in ("expert", "model"):
        found = [_found(exam, whose) for exam in unseen]
        for method in found[0]:
            _row(whose, method, unseen, [one[method] for one in found])


def _found(exam: Exam, whose: str) -> dict[str, np.ndarray | None]:
    ventricle = exam.model if whose == "model" else exam.expert
    masks: dict[str, np.ndarray | None] = {}
    if whose == "model":
        masks["(the model's mask)"] = exam.masks[ALONE]
    if not ventricle.myocardium.any():
        return masks | dict.fromkeys((*METHODS, *_TOLD))
    given = exam.voxels, ventricle.myocardium, ventricle.cavity
    masks |= {name: one.mask for name, one in reference_masks(*given).items()}
    # A reader, or the model, who says whether there is scar.
    says = exam.masks[ALONE] if whose == "model" else exam.scar
    told = reference_masks(*given, scar=says)
    return masks | {name: told[name.split(",")[0]].mask for name in _TOLD}


_TOLD = ("FWHM, scar told", "FWHM from remote, scar told")


def _row(whose: str, method: str, some: Sequence[Exam], masks: Sequence[np.ndarray | None]) -> None:
    dices, percents, grams, normals, silent = [], [], [], [], 0
    scarred = sum(bool(exam.scar.any()) for exam in some)
    for exam, mask in zip(some, masks, strict=True):
        if mask is None:
            silent += not exam.scar.any()
            continue
        wall = exam.model.myocardium if whose == "model" else exam.expert.myocardium
        percent = _percent(mask & wall, wall, exam)
        if not exam.scar.any():
            normals.append(percent)
            continue
        dices.append(dice(mask, exam.scar))
        percents.append((_percent(exam.scar, exam.expert.myocardium, exam), percent))
        grams.append(scar_burden(mask, exam.geometry).mass_g - scar_burden(exam.scar, exam.geometry).mass_g)
    if not dices:
        print(f"| {whose} | {method} | 0 of {scarred} | | | | | {silent} of {silent + len(normals)} | |")
        return
    low, high = interval(dices)
    bland = bland_altman(*np.array(percents).T)
    print(
        f"| {whose} | {method} | {len(dices)} of {scarred} | {np.mean(dices):.2f} ({low:.2f} to {high:.2f}) | {bland.bias:+.1f} "
        f"({_pair(interval(np.diff(np.array(percents)).ravel()))}) | {_pair(bland.limits)} | {np.mean(grams):+.1f} | {silent} of "
        f"{silent + len(normals)} | {f'{np.mean(normals):.1f}' if normals else ''} |"
    )


def _head(*names: str) -> None:
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")


def _percent(scar: np.ndarray, wall: np.ndarray, exam: Exam) -> float:
    return 100 * scar_burden(scar, exam.geometry).volume_ml / scar_burden(wall, exam.geometry).volume_ml


def _pair(limits: tuple[float, float] | None) -> str:
    return "" if limits is None else f"{limits[0]:+.1f} to {limits[1]:+.1f}"


def fit(data: Path) -> None:
    """Of each infarct patient the n that leaves as many pixels as the expert drew; no specks dropped, nothing filled."""
    fitted = []
    for exam in exams(data):
        if not exam.scar.any():
            continue
        wall, cavity = exam.expert.myocardium, exam.expert.cavity
        remote = measure_remote(exam.voxels, wall, remote_myocardium(exam.voxels, wall, cavity))
        height = ((exam.voxels - remote.mean[:, None, None]) / remote.sd[:, None, None])[wall]
        fitted.append(np.quantile(height, 1 - exam.scar.sum() / wall.sum()))
    low, middle, high = np.percentile(fitted, (25, 50, 75))
    print(
        f"n with the expert's amount, {len(fitted)} infarct patients: median {middle:.1f} (95% "
        f"{_pair(interval(fitted, np.median))}), quartiles {low:.1f} to {high:.1f}, from {min(fitted):.1f} to {max(fitted):.1f}"
    )


def wall(data: Path) -> None:
    """The model's wall and cavity."""
    some = list(exams(data, folds=True))
    for name, of in (("as the map has it", "raw_model"), ("cleaned", "model")):
        walls = [dice(getattr(e, of).myocardium, e.expert.myocardium) for e in some]
        cavities = [dice(getattr(e, of).cavity, e.expert.cavity) for e in some]
        grams = [[scar_burden(v.myocardium, e.geometry).mass_g for v in (e.expert, getattr(e, of))] for e in some]
        bland = bland_altman(*np.array(grams).T)
        print(
            f"{name}: {len(some)} exams, wall {np.mean(walls):.3f} ({_short(interval(walls))}), least {min(walls):.2f}; cavity "
            f"{np.mean(cavities):.3f} ({_short(interval(cavities))}), least {min(cavities):.2f}; wall's mass {bland.bias:+.1f} g "
            f"({_pair(bland.limits)}) of {np.mean(grams, axis=0)[0]:.0f} g"
        )
    opened = sum(len(e.expert.closed) for e in some), sum(len(e.model.closed) for e in some)
    print(f"closed slices: {opened[0]} by the expert, {opened[1]} by the model")


def _short(limits: tuple[float, float]) -> str:
    return f"{limits[0]:.3f} to {limits[1]:.3f}"


def burden(data: Path) -> None:
    """%LV and burden of the segments: model's mask in model's wall against the expert's in the expert's."""
    some = list(exams(data, folds=True))
    _head(
        "mask",
        "landmarks",
        "exams",
        "%LV bias (95%)",
        "limits",
        "ICC(2,1) (95%)",
        "scar outside the wall",
        "with it added to the wall",
    )
    kept = {}
    for setting in SETTINGS:
        for own in (False, True):
            chosen = [e for e in some if setting == ALONE or e.scar.any()]
            pairs = [_both(exam, setting, own=own) for exam in chosen]
            percents = np.array([(a.percent_of_myocardium, b.percent_of_myocardium) for a, b in pairs])
            bland, same = bland_altman(*percents.T), icc(percents)
            outside = sum(b.scar_outside_wall.mass_g for _, b in pairs) / sum(b.scar.mass_g for _, b in pairs)
            kept[setting, own] = pairs
            added = [100 * b.scar.mass_g / (b.myocardium.mass_g + b.scar_outside_wall.mass_g) for _, b in pairs]
            grown = bland_altman(percents[:, 0], added)
            print(
                f"| {setting} | {'own' if own else 'the same'} | {len(chosen)} | {bland.bias:+.1f} "
                f"({_pair(bland.bias_interval)}) | {_pair(bland.limits)} | {same.agreement:.2f} "
                f"({same.agreement_interval[0]:.2f} to {same.agreement_interval[1]:.2f}) | {outside:.0%} | "
                f"{grown.bias:+.1f}, {_pair(grown.limits)} |"
            )
    _head("mask", "landmarks", "segments", "imaged in one alone", "bias of burden (95%)", "limits", "mean size", "transmurality")
    for (setting, own), pairs in kept.items():
        alone = sum(a.imaged != b.imaged for one, other in pairs for a, b in zip(one.segments, other.segments, strict=True))
        burdens, depths = (
            [
                np.array(
                    [
                        (getattr(a, name), getattr(b, name))
                        for a, b in zip(one.segments, other.segments, strict=True)
                        if getattr(a, name) is not None and getattr(b, name) is not None
                    ]
                )
                for one, other in pairs
            ]
            for name in ("burden_percent", "transmurality_percent")
        )
        # Segments of a patient hang together: patients are drawn anew, not segments.
        sums = np.array([[np.diff(of).sum(), len(of)] for of in burdens])
        pooled, deep = bland_altman(*np.concatenate(burdens).T), bland_altman(*np.concatenate(depths).T)
        size = np.abs(np.diff(np.concatenate(burdens))).mean()
        print(
            f"| {setting} | {'own' if own else 'the same'} | {pooled.cases} | {alone} | {pooled.bias:+.1f} "
            f"({_pair(interval(sums, ratio))}) | {_pair(pooled.limits)} | {size:.1f} | "
            f"{deep.bias:+.1f}, {_pair(deep.limits)} |"
        )


def _both(exam: Exam, setting: str, *, own: bool) -> tuple[Measurements, Measurements]:
    """The expert's and the model's; with the expert's landmarks and levels, or each with its own."""
    levels = levels_of(exam.expert, Planes.of(exam.geometry, len(exam.scar)))
    points = propose_insertions(exam.voxels, exam.expert, exam.geometry)
    truth = measure(exam.scar, exam.geometry, ventricle=exam.expert, insertions=points, levels=levels)
    if own:
        points = propose_insertions(exam.voxels, exam.model, exam.geometry)
        return truth, measure(exam.masks[setting], exam.geometry, ventricle=exam.model, insertions=points)
    levels = {k: level for k, level in levels.items() if k in exam.model.walls}
    return truth, measure(exam.masks[setting], exam.geometry, ventricle=exam.model, insertions=points, levels=levels)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {"check": check, "references": references, "fit": fit, "wall": wall, "burden": burden, "corners": find_corners}
    parser.add_argument("what", choices=commands)
    parser.add_argument("data", type=Path)
    told = parser.parse_args()
    warnings.simplefilter("ignore")
    commands[told.what](told.data)


if __name__ == "__main__":
    main()
