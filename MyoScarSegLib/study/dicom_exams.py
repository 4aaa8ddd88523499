"""Which folders of a tree hold one DICOM examination: the study's UID tells, read from a few headers of each folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from MyoScarSegLib.study.names import natural_order
from MyoScarSegLib.study.pydicom_guard import import_pydicom


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

    The folders of one examination's series are joined to the folder above them that holds nothing of another examination; where
    there is none, each is a study by itself. Copies of an examination in different places are a study each.

    Args:
        exams: folders that directly hold DICOM files, to the UID of the examination.
        root: no folder above this is taken.
    """
    within: dict[Path, set[str]] = {}
    for folder, uid in exams.items():
        for place in (folder, *folder.parents):
            if not place.is_relative_to(root):
                break
            within.setdefault(place, set()).add(uid)
    together: dict[tuple[str, Path], list[Path]] = {}
    for folder, uid in exams.items():
        highest = folder
        while highest != root and within.get(highest.parent) == {uid}:
            highest = highest.parent
        together.setdefault((uid, highest), []).append(folder)
    taken: dict[Path, tuple[str, str]] = {}
    for (uid, highest), folders in together.items():
        if within[highest] == {uid}:
            series = "1 folder" if len(folders) == 1 else f"{len(folders)} folders"
            taken[Path(os.path.commonpath(folders))] = uid, f"DICOM files of one examination, in {series}"
        else:
            taken[highest] = uid, "DICOM files, above those of other examinations"
    return {
        place: why for place, (uid, why) in taken.items() if not any(taken.get(above, ("",))[0] == uid for above in place.parents)
    }
