"""Pictures of evaluations: agreement of mass, Dice per patient, what clicks and thresholds do, and models side by side.

They are drawn from the content of ``evaluation.json`` alone, so that they can be made again, and of several models at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MyoScarSegLib.outputs.figures import canvas, png
from MyoScarSegLib.quantification.reference import METHODS
from MyoScarSegLib.training.evaluation.summary import setting_name
from MyoScarSegLib.utils.files import remove, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colors, which color-blind readers can tell apart; dark enough for lines on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#444444")
_INK, _FAINT, _GRID = "#22262b", "#6b7480", "#e3e6ea"
_DPI = 140
_MARKERS = ("o", "s", "D", "^", "v", "P", "X")


def write_pictures(folder: Path, document: dict[str, Any]) -> None:
    """Draw everything that the evaluation gives: ``dice.png``, ``bland_altman.png``, ``clicks.png``, ``thresholds.png``.

    Those for which there are no data are left out, and an earlier evaluation's taken away.
    """
    drawn = {"dice": _dice, "bland_altman": _bland_altman, "clicks": lambda one: clicks([one]), "thresholds": _thresholds}
    for name, draw in drawn.items():
        path, figure = folder / f"{name}.png", draw(document)
        if figure is None:
            remove(path)
        else:
            save_figure(path, figure)


def compare(path: Path, documents: Sequence[dict[str, Any]]) -> None:
    """Draw several models' evaluations (contents of ``evaluation.json``, with names) side by side as the PNG ``path``: mean Dice
    with its interval in every setting. Their Dice by the number of clicks comes as ``clicks.png`` beside it.
    """
    names = list(dict.fromkeys(name for document in documents for name in document["settings"]))
    # Thresholds are no model's: they are the same in every evaluation of the same patients, and shown once.
    shown = {
        name: [n for n, d in enumerate(documents) if name in d["settings"]][: 1 if name in METHODS else None] for name in names
    }
    rows = sum(len(of) for of in shown.values()) + 0.8 * len(names)
    figure, axis = new_figure(7.4, 0.8 + 0.2 * (len(documents) // 2 + 1) + 0.24 * rows)
    at, ticks = 0.0, []
    for name, of in shown.items():
        if at > 0:
            axis.axhline(at - 0.9, color=_GRID, lw=0.8)
        ticks.append(at + (len(of) - 1) / 2)
        for number in of:
            figures = documents[number]["settings"][name]["figures"]
            value, limits = figures["dice_mean"], figures["dice_interval_95"]
            color, marker = (_FAINT, "|") if name in METHODS else _style(number)
            if value is not None:
                if limits is not None:
                    axis.plot(limits, [at, at], color=color, lw=2.2, alpha=0.45, solid_capstyle="round")
                axis.plot(value, at, marker, color=color, ms=6.5, **({"mew": 2.2} if marker == "|" else _EDGE))
                _note(axis, f"{value:.2f}", (max(limits or [value]), at), fontsize=7.5)
            at += 1
        at += 0.8
    axis.set_yticks(ticks, [setting_name(name) for name in names])
    line = "Dice per patient in 3D, patients with scar: mean and 95% interval (patient bootstrap)"
    line += "\ngrey: thresholds, which were given the expert's myocardium" * bool(set(names) & set(METHODS))
    axis.set(xlim=(0, 1), ylim=(at - 0.6, -0.8), xlabel=line)
    axis.grid(axis="y", visible=False)
    _legend_of_models(axis, documents)
    save_figure(path, figure)
    if (by_clicks := clicks(documents)) is not None:
        save_figure(path.with_name("clicks.png"), by_clicks)


def clicks(documents: Sequence[dict[str, Any]]) -> Figure | None:
    """Dice against the number of correcting clicks a slice; of one model with its patients as thin lines."""
    series = []
    for document in documents:
        settings = document["settings"]
        rounds = sorted((int(name.removeprefix("clicks_")), name) for name in settings if name.startswith("clicks_"))
        if rounds and "jittered" in settings:
            series.append((document, [(0, "jittered"), *rounds]))
    if not series:
        return None
    figure, axis = new_figure(5.6, 3.9)
    alone = len(series) == 1
    for number, (document, steps) in enumerate(series):
        color, marker = _style(number)
        figures = [document["settings"][name]["figures"] for _, name in steps]
        x = [count for count, _ in steps]
        if alone:
            for patient in figures[0]["per_patient_dice"]:
                y = [f["per_patient_dice"].get(patient) for f in figures]
                axis.plot(x, y, color=_FAINT, lw=0.7, alpha=0.45, zorder=1)
        means = [f["dice_mean"] for f in figures]
        limits = [f["dice_interval_95"] for f in figures]
        if all(limit is not None for limit in limits):
            axis.fill_between(x, *np.array(limits, dtype=float).T, color=color, alpha=0.16, lw=0, zorder=2)
        axis.plot(x, means, marker + "-", color=color, lw=2, ms=6.5, zorder=3, **_EDGE)
        for count, mean in zip(x, means, strict=True):
            if alone and mean is not None:
                _above(axis, count, f"{mean:.2f}")
    axis.set_xticks(x, ["jittered\nbox alone", *(str(count) for count in x[1:])])
    axis.set(xlim=(x[0] - 0.25, x[-1] + 0.25), ylim=(0, 1), xlabel="correcting clicks a slice", ylabel="Dice per patient (3D)")
    if alone:
        line = "above and bold: mean with its 95% interval; thin: each patient"
        axis.set_title(_headed(series[0][0], line), pad=20, **_SUBTITLE)
    else:
        _legend_of_models(axis, [document for document, _ in series])
    return figure


def _dice(document: dict[str, Any]) -> Figure | None:
    """Each patient's Dice in every setting."""
    settings = {name: entry["figures"] for name, entry in document["settings"].items() if entry["figures"]["per_patient_dice"]}
    if not settings:
        return None
    figure, axis = new_figure(max(3.6, 1.25 + 0.92 * len(settings)), 4.1)
    generator = np.random.default_rng(0)
    for number, (name, figures) in enumerate(settings.items()):
        values = np.array(list(figures["per_patient_dice"].values()))
        color = _FAINT if name in METHODS else COLORS[0]
        spread = generator.uniform(-0.17, 0.17, len(values)) if len(values) > 1 else np.zeros(1)
        axis.plot(number + spread, values, "o", color=color, alpha=0.55, ms=5, mec="white", mew=0.5, clip_on=False)
        if figures["dice_interval_95"] is not None:
            axis.plot([number + 0.32] * 2, figures["dice_interval_95"], color=_INK, lw=1.6, solid_capstyle="butt")
        axis.plot([number + 0.24, number + 0.40], [figures["dice_mean"]] * 2, color=_INK, lw=2.4)
        _above(axis, number, f"{figures['dice_mean']:.2f}")
    shown = [setting_name(name) for name in settings]
    axis.set_xticks(range(len(settings)), [name if len(name) < 7 else "\n".join(name.rsplit(" ", 1)) for name in shown])
    axis.set(xlim=(-0.5, len(settings) - 0.45), ylim=(0, 1), ylabel="Dice per patient (3D)")
    axis.grid(axis="x", visible=False)
    count = next(iter(settings.values()))["patients"]
    line = f"{count} patients with scar; above: mean; bar: its 95% interval"
    if set(settings) & set(METHODS):
        line += "; gray: thresholds, which were given the expert's myocardium"
    axis.set_title(_headed(document, line), pad=20, **_SUBTITLE)
    return figure


