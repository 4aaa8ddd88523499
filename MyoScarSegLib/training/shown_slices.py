"""Which of many labeled slices are shown where there is room for a few."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from MyoScarSegLib.training.datasets.labeled import LabeledSlice


def choose_slices(slices: Sequence[LabeledSlice], most: int) -> list[int]:
    """The numbers of some slices that say most, at most so many; the same for the same slices.

    Patients take turns: first each one's slice with most scar, then the next. A third of them, or more where there is little
    scar, show false scar: the middle slice of each patient without any.
    """
    by_patient: dict[str, list[int]] = {}
    for n in sorted(range(len(slices)), key=lambda n: (slices[n].patient, slices[n].stack, slices[n].index)):
        by_patient.setdefault(slices[n].patient, []).append(n)
    scarred: list[list[int]] = []
    free: list[list[int]] = []
    for numbers in by_patient.values():
        areas = {n: int(np.count_nonzero(slices[n].scar)) for n in numbers}
        by_area = sorted((n for n in numbers if areas[n]), key=lambda n: (-areas[n], n))
        if by_area:
            # The largest, then one from the middle, then the smallest: neighbors look alike.
            places = dict.fromkeys((0, len(by_area) // 2, len(by_area) - 1, *range(len(by_area))))
            scarred.append([by_area[place] for place in places])
        else:
            free.append([numbers[len(numbers) // 2]])
    with_scar = _in_turns(scarred)
    without = _in_turns(free)[: max(most // 3, most - len(with_scar))]
    chosen = with_scar[: most - len(without)] + without
    return sorted(chosen, key=lambda n: (slices[n].patient, slices[n].stack, slices[n].index))


def _in_turns(groups: Sequence[Sequence[int]]) -> list[int]:
    return [n for turn in itertools.zip_longest(*groups) for n in turn if n is not None]
