"""From loose DICOM images to stacks: one image per slice position, of one kind, matrix and orientation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from MyoScarSegLib.study.dicom_headers import DicomImage, says_psir
from MyoScarSegLib.study.names import natural_order
from MyoScarSegLib.study.study import Geometry

#: Images nearer than this along the normal show the same slice.
_SAME_POSITION_MM = 0.1
#: Cosines may differ by this much (about half a degree) within one stack.
_SAME_ORIENTATION = 0.01
#: Positions that repeat at least this often are cardiac phases or a series of inversion times, not repetitions.
MANY_PER_POSITION = 3
#: Gaps within this fraction, and this many mm, of the usual are even.
_EVEN_FRACTION, _EVEN_MM = 0.01, 0.02
#: A slice may lie this far off the straight line through the stack before it counts as shifted in plane.
_STRAIGHT_MM = 0.1
#: Series of so few slices may be pieces of one stack, acquired breath-hold by breath-hold.
_PIECE = 2


@dataclass
class DicomStack:
    """A stack of images at distinct positions.

    Attributes:
        images: all of them, as found.
        slices: the one image taken for each position, in the order of the positions along the normal.
        key: see :class:`~MyoScarSegLib.study.series.Series`.
        notes: what a reader of the result should know of the choice of images.
    """

    images: list[DicomImage]
    slices: list[DicomImage] = field(default_factory=list)
    key: str = ""
    notes: list[str] = field(default_factory=list)
    per_position: int = 1

    @property
    def first(self) -> DicomImage:
        """The image that stands for the stack's headers."""
        return self.slices[0] if self.slices else self.images[0]

    @property
    def has_positions(self) -> bool:
        """Whether every image says where it lies."""
        return all(image.position is not None and image.orientation is not None for image in self.images)


def stacks_of(images: Iterable[DicomImage]) -> list[DicomStack]:
    """Every stack among ``images``, with its key, in the order of series numbers."""
    by_series: dict[str, list[DicomImage]] = defaultdict(list)
    for image in images:
        by_series[image.series_uid].append(image)
    stacks: list[DicomStack] = []
    for series in by_series.values():
        parts = _parts(_without_copies(series))
        for part in parts:
            if len(parts) > 1:
                part.notes.append(
                    f"The series mixes {len(parts)} stacks of different {_differences(parts)}; this is one of them."
                )
        stacks += parts
    stacks = _joined(stacks)
    _recognise_psir(stacks)
    for stack in stacks:
        _take_one_per_position(stack)
    _name(stacks)
    return stacks


def geometry_of(stack: DicomStack) -> tuple[Geometry, str]:
    """Geometry of a stack's slices, and a sentence on what is missing for it (then the spacing is None)."""
    first = stack.first
    if not stack.has_positions:
        distance = _declared_distance(stack.slices)
        if distance and first.pixel_spacing:
            stack.notes.append(
                f"The DICOM headers do not say where the slices lie; their distance of {distance:.4g} mm is given by the headers."
            )
            return Geometry((first.pixel_spacing[1], first.pixel_spacing[0], distance)), ""
        return Geometry(None), "The DICOM headers lack the position or orientation of the slices, so their distance is unknown."
    assert first.orientation is not None and first.normal is not None  # noqa: S101 - has_positions says so
    origins = np.array([image.position for image in stack.slices])
    direction = np.stack([first.orientation[:3], first.orientation[3:], first.normal], axis=1)
    origin = (float(origins[0, 0]), float(origins[0, 1]), float(origins[0, 2]))
    if first.pixel_spacing is None:
        return Geometry(None, origin, direction), "The DICOM headers have no usable pixel spacing."
    row_spacing, column_spacing = first.pixel_spacing
    if len(origins) < 2:
        thickness = first.thickness_mm or 1.0
        return Geometry((column_spacing, row_spacing, thickness), origin, direction), ""
    along = origins[-1] - origins[0]
    cosine = float(along @ first.normal / np.linalg.norm(along))
    positions = origins @ first.normal
    straight = origins[0] + np.outer((positions - positions[0]) / (positions[-1] - positions[0]), along)
    shifted = np.abs(origins - straight).max() > _STRAIGHT_MM
    if shifted:
        stack.notes.append("The slices are shifted against each other in plane by differing amounts; each keeps its own place.")
        cosine = 1.0
    elif np.linalg.norm(along - (along @ first.normal) * first.normal) > _STRAIGHT_MM:
        direction[:, 2] = along / np.linalg.norm(along)
    else:
        cosine = 1.0
    gaps = np.diff(positions)
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])
    even = np.abs(gaps - gaps.mean()).max() <= max(_EVEN_MM, _EVEN_FRACTION * gaps.mean())
    distance = float(gaps.mean()) if even else usual
    own_places = not even or bool(shifted)
    return Geometry(
        spacing_mm=(column_spacing, row_spacing, distance / cosine),
        origin_mm=origin,
        direction=direction,
        slice_positions_mm=positions if own_places else None,
        slice_origins_mm=origins if own_places else None,
    ), ""


def _declared_distance(slices: list[DicomImage]) -> float | None:
    """Distance between slices without positions: by even slice locations, else the header's spacing between slices."""
    locations = [image.slice_location for image in slices]
    if all(location is not None for location in locations):
        gaps = np.diff(np.array(locations, dtype=float))
        if len(gaps) and gaps.min() > 0 and np.ptp(gaps) <= _EVEN_MM + _EVEN_FRACTION * gaps.mean():
            return float(gaps.mean())
    distances = {image.slice_distance_mm for image in slices}
    distance = distances.pop()
    return abs(distance) if distance and not distances else None