def _bland_altman(document: dict[str, Any]) -> Figure | None:
    """Difference against mean of predicted and true scar mass in the setting whose masses users get; of others in the one
    with the best Dice.
    """
    settings = document["settings"]
    by_dice = sorted(settings, key=lambda name: -(settings[name]["figures"]["dice_mean"] or 0.0))
    setting = next((name for name in ("end_to_end", "masks", *by_dice) if name in settings), None)
    cases = [c for c in settings[setting]["cases"] if c["mass_error_g"] is not None] if setting else []
    if setting is None or not any(c["truth_px"] for c in cases):
        return None
    figures = settings[setting]["figures"]
    with_scar = np.array([c["truth_px"] > 0 for c in cases])
    pairs = np.array([(c["truth_mass_g"], c["predicted_mass_g"]) for c in cases])
    note = f"{document['name'] + ', ' if document['name'] else ''}{setting_name(setting)}"
    limits = figures["mass_limits_of_agreement_g"]
    return draw_bland_altman(
        {"patient with scar": pairs[with_scar], "patient without scar": pairs[~with_scar]},
        figures["mass_bias_g"],
        figures["mass_bias_g_interval_95"],
        None if limits is None else (limits, limits),
        ("mean of predicted and true scar mass (g)", "predicted less true scar mass (g)"),
        note + ("; grams by assumed spacing" if figures["spacing_assumed"] else ""),
    )


