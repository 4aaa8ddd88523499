"""What the registry says of a model that the user keeps, taken from the model's card; and the card to read beside it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models.entry import Entry
from MyoScarSegLib.utils.json_fields import read

NOT_STATED = "not stated"
_log = logging.getLogger(__name__)


def entry_of_card(card: Mapping[str, Any], where: str) -> Entry:
    """What the registry says of a model that its card describes.

    Raises:
        ModelError: the card lacks something, or a value is wrong; the message begins with ``where``.
    """
    names = ("name", "task", "architecture", "preprocessing", "licence", "citation", "sha256", "size")
    row = {name: card.get(name) for name in names} | {"title": _title(card), "metrics": _metrics(card)}
    if row["task"] == "detect":
        row["architecture"] = "yolo"
    return read(Entry, row | {"source": {"kind": "own", "file": f"{row['name']}.safetensors"}}, ModelError, where)


def _title(card: Mapping[str, Any]) -> str:
    split, started = card.get("split"), card.get("started_from")
    patients = len(split["training"]) if isinstance(split, Mapping) and isinstance(split.get("training"), list) else 0
    begun = started.get("name") if isinstance(started, Mapping) else None
    parts = [f"trained on {patients} patients" if patients else "brought from elsewhere", f"from {begun}" if begun else ""]
    return " ".join(["Your own,", *(part for part in parts if part)])


_FIGURES = {
    "end_to_end_dice": "end_to_end dice_mean",
    "oracle_dice": "oracle dice_mean",
    "false_mass_g": "end_to_end false_mass_g_per_scar_free_patient",
    "lesions_found": "recall_iou_0.3",
    "false_boxes_per_slice": "false_boxes_per_slice",
}
"""The registry's name of a figure, and what cards call it."""


def _metrics(card: Mapping[str, Any]) -> dict[str, Any]:
    """Some of the card's figures on patients that did not train."""
    all_of, split = card.get("metrics"), card.get("split")
    figures = all_of.get("validation") if isinstance(all_of, Mapping) else None
    if not isinstance(figures, Mapping):
        return {}
    patients = split.get("validation") if isinstance(split, Mapping) else None
    measured = {name: figures[key] for name, key in _FIGURES.items() if isinstance(figures.get(key), (int, float))}
    return {"data": f"{len(patients)} validation patients", **measured} if isinstance(patients, list) and measured else measured


def readable_card(model: Path, document: Mapping[str, Any]) -> str:
    """The card to read: the training's own, which this layer cannot make anew, under the new name."""
    beside = model.with_suffix(".md")
    head = f"# {document['name']}\n\nKept from `{model.name}`, SHA-256 `{document['sha256']}`.\n"
    try:
        text = beside.read_text(encoding="utf-8") if beside.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("The card %s cannot be read and is left out: %s", beside, error)
        text = ""
    return f"{head}\n{text}" if text else f"{head}\nNothing more is known to read here; see the JSON card.\n"


def empty_card() -> dict[str, Any]:
    """The card of a model that came without one."""
    return {
        "licence": NOT_STATED, "citation": NOT_STATED, "settings": {}, "split": {"training": [], "validation": []}, "metrics": {},
        "limits": ["It came without a card: nothing is known of its data, and nobody has measured how good it is."],
    }  # fmt: skip
