"""What the index says of one model, and how an index is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, cast, get_args

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.utils.files import read_json

Task = Literal["detect", "segment"]
CHECKPOINT_ENDINGS: dict[Task, tuple[str, ...]] = {
    "detect": (".safetensors", ".pt", ".pth"),
    "segment": (".safetensors", ".pt", ".pth", ".ckpt", ".bin"),
}
"""Of the files that can be loaded as a detector and as a segmenter."""
INDEX_VERSION = 1
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""Of a model."""
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class UrlSource:
    """One file at ``url``; ``revision`` is the commit, version or release there, where the host has such."""

    kind: ClassVar = "url"
    url: str
    revision: str

    @property
    def filename(self) -> str:
        """The file's name at its source."""
        return self.url.rsplit("/", 1)[-1]

    def by_hand(self, name: str) -> str:
        """What to do on a computer without network, as sentences."""
        return f"Without network here: get {self.url} on another computer, then run `myoscarseg models import {name} FILE`."


@dataclass(frozen=True)
class WheelSource:
    """The file ``member`` inside the wheel of a Python distribution; the wheel has ``wheel_size`` bytes."""

    kind: ClassVar = "pypi"
    distribution: str
    version: str
    member: str
    wheel_size: int

    @property
    def requirement(self) -> str:
        """The wheel as pip names it."""
        return f"{self.distribution}=={self.version}"

    @property
    def filename(self) -> str:
        """The file's name at its source."""
        return self.member.rsplit("/", 1)[-1]

    def by_hand(self, name: str) -> str:
        """What to do on a computer without network, as sentences."""
        return (
            f"Without network here: run `pip download --no-deps {self.requirement}` on another computer, "
            f"then `myoscarseg models import {name} FILE` here with the wheel as FILE."
        )


@dataclass(frozen=True)
class ResourceSource:
    """The file ``file`` in ``Resources/Models``, which comes with the program."""

    kind: ClassVar = "resource"
    file: str

    @property
    def filename(self) -> str:
        """The file's name."""
        return self.file

    def by_hand(self, name: str) -> str:
        """What to do if it is missing or damaged, as sentences."""
        return f"{name} comes with MyoScarSeg: install MyoScarSeg again."


@dataclass(frozen=True)
class OwnSource:
    """The file ``file`` among the models that the user keeps; see :mod:`MyoScarSegLib.models.own`."""

    kind: ClassVar = "own"
    file: str

    @property
    def filename(self) -> str:
        """The file's name."""
        return self.file

    def by_hand(self, name: str) -> str:
        """What to do if it is missing or damaged, as sentences."""
        return f"{name} is a model of your own: remove it with `myoscarseg models remove {name}`, then keep or import it again."


Source = UrlSource | WheelSource | ResourceSource | OwnSource


@dataclass(frozen=True)
class Entry:
    """One model of the index.

    Attributes:
        name: what a user types; lower-case.
        title: one line for lists.
        task: what it does: boxes (``detect``) or masks (``segment``).
        architecture: ``sam-vit-b``, ``sam-vit-l``, ``sam-vit-h``, ``litemedsam`` or ``yolo``.
        preprocessing: id of the preprocessing that it was trained with.
        licence: SPDX id, or in words.
        citation: the paper or page to cite.
        source: where its file comes from.
        sha256: checksum of the file, or None where none is published: then the first file seen is recorded and must not change.
        size: bytes of the file, or None where unknown.
        metrics: figures with the data and split that they were measured on; may be empty.
    """

    name: str
    title: str
    task: Task
    architecture: str
    preprocessing: str
    licence: str
    citation: str
    source: Source
    sha256: str | None
    size: int | None
    metrics: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def filename(self) -> str:
        """Name of the model's file, as it is kept here."""
        return self.source.filename

    @property
    def pinned(self) -> bool:
        """Whether the index itself says what the file must be; if not, the first file seen is trusted."""
        return self.sha256 is not None


