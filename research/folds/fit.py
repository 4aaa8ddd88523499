"""What a model says of its answers, from patients of the folds that it was not trained on.

    python -m research.folds.fit FOLDER [--without FOLD]     FOLDER holds fold-N.npz of folds.py; without limits of doubt
    python -m research.folds.fit FOLDER --coverage           of the interval, by others' numbers
    python -m research.folds.fit FOLDER --faint EMIDEC       which studies have an infarct, by which limit of contrast
    python -m research.folds.fit FOLDER --doubt              whether the uncertain share of a mass tells poor masks

One rule for all: the shift of the logits is the one with which the masses of infarct patients have no bias at probability 0.5;
the slope is the one with which probabilities are as often right as they say (maximum likelihood, with that shift's threshold
kept); the interval is conformal, normalized by the uncertain mass. For the figures of a fold the numbers come from the other
folds (`--without`). The limit of contrast lies in the middle between the faintest infarct with mass enough and the next normal
heart below it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from MyoScarSegLib.detection.detector import detect_slices
from MyoScarSegLib.networks import usable_slices
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.proposals import (
    LARGE_G,
    LEAST_CONTRAST_SD,
    LEAST_EVIDENCE_G,
    LEAST_OF_A_PLACE_G,
    above_healthy,
    findings,
    reconcile,
    wall_and_healthy,
)
from MyoScarSegLib.quantification.mass_interval import COVERAGE
from MyoScarSegLib.segmentation.architectures import TISSUES
from MyoScarSegLib.segmentation.prompted_objects import PromptedObject
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.evaluation.model_evaluation import END_TO_END, JITTERED, stacks_of
from research.folds.folds import corner_of, cropped, shipped_answers, truths

DOUBTFUL = 0.25
"""Share of the exams that are marked as likely to be wrong, at most."""


def logits(probability: np.ndarray) -> np.ndarray:
    """Of probabilities in 255ths."""
    p = np.clip(probability.astype(np.float64) / 255, 0.5 / 255, 1 - 0.5 / 255)
    return np.log(p / (1 - p))


def cases(folder: Path, setting: str, without: int | None) -> list[dict[str, Any]]:
    """Logits, truth and grams per pixel of every case."""
    found = []
    for path in sorted(folder.glob("fold-*.npz")):
        if without is not None and path.stem == f"fold-{without}":
            continue
        masks = np.load(path)
        for key in masks.files:
            if key.endswith("/truth"):
                case = key.split("/")[0]
                gram = masks[f"{case}/pixel_g"][:, None, None]
                found.append({"x": logits(masks[f"{case}/{setting}"]), "t": masks[key].astype(bool), "g": gram, "case": case})
    return found


def line(of: list[dict[str, Any]]) -> tuple[float, float]:
    """Slope and shift: no bias of mass on infarct patients, then the likeliest slope."""
    scarred = [c for c in of if c["t"].any()]
    truth = sum(float((c["t"] * c["g"]).sum()) for c in scarred)

    def bias(threshold: float) -> float:
        return sum(float(((c["x"] >= threshold) * c["g"]).sum()) for c in scarred) - truth

    threshold = float(brentq(bias, -5.5, 5.5, xtol=0.01))
    x = np.concatenate([c["x"][np.abs(c["x"]) < 5.4] for c in scarred])
    t = np.concatenate([c["t"][np.abs(c["x"]) < 5.4] for c in scarred])

    def surprise(slope: float) -> float:
        z = slope * (x - threshold)
        return float(np.mean(np.logaddexp(0, z) - t * z))

    slope = float(minimize_scalar(surprise, bounds=(0.1, 3), method="bounded").x)
    return slope, -slope * threshold


def error(of: list[dict[str, Any]]) -> tuple[float, float]:
    """Offset and share of :class:`MassError`: the narrowest in the median that covers."""
    mass, uncertain, true = (np.array(v) for v in zip(*map(masses, of), strict=True))
    off = np.abs(mass - true)
    best = (np.inf, 0.0, 0.0)
    for share in np.arange(0.0, 1.51, 0.05):
        rank = min(len(off), int(np.ceil(COVERAGE * (len(off) + 1)))) - 1
        offset = max(0.0, float(np.sort(off - share * uncertain)[rank]))
        width = float(np.median(offset + share * uncertain))
        best = min(best, (width, offset, float(share)))
    return round(best[1], 3), round(best[2], 3)


def masses(case: dict[str, Any]) -> tuple[float, float, float]:
    """Mass, uncertain mass and true mass of a case."""
    p = 1 / (1 + np.exp(-case["x"]))
    p[case["x"] <= -5.4] = 0
    return (
        float(((case["x"] >= 0) * case["g"]).sum()),
        float((4 * p * (1 - p) * case["g"]).sum()),
        float((case["t"] * case["g"]).sum()),
    )


def coverage(folder: Path) -> None:
    """How often masses lie in the interval that the other folds say: all exams without a human, with a box infarct patients."""
    for name, setting in (("alone", END_TO_END), ("asked", JITTERED)):
        inside, widths, off = [], [], []
        for fold in range(len(list(folder.glob("fold-*.npz")))):
            known = cases(folder, setting, fold)
            names = {case["case"] for case in known}
            some = [known, [case for case in cases(folder, setting, None) if case["case"] not in names]]
            others, own = ([c for c in of if name == "alone" or c["t"].any()] for of in some)
            offset, share = error(others)
            for mass, uncertain, true in (masses(case) for case in own):
                widths.append(offset + share * uncertain)
                off.append(abs(mass - true))
                inside.append(off[-1] <= widths[-1])
        print(
            f"{name}: {np.mean(inside):.0%} of {len(inside)} inside, half width {np.median(widths):.1f} g in the median; "
            f"a constant one would need {np.quantile(off, COVERAGE):.1f} g"
        )


def uncertain_share(case: dict[str, Any]) -> float:
    """The uncertain mass of a case in masses; 0 where there is none to doubt."""
    mass, uncertain, _ = masses(case)
    return uncertain / max(mass, 1.0) if mass > 0 else 0.0


def doubt(folder: Path) -> None:
    """Whether the uncertain mass, as a share of the mass, tells poor masks where nobody was asked: at most a quarter of the
    exams are doubtful, by the limit of the other folds, and by the shipped one.
    """
    rows = []
    for fold in range(len(list(folder.glob("fold-*.npz")))):
        others = {case["case"] for case in cases(folder, END_TO_END, fold)}
        for case in (case for case in cases(folder, END_TO_END, None) if case["case"] not in others):
            mask = case["x"] >= 0
            dice = 2 * (mask & case["t"]).sum() / max(1, mask.sum() + case["t"].sum())
            mass, _, true = masses(case)
            rows.append((fold, uncertain_share(case), dice, abs(mass - true), true > 0, mass > 0))
    folds, share, dice, off, infarct, marked = (np.array(column) for column in zip(*rows, strict=True))
    of_others = np.array([np.quantile(share[folds != fold], 1 - DOUBTFUL) for fold in folds])
    for name, limit in (("limit of the other folds", of_others), ("shipped limit", shipped_answers().alone_error[2])):
        poor = share > limit
        print(f"{name}: {poor.sum()} of {len(poor)} exams, {(poor & ~infarct).sum()} of {(marked & ~infarct).sum()} normal")
        for what, of in (("doubtful", infarct & marked & poor), ("the others", infarct & marked & ~poor)):
            low = (dice[of] < 0.5).sum()
            print(f"  {what}: {of.sum()} infarcts, Dice {dice[of].mean():.2f}, {low} below 0.5, off by {off[of].mean():.1f} g")


def seen(data: Path, folder: Path) -> list[dict[str, Any]]:
    """What the program sees in every study without a human: its places, before they are judged.

    The maps are the folds'; detector and heart are the shipped ones.
    """
    stacks = {stack.case: stack.study for stack in stacks_of(read_dataset(data).slices)}
    networks = Pipeline(device="cpu", precision="float32").networks
    detector, scar_of = networks.detector, TISSUES.index("scar")
    found = []
    for path in sorted(folder.glob("fold-*.npz")):
        masks = np.load(path)
        for case, truth in truths(masks):
            study = stacks[case]
            scar = masks[f"{case}/map"] / 255
            tissue = (masks[f"{case}/tissue"][:, None] == np.arange(len(TISSUES))[:, None, None]) * (1 - scar[:, None])
            tissue[:, scar_of] = scar
            top, left = corner_of(networks.heart_center(study), study.slice_shape)
            spacing = study.geometry.pixel_spacing_mm
            proposals = []
            for k, boxes in detect_slices(detector, usable_slices(study), pixel_spacing_mm=spacing).boxes.items():
                moved = [replace(b, x0=b.x0 - left, x1=b.x1 - left, y0=b.y0 - top, y1=b.y1 - top) for b in boxes]
                proposals += reconcile(moved, tissue[k], slice_index=k, map_name="map", pixel_spacing_mm=spacing)
            walls, healthy = np.array([wall_and_healthy(of) for of in tissue]).swapaxes(0, 1)
            contrast = above_healthy(cropped(study.voxels, (top, left)), walls, healthy, spacing)
            places = findings(proposals, contrast, study.geometry.slice_distance_mm)
            mask, alone = np.zeros((2, *truth.shape), dtype=bool)
            alone[:] = masks[f"{case}/alone"] > 127
            for box in (p.box for place in places if place.evidence_g >= LEAST_OF_A_PLACE_G for p in place.proposals):
                mask[box.slice] |= alone[box.slice] & PromptedObject(box, ()).allowed(alone[box.slice])
            of = {"case": case, "fold": path.stem, "places": places, "mask": mask, "truth": truth.astype(bool)}
            found.append(of | {"gram": masks[f"{case}/pixel_g"]})
    return found


def brightest(of: dict[str, Any]) -> float:
    """Contrast of a study's brightest place with evidence enough, which decides; of none minus infinity."""
    return max((place.contrast_sd for place in of["places"] if place.evidence_g >= LEAST_EVIDENCE_G), default=-np.inf)


