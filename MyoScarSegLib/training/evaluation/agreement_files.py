"""Agreement of two readers' masks over a cohort: table, summary and picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from MyoScarSegLib import __version__
from MyoScarSegLib.outputs.case_files import write_table
from MyoScarSegLib.quantification.agreement import Agreement, agreement
from MyoScarSegLib.training.evaluation.evaluation_pictures import draw_bland_altman, save_figure
from MyoScarSegLib.training.evaluation.scores import CaseScore
from MyoScarSegLib.training.evaluation.statistics import interval, mean_known
from MyoScarSegLib.utils.files import write_json
from MyoScarSegLib.utils.words import counted

MASS, PERCENT = "scar_mass_g", "scar_percent_of_myocardium"


def rows_of(cases: Sequence[CaseScore]) -> list[dict[str, Any]]:
    """One row per case; differences are b less a. The percentages are of the myocardium in a's file, None without."""
    return [
        {
            "case": c.case,
            "dice": c.dice_3d,
            "both_empty": not c.truth_px and not c.predicted_px,
            "hd95_3d_mm": c.hd95_3d_mm,
            "hd95_2d_mm": c.hd95_2d_mm,
            f"{MASS}_a": c.truth_mass_g,
            f"{MASS}_b": c.predicted_mass_g,
            f"{MASS}_difference": c.mass_error_g,
            f"{PERCENT}_a": None if c.truth_share is None else 100 * c.truth_share,
            f"{PERCENT}_b": None if c.predicted_share is None else 100 * c.predicted_share,
            f"{PERCENT}_difference": None if c.share_error is None else 100 * c.share_error,
        }
        for c in cases
    ]


def summary_of(cases: Sequence[CaseScore], names: tuple[str, str]) -> dict[str, Any]:
    """What ``agreement.json`` holds.

    Dice and distances are over the cases in which a or b has scar; those in which neither has are counted apart. Mass and
    percentage are over all cases that have the number, cases without scar included.
    """
    rows = rows_of(cases)
    scarred = [row for row in rows if not row["both_empty"]]
    return {
        "version": __version__,
        "a": names[0],
        "b": names[1],
        "difference": "b less a",
        "cases": len(rows),
        "both_empty": len(rows) - len(scarred),
        **{name: _mean(scarred, name) for name in ("dice", "hd95_3d_mm", "hd95_2d_mm")},
        **{name: asdict(found) if (found := _agreement(rows, name)) is not None else None for name in (MASS, PERCENT)},
    }


def write_agreement(folder: Path, cases: Sequence[CaseScore], names: tuple[str, str]) -> dict[str, Any]:
    """Write ``agreement.csv`` (a row per case), ``agreement.json``, whose content is returned, and ``bland_altman.png`` (of
    mass). In ``cases`` the reference is a and the predicted mask b.

    Raises:
        OutputError: the folder cannot be written.
    """
    rows, summary = rows_of(cases), summary_of(cases, names)
    write_table(folder / "agreement.csv", rows[0], rows)
    write_json(folder / "agreement.json", summary)
    if (found := _agreement(rows, MASS)) is not None:
        pairs, bland = _pairs(rows, MASS), found.bland_altman
        ends = bland.limits_at(0.0), bland.limits_at(1.05 * float(pairs.mean(axis=1).max()))
        figure = draw_bland_altman(
            {"": pairs},
            bland.bias,
            bland.bias_interval,
            None if ends[0] is None or ends[1] is None else (ends[0], ends[1]),
            ("mean of both: scar mass (g)", "b less a: scar mass (g)"),
            f"a: {names[0]}, b: {names[1]}; {counted(bland.cases, 'case')}" + (f"; {bland.why}" if bland.why else ""),
        )
        save_figure(folder / "bland_altman.png", figure)
    return summary


def text_of(summary: dict[str, Any]) -> str:
    """The summary as lines for a reader."""
    lines = [f"{counted(summary['cases'], 'case')}, of which {summary['both_empty']} without scar in both; differences: b less a"]
    for name, label in (("dice", "Dice"), ("hd95_3d_mm", "HD95 3D (mm)"), ("hd95_2d_mm", "HD95 2D (mm)")):
        mean = summary[name]
        if mean["mean"] is not None:
            lines.append(f"{label:26} {mean['mean']:.2f}{_range(mean['interval_95'], '.2f')}, {counted(mean['cases'], 'case')}")
    for name, label in ((MASS, "scar mass (g)"), (PERCENT, "scar (% of myocardium)")):
        if (of := summary[name]) is None:
            continue
        bland, icc = of["bland_altman"], of["icc"]
        limits = f"limits {bland['limits'][0]:+.1f} to {bland['limits'][1]:+.1f}" if bland["limits"] else bland["why"]
        lines.append(f"{label:26} bias {bland['bias']:+.1f}{_range(bland['bias_interval'], '+.1f')}, {limits}")
        if bland["proportional"]:
            lines.append(f"{'':26} the difference changes by {bland['slope']:+.2f} per unit of size (p = {bland['slope_p']:.2g})")
        if icc is not None:
            lines.append(
                f"{'':26} ICC(2,1) {icc['agreement']:.2f}{_range(icc['agreement_interval'], '.2f')} ({icc['words']}), "
                f"ICC(3,1) {icc['consistency']:.2f}"
            )
        cv = "" if of["cv_percent"] is None else f"CV {of['cv_percent']:.1f}%, "
        lines.append(f"{'':26} {cv}repeatability {of['repeatability']:.1f}")
    return "\n".join(lines) + "\n"


def _pairs(rows: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    pairs = [(row[f"{name}_a"], row[f"{name}_b"]) for row in rows if row[f"{name}_difference"] is not None]
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


def _agreement(rows: Sequence[dict[str, Any]], name: str) -> Agreement | None:
    pairs = _pairs(rows, name)
    return agreement(*pairs.T) if len(pairs) else None


def _mean(rows: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    values = [row[name] for row in rows if row[name] is not None]
    return {"cases": len(values), "mean": mean_known(values), "interval_95": interval(values)}


def _range(limits: Sequence[float] | None, form: str) -> str:
    return "" if limits is None else f" ({limits[0]:{form}} to {limits[1]:{form}})"