def read_index(path: Path) -> tuple[Entry, ...]:
    """The entries of an index file, in its order.

    Raises:
        ModelError: the file cannot be read, is of another version, or an entry is malformed; the message names it.
    """
    document = read_json(path, ModelError)
    version = document.get("version") if isinstance(document, dict) else None
    if version != INDEX_VERSION:
        raise ModelError(f"{path}: the model index is of version {version!r}; this program reads version {INDEX_VERSION}.")
    rows = document.get("models")
    if not isinstance(rows, list):
        raise ModelError(f"{path}: 'models' must be a list.")
    entries: dict[str, Entry] = {}
    for number, row in enumerate(rows):
        where = f"{path}: model {number} ({row.get('name') if isinstance(row, dict) else row!r})"
        entry = entry_of(row, where)
        if entry.name in entries:
            raise ModelError(f"{where}: this name is used twice.")
        entries[entry.name] = entry
    return tuple(entries.values())


def entry_of(row: Any, where: str) -> Entry:
    """The entry that an object of an index, or the record of a model of the user's own, describes.

    Raises:
        ModelError: it is malformed; the message begins with ``where``.
    """
    words = ("name", "title", "task", "architecture", "preprocessing", "licence", "citation")
    _keys(row, {*words, "source", "sha256", "size"}, {"metrics"}, where)
    texts = {key: _text(row, key, where) for key in words}
    if not NAME.fullmatch(texts["name"]):
        raise ModelError(f"{where}: a name has lower-case letters, digits, '.', '_' and '-' only.")
    if texts["task"] not in get_args(Task):
        raise ModelError(f"{where}: 'task' must be one of {', '.join(get_args(Task))}.")
    sha256, size, metrics = row["sha256"], row["size"], row.get("metrics", {})
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        raise ModelError(f"{where}: 'sha256' must be 64 lower-case hexadecimal digits, or null.")
    if not isinstance(metrics, dict):
        raise ModelError(f"{where}: 'metrics' must be an object.")
    source = _source(row["source"], where)
    if not _FILE.fullmatch(source.filename):
        raise ModelError(f"{where}: {source.filename!r} is not a plain file name.")
    return Entry(
        name=texts["name"],
        title=texts["title"],
        task=cast(Task, texts["task"]),
        architecture=texts["architecture"],
        preprocessing=texts["preprocessing"],
        licence=texts["licence"],
        citation=texts["citation"],
        source=source,
        sha256=sha256,
        size=None if size is None else _bytes(row, "size", where),
        metrics=MappingProxyType(metrics),
    )


def _source(row: Any, where: str) -> Source:
    kind = row.get("kind") if isinstance(row, dict) else None
    where = f"{where}, 'source'"
    if kind == "url":
        _keys(row, {"kind", "url", "revision"}, set(), where)
        return UrlSource(_text(row, "url", where), _text(row, "revision", where))
    if kind == "pypi":
        _keys(row, {"kind", "distribution", "version", "member", "wheel_size"}, set(), where)
        distribution, version, member = (_text(row, key, where) for key in ("distribution", "version", "member"))
        return WheelSource(distribution, version, member, _bytes(row, "wheel_size", where))
    if kind == "resource":
        _keys(row, {"kind", "file"}, set(), where)
        return ResourceSource(_text(row, "file", where))
    if kind == "own":
        _keys(row, {"kind", "file"}, set(), where)
        return OwnSource(_text(row, "file", where))
    raise ModelError(f"{where}: 'kind' must be one of url, pypi, resource, own.")


def _keys(row: Any, required: set[str], optional: set[str], where: str) -> None:
    if not isinstance(row, dict):
        raise ModelError(f"{where}: must be an object.")
    if missing := required - row.keys():
        raise ModelError(f"{where}: {', '.join(sorted(missing))} missing.")
    if unknown := row.keys() - required - optional:
        raise ModelError(f"{where}: {', '.join(sorted(unknown))} not known.")


def _text(row: dict[str, Any], key: str, where: str) -> str:
    value = row[key]
    if not isinstance(value, str) or not value.strip():
        raise ModelError(f"{where}: '{key}' must be a text.")
    return value


def _bytes(row: dict[str, Any], key: str, where: str) -> int:
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ModelError(f"{where}: '{key}' must be a positive number of bytes.")
    return value
