"""Where the cases of a training library lie on disk, and how a folder takes its place there, whole or not at all."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path

from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.training.datasets.case_record import RECORD
from MyoScarSegLib.utils.files import move, os_errors_as

CASES = "cases"

#: Folders on their way in and out, beside ``cases``. Only a replaced one is ever read, until its successor is in its place.
ADDING, REPLACED, REMOVING = ".adding-", ".replaced-", ".removing-"

_KEY_LETTERS = 32
_FORGOTTEN_S = 24 * 3600.0
"""After that time nobody is writing a case any more: its writer was killed."""


def put(library: Path, temporary: Path, case: str) -> None:
    """Give a written folder its place, instead of the case that may be there; the lock is held. What fails leaves the old one."""
    place = library / CASES / case
    old = library / f"{REPLACED}{uuid.uuid4().hex}-{case}"
    with os_errors_as(OutputError, f"Cannot write {place}", "Close what has it open, free some space, and try again."):
        _flush_to_disk(temporary)
        _tidy(library)
        if place.exists():
            move(place, old)
        try:
            move(temporary, place)
        except OSError:
            if old.exists():
                move(old, place)
            raise
        _flush_to_disk(library / CASES)
    shutil.rmtree(old, ignore_errors=True)


def take_away(library: Path, case: str) -> Path:
    """Move a case that is there out of its place, the lock being held. Returns the folder, which is to be deleted."""
    place, away = library / CASES / case, library / f"{REMOVING}{uuid.uuid4().hex}"
    with os_errors_as(OutputError, f"Cannot remove {place}", "Close what has it open, and try again."):
        _tidy(library)
        move(place, away)
    return away


def case_folders(library: Path) -> dict[str, Path]:
    """Name of each case to its folder, sorted; a case that a killed run was replacing is still where that run put it."""
    cases = library / CASES
    found = {p.name: p for p in cases.iterdir() if p.is_dir() and not p.name.startswith(".")} if cases.is_dir() else {}
    for orphan in library.glob(f"{REPLACED}*"):
        case = replaced_case(orphan)
        if case not in found and (orphan / RECORD).is_file():
            found[case] = orphan
    return dict(sorted(found.items()))


def replaced_case(orphan: Path) -> str:
    """The case that a folder on its way out was."""
    return orphan.name[len(REPLACED) + _KEY_LETTERS + 1 :]


def _tidy(library: Path) -> None:
    """Put back cases that a run was killed while replacing, and delete what killed runs left half written or half deleted."""
    for case, folder in case_folders(library).items():
        if folder.parent == library:
            move(folder, library / CASES / case)
    left = [*library.glob(f"{REPLACED}*"), *library.glob(f"{REMOVING}*")]  # being deleted: whoever does it minds no help
    for folder in library.glob(f"{ADDING}*"):
        with suppress(OSError):  # put to its place just now
            if time.time() - folder.stat().st_mtime > _FORGOTTEN_S:
                left.append(folder)
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)


def _flush_to_disk(folder: Path) -> None:
    """Have a folder and its files reach the disk, so that a power cut after a rename leaves no case of empty files."""
    for path in folder.iterdir():
        if path.is_file():
            _sync(path, os.O_RDWR)
    with suppress(OSError):  # Windows and some network disks cannot do that with folders
        _sync(folder, os.O_RDONLY)


def _sync(path: Path, how: int) -> None:
    handle = os.open(path, how)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
