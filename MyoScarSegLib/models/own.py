"""Models that the user keeps: trained here or brought from elsewhere, each with its card, beside those of the index.

A model is a folder ``NAME`` with ``NAME.safetensors`` and its card: ``NAME.json``, from which the registry knows it, and
``NAME.md`` to read. Folders appear and go as a whole, so a kill or a full disk leaves either the model or nothing of it.
Nothing here is ever unpickled, and nothing needs torch.
"""

from __future__ import annotations

import logging
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import ModelError, OutputError
from MyoScarSegLib.models.entry import CHECKPOINT_ENDINGS, NAME_PATTERN, Entry
from MyoScarSegLib.models.hashing import checksum_of, copy_hashed
from MyoScarSegLib.models.safetensors_header import read_header
from MyoScarSegLib.utils.files import atomic_path, move, os_errors_as, read_json, users_folder, write_bytes, write_json
from MyoScarSegLib.utils.json_fields import read
from MyoScarSegLib.utils.locks import locked
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.utils.words import counted

_LOCK = ".lock"
_ENDINGS = (*CHECKPOINT_ENDINGS["segment"], ".json", ".md")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_LONGEST_NAME_LETTERS = 64
_TEMPORARY = (".keeping-", ".removing-")
_FIGURES = {
    "end_to_end_dice": "end_to_end dice_mean",
    "oracle_dice": "oracle dice_mean",
    "false_mass_g": "end_to_end false_mass_g_per_scar_free_patient",
    "lesions_found": "recall_iou_0.3",
    "false_boxes_per_slice": "false_boxes_per_slice",
}
"""The registry's name of a figure, and what cards call it."""
_log = logging.getLogger(__name__)


def models_folder() -> Path:
    """Where the user's own models are: ``$MYOSCARSEG_MODELS``, or the system's folder for a user's data.

    It is not the cache, which anybody may empty.
    """
    mac, linux = "Application Support/MyoScarSeg/Models", "myoscarseg/models"
    return users_folder("MYOSCARSEG_MODELS", "Models", mac, "XDG_DATA_HOME", ".local/share", linux)


@dataclass(frozen=True)
class OwnModels:
    """What there is.

    Attributes:
        entries: by name, sorted.
        problems: name of each folder that cannot be used to the reason, a sentence.
    """

    entries: Mapping[str, Entry]
    problems: Mapping[str, str]


def own_models() -> OwnModels:
    """The user's models, as their cards describe them; files are not read. One that is damaged hides no other."""
    folder = models_folder()
    try:
        inside = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except FileNotFoundError:
        return OwnModels({}, {})
    except OSError as error:
        return OwnModels({}, {folder.name: f"Cannot read the folder of your models {folder}: {error.strerror}."})
    entries, problems = {}, {}
    for path in inside:
        try:
            entries[path.name] = _read_entry(path)
        except ModelError as error:
            problems[path.name] = f"Your model {path.name} cannot be used: {error} Remove it, or import it again."
    return OwnModels(entries, problems)


def own_entry(name: str) -> Entry | None:
    """The user's model of this name; None if there is none. ModelError if it is there, but its card is damaged."""
    return _read_entry(models_folder() / name) if _is_there(name) else None


def free_name(wanted: str) -> str:
    """A name that no model has: ``wanted`` itself, made fit to be a name, or with a number behind it."""
    base = re.sub(r"[^a-z0-9._-]+", "-", wanted.lower()).strip("-._")[: _LONGEST_NAME_LETTERS - 4].rstrip("-._") or "model"
    number, name = 1, base
    while _refused(name):
        number += 1
        name = f"{base}-{number}"
    return name