def draw_bland_altman(
    groups: dict[str, np.ndarray],
    bias: float,
    bias_interval: Sequence[float] | None,
    limits: tuple[Sequence[float], Sequence[float]] | None,
    labels: tuple[str, str],
    note: str,
) -> Figure:
    """Difference (b less a) of masses in g against their mean, with bias, its interval, and limits of agreement.

    ``groups`` are ``[cases, 2]`` by the names for a legend, empty for none. ``limits`` are ``(low, high)`` at the left end of the
    plot and at the right one, which differ where the bias is proportional; ``labels`` are of the axes, ``note`` is the title.
    """
    figure, axis = new_figure(6.4, 4.2)
    pairs = np.concatenate(list(groups.values()))
    means, differences = pairs.mean(axis=1), pairs[:, 1] - pairs[:, 0]
    right = max(float(means.max()), 1e-6) * 1.05
    for (name, some), face, marker in zip(groups.items(), (COLORS[0], "white"), ("o", "D"), strict=False):
        if len(some):
            style: dict[str, Any] = {"color": COLORS[0], "mfc": face, "ms": 5.5, "mew": 1.1, "alpha": 0.8, "label": name}
            axis.plot(some.mean(axis=1), some[:, 1] - some[:, 0], marker, **style)
    axis.axhline(0, color=_FAINT, lw=0.8)
    if bias_interval is not None:
        axis.axhspan(*bias_interval, color=COLORS[1], alpha=0.14, lw=0)
    levels = [("bias", bias, bias, "-")]
    if limits is not None:
        levels += [("+1.96 SD", limits[0][1], limits[1][1], "--"), ("−1.96 SD", limits[0][0], limits[1][0], "--")]
    shown = [*differences, 0.0]
    for name, start, end, line in levels:
        axis.plot([0, right], [start, end], line, color=COLORS[1], lw=1.4)
        text = f"{name}: {end:+.1f} g".replace("-", "−")
        _note(axis, text, (1, end), coords=("axes fraction", "data"), color=COLORS[1])
        shown += [start, end]
    room = 0.08 * (max(shown) - min(shown) or 1.0)
    axis.set(
        xlim=(min(0.0, float(means.min())), right),
        ylim=(min(shown) - room, max(shown) + room),
        xlabel=labels[0],
        ylabel=labels[1],
    )
    if any(groups):
        axis.legend(ncols=2, handletextpad=0.2, **_ABOVE)
    axis.set_title(note, pad=20 if any(groups) else None, **_SUBTITLE)
    return figure


