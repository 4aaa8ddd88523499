"""Which image belongs to which labels in a folder of volumes.

Understood are, with any of the names below for the folders and endings:

- ``images/a.nii.gz`` with ``labels/a.nii.gz`` (nnU-Net's ``imagesTr/a_0000.nii.gz`` with ``labelsTr/a.nii.gz``);
- ``Case_P001/Images/Case_P001.nii.gz`` with ``Case_P001/Contours/Case_P001.nii.gz`` (EMIDEC's own);
- ``a/image.nrrd`` with ``a/segmentation.seg.nrrd``, or several such by their names (ACDC's ``a_frame01.nii.gz`` with
  ``a_frame01_gt.nii.gz``);
- ``a_lge.nii.gz`` with ``a_labels.nii.gz``.

Images may be folders of DICOM files, and labels in a folder of labels DICOM segmentations or structure sets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from MyoScarSegLib.study.names import DICOM_EXTENSIONS, VOLUME_EXTENSIONS, has_extension, is_segmentation, natural_order, stem

IMAGE_FOLDERS = ("images", "imagestr", "image", "volumes", "lge", "scans")
LABEL_FOLDERS = ("labels", "labelstr", "label", "masks", "mask", "segmentations", "contours", "annotations", "gt", "ground_truth")

_IMAGE_ENDING = re.compile(r"(?:^|[_\-. ])(?:lge|image|img|volume|vol|psir|scan|orig|0000)$", re.IGNORECASE)
LABEL_WORDS = "labels?|masks?|seg|segmentations?|contours?|annotations?|gt|ground_?truth|scar|infarct(?:ion)?"
_LABEL_ENDING = re.compile(rf"(?:^|[_\-. ])(?:{LABEL_WORDS})$", re.IGNORECASE)
_OTHER_CHANNEL = re.compile(r"_000[1-9]$")
_EMIDEC_CASE = re.compile(r"Case_[PNE]?\d+")
_ACDC_LABELS = re.compile(r"patient\d+_frame\d+_gt")


class Pair(NamedTuple):
    """The two files of one case."""

    case: str
    image: Path
    labels: Path


Pairs = tuple[list[Pair], dict[str, str]]
"""The pairs of a folder in natural order of their names, and why other cases are none."""


def find_pairs(folder: Path) -> Pairs:
    """The images of ``folder`` with their labels; no pair and nothing skipped if it holds no volumes at all."""
    image_folder, label_folder = subfolder(folder, IMAGE_FOLDERS), subfolder(folder, LABEL_FOLDERS)
    if image_folder is not None and label_folder is not None and any(_labels_in(label_folder)):
        return _by_name(_images(image_folder), _labels_in(label_folder))
    files = volumes_in(folder)
    if files:
        return _by_name(*_told_apart(files))
    pairs: list[Pair] = []
    skipped: dict[str, str] = {}
    for case in folders_in(folder):
        of_case, reasons = _of_case_folder(case)
        pairs += of_case
        skipped |= reasons
    return pairs, skipped


def in_emidecs_layout(labels: Path) -> bool:
    """Whether a label file lies where EMIDEC has them: ``Case_P004/Contours/``, beside ``Case_P004/Images``."""
    case = labels.parent.parent
    return labels.parent.name == "Contours" and (case / "Images").is_dir() and _EMIDEC_CASE.fullmatch(case.name) is not None


def in_acdcs_layout(labels: Path) -> bool:
    """Whether a label file is named as in ACDC: ``patient001_frame01_gt``."""
    return _ACDC_LABELS.fullmatch(stem(labels)) is not None


def _of_case_folder(case: Path) -> Pairs:
    image_folder, label_folder = subfolder(case, IMAGE_FOLDERS), subfolder(case, LABEL_FOLDERS)
    images, labels = _told_apart(volumes_in(case))
    images = images if image_folder is None else _images(image_folder)
    labels = labels if label_folder is None else _labels_in(label_folder)
    if len(images) == len(labels) == 1:
        return [Pair(case.name, images[0], labels[0])], {}
    several = _by_name(images, labels)[0]
    if len(several) == len(images) == len(labels):  # or none at all
        return several, {}
    holds = f"{case} holds {len(images)} images and {len(labels)} label files; a case has one of each "
    return [], {case.name: holds + "(labels end in _labels, _seg or _mask, or lie in a folder labels/)"}


def _told_apart(files: list[Path]) -> tuple[list[Path], list[Path]]:
    """Images, and label files by their ending or extension."""
    labels = [p for p in files if is_segmentation(p) or _LABEL_ENDING.search(stem(p))]
    return [p for p in files if p not in labels], labels


def _by_name(images: list[Path], labels: list[Path]) -> Pairs:
    pairs: list[Pair] = []
    skipped: dict[str, str] = {}
    images = [p for p in images if not _OTHER_CHANNEL.search(stem(p))]
    by_stem: dict[str, list[Path]] = {}
    for path in labels:
        for key in {stem(path), _LABEL_ENDING.sub("", stem(path))}:
            by_stem.setdefault(key, []).append(path)
    used: set[Path] = set()
    for image in images:
        full = stem(image)
        case = _IMAGE_ENDING.sub("", full) or full
        fitting = by_stem.get(full) or by_stem.get(case) or []
        if len(fitting) == 1:
            pairs.append(Pair(case, image, fitting[0]))
            used.add(fitting[0])
        elif fitting:
            skipped[case] = f"{image} has several label files: {', '.join(p.name for p in fitting)}"
            used.update(fitting)
        else:
            skipped[case] = f"{image} has no labels of the same name"
    for path in labels:
        if path not in used:
            skipped.setdefault(stem(path), f"{path} has no image of the same name")
    return pairs, skipped


def subfolder(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The first folder in ``folder`` that has one of these names, whatever its capitals; None if there is none."""
    by_name = {p.name.lower(): p for p in folder.iterdir() if p.is_dir()}
    return next((by_name[name] for name in names if name in by_name), None)


def volumes_in(folder: Path) -> list[Path]:
    """The files in a folder that are named like volumes, in natural order."""
    return _sorted(p for p in folder.iterdir() if p.is_file() and has_extension(p, VOLUME_EXTENSIONS))


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, in natural order."""
    return _sorted(p for p in folder.iterdir() if p.is_dir())


def _sorted(paths: Iterable[Path]) -> list[Path]:
    return sorted((p for p in paths if not p.name.startswith(".")), key=lambda p: natural_order(p.name))


def _labels_in(folder: Path) -> list[Path]:
    """Volumes, and DICOM segmentations and structure sets, each a file."""
    return volumes_in(folder) + _sorted(p for p in folder.iterdir() if p.is_file() and has_extension(p, DICOM_EXTENSIONS))


def _images(folder: Path) -> list[Path]:
    """Volumes, and folders (DICOM series or pictures of one stack each)."""
    return volumes_in(folder) + folders_in(folder)
