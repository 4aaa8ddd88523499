"""The files and tables of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError
from MyoScarSegLib.outputs.case_files import write_table
from MyoScarSegLib.quantification.reference import METHODS
from MyoScarSegLib.training.card import markdown_table
from MyoScarSegLib.training.evaluation.evaluation_pictures import compare, write_pictures
from MyoScarSegLib.training.evaluation.statistics import paired, rounded
from MyoScarSegLib.training.evaluation.summary import FORMAT_VERSION, Evaluation, setting_name
from MyoScarSegLib.utils.files import read_json, write_bytes, write_json
from MyoScarSegLib.utils.words import counted

_COLUMNS: dict[str, tuple[str, ...]] = {
    "Dice (95%)": ("dice_mean", "{:.3f}", "dice_interval_95", "{:.2f}"),
    "median": ("dice_median", "{:.3f}"),
    "HD95": ("hd95_3d_mm_mean", "{:.1f} mm"),
    "ASSD": ("assd_3d_mm_mean", "{:.1f} mm"),
    "mass bias (95%)": ("mass_bias_percent", "{:+.1f}%", "mass_bias_percent_interval_95", "{:+.0f}"),
    "limits of agreement": ("mass_limits_of_agreement_g", "{0[0]:+.1f} to {0[1]:+.1f} g"),
    "r": ("mass_pearson_r", "{:.2f}"),
    "mass error": ("mass_mean_absolute_error_g", "{:.1f} g"),
    "lesions found": ("lesion_recall_3d", "{:.0%}"),
    "lesions right": ("lesion_precision_3d", "{:.0%}"),
}
"""Header of a table's column to a figure and its form, and perhaps its interval and the form of that."""
_PLACES = {
    "basal scar": "dice_basal_mean",
    "mid": "dice_mid_mean",
    "apical": "dice_apical_mean",
    "all patients": "all_patients",
    "myocardium": "myocardium_dice_mean",
    "cavity": "cavity_dice_mean",
}


def write_evaluation(folder: Path, evaluation: Evaluation, *, name: str = "") -> dict[str, Any]:
    """Write ``evaluation.json``, whose content is returned, ``evaluation.csv`` (a row per setting and case), ``slices.csv`` and
    the pictures.

    Raises:
        OutputError: the folder cannot be written.
    """
    document = evaluation.document(name)
    write_json(folder / "evaluation.json", document)
    cases = [{"setting": setting, **case.row()} for setting, of in evaluation.settings.items() for case in of]
    slices = [
        {"setting": setting, "case": case.case, "patient": case.patient, **one.__dict__}
        for setting, of in evaluation.settings.items()
        for case in of
        for one in case.by_slice
    ]
    for file, rows in (("evaluation.csv", cases), ("slices.csv", slices)):
        write_table(folder / file, list(rows[0]) if rows else ["setting", "case"], rows)
    write_pictures(folder, document)
    return document


def read_evaluation(path: Path) -> dict[str, Any]:
    """An ``evaluation.json``, or the one in the folder ``path``; MyoScarSegError if it is missing or none."""
    path = Path(path)
    path = path / "evaluation.json" if path.is_dir() else path
    document = read_json(path, MyoScarSegError)
    if not isinstance(document, dict) or not isinstance(document.get("settings"), dict):
        raise MyoScarSegError(f"{path} is no evaluation: it has no settings. Give an evaluation.json of `myoscarseg evaluate`.")
    if document.get("version") != FORMAT_VERSION:
        raise MyoScarSegError(
            f"{path} has version {document.get('version')!r}; this program reads version {FORMAT_VERSION}. Evaluate again."
        )
    return document


