"""Which folders of a tree hold one DICOM examination: the study's UID tells, read from a few headers of each folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from MyoScarSegLib.study.names import natural_order
from MyoScarSegLib.study.quiet_pydicom import import_pydicom


def exam_of(files: Iterable[Path]) -> str | None:
    """StudyInstanceUID of the first of some DICOM files of a folder whose header can be read; empty if it has none, None if none
    can be read.
    """
    pydicom = import_pydicom()
    for file in sorted(files, key=lambda file: natural_order(file.name)):
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["StudyInstanceUID"], force=True)
            return str(header.get("StudyInstanceUID", ""))
        except Exception:  # noqa: S112 (whatever pydicom says of a damaged file; the next may be whole)
            continue
    return None


def exam_folders(exams: Mapping[Path, str], root: Path) -> dict[Path, str]:
    """The folders to read as a study each, and why they are one.

    The folders of one examination's series are joined to the folder above them that holds all of them and nothing of another
    examination; where there is none, each is a study by itself.

    Args:
        exams: folders that directly hold DICOM files, to the UID of the examination.
        root: no folder above this is taken.
    """
    taken: dict[Path, str] = {}
    for uid in dict.fromkeys(exams.values()):
        folders = [folder for folder, of in exams.items() if of == uid]
        above = Path(os.path.commonpath(folders))
        alone = uid and all(of == uid for folder, of in exams.items() if folder.is_relative_to(above))
        if alone and above.is_relative_to(root):
            series = "1 folder" if len(folders) == 1 else f"{len(folders)} folders"
            taken[above] = f"DICOM files of one examination, in {series}"
        else:
            inside = [f for f in folders if not any(f != other and f.is_relative_to(other) for other in folders)]
            taken |= dict.fromkeys(inside, "DICOM files, beside those of other examinations")
    return taken
