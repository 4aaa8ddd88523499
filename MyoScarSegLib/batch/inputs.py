"""Which studies a folder holds."""

from __future__ import annotations

from pathlib import Path

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.outputs.case_folders import is_case_folder
from MyoScarSegLib.study.names import VOLUME_EXTENSIONS, has_extension, natural_order
from MyoScarSegLib.study.reader import kind_of

_MASKS = (".seg.nrrd", ".seg.nhdr")


def study_inputs(folder: Path) -> list[Path]:
    """The studies in a folder: its volume files, and its sub-folders with DICOM files, pictures or volume files.

    A folder without any of these is taken as one study itself. Hidden files, segmentations and the program's own case
    folders are left out.

    Returns:
        Files and folders as :func:`~MyoScarSegLib.study.read_study` reads them, in natural order of their names.

    Raises:
        StudyError: there is no such folder, or nothing in it can be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StudyError(f"There is no folder {folder}.")
    inputs = _volumes(folder)
    for sub in _listed(folder):
        if sub.is_dir() and not is_case_folder(sub):
            volumes = _volumes(sub)
            inputs += volumes or ([sub] if _is_study(sub) else [])
    if inputs:
        return sorted(inputs, key=lambda path: natural_order(path.relative_to(folder).as_posix()))
    kind_of(folder)  # raises the sentence on what is wrong with it
    return [folder]


def _volumes(folder: Path) -> list[Path]:
    return [
        path
        for path in _listed(folder)
        if path.is_file() and has_extension(path, VOLUME_EXTENSIONS) and not has_extension(path, _MASKS)
    ]


def _listed(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _is_study(folder: Path) -> bool:
    try:
        kind_of(folder)
    except StudyError:
        return False
    return True
