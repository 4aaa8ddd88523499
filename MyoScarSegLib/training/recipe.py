"""How a model was trained, from its card, so that the same training can be run again with one word."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models.registry import registry
from MyoScarSegLib.training.train_job import FRESH
from MyoScarSegLib.utils.files import read_json

_FIELDS = ("mode", "augmentation", "epochs", "batch", "seed", "folds", "held_out")
_TASKS = {"sam": "segment", "yolo": "detect"}
_LAYOUTS = ("data_kind", "labels", "patients")
"""How the data that it was trained on is read; for other data, what differs is said beside."""


def recipe(model: str | Path, kind: str, *, start: str | None = None) -> dict[str, Any]:
    """What a :class:`~MyoScarSegLib.training.train_job.TrainJob` needs, beside data and folder, to train a model again.

    Args:
        model: name of a model in the registry, or path of a model file or of its card.
        kind: ``sam`` or ``yolo``.
        start: model to start from instead of the card's.

    Returns:
        Fields of the job: start model, settings, seed, and the card as the ``split``, which says who trained.

    Raises:
        ModelError: there is no such card, it is of another kind of model, does not say how the model was trained or tells of
            several trainings, or what it was trained from is not there or is another model of that name.
    """
    path = _card_of(model)
    card = read_json(path, ModelError)
    job = card.get("job") if isinstance(card, Mapping) else None
    if not isinstance(job, Mapping):
        raise ModelError(f"The card {path.name} does not say by which training the model was made, so it cannot be repeated.")
    if card.get("stages"):
        raise ModelError(f"{path.stem} was made by several trainings, which its card tells; a recipe is a single one.")
    if card.get("task") != _TASKS[kind] or job.get("kind") != kind:
        raise ModelError(f"{path.stem} is made by `train {job.get('kind')}`, not by `train {kind}`.")
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
