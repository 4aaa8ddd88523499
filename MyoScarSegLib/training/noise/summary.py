"""What the study found: figures of each condition, and paired differences with intervals over patients and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from MyoScarSegLib.training.evaluation.bootstrap import DRAWS, LEVEL
from MyoScarSegLib.training.noise.corruptions import KINDS, Corruption
from MyoScarSegLib.training.noise.trial import LOSSES, THRESHOLDS, WITH, WITHOUT

CLEAN = "clean"
_USUAL = THRESHOLDS.index(0.5)


def summarise(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The study in figures.

    Args:
        trials: entries of the study's file: ``kind`` (None for true masks), ``strength``, ``loss``, ``seed``, and what
            :func:`~MyoScarSegLib.training.noise.trial.run_trial` returned.

    Returns:
        ``conditions``: of each that was tried, true masks first, the Dice of its training masks, and by loss the figures by
        seed; ``differences``: with less without the divergence in validation Dice, for each condition, for each kind, for all
        noise, and how much more with noise than without; ``differences_best_threshold``: the same if each training gets the
        threshold that suits it best; ``costs``: what each loss loses by noise. Differences are of the same patients and seeds;
        intervals are drawn over both.
    """
    by_condition: dict[str, list[Mapping[str, Any]]] = {}
    for trial in sorted(trials, key=_order):
        by_condition.setdefault(_condition(trial), []).append(trial)
    conditions = {name: _figures(of) for name, of in by_condition.items()}
    groups = {name: [name] for name in by_condition}
    noisy = [name for name in by_condition if name != CLEAN]
    for kind in KINDS:
        members = [name for name in noisy if conditions[name]["kind"] == kind]
        if members:
            groups[f"all {kind}"] = members
    if noisy:
        groups["all noise"] = noisy
    costs = {}
    if CLEAN in by_condition and noisy:
        for loss in LOSSES:
            dice = {name: _dice(of, loss) for name, of in by_condition.items()}
            costs[loss] = _estimate(_mean([_less(dice[CLEAN], dice[name]) for name in noisy]))
    return {
        "conditions": conditions,
        "differences": _differences(by_condition, groups),
        "differences_best_threshold": _differences(by_condition, groups, best=True),
        "costs": costs,
    }


def _differences(
    by_condition: Mapping[str, Sequence[Mapping[str, Any]]], groups: Mapping[str, Sequence[str]], *, best: bool = False
) -> dict[str, Any]:
    """With less without the divergence, over each group of conditions."""
    gained = {name: _less(_dice(of, WITH, best=best), _dice(of, WITHOUT, best=best)) for name, of in by_condition.items()}
    of_groups = {name: _mean([gained[member] for member in members]) for name, members in groups.items()}
    found = {name: _estimate(values) for name, values in of_groups.items()}
    if CLEAN in gained and "all noise" in of_groups:
        found["all noise beyond clean"] = _estimate(_less(of_groups["all noise"], gained[CLEAN]))
    return found


def table(summary: Mapping[str, Any]) -> str:
    """The summary to read."""
    head = (
        f"{'training masks':<26}{'their Dice':>11}{'area':>7}"
        f"{'Dice with KL':>14}{'without':>9}{'difference [95%]':>27}{'mass bias':>17}{'calibration':>14}"
    )
    lines = [head, "-" * len(head)]
    for name, row in summary["conditions"].items():
        both = [row["losses"].get(loss) for loss in (WITH, WITHOUT)]
        lines.append(
            f"{row['title']:<26}{row['masks_dice']:>11.3f}{row['masks_area_ratio']:>7.2f}"
            f"{_value(both[0], 'dice', '.3f'):>14}{_value(both[1], 'dice', '.3f'):>9}"
            f"{_shown(summary['differences'].get(name)):>27}"
            f"{_value(both[0], 'mass_bias_percent', '+.0f') + '% / ' + _value(both[1], 'mass_bias_percent', '+.0f') + '%':>17}"
            f"{_value(both[0], 'calibration_error', '.3f') + ' / ' + _value(both[1], 'calibration_error', '.3f'):>14}"
        )
    lines.append("")
    for name, found in summary["differences"].items():
        if name not in summary["conditions"] and found is not None:
            best = summary["differences_best_threshold"][name]
            lines.append(f"with less without KL, {name}: {_shown(found)}; each at its best threshold {_shown(best)}")
    for loss, found in summary["costs"].items():
        if found is not None:
            lines.append(f"Dice lost by noise, {loss} KL: {_shown(found)}")
    verdict = sentence(summary)
    return "\n".join([*lines, *([verdict] if verdict else [])]) + "\n"


def sentence(summary: Mapping[str, Any]) -> str:
    """What the divergence buys under noise, in one sentence; empty before there is anything to say."""
    found = summary["differences"].get("all noise")
    if found is None or found["interval_95"] is None:
        return ""
    low, high = found["interval_95"]
    if low > 0:
        effect = "helps"
    elif high < 0:
        effect = "harms"
    else:
        effect = "makes no difference that this study can tell from chance"
    return f"Over all noise the KL term {effect}: {_shown(found)} in validation Dice (seeds: {found['seeds']})."


def _order(trial: Mapping[str, Any]) -> tuple[int, float, str, int]:
    kind = -1 if trial["kind"] is None else list(KINDS).index(trial["kind"])
    return kind, trial["strength"], trial["loss"], trial["seed"]


def _condition(trial: Mapping[str, Any]) -> str:
    return CLEAN if trial["kind"] is None else Corruption(trial["kind"], trial["strength"]).key


