"""The summary of a cohort as a page: how the studies ended, how the numbers are distributed, which studies are strange, and why.

Outliers of the mass are told by the modified z-score of Iglewicz and Hoaglin (How to detect and handle outliers, ASQC 1993):
0.6745 times the distance from the median over the median absolute deviation, here of the roots of the masses, which are skewed;
likewise the distance from the reference methods' median mass, and the logarithm of the signal-to-noise ratio.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from MyoScarSegLib.batch.cohort import Cohort
from MyoScarSegLib.batch.review_list import reader_agreements
from MyoScarSegLib.batch.table import cohort_rows
from MyoScarSegLib.utils.files import write_bytes
from MyoScarSegLib.utils.words import counted, listed

SUMMARY = "cohort.html"
PICTURES = 20
_OUTLYING = 3.5
"""Modified z-score from which on a value is an outlier, as its authors propose."""
_BINS = 12
_NAMED = 5
"""Of the copies of a study: more are a number."""
_MEASURES = {
    "scar_mass_g": "scar, g",
    "slices": "slices",
    "slice_distance_mm": "between slices, mm",
    "signal_to_noise": "signal to noise of the image",
    "seconds": "seconds a study",
}


@dataclass(frozen=True)
class Strange:
    """A study that a reader should look at.

    Attributes:
        case: its name.
        score: how strange it is, to sort by.
        reasons: why, each a few words.
    """

    case: str
    score: float
    reasons: Sequence[str]


def strangest(rows: Sequence[Mapping[str, Any]]) -> list[Strange]:
    """The studies with anything odd, the strangest first.

    Args:
        rows: as of :func:`~MyoScarSegLib.batch.table.cohort_rows`.
    """
    masses = _scores(rows, lambda row: None if row["scar_mass_g"] is None else np.sqrt(row["scar_mass_g"]))
    differences = _scores(rows, _from_references)
    qualities = _scores(rows, lambda row: np.log(row["signal_to_noise"]) if row["signal_to_noise"] else None)
    alike: dict[str, list[str]] = {}
    for row in rows:
        if row["content_sha256"]:
            alike.setdefault(row["content_sha256"], []).append(row["case"])
    found = []
    for row in rows:
        reasons: list[tuple[float, str]] = []
        if copies := [case for case in alike.get(row["content_sha256"], ()) if case != row["case"]]:
            reasons.append((5.0, f"the same image as {listed(copies, _NAMED)}"))
        z = masses.get(row["case"], 0.0)
        if abs(z) > _OUTLYING:
            what = "more" if z > 0 else "less"
            reasons.append((min(abs(z), 20.0), f"{row['scar_mass_g']:.1f} g, much {what} than the others"))
        apart = abs(differences.get(row["case"], 0.0))
        if apart > _OUTLYING:
            words = f"{row['scar_mass_g']:.1f} g, and {row['reference_mass_g']:.1f} g by {row['reference_methods']} other methods"
            reasons.append((min(apart, 20.0), f"{words} (median)"))
        if qualities.get(row["case"], 0.0) < -_OUTLYING:
            reasons.append((4.0, f"image much noisier than the others (signal to noise {row['signal_to_noise']:.0f})"))
        if row["likely_wrong"]:
            reasons.append((5.0, "the model says that its mask is likely to be wrong"))
        if row["faint_places"]:
            reasons.append((2.0, "faint places that were not counted"))
        if row["state"] == "incomplete":
            reasons.append((4.0, f"incomplete: {row['message']}"))
        if row["scar_mass_low_g"] is not None and row["scar_mass_g"]:
            width = (row["scar_mass_high_g"] - row["scar_mass_low_g"]) / row["scar_mass_g"]
            if width > 1.0:
                reasons.append(
                    (min(width, 5.0), f"mass uncertain: {row['scar_mass_low_g']:.1f} to {row['scar_mass_high_g']:.1f} g")
                )
        if reasons:
            found.append(Strange(row["case"], sum(points for points, _ in reasons), [words for _, words in reasons]))
    return sorted(found, key=lambda one: -one.score)


def write_summary(cohort: Cohort) -> Path:
    """Write ``cohort.html`` into the results folder, with the pictures of the strangest studies by link. Returns its path.

    Raises:
        OutputError: it cannot be written.
    """
    rows = cohort_rows(cohort)
    counts = Counter(row["state"] for row in rows)
    measured = [row for row in rows if row["scar_pixels"] is not None]
    parts = [
        f"<h1>{counted(len(rows), 'study', 'studies')}</h1>"
        f"<p>{', '.join(f'{n} {html.escape(state)}' for state, n in counts.most_common())}. "
        "Research use only.</p>",
        *(_distribution(title, [row[name] for row in measured if row[name] is not None]) for name, title in _MEASURES.items()),
        _readers(cohort),
        _failures(rows),
        _strange(cohort, strangest(rows)),
    ]
    page = f"<!doctype html><meta charset='utf-8'><title>Cohort</title><style>{_STYLE}</style>{''.join(parts)}\n"
    write_bytes(cohort.out / SUMMARY, page.encode())
    return cohort.out / SUMMARY


def _from_references(row: Mapping[str, Any]) -> float | None:
    """How far the roots of both masses are apart."""
    if row["scar_mass_g"] is None or row["reference_mass_g"] is None:
        return None
    return float(np.sqrt(row["scar_mass_g"]) - np.sqrt(row["reference_mass_g"]))


def _scores(rows: Sequence[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], float | None]) -> dict[str, float]:
    """The modified z-score of each study that has the value."""
    values = {row["case"]: found for row in rows if (found := value(row)) is not None}
    return dict(zip(values, _modified_z(np.array(list(values.values()))).tolist(), strict=True)) if values else {}


def _modified_z(values: np.ndarray) -> np.ndarray:
    away = values - np.median(values)
    deviation = float(np.median(np.abs(away)))
    if deviation > 0:
        return 0.6745 * away / deviation
    # More than half are the same, as masses of 0 may be: the authors' way for that has the mean deviation instead.
    deviation = 1.2533 * float(np.mean(np.abs(away)))
    return np.zeros(len(values)) if deviation == 0 else away / deviation


def _distribution(title: str, values: Sequence[float]) -> str:
    if not values:
        return ""
    if f"{min(values):.3g}" == f"{max(values):.3g}":
        return f"<h2>{title}</h2><p>{values[0]:.3g} in all ({counted(len(values), 'study', 'studies')})</p>"
    counts, edges = np.histogram(values, _BINS)
    bars = "".join(
        f"<rect x='{20 * n}' y='{60 - 60 * count / counts.max():.1f}' width='18' height='{60 * count / counts.max():.1f}'>"
        f"<title>{edges[n]:.3g} to {edges[n + 1]:.3g}: {count}</title></rect>"
        for n, count in enumerate(counts)
    )
    low, middle, high = np.percentile(values, (25, 50, 75))
    words = f"median {middle:.3g}, quartiles {low:.3g} and {high:.3g}, from {min(values):.3g} to {max(values):.3g}"
    ends = f"<text y='74'>{edges[0]:.3g}</text><text x='{20 * _BINS}' y='74' text-anchor='end'>{edges[-1]:.3g}</text>"
    of = counted(len(values), "study", "studies")
    return f"<h2>{title}</h2><svg width='{20 * _BINS}' height='78'>{bars}{ends}</svg><p>{words} ({of})</p>"


def _readers(cohort: Cohort) -> str:
    lines = []
    for pair in reader_agreements(cohort):
        a, b = map(html.escape, pair.readers)
        same = "" if pair.same_verdict is None else f", the same verdict on {pair.same_verdict:.0%}"
        bias = "" if pair.mass is None else f", mass of {b} less that of {a} {pair.mass.bland_altman.bias:.2f} g on average"
        lines.append(f"<li>{a} and {b}: {counted(pair.cases, 'study', 'studies')} by both{same}{bias}</li>")
    return f"<h2>Readers</h2><ul>{''.join(lines)}</ul>" if lines else ""


def _failures(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"<li>{html.escape(r['case'])}: {html.escape(r['message'])}</li>" for r in rows if r["state"] == "failed"]
    return f"<h2>Failed</h2><ul>{''.join(lines)}</ul>" if lines else ""


def _strange(cohort: Cohort, found: Sequence[Strange]) -> str:
    blocks = []
    for one in found[:PICTURES]:
        name, why = html.escape(one.case), html.escape("; ".join(one.reasons))
        picture = (
            f"<img src='{quote(one.case)}/overlay.png' loading='lazy'>"
            if (cohort.out / one.case / "overlay.png").exists()
            else ""
        )
        blocks.append(f"<figure>{picture}<figcaption><b>{name}</b>: {why}</figcaption></figure>")
    rest = f"<p>{len(found) - PICTURES} more are less strange.</p>" if len(found) > PICTURES else ""
    return f"<h2>To look at</h2>{''.join(blocks)}{rest}" if blocks else ""


_STYLE = (
    "body{font:15px sans-serif;max-width:70em;margin:2em auto}img{max-width:100%}rect{fill:#456}text{font-size:12px}"
    "figure{margin:1em 0}"
)