def _thresholds(document: dict[str, Any]) -> Figure | None:
    """Mean Dice against the probability threshold, where probabilities were kept."""
    curves = {
        name: entry["figures"]["dice_by_threshold"]
        for name, entry in document["settings"].items()
        if "dice_by_threshold" in entry["figures"] and not name.startswith("clicks_")
    }
    if not curves:
        return None
    figure, axis = new_figure(5.6, 3.9 + 0.17 * len(curves))
    for number, (name, curve) in enumerate(curves.items()):
        color, marker = _style(number)
        best = int(np.argmax(curve["dice_mean"]))
        label = f"{setting_name(name)}: best {curve['dice_mean'][best]:.2f} at {curve['threshold'][best]:g}"
        axis.plot(curve["threshold"], curve["dice_mean"], color=color, lw=2, label=label)
        axis.plot(curve["threshold"][best], curve["dice_mean"][best], marker, color=color, ms=7, **_EDGE)
        if len(curves) == 1 and all(limit is not None for limit in curve["dice_interval_95"]):
            axis.fill_between(curve["threshold"], *np.array(curve["dice_interval_95"]).T, color=color, alpha=0.16, lw=0)
    used = document["how"].get("threshold")
    if used is not None:
        axis.axvline(used, color=_FAINT, lw=1, ls=":")
        _note(axis, f"used: {used:g}", (used, 1), (4, -4), ("data", "axes fraction"), va="top", color=_FAINT)
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability from which on a pixel is scar", ylabel="mean Dice per patient (3D)")
    axis.legend(**_ABOVE, title=document["name"] or None, alignment="left", title_fontproperties={"size": 8.5})
    return figure


_ABOVE: dict[str, Any] = {"frameon": False, "fontsize": 8.5, "loc": "lower left", "bbox_to_anchor": (-0.015, 1.0)}
_ABOVE |= {"borderaxespad": 0.1, "labelspacing": 0.3}
_EDGE: dict[str, Any] = {"mec": "white", "mew": 0.8}
_SUBTITLE: dict[str, Any] = {"fontsize": 8.5, "color": _FAINT, "loc": "left"}


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """One plot of ``width`` by ``height`` inches, whose margins hold what is drawn there."""
    figure = canvas(width, height)
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)
    axis = figure.add_subplot()
    axis.grid(color=_GRID, lw=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(_FAINT)
    axis.tick_params(colors=_INK, labelsize=8.5, length=3, color=_FAINT)
    for labeled in (axis.xaxis, axis.yaxis):
        labeled.label.set(color=_INK, fontsize=9)
    return figure, axis


def save_figure(path: Path, figure: Figure) -> None:
    """Write a plot as PNG, atomically."""
    write_bytes(path, png(figure, _DPI))


def _style(number: int) -> tuple[str, str]:
    """Color and marker of the ``number``-th model."""
    return COLORS[number % len(COLORS)], _MARKERS[number % len(_MARKERS)]


def _note(
    axis: Axes, text: str, at: tuple[float, float], offset: tuple[float, float] = (6, 0), coords: Any = "data", **style: Any
) -> None:
    """A text some points beside a place."""
    style = {"va": "center", "fontsize": 8, "color": _INK, "annotation_clip": False, **style}
    axis.annotate(text, at, offset, xycoords=coords, textcoords="offset points", **style)


def _above(axis: Axes, x: float, text: str) -> None:
    """A number above the plot, over its place on the x axis."""
    _note(axis, text, (x, 1.0), (0, 4), ("data", "axes fraction"), ha="center", va="bottom", fontsize=9, weight="bold")


def _headed(document: dict[str, Any], line: str) -> str:
    return f"{document['name']}\n{line}" if document["name"] else line


def _legend_of_models(axis: Axes, documents: Sequence[dict[str, Any]]) -> None:
    """Above the plot, two beside each other."""
    from matplotlib.lines import Line2D

    keys = []
    for number, document in enumerate(documents):
        color, marker = _style(number)
        label = document["name"] or f"model {number + 1}"
        keys.append(Line2D([], [], color=color, marker=marker, ls="-", lw=2, ms=6, label=label, **_EDGE))
    axis.legend(handles=keys, ncols=min(2, len(keys)), **_ABOVE)