def contrast_limit(of: list[dict[str, Any]]) -> float:
    """The middle between the faintest infarct with evidence enough and the next normal heart below it."""
    infarct = min(b for c in of if c["truth"].any() and (b := brightest(c)) > -np.inf)
    return (infarct + max(b for c in of if not c["truth"].any() and (b := brightest(c)) < infarct)) / 2


def faint(data: Path, folder: Path) -> None:
    """Figures by limit: none, that of all studies, that of the other folds, that of the other patients."""
    studies = seen(data, folder)
    for of in studies:
        if any(place.evidence_g >= LEAST_EVIDENCE_G for place in of["places"]):
            most = max(place.evidence_g for place in of["places"])
            print(f"{of['case']}: up to {most:.1f} g, {brightest(of):.2f} SD; true {of['truth'].sum((1, 2)) @ of['gram']:.1f} g")
    limits = {
        "no limit of contrast": [0.0 for _ in studies],
        "of all studies": [contrast_limit(studies) for _ in studies],
        "of other folds": [contrast_limit([c for c in studies if c["fold"] != of["fold"]]) for of in studies],
        "of other patients": [contrast_limit([c for c in studies if c is not of]) for of in studies],
        "shipped": [LEAST_CONTRAST_SD for _ in studies],
    }
    for name, each in limits.items():
        dices, masses, true, missed = [], [], [], []
        for of, limit in zip(studies, each, strict=True):
            large = any(place.evidence_g >= LARGE_G for place in of["places"])
            mask = of["mask"] & (large or brightest(of) >= limit)
            dices.append(2 * (mask & of["truth"]).sum() / max(1, mask.sum() + of["truth"].sum()))
            masses.append(float(mask.sum((1, 2)) @ of["gram"]))
            true.append(float(of["truth"].sum((1, 2)) @ of["gram"]))
            if true[-1] > 0 and not mask.any():
                missed.append(f"{of['case']} ({true[-1]:.1f} g)")
        dice, mass, truth = np.array(dices), np.array(masses), np.array(true)
        scarred = truth > 0
        print(
            f"{name} ({min(each):.2f} to {max(each):.2f} SD): normals with at most 1 g {(mass[~scarred] <= 1).sum()} of "
            f"{(~scarred).sum()}, their mass together {mass[~scarred].sum():.1f} g; Dice {dice[scarred].mean():.3f}, "
            f"bias {mass[scarred].sum() / truth[scarred].sum() - 1:+.1%}, "
            f"challenge {np.where(scarred, dice, mass == 0).mean():.3f}; without any mass: {', '.join(missed)}"
        )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without", type=int)
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--faint", type=Path, metavar="EMIDEC")
    parser.add_argument("--doubt", action="store_true")
    told = parser.parse_args()
    if told.doubt:
        doubt(told.folder)
        return
    if told.faint:
        faint(told.faint, told.folder)
        return
    if told.coverage:
        coverage(told.folder)
        return
    answers: dict[str, Any] = {}
    now = shipped_answers()
    for name, setting in (("mapped", "map"), ("alone", "alone"), ("asked", JITTERED)):
        of = cases(told.folder, setting, told.without)
        of = [c for c in of if c["t"].any()] if name == "asked" else of
        slope, shift = line(of)
        scored = getattr(now, name)
        answers[name] = [round(slope * scored[0], 3), round(slope * scored[1] + shift, 3)]
    for name, setting in (("alone", END_TO_END), ("asked", JITTERED)):
        of = [c for c in cases(told.folder, setting, told.without) if name == "alone" or c["t"].any()]
        answers[f"{name}_error"] = [*error(of), 0.0]
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
