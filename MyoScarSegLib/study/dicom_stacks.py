"""A stack of DICOM images: its positions, the image that is taken at each, and its geometry."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from MyoScarSegLib.study.dicom_headers import DicomImage
from MyoScarSegLib.study.names import natural_order
from MyoScarSegLib.study.study import Geometry

_Thing = TypeVar("_Thing")

#: Images nearer than this along the normal show the same slice.
SAME_POSITION_MM = 0.1
#: Positions that repeat at least this often are cardiac phases or a series of inversion times, not repetitions.
MANY_PER_POSITION = 3
#: Cosines may differ by this much (about half a degree) within one stack.
_SAME_ORIENTATION = 0.01
#: Times and angles that differ by more than this factor are of different sequences.
_SAME_TIMING = 1.5
#: Gaps within this fraction, and this many mm, of the usual are even.
_EVEN_FRACTION, _EVEN_MM = 0.01, 0.02
#: A slice may lie this far off the straight line through the stack before it counts as shifted in plane.
_STRAIGHT_MM = 0.1


@dataclass
class DicomStack:
    """A stack of images at distinct positions.

    Attributes:
        images: all of them, as found.
        slices: the one image taken for each position, in the order of the positions along the normal.
        key: see :class:`~MyoScarSegLib.study.series.Series`.
        notes: what a reader of the result should know of the choice of images.
        per_position: how many images a position has, as a rule.
        place_mm: images nearer than this along the normal show the same slice.
    """

    images: list[DicomImage]
    slices: list[DicomImage] = field(default_factory=list)
    key: str = ""
    notes: list[str] = field(default_factory=list)
    per_position: int = 1
    place_mm: float = SAME_POSITION_MM

    @property
    def first(self) -> DicomImage:
        """The image that stands for the stack's headers."""
        return self.slices[0] if self.slices else self.images[0]

    @property
    def has_positions(self) -> bool:
        """Whether every image says where it lies."""
        return all(image.position is not None and image.orientation is not None for image in self.images)


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


def alike(one: DicomImage, other: DicomImage) -> bool:
    """Whether two images have the same kind, matrix, pixel spacing and orientation."""
    if (one.rows, one.columns, one.kind, one.samples) != (other.rows, other.columns, other.kind, other.samples):
        return False
    if (one.orientation is None) != (other.orientation is None) or (one.pixel_spacing is None) != (other.pixel_spacing is None):
        return False
    if one.pixel_spacing is not None and not np.allclose(one.pixel_spacing, other.pixel_spacing or (0, 0), rtol=1e-3):
        return False
    return one.orientation is None or bool(np.abs(one.orientation - other.orientation).max() <= _SAME_ORIENTATION)


def differences_of_timing(one: DicomImage, other: DicomImage) -> int:
    """How many of echo, repetition and inversion time and flip angle are clearly different."""
    pairs = zip(
        (one.echo_time_ms, one.inversion_time_ms, *one.timing),
        (other.echo_time_ms, other.inversion_time_ms, *other.timing),
        strict=True,
    )
    return sum(
        (a is None) != (b is None) or (a is not None and b is not None and max(a, b) > _SAME_TIMING * min(a, b)) for a, b in pairs
    )


def by_position(images: list[DicomImage], place_mm: float = SAME_POSITION_MM) -> list[list[DicomImage]]:
    """Images grouped by slice position, in the order of the positions along the normal."""
    if any(image.position is None or image.orientation is None for image in images):
        return [[image] for image in sorted(images, key=_fallback_order)]
    placed = sorted(zip(heights_mm(images).tolist(), images, strict=True), key=lambda pair: pair[0])
    groups: list[list[DicomImage]] = []
    last = -np.inf
    for position, image in placed:
        if position - last > place_mm:
            groups.append([])
            last = position
        groups[-1].append(image)
    return groups


def heights_mm(images: list[DicomImage]) -> np.ndarray:
    """Place of each image along the normal of the first; all have a position."""
    normal = images[0].normal
    assert normal is not None  # noqa: S101 - who asks has looked
    return np.asarray(np.array([image.position for image in images], dtype=float) @ normal)


def grouped(things: Iterable[_Thing], key: Callable[[_Thing], Hashable]) -> list[list[_Thing]]:
    """Groups of one key each, in the order of their first."""
    groups: dict[Hashable, list[_Thing]] = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
    return list(groups.values())


def gathered(things: Iterable[_Thing], fits: Callable[[_Thing, _Thing], bool]) -> list[list[_Thing]]:
    """Groups of things that fit the first of their group, in the order of their first."""
    groups: list[list[_Thing]] = []
    for thing in things:
        group = next((group for group in groups if fits(group[0], thing)), None)
        if group is None:
            groups.append([thing])
        else:
            group.append(thing)
    return groups


def _fallback_order(image: DicomImage) -> tuple[bool, float, bool, int, list[tuple[int, int, str]]]:
    location, number = image.slice_location, image.instance_number
    return location is None, location or 0.0, number is None, number or 0, natural_order(image.file.name)


def take_one_per_position(stack: DicomStack) -> None:
    """Choose the image of each position: the first phase of many, the last of a few repetitions."""
    groups = by_position(stack.images, stack.place_mm)
    stack.per_position = int(np.median([len(group) for group in groups]))
    phases = stack.per_position >= MANY_PER_POSITION
    stack.slices = []
    for group in groups:
        if phases:
            stack.slices.append(min(group, key=lambda image: (image.trigger_time_ms or 0.0, *time_order(image))))
        else:
            stack.slices.append(max(group, key=time_order))
    repeated = [index for index, group in enumerate(groups) if len(group) > 1]
    if phases:
        stack.notes.append(f"Each position has about {stack.per_position} images (phases); only the first is read.")
    elif repeated:
        where = ", ".join(str(index) for index in repeated[:5]) + (", ..." if len(repeated) > 5 else "")
        stack.notes.append(f"Slice {where} was acquired more than once; the last acquisition is taken.")
    if not stack.has_positions:
        by = "slice location" if all(image.slice_location is not None for image in stack.images) else "image number"
        stack.notes.append(f"The slices are in the order of their {by}, for want of positions.")


def time_order(image: DicomImage) -> tuple[str, int, int]:
    """Sorts images as they were acquired, as far as their headers tell."""
    return image.acquired, image.series_number or 0, image.instance_number or 0
