"""What is known of a heart around its scar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from MyoScarSegLib.quantification.aha import InsertionPoints, Level
from MyoScarSegLib.quantification.ventricle import Ventricle


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The left ventricle of a study, as somebody drew or proposed it.

    Attributes:
        ventricle: None without a wall.
        no_reflow: bool ``[k, j, i]``, counts in scar; None if there is none.
        insertions: ends of the septum; None if they are not set.
        levels: slice index to level, as a reader set them; None for the rules.
        remote: bool ``[k, j, i]``, remote myocardium as a reader drew it; None for the proposed one.
    """

    ventricle: Ventricle | None = None
    no_reflow: np.ndarray | None = None
    insertions: InsertionPoints | None = None
    levels: Mapping[int, Level] | None = None
    remote: np.ndarray | None = None