def _figures(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of one condition: its masks, and each loss's figures."""
    first = trials[0]
    kind, strength = first["kind"], first["strength"]
    corruption = None if kind is None else Corruption(kind, strength)
    # Both losses of a seed have the same masks.
    masks = list({trial["seed"]: trial["masks"] for trial in trials}.values())
    return {
        "kind": kind,
        "strength": strength,
        "title": "true masks" if corruption is None else f"{KINDS[kind].title}, {corruption.shown_strength}",
        "masks_dice": _mean_of(masks, "dice_mean"),
        "masks_area_ratio": _mean_of(masks, "area_ratio"),
        "lesions_found": _mean_of(masks, "lesions_found"),
        "losses": {
            loss: _loss_figures([t for t in trials if t["loss"] == loss])
            for loss in LOSSES
            if any(t["loss"] == loss for t in trials)
        },
    }


def _loss_figures(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    by_seed = [figures_of(trial) for trial in trials]
    means: dict[str, Any] = {name: round(float(np.mean([f[name] for f in by_seed])), 4) for name in by_seed[0]}
    return means | {"seeds": {str(trial["seed"]): figures for trial, figures in zip(trials, by_seed, strict=True)}}


def figures_of(trial: Mapping[str, Any]) -> dict[str, float]:
    """One training's figures on the validation patients.

    Returns:
        ``dice``: mean over the patients; ``best_dice`` at ``best_threshold``, the one that suits these very patients best: what
        is left of a difference when the threshold is chosen anew; ``mass_bias_percent``: predicted less true scar over true
        scar, of all together; ``calibration_error``: expected calibration error of the pixels in the boxes, 0 to 1 (Naeini et
        al., "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015); ``overconfidence``: mean probability
        of these pixels less the share of scar among them.
    """
    by_threshold = np.mean(list(trial["dice"].values()), axis=0)
    best = int(np.argmax(by_threshold))
    predicted, true = np.sum(list(trial["area_px"].values()), axis=0)
    pixels, probability, scar = np.array(trial["reliability"]).T
    figures = {
        "dice": by_threshold[_USUAL],
        "best_dice": by_threshold[best],
        "best_threshold": THRESHOLDS[best],
        "mass_bias_percent": 100 * (predicted - true) / true,
        "calibration_error": np.abs(probability - scar).sum() / pixels.sum(),
        "overconfidence": (probability - scar).sum() / pixels.sum(),
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


Table = dict[tuple[int, str], float]
"""By seed and patient."""


def _dice(trials: Sequence[Mapping[str, Any]], loss: str, *, best: bool = False) -> Table:
    """At the usual threshold, or at each training's best."""
    found: Table = {}
    for trial in trials:
        if trial["loss"] == loss:
            place = THRESHOLDS.index(figures_of(trial)["best_threshold"]) if best else _USUAL
            found |= {(trial["seed"], patient): float(values[place]) for patient, values in trial["dice"].items()}
    return found


def _less(first: Table, second: Table) -> Table:
    return {key: first[key] - second[key] for key in first.keys() & second.keys()}


def _mean(tables: Sequence[Table]) -> Table:
    """Over the tables; where only some of them have a seed, it is left out."""
    shared = set.intersection(*(set(one) for one in tables))
    return {key: float(np.mean([one[key] for one in tables])) for key in shared}


def _estimate(values: Table) -> dict[str, Any] | None:
    """Mean with its interval, and the mean of each seed; None without a value."""
    if not values:
        return None
    seeds, patients = sorted({seed for seed, _ in values}), sorted({patient for _, patient in values})
    grid = np.array([[values[seed, patient] for patient in patients] for seed in seeds])
    found = crossed_interval(grid)
    return {
        "mean": round(float(grid.mean()), 4),
        "interval_95": None if found is None else [round(limit, 4) for limit in found],
        "by_seed": {str(seed): round(float(row.mean()), 4) for seed, row in zip(seeds, grid, strict=True)},
        "seeds": len(seeds),
        "patients": len(patients),
    }


def crossed_interval(
    values: np.ndarray, *, level: float = LEVEL, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float] | None:
    """Percentile interval of a mean over seeds and patients, both drawn anew with replacement, each by itself.

    Every seed is looked at on every patient, so the two are crossed and not nested (Owen, "The pigeonhole bootstrap", Annals of
    Applied Statistics 2007, 1, 2). With a single seed the interval says nothing of the scatter between seeds.

    Args:
        values: ``[seeds, patients]``.
        level, draws, seed: as in :func:`~MyoScarSegLib.training.evaluation.bootstrap.interval`.

    Returns:
        ``(low, high)``; None for fewer than two patients.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape[1] < 2:
        return None
    generator = np.random.default_rng(seed)
    rows, columns = (generator.integers(0, size, (draws, size)) for size in values.shape)
    drawn = values[rows[:, :, None], columns[:, None, :]].mean(axis=(1, 2))
    low, high = np.percentile(drawn, (50 * (1 - level), 50 * (1 + level)))
    return float(low), float(high)


def _mean_of(entries: Sequence[Mapping[str, Any]], name: str) -> float:
    return round(float(np.mean([entry[name] for entry in entries])), 4)


def _value(figures: Mapping[str, Any] | None, name: str, form: str) -> str:
    return "-" if figures is None else format(figures[name], form)


def _shown(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    limits = found["interval_95"]
    return f"{found['mean']:+.3f}" + ("" if limits is None else f" [{limits[0]:+.3f}, {limits[1]:+.3f}]")
