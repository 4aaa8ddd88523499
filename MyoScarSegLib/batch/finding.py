"""Which studies a tree of folders holds, and of everything else why it is none."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.outputs.case_folders import is_case_folder
from MyoScarSegLib.study.dicom_exams import exam_folders, exam_of
from MyoScarSegLib.study.dicom_files import is_dicom
from MyoScarSegLib.study.names import (
    ARCHIVE_EXTENSIONS,
    DICOM_EXTENSIONS,
    PICTURE_EXTENSIONS,
    VOLUME_EXTENSIONS,
    has_extension,
    is_segmentation,
    natural_order,
)
from MyoScarSegLib.study.reader import kind_of

RESULTS = ".myoscarseg-results"
"""An empty file that marks a folder of results, in which no study is looked for."""
_BESIDE_A_HEADER = (".img", ".img.gz", ".raw", ".zraw")


@dataclass(frozen=True)
class Found:
    """A file or folder that was looked at.

    Attributes:
        path: of it.
        taken: it is read as a study.
        why: it was taken or left.
    """

    path: Path
    taken: bool
    why: str


def study_inputs(folder: Path) -> list[Path]:
    """The studies in a folder and all folders below it, in natural order of their names; see :func:`find_studies`.

    Raises:
        StudyError: there is no such folder, or nothing in it can be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StudyError(f"There is no folder {folder}.")
    inputs = [found.path for found in find_studies([folder]) if found.taken]
    if not inputs:
        kind_of(folder)  # raises the sentence on what is wrong with it
        raise StudyError(f"The folder {folder} holds no study.")
    return inputs


def find_studies(roots: Sequence[Path], out: Path | None = None) -> list[Found]:
    """Look through trees for volume files, DICOM examinations and folders of pictures.

    Hidden files and folders, links to folders, segmentations, archives and the program's own results are left; the same file or
    folder below two roots is taken once.

    Args:
        out: folder for the results; nothing in it is looked at.

    Returns:
        All that was taken or left, root after root, in natural order of the paths.

    Raises:
        StudyError: a root is missing.
    """
    found: dict[Path, Found] = {}
    for root in map(Path, roots):
        if not root.exists():
            raise StudyError(f"There is no file or folder {root}.")
        look = _Look(root, None if out is None else Path(out).resolve())
        if root.is_dir():
            look.into(root)
        else:
            look.at_file(root)
        for one in sorted(look.all(), key=lambda one: natural_order(one.path.as_posix())):
            found.setdefault(one.path.resolve() if one.taken else one.path.absolute(), one)
    return list(found.values())


class _Look:
    """One search through the files and folders below a root."""

    def __init__(self, root: Path, out: Path | None) -> None:
        self._root, self._out = root, out
        self._found: list[Found] = []
        self._exams: dict[Path, str] = {}

    def all(self) -> Iterable[Found]:
        exams = exam_folders(self._exams, self._root)
        others = (one for one in self._found if one.path not in exams)  # beside the folders of its series it may hold anything
        return [*others, *(Found(folder, True, why) for folder, why in exams.items())]

    def into(self, folder: Path) -> None:
        """Look at a folder and all below it."""
        try:
            entries = sorted((e for e in folder.iterdir() if not e.name.startswith(".")), key=lambda e: natural_order(e.name))
            case, ours = is_case_folder(folder), (folder / RESULTS).exists()
        except OSError as error:
            self._leave(folder, f"it cannot be read ({error.strerror})")
            return
        if case or ours or folder.resolve() == self._out:
            if folder.resolve() != self._out or not case:
                self._leave(folder, "results of this program")
            return
        before = len(self._found) + len(self._exams)
        files = [e for e in entries if os.path.isfile(e)]  # noqa: PTH113 (of a link into a locked folder Path.is_file() raises)
        pictures = [file for file in files if has_extension(file, PICTURE_EXTENSIONS)]
        volumes = [file for file in files if has_extension(file, VOLUME_EXTENSIONS)]
        others = [file for file in files if file not in {*pictures, *volumes}]
        dicom = self._dicom(folder, others)
        for file in volumes:
            self.at_file(file)
        for file in others:
            archive = has_extension(file, ARCHIVE_EXTENSIONS) and not has_extension(file, _BESIDE_A_HEADER)
            if archive and not (dicom and is_dicom(file)):
                self._leave(file, "an archive: unpack it")
        if pictures and not dicom:
            if volumes:
                self._leave(folder, f"its {len(pictures)} PNG or JPEG pictures lie beside volume files")
            else:
                self._found.append(Found(folder, True, f"{len(pictures)} PNG or JPEG pictures"))
        below = [entry for entry in entries if os.path.isdir(entry)]  # noqa: PTH112 (likewise)
        for entry in sorted({*entries} - {*files, *below}):
            self._leave(entry, "a link to nothing that can be reached" if entry.is_symlink() else "neither a file nor a folder")
        if len(self._found) + len(self._exams) == before and (files or not below):
            self._leave(folder, _nothing_in(files))
        for entry in below:
            if entry.is_symlink():
                self._leave(entry, "a link to a folder, which is not followed")
            else:
                self.into(entry)

    def at_file(self, file: Path) -> None:
        """Take a volume file, or leave it."""
        if is_segmentation(file):
            self._leave(file, "a segmentation")
            return
        try:
            self._found.append(Found(file, True, f"a {kind_of(file)} file"))
        except StudyError as error:
            self._leave(file, str(error))

    def _dicom(self, folder: Path, files: list[Path]) -> bool:
        """Whether files of a folder are DICOM or ought to be; then its examination is remembered."""
        named = [file for file in files if has_extension(file, DICOM_EXTENSIONS)]
        first = next((file for file in files if file.name.upper() != "DICOMDIR" and is_dicom(file)), None)
        if first is None and not named:
            return False
        self._exams[folder] = (None if first is None else exam_of([first])) or f"unknown: {folder}"
        return True

    def _leave(self, path: Path, why: str) -> None:
        self._found.append(Found(path, False, why))


def _nothing_in(files: Sequence[Path]) -> str:
    if not files:
        return "empty"
    kinds = Counter("".join(file.suffixes[-1:]) or "no extension" for file in files)
    return "nothing that can be read: " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(4))
