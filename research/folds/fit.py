"""What a model says of its answers, from patients of the folds that it was not trained on.

    python -m research.folds.fit FOLDER [--without FOLD]     FOLDER holds fold-N.npz of folds.py
    python -m research.folds.fit FOLDER --coverage           of the interval at the shipped thresholds, by others' numbers

One rule for all: the shift of the logits is the one with which the masses of infarct patients have no bias at probability 0.5;
the slope is the one with which probabilities are as often right as they say (maximum likelihood, with that shift's threshold
kept); the interval is conformal, normalized by the uncertain mass. For the figures of a fold the numbers come from the other
folds (`--without`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from MyoScarSegLib.quantification.mass_interval import COVERAGE
from MyoScarSegLib.training.evaluation.model_evaluation import END_TO_END, JITTERED
from research.folds.folds import CARD


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


def error(of: list[dict[str, Any]], slope: float, shift: float) -> tuple[float, float, float]:
    """Offset, share and flag of :class:`MassError`: the narrowest in the median that covers."""
    mass, uncertain, true = (np.array(v) for v in zip(*(masses(c, slope, shift) for c in of), strict=True))
    off = np.abs(mass - true)
    best = (np.inf, 0.0, 0.0)
    for share in np.arange(0.0, 1.51, 0.05):
        rank = min(len(off), int(np.ceil(COVERAGE * (len(off) + 1)))) - 1
        offset = max(0.0, float(np.sort(off - share * uncertain)[rank]))
        width = float(np.median(offset + share * uncertain))
        best = min(best, (width, offset, float(share)))
    flag = float(np.quantile(uncertain / np.maximum(mass, 1.0), 0.8))
    return round(best[1], 3), round(best[2], 3), round(flag, 3)


def masses(case: dict[str, Any], slope: float, shift: float) -> tuple[float, float, float]:
    """Mass, uncertain mass and true mass of a case."""
    z = slope * case["x"] + shift
    p = 1 / (1 + np.exp(-z))
    p[case["x"] <= -5.4] = 0
    return (
        float(((z >= 0) * case["g"]).sum()),
        float((4 * p * (1 - p) * case["g"]).sum()),
        float((case["t"] * case["g"]).sum()),
    )


def coverage(folder: Path) -> None:
    """How often masses lie in the interval that the other folds say: all exams without a human, with a box infarct patients."""
    shipped = json.loads(CARD.read_text())["settings"]["answers"]
    for name, setting in (("alone", END_TO_END), ("asked", JITTERED)):
        slope, shift = shipped[name]
        inside, widths, off = [], [], []
        for fold in range(len(list(folder.glob("fold-*.npz")))):
            known = cases(folder, setting, fold)
            names = {case["case"] for case in known}
            some = [known, [case for case in cases(folder, setting, None) if case["case"] not in names]]
            others, own = ([c for c in of if name == "alone" or c["t"].any()] for of in some)
            offset, share, _ = error(others, slope, shift)
            for mass, uncertain, true in (masses(case, slope, shift) for case in own):
                widths.append(offset + share * uncertain)
                off.append(abs(mass - true))
                inside.append(off[-1] <= widths[-1])
        print(
            f"{name}: {np.mean(inside):.0%} of {len(inside)} inside, half width {np.median(widths):.1f} g in the median; "
            f"a constant one would need {np.quantile(off, COVERAGE):.1f} g"
        )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without", type=int)
    parser.add_argument("--coverage", action="store_true")
    told = parser.parse_args()
    if told.coverage:
        coverage(told.folder)
        return
    answers: dict[str, Any] = {}
    for name, setting in (("alone", "map"), ("asked", "jittered")):
        of = cases(told.folder, setting, told.without)
        of = of if name == "alone" else [c for c in of if c["t"].any()]
        slope, shift = line(of)
        answers[name] = [round(slope, 3), round(shift, 3)]
        answers[f"{name}_error"] = error(of, slope, shift)
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
