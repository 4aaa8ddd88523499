"""Model cards: what a model was trained on and how, what it can and cannot do, as JSON and to read.

A card is also the recipe of the model: the same training can be run again by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models.own import read_card
from MyoScarSegLib.models.registry import registry
from MyoScarSegLib.training.train_job import DETECTOR, FORMER_KINDS, FRESH, SEGMENTER, Kind
from MyoScarSegLib.utils.files import os_errors_as, sha256_of, write_bytes, write_json
from MyoScarSegLib.utils.words import counted

USE = "research only; not a medical device"
NOT_STATED = "not stated; that of the data holds"
EMIDEC_LICENCE = "CC-BY-NC-SA-4.0"
EMIDEC_CITATION = (
    "Lalande A. et al., Emidec: A Database Usable for the Automatic Evaluation of Myocardial Infarction from "
    "Delayed-Enhancement Cardiac MRI, Data 5(4):89 (2020)"
)
_INTERVAL = "_interval_95"
"""After a figure's name: that of its interval."""
_MOST_ROWS = 12
_NEEDED = ("name", "task", "architecture", "preprocessing", "licence", "citation", "settings", "split", "metrics")
_FIELDS = ("mode", "augmentation", "epochs", "batch", "seed", "folds", "held_out")
_TASKS = {SEGMENTER: "segment", DETECTOR: "detect"}
_LAYOUTS = ("data_kind", "labels", "patients")
"""How the data that it was trained on is read; for other data, what differs is said beside."""


