"""Segments of a stored segmentation: what they show, and the scar among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.tissue import INFARCT, NO_REFLOW, SCAR

#: No scar covers more of a slice, be it cropped to the heart.
_LARGEST_SHARE = 0.9


@dataclass(frozen=True)
class Segment:
    """One segment of a stored segmentation.

    Attributes:
        name: as the user reads it.
        number: of its class (:mod:`~MyoScarSegLib.study.tissue`), by its code or its name; None if they say nothing.
        value: of its voxels in the file, or, where several segments may lie over each other, its place among them, from 1.
        mask: bool ``[k, j, i]``, shaped like the study's voxels. Segments may overlap.
    """

    name: str
    number: int | None
    value: int
    mask: np.ndarray


def scar_of(segments: Sequence[Segment], where: str) -> np.ndarray:
    """The voxels of the segments that are scar, no-reflow included.

    Raises:
        StudyError: none is called or coded so, or several have one name.
    """
    check_names(segments, where)
    scar = [segment.mask for segment in segments if segment.number in (INFARCT, NO_REFLOW)]
    if not scar:
        names = ", ".join(s.name if s.number is not None else f"{s.name} ({s.value})" for s in segments)
        numbered = next((f", or say which it is with --labels 'scar={s.value}'" for s in segments if s.number is None), "")
        raise StudyError(
            f"{where} has no segment that is called scar (it has {names}). Name the scar's segment {SCAR.name}{numbered}; in an "
            "exam without scar leave it empty."
        )
    return np.asarray(np.any(scar, axis=0))


def check_cover(scar: np.ndarray, where: str) -> np.ndarray:
    """The scar ``[..., row, column]`` as it is, if it leaves something of each slice.

    Raises:
        StudyError: it covers a whole slice, as no scar does: background and scar have been exchanged, or it is no mask.
    """
    share = scar.mean(axis=(-2, -1))
    if np.any(share > _LARGEST_SHARE):
        raise StudyError(
            f"{where}: the scar covers {share.max():.0%} of a slice. Are scar and background exchanged, or is it a mask of "
            "something else? Give the values' classes with --labels, or correct the file."
        )
    return scar


def check_names(segments: Sequence[Segment], where: str) -> None:
    """Refuse segments of a tissue that are called the same, which nobody can tell apart; StudyError if there are such."""
    names = [segment.name.casefold() for segment in segments if segment.number is not None]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise StudyError(f"{where} has several segments called {twice[0]!r}. Rename or delete all but the one that is meant.")