def keep(
    model: Path,
    card: Path,
    name: str,
    *,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> Entry:
    """Keep a model that was trained here: a copy of it and of its card, under a name of its own.

    The ``card`` is that which the training wrote beside the ``.safetensors`` file ``model``.

    Raises:
        ModelError: the name is taken or none, the file is no model, or the card is not this file's.
        OutputError: the folder of models cannot be written, or the disk is full. Nothing of the model is kept then.
    """
    return _put(Path(model), read_card(Path(card)), name, progress, cancel)


def remove(name: str) -> None:
    """Delete one of the user's models, a damaged one, too.

    Raises:
        ModelError: there is none of this name.
        OutputError: it cannot be deleted.
    """
    root = models_folder()
    with locked(root / _LOCK):
        if not _is_there(name):
            raise _no_model(name)
        folder = root / name
        aside = root / f"{_TEMPORARY[1]}{uuid.uuid4().hex}"
        # Windows: not while another program has a file of it open
        with os_errors_as(OutputError, f"Cannot delete {folder}", "Close what uses it, then try again."):
            move(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)


def export(name: str, folder: Path, progress: Progress = no_progress, cancel: CancelToken | None = None) -> Path:
    """Write ``NAME.safetensors``, ``NAME.json`` and ``NAME.md`` into a folder, for another computer. Returns the model's
    file there.

    Raises:
        ModelError: there is no such model, it is damaged, or there is another file of this name, which is not replaced.
        OutputError: the folder cannot be written.
        Cancelled: the token was set; nothing of the model is left then.
    """
    entry, folder = own_entry(name), Path(folder)
    if entry is None:
        raise _no_model(name)
    source = models_folder() / name
    target = folder / f"{name}.safetensors"
    if target.exists() and checksum_of(target) != entry.sha256:
        raise ModelError(f"{target} is another model already. Choose another folder.")
    with atomic_path(target) as temporary:
        if copy_hashed(source / target.name, temporary, progress, cancel) != entry.sha256:
            raise ModelError(f"Your model {name} is damaged: its file is not what it was when it was kept. Import it again.")
        for ending in (".json", ".md"):
            if (source / f"{name}{ending}").is_file():
                write_bytes(folder / f"{name}{ending}", (source / f"{name}{ending}").read_bytes())
    return target


def take_over(
    file: Path,
    facts: Mapping[str, str],
    name: str = "",
    *,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> Entry:
    """Keep a model from elsewhere that is known to load, see :func:`MyoScarSegLib.training.model_import.import_model`.

    Its card is looked for beside it; without one nothing is known of its data and figures, and the registry says so.
    ``facts`` are its ``task``, ``architecture`` and ``preprocessing``.

    Raises:
        ModelError: it is not what its card says, or the name is taken.
        OutputError: the folder of models cannot be written.
    """
    beside = file.with_suffix(".json")
    card = read_card(beside) if beside.is_file() else {}
    if wrong := [key for key, value in facts.items() if card.get(key, value) != value]:
        told = ", ".join(f"{key} {card[key]!r} instead of {facts[key]!r}" for key in wrong)
        raise ModelError(f"The card {beside.name} is not that of {file.name}: it says {told}.")
    wanted = name or free_name(str(card.get("name") or file.stem))
    return _put(file, {**_empty_card(), **facts, **card}, wanted, progress, cancel)


# ---- how a model is put there


def _put(model: Path, card: dict[str, Any], name: str, progress: Progress, cancel: CancelToken | None) -> Entry:
    if model.suffix != ".safetensors":
        raise ModelError(f"{model.name} is not a .safetensors file, so it cannot be kept.")
    if not model.is_file():
        raise ModelError(f"There is no model file {model}.")
    read_header(model)
    root = models_folder()
    with locked(root / _LOCK, cancel):
        _sweep(root)
        if reason := _refused(name):
            raise ModelError(reason)
        temporary = root / f"{_TEMPORARY[0]}{uuid.uuid4().hex}"
        try:
            temporary.mkdir()
            copy = temporary / f"{name}.safetensors"
            sha256 = copy_hashed(model, copy, progress, cancel)
            told = card.get("sha256")
            if told is not None and told != sha256:
                raise ModelError(
                    f"The card is not that of {model.name}, or the file was changed or damaged since: checksums differ."
                )
            document = {**card, "name": name, "file": copy.name, "sha256": sha256, "size": copy.stat().st_size}
            entry = _entry_of_card(document, f"The card of {model.name}")
            write_json(temporary / f"{name}.json", document)
            write_bytes(temporary / f"{name}.md", _readable_card(model, document).encode())
            move(temporary, root / name)
        except OSError as error:
            raise OutputError(
                f"Cannot keep the model in {root}: {error.strerror or error}. Free some space, or set "
                "MYOSCARSEG_MODELS to a folder on another disk."
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return entry


def read_card(path: Path) -> dict[str, Any]:
    """The JSON card of a model; ModelError if it cannot be read or is none."""
    document = read_json(path, ModelError)
    if not isinstance(document, dict):
        raise ModelError(f"{path} is not a model card.")
    return document


def _refused(name: str) -> str:
    """Why a model cannot be called so; empty if it can."""
    from MyoScarSegLib.models.registry import registry

    fit = (
        re.fullmatch(NAME_PATTERN, name)
        and len(name) <= _LONGEST_NAME_LETTERS
        and not name.endswith(".")
        and not _RESERVED.fullmatch(name)
    )
    if not fit or name.endswith(_ENDINGS):
        return (
            f"{name!r} cannot be a model's name: it has lower-case letters, digits, '.', '_' and '-' only, "
            f"{_LONGEST_NAME_LETTERS} at most, and does not end like a file."
        )
    if registry().ships(name):
        return f"{name} is a model that comes with MyoScarSeg. Choose another name."
    if (models_folder() / name).exists():
        return f"You have a model called {name} already. Choose another name, or remove that one first."
    return ""


def _read_entry(folder: Path) -> Entry:
    path = folder / f"{folder.name}.json"
    entry = _entry_of_card(read_card(path), str(path))
    # Else it would be listed under a name by which nothing finds it.
    if entry.name != folder.name or entry.sha256 is None:
        raise ModelError(f"{path} is of the model {entry.name}.")
    return entry


def _is_there(name: str) -> bool:
    return re.fullmatch(NAME_PATTERN, name) is not None and (models_folder() / name).is_dir()


def _no_model(name: str) -> ModelError:
    names = ", ".join(sorted(own_models().entries))
    return ModelError(f"You have no model called {name!r} of your own. There are" + (f": {names}." if names else " none."))


def _sweep(root: Path) -> None:
    """Delete what a killed process left; called with the lock held."""
    for prefix in _TEMPORARY:
        for left in root.glob(f"{prefix}*"):
            shutil.rmtree(left, ignore_errors=True)


# ---- cards


def _entry_of_card(card: Mapping[str, Any], where: str) -> Entry:
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
    parts = [
        f"trained on {counted(patients, 'patient')}" if patients else "brought from elsewhere",
        f"from {begun}" if begun else "",
    ]
    return " ".join(["Your own,", *(part for part in parts if part)])


def _metrics(card: Mapping[str, Any]) -> dict[str, Any]:
    """Some of the card's figures on patients that did not train."""
    all_of, split = card.get("metrics"), card.get("split")
    figures = all_of.get("validation") if isinstance(all_of, Mapping) else None
    if not isinstance(figures, Mapping):
        return {}
    patients = split.get("validation") if isinstance(split, Mapping) else None
    measured = {name: figures[key] for name, key in _FIGURES.items() if isinstance(figures.get(key), (int, float))}
    return {"data": f"{len(patients)} validation patients", **measured} if isinstance(patients, list) and measured else measured


def _readable_card(model: Path, document: Mapping[str, Any]) -> str:
    """The card to read: the training's own, which this layer cannot make anew, under the new name."""
    beside = model.with_suffix(".md")
    head = f"# {document['name']}\n\nKept from `{model.name}`, SHA-256 `{document['sha256']}`.\n"
    try:
        text = beside.read_text(encoding="utf-8") if beside.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("The card %s cannot be read and is left out: %s", beside, error)
        text = ""
    return f"{head}\n{text}" if text else f"{head}\nNothing more is known to read here; see the JSON card.\n"


def _empty_card() -> dict[str, Any]:
    """The card of a model that came without one."""
    return {
        "licence": "not stated", "citation": "not stated", "settings": {}, "split": {"training": [], "validation": []},
        "metrics": {},
        "limits": ["It came without a card: nothing is known of its data, and nobody has measured how good it is."],
    }  # fmt: skip