def write_card(model: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``MODEL.json`` and ``MODEL.md`` beside a model file, each atomically. Returns the JSON card.

    The ``record`` is JSON-ready and has at least what :data:`_NEEDED` names; what else it tells is kept, too. Checksum
    and size are taken from the file.
    """
    if missing := [name for name in _NEEDED if name not in record]:
        raise ModelError(f"A model card needs {', '.join(missing)}.")
    with os_errors_as(ModelError, f"The model {model} cannot be read"):
        facts = {"file": model.name, "sha256": sha256_of(model), "size": model.stat().st_size, "use": USE}
    card = {**record, **facts}
    write_json(model.with_suffix(".json"), card)
    write_bytes(model.with_suffix(".md"), markdown(card).encode())
    return card


def mend_card(model: Path) -> None:
    """Write the card of a model anew if it is of another file: a crash may have come between the two."""
    path = model.with_suffix(".json")
    try:
        if path.stat().st_mtime_ns >= model.stat().st_mtime_ns:
            return  # it was written after the model
    except OSError as error:
        raise ModelError(f"{error.filename} cannot be read: {error.strerror}.") from error
    card = read_card(path)
    if card.get("sha256") != sha256_of(model):
        write_card(model, card)


def markdown(card: Mapping[str, Any]) -> str:
    """A model card as Markdown."""
    split = card["split"]
    option = "--detector" if card["task"] == "detect" else "--segmenter"
    facts = {
        "Network": card["architecture"],
        "Task": card["task"],
        "Preprocessing": card["preprocessing"],
        "File": f"`{card['file']}`, {card['size']} bytes, SHA-256 `{card['sha256']}`",
        "Threshold": _threshold(card),
        "License": card["licence"] + (f"; {card['licence_note']}" if card.get("licence_note") else ""),
        "Cite": card["citation"],
        "Use": f"`myoscarseg segment INPUT -o OUT {option} {card['file']}`",
    }
    parts = [f"# {card['name']}", f"**{USE.capitalize()}.**", markdown_table(("", ""), [(k, v) for k, v in facts.items() if v])]
    parts += ["## Data", _data(card)]
    counts = f"{counted(len(split['training']), 'patient')} trained, {len(split['validation'])} validated"
    parts.append(f"{counts}; the manifest is `split` in the JSON card.")
    parts += ["## How it was made", *_making(card)]
    parts += ["## Figures", *_figures(card["metrics"])]
    if ablation := card.get("ablation"):
        parts += ["## What each network brings", str(ablation["note"]), markdown_table(ablation["columns"], ablation["rows"])]
    if card.get("limits"):
        parts += ["## Limits and known failures", "\n".join(f"- {limit}" for limit in card["limits"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def _threshold(card: Mapping[str, Any]) -> str:
    if "confidence" not in card:
        return ""
    chosen_on = card.get("confidence_chosen_on", "")
    return f"{card['confidence']:g}" + (f", chosen on {chosen_on}" if chosen_on and chosen_on != "given" else "")


def _data(card: Mapping[str, Any]) -> str:
    data = card.get("data")
    if not isinstance(data, Mapping):
        return str(data or "Not stated.")
    counted = {"patients": "patients", "slices": "slices", "slices_with_scar": "slices with scar"}
    counts = ", ".join(f"{data[key]} {words}" for key, words in counted.items() if key in data)
    sentences = [f"A data set of the kind {data.get('kind', 'unknown')}" + (f": {counts}." if counts else ".")]
    sentences += [str(note) for note in data.get("notes", ())]
    if data.get("skipped"):
        sentences.append(f"{len(data['skipped'])} could not be read and are listed in the JSON card.")
    return " ".join(sentences)


def _making(card: Mapping[str, Any]) -> list[str]:
    parts = []
    if card.get("command"):
        parts.append(f"```\n{card['command']}\n```")
    if started := card.get("started_from"):
        name = started.get("name") if isinstance(started, Mapping) else started
        parts.append(f"Started from {name}.")
    known = [(key.replace("_", " "), card[key]) for key in ("program", "seed", "seconds", "cores", "device") if key in card]
    parts.append(markdown_table(("Setting", "Value"), [*known, *_flat(card["settings"])]))
    losses = card.get("losses") or ()
    if losses:
        names = [name for name in losses[-1] if name != "epoch"]
        rows = [(row.get("epoch", ""), *(_text(row.get(name)) for name in names)) for row in _some(losses)]
        parts.append(markdown_table(("Epoch", *(name.replace("_", " ") for name in names)), rows))
    return parts


def _figures(metrics: Mapping[str, Any]) -> list[str]:
    """Sets of figures side by side; those of one set have the same names."""
    if not metrics:
        return ["Not measured."]
    sets = {name: figures for name, figures in metrics.items() if isinstance(figures, Mapping)}
    if not sets:
        sets = {"value": metrics}
    names = list(dict.fromkeys(name for figures in sets.values() for name in figures))
    rows = []
    for name in names:
        values = [figures.get(name) for figures in sets.values()]
        if name.endswith(_INTERVAL) or any(isinstance(value, (Mapping, list, tuple)) for value in values):
            continue
        limits = [figures.get(name.removesuffix("_mean") + _INTERVAL) for figures in sets.values()]
        rows.append((name.replace("_", " "), *(_with_limits(v, pair) for v, pair in zip(values, limits, strict=True))))
    note = "In brackets: 95% intervals by drawing patients anew. What is not in the table is in the JSON card."
    return [markdown_table(("", *(name.replace("_", " ") for name in sets)), rows), note]


def _with_limits(value: Any, limits: Any) -> str:
    if not isinstance(limits, (list, tuple)) or len(limits) != 2:
        return _text(value)
    return f"{_text(value)} ({_text(limits[0])} to {_text(limits[1])})"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            shown = ", ".join(_text(v) for v in value) if isinstance(value, (list, tuple)) else _text(value)
            rows.append((f"{prefix}{name}", shown))
    return rows


def _some(rows: Sequence[Any]) -> list[Any]:
    """The first, the last, and some between."""
    if len(rows) <= _MOST_ROWS:
        return list(rows)
    return [rows[round(n * (len(rows) - 1) / (_MOST_ROWS - 1))] for n in range(_MOST_ROWS)]


def markdown_table(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table, without a line's end."""

    def line(cells: Sequence[Any]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return "\n".join([line(header), "|" + "---|" * len(header), *(line(row) for row in rows)])


def recipe(model: str | Path, kind: Kind, *, start: str | None = None) -> dict[str, Any]:
    """What a :class:`~.train_job.TrainJob` needs, beside data and folder, to train a model of the registry, of a file or of a
    card again: start model (``start``, or the card's), settings, seed, and the card as the ``split``, which says who trained.

    Raises:
        ModelError: there is no such card, it is of another kind of model than ``kind``, does not say how
            the model was trained or tells of several trainings, or the start model is not there or is another of that name.
    """
    path = _card_of(model)
    card = read_card(path)
    job = card.get("job")
    if not isinstance(job, Mapping):
        raise ModelError(f"The card {path.name} does not say by which training the model was made, so it cannot be repeated.")
    if card.get("stages"):
        raise ModelError(f"{path.stem} was made by several trainings, which its card tells; a recipe is a single one.")
    made = FORMER_KINDS.get(job.get("kind", ""), job.get("kind"))
    if card.get("task") != _TASKS[kind] or made != kind:
        raise ModelError(f"{path.stem} is made by `train {made}`, not by `train {kind}`.")
    fields = {name: job[name] for name in (*_FIELDS, *_LAYOUTS) if job.get(name) is not None}
    options = job.get("options")
    return {
        **fields,
        "start": start or _start_of(card, job, path.name),
        "options": dict(options) if isinstance(options, Mapping) else {},
        "split": path if isinstance(card.get("split"), Mapping) else None,
    }


def _card_of(model: str | Path) -> Path:
    path = Path(model)
    if path.suffix not in (".json", ".safetensors"):
        path = registry().path(str(model))
    path = path.with_suffix(".json")
    if not path.is_file():
        raise ModelError(f"There is no card {path}. A recipe is the card that a training wrote beside its model.")
    return path


def _start_of(card: Mapping[str, Any], job: Mapping[str, Any], name: str) -> str:
    """The model that it was trained from, by name: the default one of that time may be another one now."""
    if job.get("start") == FRESH:
        return FRESH
    told = card.get("started_from")
    start = str(told.get("name") or "") if isinstance(told, Mapping) else str(told or "")
    expected = told.get("sha256") if isinstance(told, Mapping) else None
    try:
        found = registry().checksum(start)
    except ModelError as error:
        said = f"By the card {name} the model was trained from {start or 'one that it does not name'}."
        raise ModelError(f"{said} {error} Or say which to start from.") from error
    if expected and found != expected:
        said = f"By the card {name} the model was trained from another {start} than the one that is there now."
        raise ModelError(f"{said} Say which to start from.")
    return start
