"""Series that continue each other, as one stack: each breath-hold, slab or repeated slice may have made a series of its own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable

import numpy as np

from MyoScarSegLib.study.dicom_headers import DicomImage
from MyoScarSegLib.study.dicom_stacks import (
    MANY_PER_POSITION,
    SAME_POSITION_MM,
    DicomStack,
    alike,
    by_position,
    differences_of_timing,
    gathered,
    grouped,
    heights_mm,
    time_order,
)
from MyoScarSegLib.study.series_words import fold

#: What is left of a name without the numbers of slices, breath-holds, inversion times; "2d", "4ch", "t2" and "10min" stay.
_WORDS = re.compile(r"(?<![a-z])t[12](?![a-z0-9])|[23]d(?![a-z])|\d(?:ch|cv|chamber|kammer)|\d+ ?min|[^\W\d_]+")
_OF_A_PIECE = re.compile(
    r"ti|m[ms]|sl|slc|slices?|schicht|coupe|corte|bh|breath|hold|breathhold|pos|loc|nr|no|num|rep|rpt|repeat(ed)?|redo|again|new|neu"
    r"|nochmal|wdh|bis|part|teil|slab|ii|iii|iv|apex|apical|mid|midventricular|medial|base|basal|[a-z]"
)
#: Slices may overlap by this fraction of their thickness; more is another stack between the slices of the first.
_APART = 0.8
#: LGE is read 10 to 20 minutes after contrast: what was acquired this much later than the rest shows another enhancement.
_LATE_S = 15 * 60.0
_FEWEST_SLICES = 3


def joined(stacks: list[DicomStack]) -> list[DicomStack]:
    """``stacks``, with those put together that are pieces of one: of one name but for numbers, sequence, kind and geometry."""

    def alone(stack: DicomStack) -> bool:
        return not stack.has_positions or max(len(group) for group in by_position(stack.images)) >= MANY_PER_POSITION

    def family(stack: DicomStack) -> Hashable:
        first = stack.first
        same = (first.study_uid, first.patient, first.modality, first.method, first.kind, first.image_type, first.signed)
        return *same, _base_name(first)

    def continues(one: DicomStack, other: DicomStack) -> bool:
        return alike(one.first, other.first) and differences_of_timing(one.first, other.first) < 2

    result = [stack for stack in stacks if alone(stack)]
    for same in grouped((stack for stack in stacks if not alone(stack)), family):
        for pieces in gathered(same, continues):
            result += _assembled(sorted(pieces, key=lambda piece: min(time_order(image) for image in piece.images)))
    return result


def _base_name(image: DicomImage) -> tuple[str, ...]:
    words = _WORDS.findall(fold(image.text or image.protocol))
    return tuple(sorted(word for word in words if not _OF_A_PIECE.fullmatch(word)))


def _assembled(pieces: list[DicomStack]) -> list[DicomStack]:
    """The stacks that ``pieces``, in the order of their acquisition, make up."""
    if len(pieces) == 1:
        return pieces
    place = _place_mm(pieces)
    positions = by_position(_images(pieces), place)
    repeated = sum(len(group) > 1 for group in positions)
    if 2 * repeated >= len(positions):
        rounds = _rounds(pieces, positions)
        return [stack for group in rounds for stack in (_assembled(group) if len(group) < len(pieces) else group)]
    late = [piece for piece in pieces if _is_late_repeat(piece, pieces, place)]
    kept = [piece for piece in pieces if piece not in late]
    positions = by_position(_images(kept), place)
    if len(kept) < 2 or len(positions) < _FEWEST_SLICES or _overlapping(kept, positions):
        stacks = kept
    else:
        sizes = sorted({len(by_position(piece.images)) for piece in kept})
        note = f"The stack was put together from {len(kept)} series of {' or '.join(map(str, sizes))} slices."
        notes = [note, *dict.fromkeys(text for piece in kept for text in piece.notes)]
        stacks = [DicomStack(_images(kept), notes=notes, place_mm=place)]
    for piece in late:
        stacks[0].notes.append(
            f"Series {piece.first.series_number} repeats a slice more than {_LATE_S / 60:.0f} minutes after the others; "
            "it shows another enhancement and was left out."
        )
    return [*stacks, *late]


def _images(pieces: list[DicomStack]) -> list[DicomImage]:
    return [image for piece in pieces for image in piece.images]


def _gaps(images: list[DicomImage]) -> np.ndarray:
    gaps = np.diff(np.sort(heights_mm(images)))
    return gaps[gaps > SAME_POSITION_MM]


def _place_mm(pieces: list[DicomStack]) -> float:
    """A slice acquired again may lie a little off: half the thickness, and less than half way to its neighbor."""
    thickness = [piece.first.thickness_mm for piece in pieces if piece.first.thickness_mm]
    within = [float(gaps.min()) for piece in pieces if len(gaps := _gaps(piece.images))]
    if not thickness:
        return SAME_POSITION_MM
    return max(SAME_POSITION_MM, min(0.5 * min(thickness), *(0.4 * gap for gap in [*within, np.inf])))


def _rounds(pieces: list[DicomStack], positions: list[list[DicomImage]]) -> list[list[DicomStack]]:
    """Pieces that cover most positions more than once, as one group for each round of acquisition."""
    if len({len(group) for group in positions}) == 1:
        rank = {id(image): n for group in positions for n, image in enumerate(sorted(group, key=time_order))}
        ranks = [{rank[id(image)] for image in piece.images} for piece in pieces]
        if all(len(found) == 1 for found in ranks):
            by_rank: dict[int, list[DicomStack]] = defaultdict(list)
            for piece, found in zip(pieces, ranks, strict=True):
                by_rank[found.pop()].append(piece)
            return list(by_rank.values())
    where = {id(image): n for n, group in enumerate(positions) for image in group}
    rounds: list[list[DicomStack]] = []
    for piece in pieces:
        covered = {where[id(image)] for image in piece.images}
        if not rounds or covered & {where[id(image)] for image in _images(rounds[-1])}:
            rounds.append([])
        rounds[-1].append(piece)
    return rounds


def _is_late_repeat(piece: DicomStack, pieces: list[DicomStack], place_mm: float) -> bool:
    """Whether a piece shows only slices that others show too, and was acquired long after them."""
    others = [image for other in pieces if other is not piece for image in other.images]
    new = len(by_position([*others, *piece.images], place_mm)) - len(by_position(others, place_mm))
    times, before = [_seconds(image) for image in piece.images], [_seconds(image) for image in others]
    if new or None in times or None in before:
        return False
    start = min(time for time in times if time is not None)
    return start - max((time for time in before if time is not None and time <= start), default=start) > _LATE_S


def _overlapping(pieces: list[DicomStack], positions: list[list[DicomImage]]) -> bool:
    """Whether the pieces lie between each other's slices, as an early and a late stack do whose planes are shifted."""
    gaps = _gaps([group[0] for group in positions])
    own = [float(inner.min()) for piece in pieces if len(inner := _gaps(piece.images))]
    thickness = [piece.first.thickness_mm for piece in pieces if piece.first.thickness_mm]
    limits = [_APART * min(values) for values in (own, thickness) if values]
    return bool(limits) and bool(len(gaps)) and float(gaps.min()) < min(limits)


def _seconds(image: DicomImage) -> float | None:
    """Time of the acquisition in seconds, to compare within an examination; None if the headers do not say."""
    time = re.match(r"(\d{8})?(\d\d)(\d\d)(\d\d)(?!\d)", image.acquired.replace(":", ""))
    if time is None:
        return None
    day, hour, minute, second = (int(part or 0) for part in time.groups())
    return 86400.0 * day + 3600 * hour + 60 * minute + second
