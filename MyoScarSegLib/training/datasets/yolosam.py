"""YoloSAM's layout: ``train|val/images``, ``masks`` (PNG or JPEG) and ``labels`` (YOLO's boxes).

Repository Danialmoa/YoloSAM. A single ``images`` beside ``masks``, without ``train`` and ``val``, is read too. The scar is what
the masks say; the boxes in ``labels`` follow from them and are not read.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.names import PICTURE_EXTENSIONS
from MyoScarSegLib.study.pictures import picture_files, read_grey
from MyoScarSegLib.study.segments import check_cover
from MyoScarSegLib.study.tissue import INFARCT, says_scar
from MyoScarSegLib.training.datasets import labelmaps
from MyoScarSegLib.training.datasets.labeled import DataSet, LabeledSlice, none_of, noted_in, scar_only_unless_wall
from MyoScarSegLib.training.datasets.labelmaps import LabelMap
from MyoScarSegLib.training.datasets.patients import PatientRule, slice_number
from MyoScarSegLib.training.datasets.stored_stacks import Sidecar
from MyoScarSegLib.training.splits import Split, check_leakage
from MyoScarSegLib.utils.files import os_errors_as
from MyoScarSegLib.utils.progress import CancelToken, Progress, steps

TRAINING_PARTS, VALIDATION_PARTS = ("train",), ("val", "valid", "validation")
MASK_FOLDERS = ("masks", "labels")

#: JPEG spreads a mask's edge over gray values.
_JPEG_SCAR = 128


class _Read(NamedTuple):
    """A picture with its mask, whose values are the slice's labels until it is known what they mean."""

    name: str
    part: str
    mask: Path
    slice: LabeledSlice


def parts_of(folder: Path) -> dict[str, Path]:
    """Part (``"train"``, ``"val"``, or ``""`` for an undivided folder) to the folder with its ``images`` and masks."""
    found = {}
    for part, names in (("train", TRAINING_PARTS), ("val", VALIDATION_PARTS)):
        for name in names:
            if (folder / name / "images").is_dir():
                found[part] = folder / name
    if not found and (folder / "images").is_dir() and picture_files(folder / "images"):
        found[""] = folder
    return found


def read_yolosam(
    folder: Path, label_map: LabelMap | None, rule: PatientRule, progress: Progress, cancel: CancelToken | None
) -> DataSet:
    """All slices of the layout, with its own split if it has ``train`` and ``val``.

    The patient of a slice is what its name says (:class:`~MyoScarSegLib.training.datasets.patients.PatientRule`). What the masks'
    values mean is said by ``label_map``, by ``data.yaml``, or by names of files and folders; a JPEG mask has 0 and, from 128 on,
    255; of a mask with a palette the indices count.
    """
    parts = parts_of(folder)
    jobs = [(part, path, home) for part, home in parts.items() for path in picture_files(home / "images")]
    if not jobs:
        raise StudyError(f"{folder} holds no pictures in train/images, val/images or images.")
    sidecar = Sidecar.read(folder)
    skipped: dict[str, str] = {}
    read: list[_Read] = []
    for part, path, home in steps(jobs, lambda job: f"Reading {job[1].stem}", progress, cancel):
        name = f"{part}/{path.stem}" if part else path.stem
        with noted_in(skipped, name):
            mask = _mask_of(path, home)
            read.append(_Read(name, part, mask, _slice(path, mask, rule, sidecar, len(read))))
    if not read:
        raise none_of(skipped, f"pictures in {folder} can be read")
    slices = _labeled(folder, read, label_map, skipped)
    split = None
    if {"train", "val"} <= set(parts):
        split = _split(folder, read)
        check_leakage(split, slices)
    return DataSet("yolosam", sorted(slices, key=lambda s: (s.patient, s.case, s.index)), skipped, split)


