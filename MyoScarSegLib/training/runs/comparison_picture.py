"""A picture of a comparison: each validation patient's Dice with the model in use and with the new one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from MyoScarSegLib.training.evaluation.evaluation_pictures import COLORS, new_figure, save_figure

_MOST_NAMES = 40
_FAINT = "#8d949c"


def draw_comparison(path: Path, document: Mapping[str, Any]) -> None:
    """Draw the content of ``comparison.json`` as a PNG: an arrow for each case, from the Dice of the model in use to the new
    one's.

    Raises:
        OutputError: the file cannot be written.
    """
    rows = sorted((row for row in document["cases"] if row["has_scar"]), key=lambda row: row["new"]["end_to_end_dice"])
    false = [row for row in document["cases"] if not row["has_scar"]]
    figure, axis = new_figure(6.4, 1.5 + 0.24 * max(4, len(rows)), left=1.1, top=0.72)
    used_color, new_color = _FAINT, COLORS[0]
    for at, row in enumerate(rows):
        before, after = row["used"]["end_to_end_dice"], row["new"]["end_to_end_dice"]
        axis.plot([before, after], [at, at], color=new_color if after >= before else COLORS[1], lw=2.2, alpha=0.45, zorder=2)
        axis.plot(before, at, "o", color=used_color, ms=6, zorder=3)
        axis.plot(after, at, "o", color=new_color, ms=7, zorder=4)
    if len(rows) <= _MOST_NAMES:
        axis.set_yticks(range(len(rows)), [row["case"][:16] for row in rows])
    else:
        axis.set_yticks([])
    axis.set_ylim(-0.7, max(3.3, len(rows) - 0.3))
    axis.set_xlim(0, 1)
    grams = ""
    if false and all(row[who]["mass_g"] is not None for row in false for who in ("new", "used")):
        new, used = (sum(row[who]["mass_g"] for row in false) / len(false) for who in ("new", "used"))
        grams = f"\n{len(false)} without scar: {new:.1f} g drawn each, before {used:.1f} g"
    axis.set_xlabel(f"Dice end to end, validation patients with scar{grams}")
    axis.plot([], [], "o", color=new_color, ms=7, label=str(document["new"]["name"]))
    axis.plot([], [], "o", color=used_color, ms=6, label=f"{document['used']['name']} (in use)")
    axis.legend(frameon=False, fontsize=8.5, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    save_figure(path, figure)