def _without_copies(images: list[DicomImage]) -> list[DicomImage]:
    seen: dict[tuple[str, int | None], DicomImage] = {}
    for image in images:
        seen.setdefault((image.instance_uid, image.frame), image)
    return list(seen.values())


def _parts(images: list[DicomImage]) -> list[DicomStack]:
    """A series split by matrix, spacing, orientation and kind, and by image type where positions repeat because of it."""
    groups: list[list[DicomImage]] = []
    for image in images:
        group = next((group for group in groups if _alike(group[0], image)), None)
        if group is None:
            groups.append([image])
        else:
            group.append(image)
    parts = []
    for group in groups:
        parts += [DicomStack(part) for part in _split_repeats(group)]
    return parts


def _alike(one: DicomImage, other: DicomImage) -> bool:
    if (one.rows, one.columns, one.kind, one.samples) != (other.rows, other.columns, other.kind, other.samples):
        return False
    if (one.orientation is None) != (other.orientation is None) or (one.pixel_spacing is None) != (other.pixel_spacing is None):
        return False
    if one.pixel_spacing is not None and not np.allclose(one.pixel_spacing, other.pixel_spacing or (0, 0), rtol=1e-3):
        return False
    return one.orientation is None or bool(np.abs(one.orientation - other.orientation).max() <= _SAME_ORIENTATION)


def _split_repeats(images: list[DicomImage]) -> list[list[DicomImage]]:
    """Two images at every position are two stacks if a header tells them apart everywhere."""
    if _most_per_position(images) < 2:
        return [images]
    tell_apart: tuple[Callable[[DicomImage], Hashable], ...] = (lambda image: image.image_type, lambda image: image.signed)
    for sign in tell_apart:
        groups: dict[Hashable, list[DicomImage]] = defaultdict(list)
        for image in images:
            groups[sign(image)].append(image)
        whole = len(_by_position(images))
        if len(groups) > 1 and all(_most_per_position(group) == 1 and len(group) == whole for group in groups.values()):
            return list(groups.values())
    return [images]


def _most_per_position(images: list[DicomImage]) -> int:
    return max(len(group) for group in _by_position(images))


def _by_position(images: list[DicomImage]) -> list[list[DicomImage]]:
    """Images grouped by slice position, in the order of the positions along the normal."""
    if any(image.position is None or image.orientation is None for image in images):
        return [[image] for image in sorted(images, key=_fallback_order)]
    normal = images[0].normal
    placed = sorted(((float(image.position @ normal), image) for image in images), key=lambda pair: pair[0])  # type: ignore[operator]
    groups: list[list[DicomImage]] = []
    last = -np.inf
    for position, image in placed:
        if position - last > _SAME_POSITION_MM:
            groups.append([])
            last = position
        groups[-1].append(image)
    return groups


def _fallback_order(image: DicomImage) -> tuple[bool, float, bool, int, list[tuple[int, int, str]]]:
    location, number = image.slice_location, image.instance_number
    return location is None, location or 0.0, number is None, number or 0, natural_order(image.file.name)


def _take_one_per_position(stack: DicomStack) -> None:
    """Choose the image of each position: the first phase of many, the last of a few repetitions."""
    groups = _by_position(stack.images)
    stack.per_position = int(np.median([len(group) for group in groups]))
    phases = stack.per_position >= MANY_PER_POSITION
    stack.slices = []
    for group in groups:
        if phases:
            stack.slices.append(min(group, key=lambda image: (image.trigger_time_ms or 0.0, *_time_order(image))))
        else:
            stack.slices.append(max(group, key=_time_order))
    repeated = [index for index, group in enumerate(groups) if len(group) > 1]
    if phases:
        stack.notes.append(f"Each position has about {stack.per_position} images (phases); only the first is read.")
    elif repeated:
        where = ", ".join(str(index) for index in repeated[:5]) + (", ..." if len(repeated) > 5 else "")
        stack.notes.append(f"Slice {where} was acquired more than once; the last acquisition is taken.")
    if not stack.has_positions:
        by = "slice location" if all(image.slice_location is not None for image in stack.images) else "image number"
        stack.notes.append(f"The slices are in the order of their {by}, for want of positions.")


def _time_order(image: DicomImage) -> tuple[str, int]:
    return image.acquired, image.instance_number or 0


def _joined(stacks: list[DicomStack]) -> list[DicomStack]:
    """Series of one or two slices that continue each other, as one stack: each breath-hold may have made a series of its own."""
    result: list[DicomStack] = []
    pieces: dict[Hashable, list[DicomStack]] = defaultdict(list)
    for stack in stacks:
        if stack.has_positions and len(_by_position(stack.images)) <= _PIECE and _most_per_position(stack.images) == 1:
            first = stack.first
            pieces[first.study_uid, first.patient, first.description, first.modality].append(stack)
        else:
            result.append(stack)
    for candidates in pieces.values():
        while candidates:
            first = candidates[0].first
            same = [stack for stack in candidates if _alike(first, stack.first)]
            candidates = [stack for stack in candidates if not _alike(first, stack.first)]
            images = [image for stack in same for image in stack.images]
            if len(same) > 1 and len(_by_position(images)) > _PIECE:
                note = f"The stack was put together from {len(same)} series of the same name, of one or two slices each."
                result.append(DicomStack(images, notes=[note]))
            else:
                result += same
    return result


def _recognise_psir(stacks: list[DicomStack]) -> None:
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
        "pixel spacing": {p.first.pixel_spacing for p in parts},
        "orientation": {None if p.first.orientation is None else tuple(np.round(p.first.orientation, 2)) for p in parts},
    }
    return " and ".join(name for name, values in named.items() if len(values) > 1) or "image type"


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