def _slice(path: Path, mask_path: Path, rule: PatientRule, sidecar: Sidecar, order: int) -> LabeledSlice:
    """A picture and its mask; of a name without a number ``order`` is the slice's."""
    image, mask = _grey(path), _grey(mask_path, mask=True)
    if image.shape != mask.shape:
        raise StudyError(f"{path} has {image.shape[0]} x {image.shape[1]} pixels and its mask {mask.shape[0]} x {mask.shape[1]}.")
    if mask_path.suffix.lower() in (".jpg", ".jpeg"):
        mask = np.where(mask >= _JPEG_SCAR, 255, 0).astype(np.uint8)
    case, index = sidecar.slices.get(path.stem, ("", 0))
    facts = sidecar.cases.get(case)
    if facts is None:
        number = slice_number(path.stem)
        return LabeledSlice(rule.of_slice(path.stem), order if number is None else number, image, mask)
    extents = facts.geometry.slice_extents_mm(index + 1)
    extent = None if extents is None else float(extents[min(index, len(extents) - 1)])
    return LabeledSlice(facts.patient, index, image, mask, facts.geometry.pixel_spacing_mm, extent, case=case)


def _mask_of(path: Path, home: Path) -> Path:
    for folder in MASK_FOLDERS:
        for extension in (path.suffix, *PICTURE_EXTENSIONS):
            if (candidate := home / folder / f"{path.stem}{extension}").is_file():
                return candidate
    boxes = home / "labels" / f"{path.stem}.txt"
    hint = " (its boxes alone do not say which pixels are scar)" if boxes.is_file() else ""
    raise StudyError(f"{path} has no mask of the same name in {home / 'masks'}{hint}.")


def _grey(path: Path, *, mask: bool = False) -> np.ndarray:
    with os_errors_as(StudyError, f"{path} cannot be decoded"):
        return read_grey(path, mask=mask)


def _labeled(folder: Path, read: list[_Read], label_map: LabelMap | None, skipped: dict[str, str]) -> list[LabeledSlice]:
    """The slices with the classes that their masks' values mean."""
    if label_map is None:
        values = {int(v) for one in read for v in np.unique(one.slice.labels)}
        label_map = _meaning(folder, read, values)
        if label_map is None:
            most = max((one.slice for one in read), key=lambda one: np.count_nonzero(one.labels))
            raise labelmaps.unnamed(str(folder), values, example=(most.image[None], most.labels[None]))
    wall_known = labelmaps.knows_wall(label_map)
    slices = []
    for name, _, path, one in read:
        labels = labelmaps.apply_label_map(one.labels, label_map, str(path))
        with noted_in(skipped, name):
            check_cover(labels >= INFARCT, str(path))
            labels = labels if wall_known else scar_only_unless_wall(labels, False)[0]
            slices.append(replace(one, labels=labels, wall_known=wall_known))
    return slices


def _meaning(folder: Path, read: list[_Read], values: set[int]) -> LabelMap | None:
    """What the masks' values mean, by ``data.yaml`` for YOLO, or by where each mask lies; None if that does not say."""
    drawn = values - {0}
    if drawn in ({1}, {255}):
        for name in ("data.yaml", "data.yml", "dataset.yaml"):
            path = folder / name
            text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            if says_scar(text.partition("names:")[2], image=True):
                return labelmaps.BINARY[drawn.pop()]
    maps = [labelmaps.named_by_place(one.mask, values, folder) for one in read]
    return maps[0] if all(label_map is not None for label_map in maps) else None


def _split(folder: Path, read: list[_Read]) -> Split:
    training, validation = ({one.slice.patient for one in read if one.part == part} for part in ("train", "val"))
    both = sorted(training & validation)
    if both:
        raise StudyError(
            f"{folder} has slices of the same patients in train and in val: {', '.join(both)}. What is validated must not have "
            "been trained on: move each patient to one side. If the patient is named otherwise in the files, say how with "
            "a regular expression (--patients)."
        )
    return Split(tuple(sorted(training)), tuple(sorted(validation)))