def write_comparison(folder: Path, documents: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """Put evaluations (contents of ``evaluation.json``, with names) side by side: ``comparison.json`` and ``comparison.md``,
    whose contents are returned, ``comparison.png``, ``clicks.png``.

    Besides each one's figures there is, per setting, the mean difference of Dice to the *first* evaluation over the patients that
    both have, with its interval: patients differ more than models do, so only the paired difference tells models apart.

    Raises:
        OutputError: the folder cannot be written.
    """
    first = documents[0]
    differences = [
        {"model": other["name"], "against": first["name"], "setting": setting, **found}
        for other in documents[1:]
        for setting in other["settings"]
        if setting not in METHODS and (found := _difference(first, other, setting)) is not None
    ]
    text = markdown_of(documents)
    if differences:
        text += f"\n| Dice against {first['name']}, paired | setting | patients | difference (95%) |\n|---|---|---|---|\n"
    for one in differences:
        difference = _shown(one, "dice_difference", "{:+.3f}", "dice_difference_interval_95", "{:+.3f}")
        text += f"| {one['model']} | {setting_name(one['setting'])} | {one['patients']} | {difference} |\n"
    models = [
        {"name": d["name"], "settings": {setting: entry["figures"] for setting, entry in d["settings"].items()}}
        for d in documents
    ]
    comparison = {"version": FORMAT_VERSION, "models": models, "differences": differences}
    write_json(folder / "comparison.json", comparison)
    write_bytes(folder / "comparison.md", text.encode())
    compare(folder / "comparison.png", documents)
    return comparison, text


def _difference(first: dict[str, Any], other: dict[str, Any], setting: str) -> dict[str, Any] | None:
    if setting not in first["settings"]:
        return None
    before, after = (d["settings"][setting]["figures"]["per_patient_dice"] for d in (first, other))
    shared = [patient for patient in before if patient in after]
    found = paired([after[p] for p in shared], [before[p] for p in shared])
    if found is None:
        return None
    return {
        "patients": found.patients,
        "dice_difference": rounded(found.difference),
        "dice_difference_interval_95": rounded(found.interval_95),
    }


def text_of(document: dict[str, Any]) -> str:
    """The evaluation as tables to read in a terminal: agreement where there is scar, and false scar where there is none."""
    settings: dict[str, Any] = {name: entry["figures"] for name, entry in document["settings"].items()}
    if not any(entry["cases"] for entry in document["settings"].values()):
        return "No case could be evaluated.\n"
    first = next(iter(settings.values()))
    lines = _table([("", *_COLUMNS), *(_row(name, figures) for name, figures in settings.items())])
    scarred, free = counted(first["patients"], "patient"), counted(first["scar_free_patients"], "patient")
    lines += ["", f"Over {scarred} with scar; Dice, HD95 and ASSD in 3D per patient, intervals by patient bootstrap."]
    lines += ["", *_table([("Dice of", *_PLACES), *(_places(name, figures) for name, figures in settings.items())])]
    lines += ["", "All patients: as the EMIDEC challenge counts, 1 for an empty mask of a patient without scar, else 0 there."]
    # False scar says something only where it could arise: not where the boxes are the reference's.
    own = {name: f for name, f in settings.items() if name not in ("oracle", "jittered") and not name.startswith("clicks_")}
    if own and first["scar_free_slices"]:
        rows = [(setting_name(name), *_false_scar(figures)) for name, figures in own.items()]
        lines += ["", *_table([("false scar", "scar-free slices with some", "area each", "scar-free patients up to 1 g"), *rows])]
        lines += ["", f"Over {counted(first['scar_free_slices'], 'slice')} without scar, and {free} without scar."]
    if first["spacing_assumed"]:
        lines.append("The data has lost its spacing: millimeters and grams assume 1.4 mm pixels and 10 mm from slice to slice.")
    return "\n".join(lines) + "\n"


def markdown_of(documents: Iterable[dict[str, Any]]) -> str:
    """Evaluations as one Markdown table, a row per model and setting, thresholds once and last: for cards and the README."""
    rows: list[tuple[str, ...]] = []
    thresholds: dict[str, Any] = {}
    for document in documents:
        for name, entry in document["settings"].items():
            if name in METHODS:
                thresholds.setdefault(name, entry["figures"])
                continue
            rows.append((document["name"] or "-", *_row(name, entry["figures"])))
    rows += [("threshold in the expert's wall", *_row(name, figures)) for name, figures in thresholds.items()]
    return markdown_table(("model", "setting", *_COLUMNS), rows) + "\n"


def _row(name: str, figures: dict[str, Any]) -> tuple[str, ...]:
    return setting_name(name), *(_shown(figures, *column) for column in _COLUMNS.values())


def _places(name: str, figures: dict[str, Any]) -> tuple[str, ...]:
    figures = {**figures, "all_patients": figures["emidec"]["dice_3d_mean"]}
    return setting_name(name), *(_shown(figures, figure, "{:.3f}") for figure in _PLACES.values())


def _false_scar(f: dict[str, Any]) -> tuple[str, ...]:
    few, free = f["scar_free_patients_at_most_1_g"], f["scar_free_patients"]
    return (
        f"{f['scar_free_slices_with_false_scar']} of {f['scar_free_slices']}",
        _shown(f, "false_area_mm2_per_scar_free_slice", "{:.0f} mm²"),
        f"{few} of {free}" if free and few is not None else "-",
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.rjust(width) if n else cell.ljust(width) for n, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]


def _shown(figures: dict[str, Any], name: str, form: str, interval: str = "", of_limits: str = "") -> str:
    """A figure, and its interval in brackets if there is one."""
    value, limits = figures[name], figures.get(interval)
    if value is None:
        return "-"
    text = form.format(value)
    return text if limits is None else f"{text} ({of_limits.format(limits[0])} to {of_limits.format(limits[1])})"
