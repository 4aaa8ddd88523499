"""Cases of a training library copied to another place: a library of their own, which can be imported again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from MyoScarSegLib.errors import OutputError, StudyError
from MyoScarSegLib.training.datasets.case_record import RECORD, THUMBNAIL, Case
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.utils.files import sha256_of
from MyoScarSegLib.utils.progress import CancelToken, Progress, no_progress, steps


def export_cases(
    library: Library,
    names: Sequence[str],
    folder: Path,
    progress: Progress = no_progress,
    cancel: CancelToken | None = None,
) -> list[str]:
    """Copy cases into a folder that is missing, empty, or a library; each whole or not at all. Returns their names.

    Raises:
        StudyError: there is no such case, it is damaged, or the folder holds something else or a case of that name.
        OutputError: a file cannot be written.
        Cancelled: ``cancel`` was set between cases; what is copied stays.
    """
    library.check_there()
    cases, damaged = library.scan()
    known = {case.case: case for case in cases}
    for name in names:
        if name not in known:
            raise StudyError(damaged.get(name) or f"{library.folder} has no case {name!r}.")
    target = Library.create(folder)
    there = target.folders()
    for name in names:
        if name in there:
            raise StudyError(f"{folder} has a case {name} already. Choose another folder.")
    exported: list[str] = []
    for name in steps(names, lambda name: f"Exporting {name}", progress, cancel):
        with target.place_for(name, cancel) as place:
            _copy(library.folders().get(name), place, known[name])
        exported.append(name)
    return exported


def _copy(source: Path | None, place: Path, case: Case) -> None:
    """The files that a record names, and no others that may lie beside them; checked after copying."""
    if source is None:
        raise StudyError(f"Case {case.case} was removed meanwhile.")
    for name in (*case.files, RECORD, THUMBNAIL):
        if name == THUMBNAIL and not (source / name).is_file():
            continue
        try:
            shutil.copyfile(source / name, place / name)
        except FileNotFoundError as error:
            raise StudyError(f"{source / name} is missing. Remove the case and add it again.") from error
        except OSError as error:
            raise OutputError(
                f"Cannot copy {source / name} to {place.parent}: {error.strerror}. Choose another folder, or free some space."
            ) from error
    # Of the copy, so that what another Slicer changed while it was made is noticed too.
    for name, digest in case.files.items():
        if sha256_of(place / name) != digest:
            raise StudyError(
                f"{source / name} is not the file that was added (its checksum differs). Accept the change, or add the case "
                "again."
            )
