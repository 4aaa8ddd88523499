"""From loose DICOM images to stacks: by what the images are and where they lie, not by a UID alone.

De-identified examinations may share one UID for everything, and scanners may give every breath-hold a series of its own.
So a series is first split by name, sequence, timing, kind and geometry, and what continues each other is then joined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from MyoScarSegLib.study.dicom_headers import DicomImage, says_psir
from MyoScarSegLib.study.dicom_joining import joined
from MyoScarSegLib.study.dicom_pixels import CannotDecode, forget_frames, pixels_of
from MyoScarSegLib.study.dicom_stacks import (
    MANY_PER_POSITION,
    DicomStack,
    alike,
    by_position,
    differences_of_timing,
    gathered,
    grouped,
    heights_mm,
    take_one_per_position,
    time_order,
)

#: So few slices that differ in one time only may be some that were acquired again.
_FEW_SLICES = 3


def stacks_of(images: Iterable[DicomImage]) -> list[DicomStack]:
    """Every stack among ``images``, with its key, in the order of series numbers."""
    stacks: list[DicomStack] = []
    for series in grouped(images, lambda image: image.series_uid):
        parts = [DicomStack(part) for part in _parts(series)]
        for part in parts:
            if len(parts) > 1:
                part.notes.append(
                    f"The series mixes {len(parts)} stacks of different {_differences(parts)}; this is one of them."
                )
        stacks += parts
    stacks = joined(stacks)
    _recognize_psir(stacks)
    for stack in stacks:
        take_one_per_position(stack)
    _name(stacks)
    return stacks


def _parts(series: list[DicomImage]) -> list[list[DicomImage]]:
    """The stacks of one series."""
    several_exams = len({image.study_uid for image in series}) < len(series)  # else each file was given a UID of its own

    def said(image: DicomImage) -> Hashable:
        exam = image.study_uid if several_exams else ""
        return image.patient, exam, image.series_number, image.text, image.protocol, image.method, image.modality, image.kind

    return [
        part
        for same in grouped(series, said)
        for group in gathered(same, alike)
        for timed in _split_by_timing(_without_copies(group))
        for part in _split_repeats(timed)
    ]


def _without_copies(images: list[DicomImage]) -> list[DicomImage]:
    """Leave out images with the same place and the same pixels as another; UIDs neither make nor unmake a copy."""

    def place_and_time(image: DicomImage) -> Hashable:
        place = image.instance_uid if image.position is None else tuple(np.round(image.position, 1))
        return place, image.image_type, image.trigger_time_ms, image.inversion_time_ms, image.echo_time_ms, image.acquired

    kept = []
    for same in grouped(images, place_and_time):
        kept += same if len(same) == 1 else _with_different_pixels(same)
    forget_frames()
    return kept


def _with_different_pixels(images: list[DicomImage]) -> list[DicomImage]:
    seen: dict[bytes, DicomImage] = {}
    damaged = []
    for image in images:
        try:
            seen.setdefault(pixels_of(image)[0].tobytes(), image)
        except CannotDecode:
            damaged.append(image)
    whole = {image.instance_uid for image in seen.values()}
    return [*seen.values(), *(image for image in damaged if image.instance_uid not in whole)]


def _split_by_timing(images: list[DicomImage]) -> list[list[DicomImage]]:
    """Images of two sequences differ in two times; in one alone also the echoes of a map and the slices of a stack may.

    So one counts only where it tells two whole stacks at the same positions apart.
    """
    result = []
    for group in gathered(images, lambda one, other: differences_of_timing(one, other) < 2):
        finer = gathered(group, lambda one, other: differences_of_timing(one, other) < 1)
        apart = _most_per_position(group) == 2 and len(finer) == 2
        apart = apart and all(len(part) >= _FEW_SLICES and _most_per_position(part) == 1 for part in finer)
        result += finer if apart else [group]
    return result


def _split_repeats(images: list[DicomImage]) -> list[list[DicomImage]]:
    """Two images at most positions are two stacks: as a header tells them apart, or as they were acquired."""
    positions = by_position(images)
    repeated = [group for group in positions if len(group) > 1]
    folders = grouped(images, lambda image: image.file.parent)
    if not repeated and len(folders) > 1 and not _even(images) and all(map(_even, folders)):
        return folders
    if len(repeated) < 2 or 2 * len(repeated) < len(positions):
        return [images]
    many = _most_per_position(images) >= MANY_PER_POSITION
    tell_apart: list[Callable[[DicomImage], Hashable]] = [lambda image: image.image_type, lambda image: image.signed]
    for sign in tell_apart if many else [*tell_apart, lambda image: image.file.parent]:
        groups = grouped(images, sign)
        fewest = len(positions) if many else 1
        if len(groups) > 1 and all(_most_per_position(group) == 1 and len(group) >= fewest for group in groups):
            return groups
    if many:
        return [images]
    firsts, seconds = [min(group, key=time_order) for group in repeated], [max(group, key=time_order) for group in repeated]
    begin = min(time_order(image) for image in seconds)
    for group in positions:
        if len(group) == 1:
            (firsts if time_order(group[0]) < begin else seconds).append(group[0])
    return [firsts, seconds]


def _even(images: list[DicomImage]) -> bool:
    """Whether at least three slices lie at even distances."""
    if len(images) < _FEW_SLICES or any(image.position is None or image.normal is None for image in images):
        return False
    gaps = np.diff(np.sort(heights_mm(images)))
    return bool(np.ptp(gaps) < 0.1 * gaps.mean())


def _most_per_position(images: list[DicomImage]) -> int:
    return max(len(group) for group in by_position(images))


def _recognize_psir(stacks: list[DicomStack]) -> None:
    """Believe a description that says PSIR over an image type that says only M, unless the true PSIR lies beside it.

    Some scanners mark every image with M, also the PSIR that they store with an offset, as unsigned numbers; others give
    the magnitude and the PSIR of one acquisition the same name, and only then does M tell them apart.
    """
    taken = {stack.first.description for stack in stacks if stack.first.kind == "PSIR"}
    for stack in stacks:
        first = stack.first
        by_image_type = first.kind == "magnitude" and "ImageType" in first.kind_reason
        if by_image_type and says_psir(first.text) and first.description not in taken:
            stack.images = [replace(image, kind="PSIR", kind_reason="the description says PSIR") for image in stack.images]


def _differences(parts: list[DicomStack]) -> str:
    """In what the stacks of one series differ, for a note."""
    named: dict[str, set[Any]] = {
        "matrix size": {(p.first.rows, p.first.columns) for p in parts},
        "kind": {p.first.kind or "\\".join(p.first.image_type) for p in parts},
        "name": {(p.first.text, p.first.protocol) for p in parts},
        "sequence": {(p.first.method, p.first.echo_time_ms, *p.first.timing) for p in parts},
        "pixel spacing": {p.first.pixel_spacing for p in parts},
        "orientation": {None if p.first.orientation is None else tuple(np.round(p.first.orientation, 2)) for p in parts},
    }
    return " and ".join(name for name, values in named.items() if len(values) > 1) or "acquisition"


def _name(stacks: list[DicomStack]) -> None:
    """Give each stack its key: the series number, with the part's number where there are several."""
    stacks.sort(key=lambda s: (s.first.series_number is None, s.first.series_number or 0, s.first.series_uid, s.first.kind))
    numbered = [_number(stack) for stack in stacks]
    counts = Counter(numbered)
    used: Counter[str] = Counter()
    for stack, number in zip(stacks, numbered, strict=True):
        used[number] += 1
        stack.key = number if counts[number] == 1 else f"{number}.{used[number]}"


def _number(stack: DicomStack) -> str:
    numbers = sorted({image.series_number for image in stack.images if image.series_number is not None})
    if not numbers:
        return "none"
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"
